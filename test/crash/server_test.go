package crash

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// server is a process of lockstep dev, and those that follow it on the same data
// directory. Its port is another one in each process.
type server struct {
	dir     string
	env     []string
	url     atomic.Value // string: of the process that runs, or ran last
	starts  atomic.Int64 // processes so far
	log     logBuffer
	cmd     *exec.Cmd
	exited  chan struct{}
	restart []time.Duration // from start to ready, one per process that became ready
}

// newServer makes a server on dir that is not running. The process that runs when
// the test ends is killed.
func newServer(t *testing.T, dir string, env ...string) *server {
	s := &server{dir: dir, env: env}
	s.url.Store("")
	t.Cleanup(func() {
		s.kill()
		if bad := s.log.defects(); len(bad) > 0 {
			t.Errorf("the server's log tells of defects:\n%s", strings.Join(bad, "\n"))
		}
		if t.Failed() {
			t.Logf("the end of the server's log:\n%s", s.log.tail(6000))
		}
	})
	return s
}

func (s *server) base() string { return s.url.Load().(string) }
func (s *server) pid() int     { return s.cmd.Process.Pid }

// start starts a process and returns when it listens. It may not be ready yet.
func (s *server) start(ctx context.Context, env ...string) error {
	cmd := exec.Command(*binary, "dev", "--listen", "127.0.0.1:0", "--data", s.dir)
	cmd.Env = slices.Concat(os.Environ(), []string{"AWS_ACCESS_KEY_ID=test", "AWS_SECRET_ACCESS_KEY=test"}, s.env, env)
	cmd.Stderr = &s.log
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	s.cmd, s.exited = cmd, make(chan struct{})
	urls := make(chan string, 1)
	go func(exited chan struct{}) {
		urls <- findURL(out)
		io.Copy(io.Discard, out)
		cmd.Wait()
		close(exited)
	}(s.exited)
	select {
	case url := <-urls:
		if url == "" {
			<-s.exited
			return fmt.Errorf("the server ended at its start: %v\n%s", cmd.ProcessState, s.log.tail(2000))
		}
		s.url.Store(url)
		s.starts.Add(1)
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

var readyLine = regexp.MustCompile(`is ready at (http://\S+)`)

func findURL(out io.Reader) string {
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if m := readyLine.FindStringSubmatch(lines.Text()); m != nil {
			return m[1]
		}
	}
	return ""
}

// startReady starts a process, waits until it is ready and notes how long that
// took.
func (s *server) startReady(ctx context.Context, env ...string) error {
	began := time.Now()
	if err := s.start(ctx, env...); err != nil {
		return err
	}
	if err := s.awaitReady(ctx); err != nil {
		return err
	}
	s.restart = append(s.restart, time.Since(began))
	return nil
}

func (s *server) awaitReady(ctx context.Context) error {
	for {
		if status, _, err := get(ctx, s.base()+"/readyz"); err == nil && status == http.StatusOK {
			return nil
		}
		select {
		case <-s.exited:
			return fmt.Errorf("the server ended before it was ready: %v\n%s", s.cmd.ProcessState, s.log.tail(2000))
		default:
		}
		if !pause(ctx, 2*time.Millisecond) {
			return errors.New("the server did not become ready")
		}
	}
}

// kill ends the process as nothing can prevent, and returns when it has gone.
func (s *server) kill() {
	if s.cmd == nil {
		return
	}
	s.cmd.Process.Kill()
	<-s.exited
}

// alive reports whether the process runs.
func (s *server) alive() bool {
	select {
	case <-s.exited:
		return false
	default:
		return true
	}
}

// memory is a number of MiB from what the system says of the process: VmRSS is
// its resident memory, VmHWM the most that ever was.
func (s *server) memory(name string) (float64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.pid()))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, name+":"); ok {
			kib, err := strconv.ParseFloat(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(rest), "kB")), 64)
			return kib / 1024, err
		}
	}
	return 0, fmt.Errorf("no %s in /proc", name)
}

// metric reads one number of /metrics.
func (s *server) metric(ctx context.Context, name string) (float64, error) {
	_, text, err := get(ctx, s.base()+"/metrics")
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(text) {
		if rest, ok := strings.CutPrefix(line, name+" "); ok {
			return strconv.ParseFloat(strings.TrimSpace(rest), 64)
		}
	}
	return 0, fmt.Errorf("no %s in /metrics", name)
}

// restarts says in one line how long the processes took to become ready.
func (s *server) restarts() string {
	if len(s.restart) == 0 {
		return "no restart"
	}
	sorted := slices.Sorted(slices.Values(s.restart))
	return fmt.Sprintf("start to ready: median %v, longest %v, of %d",
		sorted[len(sorted)/2].Round(time.Millisecond), sorted[len(sorted)-1].Round(time.Millisecond), len(sorted))
}

// plain reads pages that are not of the AWS API, each over a connection of its
// own: the process at the other end may be gone in a moment.
var plain = &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 10 * time.Second}

func get(ctx context.Context, url string) (status int, body string, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return 0, "", err
	}
	resp, err := plain.Do(req)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	return resp.StatusCode, string(text), err
}

// logBuffer keeps the end of what a server writes to its log, and the lines that
// tell of defects.
type logBuffer struct {
	mu   sync.Mutex
	text []byte
	bad  []string
}

var defect = regexp.MustCompile(`(?m)^.*(panic|fatal error:|DATA RACE|execution parked|event lost|defect in).*$`)

func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, line := range defect.FindAll(p, 10) {
		if len(b.bad) < 20 {
			b.bad = append(b.bad, string(line))
		}
	}
	b.text = append(b.text, p...)
	if len(b.text) > 1<<20 {
		b.text = bytes.Clone(b.text[len(b.text)/2:])
	}
	return len(p), nil
}

func (b *logBuffer) defects() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.bad)
}

func (b *logBuffer) tail(n int) string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return string(b.text[max(0, len(b.text)-n):])
}
