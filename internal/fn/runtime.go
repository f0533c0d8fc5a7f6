package fn

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// runtime answers Lambda's Runtime API for one process, or for the workers
// elsewhere of one function.
type runtime struct {
	f    *function
	own  *instance // nil: workers elsewhere
	host string    // the address the process was told
}

const (
	runtimePath   = "/2018-06-01/runtime/"
	extensionPath = "/2020-01-01/extension/"

	// maxAnswer is how long an answer may be, in bytes: Lambda's limit.
	maxAnswer = 6<<20 + 100
	maxError  = 256 << 10 // of what a process says about an error
)

func (r *runtime) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	// A page in a browser has no business here. A name that somebody has pointed
	// at this machine is not the address that the process was given.
	if r.own != nil && (req.Host != r.host || req.Header["Origin"] != nil || req.Header["Sec-Fetch-Site"] != nil) {
		complain(w, http.StatusForbidden, "Forbidden", "This address is for one process.")
		return
	}
	path, ok := strings.CutPrefix(req.URL.Path, runtimePath)
	if !ok {
		r.extension(w, req)
		return
	}
	post := req.Method == http.MethodPost
	id, what, _ := strings.Cut(strings.TrimPrefix(path, "invocation/"), "/")
	switch {
	case path == "invocation/next" && req.Method == http.MethodGet:
		r.next(w, req)
	case path == "init/error" && post:
		r.initError(w, req)
	case strings.HasPrefix(path, "invocation/") && what == "response" && post:
		r.response(w, req, id)
	case strings.HasPrefix(path, "invocation/") && what == "error" && post:
		r.failure(w, req, id)
	default:
		http.NotFound(w, req)
	}
}

// next waits for a call and hands it over.
func (r *runtime) next(w http.ResponseWriter, req *http.Request) {
	i := r.own
	if i == nil {
		i = &instance{f: r.f, guest: true, next: make(chan *invocation, 1), out: newCapture(r.f.log, 0)}
	}
	if !i.ask() {
		complain(w, http.StatusForbidden, "InvalidStateTransition", "The last call has not been answered.")
		return
	}
	select {
	case inv := <-i.next:
		if inv == nil { // the function is gone
			complain(w, http.StatusGone, "Gone", "There is no such function any more.")
			return
		}
		deadline, ok := i.begin(inv)
		if !ok {
			break
		}
		inv.write(w, deadline)
		if i.guest && http.NewResponseController(w).Flush() != nil {
			i.giveBack(inv)
		}
		return
	case <-req.Context().Done(): // whoever asked has gone, or the server stops
		i.away()
		complain(w, http.StatusServiceUnavailable, "ServiceUnavailable", "The server is stopping.")
		return
	case <-i.died: // nil for a guest: never
	}
	complain(w, http.StatusGone, "Gone", "The call is over.")
}

// ask says that i waits for a call; it may have one at once. It reports false if
// i has one already.
func (i *instance) ask() bool {
	f := i.f
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case i.current != nil || i.state == idle:
		return false
	case i.state == ending:
		return true // it waits for its end
	case i.state == starting && !i.guest:
		i.timer.Stop()
		i.initTook = time.Since(i.began)
	case i.timer != nil:
		i.timer.Stop()
	}
	i.first = nil
	if i.retiring || f.gone {
		i.set(tardy)
		if i.guest {
			close(i.next)
		} else {
			i.terminate()
		}
		return true
	}
	if inv := f.popLine(); inv != nil {
		f.assign(i, inv)
		return true
	}
	i.set(idle)
	i.since = time.Now()
	f.idle = append(f.idle, i)
	return true
}

// begin starts the clock of a call. It reports false if the call is over.
func (i *instance) begin(inv *invocation) (deadline time.Time, ok bool) {
	f := i.f
	f.mu.Lock()
	defer f.mu.Unlock()
	if inv.over || i.current != inv {
		return deadline, false
	}
	timeout := time.Duration(f.spec.Timeout)
	inv.began = time.Now()
	i.deadline = inv.began.Add(timeout)
	if i.timer == nil {
		i.timer = time.AfterFunc(timeout, i.expire)
	} else {
		i.timer.Reset(timeout)
	}
	i.out.begin(inv.id)
	return i.deadline, true
}

// away says that i's poll has ended without a call. One that has been given to it
// just now goes to somebody else.
func (i *instance) away() {
	f := i.f
	f.mu.Lock()
	defer f.mu.Unlock()
	if i.state == idle {
		f.dropIdle(i)
		i.set(tardy)
		return
	}
	select {
	case inv := <-i.next:
		if inv != nil {
			i.putBack(inv)
		}
	default:
	}
}

// giveBack is for a call that could not be handed over.
func (i *instance) giveBack(inv *invocation) {
	i.f.mu.Lock()
	defer i.f.mu.Unlock()
	i.putBack(inv)
}

func (i *instance) putBack(inv *invocation) {
	f := i.f
	if i.current != inv || inv.over {
		return
	}
	i.current, i.deadline = nil, time.Time{}
	i.set(tardy)
	if i.timer != nil {
		i.timer.Stop()
	}
	delete(f.guests, inv.id)
	if len(f.idle) > 0 {
		f.assign(f.popIdle(), inv)
		return
	}
	f.line = append([]*invocation{inv}, f.line...)
	f.lineBytes += len(inv.payload)
	f.grow()
}

// write sends a call as the answer to next.
func (inv *invocation) write(w http.ResponseWriter, deadline time.Time) {
	h := w.Header()
	h["Content-Type"] = jsonType
	h["Lambda-Runtime-Aws-Request-Id"] = []string{inv.id}
	h["Lambda-Runtime-Deadline-Ms"] = []string{strconv.FormatInt(deadline.UnixMilli(), 10)}
	h["Lambda-Runtime-Invoked-Function-Arn"] = []string{inv.arn}
	h["Lambda-Runtime-Trace-Id"] = []string{inv.trace}
	if inv.context != "" {
		h["Lambda-Runtime-Client-Context"] = []string{inv.context}
	}
	h["Content-Length"] = []string{strconv.Itoa(len(inv.payload))}
	// A process that has gone is noticed by its end.
	_, _ = w.Write(inv.payload)
}

var jsonType = []string{"application/json"}

// response takes a function's answer.
func (r *runtime) response(w http.ResponseWriter, req *http.Request, id string) {
	body, err := readBody(w, req, maxAnswer)
	var long *http.MaxBytesError
	if errors.As(err, &long) {
		const kind = "Function.ResponseSizeTooLarge"
		text := "Response payload size exceeded maximum allowed payload size (" + strconv.Itoa(maxAnswer) + " bytes)."
		answer, _ := json.Marshal(map[string]string{"errorType": kind, "errorMessage": text})
		r.end(id, result{answer: answer, failed: true}, kind)
		complain(w, http.StatusRequestEntityTooLarge, "RequestEntityTooLarge", text)
		return
	}
	if err != nil {
		complain(w, http.StatusBadRequest, "InvalidRequest", err.Error())
		return
	}
	res, kind := result{answer: body}, ""
	if kind = req.Trailer.Get("Lambda-Runtime-Function-Error-Type"); kind != "" { // it failed while it wrote
		res.failed = true
		if said, err := base64.StdEncoding.DecodeString(req.Trailer.Get("Lambda-Runtime-Function-Error-Body")); err == nil {
			res.answer = said
		}
	}
	r.accept(w, id, res, kind)
}

// failure takes a function's error.
func (r *runtime) failure(w http.ResponseWriter, req *http.Request, id string) {
	body, err := readBody(w, req, maxError)
	if err != nil {
		complain(w, http.StatusBadRequest, "InvalidRequest", err.Error())
		return
	}
	body, kind := described(body, req.Header.Get("Lambda-Runtime-Function-Error-Type"))
	r.accept(w, id, result{answer: body, failed: true}, kind)
}

// described makes sure that what a runtime says about an error is JSON.
func described(body []byte, kind string) ([]byte, string) {
	if kind == "" {
		kind = errorType(body)
	}
	if !json.Valid(body) {
		if kind == "" {
			kind = "Runtime.Unknown"
		}
		body, _ = json.Marshal(map[string]string{"errorType": kind, "errorMessage": strings.ToValidUTF8(string(body), "\uFFFD")})
	}
	return body, kind
}

func (r *runtime) accept(w http.ResponseWriter, id string, res result, kind string) {
	if !r.end(id, res, kind) {
		complain(w, http.StatusBadRequest, "InvalidRequestID", "Invalid request ID")
		return
	}
	accepted(w)
}

// end ends the call id, if it is one that r's process or workers have.
func (r *runtime) end(id string, res result, kind string) bool {
	f := r.f
	if r.own != nil {
		r.own.out.drain()
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	i := r.own
	if i == nil {
		i = f.guests[id]
	}
	if i == nil || i.current == nil || i.current.id != id || i.state != busy {
		return false
	}
	i.set(between)
	i.finish(i.current, res, kind)
	if i.guest {
		i.timer.Stop()
	} else {
		i.timer.Reset(graceTime)
	}
	return true
}

// initError takes what a process says that could not get ready. Its end is
// expected; the call that it was started for fails then.
func (r *runtime) initError(w http.ResponseWriter, req *http.Request) {
	body, err := readBody(w, req, maxError)
	if err != nil {
		complain(w, http.StatusBadRequest, "InvalidRequest", err.Error())
		return
	}
	if i := r.own; i != nil {
		said, _ := described(body, req.Header.Get("Lambda-Runtime-Function-Error-Type"))
		i.f.mu.Lock()
		if i.state == starting {
			i.initSaid = said
			time.AfterFunc(terminateTime, func() {
				i.f.mu.Lock()
				defer i.f.mu.Unlock()
				i.kill()
			})
		}
		i.f.mu.Unlock()
	}
	accepted(w)
}

// extension lets a process register as an extension of itself, which runtimes do
// to be told of their end by SIGTERM. No event ever comes.
func (r *runtime) extension(w http.ResponseWriter, req *http.Request) {
	switch what, _ := strings.CutPrefix(req.URL.Path, extensionPath); {
	case r.own == nil:
		http.NotFound(w, req)
	case what == "register" && req.Method == http.MethodPost:
		w.Header().Set("Lambda-Extension-Identifier", r.own.out.stream)
		w.Header()["Content-Type"] = jsonType
		name, qualifier := split(r.f.name)
		_ = json.NewEncoder(w).Encode(map[string]string{
			"functionName": name, "functionVersion": version(qualifier), "handler": r.f.spec.Handler,
		})
	case what == "event/next" && req.Method == http.MethodGet:
		select {
		case <-req.Context().Done():
		case <-r.own.died:
		}
	default:
		http.NotFound(w, req)
	}
}

// readBody reads a request's body, and its trailer with it.
func readBody(w http.ResponseWriter, req *http.Request, limit int64) ([]byte, error) {
	const trusted = 256 << 10 // memory that a stated length gets before a byte has come
	if n := req.ContentLength; n >= 0 && n <= trusted {
		body := make([]byte, n)
		_, err := io.ReadFull(req.Body, body)
		return body, err
	}
	return io.ReadAll(http.MaxBytesReader(w, req.Body, limit))
}

func accepted(w http.ResponseWriter) {
	w.Header()["Content-Type"] = jsonType
	w.WriteHeader(http.StatusAccepted)
	_, _ = io.WriteString(w, `{"status":"OK"}`)
}

func complain(w http.ResponseWriter, status int, kind, text string) {
	w.Header()["Content-Type"] = jsonType
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]string{"errorMessage": text, "errorType": kind})
}
