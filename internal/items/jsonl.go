package items

import (
	"bytes"
	"errors"

	"github.com/lockstep-run/lockstep/asl/value"
	"github.com/lockstep-run/lockstep/internal/objects"
)

// jsonlFile reads one JSON value from each line that is not blank.
type jsonlFile struct {
	s      *stream
	source string
	row    int64 // items so far
}

func openJSONL(r *Reader, ref objects.Ref, at Place) (file, error) {
	s, err := r.stream(ref, at.Offset)
	if err != nil {
		return nil, err
	}
	if at.Offset == 0 {
		if err := s.skipBOM(); err != nil {
			s.close()
			return nil, err
		}
	}
	return &jsonlFile{s: s, source: address(ref), row: at.Row}, nil
}

func (j *jsonlFile) place() Place { return Place{ETag: j.s.ref.ETag, Offset: j.s.offset, Row: j.row} }
func (j *jsonlFile) close()       { j.s.close() }

func (j *jsonlFile) next() (Item, error) {
	for {
		line, err := j.s.line(maxWindow)
		if err != nil {
			return Item{}, err
		}
		used := len(line)
		text := bytes.Trim(line, " \t\r\n")
		if len(text) == 0 {
			j.s.use(used)
			continue
		}
		if len(text) > MaxItem {
			return Item{}, j.s.fail(j.s.offset, "item %d has %d bytes, more than 8 MB", j.row+1, len(text))
		}
		v, err := value.Parse(string(text))
		if err != nil {
			return Item{}, j.wrong(line, err)
		}
		j.s.use(used)
		j.s.shrink()
		j.row++
		return newItem(v, j.source), nil
	}
}

func (j *jsonlFile) wrong(line []byte, err error) error {
	at := j.s.offset + int64(len(line)-len(bytes.TrimLeft(line, " \t\r\n")))
	var syn *value.SyntaxError
	if errors.As(err, &syn) {
		return j.s.fail(at+int64(syn.Offset), "item %d is not JSON: %s", j.row+1, syn.Msg)
	}
	return err
}
