package deepspeed

import (
	"context"
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
)

// analysis is the files of one metric, as another program would write them.
type analysis struct {
	values []int64   // index_to_metric
	ids    [][]int64 // index_to_sample
	check  []int64   // sample_to_metric; nil: none
	old    bool
}

// put writes an analysis at dir/metric/.
func (a analysis) put(t fataler, dir, metric string) string {
	t.Helper()
	dir = filepath.Join(dir, metric)
	if err := os.MkdirAll(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	singles := func(values []int64) (rows [][]int64) {
		for _, v := range values {
			rows = append(rows, []int64{v})
		}
		return rows
	}
	p := filepath.Join(dir, metric)
	writeRows(t, p+indexToMetric, Fit(slices.Min(a.values), slices.Max(a.values)), a.old, singles(a.values)...)
	writeRows(t, p+indexToSample, corpus.Uint16, a.old, a.ids...)
	if a.check != nil {
		writeRows(t, p+sampleToMetric, corpus.Int64, a.old, singles(a.check)...)
	}
	return dir
}

// Two metrics of five samples: one with a check and the codes of old, whose
// uint16 is today's uint64, the other without a check.
func TestImport(t *testing.T) {
	ctx, dir, s := context.Background(), t.TempDir(), documents(t, 5)
	from := filepath.Join(dir, "analysis")
	(analysis{values: []int64{-3, 300}, ids: [][]int64{{4, 0}, {1, 2, 3}}, check: []int64{-3, 300, 300, 300, -3}, old: true}).put(t, from, "seqlen")
	rarity := (analysis{values: []int64{1, 2, 3}, ids: [][]int64{{4, 3}, {1}, {0, 2}}}).put(t, from, "Vocab_Rarity")
	if err := os.Mkdir(filepath.Join(from, "worker0_thread0"), 0o777); err != nil {
		t.Fatal(err)
	}
	want := map[string][]float64{"seqlen": {-3, 300, 300, 300, -3}, "vocab_rarity": {3, 2, 3, 1, 1}}
	for _, c := range []struct {
		path    string
		metrics []string // asked for
		names   []string // in the index
	}{
		{from, nil, []string{"vocab_rarity", "seqlen"}},
		{from, []string{"seqlen"}, []string{"seqlen"}},
		{from, []string{"seqlen", "Vocab_Rarity", "seqlen"}, []string{"seqlen", "vocab_rarity"}},
		{rarity, nil, []string{"vocab_rarity"}},
		{rarity + "/Vocab_Rarity_index_to_sample", nil, []string{"vocab_rarity"}},
		{rarity + "/Vocab_Rarity_index_to_sample_percentile_merged", nil, []string{"vocab_rarity"}},
		{rarity + "/Vocab_Rarity_index_to_metric.bin", nil, []string{"vocab_rarity"}},
		{from + "/seqlen/seqlen_sample_to_metric.idx", nil, []string{"seqlen"}},
	} {
		done, err := Import(ctx, c.path, s, filepath.Join(dir, "x"), ImportOptions{Metrics: c.metrics, Force: true})
		if err != nil {
			t.Fatalf("%s: %v", c.path, err)
		}
		x := openIndex(t, filepath.Join(dir, "x"))
		if err := errors.Join(x.Check(ctx), x.Matches(s)); err != nil {
			t.Error(err)
		}
		if !slices.Equal(x.Metrics(), c.names) {
			t.Errorf("%s: %v", c.path, x.Metrics())
		}
		for i, name := range x.Metrics() {
			column, err := x.Column(name)
			if err != nil {
				t.Fatal(err)
			}
			got := make([]float64, 5)
			column.Values(got, 0)
			if !slices.Equal(got, want[name]) {
				t.Errorf("%s: %s: %v", c.path, name, got)
			}
			if m := done.Metrics[i]; m.Checked != (name == "seqlen") || m.Distinct != map[string]int64{"seqlen": 2, "vocab_rarity": 3}[name] {
				t.Errorf("%+v", m)
			}
		}
		x.Close()
	}
}

// Exported and imported, an index has the same order; of a real metric, that of
// its cut values.
func TestRoundTripIndex(t *testing.T) {
	ctx, dir, s := context.Background(), t.TempDir(), documents(t, 500)
	real, whole, cut := make([]float64, 500), make([]float64, 500), make([]float64, 500)
	for i := range real {
		real[i] = math.Sin(float64(i)) * 40
		whole[i] = math.Round(real[i])
		cut[i] = math.Trunc(real[i] * 10)
	}
	x := makeIndex(t, filepath.Join(dir, "x"), s, column{name: "real", values: real}, column{name: "whole", whole: true, values: whole})
	defer x.Close()
	if _, err := Export(ctx, x, filepath.Join(dir, "out"), ExportOptions{Scale: 10}); err != nil {
		t.Fatal(err)
	}
	if _, err := Import(ctx, filepath.Join(dir, "out"), s, filepath.Join(dir, "back"), ImportOptions{}); err != nil {
		t.Fatal(err)
	}
	want := makeIndex(t, filepath.Join(dir, "want"), s, column{name: "real", whole: true, values: cut}, column{name: "whole", whole: true, values: whole})
	defer want.Close()
	back, all := tree(t, filepath.Join(dir, "back")), tree(t, filepath.Join(dir, "want"))
	for _, name := range []string{"values/real.npy", "order/real.npy", "values/whole.npy", "order/whole.npy"} {
		if back[name] != all[name] {
			t.Errorf("%s differs", name)
		}
	}
	// What was exported for these samples is not taken for others.
	windows, err := s.Corpus().Samples(corpus.Cut{Window: 1})
	if err != nil {
		t.Fatal(err)
	}
	for _, other := range []*corpus.Samples{windows, documents(t, 501)} {
		if _, err := Import(ctx, filepath.Join(dir, "out", "whole"), other, filepath.Join(dir, "no"), ImportOptions{}); !errors.Is(err, fault.Mismatch) || !strings.Contains(err.Error(), "was exported for") {
			t.Error(err)
		}
	}
	cancelled, cancel := context.WithCancel(ctx)
	cancel()
	if _, err := Import(cancelled, filepath.Join(dir, "out"), s, filepath.Join(dir, "no"), ImportOptions{}); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if _, err := os.Stat(filepath.Join(dir, "no")); !errors.Is(err, fs.ErrNotExist) {
		t.Error("a failed import left an index")
	}
}

// Values are put in place in windows of the samples; where those end does not matter.
func TestWindows(t *testing.T) {
	s := documents(t, 5)
	dir := (analysis{values: []int64{7, 9}, ids: [][]int64{{4, 0}, {1, 2, 3}}, check: []int64{7, 9, 9, 9, 7}}).put(t, t.TempDir(), "m")
	l, err := openListing(source{"m", filepath.Join(dir, "m")}, s)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for size := int64(1); size <= 5; size++ {
		var all []float64
		for from := int64(0); from < 5; from += size {
			part := make([]float64, min(size, 5-from))
			if err := l.window(context.Background(), part, from); err != nil {
				t.Fatal(err)
			}
			all = append(all, part...)
		}
		if !slices.Equal(all, []float64{7, 9, 9, 9, 7}) {
			t.Errorf("windows of %d: %v", size, all)
		}
	}
}

func TestImportRefuses(t *testing.T) {
	ctx, s := context.Background(), documents(t, 3)
	good := [][]int64{{1}, {0, 2}}
	for say, c := range map[string]struct {
		analysis
		kind error
	}{
		"lists 4 samples, but corpus":          {analysis{[]int64{1, 2}, [][]int64{{1}, {0, 2, 3}}, nil, false}, fault.Mismatch},
		"cut as documents has 3":               {analysis{[]int64{1, 2}, [][]int64{{1}, {0}}, nil, false}, fault.Mismatch},
		"row 1: sample 1 occurs twice":         {analysis{[]int64{1, 2}, [][]int64{{1}, {0, 1}}, nil, false}, fault.Corrupt},
		"row 1: sample 3 does not exist":       {analysis{[]int64{1, 2}, [][]int64{{1}, {0, 3}}, nil, false}, fault.Corrupt},
		"has 3 values":                         {analysis{[]int64{1, 2, 3}, good, nil, false}, fault.Mismatch},
		"row 1 has the value 1 after 1":        {analysis{[]int64{1, 1}, good, nil, false}, fault.Corrupt},
		"row 1 has the value -1 after 5":       {analysis{[]int64{5, -1}, good, nil, false}, fault.Corrupt},
		"row 1 has the value 9007199254740993": {analysis{[]int64{1, 1<<53 + 1}, good, nil, false}, fault.Invalid},
		"sample 2 has the value 7":             {analysis{[]int64{1, 2}, good, []int64{2, 1, 7}, false}, fault.Mismatch},
		"sample_to_metric.idx has 2 samples":   {analysis{[]int64{1, 2}, good, []int64{2, 1}, false}, fault.Mismatch},
		"\"-m\" is no name for a metric":       {analysis{[]int64{1, 2}, good, nil, false}, fault.Invalid},
	} {
		dir, name := t.TempDir(), "m"
		if strings.Contains(say, "-m") {
			name = "-m"
		}
		c.put(t, dir, name)
		_, err := Import(ctx, dir, s, filepath.Join(dir, "x"), ImportOptions{})
		if !errors.Is(err, c.kind) || !strings.Contains(err.Error(), say) {
			t.Errorf("%v, want %s", err, say)
		}
		if left, _ := filepath.Glob(filepath.Join(dir, "x*")); len(left) > 0 {
			t.Errorf("left behind: %v", left)
		}
	}
	dir := t.TempDir()
	m := (analysis{[]int64{1, 2}, good, nil, false}).put(t, dir, "m")
	writeRows(t, filepath.Join(dir, "total_vocab_freq_metric_value"), corpus.Uint8, false, []int64{1, 2})
	write(t, filepath.Join(dir, "ds_config.json"), "{}")
	for _, c := range []struct {
		path, say string
		kind      error
	}{
		{filepath.Join(dir, "none"), "DIR/seqlen/", fs.ErrNotExist},
		{filepath.Join(m, "other_index_to_sample"), "metric other: no file", fs.ErrNotExist},
		{filepath.Join(dir, "ds_config.json"), "no file of DeepSpeed's data analyzer", fault.Invalid},
		{filepath.Join(dir, "total_vocab_freq_metric_value"), "no value for each sample", fault.Invalid},
		{t.TempDir(), "no file of DeepSpeed's data analyzer is in it", fault.Invalid},
	} {
		if _, err := Import(ctx, c.path, s, filepath.Join(dir, "x"), ImportOptions{}); !errors.Is(err, c.kind) || !strings.Contains(err.Error(), c.say) {
			t.Errorf("%s: %v, want %s", c.path, err, c.say)
		}
	}
	if _, err := Import(ctx, dir, s, filepath.Join(dir, "x"), ImportOptions{Metrics: []string{"n"}}); !errors.Is(err, fault.Invalid) || !strings.Contains(err.Error(), "it has: m") {
		t.Error(err)
	}
	// The same metric in two directories.
	(analysis{[]int64{1, 2}, good, nil, false}).put(t, filepath.Join(dir, "n"), "m")
	if err := os.Rename(filepath.Join(dir, "n", "m"), filepath.Join(dir, "n2")); err != nil {
		t.Fatal(err)
	}
	if _, err := Import(ctx, dir, s, filepath.Join(dir, "x"), ImportOptions{}); !errors.Is(err, fault.Invalid) || !strings.Contains(err.Error(), "give the path of one") {
		t.Error(err)
	}
	// One sample of each value is what a file of values has.
	writeRows(t, filepath.Join(m, "m"+indexToMetric), corpus.Uint8, false, []int64{1, 2}, nil)
	if _, err := Import(ctx, m, s, filepath.Join(dir, "x"), ImportOptions{}); !errors.Is(err, fault.Corrupt) || !strings.Contains(err.Error(), "row 0 has 2 elements") {
		t.Error(err)
	}
	// A stamp of a later version.
	write(t, filepath.Join(dir, stampName), `{"version": 2}`)
	if _, err := Import(ctx, m, s, filepath.Join(dir, "x"), ImportOptions{}); !errors.Is(err, fault.Mismatch) {
		t.Error(err)
	}
	write(t, filepath.Join(dir, stampName), `{`)
	if _, err := Import(ctx, m, s, filepath.Join(dir, "x"), ImportOptions{}); !errors.Is(err, fault.Corrupt) {
		t.Error(err)
	}
}
