package auth

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"fmt"
	"net/http"
	"strings"
	"unicode/utf8"

	"golang.org/x/crypto/argon2"
)

// Cost is what hashing a password takes: argon2id's parameters.
type Cost struct {
	Memory  uint32 // KiB
	Passes  uint32
	Threads uint8
}

// usualCost is the second choice of RFC 9106, for where memory counts.
var usualCost = Cost{Memory: 64 << 10, Passes: 3, Threads: 4}

// within reports whether a cost is one that this server would spend: what is
// kept in the store cannot make it spend more.
func (c Cost) within() bool {
	return c.Memory >= 8*uint32(c.Threads) && c.Memory <= 256<<10 && c.Passes >= 1 && c.Passes <= 16 && c.Threads >= 1 && c.Threads <= 16
}

const (
	saltSize  = 16
	hashSize  = 32
	atOnce    = 2  // hashings, each of which takes memory
	inLine    = 32 // that wait for one
	shortest  = 10 // characters of a password
	longest   = 1024
	phcPrefix = "$argon2id$v=19$"
)

// hasher hashes passwords, few at once.
type hasher struct {
	cost  Cost
	slots chan struct{}
	line  chan struct{}
	dummy string // the hash of no password, for users who are not there
}

func newHasher(cost Cost) hasher {
	h := hasher{cost: cost, slots: make(chan struct{}, atOnce), line: make(chan struct{}, atOnce+inLine)}
	var salt [saltSize]byte
	var sum [hashSize]byte
	rand.Read(salt[:])
	rand.Read(sum[:])
	h.dummy = phc(cost, salt[:], sum[:])
	return h
}

func phc(c Cost, salt, sum []byte) string {
	return fmt.Sprintf("%sm=%d,t=%d,p=%d$%s$%s", phcPrefix, c.Memory, c.Passes, c.Threads,
		base64.RawStdEncoding.EncodeToString(salt), base64.RawStdEncoding.EncodeToString(sum))
}

// parsePHC takes a hash apart: $argon2id$v=19$m=65536,t=3,p=4$salt$sum.
func parsePHC(text string) (c Cost, salt, sum []byte, ok bool) {
	rest, ok := strings.CutPrefix(text, phcPrefix)
	parts := strings.Split(rest, "$")
	if !ok || len(parts) != 3 {
		return c, nil, nil, false
	}
	if n, err := fmt.Sscanf(parts[0], "m=%d,t=%d,p=%d", &c.Memory, &c.Passes, &c.Threads); err != nil || n != 3 {
		return c, nil, nil, false
	}
	salt, err1 := base64.RawStdEncoding.DecodeString(parts[1])
	sum, err2 := base64.RawStdEncoding.DecodeString(parts[2])
	if err1 != nil || err2 != nil || len(salt) < 8 || len(salt) > 64 || len(sum) < 16 || len(sum) > 64 || !c.within() {
		return c, nil, nil, false
	}
	return c, salt, sum, true
}

// run hashes when there is a slot. Too many who wait are an error at once.
func (h *hasher) run(ctx context.Context, c Cost, password string, salt []byte, size int) ([]byte, error) {
	select {
	case h.line <- struct{}{}:
		defer func() { <-h.line }()
	default:
		return nil, refuse(http.StatusTooManyRequests, "busy", "Too many sign in at once. Try again in a moment.")
	}
	select {
	case h.slots <- struct{}{}:
		defer func() { <-h.slots }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	return argon2.IDKey([]byte(password), salt, c.Passes, c.Memory, c.Threads, uint32(size)), nil
}

// hash makes the hash of a new password that is kept.
func (h *hasher) hash(ctx context.Context, password string) (string, error) {
	var salt [saltSize]byte
	rand.Read(salt[:])
	sum, err := h.run(ctx, h.cost, password, salt[:], hashSize)
	return phc(h.cost, salt[:], sum), err
}

// matches reports whether a password is the one of a hash, and whether the hash
// is to be made anew since it was cheaper than hashes are now. It takes as long
// without a hash as with one.
func (h *hasher) matches(ctx context.Context, password, hash string) (ok, cheaper bool, err error) {
	c, salt, want, known := parsePHC(hash)
	if !known {
		c, salt, want, _ = parsePHC(h.dummy)
	}
	got, err := h.run(ctx, c, password, salt, len(want))
	if err != nil {
		return false, false, err
	}
	return subtle.ConstantTimeCompare(got, want) == 1 && known, c != h.cost, nil
}

// goodPassword refuses a password that is none.
func goodPassword(name, password string) error {
	switch n := utf8.RuneCountInString(password); {
	case n < shortest:
		return refuse(http.StatusUnprocessableEntity, "weak_password", fmt.Sprintf("A password has at least %d characters.", shortest))
	case len(password) > longest:
		return refuse(http.StatusUnprocessableEntity, "weak_password", fmt.Sprintf("A password has at most %d bytes.", longest))
	case strings.EqualFold(password, name), strings.Count(password, password[:1]) == len(password):
		return refuse(http.StatusUnprocessableEntity, "weak_password", "That password is too easy to guess.")
	}
	return nil
}

// sameText compares secrets in a time that says nothing of them.
func sameText(a, b string) bool {
	x, y := sha256.Sum256([]byte(a)), sha256.Sum256([]byte(b))
	return subtle.ConstantTimeCompare(x[:], y[:]) == 1 && b != ""
}
