package logs

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lockstep-run/lockstep/asl"
	"github.com/lockstep-run/lockstep/internal/engine"
)

// history is that of an execution that fails.
func history(t *testing.T) engine.Chunk {
	t.Helper()
	m, diagnostics := asl.Parse(`{"StartAt":"P","States":{"P":{"Type":"Pass","Next":"F"},"F":{"Type":"Fail","Error":"E"}}}`, asl.Options{})
	if m == nil {
		t.Fatal(diagnostics)
	}
	s := engine.New(engine.Execution{ID: 1, Input: engine.Text(`{}`)})
	if _, err := engine.Apply(&engine.Env{Machine: m}, s, engine.Started{At: time.UnixMilli(1000)}); err != nil {
		t.Fatal(err)
	}
	return s.Flush().History
}

func short(out []byte, arn string, _ int64, ev *engine.HistoryEvent, data bool) []byte {
	return fmt.Appendf(out, "%s %d %s %t", arn, ev.ID, ev.Type, data)
}

// cloud answers like CloudWatch Logs.
type cloud struct {
	*httptest.Server
	mu      sync.Mutex
	groups  map[string]map[string][]string // by name, and that of the stream
	fail    int                            // calls to answer with an error
	hold    chan struct{}                  // not nil: answers wait for it
	batches int
}

func newCloud(t *testing.T) *cloud {
	c := &cloud{groups: map[string]map[string][]string{"g": {}}}
	c.Server = httptest.NewServer(c)
	t.Cleanup(c.Close)
	for _, entry := range os.Environ() {
		if name, _, _ := strings.Cut(entry, "="); strings.HasPrefix(name, "AWS_") {
			t.Setenv(name, "")
		}
	}
	t.Setenv("AWS_ENDPOINT_URL_CLOUDWATCH_LOGS", c.URL)
	t.Setenv("AWS_ACCESS_KEY_ID", "a")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "b")
	t.Setenv("AWS_CONFIG_FILE", "/dev/null")
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
	return c
}

func (c *cloud) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if c.hold != nil {
		<-c.hold
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	var in struct {
		LogGroupName, LogStreamName, LogGroupNamePrefix string
		LogEvents                                       []struct {
			Timestamp int64
			Message   string
		}
	}
	body, _ := io.ReadAll(r.Body)
	if err := json.Unmarshal(body, &in); err != nil {
		panic(err)
	}
	refuse := func(status int, code string) {
		w.WriteHeader(status)
		fmt.Fprintf(w, `{"__type":%q,"message":"no"}`, code)
	}
	group, ok := c.groups[in.LogGroupName]
	switch action := strings.TrimPrefix(r.Header.Get("X-Amz-Target"), "Logs_20140328."); {
	case c.fail > 0:
		c.fail--
		refuse(500, "InternalFailure")
	case action == "DescribeLogGroups":
		names := []string{}
		for name := range c.groups {
			if strings.HasPrefix(name, in.LogGroupNamePrefix) {
				names = append(names, fmt.Sprintf(`{"logGroupName":%q}`, name))
			}
		}
		slices.Sort(names)
		fmt.Fprintf(w, `{"logGroups":[%s]}`, strings.Join(names, ","))
	case !ok:
		refuse(400, "ResourceNotFoundException")
	case action == "CreateLogStream":
		group[in.LogStreamName] = []string{}
	case group[in.LogStreamName] == nil:
		refuse(400, "ResourceNotFoundException")
	default:
		c.batches++
		for _, e := range in.LogEvents {
			group[in.LogStreamName] = append(group[in.LogStreamName], fmt.Sprint(e.Timestamp, " ", e.Message))
		}
	}
}

// lines are all that was logged.
func (c *cloud) lines() (all []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, group := range c.groups {
		for _, stream := range group {
			all = append(all, stream...)
		}
	}
	return all
}

func open(t *testing.T, cfg Config) *Logger {
	t.Helper()
	cfg.Region, cfg.Format = "us-east-1", short
	l, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close(context.Background()) })
	return l
}

const group = "arn:aws:logs:us-east-1:1:log-group:g:*"

func TestLevels(t *testing.T) {
	f := func(level string, data bool, want ...string) {
		t.Helper()
		c := newCloud(t)
		l := open(t, Config{})
		l.For("m", Settings{Group: group, Level: level, Data: data})("x", 0, history(t))
		if err := l.Close(t.Context()); err != nil {
			t.Error(err)
		}
		if diff := cmp.Diff(want, c.lines()); diff != "" {
			t.Errorf("%s: %s", level, diff)
		}
		for stream := range c.groups["g"] {
			if !strings.HasPrefix(stream, "states/m/2") {
				t.Errorf("stream %s", stream)
			}
		}
	}
	f("ALL", true, "1000 x 1 ExecutionStarted true", "1000 x 2 PassStateEntered true", "1000 x 3 PassStateExited true",
		"1000 x 4 FailStateEntered true", "1000 x 5 ExecutionFailed true")
	f("ERROR", false, "1000 x 4 FailStateEntered false", "1000 x 5 ExecutionFailed false")
	f("FATAL", false, "1000 x 5 ExecutionFailed false")
}

// A service that is away for a moment loses nothing; a group or stream that is
// gone costs what was for it.
func TestTrouble(t *testing.T) {
	c := newCloud(t)
	l := open(t, Config{})
	log := l.For("m", Settings{Group: group, Level: "FATAL"})
	gone := l.For("m", Settings{Group: strings.Replace(group, ":g:", ":gone:", 1), Level: "ALL"})
	c.fail = 2
	log("x", 0, history(t))
	gone("y", 0, history(t))
	l.writing.Wait()
	c.mu.Lock()
	clear(c.groups["g"]) // the stream is deleted
	c.mu.Unlock()
	log("z", 0, history(t))
	l.Close(t.Context())
	if got := c.lines(); len(got) != 1 || got[0] != "1000 z 5 ExecutionFailed false" {
		t.Errorf("logged %q", got)
	}
	if l.Lost() != 5 {
		t.Errorf("%d events are lost, want those for the group that is gone", l.Lost())
	}
}

// A service that does not answer costs a bounded amount of memory and nobody's
// time.
func TestSlowServiceHoldsNobodyUp(t *testing.T) {
	c := newCloud(t)
	c.hold = make(chan struct{})
	l := open(t, Config{MaxBuffered: 64 << 10})
	log := l.For("m", Settings{Group: group, Level: "ALL"})
	chunk := history(t)
	for range 10000 {
		log("x", 0, chunk) // would never return, did it wait
	}
	if n := l.buffered.Load(); n > 64<<10 {
		t.Errorf("%d bytes wait", n)
	}
	if l.Lost() == 0 {
		t.Error("nothing was left out")
	}
	close(c.hold)
	l.Close(t.Context())
	if got, lost := int64(len(c.lines())), l.Lost(); got+lost != 5*10000 {
		t.Errorf("%d events are logged and %d lost of 50000", got, lost)
	}
}

// Batches stay within what PutLogEvents takes.
func TestBatches(t *testing.T) {
	c := newCloud(t)
	l := open(t, Config{})
	l.cfg.Format = func(out []byte, _ string, _ int64, _ *engine.HistoryEvent, _ bool) []byte {
		return append(out, strings.Repeat("x", 300<<10)...)
	}
	c.hold = make(chan struct{})
	log := l.For("m", Settings{Group: group, Level: "ALL"})
	log("x", 0, history(t))
	log("x", 0, history(t))
	close(c.hold)
	l.Close(t.Context())
	if len(c.lines()) != 10 || c.batches < 4 {
		t.Errorf("%d events in %d batches", len(c.lines()), c.batches)
	}
}

func TestRoutes(t *testing.T) {
	c := newCloud(t)
	path := filepath.Join(t.TempDir(), "log.jsonl")
	var out strings.Builder
	l := open(t, Config{Routes: []Route{{"g", "stdout"}, {"/aws/*", path}}, Stdout: &out})
	l.For("m", Settings{Group: group, Level: "FATAL"})("x", 0, history(t))
	l.For("m", Settings{Group: "arn:aws:logs:us-east-1:1:log-group:/aws/vended:*", Level: "FATAL"})("y", 0, history(t))
	if err := l.Close(t.Context()); err != nil {
		t.Error(err)
	}
	text, err := os.ReadFile(path)
	if err != nil || string(text) != "y 5 ExecutionFailed false\n" {
		t.Errorf("the file has %q, %v", text, err)
	}
	if out.String() != "x 5 ExecutionFailed false\n" {
		t.Errorf("stdout has %q", out.String())
	}
	if got := c.lines(); got != nil {
		t.Errorf("CloudWatch has %q", got)
	}
	if _, err := New(Config{Routes: []Route{{"g", filepath.Join(path, "under")}}}); err == nil || !strings.Contains(err.Error(), "open the log of g") {
		t.Errorf("a path that cannot be: %v", err)
	}
}

func TestExists(t *testing.T) {
	c := newCloud(t)
	c.groups["g2"] = nil
	l := open(t, Config{Routes: []Route{{"file*", "stdout"}}})
	f := func(name string, want bool) {
		t.Helper()
		if got := l.Exists(t.Context(), "arn:aws:logs:us-east-1:1:log-group:"+name+":*"); got != want {
			t.Errorf("%s: %t, want %t", name, got, want)
		}
	}
	f("g", true)
	f("g2", true)
	f("g3", false)
	f("file/1", true)
	c.fail = 1
	f("g3", true) // nobody knows
	t.Setenv("AWS_ENDPOINT_URL_CLOUDWATCH_LOGS", "")
	f("g3", true) // nobody to ask
}

func TestMatches(t *testing.T) {
	f := func(pattern, name string, want bool) {
		t.Helper()
		if got := matches(pattern, name); got != want {
			t.Errorf("%s on %s: %t", pattern, name, got)
		}
	}
	f("*", "/a/b", true)
	f("/a*", "/a/b", true)
	f("*b", "/a/b", true)
	f("/*/*/c", "/a/b/c", true)
	f("a*a", "a", false)
	f("/a", "/a/b", false)
	f("/*/x/*", "/a/b/c", false)
}
