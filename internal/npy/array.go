package npy

import (
	"encoding/binary"
	"fmt"
	"math"
	"strings"

	"github.com/gradus-ml/gradus/internal/fault"
)

// Array is a one-dimensional array in the bytes of a .npy file. It is only
// valid as long as those bytes are.
type Array struct {
	dtype DType
	n     int64
	data  []byte
}

// Parse checks the header of a file and that the file holds exactly the
// elements it promises. It keeps a view of data and copies nothing; name is
// the file's name for errors. A damaged file is fault.Corrupt; an array of
// another shape or type than this package reads is fault.Invalid.
func Parse(name string, data []byte) (Array, error) {
	l, err := ParseLayout(name, data)
	if err != nil {
		return Array{}, err
	}
	if len(l.Shape) != 1 {
		return Array{}, fault.Invalidf("%s: an array of %d dimensions; one dimension is needed", name, len(l.Shape))
	}
	// The order is of no consequence for one dimension.
	return Array{l.DType, l.Shape[0], data[l.Offset:]}, nil
}

// DType returns the type of the elements.
func (a Array) DType() DType { return a.dtype }

// Len returns the number of elements.
func (a Array) Len() int64 { return a.n }

// Float64 returns element i. Integers beyond 2^53 are rounded to the nearest
// float64. It panics if i is not in [0, Len), as a slice does.
func (a Array) Float64(i int64) float64 {
	switch a.dtype {
	case Float64:
		return math.Float64frombits(binary.LittleEndian.Uint64(a.data[8*i:]))
	case Float32:
		return float64(math.Float32frombits(binary.LittleEndian.Uint32(a.data[4*i:])))
	case Uint64:
		return float64(binary.LittleEndian.Uint64(a.data[8*i:]))
	default:
		return float64(a.Int64(i))
	}
}

// Int64 returns element i of an array of integers; a Uint64 beyond the range of
// int64 comes out negative, and a fraction is cut off. It panics if i is not in
// [0, Len), as a slice does.
func (a Array) Int64(i int64) int64 {
	switch a.dtype {
	case Uint8:
		return int64(a.data[i])
	case Int8:
		return int64(int8(a.data[i]))
	case Uint16:
		return int64(binary.LittleEndian.Uint16(a.data[2*i:]))
	case Int16:
		return int64(int16(binary.LittleEndian.Uint16(a.data[2*i:])))
	case Uint32:
		return int64(binary.LittleEndian.Uint32(a.data[4*i:]))
	case Int32:
		return int64(int32(binary.LittleEndian.Uint32(a.data[4*i:])))
	case Uint64, Int64:
		return int64(binary.LittleEndian.Uint64(a.data[8*i:]))
	default:
		return int64(a.Float64(i))
	}
}

// Float64s copies the len(dst) elements from start on into dst, as Float64
// converts them. It panics if they are not all in [0, Len), as a slice does.
func (a Array) Float64s(dst []float64, start int64) {
	size := int64(a.dtype.Size())
	part := Array{a.dtype, int64(len(dst)), a.data[size*start : size*(start+int64(len(dst)))]}
	switch a.dtype { // the two that an index has, without a switch for each element
	case Float64:
		for i := range dst {
			dst[i] = math.Float64frombits(binary.LittleEndian.Uint64(part.data[8*i:]))
		}
	case Int64:
		for i := range dst {
			dst[i] = float64(int64(binary.LittleEndian.Uint64(part.data[8*i:])))
		}
	default:
		for i := range dst {
			dst[i] = part.Float64(int64(i))
		}
	}
}

// Header returns the bytes that stand before n elements of type dtype: a
// version 1 header, padded to a multiple of 64 bytes.
func Header(dtype DType, n int64) []byte {
	dict := fmt.Sprintf("{'descr': '%s', 'fortran_order': False, 'shape': (%d,), }", dtype, n)
	size := len(magic) + 4 + len(dict) + 1
	size = (size + align - 1) / align * align
	dict += strings.Repeat(" ", size-(len(magic)+4)-len(dict)-1) + "\n"
	head := append([]byte(magic), 1, 0)
	head = binary.LittleEndian.AppendUint16(head, uint16(len(dict)))
	return append(head, dict...)
}
