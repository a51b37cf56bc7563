package runlog

import (
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/gradus-ml/gradus/internal/atomicfile"
	"github.com/gradus-ml/gradus/internal/fault"
)

// PackedSuffix ends the name of a log that Pack has compressed.
const PackedSuffix = ".gz"

// Exists reports whether there is a log at path, packed or not.
func Exists(path string) bool {
	for _, name := range []string{path, path + PackedSuffix} {
		if _, err := os.Stat(name); err == nil {
			return true
		}
	}
	return false
}

// Pack compresses the log at path with gzip, in its place: path + ".gz" remains. The
// same log gives the same bytes. A log that goes on is not to be packed; one that is
// packed already stays as it is.
func Pack(path string) error {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) && Exists(path) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("runlog: %w", err)
	}
	defer f.Close()
	if err := atomicfile.Write(path+PackedSuffix, func(w io.Writer) error {
		z, err := gzip.NewWriterLevel(w, gzip.BestCompression) // its header has neither name nor time
		if err != nil {
			return err
		}
		if _, err := io.Copy(z, f); err != nil {
			return err
		}
		return z.Close()
	}); err != nil {
		return fmt.Errorf("runlog: packing %s: %w", path, err)
	}
	return os.Remove(path)
}

// A source is an open log, packed or not.
type source struct {
	io.Reader
	path string // of the file that it is
	file *os.File
}

func (s *source) Close() error { return s.file.Close() }

// openLog opens the log at path, or the packed one beside it.
func openLog(path string) (*source, error) {
	f, err := os.Open(path)
	packed := false
	if errors.Is(err, fs.ErrNotExist) {
		if z, zerr := os.Open(path + PackedSuffix); zerr == nil {
			f, err, packed, path = z, nil, true, path+PackedSuffix
		}
	}
	if err != nil {
		return nil, fmt.Errorf("runlog: %w", err)
	}
	if !packed && !isPacked(path) {
		return &source{f, path, f}, nil
	}
	info, err := f.Stat()
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("runlog: %w", err)
	}
	z, err := gzip.NewReader(f)
	if err != nil {
		f.Close()
		return nil, fault.Corruptf("runlog: %s: %w: it is no log that was packed", path, err)
	}
	most := mostUnpacked + unpackedRatio*info.Size()
	return &source{&unpacker{z: z, path: path, left: most}, path, f}, nil
}

func isPacked(path string) bool {
	return len(path) > len(PackedSuffix) && path[len(path)-len(PackedSuffix):] == PackedSuffix
}

// A packed log unpacks to about five times its size. One that claims to be far
// larger was made to fill the memory.
const (
	unpackedRatio = 100
	mostUnpacked  = 1 << 20
)

// An unpacker reads a packed log up to a limit.
type unpacker struct {
	z    *gzip.Reader
	path string
	left int64
}

func (u *unpacker) Read(p []byte) (int, error) {
	n, err := u.z.Read(p)
	if u.left -= int64(n); u.left < 0 {
		return 0, fault.Corruptf("runlog: %s unpacks to more than %d times its size: this is not a run log", u.path, unpackedRatio)
	}
	if err != nil && err != io.EOF {
		err = fault.Corruptf("runlog: %s: %w", u.path, err)
	}
	return n, err
}
