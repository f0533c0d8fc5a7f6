package main

import (
	"database/sql"
	"encoding/json"
	"fmt"
	"io"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

func newVersionCommand() *cobra.Command {
	asJSON := false
	cmd := &cobra.Command{
		Use:   "version",
		Short: "Say which build this is",
		Long:  "Version says which build this is: give it with every bug report.",
		Example: `  lockstep version
  lockstep version --json | jq -r .commit`,
		Args: cobra.NoArgs,
		RunE: act(func(cmd *cobra.Command, _ []string) error {
			return writeVersion(cmd.OutOrStdout(), readBuild(), asJSON)
		}),
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "write one JSON object")
	return cmd
}

// build is what the program knows of its own making.
type build struct {
	Version  string `json:"version"` // of the module; "(devel)" when built from a checkout
	Commit   string `json:"commit"`  // "" when unknown
	Modified bool   `json:"modified"`
	Go       string `json:"go"`
	Platform string `json:"platform"`
	SQLite   string `json:"sqlite"`
}

func readBuild() build {
	b := build{Version: "(devel)", Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH, SQLite: sqliteVersion()}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return b
	}
	if info.Main.Version != "" {
		b.Version = info.Main.Version
	}
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			b.Commit = s.Value
		case "vcs.modified":
			b.Modified = s.Value == "true"
		}
	}
	return b
}

// sqliteVersion asks the library itself; "" if it does not answer.
func sqliteVersion() string {
	db, err := sql.Open("sqlite", ":memory:")
	if err != nil {
		return ""
	}
	defer db.Close()
	var version string
	if err := db.QueryRow("SELECT sqlite_version()").Scan(&version); err != nil {
		return ""
	}
	return version
}

func writeVersion(w io.Writer, b build, asJSON bool) error {
	if asJSON {
		text, err := json.Marshal(b)
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(w, "%s\n", text)
		return err
	}
	commit := b.Commit
	switch {
	case commit == "":
		commit = "unknown"
	case b.Modified:
		commit += " with changes"
	}
	_, err := fmt.Fprintf(w, "lockstep %s\ncommit   %s\ngo       %s %s\nsqlite   %s\n", b.Version, commit, b.Go, b.Platform, b.SQLite)
	return err
}
