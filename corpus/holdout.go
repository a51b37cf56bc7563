package corpus

import (
	"fmt"
	"slices"
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

// HoldOut chooses documents that hold about share of the tokens, a pure function
// of the corpus, the share, the seed and the window (tokens of a sample; pieces
// are made no shorter than a few windows). It is an error of kind fault.Invalid
// if whole documents cannot make up such a share.
func (c *Corpus) HoldOut(share float64, seed uint64, window int) (*HoldOut, error) {
	if !(share > 0 && share <= 0.5) {
		return nil, fault.Invalidf("a held-out share of %v; it must be above 0 and at most 50%%", share)
	}
	tokens := c.Tokens()
	wanted := int64(share * float64(tokens))
	pieces := min(max(wanted/(8*int64(window)+8), 1), maxPieces)
	stream := keyed.NewKey(seed, "hold out").Stream()
	h := &HoldOut{}
	for i := range pieces {
		// One piece a stratum, beginning at a random token of it.
		lo, hi := scale(tokens, i, pieces), scale(tokens, i+1, pieces)
		want := max(wanted/pieces, 1)
		at := lo + int64(stream.Uint64N(uint64(max(hi-lo-want, 1))))
		h.add(c, c.DocumentAt(at), want)
	}
	if held := h.Tokens(); held > tokens/2 {
		return nil, fault.Invalidf("corpus %s: holding out %.3g%% as whole documents would take %d of %d tokens (it has %d documents); "+
			"prepare the held-out text as a corpus of its own and name it in 'evaluate: corpus'",
			c.Path(), share*100, held, tokens, c.Documents())
	}
	return h, nil
}

// scale returns n*i/of without overflow for i <= of <= maxPieces.
func scale(n, i, of int64) int64 { return n/of*i + n%of*i/of }

// add holds out documents from first on until they have want tokens, or until
// they meet those already held out.
func (h *HoldOut) add(c *Corpus, first, want int64) {
	start, _ := c.Bounds(first)
	r := run{start: start, end: start}
	for d := first; d < c.Documents() && r.end-r.start < want; d++ {
		from, to := c.Bounds(d)
		if h.Holds(from, to) {
			continue
		}
		if from != r.end { // documents held out before lie between
			h.insert(r)
			r = run{start: from, end: from}
		}
		r.end = to
		r.documents++
	}
	h.insert(r)
}

func (h *HoldOut) insert(r run) {
	if r.start == r.end {
		return
	}
	at := sort.Search(len(h.runs), func(i int) bool { return h.runs[i].start >= r.start })
	h.runs = slices.Insert(h.runs, at, r)
}

// All holds out every document: a corpus that is for evaluation only.
func (c *Corpus) All() *HoldOut {
	return &HoldOut{runs: []run{{0, c.Tokens(), c.Documents()}}}
}

// Holds reports whether any of the tokens [start, end) is held out.
func (h *HoldOut) Holds(start, end int64) bool {
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

// Windows returns spans of at most window+1 tokens that cover the held-out text,
// neighbours within a run sharing one token, so that each token but a run's
// first is predicted once. Where they would predict more than limit tokens, an
// even choice of them is returned; 0 is no limit.
func (h *HoldOut) Windows(window int, limit int64) [][2]int64 {
	var spans [][2]int64
	for _, r := range h.runs {
		for at := r.start; at+1 < r.end; at += int64(window) {
			spans = append(spans, [2]int64{at, min(at+int64(window)+1, r.end)})
		}
	}
	most := int(max(limit/int64(window), 1))
	if limit == 0 || len(spans) <= most {
		return spans
	}
	chosen := make([][2]int64, most)
	for i := range chosen {
		chosen[i] = spans[i*len(spans)/most]
	}
	return chosen
}

// String says how much is held out.
func (h *HoldOut) String() string {
	return fmt.Sprintf("%d tokens of %d documents", h.Tokens(), h.Documents())
}
