package corpus

import (
	"crypto/sha256"
	"encoding/binary"
	"hash"
	"math"

	"github.com/gradus-ml/gradus/internal/fault"
	"github.com/gradus-ml/gradus/internal/mmap"
)

// The index file, PREFIX.idx. All numbers are little-endian, nothing is aligned.
//
//	offset      size   field
//	0           9      magic "MMIDIDX" and two zero bytes
//	9           8      uint64 version, 1
//	17          1      uint8 code of the tokens' type
//	18          8      uint64 n, number of rows
//	26          8      uint64 d, length of the document index
//	34          4n     int32 length of each row, in tokens
//	34 + 4n     8n     int64 offset of each row in PREFIX.bin, in bytes
//	34 + 12n    8d     int64 document index
//
// Rows lie in PREFIX.bin back to back, so an offset is the sum of the lengths
// before it times the size of a token. Document i is the run of rows from entry
// i to entry i+1 of the document index, which begins with 0 and ends with n.
// DeepSpeed's writer closes a merged index with a second n: entries that repeat
// n at the end are not documents.
//
// Two programs write this format and disagree on the codes from 6 on. Megatron:
// 6 float64, 7 float32, 8 uint16. DeepSpeed since 0.13.3: 6 uint16, 7 uint32,
// 8 uint64; before, it had 8 uint16, 9 uint32, 10 uint64. The size of PREFIX.bin
// tells which is meant, unless a Form does (form.go).
const (
	magic      = "MMIDIDX\x00\x00"
	version    = 1
	headerSize = 34
)

// rows is the layout of a pair. The sections of its index stay in the file: they
// may be larger than memory.
type rows struct {
	idx       *mmap.File
	binName   string
	binBytes  int64
	dtype     DType
	tokens    int64
	documents int64
	count     int64  // of rows
	offsets   []byte // 8 bytes a row, mapped
	first     []byte // 8 bytes a document and 8 for the end: its first row; mapped
	firstAt   int64  // byte of the file at which that begins
}

// readRows checks an index whole, so that everything read from it later is
// within bounds. It reads it in pieces and past the map, of which no page is
// resident afterwards.
func readRows(idx, bin *mmap.File, form Form) (*rows, error) {
	r := &rows{idx: idx, binName: bin.Name(), binBytes: int64(bin.Len())}
	name, size := idx.Name(), uint64(idx.Len())
	if size < headerSize {
		return nil, fault.Corruptf("%s: %d bytes are too few for the %d of a header; it was cut off or is no index", name, size, headerSize)
	}
	head := make([]byte, headerSize)
	if err := idx.Fill(head, 0); err != nil {
		return nil, err
	}
	if string(head[:len(magic)]) != magic {
		return nil, fault.Corruptf("%s: begins with %q and not with Megatron's %q; it is no index of a corpus", name, head[:len(magic)], magic)
	}
	le := binary.LittleEndian
	if v := le.Uint64(head[9:]); v != version {
		return nil, fault.Corruptf("%s: version %d at byte 9; only version %d is known", name, v, version)
	}
	// Each count is checked against the bytes there are before it is multiplied.
	n, d := le.Uint64(head[18:]), le.Uint64(head[26:])
	room := size - headerSize
	if n > room/12 || d > (room-12*n)/8 || headerSize+12*n+8*d != size {
		return nil, fault.Corruptf("%s: %d bytes do not fit its %d rows and %d document entries; it was cut off or overwritten", name, size, n, d)
	}
	r.count, r.firstAt = int64(n), int64(headerSize+12*n)
	r.offsets = idx.Bytes()[headerSize+4*n:][: 8*n : 8*n]
	r.first = idx.Bytes()[r.firstAt:]
	if err := r.countTokens(); err != nil {
		return nil, err
	}
	if err := r.chooseType(head[17], form); err != nil {
		return nil, err
	}
	if err := r.checkOffsets(); err != nil {
		return nil, err
	}
	return r, r.checkDocuments()
}

// countTokens sums the lengths. A token takes a byte at least, so a sum above
// the size of the .bin is wrong already, and the sum cannot overflow.
func (r *rows) countTokens() error {
	row := int64(0)
	return r.idx.Scan(headerSize, headerSize+4*r.count, func(lengths []byte) error {
		for ; len(lengths) > 0; lengths = lengths[4:] {
			n := int32(binary.LittleEndian.Uint32(lengths))
			if n < 0 {
				return fault.Corruptf("%s: row %d has the length %d", r.idx.Name(), row, n)
			}
			if int64(n) > r.binBytes-r.tokens {
				return fault.Corruptf("%s: row %d ends at token %d, but %s has only %d bytes; it was cut off or belongs to another index", r.idx.Name(), row, r.tokens+int64(n), r.binName, r.binBytes)
			}
			r.tokens += int64(n)
			row++
		}
		return nil
	})
}

// chooseType picks the type under which tokens and file size agree.
func (r *rows) chooseType(code byte, form Form) error {
	candidates, err := form.types(code, r.idx.Name())
	if err != nil {
		return err
	}
	for _, d := range candidates {
		if r.binBytes/d.Size() == r.tokens && r.binBytes%d.Size() == 0 {
			r.dtype = d
			return nil
		}
	}
	for _, d := range codes[code].auto {
		if r.binBytes/d.Size() == r.tokens && r.binBytes%d.Size() == 0 {
			return fault.Mismatchf("%s: has %d bytes, and the %d tokens that %s names would take %d as %s; as %s they fit, so do not read it as %s",
				r.binName, r.binBytes, r.tokens, r.idx.Name(), r.tokens*candidates[0].Size(), candidates[0], d, form)
		}
	}
	if code == 6 && form != DeepSpeed && r.binBytes%8 == 0 && r.binBytes/8 == r.tokens {
		return fault.Mismatchf("%s: holds float64 numbers; a corpus holds tokens, which are integers", r.idx.Name())
	}
	return fault.Corruptf("%s: has %d bytes, but %s names %d tokens of type %s; it was cut off or belongs to another index", r.binName, r.binBytes, r.idx.Name(), r.tokens, candidates[0])
}

// checkOffsets proves that rows lie back to back, which is what lets a row's
// offset stand for its first token.
func (r *rows) checkOffsets() error {
	le := binary.LittleEndian
	row, want := int64(0), int64(0)
	var buf []byte
	return r.idx.Scan(headerSize+4*r.count, r.firstAt, func(offsets []byte) error {
		buf = append(buf[:0], offsets[:len(offsets)/2]...)
		if err := r.idx.Fill(buf, headerSize+4*row); err != nil {
			return err
		}
		for lengths := buf; len(lengths) > 0; lengths, offsets = lengths[4:], offsets[8:] {
			if got := int64(le.Uint64(offsets)); got != want {
				return fault.Corruptf("%s: row %d is said to begin at byte %d; the rows before it end at %d, and rows must lie back to back", r.idx.Name(), row, got, want)
			}
			want += int64(le.Uint32(lengths)) * r.dtype.Size()
			row++
		}
		return nil
	})
}

// checkDocuments proves that the document index covers all rows in order, and
// drops what a merge repeats at its end.
func (r *rows) checkDocuments() error {
	name := r.idx.Name()
	if len(r.first) == 0 {
		return fault.Corruptf("%s: the document index is empty; it must begin with 0", name)
	}
	entry, previous, repeats := int64(0), int64(0), int64(0)
	err := r.idx.Scan(r.firstAt, int64(r.idx.Len()), func(first []byte) error {
		for ; len(first) > 0; first = first[8:] {
			e := int64(binary.LittleEndian.Uint64(first))
			if entry == 0 && e != 0 {
				return fault.Corruptf("%s: the document index begins with %d and not with 0", name, e)
			}
			if e < previous || e > r.count {
				return fault.Corruptf("%s: entry %d of the document index is %d, after %d and of %d rows", name, entry, e, previous, r.count)
			}
			repeats++
			if e != previous {
				repeats = 0
			}
			previous = e
			entry++
		}
		return nil
	})
	switch {
	case err != nil:
		return err
	case previous != r.count:
		return fault.Corruptf("%s: the document index ends at row %d of %d; its writer was not closed", name, previous, r.count)
	case r.count == 0:
		repeats = entry - 1
	}
	r.documents = entry - repeats - 1
	r.first = r.first[: 8*(r.documents+1) : 8*(r.documents+1)]
	return nil
}

// row returns entry i of the document index: the first row of document i.
func (r *rows) row(i int64) int64 { return int64(binary.LittleEndian.Uint64(r.first[8*i:])) }

func (r *rows) start(document int64) int64 {
	row := r.row(document)
	if row == r.count {
		return r.tokens
	}
	return int64(binary.LittleEndian.Uint64(r.offsets[8*row:])) / r.dtype.Size()
}

func (r *rows) head(documents, tokens int64) (layout, bool) {
	h := *r
	h.documents, h.tokens, h.count = documents, tokens, r.row(documents)
	h.first = r.first[:8*(documents+1)]
	return &h, r.start(documents) == tokens
}

func (r *rows) lines() (string, error) {
	lengths, first := sha256.New(), sha256.New()
	into := func(h hash.Hash) func([]byte) error {
		return func(piece []byte) error { h.Write(piece); return nil }
	}
	if err := r.idx.Scan(headerSize, headerSize+4*r.count, into(lengths)); err != nil {
		return "", err
	}
	if err := r.idx.Scan(r.firstAt, r.firstAt+int64(len(r.first)), into(first)); err != nil {
		return "", err
	}
	return rowLines(digest(lengths.Sum(nil)), digest(first.Sum(nil))), nil
}

// appendHeader appends the header of an index in Megatron's table.
func appendHeader(dst []byte, dtype DType, rowCount, entries uint64) []byte {
	le := binary.LittleEndian
	dst = append(dst, magic...)
	dst = le.AppendUint64(dst, version)
	dst = append(dst, kinds[dtype].code)
	dst = le.AppendUint64(dst, rowCount)
	return le.AppendUint64(dst, entries)
}

// longestRow is the most tokens a row can have.
const longestRow = math.MaxInt32
