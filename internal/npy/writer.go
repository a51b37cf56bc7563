package npy

import (
	"encoding/binary"
	"fmt"
	"io"
	"math"
)

// Writer streams an array of a length known beforehand.
type Writer struct {
	w     io.Writer
	dtype DType
	left  int64
	buf   []byte
}

// NewWriter writes the header of an array of n elements of type dtype to w.
// The elements follow by Floats or IDs; Close checks that all have come. The
// Writer does not close w.
func NewWriter(w io.Writer, dtype DType, n int64) (*Writer, error) {
	if dtype.Size() == 0 || n < 0 {
		return nil, fmt.Errorf("npy: no array has %d elements of type %s", n, dtype)
	}
	if _, err := w.Write(Header(dtype, n)); err != nil {
		return nil, err
	}
	return &Writer{w: w, dtype: dtype, left: n}, nil
}

// Floats writes values to an array of type Float64, or of Int64, where they
// have to be whole numbers of a magnitude up to 2^53.
func (w *Writer) Floats(values []float64) error {
	return write(w, values, func(buf []byte, v float64) ([]byte, error) {
		switch w.dtype {
		case Float64:
			return binary.LittleEndian.AppendUint64(buf, math.Float64bits(v)), nil
		case Int64:
			if v != math.Trunc(v) || math.Abs(v) > 1<<53 {
				return nil, fmt.Errorf("npy: %v is no whole number of a magnitude up to 2^53", v)
			}
			return binary.LittleEndian.AppendUint64(buf, uint64(int64(v))), nil
		default:
			return nil, fmt.Errorf("npy: floats do not go into an array of %s", w.dtype)
		}
	})
}

// IDs writes ids to an array of type Uint32 or Uint64.
func IDs[T uint32 | uint64](w *Writer, ids []T) error {
	return write(w, ids, func(buf []byte, id T) ([]byte, error) {
		switch {
		case w.dtype == Uint64:
			return binary.LittleEndian.AppendUint64(buf, uint64(id)), nil
		case w.dtype == Uint32 && uint64(id) <= math.MaxUint32:
			return binary.LittleEndian.AppendUint32(buf, uint32(id)), nil
		default:
			return nil, fmt.Errorf("npy: id %d does not go into an array of %s", id, w.dtype)
		}
	})
}

// write encodes values by pieces of at most 8 Ki elements, so that the buffer
// stays at 64 KiB however many come at once.
func write[T any](w *Writer, values []T, encode func([]byte, T) ([]byte, error)) error {
	if int64(len(values)) > w.left {
		return fmt.Errorf("npy: %d elements more than the header says", int64(len(values))-w.left)
	}
	for len(values) > 0 {
		piece := values[:min(len(values), 8<<10)]
		values = values[len(piece):]
		buf := w.buf[:0]
		for _, v := range piece {
			var err error
			if buf, err = encode(buf, v); err != nil {
				return err
			}
		}
		w.buf = buf
		if _, err := w.w.Write(buf); err != nil {
			return err
		}
		w.left -= int64(len(piece))
	}
	return nil
}

// Close says whether the array is whole. It does not close what is beneath.
func (w *Writer) Close() error {
	if w.left != 0 {
		return fmt.Errorf("npy: %d elements fewer than the header says", w.left)
	}
	return nil
}
