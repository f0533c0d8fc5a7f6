package jsonata

import "github.com/lockstep-run/lockstep/asl/value"

// slot connects a parent operator % with the step whose input it stands for.
// level counts how many steps up that still is.
type slot struct {
	label string
	level int
}

// shaper turns what the parser read into what is evaluated: chains of dots
// become paths of steps, predicates join their step, and each % finds the step
// it refers to.
type shaper struct {
	slots int
}

func shape(root *node) *node {
	s := &shaper{}
	n := s.shape(root)
	if n.kind == nParent || n.seeking != nil {
		f := fail("S0217").withToken(kindNames[n.kind])
		if n.kind != nParent {
			f.at(n.pos)
		}
		f.raise()
	}
	return n
}

func (s *shaper) shape(n *node) *node {
	r := s.shapeKind(n)
	if n.keepArray {
		r.keepArray = true
	}
	return r
}

func (s *shaper) shapeKind(n *node) *node {
	switch n.kind {
	case nBinary:
		return s.binary(n)
	case nUnary:
		r := &node{kind: nUnary, text: n.text, pos: n.pos, left: s.shape(n.left)}
		if r.left.kind == nNumber {
			r.left.num = value.Float(-r.left.num.Float())
			return r.left
		}
		r.adopt(r.left)
		return r
	case nArray, nCall, nPartial:
		r := &node{kind: n.kind, text: n.text, pos: n.pos}
		for _, x := range n.list {
			x = s.shape(x)
			r.adopt(x)
			r.list = append(r.list, x)
		}
		if n.left != nil {
			r.left = s.shape(n.left)
		}
		return r
	case nObject:
		r := &node{kind: nObject, text: n.text, pos: n.pos}
		for _, pair := range n.pairs {
			key, val := s.shape(pair[0]), s.shape(pair[1])
			r.adopt(key)
			r.adopt(val)
			r.pairs = append(r.pairs, [2]*node{key, val})
		}
		return r
	case nLambda:
		body := s.shape(n.right)
		markTail(body)
		return &node{kind: nLambda, pos: n.pos, list: n.list, sig: n.sig, right: body}
	case nCondition, nTransform:
		r := &node{kind: n.kind, pos: n.pos, list: make([]*node, len(n.list))}
		for i, x := range n.list {
			if x == nil {
				continue
			}
			r.list[i] = s.shape(x)
			if n.kind == nCondition {
				r.adopt(r.list[i])
			}
		}
		return r
	case nBlock:
		r := &node{kind: nBlock, pos: n.pos}
		for _, x := range n.list {
			x = s.shape(x)
			r.adopt(x)
			r.list = append(r.list, x)
			if x.whole || x.kind == nPath && x.list[0].whole {
				r.whole = true
			}
		}
		return r
	case nName:
		return &node{kind: nPath, list: []*node{n}, pos: n.pos, singleton: n.keepArray}
	case nParent:
		n.slot = &slot{label: "!" + itoa(s.slots), level: 1}
		s.slots++
		return n
	case nOperator:
		n.kind = nName
		return s.shape(n)
	case nEnd:
		fail("S0207").at(n.pos).withToken("(end)").raise()
	}
	return n
}

// adopt makes the parents that x looks for a matter of n.
func (n *node) adopt(x *node) {
	if x.seeking == nil && x.kind != nParent {
		return
	}
	n.seeking = append(n.seeking, x.seeking...)
	if x.kind == nParent {
		n.seeking = append(n.seeking, x.slot)
	}
}

func (s *shaper) binary(n *node) *node {
	switch n.text {
	case ".":
		return s.dot(n)
	case "[":
		return s.predicate(n)
	case "{":
		r := s.shape(n.left)
		if r.group != nil {
			fail("S0210").at(n.pos).raise()
		}
		r.group = &node{kind: nObject, pos: n.pos}
		for _, pair := range n.pairs {
			r.group.pairs = append(r.group.pairs, [2]*node{s.shape(pair[0]), s.shape(pair[1])})
		}
		return r
	case "^":
		return s.orderBy(n)
	case ":=":
		r := &node{kind: nBind, pos: n.pos, text: n.left.text, right: s.shape(n.right)}
		r.adopt(r.right)
		return r
	case "@":
		return s.focus(n)
	case "#":
		return s.index(n)
	case "~>":
		r := &node{kind: nApply, pos: n.pos, left: s.shape(n.left), right: s.shape(n.right)}
		r.keepArray = r.left.keepArray || r.right.keepArray
		return r
	}
	r := &node{kind: nBinary, text: n.text, pos: n.pos, left: s.shape(n.left), right: s.shape(n.right)}
	r.adopt(r.left)
	r.adopt(r.right)
	return r
}

func (n *node) last() *node { return n.list[len(n.list)-1] }

func (s *shaper) dot(n *node) *node {
	left := s.shape(n.left)
	path := left
	if left.kind != nPath {
		path = &node{kind: nPath, list: []*node{left}, pos: left.pos}
	}
	if left.kind == nParent {
		path.seeking = []*slot{left.slot}
	}
	right := s.shape(n.right)
	if right.kind == nPath {
		path.list = append(path.list, right.list...)
	} else {
		if right.predicates != nil {
			right.stages, right.predicates = right.predicates, nil
		}
		path.list = append(path.list, right)
	}
	for _, step := range path.list {
		switch step.kind {
		case nNumber, nLiteral:
			fail("S0213").at(step.pos).withValue(plain(step.num)).raise()
		case nString:
			step.kind = nName
		}
		if step.keepArray {
			path.singleton = true
		}
	}
	if path.list[0].kind == nArray {
		path.list[0].whole = true
	}
	if path.last().kind == nArray {
		path.last().whole = true
	}
	findParents(path)
	return path
}

func (s *shaper) predicate(n *node) *node {
	r := s.shape(n.left)
	step := r
	if r.kind == nPath {
		step = r.last()
	}
	if step.group != nil {
		fail("S0209").at(n.pos).raise()
	}
	test := s.shape(n.right)
	for _, wanted := range test.seeking {
		if wanted.level == 1 {
			seek(step, wanted)
		} else {
			wanted.level--
		}
	}
	if test.seeking != nil {
		step.adopt(test)
	}
	st := stage{filter: test, pos: n.pos}
	if r.kind == nPath {
		step.stages = append(step.stages, st)
	} else {
		step.predicates = append(step.predicates, st)
	}
	return r
}

func (s *shaper) orderBy(n *node) *node {
	path := s.shape(n.left)
	if path.kind != nPath {
		path = &node{kind: nPath, list: []*node{path}, pos: path.pos}
	}
	sort := &node{kind: nSort, pos: n.pos}
	for _, t := range n.terms {
		x := s.shape(t.expr)
		sort.adopt(x)
		sort.terms = append(sort.terms, sortTerm{x, t.descending})
	}
	path.list = append(path.list, sort)
	findParents(path)
	return path
}

func (s *shaper) focus(n *node) *node {
	r := s.shape(n.left)
	step := r
	if r.kind == nPath {
		step = r.last()
	}
	if step.stages != nil || step.predicates != nil {
		fail("S0215").at(n.pos).raise()
	}
	if step.kind == nSort {
		fail("S0216").at(n.pos).raise()
	}
	if n.keepArray {
		step.keepArray = true
	}
	step.focus, step.tuple = n.right.text, true
	return r
}

func (s *shaper) index(n *node) *node {
	r := s.shape(n.left)
	step := r
	if r.kind == nPath {
		step = r.last()
	} else {
		if step.predicates != nil {
			step.stages, step.predicates = step.predicates, nil
		}
		r = &node{kind: nPath, list: []*node{step}, pos: step.pos}
	}
	if step.stages == nil {
		step.index = n.right.text
	} else {
		step.stages = append(step.stages, stage{index: n.right.text, pos: n.pos})
	}
	step.tuple = true
	return r
}

// findParents resolves the parents that the last step of a path looks for, in
// the steps before it; what is not found there becomes a matter of the path.
func findParents(path *node) {
	last := path.last()
	wanted := append([]*slot(nil), last.seeking...)
	if last.kind == nParent {
		wanted = append(wanted, last.slot)
	}
	for _, slot := range wanted {
		for i := len(path.list) - 2; slot.level > 0; {
			if i < 0 {
				path.seeking = append(path.seeking, slot)
				break
			}
			step := path.list[i]
			i--
			for i >= 0 && step.focus != "" && path.list[i].focus != "" { // joined steps count as one
				step = path.list[i]
				i--
			}
			seek(step, slot)
		}
	}
}

// seek takes a parent one step up: the input of this step, if level says so, is
// what is wanted.
func seek(n *node, wanted *slot) {
	switch n.kind {
	case nName, nWildcard:
		if wanted.level--; wanted.level == 0 {
			if n.ancestor == nil {
				n.ancestor = wanted
			} else {
				wanted.label = n.ancestor.label
				n.ancestor = wanted
			}
			n.tuple = true
		}
	case nParent:
		wanted.level++
	case nBlock:
		if len(n.list) > 0 {
			n.tuple = true
			seek(n.list[len(n.list)-1], wanted)
		}
	case nPath:
		n.tuple = true
		i := len(n.list) - 1
		seek(n.list[i], wanted)
		for i--; wanted.level > 0 && i >= 0; i-- {
			seek(n.list[i], wanted)
		}
	default:
		fail("S0217").at(n.pos).withToken(kindNames[n.kind]).raise()
	}
}

// markTail marks the calls that a function ends with: they replace the function
// rather than nest in it.
func markTail(n *node) {
	switch n.kind {
	case nCall:
		n.tail = n.predicates == nil
	case nCondition:
		markTail(n.list[1])
		if n.list[2] != nil {
			markTail(n.list[2])
		}
	case nBlock:
		if len(n.list) > 0 {
			markTail(n.list[len(n.list)-1])
		}
	}
}
