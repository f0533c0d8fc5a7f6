package jsonpath

import (
	"github.com/lockstep-run/lockstep/asl/value"
)

// Bounds of one evaluation. Payloads are at most 256 KiB, so no sensible
// expression comes near them.
const (
	maxSteps  = 5_000_000 // nodes looked at
	maxResult = 8 << 20   // bytes of JSON
)

// evaluator is one evaluation of a path that is not direct. Paths inside of
// filters share its bounds.
type evaluator struct {
	root  value.Value // what $ means inside of a filter
	steps int
	size  int
}

// walker collects what a path leads to.
type walker struct {
	*evaluator
	path  *Path
	found []value.Value
}

// eval follows p from start. An indefinite path gives an array, empty where
// something on its way is missing (recorded); a definite one gives the one value
// or fails.
func (e *evaluator) eval(p *Path, start value.Value) (value.Value, *failure) {
	if p.direct {
		return p.follow(start)
	}
	w := walker{evaluator: e, path: p}
	fail := w.walk(start, 0, true)
	if !p.definite {
		if fail != nil && !fail.missing {
			return value.Value{}, fail
		}
		if fail != nil {
			return value.EmptyArray, nil
		}
		return value.ArrayOf(w.found), nil
	}
	if fail != nil {
		return value.Value{}, fail
	}
	if len(w.found) == 0 {
		return value.Value{}, missing("No results for path: " + p.compiled(len(p.steps)))
	}
	return w.found[len(w.found)-1], nil
}

// walk applies step i and all after it to v. certain says that nothing before
// has been indefinite: then something missing is a failure, else it is passed
// over.
func (w *walker) walk(v value.Value, i int, certain bool) *failure {
	if w.steps--; w.steps < 0 {
		return invalid("The path looks at too many nodes")
	}
	if i == len(w.path.steps) {
		return w.add(v)
	}
	s := &w.path.steps[i]
	if s.deep {
		return w.descend(v, i)
	}
	return w.apply(s, v, i, certain)
}

func (w *walker) add(v value.Value) *failure {
	if w.path.repeats {
		if w.size -= v.Size(); w.size < 0 {
			return invalid("The result of the path is too large")
		}
	}
	w.found = append(w.found, v)
	return nil
}

// descend applies step i to v and to everything below it, parents first.
func (w *walker) descend(v value.Value, i int) *failure {
	if w.steps--; w.steps < 0 {
		return invalid("The path looks at too many nodes")
	}
	if v.Len() == 0 {
		return nil
	}
	s := &w.path.steps[i]
	if s.kind != stepFilter || v.Kind() == value.Object {
		if fail := w.apply(s, v, i, false); fail != nil {
			return fail
		}
	}
	for j := range v.Len() {
		if fail := w.descend(v.At(j), i); fail != nil {
			return fail
		}
	}
	return nil
}

func (w *walker) apply(s *step, v value.Value, i int, certain bool) *failure {
	switch s.kind {
	case stepChild:
		return w.one(v.Get(s.name), v, i, certain)
	case stepIndex:
		return w.one(item(v, s.index), v, i, certain)
	case stepChildren:
		return w.children(s, v, i, certain)
	case stepIndexes:
		return w.indexes(s, v, i, certain)
	case stepSlice:
		return w.slice(s, v, i, certain)
	case stepWildcard:
		return w.all(v, i)
	case stepFilter:
		return w.filter(s, v, i, certain)
	}
	return w.call(s, v)
}

// one goes on with next, the only node that step i leads to from v.
func (w *walker) one(next, v value.Value, i int, certain bool) *failure {
	if !next.IsAbsent() {
		return w.walk(next, i+1, certain)
	}
	if !certain {
		return nil
	}
	return w.path.stuck(v, i)
}

// children handles ['a','b']: at the end of a path it gives one object with
// those members that exist, before the end one node after the other.
func (w *walker) children(s *step, v value.Value, i int, certain bool) *failure {
	if v.Kind() != value.Object {
		if certain {
			return missing("Expected to find an object with properties " + s.String() + " in path " + w.path.compiled(i) + " but found '" + javaClass(v) + "'.")
		}
		return nil
	}
	if i < len(w.path.steps)-1 {
		for _, name := range s.names {
			if fail := w.one(v.Get(name), v, i, false); fail != nil {
				return fail
			}
		}
		return nil
	}
	members := make([]value.Member, 0, len(s.names))
	for _, name := range s.names {
		if x := v.Get(name); !x.IsAbsent() {
			members = append(members, value.Member{Key: name, Value: x})
		}
	}
	if s.deep && len(members) < len(s.names) {
		return nil // .. takes objects that have all of them
	}
	return w.add(value.ObjectOf(members))
}

func (w *walker) indexes(s *step, v value.Value, i int, certain bool) *failure {
	if v.Kind() != value.Array {
		return w.noArray(s, v, i, certain)
	}
	for _, index := range s.indexes {
		if fail := w.one(item(v, index), v, i, false); fail != nil {
			return fail
		}
	}
	return nil
}

// noArray is the end of a slice or union of indexes that meets no array: a
// failure even for an indefinite path, unless it is null or may be passed over.
func (w *walker) noArray(s *step, v value.Value, i int, certain bool) *failure {
	if !certain {
		return nil
	}
	if v.IsNull() {
		return missing("The path " + w.path.compiled(i) + " is null")
	}
	return invalid("Filter: " + s.String() + " can only be applied to arrays. Current context is: " + javaString(v))
}

// slice handles [from:to]. As in Jayway, negative ends count from the end of the
// array, and with both ends given they are taken item by item.
func (w *walker) slice(s *step, v value.Value, i int, certain bool) *failure {
	if v.Kind() != value.Array {
		return w.noArray(s, v, i, certain)
	}
	n := v.Len()
	from, to := 0, n
	switch {
	case s.from.set && s.to.set:
		from, to = max(s.from.at, -n), min(s.to.at, n)
	case s.from.set:
		from = max(0, fromEnd(s.from.at, n))
	case s.to.set:
		to = min(n, fromEnd(s.to.at, n))
	}
	for index := from; index < to; index++ {
		if fail := w.one(item(v, index), v, i, false); fail != nil {
			return fail
		}
	}
	return nil
}

func fromEnd(i, n int) int {
	if i < 0 {
		return i + n
	}
	return i
}

// all handles *: items or members, nothing where there are none.
func (w *walker) all(v value.Value, i int) *failure {
	for j := range v.Len() {
		if fail := w.walk(v.At(j), i+1, false); fail != nil {
			return fail
		}
	}
	return nil
}

// filter keeps the items of an array for which the condition holds. On an
// object it tests the object itself.
func (w *walker) filter(s *step, v value.Value, i int, certain bool) *failure {
	switch v.Kind() {
	case value.Object:
		return w.test(s, v, i)
	case value.Array:
		for _, x := range v.Items() {
			if fail := w.test(s, x, i); fail != nil {
				return fail
			}
		}
		return nil
	}
	if certain {
		return invalid("Filter: [?] can not be applied to primitives. Current context is: " + javaString(v))
	}
	return nil
}

func (w *walker) test(s *step, v value.Value, i int) *failure {
	if w.steps--; w.steps < 0 {
		return invalid("The path looks at too many nodes")
	}
	if !s.filter.holds(w.evaluator, v) {
		return nil
	}
	return w.walk(v, i+1, false)
}

// call applies a function such as length() to v; it is the last step.
func (w *walker) call(s *step, v value.Value) *failure {
	x, fail := s.function.apply(w.evaluator, v)
	if fail != nil {
		return fail
	}
	return w.add(x)
}
