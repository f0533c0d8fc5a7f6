package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
)

// machineState is what DescribeStateMachine says of a machine or a version.
type machineState struct {
	Name        string         `json:"name"`
	Type        string         `json:"type"`
	Status      string         `json:"status"`
	Description string         `json:"description"` // of a version
	Definition  string         `json:"definition"`
	Role        string         `json:"roleArn"`
	Logging     *loggingState  `json:"loggingConfiguration"`
	Tracing     *tracingState  `json:"tracingConfiguration"`
	Encryption  *encryptionSet `json:"encryptionConfiguration"`
}

type loggingState struct {
	Level        string           `json:"level"`
	Data         bool             `json:"includeExecutionData"`
	Destinations []logDestination `json:"destinations,omitempty"`
}

type logDestination struct {
	Group struct {
		ARN string `json:"logGroupArn"`
	} `json:"cloudWatchLogsLogGroup"`
}

type tracingState struct {
	Enabled bool `json:"enabled"`
}

type encryptionSet struct {
	Type string `json:"type"`
}

// normal fills in what AWS takes for granted.
func (m *machineState) normal() {
	m.Logging, m.Tracing = cmp.Or(m.Logging, &loggingState{}), cmp.Or(m.Tracing, &tracingState{})
	m.Logging.Level = cmp.Or(m.Logging.Level, "OFF")
	if len(m.Logging.Destinations) == 0 {
		m.Logging.Destinations = nil
	}
}

// differs names what of a machine is otherwise than it should be.
func (m *machineState) differs(want *machineState) (words []string) {
	for _, part := range []struct {
		word string
		same bool
	}{
		{"definition", m.Definition == want.Definition},
		{"role", m.Role == want.Role},
		{"logging", reflect.DeepEqual(m.Logging, want.Logging)},
		{"tracing", *m.Tracing == *want.Tracing},
	} {
		if !part.same {
			words = append(words, part.word)
		}
	}
	return words
}

// settings are the members that creating and updating have in common.
func (m *machineState) settings() fields {
	return fields{"definition": m.Definition, "roleArn": m.Role, "loggingConfiguration": m.Logging, "tracingConfiguration": m.Tracing}
}

// version is a published version of a machine in the source.
type version struct {
	number int64
	state  machineState
}

// alias is what DescribeStateMachineAlias says.
type alias struct {
	Name        string  `json:"name"`
	Description string  `json:"description"`
	Routes      []route `json:"routingConfiguration"`
}

type route struct {
	Version string `json:"stateMachineVersionArn"`
	Weight  int64  `json:"weight"`
}

// machineCopy is one machine on its way.
type machineCopy struct {
	*importer
	result
	here     string // its ARN in the server
	want     machineState
	versions []version // by number
	aliases  []alias
	tags     map[string]string

	names []string // ARNs of the source's account that the definition names

	created bool           // by this run
	now     *machineState  // what the server has; nil: nothing
	numbers map[int64]bool // of versions in the server
}

// machine copies a state machine with all that belongs to it.
func (im *importer) machine(ctx context.Context, m listed) result {
	c := &machineCopy{importer: im, here: im.target.Machine(m.Name), numbers: map[int64]bool{}}
	c.fate = same
	err := c.read(ctx, m.arn())
	switch {
	case err != nil:
	case c.want.Status == "DELETING":
		c.note("it is being deleted there, and left out")
	case c.runs(ctx):
		c.hints()
		err = c.save(ctx)
	}
	if err != nil {
		c.fail("%s", errorText(err))
	}
	return c.result
}

func (im *importer) describe(ctx context.Context, c caller, arn string) (m machineState, err error) {
	err = c.call(ctx, "DescribeStateMachine", fields{"stateMachineArn": arn}, &m)
	m.normal()
	return m, err
}

// read reads all there is of the machine in the source.
func (c *machineCopy) read(ctx context.Context, there string) (err error) {
	if c.want, err = c.describe(ctx, c.from, there); err != nil {
		return err
	}
	c.names = c.sourceARNs.FindAllString(c.want.Definition, -1)
	c.want.Definition = c.rewritten(c.want.Definition)
	if c.tags, err = c.importer.tags(ctx, c.from, there); err != nil {
		return err
	}
	versions, err := c.list(ctx, c.from, "ListStateMachineVersions", fields{"stateMachineArn": there}, "stateMachineVersions")
	if err != nil {
		return err
	}
	for _, item := range versions {
		v := version{number: versionNumber(item.Version)}
		if v.state, err = c.describe(ctx, c.from, item.Version); err != nil {
			return err
		}
		v.state.Definition = c.rewritten(v.state.Definition)
		c.versions = append(c.versions, v)
	}
	slices.SortFunc(c.versions, func(a, b version) int { return cmp.Compare(a.number, b.number) })
	aliases, err := c.list(ctx, c.from, "ListStateMachineAliases", fields{"stateMachineArn": there}, "stateMachineAliases")
	if err != nil {
		return err
	}
	for _, item := range aliases {
		var a alias
		if err := c.from.call(ctx, "DescribeStateMachineAlias", fields{"stateMachineAliasArn": item.Alias}, &a); err != nil {
			return err
		}
		for i := range a.Routes {
			a.Routes[i].Version = c.here + ":" + strconv.FormatInt(versionNumber(a.Routes[i].Version), 10)
		}
		c.aliases = append(c.aliases, a)
	}
	return nil
}

// versionNumber is the number in a version's ARN, 0 if there is none.
func versionNumber(arn string) int64 {
	n, err := strconv.ParseInt(arn[strings.LastIndexByte(arn, ':')+1:], 10, 64)
	if err != nil {
		return 0
	}
	return n
}

// rewritten is a definition with the server's ARNs, if that is wanted.
func (im *importer) rewritten(definition string) string {
	if !im.rewrite {
		return definition
	}
	return im.sourceARNs.ReplaceAllString(definition, strings.TrimSuffix(im.target.Activity(""), "activity:")+"$1")
}

// hints says what a person may want to look after.
func (c *machineCopy) hints() {
	slices.Sort(c.names)
	for _, arn := range slices.Compact(c.names) {
		switch {
		case c.source == c.target:
		case c.rewrite:
			c.note("rewritten: %s", arn)
		default:
			c.note("names %s, which is not in this server: use --rewrite-arns, or give the server the account and region of the source", arn)
		}
	}
	if c.want.Encryption != nil && c.want.Encryption.Type == "CUSTOMER_MANAGED_KMS_KEY" {
		c.note("its data is not encrypted with a KMS key here")
	}
}

// runs asks the server what it thinks of the definitions. Versions that it would
// not run are left out.
func (c *machineCopy) runs(ctx context.Context) bool {
	wrong, err := c.wrong(ctx, c.want.Definition)
	switch {
	case err != nil:
		c.fail("%s", errorText(err))
	case len(wrong) > 0:
		c.fate = refused
		c.notes = append(c.notes, wrong...)
	}
	if err != nil || len(wrong) > 0 {
		return false
	}
	kept := c.versions[:0]
	for _, v := range c.versions {
		wrong, err := c.wrong(ctx, v.state.Definition)
		if err != nil {
			c.fail("%s", errorText(err))
			return false
		}
		if len(wrong) > 0 {
			c.note("version %d does not run here yet and is left out: %s", v.number, wrong[0])
			continue
		}
		kept = append(kept, v)
	}
	c.versions = kept
	return true
}

func (c *machineCopy) wrong(ctx context.Context, definition string) (texts []string, err error) {
	var answer struct {
		Diagnostics []struct{ Severity, Code, Message, Location string } `json:"diagnostics"`
	}
	err = c.to.call(ctx, "ValidateStateMachineDefinition", fields{"definition": definition, "type": c.want.Type}, &answer)
	for _, d := range answer.Diagnostics {
		texts = append(texts, fmt.Sprintf("%s: %s at %s", d.Code, d.Message, cmp.Or(d.Location, "/")))
	}
	return texts, err
}

// save brings the server to where the source is.
func (c *machineCopy) save(ctx context.Context) error {
	now, err := c.describe(ctx, c.to, c.here)
	switch {
	case isAPIError(err, "StateMachineDoesNotExist"):
		c.fate, c.created = copied, true
	case err != nil:
		return err
	case now.Status == "DELETING":
		return errors.New("it is being deleted here; try again when its executions have ended")
	case now.Type != c.want.Type:
		return fmt.Errorf("it is %s here and %s there, and a type cannot be changed: delete one, or leave it out with --match", now.Type, c.want.Type)
	default:
		c.now = &now
	}
	if err := c.publishAll(ctx); err != nil {
		return err
	}
	if err := c.set(ctx, c.want); err != nil {
		return err
	}
	if !c.created {
		for _, word := range now.differs(c.now) {
			c.change(word)
		}
	}
	for _, a := range c.aliases {
		if err := c.saveAlias(ctx, a); err != nil {
			c.fail("alias %s: %s", a.Name, errorText(err))
		}
	}
	if c.created {
		return nil // with its tags
	}
	return c.retag(ctx, c.here, c.tags, &c.result)
}

// set makes the machine what want says.
func (c *machineCopy) set(ctx context.Context, want machineState) error {
	in, action := want.settings(), "UpdateStateMachine"
	if c.now == nil {
		in["name"], in["type"], in["tags"], action = c.want.Name, c.want.Type, tagList(c.tags), "CreateStateMachine"
	} else {
		if len(c.now.differs(&want)) == 0 {
			return nil
		}
		in["stateMachineArn"] = c.here
	}
	err := c.write(ctx, action, in, nil)
	if isAPIError(err, "InvalidLoggingConfiguration") || isAPIError(err, "AccessDeniedException") {
		return c.setWithoutLogs(ctx, want, err)
	}
	if err == nil {
		c.now = &want
	}
	return err
}

// setWithoutLogs is set where the server does not have the log group: logging
// stays as it is here.
func (c *machineCopy) setWithoutLogs(ctx context.Context, want machineState, why error) error {
	logging := &loggingState{Level: "OFF"}
	if c.now != nil {
		logging = c.now.Logging
	}
	if reflect.DeepEqual(logging, want.Logging) {
		return why
	}
	if note := "logging is left out: " + errorText(why); !slices.Contains(c.notes, note) {
		c.note("%s", note)
	}
	want.Logging = logging
	return c.set(ctx, want)
}

// publishAll publishes the versions that the server does not have.
func (c *machineCopy) publishAll(ctx context.Context) error {
	newest := int64(0)
	if c.now != nil {
		list, err := c.list(ctx, c.to, "ListStateMachineVersions", fields{"stateMachineArn": c.here}, "stateMachineVersions")
		if err != nil {
			return err
		}
		for _, v := range list {
			c.numbers[versionNumber(v.Version)] = true
			newest = max(newest, versionNumber(v.Version))
		}
	}
	for _, v := range c.versions {
		switch {
		case c.numbers[v.number]:
			if err := c.compareVersion(ctx, v); err != nil {
				return err
			}
		case v.number < newest:
			c.fail("version %d cannot be copied: the server has numbers up to %d already, and uses none again", v.number, newest)
		default:
			if err := c.publish(ctx, v); err != nil {
				return err
			}
		}
	}
	return nil
}

func (c *machineCopy) compareVersion(ctx context.Context, v version) error {
	have, err := c.describe(ctx, c.to, c.here+":"+strconv.FormatInt(v.number, 10))
	if err != nil {
		return err
	}
	have.Logging = v.state.Logging // which the server may not have taken
	if have.Description != v.state.Description || len(have.differs(&v.state)) > 0 {
		c.fail("version %d is another one here, and versions never change", v.number)
	}
	return nil
}

// maxGap bounds how many numbers may be used up to reach a version's own.
const maxGap = 10_000

// publish publishes a version under its number. Numbers that the source does not
// have are used up by versions that are deleted at once.
func (c *machineCopy) publish(ctx context.Context, v version) error {
	if err := c.set(ctx, v.state); err != nil {
		return fmt.Errorf("version %d: %w", v.number, err)
	}
	c.words = append(c.words, fmt.Sprint("version ", v.number))
	if c.fate == same {
		c.fate = changed
	}
	c.numbers[v.number] = true
	for range maxGap {
		if c.dryRun {
			return nil
		}
		var answer struct {
			ARN string `json:"stateMachineVersionArn"`
		}
		if err := c.write(ctx, "PublishStateMachineVersion", fields{"stateMachineArn": c.here, "description": v.state.Description}, &answer); err != nil {
			return fmt.Errorf("version %d: %w", v.number, err)
		}
		got := versionNumber(answer.ARN)
		if got == v.number {
			return nil
		}
		if c.numbers[got] { // what the server has is that version already: only its number is new
			if err := c.touch(ctx); err != nil {
				return fmt.Errorf("version %d: %w", v.number, err)
			}
			continue
		}
		if err := c.write(ctx, "DeleteStateMachineVersion", fields{"stateMachineVersionArn": answer.ARN}, nil); err != nil {
			return fmt.Errorf("version %d: %w", v.number, err)
		}
		if got > v.number {
			break
		}
	}
	delete(c.numbers, v.number)
	c.words = c.words[:len(c.words)-1]
	c.fail("version %d cannot be copied: the server does not give that number any more, or not soon", v.number)
	return nil
}

// touch makes a new revision that is like the current one.
func (c *machineCopy) touch(ctx context.Context) error {
	for _, enabled := range []bool{!c.now.Tracing.Enabled, c.now.Tracing.Enabled} {
		in := fields{"stateMachineArn": c.here, "tracingConfiguration": tracingState{enabled}}
		if err := c.write(ctx, "UpdateStateMachine", in, nil); err != nil {
			return err
		}
	}
	return nil
}

func (c *machineCopy) saveAlias(ctx context.Context, a alias) error {
	for _, r := range a.Routes {
		if !c.numbers[versionNumber(r.Version)] {
			return fmt.Errorf("it leads to version %d, which is not here", versionNumber(r.Version))
		}
	}
	var have alias
	here := c.here + ":" + a.Name
	err := fmt.Errorf("describe: %w", &apiError{Code: "ResourceNotFound"})
	if !c.created {
		err = c.to.call(ctx, "DescribeStateMachineAlias", fields{"stateMachineAliasArn": here}, &have)
	}
	in := fields{"description": a.Description, "routingConfiguration": a.Routes}
	switch {
	case isAPIError(err, "ResourceNotFound"):
		in["name"] = a.Name
		err = c.write(ctx, "CreateStateMachineAlias", in, nil)
	case err == nil && reflect.DeepEqual(have, a):
		return nil
	case err == nil:
		in["stateMachineAliasArn"] = here
		err = c.write(ctx, "UpdateStateMachineAlias", in, nil)
	}
	if err == nil {
		c.change("alias " + a.Name)
	}
	return err
}
