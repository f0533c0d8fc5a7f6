package fn

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
)

// KeyFile is the name of the file in Config.Dir that has the key of management:
// whoever can read it may say what programs run.
const KeyFile = "key"

// load reads what a manager before this one has left.
func (m *Manager) load() error {
	if err := os.MkdirAll(filepath.Join(m.c.Dir, "logs"), 0o700); err != nil {
		return fmt.Errorf("make a place for functions: %w", err)
	}
	key, err := os.ReadFile(filepath.Join(m.c.Dir, KeyFile))
	if errors.Is(err, fs.ErrNotExist) {
		key = []byte(rand.Text() + rand.Text() + "\n")
		err = writeFile(filepath.Join(m.c.Dir, KeyFile), key)
	}
	if err != nil {
		return fmt.Errorf("read the key of functions: %w", err)
	}
	m.key = []byte(strings.TrimSpace(string(key)))
	if len(m.key) < 26 {
		return fmt.Errorf("the key in %s is too short: remove the file for a new one", filepath.Join(m.c.Dir, KeyFile))
	}

	m.added = map[string]Spec{}
	text, err := os.ReadFile(m.file())
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil {
		err = json.Unmarshal(text, &m.added)
	}
	if err != nil {
		return fmt.Errorf("read the functions in %s: %w", m.file(), err)
	}
	for name, s := range m.added {
		if m.added[name], err = s.Complete(); err != nil {
			return fmt.Errorf("read the function %s in %s: %w", name, m.file(), err)
		}
	}
	return nil
}

func (m *Manager) file() string { return filepath.Join(m.c.Dir, "functions.json") }

func (m *Manager) save(added map[string]Spec) error {
	text, err := json.MarshalIndent(added, "", "  ")
	if err == nil {
		err = writeFile(m.file(), append(text, '\n'))
	}
	if err != nil {
		return fmt.Errorf("keep the functions: %w", err)
	}
	return nil
}

// writeFile puts a file in place as a whole, durably, for its owner's eyes only.
func writeFile(path string, text []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".tmp-*") // with mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	if _, err = f.Write(text); err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}

// Key is what a worker elsewhere shows to serve a function: Lambda's Runtime API
// on the server's own address takes it.
func (m *Manager) Key(name string) string {
	mac := hmac.New(sha256.New, m.key)
	mac.Write([]byte("worker\x00" + name))
	return name + "." + hex.EncodeToString(mac.Sum(nil)[:20])
}

// owner returns the function that key is of, nil if it is none's.
func (m *Manager) owner(key string) *function {
	dot := strings.LastIndexByte(key, '.')
	if dot < 0 {
		return nil
	}
	name := key[:dot]
	if subtle.ConstantTimeCompare([]byte(m.Key(name)), []byte(key)) == 0 {
		return nil
	}
	return (*m.names.Load())[name]
}

// Authorize is r with the key of management, for a caller who may manage by what
// whoever stands in front has found out.
func (m *Manager) Authorize(r *http.Request) *http.Request {
	r = r.Clone(r.Context())
	r.Header.Set("Authorization", "Bearer "+string(m.key))
	return r
}

// mayManage reports whether an Authorization header has the key of management.
func (m *Manager) mayManage(authorization string) bool {
	key, ok := strings.CutPrefix(authorization, "Bearer ")
	return ok && subtle.ConstantTimeCompare([]byte(key), m.key) == 1
}
