package jsonata

// builtins are the functions of the language, with the library's signatures and
// the number of arguments that each looks at.
var builtins map[string]*function

func init() {
	builtins = map[string]*function{}
	def := func(name, sig string, arity int, f native) {
		builtins[name] = &function{name: name, arity: arity, params: arity, sig: parseSignature(sig, 0), native: f, site: &site{name: str(name)}}
		passed(functionItem(builtins[name])) // shared between evaluations, so it must not change later
	}
	def("sum", "<a<n>:n>", 1, fnSum)
	def("count", "<a:n>", 1, fnCount)
	def("max", "<a<n>:n>", 1, fnMax)
	def("min", "<a<n>:n>", 1, fnMin)
	def("average", "<a<n>:n>", 1, fnAverage)
	def("string", "<x-b?:s>", 1, fnString)
	def("substring", "<s-nn?:s>", 3, fnSubstring)
	def("substringBefore", "<s-s:s>", 2, fnSubstringBefore)
	def("substringAfter", "<s-s:s>", 2, fnSubstringAfter)
	def("lowercase", "<s-:s>", 1, fnLowercase)
	def("uppercase", "<s-:s>", 1, fnUppercase)
	def("length", "<s-:n>", 1, fnLength)
	def("trim", "<s-:s>", 1, fnTrim)
	def("pad", "<s-ns?:s>", 3, fnPad)
	def("match", "<s-f<s:o>n?:a<o>>", 3, fnMatch)
	def("contains", "<s-(sf):b>", 2, fnContains)
	def("replace", "<s-(sf)(sf)n?:s>", 4, fnReplace)
	def("split", "<s-(sf)n?:a<s>>", 3, fnSplit)
	def("join", "<a<s>s?:s>", 2, fnJoin)
	def("formatNumber", "<n-so?:s>", 3, fnFormatNumber)
	def("formatBase", "<n-n?:s>", 2, fnFormatBase)
	def("formatInteger", "<n-s:s>", 2, fnFormatInteger)
	def("parseInteger", "<s-s:n>", 2, fnParseInteger)
	def("number", "<(nsb)-:n>", 1, fnNumber)
	def("floor", "<n-:n>", 1, fnFloor)
	def("ceil", "<n-:n>", 1, fnCeil)
	def("round", "<n-n?:n>", 2, fnRound)
	def("abs", "<n-:n>", 1, fnAbs)
	def("sqrt", "<n-:n>", 1, fnSqrt)
	def("power", "<n-n:n>", 2, fnPower)
	def("boolean", "<x-:b>", 1, fnBoolean)
	def("not", "<x-:b>", 1, fnNot)
	def("map", "<af>", 2, fnMap)
	def("zip", "<a+>", 0, fnZip)
	def("filter", "<af>", 2, fnFilter)
	def("single", "<af?>", 2, fnSingle)
	def("reduce", "<afj?:j>", 3, fnReduce)
	def("sift", "<o-f?:o>", 2, fnSift)
	def("keys", "<x-:a<s>>", 1, fnKeys)
	def("lookup", "<x-s:x>", 2, fnLookup)
	def("append", "<xx:a>", 2, fnAppend)
	def("exists", "<x:b>", 1, fnExists)
	def("spread", "<x-:a<o>>", 1, fnSpread)
	def("merge", "<a<o>:o>", 1, fnMerge)
	def("reverse", "<a:a>", 1, fnReverse)
	def("each", "<o-f:a>", 2, fnEach)
	def("error", "<s?:x>", 1, fnError)
	def("assert", "<bs?:x>", 2, fnAssert)
	def("type", "<x:s>", 1, fnType)
	def("sort", "<af?:a>", 2, fnSort)
	def("shuffle", "<a:a>", 1, fnShuffle)
	def("distinct", "<x:x>", 1, fnDistinct)
	def("base64encode", "<s-:s>", 1, fnBase64Encode)
	def("base64decode", "<s-:s>", 1, fnBase64Decode)
	def("encodeUrlComponent", "<s-:s>", 1, urlEncoder("encodeUrlComponent", ""))
	def("encodeUrl", "<s-:s>", 1, urlEncoder("encodeUrl", ";/?:@&=+$,#"))
	def("decodeUrlComponent", "<s-:s>", 1, urlDecoder("decodeUrlComponent", ""))
	def("decodeUrl", "<s-:s>", 1, urlDecoder("decodeUrl", ";/?:@&=+$,#"))
	def("toMillis", "<s-s?:n>", 2, fnToMillis)
	def("fromMillis", "<n-s?s?:s>", 3, fnFromMillis)
	def("clone", "<(oa)-:o>", 1, fnClone)
	def("now", "<s?s?:s>", 2, fnNow)
	def("millis", "<:n>", 0, fnMillis)

	// What Step Functions adds.
	def("random", "<n?:n>", 0, fnRandom)
	def("partition", "<an:a>", 2, fnPartition)
	def("range", "<nnn:a>", 3, fnRange)
	def("hash", "<s-s:s>", 2, fnHash)
	def("uuid", "<:s>", 0, fnUUID)
	def("parse", "<s-:x>", 1, fnParse)
}

// nativeParams is how many parameters a built-in function is declared with,
// those with a default included.
func nativeParams(f *function) int {
	switch f.name {
	case "string":
		fail("S0208").at(26).withToken("=").withValue(integer(2)).raise() // as the library stumbles over the default
	case "":
		return max(f.params, f.arity)
	}
	return f.arity
}
