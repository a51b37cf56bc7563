// Package saving says what recipes save against a baseline, and how sure that is.
//
// A [Study] is run logs: some arms, each at some budgets, each with some seeds, of
// which every run has decayed its learning rate to its own end. [Compare] turns it
// into a [Result], plain data that is ready for JSON. [Result.Table] writes it as
// Markdown, [Page] as one HTML page, [Write] as all of these with figures as files.
//
// # What is estimated
//
// The loss of a run is that of its last held-out evaluation. All differences are
// taken within a seed, because runs of one seed share what makes seeds differ: the
// initial weights, the held-out text, the order of the samples where it is the same.
//
// The curve of an arm, for a seed and a clock, goes through the losses of its budgets.
// Between them it is a monotone cubic in the logarithm of the amount (Fritsch and
// Butland 1984). Where noise makes a larger budget end higher, the losses are first
// replaced by the nearest that never rise (pool adjacent violators: Ayer et al. 1955).
// Beyond the smallest and the largest budget there is no curve: nothing is
// extrapolated.
//
// The saving of an arm at a budget is what the baseline needs to reach the arm's loss,
// divided by what the arm consumed: 2 means half as much. Seed i of the arm consumed
// x_i and ended at loss y_i, and the baseline's curve of that seed is B_i. For a factor
// s the differences are
//
//	d_i(s) = B_i(s x_i) - y_i
//
// The estimate is the s at which their mean is zero. The interval holds every s at
// which a two-sided paired t-test does not reject that it is (the inversion of a test,
// as Fieller, 1954, did for a ratio). So it may be open at an end: no factor that the
// baseline's budgets allow to test is too large, or too small. Where even the
// baseline's largest budget ends above the arm's loss, and significantly so, the
// baseline never reached it, and the saving is at least what could be tested.
//
// The gain at equal cost is B_i(x_i) - y_i: how much lower the arm ended than the
// baseline at the same amount of a clock. Its p-values are of the two-sided paired
// t-test, and once more corrected by Holm's method (1979) over all that is compared on
// the same clock.
//
// The share that a control has of an arm's gain is a ratio of two means over the same
// seeds. Its interval is Fieller's; it is only given where the arm's gain differs
// significantly from nothing.
package saving

import (
	"math"
	"slices"

	"github.com/gradus-ml/gradus/internal/fault"
	"github.com/gradus-ml/gradus/internal/words"
	"github.com/gradus-ml/gradus/runlog"
)

// A Run is one run of a study: an arm at a budget with a seed.
type Run struct {
	Arm    string
	Budget float64     // as a share of the study's full budget: 0.25, 0.5, 1, 2
	Seed   uint64      // runs of one seed are paired
	Log    *runlog.Log // nil only where Failed says why there is none
	Failed string      // what ended the run before its end; empty: nothing did
}

// An Arm is one recipe of a study.
type Arm struct {
	Name    string `json:"name"`
	Says    string `json:"says,omitempty"`    // in a sentence: what it changes
	Control string `json:"control,omitempty"` // the arm whose gain it attributes; empty: none
}

// A Primary is the comparison that was fixed before the runs.
type Primary struct {
	Arm    string   `json:"arm"`
	Budget float64  `json:"budget"` // of the arm's runs
	Clocks []string `json:"clocks"` // on which the saving is claimed, of Clocks
	Aim    float64  `json:"aim"`    // 2: half as much
}

// A Study is what Compare compares.
type Study struct {
	Name, Question, Notes string
	Baseline              string // an arm's name
	Arms                  []Arm  // the baseline first
	Primary               *Primary
	Runs                  []Run
	Confidence            float64 // of intervals; 0: 0.95
	Expected              int     // runs that the study asks for; those missing are told
	Timed                 string  // how the times were taken, in a sentence; empty: not known
}

// Compare finds what the arms of a study saved. A study that contradicts itself is
// fault.Invalid, a log that is not of the run it is given for is fault.Mismatch. Runs
// that are missing, unfinished or diverged are no error: they are told, and left out of
// what needs a final loss.
func Compare(s Study) (Result, error) {
	if s.Confidence == 0 {
		s.Confidence = 0.95
	}
	if err := s.check(); err != nil {
		return Result{}, err
	}
	c := newComparison(s)
	r := Result{
		Name: words.Printable(s.Name), Question: words.Printable(s.Question), Notes: words.Printable(s.Notes), Timed: words.Printable(s.Timed),
		Baseline: s.Baseline, Confidence: s.Confidence, Primary: nil,
		Unit: c.unit(), Clocks: c.clocks(), Seeds: c.seeds(),
		Expected: max(s.Expected, len(s.Runs)), Finished: c.finished(), Runs: c.runs,
	}
	for _, a := range s.Arms {
		r.Arms = append(r.Arms, c.arm(a, r.Clocks))
	}
	correct(r.Arms, r.Clocks)
	r.Controls = c.controls(r)
	r.Primary = verdict(s.Primary, r)
	r.Scale = c.scale()
	r.Warnings = c.warnings(r)
	r.Answer = answer(r)
	return r, nil
}

// check says what is wrong with a study, or nil.
func (s Study) check() error {
	if !(s.Confidence > 0 && s.Confidence < 1) {
		return fault.Invalidf("saving: confidence is %v, want a number between 0 and 1, such as 0.95", s.Confidence)
	}
	if len(s.Arms) == 0 || s.Arms[0].Name != s.Baseline {
		return fault.Invalidf("saving: the baseline %q must be the first of the arms", s.Baseline)
	}
	index := map[string]int{}
	for i, a := range s.Arms {
		if _, twice := index[a.Name]; twice || a.Name == "" || a.Name != words.Printable(a.Name) {
			return fault.Invalidf("saving: arm %d is named %q: each arm needs a name of its own, in letters that print", i+1, a.Name)
		}
		index[a.Name] = i
	}
	for _, a := range s.Arms {
		if of, known := index[a.Control]; a.Control != "" && (!known || of == 0 || a.Control == a.Name || a.Name == s.Baseline) {
			return fault.Invalidf("saving: %s is a control of %q: a control is not the baseline, and is of another arm that is not either", a.Name, a.Control)
		}
	}
	if p := s.Primary; p != nil {
		if i, known := index[p.Arm]; !known || i == 0 {
			return fault.Invalidf("saving: the primary comparison is of %q: want an arm that is not the baseline", p.Arm)
		}
		if !amount(p.Budget) || !amount(p.Aim) || len(p.Clocks) == 0 {
			return fault.Invalidf("saving: the primary comparison has budget %v, aim %v and %d clocks: want a budget and an aim above 0, and a clock", p.Budget, p.Aim, len(p.Clocks))
		}
		for _, k := range p.Clocks {
			if !slices.Contains(Clocks(), k) {
				return fault.Invalidf("saving: the primary comparison names the clock %q, want some of %q", k, Clocks())
			}
		}
	}
	return s.checkRuns(index)
}

func (s Study) checkRuns(index map[string]int) error {
	seen := map[place]bool{}
	for _, r := range s.Runs {
		at := place{r.Arm, r.Budget, r.Seed}
		_, known := index[r.Arm]
		switch {
		case !known:
			return fault.Invalidf("saving: a run is of the arm %q, which the study has not", r.Arm)
		case !amount(r.Budget):
			return fault.Invalidf("saving: a run of %s has budget %v, want a finite number above 0", r.Arm, r.Budget)
		case seen[at]:
			return fault.Invalidf("saving: two runs of %s at %s have seed %d: one of them must go", r.Arm, share(r.Budget), r.Seed)
		case r.Log == nil && r.Failed == "":
			return fault.Invalidf("saving: the run of %s at %s with seed %d has no log, and nothing says why", r.Arm, share(r.Budget), r.Seed)
		case r.Log != nil && r.Log.Run.Seed != r.Seed:
			return fault.Mismatchf("saving: the run of %s at %s is given for seed %d, its log says %d: it is the log of another run", r.Arm, share(r.Budget), r.Seed, r.Log.Run.Seed)
		}
		seen[at] = true
	}
	return nil
}

// place is where a run stands in a study.
type place struct {
	arm    string
	budget float64
	seed   uint64
}

// amount tells whether f is a finite number above zero.
func amount(f float64) bool { return f > 0 && !math.IsInf(f, 1) }
