package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// A desk is where comments wait for a person. It polls the activity, as any
// worker does, and keeps the task tokens in a file for whoever decides: they are
// what the API wants back, hours or weeks and any number of restarts later.
type desk struct {
	api  *client
	path string

	mu     sync.Mutex
	claims map[string]claim // by execution name
}

// claim is a comment that waits for a decision.
type claim struct {
	Execution string `json:"execution"` // its name
	Token     string `json:"token"`
	Author    string `json:"author"`
	Text      string `json:"text"`
	Review    struct {
		Why   string   `json:"why"`
		Score *float64 `json:"score"`
	} `json:"review"`
}

func (c claim) number() int { return numberOf(c.Execution) }

const (
	deskFile   = "review-desk.jsonl" // in the data directory; for the owner's eyes only
	deskWorker = "lockstep-demo-desk"
)

// openDesk reads what earlier desks claimed.
func openDesk(dir string, api *client) (*desk, error) {
	d := &desk{api: api, path: filepath.Join(dir, deskFile), claims: map[string]claim{}}
	text, err := os.ReadFile(d.path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("read the review desk: %w", err)
	}
	for line := range strings.Lines(string(text)) {
		var c claim
		if json.Unmarshal([]byte(line), &c) == nil { // a crash may leave half a line
			d.claims[c.Execution] = c
		}
	}
	return d, nil
}

// forgetBut forgets all claims but those of running executions: the others have
// been answered.
func (d *desk) forgetBut(running map[string]execution) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for name := range d.claims {
		if _, ok := running[name]; !ok {
			delete(d.claims, name)
		}
	}
}

func (d *desk) forget(c claim) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.claims, c.Execution)
}

// keep is forgetBut for the file too. Nobody may be polling.
func (d *desk) keep(running map[string]execution) error {
	d.forgetBut(running)
	var text []byte
	for _, c := range d.waiting() {
		line, err := json.Marshal(c)
		if err != nil {
			return err
		}
		text = append(append(text, line...), '\n')
	}
	next := d.path + ".new"
	if err := writeDurably(next, os.O_TRUNC, text); err != nil {
		return err
	}
	return os.Rename(next, d.path)
}

// poll claims tasks until ctx ends.
func (d *desk) poll(ctx context.Context, activityARN string, log *slog.Logger) {
	for ctx.Err() == nil {
		err := d.pollOnce(ctx, activityARN)
		if err == nil || ctx.Err() != nil {
			continue
		}
		log.Warn("the review desk cannot poll", "error", err)
		select {
		case <-time.After(time.Second):
		case <-ctx.Done():
		}
	}
}

func (d *desk) pollOnce(ctx context.Context, activityARN string) error {
	var task struct {
		Token string `json:"taskToken"`
		Input string `json:"input"`
	}
	err := d.api.call(ctx, "GetActivityTask", fields{"activityArn": activityARN, "workerName": deskWorker}, &task)
	if err != nil || task.Token == "" {
		return err
	}
	var c claim
	if err := json.Unmarshal([]byte(task.Input), &c); err != nil {
		return fmt.Errorf("read a task: %w", err)
	}
	c.Token = task.Token
	line, err := json.Marshal(c)
	if err != nil {
		return err
	}
	if err := writeDurably(d.path, os.O_APPEND, append(line, '\n')); err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.claims[c.Execution] = c
	return nil
}

// find returns the claim of an execution.
func (d *desk) find(name string) (claim, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	c, ok := d.claims[name]
	return c, ok
}

// waiting returns all claims, by number.
func (d *desk) waiting() []claim {
	d.mu.Lock()
	defer d.mu.Unlock()
	var all []claim
	for _, c := range d.claims {
		all = append(all, c)
	}
	slices.SortFunc(all, func(a, b claim) int { return a.number() - b.number() })
	return all
}

// decision is what a person says about a comment: the task's output.
type decision struct {
	Decision string `json:"decision"` // approve or reject
	Reviewer string `json:"reviewer"`
	Note     string `json:"note,omitempty"`
}

// decide answers a claim's task. An error that isOver says that it was answered
// before.
func (d *desk) decide(ctx context.Context, c claim, say decision) error {
	output, err := json.Marshal(say)
	if err != nil {
		return err
	}
	return d.api.call(ctx, "SendTaskSuccess", fields{"taskToken": c.Token, "output": string(output)}, nil)
}

func isOver(err error) bool {
	return isAPIError(err, "TaskTimedOut") || isAPIError(err, "TaskDoesNotExist")
}

// lost finds executions whose task a desk claimed and then did not get to write
// down, because the process was killed in between. Nobody has their token.
func (d *desk) lost(ctx context.Context, running map[string]execution) ([]execution, error) {
	var all []execution
	for name, x := range running {
		if _, ok := d.find(name); ok {
			continue
		}
		newest, err := d.api.history(ctx, x.ARN, 1, true)
		if err != nil {
			return nil, err
		}
		if len(newest) == 1 && newest[0].Type == "ActivityStarted" && newest[0].Started.Worker == deskWorker {
			all = append(all, x)
		}
	}
	return all, nil
}

// namePrefix is what the demo's execution names begin with; a number follows.
const namePrefix = "comment-"

func nameOf(number int) string { return namePrefix + strconv.Itoa(number) }

// numberOf is the number in an execution's name, 0 if there is none.
func numberOf(name string) int {
	number, err := strconv.Atoi(strings.TrimPrefix(name, namePrefix))
	if err != nil || name != nameOf(number) {
		return 0
	}
	return number
}

// writeDurably writes to a file that only its owner may read, opened with flag.
func writeDurably(path string, flag int, text []byte) error {
	f, err := os.OpenFile(path, flag|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	return errors.Join(err, f.Sync(), f.Close())
}

// readLines calls yield with each line of a text that is not blank, and its
// number.
func readLines(text []byte, yield func(number int, line []byte) error) error {
	lines := bufio.NewScanner(strings.NewReader(string(text)))
	lines.Buffer(nil, 1<<20)
	for number := 1; lines.Scan(); number++ {
		if strings.TrimSpace(lines.Text()) == "" {
			continue
		}
		if err := yield(number, lines.Bytes()); err != nil {
			return err
		}
	}
	return lines.Err()
}
