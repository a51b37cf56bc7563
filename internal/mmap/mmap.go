// Package mmap maps files into memory.
//
// It has two nouns. A File is the bytes of a file for reading, paged in by the
// system as they are touched, so that a corpus larger than memory can be read
// at random. A Shared is a file that is written through its map, at random. On
// Linux, macOS and the BSDs they are mappings; elsewhere the file is read into
// memory, and written from there.
//
// Pages that were touched count as the process's memory until the system wants
// them back, and touching what another program cut off kills the process. So
// what is passed through once is better read by Fill and Scan, which copy, or
// given back by Release.
package mmap

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"

	"github.com/gradus-ml/gradus/internal/fault"
)

// File is an open map. All methods but Close may be called from any number of
// goroutines.
type File struct {
	name string
	data []byte
	info fs.FileInfo
	file *os.File // nil where files are read into memory
}

// Open maps the file at path, which must be a regular file and may be empty.
// The map has the size the file had at this moment; a file that another program
// cuts short while it is mapped makes the process fault.
func Open(path string) (*File, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	m := &File{name: path}
	if err := m.load(f); err != nil {
		f.Close()
		return nil, err
	}
	if !mapped {
		return m, f.Close() // or nobody could replace the file (Windows)
	}
	m.file = f
	return m, nil
}

func (m *File) load(f *os.File) (err error) {
	if m.info, err = f.Stat(); err != nil {
		return err
	}
	size := m.info.Size()
	if !m.info.Mode().IsRegular() {
		return fmt.Errorf("map %s: not a regular file", m.name)
	}
	if size > math.MaxInt {
		return fmt.Errorf("map %s: %d bytes do not fit into this machine's address space", m.name, size)
	}
	if size == 0 {
		return nil // the system refuses to map nothing
	}
	if m.data, err = load(f, int(size)); err != nil {
		return fmt.Errorf("map %s: %w", m.name, err)
	}
	return nil
}

// Name returns the path that was opened.
func (m *File) Name() string { return m.name }

// Bytes returns the file's content. It must not be written to, nor used after
// Close: touching it then faults.
func (m *File) Bytes() []byte { return m.data }

// Len returns the file's size in bytes.
func (m *File) Len() int { return len(m.data) }

// Info returns what the file was when it was opened: its size, modification time.
func (m *File) Info() fs.FileInfo { return m.info }

// Fill fills p with the bytes from offset on, by a call to the system and not
// through the map: no page of it becomes resident, and a file that was cut
// short since it was opened is an error of kind fault.Corrupt.
func (m *File) Fill(p []byte, offset int64) error {
	n, err := 0, io.EOF
	switch {
	case m.file != nil:
		n, err = m.file.ReadAt(p, offset)
	case offset <= int64(len(m.data)):
		n = copy(p, m.data[offset:])
	}
	switch {
	case n == len(p):
		return nil
	case errors.Is(err, io.EOF):
		return fault.Corruptf("%s: byte %d is not there any more, of %d when it was opened; it was cut short meanwhile", m.name, offset+int64(n), m.Len())
	}
	return err // names the file
}

// scanSize is what Scan reads at once: it stays in a core's cache, and a call
// costs 1 microsecond where copying so much costs 30.
const scanSize = 256 << 10

// Scan hands the bytes [start, end) to do, in order and in pieces of which all
// but the last are a multiple of 8 bytes, read as by Fill. A piece may be kept
// no longer than the call. It stops at the first error and returns it.
func (m *File) Scan(start, end int64, do func(piece []byte) error) error {
	buf := make([]byte, max(min(scanSize, end-start), 0))
	for ; start < end; start += int64(len(buf)) {
		buf = buf[:min(int64(len(buf)), end-start)]
		if err := m.Fill(buf, start); err != nil {
			return err
		}
		if err := do(buf); err != nil {
			return err
		}
	}
	return nil
}

// Release gives back the memory of the pages that were touched so far, where
// the system lets it; they are paged in again as they are touched.
func (m *File) Release() {
	if len(m.data) > 0 {
		release(m.data)
	}
}

// Close gives the map back. A second Close does nothing.
func (m *File) Close() error {
	data, file := m.data, m.file
	m.data, m.file = nil, nil
	var errs []error
	if data != nil {
		errs = append(errs, unload(data))
	}
	if file != nil {
		errs = append(errs, file.Close())
	}
	return errors.Join(errs...)
}
