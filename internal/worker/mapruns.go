package worker

import (
	"strings"

	"github.com/lockstep-run/lockstep/internal/engine"
	"github.com/lockstep-run/lockstep/internal/store"
)

// mapRunName is what the ARN of a Map Run ends in.
func mapRunName(arn string) string { return arn[strings.LastIndexByte(arn, ':')+1:] }

// gatherMapRuns turns the commands about Map Runs into part of a commit, so that
// no run is known to history alone.
func (w *Worker) gatherMapRuns(c *store.ExecutionCommit, commands []engine.Command) {
	for _, command := range commands {
		switch cmd := command.(type) {
		case *engine.StartMapRun:
			c.MapRuns = append(c.MapRuns, store.MapRunChange{
				Name: mapRunName(cmd.Run.ARN), Task: cmd.Task, State: cmd.Run.State, Label: cmd.Run.Label,
				Express: cmd.Run.Express, Redrives: cmd.Run.Redrives, At: w.now().UnixMilli(),
			})
		case *engine.StopMapRun:
			c.MapRuns = append(c.MapRuns, store.MapRunChange{Name: mapRunName(cmd.ARN), Stop: true})
		}
	}
}

func (w *Worker) startMapRun(x *execution, cmd *engine.StartMapRun) {
	if w.cfg.MapRuns != nil {
		w.cfg.MapRuns.Start(x.id, cmd)
		return
	}
	name, cause := "States.Runtime", "Distributed Maps are not run here."
	w.post(w.ctx, x.id, delivery{ev: engine.MapRunEnded{At: w.now(), Task: cmd.Task, Error: &name, Cause: &cause}})
}
