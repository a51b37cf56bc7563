// Package intarray keeps long arrays of whole numbers in files: ids, ends,
// counts, one or several for each sample of a corpus, too many for memory.
//
// Its nouns: an Array is read at random, mapped; a Writer is an array of a known
// length, written at random; an Appender is one that grows at its end. Numbers
// are 0 or more and take 4 or 8 bytes. The files are NumPy's .npy, of type <u4
// or <u8, so that numpy.load reads them.
//
// The path "" is a file of no name in the directory for temporary files
// (os.TempDir). It is gone with the array, and with the process however that
// ends. A file with a name is whole or not there.
package intarray

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"unsafe"

	"github.com/gradus-ml/gradus/internal/fault"
	"github.com/gradus-ml/gradus/internal/mmap"
	"github.com/gradus-ml/gradus/internal/npy"
)

// littleEndian is whether this machine stores numbers as the files do, which is
// what lets a map be read as it is.
var littleEndian = binary.NativeEndian.Uint16([]byte{1, 0}) == 1

// Width returns the bytes that numbers up to largest take: 4 or 8.
func Width(largest int64) int {
	if largest <= math.MaxUint32 {
		return 4
	}
	return 8
}

// dtype returns the type of a width.
func dtype(width int) npy.DType {
	if width == 4 {
		return npy.Uint32
	}
	return npy.Uint64
}

// header returns what stands before n elements. It has the same length for
// every n: room for 19 digits is in the padding.
func header(width int, n int64) []byte { return npy.Header(dtype(width), n) }

// numbers are elements in a map, in one of two widths; the other is nil.
type numbers struct {
	narrow []uint32
	wide   []uint64
}

// view reads elements, which begin at a multiple of their width, as numbers.
func view(elements []byte, width int) numbers {
	n, p := len(elements)/width, unsafe.Pointer(unsafe.SliceData(elements))
	switch {
	case n == 0:
		return numbers{}
	case width == 4:
		return numbers{narrow: unsafe.Slice((*uint32)(p), n)}
	default:
		return numbers{wide: unsafe.Slice((*uint64)(p), n)}
	}
}

// closer is a map: an *mmap.File or an *unnamed.
type closer interface {
	Release()
	Close() error
}

// Array is an array of numbers in a file. All methods but Close may be called
// from any number of goroutines.
type Array struct {
	numbers
	width int
	in    closer
}

// Open opens the array in a file of type <u4 or <u8 and of one dimension. A
// damaged file is an error of kind fault.Corrupt, one of another type or shape
// fault.Invalid. The numbers are what the file says, in particular any of 2^63
// and more come out negative: whoever uses them as places checks them.
func Open(path string) (*Array, error) {
	f, err := mmap.Open(path)
	if err != nil {
		return nil, err
	}
	a, err := open(f)
	if err != nil {
		f.Close()
		return nil, err
	}
	return a, nil
}

func open(f *mmap.File) (*Array, error) {
	if err := checkMachine(); err != nil {
		return nil, err
	}
	l, err := npy.ParseLayout(f.Name(), f.Bytes())
	if err != nil {
		return nil, err
	}
	width := l.DType.Size()
	switch {
	case len(l.Shape) != 1:
		return nil, fault.Invalidf("%s: an array of %d dimensions; one dimension is needed", f.Name(), len(l.Shape))
	case l.DType != dtype(width):
		return nil, fault.Invalidf("%s: elements of type %s; <u4 or <u8 are needed (in NumPy: a.astype('<u8'))", f.Name(), l.DType)
	case l.Offset%int64(width) != 0:
		return nil, fault.Invalidf("%s: its elements begin at byte %d, not at a multiple of %d; save it again with NumPy", f.Name(), l.Offset, width)
	}
	return &Array{view(f.Bytes()[l.Offset:], width), width, f}, nil
}

func checkMachine() error {
	if !littleEndian {
		return errors.New("arrays in files need a little-endian machine")
	}
	return nil
}

// Len returns the number of elements.
func (a *Array) Len() int64 { return int64(len(a.narrow) + len(a.wide)) }

// Width returns the bytes of an element, 4 or 8.
func (a *Array) Width() int { return a.width }

// At returns element i. It panics if i is not in [0, Len), as a slice does.
func (a *Array) At(i int64) int64 {
	if a.narrow != nil {
		return int64(a.narrow[i])
	}
	return int64(a.wide[i])
}

// Release gives back the memory of the pages that were touched so far, where
// the system counts them as this process's; they are paged in again as they are
// touched.
func (a *Array) Release() { a.in.Release() }

// Close gives the map back, and with it an array of no name; no other method may
// be called after it. A second Close does nothing.
func (a *Array) Close() error {
	a.numbers = numbers{}
	return a.in.Close()
}

// shape refuses a width or length that no array has.
func shape(width int, n int64) error {
	if width != 4 && width != 8 {
		return fmt.Errorf("intarray: numbers of %d bytes; they have 4 or 8", width)
	}
	if n < 0 || n > (math.MaxInt64-int64(len(header(width, 0))))/int64(width) {
		return fault.Invalidf("an array of %d numbers cannot be", n)
	}
	return checkMachine()
}
