package push

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/lockstep-run/lockstep/internal/control"
)

// hook is the body of POST /hooks/agent. The gateway takes calls with the same
// token, idempotency key and text for one, whatever WaitForCompletion says.
type hook struct {
	Message           string `json:"message"`
	Name              string `json:"name"`
	AgentID           string `json:"agentId"`
	SessionKey        string `json:"sessionKey"`
	SessionMode       string `json:"sessionMode"`
	WakeMode          string `json:"wakeMode"`
	Deliver           bool   `json:"deliver"`
	WaitForCompletion bool   `json:"waitForCompletion"`
	TimeoutSeconds    int    `json:"timeoutSeconds"`
}

// SessionKey is the gateway's conversation for a task: one for each, so that
// what the task cost can be told and rework goes on where it was.
func SessionKey(agentID, task string) string { return "agent:" + agentID + ":task-" + task }

// WakeText is what an OpenClaw agent is told. It names tools by their ids, which
// begin with what the gateway calls this server.
func WakeText(entry string, o control.Offer) string {
	tool := func(name string) string { return entry + "__" + name }
	t := o.Task
	if t == nil {
		return "Message from the board, quoted: " + quoted(o.Wakeup.Note)
	}
	arg := fmt.Sprintf(`{"task":%q}`, t.Key)
	if !o.Wakeup.Work {
		return fmt.Sprintf("Board task %s %s: there is news for you (reason: %s).\nCall %s %s and read its thread. Answer with %s if an answer is wanted. Then stop.",
			t.Key, quoted(t.Title), o.Wakeup.Reason, tool("task_get"), arg, tool("task_comment"))
	}
	return fmt.Sprintf("Board task %s %s is yours (reason: %s).\nCall %s %s, then %s %s. Post output with %s, finish with %s. If you cannot go on call %s, if it cannot be done %s. Do this one task, then stop.",
		t.Key, quoted(t.Title), o.Wakeup.Reason, tool("task_get"), arg, tool("task_claim"), arg,
		tool("deliverable_add"), tool("task_submit"), tool("task_block"), tool("task_fail"))
}

// quoted marks what others wrote, on one line and not too long.
func quoted(text string) string {
	text = strings.Join(strings.Fields(text), " ")
	if r := []rune(text); len(r) > 2000 {
		text = string(r[:2000]) + "…"
	}
	return fmt.Sprintf("%q", text)
}

// openclaw has a gateway start a turn of the agent, or nudges it where there is
// no task.
func (p *Pusher) openclaw(ctx context.Context, o control.Offer, to Connection, s Secrets) error {
	ctx1, cancel := context.WithTimeout(ctx, 20*time.Second) // the gateway takes up to 15 s
	defer cancel()
	id := cmp.Or(to.AgentID, o.Agent.Slug)
	text := WakeText(cmp.Or(to.MCPEntry, "board"), o)
	hooks := strings.TrimSuffix(to.URL, "/") + cmp.Or(to.HooksPath, "/hooks")
	header := func() http.Header {
		return http.Header{"Authorization": {"Bearer " + s.Token}, "Idempotency-Key": {o.Delivery}}
	}
	if o.Task == nil {
		body, err := json.Marshal(map[string]any{"text": text, "mode": "now", "agentId": id})
		if err == nil {
			_, err = p.post(ctx1, to, hooks+"/wake", body, header())
		}
		return err
	}
	h := hook{
		Message: text, Name: "Board", AgentID: id, SessionKey: SessionKey(id, o.Task.Key), SessionMode: "persistent",
		// A turn that fails would else wake the agent's main session, which costs tokens.
		WakeMode:       "next-heartbeat",
		TimeoutSeconds: cmp.Or(to.TurnTime, 3600),
	}
	body, err := json.Marshal(h)
	if err != nil {
		return err
	}
	answer, err := p.post(ctx1, to, hooks+"/agent", body, header())
	if err != nil {
		return err
	}
	var got struct {
		OK    bool   `json:"ok"`
		Error string `json:"error"`
	}
	if json.Unmarshal(answer, &got) != nil || !got.OK {
		return fmt.Errorf("%s did not start a turn: %s", to.host(), cmp.Or(got.Error, "its answer is not a gateway's"))
	}
	if o.Wakeup.Work {
		h.WaitForCompletion = true
		p.work.Go(func() { p.follow(ctx, o, to, s, hooks+"/agent", h) })
	}
	return nil
}

// follow keeps the lease of a task alive for as long as the turn that was started
// for it goes on. What was delivered is asked about by delivering it once more
// with the same key: the gateway answers when the turn has ended. A gateway that
// forgot it, by a restart, starts it anew, so it is asked once and not again.
func (p *Pusher) follow(ctx context.Context, o control.Offer, to Connection, s Secrets, url string, h hook) {
	ctx, cancel := context.WithTimeout(ctx, time.Duration(h.TimeoutSeconds)*time.Second+time.Minute)
	defer cancel()
	ended := make(chan string, 1)
	p.work.Go(func() { ended <- p.await(ctx, o, to, s, url, h) })
	c := control.Call{Workspace: o.Agent.Workspace, By: control.System}
	renew := time.NewTicker(time.Minute)
	defer renew.Stop()
	for {
		rings := p.cfg.Bell.Next()
		holds, state, err := p.cfg.Board.LeaseOf(ctx, c, o.Agent.ID, o.Task.ID)
		if err == nil && state == control.Cancelled {
			p.abort(ctx, to, s, h)
			return
		}
		if !pause(ctx, time.Second, nil, nil) { // what happens in a burst is looked at once
			return
		}
		select {
		case <-ctx.Done():
			return
		case status := <-ended:
			if status == "error" {
				p.broke(ctx, o)
			}
			return
		case <-rings:
		case <-renew.C:
			if holds {
				c.At = time.Now()
				_, err := p.cfg.Board.KeepAlive(ctx, c, o.Task.ID)
				if err == nil {
					err = p.sign(ctx, o.Agent)
				}
				if err != nil && !control.Is(err, control.LeaseLost) && ctx.Err() == nil {
					p.cfg.Log.Error("a lease could not be renewed", "task", o.Task.Key, "error", err)
				}
			}
		}
	}
}

// await returns how the turn has ended: ok, error, skipped, or "" if that is not
// known.
func (p *Pusher) await(ctx context.Context, o control.Offer, to Connection, s Secrets, url string, h hook) string {
	body, err := json.Marshal(h)
	if err != nil {
		return ""
	}
	answer, err := p.post(ctx, to, url, body, http.Header{"Authorization": {"Bearer " + s.Token}, "Idempotency-Key": {o.Delivery}})
	var got struct {
		Completion struct {
			Status string `json:"status"`
		} `json:"completion"`
	}
	if err != nil || json.Unmarshal(answer, &got) != nil {
		return ""
	}
	return got.Completion.Status
}

// broke ends the attempt whose turn has ended with an error.
func (p *Pusher) broke(ctx context.Context, o control.Offer) {
	err := p.cfg.Board.RunEnded(ctx, control.Call{Workspace: o.Agent.Workspace, By: control.System, At: time.Now()}, o.Agent.ID, o.Task.ID, control.Failure{
		Category: "runtime", Code: "run_failed", Message: "the gateway says that the turn ended with an error; its log says which", Retryable: true,
	})
	if err != nil && ctx.Err() == nil {
		p.cfg.Log.Error("a turn that failed could not be noted", "task", o.Task.Key, "error", err)
	}
}
