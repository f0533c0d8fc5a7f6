package jsonpath

import (
	"math"

	"github.com/lockstep-run/lockstep/asl/value"
)

// function is a call at the end of a path, such as .length().
type function struct {
	name string
	args []operand
	run  func(v value.Value, args []value.Value) (value.Value, *failure)
}

func (f *function) apply(e *evaluator, v value.Value) (value.Value, *failure) {
	args := make([]value.Value, 0, len(f.args))
	for _, x := range f.args {
		if arg := x.result(e, v).v; !arg.IsAbsent() {
			args = append(args, arg)
			e.steps -= weight(arg)
		}
	}
	if e.steps -= weight(v); e.steps < 0 {
		return value.Value{}, invalid("The path looks at too many nodes")
	}
	return f.run(v, args)
}

// functions are those of Jayway. They have no loops through each other: their
// arguments are compiled before them.
var functions = map[string]func(v value.Value, args []value.Value) (value.Value, *failure){
	"length": lengthFunction,
	"size":   lengthFunction,
	"keys":   keys,
	"concat": concat,
	"append": appendFunction,
	"first":  func(v value.Value, _ []value.Value) (value.Value, *failure) { return itemFunction(v, 0) },
	"last":   func(v value.Value, _ []value.Value) (value.Value, *failure) { return itemFunction(v, -1) },
	"index":  index,
	"min":    aggregate(func(s sums) float64 { return s.min }),
	"max":    aggregate(func(s sums) float64 { return s.max }),
	"sum":    aggregate(func(s sums) float64 { return s.sum }),
	"avg":    aggregate(func(s sums) float64 { return s.sum / s.n }),
	"stddev": aggregate(func(s sums) float64 { return math.Sqrt(s.squares/s.n - s.sum*s.sum/s.n/s.n) }),
}

// lengthFunction gives the length of an array or object, null for all else.
func lengthFunction(v value.Value, args []value.Value) (value.Value, *failure) {
	if len(args) > 0 {
		v = args[0]
	}
	if v.Kind() != value.Array && v.Kind() != value.Object {
		return value.NullValue, nil
	}
	return value.Int(int64(v.Len())), nil
}

func keys(v value.Value, _ []value.Value) (value.Value, *failure) {
	if v.Kind() != value.Object {
		return value.NullValue, nil
	}
	names := make([]value.Value, 0, v.Len())
	for key := range v.Members() {
		names = append(names, value.Str(key))
	}
	return value.ArrayOf(names), nil
}

// concat joins the strings of an array, then the arguments.
func concat(v value.Value, args []value.Value) (value.Value, *failure) {
	var text []byte
	for _, item := range v.Items() {
		if v.Kind() == value.Array && item.Kind() == value.String {
			text = append(text, item.Str()...)
		}
	}
	for _, arg := range args {
		if len(text) > maxResult {
			return value.Value{}, invalid("The result of concat() is too large")
		}
		text = appendJava(text, arg)
	}
	return value.Str(string(text)), nil
}

func appendFunction(v value.Value, args []value.Value) (value.Value, *failure) {
	if v.Kind() != value.Array {
		return v, nil
	}
	items := make([]value.Value, 0, v.Len()+len(args))
	for _, item := range v.Items() {
		items = append(items, item)
	}
	return value.ArrayOf(append(items, args...)), nil
}

func index(v value.Value, args []value.Value) (value.Value, *failure) {
	if len(args) == 0 {
		return value.Value{}, invalid("The function index() takes a number")
	}
	i, ok := args[0].Int64()
	if !ok || i < math.MinInt32 || i > math.MaxInt32 {
		return value.Value{}, invalid("The function index() takes an integer")
	}
	return itemFunction(v, int(i))
}

func itemFunction(v value.Value, i int) (value.Value, *failure) {
	x := item(v, i)
	if x.IsAbsent() {
		return x, invalid("Aggregation function attempted to calculate value using empty array")
	}
	return x, nil
}

// sums is what the functions over numbers need.
type sums struct{ n, sum, squares, min, max float64 }

func (s *sums) add(v value.Value) {
	if v.Kind() != value.Number {
		return
	}
	f := v.Float()
	if s.n == 0 || f < s.min {
		s.min = f
	}
	if s.n == 0 || f > s.max {
		s.max = f
	}
	s.n++
	s.sum += f
	s.squares += f * f
}

// aggregate makes a function over the numbers in an array and the arguments.
func aggregate(get func(sums) float64) func(value.Value, []value.Value) (value.Value, *failure) {
	return func(v value.Value, args []value.Value) (value.Value, *failure) {
		var s sums
		if v.Kind() == value.Array {
			for _, item := range v.Items() {
				s.add(item)
			}
		}
		for _, arg := range args {
			s.add(arg)
			for _, item := range arg.Items() {
				s.add(item)
			}
		}
		if s.n == 0 {
			return value.Value{}, invalid("Aggregation function attempted to calculate value using empty array")
		}
		return double(get(s)), nil
	}
}
