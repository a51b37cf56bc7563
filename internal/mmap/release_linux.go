package mmap

import "syscall"

// release drops the pages from the process; the file's cache keeps them. It
// cannot fail on a whole map, and if it did nothing but memory would be lost.
func release(data []byte) { _ = syscall.Madvise(data, syscall.MADV_DONTNEED) }
