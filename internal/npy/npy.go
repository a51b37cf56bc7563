// Package npy reads and writes one-dimensional arrays in NumPy's .npy format,
// so that an index is an array to numpy.load as much as to us.
//
// Its nouns: an Array is a checked view of the bytes of a file, normally mapped
// ones; a Layout says how the elements of any array lie in its file; a Writer
// streams an array whose length is known beforehand; a DType is what one
// element is.
//
// The format, all numbers little-endian:
//
//	offset  size  field
//	0       6     magic: 0x93 "NUMPY"
//	6       1     major version: 1, 2 or 3
//	7       1     minor version: 0
//	8       2|4   length h of the header; 4 bytes from version 2 on
//	10|12   h     header: a Python dict literal with the keys descr,
//	              fortran_order and shape, padded with spaces, ended by \n
//	...           the elements, back to back, up to the end of the file
//
// The Writer pads the header so that the elements start at a multiple of 64
// bytes: aligned in a mapped file, whatever their type. The Reader takes any
// padding, since versions of NumPy before 1.14 padded to 16.
package npy

// DType is the type of an element.
type DType uint8

// The types of elements, all little-endian.
const (
	Invalid DType = iota
	Uint8
	Int8
	Uint16
	Int16
	Uint32
	Int32
	Uint64
	Int64
	Float32
	Float64
)

// dtypes maps a DType to NumPy's name of it and its size in bytes.
var dtypes = [...]struct {
	descr string
	size  int
}{
	Invalid: {"invalid", 0},
	Uint8:   {"|u1", 1},
	Int8:    {"|i1", 1},
	Uint16:  {"<u2", 2},
	Int16:   {"<i2", 2},
	Uint32:  {"<u4", 4},
	Int32:   {"<i4", 4},
	Uint64:  {"<u8", 8},
	Int64:   {"<i8", 8},
	Float32: {"<f4", 4},
	Float64: {"<f8", 8},
}

// Size returns the bytes one element takes, 0 for Invalid.
func (d DType) Size() int {
	if int(d) >= len(dtypes) {
		return 0
	}
	return dtypes[d].size
}

// String returns NumPy's name of the type, such as "<f8".
func (d DType) String() string {
	if int(d) >= len(dtypes) {
		return dtypes[Invalid].descr
	}
	return dtypes[d].descr
}

// ParseDType returns the type that NumPy calls descr, and false if it is none
// of ours (big-endian, structured, complex, ...).
func ParseDType(descr string) (DType, bool) {
	switch descr { // one byte has no order; NumPy itself writes "|"
	case "<u1":
		descr = "|u1"
	case "<i1":
		descr = "|i1"
	}
	for d := Uint8; int(d) < len(dtypes); d++ {
		if dtypes[d].descr == descr {
			return d, true
		}
	}
	return Invalid, false
}

const magic = "\x93NUMPY"

// align is what the offset of the elements is a multiple of in files we write;
// NumPy does the same since 1.14.
const align = 64
