package metric

import (
	"math"

	"github.com/gradus-ml/gradus/internal/fault"
)

// Rarity returns the metric "rarity", vocabulary rarity in arXiv 2212.03597,
// §3.1: the sum of -ln p(w) over the tokens w of the sample, in nats, where
//
//	p(w) = c(w) / Σ c(v) over the vocabulary,
//
// c(v) is how often v occurs in the corpus, and 1 where it does not occur. The
// vocabulary is the corpus's if that is known, and reaches up to the largest
// token of the corpus if that lies beyond it.
//
// The sum runs from the first token to the last in float64 and is kept as it
// is; the paper's code cuts it to a whole number.
func Rarity() Metric { return rarity{} }

type rarity struct{}

func (rarity) Info() Info {
	return Info{
		Name:    "rarity",
		Version: 1,
		Unit:    "nats",
		Kind:    Real,
		Summary: "sum of -ln p over the tokens, p of the corpus's unigrams (voc of arXiv 2212.03597, §3.1)",
	}
}

func (rarity) Statistics() []Statistic { return []Statistic{new(TokenCounts)} }

func (rarity) Scorer(source Source) (Scorer, error) {
	counts, ok := source.Statistics[new(TokenCounts).Name()].(*TokenCounts)
	if !ok {
		return nil, fault.Invalidf("rarity needs the statistic %s", new(TokenCounts).Name())
	}
	vocabulary, occurring := int64(source.Meta.Vocabulary), int64(0)
	for token := range counts.All() {
		vocabulary = max(vocabulary, int64(token)+1)
		occurring++
	}
	// -ln(c/sum) = ln(sum/c), one rounding of the quotient and one of the
	// logarithm for each distinct token, not for each token.
	sum := float64(counts.Total() + vocabulary - occurring)
	s := &rarityScorer{unseen: math.Log(sum), beyond: map[int32]float64{}}
	for token, n := range counts.All() {
		nats := math.Log(sum / float64(n))
		if token >= denseTokens {
			s.beyond[token] = nats
			continue
		}
		for int(token) > len(s.nats) {
			s.nats = append(s.nats, s.unseen)
		}
		s.nats = append(s.nats, nats)
	}
	return s, nil
}

// rarityScorer looks up -ln p of each token; see denseTokens for the two tables.
type rarityScorer struct {
	nats   []float64
	beyond map[int32]float64
	unseen float64 // of a token that the corpus does not have
}

func (s *rarityScorer) Score(sample Sample) (float64, error) {
	sum := 0.0
	for _, t := range sample.Tokens {
		if uint(t) < uint(len(s.nats)) {
			sum += s.nats[t]
		} else if nats, ok := s.beyond[t]; ok {
			sum += nats
		} else {
			sum += s.unseen
		}
	}
	return sum, nil
}
