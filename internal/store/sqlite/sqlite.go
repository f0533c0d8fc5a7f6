// Package sqlite keeps everything in one SQLite file, DIR/lockstep.db.
//
// One connection writes and a pool of four reads. A Commit is one transaction
// in the write-ahead log, synced once: everything in it shares that price, so
// the more executions a commit carries, the less each costs.
//
// Three choices carry the speed. An execution is one hot row, updated in
// place. Its history is one compressed chunk per commit in a table that only
// ever grows at its end, and chunks are chained backwards from the hot row, so
// that no index is needed to find them. Keys are dense integers, never random.
//
// The file is ours alone while it is open: DIR/lockstep.lock says so.
package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"

	_ "modernc.org/sqlite" // the driver "sqlite"

	"github.com/lockstep-run/lockstep/internal/store"
)

const (
	fileName = "lockstep.db"
	lockName = "lockstep.lock"

	// Before this release a reset of the write-ahead log could lose commits.
	oldestSQLite = "3.51.3"

	readerCount = 4
)

// writerPragmas make a commit durable (FULL syncs the log at every commit;
// NORMAL would not) and keep checkpoints rare.
var writerPragmas = []string{
	"synchronous = FULL",
	"wal_autocheckpoint = 4000",
	"journal_size_limit = 67108864",
	"busy_timeout = 5000",
	"cache_size = -65536",
	"temp_store = MEMORY",
	"foreign_keys = ON",
}

// Store is a store.Store in one file.
type Store struct {
	path    string
	lock    *os.File
	writing *sql.DB // one connection
	writer  *writer // nil after a failure that left the connection in doubt
	reading *sql.DB // readerCount connections, which cannot write
	read    *statements
	secret  [32]byte
	broken  error // set once the disk has failed: nothing is written any more

	commits, syncs, bytes atomic.Int64
}

var _ store.Store = (*Store)(nil)

// Open opens the store in the directory dir and makes both when they are not
// there. It returns store.ErrLocked while another process, or another Store of
// this one, has the directory open.
func Open(dir string) (*Store, error) {
	s, err := open(dir)
	if err != nil {
		return nil, fmt.Errorf("open the store in %s: %w", dir, err)
	}
	return s, nil
}

func open(dir string) (_ *Store, err error) {
	dir, err = filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	if err := makeDir(dir); err != nil {
		return nil, err
	}
	s := &Store{path: filepath.Join(dir, fileName)}
	defer func() {
		if err != nil {
			s.Close()
		}
	}()
	if s.lock, err = takeLock(filepath.Join(dir, lockName)); err != nil {
		return nil, err
	}
	if err := makeFile(s.path); err != nil {
		return nil, err
	}
	ctx := context.Background()
	if err := s.openWriter(ctx); err != nil {
		return nil, err
	}
	if s.secret, err = s.writer.migrate(ctx); err != nil {
		return nil, err
	}
	if err := s.writer.resume(ctx); err != nil {
		return nil, err
	}
	return s, s.openReaders(ctx)
}

// openWriter makes the connection that writes, unless there is one.
func (s *Store) openWriter(ctx context.Context) error {
	if s.writer != nil {
		return nil
	}
	if s.writing == nil {
		db, err := sql.Open("sqlite", fileURI(s.path))
		if err != nil {
			return err
		}
		db.SetMaxOpenConns(1)
		s.writing = db
	}
	conn, err := s.writing.Conn(ctx)
	if err != nil {
		return err
	}
	if err := prepareConn(ctx, conn); err != nil {
		return errors.Join(err, conn.Close())
	}
	s.writer = &writer{conn: conn, statements: &statements{on: conn}}
	return nil
}

func prepareConn(ctx context.Context, conn *sql.Conn) error {
	var version, mode string
	if err := conn.QueryRowContext(ctx, "SELECT sqlite_version()").Scan(&version); err != nil {
		return err
	}
	if olderVersion(version, oldestSQLite) {
		return fmt.Errorf("SQLite %s can lose commits; build with %s or newer", version, oldestSQLite)
	}
	if err := conn.QueryRowContext(ctx, "PRAGMA journal_mode = WAL").Scan(&mode); err != nil {
		return err
	}
	if mode != "wal" {
		return fmt.Errorf("this file system does not support SQLite's write-ahead log (journal mode is %q): choose a directory on a local disk", mode)
	}
	for _, pragma := range writerPragmas {
		if _, err := conn.ExecContext(ctx, "PRAGMA "+pragma); err != nil {
			return fmt.Errorf("PRAGMA %s: %w", pragma, err)
		}
	}
	return nil
}

// olderVersion compares versions of the form 3.51.3.
func olderVersion(version, than string) bool {
	var a, b [3]int
	fmt.Sscanf(version, "%d.%d.%d", &a[0], &a[1], &a[2])
	fmt.Sscanf(than, "%d.%d.%d", &b[0], &b[1], &b[2])
	for i := range a {
		if a[i] != b[i] {
			return a[i] < b[i]
		}
	}
	return false
}

func (s *Store) openReaders(ctx context.Context) error {
	pragmas := url.Values{"_pragma": {"query_only(1)", "busy_timeout(5000)", "cache_size(-16384)", "temp_store(MEMORY)"}}
	db, err := sql.Open("sqlite", fileURI(s.path)+"?"+pragmas.Encode())
	if err != nil {
		return err
	}
	db.SetMaxOpenConns(readerCount)
	db.SetMaxIdleConns(readerCount)
	s.reading, s.read = db, &statements{on: db}
	return db.PingContext(ctx)
}

// Secret returns the store's random key.
func (s *Store) Secret(context.Context) ([32]byte, error) { return s.secret, nil }

// Stats counts commits that changed something, the sync of the log that each
// of them waited for (those of checkpoints are not seen and not counted), and
// the bytes of pages written to the log.
func (s *Store) Stats() store.Stats {
	return store.Stats{Commits: s.commits.Load(), Syncs: s.syncs.Load(), Bytes: s.bytes.Load()}
}

// Close moves the log into the file and gives the directory free.
func (s *Store) Close() error {
	var errs []error
	if s.reading != nil {
		s.read.close()
		errs = append(errs, s.reading.Close())
	}
	if s.writer != nil {
		errs = append(errs, s.writer.close())
	}
	if s.writing != nil {
		errs = append(errs, s.writing.Close())
	}
	if s.lock != nil {
		errs = append(errs, s.lock.Close())
	}
	return errors.Join(errs...)
}

// makeDir makes dir for us alone, and its name durable.
func makeDir(dir string) error {
	if _, err := os.Stat(dir); err == nil {
		return nil
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	return syncDir(filepath.Dir(dir))
}

// makeFile makes the database file before SQLite would, so that nobody else
// may read it; SQLite gives its log the same permissions.
func makeFile(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}

func syncDir(dir string) error {
	if runtime.GOOS == "windows" {
		return nil // a directory cannot be synced there
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// fileURI names a file to SQLite whatever characters are in its path.
func fileURI(path string) string {
	path = filepath.ToSlash(path)
	if !strings.HasPrefix(path, "/") {
		path = "/" + path
	}
	return (&url.URL{Scheme: "file", Path: path}).String()
}

// statements runs SQL, each text prepared once.
type statements struct {
	on interface {
		PrepareContext(context.Context, string) (*sql.Stmt, error)
	}
	prepared sync.Map // string → *sql.Stmt
}

func (s *statements) prepare(ctx context.Context, text string) (*sql.Stmt, error) {
	if stmt, ok := s.prepared.Load(text); ok {
		return stmt.(*sql.Stmt), nil
	}
	stmt, err := s.on.PrepareContext(ctx, text)
	if err != nil {
		return nil, fmt.Errorf("prepare %q: %w", text, err)
	}
	if other, loaded := s.prepared.LoadOrStore(text, stmt); loaded {
		stmt.Close()
		return other.(*sql.Stmt), nil
	}
	return stmt, nil
}

// exec runs a statement and returns the number of rows it changed.
func (s *statements) exec(ctx context.Context, text string, args ...any) (int64, error) {
	stmt, err := s.prepare(ctx, text)
	if err != nil {
		return 0, err
	}
	result, err := stmt.ExecContext(ctx, args...)
	if err != nil {
		return 0, err
	}
	return result.RowsAffected()
}

// insert runs a statement and returns the id of the row it made.
func (s *statements) insert(ctx context.Context, text string, args ...any) (int64, error) {
	stmt, err := s.prepare(ctx, text)
	if err != nil {
		return 0, err
	}
	result, err := stmt.ExecContext(ctx, args...)
	if err != nil {
		return 0, err
	}
	return result.LastInsertId()
}

// row reads the one row of a query into dest, or returns store.ErrNotFound.
func (s *statements) row(ctx context.Context, dest []any, text string, args ...any) error {
	stmt, err := s.prepare(ctx, text)
	if err != nil {
		return err
	}
	err = stmt.QueryRowContext(ctx, args...).Scan(dest...)
	if errors.Is(err, sql.ErrNoRows) {
		return store.ErrNotFound
	}
	return err
}

// rows calls scan for each row of a query.
func (s *statements) rows(ctx context.Context, scan func(*sql.Rows) error, text string, args ...any) error {
	stmt, err := s.prepare(ctx, text)
	if err != nil {
		return err
	}
	rows, err := stmt.QueryContext(ctx, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := scan(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}

func (s *statements) close() {
	s.prepared.Range(func(_, stmt any) bool {
		stmt.(*sql.Stmt).Close()
		return true
	})
}
