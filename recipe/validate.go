package recipe

import (
	"fmt"
	"math"

	"github.com/gradus-ml/gradus/curriculum"
	"github.com/gradus-ml/gradus/internal/fault"
	"github.com/gradus-ml/gradus/train"
)

// validate checks each value on its own, and those that need no corpus against
// each other.
func (r *Recipe) validate() error {
	if r.Version != curriculum.Version {
		return fault.Mismatchf("%s: it asks for order %d, and this release serves samples in order %d; "+
			"take the release that has it, or leave the key out for the order of this one", r.place("version"), r.Version, curriculum.Version)
	}
	for _, check := range []func() error{
		r.validateSources, r.validateSample, r.validateImages, r.validateMasking, r.validateBatch, r.validateBudget, r.validateCurriculum, r.validateRouting,
		r.validateModel, r.validateOptimizer, r.validateRest,
	} {
		if err := check(); err != nil {
			return err
		}
	}
	return r.eachPace(func(at string, p *Pace) error {
		_, err := r.timed(at, p)
		return err
	})
}

func (r *Recipe) validateBudget() error {
	b := r.Budget
	if (b.Steps != 0) == (b.Tokens != 0) {
		return r.errorf("budget", "give either steps: N or tokens: N")
	}
	if total := r.BudgetTotal(); !(total > 0) || math.IsInf(total, 0) {
		return r.errorf("budget", "it is %v; it must be positive and finite", total)
	}
	if (b.Clock == string(curriculum.Steps)) != (b.Steps != 0) {
		return r.errorf("budget", "the clock counts %s, so the budget must too", b.Clock)
	}
	return nil
}

func (r *Recipe) validateCurriculum() error {
	lengths, admissions := 0, 0
	for i := range r.Curriculum {
		m, at := &r.Curriculum[i], fmt.Sprintf("curriculum[%d]", i)
		if m.Metric == "" {
			return r.errorf(at, "it names no metric")
		}
		if m.Pace == nil {
			return r.errorf(at, "it has no pace; give one, such as pace: {kind: linear, from: 1, to: 100, until: 40%%}")
		}
		check := r.validateAdmission
		if m.Apply != "" {
			check = r.validateLength
			lengths++
		} else {
			admissions++
		}
		if err := check(at, m); err != nil {
			return err
		}
	}
	if lengths > 1 {
		return r.errorf("curriculum", "%d metrics shape the batch; only one can", lengths)
	}
	if r.Control != "" && admissions == 0 {
		return r.errorf("control", "no metric admits samples, so there is no order to compare with; leave it out")
	}
	return nil
}

func (r *Recipe) validateAdmission(at string, m *Metric) error {
	if m.Rest != "" {
		return r.errorf(at+".rest", "it goes with 'apply: reshape'; a metric that admits samples shapes no rows")
	}
	if m.By != string(curriculum.Percentile) {
		return nil
	}
	for _, p := range []struct {
		key  string
		pace *Pace
	}{{".pace", m.Pace}, {".floor", m.Floor}} {
		if p.pace == nil {
			continue
		}
		if most, ok := p.pace.most(); ok && most > 100 {
			return r.errorf(at+p.key, "it goes to the percentile %v; at 100 all samples are admitted, so lower it, or write 'by: value'", most)
		}
	}
	return nil
}

func (r *Recipe) validateLength(at string, m *Metric) error {
	switch {
	case m.Metric != "length":
		return r.errorf(at+".apply", "only the metric length shapes the batch, not %s", m.Metric)
	case m.By != "":
		return r.errorf(at+".by", "a length that is applied admits every sample; leave 'by' out")
	case m.Floor != nil:
		return r.errorf(at+".floor", "a length that is applied admits every sample; leave 'floor' out, or pace the metric length once more without 'apply'")
	case m.Rest != "" && m.Apply != "reshape":
		return r.errorf(at+".rest", "it goes with 'apply: reshape', not with %s", m.Apply)
	case len(r.Lengths()) > 1 && m.Apply != "truncate":
		return r.errorf(at+".apply", "rows have several lengths, so the pace says which are served, and none is cut; write truncate")
	}
	if m.Rest == "overlap" {
		m.Apply = "reshape-overlap"
	}
	m.Rest = "" // what is left over is dropped, unless the name says otherwise
	return r.withinWindow(at+".pace", m.Pace)
}

// withinWindow holds that a pace of tokens gives whole numbers and does not go
// beyond a full row.
func (r *Recipe) withinWindow(at string, p *Pace) error {
	if most, ok := p.most(); ok && r.Window() > 0 && most > float64(r.Window()) { // else the corpus will say
		return r.errorf(at, "it goes to %v tokens, more than the window of %d; lower its 'to'", most, r.Window())
	}
	return r.wholeNumbers(at, p, "tokens")
}

// wholeNumbers holds that a pace of what is counted gives whole numbers.
func (r *Recipe) wholeNumbers(at string, p *Pace, counted string) error {
	for _, name := range []string{"from", "to", "step", "value"} {
		if v, ok := p.Parameters[name].(float64); ok && (v != math.Trunc(v) || name == "step" && v == 0) {
			return r.errorf(at, "%s is %v; %s are whole numbers, so give one of at least 1", name, v, counted)
		}
	}
	return nil
}

func (r *Recipe) validateOptimizer() error {
	o := r.Optimizer
	switch {
	case o == nil && r.External():
		return nil
	case o == nil:
		return r.errorf("model", "there is no optimizer; give one, such as optimizer: {rate: 3e-4}, or write 'kind: external' for a trainer of one's own")
	case len(o.Betas) != 2:
		return r.errorf("optimizer.betas", "give two numbers, such as [0.9, 0.95]")
	}
	if err := r.OptimizerConfig().Validate(); err != nil {
		return r.invalid("optimizer", err)
	}
	if train.Decay(o.Decay) == train.Constant && *o.MinRate != o.Rate/10 { // which a recipe with its defaults filled in shows
		return r.errorf("optimizer.min_rate", "with the decay constant the rate never falls; leave min_rate out, or write another decay")
	}
	if a := o.Average; a != nil {
		if a.Kind == "" {
			return r.errorf("optimizer.average", "it has no kind; there are ema and checkpoints")
		}
		if err := r.average().Validate(); err != nil {
			return r.invalid("optimizer.average", err)
		}
	}
	if o.Clock != "" {
		return nil // the plan says how much of that clock there is: Open
	}
	if err := r.schedule(r.BudgetTotal()).Validate(); err != nil {
		return r.invalid("optimizer", err)
	}
	return nil
}

func (r *Recipe) validateRest() error {
	e := r.Evaluate
	if e.Every.Value < 0 {
		return r.errorf("evaluate.every", "it is %s; it must not be negative", e.Every)
	}
	if e.Corpus != nil && e.HeldOut != nil {
		return r.errorf("evaluate", "give either held_out or corpus")
	}
	if e.Corpus != nil && e.Seed != nil {
		return r.errorf("evaluate.seed", "all of evaluate.corpus is evaluated on, and nothing is drawn; leave the seed out")
	}
	if e.HeldOut != nil && (e.HeldOut.Value < 0 || e.HeldOut.Of(1) > 0.5 || !e.HeldOut.Percent && e.HeldOut.Value >= 1) {
		return r.errorf("evaluate.held_out", "it is %s; give a share of the corpus, such as 2%% (at most half)", e.HeldOut)
	}
	if r.Checkpoint.Every.Value < 0 {
		return r.errorf("checkpoint.every", "it is %s; it must not be negative", r.Checkpoint.Every)
	}
	if s := r.Stop; s != nil && !(s.Above > 1 && !math.IsInf(s.Above, 1)) {
		return r.errorf("stop.above", "it is %v; it is how many times the best held-out loss, so give more than 1, such as 1.5", s.Above)
	}
	if r.Stop != nil && e.HeldOut != nil && e.HeldOut.Value == 0 {
		return r.errorf("stop", "it goes by the held-out loss, and nothing is held out; give evaluate.held_out or evaluate.corpus, or leave stop out")
	}
	return nil
}
