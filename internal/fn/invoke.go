package fn

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
)

const (
	maxPayload = 6 << 20 // bytes, of a call that is waited for: Lambda's limit
	maxEvent   = 1 << 20 // of one that is not
	maxContext = 3583    // of a client context, in base64
)

// refusal is an error of the Invoke API: the call was not carried out.
type refusal struct {
	status                int
	code                  string
	Type, Reason, Message string
}

func notFound(arn string) *refusal {
	return &refusal{status: 404, code: "ResourceNotFoundException", Type: "User", Message: "Function not found: " + arn}
}

func throttled() *refusal {
	return &refusal{status: 429, code: "TooManyRequestsException", Type: "User",
		Reason: "ReservedFunctionConcurrentInvocationLimitExceeded", Message: "Rate Exceeded."}
}

func closing() *refusal {
	return &refusal{status: 503, code: "ServiceException", Type: "Service", Message: "The server is stopping."}
}

func badContent(text string) *refusal {
	return &refusal{status: 400, code: "InvalidRequestContentException", Type: "User", Message: text}
}

// invoke makes a call and waits for its end. The error is ctx's.
func (m *Manager) invoke(ctx context.Context, inv *invocation, function string) error {
	for {
		f := m.find(function, inv.qualifier)
		if f == nil {
			inv.end(result{refused: notFound(m.arn(function, inv.qualifier))})
			return nil
		}
		inv.arn = m.arn(f.name, inv.qualifier)
		if strings.HasPrefix(function, "arn:") { // of a real account, maybe: it is what the function expects
			inv.arn = m.arn(function, inv.qualifier)
		}
		if f.enter(inv) {
			return inv.wait(ctx)
		}
		if m.running.Err() != nil {
			inv.end(result{refused: closing()})
			return nil
		}
	}
}

func newInvocation(payload []byte) *invocation {
	u := uuid.New()
	inv := &invocation{id: u.String(), payload: payload, done: make(chan struct{})}
	// A trace of its own, not sampled: the id's bits serve twice.
	h := hex.EncodeToString(u[:])
	inv.trace = "Root=1-" + h[:8] + "-" + h[8:] + ";Parent=" + h[:16] + ";Sampled=0"
	return inv
}

// serveInvoke is Lambda's Invoke.
func (m *Manager) serveInvoke(w http.ResponseWriter, r *http.Request) {
	// A call may take longer than the server reads from other connections.
	_ = http.NewResponseController(w).SetReadDeadline(time.Time{})
	inv, function, mode, refused := m.readInvoke(w, r)
	w.Header()["X-Amzn-Requestid"] = []string{inv.id}
	if refused == nil && mode != "RequestResponse" {
		if refused = m.sendLater(inv, function, mode); refused == nil {
			status := http.StatusAccepted
			if mode == "DryRun" {
				status = http.StatusNoContent
			}
			w.WriteHeader(status)
			return
		}
	}
	if refused == nil {
		if m.invoke(r.Context(), inv, function) != nil {
			return // nobody is there to answer
		}
		refused = inv.refused
	}
	if refused != nil {
		refused.write(w)
		return
	}
	h := w.Header()
	h["Content-Type"] = jsonType
	h["X-Amz-Executed-Version"] = []string{version(inv.qualifier)}
	h["X-Amzn-Trace-Id"] = []string{inv.trace}
	h["Content-Length"] = []string{strconv.Itoa(len(inv.answer))}
	if inv.failed {
		h["X-Amz-Function-Error"] = []string{"Unhandled"}
	}
	if inv.tail {
		h["X-Amz-Log-Result"] = []string{base64.StdEncoding.EncodeToString(inv.log)}
	}
	_, _ = w.Write(inv.answer) // nobody else to tell
}

// sendLater accepts an event, or says whether a call would be accepted.
func (m *Manager) sendLater(inv *invocation, function, mode string) *refusal {
	f := m.find(function, inv.qualifier)
	if f == nil {
		return notFound(m.arn(function, inv.qualifier))
	}
	if mode == "DryRun" {
		return nil
	}
	return m.events.accept(inv, f, function)
}

// readInvoke reads what is asked for. It always returns an invocation, for its id.
func (m *Manager) readInvoke(w http.ResponseWriter, r *http.Request) (inv *invocation, function, mode string, refused *refusal) {
	inv = newInvocation(nil)
	function = r.PathValue("function")
	mode = r.Header.Get("X-Amz-Invocation-Type")
	limit := maxPayload
	switch mode {
	case "":
		mode = "RequestResponse"
	case "RequestResponse", "DryRun":
	case "Event":
		limit = maxEvent
	default:
		return inv, function, mode, &refusal{status: 400, code: "InvalidParameterValueException", Type: "User",
			Message: "Unsupported invocation type: " + strconv.Quote(clip(mode)) + ": use RequestResponse, Event or DryRun"}
	}
	if r.URL.RawQuery != "" {
		query, _ := url.ParseQuery(r.URL.RawQuery) // what cannot be read is not there
		inv.qualifier = query.Get("Qualifier")
	}
	if _, q := split(function); inv.qualifier == "" {
		inv.qualifier = q
	} else if q != "" && q != inv.qualifier {
		return inv, function, mode, &refusal{status: 400, code: "InvalidParameterValueException", Type: "User",
			Message: "The derived qualifier from the function name does not match the specified qualifier."}
	}
	inv.tail = r.Header.Get("X-Amz-Log-Type") == "Tail"
	if trace := r.Header.Get("X-Amzn-Trace-Id"); trace != "" && len(trace) < 1024 {
		inv.trace = trace
	}
	if refused = inv.readContext(r.Header.Get("X-Amz-Client-Context")); refused != nil {
		return inv, function, mode, refused
	}
	body, err := readPayload(w, r, limit)
	var long *http.MaxBytesError
	switch {
	case errors.As(err, &long):
		return inv, function, mode, &refusal{status: 413, code: "RequestTooLargeException", Type: "User",
			Message: "Request must be smaller than " + strconv.Itoa(limit) + " bytes for the InvokeFunction operation"}
	case err != nil:
		return inv, function, mode, badContent("Could not read the request body: " + err.Error())
	}
	inv.payload = body
	if len(body) == 0 {
		inv.payload = []byte("{}")
	} else if !json.Valid(body) {
		return inv, function, mode, badContent("Could not parse request body into json: " + jsonProblem(body))
	}
	return inv, function, mode, nil
}

func readPayload(w http.ResponseWriter, r *http.Request, limit int) ([]byte, error) {
	if r.ContentLength > int64(limit) {
		return nil, &http.MaxBytesError{Limit: int64(limit)}
	}
	const trusted = 256 << 10 // memory that a stated length gets before a byte has come
	if n := r.ContentLength; n >= 0 && n <= trusted {
		body := make([]byte, n)
		_, err := io.ReadFull(r.Body, body)
		return body, err
	}
	return io.ReadAll(http.MaxBytesReader(w, r.Body, int64(limit)))
}

func jsonProblem(body []byte) string {
	err := json.Unmarshal(body, new(any))
	if err == nil {
		return "it is not valid"
	}
	var syntax *json.SyntaxError
	if errors.As(err, &syntax) {
		return err.Error() + " at byte " + strconv.FormatInt(syntax.Offset, 10)
	}
	return err.Error()
}

func (inv *invocation) readContext(text string) *refusal {
	if text == "" {
		return nil
	}
	if len(text) > maxContext {
		return badContent("Client context must be no more than " + strconv.Itoa(maxContext) + " bytes when base64-encoded.")
	}
	plain, err := base64.StdEncoding.DecodeString(text)
	var object map[string]json.RawMessage
	if err != nil || json.Unmarshal(plain, &object) != nil {
		return badContent("Client context must be a valid Base64-encoded JSON object.")
	}
	// A header has one line, and JSON needs no more; what is not ASCII goes as it is.
	inv.context = strings.NewReplacer("\r", " ", "\n", " ").Replace(string(plain))
	return nil
}

func (f *refusal) write(w http.ResponseWriter) {
	said := map[string]string{"Type": f.Type}
	if f.Reason != "" {
		said["Reason"] = f.Reason
	}
	switch f.code { // the names that Lambda's model has
	case "ResourceNotFoundException", "ServiceException":
		said["Message"] = f.Message
	default:
		said["message"] = f.Message
	}
	body, _ := json.Marshal(said) // strings always can
	h := w.Header()
	h["Content-Type"] = jsonType
	h["X-Amzn-Errortype"] = []string{f.code}
	h["Content-Length"] = []string{strconv.Itoa(len(body))}
	w.WriteHeader(f.status)
	_, _ = w.Write(body)
}

func clip(s string) string {
	if len(s) > 60 {
		return s[:60] + "…"
	}
	return s
}
