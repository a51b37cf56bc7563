package tokenizer

import (
	"unicode"
	"unicode/utf8"
)

// addedToken is a token that a tokenizer.json file adds to its model's. Where
// its content stands in a text, it is that token, whatever the model would make
// of it; but special ones stand for nothing that a text can say.
type addedToken struct {
	ID         int64  `json:"id"`
	Content    string `json:"content"`
	SingleWord bool   `json:"single_word"` // not next to a letter or digit
	LStrip     bool   `json:"lstrip"`      // takes the white space before
	RStrip     bool   `json:"rstrip"`      // and after
	Normalized bool   `json:"normalized"`  // is looked for after normalization
	Special    bool   `json:"special"`
}

// addedMatcher finds added tokens: a trie, and which bytes one can begin with.
type addedMatcher struct {
	tokens []addedToken
	begins [256]bool
	nodes  []map[byte]int
	ends   []int // of each node, the token that ends there; -1: none
}

func newAddedMatcher() *addedMatcher {
	return &addedMatcher{nodes: []map[byte]int{{}}, ends: []int{-1}}
}

// add has a token found where text stands.
func (m *addedMatcher) add(text []byte, t addedToken) {
	if len(text) == 0 {
		return
	}
	m.begins[text[0]] = true
	at := 0
	for _, b := range text {
		next, ok := m.nodes[at][b]
		if !ok {
			next = len(m.nodes)
			m.nodes = append(m.nodes, map[byte]int{})
			m.ends = append(m.ends, -1)
			m.nodes[at][b] = next
		}
		at = next
	}
	m.ends[at] = len(m.tokens)
	m.tokens = append(m.tokens, t)
}

// longest returns the longest token at a place and its end, or nil.
func (m *addedMatcher) longest(text []byte, at int) (found *addedToken, end int) {
	node := 0
	for i := at; i < len(text); i++ {
		next, ok := m.nodes[node][text[i]]
		if !ok {
			break
		}
		if node = next; m.ends[node] >= 0 {
			found, end = &m.tokens[m.ends[node]], i+1
		}
	}
	return found, end
}

// split calls between with each part of the text that is no token, and token
// with each token, in turn. first says that the part begins the text.
func (m *addedMatcher) split(text []byte, between func(part []byte, first bool), token func(id int32)) {
	if len(m.tokens) == 0 {
		if len(text) > 0 {
			between(text, true)
		}
		return
	}
	done := 0 // what is dealt with
	for at := 0; at < len(text); at++ {
		if !m.begins[text[at]] {
			continue
		}
		t, end := m.longest(text, at)
		if t == nil {
			continue
		}
		start := at
		at = end - 1
		if t.Special || t.SingleWord && (endsWithWord(text[:start]) || beginsWithWord(text[end:])) {
			continue
		}
		for t.LStrip && start > done {
			r, n := utf8.DecodeLastRune(text[done:start])
			if !unicode.IsSpace(r) {
				break
			}
			start -= n
		}
		for t.RStrip && end < len(text) {
			r, n := utf8.DecodeRune(text[end:])
			if !unicode.IsSpace(r) {
				break
			}
			end += n
		}
		if done < start {
			between(text[done:start:start], done == 0)
		}
		token(int32(t.ID))
		// What the token took is not looked at again, but a match that began in
		// it would have been found.
		done = end
		at = max(at, end-1)
	}
	if done < len(text) {
		between(text[done:], done == 0)
	}
}

func isWord(r rune) bool {
	return r == '_' || unicode.In(r, unicode.L, unicode.M, unicode.N, unicode.Pc, unicode.Other_Alphabetic)
}

func beginsWithWord(text []byte) bool {
	r, n := utf8.DecodeRune(text)
	return n > 0 && isWord(r)
}

func endsWithWord(text []byte) bool {
	r, n := utf8.DecodeLastRune(text)
	return n > 0 && isWord(r)
}
