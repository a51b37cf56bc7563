//go:build linux || darwin || freebsd || netbsd

package mmap

import (
	"os"
	"syscall"
)

func share(f *os.File, size int) ([]byte, error) {
	return syscall.Mmap(int(f.Fd()), 0, size, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_SHARED)
}

// These systems have one cache for maps and files, so what was written to the
// map is in the file without a call to say so.
func unshare(_ *os.File, data []byte) error { return syscall.Munmap(data) }
