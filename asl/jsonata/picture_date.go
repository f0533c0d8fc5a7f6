package jsonata

import (
	"math"
	"strings"
	"time"
)

// datePicture is a date and time picture: text and components of the date.
type datePicture []datePart

type datePart struct {
	literal   string
	component byte // 0 for text
	names     letterCase
	named     bool
	second    byte // second presentation modifier
	minWidth  int  // -1 where not given
	maxWidth  int
	digits    int // Y: how many digits of the year, -1 for all
	format    *integerPicture
}

// defaultPresentation is how a component is shown where the picture does not say.
var defaultPresentation = map[byte]string{
	'Y': "1", 'M': "1", 'D': "1", 'd': "1", 'F': "n", 'W': "1", 'w': "1", 'X': "1", 'x': "1", 'H': "1", 'h': "1", 'P': "n",
	'm': "01", 's': "01", 'f': "1", 'Z': "01:01", 'z': "01:01", 'C': "n", 'E': "n",
}

func parseDatePicture(picture string) datePicture {
	var spec datePicture
	literal := func(s string) {
		if s != "" {
			spec = append(spec, datePart{literal: strings.ReplaceAll(s, "]]", "]")})
		}
	}
	for picture != "" {
		i := strings.IndexByte(picture, '[')
		if i < 0 {
			break
		}
		literal(picture[:i])
		picture = picture[i+1:]
		if strings.HasPrefix(picture, "[") {
			spec = append(spec, datePart{literal: "["})
			picture = picture[1:]
			continue
		}
		end := strings.IndexByte(picture, ']')
		if end < 0 {
			fail("D3135").raise()
		}
		spec = append(spec, parseDatePart(strings.Join(strings.Fields(picture[:end]), ""), spec))
		picture = picture[end+1:]
	}
	literal(picture)
	return spec
}

func parseDatePart(marker string, before datePicture) datePart {
	p := datePart{minWidth: -1, maxWidth: -1, digits: -1}
	if marker == "" {
		fail("D3132").withValue(emptyText).raise()
	}
	_, n := decode(marker)
	name := marker[:n]
	p.component = marker[0]
	if n > 1 {
		p.component = '?'
	}
	first := marker[n:]
	if comma := strings.LastIndexByte(marker, ','); comma >= n {
		first = marker[n:comma]
		p.width(marker[comma+1:])
	}
	switch len(chars(first)) {
	case 0:
		var ok bool
		if first, ok = defaultPresentation[p.component]; !ok {
			fail("D3132").withValue(str(name)).raise()
		}
	case 1:
	default:
		if last := first[len(first)-1]; strings.IndexByte("atco", last) >= 0 {
			p.second = last
			first = first[:len(first)-1]
		}
	}
	switch {
	case first[0] == 'n':
		p.named = true
	case first[0] == 'N':
		p.named, p.names = true, upperCase
		if strings.HasPrefix(first, "Nn") {
			p.names = titleCase
		}
	case strings.IndexByte("YMDdFWwXxHhmsf", p.component) >= 0:
		p.integer(first, before)
	}
	if p.component == 'Z' || p.component == 'z' {
		p.format = parseIntegerPicture(first)
	}
	return p
}

func (p *datePart) width(text string) {
	parse := func(s string) int {
		if f := parseInt(s); s != "*" && f == f {
			return int(min(f, 1<<30))
		}
		return -1
	}
	least, most, both := strings.Cut(text, "-")
	p.minWidth = parse(least)
	if both {
		p.maxWidth = parse(most)
	}
}

func (p *datePart) integer(pattern string, before datePicture) {
	if p.second != 0 {
		pattern += ";" + string(p.second)
	}
	p.format = parseIntegerPicture(pattern)
	inDigits := p.format.style == inDigits // letters and words have no width
	if inDigits && p.minWidth >= 0 && p.format.mandatory < p.minWidth {
		p.format.mandatory = p.minWidth
	}
	if strings.IndexByte("YMD", p.component) >= 0 {
		if p.maxWidth >= 0 {
			p.digits = p.maxWidth
			p.format.mandatory = p.digits
		} else if w := p.format.mandatory + p.format.optional; inDigits && w >= 2 {
			p.digits = w
		}
	}
	if n := len(before); n > 0 && before[n-1].format != nil { // digits follow digits
		before[n-1].format.width = before[n-1].format.mandatory
	}
}

const isoPicture = "[Y0001]-[M01]-[D01]T[H01]:[m01]:[s01].[f001][Z01:01t]"

var isoDate = parseDatePicture(isoPicture)

const dayMillis = 86_400_000

// date is a moment as numbers; years reach further than package time formats.
type date struct {
	millis                float64
	year, month, day      int // month from 0
	hour, minute, sec, ms int
	weekday               int // Monday is 1, Sunday 7
}

func dateOf(millis float64) (date, bool) {
	if millis != millis || math.Abs(millis) > 8.64e15 {
		return date{}, false
	}
	t := time.UnixMilli(int64(millis)).UTC()
	d := date{millis: math.Trunc(millis), year: t.Year(), month: int(t.Month()) - 1, day: t.Day(), hour: t.Hour(), minute: t.Minute(), sec: t.Second(), ms: t.Nanosecond() / 1e6, weekday: int(t.Weekday())}
	if d.weekday == 0 {
		d.weekday = 7
	}
	return d, true
}

// utc is JavaScript's Date.UTC; month counts from 0.
func utc(year, month, day, hour, minute, sec, ms float64) float64 {
	for _, f := range []float64{year, month, day, hour, minute, sec, ms} {
		if f-f != 0 {
			return math.NaN()
		}
	}
	if y := math.Trunc(year); y >= 0 && y <= 99 {
		year = 1900 + y
	}
	if math.Abs(year) > 300_000 || math.Abs(month) > 4e6 {
		return math.NaN()
	}
	days := float64(time.Date(int(year), time.Month(int(month)+1), 1, 0, 0, 0, 0, time.UTC).Unix() / 86400)
	r := (days+math.Trunc(day)-1)*dayMillis + math.Trunc(hour)*3_600_000 + math.Trunc(minute)*60_000 + math.Trunc(sec)*1000 + math.Trunc(ms)
	if math.Abs(r) > 8.64e15 {
		return math.NaN()
	}
	return r
}

// firstWeek is when the first week of a month starts: the one with its first
// Thursday. January's is the first of the year. The years 0 to 99 are taken for
// those of the 20th century here, as Date.UTC does.
func firstWeek(year, month int) float64 {
	year, month = year+(month+12)/12-1, (month+12)%12
	first := utc(float64(year), float64(month), 1, 0, 0, 0, 0)
	d, _ := dateOf(first)
	if d.weekday > 4 {
		return first + float64(8-d.weekday)*dayMillis
	}
	return first - float64(d.weekday-1)*dayMillis
}

func (d date) midnight() float64 {
	return utc(float64(d.year), float64(d.month), float64(d.day), 0, 0, 0, 0)
}

// week is the number of the week, in periods (months or years) of which one
// starts as often as step says, and whose number before is previous.
func (d date) week(month, step int, most float64) float64 {
	today := d.midnight()
	since := func(start float64) float64 { return (today-start)/(7*dayMillis) + 1 }
	week := since(firstWeek(d.year, month))
	switch {
	case week > most:
		if today >= firstWeek(d.year, month+step) {
			week = 1
		}
	case week < 1:
		week = since(firstWeek(d.year, month-step))
	}
	return math.Floor(week)
}

// part is a component of a date as a number.
func (d date) part(component byte) float64 {
	switch component {
	case 'Y':
		return float64(d.year)
	case 'M':
		return float64(d.month + 1)
	case 'D':
		return float64(d.day)
	case 'd':
		return (d.midnight()-utc(float64(d.year), 0, 1, 0, 0, 0, 0))/dayMillis + 1
	case 'F':
		return float64(d.weekday)
	case 'W':
		return d.week(0, 12, 52)
	case 'w':
		return d.week(d.month, 1, 4)
	case 'X':
		switch {
		case d.millis < firstWeek(d.year, 0):
			return float64(d.year - 1)
		case d.millis >= firstWeek(d.year+1, 0):
			return float64(d.year + 1)
		}
		return float64(d.year)
	case 'x':
		m := d.month
		switch {
		case d.millis < firstWeek(d.year, m):
			m += 11
		case d.millis >= firstWeek(d.year, m+1):
			m++
		}
		return float64(m%12 + 1)
	case 'H':
		return float64(d.hour)
	case 'h':
		return float64((d.hour+11)%12 + 1)
	case 'P':
		return float64(d.hour / 12)
	case 'm':
		return float64(d.minute)
	case 's':
		return float64(d.sec)
	case 'f':
		return float64(d.ms)
	}
	return math.NaN()
}

var (
	monthNames = strings.Fields("January February March April May June July August September October November December")
	dayNames   = strings.Fields("Monday Tuesday Wednesday Thursday Friday Saturday Sunday")
)

// zone is an offset from UTC.
type zone struct{ hours, minutes float64 }

func formatDate(c *run, millis float64, picture, offset item) item {
	spec := isoDate
	if !picture.isUndefined() {
		c.step(10 * len(picture.str()))
		c.alloc(8 * len(picture.str()))
	}
	var z zone
	if !offset.isUndefined() {
		f := parseInt(offset.str())
		z = zone{math.Floor(f / 100), math.Mod(f, 100)}
	}
	if !picture.isUndefined() {
		spec = parseDatePicture(picture.str())
	}
	d, ok := dateOf(millis + (60*z.hours+z.minutes)*60_000)
	var b strings.Builder
	for i := range spec {
		p := &spec[i]
		if p.component == 0 {
			b.WriteString(p.literal)
			continue
		}
		b.WriteString(p.show(c, d, ok, z))
	}
	c.alloc(b.Len())
	return str(b.String())
}

func (p *datePart) show(c *run, d date, ok bool, z zone) string {
	switch p.component {
	case 'Z', 'z':
		return p.zone(c, z)
	case 'P':
		s := "am"
		if d.hour >= 12 {
			s = "pm"
		}
		if p.named && p.names == upperCase {
			return strings.ToUpper(s)
		}
		return s
	case 'C', 'E':
		return "ISO"
	}
	f := d.part(p.component)
	if !ok {
		f = math.NaN()
	}
	if p.component == 'Y' && p.digits >= 0 {
		f = math.Mod(f, raise(10, float64(p.digits)))
	}
	if p.named && p.component != 'f' {
		return p.name(c, f)
	}
	if p.format == nil {
		c.complain("Cannot read properties of undefined (reading 'primary')")
	}
	return p.format.format(c, f)
}

func (p *datePart) name(c *run, f float64) string {
	var names []string
	switch p.component {
	case 'M', 'x':
		names = monthNames
	case 'F':
		names = dayNames
	default:
		fail("D3133").withValue(str(string(p.component))).raise()
	}
	if f != f {
		switch p.names {
		case lowerCase:
			c.complain("Cannot read properties of undefined (reading 'toLowerCase')")
		case upperCase:
			c.complain("Cannot read properties of undefined (reading 'toUpperCase')")
		}
		return "undefined"
	}
	s := names[int(f)-1]
	switch p.names {
	case upperCase:
		s = strings.ToUpper(s)
	case lowerCase:
		s = strings.ToLower(s)
	}
	if p.maxWidth >= 0 && len(s) > p.maxWidth {
		s = s[:p.maxWidth]
	}
	return s
}

func (p *datePart) zone(c *run, z zone) string {
	offset := z.hours*100 + z.minutes
	var s string
	switch n := p.format.mandatory; {
	case p.format.regular > 0:
		s = p.format.format(c, offset)
	case n == 1 || n == 2:
		s = p.format.format(c, z.hours)
		if z.minutes != 0 {
			s += ":" + parseIntegerPicture("00").format(c, z.minutes)
		}
	case n == 3 || n == 4:
		s = p.format.format(c, offset)
	default:
		fail("D3134").withValue(integer(n)).raise()
	}
	if offset >= 0 {
		s = "+" + s
	}
	if p.component == 'z' {
		s = "GMT" + s
	}
	if offset == 0 && p.second == 't' {
		return "Z"
	}
	return s
}

func fnFromMillis(c *run, args []item, _ item) item {
	a := arg(args, 0)
	if a.isUndefined() {
		return a
	}
	return formatDate(c, a.float(), arg(args, 1), arg(args, 2))
}

// millis is the time of the evaluation.
func (c *run) millis() int64 {
	if !c.known {
		c.known = true
		if c.env.Millis != nil {
			c.now = c.env.Millis()
		}
	}
	return c.now
}

func fnNow(c *run, args []item, _ item) item {
	return formatDate(c, float64(c.millis()), arg(args, 0), arg(args, 1))
}

func fnMillis(c *run, _ []item, _ item) item { return number(float64(c.millis())) }

func fnToMillis(c *run, args []item, _ item) item {
	a, picture := arg(args, 0), arg(args, 1)
	if a.isUndefined() {
		return a
	}
	c.step(len(a.str()))
	if picture.isUndefined() {
		f, ok := parseISO(a.str())
		if !ok {
			fail("D3110").withValue(a).raise()
		}
		return number(f)
	}
	return parseDatePicture(picture.str()).read(c, a.str())
}

// parseISO reads an ISO 8601 timestamp. What looks like one but is no date
// gives NaN, as in JavaScript.
func parseISO(s string) (millis float64, ok bool) {
	digits := func(n int) (float64, bool) {
		if len(s) < n {
			return 0, false
		}
		f := 0.0
		for i := range n {
			if !isDigit(s[i]) {
				return 0, false
			}
			f = f*10 + float64(s[i]-'0')
		}
		s = s[n:]
		return f, true
	}
	year, ok := digits(4)
	if !ok {
		return 0, false
	}
	month, day := 1.0, 1.0
	if len(s) >= 3 && s[0] == '-' && (s[1] == '0' || s[1] == '1') && isDigit(s[2]) {
		s = s[1:]
		month, _ = digits(2)
	}
	if len(s) >= 3 && s[0] == '-' && s[1] >= '0' && s[1] <= '3' && isDigit(s[2]) && s != "-0" {
		if rest := s[3:]; !strings.HasPrefix(rest, ":") && !(len(rest) > 0 && isDigit(rest[0])) {
			s = s[1:]
			day, _ = digits(2)
		}
	}
	hour, minute, sec, ms := 0.0, 0.0, 0.0, 0.0
	timed := false
	if len(s) >= 9 && s[0] == 'T' && s[3] == ':' && s[6] == ':' && s[1] <= '2' && s[4] <= '5' && s[7] <= '5' {
		s = s[1:]
		var a, b, d bool
		hour, a = digits(2)
		s = strings.TrimPrefix(s, ":")
		minute, b = digits(2)
		s = strings.TrimPrefix(s, ":")
		sec, d = digits(2)
		if timed = a && b && d; !timed {
			return 0, false
		}
	}
	fraction := false
	if strings.HasPrefix(s, ".") {
		s = s[1:]
		n := 0
		for n < len(s) && isDigit(s[n]) {
			if n < 3 {
				ms += float64(s[n]-'0') * raise(10, float64(2-n))
			}
			n++
		}
		if n == 0 {
			return 0, false
		}
		s = s[n:]
		fraction = true
	}
	offset := 0.0
	if s == "Z" {
		s = ""
	} else if len(s) >= 5 && (s[0] == '+' || s[0] == '-') {
		sign := 1.0
		if s[0] == '-' {
			sign = -1
		}
		tz := strings.Replace(s[1:], ":", "", 1)
		if len(s) > 6 || len(tz) != 4 || len(s) == 6 && s[3] != ':' || tz[0] > '2' || tz[2] > '5' {
			return 0, false
		}
		for i := range 4 {
			if !isDigit(tz[i]) {
				return 0, false
			}
		}
		offset = sign * (float64(tz[0]-'0')*600 + float64(tz[1]-'0')*60 + float64(tz[2]-'0')*10 + float64(tz[3]-'0'))
		s = ""
	}
	if s != "" {
		return 0, false
	}
	limit := hour > 24 || hour == 24 && (minute > 0 || sec > 0 || ms > 0)
	if month < 1 || month > 12 || day < 1 || day > 31 || limit || fraction && !timed {
		return math.NaN(), true
	}
	t := float64(time.Date(int(year), time.Month(int(month)), int(day), 0, 0, 0, 0, time.UTC).Unix()) * 1000
	return t + hour*3_600_000 + minute*60_000 + sec*1000 + ms - offset*60_000, true
}

// read reads a timestamp by a picture; what does not match is undefined.
func (spec datePicture) read(c *run, text string) item {
	var pattern strings.Builder
	pattern.WriteString("^")
	for i := range spec {
		pattern.WriteString("(" + spec[i].pattern() + ")")
	}
	pattern.WriteString("$")
	re := compileRegex(pattern.String(), "i")
	in := c.units(text)
	m := re.matcher(c, in)
	if !m.find(0) {
		return undefined
	}
	groups := m.groups()
	parts := map[byte]float64{}
	for i := range spec {
		if p := &spec[i]; p.component != 0 {
			if f, ok := p.value(c, groups.at(i).str()); ok {
				parts[p.component] = f
			} else {
				parts[p.component] = math.Inf(1) // given, but not known
			}
		}
	}
	if len(parts) == 0 {
		return undefined
	}
	return number(c.assemble(parts))
}

const regexSpecial = `.*+?^${}()|[]\`

// pattern is the regular expression of a part.
func (p *datePart) pattern() string {
	if p.component == 0 {
		var b strings.Builder
		for _, ch := range chars(p.literal) {
			if strings.Contains(regexSpecial, ch) {
				b.WriteByte('\\')
			}
			b.WriteString(ch)
		}
		return b.String()
	}
	if p.component == 'Z' || p.component == 'z' {
		s := "[-+][0-9]+"
		if p.component == 'z' {
			s = "GMT" + s
		}
		if p.format.regular > 0 {
			s += p.format.groups[0].sign + "[0-9]+"
		}
		return s
	}
	if p.format == nil {
		if strings.IndexByte("MxFP", p.component) < 0 {
			fail("D3133").withValue(str(string(p.component))).raise()
		}
		return "[a-zA-Z]+"
	}
	switch p.format.style {
	case inLetters:
		if p.format.letters == upperCase {
			return "[A-Z]+"
		}
		return "[a-z]+"
	case inRoman:
		if p.format.letters == upperCase {
			return "[MDCLXVI]+"
		}
		return "[mdclxvi]+"
	case inWords:
		return "(?:" + wordPattern + ")+"
	case inUnknown:
		fail("D3130").withValue(str(p.format.token)).raise()
	}
	s := "[0-9]+"
	if p.format.width > 0 {
		s = "[0-9]{" + itoa(p.format.width) + "}"
	}
	if p.format.ordinal {
		s += "(?:th|st|nd|rd)"
	}
	return s
}

// wordPattern has the words in the order in which the library tries them.
var wordPattern = func() string {
	var words []string
	add := func(list []string, change func(string) string) {
		for _, w := range list {
			words = append(words, change(strings.ToLower(w)))
		}
	}
	same := func(s string) string { return s }
	add(fewWords, same)
	add(ordinalWords, same)
	for _, w := range decadeWords {
		w = strings.ToLower(w)
		words = append(words, w, w[:len(w)-1]+"ieth")
	}
	words = append(words, "hundredth", "hundred")
	for _, w := range powerWords {
		words = append(words, strings.ToLower(w), strings.ToLower(w)+"th")
	}
	return strings.Join(append(words, "and", `[\-, ]`), "|")
}()

// value is what the text of a part stands for.
func (p *datePart) value(c *run, text string) (float64, bool) {
	switch p.component {
	case 'Z', 'z':
		return p.zoneValue(strings.TrimPrefix(strings.TrimPrefix(text, "GMT"), "gmt")), true
	}
	if p.format != nil {
		return p.format.parse(c, text), true
	}
	if p.component == 'P' {
		switch text {
		case "am", "AM":
			return 0, true
		case "pm", "PM":
			return 1, true
		}
		return 0, false
	}
	names := monthNames
	if p.component == 'F' {
		names = dayNames
	}
	found, ok := 0.0, false
	for i, name := range names {
		if p.maxWidth > 0 && len(name) > p.maxWidth {
			name = name[:p.maxWidth]
		}
		if name == text {
			found, ok = float64(i+1), true
		}
	}
	return found, ok
}

func (p *datePart) zoneValue(text string) float64 {
	if p.format.regular > 0 {
		hours, minutes, _ := strings.Cut(text, p.format.groups[0].sign)
		return parseInt(hours)*60 + parseInt(minutes)
	}
	if len(text) <= 3 {
		return parseInt(text) * 60
	}
	return parseInt(text[:3])*60 + parseInt(text[3:])
}

// assemble makes a time of the components given. Larger ones that are missing
// are those of now, smaller ones zero; a gap between is an error.
func (c *run) assemble(given map[byte]float64) float64 {
	within := func(all, type_ string) bool {
		any := false
		for i := range all {
			f, ok := given[all[i]]
			if !ok || f == 0 || f != f {
				continue
			}
			if strings.IndexByte(type_, all[i]) < 0 {
				return false
			}
			any = true
		}
		return any
	}
	dates, times := "YXMxWwdD", "PHhmsf"
	dayOfYear := !within(dates, "YMD") && within(dates, "Yd")
	monthWeek := within(dates, "Xxw")
	yearWeek := !monthWeek && within(dates, "XW")
	twelve := !within(times, "Hmsf") && within(times, "Phmsf")
	order := "YMD"
	switch {
	case dayOfYear:
		order = "YD"
	case monthWeek:
		order = "XxwF"
	case yearWeek:
		order = "XWF"
	}
	if twelve {
		order += "Phmsf"
	} else {
		order += "Hmsf"
	}
	now, _ := dateOf(float64(c.millis()))
	started, ended := false, false
	for i := range order {
		f, ok := given[order[i]]
		switch {
		case ok && !math.IsInf(f, 1):
			started = true
			if ended {
				fail("D3136").raise()
			}
		case started:
			f = 0
			if strings.IndexByte("MDd", order[i]) >= 0 {
				f = 1
			}
			given[order[i]] = f
			ended = true
		default:
			given[order[i]] = now.part(order[i])
		}
	}
	month := 0.0
	if m := given['M']; m > 0 {
		month = m - 1
	}
	if monthWeek || yearWeek {
		fail("D3136").raise()
	}
	day, hour := given['D'], given['H']
	if dayOfYear {
		d, ok := dateOf(utc(given['Y'], 0, 1, 0, 0, 0, 0) + (given['d']-1)*dayMillis)
		if !ok {
			return math.NaN()
		}
		month, day = float64(d.month), float64(d.day)
	}
	if twelve {
		hour = given['h']
		if hour == 12 {
			hour = 0
		}
		if given['P'] == 1 {
			hour += 12
		}
	}
	millis := utc(given['Y'], month, day, hour, given['m'], given['s'], given['f'])
	offset := given['Z']
	if offset == 0 || offset != offset {
		offset = given['z']
	}
	if offset == offset {
		millis -= offset * 60_000
	}
	return millis
}
