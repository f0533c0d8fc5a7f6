package s3_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	client "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go"
	"github.com/google/go-cmp/cmp"

	"github.com/lockstep-run/lockstep/internal/objects"
	"github.com/lockstep-run/lockstep/internal/s3"
)

// world is a served directory with AWS's own client.
type world struct {
	*testing.T
	dir    *objects.Dir
	url    string
	client *client.Client
}

func newWorld(t *testing.T) *world {
	dir, err := objects.OpenDir(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { dir.Close() })
	handler, err := s3.New(dir, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !s3.Wants(r) {
			http.Error(w, "not for S3", http.StatusTeapot)
			return
		}
		handler.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	return &world{t, dir, server.URL, client.New(client.Options{
		BaseEndpoint: &server.URL, UsePathStyle: true, Region: "us-east-1",
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: "test", SecretAccessKey: "test"}, nil
		}),
	})}
}

func (w *world) must(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

func (w *world) put(key, text string) {
	w.Helper()
	_, err := w.client.PutObject(w.Context(), &client.PutObjectInput{
		Bucket: aws.String("bkt"), Key: &key, Body: strings.NewReader(text),
		ContentType: aws.String("text/plain"), Metadata: map[string]string{"who": "me"},
	})
	w.must(err)
}

func (w *world) bucket() {
	w.Helper()
	_, err := w.client.CreateBucket(w.Context(), &client.CreateBucketInput{Bucket: aws.String("bkt")})
	w.must(err)
}

// fails checks the name of an error.
func (w *world) fails(err error, want string) {
	w.Helper()
	var e smithy.APIError
	if !errors.As(err, &e) || e.ErrorCode() != want {
		w.Errorf("%v, want %s", err, want)
	}
}

func TestObjects(t *testing.T) {
	w := newWorld(t)
	w.bucket()
	const key = "folder/nä me+%.txt"
	w.put(key, "hello world")
	get := func(part string) (*client.GetObjectOutput, string) {
		t.Helper()
		in := &client.GetObjectInput{Bucket: aws.String("bkt"), Key: aws.String(key)}
		if part != "" {
			in.Range = &part
		}
		out, err := w.client.GetObject(t.Context(), in)
		w.must(err)
		defer out.Body.Close()
		text, err := io.ReadAll(out.Body)
		w.must(err)
		return out, string(text)
	}
	out, text := get("")
	if text != "hello world" || *out.ContentType != "text/plain" || out.Metadata["who"] != "me" || *out.ETag != `"5eb63bbbe01eeed093cb22bb8f5acdc3"` || *out.ContentLength != 11 {
		t.Errorf("%q with %q, %v, %s", text, *out.ContentType, out.Metadata, *out.ETag)
	}
	if out, text := get("bytes=6-8"); text != "wor" || *out.ContentRange != "bytes 6-8/11" {
		t.Errorf("a part is %q, %s", text, *out.ContentRange)
	}
	if _, text := get("bytes=-5"); text != "world" {
		t.Errorf("the end is %q", text)
	}
	on, err := os.ReadFile(w.dir.Path(objects.Ref{Bucket: "bkt", Key: key}))
	if err != nil || string(on) != "hello world" {
		t.Errorf("on disk: %q, %v", on, err)
	}
	copied := "copy"
	_, err = w.client.CopyObject(t.Context(), &client.CopyObjectInput{Bucket: aws.String("bkt"), Key: &copied, CopySource: aws.String("bkt/folder/n%C3%A4%20me%2B%25.txt")})
	w.must(err)
	head, err := w.client.HeadObject(t.Context(), &client.HeadObjectInput{Bucket: aws.String("bkt"), Key: &copied})
	w.must(err)
	if *head.ContentLength != 11 || head.Metadata["who"] != "me" {
		t.Errorf("the copy: %v", head)
	}
	_, err = w.client.PutObject(t.Context(), &client.PutObjectInput{Bucket: aws.String("bkt"), Key: &copied, IfNoneMatch: aws.String("*"), Body: strings.NewReader("x")})
	w.fails(err, "PreconditionFailed")
	_, err = w.client.DeleteObject(t.Context(), &client.DeleteObjectInput{Bucket: aws.String("bkt"), Key: &copied})
	w.must(err)
	_, err = w.client.GetObject(t.Context(), &client.GetObjectInput{Bucket: aws.String("bkt"), Key: &copied})
	w.fails(err, "NoSuchKey")
	_, err = w.client.GetObject(t.Context(), &client.GetObjectInput{Bucket: aws.String("none"), Key: &copied})
	w.fails(err, "NoSuchBucket")
	_, err = w.client.DeleteBucket(t.Context(), &client.DeleteBucketInput{Bucket: aws.String("bkt")})
	w.fails(err, "BucketNotEmpty")
	for _, key := range []string{"../../etc/passwd", "a/../../b"} {
		w.put(key, "x")
		if _, err := w.dir.Head(t.Context(), objects.Ref{Bucket: "bkt", Key: key}); err != nil {
			t.Errorf("%s: %v", key, err)
		}
	}
	entries, err := os.ReadDir(filepath.Dir(w.dir.Root()))
	if err != nil || slices.ContainsFunc(entries, func(e os.DirEntry) bool { return e.Name() == "bkt" }) {
		t.Errorf("a key has led out of the directory: %v, %v", entries, err)
	}
}

func TestLists(t *testing.T) {
	w := newWorld(t)
	w.bucket()
	for i := range 25 {
		w.put(fmt.Sprintf("d%d/f%02d", i%3, i), "x")
	}
	w.put("top", "x")
	f := func(prefix, delimiter string, size int32, want ...string) {
		t.Helper()
		pages := client.NewListObjectsV2Paginator(w.client, &client.ListObjectsV2Input{Bucket: aws.String("bkt"), Prefix: &prefix, Delimiter: &delimiter, MaxKeys: &size})
		var got []string
		for pages.HasMorePages() {
			page, err := pages.NextPage(t.Context())
			w.must(err)
			if n := len(page.Contents) + len(page.CommonPrefixes); n > int(size) {
				t.Errorf("a page of %d", n)
			}
			for _, p := range page.CommonPrefixes {
				got = append(got, *p.Prefix)
			}
			for _, o := range page.Contents {
				got = append(got, *o.Key)
			}
		}
		slices.Sort(got)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("list %q by %q (-want +got):\n%s", prefix, delimiter, diff)
		}
	}
	f("", "/", 2, "d0/", "d1/", "d2/", "top")
	f("d1/", "/", 3, "d1/f01", "d1/f04", "d1/f07", "d1/f10", "d1/f13", "d1/f16", "d1/f19", "d1/f22")
	f("d2/f2", "", 1000, "d2/f20", "d2/f23")
	f("none", "", 1000)
	buckets, err := w.client.ListBuckets(t.Context(), nil)
	w.must(err)
	if len(buckets.Buckets) != 1 || *buckets.Buckets[0].Name != "bkt" {
		t.Errorf("buckets %v", buckets.Buckets)
	}
}

func TestUploadInParts(t *testing.T) {
	w := newWorld(t)
	w.bucket()
	bucket, key := aws.String("bkt"), aws.String("large")
	data := make([]byte, 11<<20)
	rand.Read(data)
	up, err := w.client.CreateMultipartUpload(t.Context(), &client.CreateMultipartUploadInput{Bucket: bucket, Key: key, ContentType: aws.String("image/png")})
	w.must(err)
	var parts []types.CompletedPart
	for i := range 3 {
		number := aws.Int32(int32(i + 1))
		out, err := w.client.UploadPart(t.Context(), &client.UploadPartInput{Bucket: bucket, Key: key, UploadId: up.UploadId, PartNumber: number,
			Body: bytes.NewReader(data[i*5<<20 : min((i+1)*5<<20, len(data))])})
		w.must(err)
		parts = append(parts, types.CompletedPart{PartNumber: number, ETag: out.ETag})
	}
	list, err := w.client.ListParts(t.Context(), &client.ListPartsInput{Bucket: bucket, Key: key, UploadId: up.UploadId})
	w.must(err)
	if len(list.Parts) != 3 || *list.Parts[2].Size != 1<<20 {
		t.Errorf("parts %v", list.Parts)
	}
	_, err = w.client.CompleteMultipartUpload(t.Context(), &client.CompleteMultipartUploadInput{Bucket: bucket, Key: key, UploadId: up.UploadId,
		MultipartUpload: &types.CompletedMultipartUpload{Parts: parts}})
	w.must(err)
	out, err := w.client.GetObject(t.Context(), &client.GetObjectInput{Bucket: bucket, Key: key})
	w.must(err)
	defer out.Body.Close()
	got, err := io.ReadAll(out.Body)
	if err != nil || !bytes.Equal(got, data) || *out.ContentType != "image/png" {
		t.Errorf("%d bytes of %s, %v", len(got), *out.ContentType, err)
	}
	left, err := w.client.ListMultipartUploads(t.Context(), &client.ListMultipartUploadsInput{Bucket: bucket})
	w.must(err)
	if len(left.Uploads) != 0 {
		t.Errorf("uploads are left: %v", left.Uploads)
	}
	up, err = w.client.CreateMultipartUpload(t.Context(), &client.CreateMultipartUploadInput{Bucket: bucket, Key: key})
	w.must(err)
	_, err = w.client.AbortMultipartUpload(t.Context(), &client.AbortMultipartUploadInput{Bucket: bucket, Key: key, UploadId: up.UploadId})
	w.must(err)
	_, err = w.client.ListParts(t.Context(), &client.ListPartsInput{Bucket: bucket, Key: key, UploadId: up.UploadId})
	w.fails(err, "NoSuchUpload")
}

func TestPresigned(t *testing.T) {
	w := newWorld(t)
	w.bucket()
	w.put("k", "text")
	signed, err := client.NewPresignClient(w.client).PresignGetObject(t.Context(), &client.GetObjectInput{Bucket: aws.String("bkt"), Key: aws.String("k")})
	w.must(err)
	resp, err := http.Get(signed.URL)
	w.must(err)
	defer resp.Body.Close()
	if text, err := io.ReadAll(resp.Body); string(text) != "text" {
		t.Errorf("%q, %v", text, err)
	}
}

// TestCLI copies a file to the server and back with the AWS CLI.
func TestCLI(t *testing.T) {
	if testing.Short() {
		t.Skip("starts the AWS CLI several times")
	}
	path, err := exec.LookPath("aws")
	if err != nil {
		t.Skip("the AWS CLI is not installed")
	}
	w := newWorld(t)
	dir := t.TempDir()
	data := make([]byte, 20<<20) // in parts
	rand.Read(data)
	w.must(os.WriteFile(filepath.Join(dir, "in.bin"), data, 0o600))
	run := func(args ...string) string {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), path, append([]string{"--endpoint-url", w.url, "--region", "us-east-1", "s3"}, args...)...)
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "AWS_ACCESS_KEY_ID=test", "AWS_SECRET_ACCESS_KEY=test", "AWS_CONFIG_FILE="+filepath.Join(dir, "none"))
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("aws s3 %v: %v\n%s", args, err, out)
		}
		return string(out)
	}
	run("mb", "s3://from-cli")
	run("cp", "in.bin", "s3://from-cli/a/in.bin")
	if said := run("ls", "s3://from-cli/a/"); !strings.Contains(said, "20971520 in.bin") {
		t.Errorf("ls says %q", said)
	}
	run("cp", "s3://from-cli/a/in.bin", "out.bin")
	if got, err := os.ReadFile(filepath.Join(dir, "out.bin")); err != nil || !bytes.Equal(got, data) {
		t.Errorf("%d bytes came back, %v", len(got), err)
	}
	run("rb", "--force", "s3://from-cli")
	if w.dir.HasBucket("from-cli") {
		t.Error("the bucket is still there")
	}
}
