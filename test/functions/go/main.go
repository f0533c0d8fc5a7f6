// A function as people write it for Lambda, with AWS's own library.
package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-lambda-go/lambdacontext"
)

type order struct {
	Number int    `json:"number"`
	Do     string `json:"do"`
}

type receipt struct {
	Number    int    `json:"number"`
	RequestID string `json:"requestId"`
	ARN       string `json:"arn"`
	Function  string `json:"function"`
	App       string `json:"app"`
	InTime    bool   `json:"inTime"`
}

type soldOut struct{}

func (soldOut) Error() string { return "none left" }

func handle(ctx context.Context, o order) (*receipt, error) {
	fmt.Println("order", o.Number)
	switch o.Do {
	case "fail":
		return nil, soldOut{}
	case "wrap":
		return nil, errors.New("plain")
	case "panic":
		panic("at the disco")
	case "hang":
		<-ctx.Done()
		time.Sleep(time.Minute)
	}
	r := &receipt{Number: o.Number, Function: lambdacontext.FunctionName}
	if c, ok := lambdacontext.FromContext(ctx); ok {
		r.RequestID, r.ARN, r.App = c.AwsRequestID, c.InvokedFunctionArn, c.ClientContext.Client.AppTitle
	}
	if deadline, ok := ctx.Deadline(); ok {
		left := time.Until(deadline)
		r.InTime = left > 0 && left <= 3*time.Second
	}
	return r, nil
}

func main() {
	lambda.StartWithOptions(handle, lambda.WithEnableSIGTERM(func() { fmt.Println("told to end") }))
}
