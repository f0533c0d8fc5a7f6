package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/lockstep-run/lockstep/internal/control"
	"github.com/lockstep-run/lockstep/internal/push"
)

// pipelineBenchResult is the one JSON object that `lockstep bench pipeline`
// prints: how long after an approval was sent the next task's agent had claimed it.
type pipelineBenchResult struct {
	Work   string `json:"work"`
	Rounds int    `json:"rounds"`
	Poll   spread `json:"poll"` // the agent waits by long poll
	Push   spread `json:"push"` // it is woken by signed HTTP
}

func newPipelineBench() *cobra.Command {
	var rounds int
	var data string
	cmd := &cobra.Command{
		Use:   "pipeline",
		Short: "Measure how soon an approval has the next agent at work",
		Long: `Approves a task that another one waits for, again and again, and measures from when
the approval is sent until the other task's agent has claimed it: once with an agent
that waits by long poll, once with one that is woken by a signed request.

The server runs in this process on a temporary store, and every commit is synced to
the disk.`,
		Example: `  lockstep bench pipeline --rounds 200`,
		Args:    cobra.NoArgs,
		RunE: act(func(cmd *cobra.Command, _ []string) error {
			if rounds < 1 {
				return usageError("--rounds must be at least 1")
			}
			result := &pipelineBenchResult{Work: "pipeline", Rounds: rounds}
			for _, way := range []struct {
				push bool
				out  *spread
			}{{false, &result.Poll}, {true, &result.Push}} {
				took, err := benchHandOver(cmd.Context(), data, way.push, rounds)
				if err != nil {
					return err
				}
				*way.out = spreadOf(took)
			}
			return json.NewEncoder(cmd.OutOrStdout()).Encode(result)
		}),
	}
	cmd.Flags().IntVar(&rounds, "rounds", 200, "how many `approvals`, each way")
	cmd.Flags().StringVar(&data, "data", "", "directory for the temporary store (default: the system's)")
	return cmd
}

// benchHandOver approves a task that another waits for, and measures until that
// is claimed.
func benchHandOver(ctx context.Context, data string, pushed bool, rounds int) (took []time.Duration, err error) {
	srv, err := openBenchServer(ctx, benchFlags{data: data})
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(srv.data)
	defer srv.closeSoon(ctx)
	b := newBoardLoad(srv.url, boardBenchFlags{})
	defer b.http.CloseIdleConnections()
	if err := b.call(ctx, nil, "POST", "projects", fields{"key": b.project}, nil); err != nil {
		return nil, err
	}
	first, err := b.hire(ctx, "first")
	if err != nil {
		return nil, err
	}
	second, err := b.hire(ctx, "second")
	if err != nil {
		return nil, err
	}
	ctx, leave := context.WithCancel(ctx)
	defer leave()
	claimed := make(chan error, 10)
	claim := func(key string) { claimed <- b.call(ctx, second, "POST", "tasks/"+key+"/claim", nil, nil) }
	if pushed {
		stop, err := b.hook(ctx, second, claim)
		if err != nil {
			return nil, err
		}
		defer stop()
	} else {
		done := make(chan struct{})
		defer func() { leave(); <-done }()
		go func() {
			defer close(done)
			for ctx.Err() == nil {
				var o control.Offer
				if err := b.call(ctx, second, "GET", "agent/next?wait=50", nil, &o); err != nil && ctx.Err() == nil {
					claimed <- err
					return
				}
				if o.Task != nil {
					claim(o.Task.Key)
				}
			}
		}()
	}
	for range rounds {
		d, err := b.handOver(ctx, first, second, claimed)
		if err != nil {
			return nil, err
		}
		took = append(took, d)
	}
	return took, nil
}

// hire registers an agent and gives it a key.
func (b *boardLoad) hire(ctx context.Context, slug string) (*loadAgent, error) {
	a := &loadAgent{slug: slug, offers: map[string]string{}}
	if err := b.call(ctx, nil, "POST", "agents", fields{"slug": slug, "projects": []string{b.project}}, nil); err != nil {
		return nil, err
	}
	var key struct{ Key string }
	err := b.call(ctx, nil, "POST", "agents/"+slug+"/keys", nil, &key)
	a.key = key.Key
	return a, err
}

// hook has an agent woken by signed requests, for which it listens until stop is
// called.
func (b *boardLoad) hook(ctx context.Context, a *loadAgent, claim func(key string)) (stop func(), err error) {
	secret := rand.Text()
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	web := &http.Server{ReadHeaderTimeout: 10 * time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(io.LimitReader(r.Body, 1<<20))
		if err == nil && r.Method == http.MethodPost {
			err = push.Verify(secret, r.Header, body, time.Now())
		}
		if err != nil {
			http.Error(w, err.Error(), http.StatusUnauthorized)
			return
		}
		var wake push.Wakeup
		if json.Unmarshal(body, &wake) == nil && wake.Task != nil {
			go claim(wake.Task.Key)
		}
	})}
	go web.Serve(l)
	err = b.call(ctx, nil, "PUT", "agents/"+a.slug+"/connection", fields{
		"runtime": "http", "url": "http://" + l.Addr().String(), "signing_secret": secret, "allow_private": true,
	}, nil)
	return func() { web.Close() }, err
}

// handOver takes a task and one that waits for it as far as the second one's
// claim, and returns how long that took from the approval.
func (b *boardLoad) handOver(ctx context.Context, first, second *loadAgent, claimed <-chan error) (time.Duration, error) {
	var one, two control.Task
	var lease struct {
		Token string `json:"lease_token"`
	}
	var submitted control.Submitted
	for _, step := range []func() error{
		func() error {
			return b.call(ctx, nil, "POST", "tasks", fields{"project": b.project, "title": "A", "assignee": "@" + first.slug}, &one)
		},
		func() error {
			return b.call(ctx, nil, "POST", "tasks", fields{"project": b.project, "title": "B", "assignee": "@" + second.slug, "depends_on": []fields{{"task": one.Key}}}, &two)
		},
		func() error { return b.call(ctx, first, "POST", "tasks/"+one.Key+"/claim", nil, &lease) },
		func() error {
			return b.call(ctx, first, "POST", "tasks/"+one.Key+"/submit", fields{"summary": "done", "lease_token": lease.Token}, &submitted)
		},
	} {
		if err := step(); err != nil {
			return 0, err
		}
	}
	began := time.Now()
	if err := b.call(ctx, nil, "POST", "reviews/"+submitted.Review.ID+"/decision", fields{"verdict": "approve"}, nil); err != nil {
		return 0, err
	}
	select {
	case err := <-claimed:
		if err != nil {
			return 0, err
		}
	case <-time.After(30 * time.Second):
		return 0, errors.New("nobody has claimed the task in 30 s")
	case <-ctx.Done():
		return 0, fmt.Errorf("%s: %w", two.Key, ctx.Err())
	}
	took := time.Since(began)
	return took, b.call(ctx, nil, "POST", "tasks/"+two.Key+"/cancel", nil, nil)
}
