package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/lockstep-run/lockstep/internal/config"
	"github.com/lockstep-run/lockstep/internal/connection"
	"github.com/lockstep-run/lockstep/internal/egress"
)

// egressPolicy says where the server may call on behalf of state machines.
func egressPolicy(c config.Egress) (*egress.Policy, error) {
	return egress.New(egress.Config{Allow: c.Allow, Ports: c.Ports, Proxy: c.Proxy})
}

// refusedByPolicy is what the policy says about a call that it refused, "" where
// it did not.
func refusedByPolicy(err error) string {
	var refused *egress.Refused
	if errors.As(err, &refused) {
		return refused.Error()
	}
	return ""
}

// declaredConnections are those of the configuration file, with their secrets.
func declaredConnections(in []config.Connection) ([]connection.Spec, error) {
	var all []connection.Spec
	for _, c := range in {
		s := connection.Spec{
			Name: c.Name, Kind: connection.Kind(c.Type), Description: c.Description, Username: c.Username, KeyName: c.KeyName,
			ClientID: c.ClientID, TokenURL: c.TokenURL, TokenMethod: c.TokenMethod, TokenAuth: c.TokenAuth,
		}
		var err error
		for _, secret := range []struct {
			reference string
			to        *string
		}{{c.Password, &s.Password}, {c.KeyValue, &s.KeyValue}, {c.ClientSecret, &s.ClientSecret}} {
			if secret.reference != "" && err == nil {
				*secret.to, err = readReference(secret.reference)
			}
		}
		if err == nil {
			s.Params, err = params(c.Params)
		}
		if err == nil {
			s.TokenParams, err = params(c.TokenParams)
		}
		if err != nil {
			return nil, fmt.Errorf("connection %s: %w", c.Name, err)
		}
		all = append(all, s)
	}
	return all, nil
}

// params reads parameters whose value may be a reference, which makes it secret.
func params(in []config.Param) (all []connection.Param, err error) {
	for _, p := range in {
		q := connection.Param{In: p.In, Key: p.Key, Value: p.Value, Secret: config.IsReference(p.Value)}
		if q.Secret {
			if q.Value, err = readReference(p.Value); err != nil {
				return nil, err
			}
		}
		all = append(all, q)
	}
	return all, nil
}

// readReference is the text that env:NAME or file:PATH stands for, without a line
// break at its end. The error never has it.
func readReference(reference string) (string, error) {
	if name, ok := strings.CutPrefix(reference, "env:"); ok {
		text := os.Getenv(name)
		if text == "" {
			return "", fmt.Errorf("the environment variable %s is not set", name)
		}
		return text, nil
	}
	path, ok := strings.CutPrefix(reference, "file:")
	if !ok {
		return "", errors.New("give env:NAME or file:PATH: secrets are not given as they are")
	}
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	return readSecret(f, path)
}

// readSecret reads all of a small file.
func readSecret(r io.Reader, what string) (string, error) {
	const most = 64 << 10
	text, err := io.ReadAll(io.LimitReader(r, most+1))
	switch {
	case err != nil:
		return "", err
	case len(text) > most:
		return "", fmt.Errorf("%s has more than %d bytes", what, most)
	}
	secret := strings.TrimRight(string(text), "\r\n")
	if secret == "" {
		return "", fmt.Errorf("%s is empty", what)
	}
	return secret, nil
}
