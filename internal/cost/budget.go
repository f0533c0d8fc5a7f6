package cost

import (
	"fmt"
	"slices"
	"time"
)

// Budget is a limit to what is used in a window of time.
type Budget struct {
	ID     string `json:"id,omitempty"`
	Scope  string `json:"scope"`          // one of Scopes
	Name   string `json:"name,omitempty"` // of the project, agent, task or machine; "" for the workspace
	Window string `json:"window"`         // one of Windows
	Metric string `json:"metric"`         // one of Metrics
	Soft   int64  `json:"soft,omitempty"` // tells once in a window; 0: none
	Hard   int64  `json:"hard,omitempty"` // 0: none
	OnHard string `json:"on_hard,omitempty"`
}

// What a Budget may say. Money is in nano-USD.
var (
	Scopes  = []string{"workspace", "project", "agent", "task", "machine"}
	Windows = []string{"task", "day", "week", "month"} // task: the whole life of what it is about
	Metrics = []string{"billed_usd", "shadow_usd", "tokens", "runs"}
	OnHards = []string{"pause", "block_new", "notify"} // "" is pause
)

// Check refuses a budget that cannot be kept to, and says why.
func (b Budget) Check() error {
	for _, f := range []struct {
		name, value string
		of          []string
	}{{"scope", b.Scope, Scopes}, {"window", b.Window, Windows}, {"metric", b.Metric, Metrics}, {"on_hard", b.onHard(), OnHards}} {
		if !slices.Contains(f.of, f.value) {
			return fmt.Errorf("%s is %q; it must be one of %v", f.name, f.value, f.of)
		}
	}
	switch {
	case (b.Scope == "workspace") != (b.Name == ""):
		return fmt.Errorf("a budget for the workspace has no name, one for a %s needs the name of it", b.Scope)
	case b.Soft < 0 || b.Hard < 0:
		return fmt.Errorf("a limit is above 0; leave it out where there is none")
	case b.Soft == 0 && b.Hard == 0:
		return fmt.Errorf("neither soft nor hard is given; one is needed")
	case b.Hard > 0 && b.Soft > b.Hard:
		return fmt.Errorf("soft (%d) is above hard (%d), so it would never be told", b.Soft, b.Hard)
	}
	return nil
}

func (b Budget) onHard() string {
	if b.OnHard == "" {
		return "pause"
	}
	return b.OnHard
}

// Day is a civil date as a number: 20261120.
type Day int32

// DayOf is the date at a place.
func DayOf(t time.Time, zone *time.Location) Day {
	y, m, d := t.In(zone).Date()
	return Day(y*10000 + int(m)*100 + d)
}

// Time is the beginning of the day: midnight, or the first moment after it where
// clocks are put forward at midnight.
func (d Day) Time(zone *time.Location) time.Time {
	at := func(hour int) time.Time {
		return time.Date(int(d)/10000, time.Month(int(d)/100%100), int(d)%100, hour, 0, 0, 0, zone)
	}
	start := at(0)
	if DayOf(start, zone) == d {
		return start
	}
	// There is no midnight. Noon is there; the day began at the last change before it.
	low, high := start, at(12)
	for high.Sub(low) > time.Second {
		middle := low.Add(high.Sub(low) / 2)
		if DayOf(middle, zone) < d {
			low = middle
		} else {
			high = middle
		}
	}
	return high.Truncate(time.Second)
}

func (d Day) String() string {
	return fmt.Sprintf("%04d-%02d-%02d", int(d)/10000, int(d)/100%100, int(d)%100)
}

// Add counts days in the calendar.
func (d Day) Add(days int) Day {
	return DayOf(time.Date(int(d)/10000, time.Month(int(d)/100%100), int(d)%100+days, 0, 0, 0, 0, time.UTC), time.UTC)
}

// Span is a window: whole days at a place, Last included.
type Span struct {
	First, Last Day
	// Ends is when the next window begins; the zero time: never.
	Ends time.Time
}

// SpanAt is the window that a time falls into. Weeks begin on Monday.
func SpanAt(window string, t time.Time, zone *time.Location) Span {
	today := DayOf(t, zone)
	s := Span{First: today, Last: today}
	switch window {
	case "week":
		weekday := time.Date(int(today)/10000, time.Month(int(today)/100%100), int(today)%100, 0, 0, 0, 0, time.UTC).Weekday()
		s.First = today.Add(-(int(weekday) + 6) % 7)
		s.Last = s.First.Add(6)
	case "month":
		s.First = today/100*100 + 1
		s.Last = (s.First.Add(31)/100*100 + 1).Add(-1)
	case "task":
		return Span{First: 0, Last: 99991231}
	}
	s.Ends = s.Last.Add(1).Time(zone)
	return s
}

// Used are sums over a window.
type Used struct {
	Billed, Shadow, Tokens, Runs int64
}

func (u Used) of(metric string) int64 {
	switch metric {
	case "billed_usd":
		return u.Billed
	case "shadow_usd":
		return u.Shadow
	case "tokens":
		return u.Tokens
	}
	return u.Runs
}

// Standing is how a budget stands. It is kept from one evaluation to the next.
type Standing struct {
	First     Day   `json:"first"` // of the window that this is about
	Used      int64 `json:"used"`
	SoftTold  bool  `json:"soft_told"`
	Hard      bool  `json:"hard"` // the hard limit is reached
	Pauses    bool  `json:"pauses"`
	BlocksNew bool  `json:"blocks_new"` // Pauses does so too
}

// Told is what somebody should hear after an evaluation, each once: budget_soft
// and budget_hard once in a window, and budget_cleared when a limit that was
// reached is so no more.
type Told string

const (
	ToldSoft    Told = "budget_soft"
	ToldHard    Told = "budget_hard"
	ToldCleared Told = "budget_cleared"
)

// Evaluate says how a budget stands at a time, given the sums over its window
// (SpanAt) and how it stood before; the zero Standing if it never did. What a
// budget has paused or blocked is free again when the window turns or the limit
// is raised, without anybody's doing.
func (b Budget) Evaluate(before Standing, used Used, now time.Time, zone *time.Location) (Standing, []Told) {
	span := SpanAt(b.Window, now, zone)
	after := Standing{First: span.First, Used: used.of(b.Metric)}
	turned := before.First != span.First
	var told []Told
	if b.Soft > 0 && after.Used >= b.Soft {
		after.SoftTold = true
		if turned || !before.SoftTold {
			told = append(told, ToldSoft)
		}
	} else if !turned {
		after.SoftTold = before.SoftTold // once in a window, whatever the limit was meanwhile
	}
	if b.Hard > 0 && after.Used >= b.Hard {
		after.Hard = true
		after.Pauses = b.onHard() == "pause"
		after.BlocksNew = b.onHard() != "notify"
		if turned || !before.Hard {
			told = append(told, ToldHard)
		}
	} else if before.Hard {
		told = append(told, ToldCleared)
	}
	return after, told
}
