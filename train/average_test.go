package train

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gradus-ml/gradus/batch"
	"github.com/gradus-ml/gradus/internal/fault"
	"github.com/gradus-ml/gradus/route"
	"github.com/gradus-ml/gradus/runlog"
)

func TestAverageIsChecked(t *testing.T) {
	for name, a := range map[string]Average{
		"kind": {Kind: "mode"}, "no decay": {Kind: EMA}, "decay 1": {Kind: EMA, Decay: 1}, "NaN decay": {Kind: EMA, Decay: math.NaN()},
		"decay 1 as a float32": {Kind: EMA, Decay: 1 - 1e-12}, "none": {Kind: LastCheckpoints}, "last of ema": {Kind: EMA, Decay: 0.9, Last: 2},
		"decay of checkpoints": {Kind: LastCheckpoints, Last: 2, Decay: 0.9}, "decay of nothing": {Decay: 0.5},
	} {
		if err := a.Validate(); !errors.Is(err, fault.Invalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, a := range []Average{{}, {Kind: EMA, Decay: 0.999}, {Kind: LastCheckpoints, Last: 1}} {
		if err := a.Validate(); err != nil {
			t.Errorf("%+v: %v", a, err)
		}
	}
}

// full is a run with everything that has a state: an average of the weights, a
// policy that learns, dropout, micro batches.
func full(a Average) func(t testing.TB, dir string) Config {
	return func(t testing.TB, dir string) Config {
		c := small(t, dir)
		c.Average, c.Accumulate = a, 2
		c.Model.Dropout = 0.2
		c.Batches = unrouted{counting{plan: c.Plan}}
		c.Learner = &batch.Routing{Policy: route.TokenBypass{}, Layers: tiny.Routed, Seed: 3}
		return c
	}
}

// A run that is killed after any step, or stopped there, goes on to the same bits,
// averages and what a policy has learned included.
func TestResumeWithAllState(t *testing.T) {
	for _, a := range []Average{{Kind: EMA, Decay: 0.8}, {Kind: LastCheckpoints, Last: 3}} {
		t.Run(string(a.Kind), func(t *testing.T) {
			begin := full(a)
			whole, copies := t.TempDir(), t.TempDir()
			c := begin(t, whole)
			c.Progress = func(p Progress) {
				if err := os.CopyFS(filepath.Join(copies, fmt.Sprint(p.Step.Step)), os.DirFS(whole)); err != nil {
					t.Error(err)
				}
			}
			if _, err := Train(context.Background(), c); err != nil {
				t.Fatal(err)
			}
			if s := end(t, whole); s.average == nil || len(s.learned) != tiny.Vocabulary {
				t.Fatalf("the last checkpoint has an average of %d tensors, and %d numbers that a policy has learned", len(s.average), len(s.learned))
			}
			for _, step := range []int{2, 13, 16} {
				dir := filepath.Join(copies, fmt.Sprint(step))
				c := begin(t, dir)
				c.Resume = true
				if _, err := Train(context.Background(), c); err != nil {
					t.Fatalf("killed after step %d: %v", step, err)
				}
				sameRun(t, dir, whole)
			}
			cut := t.TempDir()
			for _, stop := range []int64{2, 10} {
				ctx, cancel := context.WithCancel(context.Background())
				c := begin(t, cut)
				c.Resume = stop > 2
				c.Progress = func(p Progress) {
					if p.Step.Step == stop {
						cancel()
					}
				}
				if _, err := Train(ctx, c); !errors.Is(err, context.Canceled) {
					t.Fatal(err)
				}
				cancel()
			}
			c = begin(t, cut)
			c.Resume = true
			if _, err := Train(context.Background(), c); err != nil {
				t.Fatal(err)
			}
			sameRun(t, cut, whole)
		})
	}
}

// The average of checkpoints is the mean of their weights, and held-out losses are
// those of the average, with those of the weights beside them.
func TestAverageOfCheckpoints(t *testing.T) {
	dir := t.TempDir()
	c := small(t, dir)
	c.Average, c.KeepCheckpoints = Average{Kind: LastCheckpoints, Last: 3}, 100
	c.EvaluateEvery = c.CheckpointEvery // 3, 6, ..., 18, and 20
	if _, err := Train(context.Background(), c); err != nil {
		t.Fatal(err)
	}
	all, err := Checkpoints(dir)
	if err != nil || len(all) != 7 {
		t.Fatalf("%d checkpoints (%v), want 7", len(all), err)
	}
	var saved []state
	for i, path := range all {
		st, err := ReadCheckpointState(path)
		if err != nil {
			t.Fatal(err)
		}
		s, err := readCheckpoint(path, st, tiny)
		if err != nil {
			t.Fatal(err)
		}
		saved = append(saved, s)
		last := saved[max(len(saved)-3, 0):]
		if len(st.Averaged) != len(last) || st.Averaged[len(last)-1] != st.Step {
			t.Fatalf("checkpoint %d says that its average is of steps %v", i, st.Averaged)
		}
		for p := range s.average {
			for k, got := range s.average[p] {
				want := 0.0
				for _, s := range last {
					want += float64(s.weights[p][k]) / float64(len(last))
				}
				if float32(want) != got {
					t.Fatalf("checkpoint %d: tensor %d, element %d is %v, want %v", i, p, k, got, want)
				}
			}
		}
	}
	e := mustEngine(t, tiny, adam)
	for _, s := range steps(t, dir) {
		if s.HeldOut == nil {
			continue
		}
		at := saved[(s.Step+2)/3-1]
		for name, x := range map[string]struct {
			weights [][]float32
			got     *float64
		}{"average": {at.average, s.HeldOut}, "weights": {at.weights, s.HeldOutRaw}} {
			if err := e.load(state{weights: x.weights, moment1: at.moment1, moment2: at.moment2}); err != nil {
				t.Fatal(err)
			}
			want, _, err := e.loss(c.Evaluation)
			if err != nil {
				t.Fatal(err)
			}
			if x.got == nil || *x.got != want {
				t.Errorf("step %d: the held-out loss of the %s is %v, want %v", s.Step, name, x.got, want)
			}
		}
	}
}

// With few kept, the checkpoints that an average needs stay; where one is gone all
// the same, the run says which.
func TestAverageNeedsItsCheckpoints(t *testing.T) {
	dir := t.TempDir()
	begin := full(Average{Kind: LastCheckpoints, Last: 3})
	c := begin(t, dir)
	c.KeepCheckpoints, c.Evaluation = 1, nil
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	c.Progress = func(p Progress) {
		if p.Step.Step == 13 {
			cancel()
		}
	}
	if _, err := Train(ctx, c); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	root := filepath.Join(dir, checkpointDir)
	want := []string{checkpointName(6), checkpointName(9), checkpointName(12), checkpointName(13)}
	if got := list(t, root); !slices.Equal(got, want) {
		t.Errorf("there are %v, want %v", got, want)
	}
	if err := os.RemoveAll(filepath.Join(root, checkpointName(9))); err != nil {
		t.Fatal(err)
	}
	c = begin(t, dir)
	c.Resume, c.KeepCheckpoints, c.Evaluation = true, 1, nil
	if _, err := Train(context.Background(), c); !errors.Is(err, os.ErrNotExist) || !strings.Contains(err.Error(), checkpointName(9)) {
		t.Errorf("without the checkpoint of step 9: %v", err)
	}
}

// The best checkpoint is the one with the lowest loss, is marked, and stays beside
// the newest ones; after a kill the mark is as it was.
func TestBestCheckpoint(t *testing.T) {
	dir := t.TempDir()
	c := small(t, dir)
	c.KeepCheckpoints, c.EvaluateEvery = 1, 3
	c.Schedule = Schedule{Peak: 0.3, Min: 0.3, Total: 20, Decay: Constant} // up and down
	result, err := Train(context.Background(), c)
	if err != nil {
		t.Fatal(err)
	}
	var best runlog.Step
	for _, s := range steps(t, dir) {
		if s.HeldOut != nil && (best.HeldOut == nil || *s.HeldOut < *best.HeldOut) {
			best = s
		}
	}
	if best.Step == 20 {
		t.Fatal("the last checkpoint is the best; the test needs another rate")
	}
	path, err := BestCheckpoint(dir)
	if err != nil || path != result.Best || filepath.Base(path) != checkpointName(best.Step) {
		t.Errorf("the best is %q (%v) and in the result %q, want that of step %d", path, err, result.Best, best.Step)
	}
	root := filepath.Join(dir, checkpointDir)
	want := []string{bestFile, checkpointName(best.Step), checkpointName(20)}
	if got := list(t, root); !slices.Equal(got, want) {
		t.Errorf("there are %v, want %v", got, want)
	}
	if found, err := findCheckpoint(filepath.Join(root, bestFile)); err != nil || found != path {
		t.Errorf("the mark leads to %q (%v), want %q", found, err, path)
	}

	mark := filepath.Join(root, bestFile)
	if err := os.Remove(mark); err != nil {
		t.Fatal(err)
	}
	if path, err := BestCheckpoint(dir); err != nil || path != "" {
		t.Errorf("without a mark: %q, %v", path, err)
	}
	c = small(t, dir)
	c.Resume = true
	if again, err := Train(context.Background(), c); err != nil || again.Best != result.Best {
		t.Errorf("resumed: %+v, %v", again, err)
	}
	if again, err := BestCheckpoint(dir); err != nil || again != path {
		t.Errorf("after a resume the best is %q (%v), want %q", again, err, path)
	}
	for _, text := range []string{"", "step-1", "../step-0000000020\n", "step-\n", "step-0000000019\n", "step-00000000x9\n"} {
		if err := os.WriteFile(mark, []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
		if path, err := BestCheckpoint(dir); !errors.Is(err, fault.Corrupt) {
			t.Errorf("a mark of %q: %q, %v", text, path, err)
		}
	}
}

// A held-out loss far above the lowest ends a run that asks for it, and the way back
// is the best checkpoint.
func TestStopAbove(t *testing.T) {
	dir := t.TempDir()
	c := small(t, dir)
	c.EvaluateEvery, c.KeepCheckpoints = 3, 1
	c.StopAbove = 0.5 // any second loss is above half of the first
	result, err := Train(context.Background(), c)
	var d *DivergedError
	if !errors.As(err, &d) || result.Finished {
		t.Fatalf("%+v, %v", result, err)
	}
	if d.Step != 6 || d.HeldOut == nil || d.Lowest == 0 || d.Checkpoint != filepath.Join(dir, checkpointDir, checkpointName(3)) {
		t.Errorf("%+v: want it at step 6, with the checkpoint of step 3", d)
	}
	if log := steps(t, dir); len(log) != 6 || log[5].HeldOut == nil {
		t.Errorf("the log has %d steps, want 6 with the loss of the last", len(log))
	}
}
