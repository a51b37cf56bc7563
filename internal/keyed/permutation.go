package keyed

import (
	"math"
	"math/bits"
)

const (
	// tableMax is the largest domain that is shuffled outright. A Feistel network
	// on so few bits is visibly biased (chi-square 561 for the orders of five
	// elements, where 172 is the 99.9 % quantile); a shuffle is exact.
	tableMax = 256

	// rounds of the Feistel network. Four make a pseudo-random permutation of a
	// large domain (Luby and Rackoff, 1988), and keep the pairs of neighbours
	// uniform on domains just above tableMax too; two more are a margin.
	rounds = 6
)

// A Permutation is a keyed bijection of [0, n): a shuffle that can be read at
// any place without making the others. It is safe for concurrent use.
type Permutation struct {
	n           uint64
	table       []uint8 // the whole order, for n up to tableMax
	rows, width uint64  // of the rectangle that the network permutes
	inverse     uint64  // 2^64/width, rounded up, for n up to 2^31; else 0
	keys        [rounds]uint64
}

// Permutation returns the key's permutation of [0, n). n may be 0, in which case
// there is nothing to ask it.
func (k Key) Permutation(n uint64) Permutation {
	stream := k.Stream()
	if n <= tableMax {
		return Permutation{n: n, table: shuffle(stream, int(n))}
	}
	p := Permutation{n: n}
	p.width = uint64(math.Sqrt(float64(n)))
	p.rows = (n-1)/p.width + 1
	if n <= 1<<31 {
		p.inverse = math.MaxUint64/p.width + 1
	}
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
// The network permutes the places of a rectangle that is as near to a square as
// [0, n) allows: an unbalanced Feistel network that adds to the row a function
// of the column, modulo the rows, and the other way round (Black and Rogaway,
// "Ciphers with arbitrary finite domains", 2002, section 5). Fewer than one in
// sqrt(n) of its places lie behind n; whoever lands there walks on, so At takes
// one turn, and a processor foresees it.
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
	rows, width := p.rows, p.width
	// Dividing by multiplying is exact for 32 bits (Lemire, Kaser and Kurz, "Faster
	// remainder by direct computation", 2019) and saves a third of the time.
	row, _ := bits.Mul64(x, p.inverse)
	if p.inverse == 0 {
		row = x / width
	}
	column := x - row*width
	for i := 0; i < rounds; i += 2 {
		row += round(column, p.keys[i], rows)
		if next := row - rows; row >= rows {
			row = next
		}
		column += round(row, p.keys[i+1], width)
		if next := column - width; column >= width {
			column = next
		}
	}
	return row*width + column
}

// round is the network's round function: a multiplication folded on itself (a
// wyhash step), whose low half depends on every bit of the input, brought into
// [0, n). n is at most 2^32+1.
func round(x, key, n uint64) uint64 {
	hi, lo := bits.Mul64(x^key, 0x9FB21C651E98DF25^key>>32)
	v := hi ^ lo
	return uint64(uint32(v^v>>29)) * n >> 32
}
