package picture

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/gradus-ml/gradus/internal/fault"
	"github.com/klauspost/compress/gzip"
)

// IDX is a file of many arrays of one size, as MNIST's: two zero bytes, the type
// of the numbers (8: bytes), the number of dimensions, each of them as a
// big-endian uint32, and the numbers. It may be compressed with gzip.
type IDX struct {
	Count int   // of arrays
	Dims  []int // of one; none: it is a single number

	name  string
	file  *os.File
	from  *bufio.Reader
	next  int // array
	bytes int // of one array
}

// Bounds of an IDX file.
const (
	mostDims  = 3
	longest   = 1 << 12 // of a dimension but the first
	ubyte     = 8
	mostCount = 1 << 31
)

// OpenIDX opens an IDX file of bytes. A file that is none is an error of kind
// fault.Corrupt, one of other numbers fault.Invalid.
func OpenIDX(name string) (_ *IDX, err error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			f.Close()
		}
	}()
	x := &IDX{name: name, file: f, from: bufio.NewReader(f)}
	if head, _ := x.from.Peek(2); len(head) == 2 && head[0] == 0x1f && head[1] == 0x8b {
		plain, err := gzip.NewReader(x.from)
		if err != nil {
			return nil, fault.Corruptf("%s: %w", name, err)
		}
		x.from = bufio.NewReader(plain)
	}
	return x, x.head()
}

// head reads what the file says of its arrays.
func (x *IDX) head() error {
	var magic [4]byte
	if _, err := io.ReadFull(x.from, magic[:]); err != nil {
		return x.corrupt(err, "it has no head")
	}
	switch n := int(magic[3]); {
	case magic[0] != 0 || magic[1] != 0 || n < 1:
		return fault.Corruptf("%s: it begins with %x; an IDX file begins with 0000", x.name, magic)
	case magic[2] != ubyte:
		return fault.Invalidf("%s: it has numbers of type %#x; images and labels are bytes, type 0x08", x.name, magic[2])
	case n > mostDims+1:
		return fault.Invalidf("%s: it has %d dimensions; labels have 1, images 3 or 4", x.name, n)
	}
	x.bytes = 1
	for i := range int(magic[3]) {
		var raw [4]byte
		if _, err := io.ReadFull(x.from, raw[:]); err != nil {
			return x.corrupt(err, "its head is cut off")
		}
		n := binary.BigEndian.Uint32(raw[:])
		if i == 0 {
			if n >= mostCount {
				return fault.Corruptf("%s: it says that it has %d arrays", x.name, n)
			}
			x.Count = int(n)
			continue
		}
		if n < 1 || n > longest {
			return fault.Corruptf("%s: dimension %d is %d; it must be 1 to %d", x.name, i, n, longest)
		}
		x.Dims = append(x.Dims, int(n))
		if x.bytes *= int(n); x.bytes > mostPixels {
			return fault.Corruptf("%s: arrays of %v numbers; at most %d are read", x.name, x.Dims, mostPixels)
		}
	}
	return nil
}

// Next reads the next array into dst, which has the product of Dims bytes. After
// the last it returns io.EOF, if that is the end of the file.
func (x *IDX) Next(dst []byte) error {
	if x.next == x.Count {
		switch _, err := x.from.ReadByte(); {
		case err == nil:
			return fault.Corruptf("%s: there is more behind the last of %d arrays", x.name, x.Count)
		case !errors.Is(err, io.EOF):
			return x.corrupt(err, "behind the last array")
		}
		return io.EOF
	}
	if len(dst) != x.bytes {
		return fmt.Errorf("%s: %d bytes for an array of %d", x.name, len(dst), x.bytes)
	}
	if _, err := io.ReadFull(x.from, dst); err != nil {
		return x.corrupt(err, fmt.Sprintf("in array %d of %d", x.next, x.Count))
	}
	x.next++
	return nil
}

// corrupt explains a failed read: a file that ends too early, or a damaged gzip
// stream. A failing disk is what it is.
func (x *IDX) corrupt(err error, where string) error {
	var disk *os.PathError
	if errors.As(err, &disk) {
		return err
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		err = io.ErrUnexpectedEOF
	}
	return fault.Corruptf("%s: %s: %w", x.name, where, err)
}

// Close closes the file.
func (x *IDX) Close() error { return x.file.Close() }
