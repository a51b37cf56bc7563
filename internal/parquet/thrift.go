package parquet

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// decoder reads Thrift's compact protocol, in which a Parquet file describes
// itself: integers are zigzag varints, a structure is fields of (id, type,
// value) up to a zero byte, and what is not known can be passed over. The first
// failure stays and ends everything; nothing is allocated for what the bytes
// only claim to hold.
type decoder struct {
	b     []byte
	at    int
	depth int
	err   error
}

// Types of the compact protocol.
const (
	typeTrue   = 1
	typeFalse  = 2
	typeByte   = 3
	typeI16    = 4
	typeI32    = 5
	typeI64    = 6
	typeDouble = 7
	typeBinary = 8
	typeList   = 9
	typeSet    = 10
	typeMap    = 11
	typeStruct = 12
)

// deepest is how far structures nest at most; the format's own need 6.
const deepest = 32

// errShort: the bytes end in the middle. More of them may do.
var errShort = errors.New("the description ends in the middle")

func (d *decoder) fail(format string, args ...any) {
	if d.err == nil {
		d.err = fmt.Errorf(format, args...)
	}
}

func (d *decoder) uvarint() uint64 {
	if d.err != nil {
		return 0
	}
	v, n := binary.Uvarint(d.b[d.at:])
	switch {
	case n == 0:
		d.err = errShort
	case n < 0:
		d.fail("a number of more than 64 bits")
	default:
		d.at += n
	}
	return v
}

// integer reads a number of any size.
func (d *decoder) integer() int64 {
	u := d.uvarint()
	return int64(u>>1) ^ -int64(u&1)
}

func (d *decoder) byte() byte {
	if b := d.bytes(1); len(b) == 1 {
		return b[0]
	}
	return 0
}

// bytes returns the next n bytes, not copied.
func (d *decoder) bytes(n uint64) []byte {
	if d.err != nil {
		return nil
	}
	if n > uint64(len(d.b)-d.at) {
		d.err = errShort
		return nil
	}
	b := d.b[d.at : d.at+int(n)]
	d.at += int(n)
	return b
}

func (d *decoder) text() string { return string(d.bytes(d.uvarint())) }

// structure reads a structure. field is called for each field and returns
// whether it read the value; if not, the value is passed over.
func (d *decoder) structure(field func(id int, kind byte) bool) {
	if d.depth++; d.depth > deepest {
		d.fail("structures nest more than %d deep", deepest)
	}
	for id := 0; d.err == nil; {
		head := d.byte()
		if head == 0 {
			break
		}
		if delta := int(head >> 4); delta > 0 {
			id += delta
		} else {
			id = int(d.integer())
		}
		if kind := head & 15; d.err == nil && !field(id, kind) {
			d.skip(kind, true)
		}
	}
	d.depth--
}

// list reads a list; element is called for each element and returns whether it
// read it.
func (d *decoder) list(element func(kind byte) bool) {
	head := d.byte()
	n := uint64(head >> 4)
	if n == 15 {
		n = d.uvarint()
	}
	for ; n > 0 && d.err == nil; n-- {
		if kind := head & 15; !element(kind) {
			d.skip(kind, false)
		}
	}
}

// field is where the integer of a field goes.
type field struct {
	id int
	to *int64
}

// integers reads a field if it is one of those wanted, and reports whether.
func (d *decoder) integers(id int, kind byte, wanted ...field) bool {
	for _, f := range wanted {
		if f.id == id && (kind == typeI32 || kind == typeI64) {
			*f.to = d.integer()
			return true
		}
	}
	return false
}

func (d *decoder) skip(kind byte, field bool) {
	if d.depth++; d.depth > deepest {
		d.fail("structures nest more than %d deep", deepest)
	}
	switch kind {
	case typeTrue, typeFalse:
		if !field { // a field's type is its value
			d.byte()
		}
	case typeByte:
		d.byte()
	case typeI16, typeI32, typeI64:
		d.uvarint()
	case typeDouble:
		d.bytes(8)
	case typeBinary:
		d.bytes(d.uvarint())
	case typeList, typeSet:
		d.list(func(byte) bool { return false })
	case typeMap:
		if n := d.uvarint(); n > 0 {
			kinds := d.byte()
			for ; n > 0 && d.err == nil; n-- {
				d.skip(kinds>>4, false)
				d.skip(kinds&15, false)
			}
		}
	case typeStruct:
		d.structure(func(int, byte) bool { return false })
	default:
		d.fail("a value of the unknown type %d", kind)
	}
	d.depth--
}
