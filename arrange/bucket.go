package arrange

import (
	"fmt"
	"iter"
	"slices"
	"sort"

	"github.com/gradus-ml/gradus/corpus"
	"github.com/gradus-ml/gradus/internal/fault"
)

// documents makes each document a unit with the document's id, in the shortest
// row that holds it; what does not fit the longest row is cut off.
type documents struct {
	stateless
	corpus  *corpus.Corpus
	lengths []int
}

// Pad returns the arrangement in which each document is a unit, with the
// document's id, in a row of so many inputs: what a longer one has behind them
// is discarded. Samples that are no documents, or a length below 1, are an error
// of kind fault.Invalid.
func Pad(s *corpus.Samples, length int) (Arrangement, error) {
	if err := checkDocuments("pad", s, length); err != nil {
		return nil, err
	}
	return &documents{corpus: s.Corpus(), lengths: []int{length}}, nil
}

// Bucket returns the arrangement in which each document is a unit, with the
// document's id, in the shortest of these rows that holds it. What a document
// has behind the longest row's inputs is discarded. Samples that are no
// documents, and lengths that do not ascend from 1 or more, are an error of kind
// fault.Invalid.
func Bucket(s *corpus.Samples, lengths []int) (Arrangement, error) {
	if len(lengths) == 0 {
		return nil, fault.Invalidf("bucket: no lengths; give at least one")
	}
	if err := checkDocuments("bucket", s, lengths...); err != nil {
		return nil, err
	}
	for i := range lengths[1:] {
		if lengths[i] >= lengths[i+1] {
			return nil, fault.Invalidf("bucket: length %d comes after %d; they must ascend", lengths[i+1], lengths[i])
		}
	}
	return &documents{corpus: s.Corpus(), lengths: slices.Clone(lengths)}, nil
}

func (d *documents) Lengths() []int { return slices.Clone(d.lengths) }

func (d *documents) longest() int64 { return int64(d.lengths[len(d.lengths)-1]) }

// bucket returns the bucket of n inputs, which must fit the longest row.
func (d *documents) bucket(n int64) int {
	if len(d.lengths) == 1 {
		return 0
	}
	return sort.SearchInts(d.lengths, int(n))
}

func (d *documents) Arrange(samples iter.Seq[int64], emit func(int, int64, int)) (discarded int64, err error) {
	for id := range samples {
		_, n := inputs(d.corpus, id)
		if n == 0 {
			continue
		}
		held := min(n, d.longest())
		discarded += n - held
		emit(d.bucket(held), id, int(held))
	}
	return discarded, nil
}

// piece returns what the row of a document holds.
func (d *documents) piece(document int64) Piece {
	start, n := inputs(d.corpus, document)
	if n == 0 {
		panic(fmt.Sprintf("arrange: document %d has no inputs and is no unit", document))
	}
	return Piece{start, int(min(n, d.longest()))}
}

func (d *documents) Bucket(unit int64) int { return d.bucket(int64(d.piece(unit).Len)) }

func (d *documents) Pieces(dst []Piece, unit int64) []Piece { return append(dst, d.piece(unit)) }

func (d *documents) Samples(dst []int64, unit int64) []int64 {
	d.piece(unit) // is it one?
	return append(dst, unit)
}

func (d *documents) Units(dst []int64, sample int64) []int64 {
	if _, n := inputs(d.corpus, sample); n == 0 {
		return dst
	}
	return append(dst, sample)
}
