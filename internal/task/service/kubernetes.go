package service

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/lockstep-run/lockstep/asl/value"
	"github.com/lockstep-run/lockstep/internal/task"
	"github.com/lockstep-run/lockstep/internal/task/awscall"
	"github.com/lockstep-run/lockstep/internal/task/awsmodel"
)

// cluster is a cluster of EKS by what a task says of it: its Kubernetes API, and
// the only authority that may vouch for it.
type cluster struct {
	name     string
	endpoint *url.URL
	client   *http.Client
}

var (
	clusterFields = []string{"ClusterName", "CertificateAuthority", "Endpoint"}
	clusterName   = regexp.MustCompile(`^[0-9A-Za-z][0-9A-Za-z_-]{0,99}$`)
)

const (
	maxClusters  = 200         // whose connections are kept
	answerWithin = time.Minute // after which the API itself gives up, too
)

// clusterOf reads the parameters that say which cluster is called. The error is a
// badParameter.
func (s *Services) clusterOf(in value.Value) (*cluster, error) {
	for _, name := range clusterFields {
		if in.Get(name).Str() == "" {
			return nil, missing(name)
		}
	}
	c := &cluster{name: in.Get("ClusterName").Str()}
	if !clusterName.MatchString(c.name) {
		return nil, malformed("ClusterName")
	}
	u, err := url.Parse(in.Get("Endpoint").Str())
	// A token goes along, which nobody else may read.
	if err != nil || u.Scheme != "https" || u.Hostname() == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return nil, malformed("Endpoint")
	}
	c.endpoint = u
	c.client, err = s.clusterClient(in.Get("CertificateAuthority").Str())
	return c, err
}

// clusterClient is the client of the clusters that an authority vouches for.
func (s *Services) clusterClient(authority string) (*http.Client, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c := s.clusters[authority]; c != nil {
		return c, nil
	}
	pem, err := base64.StdEncoding.DecodeString(authority)
	roots := x509.NewCertPool()
	if err != nil || !roots.AppendCertsFromPEM(pem) {
		return nil, malformed("CertificateAuthority")
	}
	if len(s.clusters) >= maxClusters { // they may come from inputs
		s.closeClusters()
		clear(s.clusters)
	}
	c := awscall.HTTPClient(s.reach(&tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}))
	s.clusters[authority] = c
	return c, nil
}

func (s *Services) closeClusters() {
	for _, c := range s.clusters {
		c.CloseIdleConnections()
	}
}

// reachAny connects to any address.
func reachAny(c *tls.Config) http.RoundTripper {
	t := awscall.Transport()
	t.TLSClientConfig = c
	return t
}

// kubeRequest is a request to a Kubernetes API.
type kubeRequest struct {
	method string
	path   string // may be escaped already
	query  url.Values
	body   string
	kind   string // of the body: "application/json" if it is empty
	limit  int    // of the answer, in bytes; 0: maxAnswer
}

// url is where r goes at an endpoint.
func (r *kubeRequest) url(endpoint url.URL) *url.URL {
	endpoint.RawPath = strings.TrimSuffix(endpoint.EscapedPath(), "/")
	for _, segment := range strings.Split(strings.TrimPrefix(r.path, "/"), "/") {
		if plain, err := url.PathUnescape(segment); err == nil {
			segment = plain
		}
		endpoint.RawPath += "/" + awscall.EscapePath(segment)
	}
	endpoint.Path, _ = url.PathUnescape(endpoint.RawPath) // which has just been escaped
	endpoint.RawQuery = strings.ReplaceAll(r.query.Encode(), "+", "%20")
	return &endpoint
}

// ask makes a call of a Kubernetes API in the name of the task's role. What is no
// answer of success becomes EKS.<status> with the answer as its cause.
func (s *Services) ask(ctx context.Context, to *cluster, r kubeRequest) (*awscall.Response, error) {
	within, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	req, err := awscall.NewRequest(within, r.method, r.url(*to.endpoint), r.body)
	if err != nil {
		return nil, err
	}
	token, err := s.clusterToken(within, to.name)
	var answer *awscall.Response
	if err == nil {
		req.Header["Authorization"] = []string{"Bearer " + token}
		req.Header["Accept"] = []string{"application/json, */*"}
		if r.body != "" {
			req.Header["Content-Type"] = []string{cmp.Or(r.kind, "application/json")}
		}
		answer, err = awscall.Send(to.client, req, cmp.Or(r.limit, maxAnswer))
	}
	var long *awscall.Oversize
	var refused *task.Error
	switch {
	case err == nil && answer.OK():
		return answer, nil
	case err == nil:
		return nil, task.Fail("EKS."+strconv.Itoa(answer.Status), awscall.Short(kubeResult(answer).JSON(), maxCause))
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case errors.As(err, &long):
		return nil, tooLarge("eks")
	case errors.As(err, &refused):
		return nil, refused
	case within.Err() != nil:
		return nil, task.Fail("EKS.SdkClientException", "Unable to execute HTTP request: no answer within "+answerWithin.String())
	}
	if why := s.refused(err); why != "" {
		return nil, task.Fail("Lockstep.EgressRefused", capital(why)+".")
	}
	return nil, task.Fail("EKS.SdkClientException", err.Error())
}

// clusterToken is the token by which a cluster learns who calls: a request to STS
// that tells, signed for this cluster, for the cluster to send.
func (s *Services) clusterToken(ctx context.Context, name string) (string, error) {
	eks := s.client(awsmodel.Find("eks"))
	signed, err := eks.CallerIdentity(ctx, http.Header{"X-K8s-Aws-Id": {name}}, time.Minute)
	return "k8s-aws-v1." + base64.RawURLEncoding.EncodeToString([]byte(signed)), err
}

// kubeResult is an answer as tasks see it.
func kubeResult(r *awscall.Response) value.Value {
	return value.ObjectOf([]value.Member{
		{Key: "ResponseBody", Value: jsonOrText(r.Body)},
		{Key: "StatusCode", Value: value.Int(int64(r.Status))},
		{Key: "StatusText", Value: value.Str(http.StatusText(r.Status))},
	})
}

func jsonOrText(s string) value.Value {
	v, err := value.Parse(s)
	if err != nil {
		return value.Str(strings.ToValidUTF8(s, "\uFFFD"))
	}
	return v
}

// kubeCall runs eks:call: any request to a cluster's Kubernetes API.
type kubeCall struct{ services *Services }

var callFields = append(slices.Clone(clusterFields), "Method", "Path", "QueryParameters", "RequestBody")

// Run makes the call.
func (k *kubeCall) Run(ctx context.Context, c *task.Call) (task.Result, error) {
	in, err := parameters(c.Input)
	if err != nil {
		return task.Result{}, err
	}
	in = given(in)
	if bad := awscall.Check(c.Input, in, callFields, "ClusterName", "CertificateAuthority", "Endpoint", "Method", "Path"); bad != nil {
		return task.Result{}, bad
	}
	to, r, err := k.request(in)
	if err != nil {
		return task.Result{}, describe(c.Input, err)
	}
	answer, err := k.services.ask(ctx, to, r)
	if err != nil {
		return task.Result{}, err
	}
	return task.Result{Output: kubeResult(answer).JSON()}, nil
}

func (k *kubeCall) request(in value.Value) (*cluster, kubeRequest, error) {
	r := kubeRequest{method: in.Get("Method").Str(), path: in.Get("Path").Str()}
	for _, name := range []string{"Method", "Path"} {
		if in.Get(name).Str() == "" {
			return nil, r, missing(name)
		}
	}
	if !slices.Contains([]string{"GET", "POST", "PUT", "DELETE", "HEAD", "PATCH"}, r.method) {
		return nil, r, malformed("Method")
	}
	if _, err := url.PathUnescape(r.path); err != nil {
		return nil, r, malformed("Path")
	}
	query, err := lists("QueryParameters", in.Get("QueryParameters"))
	if err != nil {
		return nil, r, err
	}
	r.query = query
	if body := in.Get("RequestBody"); !body.IsAbsent() {
		r.body = text(body)
		r.kind = bodyKind(r.method, r.body)
	}
	to, err := k.services.clusterOf(in)
	return to, r, err
}

// bodyKind is the type of a body. Of the kinds of patches, all resources take
// two, which are told apart by their form: a list of operations, or a merge.
func bodyKind(method, body string) string {
	switch {
	case method != http.MethodPatch:
		return "application/json"
	case strings.HasPrefix(strings.TrimSpace(body), "["):
		return "application/json-patch+json"
	}
	return "application/merge-patch+json"
}
