package awsapi

import (
	"context"
	"errors"
	"strings"
	"unicode"

	"github.com/lockstep-run/lockstep/internal/arn"
	"github.com/lockstep-run/lockstep/internal/store"
)

// maxTags is AWS's quota for a resource.
const maxTags = 50

// tagText is the pattern of keys and values in AWS's guide.
var tagText = &pattern{`^([\p{L}\p{Z}\p{N}_.:/=+\-@]*)$`, func(s string) bool {
	return strings.IndexFunc(s, func(r rune) bool {
		return !unicode.IsLetter(r) && !unicode.IsNumber(r) && !unicode.Is(unicode.Z, r) && !strings.ContainsRune("_.:/=+-@", r)
	}) < 0
}}

// tags reads the tags of a request.
func (in *input) tags(required bool) []store.Tag {
	list, _ := in.structures("tags", required)
	tags := make([]store.Tag, 0, len(list))
	for _, t := range list {
		tag := store.Tag{
			Key:   t.keep("key", bounds{required: true, min: 1, max: 128, pattern: tagText}),
			Value: t.keep("value", bounds{max: 256, pattern: tagText}),
		}
		if strings.HasPrefix(strings.ToLower(tag.Key), "aws:") {
			t.violate("key", "'"+tag.Key+"'", "Member must not begin with the reserved prefix aws:")
		}
		tags = append(tags, tag)
	}
	return tags
}

// merge gives the resource's tags with more on top, in the order in which the
// keys came.
func merge(tags, more []store.Tag, resource string) ([]store.Tag, error) {
	merged := append([]store.Tag(nil), tags...)
	at := make(map[string]int, len(tags)+len(more))
	for i, t := range merged {
		at[t.Key] = i
	}
	for _, t := range more {
		if i, ok := at[t.Key]; ok {
			merged[i].Value = t.Value
			continue
		}
		at[t.Key] = len(merged)
		merged = append(merged, t)
	}
	if len(merged) > maxTags {
		return nil, tooManyTags(resource)
	}
	return merged, nil
}

func (s *Server) tagResource(ctx context.Context, in *input, out []byte) ([]byte, error) {
	resource := in.text("resourceArn", arnText)
	tags := in.tags(true)
	if err := in.err(); err != nil {
		return nil, err
	}
	err := s.retag(ctx, resource, func(old []store.Tag) ([]store.Tag, error) { return merge(old, tags, resource) })
	return append(out, "{}"...), err
}

func (s *Server) untagResource(ctx context.Context, in *input, out []byte) ([]byte, error) {
	resource := in.text("resourceArn", arnText)
	keys, _ := in.texts("tagKeys", bounds{required: true, min: 1, max: 128})
	if err := in.err(); err != nil {
		return nil, err
	}
	drop := make(map[string]bool, len(keys))
	for _, k := range keys {
		drop[k] = true
	}
	err := s.retag(ctx, resource, func(old []store.Tag) (left []store.Tag, _ error) {
		for _, t := range old {
			if !drop[t.Key] {
				left = append(left, t)
			}
		}
		return left, nil
	})
	return append(out, "{}"...), err
}

func (s *Server) listTagsForResource(ctx context.Context, in *input, out []byte) ([]byte, error) {
	resource := in.text("resourceArn", arnText)
	if err := in.err(); err != nil {
		return nil, err
	}
	typ, name, err := s.tagged(resource)
	if err != nil {
		return nil, err
	}
	var tags []store.Tag
	if typ == "activity" {
		a, e := s.store.Activity(ctx, name)
		tags, err = a.Tags, e
	} else {
		m, e := s.store.Machine(ctx, name)
		tags, err = m.Tags, e
	}
	if err != nil {
		return nil, orMissing(err, resourceMissing(resource))
	}
	o := newObject(out)
	o.list("tags")
	for _, t := range tags {
		o.item()
		o.text("key", t.Key)
		o.text("value", t.Value)
		o.close()
	}
	o.endList()
	return o.end(), nil
}

// retag changes the tags of a machine or an activity.
func (s *Server) retag(ctx context.Context, resource string, change func([]store.Tag) ([]store.Tag, error)) error {
	typ, name, err := s.tagged(resource)
	if err != nil {
		return err
	}
	if typ == "stateMachine" {
		defer s.machines.forget(name)
	}
	err = s.write(ctx, func(ctx context.Context, tx store.Tx) error {
		if typ == "activity" {
			a, err := tx.Activity(ctx, name)
			if err != nil {
				return err
			}
			if a.Tags, err = change(a.Tags); err != nil {
				return err
			}
			return tx.SaveActivity(ctx, a)
		}
		m, err := tx.Machine(ctx, name)
		if err != nil {
			return err
		}
		if m.Tags, err = change(m.Tags); err != nil {
			return err
		}
		return tx.SaveMachine(ctx, m)
	})
	return orMissing(err, resourceMissing(resource))
}

// tagged takes apart the ARN of something that can have tags. Versions, aliases
// and labelled ARNs cannot (recorded for versions).
func (s *Server) tagged(resource string) (typ, name string, err error) {
	n, ok := arn.Parse(resource)
	if !ok || n.Service != "states" {
		return "", "", invalidArn(resource)
	}
	if n.Type != "stateMachine" && n.Type != "activity" {
		return "", "", invalidArnType(n.Type)
	}
	name, ours := s.scheme.Find(n)
	if !ours || len(n.Parts) != 1 || strings.Contains(name, "/") {
		return "", "", resourceMissing(resource)
	}
	return n.Type, name, nil
}

// orMissing puts the API's error in the place of store.ErrNotFound.
func orMissing(err error, missing *Error) error {
	if errors.Is(err, store.ErrNotFound) {
		return missing
	}
	return err
}
