// Package report compares training runs and shows what was saved.
//
// [Compare] turns run logs into a [Comparison]: plain numbers, what each run
// consumed on each clock ([Amounts]) when it first reached the final held-out
// loss of the baseline, and the saving against the baseline. [Figures] draws
// the same logs, each as a [Figure], and [Write] puts it all into one HTML page
// that needs nothing but itself, with the figures as SVG files beside it.
//
// # The rule
//
// The target is the held-out loss of the baseline's last evaluation, so it is
// fixed by the baseline alone. A run reaches it at its first evaluation whose
// loss is at or below the target; where between this evaluation and the one
// before is found by linear interpolation of the loss, and every clock is
// interpolated by the same fraction. When there is nothing before to
// interpolate from, the evaluation itself stands as an upper bound. The rule
// holds for the baseline too: when its loss was as low before its end, then
// that moment, not its end, is what others are measured against.
//
// The saving of a run on a clock is what the baseline had consumed when it
// first reached the target, divided by what the run had: 2 means half as much.
package report

import (
	"fmt"

	"github.com/gradus-ml/gradus/internal/chart"
	"github.com/gradus-ml/gradus/internal/fault"
	"github.com/gradus-ml/gradus/internal/words"
	"github.com/gradus-ml/gradus/runlog"
)

// Comparison is what Compare found, ready for JSON.
type Comparison struct {
	Baseline string   `json:"baseline"` // name of the run the others are measured against
	Target   *float64 `json:"target"`   // the baseline's final held-out loss, in Unit; nil when it has none
	Unit     string   `json:"unit"`     // of losses: "nats a token", or what the baseline predicts
	Runs     []Run    `json:"runs"`     // the baseline first, then the others as given
	Headline string   `json:"headline"` // the result in one sentence
	Findings []string `json:"findings"` // one sentence a run, where there is more than one to compare
	Warnings []string `json:"warnings"` // why the runs may not be comparable
	Caveat   string   `json:"caveat"`   // what the number of seeds allows to conclude
}

// Run is one run of a comparison.
type Run struct {
	Name      string     `json:"name"` // unique in the comparison
	Log       runlog.Run `json:"log"`  // the first line of its log, what cannot be printed left out
	Last      int64      `json:"last_step"`
	Torn      bool       `json:"torn"`                // the log ends in half a line
	Digest    string     `json:"digest"`              // of the sample ids of the last step
	Total     Amounts    `json:"total"`               // at the last step
	Evaluated int        `json:"evaluated"`           // number of held-out evaluations
	Final     *float64   `json:"final"`               // held-out loss of the last evaluation; nil: none, or not finite
	Best      *float64   `json:"best"`                // lowest held-out loss; nil: none is finite
	FinalRaw  *float64   `json:"final_raw,omitempty"` // where Final is of an average of the weights: that of the weights
	Accuracy  *float64   `json:"accuracy,omitempty"`  // share of held-out labels that the last evaluation had right; nil: not counted
	Spent     Spent      `json:"spent"`               // what the run cost beside its clocks
	Diverged  int64      `json:"diverged_at_step"`    // first step with a training loss that is not finite; 0: none
	Reached   *Amounts   `json:"reached"`             // when it first reached the target; nil: it did not
	Bound     bool       `json:"reached_or_before"`   // Reached is an upper bound
	Saving    *Saving    `json:"saving"`              // nil for the baseline and when Reached is nil
}

// Spent is what a run cost beside its clocks, or did not use.
type Spent struct {
	Padding   float64 `json:"padding"`   // share of the batches' positions that held nothing
	Discarded float64 `json:"discarded"` // share of the samples' tokens that no batch held
	Waited    float64 `json:"waited"`    // share of the time of the steps and of waiting for batches that went into waiting
	Compile   float64 `json:"compile"`   // seconds of compiling graphs
}

// spent sums up the steps of a log.
func spent(log *runlog.Log) (s Spent) {
	var positions, padding, discarded, waited float64
	for _, step := range log.Steps {
		positions += float64(step.Rows) * float64(step.Length)
		padding += float64(step.Padding)
		discarded += float64(step.Discarded)
		waited += step.Waited
		s.Compile += step.Compile
	}
	share := func(part, whole float64) float64 {
		if part == 0 {
			return 0
		}
		return part / whole
	}
	s.Padding = share(padding, positions)
	s.Discarded = share(discarded, positions-padding+discarded)
	if n := len(log.Steps); n > 0 {
		s.Waited = share(waited, waited+log.Steps[n-1].Seconds)
	}
	return s
}

// Amounts is what a run has consumed at some moment, counted by each clock.
type Amounts struct {
	LayerTokens float64 `json:"layer_tokens"`
	Tokens      float64 `json:"tokens"`
	FLOPs       float64 `json:"flops"`
	Seconds     float64 `json:"seconds"`
	Steps       float64 `json:"steps"`
}

// Saving is what a run saved against the baseline on each clock.
type Saving struct {
	Factor Amounts `json:"factor"`  // baseline / run: 2 is half as much; 0 where either has no amount
	Less   Amounts `json:"percent"` // 100 (1 - run / baseline): 50 is half as much, -100 twice as much
}

// Compare measures runs against runs[baseline]. names are what to call them:
// one for each, none empty, none twice (see Names). A wrong argument is
// fault.Invalid.
func Compare(runs []*runlog.Log, names []string, baseline int) (Comparison, error) {
	if len(runs) == 0 {
		return Comparison{}, fault.Invalidf("report: no run to report on")
	}
	if baseline < 0 || baseline >= len(runs) {
		return Comparison{}, fault.Invalidf("report: the baseline is run %d, want 0 to %d", baseline, len(runs)-1)
	}
	if err := checkNames(names, len(runs)); err != nil {
		return Comparison{}, err
	}
	c := Comparison{Baseline: names[baseline], Unit: Unit(runs[baseline].Run.Predicts), Findings: []string{}, Warnings: []string{}}
	base := evaluations(runs[baseline])
	if n := len(base); n > 0 && chart.Finite(base[n-1].loss) {
		c.Target = new(base[n-1].loss)
	}
	first := summarize(names[baseline], runs[baseline], c.Target)
	c.Runs = append(c.Runs, first)
	for i, log := range runs {
		if i == baseline {
			continue
		}
		r := summarize(names[i], log, c.Target)
		if r.Reached != nil && first.Reached != nil {
			r.Saving = saving(*first.Reached, *r.Reached)
		}
		c.Runs = append(c.Runs, r)
	}
	c.describe()
	if n := len(base); first.Reached != nil && first.Reached.Steps < base[n-1].at.Steps {
		c.Warnings = append(c.Warnings, fmt.Sprintf(
			"%s was as low as its final loss at step %s already, before its last evaluation at step %s: savings are measured against the earlier moment.",
			first.Name, words.Whole(first.Reached.Steps), words.Whole(base[n-1].at.Steps)))
	}
	return c, nil
}

// Unit names what losses are counted in, of runs that predict something: the key
// Predicts of a runlog.Run.
func Unit(predicts string) string {
	return words.Unit(predicts)
}

func checkNames(names []string, runs int) error {
	if len(names) != runs {
		return fault.Invalidf("report: %d names for %d runs, want one for each", len(names), runs)
	}
	seen := map[string]bool{}
	for i, name := range names {
		switch {
		case name == "":
			return fault.Invalidf("report: run %d has no name", i)
		case seen[name]:
			return fault.Invalidf("report: two runs are named %q: tell them apart", name)
		}
		seen[name] = true
	}
	return nil
}

// evaluation is a held-out loss and what the run had consumed by then.
type evaluation struct {
	at   Amounts
	loss float64
}

func evaluations(log *runlog.Log) []evaluation {
	var all []evaluation
	for _, s := range log.Steps {
		if s.HeldOut != nil {
			all = append(all, evaluation{consumed(s), *s.HeldOut})
		}
	}
	return all
}

func consumed(s runlog.Step) Amounts {
	return Amounts{
		LayerTokens: s.LayerTokens, Tokens: float64(s.Tokens), FLOPs: s.FLOPs,
		Seconds: s.Seconds, Steps: float64(s.Step),
	}
}

func summarize(name string, log *runlog.Log, target *float64) Run {
	r := Run{Name: name, Log: log.Run, Torn: log.Torn, Spent: spent(log)}
	for _, s := range []*string{&r.Log.Name, &r.Log.Recipe, &r.Log.Corpus, &r.Log.Model, &r.Log.Backend, &r.Log.Precision, &r.Log.Predicts} {
		*s = words.Printable(*s)
	}
	if n := len(log.Steps); n > 0 {
		last := log.Steps[n-1]
		r.Last, r.Total, r.Digest = last.Step, consumed(last), words.Printable(last.Digest)
	}
	for _, s := range log.Steps {
		if !chart.Finite(s.Loss) {
			r.Diverged = s.Step
			break
		}
	}
	for _, s := range log.Steps {
		if s.HeldOut != nil {
			r.FinalRaw, r.Accuracy = nil, s.Accuracy
			if s.HeldOutRaw != nil && chart.Finite(*s.HeldOutRaw) {
				r.FinalRaw = s.HeldOutRaw
			}
		}
	}
	evals := evaluations(log)
	r.Evaluated = len(evals)
	for i, e := range evals {
		if !chart.Finite(e.loss) {
			continue
		}
		if r.Best == nil || e.loss < *r.Best {
			r.Best = new(e.loss)
		}
		if i == len(evals)-1 {
			r.Final = new(e.loss)
		}
	}
	if target != nil {
		r.Reached, r.Bound = firstReached(evals, *target)
	}
	return r
}

// firstReached finds when the loss first was at or below the target; bound says
// that it may have been earlier. It returns nil when that never happened.
func firstReached(evals []evaluation, target float64) (at *Amounts, bound bool) {
	for i, e := range evals {
		if !chart.Finite(e.loss) || e.loss > target {
			continue
		}
		if i == 0 || !chart.Finite(evals[i-1].loss) {
			return &e.at, true
		}
		before := evals[i-1] // its loss is above the target, e's is not
		fraction := (before.loss - target) / (before.loss - e.loss)
		a := zip(before.at, e.at, func(from, to float64) float64 { return from + fraction*(to-from) })
		return &a, false
	}
	return nil, false
}

func saving(baseline, run Amounts) *Saving {
	factor := zip(baseline, run, func(b, r float64) float64 {
		// A ratio beyond 1e12 compares no two measurements, and would overflow
		// in the end.
		if f := b / r; f > 1e-12 && f < 1e12 {
			return f
		}
		return 0 // 0/0, which is NaN, too
	})
	return &Saving{
		Factor: factor,
		Less: zip(factor, factor, func(f, _ float64) float64 {
			if f == 0 {
				return 0
			}
			return 100 * (1 - 1/f)
		}),
	}
}

// zip applies f clock by clock.
func zip(a, b Amounts, f func(a, b float64) float64) Amounts {
	return Amounts{
		LayerTokens: f(a.LayerTokens, b.LayerTokens),
		Tokens:      f(a.Tokens, b.Tokens),
		FLOPs:       f(a.FLOPs, b.FLOPs),
		Seconds:     f(a.Seconds, b.Seconds),
		Steps:       f(a.Steps, b.Steps),
	}
}
