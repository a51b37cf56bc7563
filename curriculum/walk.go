package curriculum

import (
	"math"
	"slices"

	"github.com/gradus-ml/gradus/internal/fault"
	"github.com/gradus-ml/gradus/internal/keyed"
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

// A Form is what a batch of one bucket looks like.
type Form struct {
	Shape
	Bucket int     `json:"bucket"`
	Units  int     `json:"units"` // samples, packs or chunks a batch serves
	Share  float64 `json:"share"` // of the stage's steps that serve this bucket
	Pool   int64   `json:"pool"`  // units admitted

	cost    cost
	mix     []float64 // share of each source in the bucket's units
	mixLane lane
	mixCuts []uint64
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
	key    keyed.Key
	pools  [][][]int64 // units of [level][source][bucket]; nil: not known yet
	levels []level     // that pools are of
	stages []Stage
	end    Position
}

// A reading is the value of every pace at one moment.
type reading struct {
	level
	weights []float64
	length  float64
	keep    float64
}

// run fills stages and end.
func (w *walk) run() error {
	w.end = Position{Layers: w.Layers}
	if w.From != nil {
		w.end = w.From.Position
	}
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
		steps := w.lasts(s)
		if n := len(w.stages); n > 0 && w.stages[n-1].same(s) {
			w.stages[n-1].Steps += steps
			s = &w.stages[n-1]
		} else {
			if n > 0 {
				if err := w.rises(&w.stages[n-1], s); err != nil {
					return err
				}
			}
			s.Steps = steps
			w.stages = append(w.stages, *s)
		}
		w.end = s.position(s.First + s.Steps)
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
	paces := []Timed{c.Length}
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

// forms fills the batches of a stage: shapes, and how often each bucket is served.
func (w *walk) forms(s *Stage, r reading) error {
	longest := w.Buckets[len(w.Buckets)-1].Length
	length, err := whole("length", r.length, longest, "the window")
	if err != nil {
		return &PartError{"length", err}
	}
	keep := longest
	if !math.IsInf(r.keep, 1) {
		if keep, err = whole("kept tokens", r.keep, longest, "the window"); err != nil {
			return &PartError{"keep", err}
		}
	}
	pools := w.known(s)
	mix, err := w.mixture(s, pools, length)
	if err != nil {
		return err
	}
	sum := 0.0
	for b, bucket := range w.Buckets {
		if len(w.Buckets) > 1 && bucket.Length > length || len(mix[b]) == 0 {
			continue
		}
		f := Form{Bucket: b, Units: bucket.Units, mix: mix[b], Pool: -1}
		f.Rows, f.Length = bucket.Units, min(bucket.Length, length)
		if w.RowsPer != nil {
			f.Rows *= w.RowsPer(bucket.Length, f.Length)
		}
		if f.Rows < 1 || f.Rows > maxStepTokens/f.Length {
			return invalid("length", "a batch of %d rows of %d tokens; it must have at least one row and at most %d tokens", f.Rows, f.Length, maxStepTokens)
		}
		f.Kept = min(keep, f.Length)
		f.cost = w.cost(f.Shape)
		// Steps in proportion to tokens, divided by the tokens of a step.
		for _, x := range mix[b] {
			f.Share += x
		}
		f.Share /= float64(bucket.Units) * float64(bucket.Length)
		sum += f.Share
		s.Batches = append(s.Batches, f)
	}
	if !(sum > 0) {
		return invalid("length", "at step %d rows may have %d tokens, and no unit is that short; raise 'from' of the length to at least %d",
			s.First, length, w.Buckets[0].Length)
	}
	for i := range s.Batches {
		s.Batches[i].Share /= sum
	}
	return nil
}

// mixture returns what share of the inputs served comes from each source, in each
// bucket: a source's weight, spread over its open buckets as its admitted inputs
// are. A bucket that holds nothing gets nil. Until pools are known all buckets
// count alike: that only serves to find the levels.
func (w *walk) mixture(s *Stage, pools [][]int64, length int) ([][]float64, error) {
	mix := make([][]float64, len(w.Buckets))
	for i := range w.Sources {
		inputs, total := make([]float64, len(w.Buckets)), 0.0
		for b, bucket := range w.Buckets {
			if len(w.Buckets) > 1 && bucket.Length > length {
				continue
			}
			inputs[b] = 1
			if pools != nil && len(w.Buckets) > 1 {
				inputs[b] = float64(pools[i][b]) * float64(bucket.Length)
			}
			total += inputs[b]
		}
		weight := 1.0
		if s.Weights != nil {
			weight = s.Weights[i]
		}
		if total == 0 && weight > 0 && w.Buckets[0].Length <= length {
			return nil, invalid(sourcePart(i, ""), "%snothing of at most %d tokens is admitted at step %d; raise 'from' of a pace or of the length, or give the source no weight there",
				w.Sources[i].prefix(), length, s.First)
		}
		for b, x := range inputs {
			if x == 0 || weight == 0 {
				continue
			}
			if mix[b] == nil {
				mix[b] = make([]float64, len(w.Sources))
			}
			mix[b][i] = weight * x / total
		}
	}
	return mix, nil
}

// known returns the pools at the last known level that admits no more than the
// stage does, so that a bucket which is served is never empty; nil: not known.
func (w *walk) known(s *Stage) [][]int64 {
	if w.pools == nil {
		return nil
	}
	at := 0
	for l := range w.levels {
		if w.levels[l].equal(level{s.Difficulty, s.Floor}) {
			return w.pools[l]
		}
		if !slices.ContainsFunc(indices(s.Difficulty), func(m int) bool { return w.levels[l].Difficulty[m] > s.Difficulty[m] }) {
			at = l
		}
	}
	return w.pools[at]
}

func indices[T any](list []T) []int {
	at := make([]int, len(list))
	for i := range at {
		at[i] = i
	}
	return at
}

// cost returns what a step of a shape adds to a position.
func (c *Config) cost(s Shape) cost {
	row := int64(c.Layers-c.Routed)*int64(s.Length) + int64(c.Routed)*int64(s.Kept)
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

// lasts returns how many steps from a stage's first on have the paces' values of
// its first, at least one; the budget ends it too.
func (w *walk) lasts(s *Stage) int64 {
	n := w.until(s, w.Clock, w.Budget)
	var plain []Timed
	for _, t := range w.paces() {
		clock := w.clockOf(t)
		if stepped, ok := t.Pace.(interface{ Next(clock float64) float64 }); ok {
			if next := stepped.Next(s.Start.On(clock)); next < math.Inf(1) {
				n = min(n, w.until(s, clock, next))
			}
		} else {
			plain = append(plain, t)
		}
	}
	for _, t := range plain { // nothing says where they change: every step is tried
		value := w.at(t, s.Start, 0)
		for k := int64(1); k < n; k++ {
			if w.at(t, s.position(s.First+k), 0) != value {
				n = k
			}
		}
	}
	return n
}

// until returns the number of steps of a stage, at least one, after which a clock
// stands at target or past it.
func (w *walk) until(s *Stage, clock Clock, target float64) int64 {
	low, high := int64(0), int64(1) // not there after low steps
	for s.position(s.First+high).On(clock) < target {
		low, high = high, 2*high
		if high > 2*maxSteps {
			return high
		}
	}
	for high-low > 1 {
		if mid := (low + high) / 2; s.position(s.First+mid).On(clock) < target {
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
