// Package batch fetches samples and shapes them into the token tensors of a
// step.
//
// A Maker holds the corpus, cut into samples, and the routing policy; Make gives
// the Batch of a step of a plan, a pure function of (corpus, plan, seed, step).
package batch

import (
	"slices"

	"github.com/gradus-ml/gradus/corpus"
	"github.com/gradus-ml/gradus/curriculum"
	"github.com/gradus-ml/gradus/internal/fault"
	"github.com/gradus-ml/gradus/route"
)

// Ignore is the label of a position that predicts nothing: padding, or the last
// token of a document.
const Ignore = -1

// A Batch is the token tensors of one step. Inputs and Labels are
// [Rows, Length] row by row.
type Batch struct {
	curriculum.Shape
	IDs    []int64 // the samples, in the order of the rows; nil in an evaluation
	Inputs []int32
	Labels []int32 // the token after each input; Ignore where there is none
	Kept   []int32 // [routed layers, Rows, Shape.Kept] ascending positions; nil: all
}

// Targets returns the number of labels that count.
func (b *Batch) Targets() int64 {
	n := int64(0)
	for _, l := range b.Labels {
		if l != Ignore {
			n++
		}
	}
	return n
}

// A Maker makes batches.
type Maker struct {
	samples *corpus.Samples
	plan    *curriculum.Plan
	sampler *curriculum.Sampler
	policy  route.Policy
	routed  []int
	seed    uint64
	pad     int32
}

// NewMaker returns the maker of a plan's batches. routed are the layers that
// policy draws positions for; seed is the recipe's.
func NewMaker(s *corpus.Samples, p *curriculum.Plan, policy route.Policy, routed []int, seed uint64) (*Maker, error) {
	m := &Maker{samples: s, plan: p, sampler: p.Sampler(), policy: policy, routed: routed, seed: seed}
	if end := s.Corpus().Meta().EndOfDocument; end > 0 {
		m.pad = int32(end)
	}
	if s.Cut().Documents {
		for _, shape := range p.Shapes() {
			if shape.Rows != p.Stages()[0].Batches[0].Units {
				return nil, fault.Invalidf("documents cannot be reshaped into several rows; use 'apply: truncate'")
			}
		}
	}
	return m, nil
}

// IDs returns the samples of a step of the plan, over all ranks.
func (m *Maker) IDs(step int64) []int64 { return m.sampler.At(nil, step) }

// Make returns the share of rank in a world of the given size of the batch of a
// step: rank 0 of 1 gets all of it. Steps may be asked in any order, from any
// number of goroutines. A step outside the plan, or a rank outside the world, is
// an error of kind fault.Invalid; tokens that cannot be are fault.Corrupt.
func (m *Maker) Make(step int64, rank, world int) (*Batch, error) {
	switch {
	case step < 0 || step >= m.plan.Steps():
		return nil, fault.Invalidf("step %d of a plan of %d (they count from 0)", step, m.plan.Steps())
	case world < 1 || rank < 0 || rank >= world:
		return nil, fault.Invalidf("rank %d of a world of %d; ranks count from 0 to one less than the world", rank, world)
	}
	ids := m.IDs(step)
	shape := m.plan.BatchAt(step).Shape
	rowsPerSample := shape.Rows / len(ids)
	first := len(ids) * rank / world * rowsPerSample
	ids = curriculum.Slice(ids, rank, world)
	shape.Rows = len(ids) * rowsPerSample

	b := newBatch(shape)
	b.IDs = ids
	buf := make([]int32, shape.Length+1)
	for i, id := range ids {
		start, end := m.samples.Span(id)
		for r := range rowsPerSample {
			at := min(start+int64(r*shape.Length), end)
			if err := b.fill(i*rowsPerSample+r, buf, m.samples.Corpus(), at, min(at+int64(len(buf)), end), m.pad); err != nil {
				return nil, err
			}
		}
	}
	if len(m.routed) > 0 && shape.Kept < shape.Length {
		b.Kept = route.Positions(m.policy, m.seed, step, m.routed, first, shape.Rows, shape.Length, shape.Kept)
	}
	return b, nil
}

// newBatch returns a batch of a shape, every token 0.
func newBatch(s curriculum.Shape) *Batch {
	return &Batch{Shape: s, Inputs: make([]int32, s.Tokens()), Labels: make([]int32, s.Tokens())}
}

// fill reads tokens [start, end) into row r of a batch: inputs are all but the
// last, labels all but the first. What the span leaves of the row is padding.
func (b *Batch) fill(r int, buf []int32, c *corpus.Corpus, start, end int64, pad int32) error {
	n := int(end - start)
	if err := c.Read(buf[:n], start); err != nil {
		return err
	}
	inputs, labels := b.Inputs[r*b.Length:(r+1)*b.Length], b.Labels[r*b.Length:(r+1)*b.Length]
	predicted := max(n-1, 0)
	copy(inputs, buf[:predicted])
	copy(labels, buf[min(1, n):n])
	for i := predicted; i < b.Length; i++ {
		inputs[i], labels[i] = pad, Ignore
	}
	return nil
}

// Evaluation returns batches of rows full-length rows that cover the held-out
// text of c (at most limit tokens of it; 0: all), nothing dropped. Rows past the
// last span are padding, so that one shape serves all of them.
func Evaluation(c *corpus.Corpus, h *corpus.HoldOut, window, rows int, limit int64) ([]*Batch, error) {
	if window < 1 || rows < 1 {
		return nil, fault.Invalidf("batches of %d rows of %d tokens; both must be at least 1", rows, window)
	}
	spans := h.Windows(window, limit)
	if len(spans) == 0 {
		return nil, fault.Invalidf("corpus %s: the held-out text (%s) holds nothing to predict; raise 'held_out'", c.Path(), h)
	}
	var batches []*Batch
	buf := make([]int32, window+1)
	for part := range slices.Chunk(spans, rows) {
		b := newBatch(curriculum.Shape{Rows: rows, Length: window, Kept: window})
		for r := range rows {
			span := [2]int64{}
			if r < len(part) {
				span = part[r]
			}
			if err := b.fill(r, buf, c, span[0], span[1], 0); err != nil {
				return nil, err
			}
		}
		batches = append(batches, b)
	}
	return batches, nil
}
