package analyze

import (
	"fmt"
	"iter"

	"github.com/gradus-ml/gradus/corpus"
	"github.com/gradus-ml/gradus/internal/fault"
	"github.com/gradus-ml/gradus/metric"
)

// DefaultBlockTokens is the default of Options.BlockTokens.
const DefaultBlockTokens = 1 << 18

// maxBlockSamples bounds a block of many short or empty documents.
const maxBlockSamples = 1 << 16

// Block is the samples [Start, End). Its tokens lie together in the corpus.
type Block struct{ Start, End int64 }

// Blocks cuts the samples into blocks of at most so many tokens, or one sample
// if that is larger. It depends on nothing else, holds nothing in memory and
// begins anew with each loop over it.
func Blocks(s *corpus.Samples, tokens int) iter.Seq[Block] {
	return func(yield func(Block) bool) {
		for b := (Block{}); b.End < s.Len(); {
			b.Start = b.End
			first, _ := s.Span(b.Start)
			if n := s.Cut().Window; n > 0 {
				fit := min(max((tokens-1)/n, 1), maxBlockSamples)
				b.End = min(b.Start+int64(fit), s.Len())
			} else {
				for b.End++; b.End < s.Len() && b.End-b.Start < maxBlockSamples; b.End++ {
					if _, end := s.Span(b.End); end-first > int64(tokens) {
						break
					}
				}
			}
			if !yield(b) {
				return
			}
		}
	}
}

// span is the tokens [start, end) of the concatenation.
type span struct{ start, end int64 }

// spans cuts n tokens into spans of at most size.
func spans(n, size int64) iter.Seq[span] {
	return func(yield func(span) bool) {
		for start := int64(0); start < n; start += size {
			if !yield(span{start, min(start+size, n)}) {
				return
			}
		}
	}
}

// Gather adds the tokens [start, end) of the concatenation to the statistics:
// the map of the first pass. Statistics of parts that together hold each token
// once merge into those of the corpus.
func Gather(c *corpus.Corpus, start, end int64, into []metric.Statistic) error {
	tokens := make([]int32, end-start)
	if err := c.Read(tokens, start); err != nil {
		return err
	}
	for _, s := range into {
		if err := s.Add(nil, tokens); err != nil {
			return fmt.Errorf("tokens %d to %d of corpus %s: %s: %w", start, end, c.Path(), s.Name(), err)
		}
	}
	return nil
}

// Scores are the values of a block of samples.
type Scores struct {
	Block  Block
	Tokens int64       // of all its samples together
	Values [][]float64 // one slice a metric, one value a sample
}

// Score measures the samples of a block by the scorers, one for each metric:
// the map of the second pass. The index takes the scores of all blocks in
// order.
func Score(s *corpus.Samples, b Block, metrics []metric.Metric, scorers []metric.Scorer) (Scores, error) {
	if b.Start < 0 || b.Start >= b.End || b.End > s.Len() {
		return Scores{}, fault.Invalidf("samples %d to %d were asked for; there are %d", b.Start, b.End, s.Len())
	}
	first, _ := s.Span(b.Start)
	_, last := s.Span(b.End - 1)
	tokens := make([]int32, last-first)
	if err := s.Corpus().Read(tokens, first); err != nil {
		return Scores{}, err
	}
	scores := Scores{Block: b, Values: make([][]float64, len(scorers))}
	for i := range scorers {
		scores.Values[i] = make([]float64, b.End-b.Start)
	}
	samples := make([]metric.Sample, b.End-b.Start)
	for id := b.Start; id < b.End; id++ {
		start, end := s.Span(id)
		scores.Tokens += end - start
		samples[id-b.Start] = metric.Sample{ID: id, Len: int(end - start), Tokens: tokens[start-first : end-first : end-first]}
	}
	for i, scorer := range scorers {
		if err := scorer.Score(scores.Values[i], samples); err != nil {
			return Scores{}, fmt.Errorf("metric %s: %w", metrics[i].Info().Name, err)
		}
	}
	return scores, nil
}
