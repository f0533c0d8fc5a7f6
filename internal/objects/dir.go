package objects

import (
	"bufio"
	"cmp"
	"context"
	"crypto/md5"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"iter"
	"math/rand/v2"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Dir keeps objects as files: a bucket is a folder under the root, and a key is
// a path in it, escaped where a file system would not take it. Files that were
// put there by hand are objects like any other; making a bucket is making a
// folder. A Dir is for one process at a time.
//
// Beside the buckets are .tmp, which has what is being written, and .meta, which
// has for each object a small file with its ETag and what the file looked like
// when it was computed. It is trusted only while the file still looks like that.
// No key leads out of the root, and no symbolic link does.
type Dir struct {
	root  *os.Root
	where string
	names sync.Mutex // held while files and folders get names or lose them
}

const (
	tmpFolder  = ".tmp"
	metaFolder = ".meta"
	metaSuffix = "%i"
)

// OpenDir opens the directory at path, and makes it if need be. Half-written
// objects that an earlier process left are removed.
func OpenDir(path string) (*Dir, error) {
	if path == "" {
		return nil, errors.New("open directory of objects: no path is given")
	}
	if err := os.MkdirAll(path, 0o777); err != nil {
		return nil, fmt.Errorf("open directory of objects: %w", err)
	}
	root, err := os.OpenRoot(path)
	if err != nil {
		return nil, fmt.Errorf("open directory of objects: %w", err)
	}
	d := &Dir{root: root, where: path}
	if err = root.RemoveAll(tmpFolder); err == nil {
		err = root.Mkdir(tmpFolder, 0o777)
	}
	if err != nil {
		root.Close()
		return nil, fmt.Errorf("open directory of objects %s: %w", path, err)
	}
	return d, nil
}

// Close gives the directory back. Readers and writers that are open stay usable
// for what they have, but nothing new can be opened.
func (d *Dir) Close() error { return d.root.Close() }

// String names the directory.
func (d *Dir) String() string { return "directory " + d.where }

// MakeBucket makes a bucket; one that is there already stays as it is.
func (d *Dir) MakeBucket(name string) error {
	if err := checkBucket(name); err != nil {
		return fmt.Errorf("make bucket in %s: %w", d, err)
	}
	if err := d.root.Mkdir(name, 0o777); err != nil && !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("make bucket %s in %s: %w", name, d, err)
	}
	return d.sync(".")
}

// Root is the path of the directory.
func (d *Dir) Root() string { return d.where }

// Bucket is a bucket of a Dir.
type Bucket struct {
	Name string
	Made time.Time // or changed: file systems keep no other time
}

// Buckets lists the buckets by name.
func (d *Dir) Buckets() ([]Bucket, error) {
	f, err := d.root.Open(".")
	if err != nil {
		return nil, fmt.Errorf("list buckets in %s: %w", d, err)
	}
	defer f.Close()
	entries, err := f.ReadDir(-1)
	if err != nil {
		return nil, fmt.Errorf("list buckets in %s: %w", d, err)
	}
	var list []Bucket
	for _, e := range entries {
		if st, err := e.Info(); err == nil && e.IsDir() && checkBucket(e.Name()) == nil {
			list = append(list, Bucket{e.Name(), st.ModTime()})
		}
	}
	slices.SortFunc(list, func(a, b Bucket) int { return cmp.Compare(a.Name, b.Name) })
	return list, nil
}

// HasBucket says whether there is a bucket of that name.
func (d *Dir) HasBucket(name string) bool {
	if checkBucket(name) != nil {
		return false
	}
	st, err := d.root.Stat(name)
	return err == nil && st.IsDir()
}

// RemoveBucket removes a bucket that has no objects; one with objects stays as it
// is, and so does what is in it.
func (d *Dir) RemoveBucket(name string) error {
	if err := checkBucket(name); err != nil {
		return fmt.Errorf("remove bucket from %s: %w", d, err)
	}
	d.names.Lock()
	defer d.names.Unlock()
	if err := d.root.Remove(name); err != nil {
		return fmt.Errorf("remove bucket %s from %s: %w", name, d, err)
	}
	return d.sync(".")
}

// Head tells of an object.
func (d *Dir) Head(ctx context.Context, ref Ref) (Info, error) {
	f, info, err := d.open(ctx, ref)
	if err != nil {
		return Info{}, failed(d, "look at", ref, err)
	}
	f.Close()
	return info, nil
}

// Open reads an object; see Store.
func (d *Dir) Open(ctx context.Context, ref Ref, offset int64) (io.ReadCloser, Info, error) {
	f, info, err := d.open(ctx, ref)
	if err == nil {
		_, err = f.Seek(offset, io.SeekStart)
		if err != nil {
			f.Close()
		}
	}
	if err != nil {
		return nil, Info{}, failed(d, "read", ref, err)
	}
	return &dirReader{d: d, ctx: ctx, ref: ref, f: f, info: info}, info, nil
}

// ReadAt reads a part of an object; see Store.
func (d *Dir) ReadAt(ctx context.Context, ref Ref, p []byte, offset int64) (int, error) {
	f, _, err := d.open(ctx, ref)
	if err != nil {
		return 0, failed(d, "read", ref, err)
	}
	defer f.Close()
	n, err := f.ReadAt(p, offset)
	if err != nil && err != io.EOF {
		err = failed(d, "read", ref, err)
	}
	return n, err
}

// open finds the object's file and what is known of it.
func (d *Dir) open(ctx context.Context, ref Ref) (*os.File, Info, error) {
	if err := errors.Join(ctx.Err(), checkBucket(ref.Bucket), checkKey(ref.Key)); err != nil {
		return nil, Info{}, err
	}
	if err := ref.unversioned(); err != nil {
		return nil, Info{}, err
	}
	f, err := d.find(ref.Bucket, ref.Key)
	if err != nil {
		return nil, Info{}, err
	}
	info, err := d.info(ctx, f, ref.Bucket, ref.Key)
	if err == nil {
		err = ref.check(info)
	}
	if err != nil {
		f.Close()
		return nil, Info{}, err
	}
	return f, info, nil
}

// find opens an object's file, which has one of two names.
func (d *Dir) find(bucket, key string) (*os.File, error) {
	name := path.Join(bucket, pathOf(key))
	for _, name := range []string{name, name + besideDir} {
		f, err := d.root.Open(name)
		if err == nil {
			if st, err := f.Stat(); err == nil && st.Mode().IsRegular() {
				return f, nil
			}
			f.Close()
		} else if !isAbsent(err) {
			return nil, err
		}
	}
	if st, err := d.root.Stat(bucket); err != nil || !st.IsDir() {
		return nil, ErrNoBucket
	}
	return nil, errNoKey
}

func isAbsent(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR)
}

// meta is what .meta keeps of an object.
type meta struct {
	ETag  string `json:"etag"`
	Size  int64  `json:"size"`
	MTime int64  `json:"mtime"` // of the file that the ETag belongs to, in ns

	Headers map[string]string `json:"headers,omitempty"`
}

// settled is how long a file must have been left alone before the ETag computed
// from it is kept: within a tick of the file system's clock it could change
// and still look the same.
const settled = 2 * time.Second

func (d *Dir) info(ctx context.Context, f *os.File, bucket, key string) (Info, error) {
	st, err := f.Stat()
	if err != nil {
		return Info{}, err
	}
	info := Info{Key: key, Size: st.Size(), LastModified: st.ModTime(), StorageClass: "STANDARD"}
	var m meta
	text, err := d.root.ReadFile(metaPath(bucket, key))
	if err == nil && json.Unmarshal(text, &m) == nil && m.Size == st.Size() && m.MTime == st.ModTime().UnixNano() {
		info.ETag, info.Headers = m.ETag, m.Headers
		return info, nil
	}
	h := md5.New()
	if _, err := io.Copy(h, &ctxReader{ctx, io.NewSectionReader(f, 0, st.Size())}); err != nil {
		return Info{}, err
	}
	info.ETag = hex.EncodeToString(h.Sum(nil))
	if time.Since(st.ModTime()) > settled {
		d.keep(bucket, key, meta{ETag: info.ETag, Size: info.Size, MTime: st.ModTime().UnixNano()})
	}
	return info, nil
}

func metaPath(bucket, key string) string {
	return path.Join(metaFolder, bucket, pathOf(key)+metaSuffix)
}

// keep writes what is known of an object. It saves computing and is checked when
// it is read, so it may fail and need not be durable.
func (d *Dir) keep(bucket, key string, m meta) {
	text, err := json.Marshal(m)
	if err != nil {
		return
	}
	name, tmp := metaPath(bucket, key), tmpName()
	if d.root.MkdirAll(path.Dir(name), 0o777) != nil {
		return
	}
	if d.root.WriteFile(tmp, text, 0o666) != nil || d.root.Rename(tmp, name) != nil {
		d.root.Remove(tmp)
	}
}

func tmpName() string {
	return path.Join(tmpFolder, strconv.FormatUint(rand.Uint64(), 36))
}

type ctxReader struct {
	ctx context.Context
	r   io.Reader
}

func (r *ctxReader) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.r.Read(p)
}

// dirReader stays with the file that was opened, also when another takes its
// name. A file that is written over in place is noticed at its end.
type dirReader struct {
	d    *Dir
	ctx  context.Context
	ref  Ref
	f    *os.File
	info Info
}

func (r *dirReader) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	n, err := r.f.Read(p)
	if err == io.EOF {
		st, serr := r.f.Stat()
		if serr == nil && (st.Size() != r.info.Size || !st.ModTime().Equal(r.info.LastModified)) {
			err = &kind{"the file was written over while it was read", ErrChanged}
		}
	}
	if err != nil && err != io.EOF {
		err = failed(r.d, "read", r.ref, err)
	}
	return n, err
}

func (r *dirReader) Close() error { return r.f.Close() }

// Create begins an object; see Store.
func (d *Dir) Create(ctx context.Context, ref Ref) (Writer, error) {
	return d.CreateWith(ctx, ref, nil)
}

// CreateWith is Create with headers that Info gives back.
func (d *Dir) CreateWith(ctx context.Context, ref Ref, headers map[string]string) (Writer, error) {
	err := errors.Join(ctx.Err(), checkBucket(ref.Bucket), checkKey(ref.Key))
	if err == nil {
		if st, serr := d.root.Stat(ref.Bucket); serr != nil || !st.IsDir() {
			err = ErrNoBucket
		}
	}
	w := &dirWriter{d: d, ctx: ctx, ref: ref, tmp: tmpName(), hash: md5.New(), headers: headers}
	if err == nil {
		w.f, err = d.root.OpenFile(w.tmp, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o666)
	}
	if err != nil {
		return nil, failed(d, "write", ref, err)
	}
	w.buf = bufio.NewWriterSize(io.MultiWriter(w.f, w.hash), 256<<10)
	return w, nil
}

type dirWriter struct {
	d    *Dir
	ctx  context.Context
	ref  Ref
	tmp  string
	f    *os.File // nil when it has ended
	buf  *bufio.Writer
	hash hash.Hash
	info Info

	headers map[string]string
}

var errEnded = errors.New("the writer has been closed or aborted")

func (w *dirWriter) Write(p []byte) (int, error) {
	err := w.ctx.Err()
	if w.f == nil {
		err = errEnded
	}
	if err != nil {
		return 0, failed(w.d, "write", w.ref, err)
	}
	n, err := w.buf.Write(p)
	return n, failed(w.d, "write", w.ref, err)
}

func (w *dirWriter) Close() error {
	if w.f == nil {
		return failed(w.d, "write", w.ref, errEnded)
	}
	defer w.Abort()
	if err := errors.Join(w.ctx.Err(), w.buf.Flush()); err != nil {
		return failed(w.d, "write", w.ref, err)
	}
	if err := w.f.Sync(); err != nil {
		return failed(w.d, "write", w.ref, err)
	}
	st, err := w.f.Stat()
	if err == nil {
		err = w.f.Close()
	}
	if err != nil {
		return failed(w.d, "write", w.ref, err)
	}
	info := Info{Key: w.ref.Key, Size: st.Size(), ETag: hex.EncodeToString(w.hash.Sum(nil)),
		LastModified: st.ModTime(), StorageClass: "STANDARD", Headers: w.headers}
	w.d.keep(w.ref.Bucket, w.ref.Key, meta{info.ETag, info.Size, st.ModTime().UnixNano(), w.headers})
	if err := w.d.place(w.tmp, w.ref); err != nil {
		return failed(w.d, "write", w.ref, err)
	}
	w.f, w.info = nil, info
	return nil
}

func (w *dirWriter) Abort() {
	if w.f != nil {
		w.f.Close()
		w.d.root.Remove(w.tmp)
		w.f = nil
	}
}

func (w *dirWriter) Info() Info { return w.info }

// place gives a finished file its name, and makes the folders on the way durable
// with it.
func (d *Dir) place(tmp string, ref Ref) error {
	d.names.Lock()
	defer d.names.Unlock()
	folder, name := path.Split(pathOf(ref.Key))
	at, err := d.folders(ref.Bucket, strings.Split(strings.TrimSuffix(folder, "/"), "/"))
	if err != nil {
		return err
	}
	to := path.Join(at, name)
	if st, err := d.root.Lstat(to); err == nil && st.IsDir() {
		to += besideDir
	} else if _, err := d.root.Lstat(to + besideDir); err == nil {
		to += besideDir
	}
	if err := d.root.Rename(tmp, to); err != nil {
		return err
	}
	return d.sync(at)
}

// folders makes the folders of a path below a bucket. A file in their place
// steps aside, to its other name.
func (d *Dir) folders(at string, parts []string) (string, error) {
	for _, part := range parts {
		if part == "" {
			continue
		}
		parent := at
		at = path.Join(at, part)
		st, err := d.root.Stat(at)
		if err == nil && st.IsDir() {
			continue
		}
		if err == nil {
			if err := d.root.Rename(at, at+besideDir); err != nil {
				return "", err
			}
		}
		if err := d.root.Mkdir(at, 0o777); err != nil {
			return "", err
		}
		if err := d.sync(parent); err != nil {
			return "", err
		}
	}
	return at, nil
}

// sync makes the names in a folder durable. Windows has no such call and keeps
// them in the order of its journal.
func (d *Dir) sync(folder string) error {
	if runtime.GOOS == "windows" {
		return nil
	}
	f, err := d.root.Open(folder)
	if err != nil {
		return err
	}
	defer f.Close()
	return f.Sync()
}

// Delete removes an object, and the folders that have become empty with it.
func (d *Dir) Delete(ctx context.Context, ref Ref) error {
	if err := errors.Join(ctx.Err(), checkBucket(ref.Bucket), checkKey(ref.Key)); err != nil {
		return failed(d, "delete", ref, err)
	}
	return failed(d, "delete", ref, d.remove(ref))
}

func (d *Dir) remove(ref Ref) error {
	if err := ref.unversioned(); err != nil {
		return err
	}
	d.names.Lock()
	defer d.names.Unlock()
	if st, err := d.root.Stat(ref.Bucket); err != nil || !st.IsDir() {
		return ErrNoBucket
	}
	name := path.Join(ref.Bucket, pathOf(ref.Key))
	gone := false
	for _, name := range []string{name, name + besideDir} {
		if st, err := d.root.Lstat(name); err != nil || st.IsDir() {
			continue
		}
		if err := d.root.Remove(name); err != nil {
			return err
		}
		gone = true
	}
	d.root.Remove(metaPath(ref.Bucket, ref.Key))
	if !gone {
		return nil
	}
	at := path.Dir(name)
	for ; at != ref.Bucket; at = path.Dir(at) {
		if d.root.Remove(at) != nil {
			break // it has other entries
		}
		d.root.Remove(path.Join(metaFolder, at))
	}
	return d.sync(at)
}

// List goes through a bucket in the order of keys; see Store. It holds the names
// of the folders it is in, nothing else.
func (d *Dir) List(ctx context.Context, ref Ref, prefix, after string) iter.Seq2[Info, error] {
	return func(yield func(Info, error) bool) {
		err := errors.Join(ctx.Err(), checkBucket(ref.Bucket))
		if err == nil {
			if st, serr := d.root.Stat(ref.Bucket); serr != nil || !st.IsDir() {
				err = ErrNoBucket
			}
		}
		if err == nil {
			l := &listing{d, ctx, ref.Bucket, prefix, after, yield}
			_, err = l.folder(ref.Bucket, "")
		}
		if err != nil {
			yield(Info{}, failed(d, "list", Ref{Bucket: ref.Bucket, Key: prefix}, err))
		}
	}
}

type listing struct {
	d             *Dir
	ctx           context.Context
	bucket        string
	prefix, after string
	yield         func(Info, error) bool
}

// entry is a file, or a folder of keys that begin with key.
type entry struct {
	key    string // of a folder with the slash
	path   string
	folder bool
}

// folder lists what is in a folder whose keys begin with key; it returns false
// when no more is wanted.
func (l *listing) folder(at, key string) (bool, error) {
	entries, err := l.read(nil, at, key)
	if err != nil {
		return false, err
	}
	slices.SortFunc(entries, func(a, b entry) int { return cmp.Or(cmp.Compare(a.key, b.key), cmp.Compare(a.path, b.path)) })
	for _, e := range entries {
		if err := l.ctx.Err(); err != nil {
			return false, err
		}
		more := true
		if e.folder {
			more, err = l.folder(e.path, e.key)
		} else {
			more, err = l.file(e)
		}
		if err != nil || !more {
			return false, err
		}
	}
	return true, nil
}

// read collects the entries of a folder that can have keys in question; those of
// folders that only continue a long name count as its own.
func (l *listing) read(entries []entry, at, key string) ([]entry, error) {
	f, err := l.d.root.Open(at)
	if err != nil {
		if isAbsent(err) {
			return entries, nil // removed meanwhile
		}
		return nil, err
	}
	defer f.Close()
	for {
		batch, err := f.ReadDir(1024)
		for _, e := range batch {
			part, continues, ok := entryName(e.Name(), e.IsDir())
			full := key + part
			if e.IsDir() && !continues {
				full += "/"
			}
			if !ok || len(full) > maxKey || !l.wanted(full, e.IsDir()) {
				continue
			}
			path := path.Join(at, e.Name())
			switch {
			case continues:
				if entries, err = l.read(entries, path, full); err != nil {
					return nil, err
				}
			case e.IsDir():
				entries = append(entries, entry{full, path, true})
			case strings.TrimSuffix(path, besideDir) == l.bucket+"/"+pathOf(full):
				entries = append(entries, entry{full, path, false})
			}
		}
		if err == io.EOF {
			return entries, nil
		}
		if err != nil {
			return nil, err
		}
	}
}

// wanted says whether key, or a key that begins with it, is listed.
func (l *listing) wanted(key string, begins bool) bool {
	if begins {
		return (strings.HasPrefix(key, l.prefix) || strings.HasPrefix(l.prefix, key)) &&
			(key > l.after || strings.HasPrefix(l.after, key))
	}
	return strings.HasPrefix(key, l.prefix) && key > l.after
}

func (l *listing) file(e entry) (bool, error) {
	f, err := l.d.find(l.bucket, e.key)
	if errors.Is(err, ErrNotFound) {
		return true, nil // removed meanwhile, or not a file
	}
	if err != nil {
		return false, err
	}
	info, err := l.d.info(l.ctx, f, l.bucket, e.key)
	f.Close()
	if err != nil {
		return false, err
	}
	return l.yield(info, nil), nil
}

// Path is where an object's file is or would be, for messages and for those who
// look into the directory.
func (d *Dir) Path(ref Ref) string {
	return filepath.Join(d.where, ref.Bucket, filepath.FromSlash(pathOf(ref.Key)))
}
