//go:build unix

package sqlite

import (
	"syscall"
	"testing"
)

// TestFullForReal has the system refuse to write: no file of this process may
// grow beyond a limit for a while.
func TestFullForReal(t *testing.T) {
	s := openIn(t, t.TempDir())
	if err := started(s, 1, 1, 1000); err != nil {
		t.Fatal(err)
	}
	var old syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &old); err != nil {
		t.Fatal(err)
	}
	set := func(limit syscall.Rlimit) {
		t.Helper()
		if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &limit); err != nil {
			t.Fatal(err)
		}
	}
	defer set(old)
	low := old
	low.Cur = 200_000
	before := s.Stats()
	set(low)
	checkFull(t, s, before, func() { set(old) })
}
