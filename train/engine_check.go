package train

import (
	"github.com/gradus-ml/gradus/batch"
	"github.com/gradus-ml/gradus/internal/fault"
	"github.com/gradus-ml/gradus/model"
)

// readable reports a batch that the model cannot read. The backend would read past
// the table of a token or a position that it has no embedding of.
func readable(b *batch.Batch, c model.Config) error {
	for i, id := range b.Inputs {
		if label := b.Labels[i]; id < 0 || int(id) >= c.Vocabulary || int(label) >= c.Vocabulary {
			return fault.Mismatchf("token %d is predicted from token %d, and the model has a vocabulary of %d (tokens 0 to %d); "+
				"name a larger one in 'model: vocabulary', or the right corpus", label, id, c.Vocabulary, c.Vocabulary-1)
		}
	}
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
