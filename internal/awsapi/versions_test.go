package awsapi

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/lockstep-run/lockstep/internal/store"
)

// update gives a machine another role and so another revision.
func (w *world) update(machine string, n int) string {
	w.t.Helper()
	w.engine.now++
	got := w.ask("UpdateStateMachine", fmt.Sprintf(`{'stateMachineArn':'$sm(%s)','roleArn':'arn:aws:iam::1:role/%d'}`, machine, n))
	_, revision, ok := strings.Cut(got, `"revisionId":"`)
	if !ok {
		w.t.Fatalf("UpdateStateMachine: %s", got)
	}
	return strings.TrimSuffix(revision, `"}`)
}

func TestPublishWithCreateAndUpdate(t *testing.T) {
	w := newWorld(t)
	const head = `'definition':'{\'StartAt\':\'P\',\'States\':{\'P\':{\'Type\':\'Pass\',\'End\':true}}}','roleArn':'arn:aws:iam::1:role/r'`
	create := func(more, want string) {
		t.Helper()
		w.engine.now++
		w.call("CreateStateMachine", `{`+head+`,`+more+`}`, want)
	}
	create(`'name':'e','type':'EXPRESS','publish':true`, `{'stateMachineArn':'$sm(e)','creationDate':1700000000.121,'stateMachineVersionArn':'$sm(e:1)'}`)
	const first = `{'stateMachineArn':'$sm(m)','creationDate':1700000000.122,'stateMachineVersionArn':'$sm(m:1)'}`
	create(`'name':'m','publish':true,'versionDescription':'d'`, first)

	// The same call again, and calls that differ in what they publish.
	create(`'name':'m','publish':true,'versionDescription':'d'`, first)
	const exists = "StateMachineAlreadyExists: State Machine Already Exists: ~$sm(m)~"
	create(`'name':'m','publish':true,'versionDescription':'other'`, exists)
	create(`'name':'m','publish':true`, exists)
	create(`'name':'m'`, exists)
	create(`'name':'n'`, `{'stateMachineArn':'$sm(n)','creationDate':1700000000.127}`)
	w.call("PublishStateMachineVersion", `{'stateMachineArn':'$sm(n)'}`, `{'creationDate':1700000000.127,'stateMachineVersionArn':'$sm(n:1)'}`)

	update := func(more, want string) {
		t.Helper()
		got := w.ask("UpdateStateMachine", `{'stateMachineArn':'$sm(m)',`+more+`}`)
		if _, got, _ = strings.Cut(got, `"stateMachineVersionArn":`); got != expand(want) {
			t.Errorf("update with %s publishes %s, want %s", more, got, expand(want))
		}
	}
	update(`'roleArn':'arn:aws:iam::1:role/r','publish':true`, `'$sm(m:1)'}`) // nothing changes
	update(`'roleArn':'arn:aws:iam::1:role/2'`, ``)
	update(`'roleArn':'arn:aws:iam::1:role/2','publish':true`, `'$sm(m:2)'}`)
	update(`'roleArn':'arn:aws:iam::1:role/3','publish':true`, `'$sm(m:3)'}`)
	w.call("UpdateStateMachine", `{'stateMachineArn':'$sm(m)','publish':true}`, "MissingRequiredParameter: Either the definition, the role ARN, the LoggingConfiguration, or the TracingConfiguration must be specified")
	w.call("UpdateStateMachine", `{'stateMachineArn':'$sm(m:1)','roleArn':'arn:aws:iam::1:role/4'}`, "StateMachineDoesNotExist: State Machine Does Not Exist: ~$sm(m:1)~")
	w.call("UpdateStateMachine", `{'stateMachineArn':'$sm(m)','roleArn':'arn:aws:iam::1:role/4','versionDescription':'d'}`, "ValidationException: Version description can only be set when publish is true")
}

func TestPublishStateMachineVersion(t *testing.T) {
	w := newWorld(t)
	w.create("m", passes)
	publish := func(more, want string) {
		t.Helper()
		w.engine.now += 1000
		w.call("PublishStateMachineVersion", `{'stateMachineArn':'$sm(m)'`+more+`}`, want)
	}
	publish(`,'revisionId':'x'`, "ConflictException 409: Failed to publish the State Machine version for revision x. The current State Machine revision is INITIAL.")
	publish(`,'revisionId':'INITIAL','description':'one'`, `{'creationDate':1700000002.120,'stateMachineVersionArn':'$sm(m:1)'}`)
	publish(`,'description':'ignored'`, `{'creationDate':1700000002.120,'stateMachineVersionArn':'$sm(m:1)'}`)
	old := w.update("m", 1)
	publish(`,'revisionId':'`+old+`'`, `{'creationDate':1700000004.121,'stateMachineVersionArn':'$sm(m:2)'}`)
	current := w.update("m", 2)
	publish(`,'revisionId':'`+old+`'`, "ConflictException 409: Failed to publish the State Machine version for revision "+old+". The current State Machine revision is "+current+".")
	publish(`,'description':'`+strings.Repeat("d", 257)+`'`, "ValidationException: 1 validation error detected: Value at ~description~ failed to satisfy constraint: Member must have length less than or equal to 256")

	// Numbers are not used again.
	publish(``, `{'creationDate':1700000007.122,'stateMachineVersionArn':'$sm(m:3)'}`)
	w.call("DeleteStateMachineVersion", `{'stateMachineVersionArn':'$sm(m:3)'}`, `{}`)
	w.call("DeleteStateMachineVersion", `{'stateMachineVersionArn':'$sm(m:3)'}`, `{}`)
	publish(``, `{'creationDate':1700000008.122,'stateMachineVersionArn':'$sm(m:4)'}`)

	f := func(op, body, want string) {
		t.Helper()
		w.call(op, body, want)
	}
	f("PublishStateMachineVersion", `{'stateMachineArn':'x'}`, "InvalidArn: Invalid Arn: ~Invalid ARN prefix: x~")
	f("PublishStateMachineVersion", `{'stateMachineArn':'$sm(gone)'}`, "StateMachineDoesNotExist: State Machine Does Not Exist: ~$sm(gone)~")
	f("PublishStateMachineVersion", `{'stateMachineArn':'$sm(m:1)'}`, "StateMachineDoesNotExist: State Machine Does Not Exist: ~$sm(m:1)~")
	f("DeleteStateMachineVersion", `{'stateMachineVersionArn':'$sm(gone:1)'}`, `{}`)
	f("DeleteStateMachineVersion", `{'stateMachineVersionArn':'$sm(m)'}`, "ValidationException: A state machine version ARN is required. Received: $sm(m)")

	f("ListStateMachineVersions", `{'stateMachineArn':'$sm(m)'}`, `{'stateMachineVersions':[{'stateMachineVersionArn':'$sm(m:4)','creationDate':1700000008.122},`+
		`{'stateMachineVersionArn':'$sm(m:2)','creationDate':1700000004.121},{'stateMachineVersionArn':'$sm(m:1)','creationDate':1700000002.120}]}`)
	page := w.ask("ListStateMachineVersions", `{'stateMachineArn':'$sm(m)','maxResults':2}`)
	_, token, _ := strings.Cut(page, `"nextToken":"`)
	token = strings.TrimSuffix(token, `"}`)
	f("ListStateMachineVersions", `{'stateMachineArn':'$sm(m)','maxResults':1,'nextToken':'`+token+`'}`, `{'stateMachineVersions':[{'stateMachineVersionArn':'$sm(m:1)','creationDate':1700000002.120}]}`)
	f("ListStateMachineVersions", `{'stateMachineArn':'$sm(m)','nextToken':'no'}`, "InvalidToken: Invalid Token: ~Invalid token~")
	f("ListStateMachineVersions", `{'stateMachineArn':'$sm(gone)'}`, "StateMachineDoesNotExist: State Machine Does Not Exist: ~$sm(gone)~")
	w.create("none", passes)
	f("ListStateMachineVersions", `{'stateMachineArn':'$sm(none)'}`, `{'stateMachineVersions':[]}`)
}

func TestDescribeVersion(t *testing.T) {
	w := newWorld(t)
	w.create("m", passes, `,"publish":true,"versionDescription":"first"`)
	revision := w.update("m", 2)
	w.engine.now += 1000
	w.ask("PublishStateMachineVersion", `{'stateMachineArn':'$sm(m)'}`)
	w.update("m", 3)
	f := func(qualifier, want string) {
		t.Helper()
		w.call("DescribeStateMachine", `{'stateMachineArn':'$sm(m`+qualifier+`)','includedData':'METADATA_ONLY'}`,
			`{'stateMachineArn':'$sm(m`+qualifier+`)','name':'m','status':'ACTIVE','type':'STANDARD',`+want+`,`+described+`,'definition':'{}'}`)
	}
	f(":1", `'creationDate':1700000000.120,'description':'first','roleArn':'arn:aws:iam::123456789012:role/r'`)
	f(":2", `'creationDate':1700000001.121,'roleArn':'arn:aws:iam::1:role/2','revisionId':'`+revision+`'`)
	for _, qualifier := range []string{":3", ":0", ":01", ":-1", ":alias", ":1:1", ":9999999999999999999"} {
		w.call("DescribeStateMachine", `{'stateMachineArn':'$sm(m`+qualifier+`)'}`, "StateMachineDoesNotExist: State Machine Does Not Exist: ~$sm(m"+qualifier+")~")
	}
}

func TestVersionQuota(t *testing.T) {
	w := newWorld(t)
	w.create("m", passes)
	m, err := w.engine.Machine(t.Context(), "m")
	if err != nil {
		t.Fatal(err)
	}
	err = w.engine.Write(t.Context(), func(ctx context.Context, tx store.Tx) error {
		for range maxVersions {
			if _, err := tx.AddVersion(ctx, store.Version{Machine: m.ID}); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	const over = "ServiceQuotaExceededException 402: The state machine has reached the limit of 1000 versions."
	w.call("PublishStateMachineVersion", `{'stateMachineArn':'$sm(m)'}`, over)
	w.call("UpdateStateMachine", `{'stateMachineArn':'$sm(m)','roleArn':'arn:aws:iam::1:role/2','publish':true}`, over)
	if got := w.ask("DescribeStateMachine", `{'stateMachineArn':'$sm(m)'}`); strings.Contains(got, "role/2") {
		t.Errorf("an update that could not publish has happened: %s", got)
	}
	w.call("DeleteStateMachineVersion", `{'stateMachineVersionArn':'$sm(m:7)'}`, `{}`)
	w.call("PublishStateMachineVersion", `{'stateMachineArn':'$sm(m)'}`, `{'creationDate':1700000000.120,'stateMachineVersionArn':'$sm(m:1001)'}`)
	w.update("m", 1)
	w.call("PublishStateMachineVersion", `{'stateMachineArn':'$sm(m)'}`, over)
}

func TestStartByVersion(t *testing.T) {
	w := newWorld(t)
	w.create("m", passes, `,"publish":true`)
	w.update("m", 2)
	start := func(qualifier, name string) {
		t.Helper()
		if got := w.ask("StartExecution", `{'stateMachineArn':'$sm(m`+qualifier+`)','name':'`+name+`'}`); !strings.HasPrefix(got, expand(`{'executionArn':'$ex(m:`+name+`)'`)) {
			t.Errorf("started %s", got)
		}
	}
	start(":1", "old")
	start("", "new")
	if s := w.engine.starts; s[0].Revision == s[1].Revision || s[0].Via != (store.Via{Number: 1}) || s[1].Via != (store.Via{}) {
		t.Errorf("started %+v", s)
	}
	has := func(op, body, want string, there bool) {
		t.Helper()
		if got := w.ask(op, body); strings.Contains(got, expand(want)) != there {
			t.Errorf("%s %s: %s\nhas %s: want %v", op, body, got, expand(want), there)
		}
	}
	const version = `'stateMachineArn':'$sm(m)','stateMachineVersionArn':'$sm(m:1)','name'`
	has("DescribeExecution", `{'executionArn':'$ex(m:old)'}`, version, true)
	has("DescribeExecution", `{'executionArn':'$ex(m:new)'}`, `VersionArn`, false)
	has("GetExecutionHistory", `{'executionArn':'$ex(m:old)'}`, `'stateMachineVersionArn':'$sm(m:1)'`, true)
	has("DescribeStateMachineForExecution", `{'executionArn':'$ex(m:old)'}`, `'stateMachineArn':'$sm(m)'`, true)
	has("DescribeStateMachineForExecution", `{'executionArn':'$ex(m:old)'}`, `role/r'`, true)
	has("ListExecutions", `{'stateMachineArn':'$sm(m)'}`, version, true)
	has("ListExecutions", `{'stateMachineArn':'$sm(m)'}`, `$ex(m:new)`, true)
	has("ListExecutions", `{'stateMachineArn':'$sm(m:1)'}`, version, true)
	has("ListExecutions", `{'stateMachineArn':'$sm(m:1)'}`, `$ex(m:new)`, false)

	// What it has started remembers a version that is gone.
	w.ask("DeleteStateMachineVersion", `{'stateMachineVersionArn':'$sm(m:1)'}`)
	has("DescribeExecution", `{'executionArn':'$ex(m:old)'}`, version, true)
	for _, op := range []string{"StartExecution", "ListExecutions", "StartSyncExecution"} {
		w.call(op, `{'stateMachineArn':'$sm(m:1)'}`, "StateMachineDoesNotExist: State Machine Does Not Exist: ~$sm(m:1)~")
	}
}
