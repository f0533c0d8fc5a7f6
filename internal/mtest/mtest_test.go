package mtest

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func nothing(name string) (string, []byte, error) {
	return name, nil, errors.New("there is no such file")
}

func load(t testing.TB, text string) *Suite {
	t.Helper()
	s, err := Load("flow.test.yaml", []byte(text), nothing)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// report is what a suite's run says: the cases and the coverage.
func report(t testing.TB, text string) string {
	t.Helper()
	s := load(t, text)
	cover := NewCoverage(s)
	r := Report{s, s.Run(nil, cover)}
	var b bytes.Buffer
	r.WriteText(&b)
	cover.WriteText(&b)
	return b.String()
}

// expect runs a suite and says what it must report of its cases: lines without
// the file's own.
func expect(t *testing.T, text string, want ...string) {
	t.Helper()
	s := load(t, text)
	r := Report{s, s.Run(nil, NewCoverage(s))}
	var b bytes.Buffer
	r.WriteText(&b)
	var got []string
	for _, line := range strings.Split(strings.TrimSpace(b.String()), "\n")[1:] {
		got = append(got, strings.TrimSpace(line))
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

const fn = `"arn:aws:lambda:us-east-1:123456789012:function:f"`

// task is a machine of one Task with further fields.
func task(fields string) string {
	if fields != "" {
		fields = ", " + fields
	}
	return `{StartAt: T, States: {T: {Type: Task, End: true, Resource: ` + fn + fields + `}}}`
}

func TestTimeIsSkipped(t *testing.T) {
	expect(t, `
machine:
  StartAt: W
  States:
    W: {Type: Wait, Seconds: 31536000, Next: L}
    L:
      Type: Task
      Resource: `+fn+`
      Retry: [{ErrorEquals: [States.ALL], IntervalSeconds: 3600, BackoffRate: 1, MaxAttempts: 24}]
      End: true
cases:
  - name: a year and a day
    mocks: {L: [{error: E, times: 24}, {return: 7}]}
    expect: {output: 7, elapsed: 8784h, calls: {L: 25}, path: [W, L]}
  - name: a day is not enough
    mocks: {L: {error: E, cause: because}}
    expect: {error: E, cause: cau, calls: {L: 25}}
  - name: a start of its own
    start: 2030-06-01T00:00:00Z
    mocks: {L: {return: 1, after: 90}}
    expect: {elapsed: 8760h1m}
`,
		"ok    a year and a day", "ok    a day is not enough",
		"FAIL  a start of its own (line 18)", "elapsed: want 8760h1m0s, got 8760h1m30s", "went W → L")
}

func TestTimeouts(t *testing.T) {
	expect(t, `
machine: `+task(`TimeoutSeconds: 60`)+`
cases:
  - name: none comes
    mocks: {T: {timeout: true}}
    expect: {error: States.Timeout, elapsed: 1m}
  - name: one comes too late
    mocks: {T: {return: 1, after: 61s}}
    expect: {error: States.Timeout}
  - name: one comes in time
    mocks: {T: {return: 1, after: 60s}}
    expect: {output: 1, elapsed: 60}
`, "ok    none comes", "ok    one comes too late", "ok    one comes in time")

	expect(t, `
machine: `+task("")+`
cases:
  - {name: for ever, mocks: {T: {timeout: true}}}
`, "FAIL  for ever (line 4)", `the execution waits for ever: the mock of "T" says timeout, and the state has neither TimeoutSeconds nor HeartbeatSeconds`, "went T")

	expect(t, `
machine: {TimeoutSeconds: 5, StartAt: W, States: {W: {Type: Wait, Seconds: 9, End: true}}}
cases:
  - {name: the whole, expect: {status: TIMED_OUT, elapsed: 5}}
`, "ok    the whole")
}

func TestAnswersOfTasks(t *testing.T) {
	const activity = `{StartAt: A, States: {A: {Type: Task, HeartbeatSeconds: 10, Resource: "arn:aws:states:us-east-1:123456789012:activity:a", End: true}}}`
	expect(t, `
machine: `+activity+`
cases:
  - {name: answers, mocks: {A: {return: {ok: true}}}, expect: {output: {ok: true}}}
  - {name: fails, mocks: {A: {error: No}}, expect: {error: No}}
  - {name: is silent, mocks: {A: {timeout: true}}, expect: {error: States.Timeout, elapsed: 10}}
`, "ok    answers", "ok    fails", "ok    is silent")

	expect(t, `
machine:
  StartAt: Q
  States:
    Q:
      Type: Task
      Resource: arn:aws:states:::sqs:sendMessage.waitForTaskToken
      Parameters: {QueueUrl: q, MessageBody: {token.$: $$.Task.Token}}
      Next: S
    S:
      Type: Task
      Resource: arn:aws:states:::states:startExecution.sync:2
      Parameters: {StateMachineArn: x}
      End: true
cases:
  - name: later
    mocks:
      Q: {return: 1, after: 240h}
      S: {error: Child, cause: it broke}
    expect:
      error: Child
      elapsed: 240h
      calls: {Q: [{QueueUrl: q, MessageBody: {token: {$any: string}}}]}
`, "ok    later")
}

func TestTasksOfTheBoard(t *testing.T) {
	const machine = `
machine:
  StartAt: A
  States:
    A:
      Type: Task
      Resource: arn:aws:states:::agent:runTask.%s
      HeartbeatSeconds: 60
      Parameters: {Project: WEB, Title.$: $.title}
      Retry: [{ErrorEquals: [Agent.TaskFailed], IntervalSeconds: 5}]
      End: true
cases:
  - {name: approved, input: {title: T}, mocks: {A: {return: {output: 1}, after: 48h}}, expect: {output: {output: 1}, elapsed: 48h, calls: {A: [{Project: WEB, Title: T}]}}}
  - {name: again, input: {title: T}, mocks: {A: [{error: Agent.TaskFailed}, {return: 2}]}, expect: {output: 2, elapsed: 5}}
  - {name: rejected, input: {title: T}, mocks: {A: {error: Review.Rejected, cause: "{}"}}, expect: {error: Review.Rejected}}
  - {name: silent, input: {title: T}, mocks: {A: {timeout: true}}, expect: {error: States.Timeout, elapsed: 60}}
`
	for _, pattern := range []string{"sync", "waitForTaskToken"} {
		expect(t, fmt.Sprintf(machine, pattern), "ok    approved", "ok    again", "ok    rejected", "ok    silent")
	}
}

func TestDistributedMap(t *testing.T) {
	expect(t, `
machine:
  StartAt: M
  States:
    M:
      Type: Map
      ItemReader:
        Resource: arn:aws:states:::s3:getObject
        Parameters: {Bucket: b, Key.$: $.key}
        ReaderConfig: {InputType: CSV, CSVHeaderLocation: FIRST_ROW}
      ItemSelector: {n.$: $$.Map.Item.Value.n, at.$: $$.Map.Item.Index}
      ToleratedFailurePercentage: 50
      ItemProcessor:
        ProcessorConfig: {Mode: DISTRIBUTED, ExecutionType: EXPRESS}
        StartAt: I
        States: {I: {Type: Task, Resource: `+fn+`, End: true}}
      Next: N
    N:
      Type: Map
      ItemBatcher: {MaxItemsPerBatch: 2}
      ItemProcessor:
        ProcessorConfig: {Mode: DISTRIBUTED, ExecutionType: STANDARD}
        StartAt: W
        States: {W: {Type: Wait, Seconds: 60, End: true}}
      End: true
cases:
  - name: all
    input: {key: k}
    mocks: {M: {when: {Key: k}, return: [{n: "1"}, {n: "2"}, {n: "3"}]}, I: [{return: a}, {error: Bad}, {return: c, after: 5s}]}
    expect:
      path: [M, I, I, I, N, W]
      output: [{Items: [a, c]}]
      calls: {I: [{n: "1", at: 0}, {n: "2", at: 1}, {n: "3", at: 2}]}
      elapsed: 65s
  - name: too many
    input: {key: k}
    mocks: {M: {return: [{n: 1}, {n: 2}]}, I: {error: Bad}}
    expect: {error: States.ExceedToleratedFailureThreshold}
  - name: unreadable
    input: {key: k}
    mocks: {M: {error: States.ItemReaderFailed, cause: gone}}
    expect: {error: States.ItemReaderFailed, cause: gone}
  - name: no items
    input: {key: k}
    expect: {error: any}
`,
		"ok    all",
		"ok    too many",
		"ok    unreadable",
		"FAIL  no items (line 43)",
		`state "M" reads items, and no mock says what that returns. Write under mocks:`,
		"M: {return: {...}}    or    {error: Some.Error, cause: why}    or    {timeout: true}",
		"went M",
	)
}

func TestMocksBelowMapAndParallel(t *testing.T) {
	expect(t, `
machine:
  StartAt: M
  States:
    M:
      Type: Map
      ItemProcessor:
        StartAt: I
        States: {I: {Type: Task, Resource: `+fn+`, End: true}}
      Next: P
    P:
      Type: Parallel
      Branches:
        - {StartAt: X, States: {X: {Type: Task, Resource: `+fn+`, End: true}}}
        - {StartAt: Y, States: {Y: {Type: Task, Resource: `+fn+`, End: true}}}
      End: true
mocks: {X: {return: x}, Y: {return: y}}
cases:
  - name: one after the other
    input: [{id: 1}, {id: 2}]
    mocks: {I: [{return: a}, {return: b}]}
    expect:
      path: [M, I, I, P, X, Y]
      output: [x, y]
      calls: {X: [[a, b]]}
  - name: by item
    input: [{id: 1}, {id: 2}, {id: 1}]
    mocks:
      I:
        - {when: {id: 2}, return: two}
        - {return: other, times: always}
    expect: {calls: {X: [[other, two, other]]}}
  - name: none left
    input: [1, 2]
    mocks: {I: [{return: a}]}
`, "ok    one after the other", "ok    by item",
		"FAIL  none left (line 33)",
		`state "I" calls arn:aws:lambda:us-east-1:123456789012:function:f with 2, and its mock (line 35) has no answer left for call 2. Add one to the list, or give the last one times: always`,
		"went M → I → I")
}

func TestMissingMockSaysHowToWriteIt(t *testing.T) {
	expect(t, `
machine: `+task("")+`
cases:
  - {name: a, input: {x: 1}}
`, "FAIL  a (line 4)",
		`state "T" calls arn:aws:lambda:us-east-1:123456789012:function:f with {"x":1}, and no mock says what that returns. Write under mocks:`,
		"T: {return: {...}}    or    {error: Some.Error, cause: why}    or    {timeout: true}",
		"went T")
}

func TestDifferences(t *testing.T) {
	f := func(want string, found ...string) {
		t.Helper()
		text := `
machine: {StartAt: P, States: {P: {Type: Pass, End: true}}}
cases:
  - name: c
    input: {a: 1, list: [1, {b: two}], s: text, "odd key": null}
    expect: {output: ` + want + `}
`
		lines := []string{"ok    c"}
		if len(found) > 0 {
			lines = append(append([]string{"FAIL  c (line 4)"}, found...), "went P")
		}
		expect(t, text, lines...)
	}
	f(`{list: [1.0, {b: two}], s: text, a: 1, odd key: null}`)
	f(`{a: 2, list: [1, {b: three}], s: text, odd key: 0}`,
		"output.a: want 2, got 1", `output.list[1].b: want "three", got "two"`, `output["odd key"]: want 0, got null`)
	f(`{a: 1, list: [1], s: text, more: 1}`,
		`output.list: want 1 item, got 2 items: [1,{"b":"two"}]`, "output.more: want 1, got nothing", `output["odd key"]: not expected, got null`)
	f(`{$partial: {a: 1, list: [1, {}]}}`)
	f(`{$partial: {list: []}}`, `output.list: want 0 items, got 2 items: [1,{"b":"two"}]`)
	f(`{$partial: {a: {$any: number}, s: {$match: ^te}, list: {$any: true}}}`)
	f(`{$partial: {a: {$any: string}, s: {$match: ^x}, none: {$any: true}}}`,
		"output.a: want any string, got 1", `output.s: want a text that matches ^x, got "text"`, "output.none: want any value, got nothing")
}

func TestPaths(t *testing.T) {
	f := func(want, got string, along bool) {
		t.Helper()
		if alongPath(strings.Fields(want), strings.Fields(got)) != along {
			t.Errorf("%s along %s: want %v", got, want, along)
		}
	}
	f("A B", "A B", true)
	f("A", "A B", false)
	f("A B", "A", false)
	f("...", "", true)
	f("... B", "A B A B", true)
	f("A ... B ...", "A B", true)
	f("A ... C", "A B B D", false)
	f("", "", true)

	expect(t, `
machine: {StartAt: A, States: {A: {Type: Pass, Next: B}, B: {Type: Pass, End: true}}}
cases:
  - {name: a, expect: {path: [A]}}
  - {name: b, expect: {path: [A, A]}}
  - name: c
    expect:
      path:
        - ...
        - A
`, "FAIL  a (line 4)", "path: want the end as state 2, got B; want A", "went A → B",
		"FAIL  b (line 5)", "path: want A as state 2, got B; want A → A", "went A → B",
		"FAIL  c (line 6)", "path: want ... → A", "went A → B")
}

func TestVariables(t *testing.T) {
	expect(t, `
machine:
  StartAt: A
  States:
    A: {Type: Pass, Assign: {x: 1, y.$: $.in}, Next: B}
    B: {Type: Pass, Assign: {x: 2}, End: true}
cases:
  - {name: a, input: {in: [7]}, expect: {variables: {x: 2, y: [7]}}}
  - {name: b, input: {in: 7}, expect: {variables: {x: 1, z: 0}}}
`, "ok    a", "FAIL  b (line 9)", "variables.x: want 1, got 2", "variables.z: want 0, got nothing", "went A → B")
}

func TestCoverage(t *testing.T) {
	got := report(t, `
machine:
  StartAt: C
  States:
    C:
      Type: Choice
      Choices:
        - {Variable: $.n, NumericEquals: 1, Next: T}
        - {Variable: $.n, NumericEquals: 2, Next: T}
      Default: F
    T:
      Type: Task
      Resource: `+fn+`
      Retry: [{ErrorEquals: [A]}, {ErrorEquals: [B]}]
      Catch: [{ErrorEquals: [A], Next: F}, {ErrorEquals: [States.ALL], Next: F}]
      Next: S
    S: {Type: Succeed}
    F: {Type: Fail, Error: X}
mocks: {T: {error: A}}
cases:
  - {name: a, input: {n: 2}, expect: {error: X}}
`)
	if diff := cmp.Diff(`flow.test.yaml
  ok    a
coverage of flow.test.yaml: 50.0 %
  states       3 of 4
    not entered  S
  transitions  3 of 8
    not taken    C, rule 1 → T
    not taken    C, default → F
    not taken    T → S
    not taken    T, retry 2 (B)
    not taken    T, catch 2 (States.ALL) → F
`, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestMistakesHaveALine(t *testing.T) {
	f := func(text string, want ...string) {
		t.Helper()
		_, err := Load("flow.test.yaml", []byte(text), nothing)
		var got Problems
		errors.As(err, &got)
		if diff := cmp.Diff(Problems(want), got); diff != "" {
			t.Errorf("%s\n(-want +got):\n%s", text, diff)
		}
	}
	f(`[]`, "flow.test.yaml: want an object here, not []")
	f(`a: [`, "flow.test.yaml: line 1: did not find expected node content")
	f("machine: x.json\ncases: []", "flow.test.yaml:1:1: the definition cannot be read: there is no such file")
	f("cases: []\nmore: 1",
		`flow.test.yaml:2:1: unknown field "more": a test file has machine, type, set, mocks, cases`,
		"flow.test.yaml:1:1: there is no machine: give the definition's file, or the definition itself")
	f("machine:\n  StartAt: A\n  States:\n    A: {Type: Pass, Next: B}\ncases: []",
		"flow.test.yaml:4:21: MISSING_TRANSITION_TARGET: Missing 'Next' target: B",
		"flow.test.yaml:1:1: MISSING_END_STATE: Workflow has no terminal state",
	)
	f(`machine: `+task(`TimeoutSeconds: 3`)+`
cases:
  - name: a
    mocks:
      T: {return: 1, error: E}
      N: {return: 1}
    expect: {outptu: 1, status: SUCCEEDS, path: [T, X], after: 1}
  - name: a
    mocks: {T: [{return: 1, times: 0}, {after: soon, timeout: true, retrun: 1}]}
    expect: {error: E, output: {$match: "("}, elapsed: never}
  - input: 1
`,
		"flow.test.yaml:5:7: an answer has one of return, error and timeout: true",
		`flow.test.yaml:6:7: the machine has no state "N"`,
		`flow.test.yaml:7:14: unknown field "outptu": expect has status, output, error, cause, path, variables, calls, elapsed`,
		`flow.test.yaml:7:57: unknown field "after": expect has status, output, error, cause, path, variables, calls, elapsed`,
		`flow.test.yaml:7:25: want SUCCEEDED, FAILED or TIMED_OUT, not "SUCCEEDS"`,
		`flow.test.yaml:7:53: the machine has no state "X"`,
		`flow.test.yaml:8:5: there are two cases with the name "a"`,
		`flow.test.yaml:9:29: want a number from 1 on, or always, not 0`,
		`flow.test.yaml:9:69: unknown field "retrun": an answer has return, error, cause, timeout, after, when, times`,
		`flow.test.yaml:9:41: want seconds, or a time such as 90s or 24h, not "soon"`,
		`flow.test.yaml:10:24: an execution that ends as FAILED has no output`,
		`flow.test.yaml:10:47: want seconds, or a time such as 90s or 24h, not "never"`,
		"flow.test.yaml:10:24: $match: error parsing regexp: missing closing ): `(`",
		"flow.test.yaml:11:5: a case needs a name, in one line",
	)
}

func TestDefinitionFile(t *testing.T) {
	read := func(text string) func(string) (string, []byte, error) {
		return func(name string) (string, []byte, error) { return "dir/" + name, []byte(text), nil }
	}
	suite := "machine: m.asl.json\nset: {Next: B}\ncases: [{name: a, expect: {path: [A, B]}}]\n"
	s, err := Load("dir/m.test.yaml", []byte(suite), read(`{"StartAt":"A","States":{"A":{"Type":"Pass","Next":"${Next}"},"B":{"Type":"Succeed"}}}`))
	if err != nil || s.Machine != "dir/m.asl.json" || s.name() != "m" {
		t.Fatal(s, err)
	}
	if r := s.Run(nil, NewCoverage(s)); !r[0].Passed() {
		t.Error(r[0].Failures)
	}
	_, err = Load("dir/m.test.yaml", []byte(suite), read("{\"StartAt\":\"A\",\n\"States\":{\"A\":{\"Type\":\"Pass\",\"Next\":\"${Other}\"}}}"))
	if want := "dir/m.asl.json:2:38: UNFILLED_SUBSTITUTION: There is no value for ${Other}; give it under set"; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
	// A suite in JSON has positions too.
	_, err = Load("dir/m.test.json", []byte("{\"machine\":\"m.asl.json\",\n \"cases\":[{\"name\":\"a\",\n  \"nmae\":1}]}"), read(`{"StartAt":"A","States":{"A":{"Type":"Succeed"}}}`))
	if want := `dir/m.test.json:3:3: unknown field "nmae": a case has name, input, start, mocks, expect`; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

func TestJUnit(t *testing.T) {
	s := load(t, `
machine: `+task("")+`
cases:
  - {name: good, mocks: {T: {return: 1}}}
  - {name: "<bad>", mocks: {T: {return: 1}}, expect: {output: "\x01"}}
  - {name: stuck}
`)
	var b bytes.Buffer
	if err := WriteJUnit(&b, []Report{{s, s.Run(nil, NewCoverage(s))}}); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		`<testsuites tests="3" failures="1" errors="1">`,
		`<testcase name="good" classname="flow" file="flow.test.yaml" line="4" time="0"></testcase>`,
		`<testcase name="&lt;bad&gt;" classname="flow" file="flow.test.yaml" line="5" time="0">`,
		`<failure message="output: want &#34;\u0001&#34;, got 1" type="unexpected">`,
		`<error message="state &#34;T&#34; calls `,
	} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("the report lacks %s:\n%s", want, b.String())
		}
	}
}

// many is a suite of n cases over a machine with loops, waits and retries.
func many(n int) string {
	var b strings.Builder
	b.WriteString(`
machine:
  StartAt: W
  States:
    W: {Type: Wait, Seconds: 31536000, Next: M}
    M:
      Type: Map
      ItemProcessor:
        StartAt: I
        States:
          I:
            Type: Task
            Resource: ` + fn + `
            Retry: [{ErrorEquals: [States.ALL], IntervalSeconds: 600, JitterStrategy: FULL, MaxAttempts: 9}]
            End: true
      End: true
mocks: {I: [{error: E, times: 5}, {return: 1, times: always}]}
cases:
`)
	for i := range n {
		fmt.Fprintf(&b, "  - {name: case %d, input: [1, 2, 3, 4], expect: {output: [1, 1, 1, 1]}}\n", i)
	}
	return b.String()
}

func TestSameFileSameBytes(t *testing.T) {
	first := report(t, many(3))
	if strings.Count(first, "  ok  ") != 3 {
		t.Fatal(first)
	}
	if second := report(t, many(3)); first != second {
		t.Errorf("the second run says\n%safter\n%s", second, first)
	}
	s := load(t, many(1))
	var elapsed []time.Duration
	for range 3 {
		elapsed = append(elapsed, s.Run(nil, NewCoverage(s))[0].Elapsed)
	}
	if elapsed[0] != elapsed[1] || elapsed[1] != elapsed[2] {
		t.Errorf("chance plays a part: %v", elapsed)
	}
}

func FuzzLoad(f *testing.F) {
	f.Add(many(2))
	f.Add("machine: " + task("") + "\ncases:\n  - {name: a, mocks: {T: {timeout: true}}, expect: {path: [...], calls: {T: [1]}}}")
	f.Add(`{"machine":{"StartAt":"A","States":{"A":{"Type":"Pass","End":true}}},"cases":[{"name":"a","expect":{"output":{"$partial":[{"$any":"object"}]}}}]}`)
	f.Fuzz(func(t *testing.T, text string) {
		s, err := Load("f.test.yaml", []byte(text), nothing)
		if err != nil {
			return
		}
		cover := NewCoverage(s)
		r := Report{s, s.Run(nil, cover)}
		r.WriteText(&bytes.Buffer{})
		if reached, all := cover.Reached(); reached > all {
			t.Errorf("reached %d of %d", reached, all)
		}
	})
}

func BenchmarkSuiteOf200Cases(b *testing.B) {
	text := many(200)
	for b.Loop() {
		report(b, text)
	}
}
