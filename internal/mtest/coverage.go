package mtest

import (
	"fmt"
	"strings"

	"github.com/lockstep-run/lockstep/asl"
	"github.com/lockstep-run/lockstep/internal/engine"
)

// Coverage says which states and transitions of a machine were reached. A
// transition is a way on: Next, a rule or the default of a Choice, a retrier, a
// catcher.
type Coverage struct {
	Machine     string // the definition's file
	States      []Covered
	Transitions []Covered

	states map[string]int // index in States
	ways   map[way]int    // index in Transitions
	caught map[string]int // by state: exits through a catcher that are still to come, in this execution
}

// Covered is a state or a transition with how often it was entered or taken.
type Covered struct {
	Name  string // "State", "State → Next", "State, rule 1 → Next", "State, retry 1 (Some.Error)"
	Times int
}

// way names a transition; byNext stands beside the engine's.
type way struct {
	state string
	by    engine.Way
	index int
}

const byNext engine.Way = 255

// NewCoverage is what a suite's machine has, with nothing reached so far.
// Suites for the same machine may share one.
func NewCoverage(s *Suite) *Coverage {
	c := &Coverage{Machine: s.Machine, states: map[string]int{}, ways: map[way]int{}, caught: map[string]int{}}
	s.machine.Walk(func(state, _ asl.State) bool {
		name := state.Base().Name
		c.states[name] = len(c.States)
		c.States = append(c.States, Covered{Name: name})
		switch state := state.(type) {
		case *asl.Choice:
			for i, rule := range state.Choices {
				c.add(way{name, engine.ByRule, i}, fmt.Sprintf("%s, rule %d → %s", name, i+1, rule.Next))
			}
			if state.Default != "" {
				c.add(way{name, engine.ByDefault, 0}, name+", default → "+state.Default)
			}
		case *asl.Succeed, *asl.Fail:
		case *asl.Task:
			c.next(state.Base())
			c.handlers(name, state.Retry, state.Catch)
		case *asl.Parallel:
			c.next(state.Base())
			c.handlers(name, state.Retry, state.Catch)
		case *asl.Map:
			c.next(state.Base())
			c.handlers(name, state.Retry, state.Catch)
		default:
			c.next(state.Base())
		}
		return true
	})
	return c
}

func (c *Coverage) add(w way, name string) {
	c.ways[w] = len(c.Transitions)
	c.Transitions = append(c.Transitions, Covered{Name: name})
}

func (c *Coverage) next(base *asl.Common) {
	to := base.Next
	if to == "" {
		to = "end"
	}
	c.add(way{base.Name, byNext, 0}, base.Name+" → "+to)
}

func (c *Coverage) handlers(name string, retry []asl.Retrier, catch []asl.Catcher) {
	for i, r := range retry {
		c.add(way{name, engine.ByRetrier, i}, fmt.Sprintf("%s, retry %d (%s)", name, i+1, strings.Join(r.ErrorEquals, ", ")))
	}
	for i, h := range catch {
		c.add(way{name, engine.ByCatcher, i}, fmt.Sprintf("%s, catch %d (%s) → %s", name, i+1, strings.Join(h.ErrorEquals, ", "), h.Next))
	}
}

// begin is called before each execution.
func (c *Coverage) begin() { clear(c.caught) }

func (c *Coverage) entered(state string) {
	if i, ok := c.states[state]; ok {
		c.States[i].Times++
	}
}

// exited is told of every exit, those through a catcher included.
func (c *Coverage) exited(state string) {
	if c.caught[state] > 0 {
		c.caught[state]--
		return
	}
	c.take(way{state, byNext, 0})
}

// took is engine.Env.Took.
func (c *Coverage) took(state string, by engine.Way, index int) {
	if by == engine.ByCatcher {
		c.caught[state]++
	}
	c.take(way{state, by, index})
}

func (c *Coverage) take(w way) {
	if i, ok := c.ways[w]; ok {
		c.Transitions[i].Times++
	}
}

// Reached counts the states and transitions that were reached, and all of them.
func (c *Coverage) Reached() (reached, all int) {
	for _, list := range [][]Covered{c.States, c.Transitions} {
		for _, item := range list {
			if item.Times > 0 {
				reached++
			}
		}
	}
	return reached, len(c.States) + len(c.Transitions)
}

// Percent is how much of all was reached, from 0 to 100.
func (c *Coverage) Percent() float64 {
	reached, all := c.Reached()
	if all == 0 {
		return 100
	}
	return 100 * float64(reached) / float64(all)
}

// missed lists what was not reached.
func missed(list []Covered) (names []string) {
	for _, item := range list {
		if item.Times == 0 {
			names = append(names, item.Name)
		}
	}
	return names
}
