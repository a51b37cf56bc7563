package prepare

import (
	"encoding/binary"
	"unicode/utf16"
	"unicode/utf8"
)

// quickText is textOf for lines as most are: it passes over the fields that are
// not wanted and builds nothing, which takes a tenth of the time. It returns
// false where it is not sure that the line is right, and what its text is; then
// package encoding/json has to say. The text is part of the line, or, if it has
// escapes, made in scratch, which is returned with room for the next.
func quickText(line []byte, field string, scratch []byte) (text, _ []byte, ok bool) {
	s := scanner{b: line}
	var raw []byte
	escaped, found := false, false
	s.space()
	if !s.byte('{') {
		return nil, scratch, false
	}
	for s.space(); !s.byte('}'); {
		key, odd, ok := s.text()
		if !ok || odd || !ascii(key) {
			return nil, scratch, false
		}
		s.space()
		if !s.byte(':') {
			return nil, scratch, false
		}
		s.space()
		if string(key) == field {
			if raw, escaped, found = s.text(); !found { // of two the last one counts
				return nil, scratch, false
			}
		} else if !s.value(0) {
			return nil, scratch, false
		}
		s.space()
		if s.byte(',') {
			s.space()
			if s.at < len(s.b) && s.b[s.at] == '"' {
				continue
			}
			return nil, scratch, false
		}
		if s.at == len(s.b) || s.b[s.at] != '}' {
			return nil, scratch, false
		}
	}
	s.space()
	if s.at != len(s.b) || !found || !utf8.Valid(raw) {
		return nil, scratch, false
	}
	if !escaped {
		return raw, scratch, true
	}
	scratch = unescape(scratch[:0], raw)
	return scratch, scratch, true
}

func ascii(b []byte) bool {
	for _, c := range b {
		if c >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// scanner passes over JSON. Its methods return false, and leave it anywhere, at
// what is wrong.
type scanner struct {
	b  []byte
	at int
}

func (s *scanner) space() {
	for s.at < len(s.b) && (s.b[s.at] == ' ' || s.b[s.at] == '\t' || s.b[s.at] == '\n' || s.b[s.at] == '\r') {
		s.at++
	}
}

func (s *scanner) byte(c byte) bool {
	if s.at < len(s.b) && s.b[s.at] == c {
		s.at++
		return true
	}
	return false
}

// text passes over a string and returns what is between its quotes, and whether
// that has escapes, which are valid.
func (s *scanner) text() (raw []byte, escaped, ok bool) {
	if !s.byte('"') {
		return nil, false, false
	}
	start := s.at
	for {
		s.plain()
		if s.at == len(s.b) {
			return nil, false, false
		}
		switch c := s.b[s.at]; {
		case c == '"':
			s.at++
			return s.b[start : s.at-1], escaped, true
		case c != '\\':
			return nil, false, false
		}
		escaped = true
		if s.at++; s.at == len(s.b) {
			return nil, false, false
		}
		switch s.b[s.at] {
		case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
			s.at++
		case 'u':
			if _, ok := hex4(s.b[s.at+1:]); !ok {
				return nil, false, false
			}
			s.at += 5
		default:
			return nil, false, false
		}
	}
}

// plain passes over what stands for itself in a string: anything but a quote, a
// backslash and control characters. It looks at eight bytes at once; the sums
// set the high bit of a byte that is below 0x20, or zero (Anderson, Bit
// Twiddling Hacks).
func (s *scanner) plain() {
	const ones, highs = 0x0101010101010101, 0x8080808080808080
	for s.at+8 <= len(s.b) {
		x := binary.LittleEndian.Uint64(s.b[s.at:])
		quote, slash := x^ones*'"', x^ones*'\\'
		if ((x-ones*0x20)&^x|(quote-ones)&^quote|(slash-ones)&^slash)&highs != 0 {
			break
		}
		s.at += 8
	}
	for s.at < len(s.b) && s.b[s.at] >= 0x20 && s.b[s.at] != '"' && s.b[s.at] != '\\' {
		s.at++
	}
}

// value passes over any value.
func (s *scanner) value(depth int) bool {
	const deepest = 100 // further down package encoding/json says
	if s.at == len(s.b) || depth > deepest {
		return false
	}
	switch s.b[s.at] {
	case '"':
		_, _, ok := s.text()
		return ok
	case '{':
		return s.list('}', func() bool {
			if _, _, ok := s.text(); !ok {
				return false
			}
			s.space()
			if !s.byte(':') {
				return false
			}
			s.space()
			return s.value(depth + 1)
		})
	case '[':
		return s.list(']', func() bool { return s.value(depth + 1) })
	case 't':
		return s.word("true")
	case 'f':
		return s.word("false")
	case 'n':
		return s.word("null")
	}
	return s.number()
}

// list passes over an array or object.
func (s *scanner) list(end byte, element func() bool) bool {
	s.at++
	if s.space(); s.byte(end) {
		return true
	}
	for {
		if s.space(); !element() {
			return false
		}
		if s.space(); s.byte(end) {
			return true
		}
		if !s.byte(',') {
			return false
		}
	}
}

func (s *scanner) word(w string) bool {
	if len(s.b)-s.at < len(w) || string(s.b[s.at:s.at+len(w)]) != w {
		return false
	}
	s.at += len(w)
	return true
}

func (s *scanner) number() bool {
	s.byte('-')
	if !s.byte('0') && !s.digits() {
		return false
	}
	if s.byte('.') && !s.digits() {
		return false
	}
	if s.byte('e') || s.byte('E') {
		if !s.byte('+') {
			s.byte('-')
		}
		return s.digits()
	}
	return true
}

func (s *scanner) digits() bool {
	start := s.at
	for s.at < len(s.b) && '0' <= s.b[s.at] && s.b[s.at] <= '9' {
		s.at++
	}
	return s.at > start
}

// hex4 reads four hexadecimal digits.
func hex4(b []byte) (r rune, ok bool) {
	if len(b) < 4 {
		return 0, false
	}
	for _, c := range b[:4] {
		switch {
		case '0' <= c && c <= '9':
			c -= '0'
		case 'a' <= c|0x20 && c|0x20 <= 'f':
			c = c | 0x20 - 'a' + 10
		default:
			return 0, false
		}
		r = r<<4 | rune(c)
	}
	return r, true
}

// unescape appends what a string means, whose escapes are valid. Half a
// surrogate pair is U+FFFD, as package encoding/json has it.
func unescape(dst, raw []byte) []byte {
	for len(raw) > 0 {
		n := 0
		for n < len(raw) && raw[n] != '\\' {
			n++
		}
		dst = append(dst, raw[:n]...)
		if n == len(raw) {
			break
		}
		c := raw[n+1]
		raw = raw[n+2:]
		switch c {
		case 'b':
			dst = append(dst, '\b')
		case 'f':
			dst = append(dst, '\f')
		case 'n':
			dst = append(dst, '\n')
		case 'r':
			dst = append(dst, '\r')
		case 't':
			dst = append(dst, '\t')
		case 'u':
			r, _ := hex4(raw)
			raw = raw[4:]
			if utf16.IsSurrogate(r) {
				second := rune(-1)
				if len(raw) >= 6 && raw[0] == '\\' && raw[1] == 'u' {
					second, _ = hex4(raw[2:])
				}
				if r = utf16.DecodeRune(r, second); r != utf8.RuneError {
					raw = raw[6:]
				}
			}
			dst = utf8.AppendRune(dst, r)
		default: // the character itself
			dst = append(dst, c)
		}
	}
	return dst
}
