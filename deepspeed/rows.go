package deepspeed

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"strings"

	"github.com/gradus-ml/gradus/corpus"
	"github.com/gradus-ml/gradus/internal/fault"
	"github.com/gradus-ml/gradus/internal/mmap"
)

// A dataset of rows, DeepSpeed's MMapIndexedDataset. PREFIX.bin is the integers
// of all rows back to back and nothing else. PREFIX.idx, little-endian and not
// aligned:
//
//	offset      size   field
//	0           9      magic "MMIDIDX" and two zero bytes
//	9           8      uint64 version, 1
//	17          1      uint8 code of the integers' type; see dtype.go
//	18          8      uint64 n, number of rows
//	26          8      uint64 d, length of the document index
//	34          4n     int32 length of each row, in integers
//	34 + 4n     8n     int64 offset of each row in PREFIX.bin, in bytes
//	34 + 12n    8d     int64 document index: 0 first, n last
//
// It is the layout of a corpus (package corpus), but what is in it are values
// and sample ids: negative numbers, and numbers beyond 2^31. Documents mean
// nothing here; merged files end with n twice.
const (
	magic      = "MMIDIDX\x00\x00"
	version    = 1
	codeAt     = 17
	headerSize = 34
)

// longestRow is the most integers a row can have.
const longestRow = math.MaxInt32

// Rows is an open dataset. All methods but Close may be called from any number
// of goroutines.
type Rows struct {
	prefix   string
	idx, bin *mmap.File
	table
}

// table is a checked .idx beside its .bin.
type table struct {
	dtype   corpus.DType
	values  int64  // integers in all rows
	lengths []byte // 4 bytes a row
	offsets []byte // 8 bytes a row
	raw     []byte // the .bin
}

// Open opens PREFIX.bin and PREFIX.idx; the name of one of them is taken for
// the prefix. The .idx is read and checked whole. A damaged or cut-off file is
// an error of kind fault.Corrupt, one of floats fault.Mismatch.
func Open(prefix string) (*Rows, error) {
	r := &Rows{prefix: trimEnding(prefix)}
	if err := r.open(); err != nil {
		r.Close()
		return nil, err
	}
	return r, nil
}

func (r *Rows) open() (err error) {
	idxName, binName := r.prefix+".idx", r.prefix+".bin"
	if r.idx, err = mmap.Open(idxName); err == nil {
		r.bin, err = mmap.Open(binName)
	}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("no DeepSpeed file at %s: %w; it is a pair %[1]s.bin and %[1]s.idx", r.prefix, err)
	case err != nil:
		return err
	}
	r.table, err = parse(r.idx.Bytes(), idxName, r.bin.Bytes(), binName)
	return err
}

// trimEnding takes the ending off a file's name.
func trimEnding(name string) string {
	for _, ending := range []string{".bin", ".idx"} {
		if prefix, ok := strings.CutSuffix(name, ending); ok {
			return prefix
		}
	}
	return name
}

// Close gives the maps back; no other method may be called after it or while
// it runs. A second Close does nothing.
func (r *Rows) Close() error {
	var errs []error
	for _, m := range []*mmap.File{r.idx, r.bin} {
		if m != nil {
			errs = append(errs, m.Close())
		}
	}
	return errors.Join(errs...)
}

// parse checks an .idx whole against the size of its .bin, so that everything
// read later lies within bounds. The names are for errors.
func parse(idx []byte, idxName string, bin []byte, binName string) (table, error) {
	le := binary.LittleEndian
	if len(idx) < headerSize {
		return table{}, fault.Corruptf("%s: %d bytes are too few for the %d of a header; it was cut off or is no DeepSpeed index", idxName, len(idx), headerSize)
	}
	if string(idx[:len(magic)]) != magic {
		return table{}, fault.Corruptf("%s: begins with %q and not with %q; it is no DeepSpeed index", idxName, idx[:len(magic)], magic)
	}
	if v := le.Uint64(idx[len(magic):]); v != version {
		return table{}, fault.Corruptf("%s: version %d at byte %d; only version %d is known", idxName, v, len(magic), version)
	}
	// Each count is checked against the bytes there are before it is multiplied.
	n, d := le.Uint64(idx[codeAt+1:]), le.Uint64(idx[codeAt+9:])
	room := uint64(len(idx) - headerSize)
	if n > room/12 || d > (room-12*n)/8 || headerSize+12*n+8*d != uint64(len(idx)) {
		return table{}, fault.Corruptf("%s: %d bytes do not fit its %d rows and %d document entries; it was cut off or overwritten", idxName, len(idx), n, d)
	}
	t := table{
		lengths: idx[headerSize:][: 4*n : 4*n],
		offsets: idx[headerSize+4*n:][: 8*n : 8*n],
		raw:     bin,
	}
	if err := t.count(idxName, binName); err != nil {
		return table{}, err
	}
	if err := t.chooseType(idx[codeAt], idxName, binName); err != nil {
		return table{}, err
	}
	return t, t.checkOffsets(idxName)
}

// count sums the lengths. An integer takes a byte at least, so a sum above the
// size of the .bin is wrong already, and the sum cannot overflow.
func (t *table) count(idxName, binName string) error {
	for row := range t.Len() {
		n := t.length(row)
		if n < 0 {
			return fault.Corruptf("%s: row %d has the length %d", idxName, row, n)
		}
		if n > int64(len(t.raw))-t.values {
			return fault.Corruptf("%s: row %d ends at element %d, but %s has only %d bytes; it was cut off or belongs to another index", idxName, row, t.values+n, binName, len(t.raw))
		}
		t.values += n
	}
	return nil
}

// chooseType picks the type under which the lengths and the file size agree.
func (t *table) chooseType(code byte, idxName, binName string) error {
	types, size := candidates(code), int64(len(t.raw))
	if types == nil {
		return fault.Corruptf("%s: unknown type code %d at byte %d", idxName, code, codeAt)
	}
	for _, d := range types {
		if size/d.Size() == t.values && size%d.Size() == 0 {
			t.dtype = d
			return nil
		}
	}
	if (code == 6 || code == 7) && size%8 == 0 && size/8 == t.values {
		return fault.Mismatchf("%s: holds float64 numbers, written by a DeepSpeed before 0.13.3; only integers can be read", idxName)
	}
	return fault.Corruptf("%s: has %d bytes, but %s names %d elements of type %s; it was cut off or belongs to another index", binName, size, idxName, t.values, types[0])
}

// checkOffsets proves that rows lie back to back.
func (t *table) checkOffsets(idxName string) error {
	want := int64(0)
	for row := range t.Len() {
		if got := t.offset(row); got != want {
			return fault.Corruptf("%s: row %d is said to begin at byte %d; the rows before it end at %d, and rows must lie back to back", idxName, row, got, want)
		}
		want += t.length(row) * t.dtype.Size()
	}
	return nil
}

// Path returns the prefix.
func (r *Rows) Path() string { return r.prefix }

// Len returns the number of rows.
func (t *table) Len() int64 { return int64(len(t.lengths) / 4) }

// Values returns the number of integers in all rows.
func (t *table) Values() int64 { return t.values }

// DType returns how an integer is stored.
func (t *table) DType() corpus.DType { return t.dtype }

// Bounds returns where a row lies among the integers of all rows: [start, end).
// It panics if there is no such row, as indexing a slice does.
func (t *table) Bounds(row int64) (start, end int64) {
	start = t.offset(row) / t.dtype.Size()
	return start, start + t.length(row)
}

func (t *table) length(row int64) int64 {
	return int64(int32(binary.LittleEndian.Uint32(t.lengths[4*row:])))
}

func (t *table) offset(row int64) int64 {
	return int64(binary.LittleEndian.Uint64(t.offsets[8*row:]))
}

// Read fills dst with the integers of all rows from start on. They must all lie
// in [0, Values()); it panics otherwise, as slicing does. An integer beyond the
// largest int64 is an error of kind fault.Corrupt.
func (r *Rows) Read(dst []int64, start int64) error {
	size := r.dtype.Size()
	if bad := decode(dst, r.dtype, r.raw[start*size:(start+int64(len(dst)))*size]); bad >= 0 {
		return fault.Corruptf("%s.bin: element %d is %d, which no metric and no sample id can be", r.prefix, start+int64(bad), uint64(dst[bad]))
	}
	return nil
}

// singles reports rows that are not all of one integer, as an error of kind
// fault.Corrupt.
func (r *Rows) singles() error {
	for row := range r.Len() {
		if n := r.length(row); n != 1 {
			return fault.Corruptf("%s.idx: row %d has %d elements; each row of this file must have one", r.prefix, row, n)
		}
	}
	return nil
}
