package items

import (
	"errors"
	"io"
	"strconv"
	"strings"

	"github.com/lockstep-run/lockstep/asl/value"
	"github.com/lockstep-run/lockstep/internal/objects"
)

// jsonFile reads the elements of an array, or the members of an object, that is
// the whole file or stands in it at a pointer.
type jsonFile struct {
	s      *stream
	source string
	whole  bool   // the array is the whole file
	in     string // "[" or "{"
	row    int64
	done   int64 // the offset after the last item
}

// AWS's limits on a pointer, and on where it may lead.
const (
	maxPointer = 2000
	maxSkip    = 16 << 20
)

func openJSON(r *Reader, ref objects.Ref, pointer string, at Place) (file, error) {
	s, err := r.stream(ref, at.Offset)
	if err != nil {
		return nil, err
	}
	j := &jsonFile{s: s, source: address(ref), whole: pointer == "", in: at.In, row: at.Row}
	if j.in == "" {
		if err := j.enter(pointer); err != nil {
			s.close()
			return nil, j.early(err)
		}
	}
	j.done = s.offset
	return j, nil
}

// enter moves to behind the bracket that opens what the pointer leads to.
func (j *jsonFile) enter(pointer string) error {
	if err := j.s.skipBOM(); err != nil {
		return err
	}
	if pointer != "" {
		if len(pointer) > maxPointer || pointer[0] != '/' {
			return fail("ItemsPointer is not a JSON pointer of at most %d characters that begins with a slash.", maxPointer)
		}
		for _, token := range strings.Split(pointer[1:], "/") {
			token = strings.NewReplacer("~1", "/", "~0", "~").Replace(token)
			if err := j.descend(token, pointer); err != nil {
				return err
			}
		}
	}
	c, err := j.space()
	if err != nil {
		return err
	}
	// An object that is the whole file is refused as AWS has been recorded to.
	if c != '[' && (c != '{' || pointer == "") {
		if err := j.notIterable(c); err != nil {
			return err
		}
		return fail("%s", causeNotIterable)
	}
	j.s.use(1)
	j.in = string(c)
	return nil
}

// notIterable says first what is wrong with a text that is no JSON at all.
func (j *jsonFile) notIterable(c byte) error {
	if c == '{' {
		return nil
	}
	_, err := j.raw()
	return err
}

// descend moves to the value of a member or element.
func (j *jsonFile) descend(token, pointer string) error {
	open, err := j.space()
	if err != nil {
		return err
	}
	if open != '{' && open != '[' {
		return fail("ItemsPointer %s leads to nothing in %s.", pointer, j.s.ref)
	}
	j.s.use(1)
	for i := 0; ; i++ {
		end, err := j.separator(string(open), i == 0)
		if err != nil {
			return err
		}
		if end {
			return fail("ItemsPointer %s leads to nothing in %s.", pointer, j.s.ref)
		}
		name := strconv.Itoa(i)
		if open == '{' {
			if name, err = j.key(); err != nil {
				return err
			}
		}
		if name == token {
			return nil
		}
		if err := j.skip(); err != nil {
			return err
		}
		if j.s.offset > maxSkip {
			return fail("What ItemsPointer %s leads to does not begin within the first 16 MB of %s.", pointer, j.s.ref)
		}
	}
}

// early says of a file that ends too early that it does.
func (j *jsonFile) early(err error) error {
	if err == io.EOF {
		return j.s.fail(j.s.offset+int64(len(j.s.unused())), "the JSON ends too early")
	}
	return err
}

func (j *jsonFile) place() Place {
	return Place{ETag: j.s.ref.ETag, Offset: j.done, Row: j.row, In: j.in}
}
func (j *jsonFile) close() { j.s.close() }

func (j *jsonFile) next() (Item, error) {
	item, used, err := j.element()
	if err != nil {
		return Item{}, err
	}
	j.s.use(used)
	j.s.shrink()
	j.row, j.done = j.row+1, j.s.offset
	return item, nil
}

// element reads the separator and the next element, and says how much of the
// stream has then to be used.
func (j *jsonFile) element() (Item, int, error) {
	p := &ahead{j.s, 0}
	end, err := p.separator(j.in, j.row == 0)
	if err == nil && end {
		if err = p.rest(j.whole); err == nil {
			err = io.EOF
		}
		return Item{}, 0, err
	}
	key := ""
	if err == nil && j.in == "{" {
		key, err = p.key()
	}
	var v value.Value
	if err == nil {
		_, err = p.space()
	}
	begin := p.i
	if err == nil {
		err = p.value()
	}
	if err != nil {
		return Item{}, 0, j.early(err)
	}
	raw := p.s.unused()[begin:p.i]
	if len(raw) > MaxItem {
		return Item{}, 0, j.s.fail(j.s.offset+int64(begin), "item %d has %d bytes, more than 8 MB", j.row+1, len(raw))
	}
	v, err = value.Parse(string(raw))
	if err != nil {
		return Item{}, 0, j.syntax(int64(begin), err)
	}
	item := newItem(v, j.source)
	item.Key = key
	return item, p.i, nil
}

// syntax places an error of the parser in the file.
func (j *jsonFile) syntax(begin int64, err error) error {
	var syn *value.SyntaxError
	if errors.As(err, &syn) {
		return j.s.fail(j.s.offset+begin+int64(syn.Offset), "%s", syn.Msg)
	}
	return err
}

// What follows moves the stream itself, on the way to the items.

func (j *jsonFile) space() (byte, error) {
	p := &ahead{j.s, 0}
	c, err := p.space()
	j.s.use(p.i)
	return c, err
}

func (j *jsonFile) separator(in string, first bool) (bool, error) {
	p := &ahead{j.s, 0}
	end, err := p.separator(in, first)
	j.s.use(p.i)
	return end, err
}

func (j *jsonFile) key() (string, error) {
	p := &ahead{j.s, 0}
	key, err := p.key()
	j.s.use(p.i)
	return key, err
}

// raw reads a scalar whole.
func (j *jsonFile) raw() (value.Value, error) {
	p := &ahead{j.s, 0}
	if err := p.value(); err != nil {
		return value.Value{}, err
	}
	v, err := value.Parse(string(j.s.unused()[:p.i]))
	if err != nil {
		return v, j.syntax(0, err)
	}
	return v, nil
}

// skip passes over a value without holding it.
func (j *jsonFile) skip() error {
	if _, err := j.space(); err != nil {
		return err
	}
	n := nesting{}
	for {
		c, err := j.s.at(0)
		if err == io.EOF && n.scalar {
			return nil
		}
		if err != nil {
			return err
		}
		done, use, msg := n.step(c)
		if msg != "" {
			return j.s.fail(j.s.offset, "%s", msg)
		}
		if use {
			j.s.use(1)
		}
		if done {
			return nil
		}
		if j.s.offset > maxSkip {
			return nil // descend refuses it
		}
	}
}

// ahead reads JSON ahead of the stream's start.
type ahead struct {
	s *stream
	i int
}

// space passes over white space and gives the byte behind it.
func (p *ahead) space() (byte, error) {
	for {
		c, err := p.s.at(p.i)
		if err != nil || c != ' ' && c != '\n' && c != '\t' && c != '\r' {
			return c, err
		}
		if p.i++; p.i >= window { // it belongs to no item
			p.s.use(p.i)
			p.i = 0
		}
	}
}

// separator passes over the comma before an element, if it is not the first, and
// says whether there is a closing bracket instead, which it passes over.
func (p *ahead) separator(in string, first bool) (end bool, err error) {
	closing := byte(']')
	if in == "{" {
		closing = '}'
	}
	c, err := p.space()
	switch {
	case err != nil:
		return false, err
	case c == closing:
		p.i++
		return true, nil
	case first:
		return false, nil
	case c != ',':
		return false, p.unexpected(c, "a comma or the end of the "+map[string]string{"[": "array", "{": "object"}[in])
	}
	p.i++
	c, err = p.space()
	if err == nil && c == closing {
		return false, p.unexpected(c, "another item after the comma")
	}
	return false, err
}

func (p *ahead) unexpected(c byte, want string) error {
	return p.s.fail(p.s.offset+int64(p.i), "expected %s, found %q", want, rune(c))
}

// key passes over a member's name and the colon, and gives the name.
func (p *ahead) key() (string, error) {
	c, err := p.space()
	if err == nil && c != '"' {
		err = p.unexpected(c, "the name of a member")
	}
	if err != nil {
		return "", err
	}
	begin := p.i
	if err := p.value(); err != nil {
		return "", err
	}
	name, err := value.Parse(string(p.s.unused()[begin:p.i]))
	if err != nil {
		return "", p.s.fail(p.s.offset+int64(begin), "%s", err)
	}
	c, err = p.space()
	if err == nil && c != ':' {
		err = p.unexpected(c, "a colon")
	}
	if err != nil {
		return "", err
	}
	p.i++
	return name.Str(), nil
}

// value passes over a value as far as its end can be told without reading it.
func (p *ahead) value() error {
	n := nesting{}
	for {
		if p.s.start+p.i >= p.s.end {
			if err := p.s.more(); err == io.EOF && n.scalar {
				return nil
			} else if err != nil {
				return err
			}
		}
		window := p.s.unused()[p.i:]
		for k, c := range window {
			done, use, msg := n.step(c)
			if msg != "" {
				return p.s.fail(p.s.offset+int64(p.i+k), "%s", msg)
			}
			if done {
				p.i += k
				if use {
					p.i++
				}
				return nil
			}
		}
		p.i += len(window)
	}
}

// rest checks that nothing follows an array that is the whole file.
func (p *ahead) rest(whole bool) error {
	if !whole {
		return nil
	}
	c, err := p.space()
	if err == io.EOF {
		return nil
	}
	if err == nil {
		err = p.unexpected(c, "nothing after the array")
	}
	return err
}

// nesting finds the end of a value, byte by byte.
type nesting struct {
	open    []byte // brackets
	text    bool   // in a string
	escaped bool
	scalar  bool // a number or word outside of brackets, which ends where another thing begins
}

// step takes the next byte: done at the end of the value, which has used the
// byte or not.
func (n *nesting) step(c byte) (done, use bool, msg string) {
	switch {
	case n.escaped:
		n.escaped = false
	case n.text:
		switch c {
		case '\\':
			n.escaped = true
		case '"':
			n.text = false
			return len(n.open) == 0, true, ""
		}
	case n.scalar:
		switch c {
		case ',', ']', '}', ':', ' ', '\n', '\t', '\r', '[', '{', '"':
			return true, false, ""
		}
	case c == '"':
		n.text = true
	case c == '[' || c == '{':
		if len(n.open) >= value.DefaultMaxDepth {
			return true, false, "arrays and objects are nested too deeply"
		}
		n.open = append(n.open, c)
	case c == ']' || c == '}':
		if len(n.open) == 0 {
			return true, false, "a value is missing"
		}
		if n.open[len(n.open)-1] != c-2 { // '[' and ']', '{' and '}' are two apart
			return true, false, "brackets do not match"
		}
		n.open = n.open[:len(n.open)-1]
		return len(n.open) == 0, true, ""
	case len(n.open) == 0:
		if c == ',' || c == ':' {
			return true, false, "a value is missing"
		}
		n.scalar = true
	}
	return false, true, ""
}
