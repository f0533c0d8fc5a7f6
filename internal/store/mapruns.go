package store

import "errors"

// ErrEnded says that a Map Run has ended and takes no changes.
var ErrEnded = errors.New("has ended")

// MapRunSettings are what may be changed of a Map Run under way; nil: not said.
type MapRunSettings struct {
	MaxConcurrency      *int64 // 0: no limit
	ToleratedCount      *int64
	ToleratedPercentage *float64
}

// MapRunCounts are those of a run's children, or of the items in them, by how
// they are.
type MapRunCounts struct {
	Pending, Running, Succeeded, Failed, TimedOut, Aborted int64
	Total, Written                                         int64
}

// MapRunView is a Map Run as it is now.
type MapRunView struct {
	Record          MapRun // without Progress
	Settings        MapRunSettings
	Items, Children MapRunCounts
}
