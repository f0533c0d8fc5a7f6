package awsapi

import (
	"context"
	"regexp"
	"strings"
	"testing"

	"github.com/lockstep-run/lockstep/internal/store"
)

const described = `'loggingConfiguration':{'level':'OFF','includeExecutionData':false},'tracingConfiguration':{'enabled':false}`

func TestCreateStateMachine(t *testing.T) {
	w := newWorld(t)
	const role = `'roleArn':'arn:aws:iam::123456789012:role/r'`
	f := func(body, want string) {
		t.Helper()
		w.call("CreateStateMachine", `{`+body+`}`, want)
	}
	const pass = `'definition':'{\'StartAt\':\'P\',\'States\':{\'P\':{\'Type\':\'Pass\',\'End\':true}}}'`
	f(`'name':'m',`+role+`,`+pass, `{'stateMachineArn':'$sm(m)','creationDate':1700000000.120}`)
	w.engine.now += 5
	f(`'name':'m',`+role+`,`+pass, `{'stateMachineArn':'$sm(m)','creationDate':1700000000.120}`)
	f(`'name':'m','roleArn':'arn:aws:iam::1:role/other','tags':[{'key':'a','value':'b'}],`+pass, `{'stateMachineArn':'$sm(m)','creationDate':1700000000.120}`)

	// Everything else makes a difference, even white space in the definition.
	const exists = "StateMachineAlreadyExists: State Machine Already Exists: ~$sm(m)~"
	f(`'name':'m',`+role+`,`+strings.Replace(pass, "{", "{ ", 1), exists)
	f(`'name':'m','type':'EXPRESS',`+role+`,`+pass, exists)
	f(`'name':'m','tracingConfiguration':{'enabled':true},`+role+`,`+pass, exists)
	f(`'name':'m','encryptionConfiguration':{'type':'CUSTOMER_MANAGED_KMS_KEY','kmsKeyId':'k'},`+role+`,`+pass, exists)

	f(`'name':'a b',`+role+`,`+pass, "InvalidName: Invalid Name: ~a b~")
	f(`'name':'n','roleArn':'me',`+pass, "InvalidArn: Invalid Arn: ~Invalid Role Arn: me~")
	f(`'name':'n',`+role+`,'definition':'{}'`, "InvalidDefinition: Invalid State Machine Definition: ~SCHEMA_VALIDATION_FAILED: These fields are required: [States, StartAt] at /~")
	f(`'name':'n','versionDescription':'d',`+role+`,`+pass, "ValidationException: Version description can only be set when publish is true")
	f(`'name':'n','type':'fast',`+role+`,`+pass, "ValidationException: 1 validation error detected: Value ~fast~ at ~type~ failed to satisfy constraint: Member must satisfy enum value set: [STANDARD, EXPRESS]")
	f(``, "ValidationException: 3 validation errors detected: Value null at ~name~ failed to satisfy constraint: Member must not be null; "+
		"Value null at ~definition~ failed to satisfy constraint: Member must not be null; Value null at ~roleArn~ failed to satisfy constraint: Member must not be null")
	f(`'name':'`+strings.Repeat("n", 81)+`',`+role+`,`+pass, "ValidationException: 1 validation error detected: Value ~"+strings.Repeat("n", 81)+"~ at ~name~ failed to satisfy constraint: Member must have length less than or equal to 80")
	f(`'name':'n','definition':'',`+role, "ValidationException: 1 validation error detected: Value at ~definition~ failed to satisfy constraint: Member must have length greater than or equal to 1")
	f(`'name':7,`+role+`,`+pass, "SerializationException: NUMBER_VALUE can not be converted to a String")

	f(`'name':'é-ü.x_1',`+role+`,`+pass, `{'stateMachineArn':'$sm(é-ü.x_1)','creationDate':1700000000.125}`)
}

func TestLoggingConfiguration(t *testing.T) {
	w := newWorld(t)
	w.create("m", passes)
	const group = `{'cloudWatchLogsLogGroup':{'logGroupArn':'arn:aws:logs:us-east-1:1:log-group:g:*'}}`
	f := func(logging, want string) {
		t.Helper()
		got := w.ask("UpdateStateMachine", `{'stateMachineArn':'$sm(m)','loggingConfiguration':`+logging+`}`)
		if strings.HasPrefix(got, "{") {
			got = cut(w.ask("DescribeStateMachine", `{'stateMachineArn':'$sm(m)'}`), `"loggingConfiguration":`, `,"tracing`)
		}
		if got != expand(want) {
			t.Errorf("%s:\n got %s\nwant %s", logging, got, expand(want))
		}
	}
	const one = "InvalidLoggingConfiguration: Invalid Logging Configuration: Must specify exactly one Log Destination."
	f(`{}`, `{'level':'OFF','includeExecutionData':false}`)
	f(`{'destinations':[]}`, `{'level':'OFF','includeExecutionData':false,'destinations':[]}`)
	f(`{'level':'FATAL'}`, one)
	f(`{'level':'ALL','destinations':[`+group+`,`+group+`]}`, one)
	f(`{'level':'ALL','includeExecutionData':true,'destinations':[`+group+`]}`, `{'level':'ALL','includeExecutionData':true,'destinations':[`+group+`]}`)
	f(`{'level':'ALL','destinations':[{'cloudWatchLogsLogGroup':{'logGroupArn':'g'}}]}`, "InvalidLoggingConfiguration: Invalid Logging Configuration: Log Destination not found.")
	f(`{'level':'LOUD'}`, "ValidationException: 1 validation error detected: Value ~LOUD~ at ~loggingConfiguration.level~ failed to satisfy constraint: Member must satisfy enum value set: [ALL, ERROR, FATAL, OFF]")
	f(`[]`, "SerializationException: ARRAY_VALUE can not be converted to a Structure")
}

func TestEncryptionConfiguration(t *testing.T) {
	w := newWorld(t)
	w.create("m", passes)
	f := func(encryption, want string) {
		t.Helper()
		got := w.ask("UpdateStateMachine", `{'stateMachineArn':'$sm(m)','encryptionConfiguration':`+encryption+`}`)
		if strings.HasPrefix(got, "{") {
			got = cut(w.ask("DescribeStateMachine", `{'stateMachineArn':'$sm(m)'}`), `"encryptionConfiguration":`, `,"definition`)
		}
		if got != expand(want) {
			t.Errorf("%s:\n got %s\nwant %s", encryption, got, expand(want))
		}
	}
	f(`{'type':'CUSTOMER_MANAGED_KMS_KEY','kmsKeyId':'k'}`, `{'type':'CUSTOMER_MANAGED_KMS_KEY','kmsKeyId':'k','kmsDataKeyReusePeriodSeconds':300}`)
	f(`{'type':'AWS_OWNED_KEY'}`, `{'type':'AWS_OWNED_KEY'}`)
	f(`{'type':'CUSTOMER_MANAGED_KMS_KEY'}`, "InvalidEncryptionConfiguration: Invalid Encryption Configuration: ~CUSTOMER_MANAGED_KMS_KEY needs a kmsKeyId.~")
	f(`{'kmsDataKeyReusePeriodSeconds':1000}`, "ValidationException: 2 validation errors detected: Value null at ~encryptionConfiguration.type~ failed to satisfy constraint: Member must not be null; "+
		"Value ~1000~ at ~encryptionConfiguration.kmsDataKeyReusePeriodSeconds~ failed to satisfy constraint: Member must have value less than or equal to 900")
}

// cut returns what stands between two texts.
func cut(s, from, to string) string {
	_, s, _ = strings.Cut(s, from)
	s, _, _ = strings.Cut(s, to)
	return s
}

func TestUpdateStateMachine(t *testing.T) {
	w := newWorld(t)
	w.create("m", passes)
	w.engine.now += 1000
	update := func(body string) string { return w.ask("UpdateStateMachine", `{'stateMachineArn':'$sm(m)',`+body+`}`) }
	revision := regexp.MustCompile(`^{"updateDate":(\S+?),"revisionId":"([0-9a-f-]{36})"}$`)

	// Nothing changes: still the initial revision, which has no id.
	if got, want := update(`'roleArn':'arn:aws:iam::123456789012:role/r'`), expand(`{'updateDate':1700000000.120}`); got != want {
		t.Errorf("no change: got %s, want %s", got, want)
	}
	first := revision.FindStringSubmatch(update(`'roleArn':'arn:aws:iam::123456789012:role/s'`))
	if first == nil || first[1] != "1700000001.120" {
		t.Fatalf("first change: got %q", first)
	}
	w.engine.now += 1000
	if same := revision.FindStringSubmatch(update(`'roleArn':'arn:aws:iam::123456789012:role/s'`)); same == nil || same[2] != first[2] {
		t.Errorf("no change: got %q, want the revision %s", same, first[2])
	}
	if second := revision.FindStringSubmatch(update(`'tracingConfiguration':{'enabled':true}`)); second == nil || second[2] == first[2] {
		t.Errorf("second change: got %q, want another revision than %s", second, first[2])
	}
	got := w.ask("DescribeStateMachine", `{'stateMachineArn':'$sm(m)'}`)
	for _, want := range []string{`'roleArn':'arn:aws:iam::123456789012:role/s'`, `'creationDate':1700000000.120`, `'tracingConfiguration':{'enabled':true}`, `'revisionId':`} {
		if !strings.Contains(got, expand(want)) {
			t.Errorf("description lacks %s: %s", want, got)
		}
	}

	f := func(body, want string) {
		t.Helper()
		w.call("UpdateStateMachine", body, want)
	}
	f(`{'stateMachineArn':'$sm(m)'}`, "MissingRequiredParameter: Either the definition, the role ARN, the LoggingConfiguration, or the TracingConfiguration must be specified")
	f(`{'stateMachineArn':'$sm(gone)','roleArn':'arn:aws:iam::1:role/r'}`, "StateMachineDoesNotExist: State Machine Does Not Exist: ~$sm(gone)~")
	f(`{'stateMachineArn':'$sm(m:1)','roleArn':'arn:aws:iam::1:role/r'}`, "StateMachineDoesNotExist: State Machine Does Not Exist: ~$sm(m:1)~")
	f(`{'stateMachineArn':'$sm(m/label)','roleArn':'arn:aws:iam::1:role/r'}`, "ValidationException: State machine ARNs with a Map Run label are not supported by this API.")
	f(`{'stateMachineArn':'$sm(m)','definition':'no'}`, "InvalidDefinition: Invalid State Machine Definition: ~INVALID_JSON_DESCRIPTION: Unrecognized token ~no~: was expecting (JSON String, Number, Array, Object or token ~null~, ~true~ or ~false~) at [Source: (String)'no'; line: 1, column: 3]~")
}

func TestWhoMadeARevisionIsKept(t *testing.T) {
	w := newWorld(t)
	who := "user:ann"
	w.server.author = func(context.Context) string { return who }
	f := func(want string) {
		t.Helper()
		m, err := w.engine.Store.Machine(t.Context(), "m")
		if err != nil {
			t.Fatal(err)
		}
		r, err := w.engine.Store.Revision(t.Context(), m.Current)
		if err != nil {
			t.Fatal(err)
		}
		if got := AuthorOf(r.Configuration); got != want {
			t.Errorf("made by %q, want %q", got, want)
		}
	}
	w.create("m", passes)
	f("user:ann")
	// What changes nothing is nobody's change, whoever asks for it.
	who = "user:bob"
	w.create("m", passes)
	w.ask("UpdateStateMachine", `{'stateMachineArn':'$sm(m)','roleArn':'arn:aws:iam::123456789012:role/r'}`)
	f("user:ann")
	w.ask("UpdateStateMachine", `{'stateMachineArn':'$sm(m)','roleArn':'arn:aws:iam::123456789012:role/s'}`)
	f("user:bob")
	who = ""
	w.ask("UpdateStateMachine", `{'stateMachineArn':'$sm(m)','tracingConfiguration':{'enabled':true}}`)
	f("")
	// The API's answers are AWS's: they say nothing of it.
	if got := w.ask("DescribeStateMachine", `{'stateMachineArn':'$sm(m)'}`); strings.Contains(got, "author") || strings.Contains(got, "bob") {
		t.Errorf("the description says who: %s", got)
	}
}

func TestDescribeStateMachine(t *testing.T) {
	w := newWorld(t)
	w.create("m", passes)
	f := func(body, want string) {
		t.Helper()
		w.call("DescribeStateMachine", body, want)
	}
	const head = `{'stateMachineArn':'$sm(m)','name':'m','status':'ACTIVE','type':'STANDARD','creationDate':1700000000.120,'roleArn':'arn:aws:iam::123456789012:role/r',` + described
	f(`{'stateMachineArn':'$sm(m)'}`, head+`,'definition':'{\'StartAt\':\'P\',\'States\':{\'P\':{\'Type\':\'Pass\',\'End\':true}}}'}`)
	f(`{'stateMachineArn':'$sm(m)','includedData':'METADATA_ONLY'}`, head+`,'definition':'{}'}`)

	w.create("v", `{"StartAt":"B","States":{"B":{"Type":"Pass","Assign":{"y":1,"x":2},"Next":"A"},"A":{"Type":"Choice","Choices":[{"Variable":"$y","NumericEqualsPath":"$x","Next":"B"}],"Default":"C"},"C":{"Type":"Succeed"}}}`)
	if got := w.ask("DescribeStateMachine", `{'stateMachineArn':'$sm(v)'}`); !strings.HasSuffix(got, `,"variableReferences":{"A":["x","y"]}}`) {
		t.Errorf("variables: %s", got)
	}

	f(`{'stateMachineArn':'nonsense'}`, "InvalidArn: Invalid Arn: ~Invalid ARN prefix: nonsense~")
	f(`{'stateMachineArn':'$act(m)'}`, "InvalidArn: Invalid Arn: ~Resource type not valid in this context: activity~")
	f(`{'stateMachineArn':'$sm(gone)'}`, "StateMachineDoesNotExist: State Machine Does Not Exist: ~$sm(gone)~")
	f(`{'stateMachineArn':'arn:aws:states:us-east-1:210987654321:stateMachine:m'}`, "StateMachineDoesNotExist: State Machine Does Not Exist: ~arn:aws:states:us-east-1:210987654321:stateMachine:m~")
	f(`{}`, "ValidationException: 1 validation error detected: Value null at ~stateMachineArn~ failed to satisfy constraint: Member must not be null")
}

func TestListStateMachines(t *testing.T) {
	w := newWorld(t)
	for _, name := range []string{"b", "a", "c"} {
		w.create(name, passes)
	}
	item := func(name string) string {
		return `{'stateMachineArn':'$sm(` + name + `)','name':'` + name + `','type':'STANDARD','creationDate':1700000000.120}`
	}
	w.call("ListStateMachines", `{}`, `{'stateMachines':[`+item("a")+`,`+item("b")+`,`+item("c")+`]}`)
	page := w.ask("ListStateMachines", `{'maxResults':2}`)
	token := cut(page, `"nextToken":"`, `"`)
	w.call("ListStateMachines", `{'maxResults':2}`, `{'stateMachines':[`+item("a")+`,`+item("b")+`],'nextToken':'`+token+`'}`)
	w.call("ListStateMachines", `{'maxResults':1,'nextToken':'`+token+`'}`, `{'stateMachines':[`+item("c")+`]}`)
	w.call("ListStateMachines", `{'nextToken':'nonsense'}`, "InvalidToken: Invalid Token: ~Invalid token~")
	w.call("ListActivities", `{'nextToken':'`+token+`'}`, "InvalidToken: Invalid Token: ~Invalid token~")
	w.call("ListStateMachines", `{'maxResults':1001}`, "ValidationException: 1 validation error detected: Value ~1001~ at ~maxResults~ failed to satisfy constraint: Member must have value less than or equal to 1000")
	w.call("ListStateMachines", `{'maxResults':-1,'nextToken':''}`, "ValidationException: 2 validation errors detected: Value ~-1~ at ~maxResults~ failed to satisfy constraint: Member must have value greater than or equal to 0; "+
		"Value ~~ at ~nextToken~ failed to satisfy constraint: Member must have length greater than or equal to 1")
}

func TestDeleteStateMachine(t *testing.T) {
	w := newWorld(t)
	w.create("m", passes)
	w.call("DeleteStateMachine", `{'stateMachineArn':'$sm(m)'}`, `{}`)
	w.call("DescribeStateMachine", `{'stateMachineArn':'$sm(m)'}`, "StateMachineDoesNotExist: State Machine Does Not Exist: ~$sm(m)~")
	w.call("StartExecution", `{'stateMachineArn':'$sm(m)'}`, "StateMachineDoesNotExist: State Machine Does Not Exist: ~$sm(m)~")
	w.call("DeleteStateMachine", `{'stateMachineArn':'$sm(m)'}`, `{}`)
	w.call("DeleteStateMachine", `{'stateMachineArn':'m'}`, "InvalidArn: Invalid Arn: ~Invalid ARN prefix: m~")
}

func TestDeleteStopsWhatRuns(t *testing.T) {
	w := newWorld(t)
	w.create("m", waits)
	w.ask("StartExecution", `{'stateMachineArn':'$sm(m)','name':'x'}`)
	stop, stopped := make(chan bool), false
	w.engine.hook = func() { <-stop }
	w.call("DeleteStateMachine", `{'stateMachineArn':'$sm(m)'}`, `{}`)

	const deleting = "StateMachineDeleting: State Machine Deleting: ~$sm(m)~"
	w.call("StartExecution", `{'stateMachineArn':'$sm(m)'}`, deleting)
	w.call("UpdateStateMachine", `{'stateMachineArn':'$sm(m)','roleArn':'arn:aws:iam::1:role/r'}`, deleting)
	if got := w.ask("DescribeStateMachine", `{'stateMachineArn':'$sm(m)'}`); !strings.Contains(got, `"status":"DELETING"`) {
		t.Errorf("description while it is deleted: %s", got)
	}
	x, err := w.engine.Lookup(t.Context(), "m", "x")
	if err != nil {
		t.Fatal(err)
	}
	close(stop)
	w.server.sweeps.running.Wait()
	if x, err = w.engine.Execution(t.Context(), x.ID); err == nil {
		stopped = x.Status.String() == "ABORTED"
	}
	if !stopped {
		t.Errorf("the execution is %v (%v), want it ABORTED", x.Status, err)
	}
	w.call("DescribeStateMachine", `{'stateMachineArn':'$sm(m)'}`, "StateMachineDoesNotExist: State Machine Does Not Exist: ~$sm(m)~")
}

func TestCacheForgetsOwnWrites(t *testing.T) {
	c := machineCache{}
	_, before, _ := c.get("m")
	c.forget("m")
	c.put(store.Machine{Name: "m"}, before)
	if _, _, ok := c.get("m"); ok {
		t.Error("a machine that was read before a change is kept after it")
	}
}

func TestValidateStateMachineDefinition(t *testing.T) {
	w := newWorld(t)
	f := func(body, want string) {
		t.Helper()
		w.call("ValidateStateMachineDefinition", body, want)
	}
	f(`{'definition':'{\'StartAt\':\'P\',\'States\':{\'P\':{\'Type\':\'Pass\',\'End\':true}}}'}`, `{'result':'OK','diagnostics':[],'truncated':false}`)
	f(`{'definition':'{}','type':'EXPRESS'}`, `{'result':'FAIL','diagnostics':[{'severity':'ERROR','code':'SCHEMA_VALIDATION_FAILED','message':'These fields are required: [States, StartAt]','location':'/'}],'truncated':false}`)
	f(`{'definition':''}`, `{'result':'FAIL','diagnostics':[{'severity':'ERROR','code':'SCHEMA_VALIDATION_FAILED','message':'Definition must be a valid JSON object'}],'truncated':false}`)
	f(`{'definition':'{}','severity':'INFO','maxResults':101}`, "ValidationException: 2 validation errors detected: Value ~INFO~ at ~severity~ failed to satisfy constraint: Member must satisfy enum value set: [ERROR, WARNING]; "+
		"Value ~101~ at ~maxResults~ failed to satisfy constraint: Member must have value less than or equal to 100")
	got := w.ask("ValidateStateMachineDefinition", `{'maxResults':1,'definition':'{\'StartAt\':\'A\',\'States\':{\'A\':{\'Type\':\'X\'},\'B\':{\'Type\':\'Y\'}}}'}`)
	if !strings.HasSuffix(got, `"truncated":true}`) || strings.Count(got, "severity") != 1 {
		t.Errorf("one of several: %s", got)
	}
}
