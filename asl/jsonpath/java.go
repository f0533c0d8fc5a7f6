package jsonpath

import (
	"cmp"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode/utf16"

	"github.com/lockstep-run/lockstep/asl/value"
)

// Some of what the service answers shows that it is written in Java: the order
// in which a HashMap gives its keys, and how objects look in States.Format.

// hashString is Java's String.hashCode.
func hashString(s string) int32 {
	h := int32(0)
	for _, unit := range utf16.Encode([]rune(s)) {
		h = h*31 + int32(unit)
	}
	return h
}

// hashValue is the hashCode of the Java object for v.
func hashValue(v value.Value) int32 {
	switch v.Kind() {
	case value.Bool:
		if v.Bool() {
			return 1231
		}
		return 1237
	case value.Number:
		return hashNumber(v)
	case value.String:
		return hashString(v.Str())
	case value.Array:
		h := int32(1)
		for _, item := range v.Items() {
			h = h*31 + hashValue(item)
		}
		return h
	case value.Object:
		h := int32(0)
		for key, member := range v.Members() {
			h += hashString(key) ^ hashValue(member)
		}
		return h
	}
	return 0
}

// hashNumber hashes integers as Integer or Long, the rest as Double.
func hashNumber(v value.Value) int32 {
	if i, ok := v.Int64(); ok {
		if int64(int32(i)) == i {
			return int32(i)
		}
		return int32(i ^ int64(uint64(i)>>32))
	}
	bits := math.Float64bits(v.Float())
	return int32(bits ^ bits>>32)
}

// hashOrder returns the order in which a HashMap that was made for capacity
// buckets gives what has the hashes: by bucket, and as they came in each. It is
// a list of positions in hashes.
func hashOrder(hashes []int32, capacity int) []int {
	order := make([]int, len(hashes))
	for i := range order {
		order[i] = i
	}
	bucket := func(h int32) int { return int(uint32(h)^uint32(h)>>16) & (capacity - 1) }
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(bucket(hashes[a]), bucket(hashes[b])) })
	return order
}

// grown returns the capacity that a HashMap has after n entries went in: 16,
// doubled whenever it is more than three quarters full.
func grown(n int) int {
	capacity := 16
	for n > capacity/4*3 {
		capacity *= 2
	}
	return capacity
}

// javaString renders v as Java's toString does: {a=1, b=[x, y]}, strings bare.
func javaString(v value.Value) string {
	if v.Kind() == value.String {
		return v.Str()
	}
	return string(appendJava(nil, v))
}

func appendJava(dst []byte, v value.Value) []byte {
	switch v.Kind() {
	case value.String:
		return append(dst, v.Str()...)
	case value.Array:
		dst = append(dst, '[')
		for i, item := range v.Items() {
			if i > 0 {
				dst = append(dst, ", "...)
			}
			dst = appendJava(dst, item)
		}
		return append(dst, ']')
	case value.Object:
		dst = append(dst, '{')
		for i := range v.Len() {
			if i > 0 {
				dst = append(dst, ", "...)
			}
			dst = append(append(dst, v.Key(i)...), '=')
			dst = appendJava(dst, v.At(i))
		}
		return append(dst, '}')
	}
	return v.Append(dst)
}

// javaClass names the Java class that stands for v.
func javaClass(v value.Value) string {
	switch v.Kind() {
	case value.Bool:
		return "java.lang.Boolean"
	case value.Number:
		return numberClass(v)
	case value.String:
		return "java.lang.String"
	case value.Array:
		return "java.util.ArrayList"
	case value.Object:
		return "java.util.LinkedHashMap"
	}
	return "null"
}

func numberClass(v value.Value) string {
	i, ok := v.Int64()
	switch {
	case !ok:
		return "java.lang.Double"
	case int64(int32(i)) == i:
		return "java.lang.Integer"
	}
	return "java.lang.Long"
}

// double returns f as a number in the text of Java's Double.toString, which the
// functions that compute with doubles give: 6.0, 1.0E7.
func double(f float64) value.Value {
	abs := math.Abs(f)
	var text string
	if abs == 0 || 1e-3 <= abs && abs < 1e7 {
		text = strconv.FormatFloat(f, 'f', -1, 64)
		if !strings.Contains(text, ".") {
			text += ".0"
		}
	} else {
		mantissa, exponent, _ := strings.Cut(strconv.FormatFloat(f, 'E', -1, 64), "E")
		if !strings.Contains(mantissa, ".") {
			mantissa += ".0"
		}
		n, _ := strconv.Atoi(exponent) // written by FormatFloat
		text = mantissa + "E" + strconv.Itoa(n)
	}
	v, err := value.NumberText(text)
	if err != nil { // NaN and the infinities
		return value.NullValue
	}
	return v
}

// random is java.util.Random.
type random struct{ state uint64 }

func newRandom(seed int64) *random {
	return &random{(uint64(seed) ^ 0x5DEECE66D) & (1<<48 - 1)}
}

func (r *random) next(bits uint) int32 {
	r.state = (r.state*0x5DEECE66D + 0xB) & (1<<48 - 1)
	return int32(r.state >> (48 - bits))
}

// between returns a number from start up to but without end.
func (r *random) between(start, end int32) int32 {
	if n := int64(end) - int64(start); n <= math.MaxInt32 {
		return start + r.below(int32(n))
	}
	for {
		if x := r.next(32); start <= x && x < end {
			return x
		}
	}
}

// below is nextInt(n).
func (r *random) below(n int32) int32 {
	u := r.next(31)
	if n&(n-1) == 0 {
		return int32(int64(n) * int64(u) >> 31)
	}
	for u-u%n+(n-1) < 0 { // overflows where u is in the last, shorter stretch
		u = r.next(31)
	}
	return u % n
}
