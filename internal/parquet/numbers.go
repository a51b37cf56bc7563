package parquet

import (
	"encoding/binary"
	"fmt"
	"io"
	"iter"
	"math"
)

// Physical types of numbers, by the format's numbers.
const (
	int32s  = 1
	int64s  = 2
	floats  = 4
	doubles = 5
)

// Converted types of integers: unsigned ones of 8 to 64 bits, then signed ones.
const (
	firstUnsigned = 11
	lastUnsigned  = 14
	lastSigned    = 18
)

// OpenNumbers is Open for a column of numbers: integers of up to 64 bits,
// signed or not, floats or doubles. Decimals, dates and times are no numbers.
func OpenNumbers(name string, r io.ReaderAt, size int64, column string) (*Column, error) {
	return open(name, r, size, column, want{"numbers", "field=", node.isNumber})
}

func (n node) isNumber() bool {
	plainly := n.converted == -1
	switch n.kind {
	case int32s, int64s:
		return plainly || n.converted >= firstUnsigned && n.converted <= lastSigned
	case floats, doubles:
		return plainly
	}
	return false
}

// logical reads the newer description of what a leaf is: a union of structures,
// of which a file that also has the older one only repeats it.
func (d *decoder) logical(n *node) {
	d.structure(func(id int, kind byte) bool {
		switch {
		case id == 10 && kind == typeStruct: // integer
			d.structure(func(id int, kind byte) bool {
				n.unsigned = n.unsigned || id == 2 && kind == typeFalse
				return false
			})
			return true
		case id >= 5 && id <= 8 && n.converted == -1: // decimal, date, time, timestamp
			n.converted = decimal
		}
		return false
	})
}

// size returns how many bytes a number has, 0 for a byte array.
func (n node) size() int64 {
	switch n.kind {
	case int32s, floats:
		return 4
	case int64s, doubles:
		return 8
	}
	return 0
}

// Integers reports whether the column's numbers are integers.
func (c *Column) Integers() bool { return c.leaf.kind == int32s || c.leaf.kind == int64s }

// Number returns the number that a value is, as the nearest float64: exactly it
// but for integers beyond 2^53.
func (c *Column) Number(value []byte) float64 {
	unsigned := c.leaf.unsigned || c.leaf.converted >= firstUnsigned && c.leaf.converted <= lastUnsigned
	switch {
	case c.leaf.kind == floats:
		return float64(math.Float32frombits(binary.LittleEndian.Uint32(value)))
	case c.leaf.kind == doubles:
		return math.Float64frombits(binary.LittleEndian.Uint64(value))
	case c.leaf.kind == int32s && unsigned:
		return float64(binary.LittleEndian.Uint32(value))
	case c.leaf.kind == int32s:
		return float64(int32(binary.LittleEndian.Uint32(value)))
	case unsigned:
		return float64(binary.LittleEndian.Uint64(value))
	default:
		return float64(int64(binary.LittleEndian.Uint64(value)))
	}
}

// plainNumbers gives n numbers that stand one after the other.
func plainNumbers(b []byte, n, size int64) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		if n > int64(len(b))/size {
			yield(nil, errEnds)
			return
		}
		for i := range n {
			if !yield(b[i*size:][:size:size], nil) {
				return
			}
		}
	}
}

// splitNumbers gives n numbers of which all first bytes stand together, then
// all second ones, and so on.
func splitNumbers(b []byte, n, size int64) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		if n > int64(len(b))/size {
			yield(nil, errEnds)
			return
		}
		value := make([]byte, size)
		for i := range n {
			for k := range size {
				value[k] = b[k*n+i]
			}
			if !yield(value, nil) {
				return
			}
		}
	}
}

// deltaIntegers gives n integers, each stored as what it differs from the one
// before; sums wrap around.
func deltaIntegers(b []byte, n, size int64) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		if n == 0 {
			return
		}
		d, err := newDeltas(b)
		if err == nil && d.left != n {
			err = fmt.Errorf("%d differences of %d values", d.left, n)
		}
		var value [8]byte
		for range n {
			var v int64
			if err == nil {
				v, err = d.next()
			}
			binary.LittleEndian.PutUint64(value[:], uint64(v))
			if !yield(value[:size], err) || err != nil {
				return
			}
		}
	}
}
