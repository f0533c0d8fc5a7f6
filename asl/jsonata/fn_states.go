package jsonata

import (
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"math"

	"github.com/lockstep-run/lockstep/asl/value"
)

// What Step Functions adds to the language.

// chance64 is the next 64 bits of chance.
func (c *run) chance64() uint64 {
	if c.env.Random != nil {
		return c.env.Random()
	}
	c.seed++
	return mix(c.seed)
}

// mix spreads the bits of x (SplitMix64).
func mix(x uint64) uint64 {
	x += 0x9E3779B97F4A7C15
	x = (x ^ x>>30) * 0xBF58476D1CE4E5B9
	x = (x ^ x>>27) * 0x94D049BB133111EB
	return x ^ x>>31
}

func (c *run) randomFloat() float64 { return float64(c.chance64()>>11) / (1 << 53) }

// fnRandom is a number from 0 up to 1; a seed always gives the same one.
func fnRandom(c *run, args []item, _ item) item {
	if s := arg(args, 0); !s.isUndefined() {
		return number(float64(mix(math.Float64bits(math.Floor(s.float())))>>11) / (1 << 53))
	}
	return number(c.randomFloat())
}

func fnUUID(c *run, _ []item, _ item) item {
	hi, lo := c.chance64()&^0xF000|0x4000, c.chance64()&^(3<<62)|1<<63
	var raw [16]byte
	for i := range 8 {
		raw[i], raw[8+i] = byte(hi>>(56-8*i)), byte(lo>>(56-8*i))
	}
	s := hex.EncodeToString(raw[:])
	return str(s[:8] + "-" + s[8:12] + "-" + s[12:16] + "-" + s[16:20] + "-" + s[20:])
}

// fnPartition cuts an array into arrays of n items, the last one shorter.
func fnPartition(c *run, args []item, _ item) item {
	a, size := arg(args, 0), arg(args, 1)
	if a.isUndefined() || size.isUndefined() {
		return undefined
	}
	n := whole(size, 0)
	if n <= 0 {
		c.complain("The second argument of the partition function must be a positive number")
	}
	var out list
	for i := 0; i < a.len(); i += n {
		var part list
		for j := i; j < min(i+n, a.len()); j++ {
			c.step(1)
			part.push(c, a.at(j))
		}
		out.push(c, part.array(0))
	}
	return out.array(0)
}

// complain fails with a message that the library has no code for.
func (c *run) complain(message string) { panic(&fault{message: message}) }

// fnRange gives the numbers from the first up to the second, which is included,
// in steps of the third.
func fnRange(c *run, args []item, _ item) item {
	from, to, by := arg(args, 0), arg(args, 1), arg(args, 2)
	if from.isUndefined() || to.isUndefined() || by.isUndefined() {
		return undefined
	}
	lo, hi, delta := math.Floor(from.float()), math.Floor(to.float()), math.Floor(by.float())
	if delta == 0 {
		c.complain("The third argument of the range function must not be zero")
	}
	var out list
	for x := lo; delta > 0 && x <= hi || delta < 0 && x >= hi; x += delta {
		c.step(1)
		out.push(c, number(x))
		if x+delta == x {
			break
		}
	}
	return out.array(0)
}

func fnHash(c *run, args []item, _ item) item {
	a, algorithm := arg(args, 0), arg(args, 1)
	if a.isUndefined() || algorithm.isUndefined() {
		return undefined
	}
	s := []byte(a.str())
	c.alloc(len(s))
	c.step(len(s) / 8)
	var sum []byte
	switch algorithm.str() {
	case "MD5":
		h := md5.Sum(s)
		sum = h[:]
	case "SHA-1":
		h := sha1.Sum(s)
		sum = h[:]
	case "SHA-256":
		h := sha256.Sum256(s)
		sum = h[:]
	case "SHA-384":
		h := sha512.Sum384(s)
		sum = h[:]
	case "SHA-512":
		h := sha512.Sum512(s)
		sum = h[:]
	default:
		c.complain("The second argument of the hash function must be one of MD5, SHA-1, SHA-256, SHA-384, SHA-512")
	}
	return str(hex.EncodeToString(sum))
}

// fnParse reads JSON. A number alone that is -0 gives 0 (recorded).
func fnParse(c *run, args []item, _ item) item {
	a := arg(args, 0)
	if a.isUndefined() {
		return a
	}
	c.step(len(a.str()) / 4)
	c.alloc(4 * len(a.str()))
	v, err := value.Parse(a.str())
	if err != nil {
		c.complain("Unable to parse the argument of the parse function as JSON: " + err.Error())
	}
	if v.NumberText() == "-0" {
		v = value.Int(0)
	}
	return plain(v)
}
