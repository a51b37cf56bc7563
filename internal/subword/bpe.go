package subword

import "math"

// BPE is byte-pair encoding (Sennrich et al. 2016, section 3.2). A piece begins
// as its characters, or its bytes; then, as long as there is one, the adjacent
// pair that training merged first becomes one token, the leftmost of equals.
type BPE struct {
	Vocabulary map[string]int32
	// Bytewise pieces begin as bytes, others as characters.
	Bytewise bool
	// Whole takes a piece that is a token as it is, without merging.
	Whole bool
	// Fallback is what a character without a token becomes; else Unknown, one
	// for each or one for each run of them if Fuse; else nothing if None.
	Fallback Bytes
	Unknown  int32
	Fuse     bool
	// Prefix is what a token has before it that does not begin a piece, and
	// Suffix what one has after it that ends it. Both may be empty.
	Prefix, Suffix string

	pairs  pairTable
	single [256]int32 // Ready: the token of each byte
}

// Ready prepares for encoding. The fields are not to be changed after it.
func (m *BPE) Ready() *BPE {
	for i := range m.single {
		m.single[i] = None
		if id, ok := m.Vocabulary[string([]byte{byte(i)})]; ok && m.Prefix == "" && m.Suffix == "" {
			m.single[i] = id
		}
	}
	return m
}

// Merge adds the next rule: the pair of tokens becomes the token made. Rules
// come in the order of training.
func (m *BPE) Merge(left, right, made int32) { m.MergeAt(int32(m.pairs.count), left, right, made) }

// MergeAt adds a rule whose place in the order is rank.
func (m *BPE) MergeAt(rank, left, right, made int32) {
	m.pairs.put(pairKey(left, right), rank, made)
}

// MergeAll adds a rule for every two tokens that together are one; the lower
// one is merged first. That is the order where tokens are numbered as training
// made them, and no rules are written down.
func (m *BPE) MergeAll() {
	for text, made := range m.Vocabulary {
		for cut := 1; cut < len(text); cut++ {
			left, ok := m.Vocabulary[text[:cut]]
			if !ok {
				continue
			}
			if right, ok := m.Vocabulary[text[cut:]]; ok {
				m.MergeAt(made, left, right, made)
			}
		}
	}
}

// Places in a piece of more than a few megabytes are kept in an int32, and the
// memory needed is 32 times the piece.
const longestMerge = 1 << 28

func (m *BPE) encode(dst []int32, piece []byte, e *Encoder) []int32 {
	if m.Whole {
		if id, ok := m.Vocabulary[string(piece)]; ok {
			return append(dst, id)
		}
	}
	for len(piece) > longestMerge {
		m.begin(piece[:longestMerge], e)
		dst = e.merge(dst, &m.pairs)
		piece = piece[longestMerge:]
	}
	m.begin(piece, e)
	return e.merge(dst, &m.pairs)
}

// begin makes the parts that a piece is before anything is merged.
func (m *BPE) begin(piece []byte, e *Encoder) {
	e.parts = e.parts[:0]
	unknown := 0 // characters that wait to become Unknown
	for at := 0; at < len(piece); {
		n := 1
		if !m.Bytewise {
			n = runeLen(piece[at:])
		}
		char := piece[at : at+n]
		id := m.character(char, at == 0, at+n == len(piece))
		at += n
		switch {
		case id != None:
			e.addUnknown(m, unknown)
			unknown = 0
			e.parts = append(e.parts, part{token: id})
		case hasAll(m.Fallback, char):
			for _, b := range char {
				e.parts = append(e.parts, part{token: m.Fallback[b]})
			}
		case m.Unknown != None:
			unknown++
		}
	}
	e.addUnknown(m, unknown)
}

// character returns the token of a character, or of a byte, or None.
func (m *BPE) character(char []byte, first, last bool) int32 {
	if len(char) == 1 && m.single[char[0]] != None {
		return m.single[char[0]]
	}
	text := string(char)
	if !first {
		text = m.Prefix + text
	}
	if last {
		text += m.Suffix
	}
	if id, ok := m.Vocabulary[text]; ok {
		return id
	}
	return None
}

func (e *Encoder) addUnknown(m *BPE, n int) {
	if m.Fuse {
		n = min(n, 1)
	}
	for range n {
		e.parts = append(e.parts, part{token: m.Unknown})
	}
}

// part is a token that may still be merged. The parts of a piece are a list
// linked by their places.
type part struct {
	token          int32
	previous, next int32 // places; next is the number of parts at the end
	made           int32 // of this part and the next; None: no rule
}

// pair waits to be merged: at a place, into a token, by rank.
type pair struct{ rank, at, made int32 }

// merge merges the parts and appends the tokens that are left.
//
// Pairs wait in a heap by rank, then place, so that a piece of n bytes takes
// n log n steps and not n squared, which a megabyte without a space would turn
// into hours. Pairs that a merge made stale are left in the heap and skipped:
// what they would make is no longer what the part would.
func (e *Encoder) merge(dst []int32, pairs *pairTable) []int32 {
	parts, n := e.parts, int32(len(e.parts))
	e.heap = e.heap[:0]
	for i := range n {
		p := &parts[i]
		p.previous, p.next, p.made = i-1, i+1, None
		if i+1 < n {
			if r := pairs.get(pairKey(p.token, parts[i+1].token)); r != nil {
				p.made = r.made
				e.push(pair{r.rank, i, r.made})
			}
		}
	}
	for len(e.heap) > 0 {
		top := e.pop()
		a := &parts[top.at]
		if a.made != top.made {
			continue // stale
		}
		gone := &parts[a.next]
		gone.made = None
		a.token, a.next, a.made = top.made, gone.next, None
		if a.next < n {
			parts[a.next].previous = top.at
			if r := pairs.get(pairKey(a.token, parts[a.next].token)); r != nil {
				a.made = r.made
				e.push(pair{r.rank, top.at, r.made})
			}
		}
		if a.previous >= 0 {
			before := &parts[a.previous]
			before.made = None
			if r := pairs.get(pairKey(before.token, a.token)); r != nil {
				before.made = r.made
				e.push(pair{r.rank, a.previous, r.made})
			}
		}
	}
	for i := int32(0); i < n; i = parts[i].next {
		dst = append(dst, parts[i].token)
	}
	return dst
}

func (p pair) before(q pair) bool { return p.rank < q.rank || p.rank == q.rank && p.at < q.at }

// push and pop are a binary heap; container/heap would box every pair.
func (e *Encoder) push(p pair) {
	e.heap = append(e.heap, p)
	h, i := e.heap, len(e.heap)-1
	for i > 0 && p.before(h[(i-1)/2]) {
		h[i] = h[(i-1)/2]
		i = (i - 1) / 2
	}
	h[i] = p
}

func (e *Encoder) pop() pair {
	h := e.heap
	top, last := h[0], h[len(h)-1]
	h = h[:len(h)-1]
	e.heap = h
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

// pairTable has the rules by pair: open addressing at most half full, which
// answers "no rule", the common case, twice as fast as a map.
type pairTable struct {
	rules []rule
	count int
}

type rule struct {
	key        uint64
	rank, made int32
}

// noKey is no pair: no token has that number.
const noKey = math.MaxUint64

func pairKey(left, right int32) uint64 { return uint64(uint32(left))<<32 | uint64(uint32(right)) }

func (t *pairTable) get(key uint64) *rule {
	mask := uint64(len(t.rules) - 1)
	if len(t.rules) == 0 {
		return nil
	}
	for i := mix(key) & mask; ; i = (i + 1) & mask {
		switch r := &t.rules[i]; r.key {
		case key:
			return r
		case noKey:
			return nil
		}
	}
}

// put adds a rule; of two for one pair the later one holds.
func (t *pairTable) put(key uint64, rank, made int32) {
	if r := t.get(key); r != nil {
		r.rank, r.made = rank, made
		t.count++
		return
	}
	if 2*t.count >= len(t.rules) {
		old := t.rules
		t.rules = make([]rule, max(1024, 2*len(old)))
		for i := range t.rules {
			t.rules[i].key = noKey
		}
		for _, r := range old {
			if r.key != noKey {
				t.place(r)
			}
		}
	}
	t.place(rule{key, rank, made})
	t.count++
}

func (t *pairTable) place(r rule) {
	mask := uint64(len(t.rules) - 1)
	i := mix(r.key) & mask
	for t.rules[i].key != noKey {
		i = (i + 1) & mask
	}
	t.rules[i] = r
}
