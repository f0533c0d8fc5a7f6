package sqlite

import (
	"errors"
	"fmt"

	"github.com/klauspost/compress/s2"
)

// How a chunk is packed: its first byte.
const (
	packedPlain = iota
	packedS2
)

// pack puts data into buf in the form in which it is kept, compressed if that
// makes it smaller, and returns it; buf is overwritten and may have grown.
func pack(buf, data []byte) []byte {
	if need := 1 + s2.MaxEncodedLen(len(data)); cap(buf) < need {
		buf = make([]byte, need)
	}
	buf = buf[:cap(buf)]
	packed := s2.Encode(buf[1:], data)
	if len(packed) >= len(data) {
		buf[0] = packedPlain
		return append(buf[:1], data...)
	}
	buf[0] = packedS2
	return buf[:1+len(packed)]
}

// unpack undoes pack. It may return a part of packed.
func unpack(packed []byte) ([]byte, error) {
	if len(packed) == 0 {
		return nil, errors.New("packed data is empty")
	}
	switch form := packed[0]; form {
	case packedPlain:
		return packed[1:], nil
	case packedS2:
		return s2.Decode(nil, packed[1:])
	default:
		return nil, fmt.Errorf("data is packed in an unknown way, %d", form)
	}
}
