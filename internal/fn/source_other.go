//go:build !unix

package fn

import "os"

// source is the end of the pipe that a process writes to. What a process wrote
// just before it answered a call may come after the call's last line here.
type source struct{ file *os.File }

func newSource(file *os.File) *source { return &source{file} }

func (s *source) follow(c *capture) {
	buffer := make([]byte, 16<<10)
	for {
		n, err := s.file.Read(buffer)
		c.mu.Lock()
		c.write(buffer[:n])
		c.mu.Unlock()
		if err != nil {
			return
		}
	}
}

func (s *source) drain(*capture) {}

func (s *source) close() { s.file.Close() }
