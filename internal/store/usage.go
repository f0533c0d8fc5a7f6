package store

// Usage is what a call of a model, or a turn of an agent, used and cost. Money
// is in nano-USD. What was used never changes; what it cost may be computed
// again.
type Usage struct {
	ID     int64  // growing; set by the store
	Source string // who reported it
	Key    string // with Source: unique, so that what is reported twice is kept once
	Run    string // what several sources may report; "" if none others do
	Rank   int64  // how far Source is believed
	At     int64  // Unix milliseconds
	Day    int64  // its date at the workspace's place, such as 20261120

	Provider, Model                    string
	Project, Agent, Task, Attempt      string
	Machine, State, Execution, Billing string
	Labels                             []string // no two the same

	Input, CacheRead, CacheWrite5m, CacheWrite1h, Output int64 // tokens, disjoint
	Reasoning                                            int64 // within Output
	Several                                              bool  // a sum over several calls

	Reported *int64 // nil: the source does not say
	Computed int64
	Billed   int64
	Shadow   int64
	Marks    int64
	Price    string // the version of the price that Computed was made with
	// Counted says that it is in the sums. Of a run that several sources report,
	// one counts.
	Counted bool
}

// UsageTotals are sums over usage. They stop growing at MaxUsageTotal.
type UsageTotals struct {
	Events                                               int64
	Input, CacheRead, CacheWrite5m, CacheWrite1h, Output int64
	Billed, Shadow                                       int64
	Unpriced                                             int64 // events without a known price
	Marked                                               int64 // events with any mark
}

// MaxUsageTotal is what the total of a day grows to at most ($10,000,000): one
// that is out of all measure must not make the sum over years overflow.
const MaxUsageTotal = 10_000_000_000_000_000

// UnpricedMark is the bit of Usage.Marks that Unpriced counts.
const UnpricedMark = 1 << 3

// SumKey names a sum that is kept: that of one day and one name.
type SumKey struct {
	By   string // "all", "project", "agent", "task", "attempt", "unattributed", "machine", "execution", "state", "model" or "label"
	Name string // "" for all; a state's is MACHINE/STATE, a model's PROVIDER/MODEL
	Day  int64
}

// UsageSum is a sum; its Day is 0 where it goes over several days.
type UsageSum struct {
	SumKey
	UsageTotals
}

// SumQuery selects sums by one thing, over days from From to To, both included.
type SumQuery struct {
	By       string
	From, To int64
	// Daily asks for a sum for each day and name, by day and name; else there is
	// one for each name, the largest Shadow first.
	Daily bool
	Limit int
}

// Sums lists the sums that a counted usage goes into.
func (u *Usage) Sums() []SumKey {
	keys := []SumKey{{"all", "", u.Day}}
	add := func(by, name string) {
		if name != "" {
			keys = append(keys, SumKey{by, name, u.Day})
		}
	}
	add("project", u.Project)
	add("agent", u.Agent)
	add("task", u.Task)
	add("attempt", u.Attempt)
	if u.Task == "" {
		add("unattributed", u.Agent)
	}
	add("machine", u.Machine)
	add("execution", u.Execution)
	if u.State != "" {
		add("state", u.Machine+"/"+u.State)
	}
	if u.Model != "" {
		add("model", u.Provider+"/"+u.Model)
	}
	for _, label := range u.Labels {
		add("label", label)
	}
	return keys
}

// Totals is what a usage adds to its sums: nothing, unless it is counted.
func (u *Usage) Totals() UsageTotals {
	if !u.Counted {
		return UsageTotals{}
	}
	t := UsageTotals{
		Events: 1, Input: u.Input, CacheRead: u.CacheRead, CacheWrite5m: u.CacheWrite5m, CacheWrite1h: u.CacheWrite1h, Output: u.Output,
		Billed: u.Billed, Shadow: u.Shadow,
	}
	if u.Marks&UnpricedMark != 0 {
		t.Unpriced = 1
	}
	if u.Marks != 0 {
		t.Marked = 1
	}
	return t
}

// Fields lists the parts of t in their order.
func (t *UsageTotals) Fields() []*int64 {
	return []*int64{
		&t.Events, &t.Input, &t.CacheRead, &t.CacheWrite5m, &t.CacheWrite1h, &t.Output, &t.Billed, &t.Shadow, &t.Unpriced, &t.Marked,
	}
}

// Add adds sign times o.
func (t *UsageTotals) Add(o UsageTotals, sign int64) {
	parts := o.Fields()
	for i, field := range t.Fields() {
		*field = max(-MaxUsageTotal, min(MaxUsageTotal, *field+sign*max(-MaxUsageTotal, min(MaxUsageTotal, *parts[i]))))
	}
}
