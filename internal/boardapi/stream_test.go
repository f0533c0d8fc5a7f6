package boardapi_test

import (
	"fmt"
	"strconv"
	"sync"
	"testing"
)

// A reader whose connection breaks now and then, the last time after 10,000
// events, has each sequence number once, in order.
func TestStreamResumesAfterTenThousand(t *testing.T) {
	const events = 10_000
	w := start(t)
	w.ok("", "POST", "projects", fields{"key": "WEB", "name": "Web"})
	var writers sync.WaitGroup
	for range 4 {
		writers.Go(func() {
			for i := range events / 4 {
				if status, got := w.do("", "PATCH", "projects/WEB", fields{"name": fmt.Sprint(i)}); status != 200 {
					t.Errorf("%d %v", status, got)
					return
				}
			}
		})
	}
	s, last, seen := w.stream("", "events/stream?after=0&type=project.updated"), 0, 0
	for seen < events {
		id, _ := s.next()
		n, err := strconv.Atoi(id)
		if err != nil || n <= last {
			t.Fatalf("event %q comes after %d", id, last)
		}
		last = n
		if seen++; seen%2500 == 0 {
			s.close()
			s = w.stream("", "events/stream?type=project.updated", "Last-Event-ID", id)
		}
	}
	writers.Wait()
	w.ok("", "PATCH", "projects/WEB", fields{"name": "the last"})
	if id, _ := s.next(); id != strconv.Itoa(last+1) {
		t.Errorf("after %d comes %s: something was missed or is there twice", last, id)
	}
}

// Streams read the feed together, and each tells what its own reader may hear.
func TestStreamsTellWhatTheirReadersMayHear(t *testing.T) {
	w := start(t)
	for _, key := range []string{"WEB", "OPS"} {
		w.ok("", "POST", "projects", fields{"key": key})
	}
	w.ok("", "POST", "agents", fields{"slug": "ada", "projects": []string{"WEB"}})
	key, _ := w.ok("", "POST", "agents/ada/keys", nil)["key"].(string)
	const path = "events/stream?type=task.create"
	owner, other, agent := w.stream("", path), w.stream("", path), w.stream(key, path)
	for i := range 20 {
		for _, project := range []string{"WEB", "OPS"} {
			w.ok("", "POST", "tasks", fields{"project": project, "title": fmt.Sprint(i)})
		}
	}
	var all []string
	for range 40 {
		id, _ := owner.next()
		if same, _ := other.next(); same != id {
			t.Errorf("one owner's stream has %s where the other's has %s", id, same)
		}
		all = append(all, id)
	}
	for i := range 20 {
		if id, _ := agent.next(); id != all[2*i] {
			t.Errorf("the agent is told %s, want %s, of WEB", id, all[2*i])
		}
	}
}
