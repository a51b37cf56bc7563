//go:build !linux

package mmap

// release does nothing: package syscall has no madvise here.
func release([]byte) {}
