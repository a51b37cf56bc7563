package pretoken

import (
	"bytes"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// Normalizer returns text changed; text itself is left as it is. It may be used
// by many goroutines.
type Normalizer interface {
	Normalize(text []byte) []byte
}

// Normalizers apply one after the other.
type Normalizers []Normalizer

// Normalize does that.
func (s Normalizers) Normalize(text []byte) []byte {
	for _, n := range s {
		text = n.Normalize(text)
	}
	return text
}

// Form is one of Unicode's normalization forms (UAX 15).
type Form struct{ norm.Form }

// Forms returns the form of a name, such as NFC.
func Forms(name string) (Form, bool) {
	switch name {
	case "NFC":
		return Form{norm.NFC}, true
	case "NFD":
		return Form{norm.NFD}, true
	case "NFKC":
		return Form{norm.NFKC}, true
	case "NFKD":
		return Form{norm.NFKD}, true
	}
	return Form{}, false
}

// Normalize returns the text in the form.
func (f Form) Normalize(text []byte) []byte { return f.Bytes(text) }

// perRune is a normalizer that looks at one character at a time. It appends
// what the character becomes.
type perRune func(dst []byte, r rune) []byte

// Normalize applies it; bytes that are not valid UTF-8 are kept.
func (f perRune) Normalize(text []byte) []byte {
	dst := make([]byte, 0, len(text)+8)
	for len(text) > 0 {
		r, n := rune(text[0]), 1
		if r >= utf8.RuneSelf {
			r, n = utf8.DecodeRune(text)
		}
		if r == utf8.RuneError && n == 1 {
			dst = append(dst, text[0])
		} else {
			dst = f(dst, r)
		}
		text = text[n:]
	}
	return dst
}

// Lowercase writes each character in lower case, whatever stands beside it.
func Lowercase() Normalizer { return perRune(appendLower) }

func appendLower(dst []byte, r rune) []byte {
	switch {
	case r < utf8.RuneSelf:
		if 'A' <= r && r <= 'Z' {
			r += 'a' - 'A'
		}
		return append(dst, byte(r))
	case r == 'İ': // the one character whose lower case is two
		return append(dst, "i\u0307"...)
	}
	return utf8.AppendRune(dst, unicode.ToLower(r))
}

// StripAccents leaves out marks.
func StripAccents() Normalizer { return without(unicode.M) }

func without(table *unicode.RangeTable) Normalizer {
	return perRune(func(dst []byte, r rune) []byte {
		if r >= utf8.RuneSelf && unicode.Is(table, r) {
			return dst
		}
		return utf8.AppendRune(dst, r)
	})
}

// Strip leaves out white space at the ends.
type Strip struct{ Left, Right bool }

// Normalize does that.
func (s *Strip) Normalize(text []byte) []byte {
	if s.Left {
		text = bytes.TrimLeftFunc(text, unicode.IsSpace)
	}
	if s.Right {
		text = bytes.TrimRightFunc(text, unicode.IsSpace)
	}
	return text
}

// Before puts a text before one that is not empty.
type Before []byte

// Normalize does that.
func (b Before) Normalize(text []byte) []byte {
	if len(text) == 0 {
		return text
	}
	return append(bytes.Clone(b), text...)
}

// Replace writes a text for each match.
type Replace struct {
	At Finder
	By []byte
}

// Normalize does that.
func (x *Replace) Normalize(text []byte) []byte {
	var dst []byte
	at := 0
	for {
		start, end := x.At.find(text, at)
		if start < 0 {
			break
		}
		dst = append(append(dst, text[at:start]...), x.By...)
		at = end
	}
	if at == 0 {
		return text
	}
	return append(dst, text[at:]...)
}

// BertNormalizer is BERT's: control characters out and all white space a blank,
// blanks around Chinese characters, accents (marks that take no space) off, lower
// case; each if asked for.
type BertNormalizer struct{ Clean, Chinese, StripAccents, Lower bool }

// Normalize does that.
func (b *BertNormalizer) Normalize(text []byte) []byte {
	if b.Clean || b.Chinese {
		text = perRune(b.clean).Normalize(text)
	}
	if b.StripAccents {
		text = without(unicode.Mn).Normalize(norm.NFD.Bytes(text))
	}
	if b.Lower {
		text = Lowercase().Normalize(text)
	}
	return text
}

func (b *BertNormalizer) clean(dst []byte, r rune) []byte {
	if ' ' <= r && r <= '~' {
		return append(dst, byte(r))
	}
	if b.Clean {
		switch {
		case r == '\t' || r == '\n' || r == '\r': // the only controls that are space
			r = ' '
		case r == utf8.RuneError || unicode.In(r, unicode.Cc, unicode.Cf, unicode.Co):
			return dst
		case unicode.IsSpace(r):
			r = ' '
		}
	}
	if b.Chinese && isChinese(r) {
		return append(utf8.AppendRune(append(dst, ' '), r), ' ')
	}
	return utf8.AppendRune(dst, r)
}

// isChinese reports the blocks of CJK ideographs that BERT's own code lists.
func isChinese(r rune) bool {
	for _, x := range [][2]rune{{0x4e00, 0x9fff}, {0x3400, 0x4dbf}, {0x20000, 0x2a6df}, {0x2a700, 0x2b73f}, {0x2b740, 0x2b81f}, {0x2b920, 0x2ceaf}, {0xf900, 0xfaff}, {0x2f800, 0x2fa1f}} {
		if x[0] <= r && r <= x[1] {
			return true
		}
	}
	return false
}
