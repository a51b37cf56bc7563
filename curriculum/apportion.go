package curriculum

import (
	"math"
	"math/bits"

	"github.com/gradus-ml/gradus/internal/keyed"
)

// A lane spreads slots over the places [0, pool): slot q takes place
// (a*q + b) mod pool.
type lane struct {
	pool, a, b uint64
}

// newLane returns the lane of a pool with a random offset.
func newLane(pool int64, s *keyed.Stream) lane {
	m := uint64(pool)
	// Multiples of the golden ratio leave the most even gaps (three-distance
	// theorem); a multiplier prime to the pool visits every place.
	a := max(uint64(float64(pool)*(math.Sqrt(5)-1)/2), 1)
	for gcd(a, m) != 1 {
		a++
	}
	return lane{pool: m, a: a % m, b: s.Uint64N(m)}
}

// place returns the place of slot q.
func (l lane) place(q int64) int64 {
	hi, lo := bits.Mul64(l.a, uint64(q)%l.pool)
	lo, carry := bits.Add64(lo, l.b, 0)
	_, rem := bits.Div64((hi+carry)%l.pool, lo, l.pool)
	return int64(rem)
}

// count returns how many of the slots [0, n) take a place below bound, for bound
// in [0, pool].
//
// x mod m < t exactly when floor(x/m) exceeds floor((x-t)/m), so the count is a
// difference of two sums of floors.
func (l lane) count(n, bound int64) int64 {
	m, t := l.pool, uint64(bound)
	full, rest := uint64(n)/m, uint64(n)%m // every m slots take each place once
	below := floorSum(rest, m, l.a, l.b) + rest - floorSum(rest, m, l.a, l.b+m-t)
	return int64(full*t + below)
}

// floorSum returns the sum of floor((a*i+b)/m) over i in [0, n), modulo 2^64, in
// O(log m) steps of the Euclidean algorithm. m is positive, and a, b < 2*m.
func floorSum(n, m, a, b uint64) uint64 {
	var sum uint64
	for {
		if a >= m {
			sum += triangle(n) * (a / m)
			a %= m
		}
		if b >= m {
			sum += n * (b / m)
			b %= m
		}
		hi, lo := bits.Mul64(a, n)
		lo, carry := bits.Add64(lo, b, 0)
		hi += carry
		if hi == 0 && lo < m {
			return sum
		}
		// hi < m because a < m and n fits a word; so the quotient fits one too.
		n, b = bits.Div64(hi, lo, m)
		m, a = a, m
	}
}

// triangle returns n*(n-1)/2 modulo 2^64, halving before it can wrap.
func triangle(n uint64) uint64 {
	if n%2 == 0 {
		return n / 2 * (n - 1)
	}
	return n * ((n - 1) / 2)
}

func gcd(a, b uint64) uint64 {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}
