package arrange

import (
	"fmt"
	"iter"

	"github.com/gradus-ml/gradus/corpus"
	"github.com/gradus-ml/gradus/internal/fault"
)

// windows makes each window a unit with the window's id.
type windows struct {
	stateless
	length int
	n      int64
}

// Windows returns the arrangement in which each window is a unit, with the
// window's id. Samples that are no windows are an error of kind fault.Invalid.
func Windows(s *corpus.Samples) (Arrangement, error) {
	if s.Cut().Documents {
		return nil, fault.Invalidf("windows: a sample is a document and must be a window; give the recipe's sample a window")
	}
	if err := checkIDs("windows", s.Len()); err != nil {
		return nil, err
	}
	return &windows{length: s.Cut().Window, n: s.Len()}, nil
}

func (w *windows) Lengths() []int { return []int{w.length} }

func (w *windows) Arrange(samples iter.Seq[int64], emit func(int, int64, int)) (int64, error) {
	for id := range samples {
		w.check(id)
		emit(0, id, w.length)
	}
	return 0, nil
}

func (w *windows) check(id int64) {
	if id < 0 || id >= w.n {
		panic(fmt.Sprintf("arrange: window %d of %d", id, w.n))
	}
}

func (w *windows) Bucket(unit int64) int {
	w.check(unit)
	return 0
}

func (w *windows) Pieces(dst []Piece, unit int64) []Piece {
	w.check(unit)
	return append(dst, Piece{unit * int64(w.length), w.length})
}

func (w *windows) Samples(dst []int64, unit int64) []int64 {
	w.check(unit)
	return append(dst, unit)
}

func (w *windows) Units(dst []int64, sample int64) []int64 {
	w.check(sample)
	return append(dst, sample)
}
