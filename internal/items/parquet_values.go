package items

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"

	"github.com/parquet-go/parquet-go"
	schema "github.com/parquet-go/parquet-go/format"
)

// plainDictionary is the encoding PLAIN_DICTIONARY, which writers of format 1
// still use.
const plainDictionary = schema.Encoding(2)

// The values of a page are decoded one at a time out of its bytes, so that no
// number in a page decides how much memory is taken, and nothing but the bytes
// of the page can become data. The library decodes a page as a whole into
// buffers that it uses again, as long as the page claims to be.

// values gives the values of a page that are not null, as Parquet's PLAIN
// encoding has them, without the lengths of byte arrays. What it gives holds
// until the next call if it is of a fixed length up to 12.
type values interface {
	next() ([]byte, error)
}

var errValues = errors.New("it has fewer values than it claims")

// valuesOf gives the decoder of an encoding.
func valuesOf(e schema.Encoding, kind parquet.Kind, width int, data []byte, dict *dictionary) (values, error) {
	if len(data) == 0 && e != schema.Plain {
		return &plain{nil, 1}, nil // all are null
	}
	switch e {
	case schema.Plain:
		switch kind {
		case parquet.Boolean:
			return &booleans{bits: bits{src: data}}, nil
		case parquet.ByteArray:
			return &plainBytes{data}, nil
		}
		return &plain{data, width}, nil
	case plainDictionary, schema.RLEDictionary:
		if dict == nil {
			return nil, errors.New("it needs a dictionary and none stands before it")
		}
		if data[0] > 32 {
			return nil, fmt.Errorf("its indices have %d bits", data[0])
		}
		return &indexed{runs{bits: bits{src: data[1:]}, width: int(data[0])}, dict}, nil
	case schema.RLE:
		if kind == parquet.Boolean {
			data, _, err := prefixed(data)
			return &runBooleans{runs: runs{bits: bits{src: data}, width: 1}}, err
		}
	case schema.DeltaBinaryPacked:
		if kind == parquet.Int32 || kind == parquet.Int64 {
			d, err := deltaOf(data)
			return &deltaInts{delta: d}, err
		}
	case schema.DeltaLengthByteArray:
		if kind == parquet.ByteArray {
			lengths, data, err := deltaBefore(data)
			return &deltaLengths{lengths, data}, err
		}
	case schema.DeltaByteArray:
		if kind == parquet.ByteArray || kind == parquet.FixedLenByteArray {
			prefixes, data, err := deltaBefore(data)
			if err != nil {
				return nil, err
			}
			suffixes, data, err := deltaBefore(data)
			d := &deltaBytes{prefixes: prefixes, suffixes: suffixes, data: data, width: -1}
			if kind == parquet.FixedLenByteArray {
				d.width = width
			}
			return d, err
		}
	case schema.ByteStreamSplit:
		if kind != parquet.Boolean && kind != parquet.ByteArray && width > 0 {
			return &split{data: data, width: width, n: len(data) / width}, nil
		}
	}
	return nil, fmt.Errorf("values of type %s cannot have the encoding %s", kind, e)
}

// prefixed cuts off what has its length in four bytes before it.
func prefixed(data []byte) (part, rest []byte, err error) {
	if len(data) < 4 {
		return nil, nil, io.ErrUnexpectedEOF
	}
	n := binary.LittleEndian.Uint32(data)
	if data = data[4:]; uint64(n) > uint64(len(data)) {
		return nil, nil, io.ErrUnexpectedEOF
	}
	return data[:n], data[n:], nil
}

// bits reads numbers of some bits each, the lowest first.
type bits struct {
	src  []byte
	cur  uint64
	have int // in cur
}

func (b *bits) read(width int) (v uint64, err error) {
	for got := 0; got < width; {
		if b.have == 0 {
			if len(b.src) == 0 {
				return 0, errValues
			}
			b.cur, b.have, b.src = uint64(b.src[0]), 8, b.src[1:]
		}
		n := min(width-got, b.have)
		v |= b.cur & (1<<n - 1) << got
		b.cur, b.have, got = b.cur>>n, b.have-n, got+n
	}
	return v, nil
}

// runs decodes the mixture of runs and bit-packed numbers that levels and
// indices have.
type runs struct {
	bits
	width  int
	left   uint64 // of the present run
	packed bool
	value  uint64
}

func (r *runs) next() (uint64, error) {
	for r.left == 0 {
		u, n := binary.Uvarint(r.src)
		if n <= 0 || u > math.MaxUint32 {
			return 0, errValues
		}
		r.src, r.have = r.src[n:], 0
		r.left, r.packed = u>>1, u&1 != 0
		if r.packed {
			r.left *= 8
			continue
		}
		var err error
		if r.value, err = r.read((r.width + 7) / 8 * 8); err != nil {
			return 0, err
		}
	}
	r.left--
	if r.packed {
		return r.read(r.width)
	}
	return r.value, nil
}

type plain struct {
	data  []byte
	width int
}

func (p *plain) next() ([]byte, error) {
	if len(p.data) < p.width {
		return nil, errValues
	}
	v := p.data[:p.width]
	p.data = p.data[p.width:]
	return v, nil
}

type plainBytes struct{ data []byte }

func (p *plainBytes) next() ([]byte, error) {
	if len(p.data) == 0 {
		return nil, errValues
	}
	v, rest, err := prefixed(p.data)
	p.data = rest
	return v, err
}

type booleans struct {
	bits
	value [1]byte
}

func (b *booleans) next() ([]byte, error) {
	v, err := b.read(1)
	b.value[0] = byte(v)
	return b.value[:], err
}

type runBooleans struct {
	runs
	value [1]byte
}

func (b *runBooleans) next() ([]byte, error) {
	v, err := b.runs.next()
	b.value[0] = byte(v)
	return b.value[:], err
}

// dictionary is the values of a column that its pages have indices of.
type dictionary struct {
	data  []byte
	width int
	ends  []uint32 // of byte arrays
	n     uint64
}

// dictionaryOf takes the n values of a dictionary page, which are PLAIN.
func dictionaryOf(kind parquet.Kind, width int, data []byte, n int) (*dictionary, error) {
	d := &dictionary{data: data, width: width, n: uint64(n)}
	least := n * max(width, 1) // bytes
	switch kind {
	case parquet.Boolean:
		return nil, errors.New("it is a dictionary of booleans")
	case parquet.ByteArray:
		least = 4 * n
	}
	if n < 0 || least > len(data) && !(width == 0 && kind == parquet.FixedLenByteArray) {
		return nil, errValues
	}
	if kind != parquet.ByteArray {
		return d, nil
	}
	d.ends = make([]uint32, n)
	values := plainBytes{data}
	for i := range d.ends {
		if _, err := values.next(); err != nil {
			return nil, err
		}
		d.ends[i] = uint32(len(data) - len(values.data))
	}
	return d, nil
}

func (d *dictionary) value(i uint64) ([]byte, error) {
	if i >= d.n {
		return nil, fmt.Errorf("it has the index %d into a dictionary of %d values", i, d.n)
	}
	if d.ends == nil {
		return d.data[int(i)*d.width:][:d.width], nil
	}
	from := uint32(4) // behind its length
	if i > 0 {
		from += d.ends[i-1]
	}
	return d.data[from:d.ends[i]], nil
}

type indexed struct {
	runs
	dict *dictionary
}

func (x *indexed) next() ([]byte, error) {
	i, err := x.runs.next()
	if err != nil {
		return nil, err
	}
	return x.dict.value(i)
}

// delta decodes DELTA_BINARY_PACKED.
type delta struct {
	bits
	minis, mini int   // miniblocks of a block, values of a miniblock
	left        int64 // values
	last, least int64
	begun       bool
	widths      []byte // of the miniblocks of the block that are not begun
	width, in   int    // of the present miniblock, and the values left in it
}

func deltaOf(src []byte) (*delta, error) {
	var u [3]uint64
	for i := range u {
		n := 0
		if u[i], n = binary.Uvarint(src); n <= 0 {
			return nil, io.ErrUnexpectedEOF
		}
		src = src[n:]
	}
	first, n := binary.Varint(src)
	if n <= 0 {
		return nil, io.ErrUnexpectedEOF
	}
	block, minis, values := u[0], u[1], u[2]
	if minis == 0 || minis > block || block > 1<<20 || block%minis != 0 || block/minis%8 != 0 || values > maxPageValues {
		return nil, fmt.Errorf("its %d differences stand in blocks of %d values with %d parts", values, block, minis)
	}
	return &delta{bits: bits{src: src[n:]}, minis: int(minis), mini: int(block / minis), left: int64(values), last: first}, nil
}

// block reads the beginning of one.
func (d *delta) block() error {
	least, n := binary.Varint(d.src)
	if n <= 0 || len(d.src)-n < d.minis {
		return errValues
	}
	d.least, d.widths, d.src = least, d.src[n:n+d.minis], d.src[n+d.minis:]
	return nil
}

func (d *delta) next() (int64, error) {
	if d.left == 0 {
		return 0, errValues
	}
	d.left--
	if !d.begun {
		d.begun = true
		return d.last, nil
	}
	if d.in == 0 {
		if len(d.widths) == 0 {
			if err := d.block(); err != nil {
				return 0, err
			}
		}
		d.in, d.width, d.widths = d.mini, int(d.widths[0]), d.widths[1:]
		if d.width > 64 {
			return 0, fmt.Errorf("it has differences of %d bits", d.width)
		}
	}
	d.in--
	v, err := d.read(d.width)
	d.last += d.least + int64(v)
	return d.last, err
}

// deltaBefore gives the decoder of the numbers at the beginning of src, and what
// stands after them.
func deltaBefore(src []byte) (*delta, []byte, error) {
	d, err := deltaOf(src)
	if err != nil {
		return nil, nil, err
	}
	end := *d
	for left := d.left - 1; left > 0; {
		if err := end.block(); err != nil {
			return nil, nil, err
		}
		for _, width := range end.widths {
			if left <= 0 {
				break
			}
			n := d.mini / 8 * int(width)
			if n > len(end.src) {
				return nil, nil, errValues
			}
			end.src = end.src[n:]
			left -= int64(d.mini)
		}
	}
	return d, end.src, nil
}

type deltaInts struct {
	*delta
	value [8]byte
}

func (d *deltaInts) next() ([]byte, error) {
	v, err := d.delta.next()
	binary.LittleEndian.PutUint64(d.value[:], uint64(v)) // its first half is an INT32
	return d.value[:], err
}

type deltaLengths struct {
	lengths *delta
	data    []byte
}

func (d *deltaLengths) next() ([]byte, error) {
	n, err := d.lengths.next()
	if err != nil {
		return nil, err
	}
	if n < 0 || n > int64(len(d.data)) {
		return nil, fmt.Errorf("a value has the length %d where %d bytes are left", n, len(d.data))
	}
	v := d.data[:n]
	d.data = d.data[n:]
	return v, nil
}

// deltaBytes decodes byte arrays that begin as the one before.
type deltaBytes struct {
	prefixes, suffixes *delta
	data, last         []byte
	width              int // of all, or -1
}

func (d *deltaBytes) next() ([]byte, error) {
	p, err := d.prefixes.next()
	if err != nil {
		return nil, err
	}
	n, err := d.suffixes.next()
	if err != nil {
		return nil, err
	}
	switch {
	case p < 0 || p > int64(len(d.last)) || n < 0 || n > int64(len(d.data)) || d.width >= 0 && p+n != int64(d.width):
		return nil, fmt.Errorf("a value has %d bytes of the %d before it and %d of the %d that are left", p, len(d.last), n, len(d.data))
	case p+n > maxRowBytes: // they can grow with each other
		return nil, fmt.Errorf("a value has %d bytes, more than %d MB", p+n, maxRowBytes>>20)
	case p == 0:
		d.last = d.data[:n:n]
	default:
		d.last = append(d.last[:p:p], d.data[:n]...)
	}
	d.data = d.data[n:]
	return d.last, nil
}

// split decodes BYTE_STREAM_SPLIT: the first bytes of all values, the second, …
type split struct {
	data        []byte
	width, n, i int
}

func (s *split) next() ([]byte, error) {
	if s.i >= s.n {
		return nil, errValues
	}
	v := make([]byte, s.width)
	for j := range v {
		v[j] = s.data[j*s.n+s.i]
	}
	s.i++
	return v, nil
}
