package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"github.com/lockstep-run/lockstep/internal/config"
	"github.com/lockstep-run/lockstep/internal/store"
	"github.com/lockstep-run/lockstep/internal/task"
	"github.com/lockstep-run/lockstep/internal/task/spill"
)

// spill makes what keeps results that are too large for payloads. A machine's tag
// counts before the configuration.
func (a *assembly) spill() (*spill.Keeper, error) {
	limits := &a.set.limits
	least := cmp.Or(limits.Payload, config.MinPayload)
	var readable []spill.Place
	texts := []string{limits.Spill}
	for _, m := range limits.Machines {
		least = min(least, cmp.Or(m.Payload, least))
		texts = append(texts, m.Spill)
	}
	for _, text := range texts {
		place, err := spill.ParsePlace(text)
		if err != nil {
			return nil, fmt.Errorf("limits: spill %w", err)
		}
		readable = append(readable, place)
	}
	return spill.New(spill.Config{Objects: a.files, Of: a.spillOf, Least: least, Readable: readable}), nil
}

// spillOf says where a machine's results go, and how large they may be before
// they do.
func (a *assembly) spillOf(ctx context.Context, machine string) (spill.Place, int, error) {
	payload, _ := a.set.limits.Of(machine)
	payload = cmp.Or(payload, config.MinPayload)
	text := a.set.limits.SpillOf(machine)
	m, err := a.store.Machine(ctx, machine)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return spill.Place{}, 0, err
	}
	for _, tag := range m.Tags {
		if tag.Key == spill.Tag {
			if text = tag.Value; text == "" {
				text = "none"
			}
		}
	}
	place, err := spill.ParsePlace(text)
	if err != nil {
		return spill.Place{}, 0, fmt.Errorf("the tag %s %w", spill.Tag, err)
	}
	return place, payload, nil
}

// largestAnswer is how much of an answer an HTTP task reads, in bytes, if its
// machine has a place for what no payload can hold.
func (a *assembly) largestAnswer(ctx context.Context, c *task.Call) int {
	if place, _, err := a.spillOf(ctx, spill.MachineOf(c)); err != nil || place.Bucket == "" {
		return 0
	}
	return spill.MaxInput
}
