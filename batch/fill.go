package batch

import (
	"slices"

	"github.com/gradus-ml/gradus/arrange"
	"github.com/gradus-ml/gradus/corpus"
	"github.com/gradus-ml/gradus/curriculum"
	"github.com/gradus-ml/gradus/internal/fault"
)

// A filler fills the rows of a batch from the first to the last.
type filler struct {
	*Batch
	// tokens is Inputs and one place more. A piece is read where its inputs belong,
	// with the label of the last one, which the next piece then takes the place of.
	tokens []int32
	count  []int32         // 0, 1, 2, ..., as far as a row goes; nil: rows are not packed
	at     int             // the next position, of all rows
	pieces []arrange.Piece // of the unit
	ends   []int           // where each ends in the unit's full row
}

// newFiller returns a filler of an empty batch. count is nil or 0, 1, 2, ..., at
// least to Length, which gives the batch documents and positions.
func newFiller(s curriculum.Shape, count []int32) *filler {
	n := int(s.Tokens())
	tokens := make([]int32, n+1)
	b := &Batch{Shape: s, Inputs: tokens[:n:n], Labels: make([]int32, n)}
	if count != nil {
		b.Documents, b.Positions = make([]int32, n), make([]int32, n)
	}
	return &filler{Batch: b, tokens: tokens, count: count}
}

// unit adds the rows of a unit, whose pieces are set, with pad as padding.
func (f *filler) unit(c *corpus.Corpus, full int, cuts []cut, pad int32) error {
	held := 0
	f.ends = f.ends[:0]
	for _, p := range f.pieces {
		if p.Len < 1 || p.Len > full-held {
			return fault.Mismatchf("it has a piece of %d inputs behind %d others, and its row has %d; the plan is of another arrangement", p.Len, held, full)
		}
		held += p.Len
		f.ends = append(f.ends, held)
	}
	f.Discarded += int64(held)
	for _, cut := range cuts {
		if err := f.row(c, held, cut, pad); err != nil {
			return err
		}
	}
	return nil
}

// row adds a row of a unit that holds so many inputs.
func (f *filler) row(c *corpus.Corpus, held int, cut cut, pad int32) error {
	start := f.at
	from, end := cut.first, min(cut.first+f.Length, held)
	document := int32(0)
	// The first piece that ends behind the row's beginning.
	k, _ := slices.BinarySearch(f.ends, from+1)
	for ; from < end; k++ {
		n := min(f.ends[k], end) - from
		into := f.pieces[k].Len - (f.ends[k] - from) // inputs of it before the row
		if err := f.piece(c, f.pieces[k].Start+int64(into), n, document); err != nil {
			return err
		}
		from += n
		document++
	}
	inputs := f.at - start
	f.at = start + f.Length
	repeated := min(cut.repeated, inputs)
	fill(f.Labels[start:start+repeated], Ignore)
	f.Discarded -= int64(inputs - repeated)

	padding := f.Inputs[start+inputs : f.at]
	fill(padding, pad)
	fill(f.Labels[start+inputs:f.at], Ignore)
	if f.Documents != nil {
		fill(f.Documents[start+inputs:f.at], document)
	}
	f.Padding += int64(len(padding))
	return nil
}

// piece adds n inputs from a token of the corpus on, and their labels.
func (f *filler) piece(c *corpus.Corpus, token int64, n int, document int32) error {
	at := f.at
	f.at += n
	if err := c.Read(f.tokens[at:f.at+1], token); err != nil {
		return err
	}
	copy(f.Labels[at:f.at], f.tokens[at+1:f.at+1])
	if f.Documents != nil {
		fill(f.Documents[at:f.at], document)
		copy(f.Positions[at:f.at], f.count)
	}
	return nil
}

// fill sets all of a list to v, by copies that double: four times as fast as one
// by one.
func fill(list []int32, v int32) {
	if len(list) > 0 {
		list[0] = v
	}
	for n := 1; n < len(list); n *= 2 {
		copy(list[n:], list[:n])
	}
}
