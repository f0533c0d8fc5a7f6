package items

import (
	"context"
	"encoding/base64"
	"encoding/binary"
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
//
// What the file claims about itself is checked before memory is taken for it: of
// a row group, no more than maxRowGroup is read, nor made by decompressing it.
type parquetFile struct {
	ref    objects.Ref
	source string
	in     *rangeReader
	groups []schema.RowGroup
	root   *column
	leaves []*column
	row    int64 // rows given

	group   int             // row group that columns are of
	left    int64           // rows of it that have not been given
	columns []*columnReader // by leaf
	budget  int64           // what its pages can still have, decompressed

	values              [][]parquet.Value // of the present row, by column
	pos                 []int
	rowValues, rowBytes int // of it, as far as it has been read
	size                int // of the item, as far as it has been put together, at least
}

// AWS's limits.
const (
	maxFooter   = 5 << 20
	maxRowGroup = 256 << 20
)

// Limits of ours, far above what writers produce.
const (
	maxColumns    = 10_000
	maxSchema     = 2 * maxColumns // its groups, too
	maxDepth      = 100
	maxElements   = 400_000 // of lists in the footer, which take up to 560 bytes each
	maxPageValues = 8 << 20
	maxRowValues  = 4 << 20
	maxRowBytes   = 8 * MaxItem // a decimal of 16 bytes can be a single digit
	maxDecimal    = 1 << 10     // bytes
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
	p := &parquetFile{ref: ref, source: address(ref), in: &rangeReader{r: r, ref: ref, size: info.Size}}
	defer p.damaged(&err)
	footer, err := p.in.footer()
	if err != nil {
		return nil, err
	}
	if err := p.checkFooter(footer); err != nil {
		return nil, err
	}
	file, err := parquet.OpenFile(p.in, info.Size, &parquet.FileConfig{SkipPageIndex: true, SkipBloomFilters: true, ReadBufferSize: 4 << 10})
	if err != nil {
		return nil, err
	}
	p.groups = file.Metadata().RowGroups
	p.root = columnOf(file.Root(), 0, 0, true)
	if p.root == nil {
		return nil, fail("%s has no columns.", ref)
	}
	p.leaves = p.root.leaves(nil)
	p.values, p.pos = make([][]parquet.Value, len(p.leaves)), make([]int, len(p.leaves))
	i := 0
	for j := range file.Metadata().Schema {
		if e := &file.Metadata().Schema[j]; e.Type.Valid {
			c := p.leaves[i]
			c.physical, c.width = parquet.Kind(e.Type.V), widths[parquet.Kind(e.Type.V)]
			if c.physical == parquet.FixedLenByteArray {
				if c.width = int(e.TypeLength.V); c.width < 0 || c.width > MaxItem {
					return nil, fail("The values of column %q of %s have a length of %d bytes.", c.name, ref, c.width)
				}
			}
			c.leaf = converter(c.logical, c.physical, c.width)
			i++
		}
	}
	return p, p.seek(at.Row)
}

// widths are the bytes of values of a fixed length.
var widths = map[parquet.Kind]int{parquet.Int32: 4, parquet.Int64: 8, parquet.Int96: 12, parquet.Float: 4, parquet.Double: 8}

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

// checkFooter checks what the library takes memory for when it reads the footer,
// and where the columns lie.
func (p *parquetFile) checkFooter(footer []byte) error {
	elements, err := thriftStructs(footer)
	if err != nil {
		return fmt.Errorf("its footer: %w", err)
	}
	if elements > maxElements {
		return fail("The footer of %s has lists of %d elements, more than %d; write it with larger row groups or fewer columns.", p.ref, elements, maxElements)
	}
	var protocol thrift.CompactProtocol
	var m schema.FileMetaData
	if err := thrift.NewDecoder(protocol.NewReaderFromBytes(footer)).Decode(&m); err != nil {
		return fmt.Errorf("its footer: %w", err)
	}
	if len(m.Schema) > maxSchema {
		return fail("%s has a schema of %d columns and groups, more than %d.", p.ref, len(m.Schema), maxSchema)
	}
	columns := 0
	var open []int32 // children that the groups around an element still have
	for i := range m.Schema {
		e := &m.Schema[i]
		for len(open) > 0 && open[len(open)-1] <= 0 {
			open = open[:len(open)-1]
		}
		if len(open) > 0 {
			open[len(open)-1]--
		}
		if e.Type.Valid {
			columns++
			continue
		}
		if open = append(open, e.NumChildren.V); len(open) > maxDepth {
			return fail("The columns of %s are nested deeper than %d.", p.ref, maxDepth)
		}
	}
	if columns > maxColumns {
		return fail("%s has %d columns, more than %d.", p.ref, columns, maxColumns)
	}
	for i := range m.RowGroups {
		g := &m.RowGroups[i]
		if len(g.Columns) != columns {
			return fmt.Errorf("row group %d has %d columns, the schema %d", i, len(g.Columns), columns)
		}
		if g.NumRows < 0 {
			return errors.New("a row group has a negative number of rows")
		}
		unpacked, packed := int64(0), int64(0)
		for j := range g.Columns {
			c := &g.Columns[j]
			d := &c.MetaData
			if c.FilePath != "" || c.CryptoMetadata.Value != nil {
				return fmt.Errorf("column %d of row group %d is encrypted or stands in another file", j, i)
			}
			begin := chunkBegin(d)
			if begin < 0 || d.TotalCompressedSize < 0 || d.TotalUncompressedSize < 0 || d.TotalCompressedSize > p.in.size-begin {
				return errors.New("a column lies outside of the file")
			}
			unpacked, packed = unpacked+min(d.TotalUncompressedSize, maxRowGroup+1), packed+min(d.TotalCompressedSize, maxRowGroup+1)
			if unpacked > maxRowGroup || packed > maxRowGroup {
				return fail("Row group %d of %s is larger than 256 MB.", i, p.ref)
			}
		}
	}
	return nil
}

// chunkBegin gives where the first page of a column stands.
func chunkBegin(m *schema.ColumnMetaData) int64 {
	if m.DictionaryPageOffset > 0 && m.DictionaryPageOffset < m.DataPageOffset {
		return m.DictionaryPageOffset
	}
	return m.DataPageOffset
}

func (p *parquetFile) place() Place { return Place{ETag: p.ref.ETag, Row: p.row} }

func (p *parquetFile) close() {}

// seek moves to a row of the file.
func (p *parquetFile) seek(row int64) error {
	p.row = row
	for i := range p.groups {
		if n := p.groups[i].NumRows; row >= n {
			row -= n
			continue
		}
		p.open(i)
		for _, c := range p.columns {
			if err := c.skip(row); err != nil {
				return err
			}
		}
		p.left -= row
		return nil
	}
	p.group = len(p.groups)
	return nil
}

// open goes to the beginning of a row group.
func (p *parquetFile) open(group int) {
	g := &p.groups[group]
	p.group, p.left, p.budget, p.columns = group, g.NumRows, maxRowGroup, make([]*columnReader, len(p.leaves))
	for i, leaf := range p.leaves {
		m := &g.Columns[i].MetaData
		begin := chunkBegin(m)
		p.columns[i] = &columnReader{
			p: p, name: leaf.name, kind: leaf.physical, width: leaf.width, codec: m.Codec,
			index: i, rep: leaf.rep, def: leaf.def,
			at: begin, end: begin + m.TotalCompressedSize, windowMax: min(64<<10, max(4<<10, (64<<20)/len(p.leaves))),
		}
	}
}

func (p *parquetFile) next() (item Item, err error) {
	defer p.damaged(&err)
	for p.left == 0 {
		if p.group+1 >= len(p.groups) {
			return Item{}, io.EOF
		}
		p.open(p.group + 1)
	}
	p.rowValues, p.rowBytes, p.size = 0, 0, 0
	for i, c := range p.columns {
		if cap(p.values[i]) > 4096 {
			p.values[i] = nil
		}
		clear(p.values[i]) // they keep pages
		if p.values[i], err = c.row(p.values[i][:0]); err != nil {
			return Item{}, err
		}
		p.pos[i] = 0
	}
	v, err := p.body(p.root)
	if err != nil {
		return Item{}, err
	}
	item = newItem(v, p.source)
	if item.Bytes > MaxItem {
		return Item{}, p.tooLarge(item.Bytes)
	}
	p.row++
	p.left--
	return item, nil
}

func (p *parquetFile) tooLarge(bytes int) error {
	return fail("%s, row %d: the item has %d bytes or more, more than 8 MB.", p.ref, p.row+1, bytes)
}

// add counts bytes of the item before memory is taken for them: a row can refer
// to the same long text again and again.
func (p *parquetFile) add(bytes int) error {
	if p.size += bytes; p.size > MaxItem {
		return p.tooLarge(p.size)
	}
	return nil
}

// column is a node of the schema with what is needed to put values together.
type column struct {
	name               string
	optional, repeated bool
	def, rep           int // the levels at which it is there
	first, last        int // its leaves
	children           []*column
	kind               columnKind
	physical           parquet.Kind // of a leaf
	width              int
	logical            any
	leaf               func(parquet.Value) value.Value
}

type columnKind int

const (
	groupKind columnKind = iota
	leafKind
	listKind // of what its only child repeats
	mapKind
)

// columnOf builds the tree; nil for a group in which no leaf is. The root has no
// levels.
func columnOf(c *parquet.Column, def, rep int, root bool) *column {
	n := &column{name: c.Name(), optional: c.Optional() && !root, repeated: c.Repeated() && !root}
	if n.optional || n.repeated {
		def++
	}
	if n.repeated {
		rep++
	}
	n.def, n.rep = def, rep
	if c.Leaf() {
		n.kind, n.first, n.last = leafKind, c.Index(), c.Index()
		if t := c.Type().LogicalType(); t != nil {
			n.logical = t.Value
		}
		return n
	}
	for _, child := range c.Columns() {
		if child := columnOf(child, def, rep, false); child != nil {
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

// leaves appends the leaves in their order.
func (c *column) leaves(to []*column) []*column {
	if c.kind == leafKind {
		return append(to, c)
	}
	for _, child := range c.children {
		to = child.leaves(to)
	}
	return to
}

var errLevels = errors.New("its columns do not fit together")

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
		return value.NullValue, p.add(len("null"))
	}
	return p.body(c)
}

// repeated gives each of the values that a column has here.
func (p *parquetFile) repeated(c *column, body func(*column) (value.Value, error)) ([]value.Value, error) {
	v, err := p.peek(c.first)
	if err == nil {
		err = p.add(len("[]"))
	}
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
			return value.NullValue, p.add(len("null"))
		}
		leaf, size := c.leaf(v), 1
		if leaf.Kind() == value.String {
			size += len(leaf.Str())
		}
		return leaf, p.add(size)
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
	size := len("{}")
	for _, child := range c.children {
		size += len(child.name) + len(`"":`)
	}
	if err := p.add(size); err != nil {
		return value.Value{}, err
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

// converter gives the function that makes JSON of a leaf's values. A logical type
// that does not fit the physical one is left out.
func converter(logical any, kind parquet.Kind, width int) func(parquet.Value) value.Value {
	fits := true
	switch logical.(type) {
	case *schema.DecimalType:
		fits = kind == parquet.Int32 || kind == parquet.Int64 || kind == parquet.FixedLenByteArray || kind == parquet.ByteArray
	case *schema.DateType:
		fits = kind == parquet.Int32
	case *schema.TimestampType:
		fits = kind == parquet.Int64
	case *schema.TimeType, *schema.IntType:
		fits = kind == parquet.Int32 || kind == parquet.Int64
	case *schema.UUIDType:
		fits = kind == parquet.FixedLenByteArray && width == 16
	}
	if !fits {
		logical = nil
	}
	switch l := logical.(type) {
	case *schema.DecimalType:
		return func(v parquet.Value) value.Value {
			if kind != parquet.Int32 && kind != parquet.Int64 && len(v.ByteArray()) > maxDecimal {
				return bytesText(v.ByteArray()) // its digits would take long
			}
			return decimal(unscaled(v), int(l.Scale))
		}
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
				return bytesText(v.ByteArray())
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
		return func(v parquet.Value) value.Value { return bytesText(v.ByteArray()) }
	}
}

func bytesText(b []byte) value.Value {
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

// rangeReader reads ranges of an object.
type rangeReader struct {
	r    *Reader
	ref  objects.Ref
	size int64
}

// ReadAt serves the library, which reads the footer with it.
func (in *rangeReader) ReadAt(p []byte, offset int64) (int, error) { return in.read(p, offset) }

func (in *rangeReader) read(p []byte, offset int64) (n int, err error) {
	in.r.during(func() { n, err = in.r.store.ReadAt(in.r.life, in.ref, p, offset) })
	return n, err
}

// footer reads the footer, after its length.
func (in *rangeReader) footer() ([]byte, error) {
	if in.size < 12 {
		return nil, errors.New("it is too short")
	}
	var end [8]byte
	if n, err := in.read(end[:], in.size-8); n < len(end) {
		return nil, short(err)
	}
	if magic := string(end[4:]); magic != "PAR1" {
		return nil, fmt.Errorf("it ends with %q and not with PAR1", magic)
	}
	length := int64(binary.LittleEndian.Uint32(end[:]))
	if length > maxFooter {
		return nil, fail("The footer of %s has %d bytes, more than 5 MB.", in.ref, length)
	}
	if length > in.size-12 {
		return nil, errors.New("its footer is longer than the file")
	}
	footer := make([]byte, length)
	if n, err := in.read(footer, in.size-8-length); n < len(footer) {
		return nil, short(err)
	}
	return footer, nil
}
