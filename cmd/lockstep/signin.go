package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/lockstep-run/lockstep/internal/auth"
)

// tokenVariable is where commands find the token that they call with. It is no
// flag, so that it is in no list of processes.
const tokenVariable = "LOCKSTEP_TOKEN"

// tokenFor is the token to call a server with: that of a file, of the
// environment, or of the last sign-in at that server; "" for none.
func tokenFor(server, file string) (string, error) {
	if file != "" {
		f, err := os.Open(file)
		if err != nil {
			return "", err
		}
		defer f.Close()
		return readSecret(f, file)
	}
	if token := os.Getenv(tokenVariable); token != "" {
		return token, nil
	}
	kept, err := readLogins()
	return kept[originOf(server)].Token, err
}

// originOf is the part of a URL that says which server it is.
func originOf(server string) string {
	u, err := url.Parse(server)
	if err != nil {
		return server
	}
	return strings.ToLower(u.Scheme + "://" + u.Host)
}

// login is what is kept of a sign-in.
type login struct {
	User  string `json:"user"`
	Token string `json:"token"`
}

// loginsFile is where sign-ins are kept, for this user of the machine alone.
func loginsFile() (string, error) {
	dir, err := os.UserConfigDir()
	if err != nil {
		return "", fmt.Errorf("where sign-ins are kept: %w", err)
	}
	return filepath.Join(dir, "lockstep", "logins.json"), nil
}

// readLogins reads them, by server; none where there is no such place.
func readLogins() (map[string]login, error) {
	path, err := loginsFile()
	if err != nil {
		return nil, nil
	}
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if runtime.GOOS != "windows" && info.Mode().Perm()&0o077 != 0 {
		return nil, fmt.Errorf("others may read %s: chmod 600 it, or delete it and sign in again", path)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var kept map[string]login
	if json.Unmarshal(text, &kept) != nil {
		return nil, fmt.Errorf("%s cannot be read: delete it and sign in again", path)
	}
	return kept, nil
}

func keepLogin(server string, l login) (string, error) {
	kept, err := readLogins()
	if err != nil {
		return "", err
	}
	if kept == nil {
		kept = map[string]login{}
	}
	if kept[originOf(server)] = l; l == (login{}) {
		delete(kept, originOf(server))
	}
	path, err := loginsFile()
	if err != nil {
		return "", err
	}
	text, err := json.MarshalIndent(kept, "", "  ")
	if err != nil {
		return "", err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return "", err
	}
	f, err := os.CreateTemp(filepath.Dir(path), "logins.*") // 0600
	if err != nil {
		return "", err
	}
	defer os.Remove(f.Name())
	_, err = f.Write(append(text, '\n'))
	if err = errors.Join(err, f.Close()); err != nil {
		return "", err
	}
	return path, os.Rename(f.Name(), path)
}

func newLoginCommand() *cobra.Command {
	var name, passwordFile string
	var insecure bool
	cmd := &cobra.Command{
		Use:   "login URL|LINK",
		Short: "Sign in to a server",
		Long: `Login signs in to a server that lockstep serve runs, and keeps a token for the
commands after it, in a file that only you can read. With a one-time link, as a
new owner or user gets one, it sets your password first.`,
		Example: `  lockstep login https://lockstep.example.com --name ada
  lockstep login 'https://lockstep.example.com/welcome?token=…' --name ada`,
		Args: cobra.ExactArgs(1),
		RunE: act(func(cmd *cobra.Command, args []string) error {
			u, err := url.Parse(args[0])
			if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
				return usageError("give the address of a server, such as https://lockstep.example.com")
			}
			if u.Scheme == "http" && !isLoopback(u.Hostname()) && !insecure {
				return usageError("%s is not encrypted: others could read the password. Use https://, or say --insecure-http", originOf(args[0]))
			}
			s := &signInClient{base: originOf(args[0])}
			if s.jar, err = cookiejar.New(nil); err != nil {
				return err
			}
			return s.login(cmd, u.Query().Get("token"), name, passwordFile)
		}),
	}
	flags := cmd.Flags()
	flags.StringVar(&name, "name", "", "your `name` there")
	flags.StringVar(&passwordFile, "password-file", "", "`file` with the password; - for standard input (default: it is asked for)")
	flags.BoolVar(&insecure, "insecure-http", false, "sign in over a connection that others can read")
	return cmd
}

func newLogoutCommand() *cobra.Command {
	return &cobra.Command{
		Use: "logout URL", Short: "End a sign-in", Long: "Logout forgets the token that login has kept, and ends it at the server.",
		Example: "  lockstep logout https://lockstep.example.com", Args: cobra.ExactArgs(1),
		RunE: act(func(cmd *cobra.Command, args []string) error {
			kept, err := readLogins()
			if err != nil {
				return err
			}
			l, ok := kept[originOf(args[0])]
			if !ok {
				return fmt.Errorf("you are not signed in to %s", originOf(args[0]))
			}
			c := &restClient{url: originOf(args[0]), header: http.Header{"Authorization": {"Bearer " + l.Token}}}
			_, failed := c.call(cmd.Context(), http.MethodDelete, "tokens/"+url.PathEscape(l.Token[:min(len(l.Token), 10)]), nil, nil)
			if _, err := keepLogin(args[0], login{}); err != nil {
				return err
			}
			if failed != nil {
				return fmt.Errorf("the token is forgotten here, but it could not be ended at the server: %w", failed)
			}
			fmt.Fprintf(cmd.OutOrStdout(), "signed out of %s\n", originOf(args[0]))
			return nil
		}),
	}
}

// signInClient signs in as a browser does.
type signInClient struct {
	base string
	jar  http.CookieJar
	csrf string
}

func (s *signInClient) post(ctx context.Context, path string, in, out any) error {
	text, err := json.Marshal(in)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.base+"/api/v1/"+path, bytes.NewReader(text))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set(auth.CSRFHeader, s.csrf)
	_, err = send(req, s.jar, out)
	return err
}

func (s *signInClient) login(cmd *cobra.Command, token, name, passwordFile string) error {
	ctx := cmd.Context()
	path, in := "session", map[string]string{"name": name}
	if token != "" {
		var link struct {
			For, Name string
		}
		if err := s.post(ctx, "bootstrap", map[string]string{"token": token}, &link); err != nil {
			return err
		}
		if link.Name != "" {
			name = link.Name
		}
		path, in = "bootstrap", map[string]string{"token": token, "name": name}
	}
	if name == "" {
		return usageError("--name says who you are there, such as ada")
	}
	password, err := askPassword(cmd, passwordFile, token != "")
	if err != nil {
		return err
	}
	in["password"] = password
	var who struct {
		CSRF string `json:"csrf"`
	}
	if err := s.post(ctx, path, in, &who); err != nil {
		return err
	}
	s.csrf = who.CSRF
	host, _ := os.Hostname()
	var made auth.NewKey
	if err := s.post(ctx, "tokens", map[string]string{"name": strings.TrimSpace("lockstep login " + host)}, &made); err != nil {
		return err
	}
	file, err := keepLogin(s.base, login{User: name, Token: made.Secret})
	if err != nil {
		return err
	}
	if req, err := http.NewRequestWithContext(ctx, http.MethodDelete, s.base+"/api/v1/session", nil); err == nil {
		req.Header.Set(auth.CSRFHeader, s.csrf)
		_, _ = send(req, s.jar, nil) // the token does from now on; the session ends by itself, too
	}
	fmt.Fprintf(cmd.OutOrStdout(), "signed in to %s as %s; the token is in %s\n", s.base, name, file)
	if s.base != "http://"+defaultListen {
		fmt.Fprintf(cmd.OutOrStdout(), "say --url %s with other commands, or set LOCKSTEP_URL\n", s.base)
	}
	return nil
}

// askPassword reads a password from a file, or asks for it: twice for a new one.
func askPassword(cmd *cobra.Command, file string, fresh bool) (string, error) {
	switch file {
	case "":
	case "-":
		return readSecret(cmd.InOrStdin(), "standard input")
	default:
		f, err := os.Open(file)
		if err != nil {
			return "", err
		}
		defer f.Close()
		return readSecret(f, file)
	}
	if !isTerminal(os.Stdin) {
		return "", usageError("there is no terminal to ask for the password: give --password-file FILE, or - for standard input")
	}
	ask := func(prompt string) (string, error) {
		fmt.Fprint(cmd.ErrOrStderr(), prompt)
		text, err := term.ReadPassword(int(os.Stdin.Fd()))
		fmt.Fprintln(cmd.ErrOrStderr())
		return string(text), err
	}
	if !fresh {
		return ask("password: ")
	}
	first, err := ask("new password: ")
	if err != nil {
		return "", err
	}
	second, err := ask("once more: ")
	if err == nil && first != second {
		err = errors.New("these were two different passwords; nothing has been changed")
	}
	return first, err
}

func newUserCommand() *cobra.Command {
	return group("user", "Manage who may sign in",
		"User manages the people of a team. Owners do. A role says what somebody may do:\nviewer, member, reviewer, admin or owner, in all projects or in one.",
		`  lockstep user add ada --role member
  lockstep user ls
  lockstep user role ada reviewer --project WEB`,
		newUserList(), newUserAdd(), newUserRole(), newUserRemove(), newUserReset())
}

// userRow is what the server says of a user.
type userRow struct {
	Name    string     `json:"name"`
	Display string     `json:"display"`
	Email   string     `json:"email"`
	Role    string     `json:"role"`
	Link    *auth.Link `json:"link"`
}

func newUserList() *cobra.Command {
	var cursor string
	cmd := listVerb("List users", func(cmd *cobra.Command, c *restClient, _ []string) error {
		var page struct {
			Users []userRow `json:"users"`
			Next  string    `json:"next_cursor"`
		}
		text, err := c.call(cmd.Context(), http.MethodGet, "users"+query("cursor", cursor), nil, &page)
		if err != nil {
			return err
		}
		c.show(cmd, text, func(out io.Writer) {
			table(out, "USER\tROLE\tNAME\tE-MAIL", len(page.Users), func(i int) []string {
				u := page.Users[i]
				return []string{u.Name, orDash(u.Role), orDash(u.Display), orDash(u.Email)}
			})
			more(out, page.Next)
		})
		return nil
	})
	cmd.Flags().StringVar(&cursor, "cursor", "", "go on where a list ended")
	return cmd
}

func orDash(text string) string {
	if text == "" {
		return "-"
	}
	return text
}

func newUserAdd() *cobra.Command {
	var in struct {
		Name    string `json:"name"`
		Display string `json:"display"`
		Email   string `json:"email"`
		Role    string `json:"role"`
	}
	cmd := boardVerb("add NAME", "Add a user and print the link by which they set their password", "  lockstep user add ada --role member --display 'Ada L.'", cobra.ExactArgs(1),
		func(cmd *cobra.Command, c *restClient, args []string) error {
			in.Name = strings.TrimPrefix(args[0], "@")
			var u userRow
			text, err := c.call(cmd.Context(), http.MethodPost, "users", in, &u)
			if err != nil {
				return err
			}
			c.show(cmd, text, func(out io.Writer) {
				fmt.Fprintf(out, "added %s as %s\n", u.Name, u.Role)
				showLink(out, u.Name, u.Link)
			})
			return nil
		})
	flags := cmd.Flags()
	flags.StringVar(&in.Role, "role", "member", "`role` in all projects: viewer, member, reviewer, admin or owner")
	flags.StringVar(&in.Display, "display", "", "`name` for people")
	flags.StringVar(&in.Email, "email", "", "`address`")
	return cmd
}

func showLink(out io.Writer, name string, l *auth.Link) {
	if l != nil {
		fmt.Fprintf(out, "send this link to %s; it works once, until %s:\n%s\n", name, l.EndsAt.Local().Format(time.DateTime), l.URL)
	}
}

func newUserRole() *cobra.Command {
	var project string
	cmd := boardVerb("role NAME ROLE", "Change what a user may do, in all projects or in one", "  lockstep user role ada admin\n  lockstep user role ada reviewer --project WEB\n  lockstep user role ada none --project WEB", cobra.ExactArgs(2),
		func(cmd *cobra.Command, c *restClient, args []string) error {
			name, role := strings.TrimPrefix(args[0], "@"), args[1]
			method, path := http.MethodPatch, "users/"+url.PathEscape(name)
			var body any = map[string]string{"role": role}
			if project != "" {
				method, path = http.MethodPut, "projects/"+url.PathEscape(project)+"/members/"+url.PathEscape(name)
				if role == "none" {
					method, body = http.MethodDelete, nil
				}
			}
			text, err := c.call(cmd.Context(), method, path, body, nil)
			if err != nil {
				return err
			}
			c.show(cmd, text, func(out io.Writer) { fmt.Fprintf(out, "%s is %s\n", name, role) })
			return nil
		})
	cmd.Flags().StringVar(&project, "project", "", "`key` of the one project that it is about; the role none takes the user out of it")
	return cmd
}

func newUserRemove() *cobra.Command {
	return boardVerb("rm NAME", "Take a user out, with all their keys and sessions", "  lockstep user rm ada", cobra.ExactArgs(1),
		func(cmd *cobra.Command, c *restClient, args []string) error {
			name := strings.TrimPrefix(args[0], "@")
			text, err := c.call(cmd.Context(), http.MethodDelete, "users/"+url.PathEscape(name), nil, nil)
			if err != nil {
				return err
			}
			c.show(cmd, text, func(out io.Writer) { fmt.Fprintf(out, "removed %s\n", name) })
			return nil
		})
}

func newUserReset() *cobra.Command {
	return boardVerb("reset NAME", "Print a link by which a user sets another password", "  lockstep user reset ada", cobra.ExactArgs(1),
		func(cmd *cobra.Command, c *restClient, args []string) error {
			name := strings.TrimPrefix(args[0], "@")
			var l auth.Link
			text, err := c.call(cmd.Context(), http.MethodPost, "users/"+url.PathEscape(name)+"/reset", nil, &l)
			if err != nil {
				return err
			}
			c.show(cmd, text, func(out io.Writer) { showLink(out, name, &l) })
			return nil
		})
}

// keyPaths are where kinds of keys are managed.
var keyPaths = map[string]string{"token": "tokens", "access": "access-keys", "service": "service-keys"}

func newKeyCommand() *cobra.Command {
	return group("key", "Manage keys for programs",
		`Key manages what programs call with. A token acts for you. An access key does so
on the AWS API: the AWS CLI and every SDK take it. A service key has scopes of
its own. Agents have keys of theirs: see lockstep agent key.`,
		`  lockstep key new access --name laptop
  lockstep key new token --name ci --expires 720h
  lockstep key new service --name prometheus --scope metrics
  lockstep key ls
  lockstep key rm lsu_x1y2z3`,
		newKeyList(), newKeyNew(), newKeyRemove())
}

func newKeyList() *cobra.Command {
	var agent string
	cmd := listVerb("List your keys, and the service keys if you may", func(cmd *cobra.Command, c *restClient, _ []string) error {
		answers := map[string]json.RawMessage{}
		type row struct {
			kind string
			auth.Key
		}
		var rows []row
		paths := []string{"tokens", "access-keys", "service-keys"}
		if agent != "" {
			paths = []string{"agents/" + url.PathEscape(strings.TrimPrefix(agent, "@")) + "/keys"}
		}
		var failed error
		for i, path := range paths {
			var page map[string][]auth.Key
			text, err := c.call(cmd.Context(), http.MethodGet, path, nil, &page)
			if err != nil {
				if i == 2 { // not for everybody
					continue
				}
				failed = errors.Join(failed, err)
				break
			}
			answers[path] = text
			for _, list := range page {
				for _, k := range list {
					rows = append(rows, row{strings.TrimSuffix(path, "s"), k})
				}
			}
		}
		if failed != nil {
			return failed
		}
		text, err := json.Marshal(answers)
		if err != nil {
			return err
		}
		c.show(cmd, text, func(out io.Writer) {
			table(out, "KEY\tKIND\tFOR\tSCOPES\tLAST USED\tENDS", len(rows), func(i int) []string {
				k, kind := rows[i], rows[i].kind
				if agent != "" {
					kind = "agent-key"
				}
				var scopes []string
				for _, s := range k.Scopes {
					scopes = append(scopes, string(s))
				}
				return []string{k.ID, kind, orDash(k.Name), orDash(strings.Join(scopes, ",")), dayOf(k.LastUsed, "never"), dayOf(k.ExpiresAt, "never")}
			})
		})
		return nil
	})
	cmd.Flags().StringVar(&agent, "agent", "", "`slug` of the agent whose keys are listed")
	return cmd
}

func dayOf(t time.Time, none string) string {
	if t.IsZero() {
		return none
	}
	return t.Local().Format(time.DateOnly)
}

func newKeyNew() *cobra.Command {
	var in struct {
		Name      string    `json:"name"`
		Scopes    []string  `json:"scopes,omitempty"`
		ExpiresAt time.Time `json:"expires_at,omitzero"`
	}
	var expires time.Duration
	cmd := boardVerb("new token|access|service", "Make a key and print it", "  lockstep key new access --name laptop\n  lockstep key new service --name prometheus --scope metrics", cobra.ExactArgs(1),
		func(cmd *cobra.Command, c *restClient, args []string) error {
			path := keyPaths[args[0]]
			if path == "" {
				return usageError("there is no kind of key %q: give token, access or service (lockstep agent key makes an agent's)", args[0])
			}
			if expires < 0 {
				return usageError("--expires is a time from now, such as 720h")
			}
			if expires > 0 {
				in.ExpiresAt = time.Now().Add(expires).UTC()
			}
			var k auth.NewKey
			text, err := c.call(cmd.Context(), http.MethodPost, path, in, &k)
			if err != nil {
				return err
			}
			c.show(cmd, text, func(out io.Writer) {
				if k.Access != "" {
					fmt.Fprintf(out, "shown this once:\nexport AWS_ACCESS_KEY_ID=%s\nexport AWS_SECRET_ACCESS_KEY=%s\nexport AWS_ENDPOINT_URL_SFN=%s\n", k.ID, k.Access, strings.TrimSuffix(c.url, "/"))
					return
				}
				fmt.Fprintf(out, "shown this once:\n%s\n", k.Secret)
			})
			return nil
		})
	flags := cmd.Flags()
	flags.StringVar(&in.Name, "name", "", "`text` that says what it is for")
	flags.StringArrayVar(&in.Scopes, "scope", nil, "`right` of a service key: read, comment, edit, review, manage, start, machines, usage or metrics; may be repeated")
	flags.DurationVar(&expires, "expires", 0, "`time` from now after which it ends, such as 720h (default: it does not)")
	return cmd
}

func newKeyRemove() *cobra.Command {
	var agent string
	cmd := boardVerb("rm KEY", "End a key: the next call with it is refused", "  lockstep key rm lsu_x1y2z3\n  lockstep key rm lsa_x1y2z3 --agent writer", cobra.ExactArgs(1),
		func(cmd *cobra.Command, c *restClient, args []string) error {
			path := "access-keys"
			switch {
			case agent != "":
				path = "agents/" + url.PathEscape(strings.TrimPrefix(agent, "@")) + "/keys"
			case strings.HasPrefix(args[0], "lsu_"):
				path = "tokens"
			case strings.HasPrefix(args[0], "lss_"):
				path = "service-keys"
			case strings.HasPrefix(args[0], "lsa_"):
				return usageError("--agent says whose key that is")
			}
			text, err := c.call(cmd.Context(), http.MethodDelete, path+"/"+url.PathEscape(args[0]), nil, nil)
			if err != nil {
				return err
			}
			c.show(cmd, text, func(out io.Writer) { fmt.Fprintf(out, "ended %s\n", args[0]) })
			return nil
		})
	cmd.Flags().StringVar(&agent, "agent", "", "`slug` of the agent whose key it is")
	return cmd
}
