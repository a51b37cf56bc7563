package metric

import (
	"encoding/binary"
	"math"

	"github.com/gradus-ml/gradus/corpus"
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
func Rarity() Metric { return rarity{info: rarityInfo} }

var rarityInfo = Info{
	Name:    "rarity",
	Spec:    "rarity",
	Version: 1,
	Unit:    "nats",
	Kind:    Real,
	Summary: "sum of -ln p over the tokens, p of the corpus's unigrams (voc of arXiv 2212.03597, §3.1)",
}

// MeanRarity returns the metric "mean-rarity": rarity divided by the number of
// tokens, so that long samples are not hard by their length alone; 0 for a
// sample without tokens.
func MeanRarity() Metric { return rarity{info: meanRarityInfo, mean: true} }

var meanRarityInfo = Info{
	Name:    "mean-rarity",
	Spec:    "mean-rarity",
	Version: 1,
	Unit:    "nats a token",
	Kind:    Real,
	Summary: "rarity divided by length",
}

type rarity struct {
	info Info
	mean bool
}

func (r rarity) Info() Info { return r.info }

func (rarity) Statistics() []Statistic { return []Statistic{new(TokenCounts)} }

func (r rarity) Scorer(source Source) (Scorer, error) {
	counts, ok := source.Statistics[new(TokenCounts).Name()].(*TokenCounts)
	if !ok {
		return nil, fault.Invalidf("%s needs the statistic %s", r.info.Name, new(TokenCounts).Name())
	}
	vocabulary, occurring := int64(source.Meta.Vocabulary), int64(0)
	for token := range counts.All() {
		vocabulary = max(vocabulary, int64(token)+1)
		occurring++
	}
	// -ln(c/sum) = ln(sum/c), one rounding of the quotient and one of the
	// logarithm for each distinct token, not for each token.
	sum := float64(counts.Total() + vocabulary - occurring)
	s := &rarityScorer{mean: r.mean, unseen: math.Log(sum), beyond: map[int32]float64{}}
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
	mean   bool
	words  *[1 << 16]float64 // nats of each uint16, made when first needed
}

func (s *rarityScorer) Score(values []float64, samples []Sample) error {
	i := 0
	for ; i+lanes <= len(samples); i += lanes {
		s.sumLanes((*[lanes]float64)(values[i:]), (*[lanes]Sample)(samples[i:]))
	}
	for ; i < len(samples); i++ {
		values[i] = s.sum(0, samples[i].Tokens)
	}
	s.divide(values, samples)
	return nil
}

// divide makes means of sums, if that is the metric.
func (s *rarityScorer) divide(values []float64, samples []Sample) {
	if s.mean {
		for i, sample := range samples {
			values[i] /= float64(max(sample.Len, 1))
		}
	}
}

// ScoreRaw takes tokens of one or two unsigned bytes. Every one of them has an
// entry in the table, so nothing is checked, and two chains are enough.
func (s *rarityScorer) ScoreRaw(values []float64, samples []Sample, dtype corpus.DType) bool {
	if dtype != corpus.Uint8 && dtype != corpus.Uint16 {
		return false
	}
	if s.words == nil {
		s.words = new([1 << 16]float64)
		for token := range s.words {
			s.words[token] = s.sum(0, []int32{int32(token)})
		}
	}
	none := Sample{}
	for i := 0; i < len(samples); i += 2 {
		a, b := &samples[i], &none
		if i+1 < len(samples) {
			b = &samples[i+1]
		}
		var sums [2]float64
		if dtype == corpus.Uint8 {
			sums = s.sumBytes(a.Raw, b.Raw)
		} else {
			sums = s.sumWords(a.Raw, b.Raw)
		}
		copy(values[i:len(samples)], sums[:])
	}
	s.divide(values, samples)
	return true
}

// sumWords sums two samples of uint16, each in the order of its tokens.
func (s *rarityScorer) sumWords(a, b []byte) [2]float64 {
	table := s.words
	var x, y float64
	for len(a) >= 8 && len(b) >= 8 {
		v, w := binary.LittleEndian.Uint64(a), binary.LittleEndian.Uint64(b)
		a, b = a[8:], b[8:]
		x += table[uint16(v)]
		y += table[uint16(w)]
		x += table[uint16(v>>16)]
		y += table[uint16(w>>16)]
		x += table[uint16(v>>32)]
		y += table[uint16(w>>32)]
		x += table[uint16(v>>48)]
		y += table[uint16(w>>48)]
	}
	for ; len(a) >= 2; a = a[2:] {
		x += table[binary.LittleEndian.Uint16(a)]
	}
	for ; len(b) >= 2; b = b[2:] {
		y += table[binary.LittleEndian.Uint16(b)]
	}
	return [2]float64{x, y}
}

// sumBytes does so for uint8.
func (s *rarityScorer) sumBytes(a, b []byte) [2]float64 {
	table := (*[1 << 8]float64)(s.words[:])
	var x, y float64
	for i := range min(len(a), len(b)) {
		x += table[a[i]]
		y += table[b[i]]
	}
	n := min(len(a), len(b))
	for _, t := range a[n:] {
		x += table[t]
	}
	for _, t := range b[n:] {
		y += table[t]
	}
	return [2]float64{x, y}
}

// lanes samples are summed at a time: a sum is a chain of additions, each of
// which waits 4 cycles for the one before, and four chains fill that time.
const lanes = 4

// sumLanes sums each sample in its own chain, in the order of its tokens.
func (s *rarityScorer) sumLanes(values *[lanes]float64, samples *[lanes]Sample) {
	n := len(samples[0].Tokens)
	for _, sample := range samples[1:] {
		n = min(n, len(sample.Tokens))
	}
	a, b, c, d := samples[0].Tokens[:n], samples[1].Tokens[:n], samples[2].Tokens[:n], samples[3].Tokens[:n]
	table := s.nats
	var sa, sb, sc, sd float64
	i := 0
	for ; i < n; i++ {
		ta, tb, tc, td := uint(a[i]), uint(b[i]), uint(c[i]), uint(d[i])
		if ta >= uint(len(table)) || tb >= uint(len(table)) || tc >= uint(len(table)) || td >= uint(len(table)) {
			break
		}
		sa += table[ta]
		sb += table[tb]
		sc += table[tc]
		sd += table[td]
	}
	for k, sum := range [lanes]float64{sa, sb, sc, sd} {
		values[k] = s.sum(sum, samples[k].Tokens[i:])
	}
}

// sum adds -ln p of the tokens to what has been summed before them.
func (s *rarityScorer) sum(sum float64, tokens []int32) float64 {
	for _, t := range tokens {
		if uint(t) < uint(len(s.nats)) {
			sum += s.nats[t]
		} else if nats, ok := s.beyond[t]; ok {
			sum += nats
		} else {
			sum += s.unseen
		}
	}
	return sum
}
