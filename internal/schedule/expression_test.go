package schedule

import (
	"strings"
	"testing"
	"time"
)

// times shows the next times after a moment, in the zone's own clock.
func times(t *testing.T, text, zone, after string, n int) string {
	t.Helper()
	e, err := Parse(text, zone)
	if err != nil {
		return err.Error()
	}
	at, err := time.Parse(time.RFC3339, after)
	if err != nil {
		t.Fatal(err)
	}
	anchor := at
	var list []string
	for range n {
		next, ok := e.Next(at, anchor)
		if !ok {
			list = append(list, "never")
			break
		}
		if !next.After(at) && e.rate == 0 {
			t.Fatalf("%s: %s does not come after %s", text, next, at)
		}
		list = append(list, next.In(e.zone).Format("2006-01-02T15:04Z07:00"))
		at = next
	}
	return strings.ReplaceAll(strings.Join(list, " "), "+00:00", "Z")
}

func TestCron(t *testing.T) {
	f := func(fields, want string) {
		t.Helper()
		n := len(strings.Fields(want))
		if got := times(t, "cron("+fields+")", "", "2026-01-15T12:00:30Z", n); got != want {
			t.Errorf("cron(%s):\n got %s\nwant %s", fields, got, want)
		}
	}
	f("0 10 * * ? *", "2026-01-16T10:00Z 2026-01-17T10:00Z")
	f("15 12 * * ? *", "2026-01-15T12:15Z 2026-01-16T12:15Z")
	f("0/15 * * * ? *", "2026-01-15T12:15Z 2026-01-15T12:30Z 2026-01-15T12:45Z 2026-01-15T13:00Z")
	f("*/20 8-9 ? * MON-FRI *", "2026-01-16T08:00Z 2026-01-16T08:20Z 2026-01-16T08:40Z 2026-01-16T09:00Z 2026-01-16T09:20Z 2026-01-16T09:40Z 2026-01-19T08:00Z")
	f("0 18 ? * 2-6 *", "2026-01-15T18:00Z 2026-01-16T18:00Z 2026-01-19T18:00Z")
	f("0 8 1 * ? *", "2026-02-01T08:00Z 2026-03-01T08:00Z")
	f("0 0 L * ? *", "2026-01-31T00:00Z 2026-02-28T00:00Z 2026-03-31T00:00Z")
	f("0 0 LW * ? *", "2026-01-30T00:00Z 2026-02-27T00:00Z 2026-03-31T00:00Z")
	f("0 0 15W * ? *", "2026-02-16T00:00Z 2026-03-16T00:00Z 2026-04-15T00:00Z")
	f("0 0 1W * ? *", "2026-02-02T00:00Z 2026-03-02T00:00Z 2026-04-01T00:00Z 2026-05-01T00:00Z 2026-06-01T00:00Z 2026-07-01T00:00Z 2026-08-03T00:00Z")
	f("0 0 31W * ? *", "2026-01-30T00:00Z 2026-03-31T00:00Z 2026-05-29T00:00Z")
	f("15 10 ? * 6L *", "2026-01-30T10:15Z 2026-02-27T10:15Z")
	f("15 10 ? * FRIL 2026-2027", "2026-01-30T10:15Z 2026-02-27T10:15Z")
	f("0 9 ? * L *", "2026-01-17T09:00Z 2026-01-24T09:00Z")
	f("0 9 ? * 3#2 *", "2026-02-10T09:00Z 2026-03-10T09:00Z")
	f("0 9 ? * MON#1,WED#3 *", "2026-01-21T09:00Z 2026-02-02T09:00Z 2026-02-18T09:00Z")
	f("0 9 ? * TUE#5 *", "2026-03-31T09:00Z 2026-06-30T09:00Z")
	f("0 0 29 2 ? *", "2028-02-29T00:00Z 2032-02-29T00:00Z")
	f("0 0 29 feb ? 2099-2104", "2104-02-29T00:00Z never")
	f("0 0 31 4 ? *", "never")
	f("0 0 1 1 ? 1970-2025", "never")
	f("0 22-2 ? * FRI-SUN *", "2026-01-16T00:00Z 2026-01-16T01:00Z 2026-01-16T02:00Z 2026-01-16T22:00Z")
	f("30 6 10,20,L JAN,MAR-APR ? 2026/2", "2026-01-20T06:30Z 2026-01-31T06:30Z 2026-03-10T06:30Z 2026-03-20T06:30Z 2026-03-31T06:30Z 2026-04-10T06:30Z")
	f("0 10 * * ? * *", "cron(0 10 * * ? * *) must have six fields: minutes hours day-of-month month day-of-week year")
}

func TestBadExpressions(t *testing.T) {
	f := func(text, zone, want string) {
		t.Helper()
		if _, err := Parse(text, zone); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", text, err, want)
		}
	}
	f("0 10 * * ? *", "", "is none of cron(…), rate(…) and at(…)")
	f("cron(0 10 * * * *)", "", "one of day-of-month and day-of-week must be ?")
	f("cron(0 10 ? * ? *)", "", "one of day-of-month and day-of-week must be ?")
	for field, bad := range map[int]string{0: "60 -1 1- a 1/0 1/x +1 1,, *5 ?", 1: "24 L", 2: "0 32 0W 32W WL L-1", 3: "0 13 JANUARY", 5: "1969 2200 2030-2029"} {
		for value := range strings.FieldsSeq(bad) {
			fields := strings.Fields("0 0 1 1 ? *")
			fields[field] = value
			f("cron("+strings.Join(fields, " ")+")", "", "cannot be")
		}
	}
	for value := range strings.FieldsSeq("0 8 8L 1#0 1#6 #1 MON#X 1L#2") {
		f("cron(0 0 ? * "+value+" *)", "", "day-of-week cannot be")
	}
	for _, value := range []string{"", "5", "0 minutes", "5 seconds", "5  minutes", "-1 minutes", "1.5 hours"} {
		f("rate("+value+")", "", "give a number and minutes, hours or days")
	}
	f("rate(999999999 days)", "", "more than a hundred years")
	f("at(tomorrow)", "", "give a time such as")
	f("at(2026-03-29T02:30:00)", "Europe/Berlin", "the clocks of Europe/Berlin leave that time out")
	f("rate(1 day)", "Mars/Olympus", `there is no time zone "Mars/Olympus"`)
	f("rate(1 day)", "Local", "there is no time zone Local")
}

// What clocks leave out is passed over, what they show twice counts once.
func TestDaylightSaving(t *testing.T) {
	f := func(text, zone, after, want string) {
		t.Helper()
		if got := times(t, text, zone, after, len(strings.Fields(want))); got != want {
			t.Errorf("%s in %s after %s:\n got %s\nwant %s", text, zone, after, got, want)
		}
	}
	f("cron(30 2 * * ? *)", "Europe/Berlin", "2026-03-28T00:00:00Z", "2026-03-28T02:30+01:00 2026-03-30T02:30+02:00")
	f("cron(30 2 * * ? *)", "Europe/Berlin", "2026-10-24T12:00:00Z", "2026-10-25T02:30+02:00 2026-10-26T02:30+01:00")
	f("cron(0/30 * * * ? *)", "Europe/Berlin", "2026-03-29T00:15:00Z", "2026-03-29T01:30+01:00 2026-03-29T03:00+02:00")
	f("cron(0/30 * * * ? *)", "Europe/Berlin", "2026-10-24T23:45:00Z",
		"2026-10-25T02:00+02:00 2026-10-25T02:30+02:00 2026-10-25T03:00+01:00")
	f("cron(0/30 * * * ? *)", "Europe/Berlin", "2026-10-25T01:10:00Z", "2026-10-25T03:00+01:00") // within the second time
	f("cron(30 1 * * ? *)", "America/New_York", "2026-10-31T12:00:00Z", "2026-11-01T01:30-04:00 2026-11-02T01:30-05:00")
	f("cron(30 2 * * ? *)", "America/New_York", "2026-03-07T12:00:00Z", "2026-03-09T02:30-04:00")
	f("cron(45 1 * * ? *)", "Australia/Lord_Howe", "2026-04-04T00:00:00Z", "2026-04-05T01:45+11:00 2026-04-06T01:45+10:30") // half an hour
	f("cron(15 0 * * ? *)", "Africa/Cairo", "2026-04-22T12:00:00Z", "2026-04-23T00:15+02:00 2026-04-25T00:15+03:00")        // at midnight
	f("cron(0 12 30 12 ? 2011-2012)", "Pacific/Apia", "2011-12-01T00:00:00Z", "2012-12-30T12:00+14:00")                     // a day left out
	f("rate(1 day)", "Europe/Berlin", "2026-03-28T11:00:00Z", "2026-03-29T13:00+02:00 2026-03-30T13:00+02:00")              // 24 hours each
	f("at(2026-10-25T02:30:00)", "Europe/Berlin", "2026-10-01T00:00:00Z", "2026-10-25T02:30+02:00 never")
	f("at(2026-10-25T02:30:00)", "", "2026-11-01T00:00:00Z", "never")
	f("cron(0 9 * * ? *)", "Asia/Kolkata", "2026-01-01T00:00:00Z", "2026-01-01T09:00+05:30")
}

func TestRate(t *testing.T) {
	e, err := Parse("rate(15 minutes)", "")
	if err != nil {
		t.Fatal(err)
	}
	anchor := time.Date(2026, 1, 1, 0, 7, 0, 0, time.UTC)
	f := func(after, want time.Duration) {
		t.Helper()
		if got, ok := e.Next(anchor.Add(after), anchor); !ok || got.Sub(anchor) != want {
			t.Errorf("after %s: %s, want %s", after, got.Sub(anchor), want)
		}
	}
	f(-time.Hour, 0)
	f(-1, 0)
	f(0, 15*time.Minute)
	f(15*time.Minute-1, 15*time.Minute)
	f(15*time.Minute, 30*time.Minute)
	f(1000*time.Hour, 1000*time.Hour+15*time.Minute)
}

func FuzzExpression(f *testing.F) {
	f.Add("cron(0/15 8-18 ? JAN-MAR MON#2,6L 2026)", "Europe/Berlin", int64(1770000000))
	f.Add("cron(0 0 LW,15W * ? *)", "", int64(0))
	f.Add("rate(5 minutes)", "Asia/Kolkata", int64(1))
	f.Fuzz(func(t *testing.T, text, zone string, at int64) {
		e, err := Parse(text, zone)
		if err != nil || at < 0 || at > 4e9 {
			return
		}
		after := time.Unix(at, 0)
		if next, ok := e.Next(after, time.Unix(0, 0)); ok && !next.After(after) {
			t.Errorf("%s: %s is not after %s", text, next, after)
		}
	})
}
