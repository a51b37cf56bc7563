//go:build !(linux || darwin || freebsd || netbsd)

package mmap

import (
	"io"
	"os"
)

func share(f *os.File, size int) ([]byte, error) {
	data := make([]byte, size)
	_, err := io.ReadFull(io.NewSectionReader(f, 0, int64(size)), data)
	return data, err
}

func unshare(f *os.File, data []byte) error {
	_, err := f.WriteAt(data, 0)
	return err
}
