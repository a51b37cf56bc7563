package parquet

import (
	"encoding/binary"
	"errors"
	"fmt"
	"iter"
	"math/bits"
)

// Encodings of values and levels, by the format's numbers.
const (
	plain           = 0 // each value, a byte array after its length, a uint32
	plainDictionary = 2 // the old name of the next
	rle             = 3 // the hybrid of runs below; levels only
	deltaNumbers    = 5 // whole numbers, as deltas
	deltaLength     = 6 // all lengths, as deltas, then all values
	delta           = 7 // how much of the value before is kept, as deltas; then the rest as above
	rleDictionary   = 8 // places in the dictionary: a byte for their width, and the hybrid
	byteStreamSplit = 9 // the first bytes of all numbers, then the second ones, and so on
)

var errEnds = errors.New("its values end before their number")

// cutLength returns what a uint32 before it says is its length, and the rest.
func cutLength(b []byte) (value, rest []byte, err error) {
	if len(b) < 4 {
		return nil, nil, errEnds
	}
	n := binary.LittleEndian.Uint32(b)
	if b = b[4:]; int64(n) > int64(len(b)) {
		return nil, nil, fmt.Errorf("a value of %d bytes where %d are left", n, len(b))
	}
	return b[:n:n], b[n:], nil
}

func plainValues(b []byte, n int64) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		var v []byte
		var err error
		for range n {
			v, b, err = cutLength(b)
			if !yield(v, err) || err != nil {
				return
			}
		}
	}
}

// dictionary is the values that a chunk's pages refer to.
type dictionary struct {
	data []byte
	n    int64
	size int64 // of a number; 0: they are byte arrays
	ends []int // of each byte array, with its length, in data
}

// split finds the n values of data.
func (d *dictionary) split(n int64) error {
	d.ends, d.n = d.ends[:0], n
	if d.size > 0 {
		if n > int64(len(d.data))/d.size {
			return errEnds
		}
		return nil
	}
	rest := d.data
	for range n {
		var err error
		if _, rest, err = cutLength(rest); err != nil {
			return err
		}
		d.ends = append(d.ends, len(d.data)-len(rest))
	}
	return nil
}

func (d *dictionary) at(i uint32) []byte {
	if d.size > 0 {
		return d.data[int64(i)*d.size:][:d.size]
	}
	start := 4
	if i > 0 {
		start += d.ends[i-1]
	}
	return d.data[start:d.ends[i]:d.ends[i]]
}

func (d *dictionary) values(b []byte, n int64) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		if n == 0 {
			return
		}
		if len(b) == 0 || b[0] > 32 {
			yield(nil, errors.New("places of no width in the dictionary"))
			return
		}
		h := hybrid{b: b[1:], width: uint(b[0])}
		for range n {
			i, err := h.next()
			if err == nil && int64(i) >= d.n {
				err = fmt.Errorf("value %d of a dictionary of %d", i, d.n)
			}
			if err != nil {
				yield(nil, err)
				return
			}
			if !yield(d.at(i), nil) {
				return
			}
		}
	}
}

// hybrid is numbers of some bits each, in runs: a varint 2n and one number,
// which stands n times, or a varint 2n+1 and 8n numbers, packed from the lowest
// bit on.
type hybrid struct {
	b     []byte
	width uint

	left   int64 // in the run
	packed bool
	value  uint32
	bit    uint64 // of the packed run, to read next
	run    []byte
}

// begin starts the next run.
func (h *hybrid) begin() error {
	head, n := binary.Uvarint(h.b)
	if n <= 0 || head>>1 == 0 || head > 1<<32 {
		return errEnds
	}
	h.b = h.b[n:]
	if h.packed = head&1 == 1; h.packed {
		// The last run may leave out bytes that nothing needs.
		size := min((head>>1)*uint64(h.width), uint64(len(h.b)))
		h.run, h.b = h.b[:size], h.b[size:]
		h.left, h.bit = int64(head>>1)*8, 0
		return nil
	}
	size := int(h.width+7) / 8
	if len(h.b) < size {
		return errEnds
	}
	h.value = 0
	for i, x := range h.b[:size] {
		h.value |= uint32(x) << (8 * i)
	}
	h.b = h.b[size:]
	h.left = int64(head >> 1)
	return nil
}

func (h *hybrid) next() (uint32, error) {
	if h.left == 0 {
		if err := h.begin(); err != nil {
			return 0, err
		}
	}
	h.left--
	if !h.packed {
		return h.value, nil
	}
	v, ok := packedAt(h.run, h.bit, h.width)
	if !ok {
		return 0, errEnds
	}
	h.bit += uint64(h.width)
	return uint32(v), nil
}

// packedAt returns the number of some bits, up to 64, at a bit of b.
func packedAt(b []byte, bit uint64, width uint) (uint64, bool) {
	if bit+uint64(width) > 8*uint64(len(b)) {
		return 0, false
	}
	if width == 0 {
		return 0, true
	}
	at, shift := bit/8, uint(bit%8)
	var v uint64
	if at+8 <= uint64(len(b)) {
		v = binary.LittleEndian.Uint64(b[at:]) >> shift
	} else {
		for i, x := range b[at:] {
			v |= uint64(x) << (8 * i)
		}
		v >>= shift
	}
	if shift+width > 64 { // so there is a ninth byte
		v |= uint64(b[at+8]) << (64 - shift)
	}
	return v & (1<<width - 1), true
}

// countLevel returns how many of n levels are the highest there is: those of
// rows that have a value.
func countLevel(b []byte, highest, n int64) (count int64, err error) {
	h := hybrid{b: b, width: uint(bits.Len64(uint64(highest)))}
	for n > 0 {
		if h.left == 0 {
			if err := h.begin(); err != nil {
				return 0, err
			}
		}
		if !h.packed { // one step, however long the run says it is
			m := min(h.left, n)
			if int64(h.value) == highest {
				count += m
			}
			h.left, n = h.left-m, n-m
			continue
		}
		v, err := h.next()
		if err != nil {
			return 0, err
		}
		if int64(v) == highest {
			count++
		}
		n--
	}
	return count, nil
}
