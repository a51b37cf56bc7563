package saving

import (
	"cmp"
	"maps"
	"math"
	"slices"

	"github.com/gradus-ml/gradus/internal/words"
)

// comparison is a study while it is compared.
type comparison struct {
	study  Study
	runs   []RunResult // by arm, budget and seed
	losses map[place]RunResult
	budget map[string][]float64 // of each arm, from small to large
}

func newComparison(s Study) *comparison {
	c := &comparison{study: s, losses: map[place]RunResult{}, budget: map[string][]float64{}, runs: []RunResult{}}
	order := map[string]int{}
	for i, a := range s.Arms {
		order[a.Name] = i
	}
	for _, run := range s.Runs {
		c.runs = append(c.runs, outcome(run))
	}
	slices.SortFunc(c.runs, func(a, b RunResult) int {
		return cmp.Or(cmp.Compare(order[a.Arm], order[b.Arm]), cmp.Compare(a.Budget, b.Budget), cmp.Compare(a.Seed, b.Seed))
	})
	for _, r := range c.runs {
		c.losses[place{r.Arm, r.Budget, r.Seed}] = r
		if all := c.budget[r.Arm]; len(all) == 0 || all[len(all)-1] != r.Budget {
			c.budget[r.Arm] = append(all, r.Budget)
		}
	}
	return c
}

// finished counts the runs that have a final loss.
func (c *comparison) finished() (n int) {
	for _, r := range c.runs {
		if r.Status == Done {
			n++
		}
	}
	return n
}

// seeds are those of all runs, in order.
func (c *comparison) seeds() []uint64 {
	seen := map[uint64]bool{}
	for _, r := range c.runs {
		seen[r.Seed] = true
	}
	return slices.Sorted(maps.Keys(seen))
}

// done is the finished run of a place, if there is one.
func (c *comparison) done(arm string, budget float64, seed uint64) (RunResult, bool) {
	r, ok := c.losses[place{arm, budget, seed}]
	return r, ok && r.Status == Done
}

// curveOf is the curve of an arm for a seed on a clock; it has no points where no run of
// the seed is finished.
func (c *comparison) curveOf(arm string, seed uint64, clock string) curve {
	var points []point
	for _, b := range c.budget[arm] {
		if r, ok := c.done(arm, b, seed); ok {
			points = append(points, point{r.Consumed.On(clock), *r.Final})
		}
	}
	if len(points) == 2 && arm != c.study.Baseline {
		points = bent(points, c.curveOf(c.study.Baseline, seed, clock))
	}
	return newCurve(points)
}

// whole are the seeds whose curve of an arm counts for savings: those for which every
// budget of the arm is finished, or, where that holds for fewer than two, those for which
// at least two are, over the stretch that they have in common.
func (c *comparison) whole(arm string) []uint64 {
	var all, some []uint64
	for _, seed := range c.seeds() {
		finished := 0
		for _, b := range c.budget[arm] {
			if _, ok := c.done(arm, b, seed); ok {
				finished++
			}
		}
		if finished < 2 {
			continue
		}
		some = append(some, seed)
		if finished == len(c.budget[arm]) {
			all = append(all, seed)
		}
	}
	if len(all) < 2 {
		return some
	}
	return all
}

// arm is the result of one arm.
func (c *comparison) arm(a Arm, clocks []string) ArmResult {
	r := ArmResult{Arm: a, Budgets: []AtBudget{}}
	r.Says = words.Printable(r.Says)
	for _, budget := range c.budget[a.Name] {
		r.Budgets = append(r.Budgets, c.atBudget(a.Name, budget, clocks))
	}
	if a.Name == c.study.Baseline {
		return r
	}
	for _, clock := range clocks {
		if e := c.reverse(a.Name, clock); e != nil {
			r.Reverse = append(r.Reverse, Reverse{clock, *e})
		}
	}
	return r
}

// atBudget is what the runs of an arm at a budget came to.
func (c *comparison) atBudget(arm string, budget float64, clocks []string) AtBudget {
	at := AtBudget{Budget: budget, Clocks: []OnClock{}}
	var losses []float64
	var amounts []Amounts
	var costs []Spent
	for _, r := range c.runs {
		if r.Arm != arm || r.Budget != budget {
			continue
		}
		at.Runs++
		if r.Status != Done {
			continue
		}
		losses = append(losses, *r.Final)
		amounts = append(amounts, r.Consumed)
		costs = append(costs, r.Spent)
	}
	if len(losses) == 0 {
		return at
	}
	at.Loss, at.Consumed = new(spread(losses)), new(mean(amounts))
	at.Spent = new(meanSpent(costs))
	for _, clock := range clocks {
		on := OnClock{Clock: clock, Amount: at.Consumed.On(clock)}
		if arm != c.study.Baseline {
			on.Saving = c.saving(arm, budget, clock)
			on.Gain = c.gain(arm, budget, clock)
		}
		at.Clocks = append(at.Clocks, on)
	}
	return at
}

// saving estimates what an arm at a budget saved on a clock.
func (c *comparison) saving(arm string, budget float64, clock string) *Estimate {
	var pairs []pair
	for _, seed := range c.whole(c.study.Baseline) {
		if r, ok := c.done(arm, budget, seed); ok {
			pairs = append(pairs, pair{c.curveOf(c.study.Baseline, seed, clock), math.Log(r.Consumed.On(clock)), *r.Final})
		}
	}
	return estimate(pairs, c.study.Confidence)
}

// reverse estimates from the arm's own curve what it needs to reach the loss of the
// baseline at the full budget, as a saving: what the baseline consumed, divided by that.
func (c *comparison) reverse(arm string, clock string) *Estimate {
	var pairs []pair
	for _, seed := range c.whole(arm) {
		if r, ok := c.done(c.study.Baseline, 1, seed); ok {
			pairs = append(pairs, pair{c.curveOf(arm, seed, clock), math.Log(r.Consumed.On(clock)), *r.Final})
		}
	}
	return estimate(pairs, c.study.Confidence).turned()
}

// paired are the gains at equal cost by seed, of those seeds whose baseline has a loss at
// the amount that the arm consumed.
func (c *comparison) paired(arm string, budget float64, clock string) map[uint64]float64 {
	gains := map[uint64]float64{}
	for _, seed := range c.seeds() {
		r, ok := c.done(arm, budget, seed)
		if !ok {
			continue
		}
		if loss, known := c.curveOf(c.study.Baseline, seed, clock).at(r.Consumed.On(clock)); known {
			gains[seed] = loss - *r.Final
		}
	}
	return gains
}

func (c *comparison) gain(arm string, budget float64, clock string) *Gain {
	gains := c.paired(arm, budget, clock)
	if len(gains) == 0 {
		return nil
	}
	return gain(inOrder(gains, slices.Sorted(maps.Keys(gains))), c.study.Confidence)
}

func inOrder(gains map[uint64]float64, seeds []uint64) []float64 {
	values := make([]float64, len(seeds))
	for i, s := range seeds {
		values[i] = gains[s]
	}
	return values
}

// correct fills in the p-values that Holm's method corrects over all arms and budgets.
func correct(arms []ArmResult, clocks []string) {
	for _, clock := range clocks {
		var all []*Gain
		var p []float64
		for _, a := range arms {
			for _, b := range a.Budgets {
				if on := b.On(clock); on != nil && on.Gain != nil && on.Gain.P != nil {
					all, p = append(all, on.Gain), append(p, *on.Gain.P)
				}
			}
		}
		for i, corrected := range holm(p) {
			all[i].Holm = new(tidy(corrected))
		}
	}
}

// controls are the shares that controls have of what the arms gained that they are of.
func (c *comparison) controls(r Result) []Attribution {
	all := []Attribution{}
	for _, a := range c.study.Arms {
		if a.Control == "" {
			continue
		}
		for _, b := range c.budget[a.Name] {
			part, whole := r.at(a.Name, b), r.at(a.Control, b)
			if part == nil || whole == nil {
				continue
			}
			for _, clock := range r.Clocks {
				if t, ok := c.attribute(a, b, clock, part.On(clock), whole.On(clock)); ok {
					all = append(all, t)
				}
			}
		}
	}
	return all
}

func (c *comparison) attribute(a Arm, budget float64, clock string, part, whole *OnClock) (Attribution, bool) {
	if part == nil || whole == nil || part.Gain == nil || whole.Gain == nil {
		return Attribution{}, false
	}
	t := Attribution{Control: a.Name, Of: a.Control, Budget: budget, Clock: clock, Gain: part.Gain.Mean, GainOf: whole.Gain.Mean}
	parts, wholes := c.paired(a.Name, budget, clock), c.paired(a.Control, budget, clock)
	var seeds []uint64
	for _, s := range slices.Sorted(maps.Keys(parts)) {
		if _, both := wholes[s]; both {
			seeds = append(seeds, s)
		}
	}
	t.Share = fieller(inOrder(parts, seeds), inOrder(wholes, seeds), c.study.Confidence)
	t.LogSaving = logShare(part.Saving, whole.Saving)
	return t, true
}
