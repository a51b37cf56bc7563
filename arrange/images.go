package arrange

import (
	"fmt"
	"iter"

	"github.com/gradus-ml/gradus/corpus"
	"github.com/gradus-ml/gradus/internal/fault"
)

// images makes each image a unit with its document's id.
type images struct {
	stateless
	corpus *corpus.Corpus
	pixels int
	length int
}

// Images returns the arrangement in which each image is a unit, with its
// document's id, in a row of so many inputs: its patches and the class token
// before them. The one piece of a unit is all its pixels, whatever the length.
// Samples that are no documents, a corpus that is no images, or a length below 2
// is an error: fault.Invalid, or what corpus.Images says.
func Images(s *corpus.Samples, length int) (Arrangement, error) {
	if err := checkDocuments("images", s, length); err != nil {
		return nil, err
	}
	if length < 2 {
		return nil, fault.Invalidf("images: rows of %d inputs; an image has at least one patch, and the class token before it", length)
	}
	image, err := s.Corpus().Images()
	if err != nil {
		return nil, err
	}
	return &images{corpus: s.Corpus(), pixels: image.Pixels(), length: length}, nil
}

func (i *images) Lengths() []int { return []int{i.length} }

func (i *images) Arrange(samples iter.Seq[int64], emit func(int, int64, int)) (int64, error) {
	for id := range samples {
		i.check(id)
		emit(0, id, i.length)
	}
	return 0, nil
}

func (i *images) check(id int64) {
	if id < 0 || id >= i.corpus.Documents() {
		panic(fmt.Sprintf("arrange: image %d of %d", id, i.corpus.Documents()))
	}
}

func (i *images) Bucket(unit int64) int {
	i.check(unit)
	return 0
}

func (i *images) Pieces(dst []Piece, unit int64) []Piece {
	start, _ := i.corpus.Bounds(unit)
	return append(dst, Piece{start, i.pixels})
}

func (i *images) Samples(dst []int64, unit int64) []int64 {
	i.check(unit)
	return append(dst, unit)
}

func (i *images) Units(dst []int64, sample int64) []int64 {
	i.check(sample)
	return append(dst, sample)
}
