package deepspeed

import (
	"encoding/binary"
	"errors"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gradus-ml/gradus/corpus"
	"github.com/gradus-ml/gradus/internal/fault"
	"pgregory.net/rapid"
)

// fataler is *testing.T or *rapid.T.
type fataler interface {
	Helper()
	Fatal(...any)
	Fatalf(string, ...any)
}

// The rows [5] and [6 7 8] of uint16, byte for byte: checked against DeepSpeed
// 0.19's own reader and writer.
const (
	goldenBin = "\x05\x00\x06\x00\x07\x00\x08\x00"
	goldenIdx = "MMIDIDX\x00\x00" + "\x01\x00\x00\x00\x00\x00\x00\x00" + "\x06" +
		"\x02\x00\x00\x00\x00\x00\x00\x00" + "\x02\x00\x00\x00\x00\x00\x00\x00" +
		"\x01\x00\x00\x00" + "\x03\x00\x00\x00" +
		"\x00\x00\x00\x00\x00\x00\x00\x00" + "\x02\x00\x00\x00\x00\x00\x00\x00" +
		"\x00\x00\x00\x00\x00\x00\x00\x00" + "\x02\x00\x00\x00\x00\x00\x00\x00"
)

// writeRows makes a dataset.
func writeRows(t fataler, prefix string, dtype corpus.DType, old bool, rows ...[]int64) {
	t.Helper()
	w, err := Create(prefix, dtype, old)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Abort()
	for _, row := range rows {
		if err := errors.Join(w.Append(row), w.EndRow()); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Commit(); err != nil {
		t.Fatal(err)
	}
}

// readRows reads a dataset back.
func readRows(t fataler, prefix string) [][]int64 {
	t.Helper()
	r, err := Open(prefix)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	rows := make([][]int64, r.Len())
	for i := range rows {
		start, end := r.Bounds(int64(i))
		rows[i] = make([]int64, end-start)
		if err := r.Read(rows[i], start); err != nil {
			t.Fatal(err)
		}
	}
	return rows
}

func read(t fataler, name string) string {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func write(t fataler, name, content string) {
	t.Helper()
	if err := os.WriteFile(name, []byte(content), 0o666); err != nil {
		t.Fatal(err)
	}
}

func TestGolden(t *testing.T) {
	prefix := filepath.Join(t.TempDir(), "x")
	writeRows(t, prefix, corpus.Uint16, false, []int64{5}, []int64{6, 7, 8})
	if bin, idx := read(t, prefix+".bin"), read(t, prefix+".idx"); bin != goldenBin || idx != goldenIdx {
		t.Errorf("%q\n%q", bin, idx)
	}
	writeRows(t, prefix, corpus.Uint16, true, []int64{5}, []int64{6, 7, 8})
	if bin, idx := read(t, prefix+".bin"), read(t, prefix+".idx"); bin != goldenBin || idx != goldenIdx[:17]+"\x08"+goldenIdx[18:] {
		t.Errorf("old codes: %q\n%q", bin, idx)
	}
	rows := readRows(t, prefix+".bin") // the name of a file does as well
	if !slices.EqualFunc(rows, [][]int64{{5}, {6, 7, 8}}, slices.Equal) {
		t.Errorf("%v", rows)
	}
}

// Every type, in both tables of codes, with its smallest and largest numbers.
func TestTypes(t *testing.T) {
	prefix := filepath.Join(t.TempDir(), "x")
	for dtype, c := range map[corpus.DType]struct {
		code, old byte
		low, high int64
	}{
		corpus.Uint8:  {1, 1, 0, math.MaxUint8},
		corpus.Int8:   {2, 2, math.MinInt8, math.MaxInt8},
		corpus.Int16:  {3, 3, math.MinInt16, math.MaxInt16},
		corpus.Int32:  {4, 4, math.MinInt32, math.MaxInt32},
		corpus.Int64:  {5, 5, math.MinInt64, math.MaxInt64},
		corpus.Uint16: {6, 8, 0, math.MaxUint16},
		corpus.Uint32: {7, 9, 0, math.MaxUint32},
		corpus.Uint64: {8, 10, 0, math.MaxInt64},
	} {
		for old, code := range map[bool]byte{false: c.code, true: c.old} {
			writeRows(t, prefix, dtype, old, []int64{c.low}, nil, []int64{c.high, c.low})
			if got := read(t, prefix+".idx")[codeAt]; got != code {
				t.Errorf("%s: code %d, want %d", dtype, got, code)
			}
			if rows := readRows(t, prefix); !slices.EqualFunc(rows, [][]int64{{c.low}, {}, {c.high, c.low}}, slices.Equal) {
				t.Errorf("%s: %v", dtype, rows)
			}
		}
		if Fit(c.low, c.high) != dtype {
			t.Errorf("%d to %d fit %s", c.low, c.high, Fit(c.low, c.high))
		}
		w, err := Create(prefix, dtype, false)
		if err != nil {
			t.Fatal(err)
		}
		for _, v := range []int64{c.low - 1, c.high + 1} {
			beyond := v < c.low || v > c.high // or int64 itself is at its end
			if err := w.Append([]int64{v}); beyond != errors.Is(err, fault.Invalid) && dtype != corpus.Int64 && dtype != corpus.Uint64 {
				t.Errorf("%s: %d: %v", dtype, v, err)
			}
		}
		if dtype == corpus.Uint64 && !errors.Is(w.Append([]int64{-1}), fault.Invalid) {
			t.Error("uint64 takes -1")
		}
		w.Abort()
	}
	if Fit(256, 256) != corpus.Uint16 || Fit(-129, 0) != corpus.Int16 || Fit(-1, 128) != corpus.Int16 || Fit(-1, 1<<31) != corpus.Int64 {
		t.Error("the next larger type is needed")
	}
	if _, err := Create(prefix, 0, false); !errors.Is(err, fault.Invalid) {
		t.Errorf("no type: %v", err)
	}
}

func TestRoundTrip(t *testing.T) {
	prefix := filepath.Join(t.TempDir(), "x")
	rapid.Check(t, func(t *rapid.T) {
		rows := rapid.SliceOfN(rapid.SliceOfN(rapid.Int64(), 0, 5), 0, 9).Draw(t, "rows")
		writeRows(t, prefix, corpus.Int64, rapid.Bool().Draw(t, "old"), rows...)
		if got := readRows(t, prefix); !slices.EqualFunc(got, rows, slices.Equal) {
			t.Fatalf("%v, want %v", got, rows)
		}
	})
}

// More rows than the writer's buffer holds, and a row longer than a piece.
func TestManyRows(t *testing.T) {
	prefix := filepath.Join(t.TempDir(), "x")
	long := make([]int64, 3*piece+1)
	for i := range long {
		long[i] = int64(i)
	}
	w, err := Create(prefix, corpus.Uint32, false)
	if err == nil {
		err = errors.Join(w.Singles(long), w.Append(long), w.EndRow(), w.Commit())
	}
	if err != nil {
		t.Fatal(err)
	}
	rows := readRows(t, prefix)
	for i, v := range long {
		if !slices.Equal(rows[i], []int64{v}) {
			t.Fatalf("row %d: %v", i, rows[i])
		}
	}
	if !slices.Equal(rows[len(long)], long) {
		t.Error("the long row differs")
	}
}

// Files that another writer merged repeat the end of the document index; ours
// that are damaged say where.
func TestOpenForeign(t *testing.T) {
	prefix := filepath.Join(t.TempDir(), "x")
	n := func(v uint64) string { return string(binary.LittleEndian.AppendUint64(nil, v)) }
	set := func(at int, s string) string { return goldenIdx[:at] + s + goldenIdx[at+len(s):] }
	merged := set(26, n(4)) + n(2) + n(2)
	none := goldenIdx[:18] + n(0) + n(0)
	for _, c := range []struct{ idx, bin, say string }{
		{goldenIdx, goldenBin, ""},
		{merged, goldenBin, ""},
		{none, "", ""},
		{"", goldenBin, "0 bytes are too few"},
		{goldenIdx[:33], goldenBin, "33 bytes are too few"},
		{"TNTIDX" + goldenIdx[6:], goldenBin, "begins with"},
		{set(9, n(2)), goldenBin, "version 2 at byte 9"},
		{set(17, "\x00"), goldenBin, "unknown type code 0 at byte 17"},
		{set(17, "\x0b"), goldenBin, "unknown type code 11 at byte 17"},
		{set(17, "\x07"), goldenBin, "x.bin: has 8 bytes"},
		{set(18, n(3)), goldenBin, "do not fit its 3 rows"},
		{set(18, n(1<<61)), goldenBin, "do not fit"},
		{set(26, n(1<<61)), goldenBin, "do not fit"},
		{set(18, n(1<<63)+n(1<<63)), goldenBin, "do not fit"},
		{goldenIdx + "\x00", goldenBin, "do not fit"},
		{set(34, "\xff\xff\xff\xff"), goldenBin, "row 0 has the length -1"},
		{set(34, "\xff\xff\xff\x7f\xff\xff\xff\x7f"), goldenBin, "row 0 ends at element 2147483647"},
		{set(42, n(1)), goldenBin, "row 0 is said to begin at byte 1"},
		{set(50, n(4)), goldenBin, "row 1 is said to begin at byte 4"},
		{goldenIdx, goldenBin[1:], "x.bin: has 7 bytes"},
		{goldenIdx, goldenBin + goldenBin, "x.bin: has 16 bytes"},
		{goldenIdx, goldenBin + goldenBin + goldenBin + goldenBin, "float64"},
	} {
		write(t, prefix+".idx", c.idx)
		write(t, prefix+".bin", c.bin)
		r, err := Open(prefix)
		if c.say == "" {
			if err != nil {
				t.Errorf("%q: %v", c.idx, err)
				continue
			}
			r.Close()
			continue
		}
		if kind := errors.Is(err, fault.Corrupt) || c.say == "float64" && errors.Is(err, fault.Mismatch); !kind || !strings.Contains(err.Error(), c.say) {
			t.Errorf("%q: %v, want %s", c.idx, err, c.say)
		}
	}
	if _, err := Open(prefix + "none"); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
	// 2^63 in a file of uint64 is a number that int64 has not.
	writeRows(t, prefix, corpus.Int64, false, []int64{1, math.MinInt64})
	write(t, prefix+".idx", strings.Replace(read(t, prefix+".idx"), "\x05", "\x08", 1))
	r, err := Open(prefix)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if err := r.Read(make([]int64, 2), 0); !errors.Is(err, fault.Corrupt) || !strings.Contains(err.Error(), "element 1 is 9223372036854775808") {
		t.Error(err)
	}
}

// What a writer leaves when it fails: nothing.
func TestWriterRefuses(t *testing.T) {
	dir := t.TempDir()
	prefix := filepath.Join(dir, "x")
	w, err := Create(prefix, corpus.Uint8, false)
	if err != nil {
		t.Fatal(err)
	}
	w.length = longestRow
	if err := w.Append([]int64{1}); !errors.Is(err, fault.Invalid) || !strings.Contains(err.Error(), "2147483647") {
		t.Errorf("a row too long: %v", err)
	}
	w.length = 1
	if err := w.Commit(); err == nil {
		t.Error("committed within a row")
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
	if _, err := Create(filepath.Join(dir, "none", "x"), corpus.Uint8, false); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
}

func TestSplit(t *testing.T) {
	for _, c := range []struct {
		start, end int64
		n          int
		want       []int64
	}{
		{5, 10, 8, []int64{5, 5, 6, 6, 7, 8, 8, 9, 10}},
		{0, 20, 4, []int64{0, 5, 10, 15, 20}},
		{0, 3, 5, []int64{0, 0, 1, 1, 2, 3}},
		{7, 7, 2, []int64{7, 7, 7}},
		{0, 1, 1, []int64{0, 1}},
	} {
		if got := Split(c.start, c.end, c.n); !slices.Equal(got, c.want) {
			t.Errorf("%d to %d in %d: %v, want %v", c.start, c.end, c.n, got, c.want)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		start := rapid.Int64Range(0, 1<<40).Draw(t, "start")
		end := start + rapid.Int64Range(0, 1<<40).Draw(t, "length")
		b := Split(start, end, rapid.IntRange(1, 300).Draw(t, "n"))
		if b[0] != start || b[len(b)-1] != end || !slices.IsSorted(b) {
			t.Fatalf("%v does not cut [%d, %d)", b, start, end)
		}
	})
}

// Any two files either open, and then every integer can be read, or are
// refused by kind.
func FuzzRows(f *testing.F) {
	f.Add([]byte(goldenIdx), []byte(goldenBin))
	f.Add([]byte(goldenIdx[:17]+"\x08"+goldenIdx[18:]), []byte(goldenBin))
	f.Add([]byte(goldenIdx[:17]+"\x08"+goldenIdx[18:]), []byte(goldenBin+goldenBin+goldenBin+goldenBin))
	f.Add([]byte(goldenIdx[:18]+strings.Repeat("\xff", 16)), []byte(goldenBin))
	f.Add([]byte(goldenIdx[:34]+strings.Repeat("\x00", 40)), []byte(""))
	f.Add([]byte(goldenIdx[:34]+"\xff\xff\xff\x7f\xff\xff\xff\x7f"+goldenIdx[42:]), []byte(goldenBin))
	f.Fuzz(func(t *testing.T, idx, bin []byte) {
		table, err := parse(idx, "x.idx", bin, "x.bin")
		if err != nil {
			if !errors.Is(err, fault.Corrupt) && !errors.Is(err, fault.Mismatch) {
				t.Fatal(err)
			}
			return
		}
		r := &Rows{prefix: "x", table: table}
		total := int64(0)
		for row := range r.Len() {
			start, end := r.Bounds(row)
			if start != total {
				t.Fatalf("row %d begins at %d, the one before ends at %d", row, start, total)
			}
			total = end
			values := make([]int64, end-start)
			if err := r.Read(values, start); err != nil && !errors.Is(err, fault.Corrupt) {
				t.Fatal(err)
			}
		}
		if total != r.Values() || total*r.DType().Size() != int64(len(bin)) {
			t.Fatalf("%d integers of %s in %d bytes", total, r.DType(), len(bin))
		}
	})
}
