//go:build !unix

package fn

import "os/exec"

func ownGroup(*exec.Cmd) {}

func (p *process) awaitExit() { _ = p.cmd.Wait() }

func (p *process) killGroup()      { _ = p.cmd.Process.Kill() }
func (p *process) terminateGroup() { _ = p.cmd.Process.Kill() }

func residentTree(int) int64 { return 0 }

func syncDir(string) error { return nil }
