package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/lockstep-run/lockstep/internal/arn"
)

// importer copies state machines and activities from one server to another. It
// reads a resource whole, compares it with what is there, and writes what
// differs, so that a second run finds nothing to do.
type importer struct {
	from, to        caller
	match           *regexp.Regexp // of names; nil: all
	dryRun, rewrite bool
	out             io.Writer

	source, target arn.Scheme
	sourceARNs     *regexp.Regexp // of machines and activities in the source
	total, done    int
	counts         [outcomes]int
}

// fate is what became of a resource.
type fate int

const (
	copied   fate = iota // it was not there
	changed              // it was there, otherwise
	same                 // nothing to do
	refused              // the server does not run it yet
	failed               // it could not be copied, or not all of it
	outcomes = 5
)

// result is what there is to say of a resource in the end.
type result struct {
	fate  fate
	words []string // what was changed, or copied beside the resource
	notes []string // for a line each
}

func (r *result) note(format string, args ...any) {
	r.notes = append(r.notes, fmt.Sprintf(format, args...))
}

// fail notes what could not be done.
func (r *result) fail(format string, args ...any) {
	r.fate = failed
	r.note(format, args...)
}

func (im *importer) run(ctx context.Context) error {
	activities, err := im.list(ctx, im.from, "ListActivities", fields{}, "activities")
	if err != nil {
		return fmt.Errorf("read from the source: %w", err)
	}
	machines, err := im.list(ctx, im.from, "ListStateMachines", fields{}, "stateMachines")
	if err != nil {
		return fmt.Errorf("read from the source: %w", err)
	}
	activities, machines = im.wanted(activities), im.wanted(machines)
	if im.total = len(activities) + len(machines); im.total == 0 {
		fmt.Fprintln(im.out, "\nThere is nothing to copy.")
		return nil
	}
	if err := im.meet(ctx, slices.Concat(activities, machines)[0].arn()); err != nil {
		return err
	}
	for _, a := range activities {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		im.report("activity", a.Name, im.activity(ctx, a))
	}
	for _, m := range machines {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		im.report("machine", m.Name, im.machine(ctx, m))
	}
	return im.summary(len(activities), len(machines))
}

// listed is an item of one of the lists.
type listed struct {
	Name     string `json:"name"`
	Machine  string `json:"stateMachineArn"`
	Activity string `json:"activityArn"`
	Version  string `json:"stateMachineVersionArn"`
	Alias    string `json:"stateMachineAliasArn"`
}

func (l listed) arn() string { return l.Machine + l.Activity + l.Version + l.Alias }

// list reads all pages. A server that has no end of them is given up.
func (im *importer) list(ctx context.Context, c caller, action string, in fields, member string) (all []listed, err error) {
	in = maps.Clone(in)
	for range maxPages {
		var page map[string]any
		if err := c.call(ctx, action, in, &page); err != nil {
			return nil, err
		}
		items, _ := page[member].([]any)
		for _, item := range items {
			object, _ := item.(map[string]any)
			text := func(name string) string { s, _ := object[name].(string); return s }
			all = append(all, listed{text("name"), text("stateMachineArn"), text("activityArn"), text("stateMachineVersionArn"), text("stateMachineAliasArn")})
		}
		next, _ := page["nextToken"].(string)
		if next == "" {
			return all, nil
		}
		in["nextToken"] = next
	}
	return nil, fmt.Errorf("%s: there are more than %d pages", action, maxPages)
}

// maxPages is more than AWS's quotas fill: 150,000 machines, a hundred to a page.
const maxPages = 10_000

func (im *importer) wanted(list []listed) []listed {
	return slices.DeleteFunc(list, func(l listed) bool { return im.match != nil && !im.match.MatchString(l.Name) })
}

// meet finds out the accounts and regions of both sides.
func (im *importer) meet(ctx context.Context, sourceARN string) error {
	name, ok := arn.Parse(sourceARN)
	if !ok {
		return fmt.Errorf("read from the source: %q is no ARN", sourceARN)
	}
	im.source = arn.Scheme{Partition: name.Partition, Region: name.Region, Account: name.Account}
	im.sourceARNs = regexp.MustCompile(regexp.QuoteMeta(strings.TrimSuffix(im.source.Activity(""), "activity:")) + `((?:stateMachine|activity):[^"'\\\s,)]*)`)

	// The context object of a state that is tested has an ARN of the server's.
	var tested struct {
		Output string `json:"output"`
	}
	err := im.to.call(ctx, "TestState", fields{"definition": `{"Type":"Pass","QueryLanguage":"JSONata","Output":"{% $states.context.Execution.Id %}","End":true}`}, &tested)
	if err != nil {
		return fmt.Errorf("ask the server for its account and region: %w", err)
	}
	if name, ok = arn.Parse(strings.Trim(tested.Output, `"`)); !ok {
		return fmt.Errorf("ask the server for its account and region: it answers %.200q", tested.Output)
	}
	im.target = arn.Scheme{Partition: name.Partition, Region: name.Region, Account: name.Account}
	fmt.Fprintf(im.out, "      account %s, region %s, into account %s, region %s\n\n", im.source.Account, im.source.Region, im.target.Account, im.target.Region)
	return nil
}

// report writes the lines of a resource.
func (im *importer) report(kind, name string, r result) {
	im.done++
	im.counts[r.fate]++
	says := map[fate]string{copied: "copied", changed: "changed", same: "the same", refused: "does not run here yet", failed: "failed"}[r.fate]
	if im.dryRun && (r.fate == copied || r.fate == changed) {
		says = "to be " + says
	}
	if len(r.words) > 0 {
		says += ": " + printable(strings.Join(r.words, ", "))
	}
	fmt.Fprintf(im.out, "[%d/%d] %-8s %s  %s\n", im.done, im.total, kind, printable(name), says)
	for _, n := range r.notes {
		fmt.Fprintf(im.out, "      %s\n", oneLine(n))
	}
}

func (im *importer) summary(activities, machines int) error {
	c := im.counts
	would := ""
	if im.dryRun {
		would = " (nothing was changed: this is what would be)"
	}
	fmt.Fprintf(im.out, "\n%s and %s: %d copied, %d changed, %d the same, %d not running here yet, %d failed%s\n",
		plural(activities, "activity", "activities"), plural(machines, "state machine", "state machines"),
		c[copied], c[changed], c[same], c[refused], c[failed], would)
	if c[refused]+c[failed] > 0 {
		return &exitError{code: exitFailed}
	}
	return nil
}

func plural(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprint(n, " ", many)
}

// write makes a call that changes something, unless this is a dry run.
func (im *importer) write(ctx context.Context, action string, in fields, out any) error {
	if im.dryRun {
		return nil
	}
	if out == nil {
		out = &struct{}{}
	}
	return im.to.call(ctx, action, in, out)
}

// activity copies an activity with its tags.
func (im *importer) activity(ctx context.Context, a listed) (r result) {
	r.fate = same
	tags, err := im.tags(ctx, im.from, a.arn())
	if err != nil {
		r.fail("%s", errorText(err))
		return r
	}
	here := im.target.Activity(a.Name)
	err = im.to.call(ctx, "DescribeActivity", fields{"activityArn": here}, &struct{}{})
	switch {
	case isAPIError(err, "ActivityDoesNotExist"):
		r.fate = copied
		err = im.write(ctx, "CreateActivity", fields{"name": a.Name, "tags": tagList(tags)}, nil)
	case err == nil:
		err = im.retag(ctx, here, tags, &r)
	}
	if err != nil {
		r.fail("%s", errorText(err))
	}
	return r
}

// tags reads the tags of a resource. Those that AWS itself has set, whose names
// nobody else may use, are left out.
func (im *importer) tags(ctx context.Context, c caller, resource string) (map[string]string, error) {
	var answer struct {
		Tags []struct{ Key, Value string } `json:"tags"`
	}
	if err := c.call(ctx, "ListTagsForResource", fields{"resourceArn": resource}, &answer); err != nil {
		return nil, err
	}
	tags := map[string]string{}
	for _, t := range answer.Tags {
		if !strings.HasPrefix(t.Key, "aws:") {
			tags[t.Key] = t.Value
		}
	}
	return tags, nil
}

func tagList(tags map[string]string) []fields {
	list := []fields{}
	for _, key := range slices.Sorted(maps.Keys(tags)) {
		list = append(list, fields{"key": key, "value": tags[key]})
	}
	return list
}

// retag sets the tags that are missing here or have another value.
func (im *importer) retag(ctx context.Context, here string, tags map[string]string, r *result) error {
	have, err := im.tags(ctx, im.to, here)
	if err != nil {
		return err
	}
	missing := maps.Clone(tags)
	maps.DeleteFunc(missing, func(key, value string) bool { had, ok := have[key]; return ok && had == value })
	if len(missing) == 0 {
		return nil
	}
	if err := im.write(ctx, "TagResource", fields{"resourceArn": here, "tags": tagList(missing)}, nil); err != nil {
		return err
	}
	r.change("tags")
	return nil
}

// change notes that something is otherwise now.
func (r *result) change(word string) {
	if r.fate == same {
		r.fate = changed
	}
	r.words = append(r.words, word)
}

// errorText is an error for a note: the API's own words where it has some.
func errorText(err error) string {
	var e *apiError
	if errors.As(err, &e) {
		return e.Error()
	}
	return err.Error()
}
