package mmap

import (
	"fmt"
	"math"
	"os"
)

// Shared is a file mapped for writing: what is put into its bytes is in the
// file once it is closed. Different bytes may be written from any number of
// goroutines.
type Shared struct {
	file *os.File
	data []byte
}

// Share makes f, which must be open for reading and writing, at least size
// bytes long and maps its first size bytes; what is new in it is zero. The room
// is reserved on the disk: a full one is an error here, and not a fault when a
// byte is written. The file must stay open until Close.
func Share(f *os.File, size int64) (*Shared, error) {
	if size < 0 || size > math.MaxInt {
		return nil, fmt.Errorf("map %s: %d bytes do not fit into this machine's address space", f.Name(), size)
	}
	s := &Shared{file: f}
	if size == 0 {
		return s, nil
	}
	err := reserve(f, size)
	if err == nil {
		s.data, err = share(f, int(size))
	}
	if err != nil {
		return nil, fmt.Errorf("map %s: %w", f.Name(), err)
	}
	return s, nil
}

// Bytes returns the content. It must not be used after Close: touching it then
// faults.
func (s *Shared) Bytes() []byte { return s.data }

// Release gives back the memory of the pages that were touched so far, where
// the system lets it; what was written to them is kept.
func (s *Shared) Release() {
	if len(s.data) > 0 {
		release(s.data)
	}
}

// Close ends the map; the file has what was written then, and is left open. A
// second Close does nothing.
func (s *Shared) Close() error {
	data := s.data
	s.data = nil
	if data == nil {
		return nil
	}
	return unshare(s.file, data)
}

// extend writes zeros behind the end of f until it has size bytes.
func extend(f *os.File, size int64) error {
	info, err := f.Stat()
	if err != nil {
		return err
	}
	at := info.Size()
	zeros := make([]byte, max(min(1<<20, size-at), 0))
	for at < size {
		n, err := f.WriteAt(zeros[:min(int64(len(zeros)), size-at)], at)
		if err != nil {
			return err
		}
		at += int64(n)
	}
	return nil
}
