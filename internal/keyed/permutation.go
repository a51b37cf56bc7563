package keyed

import "math/bits"

const (
	// tableMax is the largest domain that is shuffled outright. A Feistel network
	// on so few bits is visibly biased (chi-square 561 for the orders of five
	// elements, where 172 is the 99.9 % quantile); a shuffle is exact.
	tableMax = 256

	// rounds of the Feistel network. Four make a pseudo-random permutation of a
	// large domain (Luby and Rackoff, 1988); domains just above tableMax have
	// halves of five bits, and eight keep the pairs of neighbours uniform there.
	rounds = 8
)

// A Permutation is a keyed bijection of [0, n): a shuffle that can be read at
// any place without making the others. It is safe for concurrent use.
type Permutation struct {
	n        uint64
	table    []uint8 // the whole order, for n up to tableMax
	halfBits uint
	mask     uint64
	keys     [rounds]uint64
}

// Permutation returns the key's permutation of [0, n). n may be 0, in which case
// there is nothing to ask it.
func (k Key) Permutation(n uint64) Permutation {
	stream := k.Stream()
	if n <= tableMax {
		return Permutation{n: n, table: shuffle(stream, int(n))}
	}
	p := Permutation{n: n}
	p.halfBits = uint(bits.Len64(n-1)+1) / 2
	p.mask = 1<<p.halfBits - 1
	for i := range p.keys {
		p.keys[i] = stream.Uint64()
	}
	return p
}

// shuffle returns [0, n) in random order (Fisher and Yates; Knuth's algorithm P).
func shuffle(s *Stream, n int) []uint8 {
	order := make([]uint8, n)
	for i := range order {
		j := s.Uint64N(uint64(i) + 1)
		order[i] = order[j]
		order[j] = uint8(i)
	}
	return order
}

// Len returns n.
func (p *Permutation) Len() uint64 { return p.n }

// At returns the element at place i, for i in [0, n).
//
// The network permutes the 2^(2*halfBits) numbers that hold [0, n), at most four
// times as many; whoever lands outside walks on (Black and Rogaway, "Ciphers
// with arbitrary finite domains", 2002), so At takes at most four turns on
// average.
func (p *Permutation) At(i uint64) uint64 {
	if p.table != nil {
		return uint64(p.table[i])
	}
	for {
		i = p.turn(i)
		if i < p.n {
			return i
		}
	}
}

func (p *Permutation) turn(x uint64) uint64 {
	left, right := x>>p.halfBits, x&p.mask
	k, mask := &p.keys, p.mask
	for i := 0; i < rounds; i += 2 { // two at a time, without the exchange
		left ^= round(right, k[i]) & mask
		right ^= round(left, k[i+1]) & mask
	}
	return right<<p.halfBits | left
}

// round is the network's round function: one multiplication folded on itself
// (a wyhash step), whose low bits depend on every bit of the input.
func round(x, key uint64) uint64 {
	hi, lo := bits.Mul64(x^key, 0x9FB21C651E98DF25^key>>32)
	v := hi ^ lo
	return v ^ v>>29
}
