// Package mmap maps files into memory for reading.
//
// It has one noun, the File: the bytes of a file, paged in by the system as
// they are touched, so that a corpus larger than memory can be read at random.
// On Linux, macOS and the BSDs it is a mapping; elsewhere the file is read into
// memory.
package mmap

import (
	"fmt"
	"io/fs"
	"math"
	"os"
)

// File is an open map. Bytes may be read from any number of goroutines.
type File struct {
	data []byte
	info fs.FileInfo
}

// Open maps the file at path, which must be a regular file and may be empty.
// The map has the size the file had at this moment; a file that another program
// cuts short while it is mapped makes the process fault.
func Open(path string) (*File, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("map %s: not a regular file", path)
	}
	if info.Size() > math.MaxInt {
		return nil, fmt.Errorf("map %s: %d bytes do not fit into this machine's address space", path, info.Size())
	}
	m := &File{info: info}
	if info.Size() == 0 {
		return m, nil // the system refuses to map nothing
	}
	if m.data, err = load(f, int(info.Size())); err != nil {
		return nil, fmt.Errorf("map %s: %w", path, err)
	}
	return m, nil
}

// Bytes returns the file's content. It must not be written to, nor used after
// Close: touching it then faults.
func (m *File) Bytes() []byte { return m.data }

// Len returns the file's size in bytes.
func (m *File) Len() int { return len(m.data) }

// Info returns what the file was when it was opened: its size, modification time.
func (m *File) Info() fs.FileInfo { return m.info }

// Close gives the map back. A second Close does nothing.
func (m *File) Close() error {
	data := m.data
	m.data = nil
	if data == nil {
		return nil
	}
	return unload(data)
}
