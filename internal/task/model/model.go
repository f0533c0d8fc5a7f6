// Package model answers bedrock:invokeModel and Bedrock's Converse. The state
// machine names a model as Amazon Bedrock does; the configuration says who
// answers for it: Bedrock, the Anthropic API, a server that speaks OpenAI's chat
// completions, a script, or what is built in. Requests and answers are
// translated, so that a definition runs with every provider as it stands.
package model

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path"
	"slices"
	"strings"
	"time"

	"golang.org/x/time/rate"

	"github.com/lockstep-run/lockstep/asl/value"
	"github.com/lockstep-run/lockstep/internal/task"
	"github.com/lockstep-run/lockstep/internal/task/awscall"
)

// DefaultTimeout is how long a model may take where its route does not say.
const DefaultTimeout = 2 * time.Minute

// maxAnswer is how much of a model's answer is read, in bytes. The engine keeps
// far less.
const maxAnswer = 4 << 20

// Route says who answers for some models.
type Route struct {
	// Match is a ModelId, or a pattern for it: * stands for any text. Of a
	// ModelId that is an ARN, what stands behind the last slash may match too.
	Match    string
	Provider string        // one of Providers
	Model    string        // the provider's name for the model; "": derived from the ModelId
	URL      string        // of the provider; "": as its environment says
	KeyEnv   string        // the environment variable that holds its key; "": its usual one
	Timeout  time.Duration // 0: DefaultTimeout
	Script   string        // the file of a script's replies
	// Rate is how many requests a second are begun; what comes on top waits for
	// its turn. 0: no limit. Routes of one provider at one URL share it.
	Rate float64
	// Billing is how the calls are paid for: "metered", "subscription" or
	// "local"; "": metered, and local for what answers within this program.
	Billing string
}

// Providers are the names that a Route's Provider may have.
var Providers = []string{"anthropic", "bedrock", "extractor", "hash-embedder", "lexicon", "openai", "script"}

// Tokens are what a call used, in disjoint parts.
type Tokens struct {
	Input        int64 // not from a cache
	CacheRead    int64
	CacheWrite5m int64
	CacheWrite1h int64
	Output       int64
}

// Usage is what a call has used, and where it came from.
type Usage struct {
	ID           string // of the task: the same where the call is repeated
	At           time.Time
	Provider     string
	Model        string // ModelId
	Served       string // the provider's own name for the model
	Billing      string // of the route, never ""
	ExecutionARN string
	MachineARN   string
	State        string
	Took         time.Duration
	Tokens
}

// Config says who answers. A ModelId that no route matches is Bedrock's, except
// for the built-in Lexicon.
type Config struct {
	Region    string  // of Bedrock's endpoint and of signatures; "": the SDK's
	Routes    []Route // the first that matches counts
	Transport http.RoundTripper

	// Used is told of each call that was answered, before Run returns the answer. It
	// must return quickly.
	Used func(Usage)
	// Read and Write reach objects: Input and Output of bedrock:invokeModel.
	// nil: these are refused.
	Read  func(ctx context.Context, bucket, key string) ([]byte, error)
	Write func(ctx context.Context, bucket, key string, data []byte) error
}

// Models calls models. It is the task.Integration of bedrock:invokeModel and of
// aws-sdk:bedrockruntime:converse.
type Models struct {
	routes []route
	aws    *awscall.Client
	client *http.Client
	config Config
}

type route struct {
	match    string
	timeout  time.Duration
	name     string // of the provider
	model    string // its name for the model; "": derived from the ModelId
	billing  string
	provider provider
	limit    *rate.Limiter // nil: none
}

// provider calls a model. Its errors are *task.Error, ctx's, or those of
// awscall.Send.
type provider interface {
	invoke(ctx context.Context, in *request) (*answer, error)
}

// request is what a state machine asked for.
type request struct {
	id        string // of the task
	converse  bool   // as Bedrock's Converse
	embedding bool
	output    string      // where the answer goes: s3://bucket/key; "": into the result
	model     string      // ModelId
	body      value.Value // Absent for none
	content   string      // ContentType
	accept    string
	headers   map[string]string // Bedrock's own, where given
}

// answer is what a model said.
type answer struct {
	text    string      // JSON, where it is as it came
	body    value.Value // else
	content string
	used    Tokens
}

// json is the answer as text, value as a value.
func (a *answer) json() string {
	if a.text != "" {
		return a.text
	}
	return a.body.JSON()
}

func (a *answer) value() value.Value {
	if a.body.IsAbsent() {
		a.body, _ = value.Parse(a.text)
	}
	return a.body
}

// New makes Models. The error names the route that is no good.
func New(c Config) (*Models, error) {
	if c.Transport == nil {
		c.Transport = awscall.Transport()
	}
	m := &Models{
		aws: awscall.New(awscall.Service{ID: "BEDROCK_RUNTIME", Host: "bedrock-runtime", SigningName: "bedrock"},
			c.Region, c.Transport),
		client: awscall.HTTPClient(c.Transport),
		config: c,
	}
	limits := map[string]*rate.Limiter{}
	for _, r := range c.Routes {
		p, err := m.provider(r)
		if err != nil {
			return nil, fmt.Errorf("model %s: %w", r.Match, err)
		}
		if r.Timeout == 0 {
			r.Timeout = DefaultTimeout
		}
		if r.Rate < 0 {
			return nil, fmt.Errorf("model %s: its rate is below 0", r.Match)
		}
		this := route{match: r.Match, timeout: r.Timeout, name: r.Provider, model: r.Model, billing: or(r.Billing, billingOf(r.Provider)), provider: p}
		if r.Rate > 0 {
			key := fmt.Sprint(r.Provider, " ", r.URL, " ", r.Rate)
			if limits[key] == nil {
				limits[key] = rate.NewLimiter(rate.Limit(r.Rate), 1)
			}
			this.limit = limits[key]
		}
		m.routes = append(m.routes, this)
	}
	m.routes = append(m.routes,
		route{match: Lexicon, timeout: DefaultTimeout, name: "lexicon", billing: "local", provider: lexicon{}},
		route{match: Extractor, timeout: DefaultTimeout, name: "extractor", billing: "local", provider: extractor{}},
		route{match: HashEmbedder, timeout: DefaultTimeout, name: "hash-embedder", billing: "local", provider: hashEmbedder{}},
		route{match: "*", timeout: DefaultTimeout, name: "bedrock", billing: "metered", provider: &bedrock{client: m.aws}})
	return m, nil
}

func (m *Models) provider(r Route) (provider, error) {
	if r.Match == "" {
		return nil, errors.New("match is empty; give a ModelId or a pattern such as anthropic.*")
	}
	if r.URL != "" {
		if u, err := url.Parse(r.URL); err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
			return nil, errors.New("its url is not one with http or https")
		}
	}
	switch r.Provider {
	case "bedrock":
		if r.URL != "" || r.KeyEnv != "" {
			return nil, errors.New("bedrock takes no url and no key_env; set AWS_ENDPOINT_URL_BEDROCK_RUNTIME and AWS credentials")
		}
		return &bedrock{client: m.aws, model: r.Model}, nil
	case "anthropic":
		return &anthropic{remote: m.remote(r, "Anthropic", "ANTHROPIC_BASE_URL", "https://api.anthropic.com", "ANTHROPIC_API_KEY")}, nil
	case "openai":
		if r.Model == "" {
			return nil, errors.New("model is missing: the name that the OpenAI-compatible server has for it")
		}
		return &openai{remote: m.remote(r, "OpenAI", "OPENAI_BASE_URL", "https://api.openai.com/v1", "OPENAI_API_KEY")}, nil
	case "lexicon":
		return lexicon{}, nil
	case "extractor":
		return extractor{}, nil
	case "hash-embedder":
		return hashEmbedder{}, nil
	case "script":
		if r.Script == "" {
			return nil, errors.New("script is missing: the file with the replies")
		}
		return readScript(r.Script)
	}
	return nil, fmt.Errorf("unknown provider %q; there are %s", r.Provider, strings.Join(Providers, ", "))
}

// served is the provider's name for a model.
func (r *route) served(id string) string {
	if r.model == "" && r.name == "anthropic" {
		return claude(id)
	}
	return or(r.model, id)
}

// billingOf is how calls of a provider are paid for unless its route says so.
func billingOf(provider string) string {
	switch provider {
	case "anthropic", "bedrock", "openai":
		return "metered"
	}
	return "local"
}

// Close closes connections that are idle.
func (m *Models) Close() error {
	m.aws.Close()
	m.client.CloseIdleConnections()
	return nil
}

// Run calls the model that c's ModelId leads to. The output is
// {"Body": …, "ContentType": "application/json"}.
//
// Failures have Bedrock's names, whoever the provider is: Bedrock.ThrottlingException,
// ServiceUnavailableException (also where nobody answers), ModelTimeoutException,
// ModelErrorException (an answer that is none), ValidationException,
// AccessDeniedException and so on. No error has a key in it.
func (m *Models) Run(ctx context.Context, c *task.Call) (task.Result, error) {
	if err := ctx.Err(); err != nil {
		return task.Result{}, err
	}
	in, err := m.read(ctx, c)
	if err != nil {
		return task.Result{}, err
	}
	out, err := m.answer(ctx, c, in)
	if err != nil && in.converse {
		err = asService(err)
	}
	if err != nil {
		return task.Result{}, err
	}
	return task.Result{Output: out}, nil
}

// answer calls the model and makes the task's output.
func (m *Models) answer(ctx context.Context, c *task.Call, in *request) (string, error) {
	r := m.route(in.model)
	if r.limit != nil {
		if err := r.limit.Wait(ctx); err != nil {
			return "", ctx.Err()
		}
	}
	began := time.Now()
	limited, cancel := context.WithTimeout(ctx, r.timeout)
	defer cancel()
	a, err := translated(limited, r.provider, in)
	if err != nil {
		return "", named(ctx, limited, r, err)
	}
	took := time.Since(began)
	if m.config.Used != nil {
		m.config.Used(Usage{
			ID: c.ID, At: began, Provider: r.name, Model: in.model, Served: r.served(in.model), Billing: r.billing, ExecutionARN: c.ExecutionARN, MachineARN: c.MachineARN,
			State: c.State, Took: took, Tokens: a.used,
		})
	}
	if in.converse {
		return a.value().With("Metrics", object("LatencyMs", value.Int(took.Milliseconds()))).JSON(), nil
	}
	body := a.json()
	if in.output != "" {
		bucket, key, _ := strings.Cut(strings.TrimPrefix(in.output, "s3://"), "/")
		if err := m.config.Write(ctx, bucket, key, []byte(body)); err != nil {
			return "", invalid("The answer could not be written to %s: %v", in.output, err)
		}
		body = value.Str(in.output).JSON()
	}
	out := make([]byte, 0, len(body)+64)
	out = append(out, `{"Body":`...)
	out = append(out, body...)
	out = append(out, `,"ContentType":`...)
	out = value.AppendString(out, awscall.Short(a.content, 256))
	return string(append(out, '}')), nil
}

// translated calls a provider in the form that it takes. Bedrock takes what it is
// sent.
func translated(ctx context.Context, p provider, in *request) (*answer, error) {
	if _, native := p.(*bedrock); native || in.embedding {
		return p.invoke(ctx, in)
	}
	d := dialectOf(in.model)
	if in.converse {
		d = nova{upper}
	}
	body, err := d.request(in.body)
	if err != nil {
		return nil, err
	}
	ask := *in
	ask.body = body
	a, err := p.invoke(ctx, &ask)
	if _, same := d.(claudes); err != nil || same {
		return a, err
	}
	return &answer{body: d.answer(a.value()), content: "application/json", used: a.used}, nil
}

// asService gives an error the name that it has in an aws-sdk integration.
func asService(err error) error {
	var e *task.Error
	if errors.As(err, &e) && e.Name != nil {
		if name, ok := strings.CutPrefix(*e.Name, "Bedrock."); ok {
			return &task.Error{Name: ptr("BedrockRuntime." + name), Cause: e.Cause}
		}
	}
	return err
}

func ptr(s string) *string { return &s }

// named gives a failure its name.
func named(ctx, limited context.Context, r *route, err error) error {
	var failed *task.Error
	var long *awscall.Oversize
	switch {
	case errors.As(err, &failed):
		return failed
	case ctx.Err() != nil:
		return ctx.Err()
	case limited.Err() != nil:
		return task.Fail("Bedrock.ModelTimeoutException", fmt.Sprintf("The model did not answer within %s.", r.timeout))
	case errors.As(err, &long):
		return task.Fail("States.DataLimitExceeded",
			"The state/task 'bedrock' returned a result with a size exceeding the maximum number of bytes service limit.")
	}
	return task.Fail("Bedrock.ServiceUnavailableException", err.Error())
}

// route finds who answers for a model; the last route matches all.
func (m *Models) route(id string) *route {
	i := slices.IndexFunc(m.routes, func(r route) bool {
		return matches(r.match, id) || strings.Contains(id, "/") && matches(r.match, path.Base(id))
	})
	return &m.routes[i]
}

// matches reports whether text fits a pattern in which * stands for any text.
func matches(pattern, text string) bool {
	head, rest, star := strings.Cut(pattern, "*")
	if !star {
		return pattern == text
	}
	text, ok := strings.CutPrefix(text, head)
	if !ok {
		return false
	}
	for {
		part, more, star := strings.Cut(rest, "*")
		if !star {
			return strings.HasSuffix(text, part)
		}
		_, after, ok := strings.Cut(text, part)
		if !ok {
			return false
		}
		text, rest = after, more
	}
}

// fields are bedrock:invokeModel's parameters.
var fields = []string{"ModelId", "Body", "Input", "Output", "ContentType", "Accept",
	"GuardrailIdentifier", "GuardrailVersion", "Trace"}

// read takes the parameters from a call.
func (m *Models) read(ctx context.Context, c *task.Call) (*request, error) {
	in, err := value.Parse(c.Input)
	if err != nil || in.Kind() != value.Object {
		return nil, awscall.BadParameters(c.Input, "The parameters must be a JSON object")
	}
	if c.Resource.Action == "converse" {
		return readConverse(c, in)
	}
	if bad := awscall.Check(c.Input, in, fields, "ModelId", "ContentType", "Accept",
		"GuardrailIdentifier", "GuardrailVersion", "Trace"); bad != nil {
		return nil, bad
	}
	r := &request{
		id:      c.ID,
		model:   in.Get("ModelId").Str(),
		body:    in.Get("Body"),
		content: or(in.Get("ContentType").Str(), "application/json"),
		accept:  or(in.Get("Accept").Str(), "application/json"),
		headers: map[string]string{},
	}
	if r.model == "" {
		return nil, awscall.BadParameters(c.Input, "The field 'ModelId' is required but was missing")
	}
	r.embedding = strings.Contains(r.model, "embed")
	if err := m.objects(ctx, in, r); err != nil {
		return nil, err
	}
	for field, header := range map[string]string{
		"GuardrailIdentifier": "X-Amzn-Bedrock-Guardrailidentifier",
		"GuardrailVersion":    "X-Amzn-Bedrock-Guardrailversion",
		"Trace":               "X-Amzn-Bedrock-Trace",
		"ContentType":         "Content-Type",
		"Accept":              "Accept",
	} {
		text := in.Get(field).Str()
		if strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r > '~' }) {
			return nil, awscall.BadParameters(c.Input, "The value of the field '"+field+"' has an invalid format")
		}
		if text != "" {
			r.headers[header] = text
		}
	}
	return r, nil
}

// maxInput is how large a request in S3 may be, in bytes.
const maxInput = 25 << 20

// objects reads Input from S3 and notes where Output goes.
func (m *Models) objects(ctx context.Context, in value.Value, r *request) error {
	place := func(field string) (string, error) {
		v := in.Get(field)
		if v.IsAbsent() {
			return "", nil
		}
		uri := v.Get("S3Uri").Str()
		bucket, key, ok := strings.Cut(strings.TrimPrefix(uri, "s3://"), "/")
		if !strings.HasPrefix(uri, "s3://") || !ok || bucket == "" || key == "" {
			return "", invalid("%s must be {\"S3Uri\": \"s3://bucket/key\"}.", field)
		}
		if m.config.Read == nil || m.config.Write == nil {
			return "", invalid("%s in S3 is not supported here: this server has no object store.", field)
		}
		return uri, nil
	}
	input, err := place("Input")
	if err != nil {
		return err
	}
	if r.output, err = place("Output"); err != nil || input == "" {
		return err
	}
	if !r.body.IsAbsent() {
		return invalid("Give either Body or Input, not both.")
	}
	bucket, key, _ := strings.Cut(strings.TrimPrefix(input, "s3://"), "/")
	text, err := m.config.Read(ctx, bucket, key)
	if err != nil {
		return invalid("Input could not be read: %v", err)
	}
	if len(text) > maxInput {
		return invalid("Input has more than %d bytes.", maxInput)
	}
	if r.body, err = value.Parse(string(text)); err != nil {
		return invalid("Input is not JSON: %v", err)
	}
	return nil
}

// converseFields are Converse's parameters.
var converseFields = []string{"ModelId", "Messages", "System", "InferenceConfig", "ToolConfig", "GuardrailConfig",
	"AdditionalModelRequestFields", "PromptVariables", "AdditionalModelResponseFieldPaths", "RequestMetadata", "PerformanceConfig", "ServiceTier", "OutputConfig"}

func readConverse(c *task.Call, in value.Value) (*request, error) {
	if bad := awscall.Check(c.Input, in, converseFields, "ModelId"); bad != nil {
		return nil, bad
	}
	r := &request{id: c.ID, converse: true, model: in.Get("ModelId").Str(), body: in.Without("ModelId"), content: "application/json", accept: "application/json"}
	if r.model == "" {
		return nil, awscall.BadParameters(c.Input, "The field 'ModelId' is required but was missing")
	}
	return r, nil
}

func or(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}

func invalid(format string, args ...any) *task.Error {
	return task.Fail("Bedrock.ValidationException", fmt.Sprintf(format, args...))
}

func malformed(format string, args ...any) *task.Error {
	return task.Fail("Bedrock.ModelErrorException", fmt.Sprintf(format, args...))
}

// remote is a provider's server outside AWS, with a key.
type remote struct {
	client *http.Client
	name   string
	url    string
	keyEnv string
	model  string
}

func (m *Models) remote(r Route, name, urlEnv, url, keyEnv string) remote {
	return remote{
		client: m.client,
		name:   name,
		url:    strings.TrimSuffix(or(r.URL, or(os.Getenv(urlEnv), url)), "/"),
		keyEnv: or(r.KeyEnv, keyEnv),
		model:  r.Model,
	}
}

// key reads the key anew for each call, so that it is nowhere else.
func (r *remote) key() string { return strings.TrimSpace(os.Getenv(r.keyEnv)) }

// post sends body to a path below the server's URL and returns the JSON text
// that it answered with.
func (r *remote) post(ctx context.Context, path, body, id string, header http.Header) (string, error) {
	u, err := url.Parse(r.url + path)
	if err != nil {
		return "", invalid("The URL of %s is none.", r.name)
	}
	req, err := awscall.NewPost(ctx, u, body)
	if err != nil {
		return "", err
	}
	req.Header["Content-Type"] = []string{"application/json"}
	if id != "" {
		req.Header["Idempotency-Key"] = []string{id}
	}
	for name, values := range header {
		req.Header[name] = values
	}
	resp, err := awscall.Send(r.client, req, maxAnswer)
	if err != nil {
		return "", err
	}
	if !resp.OK() {
		return "", r.refusal(resp)
	}
	if err := value.Valid(resp.Body); err != nil {
		return "", malformed("%s answered with something that is not JSON: %v", r.name, err)
	}
	return resp.Body, nil
}

// refusal translates an error status. What the server says about a key that it
// refuses is left out, as it may quote it.
func (r *remote) refusal(resp *awscall.Response) error {
	name, ok := statusNames[resp.Status]
	switch {
	case ok:
	case resp.Status >= 500:
		name = "ServiceUnavailableException"
	default:
		name = "ValidationException"
	}
	f := awscall.Refusal(resp)
	body, err := value.Parse(resp.Body)
	if text := body.Get("error").Get("message").Str(); err == nil && text != "" {
		f.Message = awscall.Short(text, 2048)
	}
	if f.RequestID == "" {
		f.RequestID = or(resp.Header.Get("Request-Id"), resp.Header.Get("X-Request-Id"))
	}
	if name == "AccessDeniedException" {
		f.Message = "The server refused the key in the environment variable " + r.keyEnv + "."
		if r.key() == "" {
			f.Message = "The server wants a key: put it into the environment variable " + r.keyEnv + "."
		}
	}
	if key := r.key(); key != "" {
		f.Message = strings.ReplaceAll(f.Message, key, "(key)")
	}
	return task.Fail("Bedrock."+name, f.CauseV2(r.name))
}

// statusNames are Bedrock's errors for other servers' statuses. 529 is how
// Anthropic says that it is overloaded.
var statusNames = map[int]string{
	400: "ValidationException",
	401: "AccessDeniedException",
	403: "AccessDeniedException",
	404: "ResourceNotFoundException",
	408: "ModelTimeoutException",
	413: "ValidationException",
	424: "ModelErrorException",
	429: "ThrottlingException",
	500: "InternalServerException",
	502: "ServiceUnavailableException",
	503: "ServiceUnavailableException",
	504: "ModelTimeoutException",
	529: "ServiceUnavailableException",
}
