package egress_test

import (
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/lockstep-run/lockstep/internal/egress"
)

// scripted is a resolver whose answers a test writes: by name, for each question
// in turn; the last one stays.
type scripted struct {
	mu      sync.Mutex
	answers map[string][]string
}

func (s *scripted) resolver() *net.Resolver {
	return &net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) {
		ours, theirs := net.Pipe()
		go s.serve(theirs)
		return ours, nil
	}}
}

// next is the answer to an A or AAAA question. Both kinds count as one.
func (s *scripted) next(name string, v6 bool) (list []netip.Addr) {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := s.answers[name]
	if len(all) == 0 {
		return nil
	}
	for text := range strings.FieldsSeq(all[0]) {
		if addr := netip.MustParseAddr(text); addr.Is4() != v6 {
			list = append(list, addr)
		}
	}
	if len(all) > 1 && len(list) > 0 {
		s.answers[name] = all[1:]
	}
	return list
}

// serve answers questions as DNS over TCP does.
func (s *scripted) serve(c net.Conn) {
	defer c.Close()
	for {
		var size [2]byte
		if _, err := io.ReadFull(c, size[:]); err != nil {
			return
		}
		q := make([]byte, binary.BigEndian.Uint16(size[:]))
		if _, err := io.ReadFull(c, q); err != nil {
			return
		}
		var labels []string
		at := 12
		for q[at] != 0 {
			labels = append(labels, string(q[at+1:at+1+int(q[at])]))
			at += 1 + int(q[at])
		}
		kind := binary.BigEndian.Uint16(q[at+1:])
		addrs := s.next(strings.Join(labels, "."), kind == 28)
		out := append([]byte{}, q[:at+5]...)
		copy(out[2:], []byte{0x81, 0x80, 0, 1, 0, byte(len(addrs)), 0, 0, 0, 0})
		for _, a := range addrs {
			b := a.AsSlice()
			out = append(out, 0xc0, 12, 0, byte(kind), 0, 1, 0, 0, 0, 0, 0, byte(len(b)))
			out = append(out, b...)
		}
		if _, err := c.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(out))), out...)); err != nil {
			return
		}
	}
}

func newPolicy(t *testing.T, c egress.Config) *egress.Policy {
	t.Helper()
	p, err := egress.New(c)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func get(t *testing.T, c *http.Client, address string) error {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address, nil)
	if err != nil {
		return err
	}
	res, err := c.Do(req)
	if err == nil {
		res.Body.Close()
	}
	return err
}

// Every way we know to have a server call what it should not. None of them is
// refused for want of an answer: each has to be the policy's decision.
func TestTricks(t *testing.T) {
	dns := &scripted{answers: map[string][]string{
		"loopback.example":   {"127.0.0.1"},
		"private.example":    {"10.0.0.1"},
		"metadata.example":   {"169.254.169.254"},
		"six.example":        {"::1"},
		"mapped.example":     {"::ffff:127.0.0.1"},
		"nat64.example":      {"64:ff9b::a9fe:a9fe"},
		"both.example":       {"127.0.0.1 ::1"},
		"ula.example":        {"fd00:ec2::254"},
		"localtest.me":       {"127.0.0.1"},
		"zero.example":       {"0.0.0.0"},
		"127.0.0.1.nip.io":   {"127.0.0.1"},
		"xn--bcher-kva.test": {"127.0.0.1"},
		"localhost":          {"127.0.0.1"},
		"LOCALHOST":          {"127.0.0.1"},
	}}
	client := newPolicy(t, egress.Config{Resolver: dns.resolver()}).Client()
	tricks := []string{
		// Addresses as they are.
		"https://127.0.0.1/", "https://127.255.255.254/", "https://10.0.0.1/", "https://172.16.0.1/",
		"https://172.31.255.255/", "https://192.168.0.1/", "https://100.64.0.1/", "https://100.100.100.200/",
		"https://169.254.169.254/latest/meta-data/", "https://169.254.170.2/v2/credentials", "https://168.63.129.16/",
		"https://192.0.0.192/", "https://0.0.0.0/", "https://0.1.2.3/", "https://198.18.0.1/", "https://192.0.2.1/",
		"https://224.0.0.1/", "https://240.0.0.1/", "https://255.255.255.255/",
		// The same in IPv6.
		"https://[::1]/", "https://[::]/", "https://[0:0:0:0:0:0:0:1]/", "https://[fe80::1]/", "https://[fe80::1%25lo]/",
		"https://[::1%251]/", "https://[fc00::1]/", "https://[fd00:ec2::254]/", "https://[fd20:ce::254]/", "https://[fec0::1]/",
		"https://[ff02::1]/", "https://[2001:db8::1]/", "https://[100::1]/", "https://[3fff::1]/", "https://[5f00::1]/",
		// IPv4 within IPv6.
		"https://[::ffff:127.0.0.1]/", "https://[::ffff:7f00:1]/", "https://[::ffff:169.254.169.254]/",
		"https://[0:0:0:0:0:ffff:a9fe:a9fe]/", "https://[::127.0.0.1]/", "https://[::ffff:0:127.0.0.1]/",
		"https://[64:ff9b::7f00:1]/", "https://[64:ff9b::169.254.169.254]/", "https://[64:ff9b:1::a9fe:a9fe]/",
		"https://[2002:7f00:1::]/", "https://[2002:a9fe:a9fe::1]/", "https://[2002:a00:1::1]/",
		"https://[2001:0:7f00:1::1]/", "https://[2600::5efe:10.0.0.1]/", "https://[2600::200:5efe:7f00:1]/",
		// Unusual ways to write an address.
		"https://2130706433/", "https://0x7f000001/", "https://0x7f.0.0.1/", "https://0177.0.0.1/", "https://017700000001/",
		"https://127.1/", "https://127.0.1/", "https://0/", "https://127.0.0.1./", "https://169.254.169.254./",
		"https://2852039166/", "https://0xa9fea9fe/", "https://0xa9.0xfe.0xa9.0xfe/", "https://0251.0376.0251.0376/",
		"https://169.254.43518/", "https://1.0x7f/", "https://127.0.0.1.:443/",
		// Other letters and dots.
		"https://127。0。0。1/", "https://１２７.0.0.1/", "https://①②⑦.⓪.⓪.①/", "https://ｌｏｃａｌｈｏｓｔ/", "https://localhost。/",
		"https://bücher.test/",
		// Names.
		"https://localhost/", "https://LOCALHOST/", "https://localhost./", "https://loopback.example/",
		"https://private.example/", "https://metadata.example/", "https://six.example/", "https://mapped.example/",
		"https://nat64.example/", "https://both.example/", "https://ula.example/", "https://zero.example/",
		"https://localtest.me/", "https://127.0.0.1.nip.io/", "https://a..example/", "https://.example/",
		// Who it seems to be for.
		"https://api.example.com@127.0.0.1/", "https://127.0.0.1#@api.example.com/", "https://127.0.0.1?@api.example.com/",
		`https://user:password@private.example/`, "https://127.0.0.1:443/", "https://127.0.0.1:/", "https://[::1]:8443/",
		// Other protocols.
		"http://203.0.113.9/", "http://8.8.8.8/", "http://loopback.example/", "https://8.8.8.8:22/", "https://8.8.8.8:25/",
		"https://8.8.8.8:6379/", "https://8.8.8.8:11211/", "https://8.8.8.8:2375/", "https://8.8.8.8:0/", "https://8.8.8.8:65536/",
		"ftp://8.8.8.8/", "file:///etc/passwd", "gopher://127.0.0.1:6379/_", "dict://127.0.0.1:11211/",
		"unix:///var/run/docker.sock", "https:///", "//127.0.0.1/",
	}
	if len(tricks) < 40 {
		t.Fatalf("%d tricks are too few", len(tricks))
	}
	for _, trick := range tricks {
		err := get(t, client, trick)
		var refused *egress.Refused
		if !errors.As(err, &refused) {
			t.Errorf("%s: %v, want the policy to refuse it", trick, err)
		}
	}
	t.Logf("%d tricks refused", len(tricks))
}

func TestRebinding(t *testing.T) {
	served := 0
	api := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { served++ }))
	defer api.Close()
	port := api.URL[strings.LastIndex(api.URL, ":")+1:]

	// The name is public when a caller looks, and loopback when it connects.
	dns := &scripted{answers: map[string][]string{"rebind.example": {"8.8.8.8", "127.0.0.1"}}}
	resolver := dns.resolver()
	if got, err := resolver.LookupHost(t.Context(), "rebind.example"); err != nil || got[0] != "8.8.8.8" {
		t.Fatal(got, err)
	}
	client := newPolicy(t, egress.Config{Resolver: resolver}).Client()
	var refused *egress.Refused
	if err := get(t, client, "https://rebind.example:"+port+"/"); !errors.As(err, &refused) || refused.Addr != "127.0.0.1" {
		t.Errorf("%v", err)
	}
	if served > 0 {
		t.Error("the server was reached")
	}
}

func TestRedirects(t *testing.T) {
	inner := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("the inner server was reached") }))
	defer inner.Close()
	to := ""
	outer := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, to, http.StatusTemporaryRedirect)
	}))
	defer outer.Close()
	roots := outer.Client().Transport.(*http.Transport).TLSClientConfig
	p := newPolicy(t, egress.Config{Allow: []string{strings.TrimPrefix(outer.URL, "https://")}, TLS: &tls.Config{RootCAs: roots.RootCAs}})
	follows := &http.Client{Transport: p.Transport()}
	for _, to = range []string{inner.URL, "https://169.254.169.254/", "http://8.8.8.8/", "https://[::ffff:169.254.169.254]/", "file:///etc/passwd", "https://user@8.8.8.8/"} {
		var refused *egress.Refused
		if err := get(t, follows, outer.URL); !errors.As(err, &refused) {
			t.Errorf("redirected to %s: %v", to, err)
		}
		if err := get(t, p.Client(), outer.URL); err != nil {
			t.Errorf("Client follows a redirect to %s: %v", to, err)
		}
	}
}

// Check decides alone where no connection is needed for it.
func TestAllow(t *testing.T) {
	f := func(allow, address, want string) {
		t.Helper()
		p := newPolicy(t, egress.Config{Allow: strings.Fields(allow)})
		u, err := url.Parse(address)
		if err != nil {
			t.Fatal(err)
		}
		got := "yes"
		if err := p.Check(u); err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("%s, %s:\n got %s\nwant %s", allow, address, got, want)
		}
	}
	hint := func(target string) string {
		return `. If it is meant to, put this into its configuration: egress: {allow: ["` + target + `"]}`
	}
	f("", "https://8.8.8.8/", "yes")
	f("", "https://api.example.com:8443/", "yes")
	f("", "https://[2606:4700::1111]/", "yes")
	f("", "https://[64:ff9b::808:808]/", "yes")
	f("", "http://localhost:9000/", "this server does not connect to localhost:9000: it would be called without TLS"+hint("localhost:9000"))
	f("", "https://127.0.0.1:9000/", "this server does not connect to 127.0.0.1:9000: that is a loopback address"+hint("127.0.0.1:9000"))
	f("", "https://[::ffff:10.0.0.1]/", "this server does not connect to [::ffff:10.0.0.1]:443: that is a private address"+hint("[::ffff:10.0.0.1]:443"))
	f("", "https://[fe80::1%25eth0]/", "this server does not connect to [fe80::1%eth0]:443: that is an address within one link"+hint("[fe80::1]:443"))
	f("localhost:9000", "http://localhost:9000/", "yes")
	f("localhost:9000", "http://LOCALHOST.:9000/", "yes")
	f("localhost:9000", "http://localhost:9001/", "this server does not connect to localhost:9001: it would be called without TLS"+hint("localhost:9001"))
	f("localhost", "http://localhost/", "yes")
	f("127.0.0.1", "http://127.0.0.1:9000/", "yes")
	f("127.0.0.0/8", "http://127.3.4.5:9000/", "yes")
	f("127.0.0.1:9000", "http://[::ffff:127.0.0.1]:9000/", "yes")
	f("[::1]:9000", "http://[::1]:9000/", "yes")
	f("::1", "http://[::1]:9000/", "yes")
	f("10.0.0.0/8", "https://10.1.2.3/", "yes")
	f("10.0.0.0/8", "https://192.168.0.1/", "this server does not connect to 192.168.0.1:443: that is a private address"+hint("192.168.0.1:443"))
	f("*.internal", "http://api.internal/", "yes")
	f("*.internal", "http://internal/", "this server does not connect to internal:80: it would be called without TLS"+hint("internal:80"))
	f("mail.example.com:25", "http://mail.example.com:25/", "yes")
	f("mail.example.com", "https://mail.example.com:25/", "this server does not connect to mail.example.com:25: the port belongs to another protocol than HTTP"+hint("mail.example.com:25"))
	f("169.254.169.254", "http://169.254.169.254/", "yes")
}

// Whoever lists a name means its servers, not the metadata of the cloud.
func TestListedNameIsNoMetadata(t *testing.T) {
	dns := &scripted{answers: map[string][]string{"api.internal": {"169.254.169.254"}}}
	p := newPolicy(t, egress.Config{Allow: []string{"api.internal"}, Resolver: dns.resolver()})
	want := "this server does not connect to api.internal:80 (169.254.169.254): that is a link-local address, where metadata services are. " +
		`If it is meant to, put this into its configuration: egress: {allow: ["169.254.169.254:80"]}`
	var refused *egress.Refused
	if err := get(t, p.Client(), "http://api.internal/"); !errors.As(err, &refused) || refused.Error() != want {
		t.Errorf("%v", err)
	}
}

func TestListedHostIsCalled(t *testing.T) {
	api := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer api.Close()
	port := api.URL[strings.LastIndex(api.URL, ":")+1:]
	dns := &scripted{answers: map[string][]string{"api.internal": {"127.0.0.1"}}}
	f := func(allow string) {
		t.Helper()
		p := newPolicy(t, egress.Config{Allow: []string{allow}, Resolver: dns.resolver()})
		if err := get(t, p.Client(), "http://api.internal:"+port+"/"); err != nil {
			t.Errorf("allow %s: %v", allow, err)
		}
	}
	f("api.internal")
	f("api.internal:" + port)
	f("*.internal")
	f("127.0.0.0/8")

	// A network that is listed lets a name be called without TLS only there.
	p := newPolicy(t, egress.Config{Allow: []string{"10.0.0.0/8"}, Resolver: dns.resolver()})
	var refused *egress.Refused
	if err := get(t, p.Client(), "http://api.internal:"+port+"/"); !errors.As(err, &refused) {
		t.Error(err)
	}
}

func TestRules(t *testing.T) {
	for _, bad := range []string{"", "*", "*example", "a b", "10.0.0.0/99", "localhost:0", "localhost:http", "http://localhost", "fe80::1%eth0", "0x7f.1", "2130706433", "a..b"} {
		if _, err := egress.New(egress.Config{Allow: []string{bad}}); err == nil {
			t.Errorf("%q is accepted", bad)
		}
	}
	if _, err := egress.New(egress.Config{Ports: []int{0}}); err == nil {
		t.Error("port 0 is accepted")
	}
}

func FuzzCheck(f *testing.F) {
	p, err := egress.New(egress.Config{Allow: []string{"localhost:9000", "10.0.0.0/8"}})
	if err != nil {
		f.Fatal(err)
	}
	f.Add("https://[::ffff:127.0.0.1]:80/")
	f.Fuzz(func(t *testing.T, text string) {
		u, err := url.Parse(text)
		if err != nil || p.Check(u) != nil {
			return
		}
		// What passes and is an address must be public or listed.
		if a, err := netip.ParseAddr(strings.TrimSuffix(u.Hostname(), ".")); err == nil && (a.IsLoopback() || a.IsLinkLocalUnicast() || a.IsMulticast()) {
			t.Errorf("%s passes", text)
		}
	})
}
