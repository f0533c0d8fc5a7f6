package spill_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/lockstep-run/lockstep/asl"
	"github.com/lockstep-run/lockstep/asl/value"
	"github.com/lockstep-run/lockstep/internal/objects"
	"github.com/lockstep-run/lockstep/internal/task"
	"github.com/lockstep-run/lockstep/internal/task/spill"
)

const limit = 2000

var place = spill.Place{Bucket: "claims", Prefix: "big/"}

func keeper(files objects.Store, at spill.Place) *spill.Keeper {
	return spill.New(spill.Config{Objects: files, Least: limit, Of: func(context.Context, string) (spill.Place, int, error) { return at, limit, nil }})
}

func function() *task.Call {
	return &task.Call{
		ID:         "arn:aws:states:us-east-1:123456789012:execution:m:e:1:2",
		MachineARN: "arn:aws:states:us-east-1:123456789012:stateMachine:m", State: "Fetch",
		Resource: asl.Resource{Kind: asl.LambdaResource, ARN: "arn:aws:lambda:us-east-1:123456789012:function:f"},
	}
}

func integration() *task.Call {
	c := function()
	c.Resource = asl.Resource{Kind: asl.IntegrationResource, Service: "lambda", Action: "invoke"}
	return c
}

func long(n int) string { return `"` + strings.Repeat("x", n-2) + `"` }

func keys(t *testing.T, files objects.Store) (all []string) {
	t.Helper()
	for info, err := range files.List(t.Context(), objects.Ref{Bucket: "claims"}, "", "") {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, info.Key)
	}
	return all
}

func output(t *testing.T, k *spill.Keeper, c *task.Call, text string) string {
	t.Helper()
	out, err := k.Output(t.Context(), c, text)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestOnlyWhatIsTooLargeIsWritten(t *testing.T) {
	files := objects.NewMemory(nil, "claims")
	k := keeper(files, place)
	if got := output(t, k, function(), long(limit)); got != long(limit) {
		t.Errorf("a result at the limit became %s", got)
	}
	if got := output(t, keeper(files, spill.Place{}), function(), long(limit+1)); got != long(limit+1) {
		t.Errorf("without a place a result became %s", got)
	}
	if all := keys(t, files); all != nil {
		t.Errorf("written: %v", all)
	}
	got := output(t, k, function(), long(limit+1))
	all := keys(t, files)
	if len(all) != 1 || !strings.HasPrefix(all[0], "big/m/e/1-2-") {
		t.Fatalf("written: %v", all)
	}
	info, _ := files.Head(t.Context(), objects.Ref{Bucket: "claims", Key: all[0]})
	want := fmt.Sprintf(`{"s3":{"bucket":"claims","key":%q,"etag":%q,"size":2001}}`, all[0], info.ETag)
	if got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestOfAnAnswerTheLargestFieldIsReplaced(t *testing.T) {
	k := keeper(objects.NewMemory(nil, "claims"), place)
	v, err := value.Parse(output(t, k, integration(), ` { "StatusCode" : 200, "Payload" : {"a": `+long(limit)+`}, "Z": "\"}" }`))
	if err != nil {
		t.Fatal(err)
	}
	if v.Get("StatusCode").JSON() != "200" || v.Get("Z").Str() != `"}` || v.Get("Payload").Get("s3").Get("bucket").Str() != "claims" {
		t.Errorf("got %s", v)
	}
	// Two halves: replacing one is not enough.
	both := output(t, k, integration(), `{"A":`+long(limit)+`,"B":`+long(limit)+`}`)
	if !strings.HasPrefix(both, `{"s3":`) {
		t.Errorf("got %.80s", both)
	}
	for _, text := range []string{`[` + long(limit) + `]`, long(limit + 1)} {
		if got := output(t, k, integration(), text); !strings.HasPrefix(got, `{"s3":`) {
			t.Errorf("got %.80s", got)
		}
	}
}

// What is called again after a crash writes the same object, or another one: what
// a history may name is never changed.
func TestWhatWasWrittenStays(t *testing.T) {
	files := objects.NewMemory(nil, "claims")
	k := keeper(files, place)
	first, again := output(t, k, function(), long(3000)), output(t, k, function(), long(3000))
	if first != again || len(keys(t, files)) != 1 {
		t.Errorf("the same result: %s and %s", first, again)
	}
	if other := output(t, k, function(), long(3001)); other == first || len(keys(t, files)) != 2 {
		t.Errorf("another result: %s", other)
	}
}

func TestAResultThatCannotBeKeptFailsTheTask(t *testing.T) {
	_, err := keeper(objects.NewMemory(nil), place).Output(t.Context(), function(), long(3000))
	if e := (*task.Error)(nil); !errors.As(err, &e) || *e.Name != spill.NotKept || !strings.Contains(*e.Cause, "claims") {
		t.Errorf("error %v", err)
	}
}

func TestReferencesAreResolvedWhereATaskAsks(t *testing.T) {
	files := objects.NewMemory(nil, "claims", "secrets")
	k := keeper(files, place)
	ref := output(t, k, function(), long(2500))
	c := integration()
	f := func(in, want string) {
		t.Helper()
		c.Input = in
		got, err := k.Input(t.Context(), c)
		if err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("%.200s\ngave %.200s\nwant %.200s", in, got, want)
		}
	}
	f(`{"Payload":`+ref+`}`, `{"Payload":`+ref+`}`)
	f(`{"Payload":{"Lockstep.Resolve":`+ref+`}}`, `{"Payload":`+long(2500)+`}`)
	f(`{"Lockstep.Resolve":`+ref+`}`, long(2500))
	f(`{"P":{"Lockstep.Resolve":[1.0,`+ref+`,{"x":`+ref+`}]},"q":`+ref+`}`, `{"P":[1.0,`+long(2500)+`,{"x":`+long(2500)+`}],"q":`+ref+`}`)
	f(`{"Payload":{"Lockstep.Resolve":{"small":[1]}}}`, `{"Payload":{"small":[1]}}`)
	f(`{"Payload":{"Lockstep.Resolve":`+ref+`,"more":1}}`, `{"Payload":{"Lockstep.Resolve":`+ref+`,"more":1}}`)
	f(`{"Lockstep.Resolve":{"s3":{"bucket":"claims"}}}`, `{"s3":{"bucket":"claims"}}`)
}

func TestReferencesThatMayNotOrCannotBeResolved(t *testing.T) {
	files := objects.NewMemory(nil, "claims", "secrets")
	k := keeper(files, place)
	ref := output(t, k, function(), long(2500))
	secret := files.Put("secrets", "big/x", `"s"`)
	huge := files.Put("claims", "big/huge", `"`+strings.Repeat("x", spill.MaxInput)+`"`)
	text := files.Put("claims", "big/text", `hello`)
	c := integration()
	f := func(in, name, cause string) {
		t.Helper()
		c.Input = `{"Lockstep.Resolve":` + in + `}`
		got, err := k.Input(t.Context(), c)
		var e *task.Error
		if !errors.As(err, &e) || *e.Name != name || !strings.Contains(*e.Cause, cause) {
			t.Errorf("%.200s gave %.100s and %v, want %s: %s", in, got, err, name, cause)
		}
	}
	at := func(bucket, key, etag string, size int) string {
		return fmt.Sprintf(`{"s3":{"bucket":%q,"key":%q,"etag":%q,"size":%d}}`, bucket, key, etag, size)
	}
	f(at("secrets", "big/x", secret.ETag, 3), spill.NotResolved, "outside of where this machine's results go")
	f(at("claims", "other/x", secret.ETag, 3), spill.NotResolved, "outside")
	f(at("claims", "big/none", secret.ETag, 3), spill.NotResolved, "there is no such object")
	f(at("claims", "big/text", secret.ETag, 3), spill.NotResolved, "changed")
	f(at("claims", "big/text", text.ETag, 5), spill.NotResolved, "not JSON")
	f(at("claims", "big/huge", huge.ETag, 3), "States.DataLimitExceeded", "6291456")
	f(at("claims", "big/huge", huge.ETag, 1<<40), "States.DataLimitExceeded", "6291456")
	f("["+strings.TrimSuffix(strings.Repeat(ref+",", 2600), ",")+"]", "States.DataLimitExceeded", "Fetch")
}

func TestPlaces(t *testing.T) {
	f := func(in string, want spill.Place, wrong string) {
		t.Helper()
		got, err := spill.ParsePlace(in)
		if fmt.Sprint(err) != wrong {
			t.Errorf("%q: error %v", in, err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%q: %s", in, diff)
		}
	}
	f("s3://b", spill.Place{Bucket: "b"}, "<nil>")
	f("s3://b/p/q", spill.Place{Bucket: "b", Prefix: "p/q/"}, "<nil>")
	f("s3://b/p//", spill.Place{Bucket: "b", Prefix: "p/"}, "<nil>")
	f("none", spill.Place{}, "<nil>")
	f("", spill.Place{}, "<nil>")
	f("b/p", spill.Place{}, `must be s3://bucket/prefix or none, not "b/p"`)
	f("s3:///p", spill.Place{}, `must be s3://bucket/prefix or none, not "s3:///p"`)
}

// polled is a job whose end and submission are long.
type polled struct{ inputs []string }

func (p *polled) Run(_ context.Context, c *task.Call) (task.Result, error) {
	p.inputs = append(p.inputs, c.Input)
	return task.Result{Output: long(3000)}, nil
}

func (p *polled) Poll(_ context.Context, c *task.Call, submitted string) (task.Result, error) {
	p.inputs = append(p.inputs, c.Input)
	return task.Result{Output: submitted}, nil
}

func (p *polled) Cancel(_ context.Context, c *task.Call, _ string) error {
	p.inputs = append(p.inputs, c.Input)
	return nil
}

// The submission of a job is for its integration, which asks for its end by it;
// the job's end is the task's result.
func TestJobsAreCarriedToo(t *testing.T) {
	files := objects.NewMemory(nil, "claims")
	jobs, r := &polled{}, task.NewRegistry()
	r.Add("batch:submitJob", jobs)
	r.Carry(keeper(files, place))
	c := integration()
	c.Resource = asl.Resource{Kind: asl.IntegrationResource, Service: "batch", Action: "submitJob", Pattern: asl.Sync}
	c.Input = `{"Lockstep.Resolve":1}`
	submitted, err := r.Find(c.Resource).Run(t.Context(), c)
	if err != nil || submitted.Output != long(3000) {
		t.Fatalf("submission %.80s, %v", submitted.Output, err)
	}
	end, err := r.Poller(c.Resource).Poll(t.Context(), c, submitted.Output)
	if err != nil || !strings.HasPrefix(end.Output, `{"s3":`) {
		t.Errorf("end %.80s, %v", end.Output, err)
	}
	if err := r.Poller(c.Resource).Cancel(t.Context(), c, submitted.Output); err != nil {
		t.Error(err)
	}
	if want := []string{"1", "1", "1"}; !slices.Equal(jobs.inputs, want) || c.Input != `{"Lockstep.Resolve":1}` {
		t.Errorf("inputs %q; the call's own is %s", jobs.inputs, c.Input)
	}
}

func FuzzInput(f *testing.F) {
	files := objects.NewMemory(nil, "claims")
	info := files.Put("claims", "big/x", `{"a":[1.50]}`)
	f.Add(`{"Lockstep.Resolve":{"s3":{"bucket":"claims","key":"big/x","etag":"` + info.ETag + `","size":12}}}`)
	f.Add(`{"p":{"Lockstep.Resolve":[{"Lockstep.Resolve":{}}]},"é":1e3}`)
	k := keeper(files, place)
	f.Fuzz(func(t *testing.T, in string) {
		if value.Valid(in) != nil {
			return // inputs are JSON
		}
		c := integration()
		c.Input = in
		if out, err := k.Input(t.Context(), c); err == nil && value.Valid(out) != nil {
			t.Errorf("%q became %q", in, out)
		}
	})
}

func FuzzOutput(f *testing.F) {
	f.Add(`{"StatusCode":200,"Payload":"xxxxxxxxxxxxxxxxxxxxxxxxxxxx"}`)
	f.Add(` { "a" : [ 1 , 2 ] } `)
	k := spill.New(spill.Config{
		Objects: objects.NewMemory(nil, "claims"),
		Of:      func(context.Context, string) (spill.Place, int, error) { return place, 1100, nil },
	})
	f.Fuzz(func(t *testing.T, text string) {
		text = `{"x":` + text + `,"y":` + long(1200) + `}`
		if value.Valid(text) != nil {
			return
		}
		out, err := k.Output(t.Context(), integration(), text)
		if err != nil || value.Valid(out) != nil || len(out) > len(text)+1024 {
			t.Errorf("%q became %q, %v", text, out, err)
		}
	})
}
