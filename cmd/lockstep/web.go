package main

import (
	"context"
	"fmt"
	"html/template"
	"log/slog"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/lockstep-run/lockstep/internal/arn"
	"github.com/lockstep-run/lockstep/internal/express"
	"github.com/lockstep-run/lockstep/internal/fn"
	"github.com/lockstep-run/lockstep/internal/objects"
	"github.com/lockstep-run/lockstep/internal/rest"
	"github.com/lockstep-run/lockstep/internal/s3"
)

func serveAlive(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "alive") }

// serveReady answers 200 once what the last process left has been taken up and
// commits go through.
func serveReady(ready *atomic.Bool) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		if !ready.Load() {
			http.Error(w, "recovering", http.StatusServiceUnavailable)
			return
		}
		fmt.Fprintln(w, "ready")
	}
}

func serveNotFound(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusNotFound)
	fmt.Fprintf(w, "{\"error\":{\"code\":\"not_found\",\"message\":\"There is nothing at this path.\"}}\n")
}

// endPollsWith ends GetActivityTask, which may wait for a minute, when the
// server stops; all other requests are short and run to their end.
func endPollsWith(stopping context.Context, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("X-Amz-Target") == "AWSStepFunctions.GetActivityTask" {
			ctx, cancel := context.WithCancel(r.Context())
			defer cancel()
			defer context.AfterFunc(stopping, cancel)()
			r = r.WithContext(ctx)
		}
		next.ServeHTTP(w, r)
	})
}

// allowTime lets StartSyncExecution take as long as an execution may, which is
// longer than the server reads from any other connection. The connection is read
// meanwhile to see whether it still stands.
func allowTime(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("X-Amz-Target") == "AWSStepFunctions.StartSyncExecution" {
			// Where the connection has no deadline, none is in the way.
			_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(express.MaxDuration + time.Minute))
		}
		next.ServeHTTP(w, r)
	})
}

// withKeyOfFunctions lets those manage functions whom the gate has let in for
// that: the handler itself wants the key that is in the data directory.
func withKeyOfFunctions(m *fn.Manager) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if rest.Admitted(r.Context()) {
			r = m.Authorize(r)
		}
		m.ServeHTTP(w, r)
	})
}

// withObjects serves S3 beside everything else, where the objects are in a
// directory. wants says which requests are for it; nil: none. written is called
// after each that may have written something.
func withObjects(next http.Handler, files objects.Store, written func(), log *slog.Logger) (_ http.Handler, wants func(*http.Request) bool, _ error) {
	dir, ok := files.(*objects.Dir)
	if !ok {
		return next, nil, nil
	}
	buckets, err := s3.New(dir, log)
	if err != nil {
		return nil, nil, fmt.Errorf("serve objects: %w", err)
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if s3.Wants(r) {
			buckets.ServeHTTP(w, r)
			if r.Method == http.MethodPut || r.Method == http.MethodPost {
				written()
			}
			return
		}
		next.ServeHTTP(w, r)
	}), s3.Wants, nil
}

// welcome is the page for people who open the address of a server without a
// console.
type welcome struct {
	URL    string
	Scheme arn.Scheme
	Data   string
	SignIn bool // others may look at it
}

var welcomePage = template.Must(template.New("").Parse(`<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Lockstep</title>
<style>
:root { color-scheme: light dark; font: 16px/1.6 system-ui, sans-serif }
body { max-width: 44rem; margin: 4rem auto; padding: 0 1.5rem }
pre { padding: 1rem; overflow-x: auto; border: 1px solid #8884; border-radius: 6px; font-size: .875rem }
dt { float: left; clear: left; width: 6rem; opacity: .7 }
</style>
<h1>Lockstep is running</h1>
<p>This server answers the AWS Step Functions API at this address. Point the AWS CLI or any AWS SDK at it;
{{if .SignIn}}it takes the access keys that <code>lockstep key new access</code> makes.{{else}}while it runs for development, every region and all credentials do.{{end}}</p>
<pre>export AWS_ACCESS_KEY_ID={{if .SignIn}}… AWS_SECRET_ACCESS_KEY=…{{else}}local AWS_SECRET_ACCESS_KEY=local{{end}} AWS_REGION={{.Scheme.Region}}
export AWS_ENDPOINT_URL={{.URL}}
aws stepfunctions list-state-machines --endpoint-url $AWS_ENDPOINT_URL</pre>
{{if not .SignIn}}<dl>
<dt>Account</dt><dd>{{.Scheme.Account}}</dd>
<dt>Region</dt><dd>{{.Scheme.Region}}</dd>
<dt>Data</dt><dd>{{.Data}}</dd>
</dl>{{end}}
<p><a href="/healthz">/healthz</a>, <a href="/readyz">/readyz</a> and <a href="/metrics">/metrics</a> are for machines.</p>
</html>
`))

func (p welcome) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	// Nothing is left to do for a reader who has gone.
	_ = welcomePage.Execute(w, p)
}
