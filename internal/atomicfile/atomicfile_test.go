package atomicfile

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/gradus-ml/gradus/internal/fault"
)

// holds fails unless dir holds exactly the given name=content pairs.
func holds(t *testing.T, dir string, want map[string]string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		content, ok := want[e.Name()]
		if !ok {
			t.Errorf("%s was left behind", e.Name())
			continue
		}
		got, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil || string(got) != content {
			t.Errorf("%s holds %q, %v; want %q", e.Name(), got, err, content)
		}
	}
	if len(entries) < len(want) {
		t.Errorf("only %d of %d files are there", len(entries), len(want))
	}
}

func TestCommitReplaces(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "a.txt")
	for _, content := range []string{"first", strings.Repeat("second ", bufferSize)} {
		f, err := Create(path)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(f, content); err != nil {
			t.Fatal(err)
		}
		if err := f.Commit(); err != nil {
			t.Fatal(err)
		}
		f.Abort() // must not touch what was committed
		holds(t, dir, map[string]string{"a.txt": content})
	}
}

// A Handle is the file that Commit puts in place, with all that was written.
func TestHandle(t *testing.T) {
	dir := t.TempDir()
	f, err := Create(filepath.Join(dir, "a.txt"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(f, "buffered"); err != nil {
		t.Fatal(err)
	}
	h, err := f.Handle()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := h.WriteAt([]byte("B"), 0); err != nil {
		t.Fatal(err)
	}
	if err := f.Commit(); err != nil {
		t.Fatal(err)
	}
	holds(t, dir, map[string]string{"a.txt": "Buffered"})
	if _, err := f.Handle(); !errors.Is(err, fs.ErrClosed) {
		t.Errorf("a Handle after Commit: %v", err)
	}
}

func TestTargetUntouchedUntilCommit(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "a.txt")
	if err := os.WriteFile(path, []byte("old"), 0o666); err != nil {
		t.Fatal(err)
	}
	f, err := Create(path)
	if err != nil {
		t.Fatal(err)
	}
	io.WriteString(f, "new")
	if err := f.Sync(); err != nil {
		t.Fatal(err)
	}
	if got, _ := os.ReadFile(path); string(got) != "old" {
		t.Errorf("before Commit the target holds %q", got)
	}
	f.Abort()
	holds(t, dir, map[string]string{"a.txt": "old"})
	if err := f.Commit(); !errors.Is(err, fs.ErrClosed) {
		t.Errorf("Commit after Abort: %v", err)
	}
	holds(t, dir, map[string]string{"a.txt": "old"})
}

func TestWriteFailing(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "a.txt")
	broken := errors.New("broken")
	err := Write(path, func(w io.Writer) error {
		fmt.Fprint(w, "half")
		return broken
	})
	if !errors.Is(err, broken) || !strings.Contains(err.Error(), path) {
		t.Errorf("error is %v", err)
	}
	holds(t, dir, nil)
}

// A full disk may show itself at a Write or only at the last flush.
func TestDiskFull(t *testing.T) {
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Skip("no /dev/full here:", err)
	}
	for _, size := range []int{1, 10 * bufferSize} {
		dir := t.TempDir()
		f, err := Create(filepath.Join(dir, "a.txt"))
		if err != nil {
			t.Fatal(err)
		}
		defer f.Abort()
		f.buf.Reset(full)
		_, writeErr := f.Write(make([]byte, size))
		if wantNow := size > bufferSize; wantNow != errors.Is(writeErr, syscall.ENOSPC) {
			t.Errorf("writing %d bytes: %v", size, writeErr)
		}
		if err := f.Commit(); !errors.Is(err, syscall.ENOSPC) {
			t.Errorf("Commit after %d bytes: %v", size, err)
		}
		holds(t, dir, nil)
	}
}

func TestReadAtWriteAt(t *testing.T) {
	dir := t.TempDir()
	f, err := Create(filepath.Join(dir, "a.txt"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Abort()
	io.WriteString(f, "....body")
	got := make([]byte, 4)
	if _, err := f.ReadAt(got, 4); err != nil || string(got) != "body" {
		t.Errorf("ReadAt gives %q, %v", got, err)
	}
	if _, err := f.WriteAt([]byte("head"), 0); err != nil {
		t.Fatal(err)
	}
	io.WriteString(f, "tail")
	if err := f.Commit(); err != nil {
		t.Fatal(err)
	}
	holds(t, dir, map[string]string{"a.txt": "headbodytail"})
}

func TestSpecialTargets(t *testing.T) {
	dir := t.TempDir()
	real := filepath.Join(dir, "real")
	link := filepath.Join(dir, "link")
	if err := os.Symlink("real", link); err != nil {
		t.Skip("no symbolic links here:", err)
	}
	if _, err := Create(link); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a dangling link: %v", err)
	}
	os.WriteFile(real, []byte("old"), 0o666)
	if err := Write(link, func(w io.Writer) error { _, err := io.WriteString(w, "new"); return err }); err != nil {
		t.Fatal(err)
	}
	holds(t, dir, map[string]string{"real": "new", "link": "new"})
	if info, _ := os.Lstat(link); info.Mode()&fs.ModeSymlink == 0 {
		t.Error("the link was replaced by a file")
	}
	for _, path := range []string{dir, os.DevNull} {
		if _, err := Create(path); !errors.Is(err, fault.Invalid) {
			t.Errorf("Create(%s): %v", path, err)
		}
	}
	if _, err := Create(filepath.Join(dir, "missing", "a")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a missing directory: %v", err)
	}
}

// A sync under way while more is written changes nothing, and what it came to
// is not lost.
func TestSyncWhileWriting(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	f, err := Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Abort()
	var want []byte
	for i := range 5 {
		f.written = syncEvery - 1 // as if so much had been written
		part := bytes.Repeat([]byte{byte(i)}, 100<<10)
		if _, err := f.Write(part); err != nil {
			t.Fatal(err)
		}
		if f.syncing == nil {
			t.Fatal("no sync began")
		}
		want = append(want, part...)
	}
	if err := f.Commit(); err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(path); err != nil || !bytes.Equal(got, want) {
		t.Errorf("%d bytes (%v), want %d", len(got), err, len(want))
	}

	broken := errors.New("broken disk")
	if f, err = Create(path); err != nil {
		t.Fatal(err)
	}
	defer f.Abort()
	f.syncing = make(chan error, 1)
	f.syncing <- broken
	if err := f.Commit(); !errors.Is(err, broken) {
		t.Errorf("after a failed sync Commit says %v", err)
	}
	if got, _ := os.ReadFile(path); !bytes.Equal(got, want) {
		t.Error("the target is not what it was")
	}
}
