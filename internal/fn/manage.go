package fn

import (
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Paths are where a Manager answers, as patterns of http.ServeMux.
var Paths = []string{
	"/2015-03-31/functions/", // Lambda's Invoke API
	"/2018-06-01/runtime/",   // Lambda's Runtime API, with a key in Authorization
	"/workers/{key}/",        // the same with the key in the path
	"/api/v1/functions",      // management
	"/api/v1/functions/{rest...}",
}

// ServeHTTP answers the Invoke API, the Runtime API for workers elsewhere, and
// management, which the commands lockstep fn use.
func (m *Manager) ServeHTTP(w http.ResponseWriter, r *http.Request) { m.mux.ServeHTTP(w, r) }

func (m *Manager) routes() *http.ServeMux {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /2015-03-31/functions/{function}/invocations", m.serveInvoke)
	mux.HandleFunc("/2018-06-01/runtime/", func(w http.ResponseWriter, r *http.Request) {
		key, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
		m.serveWorker(w, r, key)
	})
	mux.HandleFunc("/workers/{key}/2018-06-01/runtime/", func(w http.ResponseWriter, r *http.Request) {
		key := r.PathValue("key")
		at := strings.Index(r.URL.Path, runtimePath)
		u := *r.URL
		u.Path, u.RawPath = r.URL.Path[at:], ""
		r2 := *r
		r2.URL = &u
		m.serveWorker(w, &r2, key)
	})
	manage := func(pattern string, serve func(w http.ResponseWriter, r *http.Request) error) {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			if !m.mayManage(r.Header.Get("Authorization")) {
				say(w, http.StatusForbidden, "forbidden", "The key of functions is wanted: it is in the file functions/"+KeyFile+" of the server's data directory.")
				return
			}
			err := serve(w, r)
			switch {
			case err == nil:
			case errors.Is(err, ErrNotFound):
				say(w, http.StatusNotFound, "not_found", err.Error())
			case errors.Is(err, ErrDeclared):
				say(w, http.StatusConflict, "conflict", err.Error())
			default:
				say(w, http.StatusBadRequest, "bad_request", err.Error())
			}
		})
	}
	manage("GET /api/v1/functions", m.serveList)
	manage("PUT /api/v1/functions/{name}", m.serveAdd)
	manage("DELETE /api/v1/functions/{name}", m.serveRemove)
	manage("GET /api/v1/functions/{name}/logs", m.serveLogs)
	manage("GET /api/v1/functions/{name}/key", m.serveKey)
	manage("POST /api/v1/functions/reload", m.serveReload)
	return mux
}

// serveWorker is Lambda's Runtime API for a worker elsewhere.
func (m *Manager) serveWorker(w http.ResponseWriter, r *http.Request, key string) {
	f := m.owner(key)
	if f == nil {
		complain(w, http.StatusForbidden, "Forbidden", "The key of a function is wanted: lockstep fn key NAME shows it.")
		return
	}
	// A worker may wait for long; a connection that is gone is noticed by TCP.
	_ = http.NewResponseController(w).SetReadDeadline(time.Time{})
	(&runtime{f: f}).ServeHTTP(w, r)
}

func say(w http.ResponseWriter, status int, code, text string) {
	w.Header()["Content-Type"] = jsonType
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]string{"error": code, "message": text})
}

func tell(w http.ResponseWriter, v any) error {
	w.Header()["Content-Type"] = jsonType
	_ = json.NewEncoder(w).Encode(v) // a reader who has gone is no error
	return nil
}

func (m *Manager) serveList(w http.ResponseWriter, _ *http.Request) error {
	list := m.List()
	for i := range list { // values may be secrets, and nobody needs them here
		shown := map[string]string{}
		for name := range list[i].Env {
			shown[name] = "…"
		}
		list[i].Env = shown
	}
	return tell(w, map[string]any{"functions": list})
}

const maxSpec = 1 << 20 // bytes

func (m *Manager) serveAdd(w http.ResponseWriter, r *http.Request) error {
	d := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxSpec))
	d.DisallowUnknownFields()
	var s Spec
	if err := d.Decode(&s); err != nil {
		return err
	}
	name := r.PathValue("name")
	if err := m.Add(name, s); err != nil {
		return err
	}
	return tell(w, map[string]string{"name": name, "arn": m.arn(name, "")})
}

func (m *Manager) serveRemove(w http.ResponseWriter, r *http.Request) error {
	if err := m.Remove(r.PathValue("name")); err != nil {
		return err
	}
	return tell(w, map[string]string{})
}

func (m *Manager) serveKey(w http.ResponseWriter, r *http.Request) error {
	name := r.PathValue("name")
	if (*m.names.Load())[name] == nil {
		return ErrNotFound
	}
	return tell(w, map[string]string{"key": m.Key(name)})
}

// serveReload has the configuration read again, and new processes take the place
// of the old ones.
func (m *Manager) serveReload(w http.ResponseWriter, r *http.Request) error {
	if m.c.Reload != nil {
		if err := m.c.Reload(); err != nil {
			return err
		}
	}
	if err := m.Refresh(r.URL.Query().Get("name")); err != nil {
		return err
	}
	return tell(w, map[string]string{})
}

// serveLogs writes the log of a function: what is kept, and with follow what
// comes.
func (m *Manager) serveLogs(w http.ResponseWriter, r *http.Request) error {
	f := (*m.names.Load())[r.PathValue("name")]
	if f == nil {
		return ErrNotFound
	}
	follow, _ := strconv.ParseBool(r.URL.Query().Get("follow"))
	at := int64(0)
	if text := r.URL.Query().Get("tail"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 0 {
			return errors.New("tail must be a number of lines")
		}
		at = f.log.back(n)
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	control := http.NewResponseController(w)
	_ = control.SetReadDeadline(time.Time{})
	for {
		text, next, more, open := f.log.read(at)
		if _, err := w.Write(text); err != nil {
			return nil
		}
		if at = next; !follow || !open {
			return nil
		}
		_ = control.Flush() // a reader who has gone is noticed below
		select {
		case <-more:
		case <-r.Context().Done():
			return nil
		case <-m.running.Done():
			return nil
		}
	}
}
