// Package atomicfile writes files that are either whole or not there.
//
// It has one noun, the File: bytes go to a hidden temporary file in the
// directory of the target, and Commit flushes and syncs it, renames it over the
// target and syncs the directory. Until then the target stays what it was. A
// killed process can leave a file named ".TARGET.*.tmp" behind, which no reader
// of this module looks at and which may be deleted.
package atomicfile

import (
	"bufio"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"syscall"

	"github.com/gradus-ml/gradus/internal/fault"
)

// bufferSize is what a File gathers before it calls the system. Past 64 KiB a
// larger buffer gains nothing measurable on a local disk.
const bufferSize = 64 << 10

// syncEvery is how much is written before what there is gets synced while more
// is made. Systems hold gigabytes back until they are told; without this a
// large file takes the time to make it and then the time of the disk.
const syncEvery = 64 << 20

// File is a file being written. It is not safe for concurrent use.
type File struct {
	path    string // the target
	file    *os.File
	buf     *bufio.Writer
	written int        // since the last sync began
	syncing chan error // gets what the sync under way came to; nil: none
	failed  error      // what a sync came to: it may tell that only once
	done    bool
}

// Create starts a file that Commit will put at path. A symbolic link at path is
// followed: the file it points to is replaced. Anything else there that is not
// a regular file (a directory, a device) is refused with an error of kind
// fault.Invalid.
func Create(path string) (*File, error) {
	path, err := target(path)
	if err != nil {
		return nil, err
	}
	f, err := createBeside(path)
	if err != nil {
		return nil, err
	}
	return &File{path: path, file: f, buf: bufio.NewWriterSize(f, bufferSize)}, nil
}

// target resolves symbolic links and refuses what a rename should not replace.
func target(path string) (string, error) {
	info, err := os.Lstat(path)
	if err == nil && info.Mode()&fs.ModeSymlink != 0 {
		if path, err = filepath.EvalSymlinks(path); err == nil {
			info, err = os.Lstat(path)
		}
	}
	switch {
	case errors.Is(err, fs.ErrNotExist) && info == nil:
		return path, nil
	case err != nil:
		return "", err
	case info.IsDir():
		return "", fault.Invalidf("%s is a directory; choose another name", path)
	case !info.Mode().IsRegular():
		return "", fault.Invalidf("%s exists and is not a regular file (%s); choose another name", path, info.Mode().Type())
	}
	return path, nil
}

// createBeside opens a new temporary file in the directory of path, with the
// permissions a plain create would give (os.CreateTemp would give 0600).
func createBeside(path string) (*os.File, error) {
	dir, base := filepath.Split(path)
	for {
		name := filepath.Join(dir, "."+base+"."+rand.Text()[:10]+".tmp")
		f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o666)
		if errors.Is(err, fs.ErrExist) {
			continue
		}
		var pathErr *fs.PathError
		if errors.As(err, &pathErr) { // the temporary name would tell nobody anything
			err = fmt.Errorf("create %s: %w", path, pathErr.Err)
		}
		return f, err
	}
}

// Path returns where Commit puts the file: the path given to Create, with
// symbolic links resolved.
func (f *File) Path() string { return f.path }

// Write appends p. After an error every later Write and Commit fails too.
func (f *File) Write(p []byte) (int, error) {
	n, err := f.buf.Write(p)
	if f.written += n; f.written >= syncEvery && err == nil {
		f.written = 0
		if err = f.settle(); err == nil {
			f.syncing = make(chan error, 1)
			go func() { f.syncing <- f.file.Sync() }()
		}
	}
	return n, err
}

// settle waits for the sync under way, which keeps the memory that waits for
// the disk at twice syncEvery.
func (f *File) settle() error {
	if f.syncing != nil {
		if err := <-f.syncing; f.failed == nil {
			f.failed = err
		}
		f.syncing = nil
	}
	return f.failed
}

// ReadAt reads what was written so far.
func (f *File) ReadAt(p []byte, off int64) (int, error) {
	if err := f.buf.Flush(); err != nil {
		return 0, err
	}
	return f.file.ReadAt(p, off)
}

// WriteAt overwrites bytes that were written before; Write goes on at the end.
func (f *File) WriteAt(p []byte, off int64) (int, error) {
	if err := f.buf.Flush(); err != nil {
		return 0, err
	}
	return f.file.WriteAt(p, off)
}

// Handle flushes what was written and returns the temporary file itself, to be
// mapped and written at random. It is still Commit or Abort that closes it, and
// any map of it must be closed before Commit.
func (f *File) Handle() (*os.File, error) {
	if f.done {
		return nil, fs.ErrClosed
	}
	if err := f.buf.Flush(); err != nil {
		return nil, err
	}
	return f.file, f.settle()
}

// Sync flushes the file to the disk. Its size and modification time are final
// after it unless more is written; Commit calls it anyway.
func (f *File) Sync() error {
	if f.done {
		return fs.ErrClosed
	}
	if err := f.buf.Flush(); err != nil {
		return err
	}
	if err := f.settle(); err != nil {
		return err
	}
	return f.file.Sync()
}

// Stat describes the temporary file; Commit keeps its size and modification time.
func (f *File) Stat() (fs.FileInfo, error) { return f.file.Stat() }

// Commit makes the file durable and puts it in place of its target. After an
// error the target is untouched and the temporary file is gone, except when
// the last step fails, the sync of the directory: then the file is in place
// but may not survive a loss of power.
func (f *File) Commit() error {
	if err := f.Sync(); err != nil {
		f.Abort()
		return fmt.Errorf("write %s: %w", f.path, err)
	}
	f.done = true
	temp := f.file.Name()
	err := f.file.Close()
	if err == nil {
		err = os.Rename(temp, f.path)
	}
	if err != nil {
		os.Remove(temp)
		return fmt.Errorf("write %s: %w", f.path, err)
	}
	return SyncDir(filepath.Dir(f.path))
}

// Abort removes the temporary file. After Commit or Abort it does nothing, so
// that it can be deferred right after Create.
func (f *File) Abort() {
	if f.done {
		return
	}
	f.done = true
	f.settle()
	f.file.Close()
	os.Remove(f.file.Name())
}

// Write puts at path what fill writes, or leaves path as it was if fill fails.
func Write(path string, fill func(io.Writer) error) error {
	f, err := Create(path)
	if err != nil {
		return err
	}
	defer f.Abort()
	if err := fill(f); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return f.Commit()
}

// SyncDir makes renames and removals in a directory durable, and so orders
// them against what follows. Where a system cannot sync a directory it does
// nothing.
func SyncDir(dir string) error {
	if runtime.GOOS == "windows" {
		return nil
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	err = d.Sync()
	if errors.Is(err, syscall.EINVAL) || errors.Is(err, syscall.ENOTSUP) {
		return nil // some network file systems
	}
	return err
}
