package writer

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode"
)

// Page is what the writer makes.
type Page struct {
	Headline string `json:"headline"`
	Text     string `json:"-"` // Markdown
	Words    int    `json:"words"`
}

// Wishes are what a writer heeds.
type Wishes struct {
	Words int      // the page has at most so many
	Keep  []string // a sentence with each of these stays
}

var (
	mostWords = regexp.MustCompile(`(?i)at most (\d+) words`)
	keepWhat  = regexp.MustCompile(`(?i)keep "([^"]+)"`)
)

// Heed reads wishes out of texts, such as criteria and what reviewers say: at
// most N words, keep "this". Of several limits the lowest counts.
func (w *Wishes) Heed(texts ...string) {
	for _, text := range texts {
		for _, m := range mostWords.FindAllStringSubmatch(text, -1) {
			n := 0
			if _, err := fmt.Sscan(m[1], &n); err == nil && n > 0 && (w.Words == 0 || n < w.Words) {
				w.Words = n
			}
		}
		for _, m := range keepWhat.FindAllStringSubmatch(text, -1) {
			if !slices.Contains(w.Keep, m[1]) {
				w.Keep = append(w.Keep, m[1])
			}
		}
	}
}

type sentence struct {
	text  string
	words []string
	score float64
	kept  bool
}

// Write makes a page out of notes, in their own sentences: those whose words
// come up most, in the order of the notes. The notes' first line is the headline.
// It is an error if what is to be kept is not in the notes, or does not fit.
func Write(notes string, wishes Wishes) (*Page, error) {
	headline, body, _ := strings.Cut(strings.TrimSpace(notes), "\n")
	headline = strings.TrimSpace(strings.TrimLeft(headline, "# "))
	list := sentences(body)
	if headline == "" || len(list) == 0 {
		return nil, fmt.Errorf("the notes need a headline and a sentence below it")
	}
	score(list)
	room := wishes.Words - len(words(headline))
	if wishes.Words == 0 {
		room = len(words(body))
	}
	take := func(s *sentence) bool {
		if s.kept || len(s.words) > room {
			return s.kept
		}
		s.kept = true
		room -= len(s.words)
		return true
	}
	for _, part := range wishes.Keep {
		at := slices.IndexFunc(list, func(s sentence) bool { return strings.Contains(strings.ToLower(s.text), strings.ToLower(part)) })
		if at < 0 {
			return nil, fmt.Errorf("the notes say nothing of %q", part)
		}
		if !take(&list[at]) {
			return nil, fmt.Errorf("what is said of %q does not fit into %d words", part, wishes.Words)
		}
	}
	best := make([]*sentence, len(list))
	for i := range list {
		best[i] = &list[i]
	}
	slices.SortStableFunc(best, func(a, b *sentence) int { return cmp.Compare(b.score, a.score) })
	for _, s := range best {
		take(s)
	}
	text := "# " + headline + "\n"
	for _, s := range list {
		if s.kept {
			text += "\n" + s.text + "\n"
		}
	}
	return &Page{Headline: headline, Text: text, Words: len(words(text))}, nil
}

// score says how much each sentence has of what the notes are about: the mean
// of how often its words come up in all.
func score(list []sentence) {
	often := map[string]float64{}
	for _, s := range list {
		for _, w := range s.words {
			if len(w) > 3 {
				often[w]++
			}
		}
	}
	for i, s := range list {
		for _, w := range s.words {
			list[i].score += often[w]
		}
		list[i].score /= float64(len(s.words))
	}
}

var ends = regexp.MustCompile(`[.!?](\s+|$)`)

func sentences(text string) (list []sentence) {
	for paragraph := range strings.SplitSeq(text, "\n\n") {
		paragraph = strings.Join(strings.Fields(paragraph), " ")
		for paragraph != "" {
			end := len(paragraph)
			if at := ends.FindStringIndex(paragraph); at != nil {
				end = at[1]
			}
			if s := strings.TrimSpace(paragraph[:end]); len(words(s)) > 0 {
				list = append(list, sentence{text: s, words: words(s)})
			}
			paragraph = paragraph[end:]
		}
	}
	return list
}

// words are a text's words, in lower case.
func words(text string) []string {
	return strings.FieldsFunc(strings.ToLower(text), func(r rune) bool {
		return !unicode.IsLetter(r) && !unicode.IsDigit(r) && r != '\''
	})
}
