// Package keyed provides random numbers and permutations that are pure
// functions of a key.
//
// Every draw in Gradus comes from here. A Stream is a counter-based generator
// (Philox 4x32-10: Salmon et al., "Parallel random numbers: as easy as 1, 2, 3",
// SC 2011), so the draws for one (seed, purpose, step, layer, row) cost nothing
// to reach and do not depend on any other draw. A Permutation is a keyed
// bijection of [0, n) that needs no table.
//
// The numbers are a promise across releases: golden vectors in the tests hold
// them. A change of any algorithm here needs a new Version.
package keyed

import (
	"hash/fnv"
	"math"
	"math/bits"
)

// Version names the algorithms of this package. A plan records it.
const Version = 2

// Philox constants of the paper, table 2.
const (
	philoxM0 = 0xD2511F53
	philoxM1 = 0xCD9E8D57
	philoxW0 = 0x9E3779B9
	philoxW1 = 0xBB67AE85
)

// philox is the 10-round Philox 4x32 block function.
func philox(ctr [4]uint32, key [2]uint32) [4]uint32 {
	for range 10 {
		hi0, lo0 := bits.Mul32(philoxM0, ctr[0])
		hi1, lo1 := bits.Mul32(philoxM1, ctr[2])
		ctr = [4]uint32{hi1 ^ ctr[1] ^ key[0], lo1, hi0 ^ ctr[3] ^ key[1], lo0}
		key[0] += philoxW0
		key[1] += philoxW1
	}
	return ctr
}

// A Key is what a stream or a permutation is a function of.
type Key struct{ hi, lo uint64 }

// NewKey returns the key of a seed, a purpose ("route", "slots", ...) and any
// number of coordinates (step, layer, row, ...). Different purposes never share
// draws, and neither do (1, 2) and (2, 1).
func NewKey(seed uint64, purpose string, coordinates ...uint64) Key {
	h := fnv.New64a()
	h.Write([]byte(purpose)) // a Hash never returns an error
	k := Key{seed, h.Sum64()}
	k = k.mix(uint64(len(coordinates)))
	for _, c := range coordinates {
		k = k.mix(c)
	}
	return k
}

// Sub returns the key of k with one more coordinate. Sub(a).Sub(b) differs from
// NewKey(..., a, b): use one or the other for a purpose.
func (k Key) Sub(coordinate uint64) Key { return k.mix(coordinate) }

// mix absorbs one word into the key by a Philox block.
func (k Key) mix(word uint64) Key {
	out := philox(
		[4]uint32{uint32(word), uint32(word >> 32), uint32(k.hi), uint32(k.hi >> 32)},
		[2]uint32{uint32(k.lo), uint32(k.lo >> 32)},
	)
	return Key{uint64(out[1])<<32 | uint64(out[0]), uint64(out[3])<<32 | uint64(out[2])}
}

// Stream returns the key's stream of random numbers, from its beginning.
func (k Key) Stream() *Stream { return &Stream{key: k} }

// A Stream is a sequence of random numbers. It is not safe for concurrent use;
// make one for each goroutine from its key.
type Stream struct {
	key   Key
	block uint64
	buf   [4]uint32
	left  int
}

// Uint32 returns 32 random bits.
func (s *Stream) Uint32() uint32 {
	if s.left == 0 {
		s.buf = philox(
			[4]uint32{uint32(s.block), uint32(s.block >> 32), uint32(s.key.hi), uint32(s.key.hi >> 32)},
			[2]uint32{uint32(s.key.lo), uint32(s.key.lo >> 32)},
		)
		s.block++
		s.left = 4
	}
	v := s.buf[4-s.left]
	s.left--
	return v
}

// Uint64 returns 64 random bits.
func (s *Stream) Uint64() uint64 {
	lo := s.Uint32()
	return uint64(s.Uint32())<<32 | uint64(lo)
}

// Uint64N returns a number uniform in [0, n), without bias (Lemire, "Fast random
// integer generation in an interval", 2019). It returns 0 for n = 0.
func (s *Stream) Uint64N(n uint64) uint64 {
	if n <= math.MaxUint32 {
		return uint64(s.uint32N(uint32(n)))
	}
	hi, lo := bits.Mul64(s.Uint64(), n)
	if lo < n {
		for threshold := -n % n; lo < threshold; {
			hi, lo = bits.Mul64(s.Uint64(), n)
		}
	}
	return hi
}

func (s *Stream) uint32N(n uint32) uint32 {
	hi, lo := bits.Mul32(s.Uint32(), n)
	if lo < n {
		for threshold := -n % n; lo < threshold; {
			hi, lo = bits.Mul32(s.Uint32(), n)
		}
	}
	return hi
}

// Float64 returns a number uniform in [0, 1), a multiple of 2^-53.
func (s *Stream) Float64() float64 { return float64(s.Uint64()>>11) / (1 << 53) }

// Normal returns a draw from the normal distribution of mean 0 and variance 1
// (Box-Muller's cosine branch; one number for two uniform ones keeps the stream
// position a function of the count alone).
func (s *Stream) Normal() float64 {
	// 1-Float64 lies in (0, 1], so the logarithm is finite.
	radius := math.Sqrt(-2 * math.Log(1-s.Float64()))
	return radius * math.Cos(2*math.Pi*s.Float64())
}
