package model

import (
	"context"
	"math"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/lockstep-run/lockstep/asl/value"
)

// Lexicon is the ModelId of the model that is built in. It is no language model:
// it looks words up and applies a few rules, so that a moderator can be tried
// with nothing else installed. The same text always gets the same score.
const Lexicon = "lockstep.lexicon-v1"

// maxReasons is how many reasons an answer gives.
const maxReasons = 5

type lexicon struct{}

// invoke scores what stands between <comment> and </comment> in the last message
// of the user, or all of it. The answer's text is
// {"score": 0.00 to 1.00, "reasons": [text, …]}.
func (lexicon) invoke(_ context.Context, in *request) (*answer, error) {
	c, err := conversationOf(in.body)
	if err != nil {
		return nil, err
	}
	last := c.messages[len(c.messages)-1]
	if last.role != "user" {
		return nil, invalid("The last message must be the user's.")
	}
	s := Assess(commentIn(last.text))
	reasons := make([]value.Value, len(s.Reasons))
	for i, r := range s.Reasons {
		reasons[i] = value.Str(r)
	}
	text := object("score", value.Float(s.Value), "reasons", value.ArrayOf(reasons)).JSON()
	input := len(c.system)
	for _, m := range c.messages {
		input += len(m.text)
	}
	used := Tokens{Input: tokensIn(input), Output: tokensIn(len(text))}
	body := message("msg_lexicon", Lexicon, []value.Value{textBlock(value.Str(text))}, "end_turn", used)
	return &answer{body: body, content: "application/json", used: used}, nil
}

// tokensIn is the usual estimate: four bytes are a token.
func tokensIn(bytes int) int64 { return int64(bytes+3) / 4 }

// commentIn finds the comment in a prompt. A closing tag inside the comment does
// not end it.
func commentIn(text string) string {
	if _, after, ok := strings.Cut(text, "<comment>"); ok {
		text = after
	}
	if i := strings.LastIndex(text, "</comment>"); i >= 0 {
		text = text[:i]
	}
	return text
}

// Score says how hurtful a text is.
type Score struct {
	Value   float64  // 0 for harmless to 1, in hundredths
	Reasons []string // what was found, the gravest first; empty, never nil
}

// Assess scores a text. Each word or phrase of the lexicon that occurs weighs by
// itself; then it weighs more next to an intensifier, when it is aimed at the
// reader and when it is shouted, and less when it is negated, quoted or somebody
// speaks of himself. What remains adds up as independent chances do, so that many
// small things become a big one but never more than 1.
func Assess(text string) Score {
	t := tokenize(text)
	harmless := 1.0
	var hits []hit
	for i := 0; i < len(t); {
		e, n := lookUp(t, i)
		if n == 0 {
			i++
			continue
		}
		h := weigh(t, i, n, e)
		if h.weight >= 0.01 {
			harmless *= 1 - h.weight
			hits = append(hits, h)
		}
		i += n
	}
	slices.SortStableFunc(hits, func(a, b hit) int {
		switch {
		case a.weight > b.weight:
			return -1
		case a.weight < b.weight:
			return 1
		}
		return 0
	})
	s := Score{Value: math.Round((1-harmless)*100) / 100, Reasons: []string{}}
	for _, h := range hits[:min(len(hits), maxReasons)] {
		s.Reasons = append(s.Reasons, h.reason)
	}
	return s
}

type hit struct {
	weight float64
	reason string
}

// weigh applies the rules to an entry found in t[i:i+n].
func weigh(t []word, i, n int, e entry) hit {
	w := e.weight
	reason := e.kind + ` "` + phrase(t[i:i+n]) + `"`
	note := func(factor float64, why string) {
		w *= factor
		reason += ", " + why
	}
	before, after := near(t, i-1, -1, 5), near(t, i+n, +1, 4)
	if e.kind == insult && !e.aimed {
		switch {
		case anyOf(before, secondPerson) || anyOf(after, secondPerson):
			note(1.35, "aimed at the reader")
		case anyOf(before, firstPerson):
			note(0.2, "about the writer")
		default:
			w *= 0.7
		}
	}
	if anyOf(near(t, i-1, -1, 2), intensifiers) {
		note(1.25, "intensified")
	}
	if anyOf(clause(before[:min(3, len(before))]), negations) {
		note(0.15, "negated")
	}
	if t[i].quoted {
		note(0.35, "quoted")
	}
	if t[i].shouted {
		note(1.15, "shouted")
	}
	return hit{min(w, 0.97), reason}
}

func phrase(t []word) string {
	var parts []string
	for _, w := range t {
		parts = append(parts, w.text)
	}
	return strings.Join(parts, " ")
}

// near returns up to n words of the same sentence, from i on in steps of step.
func near(t []word, i, step, n int) []word {
	var found []word
	for ; n > 0 && i >= 0 && i < len(t); n-- {
		if step < 0 && t[i].ends {
			break
		}
		found = append(found, t[i])
		if step > 0 && t[i].ends {
			break
		}
		i += step
	}
	return found
}

// clause cuts words, nearest first, at the first comma.
func clause(words []word) []word {
	if i := slices.IndexFunc(words, func(w word) bool { return w.pauses }); i >= 0 {
		return words[:i]
	}
	return words
}

func anyOf(words []word, set map[string]bool) bool {
	return slices.ContainsFunc(words, func(w word) bool { return set[w.text] })
}

// lookUp returns the longest entry that starts at t[i] and how many words it has.
func lookUp(t []word, i int) (entry, int) {
	for n := min(longest[t[i].text], len(t)-i); n > 0; n-- {
		if slices.ContainsFunc(t[i:i+n-1], func(w word) bool { return w.ends || w.pauses }) {
			continue
		}
		if e, ok := entries[phrase(t[i:i+n])]; ok {
			return e, n
		}
	}
	return entry{}, 0
}

// word is one word of a text.
type word struct {
	text    string // folded: lower case, no apostrophes, "sooo" as "so", "1d10t" as "idiot"
	ends    bool   // its sentence
	pauses  bool   // before a comma
	quoted  bool
	shouted bool // in capitals, like its whole sentence
}

// tokenize takes a text apart.
func tokenize(text string) []word {
	var words []word
	var run strings.Builder
	quoted := false
	flush := func() {
		if run.Len() > 0 {
			raw := run.String()
			words = append(words, word{text: fold(raw), quoted: quoted, shouted: capitals(raw)})
			run.Reset()
		}
	}
	for i, r := range text {
		switch {
		case unicode.IsLetter(r) || unicode.IsDigit(r) || r == '@' || r == '$':
			run.WriteRune(r)
		case unicode.Is(unicode.M, r) || (r == '\'' || r == '’') && run.Len() > 0 && letterAfter(text, i, r):
			// An accent of its own or an apostrophe does not end a word.
		default:
			flush()
			switch r {
			case '.', '!', '?', ';', ':', '\n', '…', '。', '！', '？':
				if len(words) > 0 {
					words[len(words)-1].ends = true
				}
			case ',', '-', '–', '—':
				if len(words) > 0 {
					words[len(words)-1].pauses = true
				}
			case '"', '“', '”', '„', '«', '»', '`':
				quoted = !quoted && strings.ContainsAny(text[i+utf8.RuneLen(r):], "\"“”„«»`")
			}
		}
	}
	flush()
	calm(words)
	return words
}

func letterAfter(text string, i int, r rune) bool {
	next, _ := utf8.DecodeRuneInString(text[i+utf8.RuneLen(r):])
	return unicode.IsLetter(next)
}

// capitals reports whether a word of two letters or more is in capitals.
func capitals(raw string) bool {
	letters := 0
	for _, r := range raw {
		if unicode.IsLower(r) {
			return false
		}
		if unicode.IsUpper(r) {
			letters++
		}
	}
	return letters >= 2
}

// calm takes the mark of shouting from words in capitals that stand alone, which
// may be abbreviations.
func calm(words []word) {
	for i := range words {
		left := i > 0 && (words[i-1].shouted || len(words[i-1].text) == 1)
		right := i+1 < len(words) && (words[i+1].shouted || len(words[i+1].text) == 1)
		if !left && !right && len(words) > 1 {
			words[i].shouted = false
		}
	}
}

// lookalikes are digits and signs that stand for letters inside a word.
var lookalikes = map[rune]rune{'0': 'o', '1': 'i', '3': 'e', '4': 'a', '5': 's', '7': 't', '@': 'a', '$': 's'}

// fold gives a word the form that the lexicon has it in.
func fold(raw string) string {
	word := strings.ContainsFunc(raw, unicode.IsLetter)
	var out []rune
	for _, r := range strings.ToLower(raw) {
		if letter, ok := lookalikes[r]; ok && word {
			r = letter
		}
		if n := len(out); n >= 2 && out[n-1] == r && out[n-2] == r {
			continue
		}
		out = append(out, r)
	}
	text := string(out)
	if _, known := entries[text]; known || known1[text] {
		return text
	}
	// "stuupid" is no word, "stupid" is one.
	single := string(slices.Compact(slices.Clone(out)))
	if _, known := entries[single]; known || known1[single] {
		return single
	}
	return text
}
