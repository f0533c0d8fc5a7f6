// Package logs writes what executions do to log groups, as a machine's
// loggingConfiguration asks: to CloudWatch Logs or whatever answers like it, and
// where the configuration says so to files or the standard output.
//
// There is one door, the function that For returns. It takes history as it is
// packed and never waits; unpacking, wording and sending are done behind it. What
// there is no room for, or what nobody takes, is left out and counted: delivery
// is best effort, as AWS's is.
package logs

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/lockstep-run/lockstep/internal/engine"
	"github.com/lockstep-run/lockstep/internal/task/awscall"
)

// Config says where logs go. Zero fields have working defaults, but for Format.
type Config struct {
	Region string
	// Routes send log groups elsewhere than to CloudWatch Logs. The first that
	// matches counts.
	Routes []Route
	// Format appends an event as an entry of a log: a JSON object.
	Format func(out []byte, executionARN string, redrives int64, ev *engine.HistoryEvent, data bool) []byte

	Stdout      io.Writer         // default os.Stdout
	Transport   http.RoundTripper // default awscall.Transport()
	Log         *slog.Logger
	MaxBuffered int // bytes of history that may wait to be written; default 32 MiB
}

// Route sends the log groups whose names match a pattern to a file, a line for
// each entry.
type Route struct {
	Match  string // a name, * for any text
	Target string // the path of a file, which is appended to; or "stdout"
}

// Settings are those of a machine.
type Settings struct {
	Group string // ARN of the log group
	Level string // "ALL", "ERROR" or "FATAL"
	Data  bool   // with payloads
}

// Logger writes logs. It is safe for concurrent use.
type Logger struct {
	cfg    Config
	aws    *awscall.Client
	ctx    context.Context // of sending
	cancel context.CancelFunc
	files  map[string]*file

	buffered atomic.Int64
	lost     atomic.Int64
	writing  sync.WaitGroup

	mu      sync.Mutex
	streams map[streamKey]*stream
	closed  bool
}

type streamKey struct{ group, machine string }

// New makes a Logger. The error names a file that cannot be written.
func New(cfg Config) (*Logger, error) {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Stdout == nil {
		cfg.Stdout = os.Stdout
	}
	if cfg.Transport == nil {
		cfg.Transport = awscall.Transport()
	}
	if cfg.MaxBuffered == 0 {
		cfg.MaxBuffered = 32 << 20
	}
	l := &Logger{cfg: cfg, aws: newCloudWatch(cfg), files: map[string]*file{}, streams: map[streamKey]*stream{}}
	l.ctx, l.cancel = context.WithCancel(context.Background())
	for _, r := range cfg.Routes {
		if l.files[r.Target] != nil {
			continue
		}
		if r.Target == "stdout" {
			l.files[r.Target] = &file{to: cfg.Stdout}
			continue
		}
		f, err := os.OpenFile(r.Target, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
		if err != nil {
			l.Close(context.Background())
			return nil, fmt.Errorf("open the log of %s: %w", r.Match, err)
		}
		l.files[r.Target] = &file{to: f, close: f.Close}
	}
	return l, nil
}

// For returns what takes the history of one machine's executions. It keeps the
// chunks it gets, which must not change any more.
func (l *Logger) For(machine string, s Settings) func(executionARN string, redrives int64, c engine.Chunk) {
	st := l.stream(streamKey{groupName(s.Group), machine})
	return func(executionARN string, redrives int64, c engine.Chunk) {
		st.put(item{executionARN, redrives, c, levelOf(s.Level), s.Data})
	}
}

// Lost counts the history events that were not written.
func (l *Logger) Lost() int64 { return l.lost.Load() }

// Exists reports whether there is a log group of that ARN. Where nobody is
// configured to ask, or no answer comes, there is taken to be one.
func (l *Logger) Exists(ctx context.Context, group string) bool {
	name := groupName(group)
	if l.route(name) != nil || !endpointConfigured() {
		return true
	}
	ok, err := describe(ctx, l.aws, name)
	if err != nil {
		l.cfg.Log.Warn("log group could not be looked up", "group", name, "error", err)
		return true
	}
	return ok
}

// Close writes what waits, for as long as ctx allows.
func (l *Logger) Close(ctx context.Context) error {
	l.mu.Lock()
	l.closed = true
	l.mu.Unlock()
	done := make(chan struct{})
	go func() { l.writing.Wait(); close(done) }()
	select {
	case <-done:
	case <-ctx.Done():
		l.cancel()
		<-done
	}
	l.cancel()
	l.aws.Close()
	var failed error
	for _, f := range l.files {
		if f.close != nil {
			if err := f.close(); err != nil {
				failed = err
			}
		}
	}
	return failed
}

// stream finds or makes the stream of a machine in a group.
func (l *Logger) stream(key streamKey) *stream {
	l.mu.Lock()
	defer l.mu.Unlock()
	st := l.streams[key]
	if st == nil {
		st = &stream{l: l, key: key}
		if f := l.route(key.group); f != nil {
			st.to = f
		} else {
			st.to = &cloudWatch{client: l.aws, group: key.group, stream: streamName(key.machine, time.Now())}
		}
		l.streams[key] = st
	}
	return st
}

func (l *Logger) route(group string) *file {
	for _, r := range l.cfg.Routes {
		if matches(r.Match, group) {
			return l.files[r.Target]
		}
	}
	return nil
}

// groupName is the name in a log group's ARN.
func groupName(arn string) string {
	_, name, ok := strings.Cut(arn, ":log-group:")
	if !ok {
		return arn
	}
	return strings.TrimSuffix(name, ":*")
}

// matches reports whether name is what pattern says, where * stands for any
// text.
func matches(pattern, name string) bool {
	parts := strings.Split(pattern, "*")
	if len(parts) == 1 {
		return pattern == name
	}
	first, last := parts[0], parts[len(parts)-1]
	rest, ok := strings.CutPrefix(name, first)
	if !ok {
		return false
	}
	for _, part := range parts[1 : len(parts)-1] {
		if _, rest, ok = strings.Cut(rest, part); !ok {
			return false
		}
	}
	return strings.HasSuffix(rest, last)
}

// level is how much is written; each includes those before it.
type level uint8

const (
	fatal level = iota
	failed
	all
)

func levelOf(name string) level {
	switch name {
	case "FATAL":
		return fatal
	case "ERROR":
		return failed
	}
	return all
}

// levels has for each type of event the level from which it is written (AWS's
// guide).
var levels = func() (by [256]level) {
	ends := []engine.HistoryType{engine.ExecutionFailedType, engine.ExecutionAbortedType, engine.ExecutionTimedOutType}
	for i := range by {
		t := engine.HistoryType(i)
		name := t.String()
		ill := func(suffix string) bool { return strings.HasSuffix(name, suffix) }
		switch {
		case slices.Contains(ends, t):
			by[i] = fatal
		case t == engine.FailStateEnteredType, ill("Failed"), ill("TimedOut"), ill("Aborted"):
			by[i] = failed
		default:
			by[i] = all
		}
	}
	return by
}()
