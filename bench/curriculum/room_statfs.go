//go:build linux || darwin

package main

import (
	"fmt"
	"syscall"
)

// room refuses to begin what the disk has no room for.
func room(dir string, bytes int64) error {
	var s syscall.Statfs_t
	if err := syscall.Statfs(dir, &s); err != nil {
		return nil // the files will tell
	}
	if free := int64(s.Bavail) * int64(s.Bsize); free < bytes {
		return fmt.Errorf("the disk has %.1f GB left and %.1f GB are needed; choose another directory by -dir, or fewer -samples", float64(free)/1e9, float64(bytes)/1e9)
	}
	return nil
}
