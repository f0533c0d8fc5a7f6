//go:build unix

package fn

import (
	"os"
	"syscall"
)

// source is the end of the pipe that a process writes to. Whoever reads does so
// under the capture's lock, without waiting: so what a process has written
// before it answered a call is in the call's log, whichever of the two reads it.
type source struct {
	file   *os.File
	raw    syscall.RawConn
	buffer []byte
}

func newSource(file *os.File) *source {
	raw, err := file.SyscallConn()
	if err != nil {
		raw = nil
	}
	return &source{file: file, raw: raw, buffer: make([]byte, 16<<10)}
}

// follow reads until the end.
func (s *source) follow(c *capture) {
	if s.raw == nil {
		return
	}
	for ended := false; !ended; {
		err := s.raw.Read(func(fd uintptr) bool {
			c.mu.Lock()
			defer c.mu.Unlock()
			some, end := s.take(int(fd), c)
			ended = end
			return some || end
		})
		if err != nil {
			return
		}
	}
}

// take reads what is there, but not for ever from who writes without end. c.mu
// is held.
func (s *source) take(fd int, c *capture) (some, end bool) {
	for range 16 {
		n, err := syscall.Read(fd, s.buffer)
		switch {
		case err == syscall.EINTR:
		case err != nil:
			return some, err != syscall.EAGAIN
		case n == 0:
			return some, true
		default:
			some = true
			c.write(s.buffer[:n])
			if n < len(s.buffer) {
				return some, false
			}
		}
	}
	return some, false
}

// drain reads what is there now. c.mu is held.
func (s *source) drain(c *capture) {
	if s.raw != nil {
		_ = s.raw.Control(func(fd uintptr) { s.take(int(fd), c) })
	}
}

func (s *source) close() { s.file.Close() }
