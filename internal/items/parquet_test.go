package items

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/compress"
	"github.com/parquet-go/parquet-go/encoding/thrift"
	schema "github.com/parquet-go/parquet-go/format"
)

type sensor struct {
	ID      int64            `parquet:"id"`
	Name    string           `parquet:"name,dict,zstd"`
	Temp    float64          `parquet:"temp"`
	Half    float32          `parquet:"half"`
	OK      *bool            `parquet:"ok,optional"`
	Tags    []string         `parquet:"tags,list"`
	Extra   map[string]int64 `parquet:"extra"`
	At      time.Time        `parquet:"at,timestamp(millisecond)"`
	Day     int32            `parquet:"day,date"`
	Price   int64            `parquet:"price,decimal(2:10)"`
	Key     [16]byte         `parquet:"key,uuid"`
	Raw     []byte           `parquet:"raw"`
	Big     uint64           `parquet:"big"`
	Where   place            `parquet:"where"`
	Nothing *place           `parquet:"nothing,optional"`
	Visits  []place          `parquet:"visits"`
}

type place struct {
	City string `parquet:"city"`
	Zip  *int32 `parquet:"zip,optional"`
}

func parquetOf[T any](rows []T, perGroup int64) string {
	var b bytes.Buffer
	w := parquet.NewGenericWriter[T](&b, parquet.MaxRowsPerRowGroup(perGroup), parquet.PageBufferSize(256))
	if _, err := w.Write(rows); err != nil {
		panic(err)
	}
	if err := w.Close(); err != nil {
		panic(err)
	}
	return b.String()
}

func TestParquetValues(t *testing.T) {
	yes, zip := true, int32(-5)
	text := parquetOf([]sensor{
		{ID: 1, Name: "a", Temp: 21.5, Half: 0.1, OK: &yes, Tags: []string{"x", "y"}, Extra: map[string]int64{"k": 7},
			At: time.UnixMilli(1700000000123), Day: 19000, Price: 12345, Raw: []byte{0xff, 0}, Big: 1<<64 - 1,
			Where: place{"Rome", &zip}, Nothing: &place{"", nil}, Visits: []place{{"A", nil}, {"B", &zip}}},
		{ID: -2, Day: -1, Price: -5, At: time.UnixMilli(-1)},
	}, 100)
	read(t, map[string]string{"f.parquet": text}, Spec{Key: "f.parquet", InputType: "PARQUET"}, `
{"id":1,"name":"a","temp":21.5,"half":0.1,"ok":true,"tags":["x","y"],"extra":{"k":7},"at":"2023-11-14T22:13:20.123Z","day":"2022-01-08","price":123.45,"key":"00000000-0000-0000-0000-000000000000","raw":"/wA=","big":18446744073709551615,"where":{"city":"Rome","zip":-5},"nothing":{"city":"","zip":null},"visits":[{"city":"A","zip":null},{"city":"B","zip":-5}]}
{"id":-2,"name":"","temp":0,"half":0,"ok":null,"tags":[],"extra":{},"at":"1969-12-31T23:59:59.999Z","day":"1969-12-31","price":-0.05,"key":"00000000-0000-0000-0000-000000000000","raw":"","big":0,"where":{"city":"","zip":null},"nothing":null,"visits":[]}`)
}

type small struct {
	N int64  `parquet:"n"`
	S string `parquet:"s,dict"`
}

func smallRows(n int) (rows []small) {
	for i := range n {
		rows = append(rows, small{int64(i), fmt.Sprint("s", i%3)})
	}
	return rows
}

func TestParquetGroupsAndCursors(t *testing.T) {
	var want []string
	for _, row := range smallRows(40) {
		want = append(want, fmt.Sprintf(`{"n":%d,"s":%q}`, row.N, row.S))
	}
	read(t, map[string]string{"f": parquetOf(smallRows(40), 7)}, Spec{Key: "f", InputType: "PARQUET"}, strings.Join(want, "\n"))
	read(t, map[string]string{"f": parquetOf([]small{}, 7)}, Spec{Key: "f", InputType: "PARQUET"}, "")
	read(t, map[string]string{"p/1": parquetOf(smallRows(2), 7), "p/2": parquetOf(smallRows(1), 7)},
		Spec{Resource: "ListObjects", Prefix: "p/", Transformation: "LOAD_AND_FLATTEN", InputType: "PARQUET"},
		want[0]+"\n"+want[1]+"\n"+want[0])
	read(t, map[string]string{"m": "s3://b/p/1\ns3://b/p/2\n", "p/1": parquetOf(smallRows(2), 7), "p/2": parquetOf(smallRows(1), 7)},
		Spec{Key: "m", ManifestType: "ATHENA_DATA", InputType: "PARQUET"}, want[0]+"\n"+want[1]+"\n"+want[0])
}

func TestParquetThatIsNone(t *testing.T) {
	f := func(key, text, want string) {
		t.Helper()
		got := readAll(bucket(map[string]string{key: text}), Spec{Resource: GetObject, Bucket: "b", Key: key, InputType: "PARQUET"})
		if !strings.HasPrefix(got, "States.ItemReaderFailed: ") || !strings.Contains(got, want) {
			t.Errorf("%.30q: %s", text, got)
		}
	}
	good := parquetOf(smallRows(5), 7)
	f("f", "", "too short")
	f("f", strings.Repeat("x", 100), "not with PAR1")
	f("f.gz", gz(good), "which Parquet files cannot be")
	f("f", good[:8]+good[9:], "the Parquet file cannot be read")
	f("f", "PAR1"+strings.Repeat("x", 100)+"\xff\xff\xff\x7fPAR1", "more than 5 MB")
	f("f", "PAR1"+strings.Repeat("x", 100)+"\x50\x00\x00\x00PAR1", "cannot be read")
	read(t, nil, Spec{Key: "f", InputType: "PARQUET", VersionID: "x"}, "States.ItemReaderFailed: A version of a Parquet file cannot be chosen; s3://b/f is read as it is now.")
}

// encoded has a column of each encoding and compression.
type encoded struct {
	Int    int32    `parquet:"int,delta"`
	Long   int64    `parquet:"long,delta,snappy"`
	Text   string   `parquet:"text,delta,gzip"`
	Fixed  [3]byte  `parquet:"fixed,delta"`
	Float  float32  `parquet:"float,split,lz4"`
	Double float64  `parquet:"double,split,brotli"`
	Flag   bool     `parquet:"flag,zstd"`
	Maybe  int64    `parquet:"maybe,optional,delta"` // null if 0
	Many   []string `parquet:"many,list,dict,zstd"`
	Runs   *string  `parquet:"runs,optional,dict,snappy"`
	Block  string   `parquet:"block,lz4"`
}

func encodedRows(n int) (rows []encoded) {
	for i := range n {
		row := encoded{
			Int: int32(i*i) - 50, Long: 1<<62 - int64(i)<<40, Text: fmt.Sprint("text ", i/3, i), Fixed: [3]byte{'a', byte('a' + i%26), 'z'},
			Float: float32(i) / 8, Double: 1 - float64(i)/16, Flag: i%3 == 0, Block: fmt.Sprint(i * 7919 * 104729),
		}
		row.Maybe = int64(i % 4 * i)
		for j := range i % 5 {
			row.Many = append(row.Many, fmt.Sprint("m", j))
		}
		if run := fmt.Sprint("r", i/10); i%20 != 19 {
			row.Runs = &run
		}
		rows = append(rows, row)
	}
	return rows
}

func TestParquetEncodings(t *testing.T) {
	const n = 1000
	var want []string
	for _, row := range encodedRows(n) {
		many, _ := json.Marshal(append([]string{}, row.Many...))
		maybe := fmt.Sprint(row.Maybe)
		if row.Maybe == 0 {
			maybe = "null"
		}
		runs, _ := json.Marshal(row.Runs)
		want = append(want, fmt.Sprintf(`{"int":%d,"long":%d,"text":%q,"fixed":%q,"float":%v,"double":%v,"flag":%t,"maybe":%s,"many":%s,"runs":%s,"block":%q}`,
			row.Int, row.Long, row.Text, row.Fixed, row.Float, row.Double, row.Flag, maybe, many, runs, row.Block))
	}
	for _, version := range []int{1, 2} {
		var b bytes.Buffer
		w := parquet.NewGenericWriter[encoded](&b, parquet.MaxRowsPerRowGroup(300), parquet.PageBufferSize(256), parquet.DataPageVersion(version))
		if _, err := w.Write(encodedRows(n)); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		s := bucket(map[string]string{"f": b.String()})
		spec := Spec{Resource: GetObject, Bucket: "b", Key: "f", InputType: "PARQUET"}
		if got := readAll(s, spec); got != strings.Join(want, "\n") {
			for i, line := range strings.Split(got, "\n") {
				if i >= n || line != want[i] {
					t.Fatalf("version %d, row %d:\n%s\nwant\n%s", version, i+1, line, want[min(i, n-1)])
				}
			}
		}
		items, cursors := some(s, spec, Cursor{}, n)
		for _, k := range []int{0, 1, 17, 298, 299, 300, 640, 998} {
			if rest, _ := some(s, spec, cursors[k], n-k-1); strings.Join(rest, "\n") != strings.Join(items[k+1:], "\n") {
				t.Errorf("version %d: another rest after %d items", version, k+1)
			}
		}
	}
}

// page is a page as it stands in a file, and the header that it claims.
type page struct {
	header schema.PageHeader
	text   string
}

func dataPage(values int32, e schema.Encoding, text string) page {
	h := schema.PageHeader{Type: schema.DataPage, CompressedPageSize: int32(len(text)), UncompressedPageSize: int32(len(text))}
	h.DataPageHeader = thrift.New(schema.DataPageHeader{NumValues: values, Encoding: e, DefinitionLevelEncoding: schema.RLE, RepetitionLevelEncoding: schema.RLE})
	return page{h, text}
}

func dictionaryPage(values int32, text string) page {
	h := schema.PageHeader{Type: schema.DictionaryPage, CompressedPageSize: int32(len(text)), UncompressedPageSize: int32(len(text))}
	h.DictionaryPageHeader = thrift.New(schema.DictionaryPageHeader{NumValues: values})
	return page{h, text}
}

func (p page) claims(unpacked int32) page {
	p.header.UncompressedPageSize = unpacked
	return p
}

// oneColumn is a file with a row group of a column.
func oneColumn(t schema.Type, r schema.FieldRepetitionType, codec schema.CompressionCodec, rows int64, pages ...page) string {
	var protocol thrift.CompactProtocol
	var b bytes.Buffer
	b.WriteString("PAR1")
	for _, p := range pages {
		header, err := thrift.Marshal(&protocol, &p.header)
		if err != nil {
			panic(err)
		}
		b.Write(header)
		b.WriteString(p.text)
	}
	column := schema.ColumnChunk{MetaData: schema.ColumnMetaData{
		Type: t, PathInSchema: []string{"c"}, Codec: codec, NumValues: rows, DataPageOffset: 4,
		TotalCompressedSize: int64(b.Len() - 4), TotalUncompressedSize: int64(b.Len() - 4), Encoding: []schema.Encoding{schema.Plain},
	}}
	footer, err := thrift.Marshal(&protocol, &schema.FileMetaData{
		Version: 2, NumRows: rows,
		Schema: []schema.SchemaElement{
			{Name: "root", NumChildren: thrift.New(int32(1))},
			{Name: "c", Type: thrift.New(t), RepetitionType: thrift.New(r)},
		},
		RowGroups: []schema.RowGroup{{Columns: []schema.ColumnChunk{column}, NumRows: rows}},
	})
	if err != nil {
		panic(err)
	}
	return withFooter(b.String(), string(footer))
}

func withFooter(before, footer string) string {
	return before + footer + string(binary.LittleEndian.AppendUint32(nil, uint32(len(footer)))) + "PAR1"
}

type hostile struct {
	text, want string
	slow       bool
}

// hostileParquet is files that are short and claim much, or refer to the same
// bytes often.
var hostileParquet = sync.OnceValue(func() map[string]hostile {
	length := func(s string) string { return string(binary.LittleEndian.AppendUint32(nil, uint32(len(s)))) + s }
	run := func(n uint64, value string) string { return string(binary.AppendUvarint(nil, n<<1)) + value }
	numbers := func(n ...uint64) (s string) {
		for _, u := range n {
			s += string(binary.AppendUvarint(nil, u))
		}
		return s
	}
	packed := func(c compress.Codec, size int) string {
		b, err := c.Encode(nil, make([]byte, size))
		if err != nil {
			panic(err)
		}
		return string(b)
	}
	const plain = schema.Plain
	levels := func(n int) string { // of n values in a single list
		return length(run(1, "\x00")+run(uint64(n-1), "\x01")) + length(run(uint64(n), "\x01"))
	}
	var endless []page // the elements of a list that does not end
	endless = append(endless, dataPage(maxPageValues, schema.RLEDictionary, levels(maxPageValues)+"\x00"+run(maxPageValues, "")))
	for range 50 {
		l := length(run(maxPageValues, "\x01"))
		endless = append(endless, dataPage(maxPageValues, schema.RLEDictionary, l+l+"\x00"+run(maxPageValues, "")))
	}
	long := length(strings.Repeat("x", 1<<20))
	nested := strings.Repeat("\x1c", 1<<20) // structures, each in field 1 of the one before
	deep := schema.FileMetaData{Schema: []schema.SchemaElement{}}
	for range 50_000 {
		deep.Schema = append(deep.Schema, schema.SchemaElement{Name: "g", NumChildren: thrift.New(int32(1))})
	}
	deepFooter, err := thrift.Marshal(new(thrift.CompactProtocol), &deep)
	if err != nil {
		panic(err)
	}
	return map[string]hostile{
		"fewer values than claimed": {oneColumn(schema.Int64, schema.Required, schema.Uncompressed, 3, dataPage(3, plain, "\x01\x00\x00\x00\x00\x00\x00\x00")),
			`row 2: the Parquet file cannot be read: the page at byte 4, of column "c": it has fewer values than it claims`, false},
		"fewer indices than claimed": {oneColumn(schema.Int32, schema.Required, schema.Uncompressed, 3,
			dictionaryPage(1, "\x01\x00\x00\x00"), dataPage(3, schema.RLEDictionary, "\x01"+run(1, "\x00"))), "row 2: ", false},
		"fewer values in a dictionary": {oneColumn(schema.Int32, schema.Required, schema.Uncompressed, 3,
			dictionaryPage(2, "\x01\x00\x00\x00"), dataPage(3, schema.RLEDictionary, "\x01"+run(3, "\x01"))), "fewer values than it claims", false},
		"an index behind a dictionary": {oneColumn(schema.Int32, schema.Required, schema.Uncompressed, 3,
			dictionaryPage(1, "\x01\x00\x00\x00"), dataPage(3, schema.RLEDictionary, "\x01"+run(3, "\x01"))), "it has the index 1 into a dictionary of 1 values", false},
		"a run of levels": {oneColumn(schema.Int32, schema.Optional, schema.Uncompressed, 9,
			dataPage(9, plain, length(run(1<<31-1, "\x00")))), "EOF", false},
		"a run of indices": {oneColumn(schema.Int32, schema.Required, schema.Uncompressed, 9,
			dictionaryPage(1, "\x01\x00\x00\x00"), dataPage(9, schema.RLEDictionary, "\x00"+run(1<<31-1, ""))), "EOF", false},
		"differences":      {oneColumn(schema.Int64, schema.Required, schema.Uncompressed, 9, dataPage(9, schema.DeltaBinaryPacked, numbers(128, 4, 1<<31-1, 0))), "its 2147483647 differences", false},
		"lengths":          {oneColumn(schema.ByteArray, schema.Required, schema.Uncompressed, 9, dataPage(9, schema.DeltaLengthByteArray, numbers(128, 4, 1<<31-1, 0))), "its 2147483647 differences", false},
		"values":           {oneColumn(schema.Int32, schema.Required, schema.Uncompressed, 9, dataPage(1<<31-1, plain, "")), "it claims to have 2147483647 values", false},
		"uncompressed":     {oneColumn(schema.Int32, schema.Required, schema.Zstd, 9, dataPage(9, plain, "x").claims(1<<31-1)), "have more than 256 MB once decompressed", false},
		"gzip":             {oneColumn(schema.Int32, schema.Required, schema.Gzip, 9, dataPage(9, plain, packed(&parquet.Gzip, 64<<20)).claims(36)), "it has another size", false},
		"zstd":             {oneColumn(schema.Int32, schema.Required, schema.Zstd, 9, dataPage(9, plain, packed(&parquet.Zstd, 64<<20)).claims(36)), "does not decompress from ZSTD", false},
		"brotli":           {oneColumn(schema.Int32, schema.Required, schema.Brotli, 9, dataPage(9, plain, packed(&parquet.Brotli, 1<<20)).claims(36)), "it has another size", false},
		"snappy":           {oneColumn(schema.Int32, schema.Required, schema.Snappy, 9, dataPage(9, plain, "\xff\xff\xff\xff\x0f\x00").claims(36)), "it has another size", false},
		"lz4":              {oneColumn(schema.Int32, schema.Required, schema.Lz4Raw, 9, dataPage(9, plain, "\xff\xff\xff").claims(36)), "does not decompress from LZ4_RAW", false},
		"a list in a page": {oneColumn(schema.Int32, schema.Repeated, schema.Uncompressed, 1, append([]page{dictionaryPage(1, "\x01\x00\x00\x00")}, endless...)...), "the row has more than", true},
		"a long text often": {oneColumn(schema.ByteArray, schema.Repeated, schema.Uncompressed, 1,
			dictionaryPage(1, long), dataPage(100_000, schema.RLEDictionary, levels(100_000)+"\x00"+run(100_000, ""))), "an item can have 8 MB", true},
		"a list in the footer": {withFooter("PAR1", "\x29\xfc"+numbers(1<<30)), "a list claims to have", false},
		"empty columns":        {withFooter("PAR1", "\x49\x1c\x19\xfc"+numbers(2<<20)+strings.Repeat("\x00", 2<<20+2)), "has lists of 2097153 elements", true},
		"nested fields":        {withFooter("PAR1", nested), "nested deeper", true},
		"nested columns":       {withFooter("PAR1", string(deepFooter)), "has a schema of 50000 columns and groups", true},
	}
})

// A file that claims much takes no memory for it.
func TestHostileParquet(t *testing.T) {
	var before, after runtime.MemStats
	for name, h := range hostileParquet() {
		s := bucket(map[string]string{"f": h.text})
		runtime.ReadMemStats(&before)
		items, _ := some(s, Spec{Resource: GetObject, Bucket: "b", Key: "f", InputType: "PARQUET"}, Cursor{}, 100)
		runtime.ReadMemStats(&after)
		taken := int64(after.TotalAlloc-before.TotalAlloc) >> 20
		t.Logf("%s: a file of %d bytes took %d MB", name, len(h.text), taken)
		limit := int64(40)
		if h.slow {
			limit = 2 * maxRowGroup >> 20 // with what has been given back
		}
		if taken > limit {
			t.Errorf("%s: a file of %d bytes took %d MB of memory", name, len(h.text), taken)
		}
		if end := items[len(items)-1]; !strings.Contains(end, h.want) {
			t.Errorf("%s: %.300s\nwant %s", name, end, h.want)
		}
	}
}

// A page that ends too early does not end the items.
func TestParquetEndsOnlyAtItsEnd(t *testing.T) {
	s := bucket(map[string]string{"f": oneColumn(schema.Int32, schema.Required, schema.Gzip, 9, dataPage(9, schema.Plain, "").claims(36))})
	r, err := Open(t.Context(), s, Spec{Resource: GetObject, Bucket: "b", Key: "f", InputType: "PARQUET"}, Cursor{})
	if err == nil {
		defer r.Close()
		_, err = r.Next(t.Context())
	}
	var e *Error
	if !errors.As(err, &e) || errors.Is(err, io.EOF) {
		t.Errorf("%v", err)
	}
}

// What a buffer held before is not seen in a file that is read later.
func TestParquetShowsNoOtherFile(t *testing.T) {
	secret := strings.Repeat("secret-", 1000)
	s := bucket(map[string]string{
		"two": oneColumn(schema.ByteArray, schema.Required, schema.Uncompressed, 1, dataPage(1, schema.Plain, "\x58\x1b\x00\x00"+secret)),
		"cut": oneColumn(schema.Int64, schema.Required, schema.Uncompressed, 100, dataPage(100, schema.Plain, "12345678")),
	})
	spec := Spec{Resource: GetObject, Bucket: "b", Key: "two", InputType: "PARQUET"}
	if got := readAll(s, spec); got != `{"c":"`+secret+`"}` {
		t.Fatalf("%.300s", got)
	}
	for range 100 {
		spec.Key = "cut"
		if items, cursors := some(s, spec, Cursor{}, 200); len(cursors) != 1 {
			t.Fatalf("%d items, %.300s", len(cursors), items)
		}
	}
}

// Damage is an error, whatever it claims: no panic, no memory for what is not there,
// and a cursor still leads to the same rest.
func TestDamagedParquet(t *testing.T) {
	const seed = 1
	r := rand.New(rand.NewPCG(seed, 2))
	seeds := []string{parquetOf(smallRows(20), 7), parquetOf([]sensor{{ID: 1, Tags: []string{"x"}, Visits: []place{{}, {}}}, {}}, 7)}
	var before, after runtime.MemStats
	for n := range 1000 {
		b := []byte(seeds[n%2])
		for range 1 + r.IntN(3) {
			b[r.IntN(len(b))] = byte(r.Uint32())
		}
		runtime.ReadMemStats(&before)
		fuzz(t, string(b), uint8(n), Spec{InputType: "PARQUET"})
		if runtime.ReadMemStats(&after); after.TotalAlloc-before.TotalAlloc > 300<<20 {
			t.Fatalf("seed %d, file %d took %d MB of memory", seed, n, (after.TotalAlloc-before.TotalAlloc)>>20)
		}
	}
}

func BenchmarkParquet(b *testing.B) {
	s := bucket(map[string]string{"f": parquetOf(smallRows(100_000), 50_000)})
	spec := Spec{Resource: GetObject, Bucket: "b", Key: "f", InputType: "PARQUET"}
	benchmark(b, s, spec)
}
