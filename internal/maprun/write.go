package maprun

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"strconv"
	"strings"
	"time"

	"github.com/lockstep-run/lockstep/asl/value"
	"github.com/lockstep-run/lockstep/internal/engine"
	"github.com/lockstep-run/lockstep/internal/objects"
	"github.com/lockstep-run/lockstep/internal/store"
)

// maxFile is how large a result file becomes before the next one begins (AWS's
// guide: 5 GB).
const maxFile = 5 << 30

// conclude works out how the run has ended, writes its result files, and saves
// that.
func (r *run) conclude() error {
	r.mu.Lock()
	stopped := r.stopped
	r.mu.Unlock()
	record := r.record
	if err := r.recountEnded(); err != nil {
		return err
	}
	switch {
	case stopped || r.ask == nil:
		record.Status = engine.Aborted
	default:
		if err := r.settle(); err != nil {
			return err
		}
		record.Status = engine.Succeeded
		if r.p.Failure != nil {
			record.Status = engine.Failed
		}
	}
	record.StoppedAt = r.now().UnixMilli()
	r.p.Saves++
	data, err := r.p.encode()
	if err != nil {
		return err
	}
	record.Progress = data
	if err := r.keep(record, nil); err != nil {
		return err
	}
	r.record = record
	return nil
}

// settle works out the state's result, or fails the run.
func (r *run) settle() error {
	if r.exports() {
		manifest, err := r.export()
		if err != nil {
			if r.ctx.Err() != nil {
				return err
			}
			if r.failures++; r.failures < maxFailures && !errors.Is(err, objects.ErrDenied) && !errors.Is(err, objects.ErrNotFound) {
				return err
			}
			r.fail(&engine.RunError{Name: "States.ResultWriterFailed", Cause: err.Error()})
			return nil
		}
		output := value.ObjectOf([]value.Member{
			{Key: "MapRunArn", Value: value.Str(r.ask.ARN)},
			{Key: "ResultWriterDetails", Value: value.ObjectOf([]value.Member{
				{Key: "Bucket", Value: value.Str(r.bucket())},
				{Key: "Key", Value: value.Str(manifest)},
			})},
		}).JSON()
		r.p.Output = &output
		return nil
	}
	if r.p.Failure != nil {
		return nil
	}
	output, err := r.gather()
	if errors.Is(err, errTooLarge) {
		r.fail(&engine.RunError{Name: "States.DataLimitExceeded", Cause: fmt.Sprintf(
			"The state/task '%s' returned a result with a size exceeding the maximum number of bytes service limit.", r.ask.State)})
		return nil
	}
	r.p.Output = &output
	return err
}

var errTooLarge = errors.New("too large")

// gather puts the outputs of all children into one array, in the order of the
// items.
func (r *run) gather() (string, error) {
	outputs := map[int64]string{}
	size := 2
	tooLarge := false
	take := func(index int64, status engine.Status, output *string) bool {
		if status != engine.Succeeded || output == nil {
			return true
		}
		outputs[index] = *output
		size += len(*output) + 1
		tooLarge = size-1 > r.ask.ResultLimit
		return !tooLarge
	}
	var err error
	if r.record.Express {
		err = r.eachKept(func(x *result) bool { return take(x.index, x.status, x.output) })
	} else {
		err = r.eachExecution(0, func(x *store.Execution) bool { return take(x.Child.Index, x.Status, x.Output) })
	}
	if err != nil {
		return "", err
	}
	if tooLarge {
		return "", errTooLarge
	}
	var b strings.Builder
	b.WriteByte('[')
	for index, n := int64(0), r.p.children(); index < n; index++ {
		output, ok := outputs[index]
		if !ok {
			continue
		}
		for _, text := range r.transformed(output) {
			if b.Len() > 1 {
				b.WriteByte(',')
			}
			b.WriteString(text)
		}
	}
	b.WriteByte(']')
	return b.String(), nil
}

// transformed is what of an output goes into the results: with FLATTEN the
// members of an array each for themselves.
func (r *run) transformed(output string) []string {
	if r.ask.Writer == nil || r.ask.Writer.Transformation != "FLATTEN" {
		return []string{output}
	}
	v, err := value.Parse(output)
	if err != nil || v.Kind() != value.Array {
		return []string{output}
	}
	list := make([]string, 0, v.Len())
	for _, item := range v.Items() {
		list = append(list, item.JSON())
	}
	return list
}

func (r *run) bucket() string { return r.ask.Writer.Parameters.Get("Bucket").Str() }

// file is one of a manifest's.
type file struct {
	Key  string
	Size int64
}

// export writes the result files and their manifest, and returns its key. All of
// it is made of what is saved, so doing it again gives the same files.
func (r *run) export() (string, error) {
	if r.r.cfg.Objects == nil {
		return "", errors.New("this server has no object store")
	}
	prefix := path.Join(r.ask.Writer.Parameters.Get("Prefix").Str(), r.name)
	files := map[string]*files{}
	for _, status := range []string{"SUCCEEDED", "FAILED", "PENDING"} {
		files[status] = r.newFiles(prefix + "/" + status)
		defer files[status].abort()
	}
	if err := r.eachRecord(files["SUCCEEDED"], files["FAILED"], files["PENDING"]); err != nil {
		return "", err
	}
	manifest := struct {
		DestinationBucket string
		MapRunArn         string
		ResultFiles       struct{ FAILED, PENDING, SUCCEEDED []file }
	}{DestinationBucket: r.bucket(), MapRunArn: r.ask.ARN}
	for status, into := range map[string]*[]file{
		"SUCCEEDED": &manifest.ResultFiles.SUCCEEDED, "FAILED": &manifest.ResultFiles.FAILED, "PENDING": &manifest.ResultFiles.PENDING,
	} {
		if err := files[status].close(); err != nil {
			return "", err
		}
		*into = append([]file{}, files[status].written...)
	}
	text, err := json.Marshal(manifest)
	if err != nil {
		return "", err
	}
	key := prefix + "/manifest.json"
	w, err := r.r.cfg.Objects.Create(r.ctx, r.object(key))
	if err != nil {
		return "", err
	}
	defer w.Abort()
	if _, err := w.Write(text); err != nil {
		return "", err
	}
	return key, w.Close()
}

func (r *run) object(key string) objects.Ref {
	return objects.Ref{Bucket: r.bucket(), Key: key, Owner: r.ask.Writer.Parameters.Get("ExpectedBucketOwner").Str()}
}

// eachRecord writes every child into the file where it belongs.
func (r *run) eachRecord(succeeded, failed, pending *files) error {
	var err error
	if r.record.Express {
		last := map[int64]int64{} // of children that were begun again: their last round
		if r.p.Redrives > 0 {
			err = r.eachKept(func(x *result) bool {
				if x.round > 0 {
					last[x.index] = x.round
				}
				return true
			})
		}
		if err == nil {
			var wrong error
			err = r.eachKept(func(x *result) bool {
				if x.round < last[x.index] {
					return true
				}
				name := r.childName(x.index)
				wrong = r.write(succeeded, failed, &childRecord{
					arn: r.r.express.ARN(x.id, r.label, name), name: name, input: x.input, output: x.output, error: x.error, cause: x.cause,
					status: x.status, started: x.started, stopped: x.stopped,
				})
				return wrong == nil
			})
			err = errors.Join(err, wrong)
		}
	} else {
		var wrong error
		err = r.eachExecution(0, func(x *store.Execution) bool {
			wrong = r.write(succeeded, failed, &childRecord{
				arn: r.r.standard.ExecutionARN(x.ID, r.label, x.Name), name: x.Name, input: x.Input, output: x.Output, error: x.Error, cause: x.Cause,
				status: x.Status, started: x.StartedAt, stopped: x.StoppedAt, redrives: &x.Redrives,
			})
			return wrong == nil
		})
		err = errors.Join(err, wrong)
	}
	if err != nil || r.p.Failure == nil || r.ask.Reader != nil {
		return err
	}
	return r.pending(pending)
}

// pending writes the items of the state's input that no child was started for.
func (r *run) pending(into *files) error {
	p := *r.p
	p.Segments = []*segment{{First: p.children(), FirstItem: p.Items, Cursor: json.RawMessage(strconv.FormatInt(p.Items, 10))}}
	p.Read = false
	f := newFeed(r.ask, &p, r.open)
	defer f.close()
	for {
		in, err := f.next(r.ctx)
		if err != nil {
			return nil // the end, or an item that no child could have been started for
		}
		if err := into.add(value.ObjectOf([]value.Member{{Key: "Input", Value: value.Str(in.text)}}).JSON()); err != nil {
			return err
		}
	}
}

// childRecord is what a result file says of a child.
type childRecord struct {
	arn, name, input     string
	output, error, cause *string
	status               engine.Status
	started, stopped     int64
	redrives             *int64 // nil: an Express one
}

func (r *run) write(succeeded, failed *files, x *childRecord) error {
	switch {
	case x.status == engine.Running:
		return nil
	case x.status != engine.Succeeded:
		return failed.add(x.json(r.stateMachineARN()))
	case r.ask.Writer.Transformation == "NONE":
		return succeeded.add(x.json(r.stateMachineARN()))
	case x.output == nil:
		return nil
	}
	for _, text := range r.transformed(*x.output) {
		if err := succeeded.add(text); err != nil {
			return err
		}
	}
	return nil
}

func (r *run) stateMachineARN() string { return r.r.cfg.Scheme.Machine(r.label) }

// json writes the record with the members and the order of those that AWS's
// guide shows.
func (x *childRecord) json(machine string) string {
	var members []value.Member
	add := func(key string, v value.Value) { members = append(members, value.Member{Key: key, Value: v}) }
	text := func(key string, s *string) {
		if s != nil {
			add(key, value.Str(*s))
		}
	}
	included := value.ObjectOf([]value.Member{{Key: "Included", Value: value.BoolOf(true)}})
	text("Cause", x.cause)
	text("Error", x.error)
	add("ExecutionArn", value.Str(x.arn))
	add("Input", value.Str(x.input))
	add("InputDetails", included)
	add("Name", value.Str(x.name))
	if x.output != nil {
		text("Output", x.output)
		add("OutputDetails", included)
	}
	if x.redrives != nil {
		add("RedriveCount", value.Int(*x.redrives))
		status, why := "NOT_REDRIVABLE", "Execution is "+x.status.String()+" and cannot be redriven"
		if x.status != engine.Succeeded {
			status, why = "REDRIVABLE_BY_MAP_RUN", ""
		}
		add("RedriveStatus", value.Str(status))
		if why != "" {
			add("RedriveStatusReason", value.Str(why))
		}
	}
	add("StartDate", value.Str(date(x.started)))
	add("StateMachineArn", value.Str(machine))
	add("Status", value.Str(x.status.String()))
	add("StopDate", value.Str(date(x.stopped)))
	return value.ObjectOf(members).JSON()
}

func date(millis int64) string {
	return time.UnixMilli(millis).UTC().Format("2006-01-02T15:04:05.000Z")
}

// files are the result files of one status, which are written one after the
// other as each becomes full.
type files struct {
	r       *run
	stem    string
	lines   bool // JSONL
	written []file
	object  objects.Writer
	buffer  *bufio.Writer
	size    int64
}

func (r *run) newFiles(stem string) *files {
	return &files{r: r, stem: stem, lines: r.ask.Writer.OutputType == "JSONL"}
}

func (f *files) key() string {
	ending := ".json"
	if f.lines {
		ending = ".jsonl"
	}
	return f.stem + "_" + strconv.Itoa(len(f.written)) + ending
}

// add writes one record.
func (f *files) add(text string) error {
	if f.object != nil && f.size+int64(len(text)) > maxFile {
		if err := f.close(); err != nil {
			return err
		}
	}
	if f.object == nil {
		w, err := f.r.r.cfg.Objects.Create(context.WithoutCancel(f.r.ctx), f.r.object(f.key()))
		if err != nil {
			return err
		}
		f.object, f.buffer, f.size = w, bufio.NewWriterSize(w, 64<<10), 0
		if !f.lines {
			f.put("[")
		}
	} else if !f.lines {
		f.put(",")
	}
	f.put(text)
	if f.lines {
		f.put("\n")
	}
	return f.r.ctx.Err()
}

// put writes text; an error shows when the file is closed.
func (f *files) put(text string) {
	n, _ := f.buffer.WriteString(text)
	f.size += int64(n)
}

// close makes the file that is open durable.
func (f *files) close() error {
	if f.object == nil {
		return nil
	}
	if !f.lines {
		f.put("]")
	}
	if err := f.buffer.Flush(); err != nil {
		return err
	}
	if err := f.object.Close(); err != nil {
		return err
	}
	f.written = append(f.written, file{f.key(), f.size})
	f.object = nil
	return nil
}

func (f *files) abort() {
	if f.object != nil {
		f.object.Abort()
	}
}
