package deepspeed

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// write adds text.
func (d *draft) write(format string, args ...any) { fmt.Fprintf(&d.text, format, args...) }

// line adds a line, with a comment if there is one.
func (d *draft) line(text, comment string) {
	if comment != "" {
		comment = "  # " + comment
	}
	d.write("%s%s\n", text, comment)
}

// orFillIn returns a value as YAML, or FillIn.
func orFillIn(value string) string {
	if value == "" {
		return FillIn
	}
	return scalar(value)
}

// missing returns a comment for a value that is to be filled in.
func missing(value, comment string) string {
	if value == "" || value == FillIn {
		return comment
	}
	return ""
}

// simple matches what YAML reads as a text without quotes, words with a meaning
// of their own excepted.
var simple = regexp.MustCompile(`^(\.{0,2}/)?[A-Za-z][A-Za-z0-9_./=@-]*$`)

// scalar writes a text as YAML. Go's ASCII quotes are a part of YAML's.
func scalar(text string) string {
	words := []string{"true", "false", "null", "yes", "no", "on", "off", "y", "n"}
	if simple.MatchString(text) && !slices.Contains(words, strings.ToLower(text)) {
		return text
	}
	return strconv.QuoteToASCII(text)
}

// listText writes a list of numbers.
func listText(values []float64) string {
	texts := make([]string, len(values))
	for i, v := range values {
		texts[i] = numberText(v)
	}
	return "[" + strings.Join(texts, ", ") + "]"
}
