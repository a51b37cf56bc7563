// Package batch fetches samples and shapes them into the token tensors of a
// step.
//
// A Maker holds the corpora, what their units hold (package arrange), how units
// become rows (a Shaper), and the routing policy; Make gives the Batch of a step
// of a plan, a pure function of (corpora, plan, seed, step).
package batch

import "github.com/gradus-ml/gradus/curriculum"

// Ignore is the label of a position that predicts nothing: padding, or an input
// that is there as context only.
const Ignore = -1

// A Batch is the tensors of one step: of text, or of images. Inputs and Labels
// are [Rows, Length] row by row.
type Batch struct {
	curriculum.Shape
	First  int     // row of the global batch that is the first one here
	IDs    []int64 // the units, in the order of the rows; nil in an evaluation
	Inputs []int32
	Labels []int32   // the token after each input, Ignore where there is none; of masked rows see Masking
	Kept   [][]int32 // for each routed layer its ascending positions, [Rows, kept]; nil: all

	// Always, [Rows, Length], marks positions that every routed layer keeps,
	// whatever the policy; nil: none.
	Always []bool

	// Pixels, [Rows, height*width*channels], are images row by row of pixels,
	// channels last, instead of Inputs, which is nil. Labels is [Rows] then: the
	// class of each. Length counts patches and the class token before them.
	Pixels []uint8

	// Predicted, [Rows, m], are the positions whose labels count, of rows in which
	// few do: each of them once, ascending. Where a row has fewer than m, the rest
	// are a position whose label is Ignore. nil: all labels are looked at.
	Predicted []int32
	// Segments, [Rows, Length], is the kind of each token (BERT's token type); nil:
	// all are 0.
	Segments []int32

	// Documents and Positions, [Rows, Length], say which tokens of a row belong
	// together, where a row may hold several documents side by side: Documents
	// counts them within the row, 0, 1, 2, ..., and Positions counts within each
	// from 0. A document that a row ends within begins anew in the next row.
	// Padding is one document more, with 0 as each position. Both are nil if every
	// row of the plan is one run from position 0 on, and padding behind it is
	// nothing that the model sees: because attention is causal, or there is none.
	Documents []int32
	Positions []int32

	// What the rows cost and did not cost: every position is padding, or is
	// repeated by a Shaper as context, or predicts (or might have, where a Masking
	// draws those that do); and every input of the units is in a row that is not
	// repeated, or is discarded.
	Padding   int64 // positions that the rows are longer than their units
	Discarded int64 // inputs of the units that no row holds
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
