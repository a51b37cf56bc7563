package corpus

import (
	"encoding/binary"
	"math"
)

// widen decodes len(dst) tokens from raw, which holds at least as many. It
// reports whether all of them are tokens: not negative and within an int32.
func (d DType) widen(dst []int32, raw []byte) bool {
	raw = raw[:int64(len(dst))*d.Size()]
	switch d {
	case Uint8:
		widen8(dst, raw)
		return true
	case Uint16:
		widen16(dst, raw)
		return true
	case Int32, Uint32:
		return widen32(dst, raw)
	case Int64, Uint64:
		return widen64(dst, raw)
	}
	var sign int32
	for i := range dst {
		if d == Int8 {
			dst[i] = int32(int8(raw[i]))
		} else {
			dst[i] = int32(int16(binary.LittleEndian.Uint16(raw[2*i:])))
		}
		sign |= dst[i]
	}
	return sign >= 0
}

// The types of large corpora are decoded in groups, which doubles the speed of
// a plain loop: one check of bounds a group. Bits that must not be set are
// gathered and looked at once.

func widen8(dst []int32, raw []byte) {
	for ; len(dst) >= 8 && len(raw) >= 8; dst, raw = dst[8:], raw[8:] {
		d, r := dst[:8], raw[:8]
		d[0], d[1], d[2], d[3] = int32(r[0]), int32(r[1]), int32(r[2]), int32(r[3])
		d[4], d[5], d[6], d[7] = int32(r[4]), int32(r[5]), int32(r[6]), int32(r[7])
	}
	for i := range dst {
		dst[i] = int32(raw[i])
	}
}

func widen16(dst []int32, raw []byte) {
	le := binary.LittleEndian
	for ; len(dst) >= 8 && len(raw) >= 16; dst, raw = dst[8:], raw[16:] {
		d, r := dst[:8], raw[:16]
		d[0], d[1], d[2], d[3] = int32(le.Uint16(r)), int32(le.Uint16(r[2:])), int32(le.Uint16(r[4:])), int32(le.Uint16(r[6:]))
		d[4], d[5], d[6], d[7] = int32(le.Uint16(r[8:])), int32(le.Uint16(r[10:])), int32(le.Uint16(r[12:])), int32(le.Uint16(r[14:]))
	}
	for i := range dst {
		dst[i] = int32(le.Uint16(raw[2*i:]))
	}
}

func widen32(dst []int32, raw []byte) bool {
	le := binary.LittleEndian
	var seen uint64 // bits of either half
	for ; len(dst) >= 4 && len(raw) >= 16; dst, raw = dst[4:], raw[16:] {
		d, a, b := dst[:4], le.Uint64(raw), le.Uint64(raw[8:])
		d[0], d[1], d[2], d[3] = int32(a), int32(a>>32), int32(b), int32(b>>32)
		seen |= a | b
	}
	for i := range dst {
		v := le.Uint32(raw[4*i:])
		dst[i] = int32(v)
		seen |= uint64(v)
	}
	return seen&(1<<63|1<<31) == 0
}

func widen64(dst []int32, raw []byte) bool {
	le := binary.LittleEndian
	var seen uint64
	for ; len(dst) >= 4 && len(raw) >= 32; dst, raw = dst[4:], raw[32:] {
		d, r := dst[:4], raw[:32]
		a, b, c, e := le.Uint64(r), le.Uint64(r[8:]), le.Uint64(r[16:]), le.Uint64(r[24:])
		d[0], d[1], d[2], d[3] = int32(a), int32(b), int32(c), int32(e)
		seen |= a | b | c | e
	}
	for i := range dst {
		v := le.Uint64(raw[8*i:])
		dst[i] = int32(v)
		seen |= v
	}
	return seen <= math.MaxInt32
}
