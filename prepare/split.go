package prepare

import (
	"bytes"
	"unicode/utf8"
)

// longestPiece bounds a piece of a text, as a multiple of what was asked for.
const longestPiece = 4

// maxSplit bounds Options.Split, and with it the memory of a block.
const maxSplit = 64 << 20

// piece returns the length of the first document of a text that is split into
// documents of about the given number of bytes: up to the first blank line at or
// after so many, or else the last line end, or rune, within longestPiece times as
// many. It returns 0 if that takes more text than there is and atEnd is false.
func piece(text []byte, about int64, atEnd bool) int {
	n, limit := int64(len(text)), longestPiece*about
	window := text[:min(n, limit)]
	if n > about {
		if i := bytes.Index(window[about-1:], []byte("\n\n")); i >= 0 {
			return int(about) - 1 + i + 2
		}
	}
	switch {
	case n < limit && atEnd:
		return int(n)
	case n < limit:
		return 0
	}
	if i := bytes.LastIndexByte(window, '\n'); int64(i) >= about {
		return i + 1
	}
	for cut := limit; cut > limit-utf8.UTFMax && cut > 1; cut-- {
		if cut == n || utf8.RuneStart(text[cut]) {
			return int(cut)
		}
	}
	return int(limit)
}
