package npy

import (
	"bytes"
	"errors"
	"io"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/gradus-ml/gradus/internal/fault"
	"pgregory.net/rapid"
)

// golden is a file of the float64 values 1.5 and -2, byte for byte. The header
// takes 10 + 54 = 64 bytes, so no element is out of line.
const golden = "\x93NUMPY\x01\x00\x76\x00" +
	"{'descr': '<f8', 'fortran_order': False, 'shape': (2,), }" +
	"            " + "            " + "            " + "            " + "            " + "\n" +
	"\x00\x00\x00\x00\x00\x00\xf8\x3f" +
	"\x00\x00\x00\x00\x00\x00\x00\xc0"

func TestGolden(t *testing.T) {
	var b bytes.Buffer
	w, err := NewWriter(&b, Float64, 2)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(w.Floats([]float64{1.5, -2}), w.Close()); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(golden, b.String()); diff != "" {
		t.Error(diff)
	}
	a, err := Parse("golden.npy", []byte(golden))
	if err != nil {
		t.Fatal(err)
	}
	got := make([]float64, 2)
	a.Float64s(got, 0)
	if a.DType() != Float64 || a.Len() != 2 || got[0] != 1.5 || got[1] != -2 {
		t.Errorf("%v, %d elements: %v", a.DType(), a.Len(), got)
	}
}

func TestRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		ids := rapid.SliceOf(rapid.Uint32()).Draw(t, "ids")
		floats := rapid.SliceOf(rapid.Float64()).Draw(t, "floats")
		whole := rapid.SliceOf(rapid.Int64Range(-1<<53, 1<<53)).Draw(t, "whole")
		asFloats := make([]float64, len(whole))
		for i, v := range whole {
			asFloats[i] = float64(v)
		}
		for _, dtype := range []DType{Uint32, Uint64} {
			a := stream(t, dtype, len(ids), func(w *Writer) error { return IDs(w, ids) })
			for i, id := range ids {
				if a.Int64(int64(i)) != int64(id) {
					t.Fatalf("id %d: %d, want %d", i, a.Int64(int64(i)), id)
				}
			}
		}
		for dtype, values := range map[DType][]float64{Float64: floats, Int64: asFloats} {
			a := stream(t, dtype, len(values), func(w *Writer) error { return w.Floats(values) })
			got := make([]float64, len(values))
			a.Float64s(got, 0)
			for i, v := range values {
				if math.Float64bits(got[i]) != math.Float64bits(v) || math.Float64bits(a.Float64(int64(i))) != math.Float64bits(v) {
					t.Fatalf("%v value %d: %v, want %v", dtype, i, got[i], v)
				}
			}
		}
	})
}

func stream(t *rapid.T, dtype DType, n int, fill func(*Writer) error) Array {
	var b bytes.Buffer
	w, err := NewWriter(&b, dtype, int64(n))
	if err == nil {
		err = errors.Join(fill(w), w.Close())
	}
	if err != nil {
		t.Fatal(err)
	}
	if head := b.Len() - n*dtype.Size(); head%64 != 0 {
		t.Fatalf("the elements start at offset %d", head)
	}
	a, err := Parse("array", b.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// Every type is read as its bytes say, by all three ways of reading.
func TestTypes(t *testing.T) {
	for _, c := range []struct {
		dtype DType
		bytes string
		want  float64
	}{
		{Uint8, "\xfe", 254},
		{Int8, "\xfe", -2},
		{Uint16, "\xfe\xff", 65534},
		{Int16, "\xfe\xff", -2},
		{Uint32, "\xfe\xff\xff\xff", 1<<32 - 2},
		{Int32, "\xfe\xff\xff\xff", -2},
		{Uint64, "\x00\xf8\xff\xff\xff\xff\xff\xff", 1<<64 - 2048},
		{Int64, "\xfe\xff\xff\xff\xff\xff\xff\xff", -2},
		{Float32, "\x00\x00\x40\xc0", -3},
		{Float64, "\x00\x00\x00\x00\x00\x00\x08\xc0", -3},
	} {
		a, err := Parse("a", append(Header(c.dtype, 2), c.bytes+c.bytes...))
		if err != nil {
			t.Fatal(err)
		}
		got := make([]float64, 1)
		a.Float64s(got, 1)
		if a.Float64(1) != c.want || got[0] != c.want {
			t.Errorf("%v: %v and %v, want %v", c.dtype, a.Float64(1), got[0], c.want)
		}
		if c.dtype != Uint64 && a.Int64(1) != int64(c.want) {
			t.Errorf("%v: %v, want %v", c.dtype, a.Int64(1), int64(c.want))
		}
	}
}

// Headers of other writers: versions 2 and 3, other padding, Python 2's L.
func TestParseForeign(t *testing.T) {
	for _, file := range []string{
		"\x93NUMPY\x02\x00\x39\x00\x00\x00{'descr': '<i2', 'fortran_order': False, 'shape': (1,), }\x07\x00",
		"\x93NUMPY\x03\x00\x39\x00\x00\x00{'descr': '<i2', 'fortran_order': False, 'shape': (1,), }\x07\x00",
		"\x93NUMPY\x01\x00\x37\x00{'shape':(1L,),'fortran_order':True,\"descr\":\"<i2\"}    \n\x07\x00",
	} {
		a, err := Parse("a.npy", []byte(file))
		if err != nil || a.Len() != 1 || a.Int64(0) != 7 {
			t.Errorf("%q: %v", file, err)
		}
	}
}

func TestParseHostile(t *testing.T) {
	file := func(dict, data string) string {
		return "\x93NUMPY\x01\x00" + string([]byte{byte(len(dict)), byte(len(dict) >> 8)}) + dict + data
	}
	for _, c := range []struct {
		name, file string
		kind       error
		say        string
	}{
		{"empty", "", fault.Corrupt, "not a .npy file"},
		{"foreign", "PK\x03\x04 something else", fault.Corrupt, "not a .npy file"},
		{"version", "\x93NUMPY\x09\x00\x00\x00", fault.Corrupt, "version 9"},
		{"cut in the length", "\x93NUMPY\x02\x00\x00\x00", fault.Corrupt, "offset 8"},
		{"huge header", "\x93NUMPY\x02\x00\xff\xff\xff\xff", fault.Corrupt, "offset 8"},
		{"cut in the header", "\x93NUMPY\x01\x00\xff\x00{", fault.Corrupt, "only 1 more"},
		{"no dict", file("[1, 2]", ""), fault.Corrupt, `"{" expected`},
		{"open string", file("{'descr", ""), fault.Corrupt, "a string expected"},
		{"missing key", file("{'descr': '<f8', 'shape': (0,)}", ""), fault.Corrupt, "fortran_order"},
		{"key twice", file("{'descr': '<f8', 'descr': '<f8'}", ""), fault.Corrupt, "twice"},
		{"unknown key", file("{'order': '<f8'}", ""), fault.Corrupt, "unknown key"},
		{"behind", file("{'descr': '<f8', 'fortran_order': False, 'shape': (0,)} 7", ""), fault.Corrupt, "behind"},
		{"huge shape", file("{'descr': '<f8', 'fortran_order': False, 'shape': (99999999999999999999,)}", ""), fault.Corrupt, "a dimension expected"},
		{"overflow", file("{'descr': '<f8', 'fortran_order': False, 'shape': (2305843009213693952,)}", ""), fault.Corrupt, "promised"},
		{"negative", file("{'descr': '<f8', 'fortran_order': False, 'shape': (-1,)}", ""), fault.Corrupt, "a dimension expected"},
		{"cut in the data", golden[:len(golden)-1], fault.Corrupt, "15 bytes follow"},
		{"data behind", golden + "x", fault.Corrupt, "17 bytes follow"},
		{"two dimensions", file("{'descr': '<f8', 'fortran_order': False, 'shape': (1, 1)}", "12345678"), fault.Invalid, "2 dimensions"},
		{"big-endian", file("{'descr': '>f8', 'fortran_order': False, 'shape': (1,)}", "12345678"), fault.Invalid, "little-endian"},
		{"objects", file("{'descr': '|O', 'fortran_order': False, 'shape': (1,)}", "12345678"), fault.Invalid, "little-endian"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := Parse("x.npy", []byte(c.file))
			if !errors.Is(err, c.kind) || !strings.Contains(err.Error(), c.say) || !strings.HasPrefix(err.Error(), "x.npy: ") {
				t.Errorf("%v", err)
			}
		})
	}
}

// Shapes of any number of dimensions, and products that overflow.
func TestLayouts(t *testing.T) {
	for _, c := range []struct {
		shape string
		bytes int
		want  []int64 // nil: refused
	}{
		{"()", 2, []int64{}}, {"(3,)", 6, []int64{3}}, {"(3, 2)", 12, []int64{3, 2}}, {"(2, 1, 2)", 8, []int64{2, 1, 2}},
		{"(0, 9223372036854775807)", 0, []int64{0, 1<<63 - 1}}, {"(9223372036854775807, 0, 9223372036854775807)", 0, []int64{1<<63 - 1, 0, 1<<63 - 1}},
		{"()", 0, nil}, {"(3, 2)", 13, nil}, {"(3, 2)", 10, nil}, {"(0,)", 2, nil},
		{"(4294967296, 4294967296)", 0, nil}, {"(4611686018427387905, 4)", 8, nil}, {"(9223372036854775807, 9223372036854775807)", 2, nil},
	} {
		for _, fortran := range []bool{false, true} {
			dict := "{'descr': '<u2', 'fortran_order': False, 'shape': " + c.shape + "}"
			if fortran {
				dict = strings.Replace(dict, "False", "True", 1)
			}
			file := append([]byte("\x93NUMPY\x01\x00"+string([]byte{byte(len(dict)), 0})+dict), make([]byte, c.bytes)...)
			l, err := ParseLayout("x.npy", file)
			if c.want == nil {
				if !errors.Is(err, fault.Corrupt) || !strings.Contains(err.Error(), "promised") {
					t.Errorf("%s in %d bytes: %v", c.shape, c.bytes, err)
				}
				continue
			}
			if want := (Layout{Uint16, c.want, fortran, int64(10 + len(dict))}); err != nil || !cmp.Equal(l, want) {
				t.Errorf("%s in %d bytes: %+v, %v", c.shape, c.bytes, l, err)
			}
		}
	}
}

func TestWriterRefuses(t *testing.T) {
	open := func(dtype DType, n int64) *Writer {
		w, err := NewWriter(io.Discard, dtype, n)
		if err != nil {
			t.Fatal(err)
		}
		return w
	}
	for name, err := range map[string]error{
		"too many":       open(Float64, 1).Floats([]float64{1, 2}),
		"too few":        open(Float64, 1).Close(),
		"fraction":       open(Int64, 1).Floats([]float64{0.5}),
		"NaN":            open(Int64, 1).Floats([]float64{math.NaN()}),
		"beyond 2^53":    open(Int64, 1).Floats([]float64{1 << 54}),
		"float as id":    open(Uint32, 1).Floats([]float64{1}),
		"id as float":    IDs(open(Float64, 1), []uint32{1}),
		"id beyond 2^32": IDs(open(Uint32, 1), []uint64{1 << 32}),
	} {
		if err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if _, err := NewWriter(io.Discard, Invalid, 1); err == nil {
		t.Error("an array of no type")
	}
	if _, err := NewWriter(io.Discard, Float64, -1); err == nil {
		t.Error("an array of -1 elements")
	}
}

// What we write NumPy maps, and what NumPy writes we read.
func TestNumPy(t *testing.T) {
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Skip("python3 is not installed")
	}
	if exec.Command(python, "-c", "import numpy").Run() != nil {
		t.Skip("python3 has no numpy")
	}
	dir := t.TempDir()
	ours := append(Header(Uint32, 3), "\x01\x00\x00\x00\x02\x00\x00\x00\x03\x00\x00\x00"...)
	if err := os.WriteFile(filepath.Join(dir, "ours.npy"), ours, 0o644); err != nil {
		t.Fatal(err)
	}
	script := exec.Command(python, "-c", `
import numpy as np
a = np.load("ours.npy", mmap_mode="r")
assert a.dtype == np.uint32 and a.flags.aligned and a.tolist() == [1, 2, 3], a
np.save("theirs.npy", np.array([-7, 8], dtype=np.int64))
np.save("same.npy", a)
`)
	script.Dir = dir
	if out, err := script.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	theirs, err := os.ReadFile(filepath.Join(dir, "theirs.npy"))
	if err != nil {
		t.Fatal(err)
	}
	a, err := Parse("theirs.npy", theirs)
	if err != nil || a.DType() != Int64 || a.Len() != 2 || a.Int64(0) != -7 || a.Int64(1) != 8 {
		t.Errorf("%v: %v", a, err)
	}
	same, err := os.ReadFile(filepath.Join(dir, "same.npy"))
	if err != nil || !bytes.Equal(same, ours) {
		t.Errorf("NumPy writes %q, we %q (%v)", same, ours, err)
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(golden))
	f.Add([]byte("\x93NUMPY\x02\x00\x39\x00\x00\x00{'descr': '<i2', 'fortran_order': False, 'shape': (1,), }\x07\x00"))
	f.Add(Header(Uint8, 0))
	f.Add([]byte("\x93NUMPY\x01\x00\x1e\x00{'descr': '|O', 'shape': (1L,"))
	f.Add([]byte("\x93NUMPY\x01\x00\x3a\x00{'descr': '|u1', 'fortran_order': True, 'shape': (3, 2), }123456"))
	f.Fuzz(func(t *testing.T, file []byte) {
		if l, err := ParseLayout("fuzz.npy", file); err == nil {
			n := int64(len(file)) - l.Offset
			for _, d := range l.Shape {
				if d == 0 {
					n = 0
					break
				}
				n /= d
			}
			if n != int64(l.DType.Size()) && n != 0 {
				t.Fatalf("%+v in %d bytes", l, len(file))
			}
		}
		a, err := Parse("fuzz.npy", file)
		if err != nil {
			if !errors.Is(err, fault.Corrupt) && !errors.Is(err, fault.Invalid) {
				t.Fatalf("an error of no kind: %v", err)
			}
			return
		}
		if a.Len()*int64(a.DType().Size()) > int64(len(file)) {
			t.Fatalf("%d elements of %v in %d bytes", a.Len(), a.DType(), len(file))
		}
		for i := range a.Len() {
			a.Float64(i)
			a.Int64(i)
		}
		a.Float64s(make([]float64, a.Len()), 0)
	})
}
