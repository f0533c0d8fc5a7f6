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
	"fmt"
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
	url := serve(t)
	machines, page := abs(t, "machines"), abs(t, "../../docs/terraform.md")
	f := func(name string, tour func(t *testing.T) *exec.Cmd) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cmd := tour(t)
			cmd.Args = append(cmd.Args, url, machines)
			if name == "terraform" {
				cmd.Args = append(cmd.Args, page)
			}
			if cmd.Env = os.Environ(); mapRuns {
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

// serve starts a server for the time of the test and returns its URL.
func serve(t *testing.T) string {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "lockstep")
	run(t, exec.Command("go", "build", "-o", binary, "../../cmd/lockstep"))

	server := exec.CommandContext(t.Context(), binary, "dev", "--listen", "127.0.0.1:0", "--data", t.TempDir())
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
	var url string
	ready := regexp.MustCompile(`ready at (http://\S+)`)
	lines := bufio.NewScanner(out)
	for url == "" && lines.Scan() {
		if m := ready.FindStringSubmatch(lines.Text()); m != nil {
			url = m[1]
		}
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
	return url
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
