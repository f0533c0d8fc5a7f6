package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"time"
)

// introduce says what is about to happen.
func (d *demo) introduce(srv *server, s settings) {
	fmt.Fprintf(d.out, `Lockstep demo: a content moderator
  server    %s
  data      %s
  model     %s
  comments  %d

`, srv.url, s.data, d.model.name, len(d.comments))
	if d.model.remote {
		fmt.Fprint(d.out, "The comments are sent to the model, which may cost a little. --model lexicon stays on this machine.\n\n")
	}
}

// showTable lists what became of each comment.
func (d *demo) showTable() {
	room := 50
	if isTerminal(d.out) {
		room = max(24, min(90, widthOf(d.out)-42))
	}
	fmt.Fprintf(d.out, "%5s  %s  %5s  %-8s  %s\n", "#", pad("comment", room), "score", "verdict", "execution")
	for _, r := range d.rows {
		fmt.Fprintf(d.out, "%5d  %s  %5s  %s  %s\n", r.number, pad(shorten(oneLine(r.text), room), room),
			scoreText(r.score), d.color(fmt.Sprintf("%-8s", r.verdict), r.verdict), r.execution)
	}
	fmt.Fprintln(d.out)
}

func scoreText(score *float64) string {
	if score == nil {
		return "–"
	}
	return fmt.Sprintf("%.2f", *score)
}

// color marks a verdict on a terminal.
func (d *demo) color(text, verdict string) string {
	code := map[string]string{"posted": "32", "approved": "32", waiting: "33", "rejected": "31", "failed": "31"}[verdict]
	if code == "" || !isTerminal(d.out) || os.Getenv("NO_COLOR") != "" {
		return text
	}
	return "\x1b[" + code + "m" + text + "\x1b[0m"
}

// showSummary counts the verdicts, and says why if something went wrong. It
// returns an error when executions have failed.
func (d *demo) showSummary(ctx context.Context) error {
	counts := map[string]int{}
	unscored := ""
	for _, r := range d.rows {
		counts[r.verdict]++
		if r.score == nil && r.verdict != "failed" && unscored == "" {
			unscored = r.execution
		}
	}
	var parts []string
	for _, verdict := range []string{"posted", waiting, "approved", "rejected", "failed"} {
		if counts[verdict] > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", counts[verdict], verdict))
		}
	}
	fmt.Fprintf(d.out, "%d comments, scored by %s: %s.\n", len(d.rows), d.model.name, strings.Join(parts, ", "))
	if approved := counts["approved"]; d.approveAll && approved+d.earlier > 0 {
		fmt.Fprintf(d.out, "--approve-all approved %d that waited for a person, and nobody has read them", approved)
		if d.earlier > 0 {
			fmt.Fprintf(d.out, "; so it did with %d of earlier runs", d.earlier)
		}
		fmt.Fprintln(d.out, ".")
	}
	if unscored != "" {
		fmt.Fprintf(d.out, "The model gave no usable score for some of them, %s.\n", d.reason(ctx, unscored))
	}
	for _, r := range d.rows {
		if r.verdict == "failed" {
			return fmt.Errorf("%d comments failed, the first at %s: %s", counts["failed"], r.execution, shorten(oneLine(r.why), 200))
		}
	}
	return nil
}

// reason finds out why an execution has no score.
func (d *demo) reason(ctx context.Context, execution string) string {
	events, err := d.api.history(ctx, executionARN(d.machine, execution), 50, false)
	if err != nil {
		return "see the history of " + execution
	}
	for i := len(events) - 1; i >= 0; i-- {
		if failed := events[i].Failed; events[i].Type == "TaskFailed" {
			return "as with " + execution + ": " + shorten(oneLine(failed.Error+" "+failed.Cause), 200)
		}
	}
	return "see the history of " + execution
}

// showNext says what one can do now.
func (d *demo) showNext(srv *server) {
	self, where := programName(), ""
	if dir := srv.data; dir != "./"+demoData {
		where = " --data " + quote(dir)
	}
	if all := d.desk.waiting(); len(all) > 0 {
		last := all[len(all)-1].number()
		fmt.Fprintf(d.out, "\nWaiting for a person: %s. Decide%s:\n", numbers(all), d.elsewhere())
		fmt.Fprintf(d.out, "  %s demo approve %d%s\n  %s demo reject %d%s\n", self, last, where, self, last, where)
	}
	url := srv.url
	if d.keepServing {
		fmt.Fprintf(d.out, "\nThe same server answers the AWS CLI%s:\n", d.elsewhere())
	} else {
		url = "http://" + defaultListen
		fmt.Fprintf(d.out, "\nEverything is kept in %s. For the AWS CLI, start a server on it:\n  %s dev --data %s\nand call it, in another terminal:\n", srv.data, self, quote(srv.data))
	}
	fmt.Fprintf(d.out, "  export AWS_ACCESS_KEY_ID=local AWS_SECRET_ACCESS_KEY=local AWS_DEFAULT_REGION=%s\n", srv.scheme.Region)
	for _, command := range []string{
		"list-executions --state-machine-arn " + d.machine,
		"get-execution-history --execution-arn " + executionARN(d.machine, nameOf(d.first)),
	} {
		fmt.Fprintf(d.out, "  aws stepfunctions %s --endpoint-url %s\n", command, url)
	}
	if d.keepServing {
		fmt.Fprintf(d.out, "\nServing at %s until Ctrl-C.\n", srv.url)
	}
}

// elsewhere says where to type while this terminal is busy.
func (d *demo) elsewhere() string {
	if d.keepServing {
		return ", in another terminal"
	}
	return ""
}

// numbers lists the numbers of claims.
func numbers(claims []claim) string {
	const most = 40
	var texts []string
	for _, c := range claims[:min(most, len(claims))] {
		texts = append(texts, fmt.Sprint(c.number()))
	}
	text := strings.Join(texts, ", ")
	if more := len(claims) - most; more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}

// programName is how whoever started this program can start it again.
func programName() string {
	if strings.Contains(os.Args[0], "go-build") {
		return "go run ./cmd/lockstep"
	}
	if found, err := exec.LookPath("lockstep"); err == nil {
		if own, err := os.Executable(); err == nil && found == own {
			return "lockstep"
		}
	}
	return quote(os.Args[0])
}

// quote quotes a word for a shell if it needs to be.
func quote(word string) string {
	plain := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("/._-:@%+=,~", r)
	}
	if word != "" && strings.IndexFunc(word, func(r rune) bool { return !plain(r) }) < 0 {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}

// progress shows how far a run is: a bar on a terminal, now and then a line
// elsewhere.
type progress struct {
	out   *os.File
	total int
	bar   bool

	mu      sync.Mutex
	done    int
	waiting int
	shown   time.Time
	lines   int // quarters said
}

func newProgress(out *os.File, total int) *progress {
	p := &progress{out: out, total: total, bar: isTerminal(out), shown: time.Now()}
	if p.bar {
		p.draw()
	}
	return p
}

// add counts a comment that has got a verdict or waits for one.
func (p *progress) add(verdict string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.done++
	if verdict == waiting {
		p.waiting++
	}
	switch {
	case p.bar:
		if p.done == p.total || time.Since(p.shown) > 40*time.Millisecond {
			p.draw()
		}
	case p.done*4/p.total > p.lines || time.Since(p.shown) > 5*time.Second:
		p.lines = p.done * 4 / p.total
		p.shown = time.Now()
		fmt.Fprintf(p.out, "moderated %d of %d, %d wait for a person\n", p.done, p.total, p.waiting)
	}
}

func (p *progress) draw() {
	const width = 30
	full := width * p.done / p.total
	fmt.Fprintf(p.out, "\r\x1b[KModerating [%s%s] %d of %d, %d wait for a person",
		strings.Repeat("█", full), strings.Repeat("·", width-full), p.done, p.total, p.waiting)
	p.shown = time.Now()
}

// close leaves a blank line behind.
func (p *progress) close() {
	if p.bar {
		fmt.Fprintln(p.out)
	}
	fmt.Fprintln(p.out)
}
