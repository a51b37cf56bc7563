package picture

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gradus-ml/gradus/internal/fault"
	"pgregory.net/rapid"
)

// idxBytes writes an IDX file as its definition says.
func idxBytes(kind byte, dims []int, data []byte) []byte {
	raw := []byte{0, 0, kind, byte(len(dims))}
	for _, n := range dims {
		raw = binary.BigEndian.AppendUint32(raw, uint32(n))
	}
	return append(raw, data...)
}

func zipped(t testing.TB, raw []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := w.Write(raw); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// all reads every array of a file.
func all(name string) (*IDX, []byte, error) {
	x, err := OpenIDX(name)
	if err != nil {
		return nil, nil, err
	}
	defer x.Close()
	var data []byte
	one := make([]byte, x.bytes)
	for {
		err := x.Next(one)
		if errors.Is(err, io.EOF) {
			return x, data, nil
		}
		if err != nil {
			return x, data, err
		}
		data = append(data, one...)
	}
}

func TestIDX(t *testing.T) {
	name := filepath.Join(t.TempDir(), "x")
	rapid.Check(t, func(r *rapid.T) {
		dims := rapid.SliceOfN(rapid.IntRange(1, 6), 1, 4).Draw(r, "dims")
		dims[0] = rapid.IntRange(0, 5).Draw(r, "count")
		n := 1
		for _, d := range dims {
			n *= d
		}
		data := rapid.SliceOfN(rapid.Byte(), n, n).Draw(r, "data")
		raw := idxBytes(8, dims, data)
		if rapid.Bool().Draw(r, "gzip") {
			raw = zipped(t, raw)
		}
		if err := os.WriteFile(name, raw, 0o666); err != nil {
			r.Fatal(err)
		}
		x, got, err := all(name)
		if err != nil || x.Count != dims[0] || !slices.Equal(x.Dims, dims[1:]) || !bytes.Equal(got, data) {
			r.Fatalf("%v of %+v, %v", got, x, err)
		}
	})
}

func TestIDXMistakes(t *testing.T) {
	name := filepath.Join(t.TempDir(), "x")
	good := idxBytes(8, []int{2, 2, 2}, []byte("12345678"))
	for _, k := range []struct {
		raw  []byte
		kind error
		says string
	}{
		{nil, fault.Corrupt, "it has no head"},
		{[]byte("<html>"), fault.Corrupt, "an IDX file begins with 0000"},
		{idxBytes(8, nil, nil), fault.Corrupt, "an IDX file begins with 0000"},
		{idxBytes(0x0d, []int{1}, make([]byte, 4)), fault.Invalid, "numbers of type 0xd"},
		{idxBytes(8, []int{1, 1, 1, 1, 1}, nil), fault.Invalid, "5 dimensions"},
		{good[:10], fault.Corrupt, "its head is cut off"},
		{good[:len(good)-1], fault.Corrupt, "in array 1 of 2: unexpected EOF"},
		{append(slices.Clone(good), 9), fault.Corrupt, "more behind the last of 2 arrays"},
		{idxBytes(8, []int{1, 0, 4}, nil), fault.Corrupt, "dimension 1 is 0"},
		{idxBytes(8, []int{1, 1 << 20, 4}, nil), fault.Corrupt, "dimension 1 is 1048576"},
		{idxBytes(8, []int{1, 4096, 4096, 4096}, nil), fault.Corrupt, "at most 67108864 are read"},
		{idxBytes(8, []int{1 << 31, 4}, nil), fault.Corrupt, "it says that it has 2147483648 arrays"},
		{idxBytes(8, []int{1 << 30, 4, 4}, []byte("1234")), fault.Corrupt, "in array 0 of 1073741824"},
		{zipped(t, good)[:20], fault.Corrupt, ": "},
		{[]byte{0x1f, 0x8b, 3, 4}, fault.Corrupt, ": "},
	} {
		if err := os.WriteFile(name, k.raw, 0o666); err != nil {
			t.Fatal(err)
		}
		if _, _, err := all(name); !errors.Is(err, k.kind) || !strings.Contains(err.Error(), k.says) || !strings.Contains(err.Error(), name) {
			t.Errorf("%q: %v, want %q", k.raw, err, k.says)
		}
	}
}

func FuzzIDX(f *testing.F) {
	f.Add(idxBytes(8, []int{2, 2, 2}, []byte("12345678")))
	f.Add(idxBytes(8, []int{3}, []byte("123")))
	f.Add(zipped(f, idxBytes(8, []int{3}, []byte("123"))))
	name := filepath.Join(f.TempDir(), "x")
	f.Fuzz(func(t *testing.T, raw []byte) {
		if err := os.WriteFile(name, raw, 0o666); err != nil {
			t.Fatal(err)
		}
		x, data, err := all(name)
		if err != nil {
			if !errors.Is(err, fault.Corrupt) && !errors.Is(err, fault.Invalid) {
				t.Fatal(err)
			}
			return
		}
		again := idxBytes(8, append([]int{x.Count}, x.Dims...), data)
		if len(raw) > 1 && raw[0] == 0 && !bytes.Equal(again, raw) {
			t.Fatalf("read %q, written again it is %q", raw, again)
		}
	})
}
