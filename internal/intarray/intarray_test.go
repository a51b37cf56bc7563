package intarray

import (
	"errors"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/gradus-ml/gradus/internal/fault"
	"github.com/gradus-ml/gradus/internal/npy"
	"pgregory.net/rapid"
)

func elements(width int) *rapid.Generator[[]int64] {
	largest := int64(math.MaxInt64)
	if width == 4 {
		largest = math.MaxUint32
	}
	return rapid.SliceOf(rapid.Int64Range(0, largest))
}

func expect(t interface{ Fatalf(string, ...any) }, a *Array, width int, want []int64) {
	if a.Len() != int64(len(want)) || a.Width() != width {
		t.Fatalf("%d elements of %d bytes, want %d of %d", a.Len(), a.Width(), len(want), width)
	}
	for i, v := range want {
		if got := a.At(int64(i)); got != v {
			t.Fatalf("element %d is %d, want %d", i, got, v)
		}
	}
	a.Release()
	for i, v := range want {
		if got := a.At(int64(i)); got != v {
			t.Fatalf("after Release element %d is %d, want %d", i, got, v)
		}
	}
}

// holds fails unless a directory holds the named files and no others.
func holds(t *testing.T, dir string, want ...string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range entries {
		got = append(got, e.Name())
	}
	if strings.Join(got, " ") != strings.Join(want, " ") {
		t.Errorf("the directory holds %q, want %q", got, want)
	}
}

// What is appended or set is what is read, and what a file opened again has.
func TestRoundTrip(t *testing.T) {
	temp := t.TempDir()
	t.Setenv("TMPDIR", temp)
	dir := t.TempDir()
	rapid.Check(t, func(t *rapid.T) {
		width := rapid.SampledFrom([]int{4, 8}).Draw(t, "width")
		want := elements(width).Draw(t, "elements")
		path := rapid.SampledFrom([]string{"", filepath.Join(dir, "a.npy")}).Draw(t, "path")
		var a *Array
		if rapid.Bool().Draw(t, "appended") {
			w, err := Append(path, width)
			if err != nil {
				t.Fatal(err)
			}
			cut := rapid.IntRange(0, len(want)).Draw(t, "cut")
			if err := errors.Join(w.Append(want[:cut]...), w.Append(want[cut:]...)); err != nil || w.Len() != int64(len(want)) {
				t.Fatal(w.Len(), err)
			}
			a, err = w.Finish()
			if err != nil {
				t.Fatal(err)
			}
			w.Abort() // must not touch what is finished
		} else {
			w, err := New(path, width, int64(len(want)))
			if err != nil {
				t.Fatal(err)
			}
			for i := len(want) - 1; i >= 0; i-- {
				if w.At(int64(i)) != 0 {
					t.Fatal("an element begins as", w.At(int64(i)))
				}
				if w.Set(int64(i), want[i]); w.At(int64(i)) != want[i] {
					t.Fatal("an element set is not set")
				}
			}
			a, err = w.Finish()
			if err != nil {
				t.Fatal(err)
			}
			w.Abort()
		}
		defer a.Close()
		expect(t, a, width, want)
		if path == "" {
			return
		}
		again, err := Open(path)
		if err != nil {
			t.Fatal(err)
		}
		defer again.Close()
		expect(t, again, width, want)
	})
	holds(t, temp)
}

// More than a buffer, and than a page, from many goroutines.
func TestLarge(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	const n = 100_000
	app, err := Append("", 4)
	if err != nil {
		t.Fatal(err)
	}
	w, err := New("", 8, n)
	if err != nil {
		t.Fatal(err)
	}
	var done sync.WaitGroup
	for k := range int64(4) {
		done.Go(func() {
			for i := k; i < n; i += 4 {
				w.Set(i, i*i)
			}
		})
	}
	for i := range int64(n) {
		if err := app.Append(i); err != nil {
			t.Fatal(err)
		}
	}
	done.Wait()
	a, errA := app.Finish()
	b, errB := w.Finish()
	if err := errors.Join(errA, errB); err != nil {
		t.Fatal(err)
	}
	for i := range int64(n) {
		if a.At(i) != i || b.At(i) != i*i {
			t.Fatalf("element %d: %d and %d", i, a.At(i), b.At(i))
		}
	}
	for range 2 {
		if err := errors.Join(a.Close(), b.Close()); err != nil {
			t.Error(err)
		}
	}
}

// A file of no name has none from the start, so that a killed process leaves
// nothing; one with a name is whole or not there.
func TestNothingIsLeft(t *testing.T) {
	temp, dir := t.TempDir(), t.TempDir()
	t.Setenv("TMPDIR", temp)
	for _, path := range []string{"", filepath.Join(dir, "a.npy")} {
		w, err := New(path, 4, 1000)
		if err != nil {
			t.Fatal(err)
		}
		a, err := Append(path, 4)
		if err != nil {
			t.Fatal(err)
		}
		holds(t, temp)
		w.Abort()
		a.Abort()
		holds(t, dir)
		if _, err := w.Finish(); err == nil {
			t.Error("an aborted Writer finishes")
		}
		if err := a.Append(1); err == nil {
			t.Error("an aborted Appender appends")
		}
		if _, err := a.Finish(); err == nil {
			t.Error("an aborted Appender finishes")
		}
	}
	if _, err := New(filepath.Join(dir, "none", "a.npy"), 4, 1); err == nil {
		t.Error("a file in a directory that is not there")
	}
}

func TestRefuses(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	for _, c := range []struct {
		width int
		n     int64
	}{{2, 1}, {0, 1}, {4, -1}, {8, math.MaxInt64 / 8}, {4, math.MaxInt64}} {
		if _, err := New("", c.width, c.n); err == nil {
			t.Errorf("%d elements of %d bytes", c.n, c.width)
		}
	}
	panics := func(name string, do func()) {
		t.Helper()
		defer func() {
			if recover() == nil {
				t.Error(name, "does not panic")
			}
		}()
		do()
	}
	for _, width := range []int{4, 8} {
		w, err := New("", width, 1)
		if err != nil {
			t.Fatal(err)
		}
		defer w.Abort()
		a, err := Append("", width)
		if err != nil {
			t.Fatal(err)
		}
		defer a.Abort()
		panics("-1", func() { w.Set(0, -1) })
		panics("-1 appended", func() { a.Append(-1) })
		panics("beyond the end", func() { w.Set(1, 0) })
		if width == 4 {
			panics("2^32", func() { w.Set(0, 1<<32) })
			panics("2^32 appended", func() { a.Append(1 << 32) })
		}
	}
	if Width(0) != 4 || Width(1<<32-1) != 4 || Width(1<<32) != 8 {
		t.Error("Width")
	}
}

func TestOpenRefuses(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.npy")
	for _, c := range []struct {
		name, content string
		kind          error
		say           string
	}{
		{"empty", "", fault.Corrupt, "not a .npy"},
		{"floats", string(npy.Header(npy.Float64, 1)) + "12345678", fault.Invalid, "<u8"},
		{"signed", string(npy.Header(npy.Int64, 1)) + "12345678", fault.Invalid, "<u8"},
		{"bytes", string(npy.Header(npy.Uint8, 8)) + "12345678", fault.Invalid, "<u8"},
		{"cut", string(npy.Header(npy.Uint64, 2)) + "12345678", fault.Corrupt, "promised"},
		{"square", "\x93NUMPY\x01\x00\x3a\x00{'descr': '<u4', 'fortran_order': False, 'shape': (1, 2)}\n12345678", fault.Invalid, "2 dimensions"},
		{"crooked", "\x93NUMPY\x01\x00\x37\x00{'descr': '<u4', 'fortran_order': False, 'shape': (2,)}12345678", fault.Invalid, "multiple of 4"},
	} {
		if err := os.WriteFile(path, []byte(c.content), 0o666); err != nil {
			t.Fatal(err)
		}
		_, err := Open(path)
		if !errors.Is(err, c.kind) || !strings.Contains(err.Error(), c.say) || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

func TestHeaderHasOneLength(t *testing.T) {
	for _, width := range []int{4, 8} {
		for _, n := range []int64{0, 1, 1e9, math.MaxInt64} {
			if len(header(width, n)) != len(header(width, 0)) {
				t.Errorf("a header of %d bytes for %d elements, of %d for none", len(header(width, n)), n, len(header(width, 0)))
			}
		}
	}
}

func TestNumPy(t *testing.T) {
	python, err := exec.LookPath("python3")
	if err != nil || exec.Command(python, "-c", "import numpy").Run() != nil {
		t.Skip("there is no python3 with numpy")
	}
	dir := t.TempDir()
	for name, width := range map[string]int{"a.npy": 4, "b.npy": 8} {
		a, err := Append(filepath.Join(dir, name), width)
		if err == nil {
			err = a.Append(3, 1, 2)
		}
		if err != nil {
			t.Fatal(err)
		}
		if array, err := a.Finish(); err != nil {
			t.Fatal(err)
		} else {
			array.Close()
		}
	}
	script := exec.Command(python, "-c", `
import numpy as np
for name, dtype in ("a.npy", np.uint32), ("b.npy", np.uint64):
    a = np.load(name, mmap_mode="r")
    assert a.dtype == dtype and a.tolist() == [3, 1, 2], a
`)
	script.Dir = dir
	if out, err := script.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
}

func FuzzOpen(f *testing.F) {
	f.Add(append(npy.Header(npy.Uint32, 2), "12345678"...))
	f.Add(append(npy.Header(npy.Uint64, 1), "12345678"...))
	f.Add(npy.Header(npy.Uint64, 0))
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, content []byte) {
		path := filepath.Join(dir, "a.npy")
		if err := os.WriteFile(path, content, 0o666); err != nil {
			t.Fatal(err)
		}
		a, err := Open(path)
		if err != nil {
			if !errors.Is(err, fault.Corrupt) && !errors.Is(err, fault.Invalid) {
				t.Fatalf("an error of no kind: %v", err)
			}
			return
		}
		defer a.Close()
		if a.Len()*int64(a.Width()) > int64(len(content)) {
			t.Fatalf("%d elements in %d bytes", a.Len(), len(content))
		}
		for i := range a.Len() {
			a.At(i)
		}
	})
}
