// Package mcp is the board's door for agents that speak the Model Context
// Protocol: the operations of control.Board as tools, over Streamable HTTP.
//
// The one idea: a tool is an operation with a short name. Who calls is found out
// by whoever stands in front (Config.Identify) and handed to the board, which
// decides, exactly as it does for REST. What is here besides is what a model
// needs and a program does not: the whole brief of a task in one answer, names
// instead of ids, what other agents wrote marked as theirs, and in each answer
// the next sensible step.
//
// Nothing is kept between two requests, so a client may come back to a server
// that was started anew, and to another one over the same store. MCP cannot wake
// anybody: for that there are wakeups.
package mcp

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"time"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/lockstep-run/lockstep/internal/control"
	"github.com/lockstep-run/lockstep/internal/feed"
	"github.com/lockstep-run/lockstep/internal/rest"
	"github.com/lockstep-run/lockstep/internal/spend"
)

// MaxBody is how long a request may be, in bytes: a text of a deliverable of
// 1 MiB, and what JSON makes of it.
const MaxBody = 2 << 20

// Reporter keeps usage that is reported, and says what became of each report: a
// spend.Keeper.
type Reporter interface {
	Report(ctx context.Context, c control.Call, reports []spend.Report) ([]spend.Result, error)
}

// Config says what a Door works with.
type Config struct {
	Board *control.Board
	Bell  *feed.Bell // rings when there may be work
	// Identify finds out who calls. Its errors are answers, see rest.Fail.
	Identify func(*http.Request) (control.Call, error)
	Usage    Reporter
	Stopping context.Context // ends what waits
	Version  string          // of this program
	Log      *slog.Logger
}

// Door is an http.Handler that speaks MCP. It is for agents: whoever is none is
// answered with 401 and how to get a key.
type Door struct {
	cfg          Config
	worker, lead *sdk.Server
	http         http.Handler
}

// New makes a door.
func New(cfg Config) *Door {
	d := &Door{cfg: cfg, worker: newServer(cfg.Version), lead: newServer(cfg.Version)}
	for _, s := range []*sdk.Server{d.worker, d.lead} {
		d.register(s, s == d.lead)
	}
	d.http = sdk.NewStreamableHTTPHandler(d.serverFor, &sdk.StreamableHTTPOptions{
		Stateless: true, JSONResponse: true, MaxRequestBodyBytes: MaxBody,
		Logger:                     slog.New(slog.DiscardHandler), // what a client does wrong it is told
		DisableLocalhostProtection: true,                          // whoever stands in front says which names are ours
	})
	return d
}

// Instructions say in a few words how to work with the tools.
const Instructions = "A board of tasks. Call whoami or task_next, do one task, keep its lease with task_progress, post output with deliverable_add, " +
	"finish with task_submit (or task_block, task_fail, task_release), then stop: you will be woken."

func newServer(version string) *sdk.Server {
	return sdk.NewServer(&sdk.Implementation{Name: "lockstep", Title: "Lockstep", Version: version}, &sdk.ServerOptions{
		Instructions: Instructions,
		Capabilities: &sdk.ServerCapabilities{Tools: &sdk.ToolCapabilities{}}, // neither logging nor news of lists
		Logger:       slog.New(slog.DiscardHandler),
	})
}

// caller is the agent behind a request.
type caller struct {
	control.Call
	agent *control.Agent
	gone  context.Context // ends with the HTTP request, which in older versions of the protocol a call outlives
}

type callerKey struct{}

// serverFor gives each agent the tools of its role.
func (d *Door) serverFor(r *http.Request) *sdk.Server {
	if who, _ := r.Context().Value(callerKey{}).(*caller); who != nil && who.agent.Role == "lead" {
		return d.lead
	}
	return d.worker
}

const howToGetAKey = "MCP is for agents: send the agent's key as Authorization: Bearer KEY. lockstep agent key SLUG makes one."

// ServeHTTP implements http.Handler.
func (d *Door) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	who, err := d.caller(r)
	var known *rest.Error
	if errors.As(err, &known) && known.Status == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", `Bearer realm="lockstep"`)
	}
	if err != nil {
		rest.Fail(w, err)
		return
	}
	if r.Method == http.MethodPost {
		if err := checkBody(w, r); err != nil {
			rest.Fail(w, err)
			return
		}
	}
	d.http.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), callerKey{}, who)))
}

func (d *Door) caller(r *http.Request) (*caller, error) {
	c, err := d.cfg.Identify(r)
	if err != nil {
		return nil, err
	}
	kind, id := c.By.Split()
	if kind != "agent" {
		return nil, &rest.Error{Status: http.StatusUnauthorized, Code: "unauthorized", Message: howToGetAKey}
	}
	c.Key, c.Version = "", 0 // those are a tool's arguments
	agent, err := d.cfg.Board.Agent(r.Context(), c, id)
	if err != nil {
		return nil, err
	}
	return &caller{Call: c, agent: agent, gone: r.Context()}, nil
}

// checkBody refuses what need not go further: too long, no JSON, nested so deep
// that reading it costs a stack, or many calls in one.
func checkBody(w http.ResponseWriter, r *http.Request) error {
	text, err := io.ReadAll(http.MaxBytesReader(w, r.Body, MaxBody))
	var long *http.MaxBytesError
	switch {
	case errors.As(err, &long):
		return &rest.Error{Status: http.StatusRequestEntityTooLarge, Code: "too_large", Message: fmt.Sprintf("The body has more than %d bytes.", MaxBody)}
	case err != nil:
		return rest.Invalid("The body could not be read.")
	case !json.Valid(text): // which also bounds the depth
		return rest.Invalid("The body is no JSON.")
	}
	if start := bytes.TrimLeft(text, " \t\r\n"); start[0] != '{' {
		return rest.Invalid("The body is one JSON-RPC message; batches are not taken.")
	}
	r.Body = io.NopCloser(bytes.NewReader(text))
	return nil
}

// failure is what a tool answers with when it is refused: the error as REST has
// it, where a model can read it.
type failure struct {
	next
	Error refusal `json:"error"`
}

type refusal struct {
	Code    string         `json:"code"`
	Message string         `json:"message"`
	Details map[string]any `json:"details,omitempty"`
}

// whatNext says what to do about a refusal.
var whatNext = map[control.Code]string{
	control.LeaseLost:         "stop working on this task: it is not yours any more. whoami lists what is",
	control.GateClosed:        "do not ask again: you will be woken when the gate opens",
	control.NotAssignee:       "leave it: another has it. task_next gives you what is yours",
	control.AtCapacity:        "end what you hold first: whoami lists it with its leases",
	control.AgentNotActive:    "stop: you are paused or retired, and will be woken",
	control.OverBudget:        "stop: you will be woken when the budget allows",
	control.ChildrenOpen:      "the task waits for its children: task_block, or do them first",
	control.OutputInvalid:     "correct the output as violations say and submit again",
	control.SubmissionEmpty:   "give a summary or an output, or post a deliverable first",
	control.BlockNeedsOwner:   "name as owner a user, agent or role who can unblock it",
	control.ReviewClosed:      "it has been decided: review_list shows what is open",
	control.NoLongerWaiting:   "stop: what waited for this task has gone on",
	control.InvalidTransition: "task_get shows where the task stands",
	control.NotFound:          "check the name: task_list and whoami show what there is for you",
	control.InvalidInput:      "correct the arguments and call again",
}

// refused writes an error for a model to read. What is none of the board's is
// logged, and its text kept from the answer.
func (d *Door) refused(tool string, err error) failure {
	var board *control.Error
	var known *rest.Error
	switch {
	case errors.As(err, &board):
		return failure{next{whatNext[board.Code]}, refusal{string(board.Code), board.Message, board.Details}}
	case errors.As(err, &known):
		return failure{next{}, refusal{known.Code, known.Message, known.Details}}
	}
	d.cfg.Log.Error("a tool of an agent failed", "tool", tool, "error", err)
	return failure{next{"try again once; if it fails again, stop"}, refusal{Code: "internal", Message: "The server could not do this; its log says more."}}
}

func invalid(format string, args ...any) error {
	return &control.Error{Code: control.InvalidInput, Message: fmt.Sprintf(format, args...)}
}

// next is the first member of each answer: the next sensible step.
type next struct {
	Next string `json:"next,omitempty"`
}

func (n next) step() string { return n.Next }

// answer makes a tool's result. Some clients show the model the structured
// content alone, some the text alone (docs/decisions/0019), so all is in both.
func answer(v interface{ step() string }, failed bool) (*sdk.CallToolResult, error) {
	text, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	res := &sdk.CallToolResult{IsError: failed, StructuredContent: json.RawMessage(text)}
	if v.step() != "" {
		res.Content = append(res.Content, &sdk.TextContent{Text: v.step()})
	}
	res.Content = append(res.Content, &sdk.TextContent{Text: string(text)})
	return res, nil
}

// now is the call at this moment: what waits goes on after its request came in.
func (who *caller) now() control.Call {
	c := who.Call
	c.At = time.Now()
	return c
}
