package subword

import "slices"

// Unigram takes the tokens that cover a piece and whose logarithms of
// probability add up to most (Kudo 2018, section 3.2): a shortest path over the
// places of the piece. What no token covers is Unknown, one for each run, or
// the tokens of its bytes.
type Unigram struct {
	Unknown  int32
	Fallback Bytes

	places map[string]int32 // token of a text
	lowest float64
	// The trie of tokens: a node for each beginning of one, the empty text first.
	nodes    []node
	children pairTable // by node and byte
}

// node is where a token may end.
type node struct {
	token int32 // None: no token ends here
	score float64
}

// unknownPenalty is how much less likely than the least likely token a
// character is that no token covers.
const unknownPenalty = 10

// NewUnigram makes the model of tokens with scores: token i is texts[i], and an
// empty text is no token.
func NewUnigram(texts []string, scores []float64, unknown int32, fallback Bytes) *Unigram {
	m := &Unigram{Unknown: unknown, Fallback: fallback, nodes: []node{{token: None}}, places: make(map[string]int32, len(texts))}
	if len(scores) > 0 {
		m.lowest = slices.Min(scores)
	}
	for i, text := range texts {
		if text != "" {
			m.add(text, int32(i), scores[i])
		}
	}
	return m
}

// add puts a token into the trie; of two with one text the later one counts.
func (m *Unigram) add(text string, token int32, score float64) {
	m.places[text] = token
	at := int32(0)
	for i := range len(text) {
		next := m.follow(at, text[i])
		if next == None {
			next = int32(len(m.nodes))
			m.nodes = append(m.nodes, node{token: None})
			m.children.put(childKey(at, text[i]), 0, next)
		}
		at = next
	}
	m.nodes[at] = node{token, score}
}

func childKey(at int32, b byte) uint64 { return uint64(at)<<8 | uint64(b) }

// follow returns the child of a node for a byte, or None.
func (m *Unigram) follow(at int32, b byte) int32 {
	if r := m.children.get(childKey(at, b)); r != nil {
		return r.made
	}
	return None
}

// step is the best way to a place of the piece.
type step struct {
	score float64
	from  int32 // the place before; None: no way
	token int32
}

func (m *Unigram) encode(dst []int32, piece []byte, e *Encoder) []int32 {
	for len(piece) > longestMerge {
		dst = m.path(dst, piece[:longestMerge], e)
		piece = piece[longestMerge:]
	}
	return m.path(dst, piece, e)
}

func (m *Unigram) path(dst []int32, piece []byte, e *Encoder) []int32 {
	e.best = slices.Grow(e.best[:0], len(piece)+1)[:len(piece)+1]
	best := e.best
	for i := range best {
		best[i] = step{from: None}
	}
	reach := func(to int, s step) {
		if best[to].from == None || s.score > best[to].score {
			best[to] = s
		}
	}
	for at := 0; at < len(piece); {
		n := runeLen(piece[at:])
		single := false // a token covers the character here alone
		node := int32(0)
		for end := at; end < len(piece); {
			if node = m.follow(node, piece[end]); node == None {
				break
			}
			end++
			if k := &m.nodes[node]; k.token != None {
				reach(end, step{best[at].score + k.score, int32(at), k.token})
				single = single || end == at+n
			}
		}
		if !single {
			reach(at+n, step{best[at].score + m.lowest - unknownPenalty, int32(at), m.Unknown})
		}
		at += n
	}
	// The way back, then its places in order.
	e.places = append(e.places[:0], int32(len(piece)))
	for at := int32(len(piece)); at > 0; {
		from := best[at].from
		last := len(e.places) - 1
		if m.Unknown != None && best[at].token == m.Unknown && last > 0 && best[e.places[last-1]].token == m.Unknown {
			e.places[last] = from // one run of what is unknown
		} else {
			e.places = append(e.places, from)
		}
		at = from
	}
	for i := len(e.places) - 1; i > 0; i-- {
		dst = m.token(dst, piece[e.places[i]:e.places[i-1]])
	}
	return dst
}

// token appends what a part of the best way is.
func (m *Unigram) token(dst []int32, text []byte) []int32 {
	if id, ok := m.places[string(text)]; ok {
		return append(dst, id)
	}
	if hasAll(m.Fallback, text) {
		return appendBytes(dst, m.Fallback, text)
	}
	if m.Unknown == None {
		return dst
	}
	return append(dst, m.Unknown)
}
