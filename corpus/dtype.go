package corpus

import (
	"encoding/binary"
	"fmt"
	"math"
	"slices"
)

// DType is how a token is stored: a little-endian integer of 1, 2, 4 or 8 bytes.
type DType uint8

// The types of a corpus. All can be read; Uint32 and Uint64 cannot be written,
// because Megatron's table has no code for them.
const (
	Uint8 DType = 1 + iota
	Int8
	Int16
	Int32
	Int64
	Uint16
	Uint32
	Uint64
)

// kinds says of each type its name, its size in bytes, its code in Megatron's
// table (0: none) and the largest token it holds. Tokens are never negative and
// never above the largest int32, whatever the type could hold.
var kinds = [...]struct {
	name    string
	size    int64
	code    byte
	largest int32
}{
	Uint8:  {"uint8", 1, 1, math.MaxUint8},
	Int8:   {"int8", 1, 2, math.MaxInt8},
	Int16:  {"int16", 2, 3, math.MaxInt16},
	Int32:  {"int32", 4, 4, math.MaxInt32},
	Int64:  {"int64", 8, 5, math.MaxInt32},
	Uint16: {"uint16", 2, 8, math.MaxUint16},
	Uint32: {"uint32", 4, 0, math.MaxInt32},
	Uint64: {"uint64", 8, 0, math.MaxInt32},
}

// Fit returns the smallest type that Megatron knows and that holds all tokens
// of a vocabulary: Uint8 up to 256 entries, Uint16 up to 65,536, then Int32.
func Fit(vocabulary int) DType {
	switch {
	case vocabulary <= 1<<8:
		return Uint8
	case vocabulary <= 1<<16:
		return Uint16
	default:
		return Int32
	}
}

func (d DType) valid() bool { return d > 0 && int(d) < len(kinds) }

// Size returns the bytes of one token, and 0 for a value that is no type.
func (d DType) Size() int64 {
	if !d.valid() {
		return 0
	}
	return kinds[d].size
}

// String returns NumPy's name of the type, such as "uint16".
func (d DType) String() string {
	if !d.valid() {
		return fmt.Sprintf("DType(%d)", uint8(d))
	}
	return kinds[d].name
}

// narrow appends the stored form of tokens, which must fit the type, to dst. It
// grows dst once and stores by place: appending one by one takes twice as long.
func (d DType) narrow(dst []byte, tokens []int32) []byte {
	le := binary.LittleEndian
	start := len(dst)
	dst = slices.Grow(dst, len(tokens)*int(d.Size()))
	dst = dst[:start+len(tokens)*int(d.Size())]
	raw := dst[start:]
	switch kinds[d].size {
	case 1:
		for i, t := range tokens {
			raw[i] = byte(t)
		}
	case 2: // by far the most common: four at a time, a third of the time of one by one
		for len(tokens) >= 4 && len(raw) >= 8 {
			le.PutUint64(raw, uint64(uint16(tokens[0]))|uint64(uint16(tokens[1]))<<16|uint64(uint16(tokens[2]))<<32|uint64(uint16(tokens[3]))<<48)
			tokens, raw = tokens[4:], raw[8:]
		}
		for i, t := range tokens {
			le.PutUint16(raw[2*i:], uint16(t))
		}
	case 4:
		for _, t := range tokens {
			le.PutUint32(raw, uint32(t))
			raw = raw[4:]
		}
	case 8:
		for _, t := range tokens {
			le.PutUint64(raw, uint64(t))
			raw = raw[8:]
		}
	}
	return dst
}
