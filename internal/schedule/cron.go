package schedule

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// cron is an expression with EventBridge's six fields.
type cron struct {
	minutes, hours, months, years []int // sorted

	days     []int // of the month, sorted; nil: as weekdays says
	lastDay  bool  // L
	lastWork bool  // LW
	nearest  []int // 15W: the weekday nearest to the 15th

	weekdays [7]bool  // Sunday is 0
	lastOf   []int    // 6L: the last Friday
	nth      [][2]int // 6#3: the third Friday
}

// span is what a field can hold.
type span struct {
	name     string
	min, max int
	names    []string // for min and what follows
}

var (
	minuteSpan = span{"minutes", 0, 59, nil}
	hourSpan   = span{"hours", 0, 23, nil}
	daySpan    = span{"day-of-month", 1, 31, nil}
	monthSpan  = span{"month", 1, 12, strings.Fields("JAN FEB MAR APR MAY JUN JUL AUG SEP OCT NOV DEC")}
	weekSpan   = span{"day-of-week", 1, 7, strings.Fields("SUN MON TUE WED THU FRI SAT")}
	yearSpan   = span{"year", 1970, 2199, nil}
)

func parseCron(text string) (*cron, error) {
	f := strings.Fields(strings.ToUpper(text))
	if len(text) > 256 || len(f) != 6 {
		return nil, fmt.Errorf("cron(%.100s) must have six fields: minutes hours day-of-month month day-of-week year", text)
	}
	if (f[2] == "?") == (f[4] == "?") {
		return nil, fmt.Errorf("cron(%s): one of day-of-month and day-of-week must be ?, and the other not", text)
	}
	c := &cron{}
	var errs [6]error
	c.minutes, errs[0] = minuteSpan.list(f[0])
	c.hours, errs[1] = hourSpan.list(f[1])
	c.months, errs[3] = monthSpan.list(f[3])
	c.years, errs[5] = yearSpan.list(f[5])
	if f[4] == "?" {
		errs[2] = c.readDays(f[2])
	} else {
		errs[4] = c.readWeekdays(f[4])
	}
	for _, err := range errs {
		if err != nil {
			return nil, fmt.Errorf("cron(%s): %w", text, err)
		}
	}
	return c, nil
}

func (s span) bad(text string) error {
	return fmt.Errorf("%s cannot be %.40q: it is from %d to %d", s.name, text, s.min, s.max)
}

// list reads a field of values, ranges and steps, separated by commas.
func (s span) list(text string) (all []int, err error) {
	for part := range strings.SplitSeq(text, ",") {
		more, err := s.part(part)
		if err != nil {
			return nil, err
		}
		all = append(all, more...)
	}
	slices.Sort(all)
	return slices.Compact(all), nil
}

// part reads *, 5, MON, 1-5, FRI-MON, */10, 5/10 and 1-30/10.
func (s span) part(text string) (all []int, err error) {
	values, stepText, stepped := strings.Cut(text, "/")
	step := 1
	if stepped {
		if step, err = strconv.Atoi(stepText); err != nil || step < 1 || step > s.max {
			return nil, s.bad(text)
		}
	}
	from, to, isRange := strings.Cut(values, "-")
	first, last := s.min, s.max
	if values != "*" {
		var ok bool
		if first, ok = s.value(from); !ok {
			return nil, s.bad(text)
		}
		switch {
		case isRange:
			if last, ok = s.value(to); !ok {
				return nil, s.bad(text)
			}
		case !stepped:
			last = first
		}
	}
	if last < first { // over the end of the week, the day, …
		if s.name == yearSpan.name {
			return nil, s.bad(text)
		}
		last += s.max - s.min + 1
	}
	for v := first; v <= last; v += step {
		all = append(all, s.min+(v-s.min)%(s.max-s.min+1))
	}
	return all, nil
}

func (s span) value(text string) (int, bool) {
	if i := slices.Index(s.names, text); i >= 0 {
		return s.min + i, true
	}
	n, err := strconv.Atoi(text)
	return n, err == nil && n >= s.min && n <= s.max && text[0] != '+'
}

func (c *cron) readDays(text string) error {
	c.days = []int{}
	for part := range strings.SplitSeq(text, ",") {
		before, isW := strings.CutSuffix(part, "W")
		switch {
		case part == "L":
			c.lastDay = true
		case part == "LW":
			c.lastWork = true
		case isW:
			day, ok := daySpan.value(before)
			if !ok {
				return daySpan.bad(part)
			}
			c.nearest = append(c.nearest, day)
		default:
			days, err := daySpan.part(part)
			if err != nil {
				return err
			}
			c.days = append(c.days, days...)
		}
	}
	return nil
}

func (c *cron) readWeekdays(text string) error {
	for part := range strings.SplitSeq(text, ",") {
		before, isLast := strings.CutSuffix(part, "L")
		name, number, isNth := strings.Cut(part, "#")
		switch {
		case part == "L":
			c.weekdays[6] = true // the week's last day
		case isLast:
			day, ok := weekSpan.value(before)
			if !ok {
				return weekSpan.bad(part)
			}
			c.lastOf = append(c.lastOf, day-1)
		case isNth:
			day, ok := weekSpan.value(name)
			n, err := strconv.Atoi(number)
			if !ok || err != nil || n < 1 || n > 5 {
				return weekSpan.bad(part)
			}
			c.nth = append(c.nth, [2]int{day - 1, n})
		default:
			days, err := weekSpan.part(part)
			if err != nil {
				return err
			}
			for _, d := range days {
				c.weekdays[d-1] = true
			}
		}
	}
	return nil
}

// next is the first time after a moment.
func (c *cron) next(after time.Time, zone *time.Location) (time.Time, bool) {
	from := after.In(zone)
	for _, year := range c.years {
		if year < from.Year() {
			continue
		}
		for _, month := range c.months {
			if year == from.Year() && time.Month(month) < from.Month() {
				continue
			}
			if t, ok := c.inMonth(after, from, year, time.Month(month), zone); ok {
				return t, true
			}
		}
	}
	return time.Time{}, false
}

// inMonth is the first time after a moment that is in a month. Times that the
// clocks have shown before the moment, and show again, are over.
func (c *cron) inMonth(after, from time.Time, year int, month time.Month, zone *time.Location) (time.Time, bool) {
	current := year == from.Year() && month == from.Month()
	for day := 1; day <= daysIn(year, month); day++ {
		if current && day < from.Day() || !c.hasDay(year, month, day) {
			continue
		}
		for _, hour := range c.hours {
			if current && day == from.Day() && hour < from.Hour()-1 {
				continue
			}
			for _, minute := range c.minutes {
				if t, ok := local(zone, year, month, day, hour, minute, 0); ok && t.After(after) {
					return t, true
				}
			}
		}
	}
	return time.Time{}, false
}

func daysIn(year int, month time.Month) int {
	return time.Date(year, month+1, 0, 0, 0, 0, 0, time.UTC).Day()
}

func weekday(year int, month time.Month, day int) int {
	return int(time.Date(year, month, day, 0, 0, 0, 0, time.UTC).Weekday())
}

// hasDay reports whether a day is one of those that either field says.
func (c *cron) hasDay(year int, month time.Month, day int) bool {
	last, wd := daysIn(year, month), weekday(year, month, day)
	if c.days == nil {
		return c.weekdays[wd] ||
			day+7 > last && slices.Contains(c.lastOf, wd) ||
			slices.Contains(c.nth, [2]int{wd, (day-1)/7 + 1})
	}
	if slices.Contains(c.days, day) || c.lastDay && day == last || c.lastWork && day == nearestWorkday(year, month, last) {
		return true
	}
	return slices.ContainsFunc(c.nearest, func(n int) bool { return n <= last && day == nearestWorkday(year, month, n) })
}

// nearestWorkday is the day from Monday to Friday that is nearest to a day within
// its month.
func nearestWorkday(year int, month time.Month, day int) int {
	switch weekday(year, month, day) {
	case 6:
		if day == 1 {
			return 3
		}
		return day - 1
	case 0:
		if day == daysIn(year, month) {
			return day - 2
		}
		return day + 1
	}
	return day
}
