package control_test

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/lockstep-run/lockstep/internal/control"
	"github.com/lockstep-run/lockstep/internal/store"
	"github.com/lockstep-run/lockstep/internal/store/memory"
)

var seeds = flag.Int("seeds", 20, "random boards to play")

// TestInvariants plays boards at random, with agents, people and jumps in time,
// and looks after each step whether these hold:
//
//   - a task is in progress exactly when it has a lease, whose attempt is the
//     only one of the task that runs; an agent holds no more than it has slots;
//   - a task in review has one pending review of its result, and somebody
//     active has that in their inbox; no other task has one;
//   - a task is blocked exactly when it says by what, and by whom it is undone; not
//     by dependencies that are met;
//   - a task of the inbox has no assignee, one that is assigned, in progress, blocked
//     or in review has one;
//   - what was claimed had an open gate; dependencies and held parents make no
//     cycle;
//   - every stale token is refused and changes nothing;
//   - no wakeup is lost: an assigned task of an agent with an open gate has one
//     queued, sent or reported as failed, or the agent may not begin anything, or has no
//     slot left beside what it works on and was woken for;
//   - no agent is woken beyond its slots, none that is paused;
//   - events are numbered without gaps, and those of a task lead from state to
//     state by rows of the table: what is done leaves that by reopen alone;
//   - the status of an agent that was last told is the one it has.
func TestInvariants(t *testing.T) {
	for seed := range *seeds {
		t.Run(fmt.Sprint("seed=", seed), func(t *testing.T) { play(t, uint64(seed), memory.New(), 400) })
	}
	t.Run("sqlite", func(t *testing.T) { play(t, 1000, open(t), 150) })
}

type player struct {
	*world
	rand   *rand.Rand
	tokens map[string]token // live, by task
	stale  []token
	steps  map[string]int // that went well
	seq    int64
	states map[string]control.State
}

type token struct{ task, who, token string }

func play(t *testing.T, seed uint64, st store.Store, steps int) {
	policies := control.Policies{ReviewDue: 48 * time.Hour, MaxRework: 2}
	p := &player{rand: rand.New(rand.NewPCG(seed, 7)), tokens: map[string]token{}, steps: map[string]int{}, states: map[string]control.State{}}
	policies.ApproveHandoffs = p.rand.IntN(2) == 0
	policies.PauseFailing = p.rand.IntN(2) == 0
	p.world = newWorld(t, st, control.Config{}, policies)
	for i := range steps {
		what, err := p.step()
		var refusal *control.Error
		if err != nil && !errors.As(err, &refusal) {
			t.Fatalf("seed %d, step %d, %s: %v", seed, i, what, err)
		}
		if err == nil {
			p.steps[what]++
		}
		if broken := p.check(); broken != "" {
			t.Fatalf("seed %d, step %d, after %s (%v): %s", seed, i, what, err, broken)
		}
	}
	if testing.Verbose() {
		t.Log(p.steps)
	}
}

func (p *player) pick(list ...string) string { return list[p.rand.IntN(len(list))] }

func (p *player) anyTask() string { return fmt.Sprint("WEB-", 1+p.rand.IntN(max(1, len(p.states)+1))) }

func (p *player) step() (string, error) {
	people, agents := []string{"ann", "rob"}, []string{"writer", "editor", "boss"}
	all := append(agents, people...)
	if p.ids["zed"] != "" {
		all, people = append(all, "zed"), append(people, "zed")
	}
	who, task := p.pick(all...), p.anyTask()
	call := p.as(who)
	held, has := p.tokens[task]
	if !has && len(p.tokens) > 0 && p.rand.IntN(3) > 0 { // rather one that is worked on
		var keys []string
		for key := range p.tokens {
			keys = append(keys, key)
		}
		slices.Sort(keys)
		task = p.pick(keys...)
		held = p.tokens[task]
	}
	if held.who != "" && p.rand.IntN(8) > 0 {
		who, call = held.who, p.as(held.who)
	}
	switch p.rand.IntN(34) {
	case 0, 1:
		in := control.NewTask{Project: "WEB", Title: "T", ReviewMode: control.ReviewMode(p.pick("none", "human", "lead", "lead_then_human", "")),
			Priority: control.Priority(p.pick("", "urgent", "low")), HoldForChildren: p.rand.IntN(4) == 0, RequiredApprovals: p.rand.IntN(3)}
		if p.rand.IntN(2) == 0 {
			in.Reviewers = []control.Party{p.ids[p.pick(people...)]}
		}
		if p.rand.IntN(3) > 0 {
			in.Assignee = p.ids[p.pick(all...)]
		}
		if p.rand.IntN(3) == 0 {
			in.DependsOn = append(in.DependsOn, control.DependsOn{Task: p.anyTask(), Until: control.Until(p.pick("", "submitted", "finished"))})
		}
		if p.rand.IntN(5) == 0 {
			in.Parent = p.anyTask()
		}
		_, err := p.CreateTask(ctx, p.as(p.pick(people...)), in)
		return "create", err
	case 2, 3:
		if p.rand.IntN(4) == 0 {
			return "wake", p.Wake(ctx, p.as("ann"), p.pick(agents...), p.pick("", p.anyTask()), "")
		}
		_, err := p.Assign(ctx, p.as("ann"), p.anyTask(), p.ids[p.pick(all...)])
		return "assign", err
	case 5:
		_, err := p.Unassign(ctx, p.as("ann"), p.anyTask())
		return "unassign", err
	case 6, 7, 8:
		who, task = p.claimable(all)
		before, err := p.View(ctx, p.as(who), task)
		if err != nil {
			return "claim", err
		}
		got, err := p.Claim(ctx, p.as(who), task)
		if err == nil {
			if !before.Gate.Open {
				p.Fatalf("%s was claimed behind a closed gate", task)
			}
			p.got(who, got)
		}
		return "claim", err
	case 9, 10:
		who = p.pick(agents...)
		got, _, err := p.Next(ctx, p.as(who), "")
		if err == nil && got.Task != nil {
			p.got(who, got)
		}
		return "next", err
	case 4, 11, 12:
		_, err := p.Board.Progress(ctx, call, task, held.token, p.pick("", "note"), p.rand.IntN(102)-1)
		return "progress", err
	case 13, 14, 15, 16:
		if p.rand.IntN(2) == 0 {
			if _, err := p.AddDeliverable(ctx, call, task, held.token, control.NewDeliverable{Kind: "text", Title: p.pick("a", "b"), Content: p.pick("x", "y")}); err != nil {
				return "deliver", err
			}
		}
		_, err := p.Submit(ctx, call, task, held.token, control.Submission{Summary: p.pick("", "s", "s", "s")})
		return "submit", err
	case 17:
		_, err := p.Board.Fail(ctx, call, task, held.token, control.Failure{Category: p.pick("tool", "timeout"), Message: "m", Retryable: p.rand.IntN(3) > 0})
		return "fail", err
	case 18:
		in := control.Blocking{Kind: p.pick("question", "dependency", "access"), Reason: "r", Action: "a", Owner: p.ids[p.pick(all...)]}
		if in.Kind == "dependency" {
			in.DependsOn = &control.DependsOn{Task: p.anyTask()}
		}
		_, err := p.Block(ctx, call, task, held.token, in)
		return "block", err
	case 19:
		_, err := p.Release(ctx, call, task, held.token, "")
		return "release", err
	case 20, 21, 22, 23:
		who = p.pick(append(people, "boss")...)
		inbox, _, err := p.ReviewInbox(ctx, p.as(who), control.Page{Limit: 200})
		if err != nil || len(inbox) == 0 {
			return "inbox", err
		}
		r := inbox[p.rand.IntN(len(inbox))].Review
		if p.rand.IntN(8) == 0 {
			_, err = p.Delegate(ctx, p.as(who), r.ID, p.ids[p.pick(all...)])
			return "delegate", err
		}
		verdict := p.pick("approve", "approve", "approve", "changes_requested", "reject")
		if r.Kind == "question" {
			verdict = "answer"
		}
		_, err = p.Decide(ctx, p.as(who), r.ID, control.Decision{Verdict: verdict})
		return verdict, err
	case 24:
		_, err := p.Board.Withdraw(ctx, p.as(p.pick("ann", who)), p.anyTask())
		return "withdraw", err
	case 25:
		if p.rand.IntN(2) == 0 {
			_, err := p.Board.Cancel(ctx, p.as("ann"), p.anyTask(), "")
			return "cancel", err
		}
		_, err := p.Board.Reopen(ctx, p.as("ann"), p.anyTask(), "")
		return "reopen", err
	case 26:
		_, err := p.Board.Unblock(ctx, p.as("ann"), p.anyTask(), "")
		return "unblock", err
	case 27:
		if p.rand.IntN(5) == 0 {
			_, err := p.Pause(ctx, p.as("ann"), p.pick(agents...), "")
			return "pause", err
		}
		_, err := p.Resume(ctx, p.as("ann"), p.pick(agents...))
		return "resume", err
	case 28:
		h, err := p.OfferHandoff(ctx, call, task, held.token, control.NewHandoff{To: p.ids[p.pick(agents...)], Mode: p.pick("transfer", "follow_up"), Summary: "s"})
		if err == nil && h.State == "offered" {
			switch p.rand.IntN(3) {
			case 0:
				_, err = p.AcceptHandoff(ctx, p.as("ann"), h.ID)
			case 1:
				_, err = p.DeclineHandoff(ctx, control.Call{Workspace: call.Workspace, By: h.To, At: p.now}, h.ID, "")
			}
		}
		return "handoff", err
	case 29:
		_, err := p.Board.Comment(ctx, call, task, "see @"+p.pick(all...)+" and `@editor`")
		return "comment", err
	case 30:
		if p.rand.IntN(2) == 0 {
			_, err := p.AddDependency(ctx, p.as("ann"), p.anyTask(), control.DependsOn{Task: p.anyTask()})
			return "dependency", err
		}
		_, err := p.RemoveDependency(ctx, p.as("ann"), p.anyTask(), p.anyTask())
		return "independency", err
	case 31:
		_, err := p.Fetch(ctx, p.as(p.pick(agents...)))
		return "fetch", err
	case 32:
		return p.people()
	default:
		p.now = p.now.Add([]time.Duration{time.Second, time.Minute, 6 * time.Minute, 20 * time.Minute, 30 * time.Hour}[p.rand.IntN(5)])
		s, err := p.Sweep(ctx, p.now)
		if err == nil && !s.Next.IsZero() && !s.Next.After(p.now) {
			p.Errorf("a sweep at %s left something that was due at %s", p.now, s.Next)
		}
		return "time", err
	}
}

// claimable picks a task that could be claimed and who could.
func (p *player) claimable(all []string) (who, task string) {
	var list []string
	for key, s := range p.states {
		if s == control.Inbox || s == control.Assigned {
			list = append(list, key)
		}
	}
	slices.Sort(list)
	who, task = p.pick(all...), p.anyTask()
	if len(list) > 0 && p.rand.IntN(10) > 0 {
		task = p.pick(list...)
		t := ok[*control.Task](p.world)(p.Task(ctx, p.as("ann"), task))
		for name, id := range p.ids {
			if id == t.Assignee {
				who = name
			}
		}
	}
	return who, task
}

// people come and go.
func (p *player) people() (string, error) {
	if p.ids["zed"] == "" {
		u, err := p.CreateUser(ctx, p.as("ann"), control.NewUser{Name: fmt.Sprint("zed", p.seq), Role: control.Reviewer})
		if err == nil {
			p.ids["zed"] = control.User(u.ID)
		}
		return "hire", err
	}
	switch p.rand.IntN(3) {
	case 0:
		err := p.SetRole(ctx, p.as("ann"), string(p.ids["zed"]), "WEB", control.Role(p.pick("admin", "viewer", "")))
		return "role", err
	case 1:
		err := p.SetRole(ctx, p.as("ann"), "rob", "WEB", control.Role(p.pick("reviewer", "")))
		return "role", err
	}
	err := p.RemoveUser(ctx, p.as("ann"), string(p.ids["zed"]))
	if err == nil {
		delete(p.ids, "zed")
	}
	return "leave", err
}

func (p *player) got(who string, got control.Claimed) {
	p.tokens[got.Task.Key] = token{got.Task.Key, who, got.LeaseToken}
}

func all[T any](p *player, kind string) (list []T, records []store.Found) {
	p.Helper()
	found, err := p.store.Records(ctx, store.RecordQuery{Kind: kind, Limit: 1 << 20})
	if err != nil {
		p.Fatal(err)
	}
	seen := map[string]bool{}
	for _, f := range found {
		if seen[f.ID] {
			continue
		}
		seen[f.ID] = true
		var v T
		if err := json.Unmarshal(f.Data, &v); err != nil {
			p.Fatal(err)
		}
		list, records = append(list, v), append(records, f)
	}
	return list, records
}

// check says what is broken, "" if nothing is.
func (p *player) check() string {
	if broken := p.checkEvents(); broken != "" {
		return broken
	}
	tasks, _ := all[control.Task](p, "task")
	attempts, _ := all[control.Attempt](p, "attempt")
	leases, _ := all[control.Lease](p, "lease")
	reviews, _ := all[control.Review](p, "review")
	wakeups, _ := all[control.Wakeup](p, "wakeup")
	agents, _ := all[control.Agent](p, "agent")
	deps, _ := all[control.Dependency](p, "dependency")

	byID := map[string]*control.Task{}
	for i := range tasks {
		byID[tasks[i].ID] = &tasks[i]
	}
	running := map[string]string{}
	for _, a := range attempts {
		if a.Status == "running" {
			if running[a.Task] != "" {
				return "two attempts run of " + byID[a.Task].Key
			}
			running[a.Task] = a.ID
		}
	}
	lease := map[string]control.Lease{}
	holds := map[control.Party]int{}
	for _, l := range leases {
		lease[l.ID] = l
		holds[l.Holder]++
		if running[l.ID] != l.Attempt || byID[l.ID].State != control.InProgress || byID[l.ID].Assignee != l.Holder {
			return fmt.Sprintf("%s is %s with a lease of %s", byID[l.ID].Key, byID[l.ID].State, l.Attempt)
		}
	}
	pending := map[string]int{}
	inboxes := map[string]bool{}
	for who := range p.ids {
		inbox, _, err := p.ReviewInbox(ctx, p.as(who), control.Page{Limit: 200})
		if err != nil {
			return err.Error()
		}
		for _, w := range inbox {
			inboxes[w.Review.ID] = true
		}
	}
	for _, r := range reviews {
		if r.Status != "pending" {
			continue
		}
		if r.Kind == "deliverable" {
			pending[r.Task]++
		}
		if !inboxes[r.ID] {
			return fmt.Sprintf("nobody has the %s review of %s in the inbox: %v", r.Kind, byID[r.Task].Key, r.Reviewers)
		}
	}
	waits := map[string][]string{}
	for _, d := range deps {
		waits[d.Task] = append(waits[d.Task], d.DependsOn)
	}
	for i := range tasks {
		t := &tasks[i]
		p.states[t.Key] = t.State
		if t.Parent != "" && byID[t.Parent].HoldForChildren {
			waits[t.Parent] = append(waits[t.Parent], t.ID)
		}
		_, leased := lease[t.ID]
		switch {
		case leased != (t.State == control.InProgress), (running[t.ID] != "") != leased:
			return fmt.Sprintf("%s is %s, lease: %t, running: %q", t.Key, t.State, leased, running[t.ID])
		case (pending[t.ID] == 1) != (t.State == control.InReview) || pending[t.ID] > 1:
			return fmt.Sprintf("%s is %s with %d pending reviews", t.Key, t.State, pending[t.ID])
		case (t.Block != nil) != (t.State == control.Blocked), t.Block != nil && t.Block.Owner == "":
			return fmt.Sprintf("%s is %s, blocked by %+v", t.Key, t.State, t.Block)
		case t.State == control.Blocked && t.Block.Kind == "dependency" && p.open(t, deps, byID):
			return t.Key + " is blocked by dependencies that are met"
		case t.State == control.Inbox && t.Assignee != "", !t.State.Terminal() && t.State != control.Inbox && t.Assignee == "":
			return fmt.Sprintf("%s is %s of %q", t.Key, t.State, t.Assignee)
		}
	}
	if broken := cycle(waits); broken != "" {
		return "a cycle through " + byID[broken].Key
	}
	if broken := p.checkTokens(lease, byID); broken != "" {
		return broken
	}
	for i := range agents {
		if broken := p.checkWakeups(&agents[i], tasks, wakeups, lease, deps, byID, holds); broken != "" {
			return broken
		}
	}
	return ""
}

func cycle(waits map[string][]string) string {
	done := map[string]int{} // 1: under way, 2: done
	var visit func(id string) string
	visit = func(id string) string {
		if done[id] == 1 {
			return id
		}
		if done[id] == 2 {
			return ""
		}
		done[id] = 1
		for _, next := range waits[id] {
			if found := visit(next); found != "" {
				return found
			}
		}
		done[id] = 2
		return ""
	}
	for id := range waits {
		if found := visit(id); found != "" {
			return found
		}
	}
	return ""
}

func (p *player) checkEvents() string {
	list, _, err := p.Feed(ctx, p.system(), p.seq, 1<<20)
	if err != nil {
		return err.Error()
	}
	for _, e := range list {
		if p.seq++; e.Seq != p.seq {
			return fmt.Sprintf("event %d comes after %d", e.Seq, p.seq-1)
		}
		trigger, ok := strings.CutPrefix(e.Type, "task.")
		to, moved := e.Data["to"].(string)
		if !ok || !moved {
			continue
		}
		from, _ := e.Data["from"].(string)
		if was := p.states[e.Key]; was != control.State(from) {
			return fmt.Sprintf("%s was %q, and %s says it was %q", e.Key, was, e.Type, from)
		}
		if !slices.ContainsFunc(control.Transitions(), func(r control.Transition) bool {
			return string(r.Trigger) == trigger && slices.Contains(r.To, control.State(to)) &&
				(slices.Contains(r.From, control.State(from)) || from == "" && r.From == nil)
		}) {
			return fmt.Sprintf("%s went from %q to %q by %s", e.Key, from, to, trigger)
		}
		p.states[e.Key] = control.State(to)
	}
	tasks, _ := all[control.Task](p, "task")
	for _, t := range tasks {
		if p.states[t.Key] != t.State {
			return fmt.Sprintf("%s is %s, and its events say %s", t.Key, t.State, p.states[t.Key])
		}
	}
	return ""
}

// checkTokens tries some of the tokens that are not good any more.
func (p *player) checkTokens(lease map[string]control.Lease, byID map[string]*control.Task) string {
	for key, k := range p.tokens {
		t, err := p.Task(ctx, p.as("ann"), key)
		if err != nil {
			return err.Error()
		}
		l, ok := lease[t.ID]
		if !ok || l.Holder != p.ids[k.who] || !l.ExpiresAt.IsZero() && !p.now.Before(l.ExpiresAt) {
			delete(p.tokens, key)
			if k.token != "" {
				p.stale = append(p.stale, k)
			}
		}
	}
	if len(p.stale) == 0 || p.rand.IntN(4) > 0 {
		return ""
	}
	k := p.stale[p.rand.IntN(len(p.stale))]
	before, err := p.Task(ctx, p.as("ann"), k.task)
	if err != nil {
		return err.Error()
	}
	_, e1 := p.Board.Progress(ctx, p.as(k.who), k.task, k.token, "late", 3)
	_, e2 := p.Submit(ctx, p.as(k.who), k.task, k.token, control.Submission{Summary: "late"})
	_, e3 := p.Board.Fail(ctx, p.as(k.who), k.task, k.token, control.Failure{Category: "tool", Message: "late"})
	_, e4 := p.Release(ctx, p.as(k.who), k.task, k.token, "")
	for _, err := range []error{e1, e2, e3, e4} {
		if !control.Is(err, control.LeaseLost) {
			return fmt.Sprintf("a stale token of %s: %v", k.task, err)
		}
	}
	after, err := p.Task(ctx, p.as("ann"), k.task)
	if err != nil || after.Version != before.Version {
		return fmt.Sprintf("a stale token changed %s: %v", k.task, err)
	}
	return ""
}

// open computes the gate of a task from what is kept.
func (p *player) open(t *control.Task, deps []control.Dependency, byID map[string]*control.Task) bool {
	return !slices.ContainsFunc(deps, func(d control.Dependency) bool {
		up := byID[d.DependsOn]
		return d.Task == t.ID && !(d.Until == control.UntilFinished && up.State.Terminal() || d.Until == control.UntilSubmitted && up.Submitted ||
			d.Until == control.UntilApproved && up.State == control.Done)
	})
}

func (p *player) checkWakeups(a *control.Agent, tasks []control.Task, wakeups []control.Wakeup, lease map[string]control.Lease, deps []control.Dependency, byID map[string]*control.Task, holds map[control.Party]int) string {
	me := control.AgentParty(a.ID)
	if holds[me] > a.Slots {
		return fmt.Sprintf("@%s works on %d tasks", a.Slug, holds[me])
	}
	taken := holds[me]
	perTask := map[string][]control.Wakeup{}
	for _, w := range wakeups {
		if w.Agent != a.ID {
			continue
		}
		perTask[w.Task] = append(perTask[w.Task], w)
		if w.State != "queued" && w.State != "sent" {
			continue
		}
		if a.Admin != control.Active {
			return fmt.Sprintf("@%s is %s and has a wakeup %s", a.Slug, a.Admin, w.State)
		}
		if l, ok := lease[w.Task]; !w.NotBefore.After(p.now) && !(ok && l.Holder == me) {
			taken++
		}
	}
	if taken > a.Slots {
		return fmt.Sprintf("@%s was woken beyond its slots: %s", a.Slug, p.wakeups(a.Slug))
	}
	for i := range tasks {
		t := &tasks[i]
		if t.State != control.Assigned || t.Assignee != me {
			continue
		}
		if !p.open(t, deps, byID) {
			continue
		}
		there := slices.ContainsFunc(perTask[t.ID], func(w control.Wakeup) bool {
			return w.Work && (w.State == "queued" || w.State == "sent" || w.State == "failed" ||
				w.State == "skipped" && w.OfAgent && (a.Admin != control.Active || taken >= a.Slots))
		})
		if !there {
			return fmt.Sprintf("%s waits for @%s (%s, %d of %d slots taken) without a wakeup: %s", t.Key, a.Slug, a.Admin, taken, a.Slots, p.wakeups(a.Slug))
		}
	}
	r, err := p.store.Record(ctx, "signal", a.ID)
	if err != nil {
		return err.Error()
	}
	var told struct{ Label string }
	if err := json.Unmarshal(r.Data, &told); err != nil {
		return err.Error()
	}
	if st, err := p.AgentStatus(ctx, p.as("ann"), a.Slug); err != nil || st.Label != told.Label {
		return fmt.Sprintf("@%s is %s, last told as %s: %v", a.Slug, st.Label, told.Label, err)
	}
	return ""
}
