//go:build unix

package fn

import (
	"os"
	"syscall"
)

// The group has the id of its first process. A group that is gone needs no
// signal.

func (p *process) killGroup()      { _ = syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL) }
func (p *process) terminateGroup() { _ = syscall.Kill(-p.cmd.Process.Pid, syscall.SIGTERM) }

// syncDir makes the names in a directory durable.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}
