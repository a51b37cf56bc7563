package curriculum

import (
	"math"
	"testing"

	"github.com/gradus-ml/gradus/internal/keyed"
	"pgregory.net/rapid"
)

// The closed form counts what walking the slots counts.
func TestLaneCount(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l := newLane(keyed.NewKey(rapid.Uint64().Draw(t, "seed"), "test"))
		a, b := rapid.Uint64Range(0, laneEnd).Draw(t, "a"), rapid.Uint64Range(0, laneEnd).Draw(t, "b")
		from, to := min(a, b), max(a, b)
		n := rapid.Int64Range(0, 1000).Draw(t, "n")
		want := int64(0)
		for q := range n {
			if p := l.point(q); from <= p && p < to {
				want++
			}
		}
		if got := l.count(n, from, to); got != want {
			t.Fatalf("%d of %d slots lie in [%d, %d), want %d", got, n, from, to, want)
		}
	})
}

// Parts of a lane hold the points that place names, and are as wide as their
// share.
func TestCutsAndPlaces(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.Int64Range(1, 1<<40).Draw(t, "n")
		i := rapid.Int64Range(0, n-1).Draw(t, "i")
		from, to := cut(i, n), cut(i+1, n)
		if got := place(from, n); got != i {
			t.Fatalf("the first point of part %d of %d lies in part %d", i, n, got)
		}
		if got := place(to-1, n); got != i {
			t.Fatalf("the last point of part %d of %d lies in part %d", i, n, got)
		}
	})
	if cut(0, 7) != 0 || cut(7, 7) != laneEnd || cut(1, 1) != laneEnd {
		t.Error("the parts do not fill the lane")
	}
}

// Any stretch of slots holds an interval's share give or take little, which is
// what keeps batches alike; an aligned block of 2^k slots holds it give or take
// one.
func TestLaneIsEven(t *testing.T) {
	l := newLane(keyed.NewKey(1, "test"))
	for _, share := range []float64{0.5, 0.1, 0.013, 0.77} {
		to := uint64(share * laneEnd)
		for _, n := range []int64{1, 64, 1000, 4096, 100000} {
			for _, first := range []int64{0, n, 7 * n, 12345} {
				got := float64(l.count(first+n, 0, to) - l.count(first, 0, to))
				most := math.Log2(float64(n)) + 2
				if n&(n-1) == 0 && first%n == 0 {
					most = 1
				}
				if d := math.Abs(got - share*float64(n)); d > most {
					t.Errorf("slots %d to %d: %v in a share of %v, off by %.1f", first, first+n, got, share, d)
				}
			}
		}
	}
}

func TestSharesAndPart(t *testing.T) {
	cuts := shares([]float64{0, 1, 0, 3, 0})
	if want := []uint64{0, 0, laneEnd / 4, laneEnd / 4, laneEnd, laneEnd}; cuts[2] != want[2] || cuts[4] != want[4] || cuts[5] != want[5] {
		t.Errorf("cuts %v, want %v", cuts, want)
	}
	for point, want := range map[uint64]int{0: 1, laneEnd/4 - 1: 1, laneEnd / 4: 3, laneEnd - 1: 3} {
		if got := part(cuts, point); got != want {
			t.Errorf("point %d lies in part %d, want %d", point, got, want)
		}
	}
	// A source added later, of no weight yet, changes nothing.
	for i, c := range shares([]float64{0.3, 0.7}) {
		if more := shares([]float64{0.3, 0.7, 0}); more[i] != c {
			t.Errorf("cut %d moves from %d to %d", i, c, more[i])
		}
	}
}
