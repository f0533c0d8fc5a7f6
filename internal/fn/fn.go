// Package fn runs functions without AWS: it answers Lambda's Invoke API, and
// hands each call to a process on this machine, or to a worker elsewhere, that
// asks for it in Lambda's Runtime API. So a handler built for Lambda runs as it
// is, without containers.
//
// A function has a pool of processes. A process serves one call at a time: it
// asks for the next one and waits (runtime.go), and whoever invokes the function
// (invoke.go) takes a process that waits, lets another be started, or waits in
// line (pool.go). A process of its own group (process.go) has an address of its
// own for the Runtime API, so a request tells which process it comes from.
// Nothing is started before it is needed, and what has nothing to do for a while
// is ended.
//
// Errors have the names, shapes and words of Lambda, as far as its guide and
// public records show them.
package fn

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Spec says what a function is. Fields left at zero get Lambda's defaults, see
// Complete.
type Spec struct {
	// Command is the program and its arguments. Empty: only workers elsewhere
	// serve this function, see Manager.Key.
	Command []string `json:"command,omitempty"`
	Dir     string   `json:"dir,omitempty"` // where it runs: an absolute path
	Handler string   `json:"handler,omitempty"`

	Timeout     Duration `json:"timeout,omitempty"`     // of a call; 3 s
	Memory      int      `json:"memory,omitempty"`      // MiB that a process and its children may hold; 128; -1: any
	Concurrency int      `json:"concurrency,omitempty"` // processes at most; 10
	Idle        Duration `json:"idle,omitempty"`        // how long a process may have nothing to do; 5 min

	Env     map[string]string `json:"env,omitempty"`
	PassEnv []string          `json:"pass_env,omitempty"` // variables of the server that a process gets too

	Retries    *int     `json:"retries,omitempty"`     // of calls that nobody waits for: 0 to 10; 2
	RetryDelay Duration `json:"retry_delay,omitempty"` // before the first retry, then doubled; 1 min
	DeadLetter string   `json:"dead_letter,omitempty"` // URL, function or ARN that is told when all have failed
}

// Duration is a time.Duration that reads and writes itself as "3s".
type Duration time.Duration

// MarshalText implements encoding.TextMarshaler.
func (d Duration) MarshalText() ([]byte, error) { return []byte(time.Duration(d).String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (d *Duration) UnmarshalText(text []byte) error {
	v, err := time.ParseDuration(string(text))
	if err != nil {
		return fmt.Errorf("a time such as 3s or 5m is wanted, not %.40q", text)
	}
	*d = Duration(v)
	return nil
}

// Limits of a Spec, those of Lambda where it has them.
const (
	maxTimeout     = 15 * time.Minute
	maxConcurrency = 1000
	maxRetries     = 10
)

var (
	nameForm = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`)
	envForm  = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)
)

// reserved are variables that Lambda sets and nobody else may.
var reserved = []string{
	"_HANDLER", "_X_AMZN_TRACE_ID", "AWS_EXECUTION_ENV", "AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "AWS_LAMBDA_FUNCTION_NAME",
	"AWS_LAMBDA_FUNCTION_VERSION", "AWS_LAMBDA_INITIALIZATION_TYPE", "AWS_LAMBDA_LOG_GROUP_NAME", "AWS_LAMBDA_LOG_STREAM_NAME",
	"AWS_LAMBDA_RUNTIME_API", "LAMBDA_TASK_ROOT",
}

// Complete checks s and fills in the defaults. The error says everything that is
// wrong, a line each.
func (s Spec) Complete() (Spec, error) {
	var errs []error
	wrong := func(bad bool, format string, args ...any) {
		if bad {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	if s.Retries == nil {
		two := 2
		s.Retries = &two
	}
	s.Timeout = cmp.Or(s.Timeout, Duration(3*time.Second))
	s.Memory = cmp.Or(s.Memory, 128)
	s.Concurrency = cmp.Or(s.Concurrency, 10)
	s.Idle = cmp.Or(s.Idle, Duration(5*time.Minute))
	s.RetryDelay = cmp.Or(s.RetryDelay, Duration(time.Minute))
	timeout := time.Duration(s.Timeout)
	wrong(timeout < time.Millisecond || timeout > maxTimeout, "timeout must be between 1ms and %s, not %s", maxTimeout, timeout)
	wrong(s.Memory < -1, "memory must be a number of MiB, or -1 for any, not %d", s.Memory)
	wrong(s.Concurrency < 1 || s.Concurrency > maxConcurrency, "concurrency must be between 1 and %d, not %d", maxConcurrency, s.Concurrency)
	wrong(s.Idle < 0, "idle must not be negative")
	wrong(*s.Retries < 0 || *s.Retries > maxRetries, "retries must be between 0 and %d, not %d", maxRetries, *s.Retries)
	wrong(s.RetryDelay < 0 || time.Duration(s.RetryDelay) > time.Hour, "retry_delay must be between 0 and 1h")
	wrong(s.Dir != "" && !filepath.IsAbs(s.Dir), "dir must be an absolute path, not %.200q", s.Dir)
	wrong(len(s.Command) > 0 && s.Command[0] == "", "the command has no name")
	for _, name := range append(slices.Sorted(maps.Keys(s.Env)), s.PassEnv...) {
		wrong(!envForm.MatchString(name), "%.60q is no name of an environment variable", name)
		wrong(slices.Contains(reserved, name), "the variable %s is set by Lambda, and here too", name)
	}
	for _, text := range append(slices.Collect(maps.Values(s.Env)), s.Command...) {
		wrong(strings.ContainsRune(text, 0), "a NUL byte cannot be passed to a process")
	}
	return s, errors.Join(errs...)
}

// Equal reports whether two completed specs are the same.
func (s Spec) Equal(t Spec) bool {
	return slices.Equal(s.Command, t.Command) && s.Dir == t.Dir && s.Handler == t.Handler && s.Timeout == t.Timeout &&
		s.Memory == t.Memory && s.Concurrency == t.Concurrency && s.Idle == t.Idle && maps.Equal(s.Env, t.Env) &&
		slices.Equal(s.PassEnv, t.PassEnv) && *s.Retries == *t.Retries && s.RetryDelay == t.RetryDelay && s.DeadLetter == t.DeadLetter
}

// Config says what a Manager needs. Only Dir is needed.
type Config struct {
	Dir       string // for functions that are added, their logs and events
	Partition string // of ARNs; "aws"
	Region    string // "us-east-1"
	Account   string // "123456789012"
	Endpoint  string // of the Step Functions API for processes, as AWS_ENDPOINT_URL_SFN; "": none

	// Forward brings the record of a failed event to a dead letter that is
	// neither a URL nor a function of this manager. nil: there is no such way.
	Forward func(ctx context.Context, target string, record []byte) error
	// Reload reads the configuration again and calls Declare. nil: there is none.
	Reload func() error
	Log    *slog.Logger // nil: none
}

// Manager runs functions. It is safe for concurrent use. Close it.
type Manager struct {
	c       Config
	spawner *spawner
	key     []byte // of management and of workers elsewhere
	mux     *http.ServeMux

	names atomic.Pointer[map[string]*function] // by name, name:qualifier or ARN; replaced, never changed

	mu       sync.Mutex // of all changes to what functions there are
	added    map[string]Spec
	declared map[string]Spec
	all      map[*function]struct{} // those that are gone, too, while processes of theirs live
	closed   bool

	running context.Context // ends with Close
	stop    context.CancelFunc
	parts   sync.WaitGroup
	events  *events
}

// New makes a manager with the functions that Add has left in c.Dir. Events that
// the last one has left wait for Start.
func New(c Config) (*Manager, error) {
	c.Partition = cmp.Or(c.Partition, "aws")
	c.Region = cmp.Or(c.Region, "us-east-1")
	c.Account = cmp.Or(c.Account, "123456789012")
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	m := &Manager{c: c, all: map[*function]struct{}{}, declared: map[string]Spec{}}
	if err := m.load(); err != nil {
		return nil, err
	}
	m.running, m.stop = context.WithCancel(context.Background())
	m.spawner = newSpawner()
	m.names.Store(&map[string]*function{})
	m.mux = m.routes()
	m.rebuild()
	var err error
	if m.events, err = openEvents(m, filepath.Join(c.Dir, "events")); err != nil {
		return nil, errors.Join(err, m.Close())
	}
	m.parts.Go(m.watch)
	return m, nil
}

// Start takes up the events that New has found. Call it when Config.Forward can be.
func (m *Manager) Start() { m.events.start() }

// Close ends all processes and waits for them. Calls under way fail; events that
// have been accepted stay for the next start.
func (m *Manager) Close() error {
	m.mu.Lock()
	m.closed = true
	m.stop()
	for f := range m.all {
		f.close()
	}
	m.mu.Unlock()
	m.parts.Wait()
	m.mu.Lock()
	defer m.mu.Unlock()
	for f := range m.all {
		f.log.close()
	}
	m.spawner.close()
	return nil
}

// ErrNotFound is the error about a function that is not there.
var ErrNotFound = errors.New("there is no such function")

// ErrDeclared is the error about a function that the configuration declares, so
// that it has to be changed there.
var ErrDeclared = errors.New("the configuration declares this function: change it there")

// Add makes a function, or replaces the one that was added under its name. It is
// kept when Add returns. Calls under way end with the processes that serve them.
func (m *Manager) Add(name string, s Spec) error {
	if !nameForm.MatchString(name) {
		return fmt.Errorf("the name of a function has 1 to 64 letters, digits, - and _, not %.80q", name)
	}
	s, err := s.Complete()
	if err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, ok := m.declared[name]; ok {
		return ErrDeclared
	}
	return m.change(func(added map[string]Spec) { added[name] = s })
}

// Remove ends a function that was added.
func (m *Manager) Remove(name string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, ok := m.declared[name]; ok {
		return ErrDeclared
	}
	if _, ok := m.added[name]; !ok {
		return ErrNotFound
	}
	return m.change(func(added map[string]Spec) { delete(added, name) })
}

// change keeps what edit makes of the added functions, and only then acts on it.
// m.mu is held.
func (m *Manager) change(edit func(map[string]Spec)) error {
	next := maps.Clone(m.added)
	edit(next)
	if err := m.save(next); err != nil {
		return err
	}
	m.added = next
	m.rebuild()
	return nil
}

// Declare sets the functions of the configuration, by name, name:qualifier or
// ARN, in place of those it had. They come before those that were added.
func (m *Manager) Declare(specs map[string]Spec) error {
	complete := map[string]Spec{}
	for _, name := range slices.Sorted(maps.Keys(specs)) {
		s, err := specs[name].Complete()
		if err != nil {
			return fmt.Errorf("function %s: %w", name, err)
		}
		complete[name] = s
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.declared = complete
	m.rebuild()
	return nil
}

// Refresh lets new processes take the place of those there are, so that they
// run what the program is now: of one function, or with "" of all.
func (m *Manager) Refresh(name string) error {
	names := *m.names.Load()
	if name != "" && names[name] == nil {
		return ErrNotFound
	}
	for n, f := range names {
		if name == "" || n == name {
			f.retire(func(*instance) bool { return true })
		}
	}
	return nil
}

// rebuild makes the table of functions anew. Those that have not changed keep
// their processes. m.mu is held.
func (m *Manager) rebuild() {
	if m.closed {
		return
	}
	want := maps.Clone(m.added)
	maps.Copy(want, m.declared)
	old, next := *m.names.Load(), make(map[string]*function, len(want))
	for name, s := range want {
		if f := old[name]; f != nil && f.spec.Equal(s) {
			next[name] = f
			continue
		}
		f := newFunction(m, name, s)
		if before := old[name]; before != nil {
			f.log = before.log
		} else {
			f.log = openLog(filepath.Join(m.c.Dir, "logs", fileName(name)+".log"))
		}
		m.all[f] = struct{}{}
		next[name] = f
	}
	m.names.Store(&next)
	for name, f := range old {
		if next[name] != f {
			f.replaced(next[name])
		}
	}
}

// fileName is the name of a function with nothing in it that means something in
// a path.
func fileName(name string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' || r == '_' {
			return r
		}
		return '.'
	}, name)
}

// find returns a function by what a caller writes: its name, a partial ARN or an
// ARN, of whatever account, with a qualifier in it or beside it. Its name with
// the qualifier comes before the name alone.
func (m *Manager) find(written, qualifier string) *function {
	names := *m.names.Load()
	if f := names[written]; f != nil && qualifier == "" {
		return f
	}
	name, q := split(written)
	if qualifier == "" {
		qualifier = q
	}
	if qualifier != "" {
		base := strings.TrimSuffix(written, ":"+q)
		if f := cmp.Or(names[base+":"+qualifier], names[name+":"+qualifier]); f != nil {
			return f
		}
		if f := names[base]; f != nil {
			return f
		}
	}
	return cmp.Or(names[written], names[name])
}

// Has reports whether a call of a function, as it is written, would find one.
func (m *Manager) Has(function, qualifier string) bool { return m.find(function, qualifier) != nil }

// split takes the name and the qualifier from a name, partial ARN or ARN.
func split(function string) (name, qualifier string) {
	if _, after, ok := strings.Cut(function, "function:"); ok {
		function = after
	}
	name, qualifier, _ = strings.Cut(function, ":")
	return name, qualifier
}

// arn is a function's ARN: the one it was declared with, or one in the manager's
// account.
func (m *Manager) arn(name, qualifier string) string {
	if !strings.HasPrefix(name, "arn:") {
		short, q := split(name)
		qualifier = cmp.Or(qualifier, q)
		name = "arn:" + m.c.Partition + ":lambda:" + m.c.Region + ":" + m.c.Account + ":function:" + short
	}
	if qualifier != "" && !strings.HasSuffix(name, ":"+qualifier) {
		name += ":" + qualifier
	}
	return name
}

// Info is what List says of a function.
type Info struct {
	Name     string `json:"name"`
	ARN      string `json:"arn"`
	Declared bool   `json:"declared"` // by the configuration
	Spec
	Processes   int   `json:"processes"`
	Busy        int   `json:"busy"`
	Waiting     int   `json:"waiting"` // calls in line
	Events      int   `json:"events"`  // accepted and not yet done
	Invocations int64 `json:"invocations"`
	Errors      int64 `json:"errors"`
}

// List returns all functions, by name.
func (m *Manager) List() []Info {
	m.mu.Lock()
	declared := m.declared
	m.mu.Unlock()
	names := *m.names.Load()
	list := make([]Info, 0, len(names))
	for _, name := range slices.Sorted(maps.Keys(names)) {
		i := names[name].info()
		_, i.Declared = declared[name]
		i.Events = m.events.pending(name)
		list = append(list, i)
	}
	return list
}

// watch looks after processes: what they hold, and whether they have had
// nothing to do for long.
func (m *Manager) watch() {
	tick := time.NewTicker(watchInterval)
	defer tick.Stop()
	for {
		select {
		case <-m.running.Done():
			return
		case now := <-tick.C:
			m.look(now)
		}
	}
}

// watchInterval is how often processes are looked at. In this time one may hold
// more memory than it should.
const watchInterval = 100 * time.Millisecond

func (m *Manager) look(now time.Time) {
	m.mu.Lock()
	all := slices.Collect(maps.Keys(m.all))
	m.mu.Unlock()
	for _, f := range all {
		f.measure()
		f.retire(func(i *instance) bool { return i.state == idle && now.Sub(i.since) > time.Duration(f.spec.Idle) })
		f.log.flush()
	}
}

// forget drops a function that is gone and has no processes any more.
func (m *Manager) forget(f *function) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return
	}
	if now := (*m.names.Load())[f.name]; now == f {
		return
	} else if now == nil || now.log != f.log {
		f.log.close()
	}
	delete(m.all, f)
}
