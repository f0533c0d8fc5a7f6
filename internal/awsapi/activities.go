package awsapi

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/lockstep-run/lockstep/internal/arn"
	"github.com/lockstep-run/lockstep/internal/store"
)

// nameText bounds the names of machines, executions and activities.
var nameText = bounds{required: true, min: 1, max: 80}

// createActivity is idempotent on the name alone: tags of a repeated call are
// ignored, another encryption is an error.
func (s *Server) createActivity(ctx context.Context, in *input, out []byte) ([]byte, error) {
	a := store.Activity{Name: in.keep("name", nameText), Tags: in.tags(false), CreatedAt: s.millis()}
	c, refused := in.configuration()
	if err := in.err(); err != nil {
		return nil, err
	}
	if refused != nil {
		return nil, refused
	}
	if err := checkName(a.Name); err != nil {
		return nil, err
	}
	a.Name = s.scheme.Kept(in.account, a.Name)
	resource := s.scheme.Activity(a.Name)
	var err error
	if a.Tags, err = merge(nil, a.Tags, resource); err != nil {
		return nil, err
	}
	a.Configuration = c.kept()

	err = s.write(ctx, func(ctx context.Context, tx store.Tx) error {
		old, err := tx.Activity(ctx, a.Name)
		if errors.Is(err, store.ErrNotFound) {
			_, err = tx.CreateActivity(ctx, a)
			return err
		}
		if err != nil {
			return err
		}
		a.CreatedAt = old.CreatedAt
		was, err := configurationOf(old.Configuration)
		if err == nil && !was.same(c) {
			return activityExists(resource)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	o := newObject(out)
	o.text("activityArn", resource)
	o.time("creationDate", a.CreatedAt)
	return o.end(), nil
}

// deleteActivity succeeds for an activity that is not there, too (recorded).
func (s *Server) deleteActivity(ctx context.Context, in *input, out []byte) ([]byte, error) {
	name, _, err := s.activityIn(in)
	if err != nil {
		return nil, err
	}
	err = s.write(ctx, func(ctx context.Context, tx store.Tx) error {
		a, err := tx.Activity(ctx, name)
		if err != nil {
			return err
		}
		return tx.DeleteActivity(ctx, a.ID)
	})
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return nil, err
	}
	return append(out, "{}"...), nil
}

func (s *Server) describeActivity(ctx context.Context, in *input, out []byte) ([]byte, error) {
	name, arn, err := s.activityIn(in)
	if err != nil {
		return nil, err
	}
	a, err := s.store.Activity(ctx, name)
	if err != nil {
		return nil, orMissing(err, activityMissing(arn))
	}
	c, err := configurationOf(a.Configuration)
	if err != nil {
		return nil, err
	}
	o := newObject(out)
	describeActivity(&o, s, a)
	c.effective().Encryption.describe(&o)
	return o.end(), nil
}

func describeActivity(o *object, s *Server, a store.Activity) {
	o.text("activityArn", s.scheme.Activity(a.Name))
	o.text("name", arn.Plain(a.Name))
	o.time("creationDate", a.CreatedAt)
}

// activityIn reads the request's activityArn.
func (s *Server) activityIn(in *input) (name, arn string, err error) {
	arn = in.text("activityArn", arnText)
	if err := in.err(); err != nil {
		return "", "", err
	}
	name, err = s.activityName(arn)
	return name, arn, err
}

// listActivities lists by name.
func (s *Server) listActivities(ctx context.Context, in *input, out []byte) ([]byte, error) {
	p, err := in.page(maxToken, in.scope("ListActivities")...)
	if err != nil {
		return nil, err
	}
	list, err := ofAccount(ctx, s.scheme.Kept(in.account, ""), p, s.store.Activities, func(a store.Activity) string { return a.Name })
	if err != nil {
		return nil, err
	}
	o := newObject(out)
	o.list("activities")
	for _, a := range list[:min(len(list), p.limit)] {
		o.item()
		describeActivity(&o, s, a)
		o.close()
	}
	o.endList()
	if len(list) > p.limit {
		o.text("nextToken", p.token(arn.Plain(list[p.limit-1].Name)))
	}
	return o.end(), nil
}

const (
	pollTime   = 60 * time.Second // how long GetActivityTask waits for a task
	maxPollers = 1000             // AWS's quota for one activity
)

// getActivityTask waits for a task. Without one its answer is empty.
func (s *Server) getActivityTask(ctx context.Context, in *input, out []byte) ([]byte, error) {
	arn := in.text("activityArn", arnText)
	worker := in.keep("workerName", bounds{min: 1, max: 80})
	if err := in.err(); err != nil {
		return nil, err
	}
	name, err := s.activityName(arn)
	if err != nil {
		return nil, err
	}
	a, err := s.store.Activity(ctx, name)
	if err != nil {
		return nil, orMissing(err, activityMissing(arn))
	}
	if !s.pollers.enter(a.ID) {
		return nil, tooManyPollers()
	}
	defer s.pollers.leave(a.ID)

	ctx, cancel := context.WithTimeout(ctx, pollTime)
	defer cancel()
	token, task, err := s.engine.Poll(ctx, a, worker)
	if err != nil && !(token == "" && ctx.Err() != nil) {
		return nil, err
	}
	o := newObject(out)
	if token != "" {
		o.text("taskToken", token)
		o.text("input", task)
	}
	return o.end(), nil
}

// pollers counts the polls under way for each activity.
type pollers struct {
	mu    sync.Mutex
	count map[store.ActivityID]int
}

// enter counts one more, unless there are too many.
func (p *pollers) enter(id store.ActivityID) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.count[id] >= maxPollers {
		return false
	}
	if p.count == nil {
		p.count = map[store.ActivityID]int{}
	}
	p.count[id]++
	return true
}

func (p *pollers) leave(id store.ActivityID) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.count[id]--; p.count[id] == 0 {
		delete(p.count, id)
	}
}
