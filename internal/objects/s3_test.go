package objects

import (
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// fakeS3 answers as S3 does, with two keys a page, from memory.
type fakeS3 struct {
	store *S3
	mem   *Memory

	mu      sync.Mutex
	uploads map[string]map[int]string
	cut     int // answers with contents that break off after so many bytes; 0: none
	breaks  int // how often
	denied  bool
	owners  []string
}

func openFakeS3(t *testing.T) *fakeS3 {
	t.Helper()
	f := &fakeS3{mem: NewMemory(nil, "b"), uploads: map[string]map[int]string{}}
	srv := httptest.NewServer(f)
	t.Cleanup(srv.Close)
	for name, value := range map[string]string{"AWS_ACCESS_KEY_ID": "AKIDEXAMPLE", "AWS_SECRET_ACCESS_KEY": "verysecret",
		"AWS_SESSION_TOKEN": "", "AWS_CONFIG_FILE": "/dev/null", "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
		"AWS_ENDPOINT_URL": "http://127.0.0.1:1", "AWS_ENDPOINT_URL_S3": srv.URL, "AWS_MAX_ATTEMPTS": "1", "AWS_REGION": "", "AWS_DEFAULT_REGION": ""} {
		t.Setenv(name, value)
	}
	var err error
	if f.store, err = OpenS3(ctx, "", Options{}); err != nil {
		t.Fatal(err)
	}
	return f
}

func (f *fakeS3) refuse(w http.ResponseWriter, status int, code, message string) {
	w.WriteHeader(status)
	fmt.Fprintf(w, "<Error><Code>%s</Code><Message>%s</Message></Error>", code, message)
}

func (f *fakeS3) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.owners = append(f.owners, req.Header.Get("X-Amz-Expected-Bucket-Owner"))
	bucket, key, _ := strings.Cut(strings.TrimPrefix(req.URL.Path, "/"), "/")
	if !strings.Contains(req.Header.Get("Authorization"), "AKIDEXAMPLE") || f.denied {
		f.refuse(w, 403, "AccessDenied", "Access Denied")
		return
	}
	if bucket != "b" {
		f.refuse(w, 404, "NoSuchBucket", "The specified bucket does not exist")
		return
	}
	q := req.URL.Query()
	body, _ := io.ReadAll(req.Body)
	switch {
	case req.Method == "GET" && key == "":
		f.list(w, q)
	case req.Method == "GET" || req.Method == "HEAD":
		f.get(w, req, key)
	case req.Method == "POST" && q.Has("uploads"):
		id := fmt.Sprint("u", len(f.uploads))
		f.uploads[id] = map[int]string{}
		fmt.Fprintf(w, "<InitiateMultipartUploadResult><UploadId>%s</UploadId></InitiateMultipartUploadResult>", id)
	case req.Method == "PUT" && q.Has("partNumber"):
		n, _ := strconv.Atoi(q.Get("partNumber"))
		f.uploads[q.Get("uploadId")][n] = string(body)
		w.Header().Set("ETag", fmt.Sprintf("%q", fmt.Sprint("part", n)))
	case req.Method == "POST" && q.Has("uploadId"):
		text := ""
		for n := 1; n <= len(f.uploads[q.Get("uploadId")]); n++ {
			text += f.uploads[q.Get("uploadId")][n]
		}
		delete(f.uploads, q.Get("uploadId"))
		info := f.mem.Put("b", key, text)
		fmt.Fprintf(w, "<CompleteMultipartUploadResult><ETag>&quot;%s&quot;</ETag></CompleteMultipartUploadResult>", info.ETag)
	case req.Method == "DELETE" && q.Has("uploadId"):
		delete(f.uploads, q.Get("uploadId"))
		w.WriteHeader(204)
	case req.Method == "PUT":
		w.Header().Set("ETag", `"`+f.mem.Put("b", key, string(body)).ETag+`"`)
	case req.Method == "DELETE":
		f.mem.Delete(ctx, ref(key))
		w.WriteHeader(204)
	default:
		f.refuse(w, 405, "MethodNotAllowed", "no")
	}
}

func (f *fakeS3) get(w http.ResponseWriter, req *http.Request, key string) {
	o, err := f.mem.get(ctx, ref(key))
	if err != nil {
		f.refuse(w, 404, "NoSuchKey", "The specified key does not exist.")
		return
	}
	w.Header().Set("ETag", `"`+o.info.ETag+`"`)
	w.Header().Set("Last-Modified", o.info.LastModified.UTC().Format(http.TimeFormat))
	if m := req.Header.Get("If-Match"); m != "" && m != `"`+o.info.ETag+`"` {
		f.refuse(w, 412, "PreconditionFailed", "At least one of the pre-conditions you specified did not hold")
		return
	}
	from, to, status := 0, len(o.data)-1, 200
	if rng := req.Header.Get("Range"); rng != "" {
		a, b, _ := strings.Cut(strings.TrimPrefix(rng, "bytes="), "-")
		from, _ = strconv.Atoi(a)
		if b != "" {
			to, _ = strconv.Atoi(b)
		}
		if to = min(to, len(o.data)-1); from >= len(o.data) {
			f.refuse(w, 416, "InvalidRange", "The requested range is not satisfiable")
			return
		}
		status = 206
		w.Header().Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", from, to, len(o.data)))
	}
	data := o.data[from : to+1]
	w.Header().Set("Content-Length", strconv.Itoa(len(data)))
	w.WriteHeader(status)
	if req.Method == "HEAD" {
		return
	}
	if f.breaks > 0 && len(data) > f.cut {
		f.breaks--
		w.Write(data[:f.cut])
		w.(http.Flusher).Flush()
		panic(http.ErrAbortHandler)
	}
	w.Write(data)
}

func (f *fakeS3) list(w http.ResponseWriter, q url.Values) {
	type contents struct {
		Key, ETag, LastModified, StorageClass string
		Size                                  int64
	}
	result := struct {
		XMLName               xml.Name `xml:"ListBucketResult"`
		Contents              []contents
		IsTruncated           bool
		EncodingType          string
		NextContinuationToken string `xml:",omitempty"`
	}{EncodingType: q.Get("encoding-type")}
	after := q.Get("start-after")
	if token := q.Get("continuation-token"); token != "" {
		after, _ = url.QueryUnescape(strings.TrimPrefix(token, "token:"))
	}
	for info := range f.mem.List(ctx, ref(""), q.Get("prefix"), after) {
		if len(result.Contents) == 2 {
			result.IsTruncated, result.NextContinuationToken = true, "token:"+url.QueryEscape(after)
			break
		}
		after = info.Key
		result.Contents = append(result.Contents, contents{url.QueryEscape(info.Key), `"` + info.ETag + `"`,
			info.LastModified.UTC().Format(time.RFC3339), info.StorageClass, info.Size})
	}
	xml.NewEncoder(w).Encode(result)
}

// A connection that breaks off is replaced, in the same state of the object.
func TestS3ReadsOn(t *testing.T) {
	f := openFakeS3(t)
	f.mem.Put("b", "k", "0123456789")
	f.cut, f.breaks = 3, 3
	if got := get(t, f.store, ref("k"), 0); got != "0123456789" {
		t.Errorf("read %q", got)
	}
	f.cut, f.breaks = 3, 1
	p := make([]byte, 8)
	if n, err := f.store.ReadAt(ctx, ref("k"), p, 1); string(p[:n]) != "12345678" || err != nil {
		t.Errorf("read %q, %v", p[:n], err)
	}

	f.cut, f.breaks = 3, 1
	r, _, err := f.store.Open(ctx, ref("k"), 0)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	f.mem.Put("b", "k", "abcdefghij")
	if text, err := io.ReadAll(r); !errors.Is(err, ErrChanged) {
		t.Errorf("read %q, %v", text, err)
	}
}

func TestS3LeavesNoUploadsBehind(t *testing.T) {
	f := openFakeS3(t)
	ending, cancel := context.WithCancel(ctx)
	w, err := f.store.Create(ending, ref("k"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(w, strings.Repeat("x", partSize+1)); err != nil || len(f.uploads) != 1 {
		t.Fatalf("%v, %d uploads", err, len(f.uploads))
	}
	cancel()
	if err := w.Close(); !errors.Is(err, context.Canceled) {
		t.Errorf("closed after the context ended: %v", err)
	}
	if len(f.uploads) != 0 {
		t.Errorf("%d uploads are left", len(f.uploads))
	}
}

func TestS3Refusals(t *testing.T) {
	f := openFakeS3(t)
	f.denied = true
	_, _, err := f.store.Open(ctx, Ref{Bucket: "b", Key: "k", Owner: "111122223333"}, 0)
	if !errors.Is(err, ErrDenied) || !strings.HasSuffix(err.Error(), ": AccessDenied: Access Denied (HTTP 403)") || strings.Contains(err.Error(), "secret") {
		t.Errorf("denied: %v", err)
	}
	if f.owners[0] != "111122223333" {
		t.Errorf("the owner asked for: %q", f.owners)
	}
	gone := httptest.NewServer(http.NotFoundHandler())
	gone.Close()
	s, err := OpenS3(ctx, gone.URL, Options{})
	if err != nil {
		t.Fatal(err)
	}
	_, _, err = s.Open(ctx, ref("k"), 0)
	if err == nil || !strings.Contains(err.Error(), "no answer: ") {
		t.Errorf("nobody there: %v", err)
	}
}
