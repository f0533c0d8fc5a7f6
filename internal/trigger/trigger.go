// Package trigger starts executions when something happens: a webhook is called, an
// event arrives that a pattern describes, an object appears in a bucket.
//
// The input of an execution is an event in EventBridge's form, whatever it came
// from. Its name is made of the trigger and of what the sender calls the
// delivery, so that one that is sent again starts nothing a second time, and an
// answer is given when the execution is durable.
package trigger

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/lockstep-run/lockstep/asl/value"
	"github.com/lockstep-run/lockstep/internal/arn"
	"github.com/lockstep-run/lockstep/internal/objects"
	"github.com/lockstep-run/lockstep/internal/rest"
	"github.com/lockstep-run/lockstep/internal/seal"
	"github.com/lockstep-run/lockstep/internal/store"
)

// The kinds of triggers.
const (
	Webhook = "webhook"
	Event   = "event"
	Object  = "object"
)

// Spec is a trigger as somebody sets it up. Which fields it needs follows from its
// type.
type Spec struct {
	Name        string `json:"name"`
	Type        string `json:"type"` // Webhook, Event or Object
	Description string `json:"description,omitempty"`
	Machine     string `json:"machine"` // name or ARN, of a version or an alias too
	Paused      bool   `json:"paused,omitempty"`

	Scheme string `json:"scheme,omitempty"` // Webhook: how a call is signed; see schemes
	Header string `json:"header,omitempty"` // Webhook: that has the signature or token; "": the scheme's own
	Secret string `json:"secret,omitempty"` // Webhook

	Pattern json.RawMessage `json:"pattern,omitempty"` // Event

	Bucket string `json:"bucket,omitempty"` // Object
	Prefix string `json:"prefix,omitempty"` // Object: of keys
	Suffix string `json:"suffix,omitempty"` // Object: of keys
}

// View is what is shown of a trigger.
type View struct {
	ARN       string `json:"arn"`
	From      string `json:"from"`                // "api" or "configuration"
	Path      string `json:"path,omitempty"`      // Webhook: where it is called
	Last      string `json:"last,omitempty"`      // when it started something last, since the server runs
	Execution string `json:"execution,omitempty"` // that it started
	Error     string `json:"last_error,omitempty"`
	Spec             // without the secret
}

// kept is the data of a setting.
type kept struct {
	Spec     Spec // without the secret
	Sealed   []byte
	Declared bool
	Seen     map[string]string // Object: what each key was last; nil: nothing has been looked at
}

const (
	recordKind = "trigger"
	maxBody    = 256 << 10 // bytes of a webhook or an event
	maxObjects = 10_000    // below a prefix
	lookEvery  = 5 * time.Second
	lookPause  = 200 * time.Millisecond // between two looks, at least
)

// Config says what triggers need.
type Config struct {
	Store interface {
		Setting(ctx context.Context, kind, name string) (store.Setting, error)
		Settings(ctx context.Context, kind, afterName string, limit int) ([]store.Setting, error)
	}
	Write   func(ctx context.Context, do func(ctx context.Context, tx store.Tx) error) error
	Key     *seal.Key
	Scheme  arn.Scheme
	Objects objects.Store
	// Start starts an execution and returns its ARN. That the name is taken is no
	// error. Lasting reports whether an error will not go away by trying again.
	Start   func(ctx context.Context, machineARN, name, input string) (string, error)
	Lasting func(err error) bool
	Log     *slog.Logger
}

// Triggers keeps triggers and serves them. It is safe for concurrent use.
type Triggers struct {
	config  Config
	written chan struct{}

	mu   sync.Mutex
	list []*live // by name; read again after a change
	read bool
	last map[string]done
}

// live is a trigger ready for use.
type live struct {
	*kept
	pattern *Pattern
}

// done is what came of a trigger last.
type done struct {
	at        time.Time
	execution string
	err       string
}

// New makes Triggers.
func New(c Config) *Triggers {
	return &Triggers{config: c, written: make(chan struct{}, 1), last: map[string]done{}}
}

var (
	nameForm   = regexp.MustCompile(`^[0-9a-zA-Z\-_.]{1,64}$`)
	headerForm = regexp.MustCompile(`^[A-Za-z0-9-]{1,100}$`)
)

// Validate says what is wrong with s, nil if it can be kept.
func (s *Spec) Validate() error {
	if !nameForm.MatchString(s.Name) {
		return errors.New("a name has 1 to 64 letters, digits, dots, hyphens and underscores")
	}
	if s.Machine == "" || len(s.Machine) > 256 || strings.ContainsAny(s.Machine, " \"\\\r\n") {
		return errors.New("machine must be the name or the ARN of a state machine")
	}
	if len(s.Description) > 512 {
		return errors.New("the description has more than 512 bytes")
	}
	switch s.Type {
	case Webhook:
		if !slices.Contains(schemeNames, s.Scheme) {
			return fmt.Errorf("scheme must be one of %s", strings.Join(schemeNames, ", "))
		}
		if len(s.Secret) < 8 || len(s.Secret) > 1024 {
			return errors.New("secret must have 8 to 1024 bytes: calls are signed with it")
		}
		if s.Header != "" && !headerForm.MatchString(s.Header) {
			return errors.New("header must be the name of a header")
		}
	case Event:
		if _, err := ParsePattern(string(s.Pattern)); err != nil {
			return fmt.Errorf("pattern: %w", err)
		}
	case Object:
		if s.Bucket == "" || len(s.Bucket) > 63 || len(s.Prefix) > 1024 || len(s.Suffix) > 1024 {
			return errors.New("bucket must be the name of a bucket, and prefix and suffix have 1024 bytes at most")
		}
	default:
		return fmt.Errorf("type must be %s, %s or %s", Webhook, Event, Object)
	}
	return nil
}

// Put keeps s, in the place of a trigger of that name if there is one. The secret
// may be left out if that one has it.
func (t *Triggers) Put(ctx context.Context, s Spec) (View, error) {
	return t.put(ctx, s, false)
}

func (t *Triggers) put(ctx context.Context, s Spec, declared bool) (v View, err error) {
	err = t.config.Write(ctx, func(ctx context.Context, tx store.Tx) error {
		old, err := decode(tx.Setting(ctx, recordKind, s.Name))
		if err != nil {
			return err
		}
		k := &kept{Declared: declared}
		if old != nil {
			if old.Declared && !declared {
				return rest.Conflict("Trigger %s is declared in the configuration file; change it there.", s.Name)
			}
			if s.Secret == "" && s.Type == Webhook && old.Sealed != nil {
				if s.Secret, err = t.secret(old); err != nil {
					return rest.Invalid("Give the secret anew: %v.", err)
				}
			}
			if old.Spec.Bucket == s.Bucket && old.Spec.Prefix == s.Prefix && old.Spec.Suffix == s.Suffix {
				k.Seen = old.Seen
			}
		}
		if err := s.Validate(); err != nil {
			return rest.Invalid("The trigger cannot be used: %v.", err)
		}
		if s.Type == Webhook {
			if k.Sealed, err = t.config.Key.Seal(sealName(s.Name), []byte(s.Secret)); err != nil {
				return err
			}
		}
		k.Spec = s
		k.Spec.Secret = ""
		v = t.view(k)
		return save(ctx, tx, k)
	})
	t.changed()
	return v, err
}

func sealName(name string) string { return "trigger/" + name }

func (t *Triggers) secret(k *kept) (string, error) {
	plain, err := t.config.Key.Open(sealName(k.Spec.Name), k.Sealed)
	return string(plain), err
}

// decode reads a setting, nil if there is none.
func decode(r store.Setting, err error) (*kept, error) {
	if errors.Is(err, store.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	k := &kept{}
	return k, json.Unmarshal(r.Data, k)
}

func save(ctx context.Context, tx store.Tx, k *kept) error {
	data, err := json.Marshal(k)
	if err != nil {
		return err
	}
	return tx.PutSetting(ctx, store.Setting{Kind: recordKind, Name: k.Spec.Name, Data: data})
}

func (t *Triggers) changed() {
	t.mu.Lock()
	t.read = false
	t.mu.Unlock()
}

// all are the triggers as they are now.
func (t *Triggers) all(ctx context.Context) ([]*live, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.read {
		return t.list, nil
	}
	const most = 200
	var list []*live
	for after := ""; ; {
		page, err := t.config.Store.Settings(ctx, recordKind, after, most)
		if err != nil {
			return nil, err
		}
		for _, r := range page {
			k, err := decode(r, nil)
			if err != nil {
				return nil, fmt.Errorf("trigger %s: %w", r.Name, err)
			}
			l := &live{kept: k}
			if k.Spec.Type == Event {
				if l.pattern, err = ParsePattern(string(k.Spec.Pattern)); err != nil {
					return nil, fmt.Errorf("trigger %s: %w", r.Name, err)
				}
			}
			list, after = append(list, l), r.Name
		}
		if len(page) < most {
			t.list, t.read = list, true
			return list, nil
		}
	}
}

func (t *Triggers) find(ctx context.Context, name string) (*live, error) {
	list, err := t.all(ctx)
	if err != nil {
		return nil, err
	}
	for _, l := range list {
		if l.Spec.Name == name {
			return l, nil
		}
	}
	return nil, rest.NotFound("There is no trigger %.64q.", name)
}

// Declare makes the triggers of the configuration what specs say.
func (t *Triggers) Declare(ctx context.Context, specs []Spec) error {
	wanted := map[string]bool{}
	for _, s := range specs {
		wanted[s.Name] = true
		if _, err := t.put(ctx, s, true); err != nil {
			return fmt.Errorf("trigger %s: %w", s.Name, err)
		}
	}
	list, err := t.all(ctx)
	if err != nil {
		return err
	}
	for _, l := range list {
		if l.Declared && !wanted[l.Spec.Name] {
			if err := t.delete(ctx, l.Spec.Name); err != nil {
				return err
			}
		}
	}
	return nil
}

// Get shows a trigger.
func (t *Triggers) Get(ctx context.Context, name string) (View, error) {
	l, err := t.find(ctx, name)
	if err != nil {
		return View{}, err
	}
	return t.view(l.kept), nil
}

// List shows all triggers by name.
func (t *Triggers) List(ctx context.Context) ([]View, error) {
	list, err := t.all(ctx)
	views := make([]View, len(list))
	for i, l := range list {
		views[i] = t.view(l.kept)
	}
	return views, err
}

// view must not be called with mu held.
func (t *Triggers) view(k *kept) View {
	v := View{ARN: t.arn(k.Spec.Name), From: "api", Spec: k.Spec}
	if k.Declared {
		v.From = "configuration"
	}
	if k.Spec.Type == Webhook {
		v.Path = "/hooks/" + k.Spec.Name
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if d, ok := t.last[k.Spec.Name]; ok {
		v.Last, v.Execution, v.Error = d.at.UTC().Format(time.RFC3339), d.execution, d.err
	}
	return v
}

func (t *Triggers) arn(name string) string { return t.config.Scheme.Rule(name) }

// Delete removes a trigger.
func (t *Triggers) Delete(ctx context.Context, name string) error {
	l, err := t.find(ctx, name)
	if err != nil {
		return err
	}
	if l.Declared {
		return rest.Conflict("Trigger %s is declared in the configuration file; remove it there.", name)
	}
	return t.delete(ctx, name)
}

func (t *Triggers) delete(ctx context.Context, name string) error {
	err := t.config.Write(ctx, func(ctx context.Context, tx store.Tx) error { return tx.DeleteSetting(ctx, recordKind, name) })
	t.changed()
	if errors.Is(err, store.ErrNotFound) {
		return rest.NotFound("There is no trigger %.64q.", name)
	}
	return err
}

// event is one in EventBridge's form.
type event struct {
	id, source, detailType string
	at                     time.Time
	resources              []string
	detail                 value.Value
}

func (t *Triggers) value(e *event) value.Value {
	resources := make([]value.Value, len(e.resources))
	for i, r := range e.resources {
		resources[i] = value.Str(r)
	}
	return value.ObjectOf([]value.Member{
		{Key: "version", Value: value.Str("0")},
		{Key: "id", Value: value.Str(e.id)},
		{Key: "detail-type", Value: value.Str(e.detailType)},
		{Key: "source", Value: value.Str(e.source)},
		{Key: "account", Value: value.Str(t.config.Scheme.Account)},
		{Key: "time", Value: value.Str(e.at.UTC().Format(time.RFC3339))},
		{Key: "region", Value: value.Str(t.config.Scheme.Region)},
		{Key: "resources", Value: value.ArrayOf(resources)},
		{Key: "detail", Value: e.detail},
	})
}

// start starts what a trigger is for. The delivery names what it is started for:
// the same one starts one execution.
func (t *Triggers) start(ctx context.Context, s *Spec, delivery string, e *event) (string, error) {
	machine := s.Machine
	if !strings.HasPrefix(machine, "arn:") {
		machine = t.config.Scheme.Machine(machine)
	}
	execution, err := t.config.Start(ctx, machine, executionName(s.Name, delivery), t.value(e).JSON())
	t.mu.Lock()
	defer t.mu.Unlock()
	d := done{at: time.Now(), execution: cmp.Or(execution, t.last[s.Name].execution)}
	if err != nil {
		d.err = err.Error()
		t.config.Log.Warn("a trigger could not start an execution", "trigger", s.Name, "error", err)
	}
	t.last[s.Name] = d
	return execution, err
}

// executionName is the name of what a trigger starts for a delivery.
func executionName(trigger, delivery string) string {
	sum := sha256.Sum256([]byte(trigger + "\x00" + delivery))
	return trigger[:min(len(trigger), 47)] + "-" + hex.EncodeToString(sum[:16])
}

// send starts what is for an event and returns the first error that may go away.
func (t *Triggers) send(ctx context.Context, e *event) error {
	list, err := t.all(ctx)
	if err != nil {
		return err
	}
	v := t.value(e)
	for _, l := range list {
		if l.pattern == nil || l.Spec.Paused || !l.pattern.Match(v) {
			continue
		}
		if _, failed := t.start(ctx, &l.Spec, e.id, e); failed != nil && !t.config.Lasting(failed) {
			err = errors.Join(err, failed)
		}
	}
	return err
}

// Hears reports whether a trigger may want events of a source and type, going by
// these alone. It reads nothing; before the triggers are read it says yes.
func (t *Triggers) Hears(source, detailType string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, l := range t.list {
		if l.pattern != nil && !l.Spec.Paused && l.pattern.allows(source, detailType) {
			return true
		}
	}
	return !t.read
}

// Send starts what is for an event of this server's own, whose detail is JSON.
func (t *Triggers) Send(ctx context.Context, source, detailType, resource string, at time.Time, detail string) error {
	d, err := value.Parse(detail)
	if err != nil {
		return err
	}
	return t.send(ctx, &event{id: uuid.NewString(), source: source, detailType: detailType, at: at, resources: []string{resource}, detail: d})
}
