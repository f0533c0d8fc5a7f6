package jsonata

import (
	"bufio"
	"encoding/json"
	"flag"
	"io"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"github.com/lockstep-run/lockstep/asl/value"
)

var (
	exprs = flag.Int("exprs", 3000, "how many random expressions to compare with the reference implementation")
	seed  = flag.Uint64("seed", 1, "what they start from")
)

// answer is what an implementation says to an expression.
type answer struct {
	V json.RawMessage
	U bool
	F bool
	C *string
	M string
}

// oracle is the reference implementation in a process of its own.
type oracle struct {
	in  io.WriteCloser
	out *bufio.Reader
}

func startOracle(t *testing.T) *oracle {
	t.Helper()
	node, err := exec.LookPath("node")
	if err != nil {
		t.Skip("there is no node to run the reference implementation")
	}
	if _, err := os.Stat("testdata/oracle/node_modules/jsonata"); err != nil {
		t.Skip("the reference implementation is not installed: run npm ci in asl/jsonata/testdata/oracle")
	}
	cmd := exec.Command(node, "oracle.js")
	cmd.Dir = "testdata/oracle"
	cmd.Env = append(os.Environ(), "TZ=UTC")
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { in.Close(); cmd.Wait() })
	return &oracle{in, bufio.NewReaderSize(out, 1<<20)}
}

type question struct{ expr, data string }

// ask puts many questions at once.
func (o *oracle) ask(t *testing.T, questions []question) []answer {
	t.Helper()
	go func() {
		w := bufio.NewWriter(o.in)
		for _, q := range questions {
			line, _ := json.Marshal(map[string]any{"e": q.expr, "d": json.RawMessage(q.data)})
			w.Write(append(line, '\n'))
		}
		w.Flush()
	}()
	answers := make([]answer, len(questions))
	for i := range answers {
		line, err := o.out.ReadBytes('\n')
		if err != nil {
			t.Fatalf("the reference implementation ended at %s on %s: %v", questions[i].expr, questions[i].data, err)
		}
		if err := json.Unmarshal(line, &answers[i]); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
	}
	return answers
}

// ours is the answer of this package.
func ours(t *testing.T, q question) answer {
	in, err := value.Parse(q.data)
	if err != nil {
		t.Fatal(err)
	}
	var r Result
	e, err := Compile(q.expr)
	if err == nil {
		r, err = e.Eval(in, &Env{Millis: func() int64 { return 1_700_000_000_000 }})
	}
	switch {
	case err != nil:
		x := err.(*Error)
		return answer{C: &x.Code, M: x.Message}
	case r.Undefined:
		return answer{U: true}
	case r.Function && r.Value.IsNull():
		return answer{F: true}
	}
	return answer{V: json.RawMessage(r.Value.JSON())}
}

// TestDifferential compares with the reference implementation on random
// expressions: values byte for byte, errors by code and by message.
//
// What is left where many are compared (about one in 50,000) comes from how the
// library is written in JavaScript: marks it leaves on an array that is used
// again, the last bit of Math.pow, and $round to a fraction of a digit, which
// Step Functions rounds down.
func TestDifferential(t *testing.T) {
	o := startOracle(t)
	g := newGenerator(*seed)
	compared, errors, messages, wrong := 0, 0, 0, 0
	for compared < *exprs {
		var questions []question
		for range 500 {
			questions = append(questions, question{g.expr(1 + g.IntN(4)), g.document(4)})
		}
		for i, want := range o.ask(t, questions) {
			q := questions[i]
			compared++
			if want.C != nil && *want.C == "" || strings.Contains(string(want.V)+want.M, "async function") || strings.Contains(string(want.V)+want.M, "[object Object]") {
				compared-- // JavaScript itself failed or shows through: nothing to be like
				continue
			}
			got := ours(t, q)
			if want.C != nil {
				errors++
				if got.C != nil && *got.C == *want.C && got.M == want.M {
					messages++
					continue
				}
				if got.C != nil && *got.C == *want.C && errors-messages <= 20 {
					t.Logf("%s\n\ton %s\n\twant %s\n\t got %s", q.expr, q.data, want, got)
				}
			}
			if same := compareAnswers(got, want); same {
				continue
			}
			if wrong++; wrong <= 40 {
				t.Errorf("%s\n\ton %s\n\twant %s\n\t got %s", q.expr, q.data, want, got)
			}
		}
	}
	t.Logf("%d expressions, %d wrong; %d errors, %d with the same message", compared, wrong, errors, messages)
	if errors > 0 && messages*100 < errors*99 {
		t.Errorf("the message is the same in only %d of %d errors", messages, errors)
	}
}

func compareAnswers(got, want answer) bool {
	switch {
	case want.C != nil:
		return got.C != nil && *got.C == *want.C
	case want.U:
		return got.U
	case want.F:
		return got.F
	}
	if string(got.V) == string(want.V) {
		return true
	}
	// JavaScript puts members first whose keys look like integers; here they
	// stay where they were written.
	if !integerKey.Match(want.V) {
		return false
	}
	a, errA := value.Parse(string(got.V))
	b, errB := value.Parse(string(want.V))
	return errA == nil && errB == nil && value.Equal(a, b)
}

var integerKey = regexp.MustCompile(`"\d+":`)

func (a answer) String() string {
	switch {
	case a.C != nil:
		return "error " + *a.C + ": " + a.M
	case a.U:
		return "nothing"
	case a.F:
		return "a function"
	}
	return string(a.V)
}
