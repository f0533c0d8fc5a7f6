package items

import (
	"github.com/parquet-go/parquet-go"

	"github.com/lockstep-run/lockstep/internal/objects"
)

var _ *parquet.File

func openParquet(r *Reader, ref objects.Ref, at Place) (file, error) {
	return nil, fail("%s: Parquet cannot be read yet.", ref)
}
