package control_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/lockstep-run/lockstep/internal/control"
	"github.com/lockstep-run/lockstep/internal/store"
	"github.com/lockstep-run/lockstep/internal/store/memory"
	"github.com/lockstep-run/lockstep/internal/store/storetest"
)

func TestAnAgentIsChanged(t *testing.T) {
	w := start(t)
	ok[*control.Project](w)(w.CreateProject(ctx, w.as("ann"), control.NewProject{Key: "OPS"}))
	w.task(control.NewTask{Title: "A", Assignee: "@writer"})
	w.task(control.NewTask{Title: "B", Assignee: "@writer"})
	token := w.claim("writer", "WEB-1").LeaseToken
	slots, role, projects := 4, "lead", []string{"OPS"}
	a := ok[*control.Agent](w)(w.UpdateAgent(ctx, w.as("ann"), "writer", control.UpdateAgent{Slots: &slots, Role: &role, Connection: json.RawMessage(`{"url":"http://x"}`)}))
	if a.Slots != 4 || a.Role != "lead" || string(a.Connection) != `{"url":"http://x"}` || len(a.Projects) != 1 {
		t.Errorf("%+v", a)
	}
	old := w.as("ann")
	old.Version = a.Version - 1
	w.refused(second(w.UpdateAgent(ctx, old, "writer", control.UpdateAgent{Slots: &slots})), control.VersionConflict)
	slots = 0
	w.refused(second(w.UpdateAgent(ctx, w.as("ann"), "writer", control.UpdateAgent{Slots: &slots})), control.InvalidInput)
	w.refused(second(w.UpdateAgent(ctx, w.as("rob"), "writer", control.UpdateAgent{})), control.Forbidden)
	w.refused(second(w.UpdateAgent(ctx, w.as("writer"), "writer", control.UpdateAgent{Role: &role})), control.Forbidden)

	// Who manages one project neither puts an agent into another nor takes it out.
	mia := ok[*control.Person](w)(w.CreateUser(ctx, w.as("ann"), control.NewUser{Name: "mia"}))
	w.ids["mia"] = control.User(mia.ID)
	if err := w.SetRole(ctx, w.as("ann"), "mia", "WEB", control.Admin); err != nil {
		t.Fatal(err)
	}
	w.refused(second(w.UpdateAgent(ctx, w.as("mia"), "writer", control.UpdateAgent{Projects: &projects})), control.NotFound)
	w.refused(second(w.CreateAgent(ctx, w.as("mia"), control.NewAgent{Slug: "spy", Projects: []string{"WEB", "OPS"}})), control.NotFound)

	ok[*control.Agent](w)(w.UpdateAgent(ctx, w.as("ann"), "writer", control.UpdateAgent{Projects: &projects}))
	if a = ok[*control.Agent](w)(w.Agent(ctx, w.as("ann"), "writer")); len(a.Projects) != 1 || a.Projects[0] == ok[*control.Project](w)(w.Project(ctx, w.as("ann"), "WEB")).ID {
		t.Errorf("it is in %v", a.Projects)
	}
	if a.Connection == nil {
		t.Error("the connection went without being asked to")
	}
	for _, key := range []string{"WEB-1", "WEB-2"} {
		if task := w.state(key, control.Inbox); task.Assignee != "" {
			t.Errorf("%s is still of %s", key, task.Assignee)
		}
	}
	w.refused(second(w.Submit(ctx, w.as("writer"), "WEB-1", token, control.Submission{Summary: "late"})), control.NotFound)
}

func TestTheRecordOfAStatus(t *testing.T) {
	w := start(t)
	w.task(control.NewTask{Title: "A", Assignee: "@writer"})
	w.claim("writer", "WEB-1")
	ok[*control.Task](w)(w.Cancel(ctx, w.as("ann"), "WEB-1", ""))
	var got []string
	for before := int64(0); ; {
		list, more, err := w.StatusHistory(ctx, w.as("ann"), "writer", before, 1)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range list {
			got = append(got, c.From+">"+c.To)
		}
		if before = more; more == 0 {
			break
		}
	}
	if got, want := strings.Join(got, " "), "working>idle never_seen>working"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

func TestMessagesToAnAgent(t *testing.T) {
	w := start(t)
	ok[*control.Message](w)(w.SendMessage(ctx, w.as("ann"), "writer", "be brief"))
	ok[*control.Message](w)(w.SendMessage(ctx, w.as("boss"), "@writer", "be quick"))
	o := ok[*control.Offer](w)(w.Fetch(ctx, w.as("writer")))
	if o == nil || o.Wakeup.Note != "Message of @ann:\nbe brief\n\nMessage of @boss:\nbe quick" {
		t.Fatalf("the agent gets %+v", o)
	}
	ok[*control.Message](w)(w.SendMessage(ctx, w.as("ann"), "writer", "thanks"))
	again := ok[*control.Offer](w)(w.Fetch(ctx, w.as("writer")))
	if again == nil || again.Wakeup.Note != "Message of @ann:\nthanks" || again.Delivery == o.Delivery {
		t.Errorf("the agent gets %+v after %s", again, o.Delivery)
	}
	for _, who := range []string{"ann", "writer", "boss"} {
		if list, _, err := w.Messages(ctx, w.as(who), "writer", control.Page{}); err != nil || len(list) != 3 {
			t.Errorf("%s reads %d messages: %v", who, len(list), err)
		}
	}
	w.refused(second(w.SendMessage(ctx, w.as("writer"), "editor", "hello")), control.Forbidden)
	_, _, err := w.Messages(ctx, w.as("editor"), "writer", control.Page{})
	w.refused(err, control.Forbidden)
}

func TestATaskIsDeleted(t *testing.T) {
	w := start(t)
	for range 3 {
		w.task(control.NewTask{Title: "A", Assignee: "@writer"})
	}
	ok[*control.Task](w)(w.AddDependency(ctx, w.as("ann"), "WEB-2", control.DependsOn{Task: "WEB-1"}))
	ok[*control.Comment](w)(w.Comment(ctx, w.as("ann"), "WEB-1", "hello"))
	w.refused(w.DeleteTask(ctx, w.as("ann"), "WEB-1"), control.GateClosed)
	w.refused(w.DeleteTask(ctx, w.as("rob"), "WEB-3"), control.Forbidden)
	w.refused(w.DeleteTask(ctx, w.as("boss"), "WEB-3"), control.Forbidden)
	ok[*control.Task](w)(w.Cancel(ctx, w.as("ann"), "WEB-2", ""))
	for _, key := range []string{"WEB-1", "WEB-2"} {
		if err := w.DeleteTask(ctx, w.as("ann"), key); err != nil {
			t.Fatal(err)
		}
		w.refused(second(w.Task(ctx, w.as("ann"), key)), control.NotFound)
	}
	w.claim("writer", "WEB-3")
	w.refused(w.DeleteTask(ctx, w.as("ann"), "WEB-3"), control.InvalidTransition)
	ok[*control.View](w)(w.View(ctx, w.as("ann"), "WEB-3"))
	list, _, err := w.Activity(ctx, w.as("ann"), control.ActivityQuery{Types: []string{"task.deleted"}})
	if err != nil || len(list) != 2 {
		t.Errorf("the feed tells of %d deletions: %v", len(list), err)
	}
	if left := ok[[]store.Found](w)(w.store.Records(ctx, store.Prefix("comment", "task/", 10))); len(left) > 0 {
		t.Errorf("%d comments are left", len(left))
	}
}

func TestTemplates(t *testing.T) {
	w := start(t)
	made := ok[*control.Template](w)(w.CreateTemplate(ctx, w.as("rob"), control.NewTemplate{Project: "WEB", Name: "page",
		Task: control.NewTask{Title: "A page", Labels: []string{"page"}, Priority: control.High, Assignee: "@writer"}}))
	task := ok[*control.Task](w)(w.CreateTask(ctx, w.as("rob"), control.NewTask{Project: "WEB", Template: "page", Title: "The first page"}))
	if task.Title != "The first page" || task.Priority != control.High || task.State != control.Assigned || len(task.Labels) != 1 {
		t.Errorf("%+v", task)
	}
	w.refused(second(w.CreateTask(ctx, w.as("rob"), control.NewTask{Project: "WEB", Template: "pages"})), control.NotFound)
	w.refused(second(w.CreateTemplate(ctx, w.as("rob"), control.NewTemplate{Project: "WEB", Name: "page"})), control.AlreadyExists)
	w.refused(second(w.CreateTemplate(ctx, w.as("boss"), control.NewTemplate{Project: "WEB", Name: "x"})), control.Forbidden)
	change := control.NewTask{Title: "Another page"}
	ok[*control.Template](w)(w.UpdateTemplate(ctx, w.as("ann"), made.ID, control.UpdateTemplate{Task: &change}))
	if task := ok[*control.Task](w)(w.CreateTask(ctx, w.as("writer"), control.NewTask{Template: made.ID})); task.Title != "Another page" || task.Key != "WEB-2" {
		t.Errorf("%+v", task)
	}
	if err := w.DeleteTemplate(ctx, w.as("rob"), made.ID); err != nil {
		t.Fatal(err)
	}
	if list, _, err := w.Templates(ctx, w.as("ann"), "WEB", control.Page{}); len(list) > 0 || err != nil {
		t.Errorf("%v is left: %v", list, err)
	}
}

// every is a time that comes again after as long.
type every time.Duration

func (d every) Next(after, anchor time.Time) (time.Time, bool) {
	n := after.Sub(anchor)/time.Duration(d) + 1
	return anchor.Add(n * time.Duration(d)), true
}

func timed() control.Config {
	return control.Config{Times: func(expression, _ string) (control.Times, error) {
		d, err := time.ParseDuration(expression)
		return every(d), err
	}}
}

func (w *world) titles() string {
	w.Helper()
	rows, _, err := w.Tasks(ctx, w.as("ann"), control.TaskQuery{Page: control.Page{Limit: 200}})
	if err != nil {
		w.Fatal(err)
	}
	var all []string
	for _, r := range rows {
		all = append(all, r.Title)
	}
	return strings.Join(all, " ")
}

func TestTasksRecur(t *testing.T) {
	for missed, want := range map[control.Missed]string{
		control.MissedSkip: "at09:00",
		control.MissedOne:  "at09:00 at14:00",
		control.MissedAll:  "at09:00 at12:00 at13:00 at14:00",
	} {
		w := newWorld(t, memory.New(), timed(), control.Policies{})
		r := ok[*control.Recurring](w)(w.CreateRecurring(ctx, w.as("rob"), control.NewRecurring{Project: "WEB", Name: "hourly", Expression: "1h",
			Task: control.NewTask{Title: "at{time}", Assignee: "@writer"}, Missed: missed, MissedMax: 3, DueIn: 3600}))
		w.wait(time.Hour) // 9:00
		w.now = w.now.Add(5*time.Hour + 30*time.Minute)
		w.wait(0) // 14:30, after some time in which nobody looked
		if got := w.titles(); got != want {
			t.Errorf("%s: %s, want %s", missed, got, want)
		}
		r = ok[*control.Recurring](w)(w.Recurring(ctx, w.as("ann"), r.ID))
		if next := r.NextAt.Format("15:04"); next != "15:00" || r.Made != int64(len(strings.Fields(want))) {
			t.Errorf("%s: next at %s, %d made", missed, next, r.Made)
		}
		first := ok[*control.Task](w)(w.Task(ctx, w.as("ann"), "WEB-1"))
		if first.CreatedBy != w.ids["rob"] || first.Recurring != r.ID || first.DueAt.Format("15:04") != "10:00" || first.State != control.Assigned {
			t.Errorf("%+v", first)
		}
		paused := true
		ok[*control.Recurring](w)(w.UpdateRecurring(ctx, w.as("ann"), r.ID, control.UpdateRecurring{Paused: &paused}))
		w.wait(10 * time.Hour)
		if got := w.titles(); got != want {
			t.Errorf("%s: %s while it is paused", missed, got)
		}
	}
}

func TestARecurringTaskThatIsRefused(t *testing.T) {
	w := newWorld(t, memory.New(), timed(), control.Policies{})
	for i, in := range []control.NewTask{{Title: "bad", Assignee: "@editor"}, {Title: "good"}} {
		ok[*control.Recurring](w)(w.CreateRecurring(ctx, w.as("rob"), control.NewRecurring{Project: "WEB", Name: fmt.Sprint("r", i), Expression: "1h", Task: in}))
	}
	ok[*control.Agent](w)(w.Retire(ctx, w.as("ann"), "editor"))
	w.wait(time.Hour)
	if got := w.titles(); got != "good" {
		t.Error(got)
	}
	list, _, err := w.RecurringTasks(ctx, w.as("ann"), "WEB", control.Page{})
	if err != nil || len(list) != 2 || list[0].LastError == "" || list[0].NextAt != w.now.Add(time.Hour) {
		t.Errorf("%+v: %v", list, err)
	}
	// The number of the task that was refused is not used up.
	if _, err := w.Task(ctx, w.as("ann"), "WEB-1"); err != nil {
		t.Error(err)
	}
}

// crashing fails the nth write, before or after it is kept.
type crashing struct {
	control.Writer
	n     int
	after bool
}

var errCrash = errors.New("crash")

func (c *crashing) Write(ctx context.Context, do func(ctx context.Context, tx store.Tx) error) error {
	c.n--
	if c.n != 0 {
		return c.Writer.Write(ctx, do)
	}
	if c.after {
		if err := c.Writer.Write(ctx, do); err != nil {
			return err
		}
	}
	return errCrash
}

func TestATimeMakesOneTaskAfterACrash(t *testing.T) {
	crashed := 0
	for n := 1; n <= 12; n++ {
		for _, after := range []bool{false, true} {
			w := newWorld(t, memory.New(), timed(), control.Policies{})
			for i := range 2 {
				ok[*control.Recurring](w)(w.CreateRecurring(ctx, w.as("rob"), control.NewRecurring{Project: "WEB", Name: fmt.Sprint("r", i), Expression: "1h",
					Task: control.NewTask{Title: fmt.Sprintf("%d@{time}", i)}, Missed: control.MissedAll}))
			}
			w.now = w.now.Add(3 * time.Hour)
			b, err := control.New(w.store, &crashing{Writer: &storetest.Direct{Store: w.store}, n: n, after: after}, timed())
			if err != nil {
				t.Fatal(err)
			}
			if _, err := b.Sweep(ctx, w.now); err != nil {
				if !errors.Is(err, errCrash) {
					t.Fatal(err)
				}
				crashed++
			}
			w.wait(0)
			if got, want := w.titles(), "0@09:00 0@10:00 0@11:00 1@09:00 1@10:00 1@11:00"; sorted(got) != want {
				t.Errorf("a crash at write %d (after it: %v): %s", n, after, got)
			}
		}
	}
	if crashed < 10 {
		t.Errorf("only %d crashes", crashed)
	}
}

func sorted(words string) string {
	return strings.Join(slices.Sorted(slices.Values(strings.Fields(words))), " ")
}
