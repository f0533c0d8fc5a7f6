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
