package control_test

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/lockstep-run/lockstep/internal/control"
)

func TestDesk(t *testing.T) {
	w := start(t)
	w.task(control.NewTask{Title: "draft", Assignee: "writer"})
	w.task(control.NewTask{Title: "publish", DependsOn: []control.DependsOn{{Task: "WEB-1"}}})
	w.task(control.NewTask{Title: "announce", DependsOn: []control.DependsOn{{Task: "WEB-1"}, {Task: "WEB-2"}}})
	lease := w.claim("writer", "WEB-1").LeaseToken
	d := ok[*control.Deliverable](w)(w.AddDeliverable(ctx, w.as("writer"), "WEB-1", lease, control.NewDeliverable{Kind: "text", Title: "Page", Content: "one\ntwo"}))
	r := w.submit("writer", "WEB-1", lease)

	said := ok[*control.Comment](w)(w.CommentAt(ctx, w.as("rob"), "WEB-1", "shorter", control.Anchor{Deliverable: d.ID, Line: 2}))
	if said.Anchor == nil || *said.Anchor != (control.Anchor{Deliverable: d.ID, Line: 2}) {
		t.Errorf("anchor: %+v", said.Anchor)
	}
	w.refused(second(w.CommentAt(ctx, w.as("rob"), "WEB-2", "not its own", control.Anchor{Deliverable: d.ID, Line: 2})), control.InvalidInput)

	rows, _, err := w.Tasks(ctx, w.as("rob"), control.TaskQuery{Project: "WEB", Sort: control.ByRank, Cards: true})
	if err != nil {
		t.Fatal(err)
	}
	at := slices.IndexFunc(rows, func(row control.TaskRow) bool { return row.Key == "WEB-1" })
	if diff := cmp.Diff(&control.Card{Comments: 1, Review: r.ID, Behind: 2}, rows[at].Card); diff != "" {
		t.Errorf("card (-want +got):\n%s", diff)
	}
	counts, err := w.Counts(ctx, w.as("rob"), "WEB")
	if diff := cmp.Diff(map[control.State]int{control.Inbox: 2, control.InReview: 1}, counts); err != nil || diff != "" {
		t.Errorf("counts: %v (-want +got):\n%s", err, diff)
	}

	v := ok[*control.ReviewDetail](w)(w.ReviewDetail(ctx, w.as("rob"), r.ID))
	if !v.MayDecide || v.TaskKey != "WEB-1" || v.Behind != 2 || len(v.Starts) != 1 || v.Starts[0].Key != "WEB-2" {
		t.Errorf("review: %+v", v)
	}
	if v := ok[*control.ReviewDetail](w)(w.ReviewDetail(ctx, w.as("writer"), r.ID)); v.MayDecide {
		t.Error("an agent may decide about its own work")
	}

	keys := func(g *control.Graph) (keys []string) {
		for _, b := range g.Tasks {
			keys = append(keys, b.Key)
		}
		slices.Sort(keys)
		return keys
	}
	near := ok[*control.Graph](w)(w.Around(ctx, w.as("rob"), "WEB-2"))
	if got := keys(near); !slices.Equal(got, []string{"WEB-1", "WEB-2", "WEB-3"}) || len(near.Edges) != 2 || near.Edges[0].Met {
		t.Errorf("around WEB-2: %v %+v", got, near.Edges)
	}
	all := ok[*control.Graph](w)(w.Dependencies(ctx, w.as("rob"), "WEB"))
	if len(keys(all)) != 3 || len(all.Edges) != 3 {
		t.Errorf("the project: %+v", all)
	}
	w.decide("rob", r.ID, "approve")
	if near = ok[*control.Graph](w)(w.Around(ctx, w.as("rob"), "WEB-2")); !slices.ContainsFunc(near.Edges, func(e control.Edge) bool { return e.Met }) {
		t.Errorf("after the approval: %+v", near.Edges)
	}
}

// A task that nobody has moved stands at the end, and there is room before it.
func TestRankOfNewTasks(t *testing.T) {
	w := start(t)
	for range 3 {
		w.task(control.NewTask{})
	}
	first := ok[*control.Task](w)(w.Task(ctx, w.as("ann"), "WEB-1"))
	second := ok[*control.Task](w)(w.Task(ctx, w.as("ann"), "WEB-2"))
	between := first.Rank + "i"
	ok[*control.Task](w)(w.Update(ctx, w.as("ann"), "WEB-3", control.UpdateTask{Rank: &between}))
	rows, _, err := w.Tasks(ctx, w.as("ann"), control.TaskQuery{Project: "WEB", Sort: control.ByRank})
	var got []string
	for _, r := range rows {
		got = append(got, r.Key)
	}
	if err != nil || first.Rank >= second.Rank || !slices.Equal(got, []string{"WEB-1", "WEB-3", "WEB-2"}) {
		t.Errorf("ranks %q, %q; order %v, %v", first.Rank, second.Rank, got, err)
	}
}

func TestTasksOfAMachine(t *testing.T) {
	w := start(t)
	w.task(control.NewTask{})
	source := &control.Source{Execution: "arn:aws:states:us-east-1:123456789012:execution:orders:one", State: "Draft", Entry: "1", Waiting: true}
	ok[*control.Task](w)(w.CreateTask(ctx, w.system(), control.NewTask{Project: "WEB", Title: "Bound", Source: source}))
	for machine, want := range map[string]int{"": 2, "orders": 1, "123456789012:orders": 1, "222222222222:orders": 0, "one": 0} {
		rows, _, err := w.Tasks(ctx, w.as("ann"), control.TaskQuery{Machine: machine})
		if err != nil || len(rows) != want {
			t.Errorf("of machine %q: %d tasks, want %d; %v", machine, len(rows), want, err)
		}
	}
}
