// Package words writes numbers and phrases as people read them, in pages, tables and
// messages: amounts with three digits, losses, durations, lists, Markdown tables.
package words

import (
	"cmp"
	"strings"
	"unicode"
)

// List joins parts as prose does.
func List(parts []string) string {
	if len(parts) < 2 {
		return strings.Join(parts, "")
	}
	last := len(parts) - 1
	return strings.Join(parts[:last], ", ") + " and " + parts[last]
}

// Prose keeps together what a line should not be broken within: "33 %",
// "held-out", "layer-tokens".
func Prose(s string) string {
	return strings.NewReplacer(" %", "\u00a0%", "held-out", "held\u2011out", "layer-tokens", "layer\u2011tokens").Replace(s)
}

// Printable keeps what a terminal shows and does not obey: a log may come from
// anywhere.
func Printable(s string) string {
	s = strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r):
			return ' '
		case !unicode.IsPrint(r):
			return -1
		}
		return r
	}, s)
	return strings.Join(strings.Fields(s), " ")
}

// Brief cuts a hash to what tells it apart at a glance.
func Brief(hash string) string {
	if r := []rune(hash); len(r) > 12 {
		return string(r[:12])
	}
	return hash
}

// Unit names what losses are counted in, of runs that predict something: the key
// Predicts of a runlog.Run.
func Unit(predicts string) string {
	noun := cmp.Or(Printable(predicts), "token")
	if strings.ContainsRune("aeiou", rune(noun[0])) {
		return "nats an " + noun
	}
	return "nats a " + noun
}

// FileName keeps what any file system takes.
func FileName(s string) string {
	b := []byte(s)
	for i, c := range b {
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '-', c == '_', c == '.':
		default:
			b[i] = '_'
		}
	}
	return string(b)
}
