package seal_test

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/lockstep-run/lockstep/internal/seal"
)

func TestSeal(t *testing.T) {
	path := filepath.Join(t.TempDir(), seal.FileName)
	key := seal.At(path)
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the file is there before it is needed: %v", err)
	}
	sealed, err := key.Seal("connection/a", []byte("swordfish"))
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v %v", info.Mode(), err)
	}
	if bytes.Contains(sealed, []byte("swordfish")) {
		t.Error("it can be read")
	}
	twice, err := key.Seal("connection/a", []byte("swordfish"))
	if err != nil || bytes.Equal(sealed, twice) {
		t.Errorf("the same secret looks the same twice: %v", err)
	}
	again := seal.At(path) // as the next process sees it
	if plain, err := again.Open("connection/a", sealed); err != nil || string(plain) != "swordfish" {
		t.Errorf("%q %v", plain, err)
	}
	f := func(name string, sealed []byte, want error) {
		t.Helper()
		if _, err := again.Open(name, sealed); !errors.Is(err, want) {
			t.Errorf("%v, want %v", err, want)
		}
	}
	f("connection/b", sealed, seal.ErrBroken)
	f("connection/a", sealed[:len(sealed)-1], seal.ErrBroken)
	f("connection/a", sealed[:6], seal.ErrBroken)
	f("connection/a", nil, seal.ErrBroken)
	other := bytes.Clone(sealed)
	other[1]++
	f("connection/a", other, seal.ErrOtherKey)
	other = bytes.Clone(sealed)
	other[20]++
	f("connection/a", other, seal.ErrBroken)
	again = seal.At(filepath.Join(t.TempDir(), seal.FileName))
	f("connection/a", sealed, seal.ErrNoKey)
}

func TestKeyFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), seal.FileName)
	if _, err := seal.At(path).Seal("x", nil); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := seal.At(path).Seal("x", nil); err == nil {
		t.Error("a key that others may read is taken")
	}
	if err := errors.Join(os.Chmod(path, 0o600), os.WriteFile(path, []byte("what?"), 0o600)); err != nil {
		t.Fatal(err)
	}
	if _, err := seal.At(path).Seal("x", nil); err == nil {
		t.Error("a file that is no key is taken")
	}
}

func TestTwoMakersAgree(t *testing.T) {
	path := filepath.Join(t.TempDir(), seal.FileName)
	var all [8][]byte
	var wg sync.WaitGroup
	for i := range all {
		wg.Go(func() {
			sealed, err := seal.At(path).Seal("x", []byte("y"))
			if err != nil {
				t.Error(err)
			}
			all[i] = sealed
		})
	}
	wg.Wait()
	for _, sealed := range all {
		if _, err := seal.At(path).Open("x", sealed); err != nil {
			t.Error(err)
		}
	}
}

func FuzzOpen(f *testing.F) {
	key := seal.At(filepath.Join(f.TempDir(), seal.FileName))
	sealed, err := key.Seal("x", []byte("y"))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(sealed)
	f.Fuzz(func(t *testing.T, text []byte) {
		if plain, err := key.Open("x", text); err == nil && string(plain) != "y" {
			t.Errorf("%q opens", text)
		}
	})
}
