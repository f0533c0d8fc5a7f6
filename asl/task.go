package asl

import (
	"strings"

	"github.com/lockstep-run/lockstep/asl/jsonpath"
	"github.com/lockstep-run/lockstep/asl/value"
)

// Task calls something outside the engine.
type Task struct {
	Common
	Resource       Resource
	Parameters     *jsonpath.Template
	ResultSelector *jsonpath.Template
	ResultPath     *ResultPath
	Timeout        *Seconds           // nil: none
	Heartbeat      *Seconds           // nil: none
	Credentials    *jsonpath.Template // an object with RoleArn
	Arguments      *Query             // JSONata; nil: the input
	RoleQuery      *Query             // Credentials of a JSONata state
	Retry          []Retrier
	Catch          []Catcher
}

func (*Task) isState() {}

func (s *stateParser) task(base Common) State {
	t := &Task{Common: base, Resource: s.resource()}
	t.Timeout = s.seconds("TimeoutSeconds")
	t.Heartbeat = s.seconds("HeartbeatSeconds")
	if t.Timeout != nil && t.Heartbeat != nil && t.Timeout.Path == nil && t.Heartbeat.Path == nil &&
		t.Heartbeat.Literal >= t.Timeout.Literal {
		s.schema(s.at.key("HeartbeatSeconds"), "HeartbeatSeconds must be smaller than TimeoutSeconds")
	}
	if s.lang == JSONPath {
		t.Parameters = s.template(s.v, s.at, "Parameters")
		t.ResultSelector = s.template(s.v, s.at, "ResultSelector")
		t.ResultPath = s.resultPath(s.v, s.at)
	} else {
		t.Arguments = s.query(s.v, s.at, "Arguments")
	}
	s.parameters(t)
	t.Credentials, t.RoleQuery = s.credentials(t.Resource)
	t.Retry = s.retry()
	t.Catch = s.catch()
	return t
}

// resource reads Resource and checks it against what the machine can do.
func (s *stateParser) resource() Resource {
	at := s.at.key("Resource")
	if s.v.Get("Resource").IsAbsent() {
		s.required(s.at, "Resource")
		return Resource{}
	}
	text := s.text(s.v, s.at, "Resource")
	if !s.isKind(s.v.Get("Resource"), at, value.String) {
		return Resource{}
	}
	r, err := ParseResource(text)
	if service, ok := strings.CutPrefix(r.Service, "aws-sdk:"); ok && s.opts.Lacks != nil && s.opts.Lacks(service, r.Action) {
		err = unrecognized(text)
	}
	if err != nil {
		s.schema(at, "%s", err.Error())
		return Resource{}
	}
	if s.express {
		switch {
		case r.Kind == ActivityResource:
			s.schema(at, "Express state machine does not support Activity ARN")
		case r.Pattern == Sync || r.Pattern == Sync2:
			s.schema(at, "Express state machine does not support '.sync' service integration")
		case r.Pattern == WaitForTaskToken: // recorded with the space at the end
			s.schema(at, "Express state machine does not support '.waitForTaskToken' service integration ")
		}
	}
	return r
}

// seconds reads a literal, its Path twin, or an expression.
func (s *stateParser) seconds(field string) *Seconds {
	s.exclusive(s.v, s.at, field, field+"Path")
	if n, ok := s.integerField(field, 1, maxTimeoutSecs); ok {
		return &Seconds{Literal: n}
	}
	if q := s.computed(s.v, s.at, field); q != nil {
		return &Seconds{Query: q}
	}
	if s.lang != JSONPath {
		return nil
	}
	if path := s.path(s.v, s.at, field+"Path"); path != nil {
		return &Seconds{Path: path}
	}
	return nil
}

// parameters checks that an integration gets what it cannot do without.
func (s *stateParser) parameters(t *Task) {
	if t.Resource.Kind != IntegrationResource {
		return
	}
	field := "Parameters"
	if s.lang == JSONata {
		field = "Arguments"
	}
	given := s.v.Get(field)
	if given.IsAbsent() {
		s.schema(s.at, "%s field is required for resource ARN: %s", field, t.Resource.ARN)
		return
	}
	if given.Kind() != value.Object {
		return // reported where it is compiled; a JSONata expression may give one
	}
	for _, name := range t.Resource.required() {
		if given.Get(name).IsAbsent() && given.Get(name+".$").IsAbsent() {
			s.schema(s.at.key(field), "The field '%s' is required but was missing", name)
		}
	}
	s.boardParameters(t.Resource, given, s.at.key(field))
	if t.Resource.Service == "http" && !s.opts.Accepted {
		s.httpParameters(given, s.at.key(field))
	}
	if t.Resource.Pattern == WaitForTaskToken && !t.Resource.OnBoard() && s.lang == JSONPath && t.Parameters != nil {
		s.lintToken(t.Parameters, s.at.key(field))
	}
}

func (s *stateParser) credentials(r Resource) (*jsonpath.Template, *Query) {
	v, at := s.v.Get("Credentials"), s.at.key("Credentials")
	if v.IsAbsent() || !s.isKind(v, at, value.Object) {
		return nil, nil
	}
	if r.Kind == ActivityResource {
		s.schema(at, "The field 'Credentials' is not supported for activities")
	}
	if v.Get("RoleArn").IsAbsent() && (s.lang == JSONata || v.Get("RoleArn.$").IsAbsent()) {
		s.schema(at, "The field 'RoleArn' is required but was missing")
		return nil, nil
	}
	if role := v.Get("RoleArn"); !s.opts.Accepted && !role.IsAbsent() && (role.Kind() != value.String || role.Str() == "") {
		s.schema(at.key("RoleArn"), "The value for the field 'RoleArn' must be a STRING")
	}
	if s.lang == JSONata {
		return nil, s.query(s.v, s.at, "Credentials")
	}
	return s.template(s.v, s.at, "Credentials"), nil
}
