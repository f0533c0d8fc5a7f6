package objects

import (
	"bytes"
	"context"
	"crypto/md5"
	"encoding/hex"
	"errors"
	"io"
	"iter"
	"slices"
	"strings"
	"sync"
	"time"
)

// Memory keeps objects in maps, for tests. Its clock is the caller's.
type Memory struct {
	now func() time.Time

	mu      sync.RWMutex
	buckets map[string]map[string]memoryObject
}

type memoryObject struct {
	data []byte // never changed
	info Info
}

// NewMemory makes a store with these buckets, all empty. Objects are dated by
// now; nil means time.Now.
func NewMemory(now func() time.Time, buckets ...string) *Memory {
	if now == nil {
		now = time.Now
	}
	m := &Memory{now: now, buckets: map[string]map[string]memoryObject{}}
	for _, name := range buckets {
		m.buckets[name] = map[string]memoryObject{}
	}
	return m
}

// String says that it is memory.
func (m *Memory) String() string { return "memory" }

// Put writes an object at once; its bucket is made if need be.
func (m *Memory) Put(bucket, key, text string) Info {
	sum := md5.Sum([]byte(text))
	info := Info{Key: key, Size: int64(len(text)), ETag: hex.EncodeToString(sum[:]), LastModified: m.now(), StorageClass: "STANDARD"}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.buckets[bucket] == nil {
		m.buckets[bucket] = map[string]memoryObject{}
	}
	m.buckets[bucket][key] = memoryObject{[]byte(text), info}
	return info
}

func (m *Memory) get(ctx context.Context, ref Ref) (memoryObject, error) {
	if err := errors.Join(ctx.Err(), checkKey(ref.Key)); err != nil {
		return memoryObject{}, err
	}
	m.mu.RLock()
	defer m.mu.RUnlock()
	bucket, ok := m.buckets[ref.Bucket]
	if !ok {
		return memoryObject{}, ErrNoBucket
	}
	o, ok := bucket[ref.Key]
	if !ok {
		return memoryObject{}, errNoKey
	}
	return o, errors.Join(ref.unversioned(), ref.check(o.info))
}

// Head tells of an object.
func (m *Memory) Head(ctx context.Context, ref Ref) (Info, error) {
	o, err := m.get(ctx, ref)
	if err != nil {
		return Info{}, failed(m, "look at", ref, err)
	}
	return o.info, nil
}

// Open reads an object; see Store.
func (m *Memory) Open(ctx context.Context, ref Ref, offset int64) (io.ReadCloser, Info, error) {
	o, err := m.get(ctx, ref)
	if err != nil {
		return nil, Info{}, failed(m, "read", ref, err)
	}
	r := bytes.NewReader(o.data[min(max(offset, 0), int64(len(o.data))):])
	return io.NopCloser(&ctxReader{ctx, r}), o.info, nil
}

// ReadAt reads a part of an object; see Store.
func (m *Memory) ReadAt(ctx context.Context, ref Ref, p []byte, offset int64) (int, error) {
	o, err := m.get(ctx, ref)
	if err != nil {
		return 0, failed(m, "read", ref, err)
	}
	return bytes.NewReader(o.data).ReadAt(p, offset)
}

// List goes through a bucket; see Store.
func (m *Memory) List(ctx context.Context, ref Ref, prefix, after string) iter.Seq2[Info, error] {
	return func(yield func(Info, error) bool) {
		m.mu.RLock()
		bucket, ok := m.buckets[ref.Bucket]
		var list []Info
		for key, o := range bucket {
			if strings.HasPrefix(key, prefix) && key > after {
				list = append(list, o.info)
			}
		}
		m.mu.RUnlock()
		if !ok {
			yield(Info{}, failed(m, "list", Ref{Bucket: ref.Bucket, Key: prefix}, ErrNoBucket))
			return
		}
		slices.SortFunc(list, func(a, b Info) int { return strings.Compare(a.Key, b.Key) })
		for _, info := range list {
			if err := ctx.Err(); err != nil {
				yield(Info{}, err)
				return
			}
			if !yield(info, nil) {
				return
			}
		}
	}
}

// Create begins an object; see Store.
func (m *Memory) Create(ctx context.Context, ref Ref) (Writer, error) {
	m.mu.RLock()
	_, ok := m.buckets[ref.Bucket]
	m.mu.RUnlock()
	err := errors.Join(ctx.Err(), checkKey(ref.Key))
	if err == nil && !ok {
		err = ErrNoBucket
	}
	if err != nil {
		return nil, failed(m, "write", ref, err)
	}
	return &memoryWriter{m: m, ctx: ctx, ref: ref}, nil
}

// Delete removes an object.
func (m *Memory) Delete(ctx context.Context, ref Ref) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	err := errors.Join(ctx.Err(), checkKey(ref.Key), ref.unversioned())
	if err == nil && m.buckets[ref.Bucket] == nil {
		err = ErrNoBucket
	}
	if err == nil {
		delete(m.buckets[ref.Bucket], ref.Key)
	}
	return failed(m, "delete", ref, err)
}

type memoryWriter struct {
	m     *Memory
	ctx   context.Context
	ref   Ref
	buf   bytes.Buffer
	ended bool
	info  Info
}

func (w *memoryWriter) Write(p []byte) (int, error) {
	err := w.ctx.Err()
	if w.ended {
		err = errEnded
	}
	if err != nil {
		return 0, failed(w.m, "write", w.ref, err)
	}
	return w.buf.Write(p)
}

func (w *memoryWriter) Close() error {
	err := w.ctx.Err()
	if w.ended {
		err = errEnded
	}
	w.ended = true
	if err != nil {
		return failed(w.m, "write", w.ref, err)
	}
	w.info = w.m.Put(w.ref.Bucket, w.ref.Key, w.buf.String())
	return nil
}

func (w *memoryWriter) Abort()     { w.ended = true }
func (w *memoryWriter) Info() Info { return w.info }
