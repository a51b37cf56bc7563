package analyze

import (
	"context"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gradus-ml/gradus/corpus"
	"github.com/gradus-ml/gradus/index"
	"github.com/gradus-ml/gradus/internal/fault"
	"github.com/gradus-ml/gradus/metric"
)

// Cancelled at any report of progress, an old index stays and none opens where
// there was none; and what goes on from there ends with the same bytes, having
// done less than all.
func TestCancelAndGoOn(t *testing.T) {
	base := t.TempDir()
	prefix, dir := filepath.Join(base, "c"), filepath.Join(base, "out", "x")
	if err := os.Mkdir(filepath.Dir(dir), 0o777); err != nil {
		t.Fatal(err)
	}
	write(t, prefix, 0, text(200)...)
	s := open(t, prefix, corpus.Cut{Documents: true})
	defer s.Corpus().Close()
	for _, old := range []bool{false, true} {
		calls := 0
		o := Options{Workers: 3, BlockTokens: 200, Checkpoint: 1, Force: true, Progress: func(Progress) { calls++ }}
		if _, err := Run(context.Background(), s, nil, dir, o); err != nil {
			t.Fatal(err)
		}
		if calls < 40 {
			t.Fatalf("%d reports of progress; more blocks are needed here", calls)
		}
		want := tree(t, dir)
		if old { // of something else
			if _, err := Run(context.Background(), s, []metric.Metric{metric.Length()}, dir, Options{Force: true}); err != nil {
				t.Fatal(err)
			}
		} else {
			os.RemoveAll(dir)
		}
		before := map[string]string{}
		if old {
			before = tree(t, dir)
		}
		resumed, tries := 0, 0
		for at := 1; at <= calls; at += 3 + at%3 {
			ctx, cancel := context.WithCancel(context.Background())
			seen := 0
			o.Progress = func(Progress) {
				if seen++; seen == at {
					cancel()
				}
			}
			if _, err := Run(ctx, s, nil, dir, o); !errors.Is(err, context.Canceled) {
				t.Fatalf("cancelled at report %d: %v", at, err)
			}
			cancel()
			if after, err := os.ReadDir(dir); old && !maps.Equal(tree(t, dir), before) || !old && err == nil {
				t.Fatalf("cancelled at report %d: %v", at, after)
			}
			most := calls
			o.Progress = func(Progress) { most-- }
			result, err := Run(context.Background(), s, nil, dir, o)
			if err != nil {
				t.Fatalf("cancelled at report %d, then: %v", at, err)
			}
			tries++
			if most > 3 {
				resumed++
			}
			if got := tree(t, dir); !maps.Equal(got, want) {
				for name := range want {
					if got[name] != want[name] {
						t.Errorf("%s differs", name)
					}
				}
				t.Fatalf("cancelled at report %d: other bytes", at)
			}
			if p := result.Passes; p[0].Samples != s.Len() || p[1].Samples != s.Len() {
				t.Errorf("cancelled at report %d: %+v", at, p)
			}
			if _, err := os.Stat(dir + ".partial"); !errors.Is(err, os.ErrNotExist) {
				t.Fatal(err)
			}
			os.RemoveAll(dir)
			if old {
				if _, err := Run(context.Background(), s, []metric.Metric{metric.Length()}, dir, Options{}); err != nil {
					t.Fatal(err)
				}
			}
		}
		if resumed < tries/2 {
			t.Errorf("%d of %d went on from where they were", resumed, tries)
		}
	}
}

// Killed when the index was whole but for its renaming, it is put in place, if
// it is the one asked for.
func TestKilledAtTheEnd(t *testing.T) {
	base := t.TempDir()
	dir := filepath.Join(base, "x")
	write(t, filepath.Join(base, "c"), 0, text(50)...)
	s := open(t, filepath.Join(base, "c"), corpus.Cut{Documents: true})
	defer s.Corpus().Close()
	if _, err := Run(context.Background(), s, nil, dir, Options{}); err != nil {
		t.Fatal(err)
	}
	want := tree(t, dir)
	for _, metrics := range [][]metric.Metric{nil, {metric.Length()}} {
		if err := os.Rename(dir, dir+".partial"); err != nil {
			t.Fatal(err)
		}
		passes := 0
		if _, err := Run(context.Background(), s, metrics, dir, Options{Progress: func(Progress) { passes++ }}); err != nil {
			t.Fatal(err)
		}
		if same := maps.Equal(tree(t, dir), want); same != (metrics == nil) || same != (passes == 0) {
			t.Errorf("%d metrics: same bytes %v after %d reports of progress", len(metrics), same, passes)
		}
	}
}

// outside is a metric that asks another program: it may say at its end that what
// it gave is in doubt, and wait for an answer until it is closed.
type outside struct {
	broken  *bool
	hang    int64 // at this sample
	scored  *atomic.Int64
	closing chan struct{}
}

func (outside) Info() metric.Info              { return metric.Info{Name: "outside", Version: 1, Unit: "points"} }
func (outside) Statistics() []metric.Statistic { return nil }
func (o outside) Scorer(metric.Source) (metric.Scorer, error) {
	o.closing = make(chan struct{})
	return o, nil
}

func (o outside) Score(values []float64, samples []metric.Sample) error {
	for i, s := range samples {
		o.scored.Add(1)
		if s.ID == o.hang {
			<-o.closing
			return errors.New("closed")
		}
		values[i] = float64(s.Len)
		if *o.broken {
			values[i]++
		}
	}
	return nil
}

func (o outside) Close() error {
	close(o.closing)
	if *o.broken {
		return &metric.DoubtError{Err: errors.New("one answer too many")}
	}
	return nil
}

// What a program gave is not kept if it is in doubt, and one that hangs is closed
// when the analysis is cancelled.
func TestProgramsInDoubt(t *testing.T) {
	base := t.TempDir()
	write(t, filepath.Join(base, "c"), 0, text(200)...)
	s := open(t, filepath.Join(base, "c"), corpus.Cut{Documents: true})
	defer s.Corpus().Close()
	dir := filepath.Join(base, "x")
	broken, scored := true, atomic.Int64{}
	metrics := []metric.Metric{metric.Rarity(), outside{&broken, -1, &scored, nil}}
	o := Options{Workers: 2, BlockTokens: 200, Checkpoint: 1}
	if _, err := Run(context.Background(), s, metrics, dir, o); err == nil || !strings.Contains(err.Error(), "one answer too many") {
		t.Fatal(err)
	}
	broken = false
	scored.Store(0)
	if _, err := Run(context.Background(), s, metrics, dir, o); err != nil {
		t.Fatal(err)
	}
	if scored.Load() != 200 {
		t.Errorf("%d samples were scored again", scored.Load())
	}
	for id, v := range values(t, dir)["outside"] {
		if start, end := s.Span(int64(id)); v != float64(end-start) {
			t.Fatalf("sample %d: %v", id, v)
		}
	}

	ctx, cancel := context.WithCancel(context.Background())
	time.AfterFunc(50*time.Millisecond, cancel)
	metrics[1] = outside{&broken, 150, &scored, nil}
	if _, err := Run(ctx, s, metrics, dir, Options{Workers: 2, BlockTokens: 200, Checkpoint: 1, Force: true}); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled while a program hangs: %v", err)
	}
}

// What is unfinished is not mixed with another analysis, nor read if damaged.
func TestUnfinishedOfSomethingElse(t *testing.T) {
	base := t.TempDir()
	prefix, dir := filepath.Join(base, "c"), filepath.Join(base, "x")
	write(t, prefix, 0, text(200)...)
	s := open(t, prefix, corpus.Cut{Documents: true})
	defer s.Corpus().Close()
	cancelled := func() {
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		seen := 0
		o := Options{BlockTokens: 200, Checkpoint: 1, Progress: func(Progress) {
			if seen++; seen == 20 {
				cancel()
			}
		}}
		if _, err := Run(ctx, s, nil, dir, o); !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
	}
	cancelled()
	windows := open(t, prefix, corpus.Cut{Window: 4})
	defer windows.Corpus().Close()
	for say, run := range map[string]func(o Options) error{
		"metrics: [length rarity] before, now [length]": func(o Options) error {
			_, err := Run(context.Background(), s, []metric.Metric{metric.Length()}, dir, o)
			return err
		},
		"samples: documents before, now window 4": func(o Options) error {
			_, err := Run(context.Background(), windows, nil, dir, o)
			return err
		},
	} {
		before := tree(t, dir+".partial")
		if err := run(Options{}); !errors.Is(err, fault.Mismatch) || !strings.Contains(err.Error(), say) {
			t.Errorf("%v, want %s", err, say)
		}
		if !maps.Equal(before, tree(t, dir+".partial")) {
			t.Error("the refused analysis has changed the unfinished one")
		}
		if err := run(Options{Restart: true}); err != nil {
			t.Error(err)
		}
		os.RemoveAll(dir)
		cancelled()
	}
	// Nor is one of tokens that mean something else, or one of whose values some
	// are missing.
	other := filepath.Join(base, "other")
	write(t, other, 70000, text(200)...)
	again := open(t, other, corpus.Cut{Documents: true})
	defer again.Corpus().Close()
	if _, err := Run(context.Background(), again, nil, dir, Options{}); !errors.Is(err, fault.Mismatch) || !strings.Contains(err.Error(), "vocabulary of 70000") {
		t.Error(err)
	}
	lost := filepath.Join(dir+".partial", "values", "rarity.npy")
	values, err := os.ReadFile(lost)
	if err != nil {
		t.Fatal(err)
	}
	for _, damage := range []func() error{
		func() error { return os.Truncate(lost, int64(len(values)/2)) },
		func() error { return os.Remove(lost) },
	} {
		if err := damage(); err != nil {
			t.Fatal(err)
		}
		if _, err := Run(context.Background(), s, nil, dir, Options{}); !errors.Is(err, fault.Corrupt) || !strings.Contains(err.Error(), "rarity.npy") {
			t.Error(err)
		}
	}
	if err := os.WriteFile(lost, values, 0o666); err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(dir+".partial", index.StateName)
	whole, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	for at := range whole {
		damaged := append([]byte(nil), whole...)
		damaged[at] ^= 1 << (at % 8)
		if _, err := parseState(damaged); err == nil {
			t.Fatalf("byte %d changed unnoticed", at)
		}
	}
	if err := os.WriteFile(name, whole[:len(whole)/2], 0o666); err != nil {
		t.Fatal(err)
	}
	if _, err := Run(context.Background(), s, nil, dir, Options{}); !errors.Is(err, fault.Corrupt) {
		t.Error(err)
	}
	if _, err := Run(context.Background(), s, nil, dir, Options{Restart: true}); err != nil {
		t.Error(err)
	}
}

func FuzzState(f *testing.F) {
	dir := f.TempDir()
	s := state{Version: stateVersion, Values: valuesDir, Pass: 1, Samples: 7, partial: [][]byte{[]byte("counts"), {}}}
	if err := s.write(dir); err != nil {
		f.Fatal(err)
	}
	data, err := os.ReadFile(filepath.Join(dir, index.StateName))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, data []byte) {
		if s, err := parseState(data); err == nil && (s.Pass < 0 || s.Samples < 0) {
			t.Errorf("%+v", s)
		}
	})
}

// A block takes about the right time, whatever a metric costs.
func TestBlockSize(t *testing.T) {
	for _, perToken := range []time.Duration{time.Nanosecond, 10 * time.Microsecond, time.Millisecond} {
		size := &blockSize{}
		for range 30 {
			size.took(time.Duration(size.get()) * perToken)
		}
		d := time.Duration(size.get()) * perToken
		if d > blockTime && size.get() > leastBlockTokens || d < blockTime/8 && size.get() < mostBlockTokens {
			t.Errorf("at %v a token: blocks of %d tokens, %v", perToken, size.get(), d)
		}
	}
	if (&blockSize{fixed: 7}).get() != 7 {
		t.Error("a fixed size stays")
	}
}
