// Package sdk lets the AWS CLI and AWS's SDKs, as they are, take a tour of a
// running server: every action that the client knows, and the errors that it
// knows by name.
//
// Each client has a folder here with its tour, which prints a line for each
// step. A client that this machine lacks is skipped; `make compat` installs what
// it can before.
package sdk

import (
	"bufio"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/cookiejar"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

// mapRuns has the tours take the steps with distributed maps too.
const mapRuns = true

func TestClients(t *testing.T) {
	if testing.Short() {
		t.Skip("calls a running server with four clients")
	}
	url, _ := serve(t, "dev")
	tours(t, url)
}

// TestSignedClients takes the same tours of a server that checks signatures, with
// a key of its own, and then sees that it does: with another secret they fail.
func TestSignedClients(t *testing.T) {
	if testing.Short() {
		t.Skip("calls a running server with four clients")
	}
	url, link := serve(t, "serve")
	id, secret := accessKey(t, url, link)
	t.Run("right", func(t *testing.T) { tours(t, url, "TOUR_KEY="+id, "TOUR_SECRET="+secret) })
	t.Run("wrong", func(t *testing.T) {
		f := func(name, key, secret, want string, cmd func(t *testing.T) *exec.Cmd) {
			t.Run(name, func(t *testing.T) {
				tour := cmd(t)
				tour.Args = append(tour.Args, url, abs(t, "machines"))
				tour.Env = append(os.Environ(), "TOUR_KEY="+key, "TOUR_SECRET="+secret)
				out, err := tour.CombinedOutput()
				if err == nil || !strings.Contains(string(out), want) {
					t.Errorf("with the wrong %s the tour ended with %v and says no %s:\n%.2000s", name, err, want, out)
				}
			})
		}
		cli := func(t *testing.T) *exec.Cmd { return exec.Command("cli/tour.sh", awsCLI(t)) }
		python := func(t *testing.T) *exec.Cmd { return boto3(t, "python/tour.py") }
		f("secret, aws-cli", id, "wrong", "InvalidSignatureException", cli)
		f("key, aws-cli", "AKIAIOSFODNN7EXAMPLE", secret, "UnrecognizedClientException", cli)
		f("secret, boto3", id, "wrong", "InvalidSignatureException", python)
		f("key, boto3", "AKIAIOSFODNN7EXAMPLE", secret, "UnrecognizedClientException", python)
		f("secret, aws-sdk-js", id, "wrong", "InvalidSignatureException", jsTour)
		f("secret, aws-sdk-go", id, "wrong", "InvalidSignatureException", func(t *testing.T) *exec.Cmd { return goProgram(t, ".") })
	})
}

// tours takes all tours, with more in the environment.
func tours(t *testing.T, url string, env ...string) {
	machines, page := abs(t, "machines"), abs(t, "../../docs/terraform.md")
	f := func(name string, tour func(t *testing.T) *exec.Cmd) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cmd := tour(t)
			cmd.Args = append(cmd.Args, url, machines)
			if name == "terraform" {
				cmd.Args = append(cmd.Args, page)
			}
			if cmd.Env = append(os.Environ(), env...); mapRuns {
				cmd.Env = append(cmd.Env, "MAP_RUNS=yes")
			}
			follow(t, cmd)
		})
	}
	f("aws-cli", func(t *testing.T) *exec.Cmd { return exec.Command("cli/tour.sh", awsCLI(t)) })
	f("boto3", func(t *testing.T) *exec.Cmd { return boto3(t, "python/tour.py") })
	f("aws-sdk-go", func(t *testing.T) *exec.Cmd { return goProgram(t, ".") })
	f("terraform", func(t *testing.T) *exec.Cmd { return goProgram(t, ".") })
	f("aws-sdk-js", func(t *testing.T) *exec.Cmd { return jsTour(t) })
}

// follow runs a tour and makes each line of it a test.
func follow(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	var complaints strings.Builder
	cmd.Stderr = &complaints
	out, err := cmd.Output()
	steps := 0
	for line := range strings.Lines(string(out)) {
		word, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		name, why, _ := strings.Cut(rest, ": ")
		steps++
		t.Run(name, func(t *testing.T) {
			switch word {
			case "ok":
			case "skip":
				t.Skip(why)
			case "FAIL":
				t.Error(why)
			default:
				t.Errorf("the tour says %q", line)
			}
		})
	}
	if err != nil && (steps == 0 || !t.Failed()) {
		t.Errorf("the tour ended with %v:\n%s", err, complaints.String())
	}
	if err == nil && steps < 10 {
		t.Errorf("the tour took %d steps only:\n%s%s", steps, out, complaints.String())
	}
}

// accessKey makes an owner by a link, and an access key of theirs.
func accessKey(t *testing.T, url, link string) (id, secret string) {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	client := http.Client{Jar: jar}
	var got struct {
		CSRF   string
		ID     string
		Secret string `json:"secret_access_key"`
	}
	for _, call := range [][2]string{
		{"bootstrap", `{"token":"` + link[strings.Index(link, "=")+1:] + `","name":"ada","password":"a long enough password"}`},
		{"access-keys", `{"name":"tour"}`},
	} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url+"/api/v1/"+call[0], strings.NewReader(call[1]))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("X-Lockstep-CSRF", got.CSRF)
		res, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		if err := json.NewDecoder(res.Body).Decode(&got); err != nil || res.StatusCode != http.StatusOK {
			t.Fatalf("%s: %s %v", call[0], res.Status, err)
		}
	}
	return got.ID, got.Secret
}

// serve starts a server for the time of the test and returns its URL and, where
// it prints one, the link by which somebody becomes its owner.
func serve(t *testing.T, command string) (url, link string) {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "lockstep")
	run(t, exec.Command("go", "build", "-o", binary, "../../cmd/lockstep"))

	server := exec.CommandContext(t.Context(), binary, command, "--listen", "127.0.0.1:0", "--data", t.TempDir())
	server.Cancel = func() error { return server.Process.Signal(syscall.SIGTERM) }
	server.WaitDelay = 20 * time.Second
	var said strings.Builder
	server.Stderr = &said
	out, err := server.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	ready := regexp.MustCompile(`ready at (http://\S+)`)
	owner := regexp.MustCompile(`http://\S+token=\S+`)
	lines := bufio.NewScanner(out)
	for (url == "" || command == "serve" && link == "") && lines.Scan() {
		if m := ready.FindStringSubmatch(lines.Text()); m != nil {
			url = m[1]
		}
		link = owner.FindString(lines.Text())
	}
	drained := make(chan struct{})
	go func() {
		defer close(drained)
		for lines.Scan() {
		}
	}()
	t.Cleanup(func() { // t.Context has ended by now, and with it the server
		<-drained
		if err := server.Wait(); err != nil && t.Context().Err() == nil {
			t.Errorf("the server ended with %v:\n%s", err, said.String())
		}
	})
	if url == "" {
		t.Fatalf("the server does not say where it is:\n%s", said.String())
	}
	return url, link
}

// awsCLI is the AWS CLI, Debian's where it is there.
func awsCLI(t *testing.T) string {
	for _, aws := range []string{"/usr/bin/aws", "aws"} {
		if exec.Command(aws, "--version").Run() == nil {
			return aws
		}
	}
	t.Skip("the AWS CLI is not installed (apt-get install awscli)")
	return ""
}

// boto3 runs a script with a Python that has boto3.
func boto3(t *testing.T, script string) *exec.Cmd {
	for _, python := range []string{"/usr/bin/python3", "python3"} {
		if exec.Command(python, "-c", "import boto3").Run() == nil {
			return exec.Command(python, script)
		}
	}
	t.Skip("boto3 is not installed (apt-get install python3-boto3)")
	return nil
}

// goProgram builds a program in the module of the tour, which keeps the SDK out
// of ours.
func goProgram(t *testing.T, source string) *exec.Cmd {
	binary := filepath.Join(t.TempDir(), "tour")
	build := exec.Command("go", "build", "-o", binary, source)
	build.Dir = "go"
	fetch(t, build)
	return exec.Command(binary)
}

func jsTour(t *testing.T) *exec.Cmd {
	tour := write(t, jsPackages(t), fmt.Sprintf("tour-%d.mjs", os.Getpid()), read(t, "js/tour.mjs"))
	return exec.Command("node", "--no-warnings", tour)
}

// jsPackages installs the locked packages once into the user's cache and returns
// the folder: programs in it can import them.
func jsPackages(t *testing.T) string {
	if exec.Command("node", "-e", "process.exit(parseInt(process.versions.node) < 20 ? 1 : 0)").Run() != nil {
		t.Skip("the AWS SDK for JavaScript needs Node.js 20 or newer")
	}
	if exec.Command("npm", "--version").Run() != nil {
		t.Skip("npm is not installed")
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		cache = t.TempDir()
	}
	lock, err := os.ReadFile("js/package-lock.json")
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(cache, "lockstep", fmt.Sprintf("sdk-js-%.12x", sha256.Sum256(lock)))
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"package.json", "package-lock.json"} {
		text, err := os.ReadFile(filepath.Join("js", name))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	// npm writes this file last, so it says that an earlier install is whole.
	if _, err := os.Stat(filepath.Join(dir, "node_modules", ".package-lock.json")); err != nil {
		install := exec.Command("npm", "ci", "--no-audit", "--no-fund")
		install.Dir = dir
		fetch(t, install)
	}
	return dir
}

var offline = regexp.MustCompile(`ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ECONNRESET|ETIMEDOUT|ENETUNREACH|dial tcp|no such host|i/o timeout|module lookup disabled`)

// fetch runs a command that needs the network, and skips where there is none.
func fetch(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	out, err := cmd.CombinedOutput()
	if err == nil {
		return
	}
	if why := offline.Find(out); why != nil {
		t.Skipf("%s could not fetch what it needs: %s", strings.Join(cmd.Args, " "), why)
	}
	t.Fatalf("%s: %v\n%s", strings.Join(cmd.Args, " "), err, out)
}

func run(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", strings.Join(cmd.Args, " "), err, out)
	}
}

func abs(t *testing.T, name string) string {
	t.Helper()
	path, err := filepath.Abs(name)
	if err != nil {
		t.Fatal(err)
	}
	return path
}
