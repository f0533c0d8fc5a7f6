package jsonata

import (
	"math"
	"math/big"
	"strconv"
	"strings"
)

func fnSum(c *run, args []item, _ item) item {
	a := arg(args, 0)
	if a.isUndefined() {
		return a
	}
	total := 0.0
	n := a.len()
	c.step(n)
	for i := range n {
		total += a.at(i).float()
	}
	return number(total)
}

func fnCount(_ *run, args []item, _ item) item {
	a := arg(args, 0)
	if a.isUndefined() {
		return integer(0)
	}
	return integer(a.len())
}

func fnMax(c *run, args []item, _ item) item { return extreme(c, arg(args, 0), 1) }
func fnMin(c *run, args []item, _ item) item { return extreme(c, arg(args, 0), -1) }

func extreme(c *run, a item, sign float64) item {
	if a.len() == 0 {
		return undefined
	}
	c.step(a.len())
	best := a.at(0).float()
	for i := range a.len() {
		if f := a.at(i).float(); f*sign > best*sign {
			best = f
		}
	}
	return number(best)
}

func fnAverage(c *run, args []item, in item) item {
	a := arg(args, 0)
	if a.len() == 0 {
		return undefined
	}
	return number(fnSum(c, args, in).float() / float64(a.len()))
}

// numeric wraps a function of one number; nothing gives nothing.
func numeric(args []item, f func(float64) float64) item {
	if arg(args, 0).isUndefined() {
		return undefined
	}
	return number(f(args[0].float()))
}

func fnFloor(_ *run, args []item, _ item) item { return numeric(args, math.Floor) }
func fnCeil(_ *run, args []item, _ item) item  { return numeric(args, math.Ceil) }
func fnAbs(_ *run, args []item, _ item) item   { return numeric(args, math.Abs) }

func fnSqrt(_ *run, args []item, _ item) item {
	if arg(args, 0).float() < 0 {
		fail("D3060").withIndex(1).withValue(args[0]).raise()
	}
	return numeric(args, math.Sqrt)
}

func fnPower(c *run, args []item, _ item) item {
	a, b := arg(args, 0), arg(args, 1)
	if a.isUndefined() {
		return a
	}
	c.step(300)
	r := raise(a.float(), b.float())
	if f := b.float(); math.IsInf(f, 0) && math.Abs(a.float()) == 1 || f != f {
		r = math.NaN() // where JavaScript departs from C
	}
	if r-r != 0 {
		f := fail("D3061").withIndex(1).withValue(a)
		f.exp = b
		f.raise()
	}
	return number(r)
}

// raise is a to the power of b, correctly rounded, on every machine alike.
func raise(a, b float64) float64 {
	whole := b == math.Trunc(b)
	if a-a != 0 || b-b != 0 || a == 0 || !whole && a < 0 || math.Abs(b*math.Log2(math.Abs(a))) > 1100 {
		return math.Pow(a, b) // 0, an infinity or NaN
	}
	var r *big.Float
	if whole && math.Abs(b) <= 1100 {
		r = exact(1)
		x := exact(a) // 53 bits and at most 11 multiplications behind them
		for n := int(math.Abs(b)); n > 0; n >>= 1 {
			if n&1 == 1 {
				r.Mul(r, x)
			}
			x.Mul(x, x)
		}
		if b < 0 {
			r.Quo(exact(1), r)
		}
	} else {
		x := logarithm(math.Abs(a))
		r = exponential(x.Mul(x, exact(b)))
		if a < 0 && math.Mod(b, 2) != 0 {
			r.Neg(r)
		}
	}
	f, _ := r.Float64()
	return f
}

// exact is f with room for what is computed from it.
func exact(f float64) *big.Float { return new(big.Float).SetPrec(160).SetFloat64(f) }

var halfLog2 = halfLog(exact(2))

// logarithm is the natural logarithm of a > 0.
func logarithm(a float64) *big.Float {
	m, e := math.Frexp(a)
	if m < math.Sqrt2/2 {
		m, e = 2*m, e-1
	}
	r := halfLog(exact(m))
	return r.Add(r, exact(0).Mul(halfLog2, exact(float64(e)))).Mul(r, exact(2))
}

// halfLog is half the logarithm of m, somewhere near 1: the series of
// artanh((m-1)/(m+1)).
func halfLog(m *big.Float) *big.Float {
	z := exact(0).Quo(exact(0).Sub(m, exact(1)), exact(0).Add(m, exact(1)))
	sum, power, square := exact(0), exact(0).Set(z), exact(0).Mul(z, z)
	for n := 1.0; power.Sign() != 0 && power.MantExp(nil) > -140; n += 2 {
		sum.Add(sum, exact(0).Quo(power, exact(n)))
		power.Mul(power, square)
	}
	return sum
}

// exponential is e to the power of x.
func exponential(x *big.Float) *big.Float {
	log2 := exact(0).Mul(halfLog2, exact(2))
	f, _ := exact(0).Quo(x, log2).Float64()
	k := math.Round(f)
	x = exact(0).Sub(x, exact(0).Mul(log2, exact(k)))
	sum, term := exact(1), exact(1)
	for n := 1.0; term.Sign() != 0 && term.MantExp(nil) > -140; n++ {
		term.Quo(term.Mul(term, x), exact(n))
		sum.Add(sum, term)
	}
	return sum.SetMantExp(sum, int(k))
}

func fnRound(c *run, args []item, _ item) item {
	a, p := arg(args, 0), arg(args, 1)
	if a.isUndefined() {
		return a
	}
	f := a.float()
	digits := p.float()
	if p.isUndefined() {
		digits = 0
	}
	if digits != math.Floor(digits) && c.env.note != nil {
		c.env.note(fractionalRound)
	}
	digits = math.Floor(digits)
	if digits != 0 {
		f = shiftDecimal(f, digits)
	}
	r := math.Floor(f + 0.5)
	if math.Abs(f) > 1<<52 || f-f != 0 {
		r = f
	} else if diff := r - f; diff == 1 { // adding rounded up what is just below a half
		r--
	}
	if math.Abs(r-f) == 0.5 && math.Mod(math.Abs(r), 2) == 1 {
		r--
	}
	if digits != 0 {
		r = shiftDecimal(r, -digits)
	}
	if r == 0 {
		r = 0
	}
	return number(r)
}

// shiftDecimal moves the decimal point of the shortest text of f, which avoids
// the error that multiplying would bring.
func shiftDecimal(f, digits float64) float64 {
	if f-f != 0 {
		return f
	}
	mantissa, exp, _ := strings.Cut(numberText(f), "e")
	e := 0.0
	if exp != "" {
		e, _ = strconv.ParseFloat(exp, 64)
	}
	if e+digits > 1e6 || e+digits < -1e6 {
		digits = math.Copysign(1e6, digits)
	}
	r, _ := strconv.ParseFloat(mantissa+"e"+strconv.FormatFloat(e+digits, 'f', 0, 64), 64)
	return r
}

// fnNumber casts strings and booleans to numbers.
func fnNumber(_ *run, args []item, _ item) item {
	a := arg(args, 0)
	switch a.typ() {
	case tUndefined, tNumber:
		return a
	case tBool:
		if a.v.Bool() {
			return integer(1)
		}
		return integer(0)
	case tString:
		if f, ok := parseNumber(a.str()); ok {
			return number(f)
		}
	}
	fail("D3030").withIndex(1).withValue(a).raise()
	return undefined
}

// parseNumber reads what $number accepts: a JSON number, leading zeros allowed,
// or an integer with 0x, 0o or 0b.
func parseNumber(s string) (float64, bool) {
	if len(s) > 2 && s[0] == '0' {
		base := map[byte]int{'x': 16, 'o': 8, 'b': 2}[s[1]|0x20]
		if base > 0 {
			return parseRadix(s[2:], base)
		}
	}
	rest := strings.TrimPrefix(s, "-")
	digits := func() bool {
		n := 0
		for n < len(rest) && isDigit(rest[n]) {
			n++
		}
		rest = rest[n:]
		return n > 0
	}
	if !digits() {
		return 0, false
	}
	if strings.HasPrefix(rest, ".") {
		if rest = rest[1:]; !digits() {
			return 0, false
		}
	}
	if rest != "" && rest[0]|0x20 == 'e' {
		rest = rest[1:]
		if rest != "" && (rest[0] == '-' || rest[0] == '+') {
			rest = rest[1:]
		}
		if !digits() {
			return 0, false
		}
	}
	f, _ := strconv.ParseFloat(s, 64) // an infinity where it is too large
	return f, rest == "" && f-f == 0
}

func parseRadix(s string, base int) (float64, bool) {
	f := 0.0
	for i := 0; i < len(s); i++ {
		c := s[i]
		d := int(c - '0')
		if !isDigit(c) {
			d = int(c|0x20) - 'a' + 10
		}
		if !isDigit(c) && d < 10 || d >= base {
			return 0, false
		}
		f = f*float64(base) + float64(d)
	}
	return f, true
}

func fnFormatBase(c *run, args []item, _ item) item {
	a, r := arg(args, 0), arg(args, 1)
	if a.isUndefined() {
		return a
	}
	f := roundHalfEven(a.float())
	radix := 10.0
	if !r.isUndefined() {
		radix = roundHalfEven(r.float())
	}
	if radix < 2 || radix > 36 {
		fail("D3100").withValue(number(radix)).raise()
	}
	if radix == 10 {
		return str(numberText(f))
	}
	return str(radixText(f, int(radix)))
}

func roundHalfEven(f float64) float64 { return math.RoundToEven(f) }

// radixText writes an integer in a radix.
func radixText(f float64, radix int) string {
	if f-f != 0 {
		return numberText(f)
	}
	n, _ := new(big.Float).SetFloat64(f).Int(nil)
	return n.Text(radix)
}
