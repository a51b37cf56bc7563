package safetensors

import (
	"encoding/binary"
	"math"
)

// A dtype is how a format stores one element.
type dtype struct {
	size  uint64                 // bytes
	float func(b []byte) float32 // nil: not read into Data
}

// dtypes are those of the format.
var dtypes = map[string]dtype{
	"F64": {8, func(b []byte) float32 { return float32(math.Float64frombits(binary.LittleEndian.Uint64(b))) }},
	"F32": {4, func(b []byte) float32 { return math.Float32frombits(binary.LittleEndian.Uint32(b)) }},
	"F16": {2, func(b []byte) float32 { return half(binary.LittleEndian.Uint16(b)) }},
	// The upper half of a float32.
	"BF16": {2, func(b []byte) float32 { return math.Float32frombits(uint32(binary.LittleEndian.Uint16(b)) << 16) }},

	"BOOL": {size: 1}, "U8": {size: 1}, "I8": {size: 1}, "F8_E5M2": {size: 1}, "F8_E4M3": {size: 1},
	"I16": {size: 2}, "U16": {size: 2}, "I32": {size: 4}, "U32": {size: 4}, "I64": {size: 8}, "U64": {size: 8},
}

// half returns the value of an IEEE 754 binary16: a sign, five bits of exponent
// with bias 15, ten of fraction.
func half(h uint16) float32 {
	sign, exponent, fraction := uint32(h>>15)<<31, uint32(h>>10&0x1f), uint32(h&0x3ff)
	switch exponent {
	case 0: // zero, or fraction * 2^-24, which a float32 has exactly
		return math.Float32frombits(sign | math.Float32bits(float32(fraction)*0x1p-24))
	case 0x1f: // infinity, or no number
		return math.Float32frombits(sign | 0x7f800000 | fraction<<13)
	}
	return math.Float32frombits(sign | (exponent+127-15)<<23 | fraction<<13)
}
