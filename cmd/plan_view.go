package cmd

import (
	"fmt"
	"math"

	"github.com/gradus-ml/gradus/curriculum"
	"github.com/gradus-ml/gradus/recipe"
)

// A planView is what plan prints.
type planView struct {
	Name       string     `json:"name"`
	Recipe     string     `json:"recipe"`
	Model      string     `json:"model"`
	Parameters int64      `json:"parameters,omitempty"` // 0: not known
	Sample     string     `json:"sample"`               // what fills a row, in words
	Images     bool       `json:"images,omitempty"`     // rows are images
	Ramp       string     `json:"ramp,omitempty"`       // how batches grow, in words; empty: they do not
	Masking    string     `json:"masking,omitempty"`    // what is predicted, in words; empty: the next token, or a class
	Units      string     `json:"units"`                // what pools count: samples, or units made of them
	Control    string     `json:"control,omitempty"`
	Routing    string     `json:"routing,omitempty"` // in words, where it is more than random-ltd of one number of tokens
	HeldOut    string     `json:"held_out,omitempty"`
	Clock      string     `json:"clock"`
	Schedule   bool       `json:"schedule,omitempty"` // without samples
	Warnings   []string   `json:"warnings"`
	Sources    []planFrom `json:"sources"`
	Metrics    []string   `json:"metrics"`

	From   *recipe.Origin     `json:"from,omitempty"` // the earlier run that it goes on from
	Start  planCost           `json:"start"`          // where that stands; FLOPs count from here
	Stages []planStage        `json:"stages"`
	Shapes []curriculum.Shape `json:"shapes"`

	Samples  int64                   `json:"samples"`           // of all sources; 0 in a schedule only
	Pool     int64                   `json:"pool"`              // units that are admitted at some step; -1 in a schedule only
	Expect   *curriculum.Expectation `json:"expect,omitempty"`  // of all steps; nil in a schedule only
	Repeated float64                 `json:"repeated"`          // tokens of rows that an earlier row of the unit has
	LeftOver int64                   `json:"left_over"`         // inputs of admitted samples that no unit holds
	Passes   []planPasses            `json:"passes,omitempty"`  // of each metric
	Run      planCost                `json:"run"`               // where it ends
	Baseline planCost                `json:"baseline"`          // the same budget, spent plainly
	Same     planCost                `json:"baseline_of_steps"` // as many steps, plainly
	Saving   planSaving              `json:"saving"`            // beside Same

	all bool // print every line of a long plan
}

// A planFrom is one corpus of a plan.
type planFrom struct {
	Name    string       `json:"name,omitempty"` // empty if it is the only one
	Corpus  recipe.Names `json:"corpus,omitempty"`
	Index   string       `json:"index,omitempty"`
	Samples int64        `json:"samples"` // 0 in a schedule only
}

// A planStage is a stage with what it costs and serves.
type planStage struct {
	curriculum.Stage
	Start  planCost                `json:"start"`            // on every clock
	Expect *curriculum.Expectation `json:"expect,omitempty"` // nil in a schedule only
}

// planPasses says how often the samples of each tenth of a metric are served,
// from the easiest on.
type planPasses struct {
	Metric string      `json:"metric"`
	Tenths [10]float64 `json:"tenths"`
}

// A planCost is some steps on every clock. FLOPs are 0 where they are not known:
// for an external model, and without the vocabulary.
type planCost struct {
	Steps       int64   `json:"steps"`
	Tokens      int64   `json:"tokens"`
	LayerTokens float64 `json:"layer_tokens"`
	FLOPs       float64 `json:"flops,omitempty"`
}

func (c planCost) minus(d planCost) planCost {
	return planCost{c.Steps - d.Steps, c.Tokens - d.Tokens, c.LayerTokens - d.LayerTokens, c.FLOPs - d.FLOPs}
}

// part is what the plan's own steps cost: all of them, unless it goes on from an
// earlier run.
func (v *planView) part() planCost { return v.Run.minus(v.Start) }

func costAt(p curriculum.Position) planCost {
	return planCost{Steps: p.Steps, Tokens: p.Tokens, LayerTokens: p.LayerTokens()}
}

// A planSaving says how much less the plan's steps cost than as many plain ones.
// It says nothing of how good the model gets.
type planSaving struct {
	LayerTokens    float64 `json:"layer_tokens"`                     // share of the plain steps' that is not spent
	FLOPs          float64 `json:"flops,omitempty"`                  // likewise
	TokensForFLOPs int64   `json:"plain_tokens_for_flops,omitempty"` // what a plain run sees for the plan's FLOPs
}

func viewPlan(b *recipe.Bound) planView {
	r, plan := b.Recipe, b.Plan
	schedule := b.Sources == nil
	v := planView{
		Name: r.Name, Recipe: r.Hash(), Sample: sampleWords(r), Ramp: rampWords(r), Units: unitWords(r), Control: r.Control, Routing: routingWords(b), Masking: b.Masking(), Images: r.Sample.Images, HeldOut: b.HeldOut(), Clock: r.Budget.Clock,
		Schedule: schedule, Warnings: append([]string{}, b.Warnings...), Metrics: append([]string{}, b.Metrics()...),
		From: b.Origin(), Start: costAt(plan.PositionAt(plan.First())), Shapes: plan.Shapes(), Samples: b.Samples(), Pool: -1,
	}
	counted := !r.External() && (!schedule || r.Model.Vocabulary > 0) // FLOPs can be
	v.Model = modelWords(b, counted)
	if counted {
		v.Parameters = b.Model.Parameters()
	}
	for i, s := range sourcesOf(r) {
		from := planFrom{Name: s.Name, Corpus: s.Corpus, Index: s.Index}
		if !schedule {
			from.Samples = b.Sources[i].Samples.Len()
		}
		v.Sources = append(v.Sources, from)
	}
	flops := 0.0
	for i, s := range plan.Stages() {
		stage := planStage{Stage: s, Start: costAt(s.Start)}
		stage.Start.FLOPs = flops
		if counted {
			for _, f := range s.Batches {
				flops += float64(s.Steps) * f.Share * b.Model.FLOPs(f.Rows, f.Length, f.Kept)
			}
		}
		if !schedule {
			e := plan.Expect(i)
			for _, tokens := range []*float64{&e.Padding, &e.Discarded} {
				if *tokens < 1e-9*e.Inputs { // a rounding error
					*tokens = 0
				}
			}
			stage.Expect = &e
		}
		v.Stages = append(v.Stages, stage)
	}
	end := costAt(plan.End())
	end.FLOPs = flops
	v.Run = end
	v.setPlain(b, counted)
	if !schedule {
		v.setServed(plan)
	}
	return v
}

// setPlain sets what plain runs cost: full rows, nothing dropped.
func (v *planView) setPlain(b *recipe.Bound, counted bool) {
	full := b.Recipe.Window()
	rows := b.Recipe.Units(full)
	plain := func(steps int64) planCost {
		tokens := steps * int64(rows) * int64(full)
		c := planCost{Steps: steps, Tokens: tokens, LayerTokens: float64(tokens)}
		if counted {
			c.FLOPs = float64(steps) * b.Model.FLOPs(rows, full, full)
		}
		return c
	}
	left := b.Recipe.BudgetTotal() - b.Plan.PositionAt(b.Plan.First()).On(curriculum.Clock(v.Clock))
	if v.Clock != string(curriculum.Steps) {
		left /= float64(rows) * float64(full)
	}
	v.Baseline = plain(int64(math.Ceil(left)))
	run := v.part()
	v.Same = plain(run.Steps)
	v.Saving.LayerTokens = 1 - run.LayerTokens/v.Same.LayerTokens
	if counted {
		v.Saving.FLOPs = 1 - run.FLOPs/v.Same.FLOPs
		v.Saving.TokensForFLOPs = int64(run.FLOPs / v.Same.FLOPs * float64(v.Same.Tokens))
	}
}

// setServed sets what becomes of the samples.
func (v *planView) setServed(plan *curriculum.Plan) {
	v.Pool, v.LeftOver = plan.Pool(), plan.Discarded()
	v.Expect = &curriculum.Expectation{}
	for _, s := range v.Stages {
		v.Expect.Inputs += s.Expect.Inputs
		v.Expect.Padding += s.Expect.Padding
		v.Expect.Discarded += s.Expect.Discarded
	}
	if again := float64(v.part().Tokens) - v.Expect.Inputs - v.Expect.Padding; again > 0.5 { // not a rounding error
		v.Repeated = again
	}
	for i, tenths := range plan.Passes() {
		v.Passes = append(v.Passes, planPasses{v.Metrics[i], tenths})
	}
}

// unitWords says what a pool counts: samples, where each fills a row of its own.
func unitWords(r *recipe.Recipe) string {
	if r.Sample.Arrange == "pack" || r.Sample.Arrange == "decompose" {
		return "units"
	}
	return "samples"
}

// modelWords describes the model in one line.
func modelWords(b *recipe.Bound, counted bool) string {
	m := b.Model
	switch {
	case b.Recipe.External():
		return fmt.Sprintf("external model of %d layers", m.Layers)
	case !counted:
		return fmt.Sprintf("GPT, %d layers of width %d, %d heads, context %d, the corpus's vocabulary", m.Layers, m.Width, m.Heads, m.Context)
	}
	return m.String()
}

// routingWords says what a plan's number of kept tokens does not: a policy other
// than random-ltd, shares of layers, and what is always kept. Empty: nothing.
func routingWords(b *recipe.Bound) string {
	r := b.Recipe.Routing
	if len(b.Model.Routed) == 0 {
		return ""
	}
	always := r.Always.String()
	if r.Policy == "random-ltd" && r.Drop == nil && always == "" {
		return ""
	}
	words := fmt.Sprintf("%s in layers %s", r.Policy, ranges(b.Model.Routed))
	if r.Drop != nil {
		words += fmt.Sprintf(", which drop %v times as many tokens", r.Drop)
	}
	if always != "" {
		words += "; always seen: " + always
	}
	if b.Recipe.Learns() {
		words += "; which tokens they see depends on the losses of the run"
	}
	return words
}

// rampWords says how the batches of a recipe grow.
func rampWords(r *recipe.Recipe) string {
	b := r.Batch
	switch {
	case b.Ramp == nil:
		return ""
	case b.Tokens > 0:
		return fmt.Sprintf("the tokens of a step follow a ramp of kind %s, up to %d", b.Ramp.Kind, b.Tokens)
	}
	return fmt.Sprintf("the rows of a step follow a ramp of kind %s, up to %d", b.Ramp.Kind, b.Size)
}

// sampleWords says what a recipe's samples are, and what a row holds of them.
func sampleWords(r *recipe.Recipe) string {
	s := r.Sample
	switch {
	case s.Images && r.Window() == 0: // the corpus knows, and is not open
		return "images, their patches and a class token each"
	case s.Images:
		return fmt.Sprintf("images, %d patches and a class token each", r.Window()-1)
	case !s.Documents:
		return fmt.Sprintf("windows of %d tokens", s.Window)
	case s.Arrange == "pack":
		return fmt.Sprintf("documents, packed into rows of %d tokens", s.Length)
	case s.Arrange == "decompose":
		return fmt.Sprintf("documents, decomposed into rows of %d to %d tokens", s.Shortest, s.Length)
	case s.Arrange == "bucket":
		lengths := r.Lengths()
		return fmt.Sprintf("documents, in the shortest of %d row lengths from %d to %d tokens", len(lengths), lengths[0], s.Length)
	}
	return fmt.Sprintf("documents, cut off at %d tokens", s.Length)
}
