package items

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/parquet-go/parquet-go"
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
