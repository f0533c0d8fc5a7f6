// Package connect writes what it takes to connect an agent: ready files and the
// commands to run, for each runtime.
//
// The one idea: a kit is text that is filled in, nothing more. What is in it was
// decided before, by whoever made the key and knows the addresses, and every file
// is run by a test as it is printed.
package connect

import (
	"bytes"
	"embed"
	"encoding/json"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
	"text/template"
)

// In is what a kit is made of.
type In struct {
	Runtime string // openclaw, claude_code, codex, http or custom
	Agent   string // slug
	URL     string // where the agent reaches this server, without a slash at its end
	Key     string // the agent's
	Entry   string // what the runtime calls this server; "": board

	// Of an agent that is woken.
	Hook    string // its address: of OpenClaw the gateway; "": it fetches its wakeups
	Secret  string // signs wakeups; "": the agent has it already
	Token   string // OpenClaw's hooks.token; "": the gateway has it already
	AgentID string // what OpenClaw calls the agent
	// Neighbours are the agents at the same gateway, by their ids there, with what
	// each calls this server: none may use another's entry.
	Neighbours map[string]string
}

// Kit is what is to be done to connect an agent. It holds the agent's key.
type Kit struct {
	Runtime string `json:"runtime"`
	Agent   string `json:"agent"`
	Key     string `json:"key"` // this once
	Files   []File `json:"files"`
	Steps   []Step `json:"steps"`
}

// File is a file of a kit.
type File struct {
	Path   string `json:"path"` // below the kit's directory, with slashes
	Text   string `json:"text"`
	Secret bool   `json:"secret,omitempty"` // nobody else may read it
}

// Step is a thing to do, in the kit's directory.
type Step struct {
	About   string `json:"about"`
	Command string `json:"command,omitempty"`
}

// Runtimes are those that there are kits for.
var Runtimes = []string{"openclaw", "claude_code", "codex", "http", "custom"}

//go:embed all:files
var files embed.FS

var templates = template.Must(template.New("").Delims("<%", "%>").Funcs(template.FuncMap{"json": quote, "sh": shell}).ParseFS(files, "files/steps/*.txt"))

func quote(v any) (string, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err := e.Encode(v)
	return strings.TrimSpace(b.String()), err
}

// shell is text as one word of a shell's.
func shell(text string) string { return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'" }

// data is what templates see.
type data struct {
	In
	Deny map[string][]string
}

// Make makes a kit. The error says that there is none for the runtime.
func Make(in In) (*Kit, error) {
	if !slices.Contains(Runtimes, in.Runtime) {
		return nil, fmt.Errorf("there is no kit for %q; there are %s", in.Runtime, strings.Join(Runtimes, ", "))
	}
	if in.Entry == "" {
		in.Entry = "board"
	}
	d := data{In: in, Deny: deny(in)}
	k := &Kit{Runtime: in.Runtime, Agent: in.Agent, Key: in.Key}
	root := "files/" + in.Runtime
	err := fs.WalkDir(files, root, func(name string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		source, err := files.ReadFile(name)
		if err != nil {
			return err
		}
		text, err := fill(name, string(source), d)
		if err != nil {
			return err
		}
		to := strings.TrimSuffix(strings.TrimPrefix(name, root+"/"), ".txt")
		k.Files = append(k.Files, File{Path: to, Text: text, Secret: in.Key != "" && strings.Contains(text, in.Key) || in.Secret != "" && strings.Contains(text, in.Secret) || in.Token != "" && strings.Contains(text, in.Token)})
		return nil
	})
	if err != nil {
		return nil, err
	}
	var steps bytes.Buffer
	if err := templates.ExecuteTemplate(&steps, in.Runtime+".txt", d); err != nil {
		return nil, err
	}
	k.Steps = parseSteps(steps.String())
	return k, nil
}

func fill(name, source string, d data) (string, error) {
	t, err := template.New(path.Base(name)).Delims("<%", "%>").Funcs(template.FuncMap{"json": quote, "sh": shell}).Parse(source)
	if err != nil {
		return "", err
	}
	var b bytes.Buffer
	err = t.Execute(&b, d)
	return b.String(), err
}

// parseSteps reads lines: "# " begins what a step is about, the others are its
// command.
func parseSteps(text string) (steps []Step) {
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\n")
		if about, ok := strings.CutPrefix(line, "# "); ok {
			steps = append(steps, Step{About: about})
		} else if line != "" && len(steps) > 0 {
			s := &steps[len(steps)-1]
			s.Command = strings.TrimPrefix(s.Command+"\n"+line, "\n")
		}
	}
	return steps
}

// deny lists for each agent of a gateway the tools of the others' entries.
func deny(in In) map[string][]string {
	all := map[string][]string{}
	for id, own := range in.Neighbours {
		list := []string{}
		for other, entry := range in.Neighbours {
			if other != id && entry != own {
				list = append(list, entry+"__*")
			}
		}
		slices.Sort(list)
		if list = slices.Compact(list); len(list) > 0 {
			all[id] = list
		}
	}
	return all
}

// Text is a kit as people read it: what to do, and the files in between.
func (k *Kit) Text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "Connect @%s (%s). Its key is shown this once:\n  %s\n", k.Agent, k.Runtime, k.Key)
	for i, s := range k.Steps {
		fmt.Fprintf(&b, "\n%d. %s\n", i+1, s.About)
		for line := range strings.Lines(s.Command) {
			fmt.Fprintf(&b, "     %s", line)
		}
		if s.Command != "" {
			b.WriteString("\n")
		}
	}
	return b.String()
}
