package curriculum

import (
	"math"
	"math/bits"

	"github.com/gradus-ml/gradus/internal/keyed"
)

// laneEnd is the right end of the points of a lane: they lie in [0, laneEnd).
const laneEnd = 1 << 63

// A lane spreads slots over [0, laneEnd): slot q lies at the radical inverse of
// q in base 2 (van der Corput's sequence), shifted around the circle by the
// lane's random offset.
//
// Because the offset is random, a slot's point is uniform. Because the sequence
// has low discrepancy, an interval holds its share of any n consecutive slots
// give or take about log2(n), and of an aligned block of a power of two slots
// give or take one. And because a block of 2^k slots is a lattice, how many of
// the first n slots fell into an interval has a closed form of at most one
// shift for each binary digit of n (count).
type lane uint64

// newLane returns a lane with a random offset.
func newLane(k keyed.Key) lane { return lane(k.Stream().Uint64() % laneEnd) }

// point returns where slot q lies.
func (l lane) point(q int64) uint64 {
	return (bits.Reverse64(uint64(q))>>1 + uint64(l)) % laneEnd
}

// count returns how many of the slots [0, n) lie in [from, to), for
// 0 <= from <= to <= laneEnd.
func (l lane) count(n int64, from, to uint64) int64 {
	switch to - from {
	case 0:
		return 0
	case laneEnd:
		return n
	}
	// Shifted back, the interval may run around the circle.
	lo, hi := below(uint64(n), (from-uint64(l))%laneEnd), below(uint64(n), (to-uint64(l))%laneEnd)
	if (from-uint64(l))%laneEnd < (to-uint64(l))%laneEnd {
		return int64(hi - lo)
	}
	return n - int64(lo-hi)
}

// below returns how many radical inverses of [0, n) are less than t. A block
// [base, base+2^k), with base a multiple of 2^k, has its inverses at
// inverse(base) + m * laneEnd/2^k, for m from 0 to 2^k-1.
func below(n, t uint64) uint64 {
	count, base := uint64(0), uint64(0)
	for n != 0 {
		k := bits.Len64(n) - 1
		if first := bits.Reverse64(base) >> 1; t > first {
			count += (t-1-first)>>(63-k) + 1
		}
		base |= 1 << k
		n ^= 1 << k
	}
	return count
}

// place returns which of n equal parts of the lane holds a point.
func place(point uint64, n int64) int64 {
	hi, _ := bits.Mul64(point<<1, uint64(n))
	return int64(hi)
}

// cut returns the first point of part i of n; of part n, the lane's end.
func cut(i, n int64) uint64 {
	quotient, rest := bits.Div64(uint64(i)>>1, uint64(i)<<63, uint64(n))
	if rest > 0 {
		quotient++
	}
	return quotient
}

// shares divides a lane in proportion to weights: part i is [cuts[i], cuts[i+1]).
// Weights must not be negative; one at least is positive. A part of weight zero
// is empty, so that parts added at the end with weight zero change nothing.
func shares(weights []float64) (cuts []uint64) {
	total := 0.0
	for _, w := range weights {
		total += w
	}
	cuts = make([]uint64, len(weights)+1)
	sum := 0.0
	for i, w := range weights {
		sum += w
		cuts[i+1] = laneEnd
		if at := math.Round(sum / total * laneEnd); at < laneEnd {
			cuts[i+1] = uint64(at)
		}
	}
	return cuts
}

// part returns which part of a divided lane holds a point.
func part(cuts []uint64, point uint64) int {
	i := 0
	for point >= cuts[i+1] {
		i++
	}
	return i
}
