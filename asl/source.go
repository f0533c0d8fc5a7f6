package asl

import (
	"errors"
	"fmt"
	"path"
	"regexp"
	"sort"
	"strconv"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"

	"github.com/lockstep-run/lockstep/asl/value"
)

// CodeUnfilled marks a ${Name} for which Load was given no value.
const CodeUnfilled = "UNFILLED_SUBSTITUTION"

// Source is a definition as somebody wrote it: a JSON or YAML file with ${Name}
// where a deployment fills in values, as in AWS SAM's DefinitionSubstitutions.
type Source struct {
	Name string // of the file
	JSON string // the definition to send: JSON, filled in

	// Unfilled are the placeholders left, as errors that say where they stand
	// and which flag fills them.
	Unfilled Diagnostics

	original string
	fills    []fill     // JSON: what was put in, in order
	yaml     *yaml.Node // YAML: the document
}

// fill is a placeholder in a JSON text that was replaced.
type fill struct {
	at, length   int // in the filled text
	from, before int // in the original: where, and how long
}

// Bounds on what Load reads.
const (
	maxSource    = 8 << 20 // bytes of a file and of the JSON made of it
	maxYAMLDepth = 500
)

// Load reads a definition from a file called name and fills in ${Name} from set.
// It takes the file for YAML when it is called .yaml or .yml, or else does not
// start with a brace. YAML keeps the order of its keys. Whether the result is a
// good definition is for Parse to say; the error is about a file that cannot be
// read at all, with the line.
func Load(name string, data []byte, set map[string]string) (Source, error) {
	s := Source{Name: name, original: strings.TrimPrefix(string(data), "\uFEFF")}
	if len(data) > maxSource {
		return s, fmt.Errorf("read definition %s: it has %d bytes, more than the %d allowed", name, len(data), maxSource)
	}
	if !isYAML(name, s.original) {
		s.fillText(set)
		return s, nil
	}
	if err := s.loadYAML(set); err != nil {
		return s, fmt.Errorf("read definition %s: %w", name, err)
	}
	return s, nil
}

func isYAML(name, text string) bool {
	switch strings.ToLower(path.Ext(name)) {
	case ".yaml", ".yml":
		return true
	case ".json":
		return false
	}
	return !strings.HasPrefix(strings.TrimSpace(text), "{")
}

// placeholder is a name in ${…}. Names are those CloudFormation allows.
var placeholder = regexp.MustCompile(`\$\{([A-Za-z0-9_]+)\}`)

func (s *Source) unfilled(name string, line, column int) {
	if len(s.Unfilled) >= maxDiagnostics {
		return
	}
	s.Unfilled = append(s.Unfilled, Diagnostic{
		Severity: Error, Code: CodeUnfilled, Line: line, Column: column,
		Message: fmt.Sprintf("There is no value for ${%s}", shorten(name)),
		Hint:    fmt.Sprintf("give it with --set %s=VALUE", shorten(name)),
	})
}

// fillText fills in a JSON text. A value inside a string is escaped; outside it
// is put in as it is, so that numbers can be filled in too.
func (s *Source) fillText(set map[string]string) {
	var b strings.Builder
	last, inString, scanned := 0, false, 0
	places := newLines(s.original)
	for _, m := range placeholder.FindAllStringSubmatchIndex(s.original, -1) {
		inString = endsInString(s.original[scanned:m[0]], inString)
		scanned = m[1]
		name := s.original[m[2]:m[3]]
		text, ok := set[name]
		if !ok {
			line, column := places.at(m[0])
			s.unfilled(name, line, column)
			continue
		}
		if inString {
			text = strings.TrimSuffix(strings.TrimPrefix(value.Str(text).JSON(), `"`), `"`)
		}
		b.WriteString(s.original[last:m[0]])
		s.fills = append(s.fills, fill{at: b.Len(), length: len(text), from: m[0], before: m[1] - m[0]})
		b.WriteString(text)
		last = m[1]
	}
	b.WriteString(s.original[last:])
	s.JSON = b.String()
}

// endsInString says whether text, which starts in a JSON string or not, ends in
// one.
func endsInString(text string, in bool) bool {
	for i := 0; i < len(text); i++ {
		switch {
		case text[i] == '"':
			in = !in
		case text[i] == '\\' && in:
			i++
		}
	}
	return in
}

// Place returns the diagnostics that Parse had about s.JSON with the lines and
// columns of the file instead of those of the JSON.
func (s Source) Place(diagnostics Diagnostics) Diagnostics {
	out := append(Diagnostics(nil), diagnostics...)
	filled, original := newLines(s.JSON), newLines(s.original)
	for i := range out {
		d := &out[i]
		switch {
		case s.yaml != nil:
			d.Line, d.Column = yamlPosition(s.yaml, d.Pointer)
		case d.Line > 0 && len(s.fills) > 0:
			d.Line, d.Column = original.at(s.unfill(filled.offset(d.Line, d.Column)))
		}
	}
	return out
}

// unfill turns an offset in the filled text into one in the original.
func (s Source) unfill(offset int) int {
	i := sort.Search(len(s.fills), func(i int) bool { return s.fills[i].at > offset }) - 1
	if i < 0 {
		return offset
	}
	f := s.fills[i]
	if offset < f.at+f.length {
		return f.from
	}
	return f.from + f.before + offset - f.at - f.length
}

// lines finds positions in a text.
type lines struct {
	text   string
	starts []int
}

func newLines(text string) lines {
	l := lines{text: text, starts: []int{0}}
	for i := range len(text) {
		if text[i] == '\n' {
			l.starts = append(l.starts, i+1)
		}
	}
	return l
}

func (l lines) at(offset int) (line, column int) {
	line = sort.SearchInts(l.starts, offset+1)
	return line, utf8.RuneCountInString(l.text[l.starts[line-1]:offset]) + 1
}

func (l lines) offset(line, column int) int {
	if line > len(l.starts) {
		return len(l.text)
	}
	offset := l.starts[line-1]
	for ; column > 1 && offset < len(l.text); column-- {
		_, size := utf8.DecodeRuneInString(l.text[offset:])
		offset += size
	}
	return offset
}

// loadYAML makes JSON of a YAML document, node by node, so that the order of
// keys and the text of numbers stay.
func (s *Source) loadYAML(set map[string]string) error {
	var document yaml.Node
	if err := yaml.Unmarshal([]byte(s.original), &document); err != nil {
		return errors.New(strings.TrimPrefix(err.Error(), "yaml: "))
	}
	if len(document.Content) == 0 {
		return nil // an empty file; Parse says so
	}
	s.yaml = document.Content[0]
	w := yamlWriter{source: s, set: set, open: map[*yaml.Node]bool{}}
	err := w.node(s.yaml, 0)
	s.JSON = string(w.out)
	return err
}

// yamlWriter writes a YAML node as JSON.
type yamlWriter struct {
	source *Source
	set    map[string]string
	out    []byte
	open   map[*yaml.Node]bool // the nodes around, to find one that holds itself
}

func (w *yamlWriter) node(n *yaml.Node, depth int) error {
	switch {
	case depth > maxYAMLDepth:
		return fmt.Errorf("line %d: nested more than %d levels deep", n.Line, maxYAMLDepth)
	case len(w.out) > maxSource:
		return fmt.Errorf("line %d: the definition gets larger than %d bytes", n.Line, maxSource)
	case w.open[n]:
		return fmt.Errorf("line %d: the alias refers to what it is part of", n.Line)
	}
	switch n.Kind {
	case yaml.AliasNode:
		return w.node(n.Alias, depth+1)
	case yaml.MappingNode:
		w.open[n] = true
		defer delete(w.open, n)
		return w.mapping(n, depth)
	case yaml.SequenceNode:
		w.open[n] = true
		defer delete(w.open, n)
		return w.sequence(n, depth)
	}
	return w.scalar(n)
}

func (w *yamlWriter) sequence(n *yaml.Node, depth int) error {
	w.out = append(w.out, '[')
	for i, item := range n.Content {
		if i > 0 {
			w.out = append(w.out, ',')
		}
		if err := w.node(item, depth+1); err != nil {
			return err
		}
	}
	w.out = append(w.out, ']')
	return nil
}

func (w *yamlWriter) mapping(n *yaml.Node, depth int) error {
	seen := make(map[string]bool, len(n.Content)/2)
	w.out = append(w.out, '{')
	for i := 0; i+1 < len(n.Content); i += 2 {
		key := n.Content[i]
		if key.Kind == yaml.AliasNode {
			key = key.Alias
		}
		if key.Kind != yaml.ScalarNode {
			return fmt.Errorf("line %d: a key must be a text", key.Line)
		}
		if key.Tag == "!!merge" {
			return fmt.Errorf("line %d: merge keys (<<) are not supported; write the fields out", key.Line)
		}
		name := w.fill(key)
		if seen[name] {
			return fmt.Errorf("line %d, column %d: the key '%s' occurs twice", key.Line, key.Column, shorten(name))
		}
		seen[name] = true
		if i > 0 {
			w.out = append(w.out, ',')
		}
		w.out = append(value.AppendString(w.out, name), ':')
		if err := w.node(n.Content[i+1], depth+1); err != nil {
			return err
		}
	}
	w.out = append(w.out, '}')
	return nil
}

func (w *yamlWriter) scalar(n *yaml.Node) error {
	switch n.ShortTag() {
	case "!!null":
		w.out = append(w.out, "null"...)
	case "!!bool":
		var b bool
		if err := n.Decode(&b); err != nil {
			return fmt.Errorf("line %d: %s is neither true nor false", n.Line, shorten(n.Value))
		}
		w.out = strconv.AppendBool(w.out, b)
	case "!!int", "!!float":
		return w.number(n)
	default: // timestamps too: a definition has them as text
		w.out = value.AppendString(w.out, w.fill(n))
	}
	return nil
}

// number writes a number as it stands where JSON can, and its value otherwise.
func (w *yamlWriter) number(n *yaml.Node) error {
	if v, err := value.NumberText(n.Value); err == nil {
		w.out = v.Append(w.out)
		return nil
	}
	var i int64
	if n.Decode(&i) == nil {
		w.out = strconv.AppendInt(w.out, i, 10)
		return nil
	}
	var f float64
	if err := n.Decode(&f); err != nil || value.Float(f).IsNull() {
		return fmt.Errorf("line %d: JSON has no number %s", n.Line, shorten(n.Value))
	}
	w.out = value.Float(f).Append(w.out)
	return nil
}

// fill returns the text of a scalar with the placeholders filled in.
func (w *yamlWriter) fill(n *yaml.Node) string {
	if !strings.Contains(n.Value, "${") {
		return n.Value
	}
	return placeholder.ReplaceAllStringFunc(n.Value, func(found string) string {
		name := found[2 : len(found)-1]
		if text, ok := w.set[name]; ok {
			return text
		}
		w.source.unfilled(name, n.Line, n.Column)
		return found
	})
}

// yamlPosition finds what a JSON pointer leads to: a member's key or a
// sequence's item; as far as it gets.
func yamlPosition(n *yaml.Node, pointer string) (line, column int) {
	line, column = n.Line, n.Column
	for pointer != "" {
		token, _, _ := strings.Cut(pointer[1:], "/")
		pointer = pointer[1+len(token):]
		token = unescapeToken.Replace(token)
		for n.Kind == yaml.AliasNode {
			n = n.Alias
		}
		key, child := yamlChild(n, token)
		if child == nil {
			return line, column
		}
		line, column = key.Line, key.Column
		n = child
	}
	return line, column
}

func yamlChild(n *yaml.Node, token string) (key, child *yaml.Node) {
	switch n.Kind {
	case yaml.MappingNode:
		for i := 0; i+1 < len(n.Content); i += 2 {
			if n.Content[i].Value == token {
				return n.Content[i], n.Content[i+1]
			}
		}
	case yaml.SequenceNode:
		if i, err := strconv.Atoi(token); err == nil && i >= 0 && i < len(n.Content) {
			return n.Content[i], n.Content[i]
		}
	}
	return nil, nil
}
