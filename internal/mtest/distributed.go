package mtest

import (
	"fmt"
	"strings"
	"time"

	"github.com/lockstep-run/lockstep/asl/value"
	"github.com/lockstep-run/lockstep/internal/engine"
)

const runID = "00000000-0000-4000-8000-000000000000" // of every Map Run

func mapRunARN(machine, label string) string {
	return "arn:aws:states:us-east-1:123456789012:mapRun:" + machine + "/" + label + ":" + runID
}

// distribute runs the children of a Map Run, one after the other, each from the
// time at which the run began. It lasts as long as the longest.
func (r *run) distribute(start *engine.StartMapRun) {
	ask := start.Run
	inputs, problem := r.childInputs(ask)
	if problem != nil {
		r.endMapRun(start, 0, nil, problem)
		return
	}
	var outputs []string
	var lasted time.Duration
	failed := 0
	for i, in := range inputs {
		child := r.child(ask, i, in.text)
		if r.stuck != "" {
			return
		}
		lasted = max(lasted, child.now.Sub(r.now))
		if child.snap.Status == engine.Succeeded {
			outputs = append(outputs, child.snap.Output.JSON())
			continue
		}
		failed += in.items
		if bound := bears(ask, failed, inputs); !bound {
			r.endMapRun(start, lasted, nil, &engine.RunError{
				Name: "States.ExceedToleratedFailureThreshold", Cause: "The specified tolerated failure threshold was exceeded"})
			return
		}
	}
	r.endMapRun(start, lasted, engine.Text(results(ask, outputs)), nil)
}

// childInput is what a child begins with, and how many items are in it.
type childInput struct {
	text  string
	items int
}

// childInputs are those of a run's children. The items of a reader come from
// the state's mock.
func (r *run) childInputs(ask *engine.MapRun) ([]childInput, *engine.RunError) {
	items, source := ask.Items, engine.StateData
	if ask.Reader != nil {
		a, problem := r.mocks.next(ask.State, ask.Reader.Parameters)
		switch {
		case problem != "":
			r.stuck = fmt.Sprintf("state %q reads items, and %s", ask.State, problem)
			return nil, nil
		case a.fails:
			return nil, &engine.RunError{Name: text(a.err), Cause: text(a.cause)}
		}
		items, _ = value.Parse(a.output)
		source = "S3://" + ask.Reader.Parameters.Get("Bucket").Str()
		if items.Kind() != value.Array && items.Kind() != value.Object {
			r.stuck = fmt.Sprintf("the mock of state %q must return the items that it reads: a list or an object", ask.State)
			return nil, nil
		}
	}
	var texts []string
	add := func(key string, v value.Value) *engine.RunError {
		selected, err := ask.Select(engine.MapItem{Index: int64(len(texts)), Value: v, Key: key, Source: source})
		if err != nil {
			return err.(*engine.RunError)
		}
		texts = append(texts, selected.JSON())
		return nil
	}
	for _, v := range items.Items() {
		if err := add("", v); err != nil {
			return nil, err
		}
	}
	for key, v := range items.Members() {
		if err := add(key, v); err != nil {
			return nil, err
		}
	}
	if ask.Reader != nil && ask.Reader.MaxItems > 0 {
		texts = texts[:min(len(texts), int(ask.Reader.MaxItems))]
	}
	return batches(ask.Batcher, texts), nil
}

// batches makes children's inputs of items.
func batches(b *engine.Batching, texts []string) (inputs []childInput) {
	for len(texts) > 0 {
		if b == nil {
			inputs = append(inputs, childInput{texts[0], 1})
			texts = texts[1:]
			continue
		}
		n := 1
		for n < len(texts) && (b.MaxItems == 0 || int64(n) < b.MaxItems) &&
			(b.MaxBytes == 0 || int64(len(b.BatchInput(texts[:n+1]))) <= b.MaxBytes) {
			n++
		}
		inputs = append(inputs, childInput{b.BatchInput(texts[:n]), n})
		texts = texts[n:]
	}
	return inputs
}

// bears says whether the run may go on although so many items have failed.
func bears(ask *engine.MapRun, failed int, inputs []childInput) bool {
	total := 0
	for _, in := range inputs {
		total += in.items
	}
	if ask.ToleratedCount == nil && ask.ToleratedPercentage == nil {
		return false
	}
	return (ask.ToleratedCount == nil || int64(failed) <= *ask.ToleratedCount) &&
		(ask.ToleratedPercentage == nil || float64(failed)*100 <= *ask.ToleratedPercentage*float64(total))
}

// results is the state's result.
func results(ask *engine.MapRun, outputs []string) string {
	if w := ask.Writer; w != nil && !w.Parameters.IsAbsent() {
		key := strings.TrimPrefix(strings.TrimSuffix(w.Parameters.Get("Prefix").Str(), "/")+"/"+runID+"/manifest.json", "/")
		return fmt.Sprintf(`{"MapRunArn":%s,"ResultWriterDetails":{"Bucket":%s,"Key":%s}}`,
			value.Str(ask.ARN).JSON(), w.Parameters.Get("Bucket").JSON(), value.Str(key).JSON())
	}
	if ask.Writer != nil && ask.Writer.Transformation == "FLATTEN" {
		var flat []string
		for _, output := range outputs {
			if v, err := value.Parse(output); err == nil && v.Kind() == value.Array {
				for _, item := range v.Items() {
					flat = append(flat, item.JSON())
				}
				continue
			}
			flat = append(flat, output)
		}
		outputs = flat
	}
	return "[" + strings.Join(outputs, ",") + "]"
}

// child runs one child to its end. Its calls and its way through the states are
// the case's.
func (r *run) child(ask *engine.MapRun, index int, input string) *run {
	c := *r
	c.todo, c.waiting, c.top = nil, map[engine.TaskID]string{}, nil
	env := *r.env
	env.Machine = r.env.Machine.Child(ask.State)
	c.env = &env
	name := r.suite.name() + "/" + ask.Label
	child := fmt.Sprintf("%s-%d", execution, index)
	c.snap = engine.New(engine.Execution{
		ID: int64(index) + 2, ARN: executionARN + name + ":" + child, Name: child,
		MachineARN: machineARN + name, MachineName: name, RoleARN: roleARN, Region: region,
		StartedAt: r.now, Input: engine.Text(input),
	})
	c.finish()
	r.path, r.calls, r.stuck, r.mocks = c.path, c.calls, c.stuck, c.mocks
	return &c
}

func (r *run) endMapRun(start *engine.StartMapRun, after time.Duration, output *engine.Data, failed *engine.RunError) {
	if r.stuck != "" {
		return
	}
	r.post(after, func(at time.Time) engine.Event {
		ev := engine.MapRunEnded{At: at, Task: start.Task, Output: output}
		if failed != nil {
			ev.Error, ev.Cause = &failed.Name, &failed.Cause
		}
		return ev
	})
}

func text(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}
