// Package push delivers wakeups to agents that want them delivered.
//
// The one idea: the board has decided what is to be delivered, and keeps it
// until it is. One loop asks the board for that when the bell has rung, hands
// each offer to a sender of the agent's runtime, and tells the board what came
// of it; when it is tried again is the board's decision. Nothing is kept here:
// after a restart the board still has what was not delivered, under the same
// delivery id, so that a receiver who got it before can tell.
//
// The loop also has two eyes on agents that do not call by themselves: it asks
// their endpoint from time to time whether it is there, and it keeps the lease
// of a task alive while the run that was started for it goes on.
package push

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/lockstep-run/lockstep/internal/control"
	"github.com/lockstep-run/lockstep/internal/egress"
	"github.com/lockstep-run/lockstep/internal/feed"
	"github.com/lockstep-run/lockstep/internal/seal"
	"github.com/lockstep-run/lockstep/internal/store"
)

// Config says what a Pusher needs.
type Config struct {
	Board *control.Board
	Store interface {
		Record(ctx context.Context, kind, id string) (store.Record, error)
	}
	Bell   *feed.Bell
	Key    *seal.Key      // seals what agents' connections keep secret
	Policy *egress.Policy // where deliveries may go
	URL    func() string  // where agents reach this server, without a slash at its end
	Log    *slog.Logger
}

// How much goes on at once: a host that is slow holds up its own agents alone.
const (
	mostDeliveries = 64
	mostPerHost    = 8
	mostOffers     = 1000 // looked at in one go
)

// Pusher delivers wakeups. Its methods may be called concurrently.
type Pusher struct {
	cfg    Config
	public *http.Client
	free   chan struct{} // something has ended: look again

	mu      sync.Mutex
	private map[string]*http.Client // by host:port
	under   map[string]bool         // deliveries under way, by id
	hosts   map[string]int          // and by host
	alive   map[string]time.Time    // when an agent's last sign of life was passed on
	work    sync.WaitGroup
}

// New makes a Pusher. Run it.
func New(cfg Config) *Pusher {
	return &Pusher{
		cfg: cfg, public: client(cfg.Policy), free: make(chan struct{}, 1),
		private: map[string]*http.Client{}, under: map[string]bool{}, hosts: map[string]int{}, alive: map[string]time.Time{},
	}
}

// client calls under a policy. What is behind it answers in its own time: each
// call has a limit of its own.
func client(p *egress.Policy) *http.Client { return p.Client() }

// Run delivers until ctx ends, and returns when nothing is under way any more.
func (p *Pusher) Run(ctx context.Context) error {
	defer p.work.Wait()
	p.work.Go(func() { p.probe(ctx) })
	const longest = time.Second // a wakeup that was put off becomes due without a ring
	for {
		rings, began := p.cfg.Bell.Next(), time.Now()
		if err := p.look(ctx); err != nil && ctx.Err() == nil {
			p.cfg.Log.Error("wakeups could not be delivered; it is tried again", "error", err)
			rings = nil
		}
		// On a busy board looking takes a tenth of the time at most.
		if !pause(ctx, min(10*time.Since(began), longest), nil, nil) || !pause(ctx, longest, rings, p.free) {
			return nil
		}
	}
}

// pause waits for a time, or until one of two channels says something. It is
// false when ctx has ended.
func pause(ctx context.Context, d time.Duration, a, b <-chan struct{}) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-a:
	case <-b:
	case <-t.C:
	}
	return ctx.Err() == nil
}

// look sets in motion what can be delivered now.
func (p *Pusher) look(ctx context.Context) error {
	offers, err := p.cfg.Board.Queued(ctx, time.Now(), mostOffers)
	if err != nil {
		return err
	}
	for _, o := range offers {
		to, secrets, err := p.reach(ctx, o.Agent)
		host := to.host()
		if !p.begin(o.Delivery, host) {
			continue
		}
		p.work.Go(func() {
			defer p.end(o.Delivery, host)
			if err == nil {
				err = p.deliver(ctx, o, to, secrets)
			}
			if ctx.Err() != nil && err != nil {
				return // it stays with the board
			}
			p.tell(ctx, o, err)
		})
	}
	return nil
}

// begin takes a place for a delivery, if it is not under way and there is one.
func (p *Pusher) begin(delivery, host string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.under[delivery] || len(p.under) >= mostDeliveries || p.hosts[host] >= mostPerHost {
		return false
	}
	p.under[delivery] = true
	p.hosts[host]++
	return true
}

func (p *Pusher) end(delivery, host string) {
	p.mu.Lock()
	delete(p.under, delivery)
	if p.hosts[host]--; p.hosts[host] == 0 {
		delete(p.hosts, host)
	}
	p.mu.Unlock()
	select {
	case p.free <- struct{}{}:
	default:
	}
}

// tell has the board know what came of a delivery, even if the server is about
// to stop: it was made.
func (p *Pusher) tell(ctx context.Context, o control.Offer, failed error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	c := control.Call{Workspace: o.Agent.Workspace, By: control.System, At: time.Now()}
	var err error
	if failed != nil {
		err = p.cfg.Board.NotSent(ctx, c, o.Wakeup.ID, o.Delivery, said(failed))
	} else {
		err = errors.Join(p.cfg.Board.Sent(ctx, c, o.Wakeup.ID, o.Delivery), p.sign(ctx, o.Agent))
	}
	if err != nil {
		p.cfg.Log.Error("what came of a delivery could not be kept; it is made again", "agent", o.Agent.Slug, "delivery", o.Delivery, "error", err)
	}
}

// sign passes a sign of life on, unless it has just done so.
func (p *Pusher) sign(ctx context.Context, a *control.Agent) error {
	now := time.Now()
	p.mu.Lock()
	recent := now.Sub(p.alive[a.ID]) < 15*time.Second
	p.alive[a.ID] = now
	p.mu.Unlock()
	if recent {
		return nil
	}
	return p.cfg.Board.Signal(ctx, control.Call{Workspace: a.Workspace, By: control.AgentParty(a.ID), At: now})
}

// deliver makes one delivery. Its error is for people: it has no secret in it.
func (p *Pusher) deliver(ctx context.Context, o control.Offer, to Connection, secrets Secrets) error {
	if o.Agent.Runtime == "openclaw" {
		return p.openclaw(ctx, o, to, secrets)
	}
	return p.signed(ctx, o, to, secrets)
}

// client is what calls a connection: under the server's policy, or, where an
// owner has confirmed a private host and port, to that alone besides.
func (p *Pusher) client(to Connection) (*http.Client, error) {
	if to.Private == "" {
		return p.public, nil
	}
	if host := to.host(); host != to.Private {
		return nil, fmt.Errorf("an owner has confirmed %s, and the URL leads to %s: save the connection again", to.Private, host)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if c := p.private[to.Private]; c != nil {
		return c, nil
	}
	policy, err := egress.New(egress.Config{Allow: []string{to.Private}})
	if err != nil {
		return nil, err
	}
	c := client(policy)
	p.private[to.Private] = c
	return c, nil
}

// said is an error's text for people, without a URL, whose path may be secret.
func said(err error) string {
	var called *url.Error
	if errors.As(err, &called) {
		err = called.Err
	}
	text := err.Error()
	if errors.Is(err, context.DeadlineExceeded) {
		text = "no answer in time"
	}
	if len(text) > 500 {
		text = text[:500]
	}
	return text
}
