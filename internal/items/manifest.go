package items

import (
	"io"
	"strings"

	"github.com/lockstep-run/lockstep/asl/value"
	"github.com/lockstep-run/lockstep/internal/objects"
)

// manifest gives the items of the files that a manifest names, one file after
// the other.
type manifest struct {
	r      *Reader
	etag   string // of the manifest
	files  []objects.Ref
	format format
	index  int
	file   file // files[index]; nil between two of them
}

// maxManifest bounds a manifest, which is read whole: that is room for more than
// a hundred thousand files.
const maxManifest = 16 << 20

func (m *manifest) mark(c *Cursor) {
	c.ETag, c.File = m.etag, m.index
	if m.file != nil {
		c.Place = m.file.place()
	}
}

func (m *manifest) close() {
	if m.file != nil {
		m.file.close()
	}
}

func (m *manifest) open(at Place) (err error) {
	m.file, err = m.r.file(m.files[m.index], m.format, at)
	return err
}

func (m *manifest) next() (Item, error) {
	for {
		if m.file == nil {
			if m.index >= len(m.files) {
				return Item{}, io.EOF
			}
			if err := m.open(Place{}); err != nil {
				return Item{}, err
			}
		}
		item, err := m.file.next()
		if err != io.EOF {
			return item, err
		}
		m.file.close()
		m.file = nil
		m.index++
	}
}

// resume goes to where a cursor was.
func (m *manifest) resume(at Cursor) (source, error) {
	m.index = at.File
	if at.Place == (Place{}) && m.index >= 0 {
		return m, nil
	}
	if m.index < 0 || m.index >= len(m.files) {
		return nil, fail("%s names %d files, so none can be read from number %d on.", objects.Ref{Bucket: m.r.spec.Bucket, Key: m.r.spec.Key}, len(m.files), at.File)
	}
	if err := m.open(at.Place); err != nil {
		return nil, err
	}
	return m, nil
}

// text reads a manifest whole.
func (r *Reader) text(ref objects.Ref) (text, etag string, err error) {
	s, err := r.stream(ref, 0)
	if err != nil {
		return "", "", err
	}
	defer s.close()
	if err := s.skipBOM(); err != nil {
		return "", "", err
	}
	for err == nil {
		if len(s.unused()) > maxManifest {
			return "", "", fail("The manifest %s is larger than 16 MB.", ref)
		}
		err = s.more()
	}
	if err != io.EOF {
		return "", "", err
	}
	return string(s.unused()), s.ref.ETag, nil
}

// openInventory reads the manifest.json of an S3 inventory.
func openInventory(r *Reader, ref objects.Ref, at Cursor) (source, error) {
	text, etag, err := r.text(ref)
	if err != nil {
		return nil, err
	}
	v, err := value.Parse(text)
	if err != nil {
		return nil, fail("The manifest %s is not JSON: %v.", ref, err)
	}
	if f := v.Get("fileFormat").Str(); f != "CSV" {
		return nil, fail("The manifest %s is of files in the format %.40q; only inventories in CSV can be read.", ref, f)
	}
	schema := v.Get("fileSchema")
	if schema.Kind() != value.String || v.Get("files").Kind() != value.Array {
		return nil, fail("The manifest %s has no fileSchema or no list of files.", ref)
	}
	bucket := strings.TrimPrefix(v.Get("destinationBucket").Str(), "arn:aws:s3:::")
	if i := strings.LastIndex(bucket, ":::"); i >= 0 {
		bucket = bucket[i+3:] // of another partition
	}
	if bucket == "" {
		bucket = ref.Bucket
	}
	m := &manifest{r: r, etag: etag, format: r.spec.format()}
	m.format.inputType, m.format.firstRow, m.format.headers = "CSV", false, nil
	for name := range strings.SplitSeq(schema.Str(), ",") {
		m.format.headers = append(m.format.headers, strings.TrimSpace(name))
	}
	for i, f := range v.Get("files").Items() {
		key := f.Get("key").Str()
		if key == "" {
			return nil, fail("File %d in the manifest %s has no key.", i, ref)
		}
		m.files = append(m.files, objects.Ref{Bucket: bucket, Key: key, Owner: ref.Owner})
	}
	return m.resume(at)
}

// openAthena reads the manifest of an UNLOAD: a line with the address of each
// file that it wrote.
func openAthena(r *Reader, ref objects.Ref, at Cursor) (source, error) {
	text, etag, err := r.text(ref)
	if err != nil {
		return nil, err
	}
	m := &manifest{r: r, etag: etag, format: r.spec.format()}
	number := 0
	for line := range strings.Lines(text) {
		number++
		line = strings.Trim(strings.TrimSpace(line), `"`)
		if line == "" {
			continue
		}
		bucket, key, ok := strings.Cut(strings.TrimPrefix(line, "s3://"), "/")
		if !strings.HasPrefix(line, "s3://") || !ok || bucket == "" || key == "" {
			return nil, fail("Line %d of the manifest %s is not the address of an object: %.100q", number, ref, line)
		}
		m.files = append(m.files, objects.Ref{Bucket: bucket, Key: key, Owner: ref.Owner})
	}
	return m.resume(at)
}
