package intarray

import (
	"io/fs"
	"os"

	"github.com/gradus-ml/gradus/internal/atomicfile"
	"github.com/gradus-ml/gradus/internal/mmap"
)

// Writer is an array being written at random. Set may be called for different
// elements from any number of goroutines; the other methods may not.
type Writer struct {
	numbers
	width  int
	shared *mmap.Shared
	named  *atomicfile.File // nil: a file of no name
	file   *temporary       // of no name
}

// New starts an array of n elements of width bytes each, all zero, which Finish
// puts at path. The room for it is reserved on the disk: a full one is an error
// here.
func New(path string, width int, n int64) (*Writer, error) {
	if err := shape(width, n); err != nil {
		return nil, err
	}
	w := &Writer{width: width}
	if err := w.create(path, n); err != nil {
		w.Abort()
		return nil, err
	}
	return w, nil
}

func (w *Writer) create(path string, n int64) (err error) {
	head := header(w.width, n)
	var f *os.File
	if path == "" {
		if w.file, err = newTemporary(); err == nil {
			f = w.file.File
		}
	} else if w.named, err = atomicfile.Create(path); err == nil {
		f, err = w.named.Handle()
	}
	if err != nil {
		return err
	}
	if w.shared, err = mmap.Share(f, int64(len(head))+n*int64(w.width)); err != nil {
		return err
	}
	copy(w.shared.Bytes(), head)
	w.numbers = view(w.shared.Bytes()[len(head):], w.width)
	return nil
}

// Len returns the number of elements.
func (w *Writer) Len() int64 { return int64(len(w.narrow) + len(w.wide)) }

// At returns element i as it is now. It panics if i is not in [0, Len), as a
// slice does.
func (w *Writer) At(i int64) int64 {
	if w.narrow != nil {
		return int64(w.narrow[i])
	}
	return int64(w.wide[i])
}

// Set makes element i the number v. It panics if i is not in [0, Len) or v does
// not fit: it must be 0 or more and, in 4 bytes, below 2^32.
func (w *Writer) Set(i, v int64) {
	if w.narrow != nil {
		if uint64(v)>>32 != 0 {
			panic("intarray: a number does not fit 4 bytes")
		}
		w.narrow[i] = uint32(v)
		return
	}
	if v < 0 {
		panic("intarray: a number below 0")
	}
	w.wide[i] = uint64(v)
}

// Finish makes the array durable, puts it in place and opens it. After an error
// nothing of it is left. The Writer is not to be used after it.
func (w *Writer) Finish() (*Array, error) {
	if w.shared == nil {
		return nil, fs.ErrClosed
	}
	if w.file != nil {
		a := &Array{w.numbers, w.width, &unnamed{w.shared, w.file}}
		w.numbers, w.shared, w.file = numbers{}, nil, nil
		return a, nil
	}
	defer w.Abort()
	if err := w.unmap(); err != nil {
		return nil, err
	}
	if err := w.named.Commit(); err != nil {
		return nil, err
	}
	return Open(w.named.Path())
}

// unmap ends the map.
func (w *Writer) unmap() error {
	shared := w.shared
	w.numbers, w.shared = numbers{}, nil
	if shared == nil {
		return nil
	}
	return shared.Close()
}

// Abort takes everything back. After Finish it does nothing, so that it can be
// deferred right after New.
func (w *Writer) Abort() {
	w.unmap()
	if w.named != nil {
		w.named.Abort()
	}
	if w.file != nil {
		w.file.Close()
		w.file = nil
	}
}
