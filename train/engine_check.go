package train

import (
	"cmp"

	"github.com/gradus-ml/gradus/batch"
	"github.com/gradus-ml/gradus/internal/fault"
	"github.com/gradus-ml/gradus/model"
)

// readable reports a batch that the model cannot read. The backend would read past
// the table of a token, a position or a class that it has none of.
func readable(b *batch.Batch, c model.Config) error {
	if b.Rows < 1 || b.Length < 1 {
		return fault.Invalidf("a batch of %d rows of %d tokens", b.Rows, b.Length)
	}
	check := readableTokens
	if c.Is(model.ViT) {
		check = readableImages
	}
	if err := check(b, c); err != nil {
		return err
	}
	return readableKept(b, c)
}

// readableImages checks what a ViT reads.
func readableImages(b *batch.Batch, c model.Config) error {
	if len(b.Pixels) != b.Rows*c.Image.Pixels() || len(b.Labels) != b.Rows || b.Length != c.Context {
		return fault.Mismatchf("a batch of %d rows has %d numbers of pixels, %d labels and %d tokens a row; the model reads images of %d numbers and %d tokens: "+
			"it must have the sizes of the corpus's images", b.Rows, len(b.Pixels), len(b.Labels), b.Length, c.Image.Pixels(), c.Context)
	}
	if b.Inputs != nil || b.Predicted != nil || b.Segments != nil || b.Documents != nil || b.Positions != nil {
		return fault.Invalidf("a batch of images has inputs of text beside them")
	}
	for i, label := range b.Labels {
		if label < batch.Ignore || int(label) >= c.Classes {
			return fault.Mismatchf("row %d has class %d, and the model has %d classes (0 to %d); train on a corpus that has those classes",
				i, label, c.Classes, c.Classes-1)
		}
	}
	return nil
}

// readableTokens checks what a model of text reads.
func readableTokens(b *batch.Batch, c model.Config) error {
	if n := b.Rows * b.Length; b.Pixels != nil || len(b.Inputs) != n || len(b.Labels) != n || b.Length > c.Context {
		return fault.Mismatchf("a batch of %d rows of %d tokens has %d inputs, %d labels and %d numbers of pixels; "+
			"the model reads tokens, at most %d in a row, and a label for each", b.Rows, b.Length, len(b.Inputs), len(b.Labels), len(b.Pixels), c.Context)
	}
	for i, id := range b.Inputs {
		if label := b.Labels[i]; id < 0 || int(id) >= c.Vocabulary || label < batch.Ignore || int(label) >= c.Vocabulary {
			return fault.Mismatchf("token %d is predicted from token %d, and the model has a vocabulary of %d (tokens 0 to %d); "+
				"name a larger one in 'model: vocabulary', or the right corpus", label, id, c.Vocabulary, c.Vocabulary-1)
		}
	}
	if err := within(b, "kinds of token", b.Segments, cmp.Or(c.Segments, 2)); err != nil {
		return err
	}
	if b.Segments != nil && len(b.Segments) != len(b.Inputs) {
		return fault.Invalidf("a batch of %d tokens has %d kinds of them; it must have one for each, or none", len(b.Inputs), len(b.Segments))
	}
	if b.Predicted != nil && (len(b.Predicted) == 0 || len(b.Predicted)%b.Rows != 0) {
		return fault.Invalidf("a batch of %d rows predicts %d places; it must be as many in each", b.Rows, len(b.Predicted))
	}
	if err := within(b, "predicted places", b.Predicted, b.Length); err != nil {
		return err
	}
	return readablePositions(b, c)
}

// within reports a number that is not in [0, end).
func within(b *batch.Batch, what string, values []int32, end int) error {
	for i, x := range values {
		if x < 0 || int(x) >= end {
			return fault.Mismatchf("row %d: %s holds %d, and there are 0 to %d", i*b.Rows/len(values), what, x, end-1)
		}
	}
	return nil
}

// readablePositions checks documents and their positions.
func readablePositions(b *batch.Batch, c model.Config) error {
	if b.Documents == nil && b.Positions == nil {
		return nil
	}
	if len(b.Documents) != len(b.Inputs) || len(b.Positions) != len(b.Inputs) {
		return fault.Invalidf("a batch of %d tokens has %d numbers of documents and %d positions; it must have one for each token, or neither",
			len(b.Inputs), len(b.Documents), len(b.Positions))
	}
	for i, p := range b.Positions {
		if p < 0 || int(p) >= c.Context {
			return fault.Mismatchf("token %d of row %d stands at position %d of its document, and the model has a context of %d; "+
				"cut documents to at most that", i%b.Length, i/b.Length, p, c.Context)
		}
	}
	return nil
}

// readableKept checks the kept positions: there are as many in each row, in
// ascending order.
func readableKept(b *batch.Batch, c model.Config) error {
	if b.Kept == nil {
		return nil
	}
	if len(b.Kept) != len(c.Routed) {
		return fault.Mismatchf("a batch has kept positions of %d layers, and the model routes %d", len(b.Kept), len(c.Routed))
	}
	for l, kept := range b.Kept {
		if len(kept) == 0 || len(kept)%b.Rows != 0 {
			return fault.Invalidf("layer %d keeps %d positions of %d rows; it must be as many in each, and one at least", c.Routed[l], len(kept), b.Rows)
		}
		width := len(kept) / b.Rows
		for i, at := range kept {
			if at < 0 || int(at) >= b.Length || i%width > 0 && at <= kept[i-1] {
				return fault.Invalidf("layer %d keeps positions %v of row %d; they must ascend, and the row has 0 to %d",
					c.Routed[l], kept[i/width*width:][:width], i/width, b.Length-1)
			}
		}
	}
	return nil
}
