package task

import "context"

type callKey struct{}

// With says under ctx for which call something is done: what is asked of AWS for
// it is asked in the name of the call's role. nil: for none.
func With(ctx context.Context, c *Call) context.Context { return context.WithValue(ctx, callKey{}, c) }

// From is the call that With said, nil for none.
func From(ctx context.Context) *Call {
	c, _ := ctx.Value(callKey{}).(*Call)
	return c
}
