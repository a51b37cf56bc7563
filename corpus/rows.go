package corpus

import (
	"encoding/binary"
	"fmt"
	"sync"

	"github.com/gradus-ml/gradus/internal/fault"
)

// Rows are documents on their way into a corpus, already checked and in the
// form in which they are stored. Goroutines may make one each while a Writer
// writes others in turn, which leaves it hashing and writing alone. The zero
// Rows has no type; NewRows makes one that can be used, and Reset lets it be
// used again without new memory.
type Rows struct {
	dtype   DType
	raw     []byte // tokens as in PREFIX.bin
	lengths []byte // of each document, as in PREFIX.idx
	largest int32  // token
}

// NewRows returns no documents yet, for a corpus of that type.
func NewRows(dtype DType) *Rows { return &Rows{dtype: dtype} }

// Reset forgets the documents and keeps the memory.
func (r *Rows) Reset() { r.raw, r.lengths, r.largest = r.raw[:0], r.lengths[:0], 0 }

// Documents returns how many documents there are.
func (r *Rows) Documents() int { return len(r.lengths) / 4 }

// Append adds a document. One of more than 2^31-1 tokens, or with a token that
// is negative or does not fit the type, is an error of kind fault.Invalid and
// is not added.
func (r *Rows) Append(document []int32) error {
	if len(document) > longestRow {
		return fault.Invalidf("a document of %d tokens; the format's limit is %d, split it", len(document), longestRow)
	}
	largest := largestOf(document)
	if limit := kinds[r.dtype].largest; largest > uint32(limit) {
		return fault.Invalidf("a document with the token %d, which does not fit %s (0 to %d)", int32(largest), r.dtype, limit)
	}
	r.raw = r.dtype.narrow(r.raw, document)
	r.lengths = binary.LittleEndian.AppendUint32(r.lengths, uint32(len(document)))
	r.largest = max(r.largest, int32(largest))
	return nil
}

// largestOf returns the largest of some tokens; a negative one is larger than
// any other. Four maxima side by side do not wait for each other.
func largestOf(tokens []int32) uint32 {
	var a, b, c, d uint32
	for len(tokens) >= 4 {
		a, b = max(a, uint32(tokens[0])), max(b, uint32(tokens[1]))
		c, d = max(c, uint32(tokens[2])), max(d, uint32(tokens[3]))
		tokens = tokens[4:]
	}
	for _, t := range tokens {
		a = max(a, uint32(t))
	}
	return max(a, b, c, d)
}

// AppendRows writes documents that are ready; it does what Append does for each
// of them. Rows of another type are an error of kind fault.Invalid. After a
// failed write the Writer cannot go on.
func (w *Writer) AppendRows(r *Rows) error {
	if w.err != nil {
		return w.err
	}
	if r.dtype != w.dtype {
		return fault.Invalidf("corpus %s: rows of type %s, the corpus is of type %s", w.prefix, r.dtype, w.dtype)
	}
	// Hashing takes as long as writing does; the two need not wait for each other.
	var hashed sync.WaitGroup
	hashed.Go(func() {
		w.chunks.write(r.raw)
		w.lengths.Write(r.lengths)
	})
	if _, w.err = w.bin.Write(r.raw); w.err == nil {
		_, w.err = w.idx.Write(r.lengths)
	}
	hashed.Wait()
	if w.err != nil {
		w.err = fmt.Errorf("write corpus %s: %w", w.prefix, w.err)
		return w.err
	}
	w.rows += int64(r.Documents())
	w.tokens += int64(len(r.raw)) / w.dtype.Size()
	w.largest = max(w.largest, r.largest)
	return nil
}
