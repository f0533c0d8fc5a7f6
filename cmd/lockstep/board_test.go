package main

import (
	"io"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"github.com/lockstep-run/lockstep/internal/control"
)

// TestPageOfTheBoard runs docs/board.md, line by line.
func TestPageOfTheBoard(t *testing.T) {
	for _, tool := range []string{"sh", "curl", "sed"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skip(err)
		}
	}
	page, err := os.ReadFile("../../docs/board.md")
	if err != nil {
		t.Fatal(err)
	}
	srv := openTest(t, t.TempDir())
	script := ""
	for _, block := range regexp.MustCompile("(?s)```sh\n(.*?)```").FindAllStringSubmatch(string(page), -1) {
		script += block[1]
	}
	script = strings.ReplaceAll(script, "http://"+defaultListen, srv.url)
	cmd := exec.CommandContext(t.Context(), "sh", "-eux", "-c", script)
	cmd.Env = append(os.Environ(), "LOCKSTEP_URL="+srv.url, "GORACE=atexit_sleep_ms=0")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, want := range []string{"WEB-1 is review", "WEB-2 is done", "Draft the page is changes_requested", "Draft the page is approved", "\nevent: task.", "@writer"} {
		if !strings.Contains(string(out), want) {
			t.Errorf("the page does not lead to %q:\n%s", want, out)
		}
	}
}

// What is on the board is there after a restart: keys, leases, reviews, the feed.
func TestBoardSurvivesRestart(t *testing.T) {
	dir := t.TempDir()
	srv := openTest(t, dir)
	var key, lease struct {
		Key   string `json:"key"`
		Token string `json:"lease_token"`
	}
	c := &restClient{url: srv.url}
	call := func(agent bool, method, path string, in, out any) {
		t.Helper()
		c.url, c.header = srv.url, http.Header{}
		if agent {
			c.header.Set("Authorization", "Bearer "+key.Key)
			c.header.Set("X-Lockstep-Lease", lease.Token)
		}
		if _, err := c.call(t.Context(), method, path, in, out); err != nil {
			t.Fatal(err)
		}
	}
	restart := func() {
		t.Helper()
		if err := srv.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		srv = openTest(t, dir)
	}
	call(false, "POST", "projects", fields{"key": "WEB", "name": "Web"}, nil)
	call(false, "POST", "agents", fields{"slug": "writer", "projects": []string{"WEB"}}, nil)
	call(false, "POST", "agents/writer/keys", nil, &key)
	call(false, "POST", "tasks", fields{"project": "WEB", "title": "A", "assignee": "@writer"}, nil)
	call(false, "POST", "tasks", fields{"project": "WEB", "title": "B", "assignee": "@writer", "depends_on": []fields{{"task": "WEB-1"}}}, nil)
	restart()
	var offer control.Offer
	call(true, "GET", "agent/next", nil, &offer)
	if offer.Task == nil || offer.Task.Key != "WEB-1" {
		t.Fatalf("the wakeup is lost: %+v", offer)
	}
	call(true, "POST", "tasks/WEB-1/claim", nil, &lease)
	restart()
	call(true, "POST", "tasks/WEB-1/submit", fields{"summary": "done"}, nil)
	restart()
	var inbox struct {
		Reviews []control.Waiting `json:"reviews"`
	}
	call(false, "GET", "reviews?mine=1", nil, &inbox)
	if len(inbox.Reviews) != 1 {
		t.Fatalf("the inbox has %d reviews, want 1", len(inbox.Reviews))
	}
	call(false, "POST", "reviews/"+inbox.Reviews[0].Review.ID+"/decision", fields{"verdict": "approve"}, nil)
	restart()
	offer = control.Offer{}
	call(true, "GET", "agent/next", nil, &offer)
	if offer.Task == nil || offer.Task.Key != "WEB-2" {
		t.Fatalf("the dependant's wakeup is lost: %+v", offer)
	}
	var feed struct {
		Events []control.Event `json:"events"`
	}
	call(false, "GET", "events?limit=200", nil, &feed)
	for i, e := range feed.Events {
		if e.Seq != int64(i+1) {
			t.Fatalf("event %d has the number %d", i+1, e.Seq)
		}
	}
	if len(feed.Events) < 10 {
		t.Errorf("%d events", len(feed.Events))
	}
}

// A server that stops ends the streams of its feed, rather than wait for readers
// to go.
func TestCloseEndsStreams(t *testing.T) {
	srv := openTest(t, t.TempDir())
	res, err := http.Get(srv.url + "/api/v1/events/stream")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	ended := make(chan error)
	go func() {
		_, err := io.ReadAll(res.Body) // one that was cut off is an error
		ended <- err
	}()
	if err := srv.closeSoon(t.Context()); err != nil {
		t.Error(err)
	}
	if err := <-ended; err != nil {
		t.Errorf("the stream ended with %v", err)
	}
}
