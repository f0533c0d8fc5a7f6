package mock

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync"

	"github.com/lockstep-run/lockstep/asl"
	"github.com/lockstep-run/lockstep/internal/task"
)

// Mocks answers tasks by the test cases of the executions they belong to. It
// is safe for concurrent use.
type Mocks struct {
	config *Config
	log    *slog.Logger

	mu   sync.Mutex
	of   map[string]string // the case of each execution, by ARN
	kept *os.File          // a line for each choice: else a restart would send tasks to real services
}

// choice is a line of the file.
type choice struct {
	Execution string `json:"execution"`
	Case      string `json:"case"`
}

// New makes Mocks that keep which case an execution has in the file at path.
func New(c *Config, path string, log *slog.Logger) (*Mocks, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return nil, fmt.Errorf("keep test cases of executions: %w", err)
	}
	m := &Mocks{config: c, log: log, of: map[string]string{}, kept: f}
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		var was choice
		if json.Unmarshal(lines.Bytes(), &was) == nil { // the last line may be cut off by a crash
			m.of[was.Execution] = was.Case
		}
	}
	if err := lines.Err(); err != nil {
		return nil, errors.Join(fmt.Errorf("read %s: %w", path, err), f.Close())
	}
	return m, nil
}

// Close ends it. No task may be under way.
func (m *Mocks) Close() error { return m.kept.Close() }

// Choose keeps by which case an execution runs that is about to start; with ""
// by none. It refuses cases that the configuration does not have.
func (m *Mocks) Choose(machine, executionARN, test string) error {
	if test != "" {
		if err := m.config.check(machine, test); err != nil {
			return err
		}
		m.log.Info("mocks answer this execution's tasks", "execution", executionARN, "case", test)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.of[executionARN] == test {
		return nil
	}
	line, err := json.Marshal(choice{executionARN, test})
	if err != nil {
		return err
	}
	// Begun on a new line: the last one may be cut off.
	if _, err := m.kept.WriteString("\n" + string(line) + "\n"); err != nil {
		return fmt.Errorf("keep the test case of %s: %w", executionARN, err)
	}
	m.of[executionARN] = test
	return nil
}

// Around is for task.Registry.Around.
func (m *Mocks) Around(next task.Integration) task.Integration { return mocked{m, next} }

// mocked stands before an integration, which is nil where there is none.
type mocked struct {
	mocks *Mocks
	next  task.Integration
}

// Run answers by the execution's case. A task that is answered later is
// submitted and answered at once: the response is what SendTaskSuccess, or the
// end of the job, would bring.
func (i mocked) Run(ctx context.Context, c *task.Call) (task.Result, error) {
	i.mocks.mu.Lock()
	test := i.mocks.of[c.ExecutionARN]
	i.mocks.mu.Unlock()
	if test != "" {
		machine := c.MachineARN[strings.LastIndexByte(c.MachineARN, ':')+1:]
		r, mocked, err := i.mocks.config.answer(machine, test, c.State, c.Retry)
		if mocked {
			result := task.Result{Output: r.output}
			if c.Resource.Pattern != asl.RequestResponse && err == nil {
				result.Submitted = "{}"
			}
			if err == nil && r.err != nil {
				err = r.err
			}
			return result, err
		}
	}
	if i.next == nil {
		return task.Result{}, task.Unsupported(c.Resource)
	}
	return i.next.Run(ctx, c)
}
