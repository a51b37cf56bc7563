// Package pretoken prepares text for a subword model.
//
// It has two nouns, after the steps of a tokenizer.json file: a Normalizer
// changes text (composes characters, lower-cases), and a Splitter cuts it into
// pieces, mostly words, and may change them a little. Each does what the
// tokenizers library of Hugging Face does under the same name; text that is not
// valid UTF-8, which that library does not take, is kept as it is.
package pretoken

import (
	"bytes"
	"unicode"
	"unicode/utf8"
)

// Piece is a part of a text.
type Piece struct {
	Text  []byte
	First bool // it begins where the whole text began
}

// Splitter calls yield with the pieces of a piece in turn, none of them empty.
// They are valid until yield returns. It may be used by many goroutines.
type Splitter interface {
	Split(p Piece, yield func(Piece))
}

// Sequence applies each splitter to the pieces that the one before gives.
type Sequence []Splitter

// Split does that.
func (s Sequence) Split(p Piece, yield func(Piece)) {
	switch len(s) {
	case 0:
		yield(p)
	case 1:
		s[0].Split(p, yield)
	default:
		s[0].Split(p, func(p Piece) { s[1:].Split(p, yield) })
	}
}

// Behavior says what becomes of the parts of a text that match.
type Behavior int

// The behaviors, by their names in a file.
const (
	Isolated           Behavior = iota // a piece each
	Removed                            // no piece
	MergedWithPrevious                 // the end of the piece before
	MergedWithNext                     // the beginning of the piece after
	Contiguous                         // a piece for each run of them
)

// Finder finds what matches: it returns where the first match at or after a
// place begins and ends, or -1. No match is empty.
type Finder interface {
	find(text []byte, at int) (start, end int)
}

// Cut splits where a Finder finds something.
type Cut struct {
	At       Finder
	Behavior Behavior
	Invert   bool // take what does not match for what does
}

// Split cuts.
func (c *Cut) Split(p Piece, yield func(Piece)) {
	k := cutter{Cut: c, p: p, yield: yield}
	for at := 0; at < len(p.Text); {
		start, end := c.At.find(p.Text, at)
		if start < 0 {
			start, end = len(p.Text), len(p.Text)
		}
		k.part(at, start, c.Invert)
		k.part(start, end, !c.Invert)
		at = end
	}
	k.flush()
}

// cutter gathers parts into pieces.
type cutter struct {
	*Cut
	p          Piece
	yield      func(Piece)
	start, end int  // of the piece gathered so far; none if equal
	matched    bool // its last part
}

func (k *cutter) flush() {
	if k.start < k.end {
		k.yield(Piece{k.p.Text[k.start:k.end:k.end], k.p.First && k.start == 0})
	}
	k.start = k.end
}

// part adds the next part of the text.
func (k *cutter) part(start, end int, match bool) {
	if start == end {
		return
	}
	join := false
	switch k.Behavior {
	case Removed:
		if match {
			k.flush()
			k.start, k.end = end, end
			return
		}
	case MergedWithPrevious:
		join = match && !k.matched
	case MergedWithNext:
		join = k.matched && !match
	case Contiguous:
		join = match == k.matched
	}
	if !join {
		k.flush()
		k.start = start
	}
	k.end, k.matched = end, match
}

// Literal finds a text.
type Literal []byte

func (l Literal) find(text []byte, at int) (int, int) {
	i := bytes.Index(text[at:], l)
	if i < 0 || len(l) == 0 {
		return -1, -1
	}
	return at + i, at + i + len(l)
}

func (x *Regex) find(text []byte, at int) (int, int) {
	for at < len(text) {
		if end := x.match(text, at); end > at {
			return at, end
		}
		at += runeLen(text[at:])
	}
	return -1, -1
}

// find finds one character.
func (c *class) find(text []byte, at int) (int, int) {
	for at < len(text) {
		if n := c.match(text[at:]); n > 0 {
			return at, at + n
		}
		at += runeLen(text[at:])
	}
	return -1, -1
}

func runeLen(text []byte) int {
	if text[0] < utf8.RuneSelf {
		return 1
	}
	_, n := utf8.DecodeRune(text)
	return n
}

// Spaces finds a character that is white space, Punctuation one that is
// punctuation, or an ASCII symbol, Numbers one that is a number, and Words runs
// of letters and digits and runs of anything else but space.
func Spaces() Finder      { return spaceSet.class() }
func Punctuation() Finder { return punctSet.class() }
func Numbers() Finder     { return set{tables: []*unicode.RangeTable{unicode.N}}.class() }
func Words() Finder {
	word, other := wordSet.class(), set{sets: []set{wordSet, spaceSet}, negate: true}.class()
	return &Regex{[][]item{{{class: word, min: 1, max: unlimited}}, {{class: other, min: 1, max: unlimited}}}}
}

// Bert splits as BERT does: at white space, which is no piece, and around each
// punctuation, which is one.
func Bert() Splitter {
	return Sequence{&Cut{At: Spaces(), Behavior: Removed}, &Cut{At: Punctuation(), Behavior: Isolated}}
}

// ByteLevel splits as GPT-2 does, with a blank put before text that does not
// begin with one if Prefix, and not at all if Plain.
type ByteLevel struct{ Prefix, Plain bool }

// Split does that.
func (b *ByteLevel) Split(p Piece, yield func(Piece)) {
	if b.Prefix && p.Text[0] != ' ' {
		p.Text = append([]byte{' '}, p.Text...)
	}
	if b.Plain {
		yield(p)
		return
	}
	for first := p.First; len(p.Text) > 0; first = false {
		n := GPT2(p.Text)
		yield(Piece{p.Text[:n:n], first})
		p.Text = p.Text[n:]
	}
}

// Metaspace writes a sign for each blank, puts one before the text, and splits
// before each.
type Metaspace struct {
	Sign   string
	Before Prepend
	Whole  bool // do not split
}

// Prepend says before which pieces a sign is put.
type Prepend int

// The schemes of Metaspace, by their names in a file.
const (
	Never  Prepend = iota
	Always         // each piece that does not begin with one
	First          // the one that begins the text, if it does not begin with one
)

// Split does that.
func (m *Metaspace) Split(p Piece, yield func(Piece)) {
	sign := []byte(m.Sign)
	text := bytes.ReplaceAll(p.Text, []byte{' '}, sign)
	if (m.Before == Always || m.Before == First && p.First) && !bytes.HasPrefix(text, sign) {
		text = append(bytes.Clone(sign), text...)
	}
	if p.Text = text; m.Whole {
		yield(p)
		return
	}
	(&Cut{At: Literal(sign), Behavior: MergedWithNext}).Split(p, yield)
}
