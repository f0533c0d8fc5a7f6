package trigger

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/lockstep-run/lockstep/asl/value"
	"github.com/lockstep-run/lockstep/internal/rest"
)

// maxEntries is how many events a call may bring, as on AWS.
const maxEntries = 10

func byKey(members []value.Member) []value.Member {
	slices.SortFunc(members, func(a, b value.Member) int { return strings.Compare(a.Key, b.Key) })
	return slices.CompactFunc(members, func(a, b value.Member) bool { return a.Key == b.Key })
}

// uuidOf is an id in the form of a UUID, made of a text.
func uuidOf(text string) string { return uuid.NewSHA1(uuid.NameSpaceURL, []byte(text)).String() }

// serveEvents takes events in EventBridge's form, one or a list, and answers with
// their ids. An event that has an id keeps it: sent again, it starts nothing twice.
func (t *Triggers) serveEvents(r *http.Request) (any, error) {
	body, err := io.ReadAll(http.MaxBytesReader(nil, r.Body, maxEntries*maxBody))
	if err != nil {
		return nil, rest.Invalid("The body is too long, or broke off.")
	}
	v, err := value.Parse(string(body))
	if err != nil {
		return nil, rest.Invalid("The body is not JSON: %v.", err)
	}
	list := []value.Value{v}
	if v.Kind() == value.Array {
		list = nil
		for _, x := range v.Items() {
			list = append(list, x)
		}
	}
	if len(list) == 0 || len(list) > maxEntries {
		return nil, rest.Invalid("Send 1 to %d events.", maxEntries)
	}
	var events []*event
	ids := []string{}
	for _, x := range list {
		e, err := readEvent(x)
		if err != nil {
			return nil, rest.Invalid("%v", err)
		}
		events, ids = append(events, e), append(ids, e.id)
	}
	for _, e := range events {
		if err := t.send(r.Context(), e); err != nil {
			return nil, &rest.Error{Status: http.StatusServiceUnavailable, Code: "try_again", Message: "An execution could not be started now; send the events again, with their ids."}
		}
	}
	return map[string]any{"ids": ids}, nil
}

func readEvent(x value.Value) (*event, error) {
	e := &event{id: x.Get("id").Str(), source: x.Get("source").Str(), detailType: x.Get("detail-type").Str(), detail: x.Get("detail"), at: time.Now()}
	if x.Kind() != value.Object || e.source == "" || e.detailType == "" || e.detail.Kind() != value.Object {
		return nil, errors.New(`An event needs source, detail-type and detail, an object.`) //nolint:staticcheck // a sentence for the answer
	}
	if len(x.JSON()) > maxBody {
		return nil, errors.New("An event has more than 256 KiB.") //nolint:staticcheck // a sentence for the answer
	}
	if text := x.Get("time").Str(); text != "" {
		at, err := time.Parse(time.RFC3339, text)
		if err != nil {
			return nil, errors.New("An event's time must be like 2026-03-29T09:30:00Z.") //nolint:staticcheck // a sentence for the answer
		}
		e.at = at
	}
	for _, r := range x.Get("resources").Items() {
		e.resources = append(e.resources, r.Str())
	}
	if e.id == "" {
		e.id = uuid.NewString()
	}
	return e, nil
}

// PutEvents answers EventBridge's PutEvents, X-Amz-Target: AWSEvents.PutEvents.
// All buses are one.
func (t *Triggers) PutEvents(w http.ResponseWriter, r *http.Request) {
	fail := func(status int, code, message string) {
		answerAWS(w, status, map[string]string{"__type": code, "message": message})
	}
	if r.Header.Get("X-Amz-Target") != "AWSEvents.PutEvents" {
		fail(http.StatusBadRequest, "UnknownOperationException", "Of EventBridge's API there is PutEvents alone.")
		return
	}
	var in struct {
		Entries []struct {
			Source, DetailType, Detail, EventBusName, TraceHeader string
			Resources                                             []string
			Time                                                  json.Number
		}
		EndpointID string `json:"EndpointId"`
	}
	d := json.NewDecoder(http.MaxBytesReader(w, r.Body, rest.MaxBody))
	if err := d.Decode(&in); err != nil {
		fail(http.StatusBadRequest, "SerializationException", "The body cannot be read.")
		return
	}
	if len(in.Entries) == 0 || len(in.Entries) > maxEntries {
		fail(http.StatusBadRequest, "ValidationException", "1 validation error detected: Value at 'entries' failed to satisfy constraint: Member must have length between 1 and 10")
		return
	}
	type entry struct {
		EventID      string `json:"EventId,omitempty"`
		ErrorCode    string `json:",omitempty"`
		ErrorMessage string `json:",omitempty"`
	}
	out := struct {
		Entries          []entry
		FailedEntryCount int
	}{Entries: []entry{}}
	for _, x := range in.Entries {
		e := &event{id: uuid.NewString(), source: x.Source, detailType: x.DetailType, at: time.Now(), resources: x.Resources}
		if seconds, err := x.Time.Float64(); err == nil && seconds > 0 && seconds < 1e10 {
			e.at = time.UnixMilli(int64(seconds * 1000))
		}
		var err error
		answer := entry{EventID: e.id}
		e.detail, err = value.Parse(x.Detail)
		switch {
		case x.Source == "" || x.DetailType == "" || x.Detail == "":
			answer = entry{ErrorCode: "InvalidArgument", ErrorMessage: "Parameter Source, DetailType or Detail is not valid. Reason: it is a required argument."}
		case err != nil || e.detail.Kind() != value.Object:
			answer = entry{ErrorCode: "MalformedDetail", ErrorMessage: "Detail is malformed."}
		case t.send(r.Context(), e) != nil:
			answer = entry{ErrorCode: "InternalFailure", ErrorMessage: "An execution could not be started now; try again."}
		}
		if answer.ErrorCode != "" {
			out.FailedEntryCount++
		}
		out.Entries = append(out.Entries, answer)
	}
	answerAWS(w, http.StatusOK, out)
}

func answerAWS(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/x-amz-json-1.1")
	w.Header().Set("X-Amzn-Requestid", uuid.NewString())
	w.WriteHeader(status)
	// Nothing is left to do for a client that has gone.
	_ = json.NewEncoder(w).Encode(v)
}

// Register adds what manages triggers, and what they are reached by, to mux:
//
//	GET    /api/v1/triggers         {"triggers":[View…]}
//	POST   /api/v1/triggers         Spec → View; replaces one of that name
//	GET    /api/v1/triggers/{name}  View
//	DELETE /api/v1/triggers/{name}
//	POST   /api/v1/events           an event in EventBridge's form, or a list → {"ids":[…]}
//	POST   /hooks/{name}            a webhook
func (t *Triggers) Register(mux *http.ServeMux) {
	handle := func(pattern string, do func(r *http.Request) (any, error)) {
		mux.Handle(pattern, rest.Local(rest.Handle(do)))
	}
	handle("GET /api/v1/triggers", func(r *http.Request) (any, error) {
		list, err := t.List(r.Context())
		return map[string]any{"triggers": list}, err
	})
	handle("POST /api/v1/triggers", func(r *http.Request) (any, error) {
		var s Spec
		if err := rest.Read(r, &s); err != nil {
			return nil, err
		}
		return t.Put(r.Context(), s)
	})
	handle("GET /api/v1/triggers/{name}", func(r *http.Request) (any, error) { return t.Get(r.Context(), r.PathValue("name")) })
	handle("DELETE /api/v1/triggers/{name}", func(r *http.Request) (any, error) { return nil, t.Delete(r.Context(), r.PathValue("name")) })
	handle("POST /api/v1/events", t.serveEvents)
	// Its calls are signed, and may come through a tunnel under any name.
	mux.Handle("POST /hooks/{name}", rest.Handle(t.serveHook))
}

func hash(parts ...string) string {
	sum := sha256.Sum256([]byte(strings.Join(parts, "\x00")))
	return hex.EncodeToString(sum[:8])
}
