package pretoken

import (
	"fmt"
	"unicode/utf8"
)

// Regex is a regular expression of the kind that tokenizers are published with:
// alternatives, groups, classes with Unicode categories, greedy and possessive
// repetition, and lookahead, which package regexp does not have. Alternatives
// are tried in order, as in Perl and Oniguruma.
//
// Only characters and classes may be repeated, groups at most left out. With
// that, and the expressions there are, matching takes time in proportion to
// what it passes over.
type Regex struct{ ways [][]item }

// item is one step of a way to match.
type item struct {
	class    *class
	min, max int  // of the class
	hold     bool // do not give back what the repetition took

	ways  [][]item // or: one of these, each with all that follows it
	ahead [][]item // or: what must, or with not must not, come next
	not   bool
}

// unlimited is a repetition without end.
const unlimited = int(^uint(0) >> 1)

// CompileRegex parses an expression. What is not known is an error that says
// where.
func CompileRegex(pattern string) (*Regex, error) {
	// The longest that is published has 700; a character may take 8 KiB here.
	const longest = 8 << 10
	if len(pattern) > longest {
		return nil, fmt.Errorf("it has %d bytes, at most %d are supported", len(pattern), longest)
	}
	p := &parser{rest: pattern, size: len(pattern)}
	ways, err := p.alternatives(false)
	if err == nil && p.rest != "" {
		err = p.fail("an unexpected )")
	}
	if err != nil {
		return nil, err
	}
	return &Regex{ways}, nil
}

// match returns where the match that begins at a place ends, or -1.
func (x *Regex) match(text []byte, at int) int { return matchAny(x.ways, text, at) }

func matchAny(ways [][]item, text []byte, at int) int {
	for _, w := range ways {
		if end := matchAll(w, text, at); end >= 0 {
			return end
		}
	}
	return -1
}

func matchAll(items []item, text []byte, at int) int {
	for len(items) > 0 {
		it := &items[0]
		items = items[1:]
		switch {
		case it.ways != nil:
			return matchAny(it.ways, text, at)
		case it.ahead != nil:
			if (matchAny(it.ahead, text, at) >= 0) == it.not {
				return -1
			}
			continue
		}
		start, count := at, 0
		for count < it.max {
			n := it.class.match(text[at:])
			if n == 0 {
				break
			}
			at += n
			count++
		}
		if count < it.min {
			return -1
		}
		if count == it.min || it.hold || len(items) == 0 {
			continue
		}
		for { // the most that lets the others match
			if end := matchAll(items, text, at); end >= 0 {
				return end
			}
			if count == it.min {
				return -1
			}
			_, n := utf8.DecodeLastRune(text[start:at])
			at -= n
			count--
		}
	}
	return at
}
