package worker

import (
	"context"
	"fmt"
	"strings"
	"sync"

	"github.com/lockstep-run/lockstep/asl"
	"github.com/lockstep-run/lockstep/internal/engine"
	"github.com/lockstep-run/lockstep/internal/store"
)

// maxMachines is how many compiled machines are kept.
const maxMachines = 1000

// machine is a compiled revision, or the part of one that the children of a
// distributed Map run, with what executions need to know of it.
type machine struct {
	name     string // of a part: the machine's, "/" and the label
	roleARN  string
	asl      *asl.Machine
	limits   engine.Limits
	computes bool                                                      // has expressions that may take long
	log      func(executionARN string, redrives int64, c engine.Chunk) // nil: nothing is logged
}

// machines compiles revisions, once each while they are in use.
type machines struct {
	w  *Worker
	mu sync.RWMutex
	by map[store.RevisionID]*machine
	// parts are those of Map Runs.
	parts map[store.MapRunID]*machine
}

func (c *machines) init(w *Worker) {
	c.w = w
	c.by = map[store.RevisionID]*machine{}
	c.parts = map[store.MapRunID]*machine{}
}

// rootName is the name of the machine that a part belongs to.
func rootName(name string) string {
	root, _, _ := strings.Cut(name, "/")
	return root
}

// of is what an execution of a revision runs: a part of it, if it is a child of
// a Map Run.
func (c *machines) of(ctx context.Context, id store.RevisionID, run store.MapRunID) (*machine, error) {
	if run == 0 {
		return c.get(ctx, id)
	}
	c.mu.RLock()
	part := c.parts[run]
	c.mu.RUnlock()
	if part != nil {
		return part, nil
	}
	whole, err := c.get(ctx, id)
	if err != nil {
		return nil, err
	}
	r, err := c.w.store.MapRunByID(ctx, run)
	if err != nil {
		return nil, fmt.Errorf("read Map Run %d: %w", run, err)
	}
	child := whole.asl.Child(r.State)
	if child == nil {
		return nil, fmt.Errorf("%w: state %q of %s is not a distributed Map", errDefect, r.State, whole.name)
	}
	part = &machine{name: rootName(whole.name) + "/" + r.Label, roleARN: whole.roleARN, asl: child, limits: whole.limits, computes: whole.computes, log: whole.log}
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.parts) >= maxMachines {
		clear(c.parts)
	}
	c.parts[run] = part
	return part, nil
}

func (c *machines) get(ctx context.Context, id store.RevisionID) (*machine, error) {
	c.mu.RLock()
	m := c.by[id]
	c.mu.RUnlock()
	if m != nil {
		return m, nil
	}
	m, err := c.compile(ctx, id)
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.by) >= maxMachines {
		clear(c.by)
	}
	c.by[id] = m
	return m, nil
}

// compile reads a definition as it was accepted: today's rules for new ones
// do not apply to it.
func (c *machines) compile(ctx context.Context, id store.RevisionID) (*machine, error) {
	r, err := c.w.store.Revision(ctx, id)
	if err != nil {
		return nil, fmt.Errorf("read revision %d: %w", id, err)
	}
	record, err := c.w.store.MachineByID(ctx, r.Machine)
	if err != nil {
		return nil, fmt.Errorf("read machine %d: %w", r.Machine, err)
	}
	parsed, diagnostics := asl.Parse(r.Definition, asl.Options{Express: record.Type == "EXPRESS", Accepted: true})
	if parsed == nil {
		return nil, fmt.Errorf("%w: compile revision %d of %s: %s", errDefect, id, record.Name, diagnostics)
	}
	m := &machine{name: record.Name, roleARN: r.RoleARN, asl: parsed, limits: c.w.cfg.Limits}
	if c.w.cfg.LimitsOf != nil {
		m.limits = c.w.cfg.LimitsOf(record.Name)
	}
	// What hides the language's name behind escapes has a backslash.
	m.computes = strings.Contains(r.Definition, "JSONata") || strings.Contains(r.Definition, `\`)
	if c.w.cfg.LogOf != nil {
		m.log = c.w.cfg.LogOf(record.Name, r)
	}
	return m, nil
}
