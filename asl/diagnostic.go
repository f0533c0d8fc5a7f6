package asl

import (
	"fmt"
	"strings"
)

// The severities of a Diagnostic. A machine with an Error cannot be created.
const (
	Error   = "ERROR"
	Warning = "WARNING"
)

// The codes of diagnostics that AWS has too. What else Parse reports has codes
// of our own, next to where it is found.
const (
	CodeInvalidJSON    = "INVALID_JSON_DESCRIPTION"
	CodeSchema         = "SCHEMA_VALIDATION_FAILED"
	CodeMissingEnd     = "MISSING_END_STATE"
	CodeMissingTarget  = "MISSING_TRANSITION_TARGET"
	CodeDuplicateState = "DUPLICATE_STATE_NAME"
	CodeStateName      = "INVALID_STATE_NAME"
	CodeDuplicateLabel = "DUPLICATE_LABEL_NAME"
	CodeLabel          = "INVALID_LABEL_NAME"
	CodeTooDeep        = "TOO_DEEPLY_NESTED"
	CodeReservedName   = "RESERVED_VARIABLE_NAME"
	CodeVariableName   = "INVALID_VARIABLE_NAME"

	CodeNoDollar     = "NO_DOLLAR"
	CodeNoPath       = "NO_PATH"
	CodeStaticResult = "PASS_RESULT_IS_STATIC"
)

// Diagnostic is one thing that is wrong, or looks wrong, with a definition.
type Diagnostic struct {
	Severity string // Error or Warning
	Code     string
	Message  string // AWS's wording where AWS has one
	Location string // in AWS's notation: /States/X/Choices[0]/Next; "" where AWS gives none
	Hint     string // how to fix it, where that can be said; not part of AWS's answer

	// Pointer is the JSON pointer of what is meant. It may lead further in than
	// Location: to the unknown field rather than to its state.
	Pointer string
	// Line and Column, from 1, in characters, of the member's key or the array's
	// item that Pointer leads to; 0 when unknown.
	Line, Column int
}

// String reads as AWS writes it: the code, the message and the location.
func (d Diagnostic) String() string {
	location := d.Location
	if location == "" {
		location = "null" // as AWS prints a diagnostic without location (seen for MISSING_END_STATE)
	}
	return d.Code + ": " + d.Message + " at " + location
}

// Diagnostics is what Parse has to say about a definition: errors first, then
// warnings, each in the order in which AWS would find them.
type Diagnostics []Diagnostic

// Errors returns the diagnostics with severity Error.
func (ds Diagnostics) Errors() Diagnostics { return ds.with(Error) }

// Warnings returns the diagnostics with severity Warning.
func (ds Diagnostics) Warnings() Diagnostics { return ds.with(Warning) }

func (ds Diagnostics) with(severity string) Diagnostics {
	var out Diagnostics
	for _, d := range ds {
		if d.Severity == severity {
			out = append(out, d)
		}
	}
	return out
}

// HasErrors says whether there is one with severity Error.
func (ds Diagnostics) HasErrors() bool {
	for _, d := range ds {
		if d.Severity == Error {
			return true
		}
	}
	return false
}

// InvalidDefinition is the message of the API error InvalidDefinition for the
// errors among the diagnostics, word for word as AWS writes it; "" without one.
func (ds Diagnostics) InvalidDefinition() string {
	var texts []string
	for _, d := range ds.Errors() {
		texts = append(texts, d.String())
	}
	if texts == nil {
		return ""
	}
	return "Invalid State Machine Definition: '" + strings.Join(texts, ", ") + "'"
}

// maxDiagnostics bounds what a hopeless definition can make us say. AWS's API
// returns 100.
const maxDiagnostics = 1000

// reporter gathers diagnostics. Positions are filled in at the end, for all of
// them in one go over the text.
type reporter struct {
	errors, unsupported, warnings Diagnostics
}

func (r *reporter) add(list *Diagnostics, d Diagnostic) {
	if len(*list) < maxDiagnostics {
		*list = append(*list, d)
	}
}

// fault adds an error that AWS locates at location and that is about what stands
// at pointer. Nothing is written for what there is no room for.
func (r *reporter) fault(d Diagnostic, location, pointer *place) {
	if len(r.errors) >= maxDiagnostics {
		return
	}
	d.Severity = Error
	d.Location, d.Pointer = location.location(), pointer.pointer()
	r.errors = append(r.errors, d)
}

// report is fault without a hint.
func (r *reporter) report(code string, location, pointer *place, format string, args ...any) {
	r.fault(Diagnostic{Code: code, Message: fmt.Sprintf(format, args...)}, location, pointer)
}

// schema adds an error of the most common code.
func (r *reporter) schema(at *place, format string, args ...any) {
	r.report(CodeSchema, at, at, format, args...)
}

// warn adds a warning.
func (r *reporter) warn(code string, at *place, hint, format string, args ...any) {
	if len(r.warnings) >= maxDiagnostics {
		return
	}
	r.warnings = append(r.warnings, Diagnostic{
		Severity: Warning, Code: code, Message: fmt.Sprintf(format, args...),
		Location: at.location(), Pointer: at.pointer(), Hint: hint,
	})
}

// all returns everything, errors first. What is valid but not supported yet is
// reported only when nothing is wrong, so that a wrong definition gets AWS's
// answer.
func (r *reporter) all() Diagnostics {
	errors := r.errors
	if len(errors) == 0 {
		errors = r.unsupported
	}
	return append(errors[:len(errors):len(errors)], r.warnings...)
}
