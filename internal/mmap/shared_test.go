package mmap

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
)

// What is written to a Shared is in the file, before what was there and with
// zeros in between.
func TestShare(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteString("begin"); err != nil {
		t.Fatal(err)
	}
	const size = 3 << 20
	s, err := Share(f, size)
	if err != nil {
		t.Fatal(err)
	}
	want := make([]byte, size)
	copy(want, "begin")
	if !bytes.Equal(s.Bytes(), want) {
		t.Fatal("the map does not begin as the file and go on in zeros")
	}
	for _, at := range []int{0, 4096, size - 1} {
		s.Bytes()[at], want[at] = 'x', 'x'
	}
	s.Release()
	for range 2 {
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if s.Bytes() != nil {
		t.Error("bytes are left after Close")
	}
	got, err := os.ReadFile(path)
	if err != nil || !bytes.Equal(got, want) {
		t.Error("the file does not hold what was written to the map", err)
	}

	// A shorter map leaves what is behind it.
	if s, err = Share(f, 1); err != nil {
		t.Fatal(err)
	}
	s.Bytes()[0] = 'y'
	want[0] = 'y'
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if got, err = os.ReadFile(path); err != nil || !bytes.Equal(got, want) {
		t.Error("a shorter map changes more than its bytes", err)
	}
}

func TestShareRefuses(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	if err := os.WriteFile(path, []byte("text"), 0o666); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := Share(f, -1); err == nil {
		t.Error("a map of -1 bytes")
	}
	if _, err := Share(f, 8); err == nil {
		t.Error("a file that is open for reading only was mapped for writing")
	}
	if s, err := Share(f, 0); err != nil || s.Close() != nil {
		t.Error("an empty map", err)
	}
}
