// Package seal keeps secrets unreadable at rest. What one Key has sealed only the
// same key opens, and only under the name it was sealed for.
//
// The key is in a file of its own, so a copy of the database alone gives no
// secret away, and a backup needs both.
package seal

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
)

// FileName is what the key's file is called in a data directory.
const FileName = "master.key"

const (
	keySize  = 32
	idSize   = 4
	version1 = 1
	header   = "lockstep-master-key-1 "
)

// The errors a caller can act on.
var (
	// ErrNoKey: something was sealed, and the key's file is not there any more.
	ErrNoKey = errors.New("the master key is missing: put its file back, for instance from a backup")
	// ErrOtherKey: it was sealed with another key.
	ErrOtherKey = errors.New("it was sealed with another master key: put that one back, or enter the secret anew")
	// ErrBroken: it is not what was sealed under that name.
	ErrBroken = errors.New("the sealed secret is damaged")
)

// Key seals and opens. It is safe for concurrent use.
type Key struct {
	path string

	mu   sync.Mutex
	id   [idSize]byte
	aead cipher.AEAD // nil: the file has not been read
}

// At is the key in the file at path, which is read, or made if it is not there,
// when something is sealed for the first time.
func At(path string) *Key { return &Key{path: path} }

// Ready reads the key, or makes it if it is not there, so that what is wrong with
// it shows at once.
func (k *Key) Ready() error {
	_, _, err := k.load(true)
	return err
}

// Seal makes plain unreadable. The name is what the secret belongs to, such as
// "connection/stripe"; it is needed to open it. The error names the file.
func (k *Key) Seal(name string, plain []byte) ([]byte, error) {
	aead, id, err := k.load(true)
	if err != nil {
		return nil, err
	}
	out := append([]byte{version1}, id[:]...)
	return aead.Seal(out, nil, plain, []byte(name)), nil
}

// Open returns what was sealed under the name, or ErrNoKey, ErrOtherKey or
// ErrBroken.
func (k *Key) Open(name string, sealed []byte) ([]byte, error) {
	if len(sealed) < 1+idSize || sealed[0] != version1 {
		return nil, ErrBroken
	}
	aead, id, err := k.load(false)
	if err != nil {
		return nil, err
	}
	if [idSize]byte(sealed[1:]) != id {
		return nil, ErrOtherKey
	}
	plain, err := aead.Open(nil, nil, sealed[1+idSize:], []byte(name))
	if err != nil {
		return nil, ErrBroken
	}
	return plain, nil
}

func (k *Key) load(orMake bool) (cipher.AEAD, [idSize]byte, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.aead != nil {
		return k.aead, k.id, nil
	}
	secret, err := readKey(k.path)
	if errors.Is(err, fs.ErrNotExist) {
		if !orMake {
			return nil, k.id, fmt.Errorf("%s: %w", k.path, ErrNoKey)
		}
		if err = makeKey(k.path); err == nil || errors.Is(err, fs.ErrExist) {
			secret, err = readKey(k.path) // another process may have been first
		}
	}
	if err != nil {
		return nil, k.id, fmt.Errorf("the master key: %w", err)
	}
	block, err := aes.NewCipher(secret)
	if err != nil {
		return nil, k.id, err
	}
	// Two secrets get the same random nonce only after billions of them.
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		return nil, k.id, err
	}
	sum := sha256.Sum256(append([]byte("id"), secret...))
	k.aead, k.id = aead, [idSize]byte(sum[:])
	return k.aead, k.id, nil
}

func readKey(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if runtime.GOOS != "windows" && info.Mode().Perm()&0o077 != 0 {
		return nil, fmt.Errorf("others may read %s: chmod 600 it, and enter secrets anew if somebody might have", path)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	encoded, ok := strings.CutPrefix(strings.TrimSpace(string(text)), header)
	secret, err := base64.StdEncoding.DecodeString(encoded)
	if !ok || err != nil || len(secret) != keySize {
		return nil, fmt.Errorf("%s is no master key", path)
	}
	return secret, nil
}

// makeKey writes a new key. The file has its name only when it is whole and on
// the disk, and never takes the place of another.
func makeKey(path string) (err error) {
	f, err := os.CreateTemp(filepath.Dir(path), FileName+".*") // 0600
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	secret := make([]byte, keySize)
	rand.Read(secret)
	_, err = f.WriteString(header + base64.StdEncoding.EncodeToString(secret) + "\n")
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	if err := os.Link(f.Name(), path); err != nil {
		return err
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	defer dir.Close()
	if runtime.GOOS == "windows" {
		return nil // directories cannot be synced there
	}
	return dir.Sync()
}
