// Package curriculum turns metrics with paces into a plan, and a plan into the
// samples of every step.
//
// A Config says what is paced; Compile resolves it against the index into a
// Plan: one order of all samples, and stages. In a stage the samples admitted
// are a prefix of the order, and batches have one shape. A Sampler reads the
// ids of any step straight from the plan; it has no state.
//
// The composition of metrics: a sample joins at the first stage at which every
// metric admits it (its value is at most the pace's). Sorting by that stage
// makes the pool of stage s a prefix, whatever the number of metrics.
package curriculum

import (
	"fmt"
	"math"
	"slices"

	"github.com/gradus-ml/gradus/internal/fault"
	"github.com/gradus-ml/gradus/pace"
)

// By says how a pace's value is compared with a metric.
type By string

const (
	// Value admits samples whose metric is at most the pace's value.
	Value By = "value"
	// Percentile admits samples whose metric is at most that percentile of all
	// samples: the value at rank ceil(p/100*n), ties included.
	Percentile By = "percentile"
)

// A Column holds one metric of every sample; *index.Column is one.
type Column interface {
	Len() int64
	Values(dst []float64, start int64) // metric of samples start, start+1, ...
	Quantile(percent float64) float64  // value at rank ceil(percent/100*Len)
}

// An Admission lets samples in by one metric along a pace.
type Admission struct {
	Metric string // name, for messages
	Column Column
	By     By
	Pace   pace.Pace // never falls
	// Descending: larger values are easier, and the pace is by percentile.
	Descending bool
}

// Apply says how batches get shorter than the window.
type Apply string

const (
	// Truncate keeps the first Length tokens of each sample.
	Truncate Apply = "truncate"
	// Reshape folds each sample into floor(Window/Length) rows of Length tokens;
	// the Window mod Length tokens left over are dropped.
	Reshape Apply = "reshape"
)

// A Config is everything a plan depends on.
type Config struct {
	Seed     uint64
	Samples  int64               // in the corpus
	Excluded func(id int64) bool // samples held out for evaluation; nil: none
	Batch    int                 // samples a step, over all ranks
	Window   int                 // tokens of a sample at full length
	Admit    []Admission         // none: every sample from the first step
	Length   pace.Pace           // tokens of a row; nil: Window
	Apply    Apply               // how Length is reached; empty: Truncate
	Keep     pace.Pace           // tokens that routed layers see; nil: all
	Layers   int                 // of the model
	Routed   int                 // layers that see only Keep tokens
	Clock    Clock
	Budget   float64 // on Clock; the first step at or past it is not made
	Shapes   int     // most distinct batch shapes; 0: DefaultShapes
}

// DefaultShapes is the budget of distinct batch shapes. Each is one compiled
// graph; an executor of GoMLX holds 32, and the original's usual length curve
// (64 to 2048 by 8) would need 249.
const DefaultShapes = 16

// Bounds of what a plan is made for, far above any run: beyond them stands a slip,
// such as three zeros too many. Compile walks every step (about 50 ns each), and
// together they keep the sums of tokens over layers within 64 bits.
const (
	maxSteps      = 100_000_000 // GPT-3 1.3B took 286,102
	maxStepTokens = 1 << 28     // of one batch at full length
	maxLayers     = 1 << 8
)

// A Stage is a run of steps with one pool and one shape.
type Stage struct {
	First      int64     `json:"first"` // its first step
	Steps      int64     `json:"steps"`
	Start      Position  `json:"-"`
	Difficulty []float64 `json:"difficulty,omitempty"` // the paces' values, in the order of Config.Admit
	Pool       int64     `json:"pool"`                 // samples admitted: a prefix of the order
	Shape
}

// A Plan is a compiled curriculum. It is immutable.
type Plan struct {
	config Config
	stages []Stage
	end    Position
	order  []int64 // sample ids by the stage that admits them, then by id
	pools  []int64 // the distinct pool sizes, ascending: ends of the segments in order
}

// Compile walks the clock from 0 to the budget and returns the plan, or an error
// that says which part of the configuration cannot work and a way out.
func Compile(c Config) (*Plan, error) {
	if c.Shapes == 0 {
		c.Shapes = DefaultShapes
	}
	if c.Apply == "" {
		c.Apply = Truncate
	}
	if err := c.validate(); err != nil {
		return nil, err
	}
	p := &Plan{config: c, end: Position{Layers: c.Layers}}
	if err := p.walk(); err != nil {
		return nil, err
	}
	if shapes := p.Shapes(); len(shapes) > c.Shapes {
		return nil, fault.Invalidf("the plan has %d distinct batch shapes and the budget is %d; each is compiled once: "+
			"raise 'step' of the length or keep pace, or allow more with 'shapes: %d'", len(shapes), c.Shapes, len(shapes))
	}
	if err := p.admit(); err != nil {
		return nil, err
	}
	return p, nil
}

func (c *Config) validate() error {
	switch {
	case c.Samples <= 0:
		return fault.Invalidf("there are no samples")
	case c.Batch <= 0:
		return fault.Invalidf("the batch size is %d; it must be at least 1", c.Batch)
	case c.Window <= 0:
		return fault.Invalidf("the window is %d tokens; it must be at least 1", c.Window)
	case c.Batch > maxStepTokens/c.Window:
		return fault.Invalidf("a batch of %d samples of %d tokens is more than %d tokens", c.Batch, c.Window, maxStepTokens)
	case c.Layers > maxLayers:
		return fault.Invalidf("the model has %d layers; a plan counts at most %d", c.Layers, maxLayers)
	case c.Layers <= 0 || c.Routed < 0 || c.Routed > c.Layers:
		return fault.Invalidf("%d of %d layers are routed", c.Routed, c.Layers)
	case !(c.Budget > 0) || math.IsInf(c.Budget, 0):
		return fault.Invalidf("the budget is %v %s; it must be positive and finite", c.Budget, c.Clock)
	case c.Apply != Truncate && c.Apply != Reshape:
		return fault.Invalidf("unknown way to shorten %q; there are truncate and reshape", c.Apply)
	}
	if _, err := ParseClock(string(c.Clock)); err != nil {
		return err
	}
	for _, a := range c.Admit {
		if a.By != Value && a.By != Percentile {
			return fault.Invalidf("%s: unknown 'by: %s'; there are value and percentile", a.Metric, a.By)
		}
		if a.Descending && a.By != Percentile {
			return fault.Invalidf("%s: its larger values are easier, so a pace that rises cannot be by value; write 'by: percentile'", a.Metric)
		}
		if n := a.Column.Len(); n != c.Samples {
			return fault.Mismatchf("%s: the index has %d samples and the corpus %d; analyze the corpus again", a.Metric, n, c.Samples)
		}
	}
	return nil
}

// walk fills stages and end by stepping through the run.
func (p *Plan) walk() error {
	c := &p.config
	// No step costs more than a full batch, so this many are made at least.
	least := c.Budget
	if c.Clock != Steps {
		least /= float64(c.Batch) * float64(c.Window)
	}
	difficulty := make([]float64, len(c.Admit))
	for p.end.On(c.Clock) < c.Budget {
		if least > maxSteps || p.end.Steps == maxSteps {
			return fault.Invalidf("a budget of %v %s takes more than %d steps; lower it, or raise the batch size", c.Budget, c.Clock, int64(maxSteps))
		}
		clock := p.end.On(c.Clock)
		for i, a := range c.Admit {
			difficulty[i] = a.Pace.At(clock)
		}
		shape, err := c.shape(clock)
		if err != nil {
			return err
		}
		if n := len(p.stages); n == 0 || p.stages[n-1].Shape != shape || !slices.Equal(p.stages[n-1].Difficulty, difficulty) {
			if n > 0 {
				for i, a := range c.Admit {
					if last := p.stages[n-1].Difficulty[i]; !(difficulty[i] >= last) {
						return fault.Invalidf("%s: the pace falls from %v to %v at step %d; a pace that admits samples must never fall",
							a.Metric, last, difficulty[i], p.end.Steps)
					}
				}
			}
			p.stages = append(p.stages, Stage{First: p.end.Steps, Start: p.end, Difficulty: slices.Clone(difficulty), Shape: shape})
		}
		p.stages[len(p.stages)-1].Steps++
		p.end = p.end.plus(1, shape, c.Routed)
	}
	return nil
}

// shape returns the shape of a batch at a clock position.
func (c *Config) shape(clock float64) (Shape, error) {
	s := Shape{Rows: c.Batch, Length: c.Window}
	if c.Length != nil {
		length, err := whole("length", c.Length.At(clock), c.Window, "the window")
		if err != nil {
			return s, err
		}
		s.Length = length
		if c.Apply == Reshape {
			s.Rows *= c.Window / length
		}
	}
	s.Kept = s.Length
	if c.Keep != nil && c.Routed > 0 {
		kept, err := whole("kept tokens", c.Keep.At(clock), c.Window, "the window")
		if err != nil {
			return s, err
		}
		s.Kept = min(kept, s.Length)
	}
	return s, nil
}

// whole returns a pace's value as a number of tokens in [1, most].
func whole(what string, v float64, most int, bound string) (int, error) {
	switch {
	case math.IsNaN(v) || v < 1:
		return 0, fault.Invalidf("%s: the pace gives %v tokens; it must give at least 1", what, v)
	case v > float64(most):
		return 0, fault.Invalidf("%s: the pace gives %v tokens, more than %s of %d; lower its 'to'", what, v, bound, most)
	case v != math.Trunc(v):
		return 0, fault.Invalidf("%s: the pace gives %v tokens; use a whole 'from' and 'step'", what, v)
	}
	return int(v), nil
}

// Stages returns the stages in order. The slice is the plan's own.
func (p *Plan) Stages() []Stage { return p.stages }

// Steps returns the number of steps of the run.
func (p *Plan) Steps() int64 { return p.end.Steps }

// End returns where the run ends, on every clock.
func (p *Plan) End() Position { return p.end }

// Batch returns the samples of a step, over all ranks.
func (p *Plan) Batch() int { return p.config.Batch }

// Pool returns the number of samples that are ever admitted.
func (p *Plan) Pool() int64 { return int64(len(p.order)) }

// mustHold panics on a step outside the plan, as an index outside a slice does.
func (p *Plan) mustHold(step int64) {
	if step < 0 || step >= p.end.Steps {
		panic(fmt.Sprintf("curriculum: step %d of a plan of %d", step, p.end.Steps))
	}
}

// StageAt returns the index of the stage that holds a step of the plan.
func (p *Plan) StageAt(step int64) int {
	p.mustHold(step)
	return lastAtMost(len(p.stages), func(i int) int64 { return p.stages[i].First }, step)
}

// PositionAt returns how far the run has come before a step, for steps from 0 to
// Steps.
func (p *Plan) PositionAt(step int64) Position {
	if step == p.end.Steps {
		return p.end
	}
	s := &p.stages[p.StageAt(step)]
	return s.Start.plus(step-s.First, s.Shape, p.config.Routed)
}

// Shapes returns the distinct shapes in the order in which the run needs them.
func (p *Plan) Shapes() []Shape {
	var shapes []Shape
	seen := map[Shape]bool{}
	for _, s := range p.stages {
		if !seen[s.Shape] {
			seen[s.Shape] = true
			shapes = append(shapes, s.Shape)
		}
	}
	return shapes
}

// lastAtMost returns the last of n ascending keys that is at most x; the first
// key must be.
func lastAtMost(n int, key func(int) int64, x int64) int {
	lo, hi := 0, n
	for hi-lo > 1 {
		if mid := (lo + hi) / 2; key(mid) <= x {
			lo = mid
		} else {
			hi = mid
		}
	}
	return lo
}
