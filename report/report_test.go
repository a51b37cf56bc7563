package report

import (
	"errors"
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/gradus-ml/gradus/internal/fault"
	"github.com/gradus-ml/gradus/runlog"
	"pgregory.net/rapid"
)

// evaluated makes a log of one evaluation per step. Step n has consumed 10n
// tokens, 5n layer-tokens, 1000n FLOPs and n/4 seconds.
func evaluated(name string, losses ...float64) *runlog.Log {
	log := &runlog.Log{Run: runlog.Run{Version: 1, Name: name, Clock: "tokens", Steps: int64(len(losses))}}
	for i, l := range losses {
		n := float64(i + 1)
		log.Steps = append(log.Steps, runlog.Step{
			Step: int64(i + 1), Tokens: int64(10 * n), LayerTokens: 5 * n, FLOPs: 1000 * n, Seconds: n / 4,
			Length: 10, Rows: 1, Kept: 5, Loss: l, HeldOut: new(l),
		})
	}
	return log
}

func atStep(n float64) *Amounts {
	return &Amounts{LayerTokens: 5 * n, Tokens: 10 * n, FLOPs: 1000 * n, Seconds: n / 4, Steps: n}
}

func TestReached(t *testing.T) {
	nan, inf := math.NaN(), math.Inf(1)
	for _, c := range []struct {
		name     string
		baseline []float64
		run      []float64
		base     *Amounts
		want     *Amounts
		bound    bool
		factor   float64 // on every clock
		less     float64
	}{
		{"between evaluations", []float64{6, 5, 4, 3, 2}, []float64{6, 3, 1}, atStep(5), atStep(2.5), false, 2, 50},
		{"exactly at one", []float64{6, 5, 4, 3, 2}, []float64{6, 2, 1}, atStep(5), atStep(2), false, 2.5, 60},
		{"a quarter of the way", []float64{6, 2}, []float64{9, 3, 3, -1}, atStep(2), atStep(3.25), false, 2 / 3.25, 100 * (1 - 3.25/2)},
		{"never", []float64{6, 5, 2}, []float64{6, 5, 3, 2.0000001}, atStep(3), nil, false, 0, 0},
		{"at its end, as late", []float64{6, 4, 2}, []float64{6, 4, 2}, atStep(3), atStep(3), false, 1, 0},
		{"slower", []float64{6, 2}, []float64{6, 5, 4, 2}, atStep(2), atStep(4), false, 0.5, -100},
		{"the baseline was as low before its end", []float64{6, 1, 5, 2}, []float64{6, 6, 2}, atStep(1.8), atStep(3), false, 0.6, 100 * (1 - 3/1.8)},
		{"up again after reaching", []float64{6, 4, 2}, []float64{6, 2, 9, 9}, atStep(3), atStep(2), false, 1.5, 100 * (1 - 2.0/3)},
		{"at the first evaluation", []float64{6, 4, 2}, []float64{1, 1}, atStep(3), atStep(1), true, 3, 100 * (1 - 1.0/3)},
		{"after a gap", []float64{6, 4, 2}, []float64{6, nan, 1}, atStep(3), atStep(3), true, 1, 0},
		{"after an infinity", []float64{6, 4, 2}, []float64{inf, 1}, atStep(3), atStep(2), true, 1.5, 100 * (1 - 2.0/3)},
		{"diverged before", []float64{6, 4, 2}, []float64{6, 3, nan, nan}, atStep(3), nil, false, 0, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := Compare([]*runlog.Log{evaluated("run", c.run...), evaluated("base", c.baseline...)}, []string{"run", "base"}, 1)
			if err != nil {
				t.Fatal(err)
			}
			near := cmpopts.EquateApprox(1e-12, 0)
			if diff := cmp.Diff(c.base, got.Runs[0].Reached, near); diff != "" {
				t.Errorf("the baseline (-want +got):\n%s", diff)
			}
			r := got.Runs[1]
			if diff := cmp.Diff(c.want, r.Reached, near); diff != "" {
				t.Errorf("the run (-want +got):\n%s", diff)
			}
			if r.Bound != c.bound {
				t.Errorf("an upper bound: got %v, want %v", r.Bound, c.bound)
			}
			var want *Saving
			if c.want != nil {
				want = &Saving{Amounts{c.factor, c.factor, c.factor, c.factor, c.factor}, Amounts{c.less, c.less, c.less, c.less, c.less}}
			}
			if diff := cmp.Diff(want, r.Saving, cmpopts.EquateApprox(1e-12, 1e-9)); diff != "" {
				t.Errorf("the saving (-want +got):\n%s", diff)
			}
		})
	}
}

// The clocks are interpolated by one fraction, be they far from proportional.
func TestReachedOnUnevenClocks(t *testing.T) {
	run := evaluated("run", 4, 2)
	run.Steps[1].Tokens, run.Steps[1].Seconds = 1010, 0.25
	c, err := Compare([]*runlog.Log{evaluated("base", 6, 3), run}, []string{"base", "run"}, 0)
	if err != nil {
		t.Fatal(err)
	}
	want := &Amounts{LayerTokens: 7.5, Tokens: 510, FLOPs: 1500, Seconds: 0.25, Steps: 1.5}
	if diff := cmp.Diff(want, c.Runs[1].Reached); diff != "" {
		t.Error(diff)
	}
}

// A clock that a log does not fill in gives no saving on it, not a division by
// zero.
func TestSavingWithoutAClock(t *testing.T) {
	base, run := evaluated("base", 6, 4, 2), evaluated("run", 6, 2)
	for i := range run.Steps {
		run.Steps[i].Seconds = 0
	}
	c, err := Compare([]*runlog.Log{base, run}, []string{"base", "run"}, 0)
	if err != nil {
		t.Fatal(err)
	}
	if s := c.Runs[1].Saving; s.Factor.Seconds != 0 || s.Less.Seconds != 0 || s.Factor.Tokens != 1.5 {
		t.Errorf("got %+v", s)
	}
	if want := "run reached base's final held-out loss (2.000) with 33 % fewer layer-tokens and 33 % fewer tokens."; c.Headline != want {
		t.Errorf("got %q, want %q", c.Headline, want)
	}
}

// Savings are against the first time that the baseline was as low; when this is
// not its end, the reader is told.
func TestBaselineReachedEarlier(t *testing.T) {
	c, err := Compare([]*runlog.Log{evaluated("base", 6, 1, 5, 2)}, []string{"base"}, 0)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"base was as low as its final loss at step 2 already, before its last evaluation at step 4: savings are measured against the earlier moment."}
	if diff := cmp.Diff(want, c.Warnings); diff != "" {
		t.Error(diff)
	}
}

// Between two evaluations the interpolated loss at the moment found is the
// target, and at no earlier evaluation was the loss as low.
func TestReachedIsFirst(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		losses := rapid.SliceOfN(rapid.Float64Range(0, 10), 1, 30).Draw(t, "losses")
		target := rapid.Float64Range(0, 10).Draw(t, "target")
		at, bound := firstReached(evaluations(evaluated("run", losses...)), target)
		first := -1
		for i, l := range losses {
			if l <= target {
				first = i
				break
			}
		}
		switch {
		case first < 0:
			if at != nil {
				t.Fatalf("found %v, but no loss is as low", at)
			}
		case first == 0:
			if at == nil || at.Steps != 1 || !bound {
				t.Fatalf("got %v, %v; want a bound at step 1", at, bound)
			}
		default:
			low, high := float64(first), float64(first+1)
			if at == nil || bound || at.Steps < low || at.Steps > high {
				t.Fatalf("got %v, %v; want a moment from step %v to %v", at, bound, low, high)
			}
			share := at.Steps - low
			if there := losses[first-1] + share*(losses[first]-losses[first-1]); math.Abs(there-target) > 1e-9 {
				t.Fatalf("the loss at %v is %v, want %v", at.Steps, there, target)
			}
			if math.Abs(at.Tokens-10*at.Steps) > 1e-9 || math.Abs(at.Seconds-at.Steps/4) > 1e-9 {
				t.Fatalf("the clocks part: %+v", at)
			}
		}
	})
}

func TestCompareRefuses(t *testing.T) {
	log := evaluated("a", 1)
	for _, c := range []struct {
		runs     []*runlog.Log
		names    []string
		baseline int
	}{
		{nil, nil, 0},
		{[]*runlog.Log{log}, []string{"a"}, 1},
		{[]*runlog.Log{log}, []string{"a"}, -1},
		{[]*runlog.Log{log}, nil, 0},
		{[]*runlog.Log{log}, []string{""}, 0},
		{[]*runlog.Log{log, log}, []string{"a", "a"}, 0},
	} {
		if _, err := Compare(c.runs, c.names, c.baseline); !errors.Is(err, fault.Invalid) {
			t.Errorf("Compare of %d runs, %q, %d: got %v, want invalid input", len(c.runs), c.names, c.baseline, err)
		}
	}
}

func TestNames(t *testing.T) {
	named := func(s string) *runlog.Log { return &runlog.Log{Run: runlog.Run{Name: s}} }
	got := Names([]*runlog.Log{named("a"), named(""), named("a"), named(""), named("a"), named("a (2)"), named("x\x1b[31m\n y\u202e")},
		[]string{"ignored", "dir", "", ""})
	want := []string{"a", "dir", "a (2)", "run", "a (3)", "a (2) (2)", "x[31m y"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}
