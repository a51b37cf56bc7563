package corpus

import (
	"encoding/binary"
	"math"

	"github.com/gradus-ml/gradus/internal/fault"
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
// tells which is meant; where it does not (an empty file) Megatron's holds.
const (
	magic      = "MMIDIDX\x00\x00"
	version    = 1
	headerSize = 34
)

// codes lists for each code the types it may stand for, Megatron's first. Code
// 7 leaves out Megatron's float32, which is as large as uint32: no corpus of
// tokens has it.
var codes = map[byte][]DType{
	1: {Uint8}, 2: {Int8}, 3: {Int16}, 4: {Int32}, 5: {Int64},
	6: {Uint16}, 7: {Uint32}, 8: {Uint16, Uint64}, 9: {Uint32}, 10: {Uint64},
}

// rows is the decoded header of an index and its three sections, which stay in
// the file's own bytes: they may be larger than memory.
type rows struct {
	dtype     DType
	tokens    int64
	documents int64
	lengths   []byte // 4 bytes a row
	offsets   []byte // 8 bytes a row
	first     []byte // 8 bytes a document and 8 for the end: its first row
}

// parseRows checks an index whole, in one pass over its sections, so that
// everything read from it later is within bounds. The names are for errors.
func parseRows(idx []byte, idxName string, binBytes int64, binName string) (rows, error) {
	le := binary.LittleEndian
	if len(idx) < headerSize {
		return rows{}, fault.Corruptf("%s: %d bytes are too few for the %d of a header; it was cut off or is no index", idxName, len(idx), headerSize)
	}
	if string(idx[:len(magic)]) != magic {
		return rows{}, fault.Corruptf("%s: begins with %q and not with Megatron's %q; it is no index of a corpus", idxName, idx[:len(magic)], magic)
	}
	if v := le.Uint64(idx[9:]); v != version {
		return rows{}, fault.Corruptf("%s: version %d at byte 9; only version %d is known", idxName, v, version)
	}
	// Each count is checked against the bytes there are before it is multiplied.
	n, d := le.Uint64(idx[18:]), le.Uint64(idx[26:])
	room := uint64(len(idx) - headerSize)
	if n > room/12 || d > (room-12*n)/8 || headerSize+12*n+8*d != uint64(len(idx)) {
		return rows{}, fault.Corruptf("%s: %d bytes do not fit its %d rows and %d document entries; it was cut off or overwritten", idxName, len(idx), n, d)
	}
	r := rows{
		lengths: idx[headerSize:][: 4*n : 4*n],
		offsets: idx[headerSize+4*n:][: 8*n : 8*n],
		first:   idx[headerSize+12*n:][: 8*d : 8*d],
	}
	if err := r.countTokens(idxName, binBytes, binName); err != nil {
		return rows{}, err
	}
	if err := r.chooseType(idx[17], idxName, binBytes, binName); err != nil {
		return rows{}, err
	}
	if err := r.checkOffsets(idxName); err != nil {
		return rows{}, err
	}
	return r, r.checkDocuments(int64(n), idxName)
}

// countTokens sums the lengths. A token takes a byte at least, so a sum above
// the size of the .bin is wrong already, and the sum cannot overflow.
func (r *rows) countTokens(idxName string, binBytes int64, binName string) error {
	for i := 0; i < len(r.lengths); i += 4 {
		n := int32(binary.LittleEndian.Uint32(r.lengths[i:]))
		if n < 0 {
			return fault.Corruptf("%s: row %d has the length %d", idxName, i/4, n)
		}
		if int64(n) > binBytes-r.tokens {
			return fault.Corruptf("%s: row %d ends at token %d, but %s has only %d bytes; it was cut off or belongs to another index", idxName, i/4, r.tokens+int64(n), binName, binBytes)
		}
		r.tokens += int64(n)
	}
	return nil
}

// chooseType picks the type under which tokens and file size agree.
func (r *rows) chooseType(code byte, idxName string, binBytes int64, binName string) error {
	candidates := codes[code]
	if candidates == nil {
		return fault.Corruptf("%s: unknown type code %d at byte 17", idxName, code)
	}
	for _, d := range candidates {
		if binBytes/d.Size() == r.tokens && binBytes%d.Size() == 0 {
			r.dtype = d
			return nil
		}
	}
	if code == 6 && binBytes%8 == 0 && binBytes/8 == r.tokens {
		return fault.Mismatchf("%s: holds float64 numbers; a corpus holds tokens, which are integers", idxName)
	}
	return fault.Corruptf("%s: has %d bytes, but %s names %d tokens of type %s; it was cut off or belongs to another index", binName, binBytes, idxName, r.tokens, candidates[0])
}

// checkOffsets proves that rows lie back to back, which is what lets a row's
// offset stand for its first token.
func (r *rows) checkOffsets(idxName string) error {
	le := binary.LittleEndian
	var want int64
	for i := 0; i < len(r.offsets); i += 8 {
		if got := int64(le.Uint64(r.offsets[i:])); got != want {
			return fault.Corruptf("%s: row %d is said to begin at byte %d; the rows before it end at %d, and rows must lie back to back", idxName, i/8, got, want)
		}
		want += int64(le.Uint32(r.lengths[i/2:])) * r.dtype.Size()
	}
	return nil
}

// checkDocuments proves that the document index covers all rows in order, and
// drops what a merge repeats at its end.
func (r *rows) checkDocuments(rowCount int64, idxName string) error {
	entries := int64(len(r.first) / 8)
	if entries == 0 {
		return fault.Corruptf("%s: the document index is empty; it must begin with 0", idxName)
	}
	previous := int64(0)
	for i := range entries {
		e := r.row(i)
		if i == 0 && e != 0 {
			return fault.Corruptf("%s: the document index begins with %d and not with 0", idxName, e)
		}
		if e < previous || e > rowCount {
			return fault.Corruptf("%s: entry %d of the document index is %d, after %d and of %d rows", idxName, i, e, previous, rowCount)
		}
		previous = e
	}
	if previous != rowCount {
		return fault.Corruptf("%s: the document index ends at row %d of %d; its writer was not closed", idxName, previous, rowCount)
	}
	for entries > 1 && r.row(entries-2) == rowCount {
		entries--
	}
	r.documents = entries - 1
	r.first = r.first[:8*entries]
	return nil
}

// row returns entry i of the document index: the first row of document i.
func (r *rows) row(i int64) int64 { return int64(binary.LittleEndian.Uint64(r.first[8*i:])) }

// start returns the first token of document i, and for i = documents the end.
func (r *rows) start(i int64) int64 {
	row := r.row(i)
	if row == int64(len(r.offsets)/8) {
		return r.tokens
	}
	return int64(binary.LittleEndian.Uint64(r.offsets[8*row:])) / r.dtype.Size()
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
