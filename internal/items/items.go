// Package items reads the items of a Distributed Map's ItemReader: the objects
// of a bucket, or the rows, elements and members that files in it hold.
//
// A Reader gives one item after the other and holds no more than one of them
// and a buffer, however large the file is. Its Cursor, a few small fields, names
// the place after the last item; a Reader opened there goes on with exactly the
// next one, in another process and days later, because the cursor pins the ETag
// of what is being read: a file that has changed meanwhile is an error and never
// a mixture of two. In plain CSV, JSON and JSONL a place is a byte offset and in
// Parquet a row, where reading begins; a compressed file is read again up to it.
//
// All that can be wrong with a source is an *Error, whose Cause is for people
// and whose name is always States.ItemReaderFailed. Other errors are those of
// the context.
package items

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/lockstep-run/lockstep/asl/value"
	"github.com/lockstep-run/lockstep/internal/objects"
)

// What an ItemReader asks S3 for.
const (
	ListObjects = "ListObjects" // arn:aws:states:::s3:listObjectsV2
	GetObject   = "GetObject"   // arn:aws:states:::s3:getObject
)

// AWS's limits on what is read.
const (
	MaxFile   = 10 << 30 // bytes of a file, once decompressed
	MaxItem   = 8 << 20  // bytes of an item
	maxHeader = 10 << 10 // bytes of a header of CSV
)

// Spec says what to read, in the words of ItemReader, with every expression
// evaluated. Fields that do not apply are "".
type Spec struct {
	Resource  string // ListObjects or GetObject
	Bucket    string
	Key       string // GetObject
	Prefix    string // ListObjects
	VersionID string
	Owner     string // ExpectedBucketOwner

	InputType      string   // CSV, JSON, JSONL, PARQUET or MANIFEST
	Delimiter      string   // COMMA, PIPE, SEMICOLON, SPACE or TAB; "" is COMMA
	HeaderLocation string   // FIRST_ROW or GIVEN
	Headers        []string // where GIVEN
	Pointer        string   // ItemsPointer
	Transformation string   // NONE or LOAD_AND_FLATTEN; "" is NONE
	ManifestType   string   // ATHENA_DATA or S3_INVENTORY
	MaxItems       int64    // 0: all
}

// Item is one item as it stands in its source.
type Item struct {
	Value value.Value
	// Key is the name of the member where the items are the members of an object.
	Key string
	// Source is where the item is from: "S3://bucket" in a list of objects,
	// "S3://bucket/key" in a file.
	Source string
	// Bytes is the length of Value as compact JSON.
	Bytes int
}

// Cursor is a place in a source, between two items. The zero Cursor is the
// beginning. It is kept as JSON.
type Cursor struct {
	Items int64  `json:"items,omitempty"` // returned up to here
	ETag  string `json:"etag,omitempty"`  // of the object that the Spec names
	After string `json:"after,omitempty"` // in a list: the last key, or the one being read
	File  int    `json:"file,omitempty"`  // in a manifest: the index of the file being read
	Place Place  `json:"place,omitzero"`  // in the file being read
}

// Place is a place in one file.
type Place struct {
	ETag   string `json:"etag,omitempty"`
	Offset int64  `json:"offset,omitempty"` // in bytes of the decompressed file
	Row    int64  `json:"row,omitempty"`    // items up to here; rows in Parquet
	In     string `json:"in,omitempty"`     // in JSON: "[" or "{"
}

// Name is the error name of all failures to read items.
const Name = "States.ItemReaderFailed"

// Error says why items cannot be read.
type Error struct {
	Cause string // where a recorded text is known, that; else file, row or byte, and what is wrong
	Err   error  // what lies behind it, such as objects.ErrNotFound; nil where nothing does
}

// Error gives the name and the cause.
func (e *Error) Error() string { return Name + ": " + e.Cause }

// Unwrap gives what lies behind it, but never io.EOF: that is the end of the items
// to whoever asks for it, and contents that end too early are not.
func (e *Error) Unwrap() error {
	if errors.Is(e.Err, io.EOF) {
		return nil
	}
	return e.Err
}

func fail(format string, args ...any) *Error { return &Error{Cause: fmt.Sprintf(format, args...)} }

// The causes as AWS words them.
const (
	causeNotIterable = "Attempting to map over non-iterable node."
	causeDuplicates  = "CSV headers cannot contain duplicates."
	causeMaxItems    = "field MaxItems must be positive"
)

// wrap makes what a store or decoder says an *Error; the context's errors stay.
func wrap(err error) error {
	var e *Error
	switch {
	case err == nil, err == io.EOF, errors.As(err, &e),
		errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return err
	}
	return &Error{Cause: "The items cannot be read: " + err.Error(), Err: err}
}

// Reader reads the items of one source, in order. It is for one goroutine.
type Reader struct {
	store  objects.Store
	spec   Spec
	source source
	items  int64
	failed error

	life   context.Context // ends with the reader
	cancel context.CancelFunc
	call   context.Context // of the call that is under way
}

// source is a kind of source. next gives io.EOF at the end; mark writes the
// place after the last item that next gave.
type source interface {
	next() (Item, error)
	mark(c *Cursor)
	close()
}

// Open opens what spec names, at a cursor that an earlier reader of the same
// spec gave, or at the beginning. The context is for opening alone.
func Open(ctx context.Context, store objects.Store, spec Spec, at Cursor) (*Reader, error) {
	if err := spec.check(); err != nil {
		return nil, err
	}
	r := &Reader{store: store, spec: spec, items: at.Items, call: ctx}
	r.life, r.cancel = context.WithCancel(context.WithoutCancel(ctx))
	var err error
	r.source, err = r.open(at)
	if err != nil {
		r.cancel()
		return nil, r.ended(err)
	}
	return r, nil
}

func (s *Spec) check() error {
	oneOf := func(field, value string, known ...string) error {
		if slices.Contains(known, value) {
			return nil
		}
		return fail("The field %s of the ItemReader is %q, which is none of %s.", field, value, strings.Join(known[:len(known)-1], ", "))
	}
	if s.MaxItems < 0 {
		return fail("%s", causeMaxItems)
	}
	for _, err := range []error{
		oneOf("Resource", s.Resource, ListObjects, GetObject, GetObject),
		oneOf("InputType", s.InputType, "CSV", "JSON", "JSONL", "PARQUET", "MANIFEST", ""),
		oneOf("Transformation", s.Transformation, "NONE", "LOAD_AND_FLATTEN", ""),
		oneOf("ManifestType", s.ManifestType, "ATHENA_DATA", "S3_INVENTORY", ""),
		oneOf("CSVHeaderLocation", s.HeaderLocation, "FIRST_ROW", "GIVEN", ""),
		oneOf("CSVDelimiter", s.Delimiter, "COMMA", "PIPE", "SEMICOLON", "SPACE", "TAB", ""),
	} {
		if err != nil {
			return err
		}
	}
	if s.Bucket == "" || s.Resource == GetObject && s.Key == "" {
		return fail("The ItemReader names no bucket or no key.")
	}
	return nil
}

func (r *Reader) open(at Cursor) (source, error) {
	s := &r.spec
	ref := objects.Ref{Bucket: s.Bucket, Key: s.Key, VersionID: s.VersionID, Owner: s.Owner, ETag: at.ETag}
	switch {
	case s.Resource == ListObjects && s.Transformation == "LOAD_AND_FLATTEN":
		return openFlat(r, at)
	case s.Resource == ListObjects:
		return openList(r, at.After), nil
	case s.ManifestType == "ATHENA_DATA":
		return openAthena(r, ref, at)
	case s.ManifestType == "S3_INVENTORY", s.InputType == "MANIFEST":
		return openInventory(r, ref, at)
	default:
		at.Place.ETag = at.ETag
		f, err := r.file(ref, s.format(), at.Place)
		if err != nil {
			return nil, err
		}
		return single{f}, nil
	}
}

// single is the one file that the spec names.
type single struct{ file }

func (s single) mark(c *Cursor) {
	c.Place = s.place()
	c.ETag, c.Place.ETag = c.Place.ETag, ""
}

// format says how the contents of a file are read.
type format struct {
	inputType string
	delimiter byte
	firstRow  bool
	headers   []string
	pointer   string
}

func (s *Spec) format() format {
	return format{s.InputType, delimiters[s.Delimiter], s.HeaderLocation == "FIRST_ROW", s.Headers, s.Pointer}
}

var delimiters = map[string]byte{"": ',', "COMMA": ',', "PIPE": '|', "SEMICOLON": ';', "SPACE": ' ', "TAB": '\t'}

// file is the source of items in one file.
type file interface {
	next() (Item, error)
	place() Place
	close()
}

// file opens a file at a place in it, which also pins its ETag where it has one.
func (r *Reader) file(ref objects.Ref, f format, at Place) (file, error) {
	ref.ETag = at.ETag
	switch f.inputType {
	case "CSV":
		return openCSV(r, ref, f, at)
	case "JSON":
		return openJSON(r, ref, f.pointer, at)
	case "JSONL":
		return openJSONL(r, ref, at)
	case "PARQUET":
		return openParquet(r, ref, at)
	default:
		return nil, fail("The ItemReader does not say with InputType how %s is read: CSV, JSON, JSONL or PARQUET.", ref)
	}
}

// Next gives the next item, or io.EOF after the last. When ctx ends during a
// call, the reader is at its end, too: open another one at its Cursor.
func (r *Reader) Next(ctx context.Context) (Item, error) {
	if r.failed != nil {
		return Item{}, r.failed
	}
	if err := ctx.Err(); err != nil {
		return Item{}, err
	}
	if r.life.Err() != nil {
		return Item{}, errInterrupted
	}
	if r.spec.MaxItems > 0 && r.items >= r.spec.MaxItems {
		return Item{}, io.EOF
	}
	r.call = ctx
	item, err := r.source.next()
	if err != nil {
		r.failed = r.ended(err)
		return Item{}, r.failed
	}
	r.items++
	return item, nil
}

var errInterrupted = errors.New("the context of an earlier call has ended the reader of items: open another one at its cursor")

// ended gives the error of a call: the context's, if it has ended that.
func (r *Reader) ended(err error) error {
	if cerr := r.call.Err(); cerr != nil && errors.Is(err, context.Canceled) {
		return cerr
	}
	return wrap(err)
}

// Cursor is the place after the last item that Next gave, also when Next has
// failed since.
func (r *Reader) Cursor() Cursor {
	c := Cursor{Items: r.items}
	r.source.mark(&c)
	return c
}

// Close gives everything back that the reader holds.
func (r *Reader) Close() {
	r.cancel()
	r.source.close()
	if r.failed == nil {
		r.failed = errors.New("the reader of items is closed")
	}
}

// during lets the context of the present call end f, by ending the reader.
func (r *Reader) during(f func()) {
	if r.call.Done() == nil {
		f()
		return
	}
	stop := context.AfterFunc(r.call, r.cancel)
	f()
	stop()
}

// item finishes an item.
func newItem(v value.Value, source string) Item {
	return Item{Value: v, Source: source, Bytes: v.Size()}
}

// address is a file's, as $$.Map.Item.Source shows it.
func address(ref objects.Ref) string { return "S3://" + ref.Bucket + "/" + ref.Key }
