package jsonata

import (
	"github.com/lockstep-run/lockstep/asl/value"
)

// node is a part of an expression. The parser makes binary operators of
// everything; shape then turns it into paths of steps.
type node struct {
	kind nodeKind
	pos  int
	text string      // operator, name, string
	num  value.Value // of a literal
	re   *regex

	left, right *node   // operands; callee and body
	list        []*node // steps, expressions, arguments, parameters
	pairs       [][2]*node
	terms       []sortTerm
	sig         *signature
	tail        bool // a call that ends a lambda

	keepArray bool // written with []
	whole     bool // an array constructor that is not to be flattened
	singleton bool // path: keep a singleton array

	predicates []stage // filters on what is no step
	stages     []stage // filters and positions of a step
	group      *node   // group-by
	focus      string  // @$focus
	index      string  // #$index
	tuple      bool    // binds variables for the steps that follow
	ancestor   *slot   // what a % further on needs from here
	slot       *slot   // of a parent
	seeking    []*slot // parents that are not below here
}

type nodeKind uint8

const (
	nEnd nodeKind = iota
	nBinary
	nUnary
	nName
	nVariable
	nString
	nNumber
	nLiteral
	nRegex
	nWildcard
	nDescendant
	nParent
	nBlock
	nArray
	nObject
	nCall
	nPartial
	nLambda
	nCondition
	nTransform
	nPath
	nSort
	nBind
	nApply
	nHole
	nOperator // and, or, in where an operand is expected
)

// kindNames are what the library calls the kinds in messages.
var kindNames = map[nodeKind]string{
	nBinary: "binary", nUnary: "unary", nName: "name", nVariable: "variable", nString: "string", nNumber: "number", nLiteral: "value",
	nRegex: "regex", nWildcard: "wildcard", nDescendant: "descendant", nParent: "parent", nBlock: "block", nArray: "unary", nObject: "unary",
	nCall: "function", nPartial: "partial", nLambda: "lambda", nCondition: "condition", nTransform: "transform", nPath: "path",
	nSort: "sort", nBind: "bind", nApply: "apply", nHole: "operator",
}

type stage struct {
	filter *node  // or
	index  string // the variable that gets the position
	pos    int
}

type sortTerm struct {
	expr       *node
	descending bool
}

// maxNesting bounds how deep an expression may be written, since parser,
// compiler and evaluation recurse.
const (
	maxNesting = 1000
	maxChain   = 5_000   // operators one after the other: a.b.c, 1 + 2 + 3
	maxLinks   = 100_000 // operators altogether
)

type parser struct {
	lex   lexer
	tok   token
	depth int
	links int // operators so far
}

// parse reads a whole expression.
func parse(text string) *node {
	p := &parser{lex: lexer{text: text}}
	p.advance()
	n := p.expression(0)
	if p.tok.kind != endToken {
		p.fail("S0201").raise()
	}
	return n
}

func (p *parser) fail(code string) *fault {
	f := fail(code).at(p.tok.pos)
	f.token = p.tok.shown()
	return f
}

func (p *parser) advance() { p.tok = p.lex.next(false) }

// operand is done; an operator may follow.
func (p *parser) advanceInfix() { p.tok = p.lex.next(true) }

func (p *parser) expect(id string) {
	p.want(id)
	p.advance()
}

func (p *parser) expectInfix(id string) {
	p.want(id)
	p.advanceInfix()
}

func (p *parser) want(id string) {
	if p.tok.id == id {
		return
	}
	code := "S0202"
	if p.tok.kind == endToken {
		code = "S0203"
	}
	p.fail(code).withValue(str(id)).raise()
}

// expression reads operands and operators that bind tighter than limit.
func (p *parser) expression(limit int) *node {
	if p.depth++; p.depth > maxNesting {
		p.tooDeep()
	}
	t := p.tok
	p.advanceInfix()
	left := p.operand(t)
	for links := 0; p.tok.kind == operatorToken && limit < power[p.tok.id]; links++ {
		if p.links++; links > maxChain || p.links > maxLinks {
			p.tooDeep()
		}
		op := p.tok
		p.advance()
		left = p.infix(op, left)
	}
	p.depth--
	return left
}

func (p *parser) tooDeep() { panic(&fault{message: stackMessage, limit: true, pos: p.tok.pos}) }

// operand makes the node of a token where an operand is expected.
func (p *parser) operand(t token) *node {
	n := &node{pos: t.pos, text: t.text, num: t.num, re: t.re}
	switch t.kind {
	case nameToken:
		n.kind = nName
	case variableToken:
		n.kind = nVariable
	case stringToken:
		n.kind, n.num = nString, value.Str(t.text)
	case numberToken:
		n.kind = nNumber
	case valueToken:
		n.kind = nLiteral
	case regexToken:
		n.kind = nRegex
	case endToken:
		n.kind = nEnd
	case operatorToken:
		p.prefix(t, n)
	}
	return n
}

func (p *parser) prefix(t token, n *node) {
	switch t.id {
	case "and", "or", "in":
		n.kind = nOperator
	case "-":
		n.kind = nUnary
		n.left = p.expression(70)
	case "*":
		n.kind = nWildcard
	case "**":
		n.kind = nDescendant
	case "%":
		n.kind = nParent
	case "(":
		n.kind = nBlock
		for p.tok.id != ")" {
			n.list = append(n.list, p.expression(0))
			if p.tok.id != ";" {
				break
			}
			p.advance()
		}
		p.expectInfix(")")
	case "[":
		n.kind = nArray
		p.arrayItems(n)
	case "{":
		n.kind = nObject
		n.pairs = p.objectPairs()
	case "|":
		n.kind = nTransform
		n.list = make([]*node, 3)
		n.list[0] = p.expression(0)
		p.expect("|")
		n.list[1] = p.expression(0)
		if p.tok.id == "," {
			p.advance()
			n.list[2] = p.expression(0)
		}
		p.expect("|")
	default:
		fail("S0211").at(t.pos).withToken(t.text).raise()
	}
}

func (p *parser) arrayItems(n *node) {
	for p.tok.id != "]" {
		x := p.expression(0)
		if p.tok.id == ".." {
			r := &node{kind: nBinary, text: "..", pos: p.tok.pos, left: x}
			p.advance()
			r.right = p.expression(0)
			x = r
		}
		n.list = append(n.list, x)
		if p.tok.id != "," {
			break
		}
		p.advance()
	}
	p.expectInfix("]")
}

func (p *parser) objectPairs() (pairs [][2]*node) {
	for p.tok.id != "}" {
		key := p.expression(0)
		p.expect(":")
		pairs = append(pairs, [2]*node{key, p.expression(0)})
		if p.tok.id != "," {
			break
		}
		p.advance()
		if p.tok.id == "}" { // a comma promises another pair
			p.expression(0)
		}
	}
	p.expectInfix("}")
	return pairs
}

// infix makes the node of an operator that follows left.
func (p *parser) infix(op token, left *node) *node {
	n := &node{kind: nBinary, pos: op.pos, text: op.id, left: left}
	switch op.id {
	case "(":
		p.call(n)
	case "[":
		return p.filter(n)
	case "{":
		n.pairs = p.objectPairs()
	case "^":
		p.sortTerms(n)
	case "?":
		n.kind = nCondition
		n.list = []*node{left, p.expression(0), nil}
		if p.tok.id == ":" {
			p.advance()
			n.list[2] = p.expression(0)
		}
	case ":=":
		if left.kind != nVariable {
			f := fail("S0212").at(left.pos)
			f.token = left.shown()
			f.raise()
		}
		n.right = p.expression(power[":="] - 1)
	case "@", "#":
		n.right = p.expression(power[op.id])
		if n.right.kind != nVariable {
			fail("S0214").at(n.right.pos).withToken(op.id).raise()
		}
	default:
		n.right = p.expression(power[op.id])
	}
	return n
}

// shown is what the library takes for the token of a node.
func (n *node) shown() item {
	switch n.kind {
	case nNumber, nLiteral, nString:
		return plain(n.num)
	case nRegex:
		return plain(value.EmptyObject)
	case nBlock:
		return str("(")
	case nArray:
		return str("[")
	case nObject:
		return str("{")
	case nCall, nPartial, nLambda:
		return str("(")
	}
	return str(n.text)
}

func (p *parser) filter(n *node) *node {
	if p.tok.id != "]" {
		n.right = p.expression(0)
		p.expectInfix("]")
		return n
	}
	step := n.left // [] keeps a single item an array
	for step.kind == nBinary && step.text == "[" {
		step = step.left
	}
	step.keepArray = true
	p.advance()
	return n.left
}

func (p *parser) sortTerms(n *node) {
	p.expect("(")
	for {
		descending := p.tok.id == ">"
		if descending || p.tok.id == "<" {
			p.advance()
		}
		n.terms = append(n.terms, sortTerm{p.expression(0), descending})
		if p.tok.id != "," {
			break
		}
		p.advance()
	}
	p.expect(")")
}

// call reads arguments, and the rest of a function definition if that is what
// it turns out to be.
func (p *parser) call(n *node) {
	n.kind = nCall
	if p.tok.id != ")" {
		for {
			if p.tok.id == "?" && p.tok.kind == operatorToken {
				n.kind = nPartial
				n.list = append(n.list, &node{kind: nHole, pos: p.tok.pos})
				p.advance()
			} else {
				n.list = append(n.list, p.expression(0))
			}
			if p.tok.id != "," {
				break
			}
			p.advance()
		}
	}
	p.expectInfix(")")
	if n.left.kind == nName && (n.left.text == "function" || n.left.text == "λ") {
		p.lambda(n)
	}
}

func (p *parser) lambda(n *node) {
	for i, param := range n.list {
		if param.kind != nVariable {
			f := fail("S0208").at(param.pos).withValue(integer(i + 1))
			f.token = param.shown()
			f.raise()
		}
	}
	n.kind = nLambda
	if p.tok.id == "<" {
		p.signature(n)
	}
	p.expect("{")
	n.right = p.expression(0)
	p.expect("}")
}

func (p *parser) signature(n *node) {
	start, depth, text := p.tok.pos, 1, "<"
	for depth > 0 && p.tok.id != "{" && p.tok.kind != endToken {
		p.advance()
		switch p.tok.id {
		case ">":
			depth--
		case "<":
			depth++
		}
		if p.tok.kind == endToken {
			text += "(end)"
		} else {
			text += p.tok.text
		}
	}
	p.expect(">")
	n.sig = parseSignature(text, start)
}
