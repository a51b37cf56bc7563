package npy

import (
	"fmt"
	"strconv"
	"strings"
)

// header is what the dict literal of a file says.
type header struct {
	descr   string
	fortran bool
	shape   []int64
}

// parseHeader reads the dict literal. It knows as much of Python's syntax as
// NumPy ever writes there: strings in either quote, True and False, and a tuple
// of non-negative integers (with the L that Python 2 puts behind them).
func parseHeader(text string) (header, error) {
	p := parser{rest: text}
	var h header
	seen := map[string]bool{}
	p.expect("{")
	for p.err == nil && !p.take("}") {
		key := p.str()
		p.expect(":")
		if p.err == nil && seen[key] {
			return h, fmt.Errorf("key %q twice", key)
		}
		seen[key] = true
		switch key {
		case "descr":
			h.descr = p.str()
		case "fortran_order":
			h.fortran = p.boolean()
		case "shape":
			h.shape = p.tuple()
		default:
			if p.err == nil {
				return h, fmt.Errorf("unknown key %q", key)
			}
		}
		if !p.take(",") {
			p.expect("}")
			break
		}
	}
	if p.err != nil {
		return h, p.err
	}
	if rest := strings.TrimSpace(p.rest); rest != "" {
		return h, fmt.Errorf("%q behind the header", clip(rest))
	}
	for _, key := range []string{"descr", "fortran_order", "shape"} {
		if !seen[key] {
			return h, fmt.Errorf("key %q is missing", key)
		}
	}
	return h, nil
}

// parser eats a text from the front and keeps its first error.
type parser struct {
	rest string
	err  error
}

func (p *parser) fail(want string) {
	if p.err == nil {
		p.err = fmt.Errorf("%s expected at %q", want, clip(p.rest))
	}
}

func (p *parser) skipSpace() { p.rest = strings.TrimLeft(p.rest, " \t\n") }

// take eats token if it is next.
func (p *parser) take(token string) bool {
	p.skipSpace()
	if p.err != nil || !strings.HasPrefix(p.rest, token) {
		return false
	}
	p.rest = p.rest[len(token):]
	return true
}

func (p *parser) expect(token string) {
	if !p.take(token) {
		p.fail(strconv.Quote(token))
	}
}

func (p *parser) str() string {
	for _, quote := range []string{"'", `"`} {
		if !p.take(quote) {
			continue
		}
		text, rest, closed := strings.Cut(p.rest, quote)
		if closed {
			p.rest = rest
			return text
		}
	}
	p.fail("a string")
	return ""
}

func (p *parser) boolean() bool {
	if p.take("True") {
		return true
	}
	if !p.take("False") {
		p.fail("True or False")
	}
	return false
}

func (p *parser) tuple() []int64 {
	shape := []int64{}
	p.expect("(")
	for p.err == nil && !p.take(")") {
		p.skipSpace()
		n := len(p.rest) - len(strings.TrimLeft(p.rest, "0123456789"))
		value, err := strconv.ParseInt(p.rest[:n], 10, 64)
		if err != nil {
			p.fail("a dimension")
			break
		}
		p.rest = p.rest[n:]
		p.take("L")
		shape = append(shape, value)
		if !p.take(",") {
			p.expect(")")
			break
		}
	}
	return shape
}

// clip shortens what an error quotes.
func clip(s string) string {
	if len(s) > 24 {
		return s[:24] + "..."
	}
	return s
}
