package asl

import (
	"math"

	"github.com/lockstep-run/lockstep/asl/value"
)

// Retrier says which errors to try again, and when.
type Retrier struct {
	ErrorEquals     []string
	IntervalSeconds int64   // default 1
	MaxAttempts     int64   // default 3
	BackoffRate     float64 // default 2
	MaxDelaySeconds int64   // 0: no bound
	FullJitter      bool
}

// Catcher says where to go on with which errors.
type Catcher struct {
	ErrorEquals []string
	Next        string
	ResultPath  *ResultPath
	Output      *Query // JSONata; nil: the error output
	Assign      *Assign
	Comment     string
}

// handlers is a Retry or Catch field, as lint looks at it.
type handlers struct {
	at     *place
	task   bool // of a Task
	retry  bool
	errors [][]string
}

func (s *stateParser) retry() []Retrier {
	v, at := s.v.Get("Retry"), s.at.key("Retry")
	if v.IsAbsent() || !s.isKind(v, at, value.Array) {
		return nil
	}
	retriers := make([]Retrier, 0, v.Len())
	h := handlers{at: at, retry: true, task: s.v.Get("Type").Str() == "Task"}
	for i, r := range v.Items() {
		at := at.item(i)
		if !s.isKind(r, at, value.Object) {
			continue
		}
		s.fields(r, at, "ErrorEquals", "IntervalSeconds", "MaxAttempts", "BackoffRate",
			"MaxDelaySeconds", "JitterStrategy", "Comment")
		retriers = append(retriers, s.retrier(r, at, i == v.Len()-1))
		h.errors = append(h.errors, retriers[len(retriers)-1].ErrorEquals)
	}
	s.handlers = append(s.handlers, h)
	return retriers
}

func (s *stateParser) retrier(v value.Value, at *place, last bool) Retrier {
	r := Retrier{IntervalSeconds: 1, MaxAttempts: 3, BackoffRate: 2}
	r.ErrorEquals = s.errorEquals(v, at, last)
	if n, ok := s.integer(v, at, "IntervalSeconds", 0, maxTimeoutSecs); ok {
		r.IntervalSeconds = n
	}
	if n, ok := s.integer(v, at, "MaxAttempts", 0, maxTimeoutSecs); ok {
		r.MaxAttempts = n
	}
	r.MaxDelaySeconds, _ = s.integer(v, at, "MaxDelaySeconds", 1, maxRetryDelaySec)
	if f, at := v.Get("BackoffRate"), at.key("BackoffRate"); !f.IsAbsent() && s.isKind(f, at, value.Number) {
		switch r.BackoffRate = f.Float(); {
		case r.BackoffRate < 1:
			s.schema(at, "Minimum value is 1")
		case math.IsInf(r.BackoffRate, 0):
			s.schema(at, "Maximum value is %g", math.MaxFloat64)
		}
	}
	r.FullJitter = s.oneOf(v, at, "JitterStrategy", "NONE", "FULL") == "FULL"
	return r
}

func (s *stateParser) catch() []Catcher {
	v, at := s.v.Get("Catch"), s.at.key("Catch")
	if v.IsAbsent() || !s.isKind(v, at, value.Array) {
		return nil
	}
	catchers := make([]Catcher, 0, v.Len())
	h := handlers{at: at, task: s.v.Get("Type").Str() == "Task"}
	for i, c := range v.Items() {
		at := at.item(i)
		if !s.isKind(c, at, value.Object) {
			continue
		}
		s.fields(c, at, "ErrorEquals", "Next", "ResultPath", "Output", "Assign", "Comment")
		catchers = append(catchers, s.catcher(c, at, i == v.Len()-1))
		h.errors = append(h.errors, catchers[len(catchers)-1].ErrorEquals)
	}
	s.handlers = append(s.handlers, h)
	return catchers
}

func (s *stateParser) catcher(v value.Value, at *place, last bool) Catcher {
	c := Catcher{
		ErrorEquals: s.errorEquals(v, at, last),
		Next:        s.text(v, at, "Next"),
		Assign:      s.assign(v, at, "errorOutput"),
		Comment:     s.text(v, at, "Comment"),
	}
	if v.Get("Next").IsAbsent() {
		s.required(at, "Next")
	} else {
		s.node.leadsTo(c.Next, at.key("Next"))
	}
	if !v.Get("ResultPath").IsAbsent() {
		s.checkLanguage(at, "ResultPath", "JSONPath")
	}
	if !v.Get("Output").IsAbsent() {
		s.checkLanguage(at, "Output", "JSONata")
	}
	if s.lang == JSONPath {
		c.ResultPath = s.resultPath(v, at)
	} else {
		c.Output = s.query(v, at, "Output", "errorOutput")
	}
	return c
}

// errorEquals reads the errors that a retrier or catcher is for.
func (s *stateParser) errorEquals(v value.Value, at *place, last bool) []string {
	f, in := v.Get("ErrorEquals"), at.key("ErrorEquals")
	if f.IsAbsent() {
		s.required(at, "ErrorEquals")
		return nil
	}
	if !s.isKind(f, in, value.Array) {
		return nil
	}
	if f.Len() == 0 {
		s.schema(in, "Value cannot be empty")
	}
	names := make([]string, 0, f.Len())
	for i, name := range f.Items() {
		if !s.isKind(name, in.item(i), value.String) {
			continue
		}
		if name.Str() == "States.ALL" && (f.Len() > 1 || !last) {
			s.schema(in.item(i), "States.ALL must appear alone and at end of list")
		}
		names = append(names, name.Str())
	}
	return names
}
