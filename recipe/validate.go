package recipe

import (
	"cmp"
	"fmt"
	"math"

	"github.com/gradus-ml/gradus/corpus"
	"github.com/gradus-ml/gradus/curriculum"
	"github.com/gradus-ml/gradus/model"
	"github.com/gradus-ml/gradus/pace"
)

// validate checks each value on its own, and those that need no corpus against
// each other.
func (r *Recipe) validate() error {
	if r.Corpus == "" {
		return r.errorf("corpus", "it is not named; give the prefix of a corpus that 'gradus prepare' wrote")
	}
	if _, err := corpus.ParseForm(r.form()); err != nil {
		return r.errorf("dtype", "%w", err)
	}
	if (r.Sample.Window > 0) == r.Sample.Documents || r.Sample.Window < 0 {
		return r.errorf("sample", "give either window: N (tokens) or documents: true with length: N")
	}
	if r.Sample.Documents && r.Sample.Length < 1 {
		return r.errorf("sample", "documents need length: N, the tokens after which they are cut off")
	}
	if !r.Sample.Documents && r.Sample.Length != 0 {
		return r.errorf("sample.length", "it goes with documents; a window has its length already")
	}
	if r.Batch.Size < 1 {
		return r.errorf("batch.size", "it is %d; it must be at least 1", r.Batch.Size)
	}
	if err := r.validateBudget(); err != nil {
		return err
	}
	lengths := 0
	for i := range r.Curriculum {
		if err := r.validateMetric(i); err != nil {
			return err
		}
		if r.Curriculum[i].Apply != "" {
			lengths++
		}
	}
	if lengths > 1 {
		return r.errorf("curriculum", "%d metrics shape the batch; only one can", lengths)
	}
	if err := r.validateRouting(); err != nil {
		return err
	}
	if r.Shapes < 0 {
		return r.errorf("shapes", "it is %d; it must be at least 1", r.Shapes)
	}
	return r.validateRest()
}

// form names how the tokens of the corpus are stored.
func (r *Recipe) form() string { return cmp.Or(r.DType, corpus.Auto.String()) }

func (r *Recipe) validateBudget() error {
	b := r.Budget
	if _, err := curriculum.ParseClock(b.Clock); err != nil {
		return r.errorf("budget.clock", "%w", err)
	}
	if (b.Steps != 0) == (b.Tokens != 0) {
		return r.errorf("budget", "give either steps: N or tokens: N")
	}
	if total := r.BudgetTotal(); !(total > 0) || math.IsInf(total, 0) {
		return r.errorf("budget", "it is %v; it must be positive and finite", total)
	}
	if (b.Clock == "steps") != (b.Steps != 0) {
		return r.errorf("budget", "the clock counts %s, so the budget must too", b.Clock)
	}
	return nil
}

// BudgetTotal returns the budget on its clock.
func (r *Recipe) BudgetTotal() float64 { return r.Budget.Steps + r.Budget.Tokens }

func (r *Recipe) validateMetric(i int) error {
	m, at := r.Curriculum[i], fmt.Sprintf("curriculum[%d]", i)
	if m.Metric == "" {
		return r.errorf(at, "it names no metric")
	}
	switch m.Apply {
	case "":
		if m.By != string(curriculum.Value) && m.By != string(curriculum.Percentile) {
			return r.errorf(at+".by", "unknown %q; there are value and percentile", m.By)
		}
	case "truncate", "reshape":
		if m.Metric != "length" {
			return r.errorf(at+".apply", "only the metric length shapes the batch, not %s", m.Metric)
		}
		if m.By != "" {
			return r.errorf(at+".by", "a length that is applied admits every sample; leave 'by' out")
		}
	default:
		return r.errorf(at+".apply", "unknown %q; there are truncate and reshape", m.Apply)
	}
	_, err := r.pace(at+".pace", m.Pace)
	return err
}

func (r *Recipe) validateRouting() error {
	if r.Routing == nil {
		return nil
	}
	switch r.Routing.Policy {
	case "none":
		return nil
	case "random-ltd":
	default:
		return r.errorf("routing.policy", "unknown %q; there are random-ltd and none", r.Routing.Policy)
	}
	_, err := r.pace("routing.keep", r.Routing.Keep)
	return err
}

// validateRouted holds the law that the first and the last layer see every
// token, for a model that can be built.
func (r *Recipe) validateRouted() error {
	routed, last := r.ModelConfig(1).Routed, r.Model.Layers-1
	switch {
	case !r.routes():
		return nil
	case len(routed) == 0:
		return r.errorf("routing.layers", "no layer of the model's %d is routed (the first and the last see every token); "+
			"give it more layers, or leave routing out", r.Model.Layers)
	case routed[0] == 0 || routed[len(routed)-1] == last:
		return r.errorf("routing.layers", "it names layers %v, and the first and the last see every token; name some of 1 to %d", routed, last-1)
	}
	return nil
}

// pace builds a pace.
func (r *Recipe) pace(at string, p Pace) (pace.Pace, error) {
	total := r.BudgetTotal()
	var until []float64
	if p.Until != nil {
		for _, u := range *p.Until {
			until = append(until, u.Of(total))
		}
	}
	switch p.Kind {
	case "linear", "root":
		if len(until) != 1 {
			return nil, r.errorf(at+".until", "give the one moment at which the pace reaches 'to', such as 40%%")
		}
		degree := p.Degree
		if p.Kind == "linear" {
			if degree != 0 && degree != 1 {
				return nil, r.errorf(at+".degree", "a linear pace has none; write kind: root")
			}
			degree = 1
		}
		built, err := pace.NewRoot(pace.Root{From: p.From, To: p.To, Step: *p.Step, Until: until[0], Degree: degree})
		if err != nil {
			return nil, r.errorf(at, "%w", err)
		}
		return built, nil
	case "steps":
		built, err := pace.NewSteps(pace.Steps{Values: p.Values, Until: until})
		if err != nil {
			return nil, r.errorf(at, "%w", err)
		}
		return built, nil
	default:
		return nil, r.errorf(at+".kind", "unknown pace %q; there are linear, root and steps", p.Kind)
	}
}

func (r *Recipe) validateRest() error {
	if r.Model.Kind != "gpt" {
		return r.errorf("model.kind", "unknown model %q; there is gpt", r.Model.Kind)
	}
	if r.Model.Positions != "learned" {
		return r.errorf("model.positions", "unknown %q; there is learned", r.Model.Positions)
	}
	if r.Model.Head != "tied" && r.Model.Head != "untied" {
		return r.errorf("model.head", "unknown %q; there are tied and untied", r.Model.Head)
	}
	if r.Model.Layers > model.MaxLayers { // before they are listed
		return r.errorf("model.layers", "it is %d; it must be at most %d", r.Model.Layers, model.MaxLayers)
	}
	if err := r.ModelConfig(1).Validate(); err != nil {
		return r.invalid("model", err)
	}
	if err := r.validateRouted(); err != nil {
		return err
	}
	if r.Optimizer.Kind != "adamw" {
		return r.errorf("optimizer.kind", "unknown optimizer %q; there is adamw", r.Optimizer.Kind)
	}
	if len(r.Optimizer.Betas) != 2 {
		return r.errorf("optimizer.betas", "give two numbers, such as [0.9, 0.95]")
	}
	if err := r.OptimizerConfig().Validate(); err != nil {
		return r.invalid("optimizer", err)
	}
	if err := r.Schedule().Validate(); err != nil {
		return r.invalid("optimizer", err)
	}
	e := r.Evaluate
	if e.Every.Value < 0 {
		return r.errorf("evaluate.every", "it is %s; it must not be negative", e.Every)
	}
	if e.Tokens < 0 {
		return r.errorf("evaluate.tokens", "it is %d; it must not be negative", e.Tokens)
	}
	if e.Corpus != "" && e.HeldOut != nil {
		return r.errorf("evaluate", "give either held_out or corpus")
	}
	if e.HeldOut != nil && (e.HeldOut.Value < 0 || e.HeldOut.Of(1) > 0.5 || !e.HeldOut.Percent && e.HeldOut.Value >= 1) {
		return r.errorf("evaluate.held_out", "it is %s; give a share of the corpus, such as 2%% (at most half)", e.HeldOut)
	}
	if r.Checkpoint.Every.Value < 0 || r.Checkpoint.Keep < 1 {
		return r.errorf("checkpoint", "every %s, keep %d; 'every' must not be negative and 'keep' at least 1", r.Checkpoint.Every, r.Checkpoint.Keep)
	}
	return nil
}
