package mmap

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
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
