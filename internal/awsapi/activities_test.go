package awsapi

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestCreateActivity(t *testing.T) {
	w := newWorld(t)
	f := func(body, want string) {
		t.Helper()
		w.call("CreateActivity", body, want)
	}
	f(`{'name':'A-1_b.c'}`, `{'activityArn':'$act(A-1_b.c)','creationDate':1700000000.120}`)
	w.engine.now += 10
	f(`{'name':'A-1_b.c','tags':[{'key':'k','value':'v'}]}`, `{'activityArn':'$act(A-1_b.c)','creationDate':1700000000.120}`)
	f(`{'name':'A-1_b.c','encryptionConfiguration':{'type':'AWS_OWNED_KEY'}}`, `{'activityArn':'$act(A-1_b.c)','creationDate':1700000000.120}`)
	f(`{'name':'A-1_b.c','encryptionConfiguration':{'type':'CUSTOMER_MANAGED_KMS_KEY','kmsKeyId':'k'}}`, "ActivityAlreadyExists: Activity Already Exists: ~$act(A-1_b.c)~")
	f(`{}`, "ValidationException: 1 validation error detected: Value null at ~name~ failed to satisfy constraint: Member must not be null")
	f(`{'name':''}`, "ValidationException: 1 validation error detected: Value ~~ at ~name~ failed to satisfy constraint: Member must have length greater than or equal to 1")
}

func TestNames(t *testing.T) {
	f := func(name string, ok bool) {
		t.Helper()
		if err := checkName(name); (err == nil) != ok {
			t.Errorf("checkName(%q) = %v, want ok %v", name, err, ok)
		}
	}
	f("Plain-name_1.2", true)
	f("ünïcode-名前-😀", true)
	f("a!b@c(d)e=f+g'h", true)
	for _, bad := range forbidden + " \t\n\x00\x1f\x7f\u0085\u009f\u00a0\u2003\u3000\ufffe\uffff\U0010FFFF" {
		f("a"+string(bad)+"b", false)
	}
}

func TestDescribeAndDeleteActivity(t *testing.T) {
	w := newWorld(t)
	w.ask("CreateActivity", `{'name':'a'}`)
	const missing = "ActivityDoesNotExist: Activity Does Not Exist: ~$act(a)~"
	w.call("DescribeActivity", `{'activityArn':'$act(a)'}`, `{'activityArn':'$act(a)','name':'a','creationDate':1700000000.120,'encryptionConfiguration':{'type':'AWS_OWNED_KEY'}}`)
	w.call("ListActivities", `{}`, `{'activities':[{'activityArn':'$act(a)','name':'a','creationDate':1700000000.120}]}`)
	w.call("DeleteActivity", `{'activityArn':'$act(a)'}`, `{}`)
	w.call("DeleteActivity", `{'activityArn':'$act(a)'}`, `{}`)
	w.call("DescribeActivity", `{'activityArn':'$act(a)'}`, missing)
	w.call("GetActivityTask", `{'activityArn':'$act(a)'}`, missing)
	w.call("DescribeActivity", `{'activityArn':'a'}`, "InvalidArn: Invalid Arn: ~Invalid ARN prefix: a~")
	w.call("ListActivities", `{}`, `{'activities':[]}`)
}

func TestGetActivityTask(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.ask("CreateActivity", `{'name':'a'}`)
		w.call("GetActivityTask", `{'activityArn':'$act(a)','workerName':'busy'}`, `{'taskToken':'1/1/1','input':'{\'for\':\'a\'}'}`)

		begun := time.Now()
		w.call("GetActivityTask", `{'activityArn':'$act(a)'}`, `{}`)
		if waited := time.Since(begun); waited != 60*time.Second {
			t.Errorf("polled for %v, want 60s", waited)
		}
	})
}

func TestPollersAreCounted(t *testing.T) {
	var p pollers
	for range maxPollers {
		if !p.enter(1) {
			t.Fatal("refused too early")
		}
	}
	if p.enter(1) || !p.enter(2) {
		t.Error("the limit is not each activity's own")
	}
	p.leave(1)
	if !p.enter(1) {
		t.Error("refused after one has left")
	}
}

func TestTags(t *testing.T) {
	w := newWorld(t)
	w.create("m", passes, `,"tags":[{"key":"a","value":"1"}]`)
	w.ask("CreateActivity", `{'name':'m'}`)
	for _, arn := range []string{"$sm(m)", "$act(m)"} {
		w.call("TagResource", `{'resourceArn':'`+arn+`','tags':[{'key':'b','value':''},{'key':'a','value':'2'},{'key':'c'}]}`, `{}`)
		want := `{'tags':[{'key':'a','value':'2'},{'key':'b','value':''},{'key':'c','value':''}]}`
		if arn == "$act(m)" {
			want = `{'tags':[{'key':'b','value':''},{'key':'a','value':'2'},{'key':'c','value':''}]}`
		}
		w.call("ListTagsForResource", `{'resourceArn':'`+arn+`'}`, want)
		w.call("UntagResource", `{'resourceArn':'`+arn+`','tagKeys':['a','b','b','other']}`, `{}`)
		w.call("ListTagsForResource", `{'resourceArn':'`+arn+`'}`, `{'tags':[{'key':'c','value':''}]}`)
	}
	f := func(arn, tags, want string) {
		t.Helper()
		w.call("TagResource", `{'resourceArn':'`+arn+`','tags':`+tags+`}`, want)
	}
	const missing = "ResourceNotFound: Request references a resource that does not exist."
	f("$sm(gone)", `[]`, missing)
	f("$sm(m:1)", `[]`, missing)
	f("$act(gone)", `[]`, missing)
	f("$ex(m:x)", `[]`, "InvalidArn: Invalid Arn: ~Resource type not valid in this context: execution~")
	f("m", `[]`, "InvalidArn: Invalid Arn: ~Invalid ARN prefix: m~")
	f("$sm(m)", `null`, "ValidationException: 1 validation error detected: Value null at ~tags~ failed to satisfy constraint: Member must not be null")
	f("$sm(m)", `[{'key':'k'},{'value':'v'}]`, "ValidationException: 1 validation error detected: Value null at ~tags.2.member.key~ failed to satisfy constraint: Member must not be null")
	f("$sm(m)", `[{'key':'aws:k'}]`, "ValidationException: 1 validation error detected: Value ~aws:k~ at ~tags.1.member.key~ failed to satisfy constraint: Member must not begin with the reserved prefix aws:")
	f("$sm(m)", `[{'key':'k#'}]`, `ValidationException: 1 validation error detected: Value ~k#~ at ~tags.1.member.key~ failed to satisfy constraint: Member must satisfy regular expression pattern: ^([\p{L}\p{Z}\p{N}_.:/=+\-@]*)$`)
	many := `[{'key':'0'}`
	for i := range 50 {
		many += `,{'key':'` + strings.Repeat("k", i+1) + `'}`
	}
	f("$sm(m)", many+`]`, "TooManyTags: The resource has too many tags: the limit is 50.")
}
