package arrange

import (
	"errors"
	"fmt"
	"iter"
	"math/bits"

	"github.com/gradus-ml/gradus/corpus"
	"github.com/gradus-ml/gradus/internal/fault"
	"github.com/gradus-ml/gradus/internal/intarray"
	"github.com/gradus-ml/gradus/internal/pack"
)

// packing puts documents side by side. What its rows hold is in two arrays in
// files, since it follows from no formula: the pieces of all rows one after the
// other, and where those of each row begin.
type packing struct {
	corpus *corpus.Corpus
	form   form
	dir    string // "": files of no name
	making *making
	pieces *intarray.Array // nil before Finish
	firsts *intarray.Array // units+1: the first piece of each, and their number
	failed error           // what made the arrays useless
}

// making is a packing that grows.
type making struct {
	packer         *pack.Packer
	next           []int64 // by size: where the start of the next rest is
	pieces, firsts *intarray.Appender
	sum            sum
}

// form is how a piece becomes one number: its start, and in the lowest bits its
// length less 1.
type form struct {
	length  int // of a row
	lenBits int
}

func (f form) encode(start int64, n int) int64 { return start<<f.lenBits | int64(n-1) }

func (f form) decode(code int64) Piece {
	return Piece{code >> f.lenBits, int(code&(1<<f.lenBits-1)) + 1}
}

// Pack returns the arrangement in which a unit is a row of so many inputs that
// holds whole documents side by side (best-fit packing: Ding et al., "Fewer
// Truncations Improve Language Modeling", arXiv 2404.10830). A document of more
// inputs is first cut into parts of exactly that length, which are units by
// themselves, and a rest, which is packed like a short document. Nothing is
// discarded.
//
// Each call of Arrange packs its samples on their own, best-fit decreasing. It
// is in linear time and goes through the samples twice; for each of them it
// keeps 4 or 8 bytes in a file of no name. Units are numbered as they are
// emitted, from 0 on over all calls: for each call first the parts of long
// documents, in the order of the samples, then the packed rows. Those with
// documents of the same lengths come one after the other, so the fill of rows is
// no random sequence; a sampler shuffles them anyway. In a row, documents come
// from long to short; of those with rests of equal length, the one given first
// is packed first.
//
// The tables stay in files: of no name, or if dir is not "" in that directory,
// which is made if there is none, where Finish puts them for OpenPack. Samples
// that are no documents, or a length below 1, are an error of kind
// fault.Invalid.
func Pack(s *corpus.Samples, length int, dir string) (Arrangement, error) {
	p, err := newPacking(s, length, dir)
	if err != nil {
		return nil, err
	}
	if err := p.create(); err != nil {
		p.Close()
		return nil, fmt.Errorf("pack: %w", err)
	}
	return p, nil
}

func newPacking(s *corpus.Samples, length int, dir string) (*packing, error) {
	if err := checkDocuments("pack", s, length); err != nil {
		return nil, err
	}
	p := &packing{corpus: s.Corpus(), form: form{length, bits.Len(uint(length - 1))}, dir: dir}
	if err := checkIDs("pack", p.mostPieces()); err != nil {
		return nil, err
	}
	if bits.Len64(uint64(p.corpus.Tokens()))+p.form.lenBits > 63 {
		return nil, fault.Invalidf("pack: a place among %d tokens and a length of up to %d do not fit one number; choose a shorter length", p.corpus.Tokens(), length)
	}
	return p, nil
}

// mostPieces bounds the pieces: each but a document's last is a whole row.
func (p *packing) mostPieces() int64 {
	return p.corpus.Documents() + p.corpus.Tokens()/int64(p.form.length)
}

func (p *packing) create() (err error) {
	p.making = &making{packer: pack.New(p.form.length), next: make([]int64, p.form.length+1)}
	pieces, firsts, err := p.paths()
	if err != nil {
		return err
	}
	width := intarray.Width(p.form.encode(p.corpus.Tokens(), p.form.length))
	if p.making.pieces, err = intarray.Append(pieces, width); err != nil {
		return err
	}
	if p.making.firsts, err = intarray.Append(firsts, intarray.Width(p.mostPieces())); err != nil {
		return err
	}
	return p.making.firsts.Append(0)
}

func (p *packing) Lengths() []int { return []int{p.form.length} }

func (p *packing) Packed() bool { return true }

func (p *packing) Arrange(samples iter.Seq[int64], emit func(int, int64, int)) (int64, error) {
	if p.failed == nil && p.making == nil {
		return 0, fmt.Errorf("pack: the packing is finished; start another one to arrange more")
	}
	if p.failed == nil {
		p.failed = p.arrange(samples, emit)
	}
	return 0, p.failed
}

func (p *packing) arrange(samples iter.Seq[int64], emit func(int, int64, int)) error {
	rests, err := p.cut(samples, emit)
	if rests == 0 || err != nil {
		return err
	}
	starts, err := intarray.New("", intarray.Width(p.corpus.Tokens()), rests)
	if err != nil {
		return fmt.Errorf("pack: %w", err)
	}
	defer starts.Abort()
	if err := p.sort(starts, samples); err != nil {
		return err
	}
	return p.making.packer.Pack(func(row []pack.Run, rows int64) error {
		for range rows {
			held := 0
			for _, run := range row {
				for range run.Count {
					start := starts.At(p.making.next[run.Size])
					p.making.next[run.Size]++
					if err := p.add(start, run.Size); err != nil {
						return err
					}
				}
				held += run.Size * run.Count
			}
			if err := p.closeRow(held, emit); err != nil {
				return err
			}
		}
		return nil
	})
}

// cut emits the parts of documents that fill a row and counts the rests.
func (p *packing) cut(samples iter.Seq[int64], emit func(int, int64, int)) (rests int64, err error) {
	length := int64(p.form.length)
	for id := range samples {
		start, n := inputs(p.corpus, id)
		for ; n >= length; start, n = start+length, n-length {
			if err := p.add(start, p.form.length); err != nil {
				return 0, err
			}
			if err := p.closeRow(p.form.length, emit); err != nil {
				return 0, err
			}
		}
		if n > 0 {
			p.making.packer.Add(int(n))
			rests++
		}
	}
	return rests, nil
}

// sort puts the starts of the rests in order of their lengths, from long to
// short, and those of one length in the order of the samples: a counting sort.
func (p *packing) sort(starts *intarray.Writer, samples iter.Seq[int64]) error {
	m, length := p.making, int64(p.form.length)
	at := int64(0)
	for size, n := range m.packer.Sizes() {
		m.next[size] = at
		at += n
	}
	left := starts.Len()
	for id := range samples {
		start, n := inputs(p.corpus, id)
		rest := n % length
		if rest == 0 {
			continue
		}
		if left--; left < 0 || m.next[rest] >= starts.Len() {
			break
		}
		starts.Set(m.next[rest], start+n-rest)
		m.next[rest]++
	}
	at = 0
	for size, n := range m.packer.Sizes() {
		if m.next[size] != at+n {
			left = -1
		}
		m.next[size] = at
		at += n
	}
	if left != 0 {
		return fmt.Errorf("pack: the samples were not the same when they were gone through again")
	}
	return nil
}

// add adds a piece to the row.
func (p *packing) add(start int64, n int) error {
	code := p.form.encode(start, n)
	p.making.sum.add(code)
	return p.making.pieces.Append(code)
}

// closeRow ends the row, which holds so many inputs.
func (p *packing) closeRow(held int, emit func(int, int64, int)) error {
	m := p.making
	emit(0, m.firsts.Len()-1, held)
	m.sum.add(m.pieces.Len())
	return m.firsts.Append(m.pieces.Len())
}

func (p *packing) Bucket(unit int64) int {
	if unit < 0 || unit >= p.firsts.Len()-1 {
		panic(fmt.Sprintf("arrange: row %d of %d", unit, p.firsts.Len()-1))
	}
	return 0
}

func (p *packing) Pieces(dst []Piece, unit int64) []Piece {
	for i, end := p.firsts.At(unit), p.firsts.At(unit+1); i < end; i++ {
		dst = append(dst, p.form.decode(p.pieces.At(i)))
	}
	return dst
}

func (p *packing) Samples(dst []int64, unit int64) []int64 {
	for i, end := p.firsts.At(unit), p.firsts.At(unit+1); i < end; i++ {
		dst = append(dst, p.corpus.DocumentAt(p.form.decode(p.pieces.At(i)).Start))
	}
	return dst
}

func (p *packing) Units(dst []int64, sample int64) []int64 {
	start, end := p.corpus.Bounds(sample)
	i := int64(0)
	for unit := range p.firsts.Len() - 1 {
		for last := p.firsts.At(unit + 1); i < last; i++ {
			if at := p.form.decode(p.pieces.At(i)).Start; start <= at && at < end {
				dst = append(dst, unit)
			}
		}
	}
	return dst
}

// Close gives the arrays back, and takes back a packing that is not finished.
func (p *packing) Close() error {
	var errs []error
	if m := p.making; m != nil {
		for _, a := range []*intarray.Appender{m.pieces, m.firsts} {
			if a != nil {
				a.Abort()
			}
		}
	}
	for _, a := range []*intarray.Array{p.pieces, p.firsts} {
		if a != nil {
			errs = append(errs, a.Close())
		}
	}
	p.making = nil
	return errors.Join(errs...)
}
