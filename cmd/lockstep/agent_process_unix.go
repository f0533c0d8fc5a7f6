//go:build unix

package main

import (
	"os/exec"
	"syscall"
)

// processGroup is a command and all that it has started.
type processGroup struct{}

// ownGroup has a command begin a group of its own when it starts.
func ownGroup(cmd *exec.Cmd) processGroup {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	return processGroup{}
}

// terminate asks the group to end. A group that has ended is no error.
func (processGroup) terminate(cmd *exec.Cmd) { _ = syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM) }

// kill ends the group.
func (processGroup) kill(cmd *exec.Cmd) { _ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
