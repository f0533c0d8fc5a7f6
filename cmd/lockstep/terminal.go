package main

import (
	"os"
	"strings"
	"unicode"

	"golang.org/x/term"
)

func isTerminal(f *os.File) bool { return term.IsTerminal(int(f.Fd())) }

// widthOf is the width of a terminal in columns, or 80 when it does not say.
func widthOf(f *os.File) int {
	if width, _, err := term.GetSize(int(f.Fd())); err == nil && width > 0 {
		return width
	}
	return 80
}

// columns is how many columns a character takes on a terminal, nearly enough for
// a table: East Asian ones and emoji take two, marks none.
func columns(r rune) int {
	switch {
	case unicode.In(r, unicode.Mn, unicode.Me, unicode.Cf):
		return 0
	case r >= 0x1100 && unicode.In(r, unicode.Han, unicode.Hiragana, unicode.Katakana, unicode.Hangul),
		r >= 0x1f300 && r <= 0x1faff, r >= 0xff01 && r <= 0xff60:
		return 2
	}
	return 1
}

func width(text string) int {
	n := 0
	for _, r := range text {
		n += columns(r)
	}
	return n
}

// pad fills a text up with blanks.
func pad(text string, to int) string { return text + strings.Repeat(" ", max(0, to-width(text))) }

// shorten cuts a text that takes more columns than there are.
func shorten(text string, most int) string {
	if width(text) <= most {
		return text
	}
	n := 1 // the ellipsis
	for i, r := range text {
		if n += columns(r); n > most {
			return strings.TrimRight(text[:i], " ") + "…"
		}
	}
	return text
}
