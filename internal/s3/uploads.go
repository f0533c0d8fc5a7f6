package s3

import (
	"encoding/json"
	"errors"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/johannesboyne/gofakes3"

	"github.com/lockstep-run/lockstep/internal/objects"
)

// uploads is the bucket of what uploads in parts have: their description, and
// each part as an object.
const uploads = "uploads"

var _ gofakes3.MultipartBackend = (*storage)(nil)

// upload is what is kept of an upload from its beginning.
type upload struct {
	Bucket, Key string
	Headers     map[string]string
	Begun       time.Time
}

func partRef(id gofakes3.UploadID, number int) objects.Ref {
	return objects.Ref{Bucket: uploads, Key: string(id) + "/" + strconv.Itoa(number+100000)}
}

func uploadRef(id gofakes3.UploadID) objects.Ref {
	return objects.Ref{Bucket: uploads, Key: string(id) + "/upload"}
}

func (s *storage) CreateMultipartUpload(bucket, key string, meta map[string]string) (gofakes3.UploadID, error) {
	if !s.dir.HasBucket(bucket) {
		return "", gofakes3.BucketNotFound(bucket)
	}
	text, err := json.Marshal(upload{bucket, key, headers(meta), time.Now()})
	if err != nil {
		return "", err
	}
	id := gofakes3.UploadID(uuid.NewString())
	_, err = put(s.parts, uploadRef(id), nil, strings.NewReader(string(text)), int64(len(text)))
	return id, err
}

// upload finds an upload under way.
func (s *storage) upload(bucket, key string, id gofakes3.UploadID) (u upload, err error) {
	if _, err := uuid.Parse(string(id)); err != nil {
		return u, gofakes3.ErrNoSuchUpload
	}
	r, _, err := s.parts.Open(ctx, uploadRef(id), 0)
	if errors.Is(err, objects.ErrNotFound) {
		return u, gofakes3.ErrNoSuchUpload
	}
	if err != nil {
		return u, err
	}
	defer r.Close()
	if err := json.NewDecoder(r).Decode(&u); err != nil {
		return u, err
	}
	if u.Bucket != bucket || u.Key != key {
		return u, gofakes3.ErrNoSuchUpload
	}
	return u, nil
}

func (s *storage) UploadPart(bucket, key string, id gofakes3.UploadID, number int, size int64, input io.Reader) (string, error) {
	if _, err := s.upload(bucket, key, id); err != nil {
		return "", err
	}
	info, err := put(s.parts, partRef(id, number), nil, input, size)
	return `"` + info.ETag + `"`, err
}

// parts lists what an upload has, by number.
func (s *storage) partsOf(id gofakes3.UploadID) (list []part, err error) {
	prefix := string(id) + "/"
	for info, err := range s.parts.List(ctx, objects.Ref{Bucket: uploads}, prefix, "") {
		if err != nil {
			return nil, err
		}
		if n, err := strconv.Atoi(strings.TrimPrefix(info.Key, prefix)); err == nil {
			list = append(list, part{n - 100000, info})
		}
	}
	return list, nil
}

type part struct {
	number int
	objects.Info
}

func (s *storage) ListParts(bucket, key string, id gofakes3.UploadID, marker int, limit int64) (*gofakes3.ListMultipartUploadPartsResult, error) {
	if _, err := s.upload(bucket, key, id); err != nil {
		return nil, err
	}
	list, err := s.partsOf(id)
	if err != nil {
		return nil, err
	}
	result := &gofakes3.ListMultipartUploadPartsResult{
		Bucket: bucket, Key: key, UploadID: id, MaxParts: limit, PartNumberMarker: marker, StorageClass: gofakes3.StorageStandard,
	}
	for _, p := range list {
		if p.number <= marker {
			continue
		}
		if limit > 0 && int64(len(result.Parts)) == limit {
			result.IsTruncated = true
			result.NextPartNumberMarker = result.Parts[len(result.Parts)-1].PartNumber
			break
		}
		result.Parts = append(result.Parts, gofakes3.ListMultipartUploadPartItem{
			PartNumber: p.number, LastModified: gofakes3.NewContentTime(p.LastModified), ETag: `"` + p.ETag + `"`, Size: p.Size,
		})
	}
	return result, nil
}

func (s *storage) ListMultipartUploads(bucket string, _ *gofakes3.UploadListMarker, prefix gofakes3.Prefix, limit int64) (*gofakes3.ListMultipartUploadsResult, error) {
	result := &gofakes3.ListMultipartUploadsResult{Bucket: bucket, MaxUploads: limit, Prefix: prefix.Prefix, Delimiter: prefix.Delimiter}
	for info, err := range s.parts.List(ctx, objects.Ref{Bucket: uploads}, "", "") {
		if err != nil {
			if errors.Is(err, objects.ErrNotFound) {
				break
			}
			return nil, err
		}
		id, last, _ := strings.Cut(info.Key, "/")
		if last != "upload" {
			continue
		}
		u, err := s.uploadOf(gofakes3.UploadID(id))
		if err != nil || u.Bucket != bucket || !strings.HasPrefix(u.Key, prefix.Prefix) {
			continue
		}
		result.Uploads = append(result.Uploads, gofakes3.ListMultipartUploadItem{
			Key: u.Key, UploadID: gofakes3.UploadID(id), Initiated: gofakes3.NewContentTime(u.Begun), StorageClass: gofakes3.StorageStandard,
		})
	}
	return result, nil
}

func (s *storage) uploadOf(id gofakes3.UploadID) (u upload, err error) {
	r, _, err := s.parts.Open(ctx, uploadRef(id), 0)
	if err != nil {
		return u, err
	}
	defer r.Close()
	return u, json.NewDecoder(r).Decode(&u)
}

func (s *storage) AbortMultipartUpload(bucket, key string, id gofakes3.UploadID) error {
	if _, err := s.upload(bucket, key, id); err != nil {
		return err
	}
	return s.forget(id)
}

// forget removes an upload, its description last.
func (s *storage) forget(id gofakes3.UploadID) error {
	list, err := s.partsOf(id)
	if err != nil {
		return err
	}
	for _, p := range list {
		if err := s.parts.Delete(ctx, objects.Ref{Bucket: uploads, Key: p.Key}); err != nil {
			return err
		}
	}
	return s.parts.Delete(ctx, uploadRef(id))
}

// CompleteMultipartUpload puts the parts that are asked for together, in the
// order of their numbers.
func (s *storage) CompleteMultipartUpload(bucket, key string, id gofakes3.UploadID, in *gofakes3.CompleteMultipartUploadRequest) (gofakes3.VersionID, string, error) {
	u, err := s.upload(bucket, key, id)
	if err != nil {
		return "", "", err
	}
	if len(in.Parts) == 0 {
		return "", "", gofakes3.ErrInvalidPart
	}
	list, err := s.partsOf(id)
	if err != nil {
		return "", "", err
	}
	var chosen []part
	last := 0
	for _, wanted := range in.Parts {
		if wanted.PartNumber <= last {
			return "", "", gofakes3.ErrInvalidPartOrder
		}
		last = wanted.PartNumber
		i := slices.IndexFunc(list, func(p part) bool { return p.number == wanted.PartNumber })
		if i < 0 || strings.Trim(wanted.ETag, `"`) != list[i].ETag {
			return "", "", gofakes3.ErrInvalidPart
		}
		chosen = append(chosen, list[i])
	}
	w, err := s.dir.CreateWith(ctx, objects.Ref{Bucket: bucket, Key: key}, u.Headers)
	if err != nil {
		return "", "", wrong(err, bucket, key)
	}
	defer w.Abort()
	for _, p := range chosen {
		if err := s.append(w, objects.Ref{Bucket: uploads, Key: p.Key, ETag: p.ETag}); err != nil {
			return "", "", err
		}
	}
	if err := w.Close(); err != nil {
		return "", "", err
	}
	return "", `"` + w.Info().ETag + `"`, s.forget(id)
}

func (s *storage) append(w io.Writer, ref objects.Ref) error {
	r, _, err := s.parts.Open(ctx, ref, 0)
	if err != nil {
		return err
	}
	defer r.Close()
	_, err = io.Copy(w, r)
	return err
}
