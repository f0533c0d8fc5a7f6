package items

import (
	"context"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/lockstep-run/lockstep/internal/objects"
)

func benchmark(b *testing.B, s objects.Store, spec Spec) {
	ctx, n := context.Background(), 0
	b.ReportAllocs()
	for b.Loop() {
		r, err := Open(ctx, s, spec, Cursor{})
		if err != nil {
			b.Fatal(err)
		}
		for {
			if _, err := r.Next(ctx); err == io.EOF {
				break
			} else if err != nil {
				b.Fatal(err)
			}
			n++
		}
		r.Close()
	}
	b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "items/s")
	b.ReportMetric(0, "ns/op")
}

func BenchmarkCSV(b *testing.B) {
	for name, row := range map[string]string{
		"plain":  "%d,3.5,some text of a usual length,2026-03-01T12:00:00Z,true,x,y,z\n",
		"quoted": "%d,3.5,\"some text, of a \"\"usual\"\" length\",2026-03-01T12:00:00Z,true,x,y,z\n",
	} {
		b.Run(name, func(b *testing.B) {
			var text strings.Builder
			text.WriteString("id,rating,comment,time,ok,a,b,c\n")
			for i := range 100_000 {
				fmt.Fprintf(&text, row, i)
			}
			benchmark(b, bucket(map[string]string{"f": text.String()}), Spec{Resource: GetObject, Bucket: "b", Key: "f", InputType: "CSV", HeaderLocation: "FIRST_ROW"})
		})
	}
}

func BenchmarkJSON(b *testing.B) {
	row := `{"id":%d,"rating":3.5,"comment":"some text of a usual length","time":"2026-03-01T12:00:00Z","ok":true}`
	var array, lines strings.Builder
	for i := range 100_000 {
		array.WriteString(map[bool]string{true: "[", false: ","}[i == 0])
		fmt.Fprintf(&array, row, i)
		fmt.Fprintf(&lines, row+"\n", i)
	}
	array.WriteString("]")
	s := bucket(map[string]string{"json": array.String(), "jsonl": lines.String()})
	for _, name := range []string{"json", "jsonl"} {
		b.Run(name, func(b *testing.B) {
			benchmark(b, s, Spec{Resource: GetObject, Bucket: "b", Key: name, InputType: strings.ToUpper(name)})
		})
	}
}
