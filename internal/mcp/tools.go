package mcp

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"reflect"
	"runtime/debug"
	"strings"

	"github.com/google/jsonschema-go/jsonschema"
	sdk "github.com/modelcontextprotocol/go-sdk/mcp"
)

// The arguments of the tools. The tags are what the model reads, so they are
// short; what may be left out has omitempty.
type (
	none struct{}

	nextArgs struct {
		Project string `json:"project,omitempty" jsonschema:"key; any of yours unless given"`
		WaitS   int    `json:"wait_s,omitempty" jsonschema:"seconds to wait for work, up to 55"`
	}
	listArgs struct {
		Project string `json:"project,omitempty" jsonschema:"key"`
		Status  string `json:"status,omitempty" jsonschema:"inbox, assigned, in_progress, blocked, review, done, failed or cancelled; all open ones unless given"`
		Mine    bool   `json:"mine,omitempty" jsonschema:"assigned to you"`
	}
	taskArgs struct {
		Task string `json:"task" jsonschema:"key, such as WEB-12, or id"`
	}
	progressArgs struct {
		Task    string `json:"task"`
		Lease   string `json:"lease"`
		Note    string `json:"note,omitempty" jsonschema:"what you have done or do now"`
		Percent *int   `json:"percent,omitempty" jsonschema:"0 to 100"`
	}
	deliverableArgs struct {
		Task    string `json:"task"`
		Lease   string `json:"lease"`
		Kind    string `json:"kind" jsonschema:"text, json or url"`
		Title   string `json:"title"`
		Content string `json:"content,omitempty" jsonschema:"of text and json, up to 1 MiB"`
		URL     string `json:"url,omitempty" jsonschema:"of url"`
		Series  string `json:"series,omitempty" jsonschema:"what it is a new version of; the title unless given"`
	}
	submitArgs struct {
		Task    string          `json:"task"`
		Lease   string          `json:"lease"`
		Summary string          `json:"summary" jsonschema:"what was done, for the reviewer"`
		Output  json.RawMessage `json:"output,omitempty" jsonschema:"JSON that fits the task's output_schema"`
	}
	blockArgs struct {
		Task      string `json:"task"`
		Lease     string `json:"lease"`
		Kind      string `json:"kind" jsonschema:"question, dependency, external, access, budget, decision or error"`
		Reason    string `json:"reason"`
		Owner     string `json:"owner,omitempty" jsonschema:"who can unblock it: @name or role:reviewer; the project's owner unless given"`
		Action    string `json:"action" jsonschema:"the step that unblocks it"`
		Question  string `json:"question,omitempty" jsonschema:"of kind question"`
		DependsOn string `json:"depends_on,omitempty" jsonschema:"of kind dependency: the task to wait for"`
	}
	failArgs struct {
		Task      string `json:"task"`
		Lease     string `json:"lease"`
		Category  string `json:"category" jsonschema:"agent, runtime, model_provider, tool, timeout or policy"`
		Message   string `json:"message"`
		Retryable bool   `json:"retryable" jsonschema:"whether another try may succeed"`
	}
	releaseArgs struct {
		Task  string `json:"task"`
		Lease string `json:"lease"`
		Note  string `json:"note" jsonschema:"why, and what is done"`
	}
	createArgs struct {
		Project     string   `json:"project" jsonschema:"key"`
		Title       string   `json:"title"`
		Description string   `json:"description" jsonschema:"Markdown: all that is to be known"`
		Parent      string   `json:"parent,omitempty" jsonschema:"task"`
		DependsOn   []string `json:"depends_on,omitempty" jsonschema:"tasks to be approved first; it gets what they deliver"`
		Assignee    string   `json:"assignee,omitempty" jsonschema:"@name"`
		ReviewMode  string   `json:"review_mode,omitempty" jsonschema:"none, human, lead or lead_then_human"`
		Key         string   `json:"idempotency_key,omitempty" jsonschema:"a repeated call with it makes no second task"`
	}
	commentArgs struct {
		Task string `json:"task"`
		Body string `json:"body" jsonschema:"Markdown; @name tells somebody"`
	}
	handoffArgs struct {
		Task         string   `json:"task"`
		Lease        string   `json:"lease,omitempty" jsonschema:"if you hold it"`
		To           string   `json:"to" jsonschema:"@agent, or a capability"`
		Mode         string   `json:"mode" jsonschema:"transfer (this task) or follow_up (a new one after it)"`
		Summary      string   `json:"summary" jsonschema:"what the other has to know"`
		Deliverables []string `json:"deliverables,omitempty" jsonschema:"ids"`
	}
	decideArgs struct {
		Review  string `json:"review" jsonschema:"id"`
		Verdict string `json:"verdict" jsonschema:"approve, changes_requested or reject; of an action accept, respond or ignore; of a question answer"`
		Comment string `json:"comment,omitempty" jsonschema:"for whoever did the work: what to change, or the answer"`
	}
	usageArgs struct {
		Task         string   `json:"task,omitempty" jsonschema:"what you work on unless given"`
		Attempt      string   `json:"attempt,omitempty" jsonschema:"id, from the claim"`
		Provider     string   `json:"provider"`
		Model        string   `json:"model"`
		Input        int64    `json:"input,omitempty" jsonschema:"tokens that came from no cache"`
		CacheRead    int64    `json:"cache_read,omitempty"`
		CacheWrite5m int64    `json:"cache_write_5m,omitempty"`
		CacheWrite1h int64    `json:"cache_write_1h,omitempty"`
		Output       int64    `json:"output,omitempty" jsonschema:"with reasoning"`
		Reasoning    int64    `json:"reasoning,omitempty"`
		ReportedUSD  *float64 `json:"reported_cost_usd,omitempty"`
		Key          string   `json:"idempotency_key" jsonschema:"of this call of the model"`
	}
)

// register adds the tools to a server; those of reviews for leads alone.
func (d *Door) register(s *sdk.Server, lead bool) {
	add(d, s, "whoami", "Who you are, your projects, the tasks you hold with their leases, and where you were mentioned.", d.whoami)
	add(d, s, "task_next", "Claim the best task for you and get its whole brief and lease, or learn why there is none. Start here when woken without a task.", d.taskNext)
	add(d, s, "task_list", "Tasks of your projects in short rows.", d.taskList)
	add(d, s, "task_get", "Everything needed to work on a task: description, criteria, thread, reviews with comments, output of earlier tasks.", d.taskGet)
	add(d, s, "task_claim", "Begin a task. The answer has the lease, which every call about it wants.", d.taskClaim)
	add(d, s, "task_progress", "Say how far you are and keep the lease. Call it at least every few minutes. The answer tells you of new comments, or to stop.", d.taskProgress)
	add(d, s, "deliverable_add", "Post an output of the task, as the next version of its series.", d.deliverableAdd)
	add(d, s, "task_submit", "Hand the task in. It goes to review, or is refused with what is wrong with its output.", d.taskSubmit)
	add(d, s, "task_block", "Stop because you cannot go on: say why, who can help, and with what.", d.taskBlock)
	add(d, s, "task_fail", "End your attempt without a result.", d.taskFail)
	add(d, s, "task_release", "Give the task back untouched or half done, for another try.", d.taskRelease)
	add(d, s, "task_create", "Make a task.", d.taskCreate)
	add(d, s, "task_comment", "Post to a task's thread.", d.taskComment)
	add(d, s, "handoff", "Pass work on to another agent.", d.handoff)
	if lead {
		add(d, s, "review_list", "What you are asked to decide, the most urgent first.", d.reviewList)
		add(d, s, "review_decide", "Give a verdict, which is final.", d.reviewDecide)
	}
	add(d, s, "usage_report", "Report the tokens of a call of a model.", d.usageReport)
}

// add makes a tool of an operation. Arguments that do not fit the schema, and
// refusals, are results that the model can read.
func add[In any, Out interface{ step() string }](d *Door, s *sdk.Server, name, about string, do func(ctx context.Context, who *caller, in In) (Out, error)) {
	schema, resolved := schemaOf[In](name)
	s.AddTool(&sdk.Tool{Name: name, Description: about, InputSchema: schema}, func(ctx context.Context, req *sdk.CallToolRequest) (res *sdk.CallToolResult, err error) {
		defer func() {
			if p := recover(); p != nil { // nothing of net/http's is above us here
				d.cfg.Log.Error("a tool of an agent panicked", "tool", name, "panic", p, "stack", string(debug.Stack()))
				res, err = answer(d.refused(name, fmt.Errorf("panic in %s", name)), true)
			}
		}()
		who, _ := ctx.Value(callerKey{}).(*caller)
		if who == nil {
			return nil, fmt.Errorf("mcp: %s was called by nobody", name)
		}
		in, err := read[In](resolved, req.Params.Arguments)
		if err != nil {
			return answer(d.refused(name, err), true)
		}
		out, err := do(ctx, who, in)
		if err != nil {
			return answer(d.refused(name, err), true)
		}
		return answer(out, false)
	})
}

// schemaOf writes the schema of a tool's arguments.
func schemaOf[In any](name string) (*jsonschema.Schema, *jsonschema.Resolved) {
	schema, err := jsonschema.For[In](&jsonschema.ForOptions{TypeSchemas: map[reflect.Type]*jsonschema.Schema{
		reflect.TypeFor[json.RawMessage](): {},
	}})
	if err != nil {
		panic(fmt.Sprintf("mcp: the arguments of %s: %v", name, err)) // a slip in this package
	}
	for _, p := range schema.Properties {
		if len(p.Types) == 2 && p.Types[0] == "null" { // a list or a pointer: it is left out, not null
			p.Type, p.Types = p.Types[1], nil
		}
	}
	resolved, err := schema.Resolve(nil)
	if err != nil {
		panic(fmt.Sprintf("mcp: the arguments of %s: %v", name, err))
	}
	return schema, resolved
}

// read reads a tool's arguments, which are checked first, so that the answer
// says all that is wrong with them.
func read[In any](schema *jsonschema.Resolved, text json.RawMessage) (in In, err error) {
	if len(text) == 0 || string(text) == "null" {
		text = json.RawMessage("{}")
	}
	var shape any
	if err := json.Unmarshal(text, &shape); err != nil {
		return in, invalid("the arguments are no JSON")
	}
	if err := schema.Validate(shape); err != nil {
		return in, invalid("the arguments do not fit: %s", strings.TrimPrefix(err.Error(), "validating root: "))
	}
	decode := json.NewDecoder(bytes.NewReader(text))
	decode.DisallowUnknownFields()
	if err := decode.Decode(&in); err != nil {
		return in, invalid("the arguments do not fit: %s", strings.TrimPrefix(err.Error(), "json: "))
	}
	if _, err := decode.Token(); err != io.EOF {
		return in, invalid("something follows the arguments")
	}
	return in, nil
}
