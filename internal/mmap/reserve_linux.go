package mmap

import (
	"errors"
	"os"
	"syscall"
)

// reserve gives f the room for size bytes.
func reserve(f *os.File, size int64) error {
	var err error
	for range 8 { // a signal may come in between, and one more
		if err = syscall.Fallocate(int(f.Fd()), 0, 0, size); !errors.Is(err, syscall.EINTR) {
			break
		}
	}
	for _, unable := range []error{syscall.EINTR, syscall.EOPNOTSUPP, syscall.ENOSYS} {
		if errors.Is(err, unable) {
			return extend(f, size)
		}
	}
	return err
}
