package arrange

import (
	"fmt"
	"iter"
	"math/bits"

	"github.com/gradus-ml/gradus/corpus"
	"github.com/gradus-ml/gradus/internal/fault"
)

// decomposition cuts each document into parts whose lengths are powers of two,
// each a unit: as many of the longest as there are, then one for each bit that
// is set in what is left, from large to small. The id of a part is the
// document's, with the number of the part in the lowest bits.
type decomposition struct {
	stateless
	corpus            *corpus.Corpus
	shortest, longest int
}

// partBits is the room for the number of a part: a document of a million parts
// has 268 million tokens at a longest length of 256. It does not depend on the
// corpus, so that ids stay when that grows.
const partBits = 20

// Decompose returns the arrangement that cuts each document into parts of powers
// of two inputs, from longest down to shortest, by the binary digits of its
// length (dataset decomposition: Pouransari et al., arXiv 2405.13226, section
// 3). What is left of a document below shortest is discarded. There is a bucket
// for each power, and no row holds two documents or padding.
//
// Samples that are no documents, lengths that are no powers of two or do not
// ascend, 2^36 documents and a document of 2^20 parts are an error of kind
// fault.Invalid.
func Decompose(s *corpus.Samples, shortest, longest int) (Arrangement, error) {
	if err := checkDocuments("decompose", s, shortest, longest); err != nil {
		return nil, err
	}
	if bits.OnesCount(uint(shortest)) > 1 || bits.OnesCount(uint(longest)) > 1 || shortest > longest {
		return nil, fault.Invalidf("decompose: rows of %d to %d inputs; both must be powers of two, the shorter one first", shortest, longest)
	}
	if s.Len() > 1<<(unitBits-partBits) {
		return nil, fault.Invalidf("decompose: %d documents; at most 2^%d can be told apart", s.Len(), unitBits-partBits)
	}
	return &decomposition{corpus: s.Corpus(), shortest: shortest, longest: longest}, nil
}

// parts returns how many parts a document of n inputs has.
func (d *decomposition) parts(n int64) int64 {
	whole, rest := n/int64(d.longest), n%int64(d.longest)
	return whole + int64(bits.OnesCount64(uint64(rest)&^uint64(d.shortest-1)))
}

// part returns where part i of a document of n inputs begins within it, and its
// length; 0 if there is no such part.
func (d *decomposition) part(n, i int64) (start int64, length int) {
	whole := n / int64(d.longest)
	if i < whole {
		return i * int64(d.longest), d.longest
	}
	start = whole * int64(d.longest)
	rest := int(n-start) &^ (d.shortest - 1)
	for i -= whole; rest > 0; i-- {
		length = 1 << (bits.Len(uint(rest)) - 1)
		if i == 0 {
			return start, length
		}
		start += int64(length)
		rest -= length
	}
	return 0, 0
}

// bucket returns the bucket of parts of this length.
func (d *decomposition) bucket(length int) int { return bits.TrailingZeros(uint(length / d.shortest)) }

func (d *decomposition) Lengths() []int {
	var lengths []int
	for n := d.shortest; n <= d.longest; n *= 2 {
		lengths = append(lengths, n)
	}
	return lengths
}

func (d *decomposition) Arrange(samples iter.Seq[int64], emit func(int, int64, int)) (discarded int64, err error) {
	for id := range samples {
		_, n := inputs(d.corpus, id)
		if d.parts(n) > 1<<partBits {
			return 0, fault.Invalidf("decompose: document %d has %d parts; at most 2^%d can be told apart: raise the longest length", id, d.parts(n), partBits)
		}
		for i := range d.parts(n) {
			_, length := d.part(n, i)
			emit(d.bucket(length), id<<partBits|i, length)
		}
		discarded += n % int64(d.shortest)
	}
	return discarded, nil
}

// piece returns what the row of a unit holds.
func (d *decomposition) piece(unit int64) Piece {
	document, i := unit>>partBits, unit&(1<<partBits-1)
	start, n := inputs(d.corpus, document)
	at, length := d.part(n, i)
	if length == 0 {
		panic(fmt.Sprintf("arrange: document %d has %d parts, and none of number %d", document, d.parts(n), i))
	}
	return Piece{start + at, length}
}

func (d *decomposition) Bucket(unit int64) int { return d.bucket(d.piece(unit).Len) }

func (d *decomposition) Pieces(dst []Piece, unit int64) []Piece { return append(dst, d.piece(unit)) }

func (d *decomposition) Samples(dst []int64, unit int64) []int64 {
	d.piece(unit) // is it one?
	return append(dst, unit>>partBits)
}

func (d *decomposition) Units(dst []int64, sample int64) []int64 {
	_, n := inputs(d.corpus, sample)
	for i := range d.parts(n) {
		dst = append(dst, sample<<partBits|i)
	}
	return dst
}
