package awsapi

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lockstep-run/lockstep/internal/store/memory"
)

func TestEveryActionHasAQuota(t *testing.T) {
	for _, op := range Operations() {
		if _, ok := quotas[op]; ok == (op == "StartSyncExecution") {
			t.Errorf("%s has a bucket: %t", op, ok)
		}
	}
	for name := range quotas {
		if actions[name] == nil && name != expressStart {
			t.Errorf("there is a bucket for %s, which is no action", name)
		}
	}
}

// With a clock that stands still between two steps, exactly so many calls pass.
func TestThrottling(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		eng := &fakeEngine{Store: memory.New(), now: noon}
		s := NewServer(eng.Store, eng, Config{Throttle: true})
		defer s.Close()
		call := func(op, body string) (passed bool) {
			r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(body))
			r.Header.Set("Content-Type", "application/x-amz-json-1.0")
			r.Header.Set("X-Amz-Target", "AWSStepFunctions."+op)
			rec := httptest.NewRecorder()
			s.ServeHTTP(rec, r)
			if strings.Contains(rec.Body.String(), "Throttling") {
				if want := `{"__type":"ThrottlingException","message":"Rate exceeded"}`; rec.Code != 400 || rec.Body.String() != want {
					t.Errorf("%s is refused with %d %s, want %s", op, rec.Code, rec.Body, want)
				}
				return false
			}
			return true
		}
		// passes counts how many of many calls pass at once.
		passes := func(op, body string, want int) {
			t.Helper()
			n := 0
			for range want + 10 {
				if call(op, body) {
					n++
				}
			}
			if n != want {
				t.Errorf("%d calls of %s pass, want %d", n, op, want)
			}
		}
		passes("ListStateMachines", `{}`, 100)
		passes("ListStateMachines", `{}`, 0)
		passes("ListActivities", `{}`, 100) // its bucket is its own
		time.Sleep(time.Second)
		passes("ListStateMachines", `{}`, 5)
		passes("ListActivities", `{}`, 10)
		time.Sleep(time.Hour) // a bucket never holds more than its size
		passes("ListStateMachines", `{}`, 100)
		passes("UntagResource", `{}`, 200) // refused for what is wrong with it, which costs a token too
		time.Sleep(999 * time.Millisecond)
		passes("UntagResource", `{}`, 0)
		time.Sleep(time.Millisecond)
		passes("UntagResource", `{}`, 1)

		create := func(name, typ string) string {
			if !call("CreateStateMachine", fmt.Sprintf(`{"name":%q,"type":%q,"roleArn":"arn:aws:iam::123456789012:role/r","definition":"{\"StartAt\":\"A\",\"States\":{\"A\":{\"Type\":\"Succeed\"}}}"}`, name, typ)) {
				t.Fatal("no token for CreateStateMachine")
			}
			return fmt.Sprintf(`{"stateMachineArn":"arn:aws:states:us-east-1:123456789012:stateMachine:%s"}`, name)
		}
		slow, quick := create("slow", "STANDARD"), create("quick", "EXPRESS")
		passes("StartExecution", slow, 1300)
		passes("StartExecution", quick, 6000)
		for range 7000 {
			if !call("StartSyncExecution", quick) {
				t.Fatal("StartSyncExecution is throttled")
			}
		}
	})
}

func TestNoThrottlingUnlessAsked(t *testing.T) {
	w := newWorld(t)
	for range 1000 {
		w.call("ListStateMachines", `{}`, `{'stateMachines':[]}`)
	}
}
