package deepspeed

import (
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/gradus-ml/gradus/internal/fault"
	"github.com/gradus-ml/gradus/internal/spell"
)

// configReader reads typed values from a tree. The first error stays; what is
// read after it is zero.
type configReader struct {
	name   string
	places map[string]place // of keys, by their paths
	notes  notes
	err    error
}

func (r *configReader) errorf(line int, key, format string, args ...any) {
	if r.err == nil {
		r.err = fault.Invalidf("%s:%d: %s: %w", r.name, line, key, fmt.Errorf(format, args...))
	}
}

// A section is an object at a path. Asking a section that is not there (nil)
// gives what asking for a missing key does.
type section struct {
	reader *configReader
	path   string
	place  place
	object *object
	asked  []string // keys, to suggest
}

// at returns the path of a key.
func (s *section) at(key string) string {
	return strings.TrimPrefix(s.path+"."+key, ".")
}

// member finds a key; nil if it is not there or null.
func (s *section) member(key string) *member {
	if s == nil {
		return nil
	}
	s.asked = append(s.asked, key)
	m := s.object.find(key)
	if m == nil {
		return nil
	}
	m.read = true
	s.reader.places[s.at(key)] = m.at
	if m.node.value == nil {
		return nil
	}
	return m
}

// fail says what is wrong with a key, at its line or else at its section's.
func (s *section) fail(key, format string, args ...any) {
	line := s.place.line
	if m := s.object.find(key); m != nil {
		line = m.at.line
	}
	s.reader.errorf(line, s.at(key), format, args...)
}

// note says what became of a key, if it is there.
func (s *section) note(key string, kind NoteKind, format string, args ...any) {
	if s == nil {
		return
	}
	s.member(key)
	if m := s.object.find(key); m != nil {
		s.reader.notes.add(s.at(key), m.at, kind, format, args...)
	}
}

// sub returns the section of a key; nil if it is not there.
func (s *section) sub(key string) *section {
	m := s.member(key)
	if m == nil {
		return nil
	}
	o, ok := m.node.value.(*object)
	if !ok {
		s.fail(key, "it is %s; it must be a section, {...}", show(m.node.value))
		return nil
	}
	return &section{reader: s.reader, path: s.at(key), place: m.at, object: o}
}

// number returns a number and whether it is there.
func (s *section) number(key string) (float64, bool) {
	m := s.member(key)
	if m == nil {
		return 0, false
	}
	v, ok := number(m.node.value)
	if !ok {
		s.fail(key, "it is %s; it must be a number", show(m.node.value))
	}
	return v, ok
}

// numbers returns a list of numbers and whether it is there.
func (s *section) numbers(key string) ([]float64, bool) {
	m := s.member(key)
	if m == nil {
		return nil, false
	}
	list, ok := m.node.value.([]node)
	if !ok {
		s.fail(key, "it is %s; it must be a list of numbers", show(m.node.value))
		return nil, false
	}
	values := make([]float64, len(list))
	for i, item := range list {
		if values[i], ok = number(item.value); !ok {
			s.reader.errorf(item.line, s.at(key), "item %d is %s; it must be a number", i+1, show(item.value))
			return nil, false
		}
	}
	return values, true
}

// most is the largest whole number that a configuration may have: beyond it
// stands a slip, and float64 is exact up to it.
const most = 1 << 53

// whole returns a whole number of at least least and whether it is there.
func (s *section) whole(key string, least int64) (int64, bool) {
	v, ok := s.number(key)
	if ok && (v != math.Trunc(v) || v < float64(least) || v > most) {
		s.fail(key, "it is %s; it must be a whole number of at least %d", numberText(v), least)
		return 0, false
	}
	return int64(v), ok
}

// flag returns true or false; otherwise, if it is not there.
func (s *section) flag(key string, otherwise bool) bool {
	m := s.member(key)
	if m == nil {
		return otherwise
	}
	v, ok := m.node.value.(bool)
	if !ok {
		s.fail(key, "it is %s; it must be true or false", show(m.node.value))
	}
	return v
}

// text returns a string; empty if it is not there.
func (s *section) text(key string) string {
	m := s.member(key)
	if m == nil {
		return ""
	}
	v, ok := m.node.value.(string)
	if !ok {
		s.fail(key, "it is %s; it must be a text in quotes", show(m.node.value))
	}
	return v
}

// require fails for keys that are not there.
func (s *section) require(why string, keys ...string) {
	for _, key := range keys {
		if s.member(key) == nil {
			s.fail(key, "it is missing; %s", why)
		}
	}
}

// auto reports whether a value is "auto", which another program fills in before
// DeepSpeed reads it.
func (s *section) auto(key string) bool {
	m := s.member(key)
	return m != nil && m.node.value == "auto"
}

// unread calls do for each key that nobody asked for, with the key that it looks
// like a slip of, or none.
func (s *section) unread(do func(m *member, nearest string)) {
	if s == nil {
		return
	}
	for _, m := range s.object.members {
		if m.read {
			continue
		}
		nearest, edits := spell.Nearest(m.key, s.asked)
		if edits*4 > len(nearest) {
			nearest = ""
		}
		do(m, nearest)
	}
}

// unknown notes the keys that nobody asked for.
func (s *section) unknown() {
	s.unread(func(m *member, nearest string) {
		hint := ""
		if nearest != "" {
			hint = fmt.Sprintf("; was %q meant?", nearest)
		}
		s.reader.notes.add(s.at(m.key), m.at, NoEffect, "DeepSpeed knows no such key here and passes over it%s", hint)
	})
}

// number returns a finite number.
func number(value any) (float64, bool) {
	n, ok := value.(json.Number)
	if !ok {
		return 0, false
	}
	v, err := n.Float64() // errs beyond the range of float64
	return v, err == nil
}

// show names a value in a message.
func show(value any) string {
	switch v := value.(type) {
	case *object:
		return "a section"
	case []node:
		return "a list"
	case string:
		if len(v) > 40 {
			return "a text"
		}
		return strconv.Quote(v)
	case nil:
		return "null"
	default:
		if text := fmt.Sprint(v); len(text) <= 40 {
			return text
		}
		return "a number too long to show"
	}
}

// numberText writes a number as JSON and YAML both read it.
func numberText(v float64) string {
	if a := math.Abs(v); v == 0 || a >= 1e-4 && a < 1e15 {
		return strconv.FormatFloat(v, 'f', -1, 64)
	}
	return strconv.FormatFloat(v, 'g', -1, 64)
}
