// Package arrange says what one place of a batch holds.
//
// Its nouns: a unit is what fills one row of a batch; a Piece is inputs that lie
// side by side in the corpus and in the row; a bucket is units of one row
// length; an Arrangement forms the units of samples. There are six kinds:
//
//	Windows    a unit is a window
//	Pad        a unit is a document, cut off after so many inputs
//	Bucket     a unit is a document, and its row the shortest of some lengths
//	           that holds it
//	Pack       a unit is several documents side by side, or a part of a long one
//	Decompose  a unit is a part of one document, a power of two long
//	Images     a unit is an image, and its row the patches that a model sees
//
// A document of n tokens has n-1 inputs, each with the next token as its label,
// so its last token is a label and nothing else. A document of less than 2
// tokens has no inputs and is in no unit.
package arrange

import (
	"iter"

	"github.com/gradus-ml/gradus/corpus"
	"github.com/gradus-ml/gradus/internal/fault"
)

// Piece is Len inputs from token Start of the corpus' concatenation on. The
// labels lie one token further, so it takes Len+1 tokens.
type Piece struct {
	Start int64
	Len   int
}

// Arrangement forms units of samples. Units have ids of at most 56 bits; the
// ids of windows, documents and their parts depend on the corpus alone, those
// of packs on what was packed before. The methods that take a unit panic if
// there is none of that id, as indexing a slice does. They may be called from
// any number of goroutines, after Finish; Arrange may not.
type Arrangement interface {
	// Lengths returns the row length of each bucket, ascending.
	Lengths() []int

	// Packed reports whether a unit may have several pieces.
	Packed() bool

	// Arrange forms the units of samples that join and leave a plan together:
	// no unit holds a part of any other sample. It calls emit with the unit's
	// bucket, its id, and the inputs it really holds, at least 1 and at most
	// the bucket's length; the rest of the row is padding. It returns how many
	// inputs of the samples no unit holds. It may go through samples twice,
	// which must be the same both times.
	Arrange(samples iter.Seq[int64], emit func(bucket int, unit int64, inputs int)) (discarded int64, err error)

	// Finish says that there is nothing more to arrange, and must come before
	// the methods below.
	Finish() error

	// Bucket returns the bucket of a unit.
	Bucket(unit int64) int

	// Pieces appends what the unit's row holds, in order, to dst. Pieces of
	// different documents are different pieces.
	Pieces(dst []Piece, unit int64) []Piece

	// Samples appends the samples that the unit holds a part of to dst, in the
	// order of the row.
	Samples(dst []int64, unit int64) []int64

	// Units appends the units that hold a part of a sample to dst, ascending.
	// It may take the time to look at all units.
	Units(dst []int64, sample int64) []int64

	// Close gives back what the arrangement holds.
	Close() error
}

const (
	// unitBits is what the ids of units may take: above them stands the number
	// of the source.
	unitBits = 56
	// longestRow bounds the rows of documents, so that a slip in a recipe does
	// not take gigabytes for tables by length.
	longestRow = 1 << 22
)

// stateless is the part of an Arrangement that computes everything, and whose
// units have one piece each.
type stateless struct{}

func (stateless) Finish() error { return nil }
func (stateless) Packed() bool  { return false }
func (stateless) Close() error  { return nil }

// inputs returns where a document begins and how many inputs it has.
func inputs(c *corpus.Corpus, document int64) (start, n int64) {
	start, end := c.Bounds(document)
	return start, max(end-start-1, 0)
}

// checkDocuments refuses samples that are no documents, row lengths that are
// none, and documents whose ids have no room.
func checkDocuments(kind string, s *corpus.Samples, lengths ...int) error {
	if !s.Cut().Documents {
		return fault.Invalidf("%s: a sample is a %s and must be a document; set documents in the recipe's sample", kind, s.Cut())
	}
	for _, n := range lengths {
		if n < 1 || n > longestRow {
			return fault.Invalidf("%s: rows of %d inputs; they must have 1 to %d", kind, n, longestRow)
		}
	}
	return checkIDs(kind, s.Len())
}

// checkIDs refuses more units than there are ids.
func checkIDs(kind string, n int64) error {
	if n > 1<<unitBits {
		return fault.Invalidf("%s: %d units; their ids have room for 2^%d", kind, n, unitBits)
	}
	return nil
}
