// Package egress decides where this server may connect to on behalf of others:
// HTTP tasks, the tokens of their connections, clusters of EKS, webhooks. Whoever
// writes a state machine chooses the address, so without a policy the server would
// fetch for them what only it can reach: services on its own machine and network,
// and the cloud's metadata, which hands out credentials.
//
// The address that a connection is really made to is what counts. It is looked at
// when the socket is about to connect, after the name was resolved, so neither a
// redirect, nor a name that resolves to something else the second time, nor an
// unusual way to write an address gets around it.
package egress

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Config is what the configuration says. The zero Config allows what is public,
// by HTTPS.
type Config struct {
	// Allow lists what may be called although it is not public, or without TLS:
	// a host ("localhost", "*.example.internal") or an address ("10.1.2.3",
	// "[::1]"), with a port or without, or a network ("10.0.0.0/8"). A port that
	// is named may be any; without one, the port must be one that is allowed
	// anyway.
	//
	// A host that is listed may have any private or loopback address, but no
	// link-local one, where metadata services are: those take the address itself.
	Allow []string
	// Ports lists ports that may be called beside 80, 443 and those from 1024 on
	// that belong to no other protocol.
	Ports []int
	// Proxy has calls go through the proxy that HTTPS_PROXY and its like name.
	// The proxy's own address is subject to the policy; what it connects to is
	// only as far as the URL shows it.
	Proxy bool

	Resolver *net.Resolver // nil: the system's
	TLS      *tls.Config   // nil: the system's roots
}

// Policy decides. It is safe for concurrent use.
type Policy struct {
	rules    []rule
	ports    []int
	proxy    bool
	resolver *net.Resolver
	tls      *tls.Config
}

// rule is an entry of Config.Allow.
type rule struct {
	network netip.Prefix // where it is one
	host    string       // else; ".example.com" for *.example.com
	port    int          // 0: any allowed one
}

// New makes a Policy. The error names an entry that cannot be understood.
func New(c Config) (*Policy, error) {
	p := &Policy{ports: c.Ports, proxy: c.Proxy, resolver: c.Resolver, tls: c.TLS}
	for _, text := range c.Allow {
		r, err := parseRule(text)
		if err != nil {
			return nil, fmt.Errorf("egress: allow %q: %w", text, err)
		}
		p.rules = append(p.rules, r)
	}
	for _, port := range c.Ports {
		if port < 1 || port > 65535 {
			return nil, fmt.Errorf("egress: there is no port %d", port)
		}
	}
	return p, nil
}

var errRule = errors.New("give a host, an address or a network, such as localhost:9000, 10.1.2.3, [::1]:9000, *.example.internal or 10.0.0.0/8")

// ParseRule reports whether text can stand in Config.Allow.
func ParseRule(text string) error {
	_, err := parseRule(text)
	return err
}

func parseRule(text string) (r rule, err error) {
	if strings.Contains(text, "/") {
		network, err := netip.ParsePrefix(text)
		if err != nil {
			return r, errRule
		}
		return rule{network: network.Masked()}, nil
	}
	host := text
	if addr, err := netip.ParseAddr(text); err == nil { // an IPv6 address without brackets, too
		return ruleForAddr(addr, 0)
	}
	if h, port, err := net.SplitHostPort(text); err == nil {
		host = h
		if r.port, err = strconv.Atoi(port); err != nil || r.port < 1 || r.port > 65535 {
			return r, errRule
		}
	}
	host = strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
	if addr, err := netip.ParseAddr(host); err == nil {
		return ruleForAddr(addr, r.port)
	}
	r.host = canonical(host)
	if rest, ok := strings.CutPrefix(r.host, "*"); ok {
		r.host = rest
		host = strings.TrimPrefix(rest, ".")
		if !strings.HasPrefix(rest, ".") {
			return r, errRule
		}
	}
	if !isHostName(canonical(host)) {
		return r, errRule
	}
	return r, nil
}

func ruleForAddr(addr netip.Addr, port int) (rule, error) {
	if addr.Zone() != "" {
		return rule{}, errRule
	}
	addr = addr.Unmap()
	return rule{network: netip.PrefixFrom(addr, addr.BitLen()), port: port}, nil
}

// canonical is a host as rules are compared: small letters, no dot at the end.
func canonical(host string) string { return strings.TrimSuffix(strings.ToLower(host), ".") }

// isHostName reports whether host is a name, in ASCII, and cannot be mistaken for
// an address: some resolvers read 2130706433, 0x7f.1 and 0177.0.0.1 as one.
func isHostName(host string) bool {
	if host == "" || len(host) > 253 {
		return false
	}
	labels := strings.Split(host, ".")
	for _, label := range labels {
		if label == "" || len(label) > 63 {
			return false
		}
		for i := range len(label) {
			switch c := label[i]; {
			case 'a' <= c && c <= 'z', '0' <= c && c <= '9', c == '-', c == '_':
			default:
				return false
			}
		}
	}
	last := labels[len(labels)-1]
	if strings.Trim(last, "0123456789") == "" {
		return false
	}
	if digits, ok := strings.CutPrefix(last, "0x"); ok && strings.Trim(digits, "0123456789abcdef") == "" {
		return false
	}
	return true
}

// Refused is the error of a call that the policy does not allow. It holds nothing
// of the URL but host and port.
type Refused struct {
	Target string // host:port as asked for
	Addr   string // the address it has, where that is what counts and differs
	Why    string // "a loopback address"
	Allow  string // what to add to the configuration; "": nothing helps
}

// Error says what was refused and how to allow it.
func (e *Refused) Error() string {
	text := "this server does not connect to " + e.Target
	if e.Addr != "" {
		text += " (" + e.Addr + ")"
	}
	text += ": " + e.Why
	if e.Allow != "" {
		text += ". If it is meant to, put this into its configuration: egress: {allow: [\"" + e.Allow + "\"]}"
	}
	return text
}

// Check refuses, without any connection, a URL that no connection could help:
// one with another scheme than https, or http where the configuration allows
// that, with a user name, or with a host or port that is none or not allowed.
func (p *Policy) Check(u *url.URL) error {
	target := u.Host
	if u.Scheme != "https" && u.Scheme != "http" {
		return &Refused{Target: target, Why: "only https is called"}
	}
	if u.User != nil {
		return &Refused{Target: target, Why: "the address holds a user name"}
	}
	port := 443
	if u.Scheme == "http" {
		port = 80
	}
	if text := u.Port(); text != "" || strings.HasSuffix(u.Host, ":") {
		n, err := strconv.Atoi(cmp.Or(text, strconv.Itoa(port)))
		if err != nil || n < 1 || n > 65535 {
			return &Refused{Target: target, Why: "there is no such port"}
		}
		port = n
	}
	return p.checkTarget(u.Hostname(), port, u.Scheme == "http")
}

// checkTarget decides what can be decided before a name is resolved.
func (p *Policy) checkTarget(host string, port int, plain bool) error {
	target := net.JoinHostPort(host, strconv.Itoa(port))
	name := canonical(host)
	addr, isAddr := parseAddr(host)
	if !isAddr && !isHostName(name) && isASCII(name) {
		return &Refused{Target: target, Why: "the host is neither a name nor an address in its usual form"}
	}
	if !p.portAllowed(name, addr, port) {
		return &Refused{Target: target, Why: "the port belongs to another protocol than HTTP", Allow: target}
	}
	if isAddr {
		if err := p.checkAddr(name, addr, port); err != nil {
			return err
		}
		if plain && !p.listsAddr(addr, port) {
			return &Refused{Target: target, Why: "it would be called without TLS", Allow: target}
		}
		return nil
	}
	if plain && !p.listsName(name, port) && !p.hasNetworks() {
		return &Refused{Target: target, Why: "it would be called without TLS", Allow: target}
	}
	return nil
}

func isASCII(s string) bool {
	return strings.IndexFunc(s, func(r rune) bool { return r > 127 }) < 0
}

// parseAddr reads a host that is an address, also with a dot at its end.
func parseAddr(host string) (netip.Addr, bool) {
	addr, err := netip.ParseAddr(strings.TrimSuffix(host, "."))
	return addr, err == nil
}

func (p *Policy) hasNetworks() bool {
	return slices.ContainsFunc(p.rules, func(r rule) bool { return r.host == "" })
}

// portAllowed reports whether a port may be called at all, or at this host.
func (p *Policy) portAllowed(name string, addr netip.Addr, port int) bool {
	if port == 80 || port == 443 || slices.Contains(p.ports, port) || port >= 1024 && !slices.Contains(otherProtocols, port) {
		return true
	}
	return slices.ContainsFunc(p.rules, func(r rule) bool {
		return r.port == port && (r.host != "" && r.matches(name) || r.host == "" && addr.IsValid() && r.network.Contains(addr.Unmap()))
	})
}

// otherProtocols are ports from 1024 on whose servers can be made to do something
// by what an HTTP request looks like to them. Most are those that browsers refuse
// (Fetch, "bad port"); the others are databases and caches.
var otherProtocols = []int{
	1719, 1720, 1723, 2049, 3659, 4045, 4190, 5060, 5061, 6000, 6566, 6665, 6666, 6667, 6668, 6669, 6679, 6697, 10080,
	2375, 2376, 3306, 5432, 6379, 11211, 27017,
}

// listsName and listsAddr report whether the configuration lists a target.
func (p *Policy) listsName(name string, port int) bool {
	return slices.ContainsFunc(p.rules, func(r rule) bool {
		return r.host != "" && r.matches(name) && (r.port == 0 || r.port == port)
	})
}

func (p *Policy) listsAddr(addr netip.Addr, port int) bool {
	return slices.ContainsFunc(p.rules, func(r rule) bool {
		return r.host == "" && addr.Zone() == "" && r.network.Contains(addr.Unmap()) && (r.port == 0 || r.port == port)
	})
}

func (r rule) matches(name string) bool {
	if strings.HasPrefix(r.host, ".") {
		return strings.HasSuffix(name, r.host) && len(name) > len(r.host)
	}
	return r.host == name
}

// checkAddr decides about an address that host has.
func (p *Policy) checkAddr(host string, addr netip.Addr, port int) error {
	why, metadata := special(addr)
	if why == "" || p.listsAddr(addr, port) || !metadata && p.listsName(host, port) {
		return nil
	}
	shown := net.JoinHostPort(host, strconv.Itoa(port))
	refused := &Refused{Target: shown, Why: "that is " + why, Allow: shown}
	if host != addr.String() {
		refused.Addr = addr.String()
	}
	if metadata {
		refused.Allow = net.JoinHostPort(addr.Unmap().WithZone("").String(), strconv.Itoa(port))
	}
	return refused
}

type plainKey struct{}

// DialContext connects to host:port, for an http.Transport or anything else. It
// returns a *Refused, maybe wrapped, where the policy does not allow it.
func (p *Policy) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	host, portText, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	port, err := strconv.Atoi(portText)
	if err != nil || port < 1 || port > 65535 {
		return nil, &Refused{Target: address, Why: "there is no such port"}
	}
	plain := ctx.Value(plainKey{}) != nil
	if err := p.checkTarget(host, port, plain); err != nil {
		return nil, err
	}
	name := canonical(host)
	if !isASCII(name) {
		return nil, &Refused{Target: address, Why: "the host is not written in ASCII"}
	}
	d := net.Dialer{
		Timeout: 10 * time.Second, KeepAlive: 30 * time.Second, Resolver: p.resolver,
		// Control sees each address that is about to be connected to.
		Control: func(_, address string, _ syscall.RawConn) error {
			at, err := netip.ParseAddrPort(address)
			if err != nil {
				return &Refused{Target: address, Why: "its address cannot be read"}
			}
			if err := p.checkAddr(name, at.Addr(), port); err != nil {
				return err
			}
			if plain && !p.listsName(name, port) && !p.listsAddr(at.Addr(), port) {
				return &Refused{Target: net.JoinHostPort(name, portText), Why: "it would be called without TLS", Allow: net.JoinHostPort(name, portText)}
			}
			return nil
		},
	}
	return d.DialContext(ctx, network, net.JoinHostPort(strings.TrimSuffix(host, "."), portText))
}

// Transport makes connections under the policy for calls that may be many at a
// time. It keeps them for a while and stays with HTTP/1.1. Give it to a client
// that follows no redirects, such as Client's; each would be checked as well.
func (p *Policy) Transport() http.RoundTripper { return p.TransportWith(p.tls.Clone()) }

// TransportWith is Transport with other settings of TLS than the policy's.
func (p *Policy) TransportWith(settings *tls.Config) http.RoundTripper {
	base := &http.Transport{
		DialContext:            p.DialContext,
		TLSClientConfig:        settings,
		TLSHandshakeTimeout:    10 * time.Second,
		MaxIdleConnsPerHost:    64,
		IdleConnTimeout:        30 * time.Second,
		DisableCompression:     true,
		MaxResponseHeaderBytes: 64 << 10,
	}
	if p.proxy {
		base.Proxy = http.ProxyFromEnvironment
	}
	return &transport{p, base}
}

// Client makes a client that calls under the policy and follows no redirects.
func (p *Policy) Client() *http.Client {
	return &http.Client{Transport: p.Transport(), CheckRedirect: func(*http.Request, []*http.Request) error {
		return http.ErrUseLastResponse
	}}
}

type transport struct {
	policy *Policy
	base   *http.Transport
}

// RoundTrip checks the URL and, in DialContext, the address.
func (t *transport) RoundTrip(req *http.Request) (*http.Response, error) {
	if err := t.policy.Check(req.URL); err != nil {
		if req.Body != nil {
			req.Body.Close()
		}
		return nil, err
	}
	if req.URL.Scheme == "http" {
		// A transport keeps connections with and without TLS apart, so one that was
		// made for this request is not given to another kind.
		req = req.WithContext(context.WithValue(req.Context(), plainKey{}, true))
	}
	return t.base.RoundTrip(req)
}

// CloseIdleConnections is for http.Client's.
func (t *transport) CloseIdleConnections() { t.base.CloseIdleConnections() }
