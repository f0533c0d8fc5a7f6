package main

import (
	"encoding/json"
	"testing"

	"github.com/lockstep-run/lockstep/asl"
	"github.com/lockstep-run/lockstep/internal/arn"
)

func TestTheCatalogueIsOfMachinesThatTheServerTakes(t *testing.T) {
	list := catalogue(arn.Scheme{Partition: "aws", Region: "us-east-1", Account: "123456789012"})
	if len(list) != 3 {
		t.Errorf("%d templates, want 3", len(list))
	}
	for _, x := range list {
		if x.Name == "" || x.Title == "" || x.Description == "" || !json.Valid(x.Input) {
			t.Errorf("%+v lacks something", x)
		}
		if _, problems := asl.Parse(x.Definition, asl.Options{}); problems.InvalidDefinition() != "" {
			t.Errorf("%s: %s", x.Name, problems.InvalidDefinition())
		}
	}
}

func TestResourcesAreARNs(t *testing.T) {
	got := callable([]string{"lambda:invoke", "aws-sdk:dynamodb:*", "sqs:sendMessage", "lambda:invoke"})
	want := []string{"arn:aws:states:::lambda:invoke", "arn:aws:states:::sqs:sendMessage"}
	if len(got) != len(want) || got[0] != want[0] || got[1] != want[1] {
		t.Errorf("callable = %q, want %q", got, want)
	}
}
