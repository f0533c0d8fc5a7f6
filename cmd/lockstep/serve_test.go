package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// Service keys may what their scopes say, on the board too, and do no work.
func TestServiceKeysOnTheBoard(t *testing.T) {
	t.Parallel()
	w := openTeam(t)
	w.callers["ci"] = bearer(w.ok("owner", "POST", "service-keys", `{"scopes":["read","comment"]}`)["key"])
	w.callers["writes"] = bearer(w.ok("owner", "POST", "service-keys", `{"scopes":["comment"]}`)["key"])
	f := func(who, method, path, body string, want int) map[string]any {
		t.Helper()
		status, got, _ := w.do(who, method, "/api/v1/"+path, body)
		if status != want {
			t.Errorf("%s %s as %s: %d, not %d: %v", method, path, who, status, want, got)
		}
		return got
	}
	if tasks := f("ci", "GET", "tasks?project=WEB", "", 200)["tasks"].([]any); len(tasks) != 3 {
		t.Errorf("a key that reads sees %d tasks", len(tasks))
	}
	f("ci", "GET", "tasks/WEB-1", "", 200)
	made := f("ci", "POST", "tasks", `{"project":"WEB","title":"from CI"}`, 200)
	if by := made["created_by"].(string); !strings.HasPrefix(by, "service:lss_") {
		t.Errorf("the task is made by %s", by)
	}
	f("ci", "POST", "tasks/WEB-1/comments", `{"body":"built"}`, 200)
	f("ci", "POST", "tasks/"+made["key"].(string)+"/claim", "", 403)
	f("ci", "POST", "tasks/WEB-1/cancel", "", 403)
	f("ci", "POST", "reviews/"+w.review+"/decision", `{"verdict":"approve"}`, 403)
	f("ci", "POST", "agents/writer/keys", "", 403)
	f("ci", "GET", "audit", "", 403)
	f("writes", "GET", "tasks", "", 403)
	f("service", "GET", "tasks", "", 403)
	if status, _, _ := w.do("service", "GET", "/metrics", ""); status != 200 {
		t.Errorf("metrics: %d", status)
	}
}

// Agents come to the MCP server with their keys, and nobody without one.
func TestAgentsDoorWithSignIn(t *testing.T) {
	t.Parallel()
	w := openTeam(t)
	const hello = `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"whoami","arguments":{}}}`
	accept := []string{"Content-Type", "application/json", "Accept", "application/json, text/event-stream"}
	for who, want := range map[string]int{"agent": 200, "nobody": 401, "revoked": 401, "stale": 401, "service": 403} {
		status, got, _ := w.do(who, "POST", "/mcp", hello, accept...)
		if status != want {
			t.Errorf("%s: %d %v", who, status, got)
		}
	}
}

func TestTLS(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	certFile, keyFile, pool := makeCertificate(t, dir)
	cert, err := loadCertificate(certFile, keyFile)
	if err != nil {
		t.Fatal(err)
	}
	s := testSettings(t, filepath.Join(dir, "data"))
	s.signIn = signIn{on: true, cert: cert}
	srv, err := openServer(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { srv.closeSoon(context.Background()) })
	link, err := srv.auth.OwnerLink(t.Context(), false)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(srv.url, "https://") || !strings.HasPrefix(link.URL, srv.url+"/welcome?token=") {
		t.Errorf("the server is at %s, and its link %s", srv.url, link.URL)
	}
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}}
	t.Cleanup(transport.CloseIdleConnections)
	client := &http.Client{Transport: transport}
	res, err := client.Post(srv.url+"/api/v1/bootstrap", "application/json", strings.NewReader(`{"token":"`+tokenOf(link.URL)+`","name":"ada","password":"`+teamPassword+`"}`))
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	for _, c := range res.Cookies() {
		if !c.Secure {
			t.Errorf("the cookie %s may go over plain HTTP", c.Name)
		}
	}
	if res.StatusCode != 200 || len(res.Cookies()) != 2 {
		t.Errorf("%s, %d cookies", res.Status, len(res.Cookies()))
	}
}

// makeCertificate writes a certificate for this machine and its key.
func makeCertificate(t *testing.T, dir string) (certFile, keyFile string, pool *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	certFile, keyFile = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	for file, block := range map[string]*pem.Block{certFile: {Type: "CERTIFICATE", Bytes: der}, keyFile: {Type: "PRIVATE KEY", Bytes: private}} {
		if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool = x509.NewCertPool()
	pool.AddCert(parsed)
	return certFile, keyFile, pool
}
