package corpus

import (
	"errors"
	"fmt"
	"io/fs"
	"math"

	"github.com/gradus-ml/gradus/internal/fault"
	"github.com/gradus-ml/gradus/internal/mmap"
)

// A part is the tokens of one file, and where documents begin among them.
type part struct {
	name      string     // of a pair its prefix, else of the file
	bin       *mmap.File // that the tokens are in
	begin     int64      // byte of it at which they begin
	dtype     DType
	tokens    int64
	documents int64
	layout    layout

	idx  *mmap.File // of a pair
	side *sidecar   // of a pair that has one

	// Where in the corpus the part begins.
	token, document int64
}

// A layout says where the documents of a part begin.
type layout interface {
	// start returns the first token of a document; of the one behind the last,
	// where that one ends.
	start(document int64) int64
	// head returns the layout of the first documents, which have so many
	// tokens, and false if the part cannot end there.
	head(documents, tokens int64) (layout, bool)
	// lines describes the layout for the fingerprint.
	lines() (string, error)
}

// open opens the file or files of a part. What it opened is in p even if it fails.
func (p *part) open(kind kind, form Form) error {
	switch kind {
	case flat:
		return p.openFlat(form)
	case array:
		return p.openArray(form)
	default:
		return p.openPair(form)
	}
}

func (p *part) openPair(form Form) (err error) {
	if p.idx, err = mmap.Open(p.name + ".idx"); err != nil {
		return openError(p.name, err)
	}
	if p.bin, err = mmap.Open(p.name + ".bin"); err != nil {
		return openError(p.name, err)
	}
	r, err := readRows(p.idx, p.bin, form)
	if err != nil {
		return err
	}
	p.layout, p.dtype, p.tokens, p.documents = r, r.dtype, r.tokens, r.documents
	p.side, err = readSidecar(p)
	return err
}

// openError adds to a missing file what to do about it.
func openError(prefix string, err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("no corpus at %s: %w; a corpus is a pair %s.bin and %[1]s.idx, which 'gradus prepare' makes", prefix, err, prefix)
	}
	return fmt.Errorf("open corpus %s: %w", prefix, err)
}

// close gives the maps back.
func (p *part) close() error {
	var errs []error
	for _, m := range []*mmap.File{p.idx, p.bin} {
		if m != nil {
			errs = append(errs, m.Close())
		}
	}
	return errors.Join(errs...)
}

// at returns the byte of the file at which a token of the part begins.
func (p *part) at(token int64) int64 { return p.begin + token*p.dtype.Size() }

// documentAt returns the document of the part that holds one of its tokens:
// the last that begins at or before it. Empty documents begin where the next
// one does, and come before it.
func (p *part) documentAt(token int64) int64 {
	return search(p.documents, func(i int64) bool { return p.layout.start(i+1) > token })
}

// decode reads len(dst) tokens of the part from the bytes that are stored from
// the token on. A negative token or one above the largest int32 is an error.
func (p *part) decode(dst []int32, raw []byte, token int64) error {
	if p.dtype.widen(dst, raw) {
		return nil
	}
	size := p.dtype.Size()
	for i := int64(0); ; i++ {
		var one [1]int32
		if item := raw[i*size:][:size]; !p.dtype.widen(one[:], item) {
			return fault.Corruptf("%s: the %s at token %d (byte %d, bytes % x) is outside 0 to %d and cannot be a token", p.bin.Name(), p.dtype, token+i, p.at(token+i), item, math.MaxInt32)
		}
	}
}

// search returns the least i in [0, n) for which f holds, and n if there is
// none; f must hold for all i above one for which it does. It is sort.Search
// for more than an int.
func search(n int64, f func(i int64) bool) int64 {
	low, high := int64(0), n
	for low < high {
		if i := low + (high-low)/2; f(i) {
			high = i
		} else {
			low = i + 1
		}
	}
	return low
}
