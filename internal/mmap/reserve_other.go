//go:build !linux

package mmap

import "os"

// reserve gives f the room for size bytes; not every system does more than note
// the size if asked to.
func reserve(f *os.File, size int64) error { return extend(f, size) }
