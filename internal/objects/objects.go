// Package objects is where buckets and their objects live: in a directory, in
// memory, or behind any endpoint that speaks S3. What reads the items of a
// Distributed Map or writes its results sees one Store and need not know which.
//
// Three rules hold for every Store. An object appears whole or not at all, when
// its Writer is closed, and is durable by then. A Ref can pin what it reads: an
// object that has another ETag by now gives ErrChanged instead of a mixture of
// two files. And errors say what was tried with which object and where, compare
// with ErrNotFound, ErrChanged and ErrDenied, and hold no credentials.
package objects

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"strings"
	"time"
	"unicode/utf8"
)

// The errors a caller can act on. Each comes wrapped, with what and where.
var (
	ErrNotFound = errors.New("not found")     // no such bucket, object or version
	ErrChanged  = errors.New("has changed")   // another ETag than the one that was pinned
	ErrDenied   = errors.New("access denied") // the credentials or the bucket's owner do not allow it
)

// Ref names an object, and optionally which state of it.
type Ref struct {
	Bucket, Key string
	VersionID   string // "" for the current version
	ETag        string // hex, without quotes; if set, any other state is ErrChanged
	Owner       string // ExpectedBucketOwner: an account; only S3 knows owners
}

// String is the ref as an address, s3://bucket/key, for messages.
func (r Ref) String() string {
	if r.Key == "" {
		return "s3://" + r.Bucket
	}
	return "s3://" + r.Bucket + "/" + r.Key
}

// Info is what is known of an object without its contents.
type Info struct {
	Key          string
	Size         int64
	ETag         string // without quotes; hex MD5 unless S3 made it in parts
	LastModified time.Time
	StorageClass string // "STANDARD" where nothing else is known
	VersionID    string // "" where versions are not kept
	// Headers are those that a Dir was given with the object, by their canonical
	// names; lists and other stores leave them out.
	Headers map[string]string
}

// Store holds objects in buckets. It is safe for concurrent use.
type Store interface {
	// Head tells of an object.
	Head(ctx context.Context, ref Ref) (Info, error)

	// Open reads an object from a byte offset on; at or beyond the end there is
	// nothing. The reader stays with the state that Open found, or fails with
	// ErrChanged. It obeys ctx until it is closed.
	Open(ctx context.Context, ref Ref, offset int64) (io.ReadCloser, Info, error)

	// ReadAt fills p from a byte offset on. Like io.ReaderAt it returns less only
	// with an error, io.EOF at the object's end. Pin the ref where several reads
	// belong together.
	ReadAt(ctx context.Context, ref Ref, p []byte, offset int64) (int, error)

	// List goes through the objects whose keys begin with prefix and come after
	// the key after, "" for all, in the order of the keys' UTF-8 bytes, and reads
	// on only as far as it is asked to. Of ref only Bucket and Owner count. The
	// first error ends it.
	List(ctx context.Context, ref Ref, prefix, after string) iter.Seq2[Info, error]

	// Create begins an object, which takes the place of one with the same key
	// when the writer is closed. The context ends the writing as Abort does.
	Create(ctx context.Context, ref Ref) (Writer, error)

	// Delete removes an object. One that is not there is no error, as in S3; a
	// bucket that is not there is.
	Delete(ctx context.Context, ref Ref) error

	// String says where the store is, for messages.
	String() string
}

// Writer takes the contents of one object. It is for one goroutine.
type Writer interface {
	io.Writer

	// Close makes the object visible and durable. After an error nothing is
	// visible, unless the error says that the outcome is unknown.
	Close() error

	// Abort drops what was written and leaves nothing behind, as far as that can
	// be reached. After Close it does nothing, so it can be deferred.
	Abort()

	// Info tells of the object once Close has returned without an error.
	Info() Info
}

// Options are what Open needs beside the place.
type Options struct {
	Dir       string            // the directory for ""
	Region    string            // of S3; "" is the one of the AWS configuration
	Transport http.RoundTripper // for S3; nil is the SDK's own
}

// Open gives the store at where: "" is the directory of the options, a path
// another one, "s3" Amazon S3 or what the AWS configuration names as its
// endpoint, and a URL with http or https an endpoint itself. Credentials come
// from the AWS configuration, never from the URL.
func Open(ctx context.Context, where string, o Options) (Store, error) {
	switch {
	case where == "":
		return OpenDir(o.Dir)
	case strings.EqualFold(where, "s3"):
		return OpenS3(ctx, "", o)
	case strings.HasPrefix(where, "http://"), strings.HasPrefix(where, "https://"):
		return OpenS3(ctx, where, o)
	case strings.Contains(where, "://"):
		return nil, errors.New("objects are kept in a directory, in s3 or at a URL with http or https, not at another kind of URL")
	default:
		return OpenDir(where)
	}
}

// maxKey is S3's limit, in bytes.
const maxKey = 1024

func checkKey(key string) error {
	switch {
	case key == "":
		return errors.New("the key is empty")
	case len(key) > maxKey:
		return fmt.Errorf("the key has %d bytes, more than %d", len(key), maxKey)
	case !utf8.ValidString(key):
		return errors.New("the key is not UTF-8")
	}
	return nil
}

// checkBucket accepts what S3 has ever accepted as a name of a bucket, which are
// names of folders, too. None begins with a dot: such folders are our own.
func checkBucket(name string) error {
	for i := range len(name) {
		c := name[i]
		alnum := 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
		if !alnum && (i == 0 || c != '.' && c != '-' && c != '_') {
			return fmt.Errorf("%q is not the name of a bucket", short(name))
		}
	}
	if name == "" || len(name) > 255 {
		return fmt.Errorf("%q is not the name of a bucket", short(name))
	}
	return nil
}

// failed wraps what went wrong: "read s3://b/k in directory d: no such key".
func failed(s Store, act string, ref Ref, err error) error {
	if err == nil || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	ref.Key = short(ref.Key)
	return fmt.Errorf("%s %s in %s: %w", act, ref, s, err)
}

// kind is an error that is one of ours but says more.
type kind struct {
	msg string
	is  error
}

func (k *kind) Error() string { return k.msg }
func (k *kind) Unwrap() error { return k.is }

// ErrNoBucket is the ErrNotFound of a bucket that is not there.
var ErrNoBucket error = &kind{"there is no such bucket", ErrNotFound}

var (
	errNoKey     = &kind{"there is no such object", ErrNotFound}
	errNoVersion = &kind{"there is no such version of the object", ErrNotFound}
)

func changed(want, got string) error {
	return &kind{fmt.Sprintf("the object has changed: its ETag was %s and is %s", short(want), short(got)), ErrChanged}
}

// check compares what was found with what the ref pins.
func (r Ref) check(found Info) error {
	if r.ETag != "" && r.ETag != found.ETag {
		return changed(r.ETag, found.ETag)
	}
	return nil
}

// unversioned refuses versions where none are kept; "null" is what S3 calls the
// only one there is.
func (r Ref) unversioned() error {
	if r.VersionID != "" && r.VersionID != "null" {
		return errNoVersion
	}
	return nil
}

func short(s string) string {
	if len(s) > 300 {
		s = s[:300] + "..."
	}
	return strings.ToValidUTF8(s, "\uFFFD")
}
