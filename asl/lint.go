package asl

import (
	"strings"

	"github.com/lockstep-run/lockstep/asl/jsonpath"
	"github.com/lockstep-run/lockstep/asl/value"
)

// The codes of our own warnings.
const (
	CodeNeverMatches = "NEVER_MATCHES"      // a retrier or catcher that no error reaches
	CodeUnknownError = "UNKNOWN_ERROR_NAME" // a States.… name that nothing raises
	CodeNoTaskToken  = "NO_TASK_TOKEN"      // nobody could answer the task
	CodeMissingPath  = "PATH_NEVER_EXISTS"  // a path that no earlier state produces
)

// lintTemplate finds values of a payload template that look computed and are
// passed on as they are, because the key lacks its ".$".
func (s *stateParser) lintTemplate(v value.Value, at *place) {
	switch v.Kind() {
	case value.Array:
		for i, item := range v.Items() {
			if what := looksComputed(item); what != "" {
				s.warn(CodeNoDollar, at.item(i),
					"an array cannot hold computed values: compute all of it, as in \"key.$\": \"States.Array(…)\"",
					"The value looks like %s, but stands in an array and is passed on as text", what)
			}
			s.lintTemplate(item, at.item(i))
		}
	case value.Object:
		for key, member := range v.Members() {
			if strings.HasSuffix(key, ".$") {
				continue
			}
			if what := looksComputed(member); what != "" {
				s.warn(CodeNoDollar, at.key(key), "name the field '"+shorten(key)+".$'",
					"The value of the field '%s' looks like %s, but the name of the field does not end with '.$': it is passed on as text",
					shorten(key), what)
			}
			s.lintTemplate(member, at.key(key))
		}
	}
}

// looksComputed says what a string was probably meant to be, "" for nothing
// but a string.
func looksComputed(v value.Value) string {
	if v.Kind() != value.String {
		return ""
	}
	text := v.Str()
	if looksLikeCall(text) {
		return "an intrinsic function call"
	}
	if looksLikePath(text) {
		return "a JSONPath"
	}
	return ""
}

// looksLikeCall says whether text starts like a call of an intrinsic function
// and ends like one. It need not be a correct one.
func looksLikeCall(text string) bool {
	rest, ok := strings.CutPrefix(text, "States.")
	if !ok || !strings.HasSuffix(strings.TrimSpace(rest), ")") {
		return false
	}
	name, _, ok := strings.Cut(rest, "(")
	name = strings.TrimSpace(name)
	return ok && name != "" && name[0] >= 'A' && name[0] <= 'Z' && isVariableName(name)
}

// looksLikePath is true for paths into the input or the Context object. A
// variable's name alone, as in "$5" or "$x", is too likely to be just text.
func looksLikePath(text string) bool {
	for _, start := range []string{"$.", "$[", "$$."} {
		if strings.HasPrefix(text, start) {
			_, err := jsonpath.Parse(text)
			return err == nil
		}
	}
	return false
}

// lintResult finds what looks computed in the Result of a Pass, of which
// nothing is.
func (s *stateParser) lintResult(v value.Value, at *place) {
	what := looksComputed(v)
	switch {
	case what != "":
		s.warn(CodeStaticResult, at, "use Parameters, which are computed, instead of Result",
			"The value looks like %s, but the Result of a Pass state is static: it is passed on as text", what)
	case v.Kind() == value.Array:
		for i, item := range v.Items() {
			s.lintResult(item, at.item(i))
		}
	case v.Kind() == value.Object:
		for key, member := range v.Members() {
			s.lintResult(member, at.key(key))
		}
	}
}

// lintPathText finds a path in a field whose Path twin was meant.
func (s *stateParser) lintPathText(text string, at *place, twin string) {
	if s.lang == JSONPath && (looksLikePath(text) || looksLikeCall(text)) {
		s.warn(CodeNoPath, at, "name the field '"+twin+"'",
			"The value looks like a path, but the name of the field does not end with 'Path': it is taken as text")
	}
}

// lintToken finds a task that waits for a token it gives to nobody. AWS accepts
// that (recorded); such a task can only time out.
func (s *stateParser) lintToken(t *jsonpath.Template, at *place) {
	for _, path := range t.ContextPaths() {
		if path == "$$" || strings.HasPrefix(path, "$$.Task") || strings.HasPrefix(path, "$$[") {
			return
		}
	}
	if len(t.Variables()) > 0 {
		return // a variable may hold it
	}
	s.warn(CodeNoTaskToken, at, "pass it on, as in \"TaskToken.$\": \"$$.Task.Token\"",
		"The task waits for its token to come back, but the parameters give the token to nobody")
}

// lintHandlers finds retriers and catchers that no error reaches.
func (p *parser) lintHandlers() {
	for _, h := range p.handlers {
		p.lintHandler(h)
	}
}

func (p *parser) lintHandler(h handlers) {
	verb := "caught"
	if h.retry {
		verb = "retried"
	}
	seen := map[string]int{} // the errors that earlier entries take, with the entry
	for i, names := range h.errors {
		for k, name := range names {
			at := h.at.item(i).key("ErrorEquals").item(k)
			if by, ok := takenBy(seen, name, h.task); ok && by != i {
				p.warn(CodeNeverMatches, at, "remove it, or move this entry before the other",
					"The error '%s' never gets here: entry %d, which comes first, takes it", shorten(name), by)
			} else if name == "States.Runtime" {
				p.warn(CodeNeverMatches, at, "remove it; check what the state computes instead",
					"States.Runtime is never %s: it always ends the execution", verb)
			} else if strings.HasPrefix(name, "States.") && !predefined(name) && !p.failErrors[name] {
				p.warn(CodeUnknownError, at, "check the spelling; names of your own must not start with 'States.'",
					"Nothing raises the error '%s'", shorten(name))
			}
			if _, ok := seen[name]; !ok {
				seen[name] = i
			}
		}
	}
}

// takenBy says which earlier entry takes an error first.
func takenBy(seen map[string]int, name string, task bool) (int, bool) {
	if by, ok := seen[name]; ok {
		return by, true
	}
	if by, ok := seen["States.Timeout"]; ok && name == "States.HeartbeatTimeout" {
		return by, true // an expired heartbeat is a timeout too
	}
	by, ok := seen["States.TaskFailed"]
	return by, ok && task && !strings.HasPrefix(name, "States.")
}

// predefined says whether name is an error of the language or the service.
func predefined(name string) bool {
	switch strings.TrimPrefix(name, "States.") {
	case "ALL", "BranchFailed", "DataLimitExceeded", "ExceedToleratedFailureThreshold", "HeartbeatTimeout",
		"Http.Socket", "IntrinsicFailure", "ItemReaderFailed", "NoChoiceMatched", "ParameterPathFailure",
		"Permissions", "QueryEvaluationError", "ResultPathMatchFailure", "ResultWriterFailed", "Runtime",
		"TaskFailed", "Timeout":
		return true
	}
	return strings.HasPrefix(name, "States.Http.StatusCode.")
}
