package engine

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/tools/txtar"

	"github.com/lockstep-run/lockstep/asl"
)

// TestScripts runs testdata/*.txtar: a machine, the events that happen to an
// execution of it, and what must come of them. UPDATE=1 rewrites the last two
// parts.
//
// An event is a line: the time since the start, its type and its arguments.
// Tasks are numbered in the order in which they were asked for, among them results
// that are to be kept.
//
//	0s Started {"a":1}
//	1s TaskFailed 1 Boom it went off
//	3s TimerFired
func TestScripts(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatal("no scripts", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) { runScript(t, file) })
	}
}

func runScript(t *testing.T, file string) {
	archive, err := txtar.ParseFile(file)
	if err != nil {
		t.Fatal(err)
	}
	part := map[string]string{}
	for _, f := range archive.Files {
		part[f.Name] = string(f.Data)
	}
	s := &script{t: t, env: testEnv(compile(t, part["machine"]))}
	if bytes, err := strconv.Atoi(strings.TrimSpace(part["payload limit"])); err == nil { // beyond it, results are kept
		s.env.Limits.Payload, s.env.Keeps = bytes, func() bool { return true }
	}
	for line := range strings.Lines(part["events"]) {
		s.event(strings.TrimSpace(line))
	}
	s.flush()
	got := map[string]string{"history": s.history.String(), "commands": s.commands.String()}
	if os.Getenv("UPDATE") != "" {
		for i, f := range archive.Files {
			if text, ok := got[f.Name]; ok {
				archive.Files[i].Data = []byte(text)
			}
		}
		if err := os.WriteFile(file, txtar.Format(archive), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	for name, text := range got {
		if diff := cmp.Diff(part[name], text); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

type script struct {
	t        *testing.T
	env      *Env
	s        *Snapshot
	tasks    []TaskID
	history  strings.Builder
	commands strings.Builder
}

func (s *script) event(line string) {
	if line == "" {
		return
	}
	s.t.Helper()
	fields := strings.SplitN(line, " ", 3)
	offset, err := time.ParseDuration(fields[0])
	if err != nil {
		s.t.Fatalf("%s: %v", line, err)
	}
	rest := ""
	if len(fields) == 3 {
		rest = fields[2]
	}
	ev := s.parse(epoch.Add(offset), fields[1], rest)
	for more := true; more; ev = (Continued{At: epoch.Add(offset)}) {
		step, err := Apply(s.env, s.s, ev)
		switch {
		case errors.Is(err, ErrNotWaiting), errors.Is(err, ErrEarly):
			fmt.Fprintf(&s.commands, "%s: %v\n", line, err)
		case err != nil:
			s.t.Fatalf("%s: %v", line, err)
		}
		for _, c := range step.Commands {
			s.command(c)
		}
		more = step.More
	}
	s.flush()
}

// flush takes the history, and goes on from what the store would have.
func (s *script) flush() {
	if s.s == nil {
		return
	}
	status, due := s.s.Status, s.s.Due()
	frames := map[FrameID][]byte{}
	for id, f := range s.s.frames {
		if id != rootFrame {
			frames[id] = s.s.encodeFrame(f)
		}
	}
	head := s.s.encodeHead()
	d := s.s.Flush()
	if d.History.Count > 0 {
		events, err := DecodeHistory(d.History)
		if err != nil {
			s.t.Fatal(err)
		}
		for _, ev := range events {
			s.history.WriteString(show(&ev) + "\n")
		}
	}
	if due != 0 && d.History.Count > 0 {
		fmt.Fprintf(&s.commands, "due %s\n", time.Duration(due-epoch.UnixMilli())*time.Millisecond)
	}
	if status == Succeeded {
		return
	}
	var records []FrameRecord
	for id := FrameID(2); id <= s.s.lastFrame; id++ {
		if data, ok := frames[id]; ok {
			records = append(records, FrameRecord{ID: id, Data: data})
		}
	}
	restored, err := Restore(s.s.Execution, head, records)
	if err != nil {
		s.t.Fatal(err)
	}
	restored.Status, restored.Output, restored.Error, restored.Cause, restored.StoppedAt = s.s.Status, s.s.Output, s.s.Error, s.s.Cause, s.s.StoppedAt
	s.s = restored
}

func (s *script) parse(at time.Time, name, rest string) Event {
	s.t.Helper()
	if name == "Started" {
		s.s = begin(rest)
		return Started{At: at}
	}
	number, rest, _ := strings.Cut(rest, " ")
	n, _ := strconv.Atoi(number)
	task := TaskID{}
	if n >= 1 && n <= len(s.tasks) {
		task = s.tasks[n-1]
	}
	text := func() (*string, *string) {
		errName, cause, found := strings.Cut(rest, " ")
		if rest == "" {
			return nil, nil
		}
		if !found {
			return &errName, nil
		}
		return &errName, &cause
	}
	switch name {
	case "TaskSucceeded":
		return TaskSucceeded{At: at, Task: task, Output: Text(rest)}
	case "Callback":
		return TaskSucceeded{At: at, Task: task, Output: Text(rest), Callback: true}
	case "TaskSubmitted":
		return TaskSubmitted{At: at, Task: task, Output: Text(rest)}
	case "TaskAnswered": // submitted, and the end is known
		return TaskSubmitted{At: at, Task: task, Output: Text(rest), Answered: true}
	case "TaskFailed":
		e, c := text()
		return TaskFailed{At: at, Task: task, Error: e, Cause: c}
	case "TaskHeartbeat":
		return TaskHeartbeat{At: at, Task: task}
	case "Beat", "Suspend": // of the board
		return TaskHeartbeat{At: at, Task: task, Bound: true, Suspend: name == "Suspend"}
	case "ActivityStarted":
		return ActivityStarted{At: at, Task: task, Worker: rest}
	case "TimerFired":
		return TimerFired{At: at}
	case "Redriven":
		return Redriven{At: at}
	case "MapRunEnded":
		return MapRunEnded{At: at, Task: task, Output: Text(rest)}
	case "MapRunFailed":
		e, c := text()
		return MapRunEnded{At: at, Task: task, Error: e, Cause: c}
	case "Kept":
		return Kept{At: at, Task: task, Reference: Text(rest)}
	case "NotKept":
		e, c := text()
		return Kept{At: at, Task: task, Error: e, Cause: c}
	case "Stopped":
		rest = strings.TrimSpace(number + " " + rest)
		e, c := text()
		return Stopped{At: at, Error: e, Cause: c}
	}
	s.t.Fatalf("unknown event %s", name)
	return nil
}

func (s *script) command(c Command) {
	switch c := c.(type) {
	case *Dispatch:
		if c.Resource.Kind != asl.ActivityResource {
			s.tasks = append(s.tasks, c.Task)
		}
		fmt.Fprintf(&s.commands, "dispatch %d.%d %s %s %s\n", c.Task.Frame, c.Task.Attempt, c.Resource.ARN, c.Input.JSON(), c.Token)
	case *StartMapRun:
		s.tasks = append(s.tasks, c.Task)
		again, more, err := Resume(s.env, s.s)
		if err != nil || more || len(again) != 1 {
			s.t.Fatalf("asked again: %v, %v, %v", again, more, err)
		}
		run := showRun(c.Run)
		if diff := cmp.Diff(run, showRun(again[0].(*StartMapRun).Run)); diff != "" {
			s.t.Errorf("what is asked for again after a crash (-want +got):\n%s", diff)
		}
		fmt.Fprintf(&s.commands, "run %d.%d %s\n", c.Task.Frame, c.Task.Attempt, run)
	case *Keep:
		s.tasks = append(s.tasks, c.Task)
		again, more, err := Resume(s.env, s.s)
		if err != nil || more || len(again) != 1 {
			s.t.Fatalf("asked again: %v, %v, %v", again, more, err)
		}
		if diff := cmp.Diff(c.Result.JSON(), again[0].(*Keep).Result.JSON()); diff != "" {
			s.t.Errorf("what is to be kept again after a crash (-want +got):\n%s", diff)
		}
		fmt.Fprintf(&s.commands, "keep %d.%d %s %s\n", c.Task.Frame, c.Task.Attempt, c.State, c.Result.JSON())
	case *StopMapRun:
		fmt.Fprintf(&s.commands, "stop run %d.%d %s\n", c.Task.Frame, c.Task.Attempt, c.ARN)
	case *Enqueue:
		s.tasks = append(s.tasks, c.Task)
		fmt.Fprintf(&s.commands, "enqueue %d.%d %s\n", c.Task.Frame, c.Task.Attempt, c.Activity)
	case *Dequeue:
		fmt.Fprintf(&s.commands, "dequeue %d.%d\n", c.Task.Frame, c.Task.Attempt)
	case *Poll:
		fmt.Fprintf(&s.commands, "poll %d.%d %s %s\n", c.Task.Frame, c.Task.Attempt, c.Resource.ARN, c.Submitted.JSON())
	case *Cancel:
		fmt.Fprintf(&s.commands, "cancel %d.%d", c.Task.Frame, c.Task.Attempt)
		if c.Submitted != nil {
			s.commands.WriteString(" " + c.Submitted.JSON())
		}
		s.commands.WriteByte('\n')
	}
}

// showRun writes what a Map Run is asked for, with the inputs of its children.
func showRun(m *MapRun) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s redrives=%d express=%t concurrency=%d", m.ARN, m.Redrives, m.Express, m.MaxConcurrency)
	if m.ToleratedCount != nil {
		fmt.Fprintf(&b, " count=%d", *m.ToleratedCount)
	}
	if m.ToleratedPercentage != nil {
		fmt.Fprintf(&b, " percentage=%v", *m.ToleratedPercentage)
	}
	if r := m.Reader; r != nil {
		fmt.Fprintf(&b, " reader=%s %s %s max=%d", r.Action, r.Parameters.JSON(), r.Config.JSON(), r.MaxItems)
	}
	if x := m.Batcher; x != nil {
		fmt.Fprintf(&b, " batch=%d/%d %s", x.MaxItems, x.MaxBytes, x.BatchInput([]string{"1", "2"}))
	}
	if w := m.Writer; w != nil {
		fmt.Fprintf(&b, " writer=%s %s %s", w.Transformation, w.OutputType, w.Parameters.JSON())
	}
	if m.Reader != nil {
		return b.String()
	}
	i := int64(0)
	for _, v := range m.Items.Items() {
		selected, err := m.Select(MapItem{Index: i, Value: v, Source: StateData})
		fmt.Fprintf(&b, " %s", selected.JSON())
		if err != nil {
			fmt.Fprintf(&b, " %v", err)
		}
		i++
	}
	return b.String()
}

// show writes an event on a line.
func show(ev *HistoryEvent) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %d<-%d %s", time.Duration(ev.At-epoch.UnixMilli())*time.Millisecond, ev.ID, ev.Previous, ev.Type)
	part := func(name, value string) {
		if value != "" {
			fmt.Fprintf(&b, " %s%s", name, value)
		}
	}
	part("", ev.Name)
	part("", ev.Service)
	part("", ev.Resource)
	part("", ev.MapRunARN)
	if ev.Type == MapIterationStartedType || ev.Type == MapIterationSucceededType || ev.Type == MapIterationFailedType || ev.Type == MapIterationAbortedType {
		fmt.Fprintf(&b, " #%d", ev.Index)
	}
	if ev.Type == MapStateStartedType {
		fmt.Fprintf(&b, " length=%d", ev.Length)
	}
	if ev.Data != nil {
		part("", *ev.Data)
	}
	if ev.Error != nil {
		part("error=", *ev.Error)
	}
	if ev.Cause != nil {
		part("cause=", *ev.Cause)
	}
	for _, a := range ev.Assigned {
		part(a.Name+":=", a.JSON)
	}
	return b.String()
}
