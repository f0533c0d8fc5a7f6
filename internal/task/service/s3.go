package service

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/lockstep-run/lockstep/asl/value"
	"github.com/lockstep-run/lockstep/internal/task"
	"github.com/lockstep-run/lockstep/internal/task/awscall"
)

// objectAction is an action of S3.
type objectAction struct {
	method string
	names  []string          // parameters in the path
	query  string            // what tells it from others, "" for nothing
	params map[string]string // parameters in the query, by name
	reads  bool              // the answer's body is the object
	stores bool              // the parameter Body is the object
	lists  bool              // the answer's body is a document
}

var (
	ofBucket = []string{"Bucket"}
	ofObject = []string{"Bucket", "Key"}
)

var objectActions = map[string]objectAction{
	"getObject":    {method: "GET", names: ofObject, params: map[string]string{"VersionId": "versionId", "PartNumber": "partNumber"}, reads: true},
	"headObject":   {method: "HEAD", names: ofObject, params: map[string]string{"VersionId": "versionId", "PartNumber": "partNumber"}},
	"putObject":    {method: "PUT", names: ofObject, stores: true},
	"deleteObject": {method: "DELETE", names: ofObject, params: map[string]string{"VersionId": "versionId"}},
	"copyObject":   {method: "PUT", names: ofObject, lists: true},
	"listBuckets":  {method: "GET", lists: true},
	"createBucket": {method: "PUT", names: ofBucket},
	"deleteBucket": {method: "DELETE", names: ofBucket},
	"headBucket":   {method: "HEAD", names: ofBucket},
	"listObjects": {method: "GET", names: ofBucket, lists: true, params: map[string]string{
		"Delimiter": "delimiter", "EncodingType": "encoding-type", "Marker": "marker", "MaxKeys": "max-keys", "Prefix": "prefix"}},
	"listObjectsV2": {method: "GET", names: ofBucket, query: "list-type=2", lists: true, params: map[string]string{
		"ContinuationToken": "continuation-token", "Delimiter": "delimiter", "EncodingType": "encoding-type",
		"FetchOwner": "fetch-owner", "MaxKeys": "max-keys", "Prefix": "prefix", "StartAfter": "start-after"}},
}

// objectHeaders are the headers that are parameters or members of a result.
var objectHeaders = map[string]string{
	"ACL": "X-Amz-Acl", "AcceptRanges": "Accept-Ranges", "CacheControl": "Cache-Control",
	"ChecksumCRC32": "X-Amz-Checksum-Crc32", "ChecksumCRC32C": "X-Amz-Checksum-Crc32c", "ChecksumCRC64NVME": "X-Amz-Checksum-Crc64nvme",
	"ChecksumSHA1": "X-Amz-Checksum-Sha1", "ChecksumSHA256": "X-Amz-Checksum-Sha256", "ChecksumType": "X-Amz-Checksum-Type",
	"ContentDisposition": "Content-Disposition", "ContentEncoding": "Content-Encoding", "ContentLanguage": "Content-Language",
	"ContentLength": "Content-Length", "ContentRange": "Content-Range", "ContentType": "Content-Type",
	"CopySource": "X-Amz-Copy-Source", "DeleteMarker": "X-Amz-Delete-Marker", "ETag": "Etag",
	"ExpectedBucketOwner": "X-Amz-Expected-Bucket-Owner", "Expiration": "X-Amz-Expiration",
	"IfMatch": "If-Match", "IfNoneMatch": "If-None-Match", "IfModifiedSince": "If-Modified-Since", "IfUnmodifiedSince": "If-Unmodified-Since",
	"LastModified": "Last-Modified", "MetadataDirective": "X-Amz-Metadata-Directive", "PartsCount": "X-Amz-Mp-Parts-Count",
	"Range": "Range", "RequestPayer": "X-Amz-Request-Payer", "SSEKMSKeyId": "X-Amz-Server-Side-Encryption-Aws-Kms-Key-Id",
	"ServerSideEncryption": "X-Amz-Server-Side-Encryption", "StorageClass": "X-Amz-Storage-Class", "TagCount": "X-Amz-Tagging-Count",
	"Tagging": "X-Amz-Tagging", "TaggingDirective": "X-Amz-Tagging-Directive", "VersionId": "X-Amz-Version-Id",
	"WebsiteRedirectLocation": "X-Amz-Website-Redirect-Location",
}

// onlyOfObjects are the headers that describe the body of an answer, where that
// is an object.
var onlyOfObjects = []string{"AcceptRanges", "ContentLength", "ContentType", "LastModified"}

const metadataHeader = "X-Amz-Meta-"

// objectCodes are the errors that the SDK has exceptions for.
var objectCodes = strings.Fields(`BucketAlreadyExists BucketAlreadyOwnedByYou EncryptionTypeMismatch
	IdempotencyParameterMismatch InvalidObjectState InvalidRequest InvalidWriteOffset NoSuchBucket NoSuchKey
	NoSuchUpload ObjectAlreadyInActiveTier ObjectNotInActiveTier TooManyParts`)

// object runs an action of S3: buckets are named in the path.
func (i *sdk) object(ctx context.Context, d *description, c *task.Call, in value.Value) (task.Result, error) {
	a, ok := objectActions[c.Resource.Action]
	if !ok {
		return task.Result{}, task.Unsupported(c.Resource)
	}
	request, err := a.request(c.Input, in)
	if err != nil {
		return task.Result{}, err
	}
	r, err := i.services.send(ctx, i.name, request, d.exception, c.Resource.Service, func(r *awscall.Response) *task.Error {
		return d.refusedObject(&a, in, r)
	})
	if err != nil {
		return task.Result{}, err
	}
	return task.Result{Output: a.result(r).JSON()}, nil
}

func (a *objectAction) request(input string, in value.Value) (*awscall.Request, error) {
	for _, name := range a.names {
		if v := in.Get(name); v.IsAbsent() || text(v) == "" {
			return nil, awscall.BadParameters(input, "The field '"+name+"' is required but was missing")
		}
	}
	r := &awscall.Request{Method: a.method, Header: http.Header{}}
	query, _ := url.ParseQuery(a.query)
	for key, x := range in.Members() {
		switch {
		case key == "Bucket":
			r.Path = append([]string{text(x)}, r.Path...)
		case key == "Key":
			r.Path = append(r.Path, strings.Split(text(x), "/")...)
		case key == "Body" && a.stores:
			// A string keeps its quotes (recorded).
			r.Body = x.JSON()
		case a.params[key] != "":
			query.Set(a.params[key], text(x))
		case key == "Metadata" && x.Kind() == value.Object:
			for name, v := range x.Members() {
				r.Header[http.CanonicalHeaderKey(metadataHeader+name)] = []string{text(v)}
			}
		case objectHeaders[key] != "":
			r.Header[objectHeaders[key]] = []string{text(x)}
		default:
			return nil, awscall.BadParameters(input, "The field '"+key+"' is not supported by Step Functions")
		}
	}
	for name, values := range r.Header { // would fail in this process, not at the service
		if strings.ContainsFunc(name+values[0], func(r rune) bool { return r < ' ' || r > '~' }) {
			return nil, awscall.BadParameters(input, "The value of the header '"+name+"' has an invalid format")
		}
	}
	if a.stores && r.Header["Content-Type"] == nil {
		r.Header["Content-Type"] = []string{"text/plain; charset=UTF-8"} // recorded
	}
	r.Query = query.Encode()
	return r, nil
}

// result is what the SDK makes of an answer: its headers, and the object or the
// document.
func (a *objectAction) result(r *awscall.Response) value.Value {
	var out []value.Member
	if a.lists {
		out = documentMembers(r.Body)
	}
	object := a.reads || a.method == http.MethodHead
	for name, header := range objectHeaders {
		v := r.Header.Get(header)
		if v == "" || a.lists && (name == "ContentType" || name == "ContentLength") || !object && slices.Contains(onlyOfObjects, name) {
			continue
		}
		out = append(out, value.Member{Key: name, Value: headerValue(name, v)})
	}
	if object {
		out = append(out, value.Member{Key: "Metadata", Value: metadata(r.Header)})
	}
	out = sorted(value.ObjectOf(out))
	if a.reads {
		out = append(out, value.Member{Key: "Body", Value: value.Str(strings.ToValidUTF8(r.Body, "\uFFFD"))})
	}
	return value.ObjectOf(out)
}

// documentMembers reads a list or the outcome of a copy.
func documentMembers(text string) []value.Member {
	root, err := readXML(text)
	if err != nil {
		return nil
	}
	v := root.value(map[string]shape{
		"Contents": list, "CommonPrefixes": list, "ChecksumAlgorithm": list,
		"Size": number, "KeyCount": number, "MaxKeys": number, "IsTruncated": number,
	})
	if root.name == "CopyObjectResult" {
		return []value.Member{{Key: root.name, Value: v}}
	}
	if b := v.Get("Buckets"); b.Kind() == value.Object { // <Bucket> by <Bucket>
		var buckets []value.Value
		for _, c := range root.child("Buckets").children {
			buckets = append(buckets, c.value(nil))
		}
		v = v.With("Buckets", value.ArrayOf(buckets))
	}
	return sorted(v)
}

func headerValue(name, v string) value.Value {
	v = strings.ToValidUTF8(v, "\uFFFD")
	switch name {
	case "ContentLength", "PartsCount", "TagCount":
		if n, err := strconv.ParseInt(v, 10, 64); err == nil {
			return value.Int(n)
		}
	case "DeleteMarker":
		return value.BoolOf(v == "true")
	case "LastModified":
		if t, err := http.ParseTime(v); err == nil {
			return value.Str(t.UTC().Format(time.RFC3339))
		}
	}
	return value.Str(v)
}

func metadata(h http.Header) value.Value {
	var out []value.Member
	for name, values := range h {
		if key, ok := strings.CutPrefix(name, metadataHeader); ok && len(values) > 0 {
			out = append(out, value.Member{Key: strings.ToLower(key), Value: value.Str(strings.ToValidUTF8(values[0], "\uFFFD"))})
		}
	}
	return value.ObjectOf(sorted(value.ObjectOf(out)))
}

// refusedObject names an error of S3. An answer to HEAD has no body to say more.
func (d *description) refusedObject(a *objectAction, in value.Value, r *awscall.Response) *task.Error {
	f, _ := queryFailure(r)
	if a.method == http.MethodHead && r.Status == http.StatusNotFound {
		f.Code = "NoSuchKey"
		if in.Get("Key").IsAbsent() {
			f.Code = "NoSuchBucket"
		}
	}
	name := d.exception + "Exception"
	if slices.Contains(objectCodes, f.Code) {
		name = exception(f.Code)
	}
	more := ""
	if id := r.Header.Get("X-Amz-Id-2"); id != "" {
		more = ", Extended Request ID: " + awscall.Short(id, 256)
	}
	e := d.refused(f, more)
	return task.Fail(d.exception+"."+name, *e.Cause)
}

// invoke runs aws-sdk:lambda:invoke, the one action of Lambda that is known here.
func (i *sdk) invoke(ctx context.Context, d *description, c *task.Call, in value.Value) (task.Result, error) {
	if c.Resource.Action != "invoke" {
		return task.Result{}, task.Unsupported(c.Resource)
	}
	fields := []string{"FunctionName", "Payload", "Qualifier", "InvocationType", "ClientContext", "LogType"}
	if bad := awscall.Check(c.Input, in, fields, "FunctionName", "Qualifier", "InvocationType", "LogType", "ClientContext"); bad != nil {
		return task.Result{}, bad
	}
	request := &awscall.Request{
		Path:   []string{"2015-03-31", "functions", in.Get("FunctionName").Str(), "invocations"},
		Header: http.Header{"Content-Type": {"application/json"}},
	}
	if p := in.Get("Payload"); !p.IsAbsent() {
		request.Body = p.JSON()
	}
	if q := in.Get("Qualifier").Str(); q != "" {
		request.Query = url.Values{"Qualifier": {q}}.Encode()
	}
	for name, header := range map[string]string{
		"InvocationType": "X-Amz-Invocation-Type", "LogType": "X-Amz-Log-Type", "ClientContext": "X-Amz-Client-Context",
	} {
		if v := in.Get(name).Str(); v != "" && !strings.ContainsFunc(v, func(r rune) bool { return r < ' ' || r > '~' }) {
			request.Header[header] = []string{v}
		}
	}
	r, err := i.services.send(ctx, i.name, request, d.exception, c.Resource.Service, d.refusedJSON)
	if err != nil {
		return task.Result{}, err
	}
	out := []value.Member{{Key: "StatusCode", Value: value.Int(int64(r.Status))}}
	if r.Body != "" {
		out = append(out, value.Member{Key: "Payload", Value: value.Str(strings.ToValidUTF8(r.Body, "\uFFFD"))})
	}
	for name, header := range map[string]string{
		"ExecutedVersion": "X-Amz-Executed-Version", "FunctionError": "X-Amz-Function-Error", "LogResult": "X-Amz-Log-Result",
	} {
		if v := r.Header.Get(header); v != "" {
			out = append(out, value.Member{Key: name, Value: value.Str(strings.ToValidUTF8(v, "\uFFFD"))})
		}
	}
	return task.Result{Output: value.ObjectOf(sorted(value.ObjectOf(out))).JSON()}, nil
}
