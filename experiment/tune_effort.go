package experiment

import (
	"context"
	"path/filepath"

	"github.com/gradus-ml/gradus/batch"
	"github.com/gradus-ml/gradus/internal/fault"
	"github.com/gradus-ml/gradus/internal/words"
	"github.com/gradus-ml/gradus/model"
	"github.com/gradus-ml/gradus/recipe"
	"github.com/gradus-ml/gradus/runlog"
)

// An effort is what probes take at most.
type effort struct {
	probes int
	tokens float64 // trained on
	flops  float64 // evaluations included
}

func (c *effort) add(n int, one effort) {
	c.probes += n
	c.tokens += float64(n) * one.tokens
	c.flops += float64(n) * one.flops
}

// sayCost opens the recipe, which checks it against its corpora, and says what its
// tuning takes at most.
func (w *tuner) sayCost(ctx context.Context, r *recipe.Recipe, knobs []knob) error {
	if r.Optimizer == nil {
		return fault.Invalidf("%s: its model is external: a trainer of one's own takes the batches, and gradus cannot run probes", r.Path())
	}
	probes := 0
	for _, k := range knobs {
		probes += mostProbes(len(k.candidates)) * w.Seeds
	}
	every := recipe.Amount{Value: w.First.Value / float64(w.Evaluations), Percent: true}
	if probes > 0 {
		one, err := effortOf(ctx, r, func(b *recipe.Bound) (int64, int, error) {
			until, err := w.untilFirst(b, every)
			return until, w.Evaluations, err
		})
		if err != nil {
			return err
		}
		w.most.add(probes, one)
	}
	if w.tunes(TuneRate) {
		if err := w.addWhole(ctx, r, w.Budget.Value/100, w.Probes*w.Seeds); err != nil {
			return err
		}
	}
	w.sayMost()
	return nil
}

// addWhole adds n whole runs at a share of a recipe's budget.
func (w *tuner) addWhole(ctx context.Context, r *recipe.Recipe, share float64, n int) error {
	scaled, err := r.Edited(scaledBudget(r, share)...)
	if err != nil {
		return err
	}
	one, err := effortOf(ctx, scaled, func(b *recipe.Bound) (int64, int, error) {
		total := scaled.BudgetTotal()
		return b.Plan.Steps(), int(min(total/scaled.Evaluate.Every.Of(total), float64(b.Plan.Steps()))) + 1, nil
	})
	if err == nil {
		w.most.add(n, one)
	}
	return err
}

// effortOf returns what a run of a recipe takes, so far and with so many evaluations as
// span says.
func effortOf(ctx context.Context, r *recipe.Recipe, span func(b *recipe.Bound) (until int64, evaluations int, err error)) (effort, error) {
	b, err := recipe.Open(ctx, r, recipe.Options{})
	if err != nil {
		return effort{}, err
	}
	defer b.Close()
	until, evaluations, err := span(b)
	if err != nil {
		return effort{}, err
	}
	held, err := b.Evaluation()
	if err != nil {
		return effort{}, err
	}
	if len(held) == 0 {
		return effort{}, fault.Invalidf("%s: nothing is held out, and a probe is judged by its held-out loss; give evaluate.held_out, or evaluate.corpus", r.Path())
	}
	c := effort{tokens: float64(b.Plan.PositionAt(until).Tokens - b.Plan.PositionAt(b.Plan.First()).Tokens)}
	for step := b.Plan.First(); step < until; step++ {
		s := b.Plan.BatchAt(step).Shape
		c.flops += b.Model.FLOPs(s.Rows, s.Length, s.Kept)
	}
	c.flops += float64(evaluations) * forward(b.Model, held)
	return c, nil
}

// forward returns the operations of an evaluation: those of a forward pass, a third of
// a step's.
func forward(m model.Config, batches []*batch.Batch) float64 {
	flops := 0.0
	for _, b := range batches {
		flops += m.FLOPs(b.Rows, b.Length, b.Length) / 3
	}
	return flops
}

// sayMost says what is to come at most, and how long that takes if probes of before
// tell.
func (w *tuner) sayMost() {
	text := ""
	if seconds, flops, done := w.before(); done > 0 {
		text = words.ClockNamed("seconds").Format(w.most.flops*seconds/flops) + " at the speed of the " + probes(done) + " of before, which are not made again; "
		w.timed = true
	}
	w.say("at most %s: %s tokens, %s of training and evaluations; %sCtrl-C stops, and the same command goes on", probes(w.most.probes),
		words.ClockNamed("tokens").Format(w.most.tokens), words.ClockNamed("flops").Format(w.most.flops)+"FLOPs", text)
}

// before returns what the probes took that lie in Out.
func (w *tuner) before() (seconds, flops float64, done int) {
	logs, _ := filepath.Glob(filepath.Join(w.Out, ProbeDir, "*", runlog.FileName)) // the pattern is sound
	for _, path := range logs {
		log, err := runlog.Read(path)
		if err != nil || len(log.Steps) == 0 { // whoever needs it says so
			continue
		}
		last := log.Steps[len(log.Steps)-1]
		seconds, flops, done = seconds+last.Seconds, flops+last.FLOPs, done+1
	}
	return seconds, max(flops, 1), done
}

// sayPace says once, after the first probe, how long all of them will take.
func (w *tuner) sayPace(log *runlog.Log) {
	if w.timed || len(log.Steps) == 0 {
		return
	}
	w.timed = true
	last := log.Steps[len(log.Steps)-1]
	if last.FLOPs > 0 {
		w.say("  all take %s at most at this speed", words.ClockNamed("seconds").Format(w.most.flops*last.Seconds/last.FLOPs))
	}
}

func probes(n int) string {
	if n == 1 {
		return "1 probe"
	}
	return words.Whole(float64(n)) + " probes"
}
