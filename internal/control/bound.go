package control

import (
	"context"
	"encoding/json"
	"slices"

	"github.com/lockstep-run/lockstep/internal/store"
)

// over reports whether a state has waited and does no more.
func (s *Source) over() bool { return s != nil && !s.Waiting && !s.Detached }

// key is what a state's entry is found under.
func (s *Source) key() string { return "source/" + s.Execution + "/" + s.State + "/" + s.Entry }

// exactly selects what has one key, the newest first where there are several.
func exactly(kind, key string) store.RecordQuery {
	return store.RecordQuery{Kind: kind, From: key, To: key + "\x00", Limit: many}
}

// TaskOf finds the task of a state's entry, which is what keeps the engine from
// making two.
func (b *Board) TaskOf(ctx context.Context, tx Records, s Source) (*Task, error) {
	x := b.begin(ctx, tx, nil, Call{})
	found, err := query[Task](x, exactly("task", s.key()))
	if err != nil {
		return nil, err
	}
	if len(found) == 0 {
		return nil, refuse(NotFound, nil, "no task for %s of %s", s.State, s.Execution)
	}
	return found[0], nil
}

// ReviewOf finds the newest review that was asked for by a state's entry.
func (b *Board) ReviewOf(ctx context.Context, tx Records, s Source) (*Review, error) {
	x := b.begin(ctx, tx, nil, Call{})
	found, err := query[Review](x, exactly("review", s.key()))
	if err != nil {
		return nil, err
	}
	if len(found) == 0 {
		return nil, refuse(NotFound, nil, "no review for %s of %s", s.State, s.Execution)
	}
	return slices.MaxFunc(found, func(a, b *Review) int { return a.Round - b.Round }), nil
}

// bindReview makes a state wait for a review that is about no task.
func (x *op) bindReview(r *Review, s *Source) error {
	if s == nil {
		return nil
	}
	if x.By != System {
		return refuse(Forbidden, nil, "only the engine binds reviews to executions")
	}
	r.Source = s
	earlier, err := query[Review](x, exactly("review", s.key()))
	for _, old := range earlier {
		r.Round = max(r.Round, old.Round+1)
	}
	return err
}

// EndReview says that the state which waited for a review has gone on without
// it. The review is withdrawn, if it is pending.
func (b *Board) EndReview(ctx context.Context, c Call, review string) (*Review, error) {
	return write(ctx, b, c, "end_review", func(x *op) (*Review, error) {
		r, err := get[Review](x, review)
		if err != nil {
			return nil, err
		}
		if x.By != System || r.Source == nil {
			return nil, refuse(Forbidden, nil, "only the engine ends a wait, and only for its own reviews")
		}
		if r.Status != "pending" {
			return r, nil
		}
		return r, x.close(r, "withdrawn")
	})
}

// choose takes the answer to a question of a state that has choices: one of
// them, as the response or else the comment.
func (r *Review) choose(in *Decision) error {
	if r.Source == nil || len(r.Choices) == 0 || in.Verdict != "answer" {
		return nil
	}
	choice := in.Comment
	if len(in.Response) > 0 {
		if err := json.Unmarshal(in.Response, &choice); err != nil {
			return invalid("answer with one of %q, as a text", r.Choices)
		}
	} else {
		in.Comment = "" // it was the answer
	}
	if !slices.Contains(r.Choices, choice) {
		return invalid("answer with one of %q, not %q", r.Choices, choice)
	}
	data, err := json.Marshal(choice)
	in.Response = data
	return err
}

// alive tells of a sign of life that is not in the feed: whoever counts the
// heartbeats of a state that waits for the task hears of it.
func (x *op) alive(t *Task) error {
	if x.b.cfg.Happened == nil || t.Source == nil || !t.Source.Waiting {
		return nil
	}
	if err := x.flush(); err != nil {
		return err
	}
	e := t.of("task.alive", nil)
	e.At, e.By = x.At, x.By
	return x.b.cfg.Happened(x.ctx, x.tx, &e)
}
