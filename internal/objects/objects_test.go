package objects

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var ctx = context.Background()

// stores runs a test on every kind of store, each with a bucket "b" and no other.
func stores(t *testing.T, test func(t *testing.T, s Store)) {
	t.Run("directory", func(t *testing.T) { test(t, openDir(t)) })
	t.Run("memory", func(t *testing.T) { test(t, NewMemory(nil, "b")) })
	t.Run("s3", func(t *testing.T) { test(t, openFakeS3(t).store) })
}

func openDir(t *testing.T) *Dir {
	t.Helper()
	d, err := OpenDir(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	if err := d.MakeBucket("b"); err != nil {
		t.Fatal(err)
	}
	return d
}

func ref(key string) Ref { return Ref{Bucket: "b", Key: key} }

func put(t *testing.T, s Store, key, text string) Info {
	t.Helper()
	w, err := s.Create(ctx, ref(key))
	if err != nil {
		t.Fatal(err)
	}
	defer w.Abort()
	if _, err := io.WriteString(w, text); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return w.Info()
}

func get(t *testing.T, s Store, ref Ref, offset int64) string {
	t.Helper()
	r, _, err := s.Open(ctx, ref, offset)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	text, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func keys(t *testing.T, s Store, prefix, after string) []string {
	t.Helper()
	var list []string
	for info, err := range s.List(ctx, ref(""), prefix, after) {
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, info.Key)
	}
	return list
}

// awkward are keys that file systems, URLs or XML could take for something else.
var awkward = []string{
	"a", "a/b", "a/b/c", "a//b", "/a", "//", "a/", ".", "..", "../x", "a/../b", "./a", "a/.", "..." + strings.Repeat("/..", 9),
	"a-b", "a.b", "a b", "a+b", "a%41", "A%", "%", "%_", "%f", "a%f", "a%+", "a%i", "\x01\x02", "tab\there", "new\nline",
	`back\slash`, "C:", "x:y", `q"<>|?*`, "é", "日本", "\U0001F600", "e\u0301", " lead", "trail ", "dot.", "&amp;<x>",
	".tmp", ".meta", ".meta/b", strings.Repeat("x", 1024), strings.Repeat("y", 200), strings.Repeat("y", 201), strings.Repeat("y", 200) + "/z",
	strings.Repeat("y", 200) + "-z", strings.Repeat("日", 341), strings.Repeat("%", 300),
}

func TestAnyKeyComesBack(t *testing.T) {
	stores(t, func(t *testing.T, s Store) {
		for _, key := range awkward {
			put(t, s, key, "text of "+key)
		}
		for _, key := range awkward {
			if got := get(t, s, ref(key), 0); got != "text of "+key {
				t.Errorf("%.50q has %.50q", key, got)
			}
		}
		want := slices.Sorted(slices.Values(awkward))
		if diff := cmp.Diff(want, keys(t, s, "", "")); diff != "" {
			t.Errorf("list: %s", diff)
		}
		for _, after := range awkward {
			i := slices.Index(want, after)
			if got := keys(t, s, "", after); !slices.Equal(got, want[i+1:]) {
				t.Errorf("after %.50q: %.300q", after, got)
			}
			var begins []string
			for _, key := range want {
				if strings.HasPrefix(key, after) {
					begins = append(begins, key)
				}
			}
			if got := keys(t, s, after, ""); !slices.Equal(got, begins) {
				t.Errorf("prefix %.50q: %.300q\nwant %.300q", after, got, begins)
			}
		}
		for i, key := range want {
			if err := s.Delete(ctx, ref(key)); err != nil {
				t.Fatal(err)
			}
			if got := keys(t, s, "", ""); !slices.Equal(got, want[i+1:]) {
				t.Fatalf("after deleting %.50q: %.300q", key, got)
			}
		}
	})
}

func TestReading(t *testing.T) {
	stores(t, func(t *testing.T, s Store) {
		put(t, s, "k", "0123456789")
		put(t, s, "empty", "")
		for offset, want := range map[int64]string{0: "0123456789", 4: "456789", 10: "", 99: ""} {
			if got := get(t, s, ref("k"), offset); got != want {
				t.Errorf("from %d: %q", offset, got)
			}
		}
		if got := get(t, s, ref("empty"), 0); got != "" {
			t.Errorf("empty: %q", got)
		}
		at := func(offset int64, n int, want string, end error) {
			t.Helper()
			p := make([]byte, n)
			got, err := s.ReadAt(ctx, ref("k"), p, offset)
			if string(p[:got]) != want || err != end {
				t.Errorf("%d bytes at %d: %q, %v", n, offset, p[:got], err)
			}
		}
		at(0, 3, "012", nil)
		at(7, 3, "789", nil)
		at(8, 9, "89", io.EOF)
		at(10, 1, "", io.EOF)
		at(50, 1, "", io.EOF)
	})
}

func TestInfo(t *testing.T) {
	stores(t, func(t *testing.T, s Store) {
		w := put(t, s, "k", "hello")
		head, err := s.Head(ctx, ref("k"))
		if err != nil {
			t.Fatal(err)
		}
		if head.ETag != "5d41402abc4b2a76b9719d911017c592" || head.Size != 5 || head.StorageClass != "STANDARD" || head.LastModified.IsZero() {
			t.Errorf("head: %+v", head)
		}
		if w.ETag != head.ETag || w.Size != 5 || w.Key != "k" {
			t.Errorf("writer: %+v", w)
		}
		for info := range s.List(ctx, ref(""), "", "") {
			if info.ETag != head.ETag || info.Size != 5 || info.LastModified.Unix() != head.LastModified.Unix() {
				t.Errorf("list: %+v, head: %+v", info, head)
			}
		}
	})
}

func TestPins(t *testing.T) {
	stores(t, func(t *testing.T, s Store) {
		pinned := ref("k")
		pinned.ETag = put(t, s, "k", "one").ETag
		if got := get(t, s, pinned, 1); got != "ne" {
			t.Errorf("pinned: %q", got)
		}
		put(t, s, "k", "two")
		_, err := s.Head(ctx, pinned)
		_, _, err2 := s.Open(ctx, pinned, 0)
		_, err3 := s.ReadAt(ctx, pinned, make([]byte, 1), 0)
		for _, err := range []error{err, err2, err3} {
			if !errors.Is(err, ErrChanged) {
				t.Errorf("the object has changed: %v", err)
			}
		}
	})
}

func TestErrorsSayWhatAndWhere(t *testing.T) {
	stores(t, func(t *testing.T, s Store) {
		f := func(act string, err error, is error, want string) {
			t.Helper()
			if !errors.Is(err, is) || !strings.Contains(err.Error(), want) || !strings.HasSuffix(strings.SplitN(err.Error(), ": ", 2)[0], " in "+s.String()) {
				t.Errorf("%s: %v", act, err)
			}
		}
		_, _, err := s.Open(ctx, ref("none"), 0)
		f("open", err, ErrNotFound, "read s3://b/none in ")
		_, _, err = s.Open(ctx, Ref{Bucket: "none", Key: "k"}, 0)
		f("open", err, ErrNotFound, "there is no such bucket")
		_, err = s.ReadAt(ctx, ref("none"), make([]byte, 1), 0)
		f("read", err, ErrNotFound, "there is no such object")
		_, err = s.Head(ctx, ref("none"))
		f("head", err, ErrNotFound, "look at s3://b/none in ")
		for _, err := range s.List(ctx, Ref{Bucket: "none"}, "p", "") {
			f("list", err, ErrNotFound, "list s3://none/p in ")
		}
		w, err := s.Create(ctx, Ref{Bucket: "none", Key: "k"})
		if err == nil {
			err = w.Close()
		}
		f("write", err, ErrNotFound, "write s3://none/k in ")
		f("delete", s.Delete(ctx, Ref{Bucket: "none", Key: "k"}), ErrNotFound, "there is no such bucket")
		if err := s.Delete(ctx, ref("none")); err != nil {
			t.Errorf("deleting what is not there: %v", err)
		}
		for _, key := range []string{"", "\xff", strings.Repeat("x", 1025)} {
			if _, err := s.Create(ctx, ref(key)); err == nil {
				t.Errorf("%.20q was taken as a key", key)
			}
		}
	})
}

// An object is there whole once its writer has been closed, and not before.
func TestWritersAreAllOrNothing(t *testing.T) {
	stores(t, func(t *testing.T, s Store) {
		w, err := s.Create(ctx, ref("k"))
		if err != nil {
			t.Fatal(err)
		}
		large := strings.Repeat("0123456789abcdef", partSize/16) + "tail"
		if _, err := io.WriteString(w, large); err != nil {
			t.Fatal(err)
		}
		if got := keys(t, s, "", ""); len(got) > 0 {
			t.Errorf("before the end there is %q", got)
		}
		w.Abort()
		if err := w.Close(); err == nil {
			t.Error("an aborted writer was closed without an error")
		}
		if got := keys(t, s, "", ""); len(got) > 0 {
			t.Errorf("after Abort there is %q", got)
		}
		if put(t, s, "k", large); get(t, s, ref("k"), partSize-2) != "eftail" {
			t.Error("a large object is not what was written")
		}

		ending, cancel := context.WithCancel(ctx)
		w, err = s.Create(ending, ref("k2"))
		if err != nil {
			t.Fatal(err)
		}
		io.WriteString(w, "x")
		cancel()
		if err := w.Close(); !errors.Is(err, context.Canceled) {
			t.Errorf("closed after the context ended: %v", err)
		}
		if got := keys(t, s, "k2", ""); len(got) > 0 {
			t.Errorf("after the context ended there is %q", got)
		}
	})
}

// Reading stays with the state it began with.
func TestReadersKeepTheirState(t *testing.T) {
	for _, s := range []Store{openDir(t), NewMemory(nil, "b")} {
		put(t, s, "k", "first")
		r, _, err := s.Open(ctx, ref("k"), 0)
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		put(t, s, "k", "other")
		if text, err := io.ReadAll(r); string(text) != "first" || err != nil {
			t.Errorf("%s: %q, %v", s, text, err)
		}
	}
}

func TestFilesPutThereByHand(t *testing.T) {
	dir := t.TempDir()
	d, err := OpenDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	write := func(name, text string, age time.Duration) {
		t.Helper()
		name = filepath.Join(dir, name)
		os.MkdirAll(filepath.Dir(name), 0o777)
		if err := os.WriteFile(name, []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
		when := time.Now().Add(-age)
		os.Chtimes(name, when, when)
	}
	write("b/data/x.csv", "hello", time.Hour)
	write("b/100%.txt", "no key has this path", time.Hour)
	if got := keys(t, d, "", ""); !slices.Equal(got, []string{"data/x.csv"}) {
		t.Errorf("list: %q", got)
	}
	pinned := ref("data/x.csv")
	head, err := d.Head(ctx, pinned)
	if err != nil || head.ETag != "5d41402abc4b2a76b9719d911017c592" {
		t.Errorf("head: %+v, %v", head, err)
	}
	if _, err := os.Stat(filepath.Join(dir, metaFolder, "b", "data", "x.csv"+metaSuffix)); err != nil {
		t.Error("the ETag is not kept")
	}
	pinned.ETag = head.ETag
	write("b/data/x.csv", "HELLO", time.Minute)
	if _, err := d.Head(ctx, pinned); !errors.Is(err, ErrChanged) {
		t.Errorf("the file was written over: %v", err)
	}
	// A file where a key has a folder steps aside.
	put(t, d, "data/x.csv/y", "z")
	if got := get(t, d, ref("data/x.csv"), 0); got != "HELLO" {
		t.Errorf("after a folder of its name came: %q", got)
	}
	// A link that leads out of the directory leads nowhere.
	outside := filepath.Join(t.TempDir(), "secret")
	os.WriteFile(outside, []byte("secret"), 0o666)
	if err := os.Symlink(outside, filepath.Join(dir, "b", "link")); err != nil {
		t.Skipf("links cannot be made here: %v", err)
	}
	if r, _, err := d.Open(ctx, ref("link"), 0); err == nil {
		r.Close()
		t.Error("a link leads out of the directory")
	}
}

// A file that is written over in place while it is read is noticed.
func TestFileWrittenOver(t *testing.T) {
	d := openDir(t)
	put(t, d, "k", "first")
	r, _, err := d.Open(ctx, ref("k"), 0)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if err := os.WriteFile(d.Path(ref("k")), []byte("longer than first"), 0o666); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadAll(r); !errors.Is(err, ErrChanged) {
		t.Errorf("got %v", err)
	}
}

func TestLeftoversAreRemoved(t *testing.T) {
	dir := t.TempDir()
	d, err := OpenDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := d.MakeBucket("b"); err != nil {
		t.Fatal(err)
	}
	w, err := d.Create(ctx, ref("k"))
	if err != nil {
		t.Fatal(err)
	}
	io.WriteString(w, "half")
	d.Close() // as if the process had died
	d, err = OpenDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	if left, _ := os.ReadDir(filepath.Join(dir, tmpFolder)); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestBucketNames(t *testing.T) {
	d := openDir(t)
	for _, name := range []string{"", ".", "..", ".tmp", "a/b", `a\b`, "a\x00", strings.Repeat("a", 256), "ä"} {
		if err := d.MakeBucket(name); err == nil {
			t.Errorf("%.20q was taken as a bucket", name)
		}
		if _, err := d.Create(ctx, Ref{Bucket: name, Key: "k"}); err == nil {
			t.Errorf("%.20q was taken as a bucket", name)
		}
	}
}

func TestOpen(t *testing.T) {
	dir := t.TempDir()
	f := func(where, want string) {
		t.Helper()
		s, err := Open(ctx, where, Options{Dir: filepath.Join(dir, "default"), Region: "eu-west-1"})
		got := ""
		if err != nil {
			got = err.Error()
		} else {
			got = s.String()
		}
		if got != want {
			t.Errorf("%q: %s", where, got)
		}
	}
	for _, name := range []string{"AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"} {
		t.Setenv(name, "")
	}
	f("", "directory "+filepath.Join(dir, "default"))
	f(filepath.Join(dir, "other"), "directory "+filepath.Join(dir, "other"))
	f("s3", "Amazon S3 in eu-west-1")
	f("http://localhost:9000/base", "S3 at http://localhost:9000/base")
	f("http://key:secret@localhost:9000", "the endpoint of S3 at localhost:9000 has credentials in its URL: put them where AWS's tools look for them, such as AWS_ACCESS_KEY_ID")
	f("ftp://x:secret@y", "objects are kept in a directory, in s3 or at a URL with http or https, not at another kind of URL")
	t.Setenv("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:1")
	f("s3", "S3 at http://127.0.0.1:1")
}

func FuzzKeys(f *testing.F) {
	for _, key := range awkward {
		f.Add(key)
	}
	f.Fuzz(func(t *testing.T, key string) {
		if checkKey(key) != nil {
			return
		}
		path := pathOf(key)
		if !filepath.IsLocal(filepath.FromSlash(path)) || strings.ContainsAny(path, "\x00\\:") {
			t.Fatalf("the path of %q is %q", key, path)
		}
		back, part := "", ""
		names := strings.Split(path, "/")
		for i, name := range names {
			if len(name) > 255 {
				t.Fatalf("%q has a name of %d bytes", path, len(name))
			}
			dir := i < len(names)-1
			text, more, ok := entryName(name, dir)
			if !ok {
				t.Fatalf("%q in the path of %q stands for nothing", name, key)
			}
			if part += text; !more && dir {
				part += "/"
			}
			back = part
		}
		if back != key {
			t.Fatalf("%q came back as %q", key, back)
		}
	})
}

func BenchmarkDirList(b *testing.B) {
	d, err := OpenDir(b.TempDir())
	if err != nil {
		b.Fatal(err)
	}
	defer d.Close()
	d.MakeBucket("b")
	for i := range 1000 {
		w, _ := d.Create(ctx, ref(fmt.Sprint("k", i)))
		w.Close()
	}
	b.ResetTimer()
	for b.Loop() {
		for range d.List(ctx, ref(""), "", "") {
		}
	}
}
