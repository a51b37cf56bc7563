//go:build linux || darwin || freebsd || netbsd || openbsd

package mmap

import (
	"os"
	"syscall"
)

const mapped = true

func load(f *os.File, size int) ([]byte, error) {
	return syscall.Mmap(int(f.Fd()), 0, size, syscall.PROT_READ, syscall.MAP_SHARED)
}

func unload(data []byte) error { return syscall.Munmap(data) }
