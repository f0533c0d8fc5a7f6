package trigger

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strconv"
	"strings"
	"time"

	"github.com/lockstep-run/lockstep/asl/value"
	"github.com/lockstep-run/lockstep/internal/objects"
	"github.com/lockstep-run/lockstep/internal/store"
)

// Run looks for new objects, now and then and when Written says so, until ctx ends,
// and then returns nil.
func (t *Triggers) Run(ctx context.Context) error {
	for {
		if err := t.Look(ctx); err != nil && ctx.Err() == nil {
			t.config.Log.Error("triggers: trying again soon", "error", err)
		}
		if !wait(ctx, lookPause, nil) || !wait(ctx, lookEvery-lookPause, t.written) {
			return nil
		}
	}
}

// wait returns after a time, or early when it is told to. It reports false when
// ctx ends.
func wait(ctx context.Context, d time.Duration, early <-chan struct{}) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-early:
	case <-ctx.Done():
		return false
	}
	return true
}

// Written says that objects may have been written: Run looks for them soon.
func (t *Triggers) Written() {
	select {
	case t.written <- struct{}{}:
	default: // it has been said
	}
}

// Look starts what is for objects that have appeared or changed since it looked
// last.
func (t *Triggers) Look(ctx context.Context) error {
	list, err := t.all(ctx)
	if err != nil {
		return err
	}
	var errs []error
	for _, l := range list {
		if l.Spec.Type == Object && !l.Spec.Paused {
			errs = append(errs, t.look(ctx, l.Spec.Name))
		}
	}
	return errors.Join(errs...)
}

// look is Look for one trigger. What is there when it is looked at for the first
// time is not new. What was started is noted afterwards: after a crash in between
// its name is found taken.
func (t *Triggers) look(ctx context.Context, name string) error {
	k, err := decode(t.config.Store.Setting(ctx, recordKind, name))
	if err != nil || k == nil {
		return err
	}
	s := &k.Spec
	now := map[string]string{}
	var fresh []objects.Info
	for info, err := range t.config.Objects.List(ctx, objects.Ref{Bucket: s.Bucket}, s.Prefix, "") {
		if errors.Is(err, objects.ErrNotFound) {
			break // the bucket is still to come
		}
		if err != nil {
			t.note(name, err)
			return nil
		}
		if !strings.HasSuffix(info.Key, s.Suffix) {
			continue
		}
		if len(now) == maxObjects {
			t.note(name, fmt.Errorf("there are more than %d objects in %s below %q: choose a longer prefix", maxObjects, s.Bucket, s.Prefix))
			return nil
		}
		now[info.Key] = hash(info.ETag, strconv.FormatInt(info.LastModified.UnixNano(), 10), strconv.FormatInt(info.Size, 10))
		if k.Seen != nil && k.Seen[info.Key] != now[info.Key] {
			fresh = append(fresh, info)
		}
	}
	if k.Seen != nil && maps.Equal(k.Seen, now) {
		return nil
	}
	for _, info := range fresh {
		if _, err := t.start(ctx, s, info.Key+"\x00"+now[info.Key], t.created(s, info, now[info.Key])); err != nil && !t.config.Lasting(err) {
			now[info.Key] = k.Seen[info.Key] // again the next time
			if now[info.Key] == "" {
				delete(now, info.Key)
			}
		}
	}
	return t.config.Write(ctx, func(ctx context.Context, tx store.Tx) error {
		current, err := decode(tx.Setting(ctx, recordKind, name))
		if err != nil || current == nil || current.Spec.Bucket != s.Bucket || current.Spec.Prefix != s.Prefix {
			return err
		}
		current.Seen = now
		return save(ctx, tx, current)
	})
}

func (t *Triggers) note(name string, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	d := t.last[name]
	d.at, d.err = time.Now(), err.Error()
	t.last[name] = d
}

// created is S3's event "Object Created".
func (t *Triggers) created(s *Spec, info objects.Info, state string) *event {
	object := []value.Member{
		{Key: "key", Value: value.Str(info.Key)},
		{Key: "size", Value: value.Int(info.Size)},
		{Key: "etag", Value: value.Str(info.ETag)},
		{Key: "sequencer", Value: value.Str(strings.ToUpper(state))},
	}
	if info.VersionID != "" {
		object = append(object, value.Member{Key: "version-id", Value: value.Str(info.VersionID)})
	}
	return &event{
		id: uuidOf(s.Bucket + "/" + info.Key + "/" + state), source: "aws.s3", detailType: "Object Created", at: info.LastModified,
		resources: []string{"arn:" + t.config.Scheme.Partition + ":s3:::" + s.Bucket},
		detail: value.ObjectOf([]value.Member{
			{Key: "version", Value: value.Str("0")},
			{Key: "bucket", Value: value.ObjectOf([]value.Member{{Key: "name", Value: value.Str(s.Bucket)}})},
			{Key: "object", Value: value.ObjectOf(object)},
			{Key: "reason", Value: value.Str("PutObject")},
		}),
	}
}
