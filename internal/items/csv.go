package items

import (
	"bytes"
	"io"
	"slices"
	"unicode/utf16"

	"github.com/lockstep-run/lockstep/asl/value"
	"github.com/lockstep-run/lockstep/internal/objects"
)

// csvFile reads rows as AWS does, whose rules are wider than RFC 4180:
//
//   - a backslash before a backslash, a quote or the delimiter stands for that
//     character, and is dropped before any other;
//   - two quotes are one in a field without quotes around it, too; a single one
//     in the middle of a field stays, and delimiters are text up to the next;
//   - blanks before an opening quote are dropped;
//   - missing columns are "", extra ones are dropped, empty lines are skipped.
//
// Items have their members in the order of Java's HashMap, as AWS's have.
type csvFile struct {
	s         *stream
	source    string
	delimiter byte
	row       int64 // of the file, from 1, without the header

	keys    []string // in the order of the item's members
	columns []int    // the column of each member
	width   int      // columns that count

	ends []int  // of the fields of a row in text
	text []byte // of a row, unescaped; see record
}

func openCSV(r *Reader, ref objects.Ref, f format, at Place) (file, error) {
	c := &csvFile{source: address(ref), delimiter: f.delimiter, row: at.Row}
	headers, err := f.headers, error(nil)
	fresh := at == Place{ETag: at.ETag}
	if fresh || f.firstRow {
		if c.s, err = r.stream(ref, 0); err != nil {
			return nil, err
		}
		if headers, err = c.header(f, headers); err != nil {
			c.s.close()
			return nil, err
		}
	}
	if err := c.setHeaders(headers); err != nil {
		c.close()
		return nil, err
	}
	if fresh {
		return c, nil
	}
	if c.s != nil {
		ref.ETag = c.s.ref.ETag
		c.s.close()
	}
	c.s, err = r.stream(ref, at.Offset)
	if err != nil {
		return nil, err
	}
	return c, nil
}

// header passes over the beginning of the file and gives the headers.
func (c *csvFile) header(f format, given []string) ([]string, error) {
	if err := c.s.skipBOM(); err != nil {
		return nil, err
	}
	if !f.firstRow {
		return given, nil
	}
	if err := c.record(maxHeader); err != nil {
		if err == io.EOF {
			return nil, nil // an empty file has no items, and none that lacks a name
		}
		return nil, err
	}
	if len(c.text) > maxHeader {
		return nil, fail("The header of %s is longer than 10 KiB.", c.s.ref)
	}
	headers := make([]string, len(c.ends))
	from := 0
	for i, end := range c.ends {
		headers[i] = string(c.text[from:end])
		from = end
	}
	return headers, nil
}

func (c *csvFile) setHeaders(headers []string) error {
	total := 0
	for _, h := range headers {
		total += len(h) + 1
	}
	if total > maxHeader+1 {
		return fail("The CSV headers are longer than 10 KiB.")
	}
	c.columns = javaOrder(headers)
	c.keys = make([]string, len(headers))
	for i, column := range c.columns {
		c.keys[i] = headers[column]
	}
	sorted := slices.Sorted(slices.Values(headers))
	if len(slices.Compact(sorted)) < len(headers) {
		return fail("%s", causeDuplicates)
	}
	c.width = len(headers)
	return nil
}

// javaOrder gives the positions of keys in the order in which a HashMap of Java
// has them after they were put into it.
func javaOrder(keys []string) []int {
	size := 16
	for size*3/4 < len(keys) {
		size *= 2
	}
	bucket := func(key string) int {
		h := uint32(0)
		for _, c := range utf16.Encode([]rune(key)) {
			h = h*31 + uint32(c)
		}
		return int(h^h>>16) & (size - 1)
	}
	buckets := make([]int, len(keys))
	order := make([]int, len(keys))
	for i, key := range keys {
		buckets[i], order[i] = bucket(key), i
	}
	slices.SortStableFunc(order, func(a, b int) int { return buckets[a] - buckets[b] })
	return order
}

func (c *csvFile) place() Place { return Place{ETag: c.s.ref.ETag, Offset: c.s.offset, Row: c.row} }
func (c *csvFile) close() {
	if c.s != nil {
		c.s.close()
	}
}

func (c *csvFile) next() (Item, error) {
	if len(c.keys) == 0 {
		return c.withoutHeader()
	}
	if err := c.record(maxWindow); err != nil {
		return Item{}, err
	}
	c.row++
	kept := min(len(c.ends), c.width)
	text := ""
	if kept > 0 {
		text = string(c.text[:c.ends[kept-1]])
	}
	members := make([]value.Member, len(c.keys))
	for i, column := range c.columns {
		members[i].Key = c.keys[i]
		field := ""
		if column < kept {
			from := 0
			if column > 0 {
				from = c.ends[column-1]
			}
			field = text[from:c.ends[column]]
		}
		members[i].Value = value.Str(field)
	}
	item := newItem(value.ObjectOf(members), c.source)
	if item.Bytes > MaxItem {
		return Item{}, fail("%s, row %d: the item has %d bytes, more than 8 MB.", c.s.ref, c.row, item.Bytes)
	}
	return item, nil
}

// withoutHeader is what a file gives that has rows and no names for them.
func (c *csvFile) withoutHeader() (Item, error) {
	if _, err := c.s.at(0); err != nil {
		return Item{}, err
	}
	return Item{}, fail("There are no CSV headers for %s: name them in CSVHeaders, with CSVHeaderLocation GIVEN.", c.s.ref)
}

// record reads the next row that is not empty: its fields, unescaped and one
// after the other, are in text, and where each ends in ends. The stream moves
// over it when it is complete. A row longer than limit is an error.
func (c *csvFile) record(limit int) error {
	for {
		line, err := c.s.line(limit)
		if err != nil {
			return err
		}
		used := len(line)
		if used > limit+2 && limit == maxHeader {
			return c.tooLong(limit)
		}
		line = trimEnd(line)
		if len(line) == 0 {
			c.s.use(used)
			continue
		}
		c.text, c.ends = c.text[:0], c.ends[:0]
		if bytes.IndexByte(line, '"') < 0 && bytes.IndexByte(line, '\\') < 0 {
			c.plain(line)
			c.s.use(used)
			c.s.shrink()
			return nil
		}
		used, err = c.quoted(limit)
		if err != nil {
			return err
		}
		c.s.use(used)
		c.s.shrink()
		return nil
	}
}

func (c *csvFile) tooLong(limit int) error {
	if limit == maxHeader {
		return fail("The header of %s is longer than 10 KiB.", c.s.ref)
	}
	return c.s.fail(c.s.offset, "row %d is longer than an item may be, 8 MB", c.row+1)
}

func trimEnd(line []byte) []byte {
	line = bytes.TrimSuffix(line, []byte("\n"))
	return bytes.TrimSuffix(line, []byte("\r"))
}

// plain splits a line in which no character is special but the delimiter.
func (c *csvFile) plain(line []byte) {
	for {
		i := bytes.IndexByte(line, c.delimiter)
		if i < 0 {
			break
		}
		c.field(line[:i])
		line = line[i+1:]
		if c.width > 0 && len(c.ends) == c.width {
			return // the rest is dropped
		}
	}
	c.field(line)
}

func (c *csvFile) field(text []byte) {
	c.text = append(c.text, text...)
	c.ends = append(c.ends, len(c.text))
}

// quoted reads a row with quotes or backslashes, which may go over several
// lines, and gives its length.
func (c *csvFile) quoted(limit int) (int, error) {
	quotes := false // between two of them
	begun := false  // the field has had a character, or its opening quote
	start, i := len(c.text), 0
	for ; ; i++ {
		if i > limit {
			return 0, c.tooLong(limit)
		}
		b, err := c.s.at(i)
		if err == io.EOF {
			break
		}
		if err != nil {
			return 0, err
		}
		switch {
		case b == '\\':
			next, err := c.peek(i + 1)
			if err != nil {
				return 0, err
			}
			if next == '\\' || next == '"' || next == c.delimiter {
				c.text, begun = append(c.text, next), true
				i++
			}
		case b == '"':
			next, err := c.peek(i + 1)
			if err != nil {
				return 0, err
			}
			if next == '"' && (quotes || begun) {
				c.text = append(c.text, '"')
				i++
				continue
			}
			quotes = !quotes
			blank := len(bytes.TrimSpace(c.text[start:])) == 0
			switch {
			case quotes && blank:
				c.text = c.text[:start] // what stood before the opening quote
			case next != c.delimiter && next != '\n' && next != '\r' && next != 0:
				c.text = append(c.text, '"') // in the middle of a field
			}
			begun = true
		case b == c.delimiter && !quotes:
			c.field(nil)
			start, begun = len(c.text), false
		case b == '\n' && !quotes:
			if start < len(c.text) && c.text[len(c.text)-1] == '\r' {
				c.text = c.text[:len(c.text)-1]
			}
			c.field(nil)
			return i + 1, nil
		default:
			c.text, begun = append(c.text, b), true
		}
	}
	if quotes {
		return 0, c.s.fail(c.s.offset, "row %d: a quotation mark is opened and not closed before the end of the file", c.row+1)
	}
	if start < len(c.text) && c.text[len(c.text)-1] == '\r' {
		c.text = c.text[:len(c.text)-1]
	}
	c.field(nil)
	return i, nil
}

// peek gives a byte ahead, 0 at the end of the file.
func (c *csvFile) peek(i int) (byte, error) {
	b, err := c.s.at(i)
	if err == io.EOF {
		return 0, nil
	}
	return b, err
}
