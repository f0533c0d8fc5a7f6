package boardapi

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"time"

	"github.com/lockstep-run/lockstep/internal/control"
	"github.com/lockstep-run/lockstep/internal/rest"
)

// claimed is the answer to a claim. The token is the secret of the lease.
type claimed struct {
	Task           *control.Task `json:"task"`
	AttemptID      string        `json:"attempt_id"`
	LeaseToken     string        `json:"lease_token,omitempty"` // of agents
	LeaseExpiresAt time.Time     `json:"lease_expires_at,omitzero"`
}

// note is the body of a trigger that wants no more than a word about it.
type note struct {
	Note       string `json:"note,omitempty"`
	LeaseToken string `json:"lease_token,omitempty"`
}

// registerTriggers adds what moves tasks: one path for each trigger of the
// board's table that callers may use.
func (a *API) registerTriggers(handle func(string, func(*request) (any, error))) {
	on := func(trigger string, do func(r *request) (any, error)) {
		handle("POST /api/v1/tasks/{task}/"+trigger, do)
	}
	noted := func(trigger string, do func(r *request, in note) (any, error)) {
		on(trigger, func(r *request) (any, error) {
			in, err := read[note](r)
			if err != nil {
				return nil, err
			}
			return do(r, in)
		})
	}
	on("assign", func(r *request) (any, error) {
		in, err := read[assignBody](r)
		if err != nil {
			return nil, err
		}
		return a.board.Assign(r.Context(), r.call, r.task(), in.Assignee)
	})
	on("unassign", func(r *request) (any, error) { return a.board.Unassign(r.Context(), r.call, r.task()) })
	on("claim", func(r *request) (any, error) {
		got, err := a.board.Claim(r.Context(), r.call, r.task())
		return claimed(got), err
	})
	on("progress", func(r *request) (any, error) {
		in, err := read[progressBody](r)
		if err != nil {
			return nil, err
		}
		percent := -1
		if in.Percent != nil {
			if percent = *in.Percent; percent < 0 || percent > 100 {
				return nil, rest.Invalid("percent is from 0 to 100.")
			}
		}
		return a.board.Progress(r.Context(), r.call, r.task(), r.lease(in.LeaseToken), in.Note, percent)
	})
	on("submit", func(r *request) (any, error) {
		in, err := read[submitBody](r)
		if err != nil {
			return nil, err
		}
		return a.board.Submit(r.Context(), r.call, r.task(), r.lease(in.LeaseToken), in.Submission)
	})
	on("withdraw", func(r *request) (any, error) { return a.board.Withdraw(r.Context(), r.call, r.task()) })
	on("block", func(r *request) (any, error) {
		in, err := read[blockBody](r)
		if err != nil {
			return nil, err
		}
		return a.board.Block(r.Context(), r.call, r.task(), r.lease(in.LeaseToken), in.Blocking)
	})
	on("answer", func(r *request) (any, error) {
		in, err := read[answerBody](r)
		if err != nil {
			return nil, err
		}
		return a.board.AnswerBlock(r.Context(), r.call, r.task(), in.Answer)
	})
	noted("unblock", func(r *request, in note) (any, error) {
		return a.board.Unblock(r.Context(), r.call, r.task(), in.Note)
	})
	on("fail", func(r *request) (any, error) {
		in, err := read[failBody](r)
		if err != nil {
			return nil, err
		}
		return a.board.Fail(r.Context(), r.call, r.task(), r.lease(in.LeaseToken), in.Failure)
	})
	noted("release", func(r *request, in note) (any, error) {
		return a.board.Release(r.Context(), r.call, r.task(), r.lease(in.LeaseToken), in.Note)
	})
	noted("cancel", func(r *request, in note) (any, error) {
		return a.board.Cancel(r.Context(), r.call, r.task(), in.Note)
	})
	noted("reopen", func(r *request, in note) (any, error) {
		return a.board.Reopen(r.Context(), r.call, r.task(), in.Note)
	})
}

// registerThread adds what hangs on tasks.
func (a *API) registerThread(handle func(string, func(*request) (any, error))) {
	handle("PUT /api/v1/tasks/{task}/dependencies/{other}", func(r *request) (any, error) {
		in, err := read[dependencyBody](r)
		if err != nil {
			return nil, err
		}
		return a.board.AddDependency(r.Context(), r.call, r.task(), control.DependsOn{Task: r.PathValue("other"), Until: in.Until, PassDeliverables: in.PassDeliverables})
	})
	handle("DELETE /api/v1/tasks/{task}/dependencies/{other}", func(r *request) (any, error) {
		return a.board.RemoveDependency(r.Context(), r.call, r.task(), r.PathValue("other"))
	})

	handle("GET /api/v1/tasks/{task}/comments", listOf("comments", func(r *request, page control.Page) ([]*control.Comment, string, error) {
		return a.board.Comments(r.Context(), r.call, r.task(), page)
	}))
	handle("POST /api/v1/tasks/{task}/comments", func(r *request) (any, error) {
		in, err := read[commentBody](r)
		if err != nil {
			return nil, err
		}
		if in.Anchor != nil {
			return a.board.CommentAt(r.Context(), r.call, r.task(), in.Body, *in.Anchor)
		}
		return a.board.Comment(r.Context(), r.call, r.task(), in.Body)
	})
	handle("POST /api/v1/comments/{comment}/release", func(r *request) (any, error) {
		return a.board.ReleaseMentions(r.Context(), r.call, r.PathValue("comment"))
	})

	handle("GET /api/v1/tasks/{task}/deliverables", listOf("deliverables", func(r *request, page control.Page) ([]*control.Deliverable, string, error) {
		return a.board.Deliverables(r.Context(), r.call, r.task(), page)
	}))
	handle("POST /api/v1/tasks/{task}/deliverables", func(r *request) (any, error) {
		in, err := read[deliverableBody](r)
		if err != nil {
			return nil, err
		}
		return a.board.AddDeliverable(r.Context(), r.call, r.task(), r.lease(in.LeaseToken), in.NewDeliverable)
	})
	handle("POST /api/v1/blobs", a.putBlob)
	a.registerContent(handle)

	handle("GET /api/v1/tasks/{task}/handoffs", listOf("handoffs", func(r *request, page control.Page) ([]*control.Handoff, string, error) {
		return a.board.Handoffs(r.Context(), r.call, r.task(), page)
	}))
	handle("POST /api/v1/tasks/{task}/handoffs", func(r *request) (any, error) {
		in, err := read[handoffBody](r)
		if err != nil {
			return nil, err
		}
		return a.board.OfferHandoff(r.Context(), r.call, r.task(), r.lease(in.LeaseToken), in.NewHandoff)
	})
	handle("POST /api/v1/handoffs/{handoff}/accept", func(r *request) (any, error) {
		return a.board.AcceptHandoff(r.Context(), r.call, r.PathValue("handoff"))
	})
	handle("POST /api/v1/handoffs/{handoff}/decline", func(r *request) (any, error) {
		in, err := read[note](r)
		if err != nil {
			return nil, err
		}
		return a.board.DeclineHandoff(r.Context(), r.call, r.PathValue("handoff"), in.Note)
	})
}

// maxBlob is how long a file may be.
const maxBlob = 64 << 20

// putBlob keeps the bytes of a file, which a deliverable then names.
func (a *API) putBlob(r *request) (any, error) {
	data, err := io.ReadAll(http.MaxBytesReader(nil, r.Body, maxBlob))
	var long *http.MaxBytesError
	if errors.As(err, &long) {
		return nil, &rest.Error{Status: http.StatusRequestEntityTooLarge, Code: "too_large", Message: "A file has at most 64 MiB."}
	}
	if err != nil {
		return nil, rest.Invalid("The body could not be read.")
	}
	hash, err := a.board.PutBlob(r.Context(), data)
	return map[string]any{"blob": hash, "size": len(data)}, err
}

// registerContent adds the download of what was delivered.
func (a *API) registerContent(handle func(string, func(*request) (any, error))) {
	handle("GET /api/v1/deliverables/{deliverable}/content", func(r *request) (any, error) {
		d, err := a.board.Deliverable(r.Context(), r.call, r.PathValue("deliverable"))
		if err != nil {
			return nil, err
		}
		got := content{text: []byte(d.Content), deliverable: d}
		switch d.Kind {
		case "url":
			got.text = []byte(d.URL + "\n")
		case "file":
			if got.text, err = a.board.Blob(r.Context(), r.call, d.Hash); err != nil {
				return nil, err
			}
		}
		return got, nil
	})
}

// content is an answer that is not JSON: an agent's bytes, which no browser is to
// take for a page of ours.
type content struct {
	text        []byte
	deliverable *control.Deliverable
}

func (c content) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Type", "application/octet-stream")
	h.Set("Content-Disposition", "attachment")
	h.Set("Content-Security-Policy", "default-src 'none'; sandbox")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cache-Control", "no-store")
	h.Set("ETag", `"`+c.deliverable.Hash+`"`)
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(c.text))
}
