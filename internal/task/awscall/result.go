package awscall

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/lockstep-run/lockstep/asl/value"
	"github.com/lockstep-run/lockstep/internal/task"
)

// spelling has the headers that AWS writes in another way than net/http.
var spelling = map[string]string{
	"X-Amzn-Requestid":                "x-amzn-RequestId",
	"X-Amzn-Remapped-Content-Length":  "x-amzn-Remapped-Content-Length",
	"X-Amzn-Remapped-Date":            "x-amzn-Remapped-Date",
	"X-Amzn-Remapped-Connection":      "x-amzn-Remapped-Connection",
	"X-Amzn-Remapped-X-Forwarded-For": "x-amzn-Remapped-X-Forwarded-For",
	"X-Amzn-Errortype":                "x-amzn-ErrorType",
	"X-Amz-Crc32":                     "x-amz-crc32",
	"X-Amz-Id-2":                      "x-amz-id-2",
	"X-Amz-Request-Id":                "x-amz-request-id",
}

type header struct {
	name   string
	values []string
	bucket uint32 // in a Java HashMap of 16
}

// AppendMetadata appends the two members that an optimized integration adds to a
// result, SdkHttpMetadata and SdkResponseMetadata, without a comma around them.
// Headers stand in the order recorded from AWS: AllHttpHeaders as Java's HashMap
// keeps them, HttpHeaders by name.
func AppendMetadata(dst []byte, r *Response, requestID string) []byte {
	headers := make([]header, 0, 12)
	for name, values := range r.Header {
		if len(values) == 0 {
			continue
		}
		if s, ok := spelling[name]; ok {
			name = s
		}
		headers = append(headers, header{name, values, bucket(name)})
	}
	slices.SortFunc(headers, byName)
	sorted := headers
	hashed := slices.Clone(headers)
	slices.SortStableFunc(hashed, func(a, b header) int { return int(a.bucket) - int(b.bucket) })

	dst = append(dst, `"SdkHttpMetadata":{"AllHttpHeaders":{`...)
	for i := range hashed {
		dst = appendName(dst, i, hashed[i].name)
		dst = append(dst, '[')
		for j, v := range hashed[i].values {
			if j > 0 {
				dst = append(dst, ',')
			}
			dst = appendText(dst, v)
		}
		dst = append(dst, ']')
	}
	dst = append(dst, `},"HttpHeaders":{`...)
	for i := range sorted {
		dst = appendName(dst, i, sorted[i].name)
		dst = appendText(dst, sorted[i].values[len(sorted[i].values)-1])
	}
	dst = append(dst, `},"HttpStatusCode":`...)
	dst = strconv.AppendInt(dst, int64(r.Status), 10)
	dst = append(dst, `},"SdkResponseMetadata":{"RequestId":`...)
	dst = appendText(dst, requestID)
	return append(dst, '}')
}

func appendName(dst []byte, i int, name string) []byte {
	if i > 0 {
		dst = append(dst, ',')
	}
	dst = appendText(dst, name)
	return append(dst, ':')
}

func appendText(dst []byte, s string) []byte {
	return value.AppendString(dst, strings.ToValidUTF8(s, "\uFFFD"))
}

// byName orders headers regardless of case.
func byName(a, b header) int {
	x, y := a.name, b.name
	for i := range min(len(x), len(y)) {
		if d := int(lower(x[i])) - int(lower(y[i])); d != 0 {
			return d
		}
	}
	return len(x) - len(y)
}

func lower(b byte) byte {
	if 'A' <= b && b <= 'Z' {
		return b + 'a' - 'A'
	}
	return b
}

func bucket(s string) uint32 {
	var h uint32
	for i := range len(s) {
		h = 31*h + uint32(s[i])
	}
	return (h ^ h>>16) & 15
}

// RequestID is the id that the service gave to the call, "" without one.
func RequestID(h http.Header) string {
	if id := h.Get("X-Amzn-Requestid"); id != "" {
		return id
	}
	return h.Get("X-Amz-Request-Id")
}

// Failure is what a service said when it refused a call.
type Failure struct {
	Status    int
	Code      string // "ResourceNotFoundException"; "" where it gave none
	Message   string
	RequestID string
}

// Refusal reads a Failure from an answer in one of AWS's JSON protocols, or of
// any other form: the message is then the start of the body.
func Refusal(r *Response) Failure {
	f := Failure{Status: r.Status, Code: r.Header.Get("X-Amzn-Errortype"), RequestID: RequestID(r.Header)}
	body, err := value.Parse(r.Body)
	if err != nil {
		body = value.Value{}
	}
	for _, key := range []string{"__type", "code", "Code"} {
		if f.Code == "" {
			f.Code = body.Get(key).Str()
		}
	}
	if _, name, ok := strings.Cut(f.Code, "#"); ok {
		f.Code = name
	}
	f.Code, _, _ = strings.Cut(f.Code, ":")
	f.Code = Short(f.Code, 128)
	for _, key := range []string{"Message", "message", "errorMessage"} {
		if f.Message == "" {
			f.Message = body.Get(key).Str()
		}
	}
	if f.Message == "" {
		f.Message = strings.TrimSpace(r.Body)
	}
	if f.Message == "" {
		f.Message = http.StatusText(r.Status)
	}
	f.Message = Short(f.Message, 2048)
	return f
}

// CauseV1 words f as the older of AWS's Java SDKs does, which names the optimized
// integrations' errors: service is "AWSLambda", for instance.
func (f Failure) CauseV1(service string) string {
	return f.Message + " (Service: " + service + "; Status Code: " + strconv.Itoa(f.Status) +
		"; Error Code: " + orNull(f.Code) + "; Request ID: " + orNull(f.RequestID) + "; Proxy: null)"
}

// CauseV2 words f as the newer of AWS's Java SDKs does.
func (f Failure) CauseV2(service string) string {
	return f.Message + " (Service: " + service + ", Status Code: " + strconv.Itoa(f.Status) +
		", Request ID: " + orNull(f.RequestID) + ")"
}

func orNull(s string) string {
	if s == "" {
		return "null"
	}
	return Short(s, 256)
}

// Short cuts s after at most n bytes and makes it valid UTF-8.
func Short(s string, n int) string {
	if len(s) > n {
		for n > 0 && !utf8.RuneStart(s[n]) {
			n--
		}
		s = s[:n]
	}
	return strings.ToValidUTF8(s, "\uFFFD")
}

// BadParameters is the error of a call whose parameters cannot be used: nothing
// was sent. The engine does not let it be caught.
func BadParameters(input, detail string) *task.Error {
	return task.Fail("States.Runtime",
		"The Parameters '"+input+"' could not be used to start the Task: ["+detail+"]")
}

// Check returns the error for the first member of in that is not among known, or
// that is named in strings and is of another type; nil if all is well.
func Check(input string, in value.Value, known []string, text ...string) *task.Error {
	for name, v := range in.Members() {
		if !slices.Contains(known, name) {
			return BadParameters(input, "The field '"+name+"' is not supported by Step Functions")
		}
		if slices.Contains(text, name) && v.Kind() != value.String {
			return BadParameters(input, "The value for the field '"+name+"' must be a STRING")
		}
	}
	return nil
}
