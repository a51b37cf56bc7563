package deepspeed

import (
	"encoding/binary"
	"fmt"

	"github.com/gradus-ml/gradus/corpus"
	"github.com/gradus-ml/gradus/internal/atomicfile"
	"github.com/gradus-ml/gradus/internal/fault"
)

// Writer makes a dataset of rows. Its memory does not grow with the dataset or
// a row. It is not safe for concurrent use. After an error it cannot go on.
type Writer struct {
	prefix   string
	dtype    corpus.DType
	code     byte
	bin, idx *atomicfile.File
	rows     int64
	length   int64 // of the row under way
	scratch  []byte
}

// Create starts PREFIX.bin and PREFIX.idx with integers of type dtype. The type
// is written in the codes of DeepSpeed since 0.13.3, or, with old, in those
// before. Nothing is visible under the names until Commit.
func Create(prefix string, dtype corpus.DType, old bool) (*Writer, error) {
	table := codes
	if old {
		table = oldCodes
	}
	if table[dtype] == 0 {
		return nil, fault.Invalidf("%s: DeepSpeed has no code for type %s", prefix, dtype)
	}
	bin, err := atomicfile.Create(prefix + ".bin")
	if err != nil {
		return nil, err
	}
	idx, err := atomicfile.Create(prefix + ".idx")
	if err != nil {
		bin.Abort()
		return nil, err
	}
	w := &Writer{prefix: prefix, dtype: dtype, code: table[dtype], bin: bin, idx: idx}
	// The lengths follow the header as rows come; the header is written over
	// this one when their number is known.
	idx.Write(w.header()) // fits the buffer, so cannot fail
	return w, nil
}

func (w *Writer) header() []byte {
	le := binary.LittleEndian
	h := append([]byte(magic), version, 0, 0, 0, 0, 0, 0, 0, w.code)
	h = le.AppendUint64(h, uint64(w.rows))
	return le.AppendUint64(h, uint64(len(w.documents())/8))
}

// documents is the document index of one document.
func (w *Writer) documents() []byte {
	return binary.LittleEndian.AppendUint64(make([]byte, 8), uint64(w.rows))
}

// Append adds integers to the row under way. One that the type does not hold is
// an error of kind fault.Invalid, and so is a row of more than 2^31-1.
func (w *Writer) Append(values []int64) error {
	const piece = 8 << 10 // 64 KiB
	for len(values) > 0 {
		n := min(piece, len(values))
		var err error
		if w.scratch, err = encode(w.scratch[:0], w.dtype, values[:n]); err != nil {
			return fmt.Errorf("%s.bin: row %d: %w", w.prefix, w.rows, err)
		}
		if err := w.appendRaw(w.scratch); err != nil {
			return err
		}
		values = values[n:]
	}
	return nil
}

// appendRaw adds integers as they are stored.
func (w *Writer) appendRaw(raw []byte) error {
	if w.length += int64(len(raw)) / w.dtype.Size(); w.length > longestRow {
		return fault.Invalidf("%s: row %d has more than %d elements, the most that DeepSpeed's format holds", w.prefix, w.rows, longestRow)
	}
	if _, err := w.bin.Write(raw); err != nil {
		return fmt.Errorf("write %s.bin: %w", w.prefix, err)
	}
	return nil
}

// EndRow ends the row under way, which may be empty.
func (w *Writer) EndRow() error {
	w.scratch = binary.LittleEndian.AppendUint32(w.scratch[:0], uint32(w.length))
	if _, err := w.idx.Write(w.scratch); err != nil {
		return fmt.Errorf("write %s.idx: %w", w.prefix, err)
	}
	w.rows++
	w.length = 0
	return nil
}

// Singles adds a row of one integer for each value.
func (w *Writer) Singles(values []int64) error {
	for i := range values {
		if err := w.Append(values[i : i+1]); err != nil {
			return err
		}
		if err := w.EndRow(); err != nil {
			return err
		}
	}
	return nil
}

// Commit completes both files and puts them in place, the .idx last. After an
// error neither new file is left under its name, unless only the last step
// failed.
func (w *Writer) Commit() error {
	defer w.Abort()
	if w.length > 0 {
		return fmt.Errorf("%s: row %d was not ended", w.prefix, w.rows)
	}
	if err := w.finishIndex(); err != nil {
		return fmt.Errorf("write %s.idx: %w", w.prefix, err)
	}
	if err := w.bin.Commit(); err != nil {
		return err
	}
	return w.idx.Commit()
}

// finishIndex adds to the lengths the offsets, which are their running sum, the
// document index and the header. It reads the lengths back rather than keep
// them: there may be as many as samples.
func (w *Writer) finishIndex() error {
	le := binary.LittleEndian
	lengths := make([]byte, 64<<10)
	offset := int64(0)
	for at, end := int64(headerSize), headerSize+4*w.rows; at < end; at += int64(len(lengths)) {
		lengths = lengths[:min(int64(len(lengths)), end-at)]
		if _, err := w.idx.ReadAt(lengths, at); err != nil {
			return err
		}
		w.scratch = w.scratch[:0]
		for i := 0; i < len(lengths); i += 4 {
			w.scratch = le.AppendUint64(w.scratch, uint64(offset))
			offset += int64(le.Uint32(lengths[i:])) * w.dtype.Size()
		}
		if _, err := w.idx.Write(w.scratch); err != nil {
			return err
		}
	}
	if _, err := w.idx.Write(w.documents()); err != nil {
		return err
	}
	_, err := w.idx.WriteAt(w.header(), 0)
	return err
}

// Abort removes what was written. After Commit it does nothing, so that it can
// be deferred right after Create.
func (w *Writer) Abort() {
	w.bin.Abort()
	w.idx.Abort()
}
