package logs

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/lockstep-run/lockstep/asl/value"
	"github.com/lockstep-run/lockstep/internal/task/awscall"
)

var service = awscall.Service{ID: "CLOUDWATCH_LOGS", Host: "logs", SigningName: "logs"}

func newCloudWatch(cfg Config) *awscall.Client {
	return awscall.New(service, cfg.Region, cfg.Transport)
}

// endpointConfigured reports whether the environment says who answers for
// CloudWatch Logs.
func endpointConfigured() bool {
	return !strings.EqualFold(os.Getenv("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS"), "true") &&
		(os.Getenv("AWS_ENDPOINT_URL_"+service.ID) != "" || os.Getenv("AWS_ENDPOINT_URL") != "")
}

// streamName is a name as Step Functions gives to its log streams, and no other
// process.
func streamName(machine string, now time.Time) string {
	return "states/" + machine + "/" + now.UTC().Format("2006-01-02-15-04") + "/" + uuid.NewString()[:8]
}

// cloudWatch is a sink that is a log stream.
type cloudWatch struct {
	client        *awscall.Client
	group, stream string
	made          bool
}

func (c *cloudWatch) write(ctx context.Context, entries []entry) error {
	err := c.put(ctx, entries)
	if errors.Is(err, errNoStream) { // it, or its group, was deleted
		c.made = false
		err = c.put(ctx, entries)
	}
	return err
}

var errNoStream = fmt.Errorf("%w: no such log group or stream", errRefused)

func (c *cloudWatch) put(ctx context.Context, entries []entry) error {
	if !c.made {
		if err := c.create(ctx); err != nil {
			return err
		}
		c.made = true
	}
	body := c.names(len(entries) * 512)
	body = append(body, `,"logEvents":[`...)
	for i, e := range entries {
		if i > 0 {
			body = append(body, ',')
		}
		body = append(body, `{"timestamp":`...)
		body = strconv.AppendInt(body, e.at, 10)
		body = append(body, `,"message":`...)
		body = value.AppendString(body, string(e.text))
		body = append(body, '}')
	}
	_, err := call(ctx, c.client, "PutLogEvents", append(body, `]}`...))
	return err
}

func (c *cloudWatch) create(ctx context.Context) error {
	_, err := call(ctx, c.client, "CreateLogStream", append(c.names(0), '}'))
	if errors.Is(err, errThere) {
		return nil
	}
	return err
}

// names begins a request about the stream.
func (c *cloudWatch) names(room int) []byte {
	body := append(make([]byte, 0, 256+room), `{"logGroupName":`...)
	body = value.AppendString(body, c.group)
	body = append(body, `,"logStreamName":`...)
	return value.AppendString(body, c.stream)
}

var errThere = fmt.Errorf("%w: it is there already", errRefused)

// call sends a request. Errors that trying again cannot mend are errRefused.
func call(ctx context.Context, client *awscall.Client, action string, body []byte) (*awscall.Response, error) {
	r, err := client.Do(ctx, &awscall.Request{Body: string(body), Header: http.Header{
		"Content-Type": {"application/x-amz-json-1.1"},
		"X-Amz-Target": {"Logs_20140328." + action},
	}}, 1<<20)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", action, err)
	}
	if r.OK() {
		return r, nil
	}
	f := awscall.Refusal(r)
	reason := fmt.Errorf("%s: %s: %s", action, f.Code, f.Message)
	switch {
	case f.Code == "ResourceNotFoundException":
		return nil, errors.Join(errNoStream, reason)
	case f.Code == "ResourceAlreadyExistsException":
		return nil, errors.Join(errThere, reason)
	case f.Status >= 500, f.Status == http.StatusTooManyRequests, strings.Contains(f.Code, "Throttl"):
		return nil, reason
	}
	return nil, errors.Join(errRefused, reason)
}

// describe asks whether there is a group of that name.
func describe(ctx context.Context, client *awscall.Client, group string) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	body := value.AppendString([]byte(`{"logGroupNamePrefix":`), group)
	r, err := call(ctx, client, "DescribeLogGroups", append(body, '}'))
	if err != nil {
		return false, err
	}
	answer, err := value.Parse(r.Body)
	if err != nil {
		return false, fmt.Errorf("DescribeLogGroups: %w", err)
	}
	groups := answer.Get("logGroups")
	for i := range groups.Len() { // in the order of their names: it would be the first
		if groups.At(i).Get("logGroupName").Str() == group {
			return true, nil
		}
	}
	return false, nil
}
