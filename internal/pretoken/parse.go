package pretoken

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// parser reads an expression from its beginning to its end.
type parser struct {
	rest  string
	size  int
	fold  bool // (?i: ... )
	depth int
}

func (p *parser) fail(format string, args ...any) error {
	return fmt.Errorf("at character %d: %s", p.size-len(p.rest)+1, fmt.Sprintf(format, args...))
}

func (p *parser) take(prefix string) bool {
	rest, ok := strings.CutPrefix(p.rest, prefix)
	p.rest = rest
	return ok
}

func (p *parser) rune() rune {
	r, n := utf8.DecodeRuneInString(p.rest)
	p.rest = p.rest[n:]
	return r
}

// alternatives reads up to the end, or to a closing parenthesis.
func (p *parser) alternatives(group bool) ([][]item, error) {
	const deepest = 50
	if p.depth++; p.depth > deepest {
		return nil, p.fail("groups nest more than %d deep", deepest)
	}
	defer func() { p.depth-- }()
	var ways [][]item
	for {
		w, err := p.sequence()
		if err != nil {
			return nil, err
		}
		ways = append(ways, w)
		if !p.take("|") {
			break
		}
	}
	if group && !p.take(")") {
		return nil, p.fail("a ) is missing")
	}
	return ways, nil
}

func (p *parser) sequence() ([]item, error) {
	var items []item
	for p.rest != "" && p.rest[0] != '|' && p.rest[0] != ')' {
		if p.rest[0] == '(' {
			it, ways, err := p.group()
			if err != nil {
				return nil, err
			}
			if ways == nil {
				items = append(items, it)
				continue
			}
			// What follows belongs to each way, so that a way may be given up
			// when that does not match.
			after, err := p.sequence()
			if err != nil {
				return nil, err
			}
			for i := range ways {
				ways[i] = append(ways[i][:len(ways[i]):len(ways[i])], after...)
			}
			return append(items, item{ways: ways}), nil
		}
		s, err := p.atom()
		if err != nil {
			return nil, err
		}
		it := item{class: s.class(), min: 1, max: 1}
		if err := p.repetition(&it); err != nil {
			return nil, err
		}
		items = append(items, it)
	}
	return items, nil
}

// group reads a group, as ways or as a lookahead.
func (p *parser) group() (item, [][]item, error) {
	p.take("(")
	fold, ahead, not := p.fold, false, false
	switch {
	case p.take("?i:"):
		p.fold = true
	case p.take("?:"):
	case p.take("?="):
		ahead = true
	case p.take("?!"):
		ahead, not = true, true
	case p.take("?"):
		return item{}, nil, p.fail("a group that begins with (?%.2s is not supported", p.rest)
	}
	ways, err := p.alternatives(true)
	p.fold = fold
	if err != nil {
		return item{}, nil, err
	}
	if ahead {
		return item{ahead: ways, not: not}, nil, nil
	}
	switch {
	case p.take("?+"), p.take("??"), p.take("*"), p.take("+"), p.take("{"):
		return item{}, nil, p.fail("repetition of a group is not supported")
	case p.take("?"):
		ways = append(ways, []item{})
	}
	return item{}, ways, nil
}

func (p *parser) repetition(it *item) error {
	switch {
	case p.take("?"):
		it.min = 0
	case p.take("*"):
		it.min, it.max = 0, unlimited
	case p.take("+"):
		it.max = unlimited
	case p.take("{"):
		body, rest, ok := strings.Cut(p.rest, "}")
		low, high, both := strings.Cut(body, ",")
		lowest, err := strconv.Atoi(low)
		if !ok || err != nil || lowest < 0 || lowest > 1000 {
			return p.fail("{%.20s is no repetition", body)
		}
		it.min, it.max = lowest, lowest
		if both {
			it.max = unlimited
			if high != "" {
				if it.max, err = strconv.Atoi(high); err != nil || it.max < it.min {
					return p.fail("{%.20s is no repetition", body)
				}
			}
		}
		p.rest = rest
		return p.noMore()
	default:
		return nil
	}
	if p.take("+") {
		it.hold = true
	}
	return p.noMore()
}

func (p *parser) noMore() error {
	if p.rest != "" && strings.ContainsRune("?*+{", rune(p.rest[0])) {
		return p.fail("lazy or repeated repetition is not supported")
	}
	return nil
}

// atom reads one character, class or escape.
func (p *parser) atom() (set, error) {
	switch {
	case p.take("["):
		return p.brackets()
	case p.take("\\"):
		s, err := p.escape()
		if p.fold {
			s = folded(s)
		}
		return s, err
	case p.take("."):
		return set{ranges: [][2]rune{{'\n', '\n'}}, negate: true}, nil
	case strings.ContainsRune("^$*+?{", rune(p.rest[0])):
		return set{}, p.fail("%.1s is not supported here", p.rest)
	}
	s := only(p.rune())
	if p.fold {
		s = folded(s)
	}
	return s, nil
}

// escape reads what follows a backslash.
func (p *parser) escape() (set, error) {
	if p.rest == "" {
		return set{}, p.fail("a backslash at the end")
	}
	switch c := p.rune(); c {
	case 's', 'S':
		return set{sets: []set{spaceSet}, negate: c == 'S'}, nil
	case 'd', 'D':
		return set{sets: []set{digitSet}, negate: c == 'D'}, nil
	case 'w', 'W':
		return set{sets: []set{wordSet}, negate: c == 'W'}, nil
	case 'p', 'P':
		name := ""
		if p.take("{") {
			var ok bool
			if name, p.rest, ok = strings.Cut(p.rest, "}"); !ok {
				return set{}, p.fail("a } is missing")
			}
		} else if p.rest != "" {
			name = string(p.rune())
		}
		name, caret := strings.CutPrefix(name, "^")
		s, ok := named(name)
		if !ok {
			return set{}, p.fail("the property %q is not known", name)
		}
		return set{sets: []set{s}, negate: (c == 'P') != caret}, nil
	case 'x':
		if p.take("{") {
			digits, rest, ok := strings.Cut(p.rest, "}")
			p.rest = rest
			return p.code(digits, ok)
		}
		return p.digits(2)
	case 'u':
		return p.digits(4)
	case 'n':
		return only('\n'), nil
	case 'r':
		return only('\r'), nil
	case 't':
		return only('\t'), nil
	case 'f':
		return only('\f'), nil
	case 'v':
		return only('\v'), nil
	default:
		if 'a' <= c|0x20 && c|0x20 <= 'z' || '0' <= c && c <= '9' {
			return set{}, p.fail("\\%c is not supported", c)
		}
		return only(c), nil
	}
}

func (p *parser) digits(n int) (set, error) {
	if len(p.rest) < n {
		return set{}, p.fail("a code of %d digits is cut off", n)
	}
	digits := p.rest[:n]
	p.rest = p.rest[n:]
	return p.code(digits, true)
}

func (p *parser) code(digits string, ok bool) (set, error) {
	n, err := strconv.ParseUint(digits, 16, 32)
	if err != nil || !ok || n > utf8.MaxRune {
		return set{}, p.fail("%.10q is no code of a character", digits)
	}
	return only(rune(n)), nil
}

// brackets reads a class after its opening bracket.
func (p *parser) brackets() (set, error) {
	s := set{negate: p.take("^")}
	for first := true; ; first = false {
		switch {
		case p.rest == "":
			return set{}, p.fail("a ] is missing")
		case !first && p.take("]"):
			if p.fold {
				s = folded(s)
			}
			return s, nil
		case strings.HasPrefix(p.rest, "&&") || p.rest[0] == '[':
			return set{}, p.fail("%.2s in a class is not supported", p.rest)
		}
		low, err := p.element()
		if err != nil {
			return set{}, err
		}
		// A range, unless the minus stands last.
		if len(low.ranges) == 1 && !low.negate && len(p.rest) > 1 && p.rest[0] == '-' && p.rest[1] != ']' {
			p.take("-")
			high, err := p.element()
			if err != nil {
				return set{}, err
			}
			if len(high.ranges) != 1 || high.negate || high.ranges[0][0] < low.ranges[0][0] {
				return set{}, p.fail("a range that ends before it begins")
			}
			low.ranges = [][2]rune{{low.ranges[0][0], high.ranges[0][0]}}
		}
		s.ranges = append(s.ranges, low.ranges...)
		s.sets = append(s.sets, low.sets...)
	}
}

func (p *parser) element() (set, error) {
	if !p.take("\\") {
		return only(p.rune()), nil
	}
	s, err := p.escape()
	if len(s.sets) > 0 && s.negate { // keep its own negation inside the class
		s = set{sets: []set{s}}
	}
	return s, err
}
