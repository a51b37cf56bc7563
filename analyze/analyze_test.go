package analyze

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

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
		result, err := Run(context.Background(), s, dir, Options{
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
		tokens := 0.0
		for _, n := range length {
			tokens += n
		}
		if p := result.Passes; len(p) != 3 || p[0].Tokens != s.Corpus().Tokens() || p[1].Samples != s.Len() || float64(p[1].Tokens) != tokens || p[2].Samples != 2*s.Len() {
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
		} {
			dir := filepath.Join(base, "x")
			o.Force = true
			if _, err := Run(context.Background(), s, dir, o); err != nil {
				t.Fatal(err)
			}
			got := tree(t, dir)
			if want == nil {
				want = got
			}
			if len(got) != 5 || !maps.Equal(got, want) {
				t.Errorf("%s with %d workers and blocks of %d tokens: other bytes", cut, o.Workers, o.BlockTokens)
			}
		}
		s.Corpus().Close()
	}
}

// Another runtime: statistics of parts travel as bytes, blocks are scored
// elsewhere, and what comes of it is the directory that Run makes.
func TestMapsByHand(t *testing.T) {
	base := t.TempDir()
	prefix := filepath.Join(base, "c")
	write(t, prefix, 0, text(500)...)
	s := open(t, prefix, corpus.Cut{Window: 8})
	defer s.Corpus().Close()
	if _, err := Run(context.Background(), s, filepath.Join(base, "x"), Options{Metrics: []metric.Metric{metric.Rarity()}}); err != nil {
		t.Fatal(err)
	}

	total := metric.Rarity().Statistics()[0]
	for from, n := int64(0), s.Corpus().Tokens(); from < n; from += 777 {
		part := metric.Rarity().Statistics()
		if err := Gather(s.Corpus(), from, min(from+777, n), part); err != nil {
			t.Fatal(err)
		}
		data, err := part[0].MarshalBinary()
		arrived := total.New()
		if err := errors.Join(err, arrived.UnmarshalBinary(data), total.Merge(arrived)); err != nil {
			t.Fatal(err)
		}
	}
	scorer, err := metric.Rarity().Scorer(metric.Source{Meta: s.Corpus().Meta(), Statistics: map[string]metric.Statistic{total.Name(): total}})
	if err != nil {
		t.Fatal(err)
	}
	w, err := index.Create(filepath.Join(base, "y"), s, false)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Abort()
	c, err := w.Column("rarity", 1, "nats", false)
	if err != nil {
		t.Fatal(err)
	}
	for b := range Blocks(s, 100) {
		scores, err := Score(s, b, []metric.Metric{metric.Rarity()}, []metric.Scorer{scorer})
		if err := errors.Join(err, c.Append(scores.Values[0])); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(c.Close(context.Background(), 1), w.Commit()); err != nil {
		t.Fatal(err)
	}
	if !maps.Equal(tree(t, filepath.Join(base, "x")), tree(t, filepath.Join(base, "y"))) {
		t.Error("by hand and by Run, the indexes differ")
	}
	if _, err := Score(s, Block{0, s.Len() + 1}, nil, nil); !errors.Is(err, fault.Invalid) {
		t.Error(err)
	}
	if err := Gather(s.Corpus(), 0, s.Corpus().Tokens()+1, nil); !errors.Is(err, fault.Invalid) {
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
			if _, err := Run(context.Background(), s, filepath.Join(base, "x"), Options{}); err != nil {
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
	for _, m := range []metric.Metric{metric.Length(), metric.Rarity()} {
		_, err := Run(context.Background(), s, filepath.Join(base, "x"), Options{Metrics: []metric.Metric{m}})
		if !errors.Is(err, fault.Corrupt) || !strings.Contains(err.Error(), "token 123") {
			t.Errorf("%s: %v", m.Info().Name, err)
		}
	}
	if left, _ := filepath.Glob(filepath.Join(base, "x*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

// Cancelled at any report of progress, nothing is left, and an old index stays.
func TestCancel(t *testing.T) {
	base := t.TempDir()
	prefix, dir := filepath.Join(base, "c"), filepath.Join(base, "out", "x")
	if err := os.Mkdir(filepath.Dir(dir), 0o777); err != nil {
		t.Fatal(err)
	}
	write(t, prefix, 0, text(200)...)
	s := open(t, prefix, corpus.Cut{Documents: true})
	defer s.Corpus().Close()
	for _, old := range []bool{false, true} {
		if old {
			if _, err := Run(context.Background(), s, dir, Options{}); err != nil {
				t.Fatal(err)
			}
		}
		before := tree(t, filepath.Dir(dir))
		calls := 0
		o := Options{Workers: 3, BlockTokens: 200, Force: true, Progress: func(Progress) { calls++ }}
		if _, err := Run(context.Background(), s, dir, o); err != nil {
			t.Fatal(err)
		}
		if !old {
			os.RemoveAll(dir)
		}
		if calls < 40 {
			t.Fatalf("%d reports of progress; more blocks are needed here", calls)
		}
		for at := 1; at <= calls; at++ {
			ctx, cancel := context.WithCancel(context.Background())
			seen := 0
			o.Progress = func(Progress) {
				if seen++; seen == at {
					cancel()
				}
			}
			if _, err := Run(ctx, s, dir, o); !errors.Is(err, context.Canceled) {
				t.Errorf("cancelled at report %d: %v", at, err)
			}
			if after := tree(t, filepath.Dir(dir)); !maps.Equal(before, after) {
				t.Fatalf("cancelled at report %d: %d files instead of %d", at, len(after), len(before))
			}
			cancel()
		}
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
			o.Metrics = []metric.Metric{metric.Length(), f}
			_, err := Run(context.Background(), s, filepath.Join(base, "x"), o)
			if err == nil || !strings.Contains(err.Error(), say) || strings.HasSuffix(say, "broken") != errors.Is(err, broken) {
				t.Errorf("%v, want %s", err, say)
			}
		}
	}
	if left, _ := filepath.Glob(filepath.Join(base, "x*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
	for _, o := range []Options{{Workers: -1}, {BlockTokens: -1}, {Metrics: []metric.Metric{metric.Length(), metric.Length()}}} {
		if _, err := Run(context.Background(), s, filepath.Join(base, "x"), o); !errors.Is(err, fault.Invalid) {
			t.Errorf("%+v: %v", o, err)
		}
	}
}

// Blocks partition the samples, and hold no more tokens than asked for unless
// one sample does.
func TestBlocks(t *testing.T) {
	base := t.TempDir()
	write(t, filepath.Join(base, "c"), 0, text(300)...)
	rapid.Check(t, func(t *rapid.T) {
		cut := corpus.Cut{Documents: true}
		if w := rapid.IntRange(0, 50).Draw(t, "window"); w > 0 {
			cut = corpus.Cut{Window: w}
		}
		s := open(t, filepath.Join(base, "c"), cut)
		defer s.Corpus().Close()
		limit := rapid.IntRange(1, 500).Draw(t, "tokens")
		next := int64(0)
		for b := range Blocks(s, limit) {
			first, _ := s.Span(b.Start)
			_, last := s.Span(b.End - 1)
			if b.Start != next || b.End <= b.Start || last-first > int64(limit) && b.End-b.Start > 1 {
				t.Fatalf("%+v with %d tokens after %d", b, last-first, next)
			}
			next = b.End
		}
		if next != s.Len() {
			t.Fatalf("the blocks end at %d of %d", next, s.Len())
		}
	})
}

// inOrder takes results in order, runs ahead by little, and reports the error
// of the first job that failed.
func TestInOrder(t *testing.T) {
	jobs := func(yield func(int) bool) {
		for i := range 1000 {
			if !yield(i) {
				return
			}
		}
	}
	for _, workers := range []int{1, 2, 7} {
		var started, taken atomic.Int64
		next, ahead := 0, int64(0)
		do := func(w, i int) (int, error) {
			if w < 0 || w >= workers {
				return 0, fmt.Errorf("worker %d", w)
			}
			started.Add(1)
			return 2 * i, nil
		}
		err := inOrder(context.Background(), workers, jobs, do, func(v int) error {
			if v != 2*next {
				return fmt.Errorf("%d came when it was %d's turn", v/2, next)
			}
			next++
			ahead = max(ahead, started.Load()-taken.Add(1))
			return nil
		})
		if err != nil || next != 1000 {
			t.Errorf("%d workers: %d results, %v", workers, next, err)
		}
		if ahead > int64(3*workers+2) {
			t.Errorf("%d workers ran %d jobs ahead", workers, ahead)
		}
		failing := func(_, i int) (int, error) {
			if i >= 500 {
				return 0, fmt.Errorf("job %d", i)
			}
			return i, nil
		}
		if err := inOrder(context.Background(), workers, jobs, failing, func(int) error { return nil }); err == nil || err.Error() != "job 500" {
			t.Errorf("%d workers: %v", workers, err)
		}
		full := errors.New("disk full")
		if err := inOrder(context.Background(), workers, jobs, do, func(v int) error {
			if v >= 600 {
				return full
			}
			return nil
		}); err != full {
			t.Errorf("%d workers: %v", workers, err)
		}
		expired, cancel := context.WithCancel(context.Background())
		cancel()
		if err := inOrder(expired, workers, jobs, do, func(int) error { return nil }); err != context.Canceled {
			t.Errorf("%d workers: %v", workers, err)
		}
	}
}
