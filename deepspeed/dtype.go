package deepspeed

import (
	"encoding/binary"
	"fmt"
	"math"

	"github.com/gradus-ml/gradus/corpus"
	"github.com/gradus-ml/gradus/internal/fault"
)

// The codes of types in byte 17 of an .idx. DeepSpeed 0.13.3 gave 6 to 8 a new
// meaning: until then 6 and 7 were float64 and 8 to 10 the unsigned types.
var (
	codes = map[corpus.DType]byte{
		corpus.Uint8: 1, corpus.Int8: 2, corpus.Int16: 3, corpus.Int32: 4, corpus.Int64: 5,
		corpus.Uint16: 6, corpus.Uint32: 7, corpus.Uint64: 8,
	}
	oldCodes = map[corpus.DType]byte{
		corpus.Uint8: 1, corpus.Int8: 2, corpus.Int16: 3, corpus.Int32: 4, corpus.Int64: 5,
		corpus.Uint16: 8, corpus.Uint32: 9, corpus.Uint64: 10,
	}
)

// candidates returns the types that a code may stand for, today's first. The
// size of the .bin tells which it is.
func candidates(code byte) []corpus.DType {
	var types []corpus.DType
	for _, table := range []map[corpus.DType]byte{codes, oldCodes} {
		for d := corpus.Uint8; d <= corpus.Uint64; d++ {
			if table[d] == code && (len(types) == 0 || types[0] != d) {
				types = append(types, d)
			}
		}
	}
	return types
}

// Fit returns the smallest type that holds low to high, as DeepSpeed chooses it:
// unsigned if low is not negative, signed otherwise.
func Fit(low, high int64) corpus.DType {
	switch {
	case low >= 0 && high <= math.MaxUint8:
		return corpus.Uint8
	case low >= 0 && high <= math.MaxUint16:
		return corpus.Uint16
	case low >= 0 && high <= math.MaxUint32:
		return corpus.Uint32
	case low >= 0:
		return corpus.Uint64
	case low >= math.MinInt8 && high <= math.MaxInt8:
		return corpus.Int8
	case low >= math.MinInt16 && high <= math.MaxInt16:
		return corpus.Int16
	case low >= math.MinInt32 && high <= math.MaxInt32:
		return corpus.Int32
	}
	return corpus.Int64
}

// holds reports whether v can be stored as d.
func holds(d corpus.DType, v int64) bool {
	switch d {
	case corpus.Uint8:
		return v >= 0 && v <= math.MaxUint8
	case corpus.Uint16:
		return v >= 0 && v <= math.MaxUint16
	case corpus.Uint32:
		return v >= 0 && v <= math.MaxUint32
	case corpus.Uint64:
		return v >= 0
	case corpus.Int8:
		return v == int64(int8(v))
	case corpus.Int16:
		return v == int64(int16(v))
	case corpus.Int32:
		return v == int64(int32(v))
	}
	return true
}

// encode appends values as they are stored. One that the type does not hold is
// an error of kind fault.Invalid.
func encode(dst []byte, d corpus.DType, values []int64) ([]byte, error) {
	le := binary.LittleEndian
	for _, v := range values {
		if !holds(d, v) {
			return dst, fault.Invalidf("%d does not fit the type %s", v, d)
		}
		switch d.Size() {
		case 1:
			dst = append(dst, byte(v))
		case 2:
			dst = le.AppendUint16(dst, uint16(v))
		case 4:
			dst = le.AppendUint32(dst, uint32(v))
		default:
			dst = le.AppendUint64(dst, uint64(v))
		}
	}
	return dst, nil
}

// decode fills dst from raw, which holds as many values. It returns the index
// of the first value beyond an int64, or -1.
func decode(dst []int64, d corpus.DType, raw []byte) int {
	le := binary.LittleEndian
	switch d {
	case corpus.Uint8:
		for i := range dst {
			dst[i] = int64(raw[i])
		}
	case corpus.Int8:
		for i := range dst {
			dst[i] = int64(int8(raw[i]))
		}
	case corpus.Uint16:
		for i := range dst {
			dst[i] = int64(le.Uint16(raw[2*i:]))
		}
	case corpus.Int16:
		for i := range dst {
			dst[i] = int64(int16(le.Uint16(raw[2*i:])))
		}
	case corpus.Uint32:
		for i := range dst {
			dst[i] = int64(le.Uint32(raw[4*i:]))
		}
	case corpus.Int32:
		for i := range dst {
			dst[i] = int64(int32(le.Uint32(raw[4*i:])))
		}
	case corpus.Int64:
		for i := range dst {
			dst[i] = int64(le.Uint64(raw[8*i:]))
		}
	case corpus.Uint64:
		for i := range dst {
			if dst[i] = int64(le.Uint64(raw[8*i:])); dst[i] < 0 {
				return i
			}
		}
	default:
		panic(fmt.Sprintf("deepspeed: rows of type %s", d)) // parse lets none pass
	}
	return -1
}
