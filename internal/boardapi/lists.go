package boardapi

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/lockstep-run/lockstep/internal/control"
	"github.com/lockstep-run/lockstep/internal/rest"
)

const (
	usualPage = 50
	mostPage  = 200
	mostSeen  = 2000 // events that a page looks at before it ends early
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

// page reads which part of a list is asked for, and the other parameters, of
// which only those may be there.
func (r *request) page(names ...string) (control.Page, map[string]string, error) {
	q, err := r.query(append(names, "limit", "cursor")...)
	if err != nil {
		return control.Page{}, nil, err
	}
	n, err := limit(q["limit"])
	return control.Page{Limit: n, Cursor: q["cursor"]}, q, err
}

// answer is a page under a name.
func answer[T any](name string, rows []T, next string, err error) (any, error) {
	if err != nil {
		return nil, err
	}
	if rows == nil {
		rows = []T{}
	}
	page := map[string]any{name: rows}
	if next != "" {
		page["next_cursor"] = next
	}
	return page, nil
}

// listOf makes a handler of a list that nothing narrows down.
func listOf[T any](name string, list func(r *request, page control.Page) ([]T, string, error)) func(r *request) (any, error) {
	return func(r *request) (any, error) {
		page, _, err := r.page()
		if err != nil {
			return nil, err
		}
		rows, next, err := list(r, page)
		return answer(name, rows, next, err)
	}
}

func (a *API) listAgents(r *request) (any, error) {
	page, q, err := r.page("project", "status")
	if err != nil {
		return nil, err
	}
	rows, next, err := a.board.Agents(r.Context(), r.call, control.AgentQuery{Project: q["project"], Status: q["status"], Page: page})
	return answer("agents", rows, next, err)
}

func (a *API) listTasks(r *request) (any, error) {
	page, q, err := r.page("project", "status", "assignee", "reviewer", "label", "gate", "execution", "machine", "parent", "updated_since", "q", "sort", "cards")
	if err != nil {
		return nil, err
	}
	in := control.TaskQuery{Project: q["project"], Assignee: control.Party(q["assignee"]), Reviewer: control.Party(q["reviewer"]), Label: q["label"],
		Gate: q["gate"], Execution: q["execution"], Machine: q["machine"], Parent: q["parent"], Q: q["q"], Sort: control.Sort(q["sort"]), Cards: q["cards"] != "" && q["cards"] != "0", Page: page}
	if q["status"] != "" {
		for s := range strings.SplitSeq(q["status"], ",") {
			if !slices.Contains(control.States(), control.State(s)) {
				return nil, rest.Invalid("There is no status %q; there are %v.", s, control.States())
			}
			in.States = append(in.States, control.State(s))
		}
	}
	if q["updated_since"] != "" {
		if in.UpdatedSince, err = time.Parse(time.RFC3339, q["updated_since"]); err != nil {
			return nil, rest.Invalid("updated_since is a time such as 2026-05-01T08:00:00Z.")
		}
	}
	rows, next, err := a.board.Tasks(r.Context(), r.call, in)
	return answer("tasks", rows, next, err)
}

func (a *API) listReviews(r *request) (any, error) {
	page, q, err := r.page("mine", "project", "status", "kind")
	if err != nil {
		return nil, err
	}
	if q["mine"] != "" && q["mine"] != "0" {
		rows, next, err := a.board.ReviewInbox(r.Context(), r.call, page)
		return answer("reviews", rows, next, err)
	}
	rows, next, err := a.board.Reviews(r.Context(), r.call, control.ReviewQuery{Project: q["project"], Status: q["status"], Kind: q["kind"], Page: page})
	return answer("reviews", rows, next, err)
}

func (a *API) listAttempts(r *request, of control.AttemptQuery) (any, error) {
	page, _, err := r.page()
	if err != nil {
		return nil, err
	}
	of.Page = page
	rows, next, err := a.board.Attempts(r.Context(), r.call, of)
	return answer("attempts", rows, next, err)
}

// activity lists what happened, the newest first.
func (a *API) activity(r *request) (any, error) {
	q, err := r.query("project", "task", "agent", "type", "before", "limit")
	if err != nil {
		return nil, err
	}
	in := control.ActivityQuery{Project: q["project"], Task: q["task"], Agent: q["agent"]}
	if in.Limit, err = limit(q["limit"]); err != nil {
		return nil, err
	}
	if q["type"] != "" {
		in.Types = strings.Split(q["type"], ",")
	}
	if in.Before, err = before(q["before"]); err != nil {
		return nil, err
	}
	list, more, err := a.board.Activity(r.Context(), r.call, in)
	if err != nil {
		return nil, err
	}
	page := map[string]any{"events": append([]control.Event{}, list...)}
	if more != 0 {
		page["before"] = more
	}
	return page, nil
}
