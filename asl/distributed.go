package asl

import (
	"crypto/md5"
	"fmt"
	"math"
	"strings"
	"unicode"

	"github.com/lockstep-run/lockstep/asl/jsonpath"
	"github.com/lockstep-run/lockstep/asl/value"
)

// Distribution is what only a distributed Map has: its items may come from
// outside, and each is worked on by an execution of its own.
type Distribution struct {
	Distributed bool
	Express     bool   // the children are Express executions
	Label       string // part of the ARNs of runs and children; "" where none is given

	Reader  *ItemReader  // nil: the items are in the input
	Batcher *ItemBatcher // nil: an item to a child
	Writer  *ResultWriter

	ToleratedFailureCount      *Amount // nil: none
	ToleratedFailurePercentage *Amount // nil: none
}

// Amount is a number: a literal, or what a path or an expression gives.
type Amount struct {
	Literal float64 // holds when the others are nil
	Path    *jsonpath.Path
	Query   *Query
}

// ItemReader says where the items of a Map are read.
type ItemReader struct {
	Resource   Resource
	Parameters *jsonpath.Template
	Arguments  *Query      // JSONata
	Config     value.Value // ReaderConfig as it stands; absent where there is none
	MaxItems   *Amount     // nil: all
	computed   *Query      // ReaderConfig of a JSONata state that computes some of it
}

// ConfigQuery is the ReaderConfig of a JSONata state in which something is
// computed; nil: Config says all.
func (r *ItemReader) ConfigQuery() *Query { return r.computed }

// ItemBatcher puts several items into the input of one child.
type ItemBatcher struct {
	MaxItems   *Amount // nil: no limit
	MaxBytes   *Amount // nil: no limit
	Input      *jsonpath.Template
	InputQuery *Query // JSONata
}

// ResultWriter says what becomes of the children's results.
type ResultWriter struct {
	Resource   *Resource // nil: they become the state's result
	Parameters *jsonpath.Template
	Arguments  *Query // JSONata

	Transformation string // "NONE", "COMPACT", "FLATTEN"; "": what is usual
	OutputType     string // "JSON", "JSONL"; "": JSON
}

// processorConfig reads whether the Map is distributed. The children of an
// Express processor are bound by the rules of Express.
func (s *stateParser) processorConfig(m *Map, v value.Value, at *place) {
	if v.IsAbsent() || !s.isKind(v, at, value.Object) {
		return
	}
	s.fields(v, at, "Mode", "ExecutionType")
	mode := s.oneOf(v, at, "Mode", "INLINE", "DISTRIBUTED")
	kind := s.oneOf(v, at, "ExecutionType", "STANDARD", "EXPRESS")
	switch {
	case mode != "DISTRIBUTED":
		if !v.Get("ExecutionType").IsAbsent() {
			s.report(CodeSchema, at, at.key("ExecutionType"), "Field 'ExecutionType' is not supported")
		}
		return
	case s.express:
		s.schema(at.key("Mode"), "The field 'Mode' with value 'DISTRIBUTED' is not supported inside 'EXPRESS' state machines")
	case v.Get("ExecutionType").IsAbsent():
		s.required(at, "ExecutionType")
	}
	m.Distributed, m.Express = true, kind == "EXPRESS"
	s.express = m.Express
}

// distribution reads what only a distributed Map uses.
func (s *stateParser) distribution(m *Map) {
	m.ToleratedFailureCount = s.amount(s.v, s.at, "ToleratedFailureCount", 0, math.MaxInt64)
	m.ToleratedFailurePercentage = s.amount(s.v, s.at, "ToleratedFailurePercentage", 0, 100)
	m.Label = s.label()
	for _, field := range []string{"ItemReader", "ItemBatcher", "ResultWriter"} {
		v, at := s.v.Get(field), s.at.key(field)
		if v.IsAbsent() || !s.isKind(v, at, value.Object) {
			continue
		}
		switch field {
		case "ItemReader":
			m.Reader = s.itemReader(v, at)
		case "ItemBatcher":
			m.Batcher = s.itemBatcher(v, at)
		case "ResultWriter":
			m.Writer = s.resultWriter(v, at)
		}
		if !m.Distributed {
			s.notYet(at, fmt.Sprintf("%s in a Map that is not distributed", field))
		}
	}
}

// amount reads a number from a field of v, or from its twin that ends in Path.
func (s *stateParser) amount(v value.Value, at *place, field string, least, most float64) *Amount {
	s.exclusive(v, at, field, field+"Path")
	f, in := v.Get(field), at.key(field)
	if s.lang == JSONPath {
		if path := s.path(v, at, field+"Path"); path != nil {
			return &Amount{Path: path}
		}
	}
	if q := s.computed(v, at, field); q != nil {
		return &Amount{Query: q}
	}
	if f.IsAbsent() || s.lang == JSONata && isExpression(f) || !s.isKind(f, in, value.Number) {
		return nil
	}
	switch x := f.Float(); {
	case x < least:
		s.schema(in, "Minimum value is %v", least)
	case x > most:
		s.schema(in, "Maximum value is %v", most)
	}
	return &Amount{Literal: f.Float()}
}

// label reads Label, which becomes part of ARNs.
func (s *stateParser) label() string {
	text, at := s.text(s.v, s.at, "Label"), s.at.key("Label")
	if s.v.Get("Label").Kind() != value.String {
		return ""
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
	return text
}

func (s *stateParser) itemReader(v value.Value, at *place) *ItemReader {
	s.fields(v, at, "Resource", "ReaderConfig", "Parameters", "Arguments", "Comment")
	r := &ItemReader{}
	if resource := s.storage(v, at, "s3:listObjectsV2", "s3:getObject"); resource != nil {
		r.Resource = *resource
	} else if v.Get("Resource").IsAbsent() {
		s.required(at, "Resource")
	}
	r.Parameters, r.Arguments = s.arguments(v, at)
	config, in := v.Get("ReaderConfig"), at.key("ReaderConfig")
	if config.IsAbsent() || !s.isKind(config, in, value.Object) {
		return r
	}
	s.fields(config, in, "InputType", "CSVHeaderLocation", "CSVHeaders", "CSVDelimiter", "MaxItems",
		"MaxItemsPath", "ItemsPointer", "Transformation", "ManifestType")
	r.Config = config
	r.MaxItems = s.amount(config, in, "MaxItems", 0, 100_000_000)
	choice := func(field string, values ...string) {
		if s.computed(config, in, field) == nil {
			s.oneOf(config, in, field, values...)
		}
	}
	choice("InputType", "CSV", "JSON", "JSONL", "PARQUET", "MANIFEST")
	choice("CSVHeaderLocation", "FIRST_ROW", "GIVEN")
	choice("CSVDelimiter", "COMMA", "PIPE", "SEMICOLON", "SPACE", "TAB")
	choice("Transformation", "NONE", "LOAD_AND_FLATTEN")
	choice("ManifestType", "ATHENA_DATA", "S3_INVENTORY")
	if config.Get("CSVHeaderLocation").Str() == "GIVEN" && config.Get("CSVHeaders").IsAbsent() {
		s.required(in, "CSVHeaders")
	}
	if s.lang == JSONata {
		if q := s.query(v, at, "ReaderConfig"); !q.Constant() {
			r.computed = q
		}
	}
	return r
}

func (s *stateParser) itemBatcher(v value.Value, at *place) *ItemBatcher {
	s.fields(v, at, "MaxItemsPerBatch", "MaxItemsPerBatchPath", "MaxInputBytesPerBatch",
		"MaxInputBytesPerBatchPath", "BatchInput", "Comment")
	b := &ItemBatcher{
		MaxItems: s.amount(v, at, "MaxItemsPerBatch", 1, math.MaxInt64),
		MaxBytes: s.amount(v, at, "MaxInputBytesPerBatch", 1, maxBatchBytes),
	}
	if s.lang == JSONata {
		b.InputQuery = s.query(v, at, "BatchInput")
	} else {
		b.Input = s.template(v, at, "BatchInput")
	}
	return b
}

// maxBatchBytes is the most that a batch may be told to hold (AWS's guide).
const maxBatchBytes = 256 << 10

func (s *stateParser) resultWriter(v value.Value, at *place) *ResultWriter {
	s.fields(v, at, "Resource", "Parameters", "Arguments", "WriterConfig", "Comment")
	w := &ResultWriter{Resource: s.storage(v, at, "s3:putObject")}
	w.Parameters, w.Arguments = s.arguments(v, at)
	config, in := v.Get("WriterConfig"), at.key("WriterConfig")
	if config.IsAbsent() {
		if v.Get("Resource").IsAbsent() {
			s.required(at, "Resource")
		}
		return w
	}
	if !s.isKind(config, in, value.Object) {
		return w
	}
	s.fields(config, in, "Transformation", "OutputType")
	w.Transformation = s.oneOf(config, in, "Transformation", "NONE", "COMPACT", "FLATTEN")
	w.OutputType = s.oneOf(config, in, "OutputType", "JSON", "JSONL")
	return w
}

// storage reads the Resource of a reader or writer, one of those given by
// service and action.
func (s *stateParser) storage(v value.Value, at *place, allowed ...string) *Resource {
	text := s.text(v, at, "Resource")
	if text == "" {
		return nil
	}
	for _, name := range allowed {
		service, action, _ := strings.Cut(name, ":")
		if rest, ok := strings.CutPrefix(text, "arn:"); ok && strings.HasSuffix(rest, ":states:::"+name) {
			return &Resource{ARN: text, Kind: IntegrationResource, Service: service, Action: action}
		}
	}
	s.schema(at.key("Resource"), "The resource provided %s is not recognized. The value is not a valid resource ARN, or the resource is not available in this region.", shorten(text))
	return nil
}

// arguments reads what a reader or writer is called with.
func (s *stateParser) arguments(v value.Value, at *place) (*jsonpath.Template, *Query) {
	if !v.Get("Parameters").IsAbsent() {
		s.checkLanguage(at, "Parameters", "JSONPath")
	}
	if !v.Get("Arguments").IsAbsent() {
		s.checkLanguage(at, "Arguments", "JSONata")
	}
	if s.lang == JSONPath {
		return s.template(v, at, "Parameters"), nil
	}
	return nil, s.query(v, at, "Arguments")
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

// RunLabel is the label of the state's runs: Label or, where none is given, a
// UUID made from the state's name.
func (m *Map) RunLabel() string {
	if m.Label != "" {
		return m.Label
	}
	sum := md5.Sum([]byte(m.Name))
	sum[6], sum[8] = sum[6]&0x0f|0x30, sum[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", sum[0:4], sum[4:6], sum[6:8], sum[8:10], sum[10:16])
}

// Child is the machine that the children of a distributed Map run, nil where
// state is none.
func (m *Machine) Child(state string) *Machine {
	of, ok := m.all[state].(*Map)
	if !ok || !of.Distributed {
		return nil
	}
	child := *m
	child.Scope, child.TimeoutSeconds = of.Processor, 0
	return &child
}
