package items

import (
	"io"
	"iter"
	"strings"

	"github.com/lockstep-run/lockstep/asl/value"
	"github.com/lockstep-run/lockstep/internal/objects"
)

// list gives what S3 says of each object, folder markers included.
type list struct {
	r      *Reader
	source string
	after  string // the last key
	pull   func() (objects.Info, error, bool)
	stop   func()
}

func openList(r *Reader, after string) *list {
	l := &list{r: r, source: "S3://" + r.spec.Bucket, after: after}
	ref := objects.Ref{Bucket: r.spec.Bucket, Owner: r.spec.Owner}
	l.pull, l.stop = iter.Pull2(r.store.List(r.life, ref, r.spec.Prefix, after))
	return l
}

func (l *list) mark(c *Cursor) { c.After = l.after }
func (l *list) close()         { l.stop() }

// object gives the next one, or io.EOF.
func (l *list) object() (info objects.Info, err error) {
	more := false
	l.r.during(func() { info, err, more = l.pull() })
	switch {
	case !more:
		return objects.Info{}, io.EOF
	case err == nil:
		l.after = info.Key
	}
	return info, err
}

func (l *list) next() (Item, error) {
	o, err := l.object()
	if err != nil {
		return Item{}, err
	}
	v := value.ObjectOf([]value.Member{
		{Key: "Etag", Value: value.Str(`"` + o.ETag + `"`)},
		{Key: "LastModified", Value: value.Int(o.LastModified.Unix())},
		{Key: "Key", Value: value.Str(o.Key)},
		{Key: "Size", Value: value.Int(o.Size)},
		{Key: "StorageClass", Value: value.Str(o.StorageClass)},
	})
	return newItem(v, l.source), nil
}

// flat gives the items in each object of a list, one file after the other.
type flat struct {
	list *list
	file file // nil between two of them
	last Place
}

func openFlat(r *Reader, at Cursor) (source, error) {
	f := &flat{list: openList(r, at.After)}
	if at.Place != (Place{}) {
		if err := f.open(at.After, at.Place); err != nil {
			f.close()
			return nil, err
		}
	}
	return f, nil
}

func (f *flat) open(key string, at Place) (err error) {
	r := f.list.r
	ref := objects.Ref{Bucket: r.spec.Bucket, Key: key, Owner: r.spec.Owner}
	f.file, err = r.file(ref, r.spec.format(), at)
	return err
}

func (f *flat) mark(c *Cursor) {
	f.list.mark(c)
	if c.Place = f.last; f.file != nil {
		c.Place = f.file.place()
	}
}

func (f *flat) close() {
	f.list.close()
	if f.file != nil {
		f.file.close()
	}
}

func (f *flat) next() (Item, error) {
	for {
		if f.file != nil {
			item, err := f.file.next()
			if err != io.EOF {
				return item, err
			}
			f.file.close()
			f.file, f.last = nil, Place{}
		}
		before := f.list.after
		o, err := f.list.object()
		if err != nil {
			return Item{}, err
		}
		if o.Size == 0 && strings.HasSuffix(o.Key, "/") {
			continue // it marks a folder
		}
		if err := f.open(o.Key, Place{ETag: o.ETag}); err != nil {
			f.list.after = before // the place is before this object
			return Item{}, err
		}
	}
}
