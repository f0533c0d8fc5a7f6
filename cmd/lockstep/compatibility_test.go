package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/lockstep-run/lockstep/internal/arn"
	"github.com/lockstep-run/lockstep/internal/awsapi"
	"github.com/lockstep-run/lockstep/internal/task"
)

// TestCompatibilityPage keeps the tables of docs/compatibility.md as the program
// is: UPDATE=1 rewrites what stands between their marks.
func TestCompatibilityPage(t *testing.T) {
	const path = "../../docs/compatibility.md"
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	page := string(data)
	page = between(t, page, "operations", operationsTable())
	page = between(t, page, "tasks", tasksTable(t))
	if os.Getenv("UPDATE") != "" {
		if err := os.WriteFile(path, []byte(page), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(string(data), page); diff != "" {
		t.Errorf("%s is not what the program is (make update writes it anew):\n%s", path, diff)
	}
}

// between puts text between a page's marks of that name.
func between(t *testing.T, page, name, text string) string {
	t.Helper()
	first, last := "<!-- "+name+" -->\n", "<!-- /"+name+" -->\n"
	before, rest, ok := strings.Cut(page, first)
	_, after, ok2 := strings.Cut(rest, last)
	if !ok || !ok2 {
		t.Fatalf("the page has no marks for %s", name)
	}
	return before + first + text + last + after
}

func operationsTable() string {
	var b strings.Builder
	b.WriteString("| operation | |\n|---|---|\n")
	for _, op := range awsapi.Operations() {
		fmt.Fprintf(&b, "| %s | works |\n", op)
	}
	return b.String()
}

// tasksTable asks a server that is put together as always what it can call.
func tasksTable(t *testing.T) string {
	var resources []string
	srv, err := openServer(t.Context(), settings{
		listen: "127.0.0.1:0", data: t.TempDir(), scheme: arn.Default, log: slog.New(slog.DiscardHandler),
		tasks: func(r *task.Registry) { resources = r.Resources() },
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := srv.Close(context.Background()); err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	var services []string
	for _, r := range resources {
		if name, ok := strings.CutPrefix(r, "aws-sdk:"); ok && strings.HasSuffix(name, ":*") {
			services = append(services, strings.TrimSuffix(name, ":*"))
			continue
		}
		fmt.Fprintf(&b, "- `arn:aws:states:::%s`\n", r)
	}
	fmt.Fprintf(&b, "- `arn:aws:states:::aws-sdk:` and an action of one of these %d services: %s\n", len(services), strings.Join(services, ", "))
	return b.String()
}
