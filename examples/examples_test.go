package examples

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/lockstep-run/lockstep/internal/task/model"
)

func TestComments(t *testing.T) {
	all := Comments()
	if len(all) != 60 {
		t.Errorf("%d comments, want 60", len(all))
	}
	ids, flagged := map[string]bool{}, 0
	for _, c := range all {
		if c.ID == "" || c.Author == "" || c.Text == "" || ids[c.ID] {
			t.Errorf("comment %+v lacks something, or has an ID twice", c)
		}
		ids[c.ID] = true
		if model.Assess(c.Text).Value >= 0.5 {
			flagged++
		}
	}
	if flagged < 10 || flagged > 30 {
		t.Errorf("%d comments are flagged; the example should show both ways", flagged)
	}
}

func TestSubstitute(t *testing.T) {
	got := Substitute(`{"a":"${A}","b":"x ${B} ${C} $.a"}`, map[string]string{"A": `say "hi"`, "B": "${A}"})
	if want := `{"a":"say \"hi\"","b":"x ${A} ${C} $.a"}`; got != want {
		t.Errorf("Substitute gives %s, want %s", got, want)
	}
	definition := ContentModerator(model.Lexicon, "arn:aws:states:us-east-1:123456789012:activity:"+ReviewActivity)
	if !json.Valid([]byte(definition)) || strings.Contains(definition, "${") {
		t.Errorf("the content moderator is no JSON or has something left to substitute:\n%s", definition)
	}
}
