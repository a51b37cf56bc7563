package saving

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/gradus-ml/gradus/internal/fault"
	"github.com/gradus-ml/gradus/internal/keyed"
	"github.com/gradus-ml/gradus/runlog"
)

var update = flag.Bool("update", false, "rewrite the golden files in testdata")

func compare(t testing.TB, s Study) Result {
	t.Helper()
	r, err := Compare(s)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// pair is a study of two arms with hardly any noise: the arm saves 1.5.
func twoArms() Study {
	w := world{1.2, 0.9, 0.35, 0.01, 0.0005}
	return w.study(3, keyed.NewKey(1, "two arms"), []float64{0.5, 1}, map[string]float64{"arm": 1.5})
}

func TestRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*Study)
		kind   error
		says   string
	}{
		"confidence":         {func(s *Study) { s.Confidence = 95 }, fault.Invalid, "confidence is 95"},
		"no arms":            {func(s *Study) { s.Arms = nil }, fault.Invalid, "first of the arms"},
		"baseline not first": {func(s *Study) { s.Baseline = "arm" }, fault.Invalid, "first of the arms"},
		"an arm twice":       {func(s *Study) { s.Arms[1].Name = "baseline" }, fault.Invalid, `arm 2 is named "baseline"`},
		"an arm's name":      {func(s *Study) { s.Arms[1].Name = "a\x1b[31m" }, fault.Invalid, "letters that print"},
		"a control of none":  {func(s *Study) { s.Arms[1].Control = "other" }, fault.Invalid, `a control of "other"`},
		"a control of itself": {
			func(s *Study) { s.Arms[1].Control = "arm" }, fault.Invalid, `a control of "arm"`,
		},
		"a control of the baseline": {func(s *Study) { s.Arms[1].Control = "baseline" }, fault.Invalid, "not the baseline"},
		"primary of the baseline":   {func(s *Study) { s.Primary = &Primary{"baseline", 1, []string{"tokens"}, 2} }, fault.Invalid, "not the baseline"},
		"primary of none":           {func(s *Study) { s.Primary = &Primary{"x", 1, []string{"tokens"}, 2} }, fault.Invalid, `is of "x"`},
		"primary without a clock":   {func(s *Study) { s.Primary = &Primary{"arm", 1, nil, 2} }, fault.Invalid, "a clock"},
		"primary on no clock":       {func(s *Study) { s.Primary = &Primary{"arm", 1, []string{"time"}, 2} }, fault.Invalid, `the clock "time"`},
		"primary without an aim":    {func(s *Study) { s.Primary = &Primary{"arm", 1, []string{"tokens"}, 0} }, fault.Invalid, "an aim above 0"},
		"a run of no arm":           {func(s *Study) { s.Runs[0].Arm = "x" }, fault.Invalid, `the arm "x"`},
		"a run of no budget":        {func(s *Study) { s.Runs[0].Budget = math.NaN() }, fault.Invalid, "budget NaN"},
		"a run twice":               {func(s *Study) { s.Runs = append(s.Runs, s.Runs[3]) }, fault.Invalid, "two runs of baseline at 200 % have seed 11"},
		"a run without a log":       {func(s *Study) { s.Runs[0].Log = nil }, fault.Invalid, "has no log"},
		"the log of another run":    {func(s *Study) { s.Runs[0].Log.Run.Seed = 12 }, fault.Mismatch, "its log says 12"},
	} {
		s := twoArms()
		c.change(&s)
		if _, err := Compare(s); !errors.Is(err, c.kind) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: got %v, want %q", name, err, c.says)
		}
	}
}

// The result does not depend on the order in which runs are given.
func TestOrderOfRuns(t *testing.T) {
	s := motley()
	want := compare(t, s)
	slices.Reverse(s.Runs)
	if diff := cmp.Diff(want, compare(t, s), cmp.AllowUnexported(RunResult{})); diff != "" {
		t.Error(diff)
	}
}

func TestStatus(t *testing.T) {
	nan := math.NaN()
	end := func(loss float64) []runlog.Step {
		return []runlog.Step{{Step: 1, Loss: 3}, {Step: 2, Loss: 2, HeldOut: &loss}}
	}
	for name, c := range map[string]struct {
		run  Run
		want Status
	}{
		"done":             {Run{Log: &runlog.Log{Run: runlog.Run{Steps: 2}, Steps: end(2)}}, Done},
		"cut off":          {Run{Log: &runlog.Log{Run: runlog.Run{Steps: 3}, Steps: end(2)}}, Unfinished},
		"empty":            {Run{Log: &runlog.Log{}}, Unfinished},
		"held out NaN":     {Run{Log: &runlog.Log{Run: runlog.Run{Steps: 2}, Steps: end(nan)}}, Diverged},
		"out of all sense": {Run{Log: &runlog.Log{Run: runlog.Run{Steps: 2}, Steps: end(1e90)}}, Diverged},
		"NaN and failed":   {Run{Log: &runlog.Log{Run: runlog.Run{Steps: 9}, Steps: []runlog.Step{{Step: 1, Loss: nan}}}, Failed: "diverged"}, Diverged},
		"failed":           {Run{Log: &runlog.Log{Run: runlog.Run{Steps: 9}, Steps: end(2)}, Failed: "disk full"}, Failed},
		"no log":           {Run{Failed: "disk full"}, Failed},
		"not evaluated":    {Run{Log: &runlog.Log{Run: runlog.Run{Steps: 1}, Steps: end(2)[:1]}}, Unmeasured},
	} {
		r := outcome(c.run)
		if r.Status != c.want || (r.Final != nil) != (c.want == Done) {
			t.Errorf("%s: got %v with the loss %v, want %v", name, r.Status, r.Final, c.want)
		}
	}
}

// Runs that came to no end are told, and change nothing but what needs them.
func TestMissingRuns(t *testing.T) {
	full := compare(t, twoArms())
	for _, c := range []struct {
		name   string
		change func(*Study)
		says   string
		seeds  int // of the arm's saving at 100 %
	}{
		{"all there", func(*Study) {}, "", 3},
		{"a run of the arm diverged", func(s *Study) { last(s.Runs, "arm", 1, 12).HeldOut = new(math.Inf(1)) }, "arm at 100 % with seed 12 (diverged)", 2},
		{"a run of the arm is not there", func(s *Study) {
			s.Runs = slices.DeleteFunc(s.Runs, func(r Run) bool { return r.Arm == "arm" && r.Seed == 13 })
		}, "arm at 100 % was not run with seed 13.", 2},
		{"a run of the baseline is cut off", func(s *Study) { cut(s.Runs, "baseline", 2, 11) }, "Seed 11 is left out of all savings: baseline has no final loss at 200 %.", 2},
		{"the baseline is whole for one seed", func(s *Study) { cut(s.Runs, "baseline", 2, 11); cut(s.Runs, "baseline", 0.25, 12) },
			"Seed 12 narrows what savings can be tested: baseline has no final loss at 25 %.", 3},
		{"the study asks for more", func(s *Study) { s.Expected = 20 }, "Missing: 2 of 20 runs", 3},
		{"the baseline rises", func(s *Study) {
			last(s.Runs, "baseline", 2, 11).HeldOut = new(*last(s.Runs, "baseline", 1, 11).HeldOut + 0.001)
		}, "With seed 11, baseline ended higher at 200 %", 3},
		{"another corpus", func(s *Study) { s.Runs[0].Log.Run.Corpus = "another" }, "Not comparable: the corpus of baseline is another, that of baseline 9a1b77de5c0f and arm 9a1b77de5c0f.", 3},
		{"another backend", func(s *Study) { s.Runs[17].Log.Run.Backend = "xla:cpu" }, "Times are not comparable: the backend of baseline is go, that of arm xla:cpu.", 3},
		{"other units", func(s *Study) { s.Runs[17].Log.Run.Predicts = "image" }, "Not comparable: the losses of baseline are in nats a token, those of arm nats an image.", 3},
		{"trained weights", func(s *Study) { s.Runs[17].Log.Run.Weights = "abcdef0123456789" }, "Not the same initial weights: those of baseline are drawn, those of arm abcdef012345.", 3},
	} {
		s := twoArms()
		c.change(&s)
		r := compare(t, s)
		if warnings := strings.Join(r.Warnings, "\n"); (c.says == "") != (warnings == "") || !strings.Contains(warnings, c.says) {
			t.Errorf("%s: got %q, want %q", c.name, warnings, c.says)
		}
		saving := r.at("arm", 1).On("tokens").Saving
		if saving == nil || saving.Seeds != c.seeds {
			t.Errorf("%s: the saving is %+v, want it over %d seeds", c.name, saving, c.seeds)
			continue
		}
		if whole := full.at("arm", 1).On("tokens").Saving; !saving.Interval.Holds(whole.Factor) {
			t.Errorf("%s: the saving is %s, with all runs %v", c.name, saving.Interval.within(), whole.Factor)
		}
	}
}

// last is the last step of a run.
func last(runs []Run, arm string, budget float64, seed uint64) *runlog.Step {
	for _, r := range runs {
		if r.Arm == arm && r.Budget == budget && r.Seed == seed {
			return &r.Log.Steps[len(r.Log.Steps)-1]
		}
	}
	return nil
}

func cut(runs []Run, arm string, budget float64, seed uint64) {
	for _, r := range runs {
		if r.Arm == arm && r.Budget == budget && r.Seed == seed {
			r.Log.Steps = r.Log.Steps[:1]
		}
	}
}

func TestLittle(t *testing.T) {
	all := twoArms()
	keep := func(keep func(Run) bool) Study {
		s := all
		s.Runs = slices.DeleteFunc(slices.Clone(all.Runs), func(r Run) bool { return !keep(r) })
		return s
	}
	for _, c := range []struct {
		name   string
		s      Study
		says   string
		saving bool
	}{
		{"no runs", keep(func(Run) bool { return false }), "No seed of baseline is finished at two budgets", false},
		{"one seed", keep(func(r Run) bool { return r.Seed == 11 }), "One seed: no interval", true},
		{"one budget", keep(func(r Run) bool { return r.Budget == 1 }), "No seed of baseline is finished at two budgets", false},
		{"two budgets", keep(func(r Run) bool { return r.Budget >= 1 }), "has two budgets", true},
		{"no full budget", keep(func(r Run) bool { return r.Arm == "arm" || r.Budget != 1 }), "baseline has no run at 100 %", true},
	} {
		r := compare(t, c.s)
		if w := strings.Join(r.Warnings, "\n"); !strings.Contains(w, c.says) {
			t.Errorf("%s: got %q, want %q", c.name, w, c.says)
		}
		at := r.at("arm", 1)
		if got := at != nil && at.On("tokens") != nil && at.On("tokens").Saving != nil; got != c.saving {
			t.Errorf("%s: a saving: %v, want %v", c.name, got, c.saving)
		}
		for _, write := range []func() error{
			func() error { return r.Table(&bytes.Buffer{}) }, func() error { return Page(&bytes.Buffer{}, r, "") }, func() error { return r.JSON(&bytes.Buffer{}) },
		} {
			if err := write(); err != nil {
				t.Errorf("%s: %v", c.name, err)
			}
		}
	}
	// With one budget a gain at equal cost can still be told where the amounts are equal.
	one := compare(t, keep(func(r Run) bool { return r.Budget == 1 }))
	if g := one.at("arm", 1).On("tokens").Gain; g == nil || g.Seeds != 3 {
		t.Errorf("one budget: the gain is %+v", g)
	}
}

func TestVerdict(t *testing.T) {
	s := twoArms()
	for _, c := range []struct {
		budget, aim   float64
		clocks        []string
		change        func(*Study)
		reached, sure bool
		answer        string
	}{
		{1, 1.4, []string{"tokens"}, nil, true, true, "The aim that was fixed before the runs, 1.40x in tokens, is reached, and no part of an interval lies below it."},
		{1, 1.6, []string{"tokens"}, nil, false, false, "The aim that was fixed before the runs, 1.60x in tokens, is not reached in tokens."},
		{2, 1.4, []string{"tokens"}, nil, false, false, "1.40x in tokens, is not reached: no run of arm at 200 % is finished."},
		{1, 1.4, []string{"tokens", "steps"}, func(s *Study) { last(s.Runs, "arm", 1, 12).HeldOut = new(math.NaN()) }, false, false, "is not reached: not every run of arm at 100 % came to a final loss."},
		{1, 1.4, []string{"tokens"}, func(s *Study) { s.Expected = len(s.Runs) + 2 }, false, false, "is not reached: 2 of 20 runs of the study are still to be made."},
		{1, 1.4, []string{"tokens"}, func(s *Study) { cut(s.Runs, "baseline", 0.25, 11) }, false, false, "is not reached: 1 of 18 runs of the study are still to be made."},
		{1, 1.4, []string{"seconds"}, func(s *Study) {
			for _, r := range s.Runs {
				for i := range r.Log.Steps {
					r.Log.Steps[i].Seconds = 0
				}
			}
		}, false, false, "no saving in training time can be told from these runs."},
	} {
		s := s
		s.Runs = twoArms().Runs
		s.Primary = &Primary{"arm", c.budget, c.clocks, c.aim}
		if c.change != nil {
			c.change(&s)
		}
		r := compare(t, s)
		if r.Primary.Reached != c.reached || r.Primary.Sure != c.sure || !strings.HasSuffix(r.Answer[1], c.answer) {
			t.Errorf("aim %v at %v: reached %v, sure %v, %q; want %q", c.aim, c.budget, r.Primary.Reached, r.Primary.Sure, r.Answer[1], c.answer)
		}
	}
	// The estimate is above, the interval is not.
	noisy := world{1.2, 0.9, 0.35, 0.01, 0.03}.study(3, keyed.NewKey(5, "verdict"), []float64{0.5}, map[string]float64{"arm": 1.7})
	noisy.Primary = &Primary{"arm", 0.5, []string{"tokens"}, 1.4}
	if r := compare(t, noisy); !r.Primary.Reached || r.Primary.Sure || !strings.Contains(r.Answer[1], "is reached by the estimates, but less cannot be ruled out in tokens") {
		t.Errorf("noisy: %+v, %q", r.Primary, r.Answer)
	}
}

// A control that does half of what the arm does has half of its gain and of the logarithm
// of its saving.
func TestControls(t *testing.T) {
	w := world{1.2, 0.9, 0.35, 0.01, 0.0005}
	s := w.study(4, keyed.NewKey(4, "controls"), []float64{0.5}, map[string]float64{"arm": 2, "control": math.Sqrt2, "nothing": 1})
	for i := range s.Arms {
		if s.Arms[i].Name != "baseline" && s.Arms[i].Name != "arm" {
			s.Arms[i].Control = "arm"
		}
	}
	r := compare(t, s)
	gain := func(saves float64) float64 { return 0.9 * (math.Pow(0.5, -0.35) - math.Pow(0.5*saves, -0.35)) }
	var seen int
	for _, a := range r.Controls {
		if a.Clock != "tokens" {
			continue
		}
		seen++
		share, log := gain(math.Sqrt2)/gain(2), 0.5
		if a.Control == "nothing" {
			share, log = 0, 0
		}
		if a.Share == nil || math.Abs(a.Share.Share-share) > 0.01 || !a.Share.Interval.Holds(share) {
			t.Errorf("%s has the share %+v, want %v", a.Control, a.Share, share)
		}
		if a.LogSaving == nil || math.Abs(*a.LogSaving-log) > 0.01 {
			t.Errorf("%s has %v of the log saving, want %v", a.Control, a.LogSaving, log)
		}
	}
	if seen != 2 {
		t.Errorf("%d controls, want 2", seen)
	}
}

// The part of the table above the times is the same whatever the times are.
func TestTableWithoutTimes(t *testing.T) {
	write := func(slower float64) (string, string) {
		s := motley()
		for _, r := range s.Runs {
			if r.Log != nil {
				for i := range r.Log.Steps {
					r.Log.Steps[i].Seconds *= slower * (1 + float64(r.Seed)/100)
					r.Log.Steps[i].Waited *= slower
					r.Log.Steps[i].Compile *= slower
				}
			}
		}
		var b bytes.Buffer
		if err := compare(t, s).Table(&b); err != nil {
			t.Fatal(err)
		}
		before, after, found := strings.Cut(b.String(), "\n"+TimesHeading+"\n")
		if !found {
			t.Fatal("no heading of times")
		}
		return before, after
	}
	a, timesA := write(1)
	b, timesB := write(3.7)
	if a != b {
		t.Error(cmp.Diff(a, b))
	}
	if timesA == timesB {
		t.Error("the times are no times")
	}
}

func TestGolden(t *testing.T) {
	r := compare(t, motley())
	var table, out bytes.Buffer
	if err := r.Table(&table); err != nil {
		t.Fatal(err)
	}
	if err := r.JSON(&out); err != nil {
		t.Fatal(err)
	}
	var back Result
	if err := json.Unmarshal(out.Bytes(), &back); err != nil {
		t.Fatal(err)
	}
	if back.Answer[0] != r.Answer[0] || len(back.Runs) != len(r.Runs) {
		t.Errorf("JSON says %q of %d runs", back.Answer, len(back.Runs))
	}
	path := filepath.Join("testdata", "motley.md")
	if *update {
		if err := os.WriteFile(path, table.Bytes(), 0o666); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("%v; run go test -update to write it", err)
	}
	if diff := cmp.Diff(string(want), table.String()); diff != "" {
		t.Errorf("%s (-want +got); run go test -update if the change is meant:\n%s", path, diff)
	}
}
