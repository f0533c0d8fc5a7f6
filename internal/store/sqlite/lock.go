package sqlite

import (
	"fmt"
	"os"
	"strconv"
	"strings"

	"github.com/lockstep-run/lockstep/internal/store"
)

// takeLock takes the lock of the data directory for as long as the file stays
// open. The system lets go of it when the process ends, however it ends.
func takeLock(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	if err := lockFile(f); err != nil {
		holder := holder(f)
		f.Close()
		if isHeld(err) {
			return nil, fmt.Errorf("%w%s: stop that one, or choose another data directory", store.ErrLocked, holder)
		}
		return nil, fmt.Errorf("lock %s: %w", path, err)
	}
	// Who holds it is a courtesy to whoever reads the message above.
	if err := f.Truncate(0); err == nil {
		fmt.Fprintln(f, os.Getpid())
	}
	return f, nil
}

// holder says who wrote its process id into the lock file.
func holder(f *os.File) string {
	text := make([]byte, 20)
	n, _ := f.Read(text)
	pid, err := strconv.Atoi(strings.TrimSpace(string(text[:n])))
	if err != nil {
		return ""
	}
	return fmt.Sprintf(" (process %d)", pid)
}
