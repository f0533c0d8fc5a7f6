package sqlite

import (
	"bufio"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	codes "modernc.org/sqlite/lib"

	"github.com/lockstep-run/lockstep/internal/engine"
	"github.com/lockstep-run/lockstep/internal/store"
	"github.com/lockstep-run/lockstep/internal/store/storetest"
)

var ctx = context.Background()

func TestStore(t *testing.T) {
	storetest.Run(t, func(t *testing.T) store.Store {
		s := openIn(t, t.TempDir())
		// What this suite shows does not depend on the disk; TestDurable and
		// TestKilled wait for it.
		if _, err := s.writer.exec(ctx, "PRAGMA synchronous = OFF"); err != nil {
			t.Fatal(err)
		}
		return s
	})
}

func TestDurable(t *testing.T) {
	storetest.RunDurable(t, func(t *testing.T) func() store.Store {
		dir := t.TempDir()
		return func() store.Store {
			s, err := Open(dir)
			if err != nil {
				t.Fatal(err)
			}
			return s
		}
	})
}

// openIn opens a store until the end of the test.
func openIn(t *testing.T, dir string) *Store {
	t.Helper()
	s, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// started commits new executions with ids from first on, each with some
// history, and returns Commit's error.
func started(s *Store, first store.ExecutionID, count int, history int) error {
	c := &store.Commit{}
	for i := range count {
		id := first + store.ExecutionID(i)
		c.Executions = append(c.Executions, store.ExecutionCommit{
			ID:    id,
			New:   &store.NewExecution{Machine: 1, Name: fmt.Sprint("n", id)},
			Delta: engine.Delta{Pending: true, History: engine.Chunk{First: 1, Count: 1, Data: incompressible(id, history)}},
		})
	}
	return s.Commit(ctx, c)
}

func incompressible(seed store.ExecutionID, size int) []byte {
	data, x := make([]byte, size), uint64(seed)*0x9E3779B97F4A7C15+1
	for i := range data {
		x ^= x << 13
		x ^= x >> 7
		x ^= x << 17
		data[i] = byte(x)
	}
	return data
}

func TestOpenMakesPrivateFiles(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("Windows has no such permissions")
	}
	dir := filepath.Join(t.TempDir(), "a", "data ? 100% #1 é")
	s := openIn(t, dir)
	if err := started(s, 1, 1, 100); err != nil {
		t.Fatal(err)
	}
	f := func(name string, want os.FileMode) {
		t.Helper()
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil {
			t.Error(err)
		} else if got := info.Mode().Perm(); got != want {
			t.Errorf("%q has permissions %v, want %v", name, got, want)
		}
	}
	f("", 0o700)
	f("lockstep.db", 0o600)
	f("lockstep.db-wal", 0o600)
	f("lockstep.db-shm", 0o600)
	f("lockstep.lock", 0o600)
}

func TestSettings(t *testing.T) {
	s := openIn(t, t.TempDir())
	f := func(pragma, want string) {
		t.Helper()
		var got string
		if err := s.writer.conn.QueryRowContext(ctx, "PRAGMA "+pragma).Scan(&got); err != nil || got != want {
			t.Errorf("PRAGMA %s is %q, %v; want %q", pragma, got, err, want)
		}
	}
	f("journal_mode", "wal")
	f("synchronous", "2") // FULL
	f("wal_autocheckpoint", "4000")
	f("journal_size_limit", "67108864")
	f("busy_timeout", "5000")
	f("cache_size", "-65536")
	f("temp_store", "2") // MEMORY
	f("foreign_keys", "1")
	if _, err := s.reading.Exec("DELETE FROM executions"); err == nil {
		t.Error("a reader can write")
	}
}

func TestOlderVersion(t *testing.T) {
	f := func(version string, want bool) {
		t.Helper()
		if got := olderVersion(version, oldestSQLite); got != want {
			t.Errorf("olderVersion(%q) = %v, want %v", version, got, want)
		}
	}
	f("3.51.2", true)
	f("3.9.9", true)
	f("3.51", true)
	f("2.99.99", true)
	f("3.51.3", false)
	f("3.52.0", false)
	f("3.100.0", false)
	f("4.0.0", false)
}

func TestOpenRefuses(t *testing.T) {
	f := func(name, prepare, want string) {
		t.Helper()
		dir := t.TempDir()
		if strings.HasPrefix(prepare, "UPDATE") {
			s, err := Open(dir)
			if err != nil {
				t.Fatal(err)
			}
			s.Close()
		}
		db, err := sql.Open("sqlite", fileURI(filepath.Join(dir, fileName)))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := db.Exec(prepare); err != nil {
			t.Fatal(err)
		}
		db.Close()
		if _, err := Open(dir); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: Open says %v, want %q", name, err, want)
		}
	}
	f("a newer format", "UPDATE meta SET value = 1000 WHERE key = 'format'", "made by a newer lockstep")
	f("another program's file", "CREATE TABLE bookmarks (url TEXT)", "a database of another program")

	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, fileName), []byte(strings.Repeat("not a database ", 100)), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(dir); err == nil || !strings.Contains(err.Error(), "not a database") {
		t.Errorf("a file that is no database: Open says %v", err)
	}
	if _, err := Open(filepath.Join(dir, fileName)); err == nil {
		t.Error("Open takes a file for a directory")
	}
}

// TestMigrateFromFormat1 opens a file as format 1 left it: its executions are
// still there, and versions go on from there.
func TestMigrateFromFormat1(t *testing.T) {
	dir := t.TempDir()
	db, err := sql.Open("sqlite", fileURI(filepath.Join(dir, fileName)))
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{
		"CREATE TABLE meta (key TEXT PRIMARY KEY, value ANY NOT NULL) STRICT, WITHOUT ROWID; INSERT INTO meta VALUES ('format', 1)",
		migrations[0],
		`INSERT INTO machines VALUES (7, 'm', 'STANDARD', 8, 10, 20, 0, '')`,
		`INSERT INTO executions VALUES (3, 7, 8, 5, 2, 100, 200, 9, 0, 50, 1, 'n', 'trace', 'error', 'cause', x'01', 'in', 'out')`,
	} {
		if _, err := db.Exec(text); err != nil {
			t.Fatal(err)
		}
	}
	db.Close()

	s := openIn(t, dir)
	got, err := s.Execution(ctx, 3)
	if err != nil {
		t.Fatal(err)
	}
	output, name, cause := "out", "error", "cause"
	want := store.Execution{
		ID: 3, Machine: 7, Revision: 8, Name: "n", Version: 5, Status: engine.Failed, StartedAt: 100, StoppedAt: 200, LastEvent: 9,
		Trace: "trace", Input: "in", Output: &output, Error: &name, Cause: &cause,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("execution (-want +got):\n%s", diff)
	}
	if ids, err := s.Pending(ctx, 0, 9); err != nil || !slices.Equal(ids, []store.ExecutionID{3}) {
		t.Errorf("pending are %v, %v", ids, err)
	}
	var v store.Version
	c := store.Commit{Writes: []store.Write{{Do: func(ctx context.Context, tx store.Tx) (err error) {
		v, err = tx.AddVersion(ctx, store.Version{Machine: 7, Revision: 8})
		return err
	}}}}
	if err := errors.Join(s.Commit(ctx, &c), c.Writes[0].Err); err != nil || v.Number != 1 {
		t.Errorf("published %+v, %v", v, err)
	}
}

func TestOpenTwice(t *testing.T) {
	dir := t.TempDir()
	s, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	_, err = Open(dir)
	if !errors.Is(err, store.ErrLocked) || !strings.Contains(err.Error(), fmt.Sprint(os.Getpid())) {
		t.Errorf("second Open: %v; want ErrLocked with the id of this process", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	openIn(t, dir)
}

// TestKilled kills a process that commits all the time, again and again. What
// it has said was committed must be there, each execution whole; and its lock
// must be gone.
func TestKilled(t *testing.T) {
	const variable = "LOCKSTEP_COMMIT_UNTIL_KILLED"
	if dir := os.Getenv(variable); dir != "" {
		commitUntilKilled(t, dir)
	}
	dir := t.TempDir()
	for round := range 3 {
		last := runAndKill(t, "TestKilled", variable+"="+dir, func() {
			if _, err := Open(dir); !errors.Is(err, store.ErrLocked) {
				t.Errorf("Open while another process has it open: %v, want ErrLocked", err)
			}
		}, dir)
		s, err := Open(dir)
		if err != nil {
			t.Fatalf("round %d: %v", round, err)
		}
		kept, err := s.LastExecution(ctx)
		if err != nil || kept < last {
			t.Errorf("round %d: execution %d was committed, the last one there is %d, %v", round, last, kept, err)
		}
		for id := store.ExecutionID(1); id <= kept; id++ {
			if err := s.History(ctx, id, 0, false, func(c engine.Chunk) bool {
				if string(c.Data) != string(incompressible(id, 500)) {
					t.Errorf("history of %d is damaged", id)
				}
				return true
			}); err != nil {
				t.Error(err)
			}
			if x, err := s.ExecutionNamed(ctx, 1, fmt.Sprint("n", id)); err != nil || x.ID != id {
				t.Errorf("execution %d: %+v, %v", id, x, err)
			}
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
}

func commitUntilKilled(t *testing.T, dir string) {
	s, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	last, err := s.LastExecution(ctx)
	for err == nil {
		if err = started(s, last+1, 20, 500); err == nil {
			last += 20
			fmt.Println("committed", last)
		}
	}
	t.Fatal(err)
}

// runAndKill runs a test in another process until it has committed a few
// times, and returns the last execution that it said was committed.
func runAndKill(t *testing.T, test, env string, meanwhile func(), dir string) (last store.ExecutionID) {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^"+test+"$")
	cmd.Env = append(os.Environ(), env)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	for commits := 0; commits < 10; commits++ {
		if !lines.Scan() {
			t.Fatalf("the process in %s ended by itself", dir)
		}
		fmt.Sscan(strings.TrimPrefix(lines.Text(), "committed "), &last)
	}
	meanwhile()
	cmd.Process.Kill()
	for lines.Scan() { // what it had still said
		if n, _ := fmt.Sscanf(lines.Text(), "committed %d", &last); n == 0 {
			t.Errorf("the process says %q", lines.Text())
		}
	}
	io.Copy(io.Discard, out)
	cmd.Wait()
	return last
}

// TestFull fills the disk, as far as SQLite can tell, and gives room again.
func TestFull(t *testing.T) {
	s := openIn(t, t.TempDir())
	if err := started(s, 1, 1, 1000); err != nil {
		t.Fatal(err)
	}
	limit := func(pages int) {
		t.Helper()
		if _, err := s.writer.conn.ExecContext(ctx, fmt.Sprint("PRAGMA max_page_count = ", pages)); err != nil {
			t.Fatal(err)
		}
	}
	limit(1) // SQLite takes the present size
	before := s.Stats()
	checkFull(t, s, before, func() { limit(1 << 30) })
}

// checkFull expects the disk to be full until makeRoom is called.
func checkFull(t *testing.T, s *Store, before store.Stats, makeRoom func()) {
	t.Helper()
	for range 3 {
		if err := started(s, 2, 100, 100_000); !errors.Is(err, store.ErrFull) {
			t.Errorf("Commit on a full disk: %v, want ErrFull", err)
		}
	}
	if last, err := s.LastExecution(ctx); err != nil || last != 1 {
		t.Errorf("the last execution is %d, %v; want 1", last, err)
	}
	if after := s.Stats(); after.Commits != before.Commits {
		t.Errorf("%d commits counted", after.Commits-before.Commits)
	}
	makeRoom()
	if err := started(s, 2, 100, 100_000); err != nil {
		t.Errorf("Commit with room again: %v", err)
	}
	if last, err := s.LastExecution(ctx); err != nil || last != 101 {
		t.Errorf("the last execution is %d, %v; want 101", last, err)
	}
}

// TestFullInWrite shows that a write cannot keep the rest of a commit from
// failing by swallowing the error.
func TestFullInWrite(t *testing.T) {
	s := openIn(t, t.TempDir())
	if _, err := s.writer.conn.ExecContext(ctx, "PRAGMA max_page_count = 1"); err != nil {
		t.Fatal(err)
	}
	c := &store.Commit{Writes: []store.Write{{Do: func(ctx context.Context, tx store.Tx) error {
		tx.CreateMachine(ctx, store.Machine{Name: "m"}, store.Revision{Definition: strings.Repeat("x", 1<<20)})
		return nil
	}}}}
	if err := s.Commit(ctx, c); !errors.Is(err, store.ErrFull) {
		t.Errorf("Commit: %v, want ErrFull", err)
	}
	if _, err := s.Machine(ctx, "m"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("Machine: %v, want ErrNotFound", err)
	}
}

func TestPanicRollsBack(t *testing.T) {
	s := openIn(t, t.TempDir())
	func() {
		defer func() { recover() }()
		s.Commit(ctx, &store.Commit{Writes: []store.Write{{Do: func(ctx context.Context, tx store.Tx) error {
			tx.CreateActivity(ctx, store.Activity{Name: "a"})
			panic("a defect")
		}}}})
	}()
	if err := started(s, 1, 1, 10); err != nil {
		t.Errorf("Commit after a panic: %v", err)
	}
	if _, err := s.Activity(ctx, "a"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("Activity: %v, want ErrNotFound", err)
	}
}

// TestDiscardedWriter shows that the store goes on after it has given up the
// connection that writes in the midst of a transaction.
func TestDiscardedWriter(t *testing.T) {
	s := openIn(t, t.TempDir())
	if err := started(s, 1, 3, 10); err != nil {
		t.Fatal(err)
	}
	if _, err := s.writer.exec(ctx, "BEGIN IMMEDIATE"); err != nil {
		t.Fatal(err)
	}
	if err := started(s, 4, 3, 10); err == nil {
		t.Error("Commit begins a transaction within another")
	}
	s.writer.discard()
	s.writer = nil
	if err := started(s, 4, 3, 10); err != nil {
		t.Fatal(err)
	}
	for id := store.ExecutionID(1); id <= 6; id++ {
		chunks := 0
		if err := s.History(ctx, id, 0, true, func(engine.Chunk) bool { chunks++; return true }); err != nil || chunks != 1 {
			t.Errorf("execution %d has %d chunks, %v; want 1", id, chunks, err)
		}
	}
}

func TestMeaning(t *testing.T) {
	f := func(code int, committing bool, want error) {
		t.Helper()
		if got := meaning(code, committing); got != want {
			t.Errorf("meaning(%d, %v) = %v, want %v", code, committing, got, want)
		}
	}
	for _, committing := range []bool{false, true} {
		f(codes.SQLITE_FULL, committing, store.ErrFull)
		f(codes.SQLITE_IOERR_WRITE, committing, store.ErrFull)
		f(codes.SQLITE_IOERR_FSYNC, committing, store.ErrBroken)
		f(codes.SQLITE_IOERR_DIR_FSYNC, committing, store.ErrBroken)
		f(codes.SQLITE_BUSY, committing, nil)
		f(codes.SQLITE_BUSY_SNAPSHOT, committing, nil)
	}
	f(codes.SQLITE_IOERR_READ, false, nil)
	f(codes.SQLITE_IOERR_READ, true, store.ErrUnknown)
	f(codes.SQLITE_CORRUPT, false, nil)
	f(0, false, nil)
	f(0, true, store.ErrUnknown) // not even an error of SQLite
}

func TestBrokenStaysBroken(t *testing.T) {
	s := openIn(t, t.TempDir())
	s.broken = fmt.Errorf("commit: %w", store.ErrBroken)
	if err := started(s, 1, 1, 10); !errors.Is(err, store.ErrBroken) {
		t.Errorf("Commit: %v, want ErrBroken", err)
	}
}

// TestPlans reads everything once and looks at how SQLite goes about it: a
// list of a million must cost no more than the page that is asked for.
func TestPlans(t *testing.T) {
	s := openIn(t, t.TempDir())
	if err := started(s, 1, 1, 10); err != nil {
		t.Fatal(err)
	}
	status := engine.Failed
	s.Execution(ctx, 1)
	s.ExecutionNamed(ctx, 1, "n1")
	for _, via := range []store.Via{{}, {Number: 1}, {Alias: "a"}} {
		s.Executions(ctx, store.ExecutionQuery{Machine: 1, Via: via, Limit: 1})
		s.Executions(ctx, store.ExecutionQuery{Machine: 1, Via: via, Limit: 1, Status: &status})
	}
	for _, q := range []store.ExecutionQuery{{Limit: 1}, {Machine: 1, Limit: 1}} {
		s.Executions(ctx, q)
		s.CountExecutions(ctx, q)
		q.Status = &status
		s.Executions(ctx, q)
		s.CountExecutions(ctx, q)
	}
	s.FirstSince(ctx, 1)
	s.UsagesOfExecution(ctx, "x", 0, 1)
	s.History(ctx, 1, 0, false, func(engine.Chunk) bool { return true })
	s.LastExecution(ctx)
	s.Outlines(ctx, 0, 1)
	s.Pending(ctx, 0, 1)
	s.Due(ctx, time.UnixMilli(1), 1)
	s.Queued(ctx, 1, 0, 1)
	s.Machine(ctx, "m")
	s.MachineByID(ctx, 1)
	s.Machines(ctx, "", 1)
	s.Revision(ctx, 1)
	s.Version(ctx, 1, 1)
	s.Versions(ctx, 1, 0, 1)
	s.Alias(ctx, 1, "a")
	s.Aliases(ctx, 1, "", 1)
	s.Activity(ctx, "a")
	s.Activities(ctx, "", 1)
	merges := []string{listMachine.all, listVersion.all, listAlias.all, listAll.all, listMachine.count, listAll.count} // which sort five pages of ids
	count := 0
	s.read.prepared.Range(func(text, _ any) bool {
		count++
		plan := explain(t, s, text.(string))
		for _, line := range plan {
			scans := isScan(line)
			sorts := strings.Contains(line, "TEMP B-TREE") && !slices.Contains(merges, text.(string))
			qualified := strings.Contains(text.(string), "via_version > 0") || strings.Contains(text.(string), "via_alias <> ''")
			if scans || sorts || qualified && strings.Contains(line, "executions_listed") {
				t.Errorf("%s\nis run as\n%s", text, strings.Join(plan, "\n"))
			}
		}
		return true
	})
	if count < 24 {
		t.Errorf("%d queries seen; is one missing?", count)
	}
}

// isScan says whether a line of a plan reads a whole table.
func isScan(line string) bool {
	return strings.HasPrefix(line, "SCAN") && line != "SCAN CONSTANT ROW" && !strings.HasPrefix(line, "SCAN chain") && !strings.HasPrefix(line, "SCAN (subquery")
}

func explain(t *testing.T, s *Store, text string) (plan []string) {
	t.Helper()
	rows, err := s.reading.Query("EXPLAIN QUERY PLAN "+text, 1, 1, 1, 1, 1)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var id, parent, unused int
		var line string
		if err := rows.Scan(&id, &parent, &unused, &line); err != nil {
			t.Fatal(err)
		}
		plan = append(plan, line)
	}
	return plan
}

func FuzzPack(f *testing.F) {
	f.Add([]byte(nil))
	f.Add([]byte("short"))
	f.Add([]byte(strings.Repeat("long and repeated ", 1000)))
	f.Add(incompressible(1, 5000))
	var buf []byte
	f.Fuzz(func(t *testing.T, data []byte) {
		buf = pack(buf, data)
		if len(buf) > len(data)+1 {
			t.Errorf("%d bytes were packed into %d", len(data), len(buf))
		}
		if got, err := unpack(buf); err != nil || string(got) != string(data) {
			t.Errorf("%q came back as %q, %v", data, got, err)
		}
		unpack(data) // must not panic, whatever it is
	})
}
