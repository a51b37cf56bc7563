package deepspeed

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gradus-ml/gradus/corpus"
	"github.com/gradus-ml/gradus/index"
	"github.com/gradus-ml/gradus/internal/fault"
	"github.com/gradus-ml/gradus/metric"
)

// documents makes a corpus of n documents, one token each, as samples.
func documents(t *testing.T, n int) *corpus.Samples {
	t.Helper()
	prefix := filepath.Join(t.TempDir(), "text")
	w, err := corpus.Create(prefix, corpus.Uint8)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Abort()
	for i := range n {
		if err := w.Append([]int32{int32(i % 7)}); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Commit(corpus.Meta{Vocabulary: 9, EndOfDocument: -1}); err != nil {
		t.Fatal(err)
	}
	c, err := corpus.Open(prefix)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	s, err := c.Samples(corpus.Cut{Documents: true})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// column is a metric and the values of all samples.
type column struct {
	name   string
	whole  bool
	values []float64
	falls  bool // larger is easier
}

// makeIndex makes an index of the columns at dir, replacing what is there.
func makeIndex(t fataler, dir string, s *corpus.Samples, columns ...column) *index.Index {
	t.Helper()
	head, err := index.HeadOf(s)
	if err != nil {
		t.Fatal(err)
	}
	w, err := index.Create(dir, head, true)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Abort()
	for _, c := range columns {
		m := index.Metric{Name: c.name, Version: 1, Unit: "points", DType: index.Real, Descending: c.falls}
		if c.whole {
			m.DType = index.Whole
		}
		v, err := w.Values(m)
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(v.WriteAt(c.values, 0), v.Close()); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Finish(context.Background(), m, 1, 0); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Commit(); err != nil {
		t.Fatal(err)
	}
	return openIndex(t, dir)
}

func openIndex(t fataler, dir string) *index.Index {
	t.Helper()
	x, err := index.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	return x
}

// tree reads all files of a directory, by name.
func tree(t fataler, dir string) map[string]string {
	t.Helper()
	files := map[string]string{}
	if err := filepath.WalkDir(dir, func(path string, e os.DirEntry, err error) error {
		if err == nil && e.Type().IsRegular() {
			rel, _ := filepath.Rel(dir, path)
			files[filepath.ToSlash(rel)] = read(t, path)
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	return files
}

// Six samples, worked out by hand from the format's description. The values
// -300, 7 and 8 need int16; ids up to 5 a byte.
func TestExportByHand(t *testing.T) {
	dir := t.TempDir()
	x := makeIndex(t, filepath.Join(dir, "x"), documents(t, 6), column{name: "hard", whole: true, values: []float64{8, 7, -300, 8, 7, 8}})
	defer x.Close()
	out := filepath.Join(dir, "out")
	done, err := Export(context.Background(), x, out, ExportOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if want := (ExportedMetric{Name: "hard", Unit: "points", Min: -300, Max: 8, Distinct: 3, Scale: 1}); done.Samples != 6 || len(done.Metrics) != 1 || done.Metrics[0] != want {
		t.Errorf("%+v", done)
	}
	le := binary.LittleEndian
	num := func(v int) string { return string(le.AppendUint64(nil, uint64(v))) }
	header := func(code string, rows int) string {
		return "MMIDIDX\x00\x00" + num(1) + code + num(rows) + num(2)
	}
	one, two, three := "\x01\x00\x00\x00", "\x02\x00\x00\x00", "\x03\x00\x00\x00"
	want := map[string]string{
		"hard_sample_to_metric.bin":                  "\x08\x00" + "\x07\x00" + "\xd4\xfe" + "\x08\x00" + "\x07\x00" + "\x08\x00",
		"hard_sample_to_metric.idx":                  header("\x03", 6) + one + one + one + one + one + one + num(0) + num(2) + num(4) + num(6) + num(8) + num(10) + num(0) + num(6),
		"hard_index_to_metric.bin":                   "\xd4\xfe" + "\x07\x00" + "\x08\x00",
		"hard_index_to_metric.idx":                   header("\x03", 3) + one + one + one + num(0) + num(2) + num(4) + num(0) + num(3),
		"hard_index_to_sample.bin":                   "\x02" + "\x01\x04" + "\x00\x03\x05",
		"hard_index_to_sample.idx":                   header("\x01", 3) + one + two + three + num(0) + num(1) + num(3) + num(0) + num(3),
		"hard_index_to_sample_percentile_merged.bin": "\x02" + "\x01\x04" + "\x00\x03\x05",
		"hard_index_to_sample_percentile_merged.idx": header("\x01", 3) + one + two + three + num(0) + num(1) + num(3) + num(0) + num(3),
	}
	if got := tree(t, filepath.Join(out, "hard")); !maps.Equal(got, want) {
		t.Errorf("%q\nwant %q", got, want)
	}
	// The same with the codes of old: the types here had the same ones.
	if _, err := Export(context.Background(), x, out, ExportOptions{OldCodes: true, Force: true}); err != nil {
		t.Fatal(err)
	}
	if got := tree(t, filepath.Join(out, "hard")); !maps.Equal(got, want) {
		t.Errorf("old: %q", got)
	}
}

// The rows of the percentile file, by the number of distinct values: 2 samples
// each. The figures are those of DeepSpeed.
func TestPercentileRows(t *testing.T) {
	dir := t.TempDir()
	for _, c := range []struct{ distinct, rows, last int }{
		{1, 1, 2}, {99, 99, 2}, {100, 100, 2}, {199, 199, 2}, {200, 100, 4}, {250, 125, 4}, {3999, 103, 42},
	} {
		values := make([]float64, 2*c.distinct)
		for i := range values {
			values[i] = float64(i % c.distinct)
		}
		x := makeIndex(t, filepath.Join(dir, "x"), documents(t, len(values)), column{name: "hard", whole: true, values: values})
		done, err := Export(context.Background(), x, filepath.Join(dir, "out"), ExportOptions{Force: true})
		if err != nil {
			t.Fatal(err)
		}
		x.Close()
		rows := readRows(t, filepath.Join(dir, "out", "hard", "hard_index_to_sample_percentile_merged"))
		if done.Metrics[0].Distinct != int64(c.distinct) || len(rows) != c.rows || len(rows[len(rows)-1]) != c.last {
			t.Errorf("%d distinct values (%d): %d rows, the last of %d", c.distinct, done.Metrics[0].Distinct, len(rows), len(rows[len(rows)-1]))
		}
		files := tree(t, filepath.Join(dir, "out", "hard"))
		if files["hard_index_to_sample_percentile_merged.bin"] != files["hard_index_to_sample.bin"] {
			t.Errorf("%d distinct values: the samples stand in another order", c.distinct)
		}
	}
}

// analyzer is DeepSpeed's analyzer with its workers, threads, batches and CSV
// rows, as reference and not fast. It returns the .bin files.
func analyzer(values []int64, workers, threads, batch int) map[string]string {
	type part struct {
		values []int64
		csv    map[int64][][]int64 // rows of ids by value
	}
	var parts []part
	bounds := Split(0, int64(len(values)), workers)
	for w := range workers {
		inner := Split(bounds[w], bounds[w+1], threads)
		for t := range threads {
			p := part{csv: map[int64][][]int64{}}
			pending := map[int64][]int64{}
			for from := inner[t]; from < inner[t+1]; from += int64(batch) {
				for id := from; id < min(from+int64(batch), inner[t+1]); id++ {
					p.values = append(p.values, values[id])
					pending[values[id]] = append(pending[values[id]], id)
				}
				for v, ids := range pending {
					if len(ids) > 100 {
						p.csv[v] = append(p.csv[v], ids)
						delete(pending, v)
					}
				}
			}
			for v, ids := range pending {
				p.csv[v] = append(p.csv[v], ids)
			}
			parts = append(parts, p)
		}
	}
	var all, distinct, ids []int64
	rows := map[int64][]int64{}
	for _, p := range parts {
		all = append(all, p.values...)
		for v, lines := range p.csv {
			rows[v] = append(rows[v], slices.Concat(lines...)...)
		}
	}
	distinct = slices.Sorted(maps.Keys(rows))
	for _, v := range distinct {
		ids = append(ids, rows[v]...)
	}
	step := max(1, len(distinct)/100)
	var merged []int64
	for k := 0; k < len(distinct); k += step {
		for _, v := range distinct[k:min(k+step, len(distinct))] {
			merged = append(merged, rows[v]...)
		}
	}
	return map[string]string{
		"m_sample_to_metric.bin":                  packed(all, smallest(distinct)),
		"m_index_to_metric.bin":                   packed(distinct, smallest(distinct)),
		"m_index_to_sample.bin":                   packed(ids, smallest([]int64{0, int64(len(values)) - 1})),
		"m_index_to_sample_percentile_merged.bin": packed(merged, smallest([]int64{0, int64(len(values)) - 1})),
	}
}

func smallest(values []int64) string {
	low, high := slices.Min(values), slices.Max(values)
	for _, bits := range []int{8, 16, 32, 64} {
		switch {
		case low >= 0 && (bits == 64 || high < 1<<bits):
			return fmt.Sprintf("uint%d", bits)
		case low < 0 && low >= -1<<(bits-1) && high < 1<<(bits-1) || low < 0 && bits == 64:
			return fmt.Sprintf("int%d", bits)
		}
	}
	panic("unreachable")
}

func packed(values []int64, dtype string) string {
	var b bytes.Buffer
	for _, v := range values {
		var stored any
		switch dtype {
		case "uint8":
			stored = uint8(v)
		case "uint16":
			stored = uint16(v)
		case "uint32":
			stored = uint32(v)
		case "uint64":
			stored = uint64(v)
		case "int8":
			stored = int8(v)
		case "int16":
			stored = int16(v)
		case "int32":
			stored = int32(v)
		default:
			stored = v
		}
		if err := binary.Write(&b, binary.LittleEndian, stored); err != nil {
			panic(err)
		}
	}
	return b.String()
}

// What we write is what the analyzer writes, byte for byte, for any workers and
// threads it has, and after a cut of real values too, in memory or by bitmap.
func TestAgainstAnalyzer(t *testing.T) {
	counts := []int{1, 2, 99, 256, 257, 3000}
	samples := map[int]*corpus.Samples{}
	for _, n := range counts {
		samples[n] = documents(t, n)
	}
	dir := t.TempDir()
	seed := uint64(3)
	below := func(n int) int { // a number from 0 to n-1
		seed = seed*6364136223846793005 + 1442695040888963407 // Knuth's MMIX
		return int(seed >> 33 % uint64(n))
	}
	for _, n := range counts {
		for _, spread := range []float64{1, 3, 200, 70_000, 1 << 33, 1 << 52} {
			real, scale, shift := below(2) == 0, 1.0, float64(below(3))/2
			if real {
				scale = []float64{0.001, 0.5, 1, 3}[below(4)]
			}
			values, cut := make([]float64, n), make([]int64, n)
			for i := range values {
				v := (float64(below(1<<31))/(1<<31) - shift) * spread
				if !real {
					v = math.Round(v)
				}
				values[i], cut[i] = v, int64(v*scale)
			}
			x := makeIndex(t, filepath.Join(dir, "x"), samples[n], column{name: "m", whole: !real, values: values})
			c, err := x.Column("m")
			if err != nil {
				t.Fatal(err)
			}
			e := exporter{ctx: context.Background(), index: x, dir: filepath.Join(dir, "out"), few: fewIDs, marks: markedIDs}
			if below(2) == 0 {
				e.few, e.marks = 3, int64(1+below(2*n))
			}
			if err := errors.Join(os.RemoveAll(e.dir), os.Mkdir(e.dir, 0o777)); err != nil {
				t.Fatal(err)
			}
			if _, err := e.metric(c, scale); err != nil {
				t.Fatal(err)
			}
			got := tree(t, filepath.Join(e.dir, "m"))
			for name, bin := range analyzer(cut, 1+below(4), 1+below(4), 1+below(500)) {
				if got[name] != bin {
					t.Fatalf("%d samples, spread %v, sorted %d and %d at once: %s differs from the analyzer's: %q, want %q", n, spread, e.few, e.marks, name, got[name], bin)
				}
			}
			x.Close()
		}
	}
}

// Where larger is easier, values are negated: DeepSpeed takes smaller for
// easier. The order of the index stays, easy to hard, ties by id.
func TestFallingOrder(t *testing.T) {
	dir := t.TempDir()
	x := makeIndex(t, filepath.Join(dir, "x"), documents(t, 4), column{name: "ease", whole: true, values: []float64{1, 3, 2, 3}, falls: true})
	defer x.Close()
	done, err := Export(context.Background(), x, filepath.Join(dir, "out"), ExportOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if m := done.Metrics[0]; !m.Negated || m.Min != -3 || m.Max != -1 {
		t.Errorf("%+v", m)
	}
	for kind, want := range map[string][][]int64{
		sampleToMetric: {{-1}, {-3}, {-2}, {-3}},
		indexToMetric:  {{-3}, {-2}, {-1}},
		indexToSample:  {{1, 3}, {2}, {0}},
	} {
		if rows := readRows(t, filepath.Join(dir, "out", "ease", "ease")+kind); !slices.EqualFunc(rows, want, slices.Equal) {
			t.Errorf("%s: %v", kind, rows)
		}
	}
	// An order that is none is found.
	order := filepath.Join(dir, "x", "order", "ease.npy")
	content := read(t, order)
	write(t, order, content[:len(content)-16]+"\x01\x00\x00\x00\x02\x00\x00\x00\x03\x00\x00\x00\x00\x00\x00\x00")
	forged := openIndex(t, filepath.Join(dir, "x"))
	defer forged.Close()
	if _, err := Export(context.Background(), forged, filepath.Join(dir, "no"), ExportOptions{}); !errors.Is(err, fault.Corrupt) || !strings.Contains(err.Error(), "rank 2") {
		t.Error(err)
	}
}

// The counts of all tokens, as a row: gaps are zeros, the end too.
func TestTokenCounts(t *testing.T) {
	for _, c := range []struct {
		tokens     []int32
		vocabulary int
		want       map[int]int64 // by token; others 0
		length     int
		dtype      corpus.DType
	}{
		{[]int32{3, 3, 1}, 6, map[int]int64{1: 1, 3: 2}, 6, corpus.Uint8},
		{[]int32{3, 3, 1}, 0, map[int]int64{1: 1, 3: 2}, 4, corpus.Uint8},
		{make([]int32, 256), 1, map[int]int64{0: 256}, 1, corpus.Uint16},
		{[]int32{0, 3 * piece}, 4*piece + 1, map[int]int64{0: 1, 3 * piece: 1}, 4*piece + 1, corpus.Uint8},
		{[]int32{piece - 1, piece}, 0, map[int]int64{piece - 1: 1, piece: 1}, piece + 1, corpus.Uint8},
	} {
		counts := new(metric.TokenCounts)
		if err := counts.Add(nil, c.tokens); err != nil {
			t.Fatal(err)
		}
		e := exporter{ctx: context.Background(), dir: t.TempDir()}
		if n, err := e.frequencies(counts, c.vocabulary); err != nil || n != int64(c.length) {
			t.Fatalf("%d, %v", n, err)
		}
		name := filepath.Join(e.dir, "total_vocab_freq", "total_vocab_freq_metric_value")
		rows := readRows(t, name)
		if len(rows) != 1 || len(rows[0]) != c.length {
			t.Fatalf("%d rows", len(rows))
		}
		for token, n := range rows[0] {
			if n != c.want[token] {
				t.Errorf("token %d: %d, want %d", token, n, c.want[token])
			}
		}
		r, err := Open(name)
		if err != nil {
			t.Fatal(err)
		}
		if r.DType() != c.dtype {
			t.Errorf("%s, want %s", r.DType(), c.dtype)
		}
		r.Close()
	}
	huge := new(metric.TokenCounts)
	if err := huge.Add(nil, []int32{math.MaxInt32}); err != nil {
		t.Fatal(err)
	}
	e := exporter{ctx: context.Background(), dir: t.TempDir()}
	if _, err := e.frequencies(huge, 0); !errors.Is(err, fault.Invalid) {
		t.Error(err)
	}
}

func TestExportRefuses(t *testing.T) {
	ctx, dir := context.Background(), t.TempDir()
	x := makeIndex(t, filepath.Join(dir, "x"), documents(t, 2), column{name: "real", values: []float64{1e30, -0.5}}, column{name: "whole", whole: true, values: []float64{1, 2}})
	defer x.Close()
	out := filepath.Join(dir, "out")
	for say, o := range map[string]ExportOptions{
		"metric real: 1e+30 times 1 does not fit": {},
		"scale of -1":         {Scale: -1},
		"scale of +Inf":       {Scale: math.Inf(1)},
		"no metric \"other\"": {Metrics: []string{"other"}},
	} {
		if _, err := Export(ctx, x, out, o); !errors.Is(err, fault.Invalid) || !strings.Contains(err.Error(), say) {
			t.Errorf("%v, want %s", err, say)
		}
	}
	cancelled, cancel := context.WithCancel(ctx)
	cancel()
	if _, err := Export(cancelled, x, out, ExportOptions{Metrics: []string{"whole"}}); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if left, _ := filepath.Glob(out + "*"); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
	whole := ExportOptions{Metrics: []string{"whole", "whole"}}
	if _, err := Export(ctx, x, out, whole); err != nil {
		t.Fatal(err)
	}
	if _, err := Export(ctx, x, out, whole); !errors.Is(err, fault.Invalid) {
		t.Errorf("over another export: %v", err)
	}
	whole.Force = true
	if _, err := Export(ctx, x, out, whole); err != nil {
		t.Error(err)
	}
	for _, name := range []string{"thesis.tex", "whole/thesis.bin", "whole/whole_notes.bin", "whole/other_index_to_sample.bin"} {
		write(t, filepath.Join(out, name), "years of work")
		if _, err := Export(ctx, x, out, whole); !errors.Is(err, fault.Invalid) || !strings.Contains(err.Error(), name) {
			t.Errorf("over a foreign file: %v", err)
		}
		os.Remove(filepath.Join(out, name))
	}
	write(t, filepath.Join(out, "whole", ".whole_index_to_sample.bin.X.tmp"), "of a killed process")
	if _, err := Export(ctx, x, out, whole); err != nil {
		t.Error(err)
	}
}
