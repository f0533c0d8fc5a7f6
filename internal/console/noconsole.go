//go:build noconsole

package console

import "io/fs"

// Files is the bundle that is part of this binary; nil in one that was built with
// the tag noconsole.
func Files() fs.FS { return nil }
