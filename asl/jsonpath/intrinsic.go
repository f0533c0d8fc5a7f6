package jsonpath

import (
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/lockstep-run/lockstep/asl/value"
)

// intrinsic is one of the functions of the States Language. The rules are those
// of the AWS guide; where the service was seen to differ from it, the comment
// says so.
type intrinsic struct {
	name     string
	min, max int // number of arguments; max -1 for any
	apply    func(r *run, c *call, args []value.Value) (value.Value, error)
}

// Limits of the AWS guide.
const (
	maxText      = 10_000     // characters, for Base64 and hashes
	maxRange     = 1_000      // items of States.ArrayRange
	maxPartition = 256 * 1024 // bytes of the array for States.ArrayPartition
)

var intrinsics = byName(
	&intrinsic{"States.Array", 0, -1, array},
	&intrinsic{"States.ArrayContains", 2, 2, arrayContains},
	&intrinsic{"States.ArrayGetItem", 2, 2, arrayGetItem},
	&intrinsic{"States.ArrayLength", 1, 1, arrayLength},
	&intrinsic{"States.ArrayPartition", 2, 2, arrayPartition},
	&intrinsic{"States.ArrayRange", 3, 3, arrayRange},
	&intrinsic{"States.ArrayUnique", 1, 1, arrayUnique},
	&intrinsic{"States.Base64Decode", 1, 1, base64Decode},
	&intrinsic{"States.Base64Encode", 1, 1, base64Encode},
	&intrinsic{"States.Format", 1, -1, format},
	&intrinsic{"States.Hash", 2, 2, hash},
	&intrinsic{"States.JsonMerge", 3, 3, jsonMerge},
	&intrinsic{"States.JsonToString", 1, 1, jsonToString},
	&intrinsic{"States.MathAdd", 2, 2, mathAdd},
	&intrinsic{"States.MathRandom", 2, 3, mathRandom},
	&intrinsic{"States.StringSplit", 2, 2, stringSplit},
	&intrinsic{"States.StringToJson", 1, 1, stringToJSON},
	&intrinsic{"States.UUID", 0, 0, uuid},
)

func byName(all ...*intrinsic) map[string]*intrinsic {
	named := make(map[string]*intrinsic, len(all))
	for _, fn := range all {
		named[fn.name] = fn
	}
	return named
}

// refuse is the error for arguments that a function can not work with.
func refuse(c *call) (value.Value, error) {
	return value.Value{}, errors.New("Invalid arguments in " + c.fn.name)
}

// whole returns v as an integer, its fraction cut off as the service does where
// the guide says that it rounds.
func whole(v value.Value) (int64, bool) {
	f := math.Trunc(v.Float())
	if v.Kind() != value.Number || f < math.MinInt32 || f > math.MaxInt32 {
		return 0, false
	}
	return int64(f), true
}

func array(_ *run, _ *call, args []value.Value) (value.Value, error) {
	return value.ArrayOf(args), nil
}

func arrayContains(_ *run, c *call, args []value.Value) (value.Value, error) {
	if args[0].Kind() != value.Array {
		return refuse(c)
	}
	for _, item := range args[0].Items() {
		if value.Equal(item, args[1]) {
			return value.True, nil
		}
	}
	return value.False, nil
}

func arrayGetItem(_ *run, c *call, args []value.Value) (value.Value, error) {
	i, ok := whole(args[1])
	if !ok || args[0].Kind() != value.Array || i < 0 || int(i) >= args[0].Len() {
		return refuse(c)
	}
	return args[0].At(int(i)), nil
}

func arrayLength(_ *run, c *call, args []value.Value) (value.Value, error) {
	if args[0].Kind() != value.Array {
		return refuse(c)
	}
	return value.Int(int64(args[0].Len())), nil
}

func arrayPartition(_ *run, c *call, args []value.Value) (value.Value, error) {
	size, ok := whole(args[1])
	if !ok || size < 1 || args[0].Kind() != value.Array || args[0].Size() > maxPartition {
		return refuse(c)
	}
	items := make([]value.Value, 0, args[0].Len())
	for _, item := range args[0].Items() {
		items = append(items, item)
	}
	var chunks []value.Value
	for len(items) > 0 {
		n := min(int(size), len(items))
		chunks = append(chunks, value.ArrayOf(items[:n:n]))
		items = items[n:]
	}
	return value.ArrayOf(chunks), nil
}

// arrayRange includes the end when a step hits it.
func arrayRange(_ *run, c *call, args []value.Value) (value.Value, error) {
	start, ok1 := whole(args[0])
	end, ok2 := whole(args[1])
	by, ok3 := whole(args[2])
	if !ok1 || !ok2 || !ok3 || by == 0 || (end-start)/by >= maxRange {
		return refuse(c)
	}
	var items []value.Value
	for i := start; by > 0 && i <= end || by < 0 && i >= end; i += by {
		items = append(items, value.Int(i))
	}
	return value.ArrayOf(items), nil
}

// arrayUnique gives the items in the order of a Java HashSet, as the service was
// seen to do: false before true, [2,1] before [1,2].
func arrayUnique(_ *run, c *call, args []value.Value) (value.Value, error) {
	if args[0].Kind() != value.Array {
		return refuse(c)
	}
	var items []value.Value
	var hashes []int32
	seen := map[int32][]value.Value{}
	work := 0 // items whose hashes collide can be made at will
	for _, item := range args[0].Items() {
		h := hashValue(item)
		if work += len(seen[h]); work > maxSteps {
			return refuse(c)
		}
		if slices.ContainsFunc(seen[h], item.Equal) {
			continue
		}
		seen[h] = append(seen[h], item)
		items, hashes = append(items, item), append(hashes, h)
	}
	capacity := 16 // of a HashSet made from a collection of this size
	for capacity < args[0].Len()*4/3+1 {
		capacity *= 2
	}
	return value.ArrayOf(ordered(items, hashOrder(hashes, capacity))), nil
}

func ordered[T any](items []T, order []int) []T {
	result := make([]T, len(items))
	for i, at := range order {
		result[i] = items[at]
	}
	return result
}

// base64Decode is as lenient as the service was seen to be: it passes over
// characters outside of the alphabet, ends at the padding and does not miss it.
func base64Decode(_ *run, c *call, args []value.Value) (value.Value, error) {
	if args[0].Kind() != value.String || units(args[0].Str()) > maxText {
		return refuse(c)
	}
	var clean []byte
	for _, b := range []byte(args[0].Str()) {
		switch {
		case b == '-':
			b = '+'
		case b == '_':
			b = '/'
		}
		if b == '=' {
			break
		}
		if 'a' <= b|0x20 && b|0x20 <= 'z' || '0' <= b && b <= '9' || b == '+' || b == '/' {
			clean = append(clean, b)
		}
	}
	if len(clean)%4 == 1 {
		clean = clean[:len(clean)-1]
	}
	data, err := base64.RawStdEncoding.DecodeString(string(clean))
	if err != nil {
		return refuse(c)
	}
	return value.Str(strings.ToValidUTF8(string(data), "\uFFFD")), nil
}

func base64Encode(_ *run, c *call, args []value.Value) (value.Value, error) {
	if args[0].Kind() != value.String || units(args[0].Str()) > maxText {
		return refuse(c)
	}
	return value.Str(base64.StdEncoding.EncodeToString([]byte(args[0].Str()))), nil
}

// format puts the arguments in the place of each {}. Objects look as Java shows
// maps, null is null (recorded); what States.StringToJson gave is shown as JSON.
func format(_ *run, c *call, args []value.Value) (value.Value, error) {
	if args[0].Kind() != value.String {
		return refuse(c)
	}
	template := args[0].Str()
	if c.args[0].raw != "" {
		template = c.args[0].raw
	}
	var text []byte
	next := 1
	for i := 0; i < len(template); i++ {
		switch ch := template[i]; {
		case ch == '\\' && i+1 < len(template) && strings.IndexByte(`'{}\`, template[i+1]) >= 0:
			i++
			text = append(text, template[i])
		case ch == '{' && strings.HasPrefix(template[i+1:], "}"):
			i++
			if next == len(args) {
				return wrongCount(c)
			}
			text = appendArgument(text, args[next], c.args[next])
			if len(text) > maxResult {
				return value.Value{}, errors.New("The result of States.Format is too large")
			}
			next++
		case ch == '{':
			return value.Value{}, errors.New("Invalid template in States.Format: matching '}' not found for '{'.")
		case ch == '}':
			return value.Value{}, errors.New("Invalid template in States.Format: matching '{' not found for '}'.")
		default:
			text = append(text, ch)
		}
	}
	if next < len(args) {
		return wrongCount(c)
	}
	return value.Str(string(text)), nil
}

func wrongCount(c *call) (value.Value, error) {
	return value.Value{}, errors.New("Invalid arguments in " + c.fn.name + ": number of arguments do not match the occurrences of {}.")
}

func appendArgument(text []byte, v value.Value, arg argument) []byte {
	if arg.call != nil && arg.call.fn.name == "States.StringToJson" {
		return v.Append(text)
	}
	return appendJava(text, v)
}

// hash takes the JSON of what is no string.
func hash(_ *run, c *call, args []value.Value) (value.Value, error) {
	data := args[0].Str()
	if args[0].Kind() != value.String {
		data = args[0].JSON()
	}
	if units(data) > maxText {
		return refuse(c)
	}
	digest := func(sum []byte) (value.Value, error) { return value.Str(hex.EncodeToString(sum)), nil }
	switch args[1].Str() {
	case "MD5":
		sum := md5.Sum([]byte(data))
		return digest(sum[:])
	case "SHA-1":
		sum := sha1.Sum([]byte(data))
		return digest(sum[:])
	case "SHA-256":
		sum := sha256.Sum256([]byte(data))
		return digest(sum[:])
	case "SHA-384":
		sum := sha512.Sum384([]byte(data))
		return digest(sum[:])
	case "SHA-512":
		sum := sha512.Sum512([]byte(data))
		return digest(sum[:])
	}
	return refuse(c)
}

// jsonMerge gives the members in the order of a Java HashMap (recorded).
func jsonMerge(_ *run, c *call, args []value.Value) (value.Value, error) {
	if args[0].Kind() != value.Object || args[1].Kind() != value.Object || args[2].Kind() != value.Bool || args[2].Bool() {
		return refuse(c)
	}
	members := make([]value.Member, 0, args[0].Len()+args[1].Len())
	for _, from := range args[:2] {
		for key, v := range from.Members() {
			members = append(members, value.Member{Key: key, Value: v})
		}
	}
	merged := value.ObjectOf(members)
	hashes := make([]int32, merged.Len())
	for i := range hashes {
		hashes[i] = hashString(merged.Key(i))
	}
	order := hashOrder(hashes, grown(len(hashes)))
	sorted := make([]value.Member, len(order))
	for i, at := range order {
		sorted[i] = value.Member{Key: merged.Key(at), Value: merged.At(at)}
	}
	return value.ObjectOf(sorted), nil
}

func jsonToString(_ *run, _ *call, args []value.Value) (value.Value, error) {
	return value.Str(args[0].JSON()), nil
}

// mathAdd rounds both numbers first, halves up (recorded).
func mathAdd(_ *run, c *call, args []value.Value) (value.Value, error) {
	sum := int64(0)
	for _, arg := range args {
		f := math.Floor(arg.Float() + 0.5)
		if arg.Kind() != value.Number || !fitsInt32(f) {
			return refuse(c)
		}
		sum += int64(f)
	}
	if !fitsInt32(float64(sum)) {
		return refuse(c)
	}
	return value.Int(sum), nil
}

func fitsInt32(f float64) bool { return math.MinInt32 <= f && f <= math.MaxInt32 }

// mathRandom gives the same number for the same seed, that of java.util.Random.
func mathRandom(r *run, c *call, args []value.Value) (value.Value, error) {
	start, ok1 := whole(args[0])
	end, ok2 := whole(args[1])
	if !ok1 || !ok2 || start >= end {
		return refuse(c)
	}
	if len(args) == 3 {
		seed := math.Trunc(args[2].Float())
		if args[2].Kind() != value.Number || math.Abs(seed) >= math.MaxInt64 {
			return refuse(c)
		}
		return value.Int(int64(newRandom(int64(seed)).between(int32(start), int32(end)))), nil
	}
	return value.Int(start + int64(r.random()%uint64(end-start))), nil
}

func (r *run) random() uint64 {
	if r.env.Random == nil {
		return 0
	}
	return r.env.Random()
}

// stringSplit splits at each of the characters, without empty pieces (recorded).
func stringSplit(_ *run, c *call, args []value.Value) (value.Value, error) {
	if args[0].Kind() != value.String || args[1].Kind() != value.String {
		return refuse(c)
	}
	delimiters := map[rune]bool{}
	for _, r := range args[1].Str() {
		delimiters[r] = true
	}
	pieces := strings.FieldsFunc(args[0].Str(), func(r rune) bool { return delimiters[r] })
	items := make([]value.Value, len(pieces))
	for i, piece := range pieces {
		items[i] = value.Str(piece)
	}
	return value.ArrayOf(items), nil
}

// stringToJSON gives null for a blank text, and 0 for -0 (recorded).
func stringToJSON(_ *run, c *call, args []value.Value) (value.Value, error) {
	if args[0].Kind() != value.String {
		return refuse(c)
	}
	text := strings.TrimSpace(args[0].Str())
	if text == "" {
		return value.NullValue, nil
	}
	v, err := value.Parse(text)
	if err != nil {
		return refuse(c)
	}
	if v.NumberText() == "-0" {
		return value.Int(0), nil
	}
	return v, nil
}

// uuid makes a random UUID, version 4.
func uuid(r *run, _ *call, _ []value.Value) (value.Value, error) {
	high, low := r.random(), r.random()
	high = high&^(0xF<<12) | 4<<12
	low = low&^(0b11<<62) | 0b10<<62
	return value.Str(fmt.Sprintf("%08x-%04x-%04x-%04x-%012x", high>>32, high>>16&0xFFFF, high&0xFFFF, low>>48, low&(1<<48-1))), nil
}
