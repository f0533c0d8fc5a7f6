package asl

import (
	"math"

	"github.com/lockstep-run/lockstep/asl/jsonpath"
	"github.com/lockstep-run/lockstep/asl/value"
)

// Map runs its processor for each item.
type Map struct {
	Common
	Processor          Scope
	ItemsPath          *Selector
	ItemSelector       *jsonpath.Template // ItemSelector, or Parameters of older definitions
	MaxConcurrency     int64              // 0: no limit
	MaxConcurrencyPath *jsonpath.Path
	ResultSelector     *jsonpath.Template
	ResultPath         *ResultPath
	Retry              []Retrier
	Catch              []Catcher

	Items               *Query // JSONata; nil: the input
	ItemSelectorQuery   *Query
	MaxConcurrencyQuery *Query

	Distribution // of a distributed Map
}

func (*Map) isState() {}

func (s *stateParser) mapState(base Common) State {
	m := &Map{Common: base}
	s.exclusive(s.v, s.at, "MaxConcurrency", "MaxConcurrencyPath")
	m.MaxConcurrency, _ = s.integerField("MaxConcurrency", 0, math.MaxInt64)
	s.exclusive(s.v, s.at, "ItemSelector", "Parameters")
	if s.lang == JSONPath {
		s.mapPaths(m)
	} else {
		m.Items = s.query(s.v, s.at, "Items")
		m.ItemSelectorQuery = s.query(s.v, s.at, "ItemSelector")
		m.MaxConcurrencyQuery = s.computed(s.v, s.at, "MaxConcurrency")
	}
	s.processor(m)
	s.distribution(m)
	m.Retry = s.retry()
	m.Catch = s.catch()
	return m
}

func (s *stateParser) mapPaths(m *Map) {
	m.ItemsPath = s.selector("ItemsPath")
	if m.ItemsPath != nil && m.ItemsPath.Path != nil && !m.ItemsPath.Path.Definite() {
		s.schema(s.at.key("ItemsPath"), "Value is not a Reference Path: the path can lead to more than one node")
	}
	m.MaxConcurrencyPath = s.path(s.v, s.at, "MaxConcurrencyPath")
	m.ItemSelector = s.template(s.v, s.at, "ItemSelector")
	if m.ItemSelector == nil {
		m.ItemSelector = s.template(s.v, s.at, "Parameters")
	}
	m.ResultSelector = s.template(s.v, s.at, "ResultSelector")
	m.ResultPath = s.resultPath(s.v, s.at)
}

// processor reads ItemProcessor, or Iterator as it was called before.
func (s *stateParser) processor(m *Map) {
	if !s.exactlyOne(s.v, s.at, "ItemProcessor", "Iterator") {
		return
	}
	field := "ItemProcessor"
	if s.v.Get(field).IsAbsent() {
		field = "Iterator"
	}
	v, at := s.v.Get(field), s.at.key(field)
	if !s.isKind(v, at, value.Object) {
		return
	}
	s.fields(v, at, "StartAt", "States", "Comment", "ProcessorConfig")
	s.text(v, at, "Comment")
	express := s.express
	s.processorConfig(m, v.Get("ProcessorConfig"), at.key("ProcessorConfig"))
	m.Processor = s.inner(v, at, s.newVariables(s.vars, m.Distributed))
	s.express = express
}
