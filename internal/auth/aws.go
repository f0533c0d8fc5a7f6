package auth

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"encoding/xml"
	"errors"
	"hash"
	"io"
	"net/http"
	"strings"

	"github.com/google/uuid"

	"github.com/lockstep-run/lockstep/internal/rest"
)

// actions says what right an action of Step Functions takes. Those that are not
// here take Machines.
var actions = map[string]Right{
	"DescribeStateMachine": Read, "DescribeStateMachineForExecution": Read, "ListStateMachines": Read, "ValidateStateMachineDefinition": Read,
	"DescribeExecution": Read, "ListExecutions": Read, "GetExecutionHistory": Read,
	"DescribeActivity": Read, "ListActivities": Read, "ListTagsForResource": Read,
	"ListStateMachineVersions": Read, "DescribeStateMachineAlias": Read, "ListStateMachineAliases": Read,
	"DescribeMapRun": Read, "ListMapRuns": Read,

	"StartExecution": Start, "StartSyncExecution": Start, "StopExecution": Start, "RedriveExecution": Start, "UpdateMapRun": Start,
	"GetActivityTask": Start, "SendTaskSuccess": Start, "SendTaskFailure": Start, "SendTaskHeartbeat": Start,
}

// action is the action that a request of the JSON protocol names: its service's
// name in IAM, its own, and the right that it takes.
func action(r *http.Request) (service, name string, needs Right) {
	target := r.Header.Get("X-Amz-Target")
	if name, ok := strings.CutPrefix(target, "AWSEvents."); ok {
		return "events", name, Start
	}
	_, name, _ = strings.Cut(target, ".")
	if needs = actions[name]; needs == "" {
		needs = Machines
	}
	return "states", name, needs
}

// serveAWS lets in who signed, or has a session or a key.
func (g *gate) serveAWS(w http.ResponseWriter, r *http.Request) {
	service, name, needs := action(r)
	p, err := g.awsCaller(r, service)
	if err == nil && !p.May(needs) {
		err = g.denied(r, p, service+":"+cut(name, 64), needs)
	}
	if err != nil {
		g.failAWS(w, r, err, jsonErrors)
		return
	}
	g.next.ServeHTTP(w, r.WithContext(With(r.Context(), p)))
}

// awsCaller finds who calls an AWS API.
func (g *gate) awsCaller(r *http.Request, service string) (*Principal, error) {
	_, cookieErr := r.Cookie(SessionCookie)
	auth := r.Header.Get("Authorization")
	if scheme, _, _ := strings.Cut(auth, " "); strings.EqualFold(scheme, "Bearer") || auth == "" && cookieErr == nil {
		return g.Identify(r)
	}
	return g.bySignature(r, service, g.MaxBody)
}

// serveLambda does the same for Lambda's Invoke.
func (g *gate) serveLambda(w http.ResponseWriter, r *http.Request) {
	const most = 6<<20 + 1
	caller := func() (*Principal, error) {
		if scheme, _, _ := strings.Cut(r.Header.Get("Authorization"), " "); strings.EqualFold(scheme, "Bearer") {
			return g.Identify(r)
		}
		return g.bySignature(r, "lambda", most)
	}
	p, err := caller()
	if err == nil && !p.May(Start) {
		err = g.denied(r, p, "lambda:InvokeFunction", Start)
	}
	if err != nil {
		g.failAWS(w, r, err, lambdaErrors)
		return
	}
	g.next.ServeHTTP(w, r.WithContext(With(r.Context(), p)))
}

// serveS3 does the same for objects, whose bodies are too large to look at
// before: what was signed of them is checked as they are read.
func (g *gate) serveS3(w http.ResponseWriter, r *http.Request) {
	p, err := g.bySignature(r, "s3", 0)
	if err == nil {
		needs, what := Start, "s3:PutObject"
		if reads(r.Method) {
			needs, what = Read, "s3:GetObject"
		}
		if !p.May(needs) {
			err = g.denied(r, p, what, needs)
		}
	}
	if err != nil {
		g.failAWS(w, r, err, s3Errors)
		return
	}
	if want := r.Header.Get("X-Amz-Content-Sha256"); len(want) == 64 {
		r.Body = &checked{ReadCloser: r.Body, sum: sha256.New(), want: want}
	}
	g.next.ServeHTTP(w, r.WithContext(With(r.Context(), p)))
}

// checked is a body whose end is an error when it is not the one that was signed.
type checked struct {
	io.ReadCloser
	sum  hash.Hash
	want string
}

func (c *checked) Read(b []byte) (int, error) {
	n, err := c.ReadCloser.Read(b)
	c.sum.Write(b[:n])
	if err == io.EOF && hex.EncodeToString(c.sum.Sum(nil)) != c.want {
		err = errors.New("the body is not the one that was signed")
	}
	return n, err
}

// denial is that a known caller may not do something.
type denial struct{ text string }

func (e *denial) Error() string { return e.text }

// denied words it as AWS does.
func (g *gate) denied(r *http.Request, p *Principal, action string, needs Right) error {
	text := "User: arn:" + g.cfg.Scheme.Partition + ":iam::" + g.cfg.Scheme.Account + ":user/" + p.Name + " is not authorized to perform: " + action
	if arn := g.resource(r); arn != "" {
		text += " on resource: " + arn
	}
	return &denial{text + " because no identity-based policy allows the " + action + " action"}
}

// resource is the ARN that a request of the JSON protocol is about, "" if none is
// found.
func (g *gate) resource(r *http.Request) string {
	if r.Header.Get("X-Amz-Target") == "" {
		return ""
	}
	text, ok, err := body(r, g.MaxBody)
	if err != nil || !ok {
		return ""
	}
	var in map[string]json.RawMessage
	if json.NewDecoder(bytes.NewReader(text)).Decode(&in) != nil {
		return ""
	}
	for _, name := range []string{"stateMachineArn", "executionArn", "activityArn", "mapRunArn", "resourceArn", "stateMachineVersionArn", "stateMachineAliasArn"} {
		var arn string
		if json.Unmarshal(in[name], &arn) == nil && arn != "" && len(arn) <= 512 {
			return arn
		}
	}
	if name := ""; json.Unmarshal(in["name"], &name) == nil && name != "" && len(name) <= 80 {
		if strings.HasSuffix(r.Header.Get("X-Amz-Target"), ".CreateStateMachine") {
			return g.cfg.Scheme.Machine(name)
		}
	}
	return ""
}

// awsErrors is how a kind of AWS API words errors.
type awsErrors struct {
	names  map[why]string
	denied string
	status int // of most
	xml    bool
}

var (
	jsonErrors = awsErrors{denied: "AccessDeniedException", status: http.StatusBadRequest, names: map[why]string{
		missing: "MissingAuthenticationTokenException", malformed: "IncompleteSignatureException", unknown: "UnrecognizedClientException",
		expired: "InvalidSignatureException", early: "InvalidSignatureException", different: "InvalidSignatureException",
		temporary: "UnrecognizedClientException", bodyHash: "SerializationException", tooLarge: "RequestEntityTooLargeException",
	}}
	lambdaErrors = awsErrors{denied: "AccessDeniedException", status: http.StatusForbidden, names: jsonErrors.names}
	s3Errors     = awsErrors{denied: "AccessDenied", status: http.StatusForbidden, xml: true, names: map[why]string{
		missing: "AccessDenied", malformed: "AuthorizationHeaderMalformed", unknown: "InvalidAccessKeyId",
		expired: "RequestTimeTooSkewed", early: "RequestTimeTooSkewed", different: "SignatureDoesNotMatch",
		temporary: "InvalidToken", bodyHash: "XAmzContentSHA256Mismatch", tooLarge: "EntityTooLarge",
	}}
)

// failAWS answers with an error as the API does.
func (g *gate) failAWS(w http.ResponseWriter, r *http.Request, err error, as awsErrors) {
	var signature *badSignature
	var deny *denial
	var known *rest.Error
	code, text, status := "InternalFailure", "The server could not do this; its log says more.", http.StatusInternalServerError
	switch {
	case errors.As(err, &signature):
		code, text, status = as.names[signature.why], signature.text, as.status
		if signature.why == tooLarge {
			status = http.StatusRequestEntityTooLarge
		}
		if as.xml && signature.why == malformed {
			status = http.StatusBadRequest
		}
	case errors.As(err, &deny):
		code, text, status = as.denied, deny.text, as.status
	case errors.As(err, &known) && known.Status == http.StatusUnauthorized:
		code, text, status = as.names[unknown], known.Message, as.status
	case errors.As(err, &known):
		code, text, status = as.denied, known.Message, as.status
	case r.Context().Err() == nil:
		g.cfg.Log.Error("who calls could not be found out", "path", r.URL.Path, "error", err)
	}
	id := uuid.NewString()
	h := w.Header()
	if as.xml {
		var out struct {
			XMLName   xml.Name `xml:"Error"`
			Code      string
			Message   string
			RequestID string `xml:"RequestId"`
		}
		out.Code, out.Message, out.RequestID = code, text, id
		b, _ := xml.Marshal(out) // of texts
		h.Set("Content-Type", "application/xml")
		h.Set("X-Amz-Request-Id", id)
		w.WriteHeader(status)
		w.Write(append([]byte(xml.Header), b...)) // the client may have gone
		return
	}
	b, _ := json.Marshal(map[string]string{"__type": code, "message": text})
	h.Set("Content-Type", "application/x-amz-json-1.0")
	h.Set("X-Amzn-Requestid", id)
	h.Set("X-Amzn-Errortype", code)
	w.WriteHeader(status)
	w.Write(b)
}
