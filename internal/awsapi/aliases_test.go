package awsapi

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/lockstep-run/lockstep/internal/store"
)

// publish makes another revision of a machine and publishes it.
func (w *world) publish(machine string, n int) {
	w.t.Helper()
	w.update(machine, n)
	if got := w.ask("PublishStateMachineVersion", `{'stateMachineArn':'$sm(`+machine+`)'}`); !strings.Contains(got, "stateMachineVersionArn") {
		w.t.Fatal(got)
	}
}

// routes writes a routingConfiguration: routes("m:1", 30, "m:2", 70).
func routes(list ...any) string {
	var items []string
	for i := 0; i < len(list); i += 2 {
		items = append(items, fmt.Sprintf(`{'stateMachineVersionArn':'$sm(%s)','weight':%d}`, list[i], list[i+1]))
	}
	return `'routingConfiguration':[` + strings.Join(items, ",") + `]`
}

func TestAliasLives(t *testing.T) {
	w := newWorld(t)
	w.create("m", passes, `,"publish":true`)
	w.publish("m", 2) // at .121
	f := func(op, body, want string) {
		t.Helper()
		w.call(op, body, want)
	}
	f("ListStateMachineAliases", `{'stateMachineArn':'$sm(m)'}`, `{'stateMachineAliases':[]}`)
	const created = `{'stateMachineAliasArn':'$sm(m:prod)','creationDate':1700000000.121}`
	f("CreateStateMachineAlias", `{'name':'prod','description':'d',`+routes("m:1", 100)+`}`, created)
	w.engine.now += 1000
	f("CreateStateMachineAlias", `{'name':'prod','description':'d',`+routes("m:1", 100)+`}`, created)
	const exists = "ConflictException 409: Failed to create alias because an alias with the same name and a different routing configuration already exists."
	f("CreateStateMachineAlias", `{'name':'prod',`+routes("m:1", 100)+`}`, exists)
	f("CreateStateMachineAlias", `{'name':'prod','description':'d',`+routes("m:2", 100)+`}`, exists)
	f("CreateStateMachineAlias", `{'name':'both',`+routes("m:1", 30, "m:2", 70)+`}`, `{'stateMachineAliasArn':'$sm(m:both)','creationDate':1700000001.121}`)

	f("DescribeStateMachineAlias", `{'stateMachineAliasArn':'$sm(m:prod)'}`, `{'stateMachineAliasArn':'$sm(m:prod)','name':'prod','description':'d',`+
		routes("m:1", 100)+`,'creationDate':1700000000.121,'updateDate':1700000000.121}`)
	f("UpdateStateMachineAlias", `{'stateMachineAliasArn':'$sm(m:prod)',`+routes("m:2", 100)+`}`, `{'updateDate':1700000001.121}`)
	f("UpdateStateMachineAlias", `{'stateMachineAliasArn':'$sm(m:both)','description':'now with one'}`, `{'updateDate':1700000001.121}`)
	f("DescribeStateMachineAlias", `{'stateMachineAliasArn':'$sm(m:prod)'}`, `{'stateMachineAliasArn':'$sm(m:prod)','name':'prod','description':'d',`+
		routes("m:2", 100)+`,'creationDate':1700000000.121,'updateDate':1700000001.121}`)
	f("DescribeStateMachineAlias", `{'stateMachineAliasArn':'$sm(m:both)'}`, `{'stateMachineAliasArn':'$sm(m:both)','name':'both','description':'now with one',`+
		routes("m:1", 30, "m:2", 70)+`,'creationDate':1700000001.121,'updateDate':1700000001.121}`)

	const both = `{'stateMachineAliasArn':'$sm(m:both)','creationDate':1700000001.121}`
	f("ListStateMachineAliases", `{'stateMachineArn':'$sm(m)'}`, `{'stateMachineAliases':[`+both+`,`+created+`]}`)
	f("ListStateMachineAliases", `{'stateMachineArn':'$sm(m:1)'}`, `{'stateMachineAliases':[`+both+`]}`)
	f("ListStateMachineAliases", `{'stateMachineArn':'$sm(m:2)'}`, `{'stateMachineAliases':[`+both+`,`+created+`]}`)
	page := w.ask("ListStateMachineAliases", `{'stateMachineArn':'$sm(m)','maxResults':1}`)
	_, token, _ := strings.Cut(page, `"nextToken":"`)
	f("ListStateMachineAliases", `{'stateMachineArn':'$sm(m)','nextToken':'`+strings.TrimSuffix(token, `"}`)+`'}`, `{'stateMachineAliases':[`+created+`]}`)

	f("DeleteStateMachineVersion", `{'stateMachineVersionArn':'$sm(m:2)'}`,
		"ConflictException 409: Version to be deleted must not be referenced by an alias. Current list of aliases referencing this version: [both, prod]")
	f("DeleteStateMachineAlias", `{'stateMachineAliasArn':'$sm(m:both)'}`, `{}`)
	f("DeleteStateMachineAlias", `{'stateMachineAliasArn':'$sm(m:both)'}`, `{}`)
	f("DeleteStateMachineVersion", `{'stateMachineVersionArn':'$sm(m:1)'}`, `{}`)
	f("DeleteStateMachineVersion", `{'stateMachineVersionArn':'$sm(m:2)'}`,
		"ConflictException 409: Version to be deleted must not be referenced by an alias. Current list of aliases referencing this version: [prod]")

	// A machine takes its versions and aliases with it.
	f("DeleteStateMachine", `{'stateMachineArn':'$sm(m)'}`, `{}`)
	w.create("m", passes)
	f("ListStateMachineAliases", `{'stateMachineArn':'$sm(m)'}`, `{'stateMachineAliases':[]}`)
	f("ListStateMachineVersions", `{'stateMachineArn':'$sm(m)'}`, `{'stateMachineVersions':[]}`)
	f("PublishStateMachineVersion", `{'stateMachineArn':'$sm(m)'}`, `{'creationDate':1700000001.121,'stateMachineVersionArn':'$sm(m:1)'}`)
}

func TestAliasRefused(t *testing.T) {
	w := newWorld(t)
	w.create("m", passes, `,"publish":true`)
	w.publish("m", 2)
	w.create("other", passes, `,"publish":true`)
	f := func(body, want string) {
		t.Helper()
		w.call("CreateStateMachineAlias", `{`+body+`}`, want)
	}
	const broken = "ValidationException: 1 validation error detected: Value "
	const pattern = ` at ~name~ failed to satisfy constraint: Member must satisfy regular expression pattern: ^(?=.*[a-zA-Z_\-\.])[a-zA-Z0-9_\-\.]+$`
	one := routes("m:1", 100)
	for _, name := range []string{"123", "INVALID ALIAS", "!INVALID", "ALIAS@", "é"} {
		f(`'name':'`+name+`',`+one, broken+"~"+name+"~"+pattern)
	}
	long := strings.Repeat("A", 81)
	f(`'name':'`+long+`',`+one, broken+"~"+long+"~ at ~name~ failed to satisfy constraint: Member must have length less than or equal to 80")
	f(`'name':'a'`, broken+"null at ~routingConfiguration~ failed to satisfy constraint: Member must not be null")
	f(`'name':'a','routingConfiguration':[]`, broken+"~[]~ at ~routingConfiguration~ failed to satisfy constraint: Member must have length greater than or equal to 1")
	f(`'name':'a',`+routes("m:1", 101), broken+"~101~ at ~routingConfiguration.1.member.weight~ failed to satisfy constraint: Member must have value less than or equal to 100")
	f(`'name':'a','routingConfiguration':[{'stateMachineVersionArn':'$sm(m:1)'}]`, broken+"null at ~routingConfiguration.1.member.weight~ failed to satisfy constraint: Member must not be null")
	f(`'name':'a',`+routes("m:1", 50, "m:2", 25, "m:3", 25), broken+"~[RoutingConfigurationListItem(stateMachineVersionArn=$sm(m:1), weight=50), "+
		"RoutingConfigurationListItem(stateMachineVersionArn=$sm(m:2), weight=25), RoutingConfigurationListItem(stateMachineVersionArn=$sm(m:3), weight=25)]~"+
		" at ~routingConfiguration~ failed to satisfy constraint: Member must have length less than or equal to 2")

	f(`'name':'a',`+routes("m:1", 70, "m:2", 31), "ValidationException: Sum of routing configuration weights must equal 100. Received: [70, 31]")
	f(`'name':'a',`+routes("m", 100), "ValidationException: Routing configuration must contain state machine version ARNs. Received: [$sm(m)]")
	f(`'name':'a',`+routes("m:1", 50, "m:b", 50), "ValidationException: Routing configuration must contain state machine version ARNs. Received: [$sm(m:1), $sm(m:b)]")
	f(`'name':'a',`+routes("m:1", 50, "m:1", 50), "ValidationException: Routing configuration must contain distinct state machine version ARNs. Received: [$sm(m:1), $sm(m:1)]")
	f(`'name':'a',`+routes("m:1", 50, "other:1", 50), "ValidationException: Routing configuration must contain versions of one state machine. Received: [$sm(m:1), $sm(other:1)]")
	f(`'name':'a','routingConfiguration':[{'stateMachineVersionArn':'x','weight':100}]`, "InvalidArn: Invalid Arn: ~Invalid ARN prefix: x~")
	const missing = "ResourceNotFound: Request references a resource that does not exist."
	f(`'name':'a',`+routes("m:3", 100), missing)
	f(`'name':'a',`+routes("gone:1", 100), missing)
	if _, body := w.post("CreateStateMachineAlias", expand(`{'name':'a',`+routes("m:1", 1)+`}`)); !strings.Contains(body, `"reason":"INVALID_ROUTING_CONFIGURATION"`) {
		t.Errorf("no reason in %s", body)
	}

	w.ask("CreateStateMachineAlias", `{'name':'a',`+one+`}`)
	w.call("UpdateStateMachineAlias", `{'stateMachineAliasArn':'$sm(m:a)'}`, "ValidationException: Either the description or the routing configuration must be specified")
	w.call("UpdateStateMachineAlias", `{'stateMachineAliasArn':'$sm(m:a)',`+routes("other:1", 100)+`}`, "ValidationException: Routing configuration must contain versions of the state machine that the alias is of. Received: $sm(other)")
	w.call("UpdateStateMachineAlias", `{'stateMachineAliasArn':'$sm(m:a)',`+routes("m:9", 100)+`}`, missing)
	for _, arn := range []string{"$sm(m:gone)", "$sm(gone:a)", "$sm(m:1)", "$sm(m)"} {
		w.call("UpdateStateMachineAlias", `{'stateMachineAliasArn':'`+arn+`','description':'d'}`, missing)
		w.call("DescribeStateMachineAlias", `{'stateMachineAliasArn':'`+arn+`'}`, missing)
	}
	w.call("DescribeStateMachineAlias", `{'stateMachineAliasArn':'x'}`, "InvalidArn: Invalid Arn: ~Invalid ARN prefix: x~")
	w.call("DescribeStateMachine", `{'stateMachineArn':'$sm(m:a)'}`, "StateMachineDoesNotExist: State Machine Does Not Exist: ~$sm(m:a)~")
	w.call("ListStateMachineAliases", `{'stateMachineArn':'$sm(gone)'}`, "StateMachineDoesNotExist: State Machine Does Not Exist: ~$sm(gone)~")
	w.call("ListStateMachineAliases", `{'stateMachineArn':'$sm(m:9)'}`, missing)
}

func TestAliasQuota(t *testing.T) {
	w := newWorld(t)
	w.create("m", passes, `,"publish":true`)
	m, err := w.engine.Machine(t.Context(), "m")
	if err != nil {
		t.Fatal(err)
	}
	err = w.engine.Write(t.Context(), func(ctx context.Context, tx store.Tx) error {
		for i := range maxAliases {
			if err := tx.SaveAlias(ctx, store.Alias{Machine: m.ID, Name: fmt.Sprint("a", i), Routes: []store.Route{{Number: 1, Weight: 100}}}); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	w.call("CreateStateMachineAlias", `{'name':'b',`+routes("m:1", 100)+`}`, "ServiceQuotaExceededException 402: The state machine has reached the limit of 100 aliases.")
	w.call("CreateStateMachineAlias", `{'name':'a7',`+routes("m:1", 100)+`}`, `{'stateMachineAliasArn':'$sm(m:a7)','creationDate':0.000}`)
}

// TestStartByAlias follows an alias as it is moved and split.
func TestStartByAlias(t *testing.T) {
	w := newWorld(t)
	w.create("m", passes, `,"publish":true`)
	w.publish("m", 2)
	w.ask("CreateStateMachineAlias", `{'name':'prod',`+routes("m:1", 100)+`}`)
	start := func(times int) (by [3]int) {
		t.Helper()
		before := len(w.engine.starts)
		for range times {
			if got := w.ask("StartExecution", `{'stateMachineArn':'$sm(m:prod)'}`); !strings.HasPrefix(got, "{") {
				t.Fatal(got)
			}
		}
		revisions := map[int64]store.RevisionID{}
		for _, s := range w.engine.starts[before:] {
			if s.Via.Alias != "prod" || revisions[s.Via.Number] != 0 && revisions[s.Via.Number] != s.Revision {
				t.Errorf("started %+v", s)
			}
			revisions[s.Via.Number] = s.Revision
			by[s.Via.Number]++
		}
		return by
	}
	if by := start(5); by != [3]int{0, 5, 0} {
		t.Errorf("started by version %v, want the first alone", by)
	}
	w.ask("UpdateStateMachineAlias", `{'stateMachineAliasArn':'$sm(m:prod)',`+routes("m:1", 0, "m:2", 100)+`}`)
	if by := start(200); by != [3]int{0, 0, 200} {
		t.Errorf("started by version %v, want the second alone", by)
	}
	w.ask("UpdateStateMachineAlias", `{'stateMachineAliasArn':'$sm(m:prod)',`+routes("m:1", 50, "m:2", 50)+`}`)
	if by := start(200); by[1] < 20 || by[2] < 20 { // by chance less than once in 10^30 runs
		t.Errorf("started by version %v, want about as many of each", by)
	}

	w.call("StartExecution", `{'stateMachineArn':'$sm(m:gone)'}`, "StateMachineDoesNotExist: State Machine Does Not Exist: ~$sm(m:gone)~")
	w.ask("StartExecution", `{'stateMachineArn':'$sm(m)','name':'by-itself'}`)
	w.ask("StartExecution", `{'stateMachineArn':'$sm(m:2)','name':'by-version'}`)
	list := func(qualifier string) string {
		return w.ask("ListExecutions", `{'stateMachineArn':'$sm(m`+qualifier+`)','maxResults':1000}`)
	}
	if got := strings.Count(list(":prod"), expand(`'stateMachineAliasArn':'$sm(m:prod)'`)); got != 405 {
		t.Errorf("%d executions of the alias, want 405", got)
	}
	if got := list(":2"); !strings.Contains(got, "by-version") || strings.Contains(got, "by-itself") || strings.Contains(got, expand(`$sm(m:1)`)) {
		t.Errorf("executions of a version: %s", got)
	}
	w.ask("DeleteStateMachineAlias", `{'stateMachineAliasArn':'$sm(m:prod)'}`)
	w.call("StartExecution", `{'stateMachineArn':'$sm(m:prod)'}`, "StateMachineDoesNotExist: State Machine Does Not Exist: ~$sm(m:prod)~")
}

func TestPick(t *testing.T) {
	f := func(draw, want int64, weights ...int64) {
		t.Helper()
		var x target
		for i, weight := range weights {
			x.choices = append(x.choices, choice{number: int64(i), weight: weight})
		}
		if got := x.pick(draw); got.number != want {
			t.Errorf("%d in %v leads to %d, want %d", draw, weights, got.number, want)
		}
	}
	f(0, 0, 100)
	f(99, 0, 100)
	f(0, 0, 1, 99)
	f(1, 1, 1, 99)
	f(99, 1, 1, 99)
	f(0, 1, 0, 100)
	f(99, 0, 100, 0)
}
