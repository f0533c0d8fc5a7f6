package awsapi

import (
	"cmp"
	"context"
	"errors"
	"math/rand/v2"
	"strconv"

	"github.com/lockstep-run/lockstep/internal/store"
)

// maxVersions is AWS's quota for a machine.
const maxVersions = 1000

// publishing is what creating and updating a machine say about a version.
type publishing struct {
	wanted      bool
	description string
}

// publish gives the machine's current revision a number. A revision that has
// one keeps it, description included (recorded, and AWS's guide). Revisions are
// published in their order, so only the newest version can be the current
// revision's.
func publish(ctx context.Context, tx store.Tx, m store.Machine, description string, now int64) (store.Version, error) {
	newest, err := tx.Versions(ctx, m.ID, 0, 1)
	if err != nil {
		return store.Version{}, err
	}
	if len(newest) > 0 && newest[0].Revision == m.Current {
		return newest[0], nil
	}
	if len(newest) > 0 && newest[0].Number >= maxVersions { // there may be that many
		all, err := tx.Versions(ctx, m.ID, 0, maxVersions)
		if err != nil {
			return store.Version{}, err
		}
		if len(all) >= maxVersions {
			return store.Version{}, overQuota("versions", maxVersions)
		}
	}
	return tx.AddVersion(ctx, store.Version{Machine: m.ID, Revision: m.Current, Description: description, CreatedAt: now})
}

// publishedAtBirth is the version that a machine was created with, which has
// the machine's own creation time; the zero version if it came without one.
func publishedAtBirth(ctx context.Context, tx store.Tx, m store.Machine) (store.Version, error) {
	v, err := tx.Version(ctx, m.ID, 1)
	if errors.Is(err, store.ErrNotFound) || err == nil && v.CreatedAt != m.CreatedAt {
		return store.Version{}, nil
	}
	return v, err
}

// describePublished writes the ARN of a version, if one was published.
func (s *Server) describePublished(o *object, machine string, v store.Version) {
	if v.Number != 0 {
		o.text("stateMachineVersionArn", s.scheme.Version(machine, v.Number))
	}
}

// initial stands for the revision of a machine that was never updated, which
// has no id of its own.
const initial = "INITIAL"

// publishStateMachineVersion refuses a revision that is not the current one any
// more.
func (s *Server) publishStateMachineVersion(ctx context.Context, in *input, out []byte) ([]byte, error) {
	arn := in.text("stateMachineArn", arnText)
	revision, given := in.optional("revisionId", bounds{})
	description := in.keep("description", descriptionText)
	if err := in.err(); err != nil {
		return nil, err
	}
	name, err := s.machineName(arn)
	if err != nil {
		return nil, err
	}
	var version store.Version
	err = s.write(ctx, func(ctx context.Context, tx store.Tx) error {
		m, r, err := current(ctx, tx, name, arn)
		if err != nil {
			return err
		}
		if current := cmp.Or(r.UUID, initial); given && revision != current {
			return staleRevision(revision, current)
		}
		version, err = publish(ctx, tx, m, description, s.millis())
		return err
	})
	if err != nil {
		return nil, err
	}
	o := newObject(out)
	o.time("creationDate", version.CreatedAt)
	s.describePublished(&o, name, version)
	return o.end(), nil
}

// listStateMachineVersions lists the newest first (recorded).
func (s *Server) listStateMachineVersions(ctx context.Context, in *input, out []byte) ([]byte, error) {
	arn := in.text("stateMachineArn", arnText)
	p, err := in.page(maxToken, "ListStateMachineVersions", arn)
	if err != nil {
		return nil, err
	}
	name, err := s.machineName(arn)
	if err != nil {
		return nil, err
	}
	m, err := s.machine(ctx, name)
	if err != nil {
		return nil, orMissing(err, machineMissing(arn))
	}
	before := int64(0)
	if p.after != "" {
		if before, err = strconv.ParseInt(p.after, 10, 64); err != nil {
			return nil, invalidToken()
		}
	}
	list, err := s.store.Versions(ctx, m.ID, before, p.limit+1)
	if err != nil {
		return nil, err
	}
	o := newObject(out)
	o.list("stateMachineVersions")
	for _, v := range list[:min(len(list), p.limit)] {
		o.item()
		s.describePublished(&o, name, v)
		o.time("creationDate", v.CreatedAt)
		o.close()
	}
	o.endList()
	if len(list) > p.limit {
		o.text("nextToken", p.token(strconv.FormatInt(list[p.limit-1].Number, 10)))
	}
	return o.end(), nil
}

// deleteStateMachineVersion succeeds for a version that is not there, too, and
// leaves alone one that an alias leads to (both recorded).
func (s *Server) deleteStateMachineVersion(ctx context.Context, in *input, out []byte) ([]byte, error) {
	arn := in.text("stateMachineVersionArn", bounds{required: true, min: 1, max: 2000})
	if err := in.err(); err != nil {
		return nil, err
	}
	name, qualifier, err := s.machineNames(arn)
	if err != nil {
		return nil, err
	}
	number, ok := versionNumber(qualifier)
	if name != "" && !ok {
		return nil, notAVersion(arn)
	}
	defer s.machines.forget(name)
	err = s.write(ctx, func(ctx context.Context, tx store.Tx) error {
		m, err := tx.Machine(ctx, name)
		if err != nil {
			return err
		}
		aliases, err := tx.Aliases(ctx, m.ID, "", maxAliases)
		if err != nil {
			return err
		}
		if users := leadingTo(aliases, number); len(users) > 0 {
			return versionInUse(names(users))
		}
		return tx.DeleteVersion(ctx, m.ID, number)
	})
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return nil, err
	}
	return append(out, "{}"...), nil
}

// version finds a machine's version by the qualifier in its ARN.
func (s *Server) version(ctx context.Context, m store.Machine, qualifier string) (store.Version, error) {
	number, ok := versionNumber(qualifier)
	if !ok {
		return store.Version{}, store.ErrNotFound
	}
	return s.store.Version(ctx, m.ID, number)
}

// target is what the ARN of a version or an alias leads to.
type target struct {
	machine store.MachineID
	alias   string
	choices []choice // at least one
}

// choice is a version with its chance in a hundred.
type choice struct {
	number   int64
	revision store.RevisionID
	weight   int64
}

// choose finds what a request to start a state machine's ARN starts: the
// machine's current revision, a version, or one of an alias's versions by
// chance.
func (s *Server) choose(ctx context.Context, arn string, start *store.Start) error {
	name, qualifier, err := s.machineNames(arn)
	if err != nil {
		return err
	}
	m, err := s.machine(ctx, name)
	if err != nil {
		return orMissing(err, machineMissing(arn))
	}
	start.Machine, start.Revision = m, m.Current
	if qualifier == "" {
		return nil
	}
	t, err := s.target(ctx, m, qualifier)
	if err != nil {
		return orMissing(err, machineMissing(arn))
	}
	c := t.pick(rand.Int64N(100))
	start.Revision, start.Via = c.revision, store.Via{Number: c.number, Alias: t.alias}
	return nil
}

// pick is where a draw from 0 to 99 leads.
func (t *target) pick(draw int64) choice {
	for _, c := range t.choices {
		if draw < c.weight {
			return c
		}
		draw -= c.weight
	}
	return t.choices[0] // not reached: weights add up to 100
}

// via selects the executions that the target has started.
func (t *target) via() store.Via {
	if t.alias != "" {
		return store.Via{Alias: t.alias}
	}
	return store.Via{Number: t.choices[0].number}
}

// target finds what a qualifier leads to, in memory where it was found before.
func (s *Server) target(ctx context.Context, m store.Machine, qualifier string) (target, error) {
	t, generation, ok := s.machines.target(m.Name, qualifier)
	if ok && t.machine == m.ID {
		return t, nil
	}
	t, err := s.findTarget(ctx, m, qualifier)
	if err == nil {
		s.machines.putTarget(m.Name, qualifier, t, generation)
	}
	return t, err
}

func (s *Server) findTarget(ctx context.Context, m store.Machine, qualifier string) (target, error) {
	t := target{machine: m.ID}
	if number, ok := versionNumber(qualifier); ok {
		v, err := s.store.Version(ctx, m.ID, number)
		t.choices = []choice{{number, v.Revision, 100}}
		return t, err
	}
	a, err := s.store.Alias(ctx, m.ID, qualifier)
	if err != nil {
		return t, err
	}
	t.alias = a.Name
	for _, to := range a.Routes {
		v, err := s.store.Version(ctx, m.ID, to.Number)
		if err != nil {
			return t, err
		}
		t.choices = append(t.choices, choice{to.Number, v.Revision, to.Weight})
	}
	return t, nil
}
