package curriculum

import (
	"math"
	"slices"

	"github.com/gradus-ml/gradus/internal/keyed"
	"github.com/gradus-ml/gradus/pace"
	"github.com/gradus-ml/gradus/route"
)

// A Stage is a run of steps in which nothing changes: what is admitted, how the
// sources are mixed, what batches look like.
type Stage struct {
	First      int64     `json:"first"` // its first step
	Steps      int64     `json:"steps"`
	Start      Position  `json:"start"`
	Difficulty []float64 `json:"difficulty,omitempty"` // the paces' values, in the order of Config.Admit
	Floor      []float64 `json:"floor,omitempty"`      // likewise of the floors; 0 where a metric has none, nil where none has
	Weights    []float64 `json:"weights,omitempty"`    // of the sources, adding to 1; nil for one source
	Pool       int64     `json:"pool"`                 // units admitted; -1 in a plan of the schedule only
	Batches    []Form    `json:"batches"`              // what its batches look like, one for each bucket that is open

	level int      // of the plan's levels
	lane  lane     // which bucket a step serves
	cuts  []uint64 // of Batches
}

// A level is one state of admission: a difficulty, and a floor, for each metric.
type level struct {
	Difficulty []float64 `json:"difficulty,omitempty"`
	Floor      []float64 `json:"floor,omitempty"`
}

func (l level) equal(other level) bool {
	return slices.Equal(l.Difficulty, other.Difficulty) && slices.Equal(l.Floor, other.Floor)
}

// A walk steps through the run from stage to stage.
type walk struct {
	*Config
	basis
	key    keyed.Key
	first  Position // where the run begins
	stages []Stage
	end    Position
}

// A reading is the value of every pace at one moment.
type reading struct {
	level
	weights []float64
	ramp    float64
	length  float64
	keep    float64
}

// run fills stages and end.
func (w *walk) run() error {
	w.end = w.first
	first := w.end.Steps
	// No step costs more than a full batch, so this many are made at least.
	least := w.Budget - w.end.On(w.Clock)
	if w.Clock != Steps {
		most := 0.0
		for _, b := range w.Buckets {
			most = max(most, float64(b.Length)*float64(b.Units))
		}
		least /= most
	}
	for w.end.On(w.Clock) < w.Budget {
		if least > maxSteps || w.end.Steps-first >= maxSteps {
			return invalid("budget", "a budget of %v %s takes more than %d steps; lower it, or raise the batch size", w.Budget, w.Clock, int64(maxSteps))
		}
		s, err := w.stage()
		if err != nil {
			return err
		}
		n := len(w.stages)
		if n == 0 || !w.stages[n-1].same(s) {
			if n > 0 {
				if err := w.rises(&w.stages[n-1], s); err != nil {
					return err
				}
			}
			w.stages = append(w.stages, *s)
			n++
		}
		last := &w.stages[n-1] // s, or what goes on as it was
		last.Steps += w.lasts(last)
		w.end = last.position(last.First + last.Steps)
	}
	if len(w.stages) == 0 {
		return invalid("budget", "the budget of %v %s is spent already: the earlier run stands at %v", w.Budget, w.Clock, w.end.On(w.Clock))
	}
	return nil
}

// read returns the value of every pace at a position.
func (w *walk) read(p Position) reading {
	var r reading
	for _, a := range w.Admit {
		r.Difficulty = append(r.Difficulty, w.at(a.Pace, p, math.Inf(1)))
		r.Floor = append(r.Floor, w.at(a.Floor, p, 0))
	}
	if !slices.ContainsFunc(w.Admit, func(a Admission) bool { return a.Floor.Pace != nil }) {
		r.Floor = nil
	}
	for _, s := range w.Sources {
		r.weights = append(r.weights, w.at(s.Weight, p, 1))
	}
	r.ramp = w.at(w.Ramp, p, 0)
	longest := w.Buckets[len(w.Buckets)-1].Length
	r.length = w.at(w.Length, p, float64(longest))
	r.keep = math.Inf(1)
	if w.Routed > 0 {
		r.keep = w.at(w.Keep, p, math.Inf(1))
	}
	return r
}

func (w *walk) at(t Timed, p Position, none float64) float64 {
	if t.Pace == nil {
		return none
	}
	return t.At(p.On(w.clockOf(t)))
}

func (c *Config) clockOf(t Timed) Clock {
	if t.Clock != "" {
		return t.Clock
	}
	return c.Clock
}

// paces returns every pace there is.
func (c *Config) paces() []Timed {
	paces := []Timed{c.Ramp, c.Length}
	if c.Routed > 0 {
		paces = append(paces, c.Keep)
	}
	for _, a := range c.Admit {
		paces = append(paces, a.Pace, a.Floor)
	}
	for _, s := range c.Sources {
		paces = append(paces, s.Weight)
	}
	return slices.DeleteFunc(paces, func(t Timed) bool { return t.Pace == nil })
}

// stage returns the stage that begins where the walk stands.
func (w *walk) stage() (*Stage, error) {
	step := w.end.Steps
	r := w.read(w.end)
	s := &Stage{First: step, Start: w.end, Difficulty: r.Difficulty, Floor: r.Floor, Pool: -1}
	for m, a := range w.Admit {
		if math.IsNaN(r.Difficulty[m]) || r.Floor != nil && math.IsNaN(r.Floor[m]) {
			return nil, invalid(admitPart(m, ""), "%s: the pace gives no number at step %d", a.Metric, step)
		}
	}
	total := 0.0
	for i, x := range r.weights {
		if math.IsNaN(x) || x < 0 || math.IsInf(x, 0) {
			return nil, invalid(sourcePart(i, ".weight"), "%sits weight is %v at step %d; it must be finite and not negative", w.Sources[i].prefix(), x, step)
		}
		total += x
	}
	if !(total > 0) {
		return nil, invalid("sources", "the weights of the sources sum to nothing at step %d; give one of them a weight there", step)
	}
	if len(r.weights) > 1 {
		for i := range r.weights {
			r.weights[i] /= total
		}
		s.Weights = r.weights
	}
	if err := w.forms(s, r); err != nil {
		return nil, err
	}
	s.lane = newLane(w.key.Sub(bucketLane).Sub(uint64(step)))
	shareOf := make([]float64, len(s.Batches))
	for i := range s.Batches {
		f := &s.Batches[i]
		shareOf[i] = f.Share
		f.mixLane = newLane(w.key.Sub(sourceLane).Sub(uint64(step)).Sub(uint64(f.Bucket)))
		f.mixCuts = shares(f.mix)
	}
	s.cuts = shares(shareOf)
	return s, nil
}

// cost returns what a step of a shape adds to a position.
func (c *Config) cost(s Shape) cost {
	row := int64(c.Layers-c.Routed)*int64(s.Length) + int64(c.Routed)*int64(s.Kept)
	if c.Drop != nil {
		row = int64(c.Layers-c.Routed) * int64(s.Length)
		for _, drop := range c.Drop {
			row += int64(route.Kept(s.Length, s.Kept, drop))
		}
	}
	if c.WholeTokens {
		row -= row % int64(c.Layers)
	}
	return cost{s.Tokens(), int64(s.Rows) * row}
}

// same reports whether a stage that begins where s ends goes on with it. Shares
// are compared too: they follow the weights.
func (s *Stage) same(next *Stage) bool {
	return level{s.Difficulty, s.Floor}.equal(level{next.Difficulty, next.Floor}) && slices.Equal(s.Weights, next.Weights) &&
		slices.EqualFunc(s.Batches, next.Batches, func(a, b Form) bool {
			return a.Shape == b.Shape && a.Bucket == b.Bucket && a.Share == b.Share && slices.Equal(a.mix, b.mix)
		})
}

// rises holds that admission never falls.
func (w *walk) rises(last, next *Stage) error {
	for i, a := range w.Admit {
		if !(next.Difficulty[i] >= last.Difficulty[i]) {
			return invalid(admitPart(i, ".pace"), "%s: the pace falls from %v to %v at step %d; a pace that admits samples must never fall",
				a.Metric, last.Difficulty[i], next.Difficulty[i], next.First)
		}
		if next.Floor != nil && !(next.Floor[i] >= last.Floor[i]) {
			return invalid(admitPart(i, ".floor"), "%s: the floor falls from %v to %v at step %d; what was too easy does not come back",
				a.Metric, last.Floor[i], next.Floor[i], next.First)
		}
	}
	return nil
}

// lasts returns how many steps of a stage, from where the walk stands on, have the
// paces' values of the first of them: at least one. The budget ends them too.
func (w *walk) lasts(s *Stage) int64 {
	n := w.until(s, w.Clock, w.Budget)
	var plain []Timed
	for _, t := range w.paces() {
		clock := w.clockOf(t)
		if stepped, ok := t.Pace.(pace.Stepped); ok {
			if next := stepped.Next(w.end.On(clock)); next < math.Inf(1) {
				n = min(n, w.until(s, clock, next))
			}
		} else {
			plain = append(plain, t)
		}
	}
	for _, t := range plain { // nothing says where they change: every step is tried
		value := w.at(t, w.end, 0)
		for k := int64(1); k < n; k++ {
			if w.at(t, s.position(w.end.Steps+k), 0) != value {
				n = k
			}
		}
	}
	return n
}

// until returns the number of steps of a stage, at least one, after which a clock
// will stand at target or past it.
func (w *walk) until(s *Stage, clock Clock, target float64) int64 {
	low, high := int64(0), int64(1) // not there after low steps
	for s.position(w.end.Steps+high).On(clock) < target {
		low, high = high, 2*high
		if high > 2*maxSteps {
			return high
		}
	}
	for high-low > 1 {
		if mid := (low + high) / 2; s.position(w.end.Steps+mid).On(clock) < target {
			low = mid
		} else {
			high = mid
		}
	}
	return high
}

// position returns how far the run has come before a step of the stage, or of its
// end.
func (s *Stage) position(step int64) Position {
	p, n := s.Start, step-s.First
	if len(s.Batches) == 1 {
		return p.plus(n, s.Batches[0].cost)
	}
	for i := range s.Batches {
		p = p.plus(s.lane.count(n, s.cuts[i], s.cuts[i+1]), s.Batches[i].cost)
	}
	return p
}

// form returns the index of the form that a step of the stage has.
func (s *Stage) form(step int64) int {
	if len(s.Batches) == 1 {
		return 0
	}
	return part(s.cuts, s.lane.point(step-s.First))
}
