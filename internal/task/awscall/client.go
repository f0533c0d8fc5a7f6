// Package awscall is what integrations share that call an AWS service, or
// something that answers like one: where the service is, how a request is
// signed, how much of an answer is read, and AWS's words for what goes wrong.
//
// It speaks plain HTTP/1.1 with the SDK's signer and credentials, rather than
// through each service's SDK client: a result shows the answer's headers as they
// came, and errors have the words of another SDK, so little would be left of it.
package awscall

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/config"

	"github.com/lockstep-run/lockstep/internal/task"
)

// Service says how AWS calls one of its services in different places.
type Service struct {
	ID          string // in AWS_ENDPOINT_URL_<ID>: "LAMBDA", "BEDROCK_RUNTIME"
	Host        string // in front of the region: "lambda", or whole: "sts.{region}.amazonaws.com"
	SigningName string // in signatures: "lambda", "bedrock"
	// SigningRegion is the region in signatures where that is always the same one at
	// AWS's own endpoint.
	SigningRegion string
	// Object says that the service is an object store: paths are signed as they
	// are sent, and the body's hash is sent along.
	Object bool
}

// Client calls one service in one region. It is safe for concurrent use.
type Client struct {
	service Service
	account Account
	http    *http.Client
	signer  *v4.Signer
	setup   func() (setup, error)
	roles   *roles // nil: of none but the server's own
}

// setup is what the environment and the files of the AWS configuration say. It
// is read at the first call: whoever never calls AWS needs no such files.
type setup struct {
	endpoint    *url.URL
	elsewhere   bool // the endpoint is not AWS's own
	region      string
	credentials aws.CredentialsProvider
}

// Account says whose service is called. Empty fields stand for what the AWS
// configuration says, in the environment and in its files.
type Account struct {
	Region   string
	Profile  string // of the AWS configuration's files
	Endpoint string // a URL
}

// New makes a client that sends through transport. The region "" means the one
// of the AWS configuration. The endpoint is that of AWS_ENDPOINT_URL_<ID>, else
// AWS_ENDPOINT_URL, else the profile's endpoint_url, else AWS's own in the
// region; credentials come from the SDK's standard chain.
func New(service Service, region string, transport http.RoundTripper) *Client {
	return NewFor(service, Account{Region: region}, transport)
}

// NewFor is New for an account of the caller's choice.
func NewFor(service Service, account Account, transport http.RoundTripper) *Client {
	signer := v4.NewSigner(func(o *v4.SignerOptions) { o.DisableURIPathEscaping = service.Object })
	c := &Client{service: service, account: account, http: HTTPClient(transport), signer: signer}
	c.setup = sync.OnceValues(c.load)
	if service.ID != sts.ID {
		c.roles = &roles{sts: NewFor(sts, Account{Region: account.Region, Profile: account.Profile}, transport), sessions: map[sessionKey]*session{}}
	}
	return c
}

// In makes a client of the same service in another region. It shares c's
// connections and the sessions of roles, which hold in every region.
func (c *Client) In(region string) *Client {
	account := c.account
	account.Region = region
	other := &Client{service: c.service, account: account, http: c.http, signer: c.signer, roles: c.roles}
	other.setup = sync.OnceValues(other.load)
	return other
}

// NewLocal makes a client of a service that handler answers for, in this process.
// Its requests are not signed.
func NewLocal(handler http.Handler) *Client {
	s := setup{endpoint: &url.URL{Scheme: "http", Host: "localhost"}, elsewhere: true}
	return &Client{http: HTTPClient(local{handler}), setup: func() (setup, error) { return s, nil }}
}

// Endpoint is where the client's requests go.
func (c *Client) Endpoint() (*url.URL, error) {
	s, err := c.setup()
	return s.endpoint, err
}

// Elsewhere reports whether the endpoint is another than AWS's own: a host whose
// name takes no prefix.
func (c *Client) Elsewhere() bool {
	s, _ := c.setup()
	return s.elsewhere
}

func (c *Client) load() (setup, error) {
	var options []func(*config.LoadOptions) error
	if c.account.Region != "" {
		options = append(options, config.WithRegion(c.account.Region))
	}
	if c.account.Profile != "" {
		options = append(options, config.WithSharedConfigProfile(c.account.Profile))
	}
	cfg, err := config.LoadDefaultConfig(context.Background(), options...)
	if err != nil {
		return setup{}, fmt.Errorf("read the AWS configuration: %w", err)
	}
	if cfg.Region == "" {
		return setup{}, errors.New("no AWS region: set AWS_REGION or region in the configuration")
	}
	text, elsewhere := endpoint(c.service, &cfg)
	if c.account.Endpoint != "" {
		text, elsewhere = c.account.Endpoint, true
	}
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return setup{}, fmt.Errorf("the endpoint of %s is not a URL with http or https: %q", c.service.Host, text)
	}
	region := cfg.Region
	if !elsewhere {
		region = cmp.Or(c.service.SigningRegion, region)
	}
	return setup{u, elsewhere, region, cfg.Credentials}, nil
}

// endpoint is where a service is, and whether that is not AWS's own place.
func endpoint(s Service, cfg *aws.Config) (text string, elsewhere bool) {
	if !strings.EqualFold(os.Getenv("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS"), "true") {
		if own := os.Getenv("AWS_ENDPOINT_URL_" + s.ID); own != "" {
			return own, true
		}
	}
	if cfg.BaseEndpoint != nil {
		return *cfg.BaseEndpoint, true
	}
	host := s.Host
	if !strings.Contains(host, "amazonaws.com") && !strings.Contains(host, "api.aws") {
		host += ".{region}.amazonaws.com"
	}
	host = strings.ReplaceAll(host, "{region}", cfg.Region)
	if strings.HasPrefix(cfg.Region, "cn-") {
		host = strings.Replace(host, "amazonaws.com", "amazonaws.com.cn", 1)
	}
	return "https://" + host, false
}

// Request is a call to a service.
type Request struct {
	Method string   // "": POST
	Path   []string // its segments, not yet escaped
	// EscapedPath, if set, is the path in the place of Path, from its slash on.
	EscapedPath string
	Query       string // escaped
	Body        string
	// Header has the request's own headers under their canonical names.
	Header http.Header
	// HostPrefix stands in front of the host's name, "bucket.", where the host is
	// AWS's own.
	HostPrefix string
	// Host, if set, is the name that the request is for where the endpoint is
	// another than AWS's own.
	Host         string
	Unsigned     bool // the service lets anybody call
	UnsignedBody bool // the signature leaves the body out
}

// Do signs r, sends it and reads the answer, limit bytes of it at most: in the
// name of the role of the call under ctx (task.With), where that has one and
// somebody answers for roles. A refusal by the service is an answer too. The
// error is ctx's when ctx has ended, an *Oversize, a *task.Error where the role
// could not be assumed, or says in the words of AWS's SDK why there is no answer.
func (c *Client) Do(ctx context.Context, r *Request, limit int) (*Response, error) {
	s, err := c.setup()
	if err != nil {
		return nil, err
	}
	u := *s.endpoint
	if r.EscapedPath == "" {
		u.Path, u.RawPath = joinPath(&u, r.Path)
	} else {
		u.RawPath = strings.TrimSuffix(u.EscapedPath(), "/") + r.EscapedPath
		if u.Path, err = url.PathUnescape(u.RawPath); err != nil {
			return nil, fmt.Errorf("the path %q: %w", r.EscapedPath, err)
		}
	}
	if r.HostPrefix != "" && !s.elsewhere {
		u.Host = r.HostPrefix + u.Host
	}
	u.RawQuery = r.Query
	req, err := NewRequest(ctx, r.Method, &u, r.Body)
	if err != nil {
		return nil, err
	}
	for name, values := range r.Header {
		req.Header[name] = values
	}
	if r.Host != "" && s.elsewhere {
		req.Host = r.Host
	}
	if s.credentials != nil && !r.Unsigned {
		if err := c.sign(ctx, &s, req, r); err != nil {
			return nil, err
		}
	}
	return Send(c.http, req, limit)
}

// credentials are credentialsFor with AWS's words for what is in their way.
func (c *Client) credentials(ctx context.Context, s *setup) (aws.Credentials, error) {
	found, err := c.credentialsFor(ctx, s)
	var refused *task.Error
	switch {
	case err == nil:
		return found, nil
	case ctx.Err() != nil:
		return found, ctx.Err()
	case errors.As(err, &refused):
		return found, refused
	}
	return found, fmt.Errorf("Unable to load AWS credentials from any provider in the chain: %w; "+
		"set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE, where the server runs", err) //nolint:staticcheck // AWS's words
}

func (c *Client) sign(ctx context.Context, s *setup, req *http.Request, r *Request) error {
	credentials, err := c.credentials(ctx, s)
	if err != nil {
		return err
	}
	sum := sha256.Sum256([]byte(r.Body))
	hash := hex.EncodeToString(sum[:])
	if r.UnsignedBody {
		hash = "UNSIGNED-PAYLOAD"
	}
	if c.service.Object {
		req.Header["X-Amz-Content-Sha256"] = []string{hash}
	}
	if err := c.signer.SignHTTP(ctx, credentials, req, hash, c.service.SigningName, s.region, time.Now()); err != nil {
		return fmt.Errorf("sign the request: %w", err)
	}
	return nil
}

// CallerIdentity returns a request to STS by which whoever sends it learns in
// whose name calls under ctx are made: the URL of a GET, signed together with
// header, that holds for a while.
func (c *Client) CallerIdentity(ctx context.Context, header http.Header, holds time.Duration) (string, error) {
	s, err := c.roles.sts.setup()
	if err != nil {
		return "", err
	}
	credentials, err := c.credentials(ctx, &s)
	if err != nil {
		return "", err
	}
	u := *s.endpoint
	u.Path, u.RawPath = strings.TrimSuffix(u.Path, "/")+"/", ""
	u.RawQuery = url.Values{
		"Action": {"GetCallerIdentity"}, "Version": {"2011-06-15"}, "X-Amz-Expires": {strconv.Itoa(int(holds.Seconds()))},
	}.Encode()
	req := &http.Request{Method: http.MethodGet, URL: &u, Host: u.Host, Header: header}
	none := sha256.Sum256(nil)
	signed, _, err := c.signer.PresignHTTP(ctx, credentials, req, hex.EncodeToString(none[:]), sts.SigningName, s.region, time.Now())
	if err != nil {
		return "", fmt.Errorf("sign the request: %w", err)
	}
	return signed, nil
}

// Close closes connections that are idle.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// joinPath returns the path of base followed by segments, plain and escaped.
func joinPath(base *url.URL, segments []string) (plain, escaped string) {
	plain = strings.TrimSuffix(base.Path, "/")
	escaped = strings.TrimSuffix(base.EscapedPath(), "/")
	for _, s := range segments {
		plain += "/" + s
		escaped += "/" + EscapePath(s)
	}
	return plain, escaped
}

// EscapePath makes s a segment of a path: it escapes all but RFC 3986's unreserved characters, as AWS's SDKs
// do: a colon too, unlike url.PathEscape.
func EscapePath(s string) string {
	const hexDigits = "0123456789ABCDEF"
	out := make([]byte, 0, len(s)+16)
	for i := range len(s) {
		switch b := s[i]; {
		case 'a' <= b && b <= 'z', 'A' <= b && b <= 'Z', '0' <= b && b <= '9', b == '-', b == '_', b == '.', b == '~':
			out = append(out, b)
		default:
			out = append(out, '%', hexDigits[b>>4], hexDigits[b&15])
		}
	}
	return string(out)
}
