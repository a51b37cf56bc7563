package corpus

import (
	"errors"
	"fmt"
	"io/fs"

	"github.com/gradus-ml/gradus/internal/fault"
	"github.com/gradus-ml/gradus/internal/mmap"
	"github.com/gradus-ml/gradus/internal/npy"
)

// Files without an index. A flat file is little-endian tokens and nothing else,
// as nanoGPT writes its train.bin: one document. It says nothing about itself,
// so its type must be told: the same bytes are one text as uint16 and another,
// as valid, as uint8. A .npy file (package npy) of integers says its type; one
// dimension of it is one document, two are a document a row. A file of that
// name without NumPy's magic is a flat file: OLMo's are.

// even is a layout of documents of one length. A single one may end anywhere.
type even struct{ documents, length int64 }

func (e even) start(document int64) int64 { return document * e.length }

func (e even) head(documents, tokens int64) (layout, bool) {
	switch {
	case documents == 0:
		return even{}, tokens == 0
	case documents == 1 && tokens <= e.length && e.documents == 1:
		return even{1, tokens}, true
	default:
		return even{documents, e.length}, tokens == documents*e.length
	}
}

func (e even) lines() (string, error) { return fmt.Sprintf("each %d\n", e.length), nil }

// setEven gives the part documents of one length.
func (p *part) setEven(d DType, documents, length int64) {
	if documents == 0 {
		length = 0
	}
	p.dtype, p.documents, p.tokens, p.layout = d, documents, documents*length, even{documents, length}
}

func (p *part) openFlat(form Form) (err error) {
	if form.flat() == 0 {
		return fault.Invalidf("%s has no .idx beside it (%w). If it is tokens and nothing else, as nanoGPT's train.bin, say how they are stored, such as uint16 (--dtype); "+
			"if it is of a corpus, its index is lost: run 'gradus prepare' again", p.name, fs.ErrNotExist)
	}
	if p.bin, err = mmap.Open(p.name); err != nil {
		return fmt.Errorf("open corpus: %w", err)
	}
	return p.setFlat(form)
}

// setFlat takes the whole file for tokens of the form's type.
func (p *part) setFlat(form Form) error {
	d := form.flat()
	if int64(p.bin.Len())%d.Size() != 0 {
		return fault.Corruptf("%s: %d bytes are no whole number of tokens of type %s; it was cut off, or they are of another type", p.name, p.bin.Len(), d)
	}
	p.setEven(d, 1, int64(p.bin.Len())/d.Size())
	return nil
}

// integers are the types of a .npy that can be tokens.
var integers = map[npy.DType]DType{
	npy.Uint8: Uint8, npy.Int8: Int8, npy.Uint16: Uint16, npy.Int16: Int16,
	npy.Uint32: Uint32, npy.Int32: Int32, npy.Uint64: Uint64, npy.Int64: Int64,
}

func (p *part) openArray(form Form) (err error) {
	if p.bin, err = mmap.Open(p.name); err != nil {
		return fmt.Errorf("open corpus: %w", err)
	}
	l, err := npy.ParseLayout(p.name, p.bin.Bytes())
	if errors.Is(err, npy.ErrMagic) {
		if form.flat() != 0 {
			return p.setFlat(form)
		}
		return fmt.Errorf("%w; if it is tokens and nothing else, as OLMo's are, say how they are stored, such as uint16 (--dtype)", err)
	}
	if err != nil {
		return err
	}
	d, whole := integers[l.DType]
	switch {
	case !whole:
		return fault.Mismatchf("%s: holds numbers of type %s; a corpus holds tokens, which are integers", p.name, l.DType)
	case form.flat() != 0 && form.flat() != d:
		return fault.Mismatchf("%s: holds tokens of type %s, and they are to be read as %s; leave that to the files, or name the right ones", p.name, d, form)
	}
	p.begin = l.Offset
	switch dims := l.Shape; {
	case len(dims) == 1:
		p.setEven(d, 1, dims[0])
	case len(dims) != 2:
		return fault.Invalidf("%s: an array of %d dimensions; one is a document of tokens, two are documents of the same length", p.name, len(dims))
	case l.Fortran && dims[0] > 1 && dims[1] > 1:
		return fault.Invalidf("%s: the rows do not lie one behind the other, but the columns do; write it by np.save(file, np.ascontiguousarray(a))", p.name)
	case dims[0] > 0 && dims[1] == 0:
		return fault.Invalidf("%s: an array of %d rows without tokens", p.name, dims[0])
	default:
		p.setEven(d, dims[0], dims[1])
	}
	return nil
}
