package model

import (
	"strings"
	"testing"
	"unicode/utf8"
)

func TestAssess(t *testing.T) {
	f := func(text string, low, high float64, reason string) {
		t.Helper()
		s := Assess(text)
		if s.Value < low || s.Value > high {
			t.Errorf("%q scores %v, want %v to %v; %q", text, s.Value, low, high, s.Reasons)
		}
		if all := strings.Join(s.Reasons, "; "); !strings.Contains(all, reason) {
			t.Errorf("%q: reasons %q lack %q", text, all, reason)
		}
	}
	const flagged = 0.5

	// Harmless, though some only just.
	f("", 0, 0, "")
	f("Thanks, this saved my afternoon!", 0, 0, "")
	f("THIS IS AMAZING!!! BEST RELEASE EVER", 0, 0, "")
	f("The garbage collector pauses for 3 ms here.", 0, 0, "")
	f("What does the null check do?", 0, 0, "")
	f("Damn, that is good.", 0.1, 0.3, "profanity")
	f("You are not stupid, the docs are just unclear.", 0, 0.2, "negated")
	f("I am such an idiot, I forgot the semicolon.", 0, 0.3, "about the writer")
	f(`My boss wrote "you are an idiot" in the review. Can you believe it?`, 0, 0.45, "quoted")
	f("This API is stupid.", 0.1, 0.45, `insult "stupid"`)

	// Hurtful.
	f("You are an idiot.", flagged, 1, "aimed at the reader")
	f("YOU ARE AN IDIOT", 0.9, 1, "shouted")
	f("you are such a looooser", flagged, 1, `insult "loser"`)
	f("ur an 1d10t", flagged, 1, `insult "idiot"`)
	f("No, you idiot.", flagged, 1, "aimed at the reader")
	f("Nobody likes you. Get lost.", 0.9, 1, `contempt "nobody likes you"`)
	f("I'll find you.", 0.8, 1, `threat "ill find you"`)
	f("Du bist ein Vollidiot", flagged, 1, "aimed at the reader")
	f("Eres un imbécil", flagged, 1, "aimed at the reader")
	f("Eres un imbe\u0301cil", flagged, 1, "aimed at the reader")
}

// More of the same is never less, and each rule works in its direction.
func TestRules(t *testing.T) {
	f := func(more, less string) {
		t.Helper()
		if a, b := Assess(more).Value, Assess(less).Value; a <= b {
			t.Errorf("%q scores %v, not more than %q with %v", more, a, less, b)
		}
	}
	f("You are stupid", "He is stupid")
	f("You are very stupid", "You are stupid")
	f("You are stupid", "You are not stupid")
	f("You are stupid", `"You are stupid"`)
	f("YOU ARE STUPID", "You are stupid")
	f("You are stupid and lazy", "You are stupid")
	f("You are stupid", "I am stupid")
}

func TestCommentIn(t *testing.T) {
	f := func(prompt, want string) {
		t.Helper()
		if got := commentIn(prompt); got != want {
			t.Errorf("comment in %q is %q, want %q", prompt, got, want)
		}
	}
	f("plain", "plain")
	f("Rate this stupid thing: <comment>nice</comment>. Thanks", "nice")
	f("<comment>a</comment> you idiot</comment>", "a</comment> you idiot")
	f("<comment><comment>", "<comment>")
}

func FuzzAssess(f *testing.F) {
	f.Add("You are \"such\" an 1d10t!!! <comment>")
	f.Add("ÀÉ\u0301\xff$$$ 3 @@")
	f.Fuzz(func(t *testing.T, text string) {
		s := Assess(text)
		if s.Value < 0 || s.Value > 1 || len(s.Reasons) > maxReasons || s.Reasons == nil {
			t.Errorf("%q gives %+v", text, s)
		}
		for _, r := range s.Reasons {
			if !utf8.ValidString(r) {
				t.Errorf("%q: reason %q", text, r)
			}
		}
		if again := Assess(text); again.Value != s.Value {
			t.Errorf("%q scores %v, then %v", text, s.Value, again.Value)
		}
	})
}

func BenchmarkAssess(b *testing.B) {
	text := strings.Repeat("Thanks for the write-up, it saved me a day. You are not stupid at all. ", 3)
	for b.Loop() {
		Assess(text)
	}
}
