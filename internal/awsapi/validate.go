package awsapi

import (
	"context"

	"github.com/lockstep-run/lockstep/asl"
)

// validateStateMachineDefinition never fails for a bad definition: that is its
// answer. An empty definition is one, too (recorded).
func (s *Server) validateStateMachineDefinition(_ context.Context, in *input, out []byte) ([]byte, error) {
	definition := in.text("definition", bounds{required: true, max: maxDefinition, secret: true})
	typ := in.text("type", bounds{enum: machineTypes})
	severity := in.text("severity", bounds{enum: newEnum(asl.Error, asl.Warning)})
	limit := int(in.integer("maxResults", 0, 100))
	if err := in.err(); err != nil {
		return nil, err
	}
	if limit == 0 {
		limit = 100
	}
	_, all := asl.Parse(definition, asl.Options{Express: typ == express, Lacks: s.lacks})
	shown := all.Errors()
	if severity == asl.Warning {
		shown = all
	}

	o := newObject(out)
	result := "OK"
	if all.HasErrors() {
		result = "FAIL"
	}
	o.text("result", result)
	o.list("diagnostics")
	for _, d := range shown[:min(len(shown), limit)] {
		o.item()
		o.text("severity", d.Severity)
		o.text("code", d.Code)
		o.text("message", d.Message)
		o.textIf("location", d.Location)
		o.close()
	}
	o.endList()
	o.flag("truncated", len(shown) > limit)
	return o.end(), nil
}
