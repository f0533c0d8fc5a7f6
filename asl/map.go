package asl

import (
	"fmt"
	"math"
	"strings"
	"unicode"

	"github.com/lockstep-run/lockstep/asl/jsonpath"
	"github.com/lockstep-run/lockstep/asl/value"
)

// Map runs its processor for each item.
type Map struct {
	Common
	Processor          Scope
	Distributed        bool
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

	ToleratedFailureCount      *Tolerated // nil: none
	ToleratedFailurePercentage *Tolerated // nil: none
	HasReader                  bool       // ItemReader gives the items, not the input
	HasWriter                  bool       // ResultWriter takes the results
}

// Tolerated is a bound on failed items: a literal, or what a path or an
// expression gives.
type Tolerated struct {
	Literal float64 // holds when the others are nil
	Path    *jsonpath.Path
	Query   *Query
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
	s.distributedFields(m)
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
	m.Distributed = s.processorConfig(v.Get("ProcessorConfig"), at.key("ProcessorConfig"))
	m.Processor = s.inner(v, at, s.newVariables(s.vars, m.Distributed))
	s.express = express
	if m.Distributed {
		s.notYet(s.at, "Distributed Map (ProcessorConfig Mode DISTRIBUTED)")
	}
}

// processorConfig says whether the Map is distributed. The children of an
// Express processor are bound by the rules of Express.
func (s *stateParser) processorConfig(v value.Value, at *place) bool {
	if v.IsAbsent() || !s.isKind(v, at, value.Object) {
		return false
	}
	s.fields(v, at, "Mode", "ExecutionType")
	mode := s.oneOf(v, at, "Mode", "INLINE", "DISTRIBUTED")
	kind := s.oneOf(v, at, "ExecutionType", "STANDARD", "EXPRESS")
	switch {
	case mode != "DISTRIBUTED":
		if !v.Get("ExecutionType").IsAbsent() {
			s.report(CodeSchema, at, at.key("ExecutionType"), "Field 'ExecutionType' is not supported")
		}
		return false
	case s.express:
		s.schema(at.key("Mode"), "The field 'Mode' with value 'DISTRIBUTED' is not supported inside 'EXPRESS' state machines")
	case v.Get("ExecutionType").IsAbsent():
		s.required(at, "ExecutionType")
	}
	s.express = kind == "EXPRESS"
	return true
}

// distributedFields checks what only a distributed Map uses.
func (s *stateParser) distributedFields(m *Map) {
	m.ToleratedFailureCount = s.tolerated("ToleratedFailureCount", math.MaxInt64)
	m.ToleratedFailurePercentage = s.tolerated("ToleratedFailurePercentage", 100)
	s.label()
	for _, field := range []string{"ItemReader", "ItemBatcher", "ResultWriter"} {
		v, at := s.v.Get(field), s.at.key(field)
		if v.IsAbsent() || !s.isKind(v, at, value.Object) {
			continue
		}
		switch field {
		case "ItemReader":
			m.HasReader = true
			s.itemReader(v, at)
		case "ItemBatcher":
			s.itemBatcher(v, at)
		case "ResultWriter":
			m.HasWriter = true
			s.resultWriter(v, at)
		}
		if !m.Distributed {
			s.notYet(at, fmt.Sprintf("%s in a Map that is not distributed", field))
		}
	}
}

// tolerated reads a bound on failures, a number that may have a fraction only
// for percentages.
func (s *stateParser) tolerated(field string, most float64) *Tolerated {
	s.exclusive(s.v, s.at, field, field+"Path")
	f, at := s.v.Get(field), s.at.key(field)
	if s.lang == JSONPath {
		if path := s.path(s.v, s.at, field+"Path"); path != nil {
			return &Tolerated{Path: path}
		}
	}
	if q := s.computed(s.v, s.at, field); q != nil {
		return &Tolerated{Query: q}
	}
	if f.IsAbsent() || s.lang == JSONata && isExpression(f) || !s.isKind(f, at, value.Number) {
		return nil
	}
	switch x := f.Float(); {
	case x < 0:
		s.schema(at, "Minimum value is 0")
	case x > most:
		s.schema(at, "Maximum value is %v", most)
	}
	return &Tolerated{Literal: f.Float()}
}

// label checks Label, which becomes part of ARNs.
func (s *stateParser) label() {
	text, at := s.text(s.v, s.at, "Label"), s.at.key("Label")
	if s.v.Get("Label").Kind() != value.String {
		return
	}
	if !validLabel(text) {
		s.report(CodeLabel, at, at, "Invalid label name: %s", shorten(text))
	}
	if s.labels[text] {
		s.report(CodeDuplicateLabel, at, at, "Duplicate label name: %s", shorten(text))
	}
	if s.labels == nil {
		s.labels = map[string]bool{}
	}
	s.labels[text] = true
}

// The fields of ItemReader, ItemBatcher and ResultWriter are checked by name;
// their values will be when they can be used.

func (s *stateParser) itemReader(v value.Value, at *place) {
	s.fields(v, at, "Resource", "ReaderConfig", "Parameters", "Arguments", "Comment")
	if v.Get("Resource").IsAbsent() {
		s.required(at, "Resource")
	}
	s.readerLanguage(v, at)
	config, in := v.Get("ReaderConfig"), at.key("ReaderConfig")
	if config.IsAbsent() || !s.isKind(config, in, value.Object) {
		return
	}
	s.fields(config, in, "InputType", "CSVHeaderLocation", "CSVHeaders", "CSVDelimiter", "MaxItems",
		"MaxItemsPath", "ItemsPointer", "Transformation", "ManifestType")
	if s.lang == JSONPath {
		s.path(config, in, "MaxItemsPath")
	}
}

func (s *stateParser) itemBatcher(v value.Value, at *place) {
	s.fields(v, at, "MaxItemsPerBatch", "MaxItemsPerBatchPath", "MaxInputBytesPerBatch",
		"MaxInputBytesPerBatchPath", "BatchInput", "Comment")
	if s.lang == JSONata {
		s.query(v, at, "BatchInput")
		return
	}
	s.path(v, at, "MaxItemsPerBatchPath")
	s.path(v, at, "MaxInputBytesPerBatchPath")
	s.template(v, at, "BatchInput")
}

func (s *stateParser) resultWriter(v value.Value, at *place) {
	s.fields(v, at, "Resource", "Parameters", "Arguments", "WriterConfig", "Comment")
	s.readerLanguage(v, at)
}

func (s *stateParser) readerLanguage(v value.Value, at *place) {
	if !v.Get("Parameters").IsAbsent() {
		s.checkLanguage(at, "Parameters", "JSONPath")
	}
	if !v.Get("Arguments").IsAbsent() {
		s.checkLanguage(at, "Arguments", "JSONata")
	}
	if s.lang == JSONPath {
		s.template(v, at, "Parameters")
	} else {
		s.query(v, at, "Arguments")
	}
}

// validLabel says whether text may be part of an ARN: at most 40 characters, no
// white space, wildcards, brackets or special characters.
func validLabel(text string) bool {
	n := 0
	for _, r := range text {
		n++
		if unicode.IsSpace(r) || unicode.IsControl(r) || strings.ContainsRune("?*<>{}[]:;,\\|^~$#%&`\"/", r) {
			return false
		}
	}
	return n > 0 && n <= 40
}
