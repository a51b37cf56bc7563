package intarray

import (
	"errors"
	"os"

	"github.com/gradus-ml/gradus/internal/mmap"
)

// temporary is an open file of no name.
type temporary struct {
	*os.File
	left bool // the system would not take the name of an open file away
}

func newTemporary() (*temporary, error) {
	f, err := os.CreateTemp("", "gradus-*.tmp")
	if err != nil {
		return nil, err
	}
	return &temporary{f, os.Remove(f.Name()) != nil}, nil
}

// Close closes the file and thereby deletes it.
func (t *temporary) Close() error {
	err := t.File.Close()
	if t.left && err == nil {
		err = os.Remove(t.Name())
	}
	return err
}

// unnamed is the map of a temporary file.
type unnamed struct {
	*mmap.Shared
	file *temporary // nil: closed
}

// Close gives map and file back.
func (u *unnamed) Close() error {
	if u.file == nil {
		return nil
	}
	err := errors.Join(u.Shared.Close(), u.file.Close())
	u.file = nil
	return err
}
