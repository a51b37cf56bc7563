// Package atomicdir makes directories that are either whole or not there.
//
// It has one noun, the Dir: files are written to PATH.partial, and Commit puts
// that in the place of PATH. An old directory there is moved aside to PATH.old
// first and removed last, so that PATH never holds half of anything; a process
// killed between the two renames leaves PATH.old and a whole PATH.partial. The
// next Create for PATH clears away what is left of PATH.partial, and its Commit
// what is left of PATH.old.
package atomicdir

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/gradus-ml/gradus/internal/atomicfile"
	"github.com/gradus-ml/gradus/internal/dirlock"
	"github.com/gradus-ml/gradus/internal/fault"
)

// Dir is a directory being made. It is locked against other processes.
type Dir struct {
	path string
	ours func(name string, dir bool) bool
	lock *os.File
}

// Create starts the directory that Commit will put at path. A symbolic link at
// path is followed: what it points to is replaced. If something is at path
// already, that is an error of kind fault.Invalid, unless it is an empty
// directory, or force is set and it holds nothing but what ours takes for a
// part of such a directory (name is relative, with slashes): replacing it would
// delete the rest. So is a second process at work on the same path.
func Create(path string, force bool, ours func(name string, dir bool) bool) (*Dir, error) {
	if path == "" {
		return nil, fault.Invalidf("a directory needs a name")
	}
	path = filepath.Clean(path)
	if target, err := filepath.EvalSymlinks(path); err == nil {
		path = target
	}
	d := &Dir{path: path, ours: ours}
	if err := d.vacant(force); err != nil {
		return nil, err
	}
	if err := os.Mkdir(d.Path(), 0o777); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, err
	}
	var err error
	if d.lock, err = dirlock.Lock(d.Path()); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if err := d.clear(); err != nil {
		d.lock.Close()
		return nil, err
	}
	return d, nil
}

// Path returns the directory to write to.
func (d *Dir) Path() string { return d.path + ".partial" }

func (d *Dir) old() string { return d.path + ".old" }

// vacant refuses what must not be replaced.
func (d *Dir) vacant(force bool) error {
	entries, err := os.ReadDir(d.path)
	switch {
	case errors.Is(err, fs.ErrNotExist) || err == nil && len(entries) == 0:
		return nil
	case err != nil:
		if info, statErr := os.Stat(d.path); statErr == nil && !info.IsDir() {
			return fault.Invalidf("%s: it exists and is not a directory; choose another name", d.path)
		}
		return err
	}
	if err := d.onlyOurs(d.path); err != nil {
		return err
	}
	if !force {
		return fault.Invalidf("%s: it is there already; force its replacement or choose another directory", d.path)
	}
	return nil
}

// onlyOurs refuses a directory with anything in it that is no part of what is
// made here. One that is not there is fine.
func (d *Dir) onlyOurs(dir string) error {
	return filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) && path == dir {
			return nil
		}
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		if name := filepath.ToSlash(rel); name != "." && !d.ours(name, entry.IsDir()) {
			return fault.Invalidf("%s: it holds %q, which is something else and would be lost; choose another directory", dir, name)
		}
		return nil
	})
}

// clear empties what a killed process left.
func (d *Dir) clear() error {
	if err := d.onlyOurs(d.Path()); err != nil {
		return err
	}
	entries, err := os.ReadDir(d.Path())
	for _, e := range entries {
		err = errors.Join(err, os.RemoveAll(filepath.Join(d.Path(), e.Name())))
	}
	return err
}

// Commit puts the directory in place. Its files must be synced. If it fails the
// old directory is still there, at its place or moved aside, and the error says
// where the new one is.
func (d *Dir) Commit() error {
	defer d.unlock()
	for i, step := range d.steps() {
		if err := step(); err != nil {
			if i < looks {
				d.Abort()
				return fmt.Errorf("%s: %w", d.path, err)
			}
			return fmt.Errorf("%s is whole but could not take its place; move it to %s: %w", d.Path(), d.path, err)
		}
	}
	return os.RemoveAll(d.old())
}

// looks is how many of the steps only look or make durable.
const looks = 3

// steps are what Commit does, in order.
func (d *Dir) steps() []func() error {
	return []func() error{
		d.syncAll,
		// Things may have changed since Create.
		func() error { return d.onlyOurs(d.path) },
		func() error { return d.onlyOurs(d.old()) },
		d.moveAside,
		func() error { return os.Rename(d.Path(), d.path) },
		func() error { return atomicfile.SyncDir(filepath.Dir(d.path)) },
	}
}

// syncAll makes the names in the directory durable.
func (d *Dir) syncAll() error {
	return filepath.WalkDir(d.Path(), func(path string, entry fs.DirEntry, err error) error {
		if err == nil && entry.IsDir() {
			err = atomicfile.SyncDir(path)
		}
		return err
	})
}

// moveAside renames what is at the place, if anything is.
func (d *Dir) moveAside() error {
	switch _, err := os.Lstat(d.path); {
	case errors.Is(err, fs.ErrNotExist):
		return nil // and what is at the old name may be the only one there is
	case err != nil:
		return err
	}
	if err := os.RemoveAll(d.old()); err != nil {
		return err
	}
	return os.Rename(d.path, d.old())
}

// Abort removes what was written. After Commit it does nothing, so that it can
// be deferred right after Create.
func (d *Dir) Abort() {
	if d.lock == nil {
		return
	}
	os.RemoveAll(d.Path())
	d.unlock()
}

func (d *Dir) unlock() {
	if d.lock != nil {
		d.lock.Close()
		d.lock = nil
	}
}
