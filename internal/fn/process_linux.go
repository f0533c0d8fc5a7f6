package fn

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

func ownGroup(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}

// awaitExit waits for the end of the process and leaves it to be collected.
func (p *process) awaitExit() {
	for {
		err := unix.Waitid(unix.P_PID, p.cmd.Process.Pid, nil, unix.WEXITED|unix.WNOWAIT, nil)
		if !errors.Is(err, unix.EINTR) {
			return
		}
	}
}

// residentTree is the resident memory of a process and its descendants. Pages
// that they share count for each.
func residentTree(pid int) int64 {
	var sum int64
	page := int64(os.Getpagesize())
	todo := []int{pid}
	for seen := 0; len(todo) > 0 && seen < 256; seen++ {
		next := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		dir := "/proc/" + strconv.Itoa(next)
		text, err := os.ReadFile(dir + "/statm")
		if err != nil {
			continue
		}
		if f := bytes.Fields(text); len(f) > 1 {
			n, _ := strconv.ParseInt(string(f[1]), 10, 64) // the kernel's own number
			sum += n * page
		}
		tasks, err := os.ReadDir(dir + "/task")
		if err != nil {
			continue
		}
		for _, t := range tasks {
			children, err := os.ReadFile(dir + "/task/" + t.Name() + "/children")
			if err != nil {
				continue
			}
			for _, c := range bytes.Fields(children) {
				if id, err := strconv.Atoi(string(c)); err == nil {
					todo = append(todo, id)
				}
			}
		}
	}
	return sum
}
