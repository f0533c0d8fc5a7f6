package fn

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/textproto"
	"strconv"
	"strings"
)

// Serve is the other side of the Runtime API: it asks address, what
// AWS_LAMBDA_RUNTIME_API says, for calls, and answers each with what handle
// makes of its payload. It returns nil when it is told that there will be no
// more. It is as small as a runtime can be, to measure with and to test with.
func Serve(address string, handle func(payload []byte) ([]byte, error)) error {
	host, prefix, _ := strings.Cut(address, "/") // a worker elsewhere has its key in the path
	if prefix != "" {
		prefix = "/" + prefix
	}
	c, err := net.Dial("tcp", host)
	if err != nil {
		return fmt.Errorf("reach the runtime API: %w", err)
	}
	defer c.Close()
	r := bufio.NewReaderSize(c, 16<<10)
	var out []byte
	for {
		out = append(out[:0], "GET "+prefix+"/2018-06-01/runtime/invocation/next HTTP/1.1\r\nHost: "+host+"\r\n\r\n"...)
		status, id, payload, err := exchange(c, r, out)
		if err != nil || status != http.StatusOK {
			return err
		}
		what := "/response"
		answer, err := handle(payload)
		if err != nil {
			what = "/error"
			answer = []byte(`{"errorType":"Error","errorMessage":` + strconv.Quote(err.Error()) + `}`)
		}
		out = append(append(append(out[:0], "POST "+prefix+"/2018-06-01/runtime/invocation/"...), id...), what...)
		out = append(append(append(out, " HTTP/1.1\r\nHost: "...), host...), "\r\nContent-Type: application/json\r\nContent-Length: "...)
		out = append(strconv.AppendInt(out, int64(len(answer)), 10), "\r\n\r\n"...)
		if _, _, _, err := exchange(c, r, append(out, answer...)); err != nil {
			return err
		}
	}
}

// exchange sends a request and reads the answer, of which all lengths are known:
// Manager sends no other.
func exchange(c net.Conn, r *bufio.Reader, request []byte) (status int, id string, body []byte, err error) {
	if _, err := c.Write(request); err != nil {
		return 0, "", nil, err
	}
	line, err := r.ReadString('\n')
	if err != nil {
		return 0, "", nil, err
	}
	if _, err := fmt.Sscanf(line, "HTTP/1.1 %d", &status); err != nil {
		return 0, "", nil, errors.New("the runtime API does not speak HTTP/1.1")
	}
	length := 0
	for {
		line, err := r.ReadSlice('\n')
		if err != nil {
			return 0, "", nil, err
		}
		name, value, ok := strings.Cut(strings.TrimRight(string(line), "\r\n"), ": ")
		if !ok {
			break
		}
		switch textproto.CanonicalMIMEHeaderKey(name) {
		case "Content-Length":
			if length, err = strconv.Atoi(value); err != nil || length < 0 || length > maxPayload {
				return 0, "", nil, errors.New("the runtime API has sent a length that cannot be")
			}
		case "Lambda-Runtime-Aws-Request-Id":
			id = value
		}
	}
	body = make([]byte, length)
	_, err = io.ReadFull(r, body)
	return status, id, body, err
}
