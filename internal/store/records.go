package store

// Record is one document of a part above the engine, such as a task of the
// board. The store knows how to find it, not what it says.
type Record struct {
	Kind    string
	ID      string // unique within its kind
	Version int64  // 1 when new, one more at each change
	// Keys are under which Records finds it, beside its id: text in UTF-8,
	// compared byte by byte; no two the same. Other records may have them too.
	Keys []string
	Data []byte // never empty
}

// RecordQuery selects records of one kind by their keys, from From on up to
// but without To; an empty To has no end. They come by key and then id.
type RecordQuery struct {
	Kind     string
	From, To string
	// AfterID continues a list: of the records under the key From, only those
	// with a greater id. The key to go on from is Found.Key.
	AfterID string
	Limit   int
}

// Prefix selects the records of a kind that have a key with that beginning. A
// record with several such keys comes several times.
func Prefix(kind, prefix string, limit int) RecordQuery {
	q := RecordQuery{Kind: kind, From: prefix, Limit: limit}
	for i := len(prefix) - 1; i >= 0; i-- {
		if prefix[i] < 0xff {
			q.To = prefix[:i] + string([]byte{prefix[i] + 1})
			break
		}
	}
	return q
}

// Found is a record with the key that it was found under.
type Found struct {
	Key string
	Record
}

// Event is one entry of the feed: something that changed above the engine.
// Entries are only ever added, in the transaction of the change.
type Event struct {
	Seq    int64 // 1, 2, 3, … without a gap; set by the store
	At     int64 // Unix milliseconds
	Type   string
	Topics []string // what EventsOf finds it under; no two the same
	Data   []byte
}
