package jsonata_test

import (
	"errors"
	"fmt"

	"github.com/lockstep-run/lockstep/asl/jsonata"
	"github.com/lockstep-run/lockstep/asl/value"
)

func Example() {
	expr, err := jsonata.Compile(`items[price > 10]{category: $sum(price * quantity)}`)
	if err != nil {
		fmt.Println(err)
		return
	}
	in, err := value.Parse(`{"items": [
		{"category": "books", "price": 12.5, "quantity": 2},
		{"category": "tools", "price": 40, "quantity": 1},
		{"category": "books", "price": 3, "quantity": 9}]}`)
	if err != nil {
		fmt.Println(err)
		return
	}
	result, err := expr.Eval(in, nil)
	fmt.Println(result.Value, err)
	// Output: {"books":25,"tools":40} <nil>
}

// Variables come from the caller; what Step Functions calls $states is one.
func ExampleExpr_Eval() {
	expr, err := jsonata.Compile(`"Hello, " & $states.input.name & $punctuation`)
	if err != nil {
		fmt.Println(err)
		return
	}
	states, err := value.Parse(`{"input": {"name": "Ada"}}`)
	if err != nil {
		fmt.Println(err)
		return
	}
	env := &jsonata.Env{Variables: func(name string) (value.Value, bool) {
		switch name {
		case "states":
			return states, true
		case "punctuation":
			return value.Str("!"), true
		}
		return value.Value{}, false
	}}
	result, err := expr.Eval(value.Value{}, env)
	fmt.Println(result.Value, err)
	fmt.Println(expr.Variables(), expr.StatesMembers())
	// Output:
	// "Hello, Ada!" <nil>
	// [states punctuation] [input]
}

// Limits are counted, so that an endless expression ends in the same place
// everywhere.
func ExampleLimits() {
	expr, err := jsonata.Compile(`($forever := function(){$forever()}; $forever())`)
	if err != nil {
		fmt.Println(err)
		return
	}
	_, err = expr.Eval(value.Value{}, &jsonata.Env{Limits: jsonata.Limits{Steps: 100_000}})
	fmt.Println(err)
	var e *jsonata.Error
	fmt.Println(errors.As(err, &e) && e.Limit)
	// Output:
	// Expression evaluation timeout
	// true
}

func ExampleError() {
	_, err := jsonata.Compile(`items[price >`)
	fmt.Println(err)
	// Output: S0203: Expected "]" before end of expression
}
