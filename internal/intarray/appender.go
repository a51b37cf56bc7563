package intarray

import (
	"encoding/binary"
	"fmt"
	"io"
	"io/fs"

	"github.com/gradus-ml/gradus/internal/atomicfile"
	"github.com/gradus-ml/gradus/internal/mmap"
)

// bufferSize is what an Appender gathers before it calls the system.
const bufferSize = 64 << 10

// Appender is an array that grows at its end. It is not safe for concurrent use.
type Appender struct {
	width int
	n     int64
	buf   []byte
	out   io.Writer        // the one of the two that is not nil
	named *atomicfile.File // nil: a file of no name
	file  *temporary       // of no name
	err   error            // the first failure
}

// Append starts an array of elements of width bytes, which Finish puts at path.
func Append(path string, width int) (*Appender, error) {
	if err := shape(width, 0); err != nil {
		return nil, err
	}
	a := &Appender{width: width, buf: make([]byte, 0, bufferSize)}
	var err error
	if path == "" {
		a.file, err = newTemporary()
		a.out = a.file
	} else {
		a.named, err = atomicfile.Create(path)
		a.out = a.named
	}
	if err != nil {
		return nil, err
	}
	a.buf = append(a.buf, header(width, 0)...) // written over when the length is known
	return a, nil
}

// Len returns the number of elements so far.
func (a *Appender) Len() int64 { return a.n }

// Append adds numbers at the end. It panics if one does not fit: it must be 0 or
// more and, in 4 bytes, below 2^32. After an error it goes on failing.
func (a *Appender) Append(values ...int64) error {
	for _, v := range values {
		if len(a.buf)+8 > cap(a.buf) {
			if err := a.flush(); err != nil {
				return err
			}
		}
		if a.width == 4 {
			if uint64(v)>>32 != 0 {
				panic("intarray: a number does not fit 4 bytes")
			}
			a.buf = binary.LittleEndian.AppendUint32(a.buf, uint32(v))
		} else {
			if v < 0 {
				panic("intarray: a number below 0")
			}
			a.buf = binary.LittleEndian.AppendUint64(a.buf, uint64(v))
		}
		a.n++
	}
	return a.err
}

func (a *Appender) flush() error {
	if a.err == nil {
		_, a.err = a.out.Write(a.buf)
	}
	a.buf = a.buf[:0] // nothing is kept that cannot be written
	return a.err
}

// Finish makes the array durable, puts it in place and opens it. After an error
// nothing of it is left. The Appender is not to be used after it.
func (a *Appender) Finish() (*Array, error) {
	defer a.Abort()
	if err := a.flush(); err != nil {
		return nil, fmt.Errorf("write an array: %w", err)
	}
	head := header(a.width, a.n)
	if a.named != nil {
		if _, err := a.named.WriteAt(head, 0); err != nil {
			return nil, err
		}
		if err := a.named.Commit(); err != nil {
			return nil, err
		}
		return Open(a.named.Path())
	}
	shared, err := mmap.Share(a.file.File, int64(len(head))+a.n*int64(a.width))
	if err != nil {
		return nil, err
	}
	copy(shared.Bytes(), head)
	array := &Array{view(shared.Bytes()[len(head):], a.width), a.width, &unnamed{shared, a.file}}
	a.file = nil
	return array, nil
}

// Abort takes everything back. After Finish it does nothing, so that it can be
// deferred right after Append.
func (a *Appender) Abort() {
	if a.named != nil {
		a.named.Abort()
	}
	if a.file != nil {
		a.file.Close()
		a.file = nil
	}
	if a.err == nil {
		a.err = fs.ErrClosed
	}
}
