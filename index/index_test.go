package index

import (
	"cmp"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/gradus-ml/gradus/corpus"
	"github.com/gradus-ml/gradus/internal/fault"
	"github.com/gradus-ml/gradus/internal/npy"
	"pgregory.net/rapid"
)

// testing.T and rapid.T alike.
type fataler interface {
	Helper()
	Fatal(...any)
	Fatalf(string, ...any)
}

// documents makes the samples of a corpus of n one-token documents.
func documents(t fataler, n int) *corpus.Samples {
	t.Helper()
	dir, err := os.MkdirTemp("", "index")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir) // the maps stay
	w, err := corpus.Create(filepath.Join(dir, "c"), corpus.Fit(257))
	if err != nil {
		t.Fatal(err)
	}
	defer w.Abort()
	for i := range n {
		if err := w.Append([]int32{int32(i % 257)}); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Commit(corpus.Meta{Tokenizer: "bytes", Vocabulary: 257, EndOfDocument: 256}); err != nil {
		t.Fatal(err)
	}
	c, err := corpus.Open(filepath.Join(dir, "c"))
	if err != nil {
		t.Fatal(err)
	}
	s, err := c.Samples(corpus.Cut{Documents: true})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// column is what build writes.
type column struct {
	name   string
	whole  bool
	values []float64

	descending bool
}

func build(dir string, s *corpus.Samples, force bool, workers int, columns ...column) error {
	return buildWithin(dir, s, force, workers, 0, columns...)
}

func buildWithin(dir string, s *corpus.Samples, force bool, workers int, memory int64, columns ...column) error {
	head, err := HeadOf(s)
	if err != nil {
		return err
	}
	w, err := Create(dir, head, force)
	if err != nil {
		return err
	}
	defer w.Abort()
	for _, c := range columns {
		m := c.metric()
		v, err := w.Values(m)
		if err != nil {
			return err
		}
		half := len(c.values) / 2 // the later half first: the order does not matter
		if err := errors.Join(v.WriteAt(c.values[half:], int64(half)), v.WriteAt(c.values[:half], 0), v.Close()); err != nil {
			return err
		}
		if _, err := w.Finish(context.Background(), m, workers, memory); err != nil {
			return err
		}
	}
	kept, err := KeepStatistic(w.Dir(), "counts", 1, []byte("many"))
	if err != nil {
		return err
	}
	w.AddStatistic(kept)
	return w.Commit()
}

func (c column) metric() Metric {
	m := Metric{Name: c.name, Version: 1, Unit: "things", DType: Real, Descending: c.descending}
	if c.whole {
		m.DType = Whole
	}
	return m
}

func mustBuild(t fataler, dir string, s *corpus.Samples, workers int, columns ...column) {
	t.Helper()
	if err := build(dir, s, true, workers, columns...); err != nil {
		t.Fatal(err)
	}
}

func open(t fataler, dir string) *Index {
	t.Helper()
	x, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	return x
}

// prove opens an index, reads all of it and checks it.
func prove(dir string) error {
	x, err := Open(dir)
	if err != nil {
		return err
	}
	defer x.Close()
	for _, name := range x.Metrics() {
		c, err := x.Column(name)
		if err != nil {
			return err
		}
		for rank := range c.Len() {
			c.Value(c.At(rank))
		}
	}
	return x.Check(context.Background())
}

// little encodes values as a little-endian array holds them.
func little(values ...any) string {
	var b []byte
	for _, v := range values {
		b, _ = binary.Append(b, binary.LittleEndian, v)
	}
	return string(b)
}

const goldenHead = `{
  "version": 2,
  "corpus": {
    "paths": [
      "a/corpus"
    ],
    "fingerprint": "sha256:0123456789012345678901234567890123456789012345678901234567890123",
    "documents": 3,
    "tokens": 3,
    "tokenizer": "bytes",
    "vocabulary": 257,
    "end_of_document": 256
  },
  "cut": {
    "documents": true
  },
  "samples": 3,
  "metrics": [
    {
      "name": "length",
      "version": 2,
      "unit": "tokens",
      "dtype": "<i8",
      "values": {
        "file": "values/length.npy",
        "bytes": 152,
        "sha256": "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
      },
      "order": {
        "file": "order/length.npy",
        "bytes": 140,
        "sha256": "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
      },
      "min": 7,
      "max": 7,
      "mean": 7,
      "quantiles": [
`

// The manifest, byte for byte but for the digits of its checksum.
func TestManifestGolden(t *testing.T) {
	m := Manifest{
		Version: 2,
		Head:    Head{Corpus: Corpus{[]string{"a/corpus"}, "", "sha256:0123456789012345678901234567890123456789012345678901234567890123", 3, 3, "bytes", 257, 256}, Cut: corpus.Cut{Documents: true}, Samples: 3},
		Metrics: []Metric{{
			Name: "length", Version: 2, Unit: "tokens", DType: "<i8",
			Values: File{"values/length.npy", 152, strings.Repeat("a", 64)},
			Order:  File{"order/length.npy", 140, strings.Repeat("b", 64)},
			Min:    7, Max: 7, Mean: 7,
			Quantiles: slices.Repeat([]float64{7}, 101),
		}},
	}
	got, err := m.encode()
	if err != nil {
		t.Fatal(err)
	}
	want := goldenHead + strings.Repeat("        7,\n", 100) + "        7\n      ]\n    }\n  ],\n" +
		`  "checksum": "sha256:5f07022f49845ee822573682b6449995bba4e890f50998ade601e35af38157d2"` + "\n}\n"
	if diff := gocmp.Diff(want, string(got)); diff != "" {
		t.Error(diff)
	}
	back, err := parseManifest("manifest.json", got)
	if err != nil {
		t.Fatal(err)
	}
	if diff := gocmp.Diff(m, back); diff != "" {
		t.Error(diff)
	}
	var plain map[string]any // any reader of JSON takes it, checksum and all
	if err := json.Unmarshal(got, &plain); err != nil || plain["checksum"] == nil {
		t.Error(err)
	}
}

// The arrays of a small index, byte for byte.
func TestArraysGolden(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "x")
	mustBuild(t, dir, documents(t, 4), 1,
		column{name: "length", whole: true, values: []float64{3, 1, 3, -2}},
		column{name: "rarity", whole: false, values: []float64{0.5, math.Copysign(0, -1), -1, 0}})
	head := func(descr string) string {
		dict := "{'descr': '" + descr + "', 'fortran_order': False, 'shape': (4,), }"
		return "\x93NUMPY\x01\x00\x76\x00" + dict + strings.Repeat(" ", 117-len(dict)) + "\n"
	}
	for name, want := range map[string]string{
		"values/length.npy": head("<i8") + little(int64(3), int64(1), int64(3), int64(-2)),
		"order/length.npy":  head("<u4") + little(uint32(3), uint32(1), uint32(0), uint32(2)),
		"values/rarity.npy": head("<f8") + little(0.5, 0.0, -1.0, 0.0),
		"order/rarity.npy":  head("<u4") + little(uint32(2), uint32(1), uint32(3), uint32(0)),
	} {
		got, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil || string(got) != want {
			t.Errorf("%s: %q, %v; want %q", name, got, err, want)
		}
	}
	x := open(t, dir)
	defer x.Close()
	if diff := gocmp.Diff([]string{"length", "rarity"}, x.Metrics()); diff != "" {
		t.Error(diff)
	}
	m := x.Manifest().Metrics[1]
	if m.Min != -1 || m.Max != 0.5 || m.Mean != -0.125 || m.Quantiles[50] != 0 || m.Quantiles[76] != 0.5 {
		t.Errorf("%+v", m)
	}
}

// An index holds what was appended, in the order of a plain sort, whatever the
// number of workers; Values, At and Quantile agree with it.
func TestAgainstNaive(t *testing.T) {
	samples := map[int]*corpus.Samples{}
	for _, n := range []int{1, 2, 99, 100, 101, 5000} {
		samples[n] = documents(t, n)
	}
	dir := filepath.Join(t.TempDir(), "x")
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.SampledFrom([]int{1, 2, 99, 100, 101, 5000}).Draw(t, "samples")
		few := rapid.SliceOfNDistinct(rapid.Float64Range(-1e9, 1e9), 1, 20, rapid.ID).Draw(t, "few")
		seed := rapid.Uint64().Draw(t, "seed")
		values := make([]float64, n)
		for i := range values {
			seed = seed*6364136223846793005 + 1442695040888963407 // Knuth's MMIX
			values[i] = few[seed>>33%uint64(len(few))]
		}
		whole := make([]float64, n)
		for i, v := range values {
			whole[i] = math.Round(v)
		}
		descending := rapid.Bool().Draw(t, "descending")
		if err := build(dir, samples[n], true, rapid.IntRange(1, 7).Draw(t, "workers"),
			column{"real", false, slices.Clone(values), descending}, column{"whole", true, slices.Clone(whole), descending}); err != nil {
			t.Fatal(err)
		}
		if err := prove(dir); err != nil {
			t.Fatal(err)
		}
		x := open(t, dir)
		defer x.Close()
		for name, values := range map[string][]float64{"real": values, "whole": whole} {
			c, err := x.Column(name)
			if err != nil {
				t.Fatal(err)
			}
			order := make([]int64, n)
			for i := range order {
				order[i] = int64(i)
			}
			slices.SortStableFunc(order, func(a, b int64) int {
				if descending {
					a, b = b, a
				}
				return cmp.Compare(values[a], values[b])
			})
			for rank, id := range order {
				if c.At(int64(rank)) != id || c.Value(id) != values[id] {
					t.Fatalf("%s: rank %d: sample %d, want %d", name, rank, c.At(int64(rank)), id)
				}
			}
			start := rapid.IntRange(0, n).Draw(t, "start")
			bulk := make([]float64, n-start)
			c.Values(bulk, int64(start))
			if !slices.Equal(bulk, values[start:]) {
				t.Fatalf("%s: values from %d differ", name, start)
			}
			// By the definition: the smallest value that at least percent of the
			// samples do not exceed.
			percent := float64(rapid.IntRange(0, 100).Draw(t, "percent"))
			rank := 0
			for float64(rank+1)*100 < percent*float64(n) {
				rank++
			}
			if got := c.Quantile(percent); got != values[order[rank]] {
				t.Fatalf("%s: quantile %v is %v, want %v", name, percent, got, values[order[rank]])
			}
		}
	})
}

func TestRank(t *testing.T) {
	for _, c := range []struct {
		percent float64
		n, want int64
	}{
		{0, 100, 0}, {1, 100, 0}, {7, 100, 6}, {7.01, 100, 7}, {50, 3, 1}, {100, 100, 99}, {1, 1, 0},
		{-5, 10, 0}, {500, 10, 9}, {math.NaN(), 10, 0}, {math.Inf(1), 10, 9}, {math.Inf(-1), 10, 0},
		{100, 1 << 40, 1<<40 - 1}, {25, 1 << 40, 1<<38 - 1},
	} {
		if got := rankOf(c.percent, c.n); got != c.want {
			t.Errorf("%v%% of %d: rank %d, want %d", c.percent, c.n, got, c.want)
		}
	}
}

// sorted sorts values in memory bytes and returns the ids.
func sorted[T id](ctx context.Context, t *testing.T, values []float64, descending bool, workers int, memory int64) ([]T, error) {
	m, dir := column{}.metric(), t.TempDir()
	v, err := OpenValues(filepath.Join(dir, "v"), m, 0, int64(len(values)))
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(v.WriteAt(values, 0), v.Close()); err != nil {
		t.Fatal(err)
	}
	f, err := openValues(filepath.Join(dir, "v"), m, int64(len(values)), os.O_RDWR)
	if err != nil {
		t.Fatal(err)
	}
	defer f.close()
	s := sorter[T]{f, descending, workers}
	var ids []T
	err = s.all(ctx, dir, memory, func(r run[T]) error {
		for i, key := range r.keys {
			if keyValue(key, descending) != values[r.ids[i]] {
				t.Fatalf("key of sample %d", r.ids[i])
			}
		}
		ids = append(ids, r.ids...)
		return nil
	})
	if left, _ := os.ReadDir(dir); len(left) != 1 {
		t.Errorf("left behind: %v", left)
	}
	return ids, err
}

// Ids of 64 bits take the same way as those of 32, and only need more samples
// than a test has; and runs merged from a file give what one run gives.
func TestSortInRuns(t *testing.T) {
	values := make([]float64, 5*leastRun+77)
	for i := range values {
		switch i % 4 { // many equal, many that differ in their last bits only, and some far away
		case 0:
			values[i] = math.Round(math.Sin(float64(i)) * float64(i%7))
		case 1:
			values[i] = 1 + float64(i*7919%1000)*0x1p-52
		case 2:
			values[i] = math.Sin(float64(i))
		default:
			values[i] = math.Ldexp(math.Cos(float64(i)), i%200-100)
		}
	}
	for _, descending := range []bool{false, true} {
		want, err := sorted[uint32](context.Background(), t, values, descending, 1, 1<<30)
		if err != nil {
			t.Fatal(err)
		}
		naive := make([]uint32, len(values))
		for i := range naive {
			naive[i] = uint32(i)
		}
		slices.SortStableFunc(naive, func(a, b uint32) int {
			if descending {
				a, b = b, a
			}
			return cmp.Compare(values[a], values[b])
		})
		if !slices.Equal(want, naive) {
			t.Fatal("not sorted")
		}
		for _, workers := range []int{1, 3} {
			narrow, err1 := sorted[uint32](context.Background(), t, values, descending, workers, 1)
			wide, err2 := sorted[uint64](context.Background(), t, values, descending, workers, 40*leastRun)
			if err1 != nil || err2 != nil {
				t.Fatal(err1, err2)
			}
			for i, id := range want {
				if narrow[i] != id || wide[i] != uint64(id) {
					t.Fatalf("rank %d: %d, %d in runs, %d wide", i, id, narrow[i], wide[i])
				}
			}
		}
	}
	if orderType(1<<32) != npy.Uint32 || orderType(1<<32+1) != npy.Uint64 {
		t.Error("the largest id of 2^32 samples is 2^32-1, and no more fits")
	}
	cancelled, cancel := context.WithCancel(context.Background())
	cancel()
	for _, memory := range []int64{1, 1 << 30} {
		if _, err := sorted[uint32](cancelled, t, values, false, 1, memory); !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	}
}

// The whole index is the same in little memory.
func TestLittleMemory(t *testing.T) {
	n := 3*leastRun + 5
	values := make([]float64, n)
	for i := range values {
		values[i] = float64(i * 7919 % 1000)
	}
	s, base := documents(t, n), t.TempDir()
	columns := []column{{"a", true, values, false}, {"b", false, values, true}}
	for memory, name := range map[int64]string{1: "little", 1 << 30: "much"} {
		if err := buildWithin(filepath.Join(base, name), s, false, 2, memory, columns...); err != nil {
			t.Fatal(err)
		}
		if err := prove(filepath.Join(base, name)); err != nil {
			t.Fatal(err)
		}
	}
	if diff := gocmp.Diff(tree(t, filepath.Join(base, "little")), tree(t, filepath.Join(base, "much"))); diff != "" {
		t.Error("the index depends on memory")
	}
}

func TestColumnUnknown(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "x")
	mustBuild(t, dir, documents(t, 2), 1, column{name: "length", whole: true, values: []float64{1, 2}})
	x := open(t, dir)
	defer x.Close()
	if _, err := x.Column("rarity"); !errors.Is(err, fault.Invalid) || !strings.Contains(err.Error(), "it has: length") {
		t.Error(err)
	}
}

func TestMatches(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "x")
	s := documents(t, 9)
	mustBuild(t, dir, s, 1, column{name: "length", whole: true, values: make([]float64, 9)})
	x := open(t, dir)
	defer x.Close()
	if err := x.Matches(s); err != nil {
		t.Error(err)
	}
	windows, err := s.Corpus().Samples(corpus.Cut{Window: 2})
	if err != nil {
		t.Fatal(err)
	}
	if err := x.Matches(windows); !errors.Is(err, fault.Mismatch) || !strings.Contains(err.Error(), "documents, not as window 2") {
		t.Error(err)
	}
	if err := x.Matches(documents(t, 10)); !errors.Is(err, fault.Mismatch) || !strings.Contains(err.Error(), "9 samples") {
		t.Error(err)
	}
	x.manifest.Corpus.Fingerprint = "sha256:" + strings.Repeat("0", 64)
	if err := x.Matches(s); !errors.Is(err, fault.Mismatch) || !strings.Contains(err.Error(), "fingerprint") {
		t.Error(err)
	}
}

// What we write NumPy maps, aligned and of the right types.
func TestNumPy(t *testing.T) {
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Skip("python3 is not installed")
	}
	if exec.Command(python, "-c", "import numpy").Run() != nil {
		t.Skip("python3 has no numpy")
	}
	dir := filepath.Join(t.TempDir(), "x")
	mustBuild(t, dir, documents(t, 3), 1,
		column{name: "length", whole: true, values: []float64{3, 1, 2}}, column{name: "rarity", whole: false, values: []float64{0.5, 0.25, 0.75}})
	script := exec.Command(python, "-c", `
import numpy as np
load = lambda name: np.load(name, mmap_mode="r")
for name, dtype, want in [
    ("values/length.npy", "<i8", [3, 1, 2]), ("order/length.npy", "<u4", [1, 2, 0]),
    ("values/rarity.npy", "<f8", [0.5, 0.25, 0.75]), ("order/rarity.npy", "<u4", [1, 0, 2])]:
    a = load(name)
    assert a.dtype == np.dtype(dtype) and a.flags.aligned and a.tolist() == want, (name, a)
`)
	script.Dir = dir
	if out, err := script.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}
