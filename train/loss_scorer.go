package train

import (
	"fmt"
	"maps"
	"slices"

	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gradus-ml/gradus/batch"
	"github.com/gradus-ml/gradus/internal/fault"
	"github.com/gradus-ml/gradus/metric"
)

const (
	// shortestRow is the least length of a row that is scored. Lengths are its
	// doubles, and rows of a length that is no multiple of it (a model's odd
	// context) run alone: so every row of a batch lies alike in the tiles of the
	// matrix kernels, which take 4 to 16 tokens at a time, and its loss has the
	// same bits in each place and beside any others.
	shortestRow = 16
	// tokensAtOnce is how many tokens a batch of short rows has: a batch of 256
	// takes half the time a token of a row of 64 (4 layers of width 128), and
	// longer ones gain nothing.
	tokensAtOnce = 256
)

// A lossScorer runs the model on one goroutine. The graphs and the weights are
// those of the metric.
type lossScorer struct {
	*lossMetric
	inputs, labels []int32 // of a batch
}

// A stretch is part of a sample that the model predicts in one pass, each token
// but the first.
type stretch struct {
	sample int // index in the call
	tokens []int32
	sum    float64 // of its losses
}

// Score runs the stretches of all samples, batched with others of like length.
func (s *lossScorer) Score(values []float64, samples []metric.Sample) error {
	var all []*stretch
	byLength := map[int][]*stretch{}
	for i, sample := range samples {
		if err := s.known(sample.Tokens); err != nil {
			return &metric.SampleError{ID: sample.ID, Err: err}
		}
		for rest := sample.Tokens; len(rest) > 1; {
			part := &stretch{sample: i, tokens: rest[:min(s.config.Context+1, len(rest))]}
			rest = rest[len(part.tokens)-1:]
			length := s.rowLength(len(part.tokens) - 1)
			all, byLength[length] = append(all, part), append(byLength[length], part)
		}
		values[i] = 0
	}
	for _, length := range slices.Sorted(maps.Keys(byLength)) {
		rows := rowsAtOnce(length)
		for part := range slices.Chunk(byLength[length], rows) {
			if err := s.run(part, rows, length); err != nil {
				return &metric.SampleError{ID: samples[part[0].sample].ID, Err: err}
			}
		}
	}
	for _, part := range all {
		values[part.sample] += part.sum
	}
	for i, sample := range samples {
		values[i] /= float64(max(len(sample.Tokens)-1, 1))
		if diverged(values[i]) {
			return &metric.SampleError{ID: sample.ID, Err: fmt.Errorf("its loss under checkpoint %s is %v; name a checkpoint of a run that has not diverged", s.path, values[i])}
		}
	}
	return nil
}

// known reports a token that the model has no embedding of.
func (m *lossMetric) known(tokens []int32) error {
	for i, id := range tokens {
		if id < 0 || int(id) >= m.config.Vocabulary {
			return fault.Mismatchf("its token %d is %d, and the model of checkpoint %s has a vocabulary of %d (tokens 0 to %d); "+
				"name a checkpoint of a model that was trained on tokens of the same tokenizer", i, id, m.path, m.config.Vocabulary, m.config.Vocabulary-1)
		}
	}
	return nil
}

// rowLength returns the length of the row that n inputs are padded to, so that
// there are few graphs: shortestRow, doubled as often as it takes, at most the
// context.
func (m *lossMetric) rowLength(n int) int {
	length := shortestRow
	for length < n {
		length *= 2
	}
	return min(length, m.config.Context)
}

// rowsAtOnce returns how many rows of a length a batch has.
func rowsAtOnce(length int) int {
	if length%shortestRow != 0 {
		return 1
	}
	return max(tokensAtOnce/length, 1)
}

// run sets the sums of at most rows stretches, in a batch of that many rows. What
// they leave of it is padding: it comes after a row's tokens, which do not see
// it, and predicts nothing.
func (s *lossScorer) run(part []*stretch, rows, length int) error {
	if n := rows * length; len(s.inputs) != n {
		s.inputs, s.labels = make([]int32, n), make([]int32, n)
	}
	clear(s.inputs)
	for i := range s.labels {
		s.labels[i] = batch.Ignore
	}
	for r, p := range part {
		copy(s.inputs[r*length:], p.tokens[:len(p.tokens)-1])
		copy(s.labels[r*length:], p.tokens[1:])
	}
	args := append(make([]any, 0, len(s.weights)+2), s.weights...)
	args = append(args, tensors.FromFlatDataAndDimensions(s.inputs, rows, length), tensors.FromFlatDataAndDimensions(s.labels, rows, length))
	out, err := s.losses.Call(args...)
	if err != nil {
		return fmt.Errorf("running the model of checkpoint %s on %d x %d tokens: %w", s.path, rows, length, err)
	}
	losses, err := tensors.CopyFlatData[float32](out[0])
	if err != nil {
		return fmt.Errorf("reading the losses: %w", err)
	}
	if err := out[0].FinalizeAll(); err != nil { // back to the backend's pool
		return fmt.Errorf("reading the losses: %w", err)
	}
	for r, p := range part {
		p.sum = 0
		for _, loss := range losses[r*length:][:len(p.tokens)-1] {
			p.sum += float64(loss)
		}
	}
	return nil
}
