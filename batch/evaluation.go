package batch

import (
	"slices"

	"github.com/gradus-ml/gradus/arrange"
	"github.com/gradus-ml/gradus/corpus"
	"github.com/gradus-ml/gradus/curriculum"
	"github.com/gradus-ml/gradus/internal/fault"
)

// Evaluation returns batches of rows full-length rows that cover the held-out
// text of c (at most limit tokens of it; 0: all), nothing dropped. Rows past the
// last span are padding, so that one shape serves all of them. With a Masking the
// same tokens are hidden whatever the seed of a run, so that losses compare.
func Evaluation(c *corpus.Corpus, h *corpus.HoldOut, window, rows int, limit int64, masking *Masking) ([]*Batch, error) {
	if window < 1 || rows < 1 {
		return nil, fault.Invalidf("batches of %d rows of %d tokens; both must be at least 1", rows, window)
	}
	spans := h.Windows(window, limit)
	if len(spans) == 0 {
		return nil, fault.Invalidf("corpus %s: the held-out text (%s) holds nothing to predict; raise 'held_out'", c.Path(), h)
	}
	masker, err := newMasker(masking)
	if err != nil {
		return nil, err
	}
	var count []int32
	if masker != nil {
		count = counting(window)
	}
	var batches []*Batch
	whole := []cut{{}}
	for part := range slices.Chunk(spans, rows) {
		f := newFiller(curriculum.Shape{Rows: rows, Length: window, Kept: window}, count)
		f.First = rows * len(batches)
		for r := range rows {
			f.pieces = f.pieces[:0]
			if r < len(part) {
				f.pieces = append(f.pieces, arrange.Piece{Start: part[r][0], Len: int(part[r][1]-part[r][0]) - 1})
			}
			if err := f.unit(c, window, whole, 0); err != nil {
				return nil, err
			}
		}
		if masker != nil {
			masker.apply(f.Batch, 0, "mask evaluation", 0)
		}
		batches = append(batches, f.Batch)
	}
	return batches, nil
}
