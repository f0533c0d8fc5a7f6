package items

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"math/big"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"
	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/encoding/thrift"
	schema "github.com/parquet-go/parquet-go/format"

	"github.com/lockstep-run/lockstep/asl/value"
	"github.com/lockstep-run/lockstep/internal/objects"
)

// parquetFile reads the rows of a Parquet file, a page of each column at a time.
//
// A row becomes an object with a member for each column, in the order of the
// schema. Numbers of all kinds are numbers, decimals with all their digits; dates
// and times are text as in ISO 8601; binary data is text if it is UTF-8, else
// Base64; lists are arrays, maps and groups are objects. What is null is null.
type parquetFile struct {
	ref    objects.Ref
	source string
	file   *parquet.File
	root   *column
	row    int64 // rows given

	group  int          // row group that rows is of
	left   int64        // rows of it that are not in batch yet
	rows   parquet.Rows // nil before the first, and between two
	batch  []parquet.Row
	at     int // in batch
	filled int
	values [][]parquet.Value // of the present row, by column
	pos    []int
}

// AWS's limits.
const (
	maxFooter   = 5 << 20
	maxRowGroup = 256 << 20
)

// Limits of ours, far above what writers produce.
const (
	maxColumns    = 10_000
	maxPageValues = 8 << 20
)

func openParquet(r *Reader, ref objects.Ref, at Place) (f file, err error) {
	if ref.VersionID != "" {
		return nil, fail("A version of a Parquet file cannot be chosen; %s is read as it is now.", ref)
	}
	var info objects.Info
	r.during(func() { info, err = r.store.Head(r.life, ref) })
	if err != nil {
		return nil, err
	}
	ref.ETag = info.ETag
	if info.Size > MaxFile {
		return nil, fail("%s has %d bytes, more than 10 GB.", ref, info.Size)
	}
	p := &parquetFile{ref: ref, source: address(ref), group: -1}
	defer p.damaged(&err)
	in := &rangeReader{r: r, ref: ref, size: info.Size}
	if err := in.checkFooter(); err != nil {
		return nil, err
	}
	p.file, err = parquet.OpenFile(in, info.Size, &parquet.FileConfig{SkipPageIndex: true, SkipBloomFilters: true, ReadBufferSize: 64 << 10})
	if err != nil {
		return nil, err
	}
	if err := p.checkGroups(in); err != nil {
		return nil, err
	}
	p.root = columnOf(p.file.Root(), 0, 0)
	if p.root == nil {
		return nil, fail("%s has no columns.", ref)
	}
	leaves := p.root.last + 1
	p.values, p.pos, p.batch = make([][]parquet.Value, leaves), make([]int, leaves), make([]parquet.Row, 32)
	return p, p.seek(at.Row)
}

// damaged makes errors and panics of the library say which file.
func (p *parquetFile) damaged(err *error) {
	if x := recover(); x != nil {
		*err = fmt.Errorf("%v", x)
	}
	var e *Error
	if *err == nil || *err == io.EOF || errors.As(*err, &e) || errors.Is(*err, context.Canceled) || errors.Is(*err, context.DeadlineExceeded) ||
		errors.Is(*err, objects.ErrChanged) || errors.Is(*err, objects.ErrNotFound) || errors.Is(*err, objects.ErrDenied) {
		return
	}
	hint := ""
	if packed := compression(p.ref.Key); packed != "" {
		hint = " (its name says that it is compressed as a whole, which Parquet files cannot be)"
	}
	*err = &Error{Cause: fmt.Sprintf("%s, row %d: the Parquet file cannot be read%s: %.300s", p.ref, p.row+1, hint, (*err).Error()), Err: *err}
}

func (p *parquetFile) checkGroups(in *rangeReader) error {
	columns := 0
	for i, g := range p.file.Metadata().RowGroups {
		unpacked, packed := int64(0), int64(0)
		for j := range g.Columns {
			m := &g.Columns[j].MetaData
			begin := m.DataPageOffset
			if m.DictionaryPageOffset != 0 {
				begin = m.DictionaryPageOffset
			}
			if begin < 0 || m.TotalCompressedSize < 0 || m.TotalUncompressedSize < 0 || m.TotalCompressedSize > in.size-begin ||
				m.DataPageOffset < begin || m.DataPageOffset > begin+m.TotalCompressedSize {
				return errors.New("a column lies outside of the file")
			}
			unpacked, packed = unpacked+m.TotalUncompressedSize, packed+m.TotalCompressedSize
			if unpacked > maxRowGroup || packed > maxRowGroup {
				return fail("Row group %d of %s is larger than 256 MB.", i, p.ref)
			}
			in.chunks = append(in.chunks, chunk{begin: begin, data: m.DataPageOffset, end: begin + m.TotalCompressedSize, next: begin, left: maxRowGroup})
		}
		columns = max(columns, len(g.Columns))
		if g.NumRows < 0 {
			return errors.New("a row group has a negative number of rows")
		}
	}
	if columns > maxColumns {
		return fail("%s has %d columns, more than %d.", p.ref, columns, maxColumns)
	}
	return nil
}

func (p *parquetFile) place() Place { return Place{ETag: p.ref.ETag, Row: p.row} }

func (p *parquetFile) close() {
	if p.rows != nil {
		var err error
		defer p.damaged(&err)
		p.rows.Close()
	}
}

// seek moves to a row of the file.
func (p *parquetFile) seek(row int64) error {
	p.row = row
	for i, g := range p.file.RowGroups() {
		if row < g.NumRows() {
			p.group, p.left, p.rows = i, g.NumRows()-row, g.Rows()
			if row > 0 {
				return p.rows.SeekToRow(row)
			}
			return nil
		}
		row -= g.NumRows()
	}
	p.group = len(p.file.RowGroups())
	return nil
}

func (p *parquetFile) next() (item Item, err error) {
	defer p.damaged(&err)
	for p.at == p.filled {
		if err := p.fill(); err != nil {
			return Item{}, err
		}
	}
	v, err := p.assemble(p.batch[p.at])
	if err != nil {
		return Item{}, err
	}
	item = newItem(v, p.source)
	if item.Bytes > MaxItem {
		return Item{}, fail("%s, row %d: the item has %d bytes, more than 8 MB.", p.ref, p.row+1, item.Bytes)
	}
	p.at++
	p.row++
	return item, nil
}

// fill reads the next rows.
func (p *parquetFile) fill() error {
	for p.left == 0 {
		if p.rows != nil {
			p.rows.Close()
			p.rows = nil
		}
		if p.group++; p.group >= len(p.file.RowGroups()) {
			p.group--
			return io.EOF
		}
		g := p.file.RowGroups()[p.group]
		p.left, p.rows = g.NumRows(), g.Rows()
	}
	n, err := p.rows.ReadRows(p.batch[:min(int64(len(p.batch)), p.left)])
	p.at, p.filled, p.left = 0, n, p.left-int64(n)
	if n > 0 {
		return nil
	}
	if err == nil || err == io.EOF {
		err = errors.New("a row group has fewer rows than it says")
	}
	return err
}

// column is a node of the schema with what is needed to put values together.
type column struct {
	name               string
	optional, repeated bool
	def, rep           int // the levels at which it is there
	first, last        int // its leaves
	children           []*column
	kind               columnKind
	leaf               func(parquet.Value) value.Value
}

type columnKind int

const (
	groupKind columnKind = iota
	leafKind
	listKind // of what its only child repeats
	mapKind
)

// columnOf builds the tree; nil for a group in which no leaf is.
func columnOf(c *parquet.Column, def, rep int) *column {
	n := &column{name: c.Name(), optional: c.Optional(), repeated: c.Repeated()}
	if n.optional || n.repeated {
		def++
	}
	if n.repeated {
		rep++
	}
	n.def, n.rep = def, rep
	if c.Leaf() {
		n.kind, n.first, n.last, n.leaf = leafKind, c.Index(), c.Index(), converter(c.Type())
		return n
	}
	for _, child := range c.Columns() {
		if child := columnOf(child, def, rep); child != nil {
			n.children = append(n.children, child)
		}
	}
	if len(n.children) == 0 {
		return nil
	}
	n.first, n.last = n.children[0].first, n.children[len(n.children)-1].last
	if t := c.Type().LogicalType(); t != nil && len(n.children) == 1 && n.children[0].repeated {
		switch t.Value.(type) {
		case *schema.ListType:
			n.kind = listKind
		case *schema.MapType:
			if len(n.children[0].children) == 2 {
				n.kind = mapKind
			}
		}
	}
	return n
}

var errLevels = errors.New("its columns do not fit together")

// assemble makes an object of a row, by the levels of its values.
func (p *parquetFile) assemble(row parquet.Row) (value.Value, error) {
	for i := range p.values {
		p.values[i], p.pos[i] = nil, 0
	}
	for from := 0; from < len(row); {
		c, to := row[from].Column(), from+1
		for to < len(row) && row[to].Column() == c {
			to++
		}
		if c < 0 || c >= len(p.values) {
			return value.Value{}, errLevels
		}
		p.values[c] = row[from:to]
		from = to
	}
	return p.body(p.root)
}

// peek gives the next value of a leaf.
func (p *parquetFile) peek(leaf int) (parquet.Value, error) {
	if p.pos[leaf] >= len(p.values[leaf]) {
		return parquet.Value{}, errLevels
	}
	return p.values[leaf][p.pos[leaf]], nil
}

func (p *parquetFile) skip(c *column) {
	for i := c.first; i <= c.last; i++ {
		p.pos[i]++
	}
}

// value gives what stands in a column: null, an array if it repeats, or one.
func (p *parquetFile) value(c *column) (value.Value, error) {
	v, err := p.peek(c.first)
	if err != nil {
		return value.Value{}, err
	}
	switch {
	case c.repeated:
		items, err := p.repeated(c, p.body)
		return value.ArrayOf(items), err
	case c.optional && v.DefinitionLevel() < c.def:
		p.skip(c)
		return value.NullValue, nil
	}
	return p.body(c)
}

// repeated gives each of the values that a column has here.
func (p *parquetFile) repeated(c *column, body func(*column) (value.Value, error)) ([]value.Value, error) {
	v, err := p.peek(c.first)
	if err != nil {
		return nil, err
	}
	if v.DefinitionLevel() < c.def {
		p.skip(c)
		return nil, nil
	}
	var items []value.Value
	for {
		item, err := body(c)
		if err != nil {
			return nil, err
		}
		items = append(items, item)
		v, err := p.peek(c.first)
		if err != nil || v.RepetitionLevel() < c.rep {
			return items, nil
		}
	}
}

// body gives a value that is there.
func (p *parquetFile) body(c *column) (value.Value, error) {
	switch c.kind {
	case leafKind:
		v, err := p.peek(c.first)
		if err != nil {
			return value.Value{}, err
		}
		p.pos[c.first]++
		if v.IsNull() {
			return value.NullValue, nil
		}
		return c.leaf(v), nil
	case listKind:
		inner := c.children[0]
		items, err := p.repeated(inner, func(*column) (value.Value, error) {
			if only := inner.only(); only != nil {
				return p.value(only)
			}
			return p.body(inner)
		})
		return value.ArrayOf(items), err
	case mapKind:
		var members []value.Member
		_, err := p.repeated(c.children[0], func(entry *column) (value.Value, error) {
			key, err := p.value(entry.children[0])
			if err != nil {
				return key, err
			}
			v, err := p.value(entry.children[1])
			name := key.Str()
			if key.Kind() != value.String {
				name = key.JSON()
			}
			members = append(members, value.Member{Key: name, Value: v})
			return v, err
		})
		return value.ObjectOf(members), err
	}
	members := make([]value.Member, len(c.children))
	for i, child := range c.children {
		v, err := p.value(child)
		if err != nil {
			return value.Value{}, err
		}
		members[i] = value.Member{Key: child.name, Value: v}
	}
	return value.ObjectOf(members), nil
}

// only is the element inside of what a list repeats, where that is a group made
// for it alone; the names tell older lists of structures apart.
func (c *column) only() *column {
	if c.kind != groupKind || len(c.children) != 1 || c.name == "array" || strings.HasSuffix(c.name, "_tuple") {
		return nil
	}
	return c.children[0]
}

// converter gives the function that makes JSON of a leaf's values.
func converter(t parquet.Type) func(parquet.Value) value.Value {
	var logical any
	if l := t.LogicalType(); l != nil {
		logical = l.Value
	}
	kind := t.Kind()
	switch l := logical.(type) {
	case *schema.DecimalType:
		return func(v parquet.Value) value.Value { return decimal(unscaled(v), int(l.Scale)) }
	case *schema.DateType:
		return func(v parquet.Value) value.Value {
			return value.Str(time.Unix(int64(v.Int32())*86400, 0).UTC().Format(time.DateOnly))
		}
	case *schema.TimestampType:
		layout := "2006-01-02T15:04:05.999999999"
		if l.IsAdjustedToUTC {
			layout += "Z"
		}
		unit := unitOf(l.Unit)
		return func(v parquet.Value) value.Value {
			n, per := v.Int64(), int64(time.Second/unit)
			return value.Str(time.Unix(floor(n, per), (n-floor(n, per)*per)*int64(unit)).UTC().Format(layout))
		}
	case *schema.TimeType:
		unit := unitOf(l.Unit)
		return func(v parquet.Value) value.Value {
			n := v.Int64()
			if kind == parquet.Int32 {
				n = int64(v.Int32())
			}
			return value.Str(time.Unix(0, 0).UTC().Add(time.Duration(n) * unit).Format("15:04:05.999999999"))
		}
	case *schema.UUIDType:
		return func(v parquet.Value) value.Value {
			id, err := uuid.FromBytes(v.ByteArray())
			if err != nil {
				return binary(v.ByteArray())
			}
			return value.Str(id.String())
		}
	case *schema.IntType:
		if !l.IsSigned {
			return func(v parquet.Value) value.Value {
				if kind == parquet.Int32 {
					return value.Int(int64(v.Uint32()))
				}
				return number(strconv.FormatUint(v.Uint64(), 10))
			}
		}
	}
	switch kind {
	case parquet.Boolean:
		return func(v parquet.Value) value.Value { return value.BoolOf(v.Boolean()) }
	case parquet.Int32:
		return func(v parquet.Value) value.Value { return value.Int(int64(v.Int32())) }
	case parquet.Int64:
		return func(v parquet.Value) value.Value { return value.Int(v.Int64()) }
	case parquet.Int96:
		return func(v parquet.Value) value.Value {
			n := v.Int96() // nanoseconds of the day, and a Julian day
			nanos := int64(n[1])<<32 | int64(n[0])
			days := int64(n[2]) - 2440588
			return value.Str(time.Unix(days*86400, nanos).UTC().Format("2006-01-02T15:04:05.999999999Z"))
		}
	case parquet.Float:
		return func(v parquet.Value) value.Value { // 0.1 and not what a double has for it
			f, _ := strconv.ParseFloat(strconv.FormatFloat(float64(v.Float()), 'g', -1, 32), 64)
			return value.Float(f)
		}
	case parquet.Double:
		return func(v parquet.Value) value.Value { return value.Float(v.Double()) }
	default:
		return func(v parquet.Value) value.Value { return binary(v.ByteArray()) }
	}
}

func binary(b []byte) value.Value {
	if utf8.Valid(b) {
		return value.Str(string(b))
	}
	return value.Str(base64.StdEncoding.EncodeToString(b))
}

func number(text string) value.Value {
	v, err := value.NumberText(text)
	if err != nil {
		return value.Str(text)
	}
	return v
}

func floor(n, d int64) int64 {
	if n%d < 0 {
		return n/d - 1
	}
	return n / d
}

func unitOf(u schema.TimeUnit) time.Duration {
	switch u.Value.(type) {
	case *schema.MilliSeconds:
		return time.Millisecond
	case *schema.MicroSeconds:
		return time.Microsecond
	default:
		return time.Nanosecond
	}
}

func unscaled(v parquet.Value) *big.Int {
	switch v.Kind() {
	case parquet.Int32:
		return big.NewInt(int64(v.Int32()))
	case parquet.Int64:
		return big.NewInt(v.Int64())
	}
	b := v.ByteArray() // two's complement, the highest byte first
	n := new(big.Int).SetBytes(b)
	if len(b) > 0 && b[0] >= 0x80 {
		n.Sub(n, new(big.Int).Lsh(big.NewInt(1), uint(8*len(b))))
	}
	return n
}

// decimal writes a number with scale digits behind the point.
func decimal(n *big.Int, scale int) value.Value {
	if scale <= 0 || scale > 1000 {
		return number(n.String())
	}
	digits, sign := new(big.Int).Abs(n).String(), ""
	if n.Sign() < 0 {
		sign = "-"
	}
	if missing := scale + 1 - len(digits); missing > 0 {
		digits = strings.Repeat("0", missing) + digits
	}
	point := len(digits) - scale
	return number(sign + digits[:point] + "." + digits[point:])
}

// rangeReader reads ranges of an object for the library, and checks what the
// headers of pages in them claim before it believes them with its memory.
type rangeReader struct {
	r      *Reader
	ref    objects.Ref
	size   int64
	chunks []chunk // of columns
}

// chunk is a column in a row group: pages from begin to end, whose headers have
// been checked up to next; left is what they may still claim. The library begins
// to read at begin or at data.
type chunk struct {
	begin, data, end, next, left int64
}

// ReadAt serves the library.
func (in *rangeReader) ReadAt(p []byte, offset int64) (int, error) {
	n, err := in.read(p, offset)
	if err != nil && err != io.EOF {
		return n, err
	}
	for i := range in.chunks {
		c := &in.chunks[i]
		if offset >= c.begin && offset < c.end {
			if err := in.check(c, p[:n], offset); err != nil {
				return 0, err
			}
		}
	}
	return n, err
}

func (in *rangeReader) read(p []byte, offset int64) (n int, err error) {
	in.r.during(func() { n, err = in.r.store.ReadAt(in.r.life, in.ref, p, offset) })
	return n, err
}

// check looks at the headers of the pages that begin before the end of p.
func (in *rangeReader) check(c *chunk, p []byte, offset int64) error {
	for c.next < c.end && c.next < offset+int64(len(p)) {
		var text []byte
		if c.next >= offset {
			text = p[c.next-offset:]
			text = text[:min(len(text), 4<<10)]
		}
		h, size, err := pageHeader(text)
		if err != nil { // it lies across the end
			text = make([]byte, min(maxPageHeader, c.end-c.next))
			n, rerr := in.read(text, c.next)
			if rerr != nil && rerr != io.EOF {
				return rerr
			}
			if h, size, err = pageHeader(text[:n]); err != nil {
				return fmt.Errorf("the header of a page at byte %d: %w", c.next, err)
			}
		}
		values := max(h.DataPageHeader.V.NumValues, h.DataPageHeaderV2.V.NumValues, h.DictionaryPageHeader.V.NumValues)
		c.left -= int64(h.UncompressedPageSize)
		if h.CompressedPageSize < 0 || h.UncompressedPageSize < 0 || int64(h.CompressedPageSize) > c.end-c.next || c.left < 0 || values > maxPageValues {
			return fmt.Errorf("the page at byte %d claims to have %d bytes, %d once decompressed, and %d values",
				c.next, h.CompressedPageSize, h.UncompressedPageSize, values)
		}
		before := c.next
		if c.next += int64(size) + int64(h.CompressedPageSize); before < c.data && c.next > c.data {
			return fmt.Errorf("no page begins at byte %d, where the first with data should", c.data)
		}
	}
	return nil
}

const maxPageHeader = 1 << 20 // it can hold the least and the greatest value of a page

func pageHeader(text []byte) (*schema.PageHeader, int, error) {
	var protocol thrift.CompactProtocol
	r := protocol.NewReaderFromBytes(text)
	h := new(schema.PageHeader)
	if err := thrift.NewDecoder(r).Decode(h); err != nil {
		return nil, 0, err
	}
	return h, r.BytesRead(), nil
}

// checkFooter reads how long the footer is before the library reads it.
func (in *rangeReader) checkFooter() error {
	if in.size < 12 {
		return errors.New("it is too short")
	}
	var end [8]byte
	if n, err := in.read(end[:], in.size-8); n < len(end) {
		return err
	}
	if magic := string(end[4:]); magic != "PAR1" {
		return fmt.Errorf("it ends with %q and not with PAR1", magic)
	}
	length := int64(end[0]) | int64(end[1])<<8 | int64(end[2])<<16 | int64(end[3])<<24
	if length > maxFooter {
		return fail("The footer of %s has %d bytes, more than 5 MB.", in.ref, length)
	}
	if length > in.size-12 {
		return errors.New("its footer is longer than the file")
	}
	return nil
}
