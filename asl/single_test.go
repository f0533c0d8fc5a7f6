package asl

import "testing"

func TestParseState(t *testing.T) {
	f := func(definition, want string) {
		t.Helper()
		m, found := ParseState(definition, "S", Options{Untried: true})
		if got := found.InvalidDefinition(); got != want {
			t.Errorf("%s\n got %s\nwant %s", definition, got, want)
		}
		if (m == nil) != (want != "") {
			t.Fatalf("%s: machine %v, want one exactly when nothing is wrong", definition, m)
		}
		if m != nil && (m.StartAt != "S" || m.State("S") == nil || m.State("S").Base().Name != "S") {
			t.Errorf("%s: the machine does not begin with S: %+v", definition, m)
		}
	}
	invalid := func(what string) string { return "Invalid State Machine Definition: '" + what + "'" }

	f(`{"Type":"Succeed"}`, "")
	f(`{"Type":"Pass","Next":"Elsewhere"}`, "")
	f(`{"Type":"Pass","Parameters":{"x.$":"$given"},"End":true}`, "")
	f(`{"Type":"Choice","Choices":[{"Variable":"$.a","IsNull":true,"Next":"One"}],"Default":"Two"}`, "")
	f(`{"Type":"Task","Resource":"arn:aws:states:::lambda:invoke","Parameters":{"FunctionName":"f"},
	    "Catch":[{"ErrorEquals":["States.ALL"],"Next":"Elsewhere"}],"End":true}`, "")
	f(`{"Type":"Map","ItemProcessor":{"ProcessorConfig":{"Mode":"DISTRIBUTED","ExecutionType":"EXPRESS"},
	    "StartAt":"I","States":{"I":{"Type":"Pass","End":true}}},"End":true}`, "")
	f(`{"Type":"Parallel","Branches":[{"StartAt":"B","States":{"B":{"Type":"Pass","Parameters":{"x.$":"$given"},"End":true}}}],"End":true}`, "")

	f(`[]`, invalid("SCHEMA_VALIDATION_FAILED: Definition must be a valid JSON object at null"))
	f(`{"End":true}`, invalid("SCHEMA_VALIDATION_FAILED: These fields are required: [Type] at /"))
	f(`{"Type":"Sleep"}`, invalid("SCHEMA_VALIDATION_FAILED: The field 'Type' should have one of these values: [Task, Wait, Pass, Succeed, Fail, Choice, Parallel, Map] at /Type"))
	f(`{"Type":"Parallel","Branches":[{"StartAt":"B","States":{"B":{"Type":"Pass","Next":"Elsewhere"}}}],"End":true}`,
		invalid("MISSING_TRANSITION_TARGET: Missing 'Next' target: Elsewhere at /Branches[0]/States/B/Next"))
	f(`{"Type":"Map","ItemProcessor":{"ProcessorConfig":{"Mode":"DISTRIBUTED","ExecutionType":"STANDARD"},
	    "StartAt":"I","States":{"I":{"Type":"Pass","Parameters":{"x.$":"$given"},"End":true}}},"End":true}`,
		invalid("SCHEMA_VALIDATION_FAILED: The variable '$given' is read here, but no state assigns it in this scope or around it at /ItemProcessor/States/I/Parameters"))
}
