// Package service calls AWS services, or what answers like them: sqs, sns,
// dynamodb and events in the words of their own integrations, aws-sdk:… in those
// of the SDK, and states, which is this server unless an ARN says otherwise.
//
// Where a service is and how its requests are signed is awscall's. What is
// particular to one stands in its model (awsmodel); encode.go makes a request of
// parameters by it, and decode.go a result of an answer.
package service

import (
	"context"
	"crypto/tls"
	"errors"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/lockstep-run/lockstep/asl/value"
	"github.com/lockstep-run/lockstep/internal/task"
	"github.com/lockstep-run/lockstep/internal/task/awscall"
	"github.com/lockstep-run/lockstep/internal/task/awsmodel"
)

// maxAnswer is how much of an answer is read, in bytes. The engine keeps less.
const maxAnswer = 2 << 20

// Config says where services are. Without more than a Region it means AWS, as
// the environment describes it.
type Config struct {
	Region    string            // of AWS's endpoints and of signatures; "": the SDK's
	Transport http.RoundTripper // nil: awscall.Transport()

	// Partition and Account are those of the ARNs that States has. What a call
	// of the Step Functions API names in another account or Region, and States
	// has not, is asked of Step Functions there; without an Account and a Region
	// nothing is.
	Partition, Account string
	// OwnToo says the same of its own Account and Region: some machines of an
	// account are here, and others on AWS.
	OwnToo bool
	// Others says that States serves other accounts too: it takes the account of an
	// unsigned request from its Authorization.
	Others bool

	// Clusters makes connections to clusters' APIs with the TLS settings of one;
	// nil: to any address. Refused has the words for one that may not be called,
	// and "" for any other error.
	Clusters func(*tls.Config) http.RoundTripper
	Refused  func(error) string

	// States answers the Step Functions API, and Ended returns when an execution
	// of it has ended. The error is ctx's, or passes.
	States http.Handler
	Ended  func(ctx context.Context, executionARN string) error
}

// Services calls services. Its methods make the integrations.
type Services struct {
	region    string
	partition string
	account   string
	others    bool
	ownToo    bool
	transport http.RoundTripper
	reach     func(*tls.Config) http.RoundTripper
	refused   func(error) string
	ended     func(ctx context.Context, executionARN string) error

	mu       sync.Mutex
	clients  map[string]*awscall.Client // by the name in aws-sdk:…, made when they are used
	aws      *awscall.Client            // of Step Functions elsewhere, made when it is used
	regions  map[string]*awscall.Client // the same by region
	nextAsk  map[string]time.Time       // by the service's name: when it may be asked about jobs again
	clusters map[string]*http.Client    // by the authority of their certificates
}

// New makes Services.
func New(c Config) *Services {
	if c.Transport == nil {
		c.Transport = awscall.Transport()
	}
	if c.Clusters == nil {
		c.Clusters = reachAny
	}
	if c.Refused == nil {
		c.Refused = func(error) string { return "" }
	}
	return &Services{
		region: c.Region, partition: c.Partition, account: c.Account, others: c.Others, ownToo: c.OwnToo, transport: c.Transport, reach: c.Clusters, refused: c.Refused, ended: c.Ended,
		clients: map[string]*awscall.Client{"sfn": awscall.NewLocal(c.States)}, regions: map[string]*awscall.Client{}, nextAsk: map[string]time.Time{},
		clusters: map[string]*http.Client{},
	}
}

// client is the client of a service.
func (s *Services) client(of *awsmodel.Service) *awscall.Client {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.clients[of.Name]
	if c == nil {
		c = awscall.New(place(of), s.region, s.transport)
		s.clients[of.Name] = c
	}
	return c
}

// place says where a service is at AWS.
func place(of *awsmodel.Service) awscall.Service {
	return awscall.Service{
		ID: of.ID, Host: of.Host, SigningName: of.SigningName, SigningRegion: of.SigningIn, Object: of.SigningName == "s3",
	}
}

// Close closes connections that are idle.
func (s *Services) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range s.clients {
		c.Close()
	}
	if s.aws != nil {
		s.aws.Close() // and those of all regions, which share its connections
	}
	s.closeClusters()
	return nil
}

// Register adds all integrations to a registry.
func (s *Services) Register(r *task.Registry) {
	for resource, o := range optimized {
		r.Add(resource, &integration{s, o})
	}
	for resource, j := range jobActions {
		r.Add(resource, &jobs{s, j})
	}
	r.Add("apigateway:invoke", &gateway{s})
	r.Add("eks:call", &kubeCall{s})
	r.Add("eks:runJob", &kubeJobs{s})
	r.Add("states:startExecution", &executions{s})
	for _, name := range awsmodel.Names() {
		r.AddService("aws-sdk:"+name, &sdk{s, name})
	}
}

// refusal words what a service said in the way of one of the SDKs.
type refusal func(*awscall.Response) *task.Error

// send makes a call. An answer other than success becomes an error: in the words
// of refused, or prefix.SdkClientException where nobody answers.
func (s *Services) send(ctx context.Context, client *awscall.Client, r *awscall.Request, prefix, resource string, refused refusal) (*awscall.Response, error) {
	answer, err := client.Do(ctx, r, maxAnswer)
	var long *awscall.Oversize
	var refusal *task.Error
	switch {
	case err == nil && answer.OK():
		return answer, nil
	case err == nil:
		return nil, refused(answer)
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case errors.As(err, &long):
		return nil, tooLarge(resource)
	case errors.As(err, &refusal):
		return nil, refusal
	}
	return nil, task.Fail(prefix+".SdkClientException", err.Error())
}

func tooLarge(resource string) *task.Error {
	return task.Fail("States.DataLimitExceeded", "The state/task '"+resource+
		"' returned a result with a size exceeding the maximum number of bytes service limit.")
}

// parameters reads what a task is called with: an object.
func parameters(input string) (value.Value, error) {
	in, err := value.Parse(input)
	if err != nil || in.Kind() != value.Object {
		return in, awscall.BadParameters(input, "The parameters must be a JSON object")
	}
	return in, nil
}

// given is v without the members that are null: SDKs do not send those.
func given(v value.Value) value.Value {
	members := make([]value.Member, 0, v.Len())
	for key, x := range v.Members() {
		if !x.IsNull() {
			members = append(members, value.Member{Key: key, Value: x})
		}
	}
	return value.ObjectOf(members)
}

// text is a parameter that a service takes as text: a string as it is, anything
// else as JSON.
func text(v value.Value) string {
	if v.Kind() == value.String {
		return v.Str()
	}
	return v.JSON()
}

// sorted is an object with its members by name, as AWS gives results (recorded).
func sorted(v value.Value) []value.Member {
	members := make([]value.Member, 0, v.Len())
	for key, x := range v.Members() {
		members = append(members, value.Member{Key: key, Value: x})
	}
	slices.SortFunc(members, func(a, b value.Member) int { return strings.Compare(a.Key, b.Key) })
	return members
}

// withMetadata is the result of an optimized integration: the answer's members
// by name, and between them what AWS adds about the call.
func withMetadata(members []value.Member, r *awscall.Response) string {
	const metadata = "SdkHttpMetadata"
	id := awscall.RequestID(r.Header)
	if id == "" {
		id = uuid.NewString()
	}
	out := make([]byte, 0, len(r.Body)+1000)
	out = append(out, '{')
	added := false
	for _, m := range members {
		if !added && m.Key > metadata {
			out = append(awscall.AppendMetadata(out, r, id), ',')
			added = true
		}
		out = value.AppendString(out, m.Key)
		out = append(out, ':')
		out = append(m.Value.Append(out), ',')
	}
	if !added {
		return string(append(awscall.AppendMetadata(out, r, id), '}'))
	}
	out[len(out)-1] = '}'
	return string(out)
}

// body reads an answer that is a JSON object; an empty one stands for {}.
func body(r *awscall.Response) value.Value {
	v, err := value.Parse(r.Body)
	if err != nil || v.Kind() != value.Object {
		return value.ObjectOf(nil)
	}
	return v
}
