package s3

import (
	"bufio"
	"errors"
	"io"
	"strconv"
	"strings"
)

// chunks reads a body in the form of aws-chunked: the length of each chunk in
// hexadecimal, with a signature or without, its bytes, and at the end trailers
// with checksums, which are passed over.
type chunks struct {
	body io.ReadCloser
	in   *bufio.Reader
	left int64 // of the chunk
	err  error
}

// maxLine bounds the lines between chunks.
const maxLine = 8 << 10

var errChunks = errors.New("the body is not in the form of aws-chunked")

func newChunks(body io.ReadCloser) *chunks {
	return &chunks{body: body, in: bufio.NewReaderSize(body, 64<<10)}
}

func (c *chunks) Read(p []byte) (int, error) {
	if c.err != nil {
		return 0, c.err
	}
	if c.left == 0 {
		if c.err = c.next(); c.err != nil {
			return 0, c.err
		}
	}
	n, err := c.in.Read(p[:min(int64(len(p)), c.left)])
	c.left -= int64(n)
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	if err == nil && c.left == 0 {
		var line string
		if line, err = c.line(); err == nil && line != "" {
			err = errChunks
		}
	}
	c.err = err
	return n, err
}

// next reads the line before a chunk; io.EOF after the last one.
func (c *chunks) next() error {
	line, err := c.line()
	if err != nil {
		return err
	}
	size, _, _ := strings.Cut(line, ";")
	c.left, err = strconv.ParseInt(size, 16, 64)
	if err != nil || c.left < 0 {
		return errChunks
	}
	if c.left > 0 {
		return nil
	}
	for { // trailers
		line, err := c.line()
		if err == io.ErrUnexpectedEOF || err == nil && line == "" {
			return io.EOF
		}
		if err != nil {
			return err
		}
	}
}

func (c *chunks) line() (string, error) {
	var line []byte
	for {
		part, err := c.in.ReadSlice('\n')
		line = append(line, part...)
		switch {
		case err == nil:
			return strings.TrimRight(string(line), "\r\n"), nil
		case err == io.EOF:
			return "", io.ErrUnexpectedEOF
		case err != bufio.ErrBufferFull || len(line) > maxLine:
			return "", errChunks
		}
	}
}

func (c *chunks) Close() error { return c.body.Close() }
