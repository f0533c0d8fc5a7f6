package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sfn"
	"github.com/aws/aws-sdk-go-v2/service/sfn/types"
	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
)

// terraform makes the calls that Terraform's AWS provider makes, in its order:
// those of aws_sfn_activity, aws_sfn_state_machine and aws_sfn_alias.
type terraform struct {
	*tour
	page string // docs/terraform.md

	// The ids that Terraform's state has.
	activity, machine, alias *string
}

func (tf *terraform) steps() []step {
	return []step{
		{"terraform configuration", tf.configuration},
		{"terraform activity", tf.activities},
		{"terraform plan and create", tf.create},
		{"terraform plan without changes", tf.unchanged},
		{"terraform update and publish", tf.update},
		{"terraform update without publish", tf.updateOnly},
		{"terraform tags", tf.retag},
		{"terraform alias", tf.aliases},
		{"terraform import", tf.imports},
		{"terraform what is gone", tf.gone},
		{"terraform destroy", tf.destroy},
	}
}

// arguments are those of the provider, as far as the page may need them.
var arguments = map[string][]string{
	"provider aws": {
		"access_key", "endpoints", "endpoints.sfn", "region", "secret_key",
		"skip_credentials_validation", "skip_metadata_api_check", "skip_requesting_account_id",
	},
	"resource aws_sfn_activity":      {"name", "tags"},
	"resource aws_sfn_state_machine": {"definition", "name", "publish", "role_arn", "tags", "type"},
	"resource aws_sfn_alias":         {"description", "name", "routing_configuration", "routing_configuration.state_machine_version_arn", "routing_configuration.weight"},
}

// configuration parses what the page shows.
func (tf *terraform) configuration(context.Context) {
	_, text, _ := strings.Cut(string(must(os.ReadFile(tf.page))), "```hcl\n")
	text, _, found := strings.Cut(text, "```")
	equal([]any{found}, true)
	file, wrong := hclsyntax.ParseConfig([]byte(text), "main.tf", hcl.InitialPos)
	if wrong.HasErrors() {
		panic(broken{wrong.Error()})
	}
	seen := map[string]bool{}
	for _, block := range file.Body.(*hclsyntax.Body).Blocks {
		kind := block.Type + " " + block.Labels[0]
		seen[kind] = true
		known, ok := arguments[kind]
		equal([]any{kind, ok}, kind, true)
		for _, name := range argumentsOf(block.Body, "") {
			equal([]any{kind, name, slices.Contains(known, name)}, kind, name, true)
		}
	}
	equal([]any{len(seen)}, len(arguments))
}

func argumentsOf(body *hclsyntax.Body, prefix string) (list []string) {
	for _, name := range slices.Sorted(maps.Keys(body.Attributes)) {
		list = append(list, prefix+name)
	}
	for _, block := range body.Blocks {
		list = append(append(list, prefix+block.Type), argumentsOf(block.Body, prefix+block.Type+".")...)
	}
	return list
}

// tagsOf is what follows every read of what has tags.
func (tf *terraform) tagsOf(ctx context.Context, arn *string) map[string]string {
	tags := map[string]string{}
	for _, tag := range must(tf.sfn.ListTagsForResource(ctx, &sfn.ListTagsForResourceInput{ResourceArn: arn})).Tags {
		tags[*tag.Key] = *tag.Value
	}
	return tags
}

// setTags is how the provider changes tags: away with the old ones first.
func (tf *terraform) setTags(ctx context.Context, arn *string, away []string, tags ...types.Tag) {
	if len(away) > 0 {
		must(tf.sfn.UntagResource(ctx, &sfn.UntagResourceInput{ResourceArn: arn, TagKeys: away}))
	}
	if len(tags) > 0 {
		must(tf.sfn.TagResource(ctx, &sfn.TagResourceInput{ResourceArn: arn, Tags: tags}))
	}
}

func tag(key, value string) types.Tag {
	return types.Tag{Key: aws.String(key), Value: aws.String(value)}
}

func (tf *terraform) activities(ctx context.Context) {
	made := must(tf.sfn.CreateActivity(ctx, &sfn.CreateActivityInput{Name: aws.String("tf-review"), Tags: []types.Tag{tag("team", "a")}}))
	tf.activity = made.ActivityArn
	read := func(tags map[string]string) {
		a := must(tf.sfn.DescribeActivity(ctx, &sfn.DescribeActivityInput{ActivityArn: tf.activity}))
		equal([]any{a.Name, a.CreationDate, tf.tagsOf(ctx, tf.activity)}, "tf-review", *made.CreationDate, tags)
	}
	read(map[string]string{"team": "a"})
	tf.setTags(ctx, tf.activity, []string{"team"}, tag("stage", "test"))
	read(map[string]string{"stage": "test"})
}

func (tf *terraform) definition(name string) *string {
	return aws.String(strings.ReplaceAll(*tf.read(name), "ACTIVITY", *tf.activity))
}

// plan is what a change of the definition leads to before anything else.
func (tf *terraform) plan(ctx context.Context, definition *string) {
	said := must(tf.sfn.ValidateStateMachineDefinition(ctx, &sfn.ValidateStateMachineDefinitionInput{Definition: definition, Type: types.StateMachineTypeStandard}))
	equal([]any{said.Result}, types.ValidateStateMachineDefinitionResultCodeOk)
}

// machineState is what Terraform's state holds of a machine.
type machineState struct {
	Name, Definition, Role, Revision, Version string
	Created                                   time.Time
	Status                                    types.StateMachineStatus
	Type                                      types.StateMachineType
	Level                                     types.LogLevel
	Traced, Encrypted                         bool
	Tags                                      map[string]string
}

func (tf *terraform) readMachine(ctx context.Context) (state machineState, err error) {
	m, err := tf.sfn.DescribeStateMachine(ctx, &sfn.DescribeStateMachineInput{StateMachineArn: tf.machine})
	if err != nil {
		return state, err
	}
	state = machineState{
		Name: *m.Name, Definition: *m.Definition, Role: *m.RoleArn, Revision: aws.ToString(m.RevisionId), Created: *m.CreationDate,
		Status: m.Status, Type: m.Type, Level: m.LoggingConfiguration.Level, Traced: m.TracingConfiguration.Enabled, Encrypted: m.EncryptionConfiguration != nil,
	}
	versions := must(tf.sfn.ListStateMachineVersions(ctx, &sfn.ListStateMachineVersionsInput{StateMachineArn: tf.machine})).StateMachineVersions
	if len(versions) > 0 {
		state.Version = *versions[0].StateMachineVersionArn
	}
	state.Tags = tf.tagsOf(ctx, tf.machine)
	return state, nil
}

func (tf *terraform) create(ctx context.Context) {
	tf.plan(ctx, tf.definition("work"))
	bad := must(tf.sfn.ValidateStateMachineDefinition(ctx, &sfn.ValidateStateMachineDefinitionInput{Definition: aws.String("{}"), Type: types.StateMachineTypeStandard}))
	equal([]any{bad.Result, bad.Diagnostics[0].Code != nil, bad.Diagnostics[0].Message != nil}, types.ValidateStateMachineDefinitionResultCodeFail, true, true)
	made := must(tf.sfn.CreateStateMachine(ctx, &sfn.CreateStateMachineInput{
		Name: aws.String("tf-orders"), Definition: tf.definition("work"), RoleArn: role, Publish: true, Type: types.StateMachineTypeStandard, Tags: []types.Tag{tag("team", "a")},
	}))
	tf.machine = made.StateMachineArn
	equal([]any{must(tf.readMachine(ctx))}, machineState{
		Name: "tf-orders", Definition: *tf.definition("work"), Role: *role, Version: *tf.machine + ":1", Created: *made.CreationDate,
		Status: types.StateMachineStatusActive, Type: types.StateMachineTypeStandard, Level: types.LogLevelOff, Tags: map[string]string{"team": "a"},
	})
}

// unchanged reads twice: a plan without changes is a read that finds what the
// state has.
func (tf *terraform) unchanged(ctx context.Context) {
	equal([]any{must(tf.readMachine(ctx))}, must(tf.readMachine(ctx)))
}

// change is an update of the machine with a new definition: the definition and
// the role are always sent, logging and tracing where they change, and a
// description, though empty, with a version.
func (tf *terraform) change(ctx context.Context, in *sfn.UpdateStateMachineInput) {
	tf.plan(ctx, in.Definition)
	if in.StateMachineArn, in.RoleArn = tf.machine, role; in.Publish {
		in.VersionDescription = aws.String("")
	}
	must(tf.sfn.UpdateStateMachine(ctx, in))
	now := must(tf.sfn.DescribeStateMachine(ctx, &sfn.DescribeStateMachineInput{StateMachineArn: tf.machine}))
	equal([]any{now.Definition, now.RoleArn}, *in.Definition, *role)
}

func (tf *terraform) update(ctx context.Context) {
	was := must(tf.readMachine(ctx))
	tf.change(ctx, &sfn.UpdateStateMachineInput{
		Definition: tf.read("wait"), Publish: true,
		LoggingConfiguration: &types.LoggingConfiguration{Level: types.LogLevelOff, IncludeExecutionData: false},
		TracingConfiguration: &types.TracingConfiguration{Enabled: true},
	})
	now := must(tf.readMachine(ctx))
	equal([]any{now.Revision != was.Revision, now.Version, now.Traced}, true, *tf.machine+":2", true)
	want := was
	want.Definition, want.Revision, want.Version, want.Traced = *tf.read("wait"), now.Revision, now.Version, true
	equal([]any{now}, want)
	tf.unchanged(ctx)
}

func (tf *terraform) updateOnly(ctx context.Context) {
	tf.change(ctx, &sfn.UpdateStateMachineInput{Definition: tf.definition("work")})
	now := must(tf.readMachine(ctx))
	equal([]any{now.Definition, now.Version, now.Traced}, *tf.definition("work"), *tf.machine+":2", true)
	// With publish = true in the configuration and nothing else, the revision gets a number.
	tf.change(ctx, &sfn.UpdateStateMachineInput{Definition: tf.definition("work"), Publish: true})
	published := must(tf.readMachine(ctx))
	equal([]any{published.Version, published.Revision}, *tf.machine+":3", now.Revision)
}

func (tf *terraform) retag(ctx context.Context) {
	was := must(tf.readMachine(ctx))
	tf.setTags(ctx, tf.machine, []string{"team"}, tag("stage", "test"), tag("owner", ""))
	was.Tags = map[string]string{"stage": "test", "owner": ""}
	equal([]any{must(tf.readMachine(ctx))}, was)
	tf.setTags(ctx, tf.machine, []string{"stage", "owner"})
	was.Tags = map[string]string{}
	equal([]any{must(tf.readMachine(ctx))}, was)
}

func (tf *terraform) readAlias(ctx context.Context) []any {
	a := must(tf.sfn.DescribeStateMachineAlias(ctx, &sfn.DescribeStateMachineAliasInput{StateMachineAliasArn: tf.alias}))
	state := []any{*a.StateMachineAliasArn, *a.Name, aws.ToString(a.Description)}
	for _, r := range a.RoutingConfiguration {
		state = append(state, fmt.Sprint(strings.TrimPrefix(*r.StateMachineVersionArn, *tf.machine), "=", r.Weight))
	}
	return state
}

func (tf *terraform) routes(weights ...int32) (list []types.RoutingConfigurationListItem) {
	for i, weight := range weights {
		list = append(list, types.RoutingConfigurationListItem{StateMachineVersionArn: aws.String(fmt.Sprint(*tf.machine, ":", i+1)), Weight: weight})
	}
	return list
}

func (tf *terraform) aliases(ctx context.Context) {
	made := must(tf.sfn.CreateStateMachineAlias(ctx, &sfn.CreateStateMachineAliasInput{Name: aws.String("live"), Description: aws.String(""), RoutingConfiguration: tf.routes(100)}))
	tf.alias = made.StateMachineAliasArn
	equal(tf.readAlias(ctx), *tf.alias, "live", "", ":1=100")
	equal(tf.readAlias(ctx), tf.readAlias(ctx)...)
	must(tf.sfn.UpdateStateMachineAlias(ctx, &sfn.UpdateStateMachineAliasInput{StateMachineAliasArn: tf.alias, RoutingConfiguration: tf.routes(0, 100)}))
	equal(tf.readAlias(ctx), *tf.alias, "live", "", ":1=0", ":2=100")
	must(tf.sfn.UpdateStateMachineAlias(ctx, &sfn.UpdateStateMachineAliasInput{StateMachineAliasArn: tf.alias, Description: aws.String("new")}))
	equal(tf.readAlias(ctx), *tf.alias, "live", "new", ":1=0", ":2=100")
}

// imports begins with nothing but an id, which is an ARN, and reads.
func (tf *terraform) imports(ctx context.Context) {
	fresh := &terraform{tour: tf.tour, machine: aws.String("arn:aws:states:us-east-1:123456789012:stateMachine:tf-orders")}
	fresh.alias = aws.String(*fresh.machine + ":live")
	fresh.activity = aws.String("arn:aws:states:us-east-1:123456789012:activity:tf-review")
	equal([]any{must(fresh.readMachine(ctx))}, must(tf.readMachine(ctx)))
	equal(fresh.readAlias(ctx), tf.readAlias(ctx)...)
	equal([]any{fresh.tagsOf(ctx, fresh.activity)}, tf.tagsOf(ctx, tf.activity))
}

// gone are resources that somebody else has deleted: the provider goes by the
// types of the errors and creates them anew.
func (tf *terraform) gone(ctx context.Context) {
	machine := aws.String(*tf.machine + "-gone")
	refused[*types.StateMachineDoesNotExist](tf.sfn.DescribeStateMachine(ctx, &sfn.DescribeStateMachineInput{StateMachineArn: machine}))
	refused[*types.ResourceNotFound](tf.sfn.DescribeStateMachineAlias(ctx, &sfn.DescribeStateMachineAliasInput{StateMachineAliasArn: aws.String(*machine + ":live")}))
	refused[*types.ActivityDoesNotExist](tf.sfn.DescribeActivity(ctx, &sfn.DescribeActivityInput{ActivityArn: aws.String(*tf.activity + "-gone")}))
}

// destroy takes all away, users first, and waits until the machine, which has an
// execution running, cannot be described any more.
func (tf *terraform) destroy(ctx context.Context) {
	must(tf.sfn.StartExecution(ctx, &sfn.StartExecutionInput{StateMachineArn: tf.machine}))
	must(tf.sfn.DeleteStateMachineAlias(ctx, &sfn.DeleteStateMachineAliasInput{StateMachineAliasArn: tf.alias}))
	must(tf.sfn.DeleteStateMachine(ctx, &sfn.DeleteStateMachineInput{StateMachineArn: tf.machine}))
	for {
		_, err := tf.sfn.DescribeStateMachine(ctx, &sfn.DescribeStateMachineInput{StateMachineArn: tf.machine})
		if missing := (*types.StateMachineDoesNotExist)(nil); errors.As(err, &missing) {
			break
		}
		must(0, err)
		time.Sleep(50 * time.Millisecond)
	}
	must(tf.sfn.DeleteActivity(ctx, &sfn.DeleteActivityInput{ActivityArn: tf.activity}))
	again := must(tf.sfn.CreateStateMachine(ctx, &sfn.CreateStateMachineInput{Name: aws.String("tf-orders"), Definition: tf.read("greet"), RoleArn: role, Tags: []types.Tag{}}))
	must(tf.sfn.DeleteStateMachine(ctx, &sfn.DeleteStateMachineInput{StateMachineArn: again.StateMachineArn}))
}
