package items

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"github.com/lockstep-run/lockstep/internal/objects"
)

// stream is the decompressed contents of a file, seen through a window that
// slides: buf[start:end] has been read and not yet used. Nothing is used before
// it is complete, so that start is always a place to go on from.
type stream struct {
	r      *Reader
	ref    objects.Ref // pinned
	body   io.ReadCloser
	decode io.Reader // body, or what decompresses it
	zstd   *zstd.Decoder

	buf        []byte
	start, end int
	offset     int64 // of buf[start]
	err        error // after end; io.EOF when the file ends there
}

const (
	window = 256 << 10
	// maxWindow bounds the window, and with it the length of an item as it stands
	// in a file: escapes and columns that are dropped can make it longer than the
	// item is.
	maxWindow = 2*MaxItem + 1
	// maxZstdWindow is what zstd -22 needs.
	maxZstdWindow = 128 << 20
)

// stream opens a file from an offset of its decompressed contents on.
func (r *Reader) stream(ref objects.Ref, offset int64) (*stream, error) {
	s := &stream{r: r, ref: ref, buf: make([]byte, window), offset: offset}
	packed := compression(ref.Key)
	from := offset
	if packed != "" {
		from = 0
	}
	var info objects.Info
	var err error
	r.during(func() { s.body, info, err = r.store.Open(r.life, ref, from) })
	if err != nil {
		return nil, err
	}
	s.ref.ETag = info.ETag
	if info.Size > MaxFile {
		s.close()
		return nil, fail("%s has %d bytes, more than 10 GB.", ref, info.Size)
	}
	s.decode = &callReader{r, s.body}
	if err = s.unpack(packed); err == nil && packed != "" {
		err = s.discard(offset)
	}
	if err != nil {
		s.close()
		return nil, s.wrong(err)
	}
	return s, nil
}

func compression(key string) string {
	switch strings.ToLower(path.Ext(key)) {
	case ".gz", ".gzip":
		return "GZIP"
	case ".zst", ".zstd":
		return "ZSTD"
	}
	return ""
}

func (s *stream) unpack(packed string) (err error) {
	switch packed {
	case "GZIP":
		s.decode, err = gzip.NewReader(s.decode)
		if err == io.EOF {
			s.decode, err = strings.NewReader(""), nil // an empty file
		}
	case "ZSTD":
		s.zstd, err = zstd.NewReader(s.decode, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true),
			zstd.WithDecoderMaxWindow(maxZstdWindow))
		s.decode = s.zstd
	}
	return err
}

func (s *stream) discard(n int64) error {
	_, err := io.CopyBuffer(io.Discard, onlyReader{io.LimitReader(s.decode, n)}, s.buf)
	return err
}

type onlyReader struct{ io.Reader }

// callReader reads under the context of the reader's present call.
type callReader struct {
	r    *Reader
	body io.Reader
}

func (c *callReader) Read(p []byte) (n int, err error) {
	c.r.during(func() { n, err = c.body.Read(p) })
	return n, err
}

func (s *stream) close() {
	if s.zstd != nil {
		s.zstd.Close()
	}
	s.body.Close()
}

// unused is what has been read ahead.
func (s *stream) unused() []byte { return s.buf[s.start:s.end] }

// use moves the start over n bytes.
func (s *stream) use(n int) {
	s.start += n
	s.offset += int64(n)
}

// more reads on. At the end of the file it is io.EOF, and an *Error when the
// window is as large as it may become.
func (s *stream) more() error {
	if s.err != nil {
		return s.err
	}
	if s.end == len(s.buf) {
		if err := s.room(); err != nil {
			return err
		}
	}
	n, err := 0, error(nil)
	for tries := 0; n == 0 && err == nil; tries++ {
		n, err = s.decode.Read(s.buf[s.end:])
		if tries == 100 && n == 0 && err == nil {
			err = io.ErrNoProgress
		}
	}
	s.end += n
	if err == nil && s.offset+int64(s.end-s.start) > MaxFile {
		err = fail("%s is larger than 10 GB once it is decompressed.", s.ref)
	}
	if err != nil {
		s.err = s.wrong(err)
	}
	if n > 0 {
		return nil
	}
	return s.err
}

// room makes place behind the end.
func (s *stream) room() error {
	used := s.buf[s.start:s.end]
	switch {
	case s.start >= len(s.buf)/2:
		copy(s.buf, used)
	case len(s.buf) >= maxWindow:
		return s.fail(s.offset, "there is an item of more than 8 MB here")
	default:
		bigger := make([]byte, min(2*len(s.buf), maxWindow))
		copy(bigger, used)
		s.buf = bigger
	}
	s.start, s.end = 0, len(used)
	return nil
}

// shrink gives a window back that one long item has needed.
func (s *stream) shrink() {
	if len(s.buf) > 4*window && s.end-s.start <= window {
		small := make([]byte, window)
		copy(small, s.unused())
		s.buf, s.start, s.end = small, 0, s.end-s.start
	}
}

// at gives the byte i after the start, 0 at the end of the file.
func (s *stream) at(i int) (byte, error) {
	for s.start+i >= s.end {
		if err := s.more(); err != nil {
			return 0, err
		}
	}
	return s.buf[s.start+i], nil
}

// line gives what is unused up to the next newline and with it, or to the end of
// the file; io.EOF if that is nothing. It looks for no more than limit bytes.
func (s *stream) line(limit int) ([]byte, error) {
	seen := 0
	for {
		unused := s.unused()
		if i := bytes.IndexByte(unused[seen:], '\n'); i >= 0 {
			return unused[:seen+i+1], nil
		}
		seen = len(unused)
		if seen > limit {
			return unused, nil
		}
		switch err := s.more(); {
		case err == io.EOF && seen > 0:
			return unused, nil
		case err != nil:
			return nil, err
		}
	}
}

// skipBOM passes over the mark that some programs begin a file with.
func (s *stream) skipBOM() error {
	const bom = "\xef\xbb\xbf"
	for i := range len(bom) {
		c, err := s.at(i)
		if err == io.EOF || err == nil && c != bom[i] {
			return nil
		}
		if err != nil {
			return err
		}
	}
	s.use(len(bom))
	return nil
}

// wrong makes errors of decompression say which file.
func (s *stream) wrong(err error) error {
	var e *Error
	if err == io.EOF || errors.As(err, &e) || errors.Is(err, objects.ErrChanged) || compression(s.ref.Key) == "" || s.r.life.Err() != nil {
		return err
	}
	return &Error{Cause: fmt.Sprintf("%s cannot be decompressed as %s: %v", s.ref, compression(s.ref.Key), err), Err: err}
}

// fail says what is wrong at an offset of the file.
func (s *stream) fail(offset int64, format string, args ...any) error {
	return fail("%s, byte %d: %s", s.ref, offset, fmt.Sprintf(format, args...))
}
