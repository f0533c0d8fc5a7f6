package asl

import (
	"strings"
	"testing"
)

// An action that its service lacks is refused in the words for a resource that
// does not exist (recorded for other ones).
func TestLackingAction(t *testing.T) {
	f := func(resource string, lacks func(service, action string) bool, good bool) {
		t.Helper()
		definition := `{"StartAt":"A","States":{"A":{"Type":"Task","Resource":"` + resource + `","Parameters":{},"End":true}}}`
		m, ds := Parse(definition, Options{Lacks: lacks})
		if good != (m != nil) {
			t.Errorf("%s: %v", resource, ds)
		}
		if !good && !strings.Contains(ds.InvalidDefinition(), "The resource provided "+resource+" is not recognized.") {
			t.Errorf("%s: %s", resource, ds.InvalidDefinition())
		}
	}
	lacks := func(service, action string) bool { return service == "sqs" && action != "sendMessage" }
	f("arn:aws:states:::aws-sdk:sqs:sendMessage", lacks, true)
	f("arn:aws:states:::aws-sdk:sqs:sendMassage", lacks, false)
	f("arn:aws:states:::aws-sdk:sqs:sendMassage", nil, true)
	f("arn:aws:states:::aws-sdk:s3:anything", lacks, true)
	f("arn:aws:states:::aws-sdk:sqs:sendMessage.waitForTaskToken", lacks, true)
}
