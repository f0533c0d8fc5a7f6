package schedule

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"
	_ "time/tzdata" // zones are known wherever the program runs
)

// Expression says when a schedule is due, in the words of EventBridge Scheduler:
//
//	cron(minutes hours day-of-month month day-of-week year)
//	rate(5 minutes)
//	at(2026-03-29T02:30:00)
//
// Cron and at are of a time zone. A local time that a change of the clocks leaves
// out is passed over; one that comes twice counts the first time (Scheduler's
// guide, "Daylight savings time").
type Expression struct {
	zone *time.Location
	cron *cron
	rate time.Duration
	at   time.Time
}

var (
	form     = regexp.MustCompile(`^(cron|rate|at)\((.*)\)$`)
	rateForm = regexp.MustCompile(`^([1-9][0-9]{0,8}) (minute|minutes|hour|hours|day|days)$`)
)

// Parse reads an expression. The zone is a name of the IANA database, "" for UTC.
func Parse(text, zone string) (*Expression, error) {
	if zone == "" {
		zone = "UTC"
	}
	if zone == "Local" {
		return nil, errors.New("there is no time zone Local: give a name such as Europe/Berlin")
	}
	loc, err := time.LoadLocation(zone)
	if err != nil {
		return nil, fmt.Errorf("there is no time zone %.60q: give a name such as Europe/Berlin", zone)
	}
	m := form.FindStringSubmatch(strings.TrimSpace(text))
	if m == nil {
		return nil, fmt.Errorf("%.100q is none of cron(…), rate(…) and at(…)", text)
	}
	e := &Expression{zone: loc}
	switch m[1] {
	case "cron":
		e.cron, err = parseCron(m[2])
	case "rate":
		e.rate, err = parseRate(m[2])
	default:
		e.at, err = parseAt(m[2], loc)
	}
	if err != nil {
		return nil, err
	}
	return e, nil
}

func parseRate(text string) (time.Duration, error) {
	m := rateForm.FindStringSubmatch(text)
	if m == nil {
		return 0, fmt.Errorf("rate(%.60s): give a number and minutes, hours or days", text)
	}
	n, _ := strconv.ParseInt(m[1], 10, 64) // at most nine digits
	unit := map[byte]time.Duration{'m': time.Minute, 'h': time.Hour, 'd': 24 * time.Hour}[m[2][0]]
	if n > int64(100*365*24*time.Hour/unit) {
		return 0, fmt.Errorf("rate(%.60s) is more than a hundred years", text)
	}
	return time.Duration(n) * unit, nil
}

func parseAt(text string, zone *time.Location) (time.Time, error) {
	t, err := time.Parse("2006-01-02T15:04:05", text)
	if err != nil || t.Year() < 1970 || t.Year() > 2199 {
		return t, fmt.Errorf("at(%.60s): give a time such as 2026-03-29T09:30:00", text)
	}
	at, ok := local(zone, t.Year(), t.Month(), t.Day(), t.Hour(), t.Minute(), t.Second())
	if !ok {
		return at, fmt.Errorf("at(%s): the clocks of %s leave that time out", text, zone)
	}
	return at, nil
}

// Next is the first time after a moment that is due, and false if there is none.
// A rate counts from the anchor on, which is its first time.
func (e *Expression) Next(after, anchor time.Time) (time.Time, bool) {
	switch {
	case e.cron != nil:
		if after.Before(anchor) {
			after = anchor.Add(-time.Nanosecond)
		}
		return e.cron.next(after, e.zone)
	case e.rate > 0:
		if after.Before(anchor) {
			return anchor, true
		}
		return anchor.Add((after.Sub(anchor)/e.rate + 1) * e.rate), true
	}
	return e.at, e.at.After(after) && !e.at.Before(anchor)
}

// local is the first moment at which clocks of the zone show a time, and false if
// they never do.
func local(zone *time.Location, year int, month time.Month, day, hour, minute, second int) (time.Time, bool) {
	t := time.Date(year, month, day, hour, minute, second, 0, zone)
	shows := func(t time.Time) bool {
		return t.Day() == day && t.Hour() == hour && t.Minute() == minute
	}
	if !shows(t) {
		return t, false
	}
	// Clocks that were ahead some hours ago may have shown it before.
	_, now := t.Zone()
	_, before := t.Add(-6 * time.Hour).Zone()
	if earlier := t.Add(time.Duration(now-before) * time.Second); before > now && shows(earlier) {
		return earlier, true
	}
	return t, true
}
