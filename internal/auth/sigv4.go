package auth

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Signature Version 4, as https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
// has it, from the receiver's side: the canonical request is made of the headers
// that the signature says it covers. The SDK's signer cannot be used for that:
// it chooses the headers itself, and leaves out some that other SDKs sign.

const (
	algorithm  = "AWS4-HMAC-SHA256"
	timeFormat = "20060102T150405Z"
	skew       = 15 * time.Minute
	unsigned   = "UNSIGNED-PAYLOAD"
)

// signature is what a request says of its own signature.
type signature struct {
	key, date, region, service string
	headers                    []string // lower case, sorted
	sum                        string   // hex
	at                         time.Time
	expires                    time.Duration // of a presigned URL
	presigned                  bool
	token                      bool // there is a session token
}

// why a signature does not do.
type why int

const (
	missing   why = iota // there is none
	malformed            // or not one that can be read
	unknown              // the key is none of ours
	expired              // it was made too long ago
	early                // it is from the future
	different            // it is of another request or secret
	temporary            // it is of temporary credentials, which there are none of
	bodyHash             // the body is another one than the signed one
	tooLarge             // the body is too long to look at
)

// badSignature says why and more.
type badSignature struct {
	why  why
	text string
}

func (e *badSignature) Error() string { return "signature: " + e.text }

func bad(w why, format string, args ...any) error {
	return &badSignature{w, fmt.Sprintf(format, args...)}
}

// readSignature reads the signature of a request, in its header or its URL.
func readSignature(r *http.Request) (*signature, error) {
	if auth := r.Header.Get("Authorization"); auth != "" {
		return headerSignature(r, auth)
	}
	if q := r.URL.Query(); q.Has("X-Amz-Signature") {
		return querySignature(q)
	}
	return nil, bad(missing, "Missing Authentication Token")
}

func headerSignature(r *http.Request, auth string) (*signature, error) {
	fields, ok := strings.CutPrefix(auth, algorithm+" ")
	if !ok {
		return nil, bad(malformed, "Authorization header requires '%s' and its parameters.", algorithm)
	}
	s := &signature{token: r.Header.Get("X-Amz-Security-Token") != ""}
	var scope string
	for field := range strings.SplitSeq(fields, ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(field), "=")
		switch name {
		case "Credential":
			scope = value
		case "SignedHeaders":
			s.headers = strings.Split(value, ";")
		case "Signature":
			s.sum = value
		}
	}
	for _, f := range []struct{ name, value string }{{"Credential", scope}, {"Signature", s.sum}, {"SignedHeaders", strings.Join(s.headers, ";")}} {
		if f.value == "" {
			return nil, bad(malformed, "Authorization header requires '%s' parameter.", f.name)
		}
	}
	date := r.Header.Get("X-Amz-Date")
	at, err := time.Parse(timeFormat, date)
	if err != nil {
		if at, err = http.ParseTime(r.Header.Get("Date")); err != nil {
			return nil, bad(malformed, "Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header.")
		}
	}
	s.at = at
	return s, s.finish(scope)
}

func querySignature(q url.Values) (*signature, error) {
	if q.Get("X-Amz-Algorithm") != algorithm {
		return nil, bad(malformed, "X-Amz-Algorithm must be '%s'.", algorithm)
	}
	s := &signature{presigned: true, sum: q.Get("X-Amz-Signature"), headers: strings.Split(q.Get("X-Amz-SignedHeaders"), ";"), token: q.Has("X-Amz-Security-Token")}
	var err error
	if s.at, err = time.Parse(timeFormat, q.Get("X-Amz-Date")); err != nil {
		return nil, bad(malformed, "X-Amz-Date must be a time such as 20261120T150405Z.")
	}
	seconds, err := strconv.Atoi(q.Get("X-Amz-Expires"))
	if err != nil || seconds < 1 || seconds > 7*24*3600 {
		return nil, bad(malformed, "X-Amz-Expires must be a number of seconds up to 604800.")
	}
	s.expires = time.Duration(seconds) * time.Second
	return s, s.finish(q.Get("X-Amz-Credential"))
}

// finish reads the scope and checks what can be without the secret.
func (s *signature) finish(scope string) error {
	parts := strings.Split(scope, "/")
	if len(parts) != 5 || parts[4] != "aws4_request" || parts[0] == "" || len(parts[0]) > 128 {
		return bad(malformed, "Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/term.")
	}
	s.key, s.date, s.region, s.service = parts[0], parts[1], parts[2], parts[3]
	if s.date != s.at.UTC().Format("20060102") {
		return bad(different, "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP.")
	}
	if len(s.headers) > 100 || !slices.IsSorted(s.headers) || !slices.Contains(s.headers, "host") {
		return bad(malformed, "SignedHeaders must be sorted and have 'host'.")
	}
	return nil
}

// current checks the time of a signature.
func (s *signature) current(now time.Time) error {
	now = now.UTC().Truncate(time.Second)
	last := s.at.Add(skew)
	if s.presigned {
		last = s.at.Add(s.expires)
	}
	switch {
	case s.at.After(now.Add(skew)):
		return bad(early, "Signature not yet current: %s is still later than %s (%s + 15 min.)", s.at.UTC().Format(timeFormat), now.Add(skew).Format(timeFormat), now.Format(timeFormat))
	case now.After(last):
		return bad(expired, "Signature expired: %s is now earlier than %s (%s - 15 min.)", s.at.UTC().Format(timeFormat), now.Add(-skew).Format(timeFormat), now.Format(timeFormat))
	}
	return nil
}

// wrongSignature is AWS's text.
const wrongSignature = "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key and signing method. Consult the service documentation for details."

// check compares the signature with that of the request under a secret. payload
// is the hash of the body, or what stands in for it.
func (s *signature) check(r *http.Request, secret, payload string) error {
	given, err := hex.DecodeString(s.sum)
	if err != nil {
		return bad(different, wrongSignature)
	}
	scope := s.date + "/" + s.region + "/" + s.service + "/aws4_request"
	key := []byte("AWS4" + secret)
	for _, part := range []string{s.date, s.region, s.service, "aws4_request"} {
		key = macOf(key, part)
	}
	for _, path := range s.paths(r.URL) {
		canonical, err := s.canonical(r, path, payload)
		if err != nil {
			return err
		}
		sum := sha256.Sum256(canonical)
		text := algorithm + "\n" + s.at.UTC().Format(timeFormat) + "\n" + scope + "\n" + hex.EncodeToString(sum[:])
		if hmac.Equal(given, macOf(key, text)) {
			return nil
		}
	}
	return bad(different, wrongSignature)
}

func macOf(key []byte, text string) []byte {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(text))
	return mac.Sum(nil)
}

// canonical is the canonical request.
func (s *signature) canonical(r *http.Request, path, payload string) ([]byte, error) {
	var b bytes.Buffer
	b.WriteString(r.Method + "\n" + path + "\n" + s.query(r.URL) + "\n")
	for _, name := range s.headers {
		value, err := headerValue(r, name)
		if err != nil {
			return nil, err
		}
		b.WriteString(name + ":" + value + "\n")
	}
	b.WriteString("\n" + strings.Join(s.headers, ";") + "\n" + payload)
	return b.Bytes(), nil
}

// paths are the canonical path, in the ways in which clients write the same one:
// of S3 the object's, escaped or as it was sent; of others that which was sent,
// escaped once more.
func (s *signature) paths(u *url.URL) []string {
	sent := u.EscapedPath()
	switch {
	case sent == "":
		return []string{"/"}
	case s.service == "s3":
		return slices.Compact([]string{escape(u.Path, true), sent})
	}
	return []string{escape(sent, true)}
}

func (s *signature) query(u *url.URL) string {
	if u.RawQuery == "" {
		return ""
	}
	var pairs []string
	for name, values := range u.Query() {
		if s.presigned && name == "X-Amz-Signature" {
			continue
		}
		for _, v := range values {
			pairs = append(pairs, escape(name, false)+"="+escape(v, false))
		}
	}
	// By name and then by value: = is before all that an escaped name has but
	// for - and . and %, so they are compared apart.
	slices.SortFunc(pairs, func(x, y string) int {
		xn, xv, _ := strings.Cut(x, "=")
		yn, yv, _ := strings.Cut(y, "=")
		if c := strings.Compare(xn, yn); c != 0 {
			return c
		}
		return strings.Compare(xv, yv)
	})
	return strings.Join(pairs, "&")
}

// escape is AWS's UriEncode: all but unreserved characters.
func escape(text string, path bool) string {
	const hexDigits = "0123456789ABCDEF"
	var b strings.Builder
	for i := range len(text) {
		switch c := text[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '-', c == '.', c == '_', c == '~', c == '/' && path:
			b.WriteByte(c)
		default:
			b.WriteByte('%')
			b.WriteByte(hexDigits[c>>4])
			b.WriteByte(hexDigits[c&15])
		}
	}
	return b.String()
}

// headerValue is the canonical value of a signed header.
func headerValue(r *http.Request, name string) (string, error) {
	var values []string
	switch name {
	case "host":
		values = []string{r.Host}
	case "content-length":
		values = []string{strconv.FormatInt(r.ContentLength, 10)}
	case "transfer-encoding":
		values = r.TransferEncoding
	default:
		values = r.Header.Values(name)
		if len(values) == 0 {
			return "", bad(different, "The signed header '%s' is not in the request.", cut(name, 60))
		}
	}
	clean := make([]string, len(values))
	for i, v := range values {
		clean[i] = strings.Join(strings.Fields(v), " ")
	}
	return strings.Join(clean, ","), nil
}

// bySignature finds whose access key a request is signed with, for a service. Of
// the body it looks at most bytes; most 0 leaves it alone, where its hash is in a
// signed header.
func (a *Auth) bySignature(r *http.Request, service string, most int) (*Principal, error) {
	s, err := readSignature(r)
	if err != nil {
		return nil, err
	}
	if s.token {
		return nil, bad(temporary, "The security token included in the request is invalid: this server gives out no temporary credentials.")
	}
	if s.service != service {
		return nil, bad(different, "Credential should be scoped to correct service: '%s'.", service)
	}
	if err := s.current(a.cfg.Now()); err != nil {
		return nil, err
	}
	rec, secret, err := a.accessKey(r.Context(), s.key)
	if err != nil {
		return nil, err
	}
	payload := unsigned
	switch {
	case most == 0 && s.presigned:
	case most == 0: // it is checked as it is read
		if payload = r.Header.Get("X-Amz-Content-Sha256"); !slices.Contains(s.headers, "x-amz-content-sha256") || payload == "" {
			return nil, bad(malformed, "Missing required header for this request: x-amz-content-sha256")
		}
	default:
		text, ok, err := body(r, most)
		if err != nil {
			return nil, bad(bodyHash, "The request's body could not be read to its end.")
		}
		if !ok {
			return nil, bad(tooLarge, "The request is larger than this operation takes.")
		}
		sum := sha256.Sum256(text)
		payload = hex.EncodeToString(sum[:])
	}
	if err := s.check(r, secret, payload); err != nil {
		return nil, err
	}
	return a.user(r.Context(), rec.User)
}

// accessKey finds an access key with its secret.
func (a *Auth) accessKey(ctx context.Context, id string) (*keyRecord, string, error) {
	rec, err := a.key(ctx, AccessKey, id)
	if err != nil {
		return nil, "", err
	}
	if rec == nil {
		return nil, "", bad(unknown, "The security token included in the request is invalid.")
	}
	secret, err := a.cfg.Key.Open("access-key/"+rec.ID, rec.Sealed)
	return rec, string(secret), err
}
