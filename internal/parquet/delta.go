package parquet

import (
	"encoding/binary"
	"errors"
	"fmt"
	"iter"
)

// deltas is the encoding of lengths: a varint for the numbers in a block, one
// for the parts of a block, one for how many numbers there are, and the first
// of them; then blocks: the smallest difference, a byte for the width of each
// part, and the parts, which are differences less the smallest, packed.
type deltas struct {
	b        []byte
	left     int64 // numbers
	perPart  int64
	parts    int64
	first    bool // the next number is the first
	value    int64
	smallest int64
	widths   []byte // of the parts of the block to come
	part     []byte
	inPart   int64 // numbers left in the part
	width    uint
	bit      uint64
}

func newDeltas(b []byte) (*deltas, error) {
	d := &deltas{b: b, first: true}
	block, parts, count := d.uvarint(), d.uvarint(), d.uvarint()
	d.value = d.varint()
	// The format wants blocks of a multiple of 128 and parts of one of 32.
	if d.b == nil || parts == 0 || parts > 1<<16 || block == 0 || block > 1<<24 || block%parts != 0 || (block/parts)%8 != 0 || count > 1<<31 {
		return nil, errors.New("no differences of lengths")
	}
	d.parts, d.perPart, d.left = int64(parts), int64(block/parts), int64(count)
	return d, nil
}

// uvarint reads a number; if there is none, nothing is left.
func (d *deltas) uvarint() uint64 {
	v, n := binary.Uvarint(d.b)
	if n <= 0 {
		d.b = nil
		return 0
	}
	d.b = d.b[n:]
	return v
}

func (d *deltas) varint() int64 {
	u := d.uvarint()
	return int64(u>>1) ^ -int64(u&1)
}

// next returns the next number.
func (d *deltas) next() (int64, error) {
	if d.left == 0 {
		return 0, errEnds
	}
	d.left--
	if d.first {
		d.first = false
		return d.value, nil
	}
	if d.inPart == 0 {
		if err := d.nextPart(); err != nil {
			return 0, err
		}
	}
	d.inPart--
	v, ok := packedAt(d.part, d.bit, d.width)
	if !ok {
		return 0, errEnds
	}
	d.bit += uint64(d.width)
	d.value += d.smallest + int64(v)
	return d.value, nil
}

func (d *deltas) nextPart() error {
	if len(d.widths) == 0 {
		d.smallest = d.varint()
		if int64(len(d.b)) < d.parts {
			return errEnds
		}
		d.widths, d.b = d.b[:d.parts], d.b[d.parts:]
	}
	d.width, d.widths = uint(d.widths[0]), d.widths[1:]
	if d.width > 64 {
		return fmt.Errorf("differences of %d bits", d.width)
	}
	size := min(d.perPart/8*int64(d.width), int64(len(d.b))) // the last may be cut
	d.part, d.b = d.b[:size], d.b[size:]
	d.inPart, d.bit = d.perPart, 0
	return nil
}

// after returns what comes after the numbers.
func (d *deltas) after() ([]byte, error) {
	for d.left > 0 {
		if _, err := d.next(); err != nil {
			return nil, err
		}
	}
	return d.b, nil
}

// twice returns the numbers that b begins with, n of them, and what is after.
func twice(b []byte, n int64) (*deltas, []byte, error) {
	first, err := newDeltas(b)
	if err != nil {
		return nil, nil, err
	}
	if first.left != n {
		return nil, nil, fmt.Errorf("%d lengths of %d values", first.left, n)
	}
	again := *first
	rest, err := first.after()
	return &again, rest, err
}

// take returns the next of some values, whose length lengths has.
func (d *deltas) take(b []byte) (value, rest []byte, err error) {
	n, err := d.next()
	if err != nil {
		return nil, nil, err
	}
	if n < 0 || n > int64(len(b)) {
		return nil, nil, fmt.Errorf("a value of %d bytes where %d are left", n, len(b))
	}
	return b[:n:n], b[n:], nil
}

func deltaLengthValues(b []byte, n int64) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		if n == 0 {
			return
		}
		lengths, b, err := twice(b, n)
		for range n {
			var v []byte
			if err == nil {
				v, b, err = lengths.take(b)
			}
			if !yield(v, err) || err != nil {
				return
			}
		}
	}
}

// deltaValues gives values that share their beginning with the one before. None
// may be longer than most: each can be longer than the one before by only what
// it says, but all of them together are not bounded by the page.
func deltaValues(b []byte, n, most int64) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		if n == 0 {
			return
		}
		kept, b, err := twice(b, n)
		var lengths *deltas
		if err == nil {
			lengths, b, err = twice(b, n)
		}
		var value []byte
		for range n {
			var keep int64
			var v []byte
			if err == nil {
				keep, err = kept.next()
			}
			if err == nil {
				v, b, err = lengths.take(b)
			}
			if err == nil && (keep < 0 || keep > int64(len(value)) || keep+int64(len(v)) > most) {
				err = fmt.Errorf("%d bytes kept of a value of %d", keep, len(value))
			}
			if err == nil {
				value = append(value[:keep], v...)
			}
			if !yield(value, err) || err != nil {
				return
			}
		}
	}
}
