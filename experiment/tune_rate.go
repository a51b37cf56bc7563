package experiment

import (
	"context"
	"fmt"
	"math"
	"slices"

	"github.com/gradus-ml/gradus/internal/fault"
	"github.com/gradus-ml/gradus/recipe"
)

// A rateTask is one search for a learning rate.
type rateTask struct {
	arm    string  // of a study; empty: of a recipe
	budget string  // that the finding holds for
	share  float64 // by which the recipe's budget is scaled; 1: it is
	all    bool    // as many probes as there may be, however soon the best is found
}

// A rateFound is what a search came to.
type rateFound struct {
	Finding
	edits []recipe.Edit // of the recipe
}

// searchRate finds the learning rate of the lowest final loss.
func (w *tuner) searchRate(ctx context.Context, r *recipe.Recipe, task rateTask) (rateFound, error) {
	rate := r.Optimizer.Rate
	found := rateFound{Finding: Finding{Arm: task.arm, Budget: task.budget, What: TuneRate, At: "optimizer.rate", Before: rate, After: rate}}
	scaled := scaledBudget(r, task.share)
	s, losses := rateSearch{}, map[int][]float64{}
	for {
		k, ok := s.next(w.Probes, task.all)
		if !ok {
			break
		}
		edits, err := rateEdits(r, rateAt(rate, k))
		if err != nil {
			return found, err
		}
		for i := range w.Seeds {
			loss, err := w.finalLoss(ctx, r, slices.Concat(edits, scaled, w.seeded(r, i)), task, rateAt(rate, k), i)
			if err != nil {
				return found, err
			}
			losses[k] = append(losses[k], loss)
			if math.IsInf(loss, 1) {
				break
			}
		}
		s[k] = mean(losses[k])
	}
	best := s.best(func(k, lowest int) float64 { return max(w.Tolerance, pairedError(losses[k], losses[lowest])) })
	switch {
	case math.IsInf(s[best], 1):
		found.Note = "every rate that was tried diverged; give a smaller one to begin with"
		best = 0
	case s.atEnd(best):
		found.Note = "it is the last one that was tried on its side, and the best may lie beyond; give more probes"
	}
	found.After = rateAt(rate, best)
	if best != 0 {
		var err error
		if found.edits, err = rateEdits(r, rateAt(rate, best)); err != nil {
			return found, err
		}
	}
	w.result.Findings = append(w.result.Findings, found.Finding)
	w.say("%s", found)
	return found, nil
}

// finalLoss returns the held-out loss at the end of a run; +Inf: it diverged.
func (w *tuner) finalLoss(ctx context.Context, r *recipe.Recipe, edits []recipe.Edit, task rateTask, rate float64, seed int) (float64, error) {
	p := Probe{Arm: task.arm, Budget: task.budget, What: TuneRate, At: "optimizer.rate", Value: rate, Seed: w.Seed + uint64(seed)}
	candidate, err := r.Edited(edits...)
	if err != nil {
		return 0, err
	}
	run, err := w.run(ctx, candidate, nil, func(b *recipe.Bound) (int64, error) { return b.Plan.Steps(), nil })
	if err != nil {
		return 0, err
	}
	p.of(run)
	loss := math.Inf(1)
	switch p.Verdict {
	case ProbeRefused: // a rate alone makes no recipe wrong
		return 0, fmt.Errorf("%s at rate %v: %w", r.Path(), rate, run.refused)
	case "":
		last := run.log.Steps[len(run.log.Steps)-1].HeldOut
		if last == nil {
			return 0, fault.Mismatchf("%s has no held-out loss at its end; remove its directory, and it is made anew", run.name)
		}
		p.Verdict, loss = ProbeFinished, *last
	}
	w.note(p)
	return loss, nil
}

// rateEdits returns the edits that give a recipe another rate. A smallest rate of its
// own goes along in proportion, so that the schedule keeps its form.
func rateEdits(r *recipe.Recipe, rate float64) ([]recipe.Edit, error) {
	edits := []recipe.Edit{{Path: []any{"optimizer", "rate"}, Value: rate}}
	if rate == r.Optimizer.Rate {
		return edits, nil
	}
	least := *r.Optimizer.MinRate
	alone, err := r.Edited(edits...)
	if err == nil && *alone.Optimizer.MinRate != least || least == 0 { // the recipe leaves it to its default
		return edits, err
	}
	return append(edits, recipe.Edit{Path: []any{"optimizer", "min_rate"}, Value: rounded(least * rate / r.Optimizer.Rate)}), nil
}

// keptRate returns the edits that give a recipe the rates that it has.
func keptRate(r *recipe.Recipe) ([]recipe.Edit, error) {
	edits := []recipe.Edit{{Path: []any{"optimizer", "rate"}, Value: r.Optimizer.Rate}}
	other, err := rateEdits(r, r.Optimizer.Rate/2)
	if err == nil && len(other) > 1 { // its smallest rate is its own, too
		edits = append(edits, recipe.Edit{Path: other[1].Path, Value: *r.Optimizer.MinRate})
	}
	return edits, err
}

// scaledBudget returns the edit that scales a recipe's budget.
func scaledBudget(r *recipe.Recipe, share float64) []recipe.Edit {
	if share == 1 {
		return nil
	}
	unit := "tokens"
	if r.Budget.Steps != 0 {
		unit = "steps"
	}
	return []recipe.Edit{{Path: []any{"budget", unit}, Value: max(math.Round(r.BudgetTotal()*share), 1)}}
}

// pairedError returns the standard error of the mean difference of losses that were
// taken with the same seeds; 0 where there are fewer than two pairs.
func pairedError(a, b []float64) float64 {
	n := min(len(a), len(b))
	if n < 2 {
		return 0
	}
	differences := make([]float64, n)
	for i := range differences {
		differences[i] = a[i] - b[i]
	}
	m, squares := mean(differences), 0.0
	for _, d := range differences {
		squares += (d - m) * (d - m)
	}
	return math.Sqrt(squares / float64(n-1) / float64(n))
}

func mean(values []float64) float64 {
	sum := 0.0
	for _, v := range values {
		sum += v
	}
	return sum / float64(len(values))
}
