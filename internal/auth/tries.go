package auth

import (
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"sync"
	"time"
)

// tries slows down those who guess passwords. What is counted is a user's name
// and the address that the guesses come from, together: who guesses locks
// nobody out but themselves.
type tries struct {
	mu sync.Mutex
	of map[string]*failures
}

type failures struct {
	count int
	last  time.Time
}

const (
	freeTries = 5 // failures before there is a wait
	mostTries = 10_000
	longWait  = 15 * time.Minute
	forgiven  = time.Hour // after the last failure
)

// tooMany is the refusal of one who has failed too often.
type tooMany struct{ after time.Duration }

func (e *tooMany) Error() string { return "too many failed sign-ins" }

func (e *tooMany) answer(w http.ResponseWriter) {
	w.Header().Set("Retry-After", strconv.Itoa(int(e.after.Seconds())+1))
}

func tryKey(name, remote string) string {
	host, _, err := net.SplitHostPort(remote)
	if err != nil {
		host = remote
	}
	// One line to the Internet has a whole /64 of IPv6.
	if addr, err := netip.ParseAddr(host); err == nil && addr.Unmap().Is6() {
		if p, err := addr.WithZone("").Prefix(64); err == nil {
			host = p.String()
		}
	}
	if len(name) > 64 {
		name = name[:64]
	}
	return name + "|" + host
}

// wait is how long it is until the next try, 0 for now. It counts the try as
// failed already, so that many at once are as many; succeeded takes it back.
func (t *tries) begin(key string, now time.Time) time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	f := t.of[key]
	if f == nil || now.Sub(f.last) > forgiven {
		if len(t.of) >= mostTries {
			t.shrink(now)
		}
		f = &failures{}
		t.of[key] = f
	}
	if over := f.count - freeTries; over >= 0 {
		pause := min(time.Second<<min(over, 20), longWait)
		if left := f.last.Add(pause).Sub(now); left > 0 {
			return left
		}
	}
	f.count, f.last = f.count+1, now
	return 0
}

func (t *tries) succeeded(key string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.of, key)
}

// shrink forgets what is old, and some of what is not if that is too little.
func (t *tries) shrink(now time.Time) {
	for key, f := range t.of {
		if now.Sub(f.last) > forgiven {
			delete(t.of, key)
		}
	}
	for key := range t.of {
		if len(t.of) < mostTries {
			return
		}
		delete(t.of, key)
	}
}
