//go:build unix && !solaris && !aix && !illumos

// Package dirlock keeps two processes from writing one directory at once.
package dirlock

import (
	"errors"
	"fmt"
	"os"
	"syscall"

	"github.com/gradus-ml/gradus/internal/fault"
)

// Lock locks a directory until the file it returns is closed or the process
// ends. The holder of a lock may have renamed or removed the directory before
// it let go; then the lock is of no use.
func Lock(dir string) (*os.File, error) {
	f, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		f.Close()
		switch {
		case errors.Is(err, syscall.EWOULDBLOCK):
			return nil, fault.Invalidf("another process is writing it (%s is locked); wait for it or choose another directory", dir)
		case errors.Is(err, syscall.ENOTSUP) || errors.Is(err, syscall.ENOLCK):
			return os.Open(dir) // a file system without locks: go without
		}
		return nil, fmt.Errorf("lock %s: %w", dir, err)
	}
	held, err := f.Stat()
	if err == nil {
		var there os.FileInfo
		if there, err = os.Stat(dir); err == nil && !os.SameFile(held, there) {
			err = fault.Invalidf("another process has just written it; try again")
		}
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}
