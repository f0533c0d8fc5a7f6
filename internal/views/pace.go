package views

import (
	"math"
	"net/http"
	"time"

	"github.com/lockstep-run/lockstep/internal/engine"
	"github.com/lockstep-run/lockstep/internal/store"
)

// Pace is a stretch of a Map Run's time.
type Pace struct {
	At      *time.Time `json:"at"`      // its end
	Running float64    `json:"running"` // on average
	Ended   int64      `json:"ended"`   // within it, in whichever way
	Failed  int64      `json:"failed"`
}

const (
	mostPaced     = 20_000 // executions that are looked at
	paceStretches = 120
)

// pace says how many executions of a Map Run ran, and ended, over its time. Of
// more than mostPaced it is the newest that count.
func (s *Server) pace(r *http.Request) (any, error) {
	if _, err := query(r); err != nil {
		return nil, err
	}
	v, _, err := s.mapRun(r.Context(), r.PathValue("arn"))
	if err != nil {
		return nil, err
	}
	list, err := s.children(r.Context(), v.Record, nil, mostPaced)
	if err != nil {
		return nil, err
	}
	from, to := v.Record.StartedAt, v.Record.StoppedAt
	if to == 0 {
		to = s.cfg.Now().UnixMilli()
	}
	from, to, all := paceOf(list, from, to)
	return map[string]any{"from": moment(from), "to": moment(to), "pace": all, "complete": len(list) < mostPaced, "recent_only": v.Record.Express}, nil
}

// paceOf counts executions over a time, which grows to where they lie.
func paceOf(list []store.Execution, from, to int64) (int64, int64, []Pace) {
	for i := range list {
		from, to = min(from, list[i].StartedAt), max(to, list[i].StoppedAt)
	}
	to = max(to, from+1)
	stretch := func(at int64) int { return min(int((at-from)*paceStretches/(to-from)), paceStretches-1) }
	edge := func(i int) float64 { return float64(from) + float64(to-from)*float64(i)/paceStretches }
	all := make([]Pace, paceStretches)
	for i := range list {
		x := &list[i]
		end := x.StoppedAt
		if end == 0 {
			end = to
		} else {
			p := &all[stretch(end)]
			p.Ended++
			if x.Status != engine.Succeeded {
				p.Failed++
			}
		}
		for at := stretch(x.StartedAt); at <= stretch(end); at++ {
			all[at].Running += max(0, min(float64(end), edge(at+1))-max(float64(x.StartedAt), edge(at)))
		}
	}
	for i := range all {
		all[i].Running = math.Round(all[i].Running/(edge(1)-edge(0))*100) / 100
		all[i].At = moment(int64(edge(i + 1)))
	}
	return from, to, all
}
