package awscall

import (
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/lockstep-run/lockstep/internal/task"
)

// sessionMargin is how long before its end a session is not used any more.
const sessionMargin = 5 * time.Minute

var sts = Service{ID: "STS", Host: "sts", SigningName: "sts"}

// roles holds the sessions in the name of other roles: those that tasks say in
// their Credentials.
type roles struct {
	sts *Client

	mu       sync.Mutex
	sessions map[sessionKey]*session
}

// sessionKey is what a session is for. The machine is in the session's name, by
// which CloudTrail shows who acted, and it is the external id that the role's
// trust policy can ask for.
type sessionKey struct{ role, machine string }

type session struct {
	free        chan struct{} // holds one value while nobody asks for a new session
	credentials aws.Credentials
}

// servesSTS reports whether somebody answers for the roles of calls to s: AWS
// itself, or what AWS_ENDPOINT_URL_STS names. A service at an endpoint of its
// own is not AWS, and most that answer there know nothing of roles: it is called
// with the server's own credentials.
func (s *setup) servesSTS() bool {
	return s.credentials != nil && (!s.elsewhere || os.Getenv("AWS_ENDPOINT_URL_STS") != "")
}

// credentialsFor are those that a call under ctx is signed with.
func (c *Client) credentialsFor(ctx context.Context, s *setup) (aws.Credentials, error) {
	call := task.From(ctx)
	if call == nil || call.RoleARN == "" || c.roles == nil || !s.servesSTS() {
		return s.credentials.Retrieve(ctx)
	}
	return c.roles.session(ctx, call)
}

// session returns a session's credentials. Whoever needs a new one asks for it
// while the others wait.
func (r *roles) session(ctx context.Context, call *task.Call) (aws.Credentials, error) {
	key := sessionKey{call.RoleARN, call.MachineARN}
	r.mu.Lock()
	s := r.sessions[key]
	if s == nil {
		if len(r.sessions) >= maxSessions { // roles may come from inputs
			clear(r.sessions)
		}
		s = &session{free: make(chan struct{}, 1)}
		s.free <- struct{}{}
		r.sessions[key] = s
	}
	r.mu.Unlock()
	select {
	case <-s.free:
	case <-ctx.Done():
		return aws.Credentials{}, ctx.Err()
	}
	defer func() { s.free <- struct{}{} }()
	if s.credentials.HasKeys() && time.Now().Before(s.credentials.Expires.Add(-sessionMargin)) {
		return s.credentials, nil
	}
	fresh, err := r.assume(ctx, call)
	if err == nil {
		s.credentials = fresh
	}
	return fresh, err
}

const maxSessions = 1000

// assume makes an AssumeRole call with the server's own credentials. A refusal is
// worded as AWS does (recorded); like it, it is an error that Catch can take.
func (r *roles) assume(ctx context.Context, call *task.Call) (none aws.Credentials, err error) {
	form := url.Values{
		"Action": {"AssumeRole"}, "Version": {"2011-06-15"}, "RoleArn": {call.RoleARN},
		"RoleSessionName": {sessionName(call.MachineARN)}, "ExternalId": {call.MachineARN},
	}
	// The call for the role is not made in its name.
	answer, err := r.sts.Do(task.With(ctx, nil), &Request{
		Body: form.Encode(), Header: http.Header{"Content-Type": {"application/x-www-form-urlencoded; charset=utf-8"}},
	}, 64<<10)
	if err != nil {
		if ctx.Err() != nil {
			return none, ctx.Err()
		}
		return none, task.Fail("States.TaskFailed", "The task state's role, "+call.RoleARN+", could not be assumed: "+err.Error())
	}
	var body struct {
		Credentials struct {
			AccessKeyID     string    `xml:"AccessKeyId"`
			SecretAccessKey string    `xml:"SecretAccessKey"`
			SessionToken    string    `xml:"SessionToken"`
			Expiration      time.Time `xml:"Expiration"`
		} `xml:"AssumeRoleResult>Credentials"`
		Code    string `xml:"Error>Code"`
		Message string `xml:"Error>Message"`
	}
	err = xml.Unmarshal([]byte(answer.Body), &body)
	switch {
	case !answer.OK() && body.Code == "AccessDenied":
		return none, task.Fail("States.TaskFailed", fmt.Sprintf(
			"The role %s is not authorized to assume the task state's role, %s.", call.MachineRole, call.RoleARN))
	case !answer.OK():
		return none, task.Fail("States.TaskFailed", fmt.Sprintf("The task state's role, %s, could not be assumed: %s (Service: Sts, Status Code: %d, Error Code: %s)",
			call.RoleARN, Short(body.Message, 1024), answer.Status, Short(body.Code, 128)))
	case err != nil || body.Credentials.AccessKeyID == "":
		return none, errors.New("the answer to AssumeRole holds no credentials")
	}
	k := body.Credentials
	return aws.Credentials{AccessKeyID: k.AccessKeyID, SecretAccessKey: k.SecretAccessKey, SessionToken: k.SessionToken,
		CanExpire: true, Expires: k.Expiration, Source: "AssumeRole"}, nil
}

var notInSessionName = regexp.MustCompile(`[^\w+=,.@-]`)

// sessionName is the machine's name in the letters that a session's can have.
func sessionName(machineARN string) string {
	_, name, _ := strings.Cut(machineARN, ":stateMachine:")
	name = "sfn-" + notInSessionName.ReplaceAllString(name, "-")
	return name[:min(len(name), 64)]
}
