package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/lockstep-run/lockstep/internal/seal"
)

// signIn is what a server has that others than its developer use.
type signIn struct {
	on        bool
	masterKey string       // the key's file; "": in the data directory
	cert      *certificate // nil: plain HTTP
}

func (s signIn) scheme() string {
	if s.cert != nil {
		return "https"
	}
	return "http"
}

func newServeCommand() *cobra.Command {
	var f serverFlags
	var certFile, keyFile, masterKey string
	var insecure, newOwner bool
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Run a server for a team, with sign-in",
		Long: `Serve runs a server for a team. People sign in, agents and services have keys,
and the AWS API wants signatures by access keys that the server has given out.
The first start prints a link, good once and for an hour, by which somebody
becomes the owner. docs/serve.md says how to set a team up.`,
		Example: `  lockstep serve
  lockstep serve --listen 0.0.0.0:8443 --tls-cert cert.pem --tls-key key.pem --public-url https://lockstep.example.com:8443
  lockstep serve --public-url https://lockstep.example.com   behind a proxy on this machine
  lockstep serve --new-owner-link                            when nobody can sign in any more`,
		Args: cobra.NoArgs,
		RunE: act(func(cmd *cobra.Command, _ []string) error {
			s, err := f.settings(cmd.Flags())
			if err != nil {
				return err
			}
			s.signIn = signIn{on: true, masterKey: masterKey}
			if (certFile == "") != (keyFile == "") {
				return usageError("--tls-cert and --tls-key belong together")
			}
			if certFile != "" {
				if s.signIn.cert, err = loadCertificate(certFile, keyFile); err != nil {
					return &exitError{exitUsage, err}
				}
			}
			if err := requireSafe(s.listen, s.signIn.cert != nil || insecure); err != nil {
				return err
			}
			ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM)
			defer stop()
			context.AfterFunc(ctx, stop) // a second signal ends the process at once
			return runServe(ctx, cmd.OutOrStdout(), s, newOwner)
		}),
	}
	flags := cmd.Flags()
	f.register(flags, defaultData)
	flags.StringVar(&certFile, "tls-cert", "", "`file` with the certificate, and those that vouch for it, in PEM; it is read again when it changes")
	flags.StringVar(&keyFile, "tls-key", "", "`file` with the certificate's private key, in PEM")
	flags.BoolVar(&insecure, "insecure-http", false, "listen on other addresses than this machine's without TLS: whoever is on the way reads passwords and keys")
	flags.StringVar(&masterKey, "master-key", "", "`file` with the key that stored secrets are sealed with; it is made if it is not there (default: "+seal.FileName+" in the data directory)")
	flags.BoolVar(&newOwner, "new-owner-link", false, "print another link by which somebody becomes an owner")
	withEnv(flags, "tls-cert", "tls-key", "insecure-http", "master-key")
	return cmd
}

// requireSafe refuses to listen where others could read along.
func requireSafe(address string, safe bool) error {
	host, _, err := net.SplitHostPort(address)
	if err != nil || isLoopback(host) {
		return requireLoopback(address)
	}
	if safe {
		return nil
	}
	return usageError("--listen %s: others could read passwords and keys on the way. Give --tls-cert and --tls-key, listen on 127.0.0.1 behind a proxy that does TLS, or say --insecure-http", address)
}

func runServe(ctx context.Context, out io.Writer, s settings, newOwner bool) error {
	srv, err := openServer(ctx, s)
	if err != nil {
		return explain(err, s.data)
	}
	defer srv.reloadAtHangup(s.log)()
	link, err := srv.auth.OwnerLink(ctx, newOwner)
	if err != nil {
		return errors.Join(err, srv.closeSoon(ctx))
	}
	key := s.signIn.masterKey
	if key == "" {
		key = filepath.Join(s.data, seal.FileName)
	}
	fmt.Fprintf(out, `Lockstep is ready at %s
  data        %s
  store       %s
  master key  %s: stored secrets cannot be read without it; keep a copy apart
  region      %s, account %s
`, srv.url, s.data, filepath.Join(s.data, "lockstep.db"), key, s.scheme.Region, s.scheme.Account)
	if link != nil {
		fmt.Fprintf(out, `
Open this link to become the owner. It works once, until %s:
  %s
Without a browser: lockstep login 'LINK' --name NAME
`, link.EndsAt.Local().Format(time.TimeOnly), link.URL)
	}
	fmt.Fprint(out, "\nCtrl-C ends it.\n")
	return srv.serve(ctx, s.log)
}

// certificate is a certificate in files. It is read again when its file has
// changed, so that one that is renewed needs no restart.
type certificate struct {
	certFile, keyFile string

	mu      sync.Mutex
	current *tls.Certificate
	changed time.Time // the file
	looked  time.Time
}

func loadCertificate(certFile, keyFile string) (*certificate, error) {
	c := &certificate{certFile: certFile, keyFile: keyFile}
	_, err := c.get(nil)
	return c, err
}

func (c *certificate) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.current != nil && time.Since(c.looked) < time.Minute {
		return c.current, nil
	}
	c.looked = time.Now()
	info, err := os.Stat(c.certFile)
	if err == nil && c.current != nil && info.ModTime().Equal(c.changed) {
		return c.current, nil
	}
	if err == nil {
		var loaded tls.Certificate
		if loaded, err = tls.LoadX509KeyPair(c.certFile, c.keyFile); err == nil {
			c.current, c.changed = &loaded, info.ModTime()
		}
	}
	if c.current == nil {
		return nil, fmt.Errorf("the certificate: %w", err)
	}
	return c.current, nil // half written, maybe: the next look has it
}
