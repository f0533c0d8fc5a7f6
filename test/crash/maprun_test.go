package crash

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"
)

// The bars of a Map Run over many rows; they are checked from 1,000,000 rows on.
const (
	mapRunRSS  = 400 // MiB
	mapRunRate = 10_000
)

// TestMapRun kills the server in the midst of Map Runs over files. Each row must
// have one result.
func TestMapRun(t *testing.T) {
	f := func(kind string, rows int) {
		t.Run(kind, func(t *testing.T) { testMapRun(t, kind, rows) })
	}
	f("EXPRESS", *rows)
	f("STANDARD", min(*rows/5, 20_000))
}

func testMapRun(t *testing.T, kind string, rows int) {
	ctx := testContext(t)
	dir := t.TempDir()
	bucket := filepath.Join(dir, "objects", "b")
	if err := writeRows(bucket, rows); err != nil {
		t.Fatal(err)
	}
	srv := newServer(t, dir)
	api := newClient(srv.base)
	if err := srv.startReady(ctx); err != nil {
		t.Fatal(err)
	}
	definition := `{"StartAt":"M","States":{"M":{"Type":"Map","Label":"rows","End":true,"MaxConcurrency":1000,
		"ItemReader":{"Resource":"arn:aws:states:::s3:getObject","Parameters":{"Bucket":"b","Key":"rows.csv"},
			"ReaderConfig":{"InputType":"CSV","CSVHeaderLocation":"FIRST_ROW"}},
		"ResultWriter":{"Resource":"arn:aws:states:::s3:putObject","Parameters":{"Bucket":"b","Prefix":"out"},
			"WriterConfig":{"Transformation":"COMPACT","OutputType":"JSONL"}},
		"ItemProcessor":{"ProcessorConfig":{"Mode":"DISTRIBUTED","ExecutionType":"` + kind + `"},
			"StartAt":"P","States":{"P":{"Type":"Pass","End":true}}}}}}`
	var made struct{ StateMachineArn string }
	err := api.insist(ctx, "CreateStateMachine", fields{"name": "rows", "definition": definition, "roleArn": "arn:aws:iam::123456789012:role/r"}, &made)
	if err != nil {
		t.Fatal(err)
	}
	// Once undisturbed, to measure, and once not.
	began := time.Now()
	m := &mapRunWatch{api: api, srv: srv, machine: made.StateMachineArn}
	key := m.run(ctx, t, "calm", 0, rows)
	took := time.Since(began)
	peak := memory(t, srv, "VmHWM")
	eachOnce(t, filepath.Join(bucket, filepath.FromSlash(key)), bucket, rows)
	began = time.Now()
	key = m.run(ctx, t, "troubled", 3, rows)
	eachOnce(t, filepath.Join(bucket, filepath.FromSlash(key)), bucket, rows)
	rate := float64(rows) / took.Seconds()
	t.Logf("%d rows, %s children: %v, %.0f children/s, at most %.0f MiB; with %d kills, which saw %v rows done: %v",
		rows, kind, took.Round(time.Millisecond), rate, peak, len(m.killedAt), m.killedAt, time.Since(began).Round(time.Millisecond))
	if kind == "EXPRESS" && rows >= 1_000_000 && (peak > mapRunRSS || rate < mapRunRate) {
		t.Errorf("%.0f MiB, must be below %d; %.0f children/s, must be %d", peak, mapRunRSS, rate, mapRunRate)
	}
}

func writeRows(bucket string, rows int) error {
	if err := os.MkdirAll(bucket, 0o700); err != nil {
		return err
	}
	file, err := os.Create(filepath.Join(bucket, "rows.csv"))
	if err != nil {
		return err
	}
	defer file.Close()
	w := bufio.NewWriter(file)
	fmt.Fprintln(w, "id,text")
	for i := range rows {
		fmt.Fprintf(w, "%d,row number %d\n", i, i)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	return file.Close()
}

type mapRunWatch struct {
	api      *client
	srv      *server
	machine  string
	killedAt []int
}

// run runs an execution to its end, kills the server some times on the way, and
// returns the key of the manifest.
func (m *mapRunWatch) run(ctx context.Context, t *testing.T, name string, kills, rows int) string {
	t.Helper()
	var begun struct{ ExecutionArn string }
	if err := m.api.insist(ctx, "StartExecution", fields{"stateMachineArn": m.machine, "name": name}, &begun); err != nil {
		t.Fatal(err)
	}
	for {
		var x executionItem
		if err := m.api.insist(ctx, "DescribeExecution", fields{"executionArn": begun.ExecutionArn}, &x); err != nil {
			t.Fatal(err)
		}
		switch x.Status {
		case "SUCCEEDED":
			var out struct {
				ResultWriterDetails struct{ Key string }
			}
			if err := json.Unmarshal([]byte(x.Output), &out); err != nil {
				t.Fatal(err)
			}
			return out.ResultWriterDetails.Key
		case "RUNNING":
		default:
			t.Fatalf("%s: %s %s", x.Status, x.Error, x.Cause)
		}
		if len(m.killedAt) < kills {
			if done := m.done(ctx, t, begun.ExecutionArn); done > rows*(len(m.killedAt)+1)/(kills+1) {
				m.killedAt = append(m.killedAt, done)
				m.srv.kill()
				if err := m.srv.startReady(ctx); err != nil {
					t.Fatal(err)
				}
			}
		}
		if !pause(ctx, 5*time.Millisecond) {
			t.Fatal("no time left")
		}
	}
}

// done is how many items have succeeded.
func (m *mapRunWatch) done(ctx context.Context, t *testing.T, execution string) int {
	t.Helper()
	var list struct{ MapRuns []struct{ MapRunArn string } }
	if err := m.api.insist(ctx, "ListMapRuns", fields{"executionArn": execution}, &list); err != nil || len(list.MapRuns) == 0 {
		return 0
	}
	var run struct{ ItemCounts struct{ Succeeded int } }
	if err := m.api.insist(ctx, "DescribeMapRun", fields{"mapRunArn": list.MapRuns[0].MapRunArn}, &run); err != nil {
		t.Fatal(err)
	}
	return run.ItemCounts.Succeeded
}

// eachOnce reads the result files and finds every row in them once.
func eachOnce(t *testing.T, manifest, bucket string, rows int) {
	t.Helper()
	text, err := os.ReadFile(manifest)
	if err != nil {
		t.Fatal(err)
	}
	var m struct {
		ResultFiles map[string][]struct{ Key string }
	}
	if err := json.Unmarshal(text, &m); err != nil {
		t.Fatal(err)
	}
	if n := len(m.ResultFiles["FAILED"]) + len(m.ResultFiles["PENDING"]); n > 0 {
		t.Errorf("%d files of what did not succeed", n)
	}
	seen := make([]bool, rows)
	found := 0
	for _, f := range m.ResultFiles["SUCCEEDED"] {
		file, err := os.Open(filepath.Join(bucket, filepath.FromSlash(f.Key)))
		if err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(file)
		for lines.Scan() {
			var row struct{ ID string }
			if err := json.Unmarshal(lines.Bytes(), &row); err != nil {
				t.Fatal(err)
			}
			id, err := strconv.Atoi(row.ID)
			if err != nil || id < 0 || id >= rows || seen[id] {
				t.Fatalf("a result that does not belong there: %s", lines.Text())
			}
			seen[id] = true
			found++
		}
		if err := lines.Err(); err != nil {
			t.Fatal(err)
		}
		file.Close()
	}
	if found != rows {
		t.Errorf("%d rows have a result, of %d", found, rows)
	}
}
