package value

import (
	"math"
	"strconv"
	"strings"
)

// appendFloat writes f as JavaScript does: the shortest digits that read back
// as f, with an exponent below 1e-6 and from 1e21 on; -0 is 0.
func appendFloat(dst []byte, f float64) []byte {
	abs := math.Abs(f)
	if abs < maxSafe && f == math.Trunc(f) {
		return strconv.AppendInt(dst, int64(f), 10)
	}
	if 1e-6 <= abs && abs < 1e21 {
		return strconv.AppendFloat(dst, f, 'f', -1, 64)
	}
	dst = strconv.AppendFloat(dst, f, 'e', -1, 64)
	if n := len(dst); dst[n-2] == '0' && (dst[n-3] == '-' || dst[n-3] == '+') { // e-07 is e-7
		dst[n-2] = dst[n-1]
		dst = dst[:n-1]
	}
	return dst
}

// decimal is a number taken apart: ±0.digits × 10^exp, digits without zeros at
// either end. Zero has no digits.
type decimal struct {
	negative bool
	digits   string
	exp      int
}

// decimalOf takes the text of a JSON number apart.
func decimalOf(text string) decimal {
	text, negative := strings.CutPrefix(text, "-")
	exp := 0
	if i := strings.IndexAny(text, "eE"); i >= 0 {
		var err error
		if exp, err = strconv.Atoi(text[i+1:]); err != nil {
			exp = math.MaxInt32 // so far out that it can only be no integer
			if text[i+1] == '-' {
				exp = math.MinInt32
			}
		}
		text = text[:i]
	}
	whole, fraction, _ := strings.Cut(text, ".")
	digits := strings.TrimLeft(whole+fraction, "0")
	exp += len(digits) - len(fraction)
	digits = strings.TrimRight(digits, "0")
	return decimal{negative && digits != "", digits, exp}
}

// parseInt returns the integer that text stands for, if it stands for one that
// fits.
func parseInt(text string) (int64, bool) {
	d := decimalOf(text)
	if d.digits == "" {
		return 0, true
	}
	if d.exp < len(d.digits) || d.exp > 19 {
		return 0, false
	}
	digits := d.digits + strings.Repeat("0", d.exp-len(d.digits))
	if d.negative {
		digits = "-" + digits
	}
	i, err := strconv.ParseInt(digits, 10, 64)
	return i, err == nil
}

// exactInt reports whether text stands for i and not for a neighbour too close
// for a float64.
func exactInt(text string, i int64) bool {
	exact, ok := parseInt(text)
	return ok && exact == i
}

func shorten(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return strings.ToValidUTF8(s[:n], "") + "…"
}
