package analyze

import (
	"context"
	"errors"
	"maps"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gradus-ml/gradus/corpus"
	"github.com/gradus-ml/gradus/index"
	"github.com/gradus-ml/gradus/internal/fault"
	"github.com/gradus-ml/gradus/metric"
	"pgregory.net/rapid"
)

// seen is a metric of the sample alone that counts how often it is asked.
type seen struct{ scored *int }

func (seen) Info() metric.Info {
	return metric.Info{Name: "seen", Spec: "seen", Version: 1, Unit: "points"}
}
func (seen) Statistics() []metric.Statistic { return nil }
func (s seen) Scorer(metric.Source) (metric.Scorer, error) {
	return metric.ScorerFunc(func(x metric.Sample) (float64, error) {
		*s.scored++
		sum := 0.0
		for _, t := range x.Tokens {
			sum += float64(t)
		}
		return sum, nil
	}), nil
}

// A corpus that has grown, by documents in the same file or by another part: its
// index made from the old one is the index of everything, and what follows from
// a sample alone is not measured again.
func TestExtend(t *testing.T) {
	base := t.TempDir()
	all := text(120)
	rapid.Check(t, func(t *rapid.T) {
		old := rapid.IntRange(1, 119).Draw(t, "old documents")
		parts := rapid.Bool().Draw(t, "parts")
		write(t, filepath.Join(base, "a"), 0, all[:old]...)
		first, err := corpus.Open(filepath.Join(base, "a"))
		if err != nil {
			t.Fatal(err)
		}
		defer first.Close()
		grown := []string{filepath.Join(base, "whole")}
		if parts {
			grown = []string{filepath.Join(base, "a"), filepath.Join(base, "b")}
			write(t, grown[1], 0, all[old:]...)
		} else {
			write(t, grown[0], 0, all...)
		}
		second, err := corpus.Open(grown...)
		if err != nil {
			t.Fatal(err)
		}
		defer second.Close()
		cut := corpus.Cut{Documents: true}
		if w := rapid.SampledFrom([]int{0, 1, 5, 40}).Draw(t, "window"); w > 0 {
			cut = corpus.Cut{Window: w}
		}
		before, err := first.Samples(cut)
		if errors.Is(err, fault.Invalid) {
			t.Skip(err)
		} else if err != nil {
			t.Fatal(err)
		}
		after, err := second.Samples(cut)
		if err != nil {
			t.Fatal(err)
		}
		scored := 0
		metrics := []metric.Metric{metric.Rarity(), seen{&scored}, metric.Length(), late{}, sum{"both", []metric.Metric{seen{&scored}, metric.Rarity()}}}
		o := Options{Workers: 1, BlockTokens: rapid.IntRange(1, 400).Draw(t, "block"), Force: true}
		dirOld, dirNew, dirAll := filepath.Join(base, "old"), filepath.Join(base, "new"), filepath.Join(base, "all")
		had := rapid.IntRange(1, len(metrics)).Draw(t, "had")
		if _, err := Run(context.Background(), before, metrics[:had], dirOld, o); err != nil {
			t.Fatal(err)
		}
		if _, err := Run(context.Background(), after, metrics, dirAll, o); err != nil {
			t.Fatal(err)
		}
		x, err := index.Open(dirOld)
		if err != nil {
			t.Fatal(err)
		}
		defer x.Close()
		job, err := NewJob(after, metrics)
		if err != nil {
			t.Fatal(err)
		}
		if err := job.Extend(x, false); err != nil {
			t.Fatal(err)
		}
		if rapid.Bool().Draw(t, "shards") {
			for range 3 {
				for i := range 3 {
					if _, err := RunShard(context.Background(), job, dirNew, Shard{i, 3}, o); err != nil {
						t.Fatal(err)
					}
				}
			}
			if _, err := Merge(context.Background(), job, dirNew, 3, o); err != nil {
				t.Fatal(err)
			}
		} else if _, err := job.Run(context.Background(), dirNew, o); err != nil {
			t.Fatal(err)
		}
		if !maps.Equal(tree(t, dirNew), tree(t, dirAll)) {
			t.Fatal("other bytes than an analysis of everything")
		}

		// Only seen and length: nothing of the old samples is measured.
		if had < 3 {
			return
		}
		if job, err = NewJob(after, metrics[1:3]); err == nil {
			err = job.Extend(x, false)
		}
		if err != nil {
			t.Fatal(err)
		}
		scored = 0
		result, err := job.Run(context.Background(), dirNew, o)
		if err != nil {
			t.Fatal(err)
		}
		if fresh := int(after.Len() - before.Len()); scored != fresh || result.Passes[0].Samples != int64(fresh) {
			t.Fatalf("%d samples measured, %d are new; %+v", scored, fresh, result.Passes)
		}
	})
}

// grownJob makes an index "old" of 60 documents in base, and a job that extends it
// to 100.
func grownJob(t *testing.T, base string, frozen bool) (job *Job, before, after *corpus.Samples) {
	t.Helper()
	all := text(100)
	write(t, filepath.Join(base, "a"), 5000, all[:60]...)
	write(t, filepath.Join(base, "b"), 5000, all...)
	before, after = open(t, filepath.Join(base, "a"), corpus.Cut{Documents: true}), open(t, filepath.Join(base, "b"), corpus.Cut{Documents: true})
	if _, err := Run(context.Background(), before, nil, filepath.Join(base, "old"), Options{}); err != nil {
		t.Fatal(err)
	}
	x, err := index.Open(filepath.Join(base, "old"))
	if err != nil {
		t.Fatal(err)
	}
	if job, err = NewJob(after, []metric.Metric{metric.Length(), metric.Rarity()}); err != nil {
		t.Fatal(err)
	}
	if err := job.Extend(x, frozen); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { errors.Join(x.Close(), before.Corpus().Close(), after.Corpus().Close()) })
	return job, before, after
}

// Frozen statistics are those of the old corpus; only new samples are scored,
// and the index says so.
func TestExtendFrozen(t *testing.T) {
	base := t.TempDir()
	job, before, after := grownJob(t, base, true)
	old, grown := filepath.Join(base, "old"), filepath.Join(base, "new")
	result, err := job.Run(context.Background(), grown, Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range result.Passes[:2] {
		if p.Samples != 40 {
			t.Errorf("%+v", p)
		}
	}
	was, is := values(t, old), values(t, grown)
	for id, v := range was["rarity"] {
		if is["rarity"][id] != v {
			t.Fatalf("sample %d: %v, and was %v", id, is["rarity"][id], v)
		}
	}
	if s := result.Manifest.Statistics[0]; s.Tokens != before.Corpus().Tokens() {
		t.Errorf("%+v", s)
	}
	// From there without freezing: all of the corpus is counted.
	y, err := index.Open(grown)
	if err != nil {
		t.Fatal(err)
	}
	defer y.Close()
	if n, err := job.Prove(context.Background(), y, 1, 1); err != nil || n != 100 {
		t.Error(n, err)
	}
	if job, err = NewJob(after, []metric.Metric{metric.Length(), metric.Rarity()}); err == nil {
		err = job.Extend(y, false)
	}
	if err != nil {
		t.Fatal(err)
	}
	if _, err := job.Run(context.Background(), filepath.Join(base, "thawed"), Options{}); err != nil {
		t.Fatal(err)
	}
	if _, err := Run(context.Background(), after, nil, filepath.Join(base, "whole"), Options{}); err != nil {
		t.Fatal(err)
	}
	if !maps.Equal(tree(t, filepath.Join(base, "thawed")), tree(t, filepath.Join(base, "whole"))) {
		t.Error("other bytes than an analysis of everything")
	}
}

func TestExtendRefuses(t *testing.T) {
	base := t.TempDir()
	all := text(50)
	write(t, filepath.Join(base, "a"), 0, all[:20]...)
	write(t, filepath.Join(base, "b"), 0, all[1:]...)
	write(t, filepath.Join(base, "c"), 0, all[:10]...)
	write(t, filepath.Join(base, "d"), 777, all...)
	s := open(t, filepath.Join(base, "a"), corpus.Cut{Documents: true})
	defer s.Corpus().Close()
	if _, err := Run(context.Background(), s, nil, filepath.Join(base, "x"), Options{}); err != nil {
		t.Fatal(err)
	}
	x, err := index.Open(filepath.Join(base, "x"))
	if err != nil {
		t.Fatal(err)
	}
	defer x.Close()
	for name, cut := range map[string]corpus.Cut{
		"a": {Window: 3}, "b": {Documents: true}, "c": {Documents: true}, "d": {Documents: true},
	} {
		other := open(t, filepath.Join(base, name), cut)
		job, err := NewJob(other, []metric.Metric{metric.Length()})
		if err != nil {
			t.Fatal(err)
		}
		if err := job.Extend(x, false); !errors.Is(err, fault.Mismatch) || !strings.Contains(err.Error(), "index ") {
			t.Errorf("%s: %v", name, err)
		}
		other.Corpus().Close()
	}
}

// A value that is not what it should be is found by measuring again.
func TestProve(t *testing.T) {
	base := t.TempDir()
	write(t, filepath.Join(base, "c"), 0, text(50)...)
	s := open(t, filepath.Join(base, "c"), corpus.Cut{Documents: true})
	defer s.Corpus().Close()
	scored := 0
	metrics := []metric.Metric{metric.Rarity(), sum{"sum", []metric.Metric{seen{&scored}}}, late{}}
	if _, err := Run(context.Background(), s, metrics, filepath.Join(base, "x"), Options{}); err != nil {
		t.Fatal(err)
	}
	x, err := index.Open(filepath.Join(base, "x"))
	if err != nil {
		t.Fatal(err)
	}
	defer x.Close()
	job, err := NewJob(s, metrics)
	if err != nil {
		t.Fatal(err)
	}
	for share, want := range map[float64]int64{1: 50, 0.5: 25, 1e-9: 1} {
		if n, err := job.Prove(context.Background(), x, share, 7); err != nil || n != want {
			t.Errorf("a share of %v: %d samples, %v", share, n, err)
		}
	}
	for _, share := range []float64{0, -1, 2} {
		if _, err := job.Prove(context.Background(), x, share, 7); !errors.Is(err, fault.Invalid) {
			t.Errorf("a share of %v: %v", share, err)
		}
	}
	lying := scoredMetric("rarity", func(metric.Sample) (float64, error) { return 7, nil })
	if job, err = NewJob(s, []metric.Metric{lying}); err != nil {
		t.Fatal(err)
	}
	if _, err := job.Prove(context.Background(), x, 0.1, 7); !errors.Is(err, fault.Corrupt) || !strings.Contains(err.Error(), "sample ") {
		t.Error(err)
	}
}

// named is a metric of a function, under another's name.
type named struct {
	scored
	info metric.Info
}

func (n named) Info() metric.Info { return n.info }

func scoredMetric(name string, f scored) metric.Metric {
	info := metric.Rarity().Info()
	info.Name = name
	return named{f, info}
}

// Killed while it writes the statistics of the whole, an extended analysis still
// has those of its part.
func TestExtendKilledInCommit(t *testing.T) {
	base := t.TempDir()
	job, _, after := grownJob(t, base, false)
	whole, grown := filepath.Join(base, "whole"), filepath.Join(base, "new")
	if _, err := Run(context.Background(), after, nil, whole, Options{}); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	o := Options{Checkpoint: 1, BlockTokens: 200, Progress: func(p Progress) {
		if p.Pass == "order" {
			cancel()
		}
	}}
	if _, err := job.Run(ctx, grown, o); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	// What commit writes first.
	if _, err := index.KeepStatistic(grown+".partial", "token-counts", after.Corpus().Tokens(), []byte("of the whole")); err != nil {
		t.Fatal(err)
	}
	if _, err := job.Run(context.Background(), grown, Options{}); err != nil {
		t.Fatal(err)
	}
	if !maps.Equal(tree(t, grown), tree(t, whole)) {
		t.Error("other bytes than an analysis of everything")
	}
}
