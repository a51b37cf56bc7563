package analyze

import (
	"context"
	"errors"
	"io/fs"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gradus-ml/gradus/corpus"
	"github.com/gradus-ml/gradus/index"
	"github.com/gradus-ml/gradus/internal/fault"
	"github.com/gradus-ml/gradus/metric"
	"pgregory.net/rapid"
)

// testing.T and rapid.T alike.
type fataler interface {
	Helper()
	Fatal(...any)
	Fatalf(string, ...any)
}

// write makes a corpus of the documents at prefix.
func write(t fataler, prefix string, vocabulary int, documents ...[]int32) {
	t.Helper()
	w, err := corpus.Create(prefix, corpus.Int32)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Abort()
	for _, d := range documents {
		if err := w.Append(d); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Commit(corpus.Meta{Vocabulary: vocabulary, EndOfDocument: -1}); err != nil {
		t.Fatal(err)
	}
}

func open(t fataler, prefix string, cut corpus.Cut) *corpus.Samples {
	t.Helper()
	c, err := corpus.Open(prefix)
	if err != nil {
		t.Fatal(err)
	}
	s, err := c.Samples(cut)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// text is a corpus of n documents of 0 to 40 tokens, the same each time.
func text(n int) (documents [][]int32) {
	x := uint32(1)
	for range n {
		x = x*1664525 + 1013904223
		d := make([]int32, x>>24%41)
		for i := range d {
			x = x*1664525 + 1013904223
			d[i] = int32(x >> 24 * (x >> 24) >> 8) // rare above, frequent below
		}
		documents = append(documents, d)
	}
	return documents
}

// tree reads all files below a directory, by name.
func tree(t fataler, dir string) map[string]string {
	t.Helper()
	files := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err == nil && !e.IsDir() {
			var data []byte
			data, err = os.ReadFile(path)
			rel, _ := filepath.Rel(dir, path)
			files[rel] = string(data)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// values opens an index, proves it and returns the values of its metrics.
func values(t fataler, dir string) map[string][]float64 {
	t.Helper()
	x, err := index.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer x.Close()
	if err := x.Check(context.Background()); err != nil {
		t.Fatal(err)
	}
	values := map[string][]float64{}
	for _, name := range x.Metrics() {
		c, err := x.Column(name)
		if err != nil {
			t.Fatal(err)
		}
		values[name] = make([]float64, c.Len())
		c.Values(values[name], 0)
	}
	return values
}

// naive computes length and rarity as their definitions say, from documents in
// memory, without blocks, workers, passes or files.
func naive(documents [][]int32, vocabulary int, cut corpus.Cut) (length, rarity []float64) {
	all := slices.Concat(documents...)
	samples := documents
	if cut.Window > 0 {
		samples = nil
		for i := 0; i+cut.Window < len(all); i += cut.Window {
			samples = append(samples, all[i:i+cut.Window+1])
		}
	}
	for _, t := range all {
		vocabulary = max(vocabulary, int(t)+1)
	}
	counts := make([]float64, vocabulary)
	for _, t := range all {
		counts[t]++
	}
	sum := 0.0
	for i := range counts {
		counts[i] = max(counts[i], 1)
		sum += counts[i]
	}
	for _, s := range samples {
		nats := 0.0
		for _, t := range s {
			nats -= math.Log(counts[t] / sum)
		}
		length, rarity = append(length, float64(len(s))), append(rarity, nats)
	}
	return length, rarity
}

func TestAgainstNaive(t *testing.T) {
	base := t.TempDir()
	rapid.Check(t, func(t *rapid.T) {
		token := rapid.Int32Range(0, rapid.SampledFrom([]int32{0, 5, 500}).Draw(t, "largest"))
		documents := rapid.SliceOfN(rapid.SliceOfN(token, 0, 30), 1, 30).Draw(t, "documents")
		vocabulary := rapid.SampledFrom([]int{0, 1000}).Draw(t, "vocabulary")
		cut := corpus.Cut{Documents: true}
		if n := len(slices.Concat(documents...)); n > 1 && rapid.Bool().Draw(t, "windows") {
			cut = corpus.Cut{Window: rapid.IntRange(1, n-1).Draw(t, "window")}
		}
		prefix, dir := filepath.Join(base, "c"), filepath.Join(base, "x")
		write(t, prefix, vocabulary, documents...)
		s := open(t, prefix, cut)
		defer s.Corpus().Close()
		result, err := Run(context.Background(), s, nil, dir, Options{
			Checkpoint:  time.Duration(rapid.SampledFrom([]int{0, 0, 0, 1}).Draw(t, "checkpoint")),
			Workers:     rapid.IntRange(0, 4).Draw(t, "workers"),
			BlockTokens: rapid.IntRange(1, 100).Draw(t, "block"),
			Force:       true,
		})
		if err != nil {
			t.Fatal(err)
		}
		length, rarity := naive(documents, vocabulary, cut)
		got := values(t, dir)
		if !slices.Equal(got["length"], length) {
			t.Fatalf("length %v, want %v", got["length"], length)
		}
		if len(got["rarity"]) != len(rarity) {
			t.Fatalf("%d samples, want %d", len(got["rarity"]), len(rarity))
		}
		for id, want := range rarity {
			if math.Abs(got["rarity"][id]-want) > 1e-12*want {
				t.Fatalf("sample %d: rarity %v, want %v", id, got["rarity"][id], want)
			}
		}
		p := result.Passes
		if len(p) != 3 || p[0].Tokens != s.Corpus().Tokens() || p[1].Tokens != p[0].Tokens || p[0].Samples != s.Len() || p[1].Samples != s.Len() || p[2].Samples != 2*s.Len() {
			t.Fatalf("%+v", p)
		}
		if !slices.Equal(p[0].Metrics, []string{"length"}) || !slices.Equal(p[0].Statistics, []string{"token-counts"}) || !slices.Equal(p[1].Metrics, []string{"rarity"}) {
			t.Fatalf("%+v", p)
		}
	})
}

// The directory is the same bytes for any number of workers and size of block.
func TestSameBytes(t *testing.T) {
	base := t.TempDir()
	prefix := filepath.Join(base, "c")
	write(t, prefix, 300, text(3000)...)
	for _, cut := range []corpus.Cut{{Documents: true}, {Window: 16}, {Window: 5000}} {
		s := open(t, prefix, cut)
		var want map[string]string
		for _, o := range []Options{
			{Workers: 1}, {Workers: 2, BlockTokens: 1000}, {Workers: 7, BlockTokens: 1}, {Workers: 7, BlockTokens: 333}, {},
			{Memory: 1}, {Checkpoint: 1, BlockTokens: 500},
		} {
			dir := filepath.Join(base, "x")
			o.Force = true
			if _, err := Run(context.Background(), s, nil, dir, o); err != nil {
				t.Fatal(err)
			}
			got := tree(t, dir)
			if want == nil {
				want = got
			}
			if len(got) != 6 || !maps.Equal(got, want) {
				t.Errorf("%s with %d workers and blocks of %d tokens: other bytes", cut, o.Workers, o.BlockTokens)
			}
		}
		s.Corpus().Close()
	}
}

// Another runtime: a mapper a block, in any order; statistics travel as bytes,
// scores go where they belong, and what comes of it is the directory that Run
// makes.
func TestMapperByHand(t *testing.T) {
	base := t.TempDir()
	prefix := filepath.Join(base, "c")
	write(t, prefix, 0, text(500)...)
	s := open(t, prefix, corpus.Cut{Window: 8})
	defer s.Corpus().Close()
	metrics := []metric.Metric{metric.Rarity(), metric.Length()}
	if _, err := Run(context.Background(), s, metrics, filepath.Join(base, "x"), Options{}); err != nil {
		t.Fatal(err)
	}

	job, err := NewJob(s, metrics)
	if err != nil {
		t.Fatal(err)
	}
	head, err := index.HeadOf(s)
	if err != nil {
		t.Fatal(err)
	}
	w, err := index.Create(filepath.Join(base, "y"), head, false)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Abort()
	var columns []*index.Values
	for _, m := range job.Metrics() {
		v, err := w.Values(m)
		if err != nil {
			t.Fatal(err)
		}
		columns = append(columns, v)
	}
	blocks := slices.Collect(Blocks(s, 0, s.Len(), func() int { return 100 }))
	gathered := map[string]metric.Statistic{}
	for pass := range job.Passes() {
		total := job.Statistics(pass)
		for _, b := range slices.Backward(blocks) {
			m, err := job.Mapper(pass, gathered)
			if err != nil {
				t.Fatal(err)
			}
			scores, err := m.Map(b)
			if err != nil {
				t.Fatal(err)
			}
			for i, values := range scores.Values {
				if err := columns[i].WriteAt(values, b.Start); values != nil && err != nil {
					t.Fatal(err)
				}
			}
			for i, part := range m.Statistics() {
				data, err := part.MarshalBinary()
				arrived := part.New()
				if err := errors.Join(err, arrived.UnmarshalBinary(data), total[i].Merge(arrived)); err != nil {
					t.Fatal(err)
				}
			}
			if err := m.Close(); err != nil {
				t.Fatal(err)
			}
		}
		for _, x := range total {
			gathered[x.Name()] = x
		}
	}
	for i, m := range job.Metrics() {
		if err := columns[i].Close(); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Finish(context.Background(), m, 1, 0); err != nil {
			t.Fatal(err)
		}
	}
	for name, x := range gathered {
		data, err := x.MarshalBinary()
		if err != nil {
			t.Fatal(err)
		}
		kept, err := index.KeepStatistic(w.Dir(), name, s.Corpus().Tokens(), data)
		if err != nil {
			t.Fatal(err)
		}
		w.AddStatistic(kept)
	}
	if err := w.Commit(); err != nil {
		t.Fatal(err)
	}
	if !maps.Equal(tree(t, filepath.Join(base, "x")), tree(t, filepath.Join(base, "y"))) {
		t.Error("by hand and by Run, the indexes differ")
	}
	m, err := job.Mapper(0, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := m.Map(Block{0, s.Len() + 1}); !errors.Is(err, fault.Invalid) {
		t.Error(err)
	}
}

func TestHostileSamples(t *testing.T) {
	for name, documents := range map[string][][]int32{
		"one empty document":     {{}},
		"empty documents around": {{}, {1, 2}, {}, {}},
		"one token":              {{7}},
		"all equal":              {{7, 7, 7}, {7, 7, 7}, {7}},
		"huge tokens":            {{math.MaxInt32, 0}, {1 << 30}},
	} {
		t.Run(name, func(t *testing.T) {
			base := t.TempDir()
			write(t, filepath.Join(base, "c"), 0, documents...)
			s := open(t, filepath.Join(base, "c"), corpus.Cut{Documents: true})
			defer s.Corpus().Close()
			if _, err := Run(context.Background(), s, nil, filepath.Join(base, "x"), Options{}); err != nil {
				t.Fatal(err)
			}
			for id, v := range values(t, filepath.Join(base, "x"))["rarity"] {
				if len(documents[id]) == 0 && v != 0 || v < 0 {
					t.Errorf("document %d: %v", id, v)
				}
			}
		})
	}
}

// A corpus with something that is no token ends in an error that names it.
func TestCorruptToken(t *testing.T) {
	base := t.TempDir()
	prefix := filepath.Join(base, "c")
	write(t, prefix, 0, text(100)...)
	bin, err := os.ReadFile(prefix + ".bin")
	if err != nil {
		t.Fatal(err)
	}
	copy(bin[4*123:], "\xff\xff\xff\xff")
	if err := os.WriteFile(prefix+".bin", bin, 0o666); err != nil {
		t.Fatal(err)
	}
	s := open(t, prefix, corpus.Cut{Documents: true})
	defer s.Corpus().Close()
	for _, m := range []metric.Metric{metric.Rarity(), metric.EffectiveLength(-1), late{}} {
		_, err = Run(context.Background(), s, []metric.Metric{m}, filepath.Join(base, "x"), Options{})
		if !errors.Is(err, fault.Corrupt) || !strings.Contains(err.Error(), "token 123") {
			t.Errorf("%s: %v", m.Info().Name, err)
		}
	}
	if left, _ := filepath.Glob(filepath.Join(base, "x*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

// scored is a metric of a function, for tests.
type scored func(metric.Sample) (float64, error)

func (scored) Info() metric.Info {
	return metric.Info{Name: "scored", Version: 1, Unit: "points", Kind: metric.Whole}
}
func (scored) Statistics() []metric.Statistic { return nil }
func (f scored) Scorer(metric.Source) (metric.Scorer, error) {
	if f == nil {
		return nil, errors.New("no scorer")
	}
	return metric.ScorerFunc(f), nil
}

// A metric that fails is named with the first sample it failed at, however the
// work was divided, and nothing is left.
func TestFailingMetric(t *testing.T) {
	base := t.TempDir()
	prefix := filepath.Join(base, "c")
	write(t, prefix, 0, text(1000)...)
	s := open(t, prefix, corpus.Cut{Documents: true})
	defer s.Corpus().Close()
	broken := errors.New("broken")
	// from returns a metric that is 0 up to a sample, and then this.
	from := func(id int64, value float64, err error) scored {
		return func(s metric.Sample) (float64, error) {
			if s.ID < id {
				return 0, nil
			}
			return value, err
		}
	}
	for say, f := range map[string]scored{
		"metric scored: sample 137: broken":            from(137, 0, broken),
		"metric scored: sample 500 has the value NaN":  from(500, math.NaN(), nil),
		"metric scored: sample 999 has the value 0.5;": from(999, 0.5, nil),
		"no scorer": nil,
	} {
		for _, o := range []Options{{Workers: 1}, {Workers: 7, BlockTokens: 50}} {
			_, err := Run(context.Background(), s, []metric.Metric{metric.Length(), f}, filepath.Join(base, "x"), o)
			if err == nil || !strings.Contains(err.Error(), say) || strings.HasSuffix(say, "broken") != errors.Is(err, broken) {
				t.Errorf("%v, want %s", err, say)
			}
		}
	}
	if left, _ := filepath.Glob(filepath.Join(base, "x*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
	for _, o := range []Options{{Workers: -1}, {BlockTokens: -1}, {Memory: -1}, {Checkpoint: -1}} {
		if _, err := Run(context.Background(), s, nil, filepath.Join(base, "x"), o); !errors.Is(err, fault.Invalid) {
			t.Errorf("%+v: %v", o, err)
		}
	}
}
