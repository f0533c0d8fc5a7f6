// Package s3 serves a directory of objects as Amazon S3 does: buckets, objects,
// lists, ranges, copies and uploads in parts, for clients that use path style.
// The protocol is gofakes3's; what is here is its storage, over objects.Dir, and
// what newer clients send that it does not read.
package s3

import (
	"context"
	"encoding/hex"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/johannesboyne/gofakes3"

	"github.com/lockstep-run/lockstep/internal/objects"
)

// New makes a handler that serves a directory. It checks no signature. Parts of
// uploads under way are in the directory's folder .uploads.
func New(dir *objects.Dir, log *slog.Logger) (http.Handler, error) {
	parts, err := objects.OpenDir(filepath.Join(dir.Root(), ".uploads"))
	if err == nil {
		err = parts.MakeBucket(uploads)
	}
	if err != nil {
		return nil, err
	}
	api := gofakes3.New(&storage{dir, parts}, gofakes3.WithoutVersioning(), gofakes3.WithTimeSkewLimit(0),
		gofakes3.WithLogger(gofakes3.MultiLog(quiet{log})), gofakes3.WithTimeSource(gofakes3.DefaultTimeSource())).Server()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// An object may be large: it has the time that its bytes need.
		http.NewResponseController(w).SetReadDeadline(time.Time{})
		if err := unchunk(r); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		api.ServeHTTP(w, r)
	}), nil
}

// Wants says whether a request is for S3: signed for that service, in a header
// or in its URL. A port can be shared by that.
func Wants(r *http.Request) bool {
	scope := r.Header.Get("Authorization")
	if scope == "" && r.URL.RawQuery != "" {
		q := r.URL.Query()
		if q.Has("AWSAccessKeyId") && q.Has("Signature") { // version 2, which only S3 has
			return true
		}
		scope = q.Get("X-Amz-Credential")
	}
	return strings.Contains(scope, "/s3/aws4_request")
}

// quiet is gofakes3's log: what it notes of requests is of no use.
type quiet struct{ log *slog.Logger }

func (q quiet) Print(level gofakes3.LogLevel, v ...any) {
	if level == gofakes3.LogErr {
		q.log.Error("serve objects", "error", v)
	}
}

// ctx is that of calls to the directory: gofakes3 has none to pass on.
var ctx = context.Background()

// storage is a gofakes3.Backend.
type storage struct{ dir, parts *objects.Dir }

var _ gofakes3.Backend = (*storage)(nil)

// wrong makes an error one of S3's.
func wrong(err error, bucket, key string) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, objects.ErrNoBucket):
		return gofakes3.BucketNotFound(bucket)
	case errors.Is(err, objects.ErrNotFound):
		return gofakes3.KeyNotFound(key)
	}
	return err
}

func (s *storage) ListBuckets() ([]gofakes3.BucketInfo, error) {
	names, err := s.dir.Buckets()
	if err != nil {
		return nil, err
	}
	var list []gofakes3.BucketInfo
	for _, b := range names {
		list = append(list, gofakes3.BucketInfo{Name: b.Name, CreationDate: gofakes3.NewContentTime(b.Made)})
	}
	return list, nil
}

// ListBucket lists a page: 1,000 keys, or as many as are asked for.
func (s *storage) ListBucket(name string, prefix *gofakes3.Prefix, page gofakes3.ListBucketPage) (*gofakes3.ObjectList, error) {
	limit := page.MaxKeys
	if limit <= 0 || limit > 1000 {
		limit = 1000
	}
	if prefix == nil {
		prefix = &gofakes3.Prefix{}
	}
	list := gofakes3.NewObjectList()
	seen, last := int64(0), page.Marker
	skip := "" // a common prefix whose other keys are passed over
	for info, err := range s.dir.List(ctx, objects.Ref{Bucket: name}, prefix.Prefix, page.Marker) {
		if err != nil {
			return nil, wrong(err, name, "")
		}
		if skip != "" && strings.HasPrefix(info.Key, skip) {
			last = info.Key
			continue
		}
		var match gofakes3.PrefixMatch
		if !prefix.Match(info.Key, &match) {
			continue
		}
		if match.CommonPrefix && strings.HasPrefix(page.Marker, match.MatchedPart) && page.Marker != "" { // was on the last page
			skip = match.MatchedPart
			continue
		}
		if seen == limit {
			list.IsTruncated, list.NextMarker = true, last
			break
		}
		seen++
		last = info.Key
		if match.CommonPrefix {
			skip = match.MatchedPart
			list.AddPrefix(match.MatchedPart)
			continue
		}
		list.Add(&gofakes3.Content{
			Key: info.Key, LastModified: gofakes3.NewContentTime(info.LastModified), ETag: `"` + info.ETag + `"`,
			Size: info.Size, StorageClass: gofakes3.StorageStandard,
		})
	}
	return list, nil
}

func (s *storage) CreateBucket(name string) error {
	if there, err := s.BucketExists(name); err != nil || there {
		if there {
			err = gofakes3.ResourceError(gofakes3.ErrBucketAlreadyExists, name)
		}
		return err
	}
	return s.dir.MakeBucket(name)
}

func (s *storage) BucketExists(name string) (bool, error) { return s.dir.HasBucket(name), nil }

func (s *storage) DeleteBucket(name string) error {
	if !s.dir.HasBucket(name) {
		return gofakes3.BucketNotFound(name)
	}
	for _, err := range s.dir.List(ctx, objects.Ref{Bucket: name}, "", "") {
		if err != nil {
			return err
		}
		return gofakes3.ResourceError(gofakes3.ErrBucketNotEmpty, name)
	}
	return s.dir.RemoveBucket(name)
}

func (s *storage) ForceDeleteBucket(string) error { return gofakes3.ErrNotImplemented }

func (s *storage) HeadObject(bucket, key string) (*gofakes3.Object, error) {
	info, err := s.dir.Head(ctx, objects.Ref{Bucket: bucket, Key: key})
	if err != nil {
		return nil, wrong(err, bucket, key)
	}
	return object(info, http.NoBody), nil
}

func object(info objects.Info, contents io.ReadCloser) *gofakes3.Object {
	hash, _ := hex.DecodeString(info.ETag)
	meta := map[string]string{"Last-Modified": info.LastModified.UTC().Format(http.TimeFormat)}
	for name, value := range info.Headers {
		meta[name] = value
	}
	return &gofakes3.Object{Name: info.Key, Metadata: meta, Size: info.Size, Contents: contents, Hash: hash}
}

func (s *storage) GetObject(bucket, key string, wanted *gofakes3.ObjectRangeRequest) (*gofakes3.Object, error) {
	ref := objects.Ref{Bucket: bucket, Key: key}
	info, err := s.dir.Head(ctx, ref)
	if err != nil {
		return nil, wrong(err, bucket, key)
	}
	part, err := wanted.Range(info.Size)
	if err != nil {
		return nil, err
	}
	ref.ETag = info.ETag
	from := int64(0)
	if part != nil {
		from = part.Start
	}
	contents, info, err := s.dir.Open(ctx, ref, from)
	if err != nil {
		return nil, wrong(err, bucket, key)
	}
	if part != nil {
		contents = limited{io.LimitReader(contents, part.Length), contents}
	}
	found := object(info, contents)
	found.Range = part
	return found, nil
}

type limited struct {
	io.Reader
	io.Closer
}

func (s *storage) DeleteObject(bucket, key string) (gofakes3.ObjectDeleteResult, error) {
	err := s.dir.Delete(ctx, objects.Ref{Bucket: bucket, Key: key})
	return gofakes3.ObjectDeleteResult{}, wrong(err, bucket, key)
}

func (s *storage) DeleteMulti(bucket string, keys ...string) (result gofakes3.MultiDeleteResult, err error) {
	for _, key := range keys {
		if _, err := s.DeleteObject(bucket, key); err != nil {
			result.Error = append(result.Error, gofakes3.ErrorResultFromError(err))
			continue
		}
		result.Deleted = append(result.Deleted, gofakes3.ObjectID{Key: key})
	}
	return result, nil
}

func (s *storage) PutObject(bucket, key string, meta map[string]string, input io.Reader, size int64, conditions *gofakes3.PutConditions) (result gofakes3.PutObjectResult, err error) {
	ref := objects.Ref{Bucket: bucket, Key: key}
	if conditions != nil {
		if err := s.check(ref, conditions); err != nil {
			return result, err
		}
	}
	_, err = put(s.dir, ref, meta, input, size)
	return result, wrong(err, bucket, key)
}

// check holds a write against the object that is there.
func (s *storage) check(ref objects.Ref, conditions *gofakes3.PutConditions) error {
	var there gofakes3.ConditionalObjectInfo
	if info, err := s.dir.Head(ctx, ref); err == nil {
		there.Exists = true
		there.Hash, _ = hex.DecodeString(info.ETag)
	} else if !errors.Is(err, objects.ErrNotFound) {
		return err
	}
	return gofakes3.CheckPutConditions(conditions, &there)
}

// put writes an object of a known size; -1: whatever comes.
func put(dir *objects.Dir, ref objects.Ref, meta map[string]string, input io.Reader, size int64) (objects.Info, error) {
	w, err := dir.CreateWith(ctx, ref, headers(meta))
	if err != nil {
		return objects.Info{}, err
	}
	defer w.Abort()
	n, err := io.Copy(w, input)
	if err != nil {
		return objects.Info{}, err
	}
	if size >= 0 && n != size {
		return objects.Info{}, gofakes3.ErrIncompleteBody
	}
	if err := w.Close(); err != nil {
		return objects.Info{}, err
	}
	return w.Info(), nil
}

// kept are the headers that S3 gives back with an object.
var kept = []string{"Content-Type", "Content-Encoding", "Content-Disposition", "Content-Language", "Cache-Control", "Expires"}

func headers(meta map[string]string) map[string]string {
	list := map[string]string{}
	for name, value := range meta {
		known := false
		for _, k := range kept {
			known = known || strings.EqualFold(name, k)
		}
		if value != "" && (known || strings.HasPrefix(strings.ToLower(name), "x-amz-meta-")) {
			list[http.CanonicalHeaderKey(name)] = value
		}
	}
	if e := list["Content-Encoding"]; strings.Contains(e, "aws-chunked") { // how it was sent, not what it is
		if e = strings.Trim(strings.ReplaceAll(e, "aws-chunked", ""), ", "); e == "" {
			delete(list, "Content-Encoding")
		} else {
			list["Content-Encoding"] = e
		}
	}
	return list
}

func (s *storage) CopyObject(fromBucket, fromKey, bucket, key string, meta map[string]string) (result gofakes3.CopyObjectResult, err error) {
	from := objects.Ref{Bucket: fromBucket, Key: fromKey}
	r, info, err := s.dir.Open(ctx, from, 0)
	if err != nil {
		return result, wrong(err, fromBucket, fromKey)
	}
	defer r.Close()
	if !strings.EqualFold(meta["X-Amz-Metadata-Directive"], "REPLACE") {
		meta = info.Headers
	}
	made, err := put(s.dir, objects.Ref{Bucket: bucket, Key: key}, meta, r, info.Size)
	if err != nil {
		return result, wrong(err, bucket, key)
	}
	return gofakes3.CopyObjectResult{ETag: `"` + made.ETag + `"`, LastModified: gofakes3.NewContentTime(made.LastModified)}, nil
}

// unchunk makes a body that was sent in signed or checked chunks ("aws-chunked")
// a plain one.
func unchunk(r *http.Request) error {
	if !strings.HasPrefix(r.Header.Get("X-Amz-Content-Sha256"), "STREAMING-") {
		return nil
	}
	size, err := strconv.ParseInt(r.Header.Get("X-Amz-Decoded-Content-Length"), 10, 64)
	if err != nil || size < 0 {
		return errors.New("the header X-Amz-Decoded-Content-Length is missing or no number")
	}
	r.Body = newChunks(r.Body)
	r.ContentLength = size
	r.Header.Set("Content-Length", strconv.FormatInt(size, 10))
	r.Header.Set("X-Amz-Content-Sha256", "UNSIGNED-PAYLOAD")
	return nil
}
