package engine

import (
	"testing"
	"time"

	"github.com/lockstep-run/lockstep/asl"
)

// A loop of states that need nothing goes on with every Continued, however much
// it has written since the last Flush.
func TestYieldMakesProgress(t *testing.T) {
	m, diagnostics := asl.Parse(`{"StartAt":"C","States":{
		"C":{"Type":"Choice","Choices":[{"Variable":"$","IsNull":true,"Next":"S"}],"Default":"P"},
		"P":{"Type":"Pass","Next":"C"},"S":{"Type":"Succeed"}}}`, asl.Options{})
	if m == nil {
		t.Fatal(diagnostics)
	}
	env := &Env{Machine: m, Limits: Limits{History: -1}}
	s := New(Execution{ID: 1, Input: Text("{}")})
	at := time.UnixMilli(1)
	step, err := Apply(env, s, Started{At: at})
	for written := 0; written < 2*yieldBytes; written += step.Bytes {
		if err != nil || !step.More || step.Bytes == 0 {
			t.Fatalf("after %d bytes: %+v, %v", written, step, err)
		}
		step, err = Apply(env, s, Continued{At: at})
	}
}
