package corpus

import (
	"fmt"
	"iter"
	"sort"

	"github.com/gradus-ml/gradus/internal/fault"
	"github.com/gradus-ml/gradus/internal/keyed"
)

// maxPieces is how many places of the corpus held-out documents are taken from.
// Many make the held-out text like the rest even where the corpus is sorted by
// source; each costs training at most two windows, those that reach into it.
const maxPieces = 64

// A HoldOut is a set of whole documents kept away from training: runs of
// neighbouring documents from many places of the corpus.
type HoldOut struct {
	runs []run
}

// A run is neighbouring documents, as tokens [start, end) of the concatenation.
type run struct{ start, end, documents int64 }

// HoldOut chooses documents that hold about share of the tokens: at least that
// many, and fewer than one document more. Documents longer than two pieces are
// passed over as long as shorter ones make up the share. The choice is a pure
// function of the corpus, the share, the seed and the window (tokens of a sample;
// pieces are made no shorter than a few windows). It is an error of kind
// fault.Invalid if whole documents cannot make up such a share.
func (c *Corpus) HoldOut(share float64, seed uint64, window int) (*HoldOut, error) {
	tokens := c.Tokens()
	switch {
	case !(share > 0 && share <= 0.5):
		return nil, fault.Invalidf("a held-out share of %v; it must be above 0 and at most 50%%", share)
	case window < 1:
		return nil, fault.Invalidf("a window of %d tokens; it must be at least 1", window)
	case tokens == 0:
		return nil, fault.Invalidf("corpus %s is empty; prepare some text", c.Path())
	}
	wanted := max(int64(share*float64(tokens)), 1)
	// Many places first. Where documents are too long for pieces that short, fewer
	// and longer pieces; in the end whatever documents there are.
	var h *HoldOut
	for pieces := min(max(wanted/8/(int64(window)+1), 1), maxPieces); ; pieces /= 4 {
		longest := tokens
		if pieces > 0 {
			longest = 2 * wanted / pieces
		}
		if h = c.choose(wanted, max(pieces, 1), longest, seed); pieces == 0 || h.Tokens() >= wanted {
			break
		}
	}
	held := h.Tokens()
	if held > tokens/2 {
		return nil, fault.Invalidf("corpus %s: holding out %.3g%% as whole documents would take %d of %d tokens (it has %d documents); "+
			"prepare the held-out text as a corpus of its own and name it in 'evaluate: corpus'",
			c.Path(), share*100, held, tokens, c.Documents())
	}
	return h, nil
}

// choose holds out wanted tokens in a number of pieces, passing over documents
// longer than longest: a text of which one document is as long as all pieces
// together would else be held out as that document.
func (c *Corpus) choose(wanted, pieces, longest int64, seed uint64) *HoldOut {
	stream := keyed.NewKey(seed, "hold out").Stream()
	h := &HoldOut{}
	held, next := int64(0), int64(0) // tokens held out, and the document after the last of them
	for i := range pieces {
		// One piece a stratum, from the document at a random token of it on. The
		// target is what all pieces up to here owe together, so that a long
		// document held out here makes the pieces after it shorter, or none.
		lo, hi := scale(c.Tokens(), i, pieces), scale(c.Tokens(), i+1, pieces)
		target := max(scale(wanted, i+1, pieces), 1)
		at := lo + int64(stream.Uint64N(uint64(max(hi-lo-wanted/pieces, 1))))
		if held >= target {
			continue
		}
		for d := max(c.DocumentAt(at), next); d < c.Documents() && held < target; d++ {
			if start, end := c.Bounds(d); start < end && end-start <= longest {
				held += h.append(c, d)
				next = d + 1
			}
		}
	}
	return h
}

// scale returns n*i/of without overflow for i <= of <= maxPieces.
func scale(n, i, of int64) int64 { return n/of*i + n%of*i/of }

// append holds out a document behind all others and returns its tokens. One
// that follows the last run's text makes that run longer.
func (h *HoldOut) append(c *Corpus, d int64) int64 {
	start, end := c.Bounds(d)
	if n := len(h.runs); n == 0 || h.runs[n-1].end != start {
		h.runs = append(h.runs, run{start: start, end: start})
	}
	last := &h.runs[len(h.runs)-1]
	last.end = end
	last.documents++
	return end - start
}

// All holds out every document: a corpus that is for evaluation only.
func (c *Corpus) All() *HoldOut {
	return &HoldOut{runs: []run{{0, c.Tokens(), c.Documents()}}}
}

// Holds reports whether any of the tokens [start, end) is held out; of none, none is.
func (h *HoldOut) Holds(start, end int64) bool {
	if start >= end {
		return false
	}
	i := sort.Search(len(h.runs), func(i int) bool { return h.runs[i].end > start })
	return i < len(h.runs) && h.runs[i].start < end
}

// Tokens returns how many tokens are held out.
func (h *HoldOut) Tokens() int64 {
	n := int64(0)
	for _, r := range h.runs {
		n += r.end - r.start
	}
	return n
}

// Documents returns how many documents are held out.
func (h *HoldOut) Documents() int64 {
	n := int64(0)
	for _, r := range h.runs {
		n += r.documents
	}
	return n
}

// In returns the held-out documents of the corpus that they were chosen from,
// ascending; empty ones aside.
func (h *HoldOut) In(c *Corpus) iter.Seq[int64] {
	return func(yield func(int64) bool) {
		for _, r := range h.runs {
			if r.start == r.end {
				continue
			}
			for d := c.DocumentAt(r.start); d < c.Documents(); d++ {
				start, end := c.Bounds(d)
				if start >= r.end {
					break
				}
				if start < end && !yield(d) {
					return
				}
			}
		}
	}
}

// Windows returns spans of at most window+1 tokens that cover the held-out text,
// neighbours within a run sharing one token, so that each token but a run's
// first is predicted once. Where they would predict more than limit tokens, an
// even choice of them that does not is returned, or one span if the limit is
// shorter than that; 0 is no limit. The window must be positive.
func (h *HoldOut) Windows(window int, limit int64) [][2]int64 {
	var spans [][2]int64
	predicted := int64(0)
	for _, r := range h.runs {
		for at := r.start; r.end-at > 1; {
			n := min(int64(window), r.end-at-1)
			spans = append(spans, [2]int64{at, at + n + 1})
			at += n
		}
		predicted += max(r.end-r.start-1, 0)
	}
	if limit <= 0 || predicted <= limit {
		return spans
	}
	chosen := make([][2]int64, max(limit/int64(window), 1))
	for i := range chosen {
		chosen[i] = spans[i*len(spans)/len(chosen)]
	}
	return chosen
}

// String says how much is held out.
func (h *HoldOut) String() string {
	return fmt.Sprintf("%d tokens of %d documents", h.Tokens(), h.Documents())
}
