package asl

import (
	"strings"

	"github.com/lockstep-run/lockstep/asl/value"
)

// This file finds paths that cannot exist: "$.x" where every way into the state
// leads from a state whose output is known and has no x. What is not known for
// certain is taken to be anything, so there is no false alarm.

// shape is what is known about a value. nil is anything.
type shape struct {
	// members are those it can have: of an object, all of them. A value that is
	// no object has none.
	members map[string]*shape
	size    int // shapes in it, itself included
	depth   int
}

var closed = &shape{size: 1} // no object, or one without members

// What is larger or deeper is taken to be anything. A loop of templates could
// make a shape grow for ever.
const (
	maxShapeDepth = 6
	maxShapeSize  = 500
	maxVisits     = 8       // of a state; its input is anything then
	maxFlowWork   = 2000000 // shapes looked at; nothing is reported beyond
)

// objectShape is the shape of an object with these members.
func objectShape(members map[string]*shape) *shape {
	s := &shape{members: members, size: 1}
	for _, member := range members {
		if member != nil {
			s.size += member.size
			s.depth = max(s.depth, member.depth+1)
		} else {
			s.size++
		}
	}
	if s.size > maxShapeSize || s.depth > maxShapeDepth {
		return nil
	}
	return s
}

// shapeOf is the shape of a constant. In an array there may be anything.
func shapeOf(v value.Value) *shape {
	switch {
	case v.Kind() == value.Array || v.Len() > maxShapeSize:
		return nil
	case v.Kind() != value.Object:
		return closed
	}
	members := make(map[string]*shape, v.Len())
	for key, member := range v.Members() {
		members[key] = shapeOf(member)
	}
	return objectShape(members)
}

// templateShape is the shape of what a payload template makes of an input.
func templateShape(v value.Value, input *shape) *shape {
	if v.Kind() != value.Object || v.Len() > maxShapeSize {
		return shapeOf(v)
	}
	members := make(map[string]*shape, v.Len())
	for key, member := range v.Members() {
		if name, ok := strings.CutSuffix(key, ".$"); ok {
			members[name] = input.at(member.Str())
		} else {
			members[key] = templateShape(member, input)
		}
	}
	return objectShape(members)
}

// join is what a value is that is either a or b.
func join(a, b *shape) *shape {
	switch {
	case a == nil || b == nil:
		return nil
	case a == b:
		return a
	}
	members := make(map[string]*shape, len(a.members)+len(b.members))
	for key, member := range a.members {
		members[key] = member
	}
	for key, member := range b.members {
		if other, ok := members[key]; ok {
			member = join(member, other)
		}
		members[key] = member
	}
	return objectShape(members)
}

// covers says whether every value of shape b is of shape s.
func (s *shape) covers(b *shape) bool {
	if s == nil || s == b {
		return true
	}
	if b == nil {
		return false
	}
	for key, member := range b.members {
		own, ok := s.members[key]
		if !ok || !own.covers(member) {
			return false
		}
	}
	return true
}

// steps are the members that a path goes through from the start, up to the first
// step that is anything else. whole says that there is nothing else. ok is false
// for what is no path into "$".
func steps(path string) (names []string, whole, ok bool) {
	rest, ok := strings.CutPrefix(path, "$")
	if !ok || rest != "" && rest[0] != '.' && rest[0] != '[' {
		return nil, false, false
	}
	for rest != "" {
		var name string
		switch {
		case strings.HasPrefix(rest, "['"):
			end := strings.Index(rest, "']")
			if end < 0 || strings.ContainsAny(rest[2:end], `'\,`) {
				return names, false, true
			}
			name, rest = rest[2:end], rest[end+2:]
		case rest[0] == '.' && len(rest) > 1:
			end := 1
			for end < len(rest) && isStepByte(rest[end]) {
				end++
			}
			if end == 1 || end < len(rest) && rest[end] != '.' && rest[end] != '[' {
				return names, false, true // a wildcard, a function, something else
			}
			name, rest = rest[1:end], rest[end:]
		default:
			return names, false, true
		}
		names = append(names, name)
	}
	return names, true, true
}

func isStepByte(c byte) bool {
	return c == '_' || c == '-' || c >= 0x80 || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}

// at is the shape of what a path leads to; anything when that is not certain.
func (s *shape) at(path string) *shape {
	names, whole, ok := steps(path)
	if !ok || !whole {
		return nil
	}
	for _, name := range names {
		if s == nil {
			return nil
		}
		member, ok := s.members[name]
		if !ok {
			return nil // reported where the path stands
		}
		s = member
	}
	return s
}

// lacks returns the first step of a path that cannot exist, "" when it may.
func (s *shape) lacks(path string) string {
	names, _, _ := steps(path)
	for _, name := range names {
		if s == nil {
			return ""
		}
		member, ok := s.members[name]
		if !ok {
			return name
		}
		s = member
	}
	return ""
}

// with is s with the value at a Reference Path replaced, as ResultPath does.
func (s *shape) with(path string, v *shape) *shape {
	names, whole, ok := steps(path)
	if !ok || !whole {
		return nil
	}
	return s.set(names, v)
}

func (s *shape) set(names []string, v *shape) *shape {
	if len(names) == 0 {
		return v
	}
	if s == nil || len(names) > maxShapeDepth {
		return nil
	}
	members := make(map[string]*shape, len(s.members)+1)
	for key, member := range s.members {
		members[key] = member
	}
	inner, ok := s.members[names[0]]
	if !ok {
		inner = closed
	}
	members[names[0]] = inner.set(names[1:], v)
	return objectShape(members)
}

func (s *shape) weight() int {
	if s == nil {
		return 1
	}
	return s.size
}

// errorOutput is what a catcher puts into the state's input.
var errorOutput = objectShape(map[string]*shape{"Error": closed, "Cause": closed})

// checkFlow follows the shapes of the states' inputs through every scope.
func (p *parser) checkFlow() {
	f := &flow{parser: p}
	if len(p.graphs) > 0 {
		f.scope(p.graphs[0], nil)
	}
}

type flow struct {
	*parser
	work int
}

// scope works out what each state can get, then looks at the states.
func (f *flow) scope(g *graph, input *shape) {
	nodes := make(map[string]*node, len(g.nodes))
	for _, n := range g.nodes {
		nodes[n.name] = n
	}
	inputs := map[*node]*shape{}
	visits := map[*node]int{}
	todo := []*node{}
	arrive := func(target string, s *shape) {
		n := nodes[target]
		if n == nil {
			return
		}
		old, seen := inputs[n]
		f.work += old.weight() + s.weight()
		if seen && old.covers(s) {
			return
		}
		if seen {
			s = join(old, s)
		}
		if visits[n]++; visits[n] > maxVisits {
			s = nil
		}
		inputs[n] = s
		todo = append(todo, n)
	}
	arrive(g.startAt, input)
	for len(todo) > 0 && f.work < maxFlowWork {
		n := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		out := outputs{raw: inputs[n], v: n.v}
		onward := selected(out.merged(), n.v.Get("OutputPath"))
		for _, e := range n.edges {
			if i, ok := e.catcher(); ok {
				arrive(e.target, out.caught(n.v.Get("Catch").At(i)))
			} else {
				arrive(e.target, onward)
			}
		}
	}
	if f.work >= maxFlowWork {
		return // inputs are not complete
	}
	for _, n := range g.nodes {
		if in, ok := inputs[n]; ok {
			f.look(n, in)
		}
	}
}

// look reports the paths of a state that cannot exist, and goes on inside it.
func (f *flow) look(n *node, raw *shape) {
	o := outputs{raw: raw, v: n.v}
	effective := o.effective()
	f.path(n, "InputPath", raw)
	for _, field := range []string{"SecondsPath", "TimestampPath", "ItemsPath"} {
		f.path(n, field, effective)
	}
	for _, field := range []string{"Parameters", "ItemSelector"} {
		f.template(n.v.Get(field), n.at.key(field), effective)
	}
	f.path(n, "OutputPath", o.merged())
	if n.v.Get("Type").Str() == "Choice" {
		f.choices(n, effective)
	}
	for _, inner := range n.inner {
		f.scope(inner, o.inside())
	}
}

func (f *flow) path(n *node, field string, in *shape) {
	f.check(n.v.Get(field), n.at.key(field), in)
}

func (f *flow) check(v value.Value, at *place, in *shape) {
	if v.Kind() != value.String || in == nil {
		return
	}
	if name := in.lacks(v.Str()); name != "" {
		f.warn(CodeMissingPath, at, "look at what the states before this one put out",
			"The path '%s' never exists: no state before this one produces '%s'", shorten(v.Str()), shorten(name))
	}
}

func (f *flow) template(v value.Value, at *place, in *shape) {
	if in == nil {
		return
	}
	switch v.Kind() {
	case value.Array:
		for i, item := range v.Items() {
			f.template(item, at.item(i), in)
		}
	case value.Object:
		for key, member := range v.Members() {
			switch {
			case !strings.HasSuffix(key, ".$"):
				f.template(member, at.key(key), in)
			default:
				for _, path := range pathsIn(member.Str()) {
					f.check(value.Str(path), at.key(key), in)
				}
			}
		}
	}
}

// pathsIn returns the paths into "$" of a template's value: itself, or the
// arguments of an intrinsic call.
func pathsIn(text string) []string {
	if strings.HasPrefix(text, "$") {
		return []string{text}
	}
	var paths []string
	quoted := false
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case c == '\\' && quoted:
			i++
		case c == '\'':
			quoted = !quoted
		case quoted:
		case strings.HasPrefix(text[i:], "$."):
			end := i + 2
			for end < len(text) && (isStepByte(text[end]) || text[end] == '.') {
				end++
			}
			paths = append(paths, text[i:end])
			i = end - 1
		case c == '$' || c == '[':
			return paths // a context path, a variable, a filter: leave it
		}
	}
	return paths
}

// choices looks at the paths of a Choice that tests nothing for presence: where
// it does, a path may be guarded.
func (f *flow) choices(n *node, in *shape) {
	rules := n.v.Get("Choices")
	if in == nil || testsPresence(rules) {
		return
	}
	f.rules(rules, n.at.key("Choices"), in)
}

func testsPresence(v value.Value) bool {
	for _, item := range v.Items() {
		if testsPresence(item) {
			return true
		}
	}
	for key, member := range v.Members() {
		if key == "IsPresent" || testsPresence(member) {
			return true
		}
	}
	return false
}

func (f *flow) rules(v value.Value, at *place, in *shape) {
	for i, item := range v.Items() {
		f.rules(item, at.item(i), in)
	}
	for key, member := range v.Members() {
		switch _, isOperator := operators[key]; {
		case key == "Variable" || isOperator && strings.HasSuffix(key, "Path"):
			f.check(member, at.key(key), in)
		case key == "And" || key == "Or" || key == "Not":
			f.rules(member, at.key(key), in)
		}
	}
}

// outputs works out what a state with a raw input hands on.
type outputs struct {
	raw *shape
	v   value.Value
}

func (o outputs) effective() *shape { return selected(o.raw, o.v.Get("InputPath")) }

// selected is what InputPath or OutputPath makes of a value.
func selected(in *shape, path value.Value) *shape {
	switch path.Kind() {
	case value.Absent:
		return in
	case value.String:
		return in.at(path.Str())
	}
	return closed
}

// inside is the input of the first state in a Parallel's branch or a Map's
// processor.
func (o outputs) inside() *shape {
	if o.v.Get("Type").Str() == "Parallel" {
		if t := o.v.Get("Parameters"); !t.IsAbsent() {
			return templateShape(t, o.effective())
		}
		return o.effective()
	}
	for _, field := range []string{"ItemSelector", "Parameters"} {
		if t := o.v.Get(field); !t.IsAbsent() {
			return templateShape(t, o.effective())
		}
	}
	return nil
}

// merged is the input with the result in it, before OutputPath.
func (o outputs) merged() *shape {
	switch o.v.Get("Type").Str() {
	case "Pass":
		return o.merge(o.passResult(), o.v.Get("ResultPath"))
	case "Task", "Parallel", "Map":
		var result *shape
		if t := o.v.Get("ResultSelector"); !t.IsAbsent() {
			result = templateShape(t, nil)
		}
		return o.merge(result, o.v.Get("ResultPath"))
	}
	return o.effective()
}

func (o outputs) passResult() *shape {
	if r := o.v.Get("Result"); !r.IsAbsent() {
		return shapeOf(r)
	}
	if t := o.v.Get("Parameters"); !t.IsAbsent() {
		return templateShape(t, o.effective())
	}
	return o.effective()
}

func (o outputs) merge(result *shape, resultPath value.Value) *shape {
	switch resultPath.Kind() {
	case value.Absent:
		return result
	case value.Null:
		return o.raw
	}
	return o.raw.with(resultPath.Str(), result)
}

// caught is what goes on from a catcher.
func (o outputs) caught(catcher value.Value) *shape {
	return o.merge(errorOutput, catcher.Get("ResultPath"))
}

// catcher says whether the edge is that of a catcher, and of which.
func (e edge) catcher() (int, bool) {
	entry := e.at.up // …/Catch[0] of …/Catch[0]/Next
	if entry == nil || entry.index < 0 || entry.up.name != "Catch" {
		return 0, false
	}
	return entry.index, true
}
