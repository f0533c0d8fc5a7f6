package jsonata

import (
	"bufio"
	"encoding/json"
	"flag"
	"io"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

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
	cmd *exec.Cmd
	in  io.WriteCloser
	out *bufio.Reader
}

// patience is how long the reference implementation may think about one
// expression; some pictures keep it busy for ever.
const patience = 2 * time.Second

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
	return &oracle{cmd, in, bufio.NewReaderSize(out, 1<<20)}
}

func (o *oracle) stop() {
	o.in.Close()
	o.cmd.Process.Kill()
	o.cmd.Wait()
}

type question struct{ expr, data string }

// ask puts many questions at once. Where there is no answer within patience,
// it begins anew with the next one and leaves an error without a code.
func (o *oracle) ask(t *testing.T, questions []question) []answer {
	t.Helper()
	var answers []answer
	for len(answers) < len(questions) {
		rest := questions[len(answers):]
		go func(in io.Writer) {
			w := bufio.NewWriter(in)
			for _, q := range rest {
				line, _ := json.Marshal(map[string]any{"e": q.expr, "d": json.RawMessage(q.data)})
				w.Write(append(line, '\n'))
			}
			w.Flush()
		}(o.in)
		for _, q := range rest {
			watch := time.AfterFunc(patience, func() { o.cmd.Process.Kill() })
			line, err := o.out.ReadBytes('\n')
			if !watch.Stop() || err != nil {
				t.Logf("no answer to %s on %s", q.expr, q.data)
				o.stop()
				*o = *startOracle(t)
				answers = append(answers, answer{C: new(string)})
				break
			}
			var a answer
			if err := json.Unmarshal(line, &a); err != nil {
				t.Fatalf("%s: %v", line, err)
			}
			answers = append(answers, a)
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
// What is let pass is counted, by the rules of excuse. To compare many:
//
//	go test -run Differential -exprs 100000 -seed 7 ./asl/jsonata
func TestDifferential(t *testing.T) {
	o := startOracle(t)
	defer func() { o.stop() }()
	g := newGenerator(*seed)
	compared, errors, messages, wrong := 0, 0, 0, 0
	excused := map[string]int{}
	for compared < *exprs {
		var questions []question
		for range 500 {
			questions = append(questions, question{g.expr(1 + g.IntN(4)), g.document(4)})
		}
		for i, want := range o.ask(t, questions) {
			q := questions[i]
			compared++
			if want.C != nil && *want.C == "" || strings.Contains(strings.ToLower(string(want.V)+want.M), "async function") || strings.Contains(string(want.V)+want.M, "[object Object]") {
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
			if rule := excuse(q, got, want); rule != "" {
				excused[rule]++
				continue
			}
			if wrong++; wrong <= 40 {
				t.Errorf("%s\n\ton %s\n\twant %s\n\t got %s", q.expr, q.data, want, got)
			}
		}
	}
	t.Logf("%d expressions from seed %d, %d wrong; %d errors, %d with the same message", compared, *seed, wrong, errors, messages)
	for rule, n := range excused {
		t.Logf("%d let pass: %s", n, rule)
	}
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

// excuse names the rule by which a difference is let pass, or is empty. The rules
// are those of docs/decisions/0009-where-jsonata-differs.md.
func excuse(q question, got, want answer) string {
	seen := quirks(q)
	if seen[unchecked] {
		return "a built-in function, applied in part, was given what its signature refuses"
	}
	if seen[fractionalRound] {
		return "$round to a fraction of a digit, where Step Functions departs from the library"
	}
	if got.V == nil || want.V == nil {
		return ""
	}
	if half := halfSurrogate.ReplaceAll(want.V, []byte("\uFFFD")); string(half) != string(want.V) && string(half) == string(got.V) {
		return "half a surrogate pair, which is no text"
	}
	if seen[integerKeys] && anagrams(got.V, want.V) {
		return "members whose keys look like integers, which stay where they were written"
	}
	return ""
}

// halfSurrogate is how JSON.stringify writes one.
var halfSurrogate = regexp.MustCompile(`\\ud[89a-f][0-9a-f]{2}`)

// quirks says what the expression meets when it is evaluated here.
func quirks(q question) map[quirk]bool {
	seen := map[quirk]bool{}
	e, err := Compile(q.expr)
	if err != nil {
		return seen
	}
	in, _ := value.Parse(q.data)
	_, _ = e.Eval(in, &Env{Millis: func() int64 { return 1_700_000_000_000 }, note: func(met quirk) { seen[met] = true }})
	return seen
}

func anagrams(a, b []byte) bool {
	a, b = slices.Clone(a), slices.Clone(b)
	slices.Sort(a)
	slices.Sort(b)
	return slices.Equal(a, b)
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
