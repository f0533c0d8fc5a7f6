package items

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math"
	mathbits "math/bits"
	"slices"
	"sync"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/snappy"
	"github.com/klauspost/compress/zstd"
	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/deprecated"
	"github.com/parquet-go/parquet-go/encoding/thrift"
	schema "github.com/parquet-go/parquet-go/format"
	"github.com/pierrec/lz4/v4"
)

// columnReader reads the pages of a column in a row group, one after the other.
type columnReader struct {
	p     *parquetFile
	name  string
	kind  parquet.Kind
	width int // of values of a fixed length
	codec schema.CompressionCodec

	index     int // of the leaf
	rep, def  int // the greatest levels
	at, end   int64
	window    []byte // bytes of the file from windowAt on
	windowAt  int64
	windowMax int

	dict       *dictionary
	page       int64 // where the present one begins
	left       int   // of its values, with those that are null
	reps, defs runs
	values     values
	nextRep    int // of the next value, if it is known
	peeked     bool
}

// wrong says in which page something is wrong.
func (c *columnReader) wrong(err error) error {
	var e *Error
	if err == nil || errors.As(err, &e) {
		return err
	}
	return fmt.Errorf("the page at byte %d, of column %q: %w", c.page, c.name, err)
}

// read fills b with what stands at c.at, and goes on behind it.
func (c *columnReader) read(b []byte) error {
	for len(b) > 0 {
		if from := c.at - c.windowAt; from >= 0 && from < int64(len(c.window)) {
			n := copy(b, c.window[from:])
			b, c.at = b[n:], c.at+int64(n)
			continue
		}
		if len(b) >= c.windowMax {
			n, err := c.p.in.read(b, c.at)
			if n < len(b) {
				return short(err)
			}
			c.at += int64(n)
			return nil
		}
		if err := c.slide(); err != nil {
			return err
		}
	}
	return nil
}

// slide lets the window begin at c.at.
func (c *columnReader) slide() error {
	if c.at >= c.end {
		return io.ErrUnexpectedEOF
	}
	b := c.window[:cap(c.window)]
	if b == nil {
		b = make([]byte, min(int64(c.windowMax), c.end-c.at))
	}
	b = b[:min(int64(len(b)), c.end-c.at)]
	n, err := c.p.in.read(b, c.at)
	c.window, c.windowAt = b[:n], c.at
	if n < len(b) {
		return short(err)
	}
	return nil
}

func short(err error) error {
	if err == nil || err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

// header reads the header at c.at.
func (c *columnReader) header() (*schema.PageHeader, error) {
	if c.at < c.windowAt || c.at >= c.windowAt+int64(len(c.window)) {
		if err := c.slide(); err != nil {
			return nil, err
		}
	}
	h, size, err := pageHeader(c.window[c.at-c.windowAt:])
	if err != nil && c.windowAt+int64(len(c.window)) < c.end { // it may go on
		text := make([]byte, min(maxPageHeader, c.end-c.at))
		n, rerr := c.p.in.read(text, c.at)
		if rerr != nil && rerr != io.EOF {
			return nil, rerr
		}
		h, size, err = pageHeader(text[:n])
	}
	if err != nil {
		return nil, fmt.Errorf("its header: %w", err)
	}
	c.at += int64(size)
	return h, nil
}

const maxPageHeader = 1 << 20 // it can hold the least and the greatest value of a page

func pageHeader(text []byte) (*schema.PageHeader, int, error) {
	text = text[:min(len(text), maxPageHeader)]
	if _, err := thriftStructs(text); err != nil {
		return nil, 0, err
	}
	var protocol thrift.CompactProtocol
	r := protocol.NewReaderFromBytes(text)
	h := new(schema.PageHeader)
	if err := thrift.NewDecoder(r).Decode(h); err != nil {
		return nil, 0, err
	}
	return h, r.BytesRead(), nil
}

// next makes the next page with values the present one, io.EOF after the last.
// Of the values at its beginning it leaves out as many as skip says, and gives
// how many these were: a page that it leaves out as a whole is not read.
func (c *columnReader) next(skip int64) (skipped int64, err error) {
	for c.at < c.end {
		c.page = c.at
		n, err := c.nextPage(skip)
		if err != nil {
			return 0, c.wrong(err)
		}
		if skipped += n; c.left > 0 || n > 0 {
			return skipped, nil
		}
	}
	return 0, io.EOF
}

func (c *columnReader) nextPage(skip int64) (skipped int64, err error) {
	h, err := c.header()
	if err != nil {
		return 0, err
	}
	packed, unpacked := int64(h.CompressedPageSize), int64(h.UncompressedPageSize)
	if packed < 0 || unpacked < 0 || packed > c.end-c.at {
		return 0, fmt.Errorf("it claims to have %d bytes, %d once decompressed, where the column has %d", packed, unpacked, c.end-c.at)
	}
	if c.p.budget -= max(packed, unpacked); c.p.budget < 0 {
		return 0, fmt.Errorf("with it the pages of the row group have more than %d MB once decompressed; write the file with smaller row groups", maxRowGroup>>20)
	}
	begin := c.at
	behind := begin + packed
	switch h.Type {
	case schema.DictionaryPage:
		d := &h.DictionaryPageHeader
		if !d.Valid || d.V.NumValues < 0 || d.V.NumValues > maxPageValues {
			return 0, fmt.Errorf("its dictionary claims to have %d values, which can be %d at most", d.V.NumValues, maxPageValues)
		}
		if d.V.Encoding != schema.Plain && d.V.Encoding != plainDictionary {
			return 0, fmt.Errorf("its dictionary has the encoding %s", d.V.Encoding)
		}
		data, err := c.contents(h, 0, true)
		if err == nil {
			c.dict, err = dictionaryOf(c.kind, c.width, data, int(d.V.NumValues))
		}
		return 0, err
	case schema.DataPage:
		d := &h.DataPageHeader.V
		if n, err := c.claims(h.DataPageHeader.Valid, d.NumValues, skip); n > 0 || err != nil {
			c.at = behind
			return n, err
		}
		data, err := c.contents(h, 0, true)
		if err != nil {
			return 0, err
		}
		for _, l := range []struct {
			runs     *runs
			greatest int
			encoding schema.Encoding
		}{{&c.reps, c.rep, d.RepetitionLevelEncoding}, {&c.defs, c.def, d.DefinitionLevelEncoding}} {
			if l.greatest == 0 {
				continue
			}
			if l.encoding != schema.RLE {
				return 0, fmt.Errorf("its levels have the encoding %s", l.encoding)
			}
			var levels []byte
			if levels, data, err = prefixed(data); err != nil {
				return 0, fmt.Errorf("its levels: %w", err)
			}
			*l.runs = runs{bits: bits{src: levels}, width: mathbits.Len(uint(l.greatest))}
		}
		return 0, c.begin(d.Encoding, data, d.NumValues)
	case schema.DataPageV2:
		d := &h.DataPageHeaderV2.V
		if n, err := c.claims(h.DataPageHeaderV2.Valid, d.NumValues, skip); n > 0 || err != nil {
			c.at = behind
			return n, err
		}
		reps, defs := int64(d.RepetitionLevelsByteLength), int64(d.DefinitionLevelsByteLength)
		if reps < 0 || defs < 0 || reps+defs > min(packed, unpacked) {
			return 0, fmt.Errorf("its levels claim to have %d and %d of its %d bytes", reps, defs, packed)
		}
		data, err := c.contents(h, int(reps+defs), !d.IsCompressed.Valid || d.IsCompressed.V)
		if err != nil {
			return 0, err
		}
		c.reps = runs{bits: bits{src: data[:reps]}, width: mathbits.Len(uint(c.rep))}
		c.defs = runs{bits: bits{src: data[reps : reps+defs]}, width: mathbits.Len(uint(c.def))}
		return 0, c.begin(d.Encoding, data[reps+defs:], d.NumValues)
	}
	c.at = behind // an index
	return 0, nil
}

// claims checks how many values a page claims to have, and gives as many if all
// of them are to be left out.
func (c *columnReader) claims(valid bool, values int32, skip int64) (int64, error) {
	if !valid || values < 0 || values > maxPageValues {
		return 0, fmt.Errorf("it claims to have %d values, which can be %d at most", values, maxPageValues)
	}
	if int64(values) > skip {
		return 0, nil
	}
	return int64(values), nil
}

func (c *columnReader) begin(e schema.Encoding, data []byte, values int32) (err error) {
	c.values, err = valuesOf(e, c.kind, c.width, data, c.dict)
	c.left = int(values)
	return err
}

// contents reads the page behind a header and decompresses what is not its first
// bytes.
func (c *columnReader) contents(h *schema.PageHeader, first int, compressed bool) ([]byte, error) {
	packed := make([]byte, h.CompressedPageSize)
	if err := c.read(packed); err != nil {
		return nil, err
	}
	if h.CRC != 0 && crc32.ChecksumIEEE(packed) != uint32(h.CRC) {
		return nil, errors.New("its checksum is another")
	}
	if !compressed || c.codec == schema.Uncompressed {
		return packed, nil
	}
	data := make([]byte, h.UncompressedPageSize)
	copy(data, packed[:first])
	if err := decompress(c.codec, data[first:], packed[first:]); err != nil {
		return nil, fmt.Errorf("it does not decompress from %s to the %d bytes that it claims: %w", c.codec, h.UncompressedPageSize, err)
	}
	return data, nil
}

var errSize = errors.New("it has another size")

// decompress fills dst exactly. It takes memory for dst alone, whatever src says.
func decompress(codec schema.CompressionCodec, dst, src []byte) error {
	if len(dst) == 0 {
		return nil
	}
	var r io.Reader
	switch codec {
	case schema.Snappy:
		if n, err := snappy.DecodedLen(src); err != nil || n != len(dst) {
			return errors.Join(errSize, err)
		}
		_, err := snappy.Decode(dst, src)
		return err
	case schema.Lz4Raw:
		n, err := lz4.UncompressBlock(src, dst)
		if err == nil && n != len(dst) {
			err = errSize
		}
		return err
	case schema.Zstd:
		d, err := zstdPages()
		if err != nil {
			return err
		}
		out, err := d.DecodeAll(src, dst[:0])
		if err == nil && len(out) != len(dst) {
			err = errSize
		}
		return err
	case schema.Gzip:
		z, err := gzip.NewReader(bytes.NewReader(src))
		if err != nil {
			return err
		}
		r = z
	case schema.Brotli:
		r = brotli.NewReader(bytes.NewReader(src))
	default:
		return errors.New("this compression is not supported; use SNAPPY, GZIP, ZSTD, BROTLI, LZ4_RAW or none")
	}
	if _, err := io.ReadFull(r, dst); err != nil {
		return err
	}
	if n, err := r.Read(make([]byte, 1)); n > 0 || err != nil && err != io.EOF {
		return errors.Join(errSize, err)
	}
	return nil
}

// zstdPages decompresses pages into the memory it is given and no more.
var zstdPages = sync.OnceValues(func() (*zstd.Decoder, error) {
	return zstd.NewReader(nil, zstd.WithDecodeAllCapLimit(true), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxMemory(maxRowGroup))
})

// skip leaves out rows.
func (c *columnReader) skip(rows int64) error {
	if c.rep > 0 { // only the values say where its rows begin
		var row []parquet.Value
		for range rows {
			c.p.rowValues, c.p.rowBytes = 0, 0
			var err error
			if row, err = c.row(row[:0]); err != nil {
				return err
			}
		}
		return nil
	}
	for rows > 0 {
		if c.left == 0 {
			n, err := c.next(rows)
			if err != nil {
				return ended(err)
			}
			rows -= n
			continue
		}
		if _, err := c.value(); err != nil {
			return c.wrong(err)
		}
		rows--
	}
	return nil
}

func ended(err error) error {
	if err == io.EOF {
		return errors.New("a row group has fewer rows than it says")
	}
	return err
}

// row appends the values of the next row.
func (c *columnReader) row(to []parquet.Value) ([]parquet.Value, error) {
	for begun := false; ; begun = true {
		if c.left == 0 {
			_, err := c.next(0)
			if err == io.EOF && begun {
				return to, nil
			}
			if err != nil {
				return nil, ended(err)
			}
		}
		if c.rep > 0 && !c.peeked {
			rep, err := level(&c.reps, c.rep)
			if err != nil {
				return nil, c.wrong(err)
			}
			c.nextRep, c.peeked = rep, true
		}
		switch {
		case begun && c.nextRep == 0:
			return to, nil
		case !begun && c.nextRep != 0:
			return nil, c.wrong(errors.New("a row begins within a list"))
		}
		v, err := c.value()
		if err != nil {
			return nil, c.wrong(err)
		}
		if k := v.Kind(); k == parquet.ByteArray || k == parquet.FixedLenByteArray {
			c.p.rowBytes += len(v.ByteArray())
		}
		c.p.rowValues++
		if c.p.rowBytes > maxRowBytes || c.p.rowValues > maxRowValues {
			return nil, fail("%s, row %d: the row has more than %d values or %d MB up to column %q; an item can have 8 MB.",
				c.p.ref, c.p.row+1, maxRowValues, maxRowBytes>>20, c.name)
		}
		if len(to) == cap(to) {
			to = slices.Grow(to, max(1, len(to))) // append grows long ones by less, and copies more often
		}
		if to = append(to, v); c.rep == 0 {
			return to, nil
		}
	}
}

func level(levels *runs, greatest int) (int, error) {
	v, err := levels.next()
	if err == nil && v > uint64(greatest) {
		err = fmt.Errorf("it has a level of %d, which can be %d at most", v, greatest)
	}
	return int(v), err
}

// value gives the next value of the present page.
func (c *columnReader) value() (v parquet.Value, err error) {
	rep, def := 0, 0
	if c.rep > 0 {
		rep = c.nextRep
	}
	c.peeked = false
	c.left--
	if c.def > 0 {
		if def, err = level(&c.defs, c.def); err != nil {
			return v, err
		}
	}
	if def < c.def {
		return v.Level(rep, def, c.index), nil
	}
	b, err := c.values.next()
	if err != nil {
		return v, err
	}
	switch c.kind {
	case parquet.Boolean:
		v = parquet.BooleanValue(b[0] != 0)
	case parquet.Int32:
		v = parquet.Int32Value(int32(binary.LittleEndian.Uint32(b)))
	case parquet.Int64:
		v = parquet.Int64Value(int64(binary.LittleEndian.Uint64(b)))
	case parquet.Int96:
		v = parquet.Int96Value(deprecated.Int96{binary.LittleEndian.Uint32(b), binary.LittleEndian.Uint32(b[4:]), binary.LittleEndian.Uint32(b[8:])})
	case parquet.Float:
		v = parquet.FloatValue(math.Float32frombits(binary.LittleEndian.Uint32(b)))
	case parquet.Double:
		v = parquet.DoubleValue(math.Float64frombits(binary.LittleEndian.Uint64(b)))
	case parquet.ByteArray:
		v = parquet.ByteArrayValue(b)
	default:
		v = parquet.FixedLenByteArrayValue(b)
	}
	return v.Level(rep, def, c.index), nil
}

// thriftStructs goes through a structure in Thrift's compact protocol and counts
// the elements of its lists, sets and maps. The library takes memory for as many
// as a list claims to have before it reads the first, and follows structures
// that it does not know as deep as they are nested.
func thriftStructs(text []byte) (int, error) {
	var protocol thrift.CompactProtocol
	w := thriftWalk{text: text, r: protocol.NewReaderFromBytes(text)}
	err := w.structure(0)
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return w.elements, err
}

type thriftWalk struct {
	text     []byte
	r        thrift.BytesReader
	elements int
}

const maxThriftDepth = 32 // a footer's is 8

func (w *thriftWalk) structure(depth int) error {
	if depth > maxThriftDepth {
		return fmt.Errorf("its structures are nested deeper than %d", maxThriftDepth)
	}
	for {
		f, err := w.r.ReadField()
		if err != nil || f.Type == thrift.STOP {
			return err
		}
		if f.Type == thrift.TRUE || f.Type == thrift.FALSE {
			continue // that is its value
		}
		if err := w.value(f.Type, depth); err != nil {
			return err
		}
	}
}

func (w *thriftWalk) value(t thrift.Type, depth int) (err error) {
	switch t {
	case thrift.TRUE, thrift.FALSE, thrift.I8:
		_, err = w.r.ReadInt8()
	case thrift.I16:
		_, err = w.r.ReadInt16()
	case thrift.I32:
		_, err = w.r.ReadInt32()
	case thrift.I64:
		_, err = w.r.ReadInt64()
	case thrift.DOUBLE:
		_, err = w.r.ReadFloat64()
	case thrift.BINARY:
		_, err = w.r.ReadBytes()
	case thrift.STRUCT:
		err = w.structure(depth + 1)
	case thrift.LIST, thrift.SET:
		l, err := w.r.ReadList()
		if err != nil {
			return err
		}
		return w.list(l.Size, depth, l.Type)
	case thrift.MAP:
		m, err := w.r.ReadMap()
		if err != nil {
			return err
		}
		return w.list(m.Size, depth, m.Key, m.Value)
	case thrift.UUID:
		if _, err = w.r.ReadFloat64(); err == nil {
			_, err = w.r.ReadFloat64()
		}
	default:
		err = fmt.Errorf("it has a field of the unknown type %d", t)
	}
	return err
}

func (w *thriftWalk) list(size int32, depth int, types ...thrift.Type) error {
	if left := len(w.text) - w.r.BytesRead(); size < 0 || int(size) > left {
		return fmt.Errorf("a list claims to have %d elements in %d bytes", size, left)
	}
	w.elements += int(size)
	if depth > maxThriftDepth {
		return fmt.Errorf("its lists are nested deeper than %d", maxThriftDepth)
	}
	for range size {
		for _, t := range types {
			if err := w.value(t, depth+1); err != nil {
				return err
			}
		}
	}
	return nil
}
