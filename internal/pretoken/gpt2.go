package pretoken

import (
	"bytes"
	"unicode"
	"unicode/utf8"
)

// kind is what a character counts as when text is split.
type kind uint8

const (
	symbol kind = iota // neither of the others; also a byte of invalid UTF-8
	letter             // Unicode category L
	number             // Unicode category N
	space              // Unicode property White_Space
)

// kindOf returns the kind of the first character of text and its length.
func kindOf(text []byte) (kind, int) {
	if b := text[0]; b < utf8.RuneSelf {
		switch {
		case 'a' <= b|0x20 && b|0x20 <= 'z':
			return letter, 1
		case '0' <= b && b <= '9':
			return number, 1
		case b == ' ' || '\t' <= b && b <= '\r':
			return space, 1
		}
		return symbol, 1
	}
	r, n := utf8.DecodeRune(text)
	switch {
	case r == utf8.RuneError: // U+FFFD itself is a symbol too
		return symbol, n
	case unicode.IsLetter(r):
		return letter, n
	case unicode.IsNumber(r):
		return number, n
	case unicode.IsSpace(r):
		return space, n
	}
	return symbol, n
}

// contractions are pieces of their own wherever one begins, tried in this order.
var contractions = [][]byte{
	[]byte("'s"), []byte("'t"), []byte("'re"), []byte("'ve"), []byte("'m"), []byte("'ll"), []byte("'d"),
}

// GPT2 returns how many bytes of text, which is not empty, are its first
// piece: what GPT-2's expression
//
//	's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+
//
// matches there. A piece is a run of one kind, with one blank (U+0020) before it
// if there is one; white space before a word leaves its last character to the word.
func GPT2(text []byte) int {
	if text[0] == '\'' {
		for _, c := range contractions {
			if bytes.HasPrefix(text, c) {
				return len(c)
			}
		}
	}
	begin := 0
	if text[0] == ' ' && len(text) > 1 {
		begin = 1
	}
	first, n := kindOf(text[begin:])
	if first == space {
		return spaceLen(text)
	}
	end := begin + n
	for end < len(text) {
		k, n := kindOf(text[end:])
		if k != first {
			break
		}
		end += n
	}
	return end
}

// spaceLen is GPT2 where white space begins and is no blank before a word.
func spaceLen(text []byte) int {
	end, last := 0, 0 // last: where the run's last character begins
	for end < len(text) {
		k, n := kindOf(text[end:])
		if k != space {
			break
		}
		last, end = end, end+n
	}
	if end == len(text) || last == 0 {
		return end
	}
	return last
}
