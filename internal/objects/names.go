package objects

import (
	"strings"
	"unicode/utf8"
)

// A key becomes a path: its parts between slashes are folders and a file, so
// that whoever looks into the directory, or puts files there by hand, finds
// what they expect. What a file system does not take, or takes for something
// else, is written with a percent sign:
//
//	%41   a byte, in hex
//	%_    an empty part: the key "a//b" is a/%_/b, "a/" is a/%_
//	%f    at the end of a file's name: there is a folder of that name, too
//	%+    at the end of a folder's name: the part goes on inside of it
//
// No key gives a part that is "." or "..", begins with a slash or has a
// backslash, so no path leads out of the bucket's folder.
const (
	emptyPart  = "%_"
	besideDir  = "%f"
	continued  = "%+"
	maxSegment = 200 // bytes of a name; file systems take 255
)

const hexDigits = "0123456789ABCDEF"

// pathOf gives the path of a key inside its bucket's folder.
func pathOf(key string) string {
	var b strings.Builder
	b.Grow(len(key) + 8)
	for i, part := range strings.Split(key, "/") {
		if i > 0 {
			b.WriteByte('/')
		}
		writePart(&b, part)
	}
	return b.String()
}

func writePart(b *strings.Builder, part string) {
	if part == "" {
		b.WriteString(emptyPart)
		return
	}
	length := 0
	for i := 0; i < len(part); {
		_, size := utf8.DecodeRuneInString(part[i:])
		plain := isPlain(part, i)
		need := size
		if !plain {
			need = 3 // what is not plain is ASCII
		}
		if length+need > maxSegment {
			b.WriteString(continued + "/")
			length = 0
		}
		if plain {
			b.WriteString(part[i : i+size])
		} else {
			b.WriteString("%" + string(hexDigits[part[i]>>4]) + string(hexDigits[part[i]&15]))
		}
		length += need
		i += size
	}
}

// isPlain says whether the character at i of part stands for itself. Dots and
// spaces do not at the end, where Windows drops them, nor dots at the beginning
// of "." and "..".
func isPlain(part string, i int) bool {
	switch c := part[i]; {
	case c < ' ' || c == 0x7f:
		return false
	case c == '.' || c == ' ':
		return i < len(part)-1 && part != ".."
	default:
		return !strings.ContainsRune(`%\:*?"<>|`, rune(c)) || c >= utf8.RuneSelf
	}
}

// entryName turns the name of a folder's entry back into a part of a key, or the
// beginning of one where more is set; ok is false for what no key has as its
// path, such as files of the file system's own with a percent sign in them.
func entryName(name string, dir bool) (part string, more, ok bool) {
	if dir {
		name, more = strings.CutSuffix(name, continued)
	} else {
		name = strings.TrimSuffix(name, besideDir)
	}
	if name == emptyPart && !more {
		return "", false, true
	}
	if !strings.Contains(name, "%") {
		return name, more, utf8.ValidString(name) && name != ""
	}
	var b strings.Builder
	for i := 0; i < len(name); i++ {
		if name[i] != '%' {
			b.WriteByte(name[i])
			continue
		}
		if i+2 >= len(name) {
			return "", false, false
		}
		hi, lo := strings.IndexByte(hexDigits, name[i+1]), strings.IndexByte(hexDigits, name[i+2])
		if hi < 0 || lo < 0 {
			return "", false, false
		}
		b.WriteByte(byte(hi<<4 | lo))
		i += 2
	}
	part = b.String()
	return part, more, utf8.ValidString(part) && !strings.Contains(part, "/")
}
