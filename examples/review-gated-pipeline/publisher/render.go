package publisher

import (
	"html"
	"strings"
)

// Render makes an HTML page of Markdown's headings and paragraphs. All else of it
// stands there as it is written: whoever wrote the page cannot bring in markup.
func Render(markdown string) string {
	var body strings.Builder
	title := "Page"
	for block := range strings.SplitSeq(strings.ReplaceAll(markdown, "\r\n", "\n"), "\n\n") {
		block = strings.Join(strings.Fields(block), " ")
		switch level := len(block) - len(strings.TrimLeft(block, "#")); {
		case block == "":
		case level == 1 && strings.HasPrefix(block, "# "):
			title = html.EscapeString(block[2:])
			body.WriteString("<h1>" + title + "</h1>\n")
		case level == 2 && strings.HasPrefix(block, "## "):
			body.WriteString("<h2>" + html.EscapeString(block[3:]) + "</h2>\n")
		default:
			body.WriteString("<p>" + html.EscapeString(block) + "</p>\n")
		}
	}
	return "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n<title>" + title + "</title>\n" + body.String() + "</html>\n"
}
