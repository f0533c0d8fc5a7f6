package sdk

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// recipe is a piece of code on a page.
type recipe struct{ heading, language, code string }

var fence = regexp.MustCompile("(?ms)^#+ ([^\n]*)$|^```(\\w+)\n(.*?)^```$")

// recipes finds the code on a page of docs.
func recipes(t *testing.T, page string) (list []recipe) {
	t.Helper()
	heading := ""
	for _, m := range fence.FindAllStringSubmatch(read(t, "../../docs/"+page), -1) {
		if m[1] != "" {
			heading = m[1]
			continue
		}
		list = append(list, recipe{heading, m[2], m[3]})
	}
	return list
}

// TestRecipes runs what docs/clients.md shows, with its address replaced by that
// of a running server. What a machine lacks is skipped.
func TestRecipes(t *testing.T) {
	if testing.Short() {
		t.Skip("calls a running server with four clients")
	}
	url, _ := serve(t, "dev")
	createHello(t, url)
	for _, name := range []string{"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"} {
		t.Setenv(name, "any")
	}
	t.Setenv("AWS_REGION", "us-east-1")
	t.Setenv("AWS_DEFAULT_REGION", "us-east-1")
	t.Setenv("AWS_PAGER", "")
	t.Setenv("AWS_MAX_ATTEMPTS", "1")
	for _, name := range []string{"http_proxy", "no_proxy", "NO_PROXY", "AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"} {
		t.Setenv(name, "")
	}
	hosts := ""
	ran := map[string]int{}
	for i, r := range recipes(t, "clients.md") {
		ran[r.language]++
		r.code = strings.ReplaceAll(r.code, "http://127.0.0.1:8083", url)
		r.code = strings.ReplaceAll(r.code, "http://localhost:8083", strings.Replace(url, "127.0.0.1", "localhost", 1))
		if r.language == "hosts" {
			hosts = r.code
			continue
		}
		t.Run(fmt.Sprintf("%d %s", i+1, r.heading), func(t *testing.T) {
			says := `SUCCEEDED`
			if strings.Contains(r.code, "create-state-machine") {
				says = `stateMachine:hello`
			}
			var cmd *exec.Cmd
			switch {
			case r.language == "python":
				cmd = boto3(t, write(t, t.TempDir(), "recipe.py", r.code))
			case r.language == "js":
				cmd = exec.Command("node", "--no-warnings", write(t, jsPackages(t), fmt.Sprintf("recipe-%d.mjs", os.Getpid()), r.code))
			case r.language == "go":
				cmd = goProgram(t, write(t, t.TempDir(), "main.go", r.code))
			case strings.Contains(r.code, "AWS_DISABLE_HOST_PREFIX_INJECTION"):
				cmd = shell(t, newerCLI(t), r.code)
			case strings.Contains(r.code, "http://localhost"):
				cmd = withHosts(t, hosts, shell(t, awsCLI(t), r.code))
			case r.language == "sh":
				cmd = shell(t, awsCLI(t), r.code)
			default:
				t.Fatalf("the page has code in %q, which nobody runs", r.language)
			}
			out, err := cmd.CombinedOutput()
			if err != nil || !strings.Contains(string(out), says) {
				t.Errorf("%v, and it says nothing of %s:\n%s", err, says, out)
			}
		})
	}
	for _, language := range []string{"sh", "python", "js", "go", "hosts"} {
		if ran[language] == 0 {
			t.Errorf("the page has nothing in %s: is this test reading it right?", language)
		}
	}
}

// createHello creates the state machine of the page without any client.
func createHello(t *testing.T, url string) {
	t.Helper()
	body := `{"name":"hello","type":"EXPRESS","roleArn":"arn:aws:iam::123456789012:role/any","definition":"{\"StartAt\": \"Hi\", \"States\": {\"Hi\": {\"Type\": \"Succeed\"}}}"}`
	req, err := http.NewRequest(http.MethodPost, url+"/", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-amz-json-1.0")
	req.Header.Set("X-Amz-Target", "AWSStepFunctions.CreateStateMachine")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if res.StatusCode != http.StatusOK {
		t.Fatalf("CreateStateMachine answers %s", res.Status)
	}
}

// shell runs code in which aws is that program.
func shell(t *testing.T, aws, code string) *exec.Cmd {
	return exec.Command("bash", "-eu", "-c", "aws() { command "+aws+` "$@"; }`+"\n"+code)
}

// newerCLI is an AWS CLI that reads AWS_DISABLE_HOST_PREFIX_INJECTION: it does
// not look for the host sync-127.0.0.1.
func newerCLI(t *testing.T) string {
	for _, aws := range []string{"aws", "/usr/bin/aws"} {
		try := exec.Command(aws, "stepfunctions", "start-sync-execution", "--state-machine-arn", "arn:aws:states:us-east-1:123456789012:stateMachine:x", "--endpoint-url", "http://127.0.0.1:9")
		try.Env = append(os.Environ(), "AWS_DISABLE_HOST_PREFIX_INJECTION=true")
		says, err := try.CombinedOutput()
		if err != nil && strings.Contains(string(says), "127.0.0.1:9") && !strings.Contains(string(says), "sync-") {
			return aws
		}
	}
	t.Skip("there is no AWS CLI that knows AWS_DISABLE_HOST_PREFIX_INJECTION")
	return ""
}

// withHosts runs a command that sees hosts in the place of /etc/hosts.
func withHosts(t *testing.T, hosts string, cmd *exec.Cmd) *exec.Cmd {
	t.Helper()
	if hosts == "" {
		t.Fatal("the page has no hosts before this")
	}
	file := write(t, t.TempDir(), "hosts", hosts)
	inside := []string{"--mount", "--map-root-user", "sh", "-c", `mount --bind "$0" /etc/hosts && exec "$@"`, file}
	if out, err := exec.Command("unshare", append(inside, "true")...).CombinedOutput(); err != nil {
		t.Skipf("a file cannot be put over /etc/hosts here: %v %s", err, out)
	}
	return exec.Command("unshare", append(inside, cmd.Args...)...)
}

func read(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// write leaves a file for the time of the test and returns its path.
func write(t *testing.T, dir, name, text string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.Remove(path) })
	return path
}
