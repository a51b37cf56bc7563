package experiment

import (
	"fmt"
	"math"
	"slices"

	"github.com/gradus-ml/gradus/curriculum"
	"github.com/gradus-ml/gradus/recipe"
)

// A knob is one number of a pace.
type knob struct {
	what       string // TuneStart or TunePace
	pace       string // where the pace stands, in words
	path       []any  // of the number
	before     any    // as the recipe has it
	candidates []any  // from the one most wanted on: small starts first, long paces first
}

// at returns the path in words.
func (k knob) at() string { return recipe.Edit{Path: k.path}.At() }

// knobs returns what is to be tuned of a recipe's paces, starts first, and in words
// which paces cannot be.
func (t *Tuning) knobs(r *recipe.Recipe) (knobs []knob, skipped string, err error) {
	var starts, ends []knob
	for _, p := range pacesOf(r) {
		start, end, why := t.knobsOf(r, p)
		if why != "" {
			skipped += fmt.Sprintf("; %s: %s", recipe.Edit{Path: p.path}.At(), why)
			continue
		}
		if t.tunes(TuneStart) {
			starts = append(starts, start)
		}
		if t.tunes(TunePace) {
			ends = append(ends, end)
		}
	}
	return append(starts, ends...), skipped, nil
}

// HasPaces reports whether a recipe has paces that could be tuned.
func HasPaces(r *recipe.Recipe) bool { return len(pacesOf(r)) > 0 }

// A placed pace is one with its path.
type placed struct {
	path []any
	pace *recipe.Pace
	unit float64 // of its value, where the pace has no step: 0 if it may be any part
}

// pacesOf returns the paces that say how hard, how long or how many.
func pacesOf(r *recipe.Recipe) []placed {
	var all []placed
	for i, m := range r.Curriculum {
		p := placed{path: []any{"curriculum", i, "pace"}, pace: m.Pace}
		if m.Apply != "" || m.By == string(curriculum.Percentile) {
			p.unit = 1
		}
		all = append(all, p)
	}
	if r.Routing != nil && r.Routing.Keep != nil && r.Routing.Policy != "none" {
		all = append(all, placed{[]any{"routing", "keep"}, r.Routing.Keep, 1})
	}
	if r.Batch.Ramp != nil {
		all = append(all, placed{[]any{"batch", "ramp"}, r.Batch.Ramp, 1})
	}
	return all
}

// parts is into how many a range is divided that has no step of its own.
const parts = 64

// knobsOf returns the start and the end of a pace, or why it has none to tune.
func (t *Tuning) knobsOf(r *recipe.Recipe, p placed) (start, end knob, why string) {
	number := func(name string) (float64, bool) { v, ok := p.pace.Parameters[name].(float64); return v, ok }
	from, hasFrom := number("from")
	to, hasTo := number("to")
	until, hasUntil := p.pace.Parameters["until"].(recipe.Amount)
	if !hasFrom || !hasTo || !hasUntil {
		return start, end, "a pace of the kind " + p.pace.Kind + " has no start and end to tune"
	}
	if from >= to {
		return start, end, "it does not rise"
	}
	at := recipe.Edit{Path: p.path}.At()
	sub := func(key string) []any { return append(slices.Clone(p.path), key) }
	start = knob{TuneStart, at, sub("from"), from, startsOf(p, from, to)}
	end = knob{TunePace, at, sub("until"), valueOf(until), nil}
	begin := 0.0
	if a, ok := p.pace.Parameters["begin"].(recipe.Amount); ok {
		begin = a.Of(r.BudgetTotal())
	}
	own := p.pace.Clock != string(clockOf(r))
	if own {
		return start, end, "its clock is not the budget's"
	}
	// Twentieths of the budget, and the longest that is asked for.
	for share := t.Longest.Value; share > 0; share = math.Ceil(share/5-1) * 5 {
		if share/100*r.BudgetTotal() > begin {
			end.candidates = append(end.candidates, recipe.Amount{Value: share, Percent: true}.String())
		}
	}
	if len(end.candidates) == 0 {
		return start, end, fmt.Sprintf("it begins after %s of the budget, at which it is to end at the latest", t.Longest)
	}
	return start, end, ""
}

// startsOf returns the values at which a pace may start below its end, ascending: the
// multiples of its step.
func startsOf(p placed, from, to float64) []any {
	step, _ := p.pace.Parameters["step"].(float64)
	if step <= 0 {
		step = max(p.unit, to/parts)
		if p.unit > 0 {
			step = math.Ceil(step/p.unit) * p.unit
		}
	}
	// A range of very many steps is looked at in multiples of them.
	if n := to / step; n > 4096 {
		step *= math.Ceil(n / 4096)
	}
	var values []any
	for i := 1; float64(i)*step < to; i++ {
		values = append(values, float64(i)*step)
	}
	if len(values) == 0 { // the first multiple is the end
		values = append(values, from)
	}
	return values
}

// valueOf writes an amount as an edit's value.
func valueOf(a recipe.Amount) any {
	if a.Percent {
		return a.String()
	}
	return a.Value
}

func clockOf(r *recipe.Recipe) curriculum.Clock { return curriculum.Clock(r.Budget.Clock) }
