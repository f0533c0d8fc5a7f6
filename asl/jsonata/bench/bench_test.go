// Package bench compares package jsonata with another implementation in Go. It
// is a module of its own so that the product does not depend on that one.
package bench

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/lockstep-run/lockstep/asl/jsonata"
	"github.com/lockstep-run/lockstep/asl/value"
	"github.com/recolabs/gnata"
)

var expressions = []struct{ name, text string }{
	{"field", `customer.address.city`},
	{"filter", `orders[status = "open"].lines[quantity > 3].sku`},
	{"sum", `$sum(lines.(price * quantity))`},
	{"map", `$map(lines, function($l, $i){ $l.price * 2 + $i })`},
	{"text", `$uppercase($substringBefore(customer.name, " ")) & "-" & $join($split(customer.tags, ","), "/") & $string(lines[1].price)`},
	{"group", `lines{sku: {"total": $sum(price), "count": $count(price)}}`},
	{"sort", `lines^(>price, sku).sku`},
}

// document has a thousand lines and two hundred orders.
func document() string {
	var lines, orders []string
	for i := range 1000 {
		lines = append(lines, fmt.Sprintf(`{"sku":"s%d","price":%d.%02d,"quantity":%d}`, i%50, i*37%100, i%100, i%7))
	}
	for i := range 200 {
		orders = append(orders, fmt.Sprintf(`{"status":%q,"lines":[%s]}`, []string{"open", "closed"}[i%2], strings.Join(lines[i*5:i*5+5], ",")))
	}
	return `{"customer":{"name":"Ada Lovelace","tags":"a,b,c,d","address":{"city":"London"}},"lines":[` +
		strings.Join(lines, ",") + `],"orders":[` + strings.Join(orders, ",") + `]}`
}

func BenchmarkLockstep(b *testing.B) {
	in, err := value.Parse(document())
	if err != nil {
		b.Fatal(err)
	}
	for _, x := range expressions {
		b.Run(x.name, func(b *testing.B) {
			e, err := jsonata.Compile(x.text)
			if err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			for b.Loop() {
				if _, err := e.Eval(in, nil); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkGnata(b *testing.B) {
	in, err := gnata.DecodeJSON(json.RawMessage(document()))
	if err != nil {
		b.Fatal(err)
	}
	for _, x := range expressions {
		b.Run(x.name, func(b *testing.B) {
			e, err := gnata.Compile(x.text)
			if err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			for b.Loop() {
				if _, err := e.Eval(context.Background(), in); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// TestSameAnswers guards against comparing different work.
func TestSameAnswers(t *testing.T) {
	in, err := value.Parse(document())
	if err != nil {
		t.Fatal(err)
	}
	other, err := gnata.DecodeJSON(json.RawMessage(document()))
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range expressions {
		e, err := jsonata.Compile(x.text)
		if err != nil {
			t.Fatal(err)
		}
		ours, err := e.Eval(in, nil)
		if err != nil {
			t.Fatal(err)
		}
		g, err := gnata.Compile(x.text)
		if err != nil {
			t.Fatal(err)
		}
		r, err := g.Eval(context.Background(), other)
		if err != nil {
			t.Fatal(err)
		}
		text, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		theirs, err := value.Parse(string(text))
		if err != nil {
			t.Fatal(err)
		}
		if !value.Equal(ours.Value, theirs) {
			t.Errorf("%s: %.200s and %.200s", x.text, ours.Value, theirs)
		}
	}
}
