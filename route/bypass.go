package route

import (
	"math"
	"slices"

	"github.com/gradus-ml/gradus/internal/fault"
)

// TokenBypass drops the tokens that the model predicts best: those whose entry of
// the vocabulary has the smallest running mean of the loss (Hou et al., "Token
// dropping for efficient BERT pretraining", arXiv 2203.13240). One choice serves
// all layers of a span, as in the paper, where tokens that are dropped in the middle
// of the model come back before its last layer.
//
// The paper's mean is m = beta*m + (1-beta)*l, where l is the mean loss of the
// entry in the batch; its published code has beta 0.995, begins with m = 10 (about
// the loss of a guess among 30,000 entries), and always keeps special tokens, and
// drops padding first. Here beta and the mean are the same. Ours are: an entry's
// first mean is its first l, and until then it is more important than any that was
// seen, whatever the vocabulary; equally important positions are drawn by a key;
// special tokens are kept by Rows.Always. A label is the token to predict, so
// models that predict the next token learn alike.
type TokenBypass struct{}

// Keep chooses as at the first step: all tokens are equally important, but padding.
func (TokenBypass) Keep(kept []int32, length int, d Draw) { (&bypass{}).Keep(kept, length, d) }

// Shares is true.
func (TokenBypass) Shares() bool { return true }

// Learn returns a mean for each entry, none of which is known.
func (TokenBypass) Learn(vocabulary int) Learned {
	b := &bypass{means: make([]float64, vocabulary), sums: make([]float64, vocabulary), counts: make([]int64, vocabulary)}
	for i := range b.means {
		b.means[i] = unseen
	}
	return b
}

// bypass is a TokenBypass that learned.
type bypass struct {
	means []float64 // of the loss of each entry of the vocabulary, in nats; unseen

	// Of one call of Observe, 0 between calls.
	sums   []float64
	counts []int64
}

// unseen is the mean of an entry that was never predicted. Losses are not negative.
const unseen = -1

// bypassDecay is beta: a mean forgets half in 138 batches that predict its entry.
const bypassDecay = 0.995

func (b *bypass) Shares() bool { return true }

func (b *bypass) Keep(kept []int32, length int, d Draw) {
	stream := d.key("route token-bypass", d.Span).Stream()
	ranks := make([]uint64, 2*length) // importance, then the lot
	sorted := ranks[length:]
	ranks = ranks[:length]
	for i := range ranks {
		token := int32(math.MaxInt32) // no entry of its own
		if d.Tokens != nil {
			token = d.Tokens[i]
		}
		ranks[i] = uint64(b.importance(token))<<32 | uint64(stream.Uint32())
	}
	copy(sorted, ranks)
	slices.Sort(sorted)
	least := sorted[length-len(kept)]
	above, _ := slices.BinarySearch(sorted, least+1)
	same := len(kept) - (length - above) // of those as important as the least: the first ones
	n := 0
	for at, rank := range ranks {
		if rank < least || rank == least && same == 0 {
			continue
		}
		if rank == least {
			same--
		}
		kept[n] = int32(at)
		n++
	}
}

// importance returns a number that rises with the importance of a token.
func (b *bypass) importance(token int32) uint32 {
	switch {
	case token < 0:
		return 0
	case int(token) >= len(b.means) || b.means[token] == unseen:
		return 1 << 31 // above the bits of any number
	}
	return 1 + math.Float32bits(float32(b.means[token])) // of numbers that are not negative, the bits rise as they do
}

func (b *bypass) Observe(labels []int32, losses []float32) {
	var seen []int32
	for i, label := range labels {
		loss := float64(losses[i])
		if label < 0 || int(label) >= len(b.means) || math.IsNaN(loss) || math.IsInf(loss, 0) {
			continue // a loss that is no number ends the run, and nothing is learned of it
		}
		if b.counts[label] == 0 {
			seen = append(seen, label)
		}
		b.sums[label] += max(loss, 0) // rounding may leave a little less
		b.counts[label]++
	}
	for _, label := range seen {
		mean := b.sums[label] / float64(b.counts[label])
		if old := b.means[label]; old != unseen {
			mean = bypassDecay*old + (1-bypassDecay)*mean
		}
		b.means[label], b.sums[label], b.counts[label] = mean, 0, 0
	}
}

func (b *bypass) State() []float64 { return slices.Clone(b.means) }

func (b *bypass) Restore(state []float64) error {
	if len(state) != len(b.means) {
		return fault.Mismatchf("token-bypass: the state has the mean losses of %d tokens, and the model a vocabulary of %d", len(state), len(b.means))
	}
	for i, mean := range state {
		if mean != unseen && !(mean >= 0 && mean <= math.MaxFloat32) {
			return fault.Corruptf("token-bypass: the mean loss of token %d is %v; it must be a number from 0 on, or %d if there is none", i, mean, unseen)
		}
	}
	copy(b.means, state)
	return nil
}
