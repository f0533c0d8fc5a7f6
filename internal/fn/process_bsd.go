//go:build unix && !linux

package fn

import (
	"os/exec"
	"syscall"
)

func ownGroup(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} }

// awaitExit has no way here to wait without collecting the process too; its end
// is known to package os then.
func (p *process) awaitExit() { _ = p.cmd.Wait() }

func residentTree(int) int64 { return 0 }
