package jsonata

import (
	"strings"

	"github.com/lockstep-run/lockstep/asl/value"
)

// group is a compiled object constructor: one that stands for itself ({…}), or
// one that groups the items before it (path{…}).
func (k *compiler) group(n *node) func(c *run, f *frame, in item) item {
	type pair struct {
		key, val eval
		literal  string
		isText   bool
	}
	pairs := make([]pair, len(n.pairs))
	literal := true
	seen := map[string]bool{}
	for i, p := range n.pairs {
		pairs[i] = pair{key: k.compile(p[0]), val: k.compile(p[1])}
		if pairs[i].isText = p[0].kind == nString && len(p[0].predicates) == 0; pairs[i].isText {
			pairs[i].literal = p[0].text
		}
		literal = literal && pairs[i].isText && !seen[pairs[i].literal]
		seen[pairs[i].literal] = true
	}
	pos := n.pos
	// one makes an object for one item, where keys are known to differ.
	one := func(c *run, f *frame, in item) item {
		c.alloc(16 + memberBytes*len(pairs))
		m := newMembers(len(pairs))
		for i := range pairs {
			if v := pairs[i].val(c, f, in); !v.isUndefined() {
				m.add(c, pairs[i].literal, v)
			}
		}
		return m.object()
	}
	return func(c *run, f *frame, in item) item {
		if !in.isArray() && literal {
			return one(c, f, in)
		}
		n := 1
		if in.isArray() {
			n = max(in.len(), 1)
		}
		if literal && !in.isTuples() {
			return one(c, f, joined(c, in))
		}
		var groups []*cluster
		index := map[string]*cluster{}
		c.alloc(8 * n * len(pairs))
		chosen := make([]*cluster, 0, n*len(pairs)) // the group of each item for each key
		for i := range n {
			at, env := in, f
			if in.isArray() {
				at = in.at(i)
			}
			if in.isTuples() && i < in.len() {
				env = in.x.tuples[i]
			}
			for j := range pairs {
				c.step(1)
				key := pairs[j].literal
				if !pairs[j].isText {
					v := pairs[j].key(c, env, at)
					if v.isUndefined() {
						chosen = append(chosen, nil)
						continue
					}
					if !v.isString() {
						fail("T1003").at(pos).withValue(v).raise()
					}
					key = v.str()
				}
				g := index[key]
				if g == nil {
					c.alloc(400 + len(key))
					if c.env.note != nil && key != "" && strings.Trim(key, "0123456789") == "" {
						c.env.note(integerKeys)
					}
					g = &cluster{key: key, pair: j}
					index[key] = g
					groups = append(groups, g)
				} else if g.pair != j {
					fail("D1009").at(pos).withValue(str(key)).raise()
				}
				g.size++
				chosen = append(chosen, g)
			}
		}
		c.alloc(len(chosen) * itemBytes)
		room := make([]value.Value, len(chosen))
		for i, g := range chosen {
			switch {
			case g == nil:
			case in.isTuples() && in.len() > 0:
				g.tuples = append(g.tuples, in.x.tuples[i/len(pairs)])
			default:
				if g.n == 0 && g.size > 1 {
					g.items.plain, room = room[:0:g.size], room[g.size:]
				}
				at := in
				if in.isArray() {
					at = in.at(i / len(pairs))
				}
				g.gather(c, at)
			}
		}
		m := newMembers(len(groups))
		for _, g := range groups {
			at, env := g.value(), f
			if g.tuples != nil {
				at, env = reduceTuples(c, g.tuples)
				if len(g.tuples) == 1 {
					env.at = undefined // the library takes the context away from the tuple, for other keys too
				}
			}
			if v := pairs[g.pair].val(c, env, at); !v.isUndefined() {
				m.add(c, g.key, v)
			}
		}
		return m.object()
	}
}

// joined is all items of an array as one value, which is what falls under a
// key that is the same for all of them.
func joined(c *run, in item) item {
	n := in.len()
	if n <= 1 {
		return in.at(0)
	}
	c.step(n / 4)
	for i := range n {
		if x := in.at(i); x.isArray() || x.isUndefined() {
			g := cluster{}
			for j := range n {
				g.gather(c, in.at(j))
			}
			return g.value()
		}
	}
	return in.with(0)
}

// cluster is what falls under one key.
type cluster struct {
	key    string
	pair   int // whose key it was
	size   int // how many items have it
	n      int // how many of them count
	first  item
	items  list
	tuples []*frame
}

// gather adds an item: arrays are joined, nothing counts for nothing.
func (g *cluster) gather(c *run, a item) {
	switch {
	case g.n == 0 || g.n == 1 && g.first.isUndefined():
		g.first, g.n = a, 1
	case a.isUndefined():
	default:
		if g.n == 1 {
			push(c, &g.items, g.first)
		}
		g.n++
		push(c, &g.items, a)
	}
}

func (g *cluster) value() item {
	if g.n <= 1 {
		return g.first
	}
	return g.items.array(0)
}

// push adds a, or its items if it is an array.
func push(c *run, l *list, a item) {
	if a.isArray() {
		l.pushAll(c, a)
	} else {
		l.push(c, a)
	}
}

// reduceTuples makes one tuple of several: each variable holds what it held in
// all of them.
func reduceTuples(c *run, tuples []*frame) (item, *frame) {
	if len(tuples) == 1 {
		return tuples[0].at, tuples[0]
	}
	merged := tuples[0].extend(c)
	at := cluster{}
	for _, t := range tuples {
		at.gather(c, t.at)
	}
	for i := range merged.vars {
		v := cluster{}
		for _, t := range tuples {
			if t.vars[i].x != unbound.x {
				v.gather(c, t.vars[i])
			}
		}
		if v.n > 0 {
			merged.vars[i] = v.value()
		}
	}
	return at.value(), merged
}

func newMembers(n int) *members { return &members{plain: make([]value.Member, 0, n)} }
