package fn

import (
	"os"
	"os/exec"
	goruntime "runtime"
	"sync"
)

// process is a running program and its children: its group, where the system
// has groups.
type process struct {
	cmd *exec.Cmd
	out *os.File // what it writes; whoever has the process closes it

	mu    sync.Mutex
	ended bool // its id may belong to somebody else
}

// spawner starts processes from one thread that lasts as long as this process:
// on Linux a child is told of the end of the thread that started it, and of
// nothing else.
type spawner struct {
	jobs chan func()
	once sync.Once
}

func newSpawner() *spawner {
	s := &spawner{jobs: make(chan func())}
	go func() {
		goruntime.LockOSThread()
		for job := range s.jobs {
			job()
		}
	}()
	return s
}

// close ends the thread. All processes must have ended.
func (s *spawner) close() { s.once.Do(func() { close(s.jobs) }) }

// start starts a command with an environment, standard output and error together
// in one pipe, and nothing to read.
func (s *spawner) start(command []string, dir string, env []string) (*process, error) {
	r, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(command[0], command[1:]...)
	cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr = dir, env, w, w
	ownGroup(cmd)
	done := make(chan struct{})
	s.jobs <- func() { err = cmd.Start(); close(done) }
	<-done
	w.Close()
	if err != nil {
		r.Close()
		return nil, err
	}
	return &process{cmd: cmd, out: r}, nil
}

// wait waits for the process to end, ends what is left of its group, and returns
// how it ended, in the words of package os.
func (p *process) wait() string {
	p.awaitExit()
	p.mu.Lock()
	p.ended = true
	p.killGroup() // while nobody has collected it, its id stays its own
	p.mu.Unlock()
	if err := p.cmd.Wait(); err != nil && p.cmd.ProcessState == nil {
		return err.Error()
	}
	return p.cmd.ProcessState.String()
}

// kill ends the process and its group at once.
func (p *process) kill() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.ended {
		p.killGroup()
	}
}

// terminate asks the process and its group to end.
func (p *process) terminate() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.ended {
		p.terminateGroup()
	}
}

// memory is how many bytes the process and its children hold; 0 where the system
// does not say.
func (p *process) memory() int64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ended {
		return 0
	}
	return residentTree(p.cmd.Process.Pid)
}
