package awsapi

import (
	"context"
	"errors"
	"strings"
	"sync"

	"github.com/lockstep-run/lockstep/asl"
	"github.com/lockstep-run/lockstep/internal/arn"
	"github.com/lockstep-run/lockstep/internal/engine"
	"github.com/lockstep-run/lockstep/internal/store"
)

const (
	standard = "STANDARD"
	express  = "EXPRESS"

	maxDefinition = 1 << 20
)

var (
	machineTypes   = newEnum(standard, express)
	includedData   = bounds{enum: newEnum("ALL_DATA", "METADATA_ONLY")}
	definitionText = bounds{required: true, min: 1, max: maxDefinition, secret: true}

	descriptionText = bounds{max: 256, secret: true} // of versions and aliases
)

// createStateMachine is idempotent on everything but the role and the tags: a
// repeated call answers as the first one did and changes nothing (recorded,
// and for publishing in AWS's guide).
func (s *Server) createStateMachine(ctx context.Context, in *input, out []byte) ([]byte, error) {
	m := store.Machine{Name: in.keep("name", nameText), Type: standard, CreatedAt: s.millis()}
	r := store.Revision{Definition: in.keep("definition", definitionText), RoleARN: in.keep("roleArn", arnText), CreatedAt: m.CreatedAt}
	if in.text("type", bounds{enum: machineTypes}) == express {
		m.Type = express
	}
	m.UpdatedAt = m.CreatedAt
	m.Tags = in.tags(false)
	c, p, err := in.settings()
	if err != nil {
		return nil, err
	}
	if err := checkName(m.Name); err != nil {
		return nil, err
	}
	m.Name = s.scheme.Kept(in.account, m.Name)
	resource := s.scheme.Machine(m.Name)
	if err := checkRole(r.RoleARN); err != nil {
		return nil, err
	}
	if err := s.checkDefinition(r.Definition, m.Type); err != nil {
		return nil, err
	}
	if m.Tags, err = merge(nil, m.Tags, resource); err != nil {
		return nil, err
	}
	if err := s.checkLogGroup(ctx, c); err != nil {
		return nil, err
	}
	r.Configuration = s.by(ctx, c).kept()

	created, version := m.CreatedAt, store.Version{}
	defer s.machines.forget(m.Name)
	err = s.write(ctx, func(ctx context.Context, tx store.Tx) error {
		old, err := tx.Machine(ctx, m.Name)
		if errors.Is(err, store.ErrNotFound) {
			if m, err = tx.CreateMachine(ctx, m, r); err == nil && p.wanted {
				version, err = publish(ctx, tx, m, p.description, m.CreatedAt)
			}
			return err
		}
		if err != nil {
			return err
		}
		if old.Deleting {
			return machineDeleting(resource)
		}
		was, err := tx.Revision(ctx, old.Current)
		if err != nil {
			return err
		}
		has, err := configurationOf(was.Configuration)
		if err != nil {
			return err
		}
		if old.Type != m.Type || was.Definition != r.Definition || !has.same(c) {
			return machineExists(resource)
		}
		if version, err = publishedAtBirth(ctx, tx, old); err != nil {
			return err
		}
		if (version.Number != 0) != p.wanted || version.Description != p.description {
			return machineExists(resource)
		}
		created = old.CreatedAt
		return nil
	})
	if err != nil {
		return nil, err
	}
	o := newObject(out)
	o.text("stateMachineArn", resource)
	o.time("creationDate", created)
	s.describePublished(&o, m.Name, version)
	return o.end(), nil
}

// settings reads what creating and updating a machine have in common, and
// reports everything that is wrong with the members read so far.
func (in *input) settings() (configuration, publishing, error) {
	c, refused := in.configuration()
	p := publishing{wanted: in.flag("publish", false), description: in.keep("versionDescription", descriptionText)}
	switch {
	case in.failed():
		return c, p, in.err()
	case refused != nil:
		return c, p, refused
	case in.has("versionDescription") && !p.wanted:
		return c, p, invalidRequest("Version description can only be set when publish is true")
	}
	return c, p, nil
}

// checkDefinition refuses a definition with errors in it.
func (s *Server) checkDefinition(text, typ string) error {
	if _, diagnostics := asl.Parse(text, asl.Options{Express: typ == express, Lacks: s.lacks}); diagnostics.HasErrors() {
		return invalidDefinition(diagnostics.InvalidDefinition())
	}
	return nil
}

// updateStateMachine changes what is given and leaves the rest. It makes a new
// revision only when something does change (recorded).
func (s *Server) updateStateMachine(ctx context.Context, in *input, out []byte) ([]byte, error) {
	arn := in.text("stateMachineArn", arnText)
	definition := in.pointer("definition", bounds{min: 1, max: maxDefinition, secret: true})
	role := in.pointer("roleArn", bounds{min: 1, max: 256})
	c, p, err := in.settings()
	if err != nil {
		return nil, err
	}
	name, err := s.machineName(arn)
	if err != nil {
		return nil, err
	}
	if definition == nil && role == nil && !c.given() {
		return nil, nothingToUpdate()
	}
	if role != nil {
		if err := checkRole(*role); err != nil {
			return nil, err
		}
	}
	m, err := s.machine(ctx, name)
	if err != nil {
		return nil, orMissing(err, machineMissing(arn))
	}
	if definition != nil {
		if err := s.checkDefinition(*definition, m.Type); err != nil {
			return nil, err
		}
	}
	if err := s.checkLogGroup(ctx, c); err != nil {
		return nil, err
	}

	now, uuid := s.millis(), newUUID()
	var updated int64
	var revision string
	var version store.Version
	defer s.machines.forget(name)
	err = s.write(ctx, func(ctx context.Context, tx store.Tx) error {
		m, was, err := current(ctx, tx, name, arn)
		if err != nil {
			return err
		}
		has, err := configurationOf(was.Configuration)
		if err != nil {
			return err
		}
		next := store.Revision{Machine: m.ID, UUID: uuid, Definition: was.Definition, RoleARN: was.RoleARN, CreatedAt: now, Configuration: s.by(ctx, c.over(has)).kept()}
		if definition != nil {
			next.Definition = *definition
		}
		if role != nil {
			next.RoleARN = *role
		}
		if next.Definition != was.Definition || next.RoleARN != was.RoleARN || !c.over(has).same(has) {
			m.UpdatedAt, was.UUID = now, uuid
			if err := tx.SaveMachine(ctx, m); err != nil {
				return err
			}
			if m.Current, err = tx.AddRevision(ctx, next); err != nil {
				return err
			}
		}
		updated, revision = m.UpdatedAt, was.UUID
		if p.wanted {
			version, err = publish(ctx, tx, m, p.description, now)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	o := newObject(out)
	o.time("updateDate", updated)
	o.textIf("revisionId", revision)
	s.describePublished(&o, name, version)
	return o.end(), nil
}

// current finds a machine that is to be changed, and its current revision.
func current(ctx context.Context, tx store.Tx, name, arn string) (store.Machine, store.Revision, error) {
	m, err := tx.Machine(ctx, name)
	if err != nil {
		return m, store.Revision{}, orMissing(err, machineMissing(arn))
	}
	if m.Deleting {
		return m, store.Revision{}, machineDeleting(arn)
	}
	r, err := tx.Revision(ctx, m.Current)
	return m, r, err
}

// describeStateMachine shows a machine's current revision, or that of a
// version. The ARN of an alias names nothing here (what AWS does is not
// recorded).
func (s *Server) describeStateMachine(ctx context.Context, in *input, out []byte) ([]byte, error) {
	given := in.text("stateMachineArn", arnText)
	included := in.text("includedData", includedData)
	if err := in.err(); err != nil {
		return nil, err
	}
	name, qualifier, err := s.machineNames(given)
	if err != nil {
		return nil, err
	}
	m, err := s.machine(ctx, name)
	if err != nil {
		return nil, orMissing(err, machineMissing(given))
	}
	v := store.Version{Revision: m.Current, CreatedAt: m.CreatedAt}
	if qualifier != "" {
		if v, err = s.version(ctx, m, qualifier); err != nil {
			return nil, orMissing(err, machineMissing(given))
		}
	}
	r, err := s.store.Revision(ctx, v.Revision)
	if err != nil {
		return nil, err
	}
	o := newObject(out)
	o.text("stateMachineArn", given)
	o.text("name", arn.Plain(m.Name))
	o.text("status", status(m))
	o.text("type", m.Type)
	o.time("creationDate", v.CreatedAt)
	o.textIf("description", v.Description)
	s.describeLimits(&o, m)
	if err := describeRevision(&o, r, m.Type, included); err != nil {
		return nil, err
	}
	return o.end(), nil
}

func status(m store.Machine) string {
	if m.Deleting {
		return "DELETING"
	}
	return "ACTIVE"
}

// describeRevision writes what a revision knows of its machine.
func describeRevision(o *object, r store.Revision, typ, included string) error {
	c, err := configurationOf(r.Configuration)
	if err != nil {
		return err
	}
	o.text("roleArn", r.RoleARN)
	o.textIf("revisionId", r.UUID)
	c.describe(o)
	if included == "METADATA_ONLY" {
		o.text("definition", "{}")
		return nil
	}
	o.text("definition", r.Definition)
	machine, _ := asl.Parse(r.Definition, asl.Options{Express: typ == express, Accepted: true})
	if machine != nil { // stored definitions stay valid for us even where rules change
		describeReferences(o, machine)
	}
	return nil
}

// describeReferences writes the variables that states read, in the order of the
// states.
func describeReferences(o *object, m *asl.Machine) {
	references := m.VariableReferences()
	if len(references) == 0 {
		return
	}
	o.open("variableReferences")
	m.Walk(func(state, _ asl.State) bool {
		name := state.Base().Name
		if variables := references[name]; len(variables) > 0 {
			o.strings(name, variables)
		}
		return true
	})
	o.close()
}

// describeStateMachineForExecution shows the revision that an execution runs.
func (s *Server) describeStateMachineForExecution(ctx context.Context, in *input, out []byte) ([]byte, error) {
	x, err := s.execution(ctx, in)
	if err != nil {
		return nil, err
	}
	r, err := s.store.Revision(ctx, x.Revision)
	if err != nil {
		return nil, err
	}
	o := newObject(out)
	name := x.machine
	if x.Child.Run != 0 {
		run, err := s.store.MapRunByID(ctx, x.Child.Run)
		if err != nil {
			return nil, err
		}
		root, _, _ := strings.Cut(x.machine, "/")
		name = root
		o.text("mapRunArn", s.scheme.MapRun(root, run.Label, run.Name))
		o.text("label", run.Label)
		r.Definition = childDefinition(r.Definition, run.State)
	}
	o.text("stateMachineArn", s.scheme.Machine(x.machine))
	o.text("name", arn.Plain(name))
	o.time("updateDate", r.CreatedAt)
	if err := describeRevision(&o, r, standard, x.included); err != nil {
		return nil, err
	}
	return o.end(), nil
}

// listStateMachines lists by name.
func (s *Server) listStateMachines(ctx context.Context, in *input, out []byte) ([]byte, error) {
	p, err := in.page(maxToken, in.scope("ListStateMachines")...)
	if err != nil {
		return nil, err
	}
	list, err := ofAccount(ctx, s.scheme.Kept(in.account, ""), p, s.store.Machines, func(m store.Machine) string { return m.Name })
	if err != nil {
		return nil, err
	}
	o := newObject(out)
	o.list("stateMachines")
	for _, m := range list[:min(len(list), p.limit)] {
		o.item()
		o.text("stateMachineArn", s.scheme.Machine(m.Name))
		o.text("name", arn.Plain(m.Name))
		o.text("type", m.Type)
		o.time("creationDate", m.CreatedAt)
		o.close()
	}
	o.endList()
	if len(list) > p.limit {
		o.text("nextToken", p.token(arn.Plain(list[p.limit-1].Name)))
	}
	return o.end(), nil
}

// deleteStateMachine succeeds for a machine that is not there, too (recorded).
// A machine with running executions is DELETING until they have been stopped.
func (s *Server) deleteStateMachine(ctx context.Context, in *input, out []byte) ([]byte, error) {
	arn := in.text("stateMachineArn", arnText)
	if err := in.err(); err != nil {
		return nil, err
	}
	name, err := s.machineName(arn)
	if err != nil {
		return nil, err
	}
	var m store.Machine
	err = s.write(ctx, func(ctx context.Context, tx store.Tx) (err error) {
		if m, err = tx.Machine(ctx, name); err != nil || m.Deleting {
			return err
		}
		m.Deleting, m.UpdatedAt = true, s.millis()
		return tx.SaveMachine(ctx, m)
	})
	s.machines.forget(name)
	if errors.Is(err, store.ErrNotFound) {
		return append(out, "{}"...), nil
	}
	if err != nil {
		return nil, err
	}
	running, err := s.runningOf(ctx, m)
	if err != nil {
		return nil, err
	}
	if len(running) > 0 {
		s.sweep(m)
	} else if err := s.remove(ctx, m); err != nil {
		return nil, err
	}
	return append(out, "{}"...), nil
}

// write makes a change of the control plane durable. It waits for the outcome
// even when the client has gone: what is remembered here must not be older
// than what is kept.
func (s *Server) write(ctx context.Context, do func(ctx context.Context, tx store.Tx) error) error {
	return s.engine.Write(context.WithoutCancel(ctx), do)
}

// runningOf lists some of a machine's running executions.
func (s *Server) runningOf(ctx context.Context, m store.Machine) ([]store.Execution, error) {
	running := engine.Running
	return s.store.Executions(ctx, store.ExecutionQuery{Machine: m.ID, Status: &running, Limit: 100})
}

// remove takes away a machine that nothing runs.
func (s *Server) remove(ctx context.Context, m store.Machine) error {
	defer s.machines.forget(m.Name)
	err := s.write(ctx, func(ctx context.Context, tx store.Tx) error { return tx.DeleteMachine(ctx, m.ID) })
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	return err
}

// sweeps are the deletions under way.
type sweeps struct {
	ctx     context.Context
	cancel  context.CancelFunc
	running sync.WaitGroup

	mu       sync.Mutex
	machines map[store.MachineID]bool
}

// sweep stops the executions of a machine that is being deleted, in the
// background, and then removes it. What it does not finish goes on when the
// machine is next asked for.
func (s *Server) sweep(m store.Machine) {
	s.sweeps.mu.Lock()
	defer s.sweeps.mu.Unlock()
	if s.sweeps.machines[m.ID] || s.sweeps.ctx.Err() != nil {
		return
	}
	if s.sweeps.machines == nil {
		s.sweeps.machines = map[store.MachineID]bool{}
	}
	s.sweeps.machines[m.ID] = true
	s.sweeps.running.Go(func() {
		err := s.stopAll(s.sweeps.ctx, m)
		if err != nil && s.sweeps.ctx.Err() == nil {
			s.log.Error("deleting a state machine", "machine", m.Name, "error", err)
		}
		s.sweeps.mu.Lock()
		delete(s.sweeps.machines, m.ID)
		s.sweeps.mu.Unlock()
	})
}

func (s *Server) stopAll(ctx context.Context, m store.Machine) error {
	for {
		running, err := s.runningOf(ctx, m)
		if err != nil {
			return err
		}
		if len(running) == 0 {
			return s.remove(ctx, m)
		}
		for _, x := range running {
			err := s.engine.Deliver(ctx, x.ID, engine.Stopped{At: s.now()})
			if err != nil && !errors.Is(err, engine.ErrNotWaiting) {
				return err
			}
		}
	}
}

// machine finds a machine by name, in memory where it was found before: this
// process alone writes machines, and forgets those that it changes.
func (s *Server) machine(ctx context.Context, name string) (store.Machine, error) {
	m, generation, ok := s.machines.get(name)
	if !ok {
		var err error
		if m, err = s.store.Machine(ctx, name); err != nil {
			return m, err
		}
		s.machines.put(m, generation)
	}
	if m.Deleting {
		s.sweep(m)
	}
	return m, nil
}

// machineCache keeps machines by name.
type machineCache struct {
	mu         sync.RWMutex
	generation uint64 // counts changes: a machine read before one is not put after it
	byName     map[string]store.Machine
	targets    map[string]map[string]target // by name and qualifier
	kept       int                          // targets
}

// maxCached bounds the cache; it starts anew when it is full.
const maxCached = 10_000

func (c *machineCache) get(name string) (m store.Machine, generation uint64, ok bool) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	m, ok = c.byName[name]
	return m, c.generation, ok
}

func (c *machineCache) put(m store.Machine, generation uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if generation != c.generation {
		return
	}
	if c.byName == nil || len(c.byName) >= maxCached {
		c.byName = map[string]store.Machine{}
	}
	c.byName[m.Name] = m
}

// target finds what was put for a machine's name and a qualifier.
func (c *machineCache) target(name, qualifier string) (t target, generation uint64, ok bool) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	t, ok = c.targets[name][qualifier]
	return t, c.generation, ok
}

func (c *machineCache) putTarget(name, qualifier string, t target, generation uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if generation != c.generation {
		return
	}
	if c.targets == nil || c.kept >= maxCached {
		c.targets, c.kept = map[string]map[string]target{}, 0
	}
	if c.targets[name] == nil {
		c.targets[name] = map[string]target{}
	}
	if _, known := c.targets[name][qualifier]; !known {
		c.kept++
	}
	c.targets[name][strings.Clone(qualifier)] = t
}

func (c *machineCache) forget(name string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.generation++
	delete(c.byName, name)
	c.kept -= len(c.targets[name])
	delete(c.targets, name)
}
