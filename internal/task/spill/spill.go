// Package spill keeps what is too large for a payload in the object store: the
// claim check. A task's result that is over its machine's limit is written there
// before anybody hears of it, and a reference goes on in its place; a later task
// that says so gets what the reference stands for.
//
// A reference is
//
//	{"s3": {"bucket": "b", "key": "k", "etag": "…", "size": 300000}}
//
// and a task asks with an object that has one field, Lockstep.Resolve: the object
// is replaced by the field's value, with all references in it resolved. A value
// without references stays as it is, so that a machine need not know how large
// its data was. What the objects hold is not looked into for further references.
//
// Keys are made of the execution, the attempt of the state and the hash of what
// is written. So a task that is called again after a crash never changes an object
// that a history may name already.
package spill

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/lockstep-run/lockstep/asl"
	"github.com/lockstep-run/lockstep/asl/value"
	"github.com/lockstep-run/lockstep/internal/objects"
	"github.com/lockstep-run/lockstep/internal/task"
)

const (
	// Resolve is the only field of an object that asks for what references stand
	// for.
	Resolve = "Lockstep.Resolve"

	// Tag is the tag of a state machine that says where its results go.
	Tag = "lockstep:spill"

	// MaxInput is how large a task's input may be with its references resolved, in
	// bytes: what Lambda takes.
	MaxInput = 6 << 20
)

// The names of failures, beside States.DataLimitExceeded.
const (
	NotKept     = "Lockstep.SpillFailed"   // a result could not be written
	NotResolved = "Lockstep.ResolveFailed" // a reference could not be read, or may not
)

// Place is where the results of a machine go: s3://bucket/prefix. The zero Place
// is nowhere.
type Place struct{ Bucket, Prefix string }

// ParsePlace reads a Place; a prefix that has no slash at its end gets one. "" and
// "none" are nowhere.
func ParsePlace(text string) (Place, error) {
	if text == "" || text == "none" {
		return Place{}, nil
	}
	rest, ok := strings.CutPrefix(text, "s3://")
	bucket, prefix, _ := strings.Cut(rest, "/")
	if !ok || bucket == "" || len(prefix) > 512 {
		return Place{}, fmt.Errorf("must be s3://bucket/prefix or none, not %.100q", text)
	}
	if prefix = strings.TrimRight(prefix, "/"); prefix != "" {
		prefix += "/"
	}
	return Place{bucket, prefix}, nil
}

func (p Place) holds(r reference) bool {
	return p.Bucket != "" && p.Bucket == r.Bucket && strings.HasPrefix(r.Key, p.Prefix)
}

// Config is what a Keeper goes by.
type Config struct {
	Objects objects.Store
	// Of says where a machine's results go, and how large they may be before they
	// do, in bytes. It is asked for results and inputs that are suspicious alone.
	Of func(ctx context.Context, machine string) (Place, int, error)
	// Least is the lowest limit of any machine: what is no larger stays as it is
	// without a question.
	Least int
	// Readable are places whose objects every machine may have resolved, beside
	// those of its own.
	Readable []Place
}

// Keeper writes results and resolves references. It is safe for concurrent use.
type Keeper struct{ Config }

// New makes a Keeper.
func New(c Config) *Keeper { return &Keeper{c} }

// reference names what was written.
type reference struct {
	Bucket string `json:"bucket"`
	Key    string `json:"key"`
	ETag   string `json:"etag"`
	Size   int64  `json:"size"`
}

func (r reference) json() []byte {
	text, _ := json.Marshal(map[string]reference{"s3": r}) // strings and a number cannot fail
	return text
}

// Output is what goes on of a task's output, which is JSON text: the output itself
// where it fits or the machine has no place for it, else a reference that stands
// for it. Of what an integration answers only the largest field is replaced, such
// as Payload, ResponseBody or Body, if that is enough. By the time Output returns,
// what the reference names is durable.
func (k *Keeper) Output(ctx context.Context, c *task.Call, output string) (string, error) {
	if len(output) <= k.Least {
		return output, nil
	}
	place, limit, err := k.Of(ctx, MachineOf(c))
	if err != nil {
		return "", task.Fail(NotKept, err.Error())
	}
	if place.Bucket == "" || len(output) <= limit {
		return output, nil
	}
	large, before, after := output, "", ""
	if c.Resource.Kind == asl.IntegrationResource {
		if b, l, a, ok := largestMember(output); ok && len(b)+len(a)+1024 <= limit {
			before, large, after = b, l, a
		}
	}
	ref, err := k.write(ctx, place, c, large)
	if err != nil {
		return "", notKept(c, err)
	}
	return before + string(ref.json()) + after, nil
}

// Keeps reports whether there is a place for the results of a machine.
func (k *Keeper) Keeps(ctx context.Context, machine string) bool {
	place, _, err := k.Of(ctx, machine)
	return err == nil && place.Bucket != ""
}

// Keep writes a result, JSON text, and returns the reference that stands for it,
// which is durable by then. The call names the execution and the state.
func (k *Keeper) Keep(ctx context.Context, c *task.Call, result string) (string, error) {
	place, _, err := k.Of(ctx, MachineOf(c))
	if err == nil && place.Bucket == "" {
		err = errors.New("the machine has no place for it any more: its tag " + Tag + ", or spill under limits in the configuration, says where that is")
	}
	var ref reference
	if err == nil {
		ref, err = k.write(ctx, place, c, result)
	}
	if err != nil {
		return "", notKept(c, err)
	}
	return string(ref.json()), nil
}

func notKept(c *task.Call, err error) error {
	return task.Fail(NotKept, "The result of "+c.State+" is too large for a payload and could not be kept in the object store: "+err.Error())
}

func (k *Keeper) write(ctx context.Context, place Place, c *task.Call, text string) (reference, error) {
	ref := objects.Ref{Bucket: place.Bucket, Key: place.Prefix + keyOf(c.ID, text)}
	w, err := k.Objects.Create(ctx, ref)
	if err != nil {
		return reference{}, err
	}
	defer w.Abort()
	if _, err := io.WriteString(w, text); err != nil {
		return reference{}, err
	}
	if err := w.Close(); err != nil {
		return reference{}, err
	}
	return reference{ref.Bucket, ref.Key, w.Info().ETag, int64(len(text))}, nil
}

// keyOf is machine/execution/frame-attempt-hash.json. Of the call's ID, an ARN with
// the frame and the attempt behind it, only what differs between executions of an
// account is kept.
func keyOf(id, text string) string {
	hash := sha256.Sum256([]byte(text))
	parts := strings.Split(id, ":")
	if n := len(parts); n > 8 {
		parts = append(parts[6:n-2:n-2], parts[n-2]+"-"+parts[n-1])
	}
	parts[len(parts)-1] += "-" + hex.EncodeToString(hash[:8]) + ".json"
	return strings.Join(parts, "/")
}

// largestMember finds the longest value at the top of an object, and gives what
// stands before and behind it.
func largestMember(text string) (before, large, after string, ok bool) {
	d := json.NewDecoder(strings.NewReader(text))
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return "", "", "", false
	}
	for d.More() {
		if _, err := d.Token(); err != nil {
			return "", "", "", false
		}
		var raw json.RawMessage
		if d.Decode(&raw) != nil {
			return "", "", "", false
		}
		if len(raw) > len(large) {
			end := int(d.InputOffset())
			before, large, after, ok = text[:end-len(raw)], text[end-len(raw):end], text[end:], true
		}
	}
	return before, large, after, ok
}

// Input is a task's input, JSON text, with what it asks for resolved.
func (k *Keeper) Input(ctx context.Context, c *task.Call) (string, error) {
	if !strings.Contains(c.Input, Resolve) {
		return c.Input, nil
	}
	v, err := value.Parse(c.Input)
	if err != nil {
		return "", task.Fail(NotResolved, err.Error())
	}
	r := &resolver{k: k, ctx: ctx, c: c, left: MaxInput - len(c.Input)}
	out, err := r.append(nil, v, false)
	if err != nil {
		return "", err
	}
	return string(out), nil
}

// resolver writes one input.
type resolver struct {
	k      *Keeper
	ctx    context.Context
	c      *task.Call
	left   int // bytes that references may still bring
	places []Place
}

// append writes v as JSON; within what asks for it, references are resolved.
func (r *resolver) append(dst []byte, v value.Value, asked bool) (_ []byte, err error) {
	switch v.Kind() {
	case value.Array:
		dst = append(dst, '[')
		for i, item := range v.Items() {
			if i > 0 {
				dst = append(dst, ',')
			}
			if dst, err = r.append(dst, item, asked); err != nil {
				return nil, err
			}
		}
		return append(dst, ']'), nil
	case value.Object:
		if inner := v.Get(Resolve); v.Len() == 1 && !inner.IsAbsent() {
			return r.append(dst, inner, true)
		}
		if ref, ok := asReference(v); asked && ok {
			text, err := r.read(ref)
			return append(dst, text...), err
		}
		dst = append(dst, '{')
		first := true
		for key, member := range v.Members() {
			if !first {
				dst = append(dst, ',')
			}
			first = false
			dst = append(value.AppendString(dst, key), ':')
			if dst, err = r.append(dst, member, asked); err != nil {
				return nil, err
			}
		}
		return append(dst, '}'), nil
	}
	return v.Append(dst), nil
}

// asReference reads a reference. An object that has more to it, or less, is none.
func asReference(v value.Value) (r reference, ok bool) {
	at := v.Get("s3")
	if v.Len() != 1 || at.Len() != 4 {
		return r, false
	}
	r = reference{Bucket: at.Get("bucket").Str(), Key: at.Get("key").Str(), ETag: at.Get("etag").Str()}
	r.Size, ok = at.Get("size").Int64()
	return r, ok && r.Bucket != "" && r.Key != "" && r.ETag != "" && r.Size >= 0
}

// read gets what a reference stands for, if the machine may.
func (r *resolver) read(ref reference) (string, error) {
	name := objects.Ref{Bucket: ref.Bucket, Key: ref.Key, ETag: ref.ETag}
	failed := func(why string) error {
		return task.Fail(NotResolved, fmt.Sprintf("The reference to %s in the input of %s cannot be resolved: %s", name, r.c.State, why))
	}
	if r.places == nil {
		own, _, err := r.k.Of(r.ctx, MachineOf(r.c))
		if err != nil {
			return "", failed(err.Error())
		}
		r.places = append([]Place{own}, r.k.Readable...)
	}
	allowed := false
	for _, p := range r.places {
		allowed = allowed || p.holds(ref)
	}
	if !allowed {
		return "", failed("it is outside of where this machine's results go. The tag " + Tag + " of the machine, or spill under limits in the configuration, says where that is.")
	}
	if ref.Size > int64(r.left) {
		return "", tooLarge(r.c)
	}
	in, info, err := r.k.Objects.Open(r.ctx, name, 0)
	if err != nil {
		return "", failed(err.Error())
	}
	defer in.Close()
	if info.Size > int64(r.left) {
		return "", tooLarge(r.c)
	}
	var text bytes.Buffer
	text.Grow(int(info.Size) + bytes.MinRead)
	if _, err := text.ReadFrom(io.LimitReader(in, int64(r.left)+1)); err != nil {
		return "", failed(err.Error())
	}
	if text.Len() > r.left {
		return "", tooLarge(r.c)
	}
	r.left -= text.Len()
	if err := value.Valid(text.String()); err != nil {
		return "", failed("it is not JSON: " + err.Error())
	}
	return text.String(), nil
}

func tooLarge(c *task.Call) error {
	return task.Fail("States.DataLimitExceeded", fmt.Sprintf("The input of %s is longer than %d bytes with its references resolved.", c.State, MaxInput))
}

// MachineOf is the name of the machine that a call is of, as it is kept.
func MachineOf(c *task.Call) string {
	if c.Machine != "" {
		return c.Machine
	}
	name := c.MachineARN[strings.LastIndexByte(c.MachineARN, ':')+1:]
	name, _, _ = strings.Cut(name, "/") // a distributed Map's child
	return name
}
