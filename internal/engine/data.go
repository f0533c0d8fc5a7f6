package engine

import "github.com/lockstep-run/lockstep/asl/value"

// Data is a JSON payload. It travels as the text it came in until something
// looks into it, and is written as that text again where nothing changed it.
// A Data belongs to one execution at a time: its methods fill in what is
// missing and may not be called concurrently.
type Data struct {
	text  string
	value value.Value
}

// stored reads texts that were accepted before: putting values into each other
// may have made them deeper than what is accepted from outside.
var stored = value.Options{MaxDepth: defaultPayload}

// Text makes Data from JSON text that is known to be valid.
func Text(text string) *Data { return &Data{text: text} }

// ValueData makes Data from a value.
func ValueData(v value.Value) *Data { return &Data{value: v} }

// JSON gives the payload as text.
func (d *Data) JSON() string {
	if d.text == "" {
		d.text = d.value.JSON()
	}
	return d.text
}

// Value gives the payload as a value, absent if its text is not JSON.
func (d *Data) Value() value.Value {
	if d.value.IsAbsent() {
		d.value, _ = stored.Parse(d.text)
	}
	return d.value
}

// Size is the length of the payload's text in bytes.
func (d *Data) Size() int {
	if d.text != "" {
		return len(d.text)
	}
	return d.value.Size()
}
