package control_test

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/lockstep-run/lockstep/internal/control"
	"github.com/lockstep-run/lockstep/internal/store/memory"
)

// reads are all methods of the board that tell a caller something, each asked
// for what there is of one kind or for one thing by its name.
func reads(w *world, c control.Call, ref string) map[string]func() (any, error) {
	one := func(v any, err error) (any, error) { return v, err }
	page := func(rows any, _ any, err error) (any, error) { return rows, err }
	most := control.Page{Limit: 200}
	return map[string]func() (any, error){
		"Task":            func() (any, error) { return one(w.Task(ctx, c, ref)) },
		"View":            func() (any, error) { return one(w.View(ctx, c, ref)) },
		"Why":             func() (any, error) { return one(w.Why(ctx, c, ref)) },
		"Project":         func() (any, error) { return one(w.Project(ctx, c, ref)) },
		"Agent":           func() (any, error) { return one(w.Agent(ctx, c, ref)) },
		"AgentStatus":     func() (any, error) { return one(w.AgentStatus(ctx, c, ref)) },
		"AgentWithStatus": func() (any, error) { return one(w.AgentWithStatus(ctx, c, ref)) },
		"MayManage":       func() (any, error) { return nil, w.MayManage(ctx, c, ref) },
		"User":            func() (any, error) { return one(w.User(ctx, c, ref)) },
		"Review":          func() (any, error) { return one(w.Review(ctx, c, ref)) },
		"Deliverable":     func() (any, error) { return one(w.Deliverable(ctx, c, ref)) },
		"Blob": func() (any, error) {
			data, err := w.Blob(ctx, c, ref)
			return string(data), err
		},
		"Feed":       func() (any, error) { return page(w.Feed(ctx, c, 0, 1<<20)) },
		"Activity":   func() (any, error) { return page(w.Activity(ctx, c, control.ActivityQuery{Limit: 200})) },
		"Activity 2": func() (any, error) { return page(w.Activity(ctx, c, control.ActivityQuery{Project: ref, Limit: 200})) },
		"Activity 3": func() (any, error) { return page(w.Activity(ctx, c, control.ActivityQuery{Task: ref, Limit: 200})) },
		"Activity 4": func() (any, error) { return page(w.Activity(ctx, c, control.ActivityQuery{Agent: ref, Limit: 200})) },
		"Projects":   func() (any, error) { return page(w.Projects(ctx, c, most)) },
		"Agents":     func() (any, error) { return page(w.Agents(ctx, c, control.AgentQuery{Page: most})) },
		"Agents 2":   func() (any, error) { return page(w.Agents(ctx, c, control.AgentQuery{Project: ref, Page: most})) },
		"Users":      func() (any, error) { return page(w.Users(ctx, c, most)) },
		"Tasks":      func() (any, error) { return page(w.Tasks(ctx, c, control.TaskQuery{Page: most})) },
		"Tasks 2":    func() (any, error) { return page(w.Tasks(ctx, c, control.TaskQuery{Project: ref, Page: most})) },
		"Tasks 3": func() (any, error) {
			return page(w.Tasks(ctx, c, control.TaskQuery{Assignee: control.Party(ref), Page: most}))
		},
		"Tasks 4": func() (any, error) { return page(w.Tasks(ctx, c, control.TaskQuery{Parent: ref, Page: most})) },
		"Tasks 5": func() (any, error) { return page(w.Tasks(ctx, c, control.TaskQuery{Execution: "exec", Page: most})) },
		"Tasks 6": func() (any, error) {
			return page(w.Tasks(ctx, c, control.TaskQuery{Reviewer: control.Party(ref), Page: most}))
		},
		"Tasks 7": func() (any, error) {
			return page(w.Tasks(ctx, c, control.TaskQuery{Sort: control.ByUpdate, Page: most}))
		},
		"Attempts":    func() (any, error) { return page(w.Attempts(ctx, c, control.AttemptQuery{Task: ref, Page: most})) },
		"Attempts 2":  func() (any, error) { return page(w.Attempts(ctx, c, control.AttemptQuery{Agent: ref, Page: most})) },
		"Reviews":     func() (any, error) { return page(w.Reviews(ctx, c, control.ReviewQuery{Page: most})) },
		"Reviews 2":   func() (any, error) { return page(w.Reviews(ctx, c, control.ReviewQuery{Status: "closed", Page: most})) },
		"Reviews 3":   func() (any, error) { return page(w.Reviews(ctx, c, control.ReviewQuery{Project: ref, Page: most})) },
		"ReviewInbox": func() (any, error) { return page(w.ReviewInbox(ctx, c, most)) },
		"Comments":    func() (any, error) { return page(w.Comments(ctx, c, ref, most)) },
		"Deliverables": func() (any, error) {
			return page(w.Deliverables(ctx, c, ref, most))
		},
		"Messages": func() (any, error) { return page(w.Messages(ctx, c, ref, most)) },
		"StatusHistory": func() (any, error) {
			return page(w.StatusHistory(ctx, c, ref, 0, 200))
		},
		"Template":         func() (any, error) { return one(w.Template(ctx, c, ref)) },
		"Templates":        func() (any, error) { return page(w.Templates(ctx, c, "", most)) },
		"Templates 2":      func() (any, error) { return page(w.Templates(ctx, c, ref, most)) },
		"Recurring":        func() (any, error) { return one(w.Recurring(ctx, c, ref)) },
		"RecurringTasks":   func() (any, error) { return page(w.RecurringTasks(ctx, c, "", most)) },
		"RecurringTasks 2": func() (any, error) { return page(w.RecurringTasks(ctx, c, ref, most)) },
		"Handoffs":         func() (any, error) { return page(w.Handoffs(ctx, c, ref, most)) },
		"Tasks 8": func() (any, error) {
			return page(w.Tasks(ctx, c, control.TaskQuery{Project: ref, Cards: true, Page: most}))
		},
		"Counts":       func() (any, error) { return one(w.Counts(ctx, c, ref)) },
		"Around":       func() (any, error) { return one(w.Around(ctx, c, ref)) },
		"Dependencies": func() (any, error) { return one(w.Dependencies(ctx, c, ref)) },
		"ReviewDetail": func() (any, error) { return one(w.ReviewDetail(ctx, c, ref)) },

		"Ready": func() (any, error) {
			_, why, err := w.Ready(ctx, c, ref)
			return why, err
		},
		"Holds":          func() (any, error) { return one(w.Holds(ctx, c)) },
		"UnreadMentions": func() (any, error) { return one(w.UnreadMentions(ctx, c)) },
		"LastAttempt":    func() (any, error) { return one(w.LastAttempt(ctx, c, ref)) },
		"Attempt":        func() (any, error) { return one(w.Attempt(ctx, c, ref)) },
		"CallBy":         func() (any, error) { return one(w.CallBy(ctx, c, control.Party(ref))) },
		"Stint":          func() (any, error) { return one(w.Stint(ctx, c, ref)) },
		"Stints":         func() (any, error) { return one(w.Stints(ctx, c, ref, c.At)) },
		"StintsOf":       func() (any, error) { return one(w.StintsOf(ctx, c, ref)) },
		"Scope":          func() (any, error) { return page(w.Scope(ctx, c)) },
	}
}

// others are the methods of the board that change something, and those that only
// the server itself calls.
var others = strings.Fields(`CommentAt AcceptHandoff AddDeliverable AddDependency AnswerBlock Assign Block BudgetChanged Cancel Claim Comment
	Connect CreateAgent CreateProject CreateRecurring CreateTask CreateTemplate CreateUser CreateWorkspace Decide DeclineHandoff Delegate DeleteRecurring
	DeleteTask DeleteTemplate EndReview EndWait Fail Fetch Hears In KeepAlive LeaseOf May MayConnect Newest Next NotSent OfferHandoff OverBudget Pause Progress Pushed PutBlob Queued
	ReadMentions Release ReleaseMentions RemoveDependency RemoveUser Reopen RequestReview Resume Retire Retry ReviewOf RunEnded SendMessage Sent SetRole Signal
	Snooze Submit Sweep TaskOf Tell Unassign Unblock Update UpdateAgent UpdateProject UpdateRecurring UpdateTemplate UpdateUser Wake Withdraw`)

func TestEveryReadIsOneOrTheOther(t *testing.T) {
	w := start(t)
	known := reads(w, w.as("ann"), "")
	board := reflect.TypeFor[*control.Board]()
	for i := range board.NumMethod() {
		name := board.Method(i).Name
		if known[name] == nil && !slices.Contains(others, name) {
			t.Errorf("Board.%s is new: if it tells a caller something, add it to reads in this file, which checks that outsiders learn nothing by it; else to others", name)
		}
	}
}

func (w *world) made(in control.NewTask) *control.Task {
	w.Helper()
	return ok[*control.Task](w)(w.CreateTask(ctx, w.as("ann"), in))
}

// closed makes a project OPS in which there is something of every kind, and
// returns the names of it all. Each text in it says "confidential".
func (w *world) closed() (refs []string) {
	w.Helper()
	ok[*control.Project](w)(w.CreateProject(ctx, w.as("ann"), control.NewProject{Key: "OPS", Name: "confidential project"}))
	ops := ok[*control.Project](w)(w.Project(ctx, w.as("ann"), "OPS"))
	oz := ok[*control.Person](w)(w.CreateUser(ctx, w.as("ann"), control.NewUser{Name: "oz", Display: "confidential user", Email: "oz@confidential"}))
	if err := w.SetRole(ctx, w.as("ann"), "oz", "OPS", control.Reviewer); err != nil {
		w.Fatal(err)
	}
	w.ids["oz"] = control.User(oz.ID)
	agent := ok[*control.Agent](w)(w.CreateAgent(ctx, w.as("ann"), control.NewAgent{Slug: "op", Name: "confidential agent", Projects: []string{"OPS"},
		Connection: json.RawMessage(`{"url":"confidential"}`), Slots: 3}))
	w.ids["op"] = control.AgentParty(agent.ID)
	blob := ok[string](w)(w.PutBlob(ctx, []byte("confidential bytes")))
	refs = []string{"OPS", ops.ID, "op", "@op", agent.ID, "agent:" + agent.ID, "oz", oz.ID, "user:oz", blob}
	for range 3 {
		t := w.made(control.NewTask{Project: "OPS", Title: "confidential title", Description: "confidential text", Assignee: "@op",
			Labels: []string{"confidential"}, Input: json.RawMessage(`"confidential"`), Reviewers: []control.Party{"oz"}})
		refs = append(refs, t.Key, t.ID)
	}
	source := &control.Source{Execution: "exec", State: "confidential", Entry: "1", Waiting: true}
	bound := ok[*control.Task](w)(w.CreateTask(ctx, w.system(), control.NewTask{Project: "OPS", Title: "confidential bound", Source: source, Parent: "OPS-1"}))
	ok[*control.Task](w)(w.AddDependency(ctx, w.as("ann"), "OPS-3", control.DependsOn{Task: "OPS-2", PassDeliverables: true}))
	refs = append(refs, bound.Key, bound.ID)
	token := w.claim("op", "OPS-1").LeaseToken
	ok[control.Progressed](w)(w.Progress(ctx, w.as("op"), "OPS-1", token, "confidential note", 10))
	d := ok[*control.Deliverable](w)(w.AddDeliverable(ctx, w.as("op"), "OPS-1", token, control.NewDeliverable{Kind: "file", Title: "confidential", Blob: blob}))
	r := w.submit("op", "OPS-1", token)
	refs = append(refs, d.ID, r.ID)
	token = w.claim("op", "OPS-2").LeaseToken
	ok[*control.Task](w)(w.Block(ctx, w.as("op"), "OPS-2", token, control.Blocking{Kind: "question", Reason: "confidential", Action: "confidential", Owner: "oz"}))
	ok[*control.Comment](w)(w.Comment(ctx, w.as("op"), "OPS-1", "confidential comment, @oz"))
	ok[*control.Review](w)(w.Decide(ctx, w.as("oz"), r.ID, control.Decision{Verdict: "changes_requested", Comment: "confidential verdict"}))
	ok[*control.Message](w)(w.SendMessage(ctx, w.as("oz"), "op", "confidential message"))
	template := ok[*control.Template](w)(w.CreateTemplate(ctx, w.as("oz"), control.NewTemplate{Project: "OPS", Name: "confidential", Task: control.NewTask{Title: "confidential"}}))
	again := ok[*control.Recurring](w)(w.CreateRecurring(ctx, w.as("oz"), control.NewRecurring{Project: "OPS", Name: "confidential", Expression: "1h",
		Task: control.NewTask{Title: "confidential"}}))
	return append(refs, template.ID, again.ID)
}

func TestOutsidersSeeNothingOfAProject(t *testing.T) {
	w := newWorld(t, memory.New(), timed(), control.Policies{})
	refs := append(w.closed(), "", "me", "none")
	own := w.made(control.NewTask{Project: "WEB", Title: "Open to all of WEB", Assignee: "@writer"})
	for _, name := range []string{"guest", "mia", "gone"} {
		w.ids[name] = control.User(ok[*control.Person](w)(w.CreateUser(ctx, w.as("ann"), control.NewUser{Name: name})).ID)
	}
	for _, name := range []string{"mia", "gone"} {
		if err := w.SetRole(ctx, w.as("ann"), name, "WEB", control.Owner); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.RemoveUser(ctx, w.as("ann"), "gone"); err != nil {
		t.Fatal(err)
	}
	loose := ok[*control.Agent](w)(w.CreateAgent(ctx, w.as("ann"), control.NewAgent{Slug: "loose"}))
	w.ids["loose"], w.ids["nobody"] = control.AgentParty(loose.ID), ""
	for _, who := range []string{"writer", "boss", "mia", "guest", "gone", "loose", "nobody"} {
		for _, ref := range refs {
			for name, read := range reads(w, w.as(who), ref) {
				got, err := read()
				text := fmt.Sprint(err)
				if err == nil {
					b, err := json.Marshal(got)
					if err != nil {
						t.Fatal(err)
					}
					text = string(b)
				}
				if ref != "" { // what they said themselves tells them nothing
					text = strings.ReplaceAll(text, strings.TrimPrefix(ref, "agent:"), "…")
				}
				told := slices.ContainsFunc(refs, func(r string) bool { return len(r) > 20 && strings.Contains(text, r) })
				if told || strings.Contains(text, "confidential") || strings.Contains(text, "OPS-") && err == nil {
					t.Errorf("%s learns by %s %q: %s", who, name, ref, text)
				}
				if known, unknown := err, second(reads(w, w.as(who), strings.Repeat("z", max(3, len(ref))))[name]()); ref != "" && ref != "me" && ref != "none" && (known == nil) != (unknown == nil) {
					t.Errorf("%s can tell by %s that there is %q: %v, and of what is not there: %v", who, name, ref, known, unknown)
				}
			}
		}
	}
	for who, sees := range map[string]bool{"writer": true, "mia": true, "rob": true, "guest": false, "gone": false, "loose": false} {
		if _, err := w.Task(ctx, w.as(who), own.Key); (err == nil) != sees {
			t.Errorf("%s asks for %s: %v", who, own.Key, err)
		}
		rows, _, _ := w.Tasks(ctx, w.as(who), control.TaskQuery{Label: ""})
		if has := slices.ContainsFunc(rows, func(r control.TaskRow) bool { return r.Key == own.Key }); has != sees {
			t.Errorf("%s sees %s in the list: %v", who, own.Key, has)
		}
	}
	// Nor by what they may do.
	w.refused(second(w.Update(ctx, w.as("writer"), own.Key, control.UpdateTask{})), control.Forbidden) // which holds no lease of it
	for _, who := range []string{"writer", "boss", "mia"} {
		if who != "writer" {
			w.refused(second(w.AddDependency(ctx, w.as(who), own.Key, control.DependsOn{Task: "OPS-1", PassDeliverables: true})), control.NotFound)
		}
		w.refused(second(w.CreateTask(ctx, w.as(who), control.NewTask{Project: "WEB", Title: "x", Parent: "OPS-1"})), control.NotFound)
		w.refused(second(w.Update(ctx, w.as(who), "OPS-1", control.UpdateTask{})), control.NotFound)
	}
}

func TestConnectionsAndAddressesAreHidden(t *testing.T) {
	w := newWorld(t, memory.New(), timed(), control.Policies{})
	w.closed()
	for who, sees := range map[string]bool{"ann": true, "op": true, "oz": false, "rob": false} {
		a := ok[*control.Agent](w)(w.Agent(ctx, w.as(who), "op"))
		if (a.Connection != nil) != sees {
			t.Errorf("%s sees the connection %s", who, a.Connection)
		}
	}
	for who, sees := range map[string]bool{"ann": true, "oz": true, "op": false, "rob": false} {
		if u := ok[*control.Person](w)(w.User(ctx, w.as(who), "oz")); (u.Email != "") != sees {
			t.Errorf("%s sees the address %q", who, u.Email)
		}
	}
}

func TestListsOfTasks(t *testing.T) {
	w := start(t)
	ok[*control.Project](w)(w.CreateProject(ctx, w.as("ann"), control.NewProject{Key: "OPS"}))
	add := func(in control.NewTask) *control.Task {
		w.now = w.now.Add(time.Minute)
		return w.made(in)
	}
	add(control.NewTask{Project: "WEB", Title: "Write the page", Labels: []string{"text", "page"}, Rank: "b", Description: "in blue"})      // WEB-1
	add(control.NewTask{Project: "OPS", Title: "Move the server", Priority: control.Urgent, Rank: "a"})                                     // OPS-1
	add(control.NewTask{Project: "WEB", Title: "Read the page", Priority: control.Low, DependsOn: []control.DependsOn{{Task: "WEB-1"}}})    // WEB-2
	add(control.NewTask{Project: "WEB", Title: "Print", Assignee: "@writer", Parent: "WEB-1", Reviewers: []control.Party{"role:reviewer"}}) // WEB-3
	w.now = w.now.Add(time.Minute)
	since := w.now
	ok[*control.Task](w)(w.Update(ctx, w.as("ann"), "WEB-2", control.UpdateTask{}))

	want := func(q control.TaskQuery, want string) {
		t.Helper()
		for _, n := range []int{200, 1, 2} { // in one page and in many
			q.Page = control.Page{Limit: n}
			var keys []string
			for {
				rows, next, err := w.Tasks(ctx, w.as("ann"), q)
				if err != nil {
					t.Fatal(err)
				}
				for _, r := range rows {
					keys = append(keys, r.Key)
				}
				if q.Cursor = next; next == "" {
					break
				}
			}
			if got := strings.Join(keys, " "); got != want {
				t.Errorf("%+v: %s, want %s", q, got, want)
			}
		}
	}
	want(control.TaskQuery{}, "OPS-1 WEB-1 WEB-3 WEB-2")
	want(control.TaskQuery{Sort: control.ByRank}, "OPS-1 WEB-1 WEB-2 WEB-3")
	want(control.TaskQuery{Sort: control.ByUpdate}, "WEB-2 WEB-3 OPS-1 WEB-1")
	want(control.TaskQuery{Sort: control.ByUpdate, UpdatedSince: since}, "WEB-2")
	want(control.TaskQuery{UpdatedSince: since}, "WEB-2")
	want(control.TaskQuery{Project: "WEB"}, "WEB-1 WEB-3 WEB-2")
	want(control.TaskQuery{States: []control.State{control.Assigned}}, "WEB-3")
	want(control.TaskQuery{Assignee: "@writer"}, "WEB-3")
	want(control.TaskQuery{Assignee: "writer", Sort: control.ByRank}, "WEB-3")
	want(control.TaskQuery{Assignee: "me"}, "")
	want(control.TaskQuery{Assignee: "none", Project: "WEB"}, "WEB-1 WEB-2")
	want(control.TaskQuery{Reviewer: "user:rob"}, "WEB-3")
	want(control.TaskQuery{Label: "text"}, "WEB-1")
	want(control.TaskQuery{Gate: "closed"}, "WEB-2")
	want(control.TaskQuery{Gate: "open", Project: "WEB"}, "WEB-1 WEB-3")
	want(control.TaskQuery{Parent: "WEB-1"}, "WEB-3")
	want(control.TaskQuery{Q: "PAGE blue"}, "WEB-1")
	want(control.TaskQuery{Q: "page"}, "WEB-1 WEB-2")
	source := &control.Source{Execution: "exec:1", State: "Draft", Entry: "1", Waiting: true}
	ok[*control.Task](w)(w.CreateTask(ctx, w.system(), control.NewTask{Project: "WEB", Title: "Bound", Source: source}))
	want(control.TaskQuery{Execution: "exec:1"}, "WEB-4")
	want(control.TaskQuery{Execution: "exec"}, "")
	for _, q := range []control.TaskQuery{{Sort: "size"}, {Gate: "ajar"}, {States: []control.State{"gone"}}, {Page: control.Page{Cursor: "x"}}} {
		if _, _, err := w.Tasks(ctx, w.as("ann"), q); !control.Is(err, control.InvalidInput) {
			t.Errorf("%+v: %v", q, err)
		}
	}
}
