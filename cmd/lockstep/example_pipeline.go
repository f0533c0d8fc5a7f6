package main

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"net/http"
	"net/url"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/lockstep-run/lockstep/examples/review-gated-pipeline/publisher"
	"github.com/lockstep-run/lockstep/examples/review-gated-pipeline/writer"
	"github.com/lockstep-run/lockstep/internal/control"
)

// pipelineForms are the ways in which a review-gated pipeline is set up: tasks
// that depend on each other, or states of a machine.
var pipelineForms = []string{"board", "machine"}

// pipeline plays the example of two agents and a reviewer.
type pipeline struct {
	*exampleRun
	srv      *server
	c        *restClient
	api      *client
	machine  string // ARN
	notes    string
	began    time.Time
	events   <-chan heard
	draft    string // key of the task that is drafted, and reviewed
	second   string // of the one that is published
	approved time.Time
}

// heard is an event of the board and when we heard of it.
type heard struct {
	control.Event
	at time.Time
}

// pipeline runs an example of two agents once in each form that is asked for.
func (e *exampleRun) pipeline(ctx context.Context, x *example, srv *server, machines map[string]string) error {
	notes, err := fs.ReadFile(x.dir, x.Pipeline.Notes)
	if err != nil {
		return err
	}
	p := &pipeline{
		exampleRun: e, srv: srv, c: &restClient{url: srv.url}, api: newClient(srv.url), machine: machines["pipeline"],
		notes: string(notes), began: time.Now(),
	}
	ctx, cancel := context.WithCancel(ctx)
	var agents sync.WaitGroup
	defer agents.Wait()
	defer cancel()
	if err := p.prepare(ctx); err != nil {
		return err
	}
	failed := make(chan error, 3)
	for slug, run := range map[string]func(key string) error{
		"writer":    func(key string) error { return writer.Run(ctx, srv.url, key) },
		"publisher": func(key string) error { return p.publisher(key).Run(ctx) },
	} {
		key, err := agentKey(ctx, p.c, slug, "")
		if err != nil {
			return err
		}
		agents.Go(func() {
			if err := run(key); err != nil {
				failed <- fmt.Errorf("@%s: %w", slug, err)
			}
		})
	}
	p.events, err = p.listen(ctx, failed)
	if err != nil {
		return err
	}
	p.say("Console: %s/board/WEB", srv.url)
	for _, form := range pipelineForms {
		if e.as != "" && e.as != form {
			continue
		}
		if err := p.play(ctx, form, failed); err != nil {
			return err
		}
	}
	return p.sumUp(ctx)
}

// publisher is the second agent.
func (p *pipeline) publisher(key string) *publisher.Agent {
	return &publisher.Agent{URL: p.srv.url, Key: key, Dir: filepath.Join(p.srv.data, "site")}
}

// say prints a line under what time it is.
func (p *pipeline) say(format string, args ...any) {
	fmt.Fprintf(p.out, "%8.3f s  %s\n", time.Since(p.began).Seconds(), fmt.Sprintf(format, args...))
}

// prepare makes the project, the agents and the prices of what they use.
func (p *pipeline) prepare(ctx context.Context) error {
	rates := fields{"input": int64(3e9), "output": int64(15e9)}
	var models []fields
	for _, id := range []string{writer.Model, publisher.Model} {
		models = append(models, fields{"provider": writer.Provider, "id": id, "prices": []fields{{"rates": rates}}})
	}
	if _, err := p.c.call(ctx, http.MethodPut, "prices/overrides", fields{"models": models}, nil); err != nil {
		return err
	}
	_, err := p.c.call(ctx, http.MethodPost, "projects", fields{"key": "WEB", "name": "Web site"}, nil)
	for _, slug := range []string{"writer", "publisher"} {
		if err == nil || refusedAs(err, string(control.AlreadyExists)) { // of an earlier run, in kept data
			_, err = p.c.call(ctx, http.MethodPost, "agents", fields{"slug": slug, "projects": []string{"WEB"}}, nil)
		}
	}
	if err != nil && !refusedAs(err, string(control.AlreadyExists)) {
		return err
	}
	p.say("Two agents: @writer, over MCP, and @publisher, over REST. No model is asked: a word counts as a token, at a made-up price.")
	return nil
}

// listen follows the board's events from now on, until ctx ends.
func (p *pipeline) listen(ctx context.Context, failed chan<- error) (<-chan heard, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, p.srv.url+"/api/v1/events/stream?project=WEB", nil)
	if err != nil {
		return nil, err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	lines := bufio.NewScanner(res.Body)
	lines.Buffer(nil, 16<<20)
	lines.Scan() // the stream has begun
	events := make(chan heard, 100)
	go func() {
		defer res.Body.Close()
		for lines.Scan() {
			var e heard
			if data, is := strings.CutPrefix(lines.Text(), "data: "); is && json.Unmarshal([]byte(data), &e.Event) == nil && e.Type != "" {
				e.at = time.Now()
				select {
				case events <- e:
				case <-ctx.Done():
					return
				}
			}
		}
		if ctx.Err() == nil {
			failed <- fmt.Errorf("the stream of events has ended: %w", cmp.Or(lines.Err(), errStreamEnded))
		}
	}()
	return events, nil
}

var errStreamEnded = fmt.Errorf("the server closed it")

// play lets one page through, from the task to its publication.
func (p *pipeline) play(ctx context.Context, form string, failed <-chan error) error {
	p.draft, p.second, p.approved = "", "", time.Time{}
	fmt.Fprintf(p.out, "\n%s\n", map[string]string{
		"board":   "On the board: Publish depends on Draft.",
		"machine": "As a state machine: Draft and Publish are states, each a task on the board.",
	}[form])
	execution := ""
	if form == "board" {
		if err := p.addTasks(ctx); err != nil {
			return err
		}
	} else {
		input, err := json.Marshal(fields{"notes": p.notes})
		if err != nil {
			return err
		}
		var started struct {
			ARN string `json:"executionArn"`
		}
		if err := p.api.call(ctx, "StartExecution", fields{"stateMachineArn": p.machine, "input": string(input)}, &started); err != nil {
			return err
		}
		execution = started.ARN
		p.say("%s started", execution)
	}
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case err := <-failed:
			return err
		case e := <-p.events:
			end, err := p.happened(ctx, &e)
			if err != nil {
				return err
			}
			if end && execution != "" {
				return p.awaitExecution(ctx, execution)
			}
			if end {
				return nil
			}
		}
	}
}

// addTasks makes a task and one that depends on it.
func (p *pipeline) addTasks(ctx context.Context) error {
	var draft control.Task
	if _, err := p.c.call(ctx, http.MethodPost, "tasks", fields{
		"project": "WEB", "title": "Draft the page", "assignee": "@writer", "input": fields{"notes": p.notes},
		"acceptance_criteria": []string{"At most 100 words"}, "output_schema": json.RawMessage(`{"type":"object","required":["headline"]}`),
	}, &draft); err != nil {
		return err
	}
	_, err := p.c.call(ctx, http.MethodPost, "tasks", fields{
		"project": "WEB", "title": "Publish the page", "assignee": "@publisher", "review_mode": "none",
		"depends_on": []fields{{"task": draft.Key, "pass_deliverables": true}},
	}, nil)
	return err
}

// happened shows an event, and does what is the reviewer's to do. It is true
// when the page is published, or never will be.
func (p *pipeline) happened(ctx context.Context, e *heard) (end bool, err error) {
	what, to := strings.TrimPrefix(e.Type, "task."), textOf(e.Data["to"])
	switch e.Type {
	case "task.create":
		if p.draft == "" {
			p.draft = e.Key
		} else {
			p.second = e.Key
		}
	case "task.claim", "task.submit", "task.approve", "task.changes_requested", "task.reject", "task.fail", "task.cancel", "task.retry":
	case "deliverable.created":
		p.line(ctx, &e.Event, "", "posted", textOf(e.Data["title"]), "version", textOf(e.Data["number"]))
		return false, nil
	case "review.created":
		return false, p.review(ctx, &e.Event)
	default:
		return false, nil
	}
	p.line(ctx, &e.Event, to, what)
	switch {
	case e.Type == "task.approve":
		p.approved = e.At
	case e.Type == "task.claim" && e.Key == p.second:
		p.say("approve to claim: @publisher had claimed it %d ms after the approval came", e.at.Sub(p.approved).Milliseconds())
	case e.Key == p.second && control.State(to).Terminal(), control.State(to) == control.Failed, control.State(to) == control.Cancelled:
		return true, nil
	}
	return false, nil
}

func textOf(v any) string {
	switch v := v.(type) {
	case nil:
		return ""
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64)
	}
	return fmt.Sprint(v)
}

// line shows a step of a task: where it stands now, and what it has cost.
func (p *pipeline) line(ctx context.Context, e *control.Event, to string, what ...string) {
	var v control.View
	status := to
	if _, err := p.c.call(ctx, http.MethodGet, "tasks/"+e.Task, nil, &v); err == nil {
		status = cmp.Or(to, string(v.Task.State))
	}
	who := ""
	if e.Agent != "" && strings.HasPrefix(string(e.By), "agent:") {
		who = p.nameOf(ctx, e.Agent)
	}
	p.say("%s %-17s %-12s %-9s %s", e.Key, cmp.Or(v.Task.Title, e.Key), status, dollars(p.cost(ctx, "task")[e.Key]), strings.TrimSpace(who+" "+strings.Join(what, " ")))
}

func (p *pipeline) nameOf(ctx context.Context, agent string) string {
	var a agentRow
	if _, err := p.c.call(ctx, http.MethodGet, "agents/"+agent, nil, &a); err != nil {
		return agent
	}
	return "@" + a.Slug
}

// cost is what has been used, by task or agent, in nano-USD.
func (p *pipeline) cost(ctx context.Context, by string) map[string]int64 {
	var sum struct {
		Rows []struct {
			Name, ID string
			Billed   int64
		}
	}
	costs := map[string]int64{}
	if _, err := p.c.call(ctx, http.MethodGet, "usage/summary?group_by="+by, nil, &sum); err == nil {
		for _, r := range sum.Rows {
			costs[r.Name], costs[r.ID] = r.Billed, r.Billed
		}
	}
	return costs
}

// review is what the reviewer does about a draft. A scripted one does it here; a
// person has the inbox.
func (p *pipeline) review(ctx context.Context, e *control.Event) error {
	told, err := p.notification(ctx, e.Review)
	if err != nil {
		return err
	}
	p.say("the reviewer is notified: %s", told)
	if !p.unattended {
		p.say("It waits for you: there, or lockstep review approve %s --url %s (or changes, with --comment 'at most 60 words')", e.Key, p.srv.url)
		return nil
	}
	var v control.View
	if _, err := p.c.call(ctx, http.MethodGet, "tasks/"+e.Task, nil, &v); err != nil {
		return err
	}
	verdict, comment := scriptedReview(&v)
	p.say("the scripted reviewer says: %s %s", verdict, comment)
	_, err = p.c.call(ctx, http.MethodPost, "reviews/"+url.PathEscape(e.Review)+"/decision", fields{"verdict": verdict, "comment": comment}, nil)
	return err
}

// notification waits for what the reviewer is told of a review: its title, and
// where it leads.
func (p *pipeline) notification(ctx context.Context, review string) (string, error) {
	for {
		var page struct {
			Notifications []struct{ Title, URL string }
		}
		if _, err := p.c.call(ctx, http.MethodGet, "notifications?unread=1", nil, &page); err != nil {
			return "", err
		}
		for _, n := range page.Notifications {
			if strings.HasSuffix(n.URL, "/"+review) {
				return n.Title + " " + n.URL, nil
			}
		}
		if !wait(ctx, 10*time.Millisecond) {
			return "", ctx.Err()
		}
	}
}

// scriptedReview reads the newest page as a reviewer who wants it short, and the
// soup in it.
func scriptedReview(v *control.View) (verdict, comment string) {
	page := ""
	for _, d := range v.Deliverables {
		page = d.Content // of the newest, which is the last
	}
	if n := len(strings.Fields(page)); n > 65 || !strings.Contains(page, "soup") {
		return "changes_requested", `At most 60 words, please, and keep "soup".`
	}
	return "approve", ""
}

// awaitExecution waits for an execution's end and shows it.
func (p *pipeline) awaitExecution(ctx context.Context, arn string) error {
	for {
		var end struct{ Status, Output, Error, Cause string }
		if err := p.api.call(ctx, "DescribeExecution", fields{"executionArn": arn}, &end); err != nil {
			return err
		}
		if end.Status != "RUNNING" {
			p.say("the execution has %s %s", end.Status, cmp.Or(end.Output, end.Error+": "+end.Cause))
			return nil
		}
		if !wait(ctx, 10*time.Millisecond) {
			return ctx.Err()
		}
	}
}

// sumUp shows how the agents stand, and what they cost.
func (p *pipeline) sumUp(ctx context.Context) error {
	costs := p.cost(ctx, "agent")
	fmt.Fprintln(p.out)
	for _, slug := range []string{"writer", "publisher"} {
		var a agentRow
		if _, err := p.c.call(ctx, http.MethodGet, "agents/"+slug, nil, &a); err != nil {
			return err
		}
		var tries struct{ Attempts []control.Attempt }
		if _, err := p.c.call(ctx, http.MethodGet, "agents/"+slug+"/attempts?limit=200", nil, &tries); err != nil {
			return err
		}
		errs := slices.DeleteFunc(tries.Attempts, func(t control.Attempt) bool { return t.Error == nil })
		fmt.Fprintf(p.out, "@%-10s %-8s attempts %d  errors %d  cost %s\n", slug, a.Status.Label, len(tries.Attempts), len(errs), dollars(costs[slug]))
		for _, t := range errs {
			fmt.Fprintf(p.out, "  %s: %s\n", t.Error.Category, t.Error.Message)
		}
	}
	fmt.Fprintln(p.out, "The prices are made up; nobody pays them.")
	return nil
}
