package tokenizer

import (
	"fmt"
	"math"

	"github.com/tiktoken-go/tokenizer/codec"
)

// r50k is GPT-2's tokenizer (Radford et al. 2019, section 2.2): text is split
// into pieces of one kind of character, and the bytes of each piece are merged
// pair by pair in the order in which training merged them.
//
// The vocabulary comes from tiktoken-go; splitting and merging are our own,
// because its regular expression lets one core encode 3.5 MB/s (this: 16), loses
// the byte 0x7f, and turns invalid UTF-8 into U+FFFD. On any other text the
// tokens are the same. A byte that is not part of valid UTF-8 counts as a
// symbol, and is kept.
type r50k struct {
	ranks map[string]int32 // of the bytes of each token; lower merges first
	texts []string         // of each token
}

const (
	r50kTokens        = 50256 // without the end of document, which is the next number
	r50kEndOfDocument = r50kTokens
)

func newR50k() (Tokenizer, error) {
	source := codec.NewR50kBase()
	t := &r50k{ranks: make(map[string]int32, r50kTokens), texts: make([]string, r50kTokens)}
	for id := range t.texts {
		text, err := source.Decode([]uint{uint(id)})
		if err != nil {
			return nil, fmt.Errorf("tokenizer r50k: its vocabulary lacks token %d: %w", id, err)
		}
		t.texts[id] = text
		t.ranks[text] = int32(id)
	}
	return t, nil
}

func (*r50k) Name() string       { return "r50k" }
func (*r50k) Vocabulary() int    { return r50kTokens + 1 }
func (*r50k) EndOfDocument() int { return r50kEndOfDocument }

func (t *r50k) Encode(dst []int32, text []byte) []int32 {
	var m merger
	for len(text) > 0 {
		piece := text[:pieceLen(text)]
		text = text[len(piece):]
		if id, ok := t.ranks[string(piece)]; ok {
			dst = append(dst, id)
		} else {
			dst = m.merge(dst, piece, t.ranks)
		}
	}
	return dst
}

func (t *r50k) Decode(dst []byte, tokens []int32) []byte {
	for _, id := range tokens {
		if 0 <= id && int(id) < len(t.texts) {
			dst = append(dst, t.texts[id]...)
		}
	}
	return dst
}

// merger is byte-pair encoding of one piece; it keeps its memory between pieces.
//
// The parts of a piece are a linked list over its bytes: part i begins at byte
// i. Each knows the rank of the token it would make with the part after it.
// Pairs wait in a heap by rank, then place, so that a piece of n bytes takes
// n log n steps and not n squared, which a megabyte without a space would turn
// into hours. Pairs that a merge made stale are left in the heap and skipped:
// their rank is no longer the part's.
type merger struct {
	parts []part
	heap  []pair
}

type part struct {
	next, previous int32 // bytes where the neighbours begin
	rank           int32 // of this part and the next as one token; none if there is none
}

type pair struct{ rank, at int32 }

const (
	none = math.MaxInt32
	// longestMerge bounds what the merger takes at once, so that places fit an
	// int32; a longer piece is cut there. It is above what any document can
	// have in one piece in practice, and 16 times it is the memory needed.
	longestMerge = 1 << 28
)

func (m *merger) merge(dst []int32, piece []byte, ranks map[string]int32) []int32 {
	for len(piece) > longestMerge {
		dst = m.merge(dst, piece[:longestMerge], ranks)
		piece = piece[longestMerge:]
	}
	n := int32(len(piece))
	rank := func(from, middle int32) int32 {
		if middle == n {
			return none
		}
		if r, ok := ranks[string(piece[from:m.parts[middle].next])]; ok {
			return r
		}
		return none
	}
	m.parts, m.heap = m.parts[:0], m.heap[:0]
	for i := range n {
		m.parts = append(m.parts, part{next: i + 1, previous: i - 1})
	}
	for i := range n {
		if m.parts[i].rank = rank(i, i+1); m.parts[i].rank != none {
			m.push(pair{m.parts[i].rank, i})
		}
	}
	for len(m.heap) > 0 {
		p := m.pop()
		a := &m.parts[p.at]
		if a.rank != p.rank {
			continue // stale
		}
		m.parts[a.next].rank = none // the swallowed part is no more
		a.next = m.parts[a.next].next
		if a.next < n {
			m.parts[a.next].previous = p.at
		}
		if a.rank = rank(p.at, a.next); a.rank != none {
			m.push(pair{a.rank, p.at})
		}
		if before := a.previous; before >= 0 {
			if m.parts[before].rank = rank(before, p.at); m.parts[before].rank != none {
				m.push(pair{m.parts[before].rank, before})
			}
		}
	}
	for i := int32(0); i < n; i = m.parts[i].next {
		dst = append(dst, ranks[string(piece[i:m.parts[i].next])])
	}
	return dst
}

func (p pair) before(q pair) bool { return p.rank < q.rank || p.rank == q.rank && p.at < q.at }

// push and pop are a binary heap; container/heap would box every pair.
func (m *merger) push(p pair) {
	m.heap = append(m.heap, p)
	h, i := m.heap, len(m.heap)-1
	for i > 0 && p.before(h[(i-1)/2]) {
		h[i] = h[(i-1)/2]
		i = (i - 1) / 2
	}
	h[i] = p
}

func (m *merger) pop() pair {
	h := m.heap
	top, last := h[0], h[len(h)-1]
	h = h[:len(h)-1]
	m.heap = h
	if len(h) == 0 {
		return top
	}
	i := 0
	for {
		child := 2*i + 1
		if child >= len(h) {
			break
		}
		if child+1 < len(h) && h[child+1].before(h[child]) {
			child++
		}
		if !h[child].before(last) {
			break
		}
		h[i] = h[child]
		i = child
	}
	h[i] = last
	return top
}
