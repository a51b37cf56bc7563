package pretoken

import (
	"unicode"
	"unicode/utf8"
)

// class is a set of characters. A byte that is not part of valid UTF-8 is
// U+FFFD, a symbol.
type class struct {
	basic [1 << 16 / 64]uint64 // the characters below U+10000, a bit each
	set   set                  // the others
}

// set is what a class is made from: the characters of any of these, or of none.
type set struct {
	tables []*unicode.RangeTable
	sets   []set
	ranges [][2]rune
	negate bool
}

func (s set) has(r rune) bool {
	for _, t := range s.tables {
		if unicode.Is(t, r) {
			return !s.negate
		}
	}
	for _, x := range s.ranges {
		if x[0] <= r && r <= x[1] {
			return !s.negate
		}
	}
	for _, x := range s.sets {
		if x.has(r) {
			return !s.negate
		}
	}
	return s.negate
}

func (s set) class() *class { return &class{basic: s.basic(), set: s} }

// basic returns the members below U+10000.
func (s set) basic() (bits [1 << 16 / 64]uint64) {
	add := func(from, to, stride uint32) {
		for r := from; r <= min(to, 1<<16-1); r += stride {
			bits[r/64] |= 1 << (r % 64)
		}
	}
	for _, t := range s.tables {
		for _, x := range t.R16 {
			add(uint32(x.Lo), uint32(x.Hi), uint32(x.Stride))
		}
	}
	for _, x := range s.ranges {
		add(uint32(x[0]), uint32(x[1]), 1)
	}
	for _, x := range s.sets {
		for i, w := range x.basic() {
			bits[i] |= w
		}
	}
	if s.negate {
		for i := range bits {
			bits[i] = ^bits[i]
		}
	}
	return bits
}

// match returns the length of the first character of text if it is in the
// class, and otherwise, as at the end, 0.
func (c *class) match(text []byte) int {
	if len(text) == 0 {
		return 0
	}
	r, n := rune(text[0]), 1
	if r >= utf8.RuneSelf {
		r, n = utf8.DecodeRune(text)
	}
	if !c.has(r) {
		return 0
	}
	return n
}

func (c *class) has(r rune) bool {
	if r < 1<<16 {
		return c.basic[r/64]>>(r%64)&1 == 1
	}
	return c.set.has(r)
}

// Sets that have names. wordSet is Unicode's definition of \w (UTS 18, annex C).
var (
	spaceSet = set{tables: []*unicode.RangeTable{unicode.White_Space}}
	digitSet = set{tables: []*unicode.RangeTable{unicode.Nd}}
	wordSet  = set{tables: []*unicode.RangeTable{unicode.L, unicode.Nl, unicode.Other_Alphabetic, unicode.M, unicode.Nd, unicode.Pc, unicode.Join_Control}}
	punctSet = set{tables: []*unicode.RangeTable{unicode.P}, ranges: [][2]rune{{'!', '/'}, {':', '@'}, {'[', '`'}, {'{', '~'}}}
)

// named returns the set of a Unicode category or script.
func named(name string) (set, bool) {
	if t, ok := unicode.Categories[name]; ok {
		return set{tables: []*unicode.RangeTable{t}}, true
	}
	if t, ok := unicode.Scripts[name]; ok {
		return set{tables: []*unicode.RangeTable{t}}, true
	}
	if t, ok := unicode.Properties[name]; ok {
		return set{tables: []*unicode.RangeTable{t}}, true
	}
	return set{}, false
}

// only is the set of one character.
func only(r rune) set { return set{ranges: [][2]rune{{r, r}}} }

// folded is a set with the upper and lower case of all its characters.
func folded(s set) set {
	if len(s.ranges) == 0 {
		return s
	}
	var more [][2]rune
	for _, x := range s.ranges {
		for r := x[0]; r <= x[1] && r-x[0] < 1<<16; r++ {
			for f := unicode.SimpleFold(r); f != r; f = unicode.SimpleFold(f) {
				more = append(more, [2]rune{f, f})
			}
		}
	}
	s.ranges = append(s.ranges[:len(s.ranges):len(s.ranges)], more...)
	return s
}
