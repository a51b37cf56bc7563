package npy

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strings"

	"github.com/gradus-ml/gradus/internal/fault"
)

// maxHeader bounds the header of an array of plain numbers: ours takes 54 bytes
// before padding.
const maxHeader = 1 << 16

// ErrMagic is the error of a file that does not begin as a .npy file does.
var ErrMagic = errors.New("not a .npy file")

// Layout is how the elements lie in a file.
type Layout struct {
	DType   DType
	Shape   []int64 // none negative; the file holds exactly their product of elements
	Fortran bool    // the first index changes fastest, not the last
	Offset  int64   // of the first element, in bytes
}

// ParseLayout checks the header of a file of any number of dimensions and that
// the file holds exactly the elements it promises, of which it looks at none.
// Errors are those of Parse.
func ParseLayout(name string, data []byte) (Layout, error) {
	if len(data) < 10 || string(data[:6]) != magic {
		return Layout{}, fault.Corruptf("%s: offset 0: %w", name, ErrMagic)
	}
	var size, start int
	switch version := data[6]; {
	case version == 1:
		size, start = int(binary.LittleEndian.Uint16(data[8:])), 10
	case version > 3 || version == 0:
		return Layout{}, fault.Corruptf("%s: offset 6: .npy version %d; 1 to 3 are known", name, version)
	case len(data) < 12:
		return Layout{}, fault.Corruptf("%s: offset 8: the file ends within its header", name)
	default:
		length := binary.LittleEndian.Uint32(data[8:])
		if length > maxHeader {
			return Layout{}, fault.Corruptf("%s: offset 8: a header of %d bytes; at most %d make sense", name, length, maxHeader)
		}
		size, start = int(length), 12
	}
	if size > len(data)-start {
		return Layout{}, fault.Corruptf("%s: offset 8: a header of %d bytes, but the file has only %d more", name, size, len(data)-start)
	}
	h, err := parseHeader(string(data[start : start+size]))
	if err != nil {
		return Layout{}, fault.Corruptf("%s: offset %d: header: %w", name, start, err)
	}
	dtype, ok := ParseDType(h.descr)
	if !ok {
		return Layout{}, fault.Invalidf("%s: elements of type %q; little-endian integers or floats of 8 to 64 bits are needed (in NumPy: a.astype('<f8'))", name, clip(h.descr))
	}
	l := Layout{dtype, h.shape, h.fortran, int64(start + size)}
	have := int64(len(data)) - l.Offset
	if n, fits := product(l.Shape, have/int64(dtype.Size())); !fits || n*int64(dtype.Size()) != have {
		return Layout{}, fault.Corruptf("%s: offset %d: %s elements of %d bytes promised, but %d bytes follow", name, l.Offset, shapeText(l.Shape), dtype.Size(), have)
	}
	return l, nil
}

// shapeText writes a shape as a person would: "3 x 4".
func shapeText(shape []int64) string {
	if len(shape) == 0 {
		return "1"
	}
	return strings.Trim(strings.ReplaceAll(fmt.Sprint(shape), " ", " x "), "[]")
}

// product multiplies dimensions as long as the result is at most limit, and
// reports whether it is.
func product(shape []int64, limit int64) (n int64, fits bool) {
	n = 1
	for _, d := range shape {
		if d == 0 {
			return 0, true
		}
	}
	for _, d := range shape {
		if d > limit/n {
			return 0, false
		}
		n *= d
	}
	return n, true
}
