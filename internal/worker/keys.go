package worker

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"errors"

	"github.com/google/uuid"

	"github.com/lockstep-run/lockstep/internal/engine"
	"github.com/lockstep-run/lockstep/internal/store"
)

// keys derives task tokens and the names of executions that were not given
// one. Both can be taken apart again with the store's secret, so neither
// needs a table.
type keys struct{ secret [32]byte }

const (
	tokenVersion = 1
	macSize      = 16
)

var errToken = errors.New("not a task token of this server")

var tokenText = base64.RawURLEncoding.Strict()

// token is the task token of one attempt of a task.
func (k *keys) token(id store.ExecutionID, t engine.TaskID) string {
	var buf [64]byte
	b := append(buf[:0], tokenVersion)
	b = binary.AppendUvarint(b, uint64(id))
	b = binary.AppendUvarint(b, uint64(t.Frame))
	b = binary.AppendUvarint(b, uint64(t.Attempt))
	mac := k.mac('t', b)
	return tokenText.EncodeToString(append(b, mac[:macSize]...))
}

// parseToken is the inverse of token.
func (k *keys) parseToken(text string) (store.ExecutionID, engine.TaskID, error) {
	b, err := tokenText.DecodeString(text)
	if err != nil || len(b) < macSize+4 || b[0] != tokenVersion {
		return 0, engine.TaskID{}, errToken
	}
	body, mac := b[:len(b)-macSize], b[len(b)-macSize:]
	want := k.mac('t', body)
	if subtle.ConstantTimeCompare(mac, want[:macSize]) != 1 {
		return 0, engine.TaskID{}, errToken
	}
	var n [3]uint64
	rest := body[1:]
	for i := range n {
		v, size := binary.Uvarint(rest)
		if size <= 0 {
			return 0, engine.TaskID{}, errToken
		}
		n[i], rest = v, rest[size:]
	}
	return store.ExecutionID(n[0]), engine.TaskID{Frame: engine.FrameID(n[1]), Attempt: uint32(n[2])}, nil
}

// name makes a UUID that encodes the execution's id: seven bytes of the id,
// masked, and nine of a MAC over it.
func (k *keys) name(id store.ExecutionID) string {
	var u [16]byte
	k.fillName(&u, id)
	var text [36]byte
	hex.Encode(text[0:8], u[0:4])
	text[8] = '-'
	hex.Encode(text[9:13], u[4:6])
	text[13] = '-'
	hex.Encode(text[14:18], u[6:8])
	text[18] = '-'
	hex.Encode(text[19:23], u[8:10])
	text[23] = '-'
	hex.Encode(text[24:36], u[10:16])
	return string(text[:])
}

// mapRun makes the UUID that names the Map Run of one attempt of a state.
func (k *keys) mapRun(id store.ExecutionID, t engine.TaskID) string {
	var buf [32]byte
	b := binary.AppendUvarint(buf[:0], uint64(id))
	b = binary.AppendUvarint(b, uint64(t.Frame))
	b = binary.AppendUvarint(b, uint64(t.Attempt))
	mac := k.mac('r', b)
	u := uuid.UUID(mac[:16])
	u[6], u[8] = 0x30|u[6]&0x0f, 0x80|u[8]&0x3f // made from names, as AWS's look
	return u.String()
}

func (k *keys) fillName(u *[16]byte, id store.ExecutionID) {
	var plain [8]byte
	binary.BigEndian.PutUint64(plain[:], uint64(id))
	mac := k.mac('n', plain[:])
	copy(u[7:], mac[:9])
	u[8] = u[8]&0x3f | 0x80 // the variant of RFC 9562
	mask := k.mac('m', u[8:])
	for i := range 6 {
		u[i] = plain[i+2] ^ mask[i]
	}
	u[6] = 0x40 | mac[9]&0x0f // version 4: it looks random
}

// parseName is the inverse of name; it reports false for all other names.
func (k *keys) parseName(text string) (store.ExecutionID, bool) {
	if len(text) != 36 || text[8] != '-' || text[13] != '-' || text[18] != '-' || text[23] != '-' {
		return 0, false
	}
	var u, again [16]byte
	raw := []byte(text[0:8] + text[9:13] + text[14:18] + text[19:23] + text[24:36])
	if _, err := hex.Decode(u[:], raw); err != nil {
		return 0, false
	}
	mask := k.mac('m', u[8:])
	var plain [8]byte
	for i := range 6 {
		plain[i+2] = u[i] ^ mask[i]
	}
	id := store.ExecutionID(binary.BigEndian.Uint64(plain[:]))
	k.fillName(&again, id)
	return id, again == u && text == k.name(id)
}

// mac is a keyed hash; what it is used for sets its messages apart. Callers
// use a part of it, which rules out extensions.
func (k *keys) mac(purpose byte, message []byte) [32]byte {
	var buf [128]byte
	b := append(buf[:0], k.secret[:]...)
	b = append(b, purpose)
	b = append(b, message...)
	return sha256.Sum256(b)
}
