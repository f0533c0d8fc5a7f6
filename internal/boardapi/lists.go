package boardapi

import (
	"encoding/base64"
	"encoding/json"
	"slices"
	"strconv"
	"strings"

	"github.com/lockstep-run/lockstep/internal/control"
	"github.com/lockstep-run/lockstep/internal/rest"
	"github.com/lockstep-run/lockstep/internal/store"
)

const (
	usualPage = 50
	mostPage  = 200
	mostSeen  = 2000 // records that a page looks at before it ends early
)

// limit reads how long a page may be.
func limit(text string) (int, error) {
	if text == "" {
		return usualPage, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > mostPage {
		return 0, rest.Invalid("limit is a number from 1 to %d.", mostPage)
	}
	return n, nil
}

// place is where a page ended: the key and id of its last record.
type place struct{ Key, ID string }

func (p place) String() string {
	text, _ := json.Marshal(p) // two texts
	return base64.RawURLEncoding.EncodeToString(text)
}

// pages goes through the records under prefixes, one after the other, from where
// a cursor says. keep makes a row of a record, nil for none. It returns the
// cursor of the next page, "" after the last.
func (r *request) pages(kind string, prefixes []string, cursor string, n int, keep func(store.Record) (any, error)) ([]any, string, error) {
	rows := []any{}
	var from place
	if cursor != "" {
		text, err := base64.RawURLEncoding.DecodeString(cursor)
		if err != nil || json.Unmarshal(text, &from) != nil {
			return nil, "", rest.Invalid("The cursor is not one of this list.")
		}
		at := slices.IndexFunc(prefixes, func(p string) bool { return strings.HasPrefix(from.Key, p) })
		if at < 0 {
			return nil, "", rest.Invalid("The cursor is not one of this list.")
		}
		prefixes = prefixes[at:]
	}
	seen, last := 0, from
	for _, prefix := range prefixes {
		for {
			q := store.Prefix(kind, prefix, mostPage)
			if from.Key != "" {
				q.From, q.AfterID = from.Key, from.ID
			}
			found, err := r.a.store.Records(r.Context(), q)
			if err != nil {
				return nil, "", err
			}
			for _, f := range found {
				if len(rows) == n || seen == mostSeen {
					return rows, last.String(), nil
				}
				seen++
				last = place{f.Key, f.ID}
				from = last
				row, err := keep(f.Record)
				if err != nil {
					return nil, "", err
				}
				if row != nil {
					rows = append(rows, row)
				}
			}
			if len(found) < mostPage {
				break
			}
		}
		from = place{}
	}
	return rows, "", nil
}

// answer is a page under a name.
func answer(name string, rows []any, next string) map[string]any {
	page := map[string]any{name: rows}
	if next != "" {
		page["next_cursor"] = next
	}
	return page
}

// mine says which projects an agent has; a person has all.
func (r *request) mine() (func(project string) bool, error) {
	id := r.agent()
	if id == "" {
		return func(string) bool { return true }, nil
	}
	agent, err := r.a.board.Agent(r.Context(), r.call, id)
	if err != nil {
		return nil, err
	}
	return func(project string) bool { return slices.Contains(agent.Projects, project) }, nil
}

// projects lists those that the caller may see; ref narrows it down to one.
func (r *request) projects(ref string) (all []*control.Project, err error) {
	has, err := r.mine()
	if err != nil {
		return nil, err
	}
	if ref != "" {
		p, err := r.a.board.Project(r.Context(), r.call, ref)
		if err == nil && !has(p.ID) {
			err = rest.NotFound("There is no project %q.", ref)
		}
		return []*control.Project{p}, err
	}
	found, err := r.a.store.Records(r.Context(), store.Prefix("project", "key/"+workspace+"/", 10_000))
	for _, f := range found {
		p := &control.Project{}
		if err := decode(f.Record, &p.Version, p); err != nil {
			return nil, err
		}
		if has(p.ID) {
			all = append(all, p)
		}
	}
	return all, err
}

func (a *API) listProjects(r *request) (any, error) {
	q, err := r.query("limit", "cursor")
	if err != nil {
		return nil, err
	}
	n, err := limit(q["limit"])
	if err != nil {
		return nil, err
	}
	has, err := r.mine()
	if err != nil {
		return nil, err
	}
	rows, next, err := r.pages("project", []string{"key/" + workspace + "/"}, q["cursor"], n, func(rec store.Record) (any, error) {
		p := &control.Project{}
		if err := decode(rec, &p.Version, p); err != nil || !has(p.ID) {
			return nil, err
		}
		return p, nil
	})
	return answer("projects", rows, next), err
}

// agentView is an agent with what can be seen of it.
type agentView struct {
	*control.Agent
	Status control.AgentStatus `json:"status"`
}

func (r *request) view(agent *control.Agent) (any, error) {
	st, err := r.a.board.AgentStatus(r.Context(), r.call, agent.ID)
	if r.agent() != "" && r.agent() != agent.ID {
		// How another is reached, and what it does elsewhere, is not an agent's business.
		shown := *agent
		shown.Connection, shown.Projects, st.Working = nil, nil, nil
		agent = &shown
	}
	return agentView{agent, st}, err
}

// sees reports whether the caller may see an agent: people all, agents those
// that they share a project with.
func (r *request) sees(agent *control.Agent) (bool, error) {
	has, err := r.mine()
	return err == nil && (agent.ID == r.agent() || r.agent() == "" || slices.ContainsFunc(agent.Projects, has)), err
}

func (a *API) listAgents(r *request) (any, error) {
	q, err := r.query("project", "limit", "cursor")
	if err != nil {
		return nil, err
	}
	n, err := limit(q["limit"])
	if err != nil {
		return nil, err
	}
	only := ""
	if q["project"] != "" {
		p, err := r.projects(q["project"])
		if err != nil {
			return nil, err
		}
		only = p[0].ID
	}
	rows, next, err := r.pages("agent", []string{"slug/" + workspace + "/"}, q["cursor"], n, func(rec store.Record) (any, error) {
		agent := &control.Agent{}
		if err := decode(rec, &agent.Version, agent); err != nil {
			return nil, err
		}
		if ok, err := r.sees(agent); !ok || only != "" && !slices.Contains(agent.Projects, only) {
			return nil, err
		}
		return r.view(agent)
	})
	return answer("agents", rows, next), err
}

// row is a task in a list.
type row struct {
	*control.Task
	Gate *control.Gate `json:"gate,omitempty"` // of tasks that have not begun
}

func (a *API) listTasks(r *request) (any, error) {
	q, err := r.query("project", "status", "assignee", "label", "gate", "q", "limit", "cursor")
	if err != nil {
		return nil, err
	}
	n, err := limit(q["limit"])
	if err != nil {
		return nil, err
	}
	states := control.States()
	if q["status"] != "" {
		states = nil
		for s := range strings.SplitSeq(q["status"], ",") {
			if !slices.Contains(control.States(), control.State(s)) {
				return nil, rest.Invalid("There is no status %q; there are %v.", s, control.States())
			}
			states = append(states, control.State(s))
		}
	}
	if g := q["gate"]; g != "" && g != "open" && g != "closed" {
		return nil, rest.Invalid("gate is open or closed.")
	}
	projects, err := r.projects(q["project"])
	if err != nil {
		return nil, err
	}
	assignee := control.Party("")
	if q["assignee"] != "" {
		if assignee, err = r.party(q["assignee"]); err != nil {
			return nil, err
		}
	}
	known := map[string]bool{}
	var prefixes []string
	for _, p := range projects {
		known[p.ID] = true
	}
	for _, s := range states {
		if assignee != "" {
			prefixes = append(prefixes, "assignee/"+string(assignee)+"/"+string(s)+"/")
			continue
		}
		for _, p := range projects {
			prefixes = append(prefixes, "project/"+p.ID+"/"+string(s)+"/")
		}
	}
	words := strings.ToLower(q["q"])
	rows, next, err := r.pages("task", prefixes, q["cursor"], n, func(rec store.Record) (any, error) {
		t := &control.Task{}
		if err := decode(rec, &t.Version, t); err != nil {
			return nil, err
		}
		if !known[t.Project] || q["label"] != "" && !slices.Contains(t.Labels, q["label"]) ||
			!strings.Contains(strings.ToLower(t.Key+" "+t.Title+"\n"+t.Description), words) {
			return nil, nil
		}
		found := row{Task: t}
		if t.State == control.Inbox || t.State == control.Assigned {
			v, err := a.board.View(r.Context(), r.call, t.ID)
			if err != nil {
				return nil, err
			}
			found.Gate = &v.Gate
		}
		if q["gate"] != "" && (found.Gate == nil || found.Gate.Open != (q["gate"] == "open")) {
			return nil, nil
		}
		return found, nil
	})
	return answer("tasks", rows, next), err
}

// party finds an assignee by name: me, @name, agent:SLUG or user:NAME.
func (r *request) party(ref string) (control.Party, error) {
	if ref == "me" {
		return r.call.By, nil
	}
	kind, _ := control.Party(ref).Split()
	if kind != "user" {
		agent, err := r.a.board.Agent(r.Context(), r.call, ref)
		if err == nil {
			return control.AgentParty(agent.ID), nil
		}
		if kind == "agent" || !control.Is(err, control.NotFound) {
			return "", err
		}
	}
	u, err := r.a.board.User(r.Context(), r.call, ref)
	if err != nil {
		return "", err
	}
	return control.User(u.ID), nil
}

func (a *API) listReviews(r *request) (any, error) {
	q, err := r.query("mine", "project", "status", "limit", "cursor")
	if err != nil {
		return nil, err
	}
	n, err := limit(q["limit"])
	if err != nil {
		return nil, err
	}
	if q["mine"] != "" && q["mine"] != "0" {
		return a.inbox(r, q["cursor"], n)
	}
	under := map[string]string{"": "pending/", "pending": "pending/", "closed": "closed/"}[q["status"]]
	if under == "" {
		return nil, rest.Invalid("status is pending or closed.")
	}
	projects, err := r.projects(q["project"])
	if err != nil {
		return nil, err
	}
	var prefixes []string
	for _, p := range projects {
		prefixes = append(prefixes, under+p.ID)
	}
	rows, next, err := r.pages("review", prefixes, q["cursor"], n, func(rec store.Record) (any, error) {
		v := &control.Review{}
		return v, decode(rec, &v.Version, v)
	})
	return answer("reviews", rows, next), err
}

// inbox lists what the caller is asked to decide. Its order is the board's, so a
// cursor is the id of the last review.
func (a *API) inbox(r *request, cursor string, n int) (any, error) {
	all, err := a.board.ReviewInbox(r.Context(), r.call)
	if err != nil {
		return nil, err
	}
	if cursor != "" {
		at := slices.IndexFunc(all, func(w control.Waiting) bool { return w.Review.ID == cursor })
		all = all[at+1:] // decided meanwhile: from the beginning
	}
	rows := []any{}
	for i, w := range all {
		if i == n {
			return answer("reviews", rows, all[i-1].Review.ID), nil
		}
		rows = append(rows, w)
	}
	return answer("reviews", rows, ""), nil
}
