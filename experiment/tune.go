package experiment

import (
	"context"
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"slices"

	"github.com/gradus-ml/gradus/curriculum"
	"github.com/gradus-ml/gradus/internal/fault"
	"github.com/gradus-ml/gradus/recipe"
	"github.com/gradus-ml/gradus/runlog"
)

// What of a recipe may be tuned.
const (
	TuneStart = "start" // where each pace begins: as low as is steady
	TunePace  = "pace"  // until when each pace goes on: as long as is steady
	TuneRate  = "rate"  // the learning rate: that of the lowest final loss
)

// A Tuning says what is tuned, and with what effort.
//
// Starts and paces follow the low-cost strategy of DeepSpeed Data Efficiency (arXiv
// 2212.03597, and 2108.06084 before it): a probe is the first few per cent of the
// whole run, with its whole schedule, evaluated at full length on a fixed grid. It is
// steady if the held-out perplexity never rises above Fluctuation times its best so
// far. Bisection finds the smallest start, then the longest pace, that is steady, one
// pace at a time. It takes for granted that a larger start, or a shorter pace, is no
// less steady.
//
// The search for a learning rate makes whole runs, decayed to their end, at a share
// of the budget.
type Tuning struct {
	Out  string   // directory of the probes and the results
	What []string // of TuneStart, TunePace and TuneRate

	First       recipe.Amount // of the run, that a probe of a pace takes: 3%
	Fluctuation float64       // factor of perplexity: 1.3
	Evaluations int           // of a probe of a pace, evenly spaced: 10
	Longest     recipe.Amount // share of the budget at which a pace ends at the latest: 70%

	Budget    recipe.Amount // share of the budget that a probe of a rate takes: 25%
	Probes    int           // rates tried at most
	Tolerance float64       // losses so near to the lowest are taken for as low, nats: 0.002

	Seeds int    // that each candidate is probed with
	Seed  uint64 // the first of them

	Backend, Precision string // as train.Config.Compute has them

	// Train runs a recipe in a directory up to a step, or goes on with the run that
	// lies there. A *train.DivergedError is an answer too.
	Train func(ctx context.Context, r *recipe.Recipe, dir string, until int64) error
	// Say is told what comes, and what came out, a line each; may be nil.
	Say func(line string)
	// Keep leaves the checkpoints of finished probes.
	Keep bool
}

// Check reports settings that cannot be.
func (t *Tuning) Check() error {
	share := func(a recipe.Amount) bool { return a.Percent && a.Value > 0 && a.Value <= 100 }
	for _, what := range t.What {
		if !slices.Contains([]string{TuneStart, TunePace, TuneRate}, what) {
			return fault.Invalidf("unknown %q; there are %s, %s and %s to tune", what, TuneStart, TunePace, TuneRate)
		}
	}
	switch {
	case len(t.What) == 0:
		return fault.Invalidf("nothing is to be tuned; name some of %s, %s and %s", TuneStart, TunePace, TuneRate)
	case !share(t.First):
		return fault.Invalidf("a probe of a pace takes %s of the run; give a share above 0, such as 3%%", t.First)
	case !(t.Fluctuation > 1) || math.IsInf(t.Fluctuation, 1):
		return fault.Invalidf("a fluctuation is %v times the best perplexity; give more than 1, such as 1.3", t.Fluctuation)
	case t.Evaluations < 3 || t.Evaluations > 1000:
		return fault.Invalidf("%d evaluations a probe; give 3 to 1000", t.Evaluations)
	case !share(t.Longest):
		return fault.Invalidf("a pace is to end at %s of the budget at the latest; give a share above 0, such as 70%%", t.Longest)
	case !share(t.Budget):
		return fault.Invalidf("a probe of a rate takes %s of the budget; give a share above 0, such as 25%%", t.Budget)
	case t.Probes < 3 || t.Probes > 100:
		return fault.Invalidf("%d rates to try at most; give 3 to 100", t.Probes)
	case t.Seeds < 1 || t.Seeds > 100:
		return fault.Invalidf("%d seeds; give 1 to 100", t.Seeds)
	case !(t.Tolerance >= 0) || math.IsInf(t.Tolerance, 1):
		return fault.Invalidf("a tolerance of %v; give 0 or more nats", t.Tolerance)
	}
	return nil
}

// A Finding is what a search came to.
type Finding struct {
	Arm    string `json:"arm,omitempty"`    // of a study
	Budget string `json:"budget,omitempty"` // of a rate: the share of the budget it holds for
	What   string `json:"what"`             // TuneStart, TunePace or TuneRate
	At     string `json:"at"`               // the key: "curriculum[0].pace.from"
	Before any    `json:"before"`
	After  any    `json:"after"`          // equal to Before if nothing better was found
	Note   string `json:"note,omitempty"` // what a reader should know of it
}

// Tuned is what became of a tuning.
type Tuned struct {
	Name     string    `json:"name"`
	Settings Settings  `json:"settings"`
	Findings []Finding `json:"findings"`
	Probes   []Probe   `json:"probes"` // in the order in which they were asked for
	Text     []byte    `json:"-"`      // the tuned file
}

// Settings are those of the Tuning that the findings depend on.
type Settings struct {
	First       string  `json:"first,omitempty"`
	Fluctuation float64 `json:"fluctuation,omitempty"`
	Evaluations int     `json:"evaluations,omitempty"`
	Longest     string  `json:"longest,omitempty"`
	Budget      string  `json:"budget,omitempty"`
	Probes      int     `json:"probes,omitempty"`
	Tolerance   float64 `json:"tolerance,omitempty"`
	Seeds       int     `json:"seeds"`
	Seed        uint64  `json:"seed"`
	Backend     string  `json:"backend"`
}

func (t *Tuning) settings() Settings {
	s := Settings{Seeds: t.Seeds, Seed: t.Seed, Backend: t.Backend}
	if t.tunes(TuneStart) || t.tunes(TunePace) {
		s.First, s.Fluctuation, s.Evaluations, s.Longest = t.First.String(), t.Fluctuation, t.Evaluations, t.Longest.String()
	}
	if t.tunes(TuneRate) {
		s.Budget, s.Probes, s.Tolerance = t.Budget.String(), t.Probes, t.Tolerance
	}
	return s
}

func (t *Tuning) tunes(what string) bool { return slices.Contains(t.What, what) }

func (t *Tuning) say(format string, args ...any) {
	if t.Say != nil {
		t.Say(fmt.Sprintf(format, args...))
	}
}

// TuneRecipe tunes a recipe. Probes that lie in Out are used again; one that was cut
// off goes on.
func TuneRecipe(ctx context.Context, r *recipe.Recipe, t Tuning) (Tuned, error) {
	if err := t.Check(); err != nil {
		return Tuned{}, err
	}
	w := newTuner(t, r.Name)
	knobs, skipped, err := t.knobs(r)
	if err != nil {
		return Tuned{}, err
	}
	if len(knobs) == 0 && !t.tunes(TuneRate) {
		return Tuned{}, fault.Invalidf("%s has no pace that could be tuned%s; ask for its rate", r.Path(), skipped)
	}
	for _, k := range knobs {
		w.as = append(w.as, recipe.Edit{Path: k.path, Value: k.before})
	}
	if skipped != "" {
		t.say("left as it is%s", skipped)
	}
	if err := w.sayCost(ctx, r, knobs); err != nil {
		return Tuned{}, err
	}
	fixed := map[string]bool{} // paces that no start makes steady
	for _, k := range knobs {
		if fixed[k.pace] {
			continue
		}
		f, err := w.turn(ctx, r, k)
		if err != nil {
			return w.result, err
		}
		fixed[k.pace] = k.what == TuneStart && f.After == f.Before && f.Note != ""
		if r, err = w.take(r, f, k.path); err != nil {
			return w.result, err
		}
	}
	if r, err = w.allowShapes(ctx, r); err != nil {
		return w.result, err
	}
	if t.tunes(TuneRate) {
		share := w.Budget.Value / 100
		found, err := w.searchRate(ctx, r, rateTask{share: share, budget: w.Budget.String()})
		if err != nil {
			return w.result, err
		}
		if r, err = r.Edited(found.edits...); err != nil {
			return w.result, err
		}
	}
	w.result.Text, err = movedTo(r, filepath.Join(t.Out, TunedFile))
	return w.result, err
}

// A tuner is a Tuning under way.
type tuner struct {
	Tuning
	result Tuned
	seen   map[string]bool // probes that stand in the result
	most   effort          // of all probes at most
	timed  bool            // that has been said in seconds
	as     []recipe.Edit   // that put what is tuned back
	served map[string]ran  // by what they do
}

func newTuner(t Tuning, name string) *tuner {
	return &tuner{Tuning: t, result: Tuned{Name: name, Settings: t.settings()}, seen: map[string]bool{}, served: map[string]ran{}}
}

// noneSteady is the note of a search that found nothing.
const noneSteady = "no candidate is steady; lower optimizer.rate or lengthen its warmup, or leave this pace out"

// take notes a finding and returns the recipe with it.
func (w *tuner) take(r *recipe.Recipe, f Finding, path []any) (*recipe.Recipe, error) {
	w.result.Findings = append(w.result.Findings, f)
	w.say("%s", f)
	if f.After == f.Before {
		return r, nil
	}
	return r.Edited(recipe.Edit{Path: path, Value: f.After})
}

// String says the finding.
func (f Finding) String() string {
	text := fmt.Sprintf("%s: %v", f.At, f.After)
	if f.Arm != "" {
		text = f.Arm + ", " + text
	}
	if f.Budget != "" {
		text += " at " + f.Budget + " of the budget"
	}
	if f.After == f.Before {
		text += ", as it was"
	} else {
		text += fmt.Sprintf(" (it was %v)", f.Before)
	}
	if f.Note != "" {
		text += "; " + f.Note
	}
	return text
}

// turn finds the best value of a knob, the rest of the recipe as it stands.
func (w *tuner) turn(ctx context.Context, r *recipe.Recipe, k knob) (Finding, error) {
	f := Finding{What: k.what, At: k.at(), Before: k.before, After: k.before}
	w.say("%s: %d candidates from %v to %v, %d at most to be probed", f.At, len(k.candidates), k.candidates[0], k.candidates[len(k.candidates)-1], mostProbes(len(k.candidates)))
	still := map[int]bool{} // candidates whose pace did not move within the probe
	found, err := firstSteady(len(k.candidates), func(i int) (bool, error) {
		steady, moves, err := w.steady(ctx, r, k, k.candidates[i])
		still[i] = !moves
		return steady, err
	})
	switch {
	case err != nil:
		return f, err
	case found == len(k.candidates):
		f.Note = noneSteady
		if last := w.result.Probes[len(w.result.Probes)-1]; last.Verdict == ProbeRefused {
			f.Note = "no candidate can be run: " + last.Why
		}
	default:
		f.After = k.candidates[found]
		if k.what == TunePace && still[found] {
			f.Note = "the pace does not leave its start within a probe, so this says only that the start is steady; longer probes (a larger first) say more"
		}
	}
	return f, nil
}

// steady reports whether the probes of a candidate are, with every seed, and whether
// its pace changes anything within them.
func (w *tuner) steady(ctx context.Context, r *recipe.Recipe, k knob, value any) (steady, moves bool, err error) {
	every := recipe.Amount{Value: w.First.Value / float64(w.Evaluations), Percent: true}
	for i := range w.Seeds {
		edits := append(w.seeded(r, i), recipe.Edit{Path: k.path, Value: value},
			recipe.Edit{Path: []any{"evaluate", "every"}, Value: every.String()}, anyShapes)
		p := Probe{What: k.what, At: k.at(), Value: value, Seed: w.Seed + uint64(i)}
		candidate, err := r.Edited(edits...)
		if errors.Is(err, fault.Invalid) {
			p.Verdict, p.Why = ProbeRefused, err.Error()
			w.note(p)
			return false, false, nil
		}
		if err != nil {
			return false, false, err
		}
		like, err := candidate.Edited(w.as...)
		if err != nil {
			return false, false, err
		}
		run, err := w.run(ctx, candidate, like, func(b *recipe.Bound) (int64, error) { return w.untilFirst(b, every) })
		if err != nil {
			return false, false, err
		}
		p.of(run)
		if p.Verdict == "" {
			p.judge(run.log, w.Fluctuation)
		}
		w.note(p)
		if p.Verdict != ProbeSteady {
			return false, false, nil
		}
		moves = moves || run.moves(k)
	}
	return true, moves, nil
}

// anyShapes lifts the limit of batch shapes: it is a matter of compiling, and no sign
// of how steady a run is.
var anyShapes = recipe.Edit{Path: []any{"shapes"}, Value: 1 << 20}

// allowShapes returns the recipe with a limit of batch shapes that it fits in, which
// is a finding if it is another one.
func (w *tuner) allowShapes(ctx context.Context, r *recipe.Recipe) (*recipe.Recipe, error) {
	lifted, err := r.Edited(anyShapes)
	if err != nil {
		return nil, err
	}
	b, err := recipe.Open(ctx, lifted, recipe.Options{})
	if err != nil {
		return nil, err
	}
	defer b.Close()
	limit, n := r.Shapes, len(b.Plan.Shapes())
	if limit == 0 {
		limit = curriculum.DefaultShapes
	}
	if n <= limit {
		return r, nil
	}
	f := Finding{What: "shapes", At: "shapes", Before: limit, After: n,
		Note: "the paces have more batch shapes now, each of which is compiled once; a larger step of a pace gives fewer"}
	return w.take(r, f, anyShapes.Path)
}

// untilFirst returns the step at which the last evaluation of a probe is due, in the
// way in which train.Train counts them.
func (w *tuner) untilFirst(b *recipe.Bound, every recipe.Amount) (int64, error) {
	r, plan := b.Recipe, b.Plan
	amount := every.Of(r.BudgetTotal())
	on := func(step int64) float64 { return math.Floor(plan.PositionAt(step).On(clockOf(r)) / amount) }
	from, to := plan.First(), plan.Steps()
	for to-from > 1 {
		if middle := (from + to) / 2; on(middle) >= float64(w.Evaluations) {
			to = middle
		} else {
			from = middle
		}
	}
	if to-plan.First() < 3 {
		return 0, fault.Invalidf("%s: the first %s of its run are %d steps, in which no loss can fluctuate; give more", r.Path(), w.First, to-plan.First())
	}
	return to, nil
}

// seeded returns the edits that give a recipe the i-th seed and leave it the text
// that it holds out.
func (w *tuner) seeded(r *recipe.Recipe, i int) []recipe.Edit {
	edits := []recipe.Edit{{Path: []any{"seed"}, Value: w.Seed + uint64(i)}}
	if r.Evaluate.Corpus == nil && r.Evaluate.Seed == nil && w.Seed+uint64(i) != r.Seed {
		edits = append(edits, recipe.Edit{Path: []any{"evaluate", "seed"}, Value: r.Seed})
	}
	return edits
}

// note adds a probe to the result, unless it is there, and says what came of it.
func (w *tuner) note(p Probe) {
	key := fmt.Sprint(p.Run, p.Arm, p.At, p.Value, p.Seed)
	if w.seen[key] {
		return
	}
	w.seen[key] = true
	w.result.Probes = append(w.result.Probes, p)
	w.say("%s", p.line())
}

// logFile is what the log of a run in dir is called.
func logFile(dir string) string { return filepath.Join(dir, runlog.FileName) }
