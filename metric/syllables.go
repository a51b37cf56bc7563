package metric

import (
	"strings"
	"unicode"
)

// class is what a character is to readability, a set.
type class uint8

const (
	inWord class = 1 << iota // a letter, mark or digit
	vowel                    // such a letter
	joins                    // two parts of a word
	ends                     // a sentence, before white space
	closes                   // may stand between that and white space
	space                    // white space
	line                     // white space that ends a line
	blank                    // white space that leaves a line empty
)

// ascii has the classes of the bytes below 0x80.
var ascii = func() (table [256]class) {
	for b := range byte(0x80) {
		table[b], _ = classify(rune(b))
	}
	return table
}()

// accented are the vowels beyond ASCII, in lower case: those of Latin-1 and of
// Latin Extended-A.
const accented = "àáâãäåæèéêëìíîïòóôõöøùúûüýÿāăąēĕėęěĩīĭįıōŏőœũūŭůűųŷ"

// consonant stands for any character of a word that is neither an ASCII letter
// nor a vowel.
const consonant = '0'

// classify returns the class of a character and, for one of a word, the ASCII
// letter that it is to the rules of silent letters.
func classify(r rune) (class, byte) {
	switch r {
	case '\'', '’':
		return joins | closes, 0
	case '-', ',':
		return joins, 0
	case '.':
		return joins | ends, 0
	case '!', '?', '…':
		return ends, 0
	case '"', ')', ']', '}', '”', '»':
		return closes, 0
	case '\n':
		return space | line, 0
	case ' ', '\t', '\r':
		return space | blank, 0
	}
	switch {
	case unicode.IsSpace(r):
		return space, 0
	case !unicode.In(r, unicode.L, unicode.M, unicode.N):
		return 0, 0
	}
	r = unicode.ToLower(r)
	switch {
	case strings.ContainsRune("aeiouy", r):
		return inWord | vowel, byte(r)
	case strings.ContainsRune(accented, r):
		return inWord | vowel, 'a' // any but e, which may be silent
	case 'a' <= r && r <= 'z':
		return inWord, byte(r)
	}
	return inWord, consonant
}

// part is a word between two joining characters, as far as it is read.
type part struct {
	runs    int    // of vowels
	inVowel bool   // the last letter is one
	tail    uint32 // the last four letters, the last one lowest
}

func (p *part) add(c class, letter byte) {
	isVowel := c&vowel != 0
	if isVowel && !p.inVowel {
		p.runs++
	}
	p.inVowel = isVowel
	p.tail = p.tail<<8 | uint32(letter)
}

// syllables returns the runs of vowels but a silent one.
func (p *part) syllables() int {
	if p.runs > 1 && p.silent() {
		return p.runs - 1
	}
	return p.runs
}

// silent reports whether the e of a final e, -ed or -es is not spoken.
func (p *part) silent() bool {
	tail := p.tail
	voiced := "" // consonants after which it is spoken
	switch last := byte(tail); {
	case last == 'e':
	case last == 'd' && byte(tail>>8) == 'e':
		tail, voiced = tail>>8, "dt"
	case last == 's' && byte(tail>>8) == 'e':
		tail, voiced = tail>>8, "cghsxz"
	default:
		return false
	}
	before := byte(tail >> 8)
	if isVowel(before) || strings.IndexByte(voiced, before) >= 0 {
		return false
	}
	beforeThat := byte(tail >> 16)
	cluster := (before == 'l' || before == 'r') && !isVowel(beforeThat) && strings.IndexByte("lrw", beforeThat) < 0
	return !cluster
}

func isVowel(letter byte) bool { return strings.IndexByte("aeiouy", letter) >= 0 }
