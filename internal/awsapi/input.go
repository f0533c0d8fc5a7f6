package awsapi

import (
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/lockstep-run/lockstep/asl/value"
)

// input reads the members of a request and gathers what breaks the constraints
// of the service model, to be reported together. Unknown members are ignored;
// null is the same as absent.
type input struct {
	object  value.Value
	path    string    // in front of member names: "tags.1.member."
	broken  *[]string // constraints, in the order in which the handler asks
	wrong   **Error   // the first member of a wrong type
	trace   string    // the header X-Amzn-Trace-Id
	account string    // that the request acts in; "": the server's own
	leave   func()    // the gate that the request has passed; nil: none
}

// release lets go of the request's values, and of its room among others, for
// a handler that has read all it needs and may wait for long.
func (in *input) release() {
	in.object = value.EmptyObject
	if in.leave != nil {
		in.leave()
	}
}

// decode reads a request's body.
func decode(body string) (*input, error) {
	object := value.EmptyObject
	if body != "" {
		v, err := value.Parse(body)
		if err != nil {
			return nil, serialization("The request's body is not JSON: %s", err)
		}
		if v.Kind() != value.Object {
			return nil, serialization("The request's body must be a JSON object, not %s.", kindWithArticle(v.Kind()))
		}
		object = v
	}
	state := new(struct {
		input
		broken []string
		wrong  *Error
	})
	state.input = input{object: object, broken: &state.broken, wrong: &state.wrong}
	return &state.input, nil
}

func kindWithArticle(k value.Kind) string {
	switch k {
	case value.Null:
		return "null"
	case value.Array:
		return "an array"
	}
	return "a " + k.String()
}

// failed reports whether anything read so far is wrong.
func (in *input) failed() bool { return *in.wrong != nil || len(*in.broken) > 0 }

// err is what is wrong with what was read so far, nil if nothing is.
func (in *input) err() error {
	if *in.wrong != nil {
		return *in.wrong
	}
	if len(*in.broken) > 0 {
		return constraints(*in.broken)
	}
	return nil
}

// maxBroken bounds the constraints one answer reports.
const maxBroken = 100

// violate notes a broken constraint. shown is the value as AWS prints it, with
// its quotes; "" for members whose values AWS keeps out of messages.
func (in *input) violate(name, shown, constraint string) {
	if len(*in.broken) >= maxBroken {
		return
	}
	if shown != "" {
		shown += " "
	}
	*in.broken = append(*in.broken, "Value "+shown+"at '"+in.path+name+"' failed to satisfy constraint: "+constraint)
}

func (in *input) mistyped(v value.Value, wanted string) {
	if *in.wrong == nil {
		*in.wrong = serialization("%s_VALUE can not be converted to %s", strings.ToUpper(v.Kind().String()), wanted)
	}
}

// member finds a member; null is absent.
func (in *input) member(name string, required bool) value.Value {
	v := in.object.Get(name)
	if v.IsNull() {
		v = value.Value{}
	}
	if v.IsAbsent() && required {
		in.violate(name, "null", "Member must not be null")
	}
	return v
}

// has reports whether a member is there.
func (in *input) has(name string) bool {
	v := in.object.Get(name)
	return !v.IsAbsent() && !v.IsNull()
}

// bounds are the constraints on a text.
type bounds struct {
	required bool
	min, max int // length, in UTF-16 units as Java counts; max 0: none
	enum     *enum
	pattern  *pattern
	bytes    bool // max counts bytes of UTF-8 instead
	secret   bool // AWS keeps such values out of messages
}

type enum struct {
	values []string
	shown  string // in AWS's order, which is not alphabetical
}

func newEnum(values ...string) *enum {
	return &enum{values, "[" + strings.Join(values, ", ") + "]"}
}

// pattern is a regular expression of the model, with a function that does what
// it says.
type pattern struct {
	text  string
	match func(string) bool
}

// arnText bounds most ARNs.
var arnText = bounds{required: true, min: 1, max: 256}

// text reads a string member, "" if it is absent.
func (in *input) text(name string, b bounds) string {
	s, _ := in.optional(name, b)
	return s
}

// optional reads a string member and says whether it is there.
func (in *input) optional(name string, b bounds) (string, bool) {
	v := in.member(name, b.required)
	if v.IsAbsent() {
		return "", false
	}
	if v.Kind() != value.String {
		in.mistyped(v, "a String")
		return "", false
	}
	s := v.Str()
	in.check(name, s, b)
	return s, true
}

func (in *input) check(name, s string, b bounds) {
	report := func(constraint string) {
		shown := "'" + s + "'"
		if b.secret {
			shown = ""
		}
		in.violate(name, shown, constraint)
	}
	if b.max > 0 && len(s) > b.max && (b.bytes || length(s) > b.max) {
		report("Member must have length less than or equal to " + strconv.Itoa(b.max))
	}
	if len(s) < b.min {
		report("Member must have length greater than or equal to " + strconv.Itoa(b.min))
	}
	if b.pattern != nil && !b.pattern.match(s) {
		report("Member must satisfy regular expression pattern: " + b.pattern.text)
	}
	if b.enum != nil && !slices.Contains(b.enum.values, s) {
		report("Member must satisfy enum value set: " + b.enum.shown)
	}
}

// length counts as Java does.
func length(s string) int {
	n := 0
	for _, r := range s {
		n++
		if r > 0xFFFF {
			n++
		}
	}
	return n
}

// flag reads a boolean member, or returns the default.
func (in *input) flag(name string, otherwise bool) bool {
	v := in.member(name, false)
	switch v.Kind() {
	case value.Absent:
		return otherwise
	case value.Bool:
		return v.Bool()
	}
	in.mistyped(v, "a Boolean")
	return otherwise
}

// integer reads a whole number between two bounds, 0 if it is absent.
func (in *input) integer(name string, least, most int64) int64 {
	v := in.member(name, false)
	if v.IsAbsent() {
		return 0
	}
	n, ok := v.Int64()
	if v.Kind() != value.Number || !ok || int64(int32(n)) != n {
		in.mistyped(v, "an Integer")
		return 0
	}
	shown := "'" + strconv.FormatInt(n, 10) + "'"
	if n > most {
		in.violate(name, shown, "Member must have value less than or equal to "+strconv.FormatInt(most, 10))
	}
	if n < least {
		in.violate(name, shown, "Member must have value greater than or equal to "+strconv.FormatInt(least, 10))
	}
	return n
}

// structure reads a member that is an object; ok is false if it is absent.
func (in *input) structure(name string) (sub *input, ok bool) {
	v := in.member(name, false)
	if v.IsAbsent() {
		return nil, false
	}
	if v.Kind() != value.Object {
		in.mistyped(v, "a Structure")
		return nil, false
	}
	return in.within(v, name), true
}

func (in *input) within(v value.Value, name string) *input {
	return &input{object: v, path: in.path + name + ".", broken: in.broken, wrong: in.wrong}
}

// items reads a member that is a list; ok is false if it is absent.
func (in *input) items(name string, required bool) (list []value.Value, ok bool) {
	v := in.member(name, required)
	if v.IsAbsent() {
		return nil, false
	}
	if v.Kind() != value.Array {
		in.mistyped(v, "a List")
		return nil, false
	}
	for _, item := range v.Items() {
		list = append(list, item)
	}
	return list, true
}

// structures reads a list of objects. AWS names its items from 1:
// tags.1.member.
func (in *input) structures(name string, required bool) (list []*input, ok bool) {
	items, ok := in.items(name, required)
	for i, v := range items {
		if v.Kind() != value.Object {
			in.mistyped(v, "a Structure")
			continue
		}
		list = append(list, in.within(v, name+"."+strconv.Itoa(i+1)+".member"))
	}
	return list, ok
}

// texts reads a list of strings.
func (in *input) texts(name string, each bounds) (list []string, ok bool) {
	items, ok := in.items(name, each.required)
	for i, v := range items {
		if v.Kind() != value.String {
			in.mistyped(v, "a String")
			continue
		}
		in.check(name+"."+strconv.Itoa(i+1)+".member", v.Str(), each)
		list = append(list, v.Str())
	}
	return list, ok
}

// isASCII is the pattern of trace headers.
func isASCII(s string) bool {
	return strings.IndexFunc(s, func(r rune) bool { return r > unicode.MaxASCII }) < 0
}

// keep reads a text that outlives the request: it does not hold on to the body.
func (in *input) keep(name string, b bounds) string { return strings.Clone(in.text(name, b)) }

// pointer reads a text that outlives the request, nil if it is absent.
func (in *input) pointer(name string, b bounds) *string {
	s, ok := in.optional(name, b)
	if !ok {
		return nil
	}
	s = strings.Clone(s)
	return &s
}
