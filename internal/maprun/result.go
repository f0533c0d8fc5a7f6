package maprun

import (
	"encoding/binary"
	"errors"

	"github.com/lockstep-run/lockstep/internal/engine"
	"github.com/lockstep-run/lockstep/internal/store"
)

// result is how a child ended. Those of Express children are kept, many to a
// row; Standard ones are executions that can be read again.
type result struct {
	index, items int64
	round        int64 // which redrive of the run it came of, 0: none
	id           store.ExecutionID
	status       engine.Status
	started      int64 // Unix milliseconds
	stopped      int64
	input        string // left out where nobody will ask for it
	output       *string
	error, cause *string
}

const resultFormat = 1

// append adds r to a row.
func (r *result) append(row []byte) []byte {
	row = append(row, resultFormat, byte(r.status))
	for _, n := range [...]int64{r.index, r.items, r.round, int64(r.id), r.started, r.stopped} {
		row = binary.AppendVarint(row, n)
	}
	row = appendText(row, &r.input)
	for _, s := range []*string{r.output, r.error, r.cause} {
		row = appendText(row, s)
	}
	return row
}

// appendText adds a text, 0 for nil.
func appendText(row []byte, s *string) []byte {
	if s == nil {
		return append(row, 0)
	}
	row = binary.AppendUvarint(row, uint64(len(*s))+1)
	return append(row, *s...)
}

var errRow = errors.New("a row of results is damaged")

// eachResult calls yield with the results in a row until it returns false.
func eachResult(row []byte, yield func(*result) bool) error {
	damaged := false
	number := func() int64 {
		n, size := binary.Varint(row)
		if size <= 0 {
			damaged = true
			return 0
		}
		row = row[size:]
		return n
	}
	text := func() *string {
		n, size := binary.Uvarint(row)
		if size <= 0 || n > uint64(len(row)-size)+1 {
			damaged = true
			return nil
		}
		row = row[size:]
		if n == 0 {
			return nil
		}
		s := string(row[:n-1])
		row = row[n-1:]
		return &s
	}
	for len(row) > 0 {
		if len(row) < 2 || row[0] != resultFormat {
			return errRow
		}
		r := result{status: engine.Status(row[1])}
		row = row[2:]
		var id int64
		for _, n := range [...]*int64{&r.index, &r.items, &r.round, &id, &r.started, &r.stopped} {
			*n = number()
		}
		r.id = store.ExecutionID(id)
		if input := text(); input != nil {
			r.input = *input
		}
		r.output, r.error, r.cause = text(), text(), text()
		if damaged {
			return errRow
		}
		if !yield(&r) {
			return nil
		}
	}
	return nil
}

// EachOutput calls yield with the index and the output of each child in a row of
// results that has succeeded: for a simulator, which looks at what is kept.
func EachOutput(row []byte, yield func(index int64, output string)) error {
	return eachResult(row, func(r *result) bool {
		if r.status == engine.Succeeded && r.output != nil {
			yield(r.index, *r.output)
		}
		return true
	})
}
