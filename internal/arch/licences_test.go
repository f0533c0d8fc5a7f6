package arch

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// require finds the modules that a go.mod asks for directly.
func required(t *testing.T, gomod string) []string {
	t.Helper()
	var direct []string
	inBlock := false
	for line := range strings.Lines(read(t, gomod)) {
		line = strings.TrimSpace(line)
		switch {
		case line == "require (":
			inBlock = true
			continue
		case line == ")":
			inBlock = false
			continue
		case strings.HasPrefix(line, "require "):
			line = strings.TrimPrefix(line, "require ")
		case strings.HasPrefix(line, "tool "): // what it runs is what is asked for
			direct = append(direct, strings.TrimPrefix(line, "tool "))
			continue
		case !inBlock:
			continue
		}
		if fields := strings.Fields(line); len(fields) > 1 && !strings.Contains(line, "// indirect") {
			direct = append(direct, fields[0])
		}
	}
	return direct
}

func TestDependenciesSayWhatTheyDoForUs(t *testing.T) {
	page := read(t, "docs/dependencies.md")
	for _, gomod := range []string{"go.mod", "tools/go.mod", "test/sdk/go/go.mod", "test/crash/go.mod", "test/requests/go.mod", "test/functions/go/go.mod"} {
		for _, name := range required(t, gomod) {
			if !strings.Contains(page, "`"+name+"`") {
				t.Errorf("%s asks for %s: give it a line in docs/dependencies.md, with what it does for us", gomod, name)
			}
		}
	}
}

// licences are those under which code may be in the binary, by words that only
// they have.
var licences = []struct{ name, words string }{
	{"Apache-2.0", "Apache License,? Version 2.0"},
	{"MIT", "Permission is hereby granted, free of charge, to any person obtaining a copy"},
	{"ISC", "Permission to use, copy, modify, and/or distribute this software for any purpose with or without fee"},
	{"ISC", "Permission to use, copy, modify, and distribute this software for any purpose with or without fee"},
	{"BSD", "Redistribution and use in source and binary forms, with or without modification, are permitted"},
	{"MPL-2.0", "Mozilla Public License,? Version 2.0"},
	{"public domain", "SQLite Is Public Domain All of the code and documentation in SQLite has been dedicated to the public domain"},
}

var refused = regexp.MustCompile(`(?i)GNU (Affero |Lesser |Library )?General Public License|Server Side Public License|Business Source License|Commons Clause|Elastic License`)

// licence names the licence of a text, or gives "" for one that is not known or
// not allowed.
func licence(text string) string {
	flat := strings.Join(strings.Fields(text), " ")
	if refused.MatchString(flat) && !strings.Contains(flat, "Mozilla Public License") { // which names the GNU licences as secondary ones
		return ""
	}
	for _, l := range licences {
		if regexp.MustCompile(`(?i)` + l.words).MatchString(flat) {
			return l.name
		}
	}
	return ""
}

func TestLicencesOfWhatIsShipped(t *testing.T) {
	if testing.Short() {
		t.Skip("asks the go command about every package in the binary")
	}
	list := exec.Command("go", "list", "-deps", "-f", "{{with .Module}}{{if not .Main}}{{.Path}} {{.Dir}}{{end}}{{end}}", "./cmd/lockstep")
	list.Dir, list.Stderr = root, os.Stderr
	out, err := list.Output()
	if err != nil {
		t.Fatalf("list what cmd/lockstep is built from: %v", err)
	}
	done := map[string]bool{}
	for line := range strings.Lines(string(out)) {
		name, dir, _ := strings.Cut(strings.TrimSpace(line), " ")
		if name == "" || done[name] {
			continue
		}
		done[name] = true
		found, _ := filepath.Glob(filepath.Join(dir, "LICEN[SC]E*"))
		found = slices.DeleteFunc(found, func(p string) bool { return filepath.Base(p) == "LICENSE-LOGO" }) // of a picture, which is not in the binary
		copying, _ := filepath.Glob(filepath.Join(dir, "COPYING*"))
		found = append(found, copying...)
		if len(found) == 0 {
			t.Errorf("%s is in the binary and has no licence file: we may not ship it", name)
		}
		for _, path := range found {
			text, err := os.ReadFile(path)
			if err != nil {
				t.Errorf("%s: %v", name, err)
				continue
			}
			if licence(string(text)) == "" {
				t.Errorf("%s is in the binary under a licence that is not one of Apache-2.0, MIT, BSD, ISC, MPL-2.0: read %s", name, path)
			}
		}
	}
	if len(done) == 0 {
		t.Error("the binary has no dependencies: is this test looking at the right thing?")
	}
}

func TestLicence(t *testing.T) {
	f := func(text, want string) {
		t.Helper()
		if got := licence(text); got != want {
			t.Errorf("licence of %.40q… = %q, want %q", text, got, want)
		}
	}
	f("Apache License\n Version 2.0, January 2004", "Apache-2.0")
	f("Permission is hereby granted, free of charge,\nto any person obtaining a copy of", "MIT")
	f("Redistribution and use in source and binary forms, with or without\nmodification, are permitted", "BSD")
	f("GNU GENERAL PUBLIC LICENSE Version 3", "")
	f("GNU Affero General Public License", "")
	f("All rights reserved.", "")
}
