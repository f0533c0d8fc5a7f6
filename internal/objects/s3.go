package objects

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go"
)

// S3 is Amazon S3, or another server that speaks its protocol.
type S3 struct {
	client *s3.Client
	where  string
}

// OpenS3 makes a store of an endpoint: the URL given, else AWS_ENDPOINT_URL_S3,
// AWS_ENDPOINT_URL or the profile's, else Amazon S3 in the region. Credentials
// come from the SDK's standard chain. It asks the endpoint nothing yet. Buckets
// are named in the path where an endpoint is set, since few such servers have a
// host name for each.
func OpenS3(ctx context.Context, endpoint string, o Options) (*S3, error) {
	var load []func(*config.LoadOptions) error
	if o.Region != "" {
		load = append(load, config.WithRegion(o.Region))
	}
	if o.Transport != nil {
		load = append(load, config.WithHTTPClient(&http.Client{Transport: o.Transport, CheckRedirect: noRedirect}))
	}
	cfg, err := config.LoadDefaultConfig(ctx, load...)
	if err != nil {
		return nil, fmt.Errorf("read the AWS configuration: %w", err)
	}
	client := s3.NewFromConfig(cfg, func(o *s3.Options) {
		if endpoint != "" {
			o.BaseEndpoint = &endpoint
		}
		o.DisableLogOutputChecksumValidationSkipped = true
		if o.BaseEndpoint == nil {
			return
		}
		o.UsePathStyle = true
		o.RequestChecksumCalculation = aws.RequestChecksumCalculationWhenRequired // older servers know no others
		o.ResponseChecksumValidation = aws.ResponseChecksumValidationWhenRequired
		if o.Region == "" {
			o.Region = "us-east-1"
		}
	})
	s := &S3{client: client, where: "Amazon S3 in " + client.Options().Region}
	if base := client.Options().BaseEndpoint; base != nil {
		u, err := url.Parse(*base)
		if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
			return nil, errors.New("the endpoint of S3 is not a URL with http or https")
		}
		if u.User != nil {
			return nil, fmt.Errorf("the endpoint of S3 at %s has credentials in its URL: put them where AWS's tools look for them, such as AWS_ACCESS_KEY_ID", u.Host)
		}
		s.where = "S3 at " + u.Scheme + "://" + u.Host + u.Path
	} else if client.Options().Region == "" {
		return nil, errors.New("no AWS region: set AWS_REGION or region in the configuration")
	}
	return s, nil
}

func noRedirect(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

// String names the endpoint or the region.
func (s *S3) String() string { return s.where }

// Head tells of an object.
func (s *S3) Head(ctx context.Context, ref Ref) (Info, error) {
	info, err := s.head(ctx, ref)
	return info, failed(s, "look at", ref, err)
}

func (s *S3) head(ctx context.Context, ref Ref) (Info, error) {
	if err := checkKey(ref.Key); err != nil {
		return Info{}, err
	}
	out, err := s.client.HeadObject(ctx, &s3.HeadObjectInput{Bucket: &ref.Bucket, Key: &ref.Key,
		VersionId: set(ref.VersionID), IfMatch: quoted(ref.ETag), ExpectedBucketOwner: set(ref.Owner)})
	if err != nil {
		return Info{}, explain(err)
	}
	info := Info{Key: ref.Key, Size: aws.ToInt64(out.ContentLength), ETag: unquoted(out.ETag),
		LastModified: aws.ToTime(out.LastModified), StorageClass: class(string(out.StorageClass)), VersionID: aws.ToString(out.VersionId)}
	return info, ref.check(info)
}

// Open reads an object; see Store. A connection that breaks on the way is
// replaced, and reading goes on where it was, in the same state of the object.
func (s *S3) Open(ctx context.Context, ref Ref, offset int64) (io.ReadCloser, Info, error) {
	r := &s3Reader{s: s, ctx: ctx, ref: ref, at: offset}
	if err := r.connect(); err != nil {
		return nil, Info{}, failed(s, "read", ref, err)
	}
	return r, r.info, nil
}

type s3Reader struct {
	s    *S3
	ctx  context.Context
	ref  Ref // pinned by the first answer
	at   int64
	body io.ReadCloser
	info Info
}

func (r *s3Reader) connect() error {
	body, info, err := r.s.get(r.ctx, r.ref, r.at, 0)
	if err != nil {
		return err
	}
	r.body, r.info, r.ref.ETag = body, info, info.ETag
	return nil
}

// breaks is how often a read is tried again without a byte in between.
const breaks = 4

func (r *s3Reader) Read(p []byte) (int, error) {
	for try := 0; ; try++ {
		n, err := r.body.Read(p)
		r.at += int64(n)
		if err == io.EOF && r.at < r.info.Size {
			err = io.ErrUnexpectedEOF
		}
		switch {
		case err == nil, n > 0 && err != io.EOF:
			return n, nil // what broke shows again at the next call
		case err == io.EOF:
			return n, err
		}
		if err := r.again(err, try); err != nil {
			return 0, failed(r.s, fmt.Sprintf("read from byte %d of", r.at), r.ref, err)
		}
	}
}

// again connects anew after cause, or gives the error that ends reading.
func (r *s3Reader) again(cause error, try int) error {
	for ; try < breaks; try++ {
		if err := pause(r.ctx, time.Duration(try)*500*time.Millisecond); err != nil {
			return err
		}
		r.body.Close()
		if cause = r.connect(); cause == nil {
			return nil
		}
		if errors.Is(cause, ErrNotFound) || errors.Is(cause, ErrChanged) || errors.Is(cause, ErrDenied) {
			return cause
		}
	}
	if err := r.ctx.Err(); err != nil {
		return err
	}
	return explain(cause)
}

func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}

func (r *s3Reader) Close() error { return r.body.Close() }

// get asks for length bytes from offset on, 0 for all. The info has the size of
// the whole object.
func (s *S3) get(ctx context.Context, ref Ref, offset, length int64) (io.ReadCloser, Info, error) {
	if err := checkKey(ref.Key); err != nil {
		return nil, Info{}, err
	}
	in := &s3.GetObjectInput{Bucket: &ref.Bucket, Key: &ref.Key, VersionId: set(ref.VersionID),
		IfMatch: quoted(ref.ETag), ExpectedBucketOwner: set(ref.Owner)}
	switch {
	case length > 0:
		in.Range = aws.String(fmt.Sprintf("bytes=%d-%d", offset, offset+length-1))
	case offset > 0:
		in.Range = aws.String(fmt.Sprintf("bytes=%d-", offset))
	}
	out, err := s.client.GetObject(ctx, in)
	var api smithy.APIError
	if errors.As(err, &api) && api.ErrorCode() == "InvalidRange" {
		info, err := s.head(ctx, ref)
		return http.NoBody, info, err
	}
	if err != nil {
		return nil, Info{}, explain(err)
	}
	info := Info{Key: ref.Key, Size: aws.ToInt64(out.ContentLength), ETag: unquoted(out.ETag),
		LastModified: aws.ToTime(out.LastModified), StorageClass: class(string(out.StorageClass)), VersionID: aws.ToString(out.VersionId)}
	if in.Range != nil {
		info.Size, err = rangeSize(aws.ToString(out.ContentRange))
	}
	if err == nil {
		err = ref.check(info)
	}
	if err != nil {
		out.Body.Close()
		return nil, Info{}, err
	}
	return out.Body, info, nil
}

// rangeSize reads the size of the object from "bytes 5-9/10".
func rangeSize(header string) (int64, error) {
	_, total, _ := strings.Cut(header, "/")
	n, err := strconv.ParseInt(total, 10, 64)
	if err != nil {
		return 0, fmt.Errorf("asked for a range, the server answered with Content-Range %q", short(header))
	}
	return n, nil
}

// ReadAt reads a part of an object; see Store.
func (s *S3) ReadAt(ctx context.Context, ref Ref, p []byte, offset int64) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	n, err := s.readAt(ctx, ref, p, offset)
	for try := 1; err != nil && n > 0 && err != io.EOF && try < breaks && ctx.Err() == nil; try++ {
		n, err = s.readAt(ctx, ref, p, offset) // it broke in the middle
	}
	if err != nil && err != io.EOF {
		err = failed(s, "read", ref, explain(err))
	}
	return n, err
}

func (s *S3) readAt(ctx context.Context, ref Ref, p []byte, offset int64) (int, error) {
	body, info, err := s.get(ctx, ref, offset, int64(len(p)))
	if err != nil {
		return 0, err
	}
	defer body.Close()
	want := min(int64(len(p)), max(info.Size-offset, 0))
	n, err := io.ReadFull(body, p[:want])
	if err == nil && want < int64(len(p)) {
		err = io.EOF
	}
	return n, err
}

// List goes through a bucket; see Store.
func (s *S3) List(ctx context.Context, ref Ref, prefix, after string) iter.Seq2[Info, error] {
	return func(yield func(Info, error) bool) {
		in := &s3.ListObjectsV2Input{Bucket: &ref.Bucket, Prefix: set(prefix), StartAfter: set(after),
			EncodingType: types.EncodingTypeUrl, ExpectedBucketOwner: set(ref.Owner)}
		for {
			out, err := s.client.ListObjectsV2(ctx, in)
			if err != nil {
				yield(Info{}, failed(s, "list", Ref{Bucket: ref.Bucket, Key: prefix}, explain(err)))
				return
			}
			for i := range out.Contents {
				info, err := listed(&out.Contents[i], out.EncodingType)
				if err != nil {
					err = failed(s, "list", Ref{Bucket: ref.Bucket, Key: prefix}, err)
				}
				if info.Key <= after && err == nil {
					continue // a server that does not know start-after
				}
				if !yield(info, err) || err != nil {
					return
				}
			}
			if !aws.ToBool(out.IsTruncated) || aws.ToString(out.NextContinuationToken) == "" {
				return
			}
			in.ContinuationToken = out.NextContinuationToken
		}
	}
}

func listed(o *types.Object, encoding types.EncodingType) (Info, error) {
	key, err := aws.ToString(o.Key), error(nil)
	if encoding == types.EncodingTypeUrl {
		if key, err = url.QueryUnescape(key); err != nil {
			return Info{}, fmt.Errorf("the server sent a key that is not URL-encoded: %q", short(aws.ToString(o.Key)))
		}
	}
	return Info{Key: key, Size: aws.ToInt64(o.Size), ETag: unquoted(o.ETag), LastModified: aws.ToTime(o.LastModified),
		StorageClass: class(string(o.StorageClass))}, nil
}

// Delete removes an object.
func (s *S3) Delete(ctx context.Context, ref Ref) error {
	err := checkKey(ref.Key)
	if err == nil {
		_, err = s.client.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: &ref.Bucket, Key: &ref.Key,
			VersionId: set(ref.VersionID), ExpectedBucketOwner: set(ref.Owner)})
		err = explain(err)
	}
	return failed(s, "delete", ref, err)
}

// partSize is how much goes into one part of an upload. S3 takes 10,000 parts,
// so objects of up to 160 GiB can be written.
const partSize = 16 << 20

// Create begins an object; see Store. What fits into one part is sent at once
// when the writer is closed, anything larger in parts.
func (s *S3) Create(ctx context.Context, ref Ref) (Writer, error) {
	if err := errors.Join(ctx.Err(), checkKey(ref.Key)); err != nil {
		return nil, failed(s, "write", ref, err)
	}
	return &s3Writer{s: s, ctx: ctx, ref: ref}, nil
}

type s3Writer struct {
	s      *S3
	ctx    context.Context
	ref    Ref
	buf    []byte
	upload *string // nil before the first part
	parts  []types.CompletedPart
	size   int64
	ended  bool
	err    error // sticky
	info   Info
}

func (w *s3Writer) Write(p []byte) (int, error) {
	if w.ended {
		return 0, failed(w.s, "write", w.ref, errEnded)
	}
	n := 0
	for len(p) > 0 && w.err == nil {
		k := min(len(p), partSize-len(w.buf))
		w.buf = append(w.buf, p[:k]...)
		p, n, w.size = p[k:], n+k, w.size+int64(k)
		if len(w.buf) == partSize {
			w.err = w.send()
		}
	}
	return n, failed(w.s, "write", w.ref, w.err)
}

// send uploads the buffer as a part.
func (w *s3Writer) send() error {
	if w.upload == nil {
		out, err := w.s.client.CreateMultipartUpload(w.ctx, &s3.CreateMultipartUploadInput{
			Bucket: &w.ref.Bucket, Key: &w.ref.Key, ExpectedBucketOwner: set(w.ref.Owner)})
		if err != nil {
			return explain(err)
		}
		w.upload = out.UploadId
	}
	number := aws.Int32(int32(len(w.parts)) + 1)
	out, err := w.s.client.UploadPart(w.ctx, &s3.UploadPartInput{Bucket: &w.ref.Bucket, Key: &w.ref.Key, UploadId: w.upload,
		PartNumber: number, Body: bytes.NewReader(w.buf), ContentLength: aws.Int64(int64(len(w.buf))), ExpectedBucketOwner: set(w.ref.Owner)})
	if err != nil {
		return explain(err)
	}
	w.parts = append(w.parts, types.CompletedPart{PartNumber: number, ETag: out.ETag,
		ChecksumCRC32: out.ChecksumCRC32, ChecksumCRC32C: out.ChecksumCRC32C, ChecksumCRC64NVME: out.ChecksumCRC64NVME})
	w.buf = w.buf[:0]
	return nil
}

func (w *s3Writer) Close() error {
	if w.ended {
		return failed(w.s, "write", w.ref, errEnded)
	}
	if w.err == nil {
		w.err = w.finish()
	}
	if w.err != nil {
		w.Abort()
		return failed(w.s, "write", w.ref, w.err)
	}
	w.ended, w.buf = true, nil
	return nil
}

func (w *s3Writer) finish() error {
	if err := w.ctx.Err(); err != nil {
		return err
	}
	w.info = Info{Key: w.ref.Key, Size: w.size, StorageClass: "STANDARD"}
	if w.upload == nil {
		out, err := w.s.client.PutObject(w.ctx, &s3.PutObjectInput{Bucket: &w.ref.Bucket, Key: &w.ref.Key,
			Body: bytes.NewReader(w.buf), ContentLength: aws.Int64(w.size), ExpectedBucketOwner: set(w.ref.Owner)})
		if err != nil {
			return explain(err)
		}
		w.info.ETag, w.info.VersionID = unquoted(out.ETag), aws.ToString(out.VersionId)
		return nil
	}
	if len(w.buf) > 0 {
		if err := w.send(); err != nil {
			return err
		}
	}
	out, err := w.s.client.CompleteMultipartUpload(w.ctx, &s3.CompleteMultipartUploadInput{Bucket: &w.ref.Bucket, Key: &w.ref.Key,
		UploadId: w.upload, MultipartUpload: &types.CompletedMultipartUpload{Parts: w.parts}, ExpectedBucketOwner: set(w.ref.Owner)})
	if err != nil {
		return explain(err)
	}
	w.info.ETag, w.info.VersionID = unquoted(out.ETag), aws.ToString(out.VersionId)
	return nil
}

// abortWithin is how long an upload may take to be dropped, also after the
// context of its writer has ended.
const abortWithin = 30 * time.Second

func (w *s3Writer) Abort() {
	if w.ended {
		return
	}
	w.ended, w.buf = true, nil
	if w.upload == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(w.ctx), abortWithin)
	defer cancel()
	// What cannot be dropped now is for the bucket's lifecycle rules.
	_, _ = w.s.client.AbortMultipartUpload(ctx, &s3.AbortMultipartUploadInput{Bucket: &w.ref.Bucket, Key: &w.ref.Key,
		UploadId: w.upload, ExpectedBucketOwner: set(w.ref.Owner)})
}

func (w *s3Writer) Info() Info { return w.info }

// explain turns an error of the SDK into one of ours where it is one, and into
// the server's own words; what the SDK says around them names no object.
func explain(err error) error {
	if err == nil || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	status := 0
	var response *awshttp.ResponseError
	if errors.As(err, &response) {
		status = response.HTTPStatusCode()
	}
	code, msg := "", ""
	var api smithy.APIError
	if errors.As(err, &api) {
		code, msg = api.ErrorCode(), api.ErrorMessage()
	}
	switch {
	case code == "NoSuchBucket":
		return ErrNoBucket
	case code == "NoSuchVersion":
		return errNoVersion
	case code == "NoSuchKey", status == http.StatusNotFound && code != "NoSuchUpload":
		return errNoKey
	case code == "PreconditionFailed", status == http.StatusPreconditionFailed:
		return &kind{"the object has changed: its ETag is not the one it had", ErrChanged}
	}
	text := strings.TrimSpace(code + ": " + msg)
	var dial *url.Error
	if code == "" && errors.As(err, &dial) {
		return fmt.Errorf("no answer: %w", dial.Err)
	}
	if code == "" {
		return err
	}
	text = fmt.Sprintf("%s (HTTP %d)", short(text), status)
	if status == http.StatusForbidden || status == http.StatusUnauthorized || code == "AccessDenied" {
		return &kind{text, ErrDenied}
	}
	return errors.New(text)
}

func set(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

func quoted(etag string) *string {
	if etag == "" {
		return nil
	}
	return aws.String(`"` + etag + `"`)
}

func unquoted(etag *string) string { return strings.Trim(aws.ToString(etag), `"`) }

func class(s string) string {
	if s == "" {
		return "STANDARD"
	}
	return s
}
