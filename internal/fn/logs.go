package fn

import (
	"fmt"
	"io"
	golog "log"
	"os"
	"strconv"
	"sync"
	"time"
)

// discard is for servers of processes: what their connections do is no news.
var discard = golog.New(io.Discard, "", 0)

// maxTail is how much of a call's log its caller may have, in bytes, as on
// Lambda.
const maxTail = 4 << 10

// capture takes what a process writes to its standard output and error, and cuts
// it into calls and lines.
type capture struct {
	log    *log
	stream string // stands in front of each line: which process it is
	source *source

	mu    sync.Mutex
	call  []byte // of this call; the last maxTail bytes count
	line  []byte // not yet whole
	begun bool   // there has been a call
}

func newCapture(l *log, number int) *capture {
	stream := strconv.Itoa(number)
	if number == 0 {
		stream = "-" // a worker elsewhere: its output stays there
	}
	return &capture{log: l, stream: stream}
}

// attach begins to read what a process writes.
func (c *capture) attach(out *os.File) {
	c.mu.Lock()
	c.source = newSource(out)
	c.mu.Unlock()
	go c.source.follow(c)
}

// drain takes what has been written so far.
func (c *capture) drain() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.source != nil {
		c.source.drain(c)
	}
}

// close is for when the process has ended.
func (c *capture) close() {
	c.drain()
	c.mu.Lock()
	c.endLine()
	source := c.source
	c.mu.Unlock()
	if source != nil {
		source.close() // which waits for a reader, who may be about to take c.mu
	}
}

// write takes a piece of output. c.mu is held.
func (c *capture) write(p []byte) {
	c.keep(p)
	for len(p) > 0 {
		n := 0
		for n < len(p) && p[n] != '\n' {
			n++
		}
		if n == len(p) {
			c.line = append(c.line, p...)
			if len(c.line) > 64<<10 {
				c.endLine() // nobody reads such a line
			}
			return
		}
		if len(c.line) == 0 {
			c.log.add(c.stream, p[:n])
		} else {
			c.line = append(c.line, p[:n]...)
			c.endLine()
		}
		p = p[n+1:]
	}
}

func (c *capture) endLine() {
	if len(c.line) > 0 {
		c.log.add(c.stream, c.line)
		c.line = c.line[:0]
	}
}

func (c *capture) keep(p []byte) {
	if len(p) > maxTail {
		p = p[len(p)-maxTail:]
	}
	if len(c.call)+len(p) > 2*maxTail {
		c.call = append(c.call[:0], c.call[len(c.call)-maxTail:]...)
	}
	c.call = append(c.call, p...)
}

// begin is the first line of a call.
func (c *capture) begin(id string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.endLine()
	if c.begun { // what it wrote before its first call belongs to that
		c.call = c.call[:0]
	}
	c.begun = true
	c.own("START RequestId: " + id + " Version: $LATEST")
}

// own writes a line of Lambda's. It stands in a line of its own.
func (c *capture) own(text string) {
	if len(c.line) > 0 {
		c.endLine()
		c.keep([]byte{'\n'})
	}
	c.keep([]byte(text))
	c.keep([]byte{'\n'})
	c.log.add(c.stream, []byte(text))
}

// report is what the last line of a call's log says.
type report struct {
	id       string
	took     time.Duration
	initTook time.Duration // of the first call of a process
	memory   int           // MiB
	peak     int64         // bytes
	kind     string        // of the error; "": none
	answer   []byte        // of the error
}

// end writes the last lines of a call.
func (c *capture) end(r report) {
	c.drain()
	c.mu.Lock()
	defer c.mu.Unlock()
	switch r.kind {
	case timedOut:
		c.own(fmt.Sprintf("%s %s Task timed out after %.2f seconds", time.Now().UTC().Format("2006-01-02T15:04:05.000Z"), r.id, r.took.Seconds()))
	case exited, outOfMemory, "Runtime.InvalidEntrypoint":
		c.own(errorMessage(r.answer))
		c.own(r.kind)
	}
	c.own("END RequestId: " + r.id)
	b := make([]byte, 0, 256)
	b = append(append(b, "REPORT RequestId: "...), r.id...)
	b = append(b, "\tDuration: "...)
	b = appendMillis(b, r.took)
	b = append(b, " ms\tBilled Duration: "...)
	b = strconv.AppendInt(b, int64((r.took+r.initTook+time.Millisecond-1)/time.Millisecond), 10)
	b = append(b, " ms\tMemory Size: "...)
	b = strconv.AppendInt(b, int64(r.memory), 10)
	b = append(b, " MB\tMax Memory Used: "...)
	b = strconv.AppendInt(b, (r.peak+1<<20-1)>>20, 10)
	b = append(b, " MB\t"...)
	if r.initTook > 0 {
		b = append(b, "Init Duration: "...)
		b = appendMillis(b, r.initTook)
		b = append(b, " ms\t"...)
	}
	switch r.kind {
	case "":
	case timedOut:
		b = append(b, "Status: timeout"...)
	case exited, outOfMemory:
		b = append(append(b, "Status: error\tError Type: "...), r.kind...)
	}
	c.own(string(b))
}

func appendMillis(b []byte, d time.Duration) []byte {
	return strconv.AppendFloat(b, float64(d)/float64(time.Millisecond), 'f', 2, 64)
}

func (c *capture) tail() []byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	t := c.call
	if len(t) > maxTail {
		t = t[len(t)-maxTail:]
	}
	return append([]byte(nil), t...)
}

const (
	keptLog = 256 << 10 // bytes that can be read again at once
	maxLog  = 4 << 20   // bytes of a file; then another begins, and the one before it is kept
)

// log is the log of a function: its end in memory, for those who read along, and
// files. A file gets its lines a little later, see Manager.look.
type log struct {
	path string

	mu      sync.Mutex
	ring    []byte // the last bytes
	from    int64  // what ring begins with, counted from the first byte ever
	pending []byte // not yet in the file
	lost    bool   // lines that a file could not take in time
	file    *os.File
	size    int64
	more    chan struct{} // closed when there is more
	closed  bool
}

func openLog(path string) *log {
	l := &log{path: path, more: make(chan struct{})}
	if f, err := os.Open(path); err == nil { // what was there is shown again
		if info, err := f.Stat(); err == nil {
			n := min(info.Size(), keptLog)
			l.ring = make([]byte, n)
			read, _ := f.ReadAt(l.ring, info.Size()-n)
			l.ring = l.ring[:read]
		}
		f.Close()
	}
	return l
}

// add appends a line: the time, who wrote it, and the text.
func (l *log) add(stream string, text []byte) {
	var space [48]byte
	head := time.Now().UTC().AppendFormat(space[:0], "2006-01-02T15:04:05.000Z ")
	head = append(append(head, stream...), ' ')
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return
	}
	if over := len(l.ring) + len(head) + len(text) + 1 - 2*keptLog; over > 0 {
		cut := max(len(l.ring)-keptLog/2, 0)
		l.from += int64(cut)
		l.ring = append(l.ring[:0], l.ring[cut:]...)
	}
	l.ring = append(append(append(l.ring, head...), text...), '\n')
	if len(l.pending) < maxLog/2 {
		l.pending = append(append(append(l.pending, head...), text...), '\n')
	} else {
		l.lost = true
	}
	if l.more != nil {
		close(l.more)
		l.more = nil
	}
}

// read returns what there is from the position at on, where that ends, and a
// channel that is closed when there is more. A position that has been dropped
// means the oldest kept.
func (l *log) read(at int64) (text []byte, next int64, more <-chan struct{}, open bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	at = min(max(at, l.from), l.from+int64(len(l.ring)))
	if l.more == nil {
		l.more = make(chan struct{})
	}
	return append([]byte(nil), l.ring[at-l.from:]...), l.from + int64(len(l.ring)), l.more, !l.closed
}

// back is the position of the last n lines.
func (l *log) back(n int) int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	at := len(l.ring)
	for ; at > 0 && n > 0; at-- {
		if l.ring[at-1] == '\n' && at < len(l.ring) {
			if n--; n == 0 {
				break
			}
		}
	}
	return l.from + int64(at)
}

// flush writes what is pending. A disk that is full loses lines of logs and
// nothing else.
func (l *log) flush() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.pending) == 0 {
		return
	}
	if l.file == nil || l.size > maxLog {
		if l.file != nil {
			l.file.Close()
			_ = os.Rename(l.path, l.path+".1") // else it goes on in the same file
		}
		f, err := os.OpenFile(l.path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
		if l.file, l.size = f, 0; err != nil {
			l.file, l.pending = nil, l.pending[:0]
			return
		}
		if info, err := f.Stat(); err == nil {
			l.size = info.Size()
		}
	}
	if l.lost {
		l.pending = append(l.pending, "(lines are missing here: there were too many)\n"...)
		l.lost = false
	}
	n, _ := l.file.Write(l.pending)
	l.size += int64(n)
	l.pending = l.pending[:0]
}

// close ends the log and whoever reads along.
func (l *log) close() {
	l.flush()
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.file != nil {
		l.file.Close()
		l.file = nil
	}
	if !l.closed {
		l.closed = true
		if l.more == nil {
			l.more = make(chan struct{})
		}
		close(l.more)
	}
}
