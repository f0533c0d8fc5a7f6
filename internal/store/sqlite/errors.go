package sqlite

import (
	"errors"
	"fmt"

	"modernc.org/sqlite"
	codes "modernc.org/sqlite/lib"

	"github.com/lockstep-run/lockstep/internal/store"
)

// failure adds to an error of SQLite what it means to the caller of Commit.
// committing says that it was COMMIT that failed.
func failure(err error, committing bool) error {
	var e *sqlite.Error
	code := 0
	if errors.As(err, &e) {
		code = e.Code()
	}
	if meaning := meaning(code, committing); meaning != nil {
		return fmt.Errorf("%w: %w", meaning, err)
	}
	return err
}

func meaning(code int, committing bool) error {
	switch {
	case code == codes.SQLITE_IOERR_FSYNC, code == codes.SQLITE_IOERR_DIR_FSYNC:
		return store.ErrBroken
	case code&0xff == codes.SQLITE_FULL, code == codes.SQLITE_IOERR_WRITE, code == codes.SQLITE_IOERR_SHMSIZE:
		// The last frame of a transaction in the log is the one that makes
		// it count, so a write that failed leaves none of it.
		return store.ErrFull
	case committing && code&0xff != codes.SQLITE_BUSY:
		return store.ErrUnknown
	}
	return nil
}

// noTransaction reports whether err is SQLite's answer to a ROLLBACK of a
// transaction that it had already rolled back by itself.
func noTransaction(err error) bool {
	var e *sqlite.Error
	return errors.As(err, &e) && e.Code() == codes.SQLITE_ERROR
}
