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
	partBits          int // that the number of a part takes in the longest document
}

// Decompose returns the arrangement that cuts each document into parts of powers
// of two inputs, from longest down to shortest, by the binary digits of its
// length (dataset decomposition: Pouransari et al., arXiv 2405.13226, section
// 3). What is left of a document below shortest is discarded. There is a bucket
// for each power, and no row holds two documents or padding.
//
// It looks at the length of every document, since the ids have room for the
// longest one's parts. Samples that are no documents, lengths that are no powers
// of two or do not ascend, and a corpus whose documents and parts need more than
// 48 bits are an error of kind fault.Invalid.
func Decompose(s *corpus.Samples, shortest, longest int) (Arrangement, error) {
	if err := checkDocuments("decompose", s, shortest, longest); err != nil {
		return nil, err
	}
	if bits.OnesCount(uint(shortest)) > 1 || bits.OnesCount(uint(longest)) > 1 || shortest > longest {
		return nil, fault.Invalidf("decompose: rows of %d to %d inputs; both must be powers of two, the shorter one first", shortest, longest)
	}
	d := &decomposition{corpus: s.Corpus(), shortest: shortest, longest: longest}
	most := int64(0)
	for id := range s.Len() {
		_, n := inputs(d.corpus, id)
		most = max(most, d.parts(n))
	}
	d.corpus.Release()
	d.partBits = bits.Len64(uint64(max(most-1, 0)))
	if need := bits.Len64(uint64(s.Len()-1)) + d.partBits; need > unitBits {
		return nil, fault.Invalidf("decompose: %d documents of up to %d parts need ids of %d bits, and %d are there; raise the longest length", s.Len(), most, need, unitBits)
	}
	return d, nil
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
		for i := range d.parts(n) {
			_, length := d.part(n, i)
			emit(d.bucket(length), id<<d.partBits|i, length)
		}
		discarded += n % int64(d.shortest)
	}
	return discarded, nil
}

// piece returns what the row of a unit holds.
func (d *decomposition) piece(unit int64) Piece {
	document, i := unit>>d.partBits, unit&(1<<d.partBits-1)
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
	return append(dst, unit>>d.partBits)
}

func (d *decomposition) Units(dst []int64, sample int64) []int64 {
	_, n := inputs(d.corpus, sample)
	for i := range d.parts(n) {
		dst = append(dst, sample<<d.partBits|i)
	}
	return dst
}
