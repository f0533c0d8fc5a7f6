package maprun_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lockstep-run/lockstep/internal/engine"
	"github.com/lockstep-run/lockstep/internal/express"
	"github.com/lockstep-run/lockstep/internal/maprun"
	"github.com/lockstep-run/lockstep/internal/objects"
	"github.com/lockstep-run/lockstep/internal/store"
	"github.com/lockstep-run/lockstep/internal/store/memory"
	"github.com/lockstep-run/lockstep/internal/task"
	"github.com/lockstep-run/lockstep/internal/worker"
)

// world is what outlives a process: a store, objects, and functions that answer
// tasks.
type world struct {
	t       *testing.T
	store   store.Store
	objects *objects.Memory
	tasks   *task.Registry
	calls   *calls
	machine int
}

// process is a running server without its API.
type process struct {
	*world
	worker *worker.Worker
	runs   *maprun.Runner
	end    func()
}

func newWorld(t *testing.T) *world {
	w := &world{t: t, store: memory.New(), objects: objects.NewMemory(time.Now, "b"), tasks: task.NewRegistry(), calls: &calls{}}
	w.tasks.Add("lambda:invoke", w.calls)
	return w
}

func (w *world) start() *process {
	w.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	p := &process{world: w, runs: maprun.New(ctx, maprun.Config{Store: w.store, Objects: w.objects})}
	var err error
	p.worker, err = worker.New(ctx, w.store, w.tasks, worker.Config{MapRuns: p.runs, Committed: p.runs.Committed})
	if err != nil {
		w.t.Fatal(err)
	}
	x, err := express.New(ctx, w.store, w.tasks, express.Config{Write: p.worker.Write, Retention: time.Minute})
	if err != nil {
		w.t.Fatal(err)
	}
	p.runs.Connect(p.worker, x)
	var going sync.WaitGroup
	for _, run := range []func(context.Context) error{p.worker.Run, x.Run, p.runs.Run} {
		going.Go(func() {
			if err := run(ctx); err != nil {
				w.t.Error(err)
			}
		})
	}
	p.end = sync.OnceFunc(func() { cancel(); going.Wait() })
	w.t.Cleanup(p.end)
	return p
}

// calls is the function that children call: it returns its input, but what is
// held waits until it is let go, and what fails fails.
type calls struct {
	mu    sync.Mutex
	fails map[string]bool
	held  map[string]chan struct{}
	seen  []string
	came  chan struct{}
}

func (c *calls) Run(ctx context.Context, call *task.Call) (task.Result, error) {
	var in struct{ Payload json.RawMessage }
	if err := json.Unmarshal([]byte(call.Input), &in); err != nil {
		return task.Result{}, err
	}
	name := string(in.Payload)
	c.mu.Lock()
	c.seen = append(c.seen, name)
	held, fails := c.held[name], c.fails[name]
	if c.came != nil {
		close(c.came)
		c.came = nil
	}
	c.mu.Unlock()
	if held != nil {
		select {
		case <-held:
		case <-ctx.Done():
			return task.Result{}, ctx.Err()
		}
	}
	if fails {
		return task.Result{}, task.Fail("Bad", name)
	}
	return task.Result{Output: `{"Payload":` + name + `}`}, nil
}

// await returns once the function has been called with all of names.
func (c *calls) await(names ...string) {
	for {
		c.mu.Lock()
		came := make(chan struct{})
		c.came = came
		all := true
		for _, name := range names {
			all = all && slices.Contains(c.seen, name)
		}
		c.mu.Unlock()
		if all {
			return
		}
		<-came
	}
}

func (c *calls) set(change func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	change()
}

const (
	passes  = `"StartAt":"P","States":{"P":{"Type":"Pass","End":true}}`
	calling = `"StartAt":"T","States":{"T":{"Type":"Task","Resource":"arn:aws:states:::lambda:invoke",` +
		`"Parameters":{"FunctionName":"f","Payload.$":"$"},"OutputPath":"$.Payload","End":true}}`
)

// distributed is a machine of one distributed Map with more fields.
func distributed(kind, processor, more string) string {
	return `{"StartAt":"M","States":{"M":{"Type":"Map","Label":"l","End":true` + more + `,
		"ItemProcessor":{"ProcessorConfig":{"Mode":"DISTRIBUTED","ExecutionType":"` + kind + `"},` + processor + `}}}}`
}

// begin starts an execution of a new machine.
func (p *process) begin(definition, input string) store.ExecutionID {
	p.t.Helper()
	p.machine++
	var m store.Machine
	err := p.worker.Write(context.Background(), func(ctx context.Context, tx store.Tx) (err error) {
		m, err = tx.CreateMachine(ctx, store.Machine{Name: fmt.Sprintf("m%d", p.machine), Type: "STANDARD"}, store.Revision{Definition: definition, RoleARN: "arn:aws:iam::1:role/r"})
		return err
	})
	if err != nil {
		p.t.Fatal(err)
	}
	x, err := p.worker.Start(context.Background(), store.Start{Machine: m, Revision: m.Current, Input: input})
	if err != nil {
		p.t.Fatal(err)
	}
	return x.ID
}

// ended waits for the end of an execution and says how it was.
func (p *process) ended(id store.ExecutionID) string {
	p.t.Helper()
	if err := p.worker.Ended(context.Background(), id); err != nil {
		p.t.Fatal(err)
	}
	x, err := p.store.Execution(context.Background(), id)
	if err != nil {
		p.t.Fatal(err)
	}
	said := x.Status.String()
	for _, s := range []*string{x.Output, x.Error, x.Cause} {
		if s != nil {
			said += " " + *s
		}
	}
	return said
}

// run is the newest Map Run of an execution.
func (p *process) run(id store.ExecutionID) store.MapRunView {
	p.t.Helper()
	list, err := p.store.MapRuns(context.Background(), id, 0, 1)
	if err != nil || len(list) == 0 {
		p.t.Fatal("no Map Run", err)
	}
	v, err := p.runs.Find(context.Background(), list[0].Name)
	if err != nil {
		p.t.Fatal(err)
	}
	return v
}

func (p *process) says(what, got, want string) {
	p.t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		p.t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

func show(v store.MapRunView) string {
	c := v.Items
	return fmt.Sprintf("%s pending %d running %d succeeded %d failed %d aborted %d of %d in %d children",
		v.Record.Status, c.Pending, c.Running, c.Succeeded, c.Failed, c.Aborted, c.Total, v.Children.Total)
}

func TestResults(t *testing.T) {
	w := newWorld(t)
	w.objects.Put("b", "in.csv", "a,b\n1,x\n2,y\n3,z\n")
	w.objects.Put("b", "in.json", `{"list":[[1],[2,3]]}`)
	w.calls.fails = map[string]bool{"2": true}
	p := w.start()
	f := func(definition, input, want, wantRun string) {
		t.Helper()
		id := p.begin(definition, input)
		p.says(definition, p.ended(id), want)
		p.says(definition, show(p.run(id)), wantRun)
	}
	const tooMany = "FAILED States.ExceedToleratedFailureThreshold The specified tolerated failure threshold was exceeded"
	for _, kind := range []string{"STANDARD", "EXPRESS"} {
		f(distributed(kind, passes, ""), `[1,"b",{"c":3}]`,
			`SUCCEEDED [1,"b",{"c":3}]`, "SUCCEEDED pending 0 running 0 succeeded 3 failed 0 aborted 0 of 3 in 3 children")
		f(distributed(kind, passes, ""), `[]`,
			`SUCCEEDED []`, "SUCCEEDED pending 0 running 0 succeeded 0 failed 0 aborted 0 of 0 in 0 children")
		f(distributed(kind, passes, ""), `{"k":1}`,
			`SUCCEEDED [{"Key":"k","Value":1}]`, "SUCCEEDED pending 0 running 0 succeeded 1 failed 0 aborted 0 of 1 in 1 children")
		f(distributed(kind, passes, `,"ItemSelector":{"k.$":"$$.Map.Item.Key","s.$":"$$.Map.Item.Source"}`), `{"k":1}`,
			`SUCCEEDED [{"s":"STATE_DATA","k":"k"}]`, "SUCCEEDED pending 0 running 0 succeeded 1 failed 0 aborted 0 of 1 in 1 children")
		f(distributed(kind, passes, `,"ItemBatcher":{"MaxItemsPerBatch":2,"BatchInput":{"x":0}}`), `[1,2,3]`,
			`SUCCEEDED [{"BatchInput":{"x":0},"Items":[1,2]},{"BatchInput":{"x":0},"Items":[3]}]`, "SUCCEEDED pending 0 running 0 succeeded 3 failed 0 aborted 0 of 3 in 2 children")
		f(distributed(kind, passes, `,"ItemBatcher":{"MaxInputBytesPerBatch":21}`), `["aaa","bbb","c"]`,
			`SUCCEEDED [{"Items":["aaa"]},{"Items":["bbb","c"]}]`, "SUCCEEDED pending 0 running 0 succeeded 3 failed 0 aborted 0 of 3 in 2 children")
		f(distributed(kind, passes, `,"ItemBatcher":{"MaxInputBytesPerBatch":20}`), `["too long for this"]`,
			"FAILED States.DataLimitExceeded The item at index 0 does not fit into a batch of at most 20 bytes.",
			"FAILED pending 1 running 0 succeeded 0 failed 0 aborted 0 of 1 in 0 children")
		f(distributed(kind, passes, `,"ItemReader":{"Resource":"arn:aws:states:::s3:getObject","Parameters":{"Bucket":"b","Key":"in.csv"},`+
			`"ReaderConfig":{"InputType":"CSV","CSVHeaderLocation":"FIRST_ROW","MaxItems":2}}`), `{}`,
			`SUCCEEDED [{"a":"1","b":"x"},{"a":"2","b":"y"}]`, "SUCCEEDED pending 0 running 0 succeeded 2 failed 0 aborted 0 of 2 in 2 children")
		f(distributed(kind, passes, `,"ItemReader":{"Resource":"arn:aws:states:::s3:getObject","Parameters":{"Bucket":"b","Key":"in.json"},`+
			`"ReaderConfig":{"InputType":"JSON","ItemsPointer":"/list"}},"ResultWriter":{"WriterConfig":{"Transformation":"FLATTEN"}}`), `{}`,
			`SUCCEEDED [1,2,3]`, "SUCCEEDED pending 0 running 0 succeeded 2 failed 0 aborted 0 of 2 in 2 children")
		f(distributed(kind, calling, `,"MaxConcurrency":1`), `[1,2,3]`,
			tooMany, "FAILED pending 1 running 0 succeeded 1 failed 1 aborted 0 of 3 in 3 children")
		f(distributed(kind, calling, `,"ToleratedFailureCount":1`), `[1,2,3]`,
			`SUCCEEDED [1,3]`, "SUCCEEDED pending 0 running 0 succeeded 2 failed 1 aborted 0 of 3 in 3 children")
		f(distributed(kind, calling, `,"MaxConcurrency":1,"ToleratedFailurePercentage":33`), `[1,3,2]`,
			tooMany, "FAILED pending 0 running 0 succeeded 2 failed 1 aborted 0 of 3 in 3 children")
		f(distributed(kind, calling, `,"ToleratedFailurePercentage":34`), `[1,2,3]`,
			`SUCCEEDED [1,3]`, "SUCCEEDED pending 0 running 0 succeeded 2 failed 1 aborted 0 of 3 in 3 children")
	}
	f(distributed("STANDARD", passes, `,"ItemReader":{"Resource":"arn:aws:states:::s3:getObject","Parameters":{"Bucket":"b","Key":"none"},"ReaderConfig":{"InputType":"JSON"}}`), `{}`,
		"FAILED States.ItemReaderFailed The items cannot be read: read s3://b/none in memory: there is no such object",
		"FAILED pending 0 running 0 succeeded 0 failed 0 aborted 0 of 0 in 0 children")
	long := strings.Repeat("x", 100<<10)
	f(distributed("STANDARD", passes, ""), `["`+long+`","`+long+`",1]`,
		`SUCCEEDED ["`+long+`","`+long+`",1]`, "SUCCEEDED pending 0 running 0 succeeded 3 failed 0 aborted 0 of 3 in 3 children")
	f(distributed("STANDARD", `"StartAt":"P","States":{"P":{"Type":"Pass","Parameters":{"a.$":"$","b.$":"$"},"End":true}}`, ""), `["`+long+`","`+long+`"]`,
		"FAILED States.DataLimitExceeded The state/task 'M' returned a result with a size exceeding the maximum number of bytes service limit.",
		"FAILED pending 0 running 0 succeeded 2 failed 0 aborted 0 of 2 in 2 children")
}

// file reads an object whole.
func (p *process) file(key string) string {
	p.t.Helper()
	r, _, err := p.objects.Open(context.Background(), objects.Ref{Bucket: "b", Key: key}, 0)
	if err != nil {
		p.t.Fatal(err)
	}
	defer r.Close()
	text, err := io.ReadAll(r)
	if err != nil {
		p.t.Fatal(err)
	}
	return string(text)
}

func TestResultFiles(t *testing.T) {
	w := newWorld(t)
	w.calls.fails = map[string]bool{"2": true}
	p := w.start()
	f := func(kind, config, wantSucceeded, wantFailed string) {
		t.Helper()
		id := p.begin(distributed(kind, calling, `,"ToleratedFailureCount":1,"ResultWriter":{"Resource":"arn:aws:states:::s3:putObject","Parameters":{"Bucket":"b","Prefix":"out"}`+config+`}`), `[1,2,[3]]`)
		said := p.ended(id)
		run := p.run(id).Record
		manifest := "out/" + run.Name + "/manifest.json"
		arn := "arn:aws:states:us-east-1:123456789012:mapRun:" + fmt.Sprintf("m%d", p.machine) + "/l:" + run.Name
		p.says("result", said, `SUCCEEDED {"MapRunArn":"`+arn+`","ResultWriterDetails":{"Bucket":"b","Key":"`+manifest+`"}}`)
		var m struct {
			DestinationBucket, MapRunArn string
			ResultFiles                  map[string][]struct {
				Key  string
				Size int
			}
		}
		if err := json.Unmarshal([]byte(p.file(manifest)), &m); err != nil {
			t.Fatal(err)
		}
		if m.DestinationBucket != "b" || m.MapRunArn != arn || len(m.ResultFiles) != 3 || len(m.ResultFiles["PENDING"]) != 0 {
			t.Errorf("manifest %+v", m)
		}
		for status, want := range map[string]string{"SUCCEEDED": wantSucceeded, "FAILED": wantFailed} {
			list := m.ResultFiles[status]
			if len(list) != 1 {
				t.Fatalf("%s: %v", status, list)
			}
			text := p.file(list[0].Key)
			if list[0].Size != len(text) || !strings.HasPrefix(list[0].Key, "out/"+run.Name+"/"+status+"_0.json") {
				t.Errorf("%s: %v of %d bytes", status, list[0], len(text))
			}
			if want != "" { // in the order in which the children ended
				p.says(status, strings.ReplaceAll(strings.ReplaceAll(text, "[3]\n1\n", "1\n[3]\n"), "[3,1]", "[1,3]"), want)
			}
		}
		if wantSucceeded != "" {
			return
		}
		var records []map[string]any
		if err := json.Unmarshal([]byte(p.file(m.ResultFiles["SUCCEEDED"][0].Key)), &records); err != nil {
			t.Fatal(err)
		}
		slices.SortFunc(records, func(a, b map[string]any) int { return strings.Compare(a["Input"].(string), b["Input"].(string)) })
		first := records[0]
		if len(records) != 2 || first["Input"] != "1" || first["Output"] != "1" || first["Status"] != "SUCCEEDED" ||
			!strings.HasPrefix(first["ExecutionArn"].(string), "arn:aws:states:us-east-1:123456789012:") || !strings.HasSuffix(first["StateMachineArn"].(string), "/l") {
			t.Errorf("records %v", records)
		}
	}
	for _, kind := range []string{"STANDARD", "EXPRESS"} {
		f(kind, ``, "", "")
		f(kind, `,"WriterConfig":{"Transformation":"COMPACT","OutputType":"JSONL"}`, "1\n[3]\n", "")
		f(kind, `,"WriterConfig":{"Transformation":"FLATTEN"}`, "[1,3]", "")
	}
	id := p.begin(distributed("EXPRESS", passes, `,"ResultWriter":{"Resource":"arn:aws:states:::s3:putObject","Parameters":{"Bucket":"none"}}`), `[1]`)
	if said := p.ended(id); !strings.HasPrefix(said, "FAILED States.ResultWriterFailed") {
		t.Error(said)
	}
}

// TestRestart ends a process in the midst of a run and lets the next one go on.
func TestRestart(t *testing.T) {
	for _, kind := range []string{"STANDARD", "EXPRESS"} {
		t.Run(kind, func(t *testing.T) {
			w := newWorld(t)
			var csv strings.Builder
			csv.WriteString("n\n")
			const n = 3000
			for i := range n {
				fmt.Fprintf(&csv, "%d\n", i)
			}
			w.objects.Put("b", "in.csv", csv.String())
			hold := func(names ...string) {
				w.calls.set(func() {
					w.calls.held = map[string]chan struct{}{}
					for _, name := range names {
						w.calls.held[name] = make(chan struct{})
					}
				})
			}
			hold(`{"n":"5"}`, `{"n":"1700"}`, `{"n":"2000"}`)
			p := w.start()
			id := p.begin(distributed(kind, calling, `,"MaxConcurrency":3,"ItemReader":{"Resource":"arn:aws:states:::s3:getObject",`+
				`"Parameters":{"Bucket":"b","Key":"in.csv"},"ReaderConfig":{"InputType":"CSV","CSVHeaderLocation":"FIRST_ROW"}},`+
				`"ResultWriter":{"Resource":"arn:aws:states:::s3:putObject","Parameters":{"Bucket":"b","Prefix":"out"},"WriterConfig":{"Transformation":"COMPACT","OutputType":"JSONL"}}`), `{}`)
			w.calls.await(`{"n":"5"}`, `{"n":"1700"}`, `{"n":"2000"}`)
			p.end()
			hold(`{"n":"2500"}`)
			p = w.start()
			w.calls.await(`{"n":"2500"}`)
			p.end()
			hold()
			p = w.start()
			if said := p.ended(id); !strings.HasPrefix(said, "SUCCEEDED") {
				t.Fatal(said)
			}
			p.says("run", show(p.run(id)), "SUCCEEDED pending 0 running 0 succeeded 3000 failed 0 aborted 0 of 3000 in 3000 children")
			seen := map[string]int{}
			for line := range strings.Lines(p.file("out/" + p.run(id).Record.Name + "/SUCCEEDED_0.jsonl")) {
				seen[line]++
			}
			for i := range n {
				if line := fmt.Sprintf(`{"n":"%d"}`+"\n", i); seen[line] != 1 {
					t.Errorf("%s is there %d times", line, seen[line])
				}
			}
			if len(seen) != n {
				t.Errorf("%d results", len(seen))
			}
		})
	}
}

func TestRedrive(t *testing.T) {
	for _, kind := range []string{"STANDARD", "EXPRESS"} {
		t.Run(kind, func(t *testing.T) {
			w := newWorld(t)
			w.calls.fails = map[string]bool{"2": true, "4": true}
			p := w.start()
			id := p.begin(distributed(kind, calling, `,"MaxConcurrency":1,"ToleratedFailureCount":1`), `[1,2,3,4,5]`)
			p.says("before", p.ended(id), "FAILED States.ExceedToleratedFailureThreshold The specified tolerated failure threshold was exceeded")
			p.says("run", show(p.run(id)), "FAILED pending 1 running 0 succeeded 2 failed 2 aborted 0 of 5 in 5 children")
			first := p.run(id).Record.Name
			again := func() {
				t.Helper()
				w.calls.set(func() { w.calls.seen = nil })
				if err := p.worker.Deliver(context.Background(), id, engine.Redriven{At: time.Now()}); err != nil {
					t.Fatal(err)
				}
			}
			again()
			p.says("again", p.ended(id), "FAILED States.ExceedToleratedFailureThreshold The specified tolerated failure threshold was exceeded")
			w.calls.set(func() { w.calls.fails = map[string]bool{"4": true} })
			p.end()
			p = w.start()
			again()
			p.says("after", p.ended(id), `SUCCEEDED [1,2,3,5]`)
			p.says("run", show(p.run(id)), "SUCCEEDED pending 0 running 0 succeeded 4 failed 1 aborted 0 of 5 in 5 children")
			w.calls.set(func() {
				if slices.Contains(w.calls.seen, "1") || slices.Contains(w.calls.seen, "3") {
					t.Errorf("called again although they had ended well: %v", w.calls.seen)
				}
			})
			if r := p.run(id).Record; r.Name != first || r.Redrives != 2 || r.RedrivenAt == 0 {
				t.Errorf("%+v, begun as %s", r, first)
			}
		})
	}
}

func TestStop(t *testing.T) {
	for _, kind := range []string{"STANDARD", "EXPRESS"} {
		t.Run(kind, func(t *testing.T) {
			w := newWorld(t)
			w.calls.held = map[string]chan struct{}{"2": make(chan struct{})}
			p := w.start()
			id := p.begin(distributed(kind, calling, ""), `[1,2]`)
			w.calls.await("2")
			run := p.run(id).Record
			if err := p.worker.Deliver(context.Background(), id, engine.Stopped{At: time.Now()}); err != nil {
				t.Fatal(err)
			}
			p.says("execution", p.ended(id), "ABORTED")
			p.end() // with or before the run
			p = w.start()
			for {
				r, err := w.store.MapRunByID(context.Background(), run.ID)
				if err != nil {
					t.Fatal(err)
				}
				if r.Status != engine.Running {
					p.says("run", r.Status.String(), "ABORTED")
					break
				}
				// The worker's next commit is after the run's.
				if err := p.worker.Write(context.Background(), func(context.Context, store.Tx) error { return nil }); err != nil {
					t.Fatal(err)
				}
			}
			list, err := w.store.Children(context.Background(), run.ID, 0, 10)
			if err != nil {
				t.Fatal(err)
			}
			for _, x := range list {
				if x.Status == engine.Running {
					t.Errorf("child %d goes on", x.Child.Index)
				}
			}
		})
	}
}

func TestUpdate(t *testing.T) {
	w := newWorld(t)
	w.calls.held = map[string]chan struct{}{"1": make(chan struct{}), "2": make(chan struct{})}
	w.calls.fails = map[string]bool{"3": true}
	p := w.start()
	id := p.begin(distributed("EXPRESS", calling, `,"MaxConcurrency":1`), `[1,2,3]`)
	w.calls.await("1")
	run := p.run(id).Record
	three, one := int64(3), int64(1)
	err := p.runs.Update(t.Context(), run.Name, store.MapRunSettings{MaxConcurrency: &three, ToleratedCount: &one})
	if err != nil {
		t.Fatal(err)
	}
	w.calls.await("2", "3") // although 1 is still held
	if s := p.run(id).Settings; *s.MaxConcurrency != 3 || *s.ToleratedCount != 1 {
		t.Errorf("settings %v", s)
	}
	p.end()
	w.calls.set(func() { w.calls.held = nil })
	p = w.start()
	p.says("ended", p.ended(id), "SUCCEEDED [1,2]")
	if err := p.runs.Update(t.Context(), run.Name, store.MapRunSettings{MaxConcurrency: &one}); err != store.ErrEnded {
		t.Errorf("update after the end: %v", err)
	}
}
