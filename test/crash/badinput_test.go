package crash

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"
)

const (
	badGrowth = 64  // MiB that the server may grow by
	crowdSize = 768 // MiB that a server may take with a crowd of large requests
)

// request is a request as a test spells it out.
type request struct {
	target, contentType string // with the protocol's own as defaults
	body                string
}

func (r request) send(ctx context.Context, c *http.Client, url string) (status int, code string, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url+"/", strings.NewReader(r.body))
	if err != nil {
		return 0, "", err
	}
	if r.contentType == "" {
		r.contentType = "application/x-amz-json-1.0"
	}
	req.Header.Set("Content-Type", r.contentType)
	if r.target != "" {
		req.Header.Set("X-Amz-Target", r.target)
	}
	resp, err := c.Do(req)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	var out struct {
		Type string `json:"__type"`
	}
	text, err := io.ReadAll(resp.Body)
	if err == nil {
		err = json.Unmarshal(text, &out)
	}
	return resp.StatusCode, out.Type, err
}

// action is a request for an action of the API. members are name, value and so
// on; a value that is no string is JSON.
func action(name string, members ...any) request {
	in := fields{}
	for i := 0; i < len(members); i += 2 {
		in[members[i].(string)] = members[i+1]
	}
	var body bytes.Buffer
	e := json.NewEncoder(&body)
	e.SetEscapeHTML(false)
	e.Encode(in)
	return request{target: "AWSStepFunctions." + name, body: body.String()}
}

// create is a CreateStateMachine with a definition.
func create(definition string) request {
	return action("CreateStateMachine", "name", "bad", "roleArn", roleARN, "definition", definition)
}

// deep is a definition of Parallel states, each in a branch of the one before.
func deep(levels int) string {
	const open = `{"StartAt":"A","States":{"A":{"Type":"Parallel","End":true,"Branches":[`
	return strings.Repeat(open, levels) + `{"StartAt":"Z","States":{"Z":{"Type":"Succeed"}}}` + strings.Repeat(`]}}}`, levels)
}

// wide is a definition of so many states that it has about size bytes.
func wide(size int) string {
	var states []string
	for n, i := 0, 0; n < size; i++ {
		states = append(states, fmt.Sprintf(`"S%d":{"Type":"Pass","Next":"S%d"}`, i, i+1))
		n += len(states[i]) + 20 // as much again for the quotes' escapes
	}
	return machine("S0", append(states, fmt.Sprintf(`"S%d":{"Type":"Succeed"}`, len(states)))...)
}

// TestBadInput sends what no well-behaved client sends, many times over. Each
// request gets AWS's error, and the server stays as large as it was.
func TestBadInput(t *testing.T) {
	ctx := testContext(t)
	srv := newServer(t, t.TempDir())
	if err := srv.startReady(ctx); err != nil {
		t.Fatal(err)
	}
	api := newClient(srv.base)
	web := api.http
	good := fields{"name": "good", "roleArn": roleARN, "definition": machine("A", `"A":{"Type":"Wait","Seconds":86400,"End":true}`)}
	var made struct{ StateMachineArn string }
	if err := api.call(ctx, "CreateStateMachine", good, &made); err != nil {
		t.Fatal(err)
	}
	goroutines := func() float64 {
		web.CloseIdleConnections()
		n, err := srv.metric(ctx, "go_goroutines")
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	usual := goroutines()
	size := rss(t, srv)

	f := func(name string, r request, wantStatus int, wantCode string) {
		t.Helper()
		before := rss(t, srv)
		if wrong := many(ctx, web, srv.base(), r, wantStatus, wantCode); wrong != "" {
			t.Errorf("%s: %s", name, wrong)
		}
		after := settledRSS(ctx, t, srv, api, size+badGrowth)
		t.Logf("%-24s RSS %.0f to %.0f MiB", name, before, after)
		if after > size+badGrowth {
			t.Errorf("%s: the server grew from %.0f to %.0f MiB; it began with %.0f", name, before, after, size)
			size = after - badGrowth // tell of the next one only if it adds to that
		}
	}
	start := func(input string) request {
		return action("StartExecution", "stateMachineArn", made.StateMachineArn, "name", "one", "input", input)
	}
	f("1 MB definition", action("ValidateStateMachineDefinition", "definition", wide(1_000_000)), 200, "")
	f("1 MB of text", create(strings.Repeat("x", 1_000_000)), 400, "InvalidDefinition")
	f("1 MB of brackets", create(strings.Repeat("[", 1_000_000)), 400, "InvalidDefinition")
	f("10,000 levels", create(deep(10_000)), 400, "InvalidDefinition")
	f("10,000 arrays", create(strings.Repeat("[", 10_000)+strings.Repeat("]", 10_000)), 400, "InvalidDefinition")
	f("duplicate keys", create(`{"StartAt":"A","StartAt":"B","States":{"A":{"Type":"Succeed"},"A":{"Type":"Fail"}}}`), 400, "InvalidDefinition")
	f("unknown fields", create(`{"StartAt":"A","Colour":"red","States":{"A":{"Type":"Succeed","Flavour":1}}}`), 400, "InvalidDefinition")
	f("no definition", action("CreateStateMachine", "name", "bad", "roleArn", roleARN), 400, "ValidationException")
	f("invalid UTF-8", request{"AWSStepFunctions.CreateActivity", "", "{\"name\":\"a\xff\xfe\"}"}, 400, "SerializationException")
	f("unknown member", action("ListActivities", "flavour", "red"), 200, "")

	f("262,144 bytes", start(`"`+strings.Repeat("a", 262_142)+`"`), 200, "")
	f("262,145 bytes", start(`"`+strings.Repeat("a", 262_143)+`"`), 400, "ValidationException")
	f("deep input", start(strings.Repeat("[", 10_000)+strings.Repeat("]", 10_000)), 400, "InvalidExecutionInput")
	f("input that is not JSON", start(`{"a":`), 400, "InvalidExecutionInput")

	f("malformed body", request{"AWSStepFunctions.ListActivities", "", `{"maxResults":`}, 400, "SerializationException")
	f("array for a body", request{"AWSStepFunctions.ListActivities", "", `[]`}, 400, "SerializationException")
	f("deep body", request{"AWSStepFunctions.ListActivities", "", strings.Repeat("[", 100_000)}, 400, "SerializationException")
	f("wrong type", action("ListActivities", "maxResults", "many"), 400, "SerializationException")
	f("wrong target", request{"AWSStepFunctions.Nothing", "", `{}`}, 400, "UnknownOperationException")
	f("other service", request{"DynamoDB_20120810.ListTables", "", `{}`}, 400, "UnknownOperationException")
	f("no target", request{"", "", `{}`}, 400, "UnknownOperationException")
	f("wrong content type", request{"AWSStepFunctions.ListActivities", "text/html", `{}`}, 415, "UnsupportedMediaTypeException")
	f("more than 1 MiB", request{"AWSStepFunctions.ListActivities", "", `{"a":"` + strings.Repeat("a", 2<<20) + `"}`}, 413, "RequestEntityTooLargeException")
	f("unknown machine", action("DescribeStateMachine", "stateMachineArn", made.StateMachineArn+"x"), 400, "StateMachineDoesNotExist")
	f("unknown execution", action("DescribeExecution", "executionArn", "arn:aws:states:us-east-1:123456789012:execution:good:no"), 400, "ExecutionDoesNotExist")
	f("unknown activity", action("DescribeActivity", "activityArn", activityARN), 400, "ActivityDoesNotExist")
	f("no ARN at all", action("DescribeExecution", "executionArn", "hello"), 400, "InvalidArn")
	f("no token at all", action("SendTaskSuccess", "taskToken", strings.Repeat("x", 2000), "output", "{}"), 400, "InvalidToken")
	f("endless name", action("CreateActivity", "name", strings.Repeat("x", 900_000)), 400, "ValidationException")
	f("many mistakes", action("TagResource", "resourceArn", activityARN, "tags", manyTags(5000)), 400, "ValidationException")

	garbage(t, srv)
	held := slowClients(ctx, t, srv, api)
	t.Logf("%d slow connections held %.0f goroutines", 200, held-usual)
	for n := goroutines(); n > usual+5; n = goroutines() {
		if !pause(ctx, 50*time.Millisecond) {
			t.Fatalf("%.0f goroutines are left, there were %.0f", n, usual)
		}
	}
	if err := api.call(ctx, "DescribeStateMachine", fields{"stateMachineArn": made.StateMachineArn}, nil); err != nil {
		t.Errorf("a good request after all this: %v", err)
	}
}

// settledRSS is the server's memory once garbage is collected, for which it gets
// some small requests, or is below the limit.
func settledRSS(ctx context.Context, t *testing.T, srv *server, api *client, limit float64) float64 {
	t.Helper()
	now := rss(t, srv)
	for tries := 0; now > limit && tries < 200; tries++ {
		for range 100 {
			if err := api.call(ctx, "ListActivities", fields{}, nil); err != nil {
				t.Fatal(err)
			}
		}
		now = rss(t, srv)
	}
	return now
}

// TestCrowd has many send the largest requests at once, made of the smallest
// values, which take the most memory: what they cost together is bounded.
func TestCrowd(t *testing.T) {
	ctx := testContext(t)
	f := func(name string, r request) {
		t.Helper()
		srv := newServer(t, t.TempDir())
		if err := srv.startReady(ctx); err != nil {
			t.Fatal(err)
		}
		web := newClient(srv.base).http
		defer web.CloseIdleConnections()
		var group sync.WaitGroup
		for range 64 {
			group.Go(func() {
				for range 2 {
					if _, _, err := r.send(ctx, web, srv.base()); err != nil {
						t.Errorf("%s: %v", name, err)
					}
				}
			})
		}
		group.Wait()
		most := memory(t, srv, "VmHWM")
		t.Logf("%-16s at most %.0f MiB", name, most)
		if most > crowdSize {
			t.Errorf("64 times %s took %.0f MiB, must be below %d", name, most, crowdSize)
		}
		srv.kill()
	}
	f("a definition", action("ValidateStateMachineDefinition", "definition", wide(1_000_000)))
	f("numbers", request{"AWSStepFunctions.ListActivities", "", `{"a":[` + strings.Repeat("1,", 500_000) + `1]}`})
	f("objects", request{"AWSStepFunctions.ListActivities", "", `{"a":[` + strings.Repeat("{},", 340_000) + `1]}`})
	f("brackets", request{"AWSStepFunctions.ListActivities", "", strings.Repeat("[", 1_000_000)})
}

// manyTags are tags that break two constraints each.
func manyTags(n int) []fields {
	tags := make([]fields, n)
	for i := range tags {
		tags[i] = fields{"key": strings.Repeat("k", 129), "value": strings.Repeat("v", 10)}
	}
	return tags
}

// many sends a request as often as the flag says, four at a time, and says what the first answer
// was that is not the one wanted.
func many(ctx context.Context, web *http.Client, url string, r request, wantStatus int, wantCode string) (wrong string) {
	var mu sync.Mutex
	var group sync.WaitGroup
	for range 4 {
		group.Go(func() {
			for range *bad / 4 {
				status, code, err := r.send(ctx, web, url)
				if status == wantStatus && code == wantCode && err == nil {
					continue
				}
				mu.Lock()
				wrong = fmt.Sprintf("%d %q (%v), want %d %q", status, code, err, wantStatus, wantCode)
				mu.Unlock()
				return
			}
		})
	}
	group.Wait()
	return wrong
}

// garbage is sent behind a good request on the same connection: that one is
// answered, then the connection ends.
func garbage(t *testing.T, srv *server) {
	t.Helper()
	address := strings.TrimPrefix(srv.base(), "http://")
	for i := range *bad {
		conn, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		conn.SetDeadline(time.Now().Add(10 * time.Second))
		fmt.Fprintf(conn, "GET /healthz HTTP/1.1\r\nHost: %s\r\n\r\n\x00\xff\xfe %d garbage\r\n\r\n", address, i)
		answer, err := io.ReadAll(conn)
		conn.Close()
		if text := string(answer); err != nil || !strings.HasPrefix(text, "HTTP/1.1 200") || !strings.Contains(text, "HTTP/1.1 400") {
			t.Fatalf("garbage behind a request: %v, %.300q", err, text)
		}
	}
}

// slowClients opens connections that never send a whole request, a half of them
// stuck in the header and a half in the body, and calls as usual beside them.
// Those in the header are cut off by the server; the others end when it is done.
func slowClients(ctx context.Context, t *testing.T, srv *server, api *client) (goroutines float64) {
	t.Helper()
	address := strings.TrimPrefix(srv.base(), "http://")
	var inHeader, inBody []net.Conn
	for i := range 200 {
		conn, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		fmt.Fprintf(conn, "POST / HTTP/1.1\r\nHost: %s\r\nX-Amz-Target: AWSStepFunctions.ListActivities\r\n", address)
		if i%2 == 0 {
			inHeader = append(inHeader, conn)
			continue
		}
		fmt.Fprint(conn, "Content-Type: application/x-amz-json-1.0\r\nContent-Length: 1000000\r\n\r\n{")
		inBody = append(inBody, conn)
	}
	for range 100 {
		if err := api.call(ctx, "ListActivities", fields{}, nil); err != nil {
			t.Fatalf("a good request beside slow ones: %v", err)
		}
	}
	goroutines, err := srv.metric(ctx, "go_goroutines")
	if err != nil {
		t.Fatal(err)
	}
	for _, conn := range inHeader {
		conn.SetReadDeadline(time.Now().Add(30 * time.Second))
		if _, err := io.Copy(io.Discard, conn); err != nil && strings.Contains(err.Error(), "timeout") {
			t.Fatalf("a connection stuck in its header stays open")
		}
	}
	for _, conn := range inBody {
		conn.Close()
	}
	return goroutines
}

// TestSecondProcess starts a server on a data directory that is in use.
func TestSecondProcess(t *testing.T) {
	ctx := testContext(t)
	srv := newServer(t, t.TempDir())
	if err := srv.startReady(ctx); err != nil {
		t.Fatal(err)
	}
	second := exec.CommandContext(ctx, *binary, "dev", "--listen", "127.0.0.1:0", "--data", srv.dir)
	out, err := second.CombinedOutput()
	if err == nil || second.ProcessState.ExitCode() <= 0 {
		t.Errorf("the second process ended with %v", second.ProcessState)
	}
	for _, part := range []string{srv.dir, fmt.Sprintf("process %d", srv.pid()), "--data"} {
		if !strings.Contains(string(out), part) {
			t.Errorf("the second process says nothing of %q:\n%s", part, out)
		}
	}
	if err := srv.awaitReady(ctx); err != nil {
		t.Errorf("the first one: %v", err)
	}
}
