// Package curriculum turns metrics with paces into a plan, and a plan into the
// samples of every step.
//
// A Config says what is paced and how sources are mixed; Compile resolves it
// against the index into a Plan: an order of all units, and stages. In a stage
// the units admitted, the mixture and the shapes of batches stay as they are. A
// Sampler reads the ids of any step straight from the plan; it has no state.
//
// The composition of metrics: a sample joins at the first stage at which every
// metric admits it (its value is at most the pace's), and leaves at the first
// at which the floor of any is above it. Sorting by these two makes the pool of
// a stage a few runs of the order, whatever the number of metrics.
package curriculum

import (
	"context"
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"slices"

	"github.com/gradus-ml/gradus/internal/fault"
	"github.com/gradus-ml/gradus/internal/keyed"
)

// Version names the algorithm that orders samples. It is part of a recipe's
// promise: the same version gives the same ids in every release.
const Version = 2

// The purposes of the sampler's keys; each has coordinates of its own.
const (
	bucketLane = iota // first step of the stage
	sourceLane        // first step of the stage, bucket
	poolLane          // source, bucket, first slot of the phase
	dealKey           // source, bucket, entry, exit, pass
	shuffleKey        // step
)

// A Plan is a compiled curriculum. It is immutable, and may be used from any
// number of goroutines until it is closed.
type Plan struct {
	config    Config
	key       keyed.Key
	first     Position // where the run begins
	end       Position
	stages    []Stage
	levels    []level
	uses      []int         // distinct inputs that the rows of a unit take in; they only become more
	basis     basis         // what the stages were walked with
	units     [][]units     // of each source, in each bucket
	runs      [][]run       // samples of each source, by cell
	never     [][][10]int64 // samples of each source that are never admitted, in each tenth of each metric
	discarded int64         // inputs of admitted samples that no unit holds
}

// maxRounds bounds how often stages and pools are matched to each other. With
// several buckets a batch's cost depends on the pools and the pools on when a
// level is reached; two rounds settle it unless a step jumps over a level.
const maxRounds = 4

// Compile walks the clock from 0 to the budget and returns the plan, or an error
// that says which part of the configuration cannot work and a way out. It may
// take a while for a large corpus; a context that ends stops it. A plan that is
// kept in c.Dir already is opened.
func Compile(ctx context.Context, c Config) (_ *Plan, err error) {
	if c.Shapes == 0 {
		c.Shapes = DefaultShapes
	}
	if c.Dir != "" && Kept(c.Dir) {
		return Open(c)
	}
	if err := c.check(!c.ScheduleOnly); err != nil {
		return nil, err
	}
	p := newPlan(c)
	defer func() {
		if err != nil {
			p.Close()
		}
	}()
	if err := p.walk(basis{}); err != nil {
		return nil, err
	}
	if c.ScheduleOnly {
		return p, nil
	}
	for round := 1; ; round++ {
		if err := p.admit(ctx); err != nil {
			return nil, err
		}
		if len(c.Buckets) == 1 || round == maxRounds {
			break
		}
		before, uses := p.levels, len(p.uses)
		if err := p.walk(basis{before, p.pools()}); err != nil {
			return nil, err
		}
		if slices.EqualFunc(before, p.levels, level.equal) && len(p.uses) == uses {
			break
		}
	}
	if err := p.fillPools(); err != nil {
		return nil, err
	}
	if c.Dir != "" {
		if err := p.save(); err != nil {
			return nil, err
		}
	}
	return p, nil
}

func newPlan(c Config) *Plan {
	p := &Plan{config: c, key: keyed.NewKey(c.Seed, "sampler", Version), first: Position{Layers: c.Layers}}
	if c.From != nil {
		p.first = c.From.Position
	}
	return p
}

// A basis is what a walk knows of the pools: units of [level][source][bucket], and
// which levels these are; nil: nothing yet.
type basis struct {
	Levels []level     `json:"levels"`
	Pools  [][][]int64 `json:"pools"`
}

// walk sets stages, levels and end, and adds to uses.
func (p *Plan) walk(b basis) error {
	w := walk{Config: &p.config, key: p.key, first: p.first, basis: b}
	p.basis = b
	if err := w.run(); err != nil {
		return err
	}
	p.stages, p.end, p.levels = w.stages, w.end, nil
	if shapes := p.Shapes(); len(shapes) > p.config.Shapes {
		return invalid("shapes", "the plan has %d distinct batch shapes and the budget is %d; each is compiled once: "+
			"raise 'step' of the length or keep pace, or allow more with 'shapes: %d'", len(shapes), p.config.Shapes, len(shapes))
	}
	for i := range p.stages {
		s := &p.stages[i]
		l := level{s.Difficulty, s.Floor}
		if n := len(p.levels); n == 0 || !p.levels[n-1].equal(l) {
			p.levels = append(p.levels, l)
		}
		s.level = len(p.levels) - 1
		for _, f := range s.Batches {
			if u := p.use(f); !slices.Contains(p.uses, u) {
				p.uses = append(p.uses, u)
			}
		}
	}
	return nil
}

// use returns how many inputs of a unit the rows of a form take in.
func (p *Plan) use(f Form) int {
	return min(f.Rows/f.Units*f.Length, p.config.Buckets[f.Bucket].Length)
}

// admit fills units and runs.
func (p *Plan) admit(ctx context.Context) error {
	p.release()
	p.units = make([][]units, len(p.config.Sources))
	p.runs = make([][]run, len(p.config.Sources))
	p.never = make([][][10]int64, len(p.config.Sources))
	p.discarded = 0
	for i := range p.config.Sources {
		err := p.admitSource(ctx, i)
		if err != nil {
			return fmt.Errorf("%s%w", p.config.Sources[i].prefix(), err)
		}
	}
	return nil
}

func (p *Plan) admitSource(ctx context.Context, i int) error {
	gates, err := p.gates(i)
	if err != nil {
		return err
	}
	sorted, err := p.sort(ctx, i, gates)
	if err != nil {
		return err
	}
	p.runs[i], p.never[i] = sorted.runs, sorted.never
	return p.arrange(ctx, i, sorted)
}

// pools returns the units at [level][source][bucket].
func (p *Plan) pools() [][][]int64 {
	pools := make([][][]int64, len(p.levels))
	for l := range pools {
		pools[l] = make([][]int64, len(p.units))
		for i := range p.units {
			pools[l][i] = make([]int64, len(p.units[i]))
		}
	}
	for i := range p.units {
		for b := range p.units[i] {
			for _, g := range p.units[i][b].segments {
				for l := g.Entry; l < g.Exit; l++ {
					pools[l][i][b] += g.size()
				}
			}
		}
	}
	return pools
}

// fillPools sets the pools of the stages, and holds that every batch can be
// filled.
func (p *Plan) fillPools() error {
	pools := p.pools()
	for i := range p.stages {
		s := &p.stages[i]
		s.Pool = 0
		for k := range s.Batches {
			f := &s.Batches[k]
			f.Pool = 0
			for source, share := range f.mix {
				n := pools[s.level][source][f.Bucket]
				if share > 0 && n == 0 {
					return p.emptyPool(s, source, f)
				}
				if share > 0 {
					f.Pool += n
				}
			}
			s.Pool += f.Pool
		}
	}
	return nil
}

// emptyPool explains why a source has nothing to serve in a stage.
func (p *Plan) emptyPool(s *Stage, source int, f *Form) error {
	c := &p.config
	prefix := c.Sources[source].prefix()
	if len(c.Sources[source].Columns) < len(c.Admit) { // opened again, so it was filled once
		return fault.Corruptf("%s: %snothing is admitted at step %d; %s", filepath.Join(c.Dir, planName), prefix, s.First, anew(c.Dir, p.first))
	}
	gates, err := p.gates(source)
	if err != nil {
		return err
	}
	for m, a := range c.Admit {
		easiest := gates[m].column.Ranked(0)
		none := gates[m].sign*easiest > gates[m].ceiling[s.level]
		if c.Control == Reverse { // which admits as many
			none = math.IsInf(gates[m].ceiling[s.level], -1)
		}
		if none {
			return invalid(admitPart(m, ".pace"), "%s%s: at step %d the pace is at %v and the easiest sample has %v, so the batch would be empty; "+
				"raise 'from' to at least %v", prefix, a.Metric, s.First, s.Difficulty[m], easiest, easiest)
		}
		if gates[m].floor != nil && gates[m].floor[s.level] > gates[m].ceiling[s.level] {
			return invalid(admitPart(m, ".floor"), "%s%s: at step %d the floor (%v) is above the pace (%v), so no sample is admitted; lower the floor's 'to'",
				prefix, a.Metric, s.First, s.Floor[m], s.Difficulty[m])
		}
	}
	if len(c.Buckets) > 1 {
		return invalid(sourcePart(source, ""), "%sno unit of %d tokens is admitted at step %d; raise 'from' of a pace, or choose other lengths",
			prefix, c.Buckets[f.Bucket].Length, s.First)
	}
	return invalid(sourcePart(source, ""), "%sno sample is admitted by all metrics at step %d (or all that are, are held out); raise 'from' of a pace", prefix, s.First)
}

// Close gives back the plan's files. No sampler of it may be used after that.
func (p *Plan) Close() error { return p.release() }

func (p *Plan) release() error {
	var errs []error
	for _, source := range p.units {
		for _, u := range source {
			if u.order != nil {
				errs = append(errs, u.order.Close())
			}
		}
	}
	p.units = nil
	return errors.Join(errs...)
}

// Stages returns the stages in order. The slice is the plan's own.
func (p *Plan) Stages() []Stage { return p.stages }

// First returns the first step of the plan: 0, or where the earlier run stands.
func (p *Plan) First() int64 { return p.first.Steps }

// Steps returns the step at which the run ends: its steps are First to Steps-1.
func (p *Plan) Steps() int64 { return p.end.Steps }

// End returns where the run ends, on every clock.
func (p *Plan) End() Position { return p.end }

// Sources returns how many corpora the plan mixes.
func (p *Plan) Sources() int { return len(p.config.Sources) }

// Pool returns the number of units that are ever admitted.
func (p *Plan) Pool() int64 {
	n := int64(0)
	for _, source := range p.units {
		for _, u := range source {
			n += u.order.Len()
		}
	}
	return n
}

// mustHold panics on a step outside the plan, as an index outside a slice does.
func (p *Plan) mustHold(step int64) {
	if step < p.first.Steps || step >= p.end.Steps {
		panic(fmt.Sprintf("curriculum: step %d of a plan of steps %d to %d", step, p.first.Steps, p.end.Steps-1))
	}
}

// StageAt returns the index of the stage that holds a step of the plan.
func (p *Plan) StageAt(step int64) int {
	p.mustHold(step)
	return lastAtMost(len(p.stages), func(i int) int64 { return p.stages[i].First }, step)
}

// BatchAt returns what the batch of a step looks like.
func (p *Plan) BatchAt(step int64) Form {
	s := &p.stages[p.StageAt(step)]
	return s.Batches[s.form(step)]
}

// PositionAt returns how far the run has come before a step, for steps from First
// to Steps.
func (p *Plan) PositionAt(step int64) Position {
	if step == p.end.Steps {
		return p.end
	}
	return p.stages[p.StageAt(step)].position(step)
}

// Shapes returns the distinct shapes in the order in which the run needs them.
func (p *Plan) Shapes() []Shape {
	var shapes []Shape
	seen := map[Shape]bool{}
	for _, s := range p.stages {
		for _, f := range s.Batches {
			if !seen[f.Shape] {
				seen[f.Shape] = true
				shapes = append(shapes, f.Shape)
			}
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
