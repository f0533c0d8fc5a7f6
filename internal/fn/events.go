package fn

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

const (
	maxEvents = 10_000        // that are accepted and not yet done, of all functions
	maxAge    = 6 * time.Hour // of an event that cannot be given to its function: Lambda's limit
	maxPause  = 5 * time.Minute
)

// events are calls that nobody waits for. Each is a file until it is done, so
// an accepted one outlives the server; one that ran when the server was killed
// runs again. Function errors are retried as the function says, everything else
// until it works or the event is too old.
type events struct {
	m    *Manager
	dir  string
	http *http.Client

	mu     sync.Mutex
	counts map[string]int // by function
	total  int
	left   []*event // by the manager before
}

func (e *events) start() {
	e.mu.Lock()
	left := e.left
	e.left = nil
	e.mu.Unlock()
	for _, ev := range left {
		e.run(ev)
	}
}

// event is what the file of an event says.
type event struct {
	ID        string          `json:"id"`
	Function  string          `json:"function"` // the key of its function
	Written   string          `json:"written"`  // as the caller wrote it
	Qualifier string          `json:"qualifier,omitempty"`
	Context   string          `json:"context,omitempty"`
	Trace     string          `json:"trace,omitempty"`
	Accepted  time.Time       `json:"accepted"`
	Due       time.Time       `json:"due"`
	Attempts  int             `json:"attempts"`          // that failed
	Last      bool            `json:"last,omitempty"`    // it tells of another's failure, so nothing tells of its own
	Record    json.RawMessage `json:"record,omitempty"`  // of its failure, to be brought to DeadLetter
	Dead      string          `json:"deadTo,omitempty"`  // where to
	Payload   json.RawMessage `json:"payload,omitempty"` // JSON as it was sent
	pause     time.Duration   // before the next look, while its function has no room
	path      string
}

func openEvents(m *Manager, dir string) (*events, error) {
	e := &events{m: m, dir: dir, counts: map[string]int{}, http: &http.Client{
		Timeout:       30 * time.Second,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return e, fmt.Errorf("make a place for events: %w", err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return e, fmt.Errorf("read the events: %w", err)
	}
	for _, entry := range entries {
		path := filepath.Join(dir, entry.Name())
		if !strings.HasSuffix(path, ".json") {
			continue
		}
		ev, err := readEvent(path)
		if err != nil {
			m.c.Log.Error("an event cannot be read, and stays where it is", "file", path, "error", err)
			continue
		}
		ev.Payload, ev.Record = nil, nil
		e.left = append(e.left, ev)
	}
	return e, nil
}

func readEvent(path string) (*event, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	ev := &event{path: path}
	return ev, json.Unmarshal(text, ev)
}

func (e *events) save(ev *event) error {
	text, err := json.Marshal(ev)
	if err != nil {
		return err
	}
	return writeFile(ev.path, text)
}

// accept keeps a call for later. It is durable when accept returns nil.
func (e *events) accept(inv *invocation, f *function, written string) *refusal {
	now := time.Now()
	return e.add(&event{
		ID: inv.id, Function: f.name, Written: written, Qualifier: inv.qualifier, Context: inv.context, Trace: inv.trace,
		Accepted: now, Due: now, Payload: inv.payload,
	})
}

func (e *events) add(ev *event) *refusal {
	e.mu.Lock()
	full := e.total >= maxEvents
	e.mu.Unlock()
	if full {
		return throttled()
	}
	ev.path = filepath.Join(e.dir, ev.ID+".json")
	if err := e.save(ev); err != nil {
		e.m.c.Log.Error("an event cannot be kept", "error", err)
		return &refusal{status: 500, code: "ServiceException", Type: "Service", Message: "The event could not be kept."}
	}
	e.run(ev)
	return nil
}

func (e *events) pending(function string) int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.counts[function]
}

// run takes care of an event until it is done or the server ends.
func (e *events) run(ev *event) {
	ev.Payload, ev.Record = nil, nil // they are in the file
	e.mu.Lock()
	e.total++
	e.counts[ev.Function]++
	e.mu.Unlock()
	e.m.parts.Go(func() {
		for e.m.running.Err() == nil {
			if !sleep(e.m.running, time.Until(ev.Due)) {
				return
			}
			if e.step(ev) {
				break
			}
		}
		e.mu.Lock()
		defer e.mu.Unlock()
		e.total--
		e.counts[ev.Function]--
	})
}

func sleep(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return ctx.Err() == nil
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// step does what is due. It reports whether the event is done.
func (e *events) step(ev *event) bool {
	full, err := readEvent(ev.path)
	if err != nil {
		e.m.c.Log.Error("an event cannot be read", "file", ev.path, "error", err)
		return true
	}
	if full.Dead != "" {
		return e.bury(ev, full)
	}
	f := e.m.find(full.Function, "")
	if f == nil {
		e.m.c.Log.Warn("an event is dropped: its function is gone", "function", full.Function, "id", full.ID)
		return e.remove(ev)
	}
	select {
	case f.room <- struct{}{}:
		defer func() { <-f.room }()
	case <-e.m.running.Done():
		return false
	}
	inv := newInvocation(full.Payload)
	inv.id, inv.qualifier, inv.context, inv.trace = full.ID, full.Qualifier, full.Context, full.Trace
	if e.m.invoke(e.m.running, inv, full.Written) != nil || e.m.running.Err() != nil && inv.refused != nil {
		return false
	}
	switch {
	case inv.refused == nil && !inv.failed:
		return e.remove(ev)
	case inv.refused != nil && time.Since(full.Accepted) < maxAge:
		ev.pause = min(max(2*ev.pause, time.Second), maxPause)
		ev.Due = time.Now().Add(ev.pause)
		return false
	case inv.refused != nil:
		return e.give(ev, full, f, inv, "EventAgeExceeded")
	}
	full.Attempts++
	if full.Attempts > *f.spec.Retries {
		return e.give(ev, full, f, inv, "RetriesExhausted")
	}
	full.Due = time.Now().Add(time.Duration(f.spec.RetryDelay) << (full.Attempts - 1))
	return e.keep(ev, full)
}

// keep saves what has become of an event. Where that fails it goes on with what
// was saved before: the function may see the event once more than it should.
func (e *events) keep(ev, full *event) bool {
	if err := e.save(full); err != nil {
		e.m.c.Log.Error("an event cannot be kept", "error", err)
	}
	ev.Due, ev.pause = full.Due, 0
	return false
}

func (e *events) remove(ev *event) bool {
	if err := os.Remove(ev.path); err != nil {
		e.m.c.Log.Error("an event that is done cannot be removed", "file", ev.path, "error", err)
	}
	return true
}

// give gives an event up: to the function's dead letter, if it has one.
func (e *events) give(ev, full *event, f *function, inv *invocation, why string) bool {
	if f.spec.DeadLetter == "" || full.Last {
		f.log.add("-", []byte("RequestId: "+full.ID+" "+why+": the event is dropped"))
		return e.remove(ev)
	}
	full.Record = record(full, inv, why)
	full.Dead, full.Payload, full.Due = f.spec.DeadLetter, nil, time.Now()
	return e.keep(ev, full)
}

// record is what is said of an event that failed, in the form of Lambda's
// destinations.
func record(ev *event, inv *invocation, why string) []byte {
	type object = map[string]any
	r := object{
		"version":   "1.0",
		"timestamp": time.Now().UTC().Format("2006-01-02T15:04:05.000Z"),
		"requestContext": object{
			"requestId": ev.ID, "functionArn": inv.arn + ":$LATEST", "condition": why, "approximateInvokeCount": ev.Attempts,
		},
		"requestPayload": ev.Payload,
	}
	if inv.refused == nil {
		r["responseContext"] = object{"statusCode": 200, "executedVersion": "$LATEST", "functionError": "Unhandled"}
		r["responsePayload"] = json.RawMessage(inv.answer)
		if !json.Valid(inv.answer) {
			r["responsePayload"] = strings.ToValidUTF8(string(inv.answer), "\uFFFD")
		}
	}
	text, _ := json.Marshal(r) // it is made of what can
	return text
}

// bury brings the record of a failure to where it should go, and tries again for
// as long as an event may take.
func (e *events) bury(ev, full *event) bool {
	err := e.bring(full)
	switch {
	case err == nil:
		return e.remove(ev)
	case e.m.running.Err() != nil:
		return false
	case time.Since(full.Accepted) > 2*maxAge:
		e.m.c.Log.Error("the dead letter of an event cannot be delivered: it is dropped", "function", full.Function, "id", full.ID, "error", err)
		return e.remove(ev)
	}
	ev.pause = min(max(2*ev.pause, time.Second), maxPause)
	ev.Due = time.Now().Add(ev.pause)
	e.m.c.Log.Warn("a dead letter cannot be delivered; it is tried again", "function", full.Function, "id", full.ID, "error", err)
	return false
}

func (e *events) bring(full *event) error {
	to := full.Dead
	if strings.HasPrefix(to, "http://") || strings.HasPrefix(to, "https://") {
		return e.post(to, full.ID, full.Record)
	}
	if f := e.m.find(to, ""); f != nil {
		now := time.Now()
		refused := e.add(&event{ // the same failure, told twice, is one event
			ID: "dead-" + full.ID, Function: f.name, Written: to, Accepted: now, Due: now, Last: true, Payload: full.Record,
		})
		if refused != nil {
			return errors.New(refused.Message)
		}
		return nil
	}
	if e.m.c.Forward == nil {
		return errors.New("there is no way to " + to)
	}
	return e.m.c.Forward(e.m.running, to, full.Record)
}

func (e *events) post(to, id string, record []byte) error {
	req, err := http.NewRequestWithContext(e.m.running, http.MethodPost, to, bytes.NewReader(record))
	if err != nil {
		return errors.New("the URL of the dead letter cannot be used")
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Idempotency-Key", id)
	res, err := e.http.Do(req)
	if err != nil {
		return fmt.Errorf("post the dead letter: %w", err)
	}
	defer res.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(res.Body, 64<<10)) // for the connection's sake
	if res.StatusCode/100 != 2 {
		return fmt.Errorf("post the dead letter: the answer was %s", res.Status)
	}
	return nil
}
