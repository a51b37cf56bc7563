package mmap

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gradus-ml/gradus/internal/fault"
)

func TestOpen(t *testing.T) {
	for _, want := range [][]byte{nil, []byte("x"), bytes.Repeat([]byte("page"), 5000)} {
		path := filepath.Join(t.TempDir(), "f")
		if err := os.WriteFile(path, want, 0o666); err != nil {
			t.Fatal(err)
		}
		m, err := Open(path)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(m.Bytes(), want) || m.Len() != len(want) || m.Info().Size() != int64(len(want)) {
			t.Errorf("a file of %d bytes maps to %d bytes", len(want), m.Len())
		}
		for range 2 {
			if err := m.Close(); err != nil {
				t.Error(err)
			}
		}
		if m.Len() != 0 {
			t.Error("bytes are left after Close")
		}
	}
}

// A map stays what it was when the file is replaced by a rename: the way every
// writer of this module replaces a file.
func TestReplacedFile(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "f")
	os.WriteFile(path, []byte("old"), 0o666)
	m, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	os.WriteFile(path+".new", []byte("new content"), 0o666)
	if err := os.Rename(path+".new", path); err != nil {
		t.Skip("cannot replace a mapped file here:", err)
	}
	if string(m.Bytes()) != "old" {
		t.Errorf("the map changed to %q", m.Bytes())
	}
}

func TestOpenRefuses(t *testing.T) {
	if _, err := Open(filepath.Join(t.TempDir(), "missing")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a missing file: %v", err)
	}
	if _, err := Open(t.TempDir()); err == nil {
		t.Error("a directory was mapped")
	}
}

// Reading past the map gives the same bytes, in pieces that are whole numbers.
func TestFillAndScan(t *testing.T) {
	content := make([]byte, 3*scanSize+13)
	for i := range content {
		content[i] = byte(i * i >> 7)
	}
	path := filepath.Join(t.TempDir(), "f")
	if err := os.WriteFile(path, content, 0o666); err != nil {
		t.Fatal(err)
	}
	m, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	size := int64(len(content))
	for _, k := range [][2]int64{{0, size}, {0, 0}, {size, size}, {5, 4}, {1, size}, {scanSize, 2 * scanSize}, {7, scanSize + 8}} {
		start, end := k[0], max(k[0], k[1])
		var got []byte
		err := m.Scan(k[0], k[1], func(piece []byte) error {
			if len(piece) == 0 || len(piece)%8 != 0 && start+int64(len(got)+len(piece)) != end {
				t.Errorf("%d to %d: a piece of %d bytes", k[0], k[1], len(piece))
			}
			got = append(got, piece...)
			return nil
		})
		if err != nil || !bytes.Equal(got, content[start:end]) {
			t.Errorf("%d to %d: %d bytes, %v", k[0], k[1], len(got), err)
		}
	}
	m.Release()
	if !bytes.Equal(m.Bytes(), content) {
		t.Error("Release has changed the bytes")
	}
	stop := errors.New("stop")
	if err := m.Scan(0, size, func([]byte) error { return stop }); err != stop {
		t.Errorf("an error is returned as %v", err)
	}
	// Behind the end, as it was and as it is.
	buf := make([]byte, 10)
	for _, offset := range []int64{size - 9, size, size + 100} {
		if err := m.Fill(buf, offset); !errors.Is(err, fault.Corrupt) || !strings.Contains(err.Error(), path) {
			t.Errorf("10 bytes from %d of %d: %v", offset, size, err)
		}
	}
	if err := os.Truncate(path, 20); err != nil {
		t.Skip("an open file cannot be cut here:", err)
	}
	if err := m.Fill(buf, 15); !errors.Is(err, fault.Corrupt) || !strings.Contains(err.Error(), "byte 20 is not there any more") {
		t.Errorf("a file cut short: %v", err)
	}
	if err := m.Scan(0, size, func([]byte) error { return nil }); !errors.Is(err, fault.Corrupt) {
		t.Errorf("a file cut short: %v", err)
	}
	if err := m.Fill(buf, 10); err != nil || !bytes.Equal(buf, content[10:20]) {
		t.Errorf("what is left of it: % x, %v", buf, err)
	}
}
