package boardapi

import (
	"net/http"
	"strconv"

	"github.com/lockstep-run/lockstep/internal/control"
	"github.com/lockstep-run/lockstep/internal/rest"
	"github.com/lockstep-run/lockstep/internal/schedule"
)

// registerManage adds what changes agents, and the tasks that are made again and
// again: templates and recurring tasks.
func (a *API) registerManage(handle func(string, func(*request) (any, error))) {
	handle("PATCH /api/v1/agents/{agent}", func(r *request) (any, error) {
		in, err := read[control.UpdateAgent](r)
		if err != nil {
			return nil, err
		}
		return a.board.UpdateAgent(r.Context(), r.call, r.PathValue("agent"), in)
	})
	handle("GET /api/v1/agents/{agent}/status-history", a.statusHistory)
	handle("GET /api/v1/agents/{agent}/messages", listOf("messages", func(r *request, page control.Page) ([]*control.Message, string, error) {
		return a.board.Messages(r.Context(), r.call, r.PathValue("agent"), page)
	}))
	handle("POST /api/v1/agents/{agent}/messages", func(r *request) (any, error) {
		in, err := read[newMessage](r)
		if err != nil {
			return nil, err
		}
		return a.board.SendMessage(r.Context(), r.call, r.PathValue("agent"), in.Body)
	})
	handle("DELETE /api/v1/tasks/{task}", func(r *request) (any, error) {
		return nil, a.board.DeleteTask(r.Context(), r.call, r.task())
	})

	handle("GET /api/v1/templates", inProject("templates", func(r *request, project string, page control.Page) ([]*control.Template, string, error) {
		return a.board.Templates(r.Context(), r.call, project, page)
	}))
	handle("POST /api/v1/templates", func(r *request) (any, error) {
		in, err := read[control.NewTemplate](r)
		if err != nil {
			return nil, err
		}
		return a.board.CreateTemplate(r.Context(), r.call, in)
	})
	handle("GET /api/v1/templates/{template}", func(r *request) (any, error) {
		return a.board.Template(r.Context(), r.call, r.PathValue("template"))
	})
	handle("PATCH /api/v1/templates/{template}", func(r *request) (any, error) {
		in, err := read[control.UpdateTemplate](r)
		if err != nil {
			return nil, err
		}
		return a.board.UpdateTemplate(r.Context(), r.call, r.PathValue("template"), in)
	})
	handle("DELETE /api/v1/templates/{template}", func(r *request) (any, error) {
		return nil, a.board.DeleteTemplate(r.Context(), r.call, r.PathValue("template"))
	})

	handle("GET /api/v1/recurring", inProject("recurring", func(r *request, project string, page control.Page) ([]*control.Recurring, string, error) {
		return a.board.RecurringTasks(r.Context(), r.call, project, page)
	}))
	handle("POST /api/v1/recurring", func(r *request) (any, error) {
		in, err := read[control.NewRecurring](r)
		if err != nil {
			return nil, err
		}
		return a.board.CreateRecurring(r.Context(), r.call, in)
	})
	handle("GET /api/v1/recurring/{recurring}", func(r *request) (any, error) {
		return a.board.Recurring(r.Context(), r.call, r.PathValue("recurring"))
	})
	handle("PATCH /api/v1/recurring/{recurring}", func(r *request) (any, error) {
		in, err := read[control.UpdateRecurring](r)
		if err != nil {
			return nil, err
		}
		return a.board.UpdateRecurring(r.Context(), r.call, r.PathValue("recurring"), in)
	})
	handle("DELETE /api/v1/recurring/{recurring}", func(r *request) (any, error) {
		return nil, a.board.DeleteRecurring(r.Context(), r.call, r.PathValue("recurring"))
	})
}

// newMessage is the body of a message to an agent.
type newMessage struct {
	Body string `json:"body"`
}

// inProject makes a handler of a list that a project narrows down.
func inProject[T any](name string, list func(r *request, project string, page control.Page) ([]T, string, error)) func(r *request) (any, error) {
	return func(r *request) (any, error) {
		page, q, err := r.page("project")
		if err != nil {
			return nil, err
		}
		rows, next, err := list(r, q["project"], page)
		return answer(name, rows, next, err)
	}
}

func (a *API) statusHistory(r *request) (any, error) {
	q, err := r.query("before", "limit")
	if err != nil {
		return nil, err
	}
	n, err := limit(q["limit"])
	if err != nil {
		return nil, err
	}
	before, err := before(q["before"])
	if err != nil {
		return nil, err
	}
	list, more, err := a.board.StatusHistory(r.Context(), r.call, r.PathValue("agent"), before, n)
	if err != nil {
		return nil, err
	}
	page := map[string]any{"changes": append([]control.StatusChange{}, list...)}
	if more != 0 {
		page["before"] = more
	}
	return page, nil
}

// before reads the sequence number of an event; 0: none is given.
func before(text string) (int64, error) {
	if text == "" {
		return 0, nil
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n <= 0 {
		return 0, rest.Invalid("before is the sequence number of an event.")
	}
	return n, nil
}

// times reads when tasks recur, in the words of EventBridge Scheduler.
func times(expression, zone string) (control.Times, error) {
	e, err := schedule.Parse(expression, zone)
	if err != nil {
		return nil, err
	}
	return e, nil
}

// tagged adds the version of a record to the answer that shows it.
func tagged(v any) any {
	e, is := v.(interface{ Revision() int64 })
	if !is {
		return v
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if n := e.Revision(); n > 0 {
			w.Header().Set("ETag", `"`+strconv.FormatInt(n, 10)+`"`)
		}
		rest.Write(w, http.StatusOK, v)
	})
}
