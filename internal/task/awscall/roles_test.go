package awscall

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lockstep-run/lockstep/internal/task"
)

// cloud is AWS: it gives sessions and notes who calls.
type cloud struct {
	mu      sync.Mutex
	asked   []url.Values // of STS
	callers []string     // access keys, of other services
	refuse  string       // body of a refusal
}

func (c *cloud) RoundTrip(r *http.Request) (*http.Response, error) {
	body, _ := io.ReadAll(r.Body)
	c.mu.Lock()
	defer c.mu.Unlock()
	key, _, _ := strings.Cut(strings.TrimPrefix(r.Header.Get("Authorization"), "AWS4-HMAC-SHA256 Credential="), "/")
	status, text := 200, "{}"
	if strings.HasPrefix(r.URL.Host, "sts.") {
		form, _ := url.ParseQuery(string(body))
		c.asked = append(c.asked, form)
		text = fmt.Sprintf(`<AssumeRoleResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleResult><Credentials>
			<AccessKeyId>SESSION%d</AccessKeyId><SecretAccessKey>s</SecretAccessKey><SessionToken>t</SessionToken>
			<Expiration>%s</Expiration></Credentials></AssumeRoleResult></AssumeRoleResponse>`, len(c.asked), time.Now().Add(time.Hour).UTC().Format(time.RFC3339))
		if c.refuse != "" {
			status, text = 403, c.refuse
		}
		if key != "OWN" {
			status, text = 500, "the role's session is asked for by "+key
		}
	} else {
		c.callers = append(c.callers, key+" "+r.Header.Get("X-Amz-Security-Token"))
	}
	return &http.Response{StatusCode: status, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(text)), ContentLength: int64(len(text)), Request: r}, nil
}

const role, machine = "arn:aws:iam::222222222222:role/other", "arn:aws:states:us-east-1:123456789012:stateMachine:orders/läbel"

func TestRoles(t *testing.T) {
	clean(t, "AWS_ACCESS_KEY_ID", "OWN", "AWS_SECRET_ACCESS_KEY", "b")
	synctest.Test(t, func(t *testing.T) {
		c := &cloud{}
		client := New(lambda, "us-east-1", c)
		do := func(call *task.Call) error {
			_, err := client.Do(task.With(t.Context(), call), &Request{}, 100)
			return err
		}
		f := func(call *task.Call, want string, asked int) {
			t.Helper()
			if err := do(call); err != nil {
				t.Fatal(err)
			}
			if got := c.callers[len(c.callers)-1]; got != want || len(c.asked) != asked {
				t.Errorf("called as %s after %d sessions, want %s after %d", got, len(c.asked), want, asked)
			}
		}
		as := &task.Call{RoleARN: role, MachineARN: machine, MachineRole: "arn:aws:iam::123456789012:role/own"}
		f(nil, "OWN ", 0)
		f(&task.Call{MachineARN: machine}, "OWN ", 0)
		var wg sync.WaitGroup
		for range 20 {
			wg.Go(func() { do(as) })
		}
		wg.Wait()
		f(as, "SESSION1 t", 1)
		if got := c.asked[0].Encode(); got != "Action=AssumeRole&ExternalId=arn%3Aaws%3Astates%3Aus-east-1%3A123456789012%3AstateMachine%3Aorders%2Fl%C3%A4bel&RoleArn=arn%3Aaws%3Aiam%3A%3A222222222222%3Arole%2Fother&RoleSessionName=sfn-orders-l-bel&Version=2011-06-15" {
			t.Error(got)
		}
		time.Sleep(54 * time.Minute)
		f(as, "SESSION1 t", 1)
		time.Sleep(time.Minute)
		f(as, "SESSION2 t", 2)
		f(&task.Call{RoleARN: role, MachineARN: machine + "2"}, "SESSION3 t", 3)

		c.refuse = `<ErrorResponse><Error><Type>Sender</Type><Code>AccessDenied</Code><Message>no</Message></Error></ErrorResponse>`
		time.Sleep(time.Hour)
		want := "States.TaskFailed: The role arn:aws:iam::123456789012:role/own is not authorized to assume the task state's role, " + role + "."
		if err := do(as); err == nil || err.Error() != want {
			t.Error(err)
		}
		c.refuse = `<ErrorResponse><Error><Code>RegionDisabledException</Code><Message>STS is off</Message></Error></ErrorResponse>`
		want = "States.TaskFailed: The task state's role, " + role + ", could not be assumed: STS is off (Service: Sts, Status Code: 403, Error Code: RegionDisabledException)"
		if err := do(as); err == nil || err.Error() != want {
			t.Error(err)
		}
	})
}

// At an endpoint of its own a service is not AWS: there the role is assumed only
// where somebody is said to answer for that.
func TestRolesAtOwnEndpoints(t *testing.T) {
	f := func(want string, env ...string) {
		t.Helper()
		clean(t, append(env, "AWS_ACCESS_KEY_ID", "OWN", "AWS_SECRET_ACCESS_KEY", "b")...)
		c := &cloud{}
		_, err := New(lambda, "us-east-1", c).Do(task.With(t.Context(), &task.Call{RoleARN: role}), &Request{}, 100)
		if err != nil || c.callers[0] != want {
			t.Errorf("%v: called as %s, %v", env, c.callers, err)
		}
	}
	f("SESSION1 t")
	f("OWN ", "AWS_ENDPOINT_URL", "http://localhost:4566")
	f("OWN ", "AWS_ENDPOINT_URL_LAMBDA", "http://localhost:9001")
	f("SESSION1 t", "AWS_ENDPOINT_URL", "http://localhost:4566", "AWS_ENDPOINT_URL_STS", "http://sts.localhost:4566")
}

// Who calls is told in the name of the role, by STS where the environment says
// that it is.
func TestCallerIdentity(t *testing.T) {
	f := func(host, key, token string, env ...string) {
		t.Helper()
		clean(t, append(env, "AWS_ACCESS_KEY_ID", "OWN", "AWS_SECRET_ACCESS_KEY", "b")...)
		ctx := task.With(t.Context(), &task.Call{RoleARN: role, MachineARN: machine})
		got, err := New(lambda, "us-east-1", &cloud{}).CallerIdentity(ctx, http.Header{"X-Name": {"n"}}, time.Minute)
		if err != nil {
			t.Fatal(err)
		}
		u, err := url.Parse(got)
		if err != nil {
			t.Fatal(err)
		}
		q := u.Query()
		if who, _, _ := strings.Cut(q.Get("X-Amz-Credential"), "/"); u.Scheme+"://"+u.Host+u.Path != host || who != key ||
			q.Get("X-Amz-Security-Token") != token || q.Get("X-Amz-SignedHeaders") != "host;x-name" || q.Get("X-Amz-Expires") != "60" {
			t.Errorf("%v: %s", env, got)
		}
	}
	f("https://sts.us-east-1.amazonaws.com/", "SESSION1", "t")
	f("http://localhost:4566/", "OWN", "", "AWS_ENDPOINT_URL", "http://localhost:4566")
	f("http://sts.localhost:4566/", "SESSION1", "t", "AWS_ENDPOINT_URL", "http://localhost:4566", "AWS_ENDPOINT_URL_STS", "http://sts.localhost:4566")
}
