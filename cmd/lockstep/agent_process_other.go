//go:build !unix

package main

import "os/exec"

// processGroup is a command; this system has no groups of processes.
type processGroup struct{}

func ownGroup(*exec.Cmd) processGroup { return processGroup{} }

func (processGroup) terminate(cmd *exec.Cmd) { _ = cmd.Process.Kill() }

func (processGroup) kill(cmd *exec.Cmd) { _ = cmd.Process.Kill() }
