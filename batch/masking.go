package batch

import (
	"cmp"
	"math"
	"slices"

	"github.com/gradus-ml/gradus/internal/fault"
	"github.com/gradus-ml/gradus/internal/keyed"
)

// A Masking hides some tokens of each row, which are to be told from the rest
// (masked language modelling: Devlin et al., arXiv 1810.04805, sections 3.1 and
// A.1). Labels are then the tokens themselves where one is predicted, and Ignore
// elsewhere, instead of the tokens that follow.
//
// Of the candidates of a row, all tokens that are no padding, not special and no
// context that an earlier row has predicted, round(Share * candidates) are drawn
// to be predicted, and at least one if there is any. Of these a share Random
// becomes any token that is not special, a share Keep stays as it is, and the
// rest becomes Mask. All draws of a row are a function of (seed, step, row of
// the global batch).
type Masking struct {
	Share  float64 // above 0, at most 1
	Random float64
	Keep   float64
	Mask   int32
	// Vocabulary bounds random tokens; they are below it.
	Vocabulary int
	// Special are tokens that are never predicted and never drawn. Mask and
	// Separator are special as well.
	Special []int32
	// Separator ends the first segment of a document: up to and with the first one
	// Segments is 0, and then 1. -1: there are no segments.
	Separator int32
}

// Validate reports a Masking that cannot be, with an error of kind fault.Invalid.
func (m Masking) Validate() error {
	switch {
	case !(m.Share > 0 && m.Share <= 1):
		return fault.Invalidf("masking: the share of predicted tokens is %v; it must be above 0 and at most 1", m.Share)
	case !(m.Random >= 0 && m.Keep >= 0 && m.Random+m.Keep <= 1):
		return fault.Invalidf("masking: of the predicted tokens a share of %v is random and %v stays; neither can be negative, and together they are at most 1", m.Random, m.Keep)
	case m.Mask < 0 || m.Separator < -1:
		return fault.Invalidf("masking: mask token %d, separator %d; tokens are not negative", m.Mask, m.Separator)
	}
	if _, below := m.special(); m.Random > 0 && below >= m.Vocabulary {
		return fault.Invalidf("masking: a vocabulary of %d tokens without %d special ones leaves none to draw at random; name a larger vocabulary or fewer special tokens",
			m.Vocabulary, below)
	}
	return nil
}

// special returns the special tokens, ascending, and how many of them are below
// the vocabulary.
func (m Masking) special() (all []int32, below int) {
	all = append(slices.Clone(m.Special), m.Mask, m.Separator)
	slices.Sort(all)
	all = slices.DeleteFunc(slices.Compact(all), func(t int32) bool { return t < 0 })
	below, _ = slices.BinarySearchFunc(all, m.Vocabulary, func(t int32, n int) int { return cmp.Compare(int(t), n) })
	return all, below
}

// Places returns the number of positions that a row of so many tokens has in
// Batch.Predicted: max(1, ceil(Share*length)), which depends on the length alone
// so that rows of one length have one shape.
func (m Masking) Places(length int) int {
	return max(1, min(length, int(math.Ceil(m.Share*float64(length)))))
}

// A masker is a Masking at work.
type masker struct {
	Masking
	hidden []int32 // special tokens, ascending
	drawn  []int32 // those of them that random draws pass over
}

// newMasker returns nil for no Masking.
func newMasker(m *Masking) (*masker, error) {
	if m == nil {
		return nil, nil
	}
	if err := m.Validate(); err != nil {
		return nil, err
	}
	all, below := m.special()
	return &masker{*m, all, all[:below]}, nil
}

// apply masks a batch whose inputs and labels are those of a causal model. The
// key of a row is (seed, purpose, step, row of the global batch).
func (m *masker) apply(b *Batch, seed uint64, purpose string, step int64) {
	if m.Separator >= 0 {
		b.Segments = m.segments(b)
	}
	places := m.Places(b.Length)
	b.Predicted = make([]int32, b.Rows*places)
	candidates := make([]int32, 0, b.Length)
	for r := range b.Rows {
		stream := keyed.NewKey(seed, purpose, uint64(step), uint64(b.First+r)).Stream()
		inputs, labels := b.Inputs[r*b.Length:][:b.Length], b.Labels[r*b.Length:][:b.Length]
		predicted := b.Predicted[r*places:][:places]
		candidates = m.candidates(candidates[:0], inputs, labels)
		fill(labels, Ignore)
		n := m.choose(predicted, candidates, stream)
		for _, at := range predicted[:n] {
			labels[at] = inputs[at]
			inputs[at] = m.replace(inputs[at], stream)
		}
		if n < places { // so some position of the row predicts nothing
			fill(predicted[n:], int32(slices.Index(labels, Ignore)))
		}
	}
}

// candidates appends the positions of a row that may be predicted.
func (m *masker) candidates(dst, inputs, labels []int32) []int32 {
	for i, token := range inputs {
		if labels[i] == Ignore {
			continue
		}
		if _, special := slices.BinarySearch(m.hidden, token); !special {
			dst = append(dst, int32(i))
		}
	}
	return dst
}

// choose draws the positions to predict, ascending, and returns their number:
// each candidate in turn with the probability of those still wanted among those
// still left (Knuth, The Art of Computer Programming, volume 2, 3.4.2, algorithm
// S), so that every set of that size is as likely.
func (m *masker) choose(predicted, candidates []int32, stream *keyed.Stream) int {
	if len(candidates) == 0 {
		return 0
	}
	n := max(1, int(math.Round(m.Share*float64(len(candidates)))))
	chosen := 0
	for i, at := range candidates {
		if stream.Uint64N(uint64(len(candidates)-i)) < uint64(n-chosen) {
			predicted[chosen] = at
			chosen++
		}
	}
	return n
}

// replace returns what the model sees of a token that it is to predict.
func (m *masker) replace(token int32, stream *keyed.Stream) int32 {
	u := stream.Float64()
	switch {
	case u < m.Random:
		random := int32(stream.Uint64N(uint64(m.Vocabulary - len(m.drawn))))
		for _, special := range m.drawn {
			if random >= special {
				random++
			}
		}
		return random
	case u < m.Random+m.Keep:
		return token
	}
	return m.Mask
}

// segments returns the kind of each token: 0 up to and with the first separator
// of its document in the row, and then 1; padding is 0.
func (m *masker) segments(b *Batch) []int32 {
	kinds := make([]int32, len(b.Inputs))
	kind := int32(0)
	for i, token := range b.Inputs {
		// A document begins, or this is padding, whose positions are all 0.
		if i%b.Length == 0 || b.Positions != nil && b.Positions[i] == 0 {
			kind = 0
		}
		kinds[i] = kind
		if token == m.Separator {
			kind = 1
		}
	}
	return kinds
}
