package curriculum

import "slices"

// An Origin is the earlier run that a plan goes on from: it begins at the run's
// position, and serves what the run's passes have not reached before anything of
// them again.
type Origin struct {
	Position Position
	// Done reports whether the earlier run has served a sample of a source in its
	// current pass. Safe for concurrent use.
	Done func(source int, sample int64) bool
	// Units answers of the units of a source instead, where they have the ids that
	// they had in the earlier run: the parts of a document are served at different
	// times. nil, for all or one source: Done is asked.
	Units func(source int) *ReachedUnits
}

// reachedUnits returns what the earlier run did with the units of a source; nil:
// samples are asked for.
func (c *Config) reachedUnits(source int) *ReachedUnits {
	if c.From == nil || c.From.Units == nil || c.Sources[source].Units == nil {
		return nil
	}
	return c.From.Units(source)
}

// Reached is how far a run has come through its samples before a step.
type Reached struct {
	Position Position
	sources  []reached
	plan     *Plan
	stage    int
}

// ReachedUnits is how far a run has come through the units of a source: which it
// has served in its pass under way, and which wait.
type ReachedUnits struct{ done, waiting []int64 } // ascending

func (r *ReachedUnits) isDone(unit int64) bool {
	_, ok := slices.BinarySearch(r.done, unit)
	return ok
}

func (r *ReachedUnits) waits(unit int64) bool {
	_, ok := slices.BinarySearch(r.waiting, unit)
	return ok
}

// Units returns how far the run has come through the units of a source. Its plan
// must be open still.
func (r *Reached) Units(source int) *ReachedUnits {
	u := &ReachedUnits{}
	r.plan.tally(source, r.stage, r.Position.Steps, func(t tallied) {
		if t.inPass {
			u.done = append(u.done, t.unit)
		} else {
			u.waiting = append(u.waiting, t.unit)
		}
	})
	slices.Sort(u.done)
	slices.Sort(u.waiting)
	return u
}

// reached has a bit for each sample of a source.
type reached struct {
	samples        int64
	admitted, done bits64
}

type bits64 []uint64

func newBits(n int64) bits64      { return make(bits64, (n+63)/64) }
func (b bits64) has(i int64) bool { return b[i/64]>>(i%64)&1 != 0 }
func (b bits64) set(i int64)      { b[i/64] |= 1 << (i % 64) }

// Reached returns how far the run has come before a step, from First to Steps. It
// looks at every unit admitted, about 50 ns each.
func (p *Plan) Reached(step int64) *Reached {
	stage := len(p.stages) - 1
	if step < p.end.Steps {
		stage = p.StageAt(step)
	}
	r := &Reached{Position: p.PositionAt(step), plan: p, stage: stage}
	for source := range p.units {
		n := p.config.Sources[source].Samples
		at := reached{samples: n, admitted: newBits(n), done: newBits(n)}
		waits := newBits(n) // a sample of several units is done when all are
		p.tally(source, stage, step, func(u tallied) {
			p.eachSample(source, u.unit, func(sample int64) {
				at.admitted.set(sample)
				if u.inPass {
					at.done.set(sample)
				} else {
					waits.set(sample)
				}
			})
		})
		for i := range waits {
			at.done[i] &^= waits[i]
		}
		r.sources = append(r.sources, at)
	}
	return r
}

// Sources returns the number of sources.
func (r *Reached) Sources() int { return len(r.sources) }

// Samples returns the number of samples of a source.
func (r *Reached) Samples(source int) int64 { return r.sources[source].samples }

// Admitted reports whether the run admitted a sample of a source by the step.
func (r *Reached) Admitted(source int, sample int64) bool {
	return sample < r.sources[source].samples && r.sources[source].admitted.has(sample)
}

// Done reports whether the run has served a sample in its pass that is under way.
func (r *Reached) Done(source int, sample int64) bool {
	return sample < r.sources[source].samples && r.sources[source].done.has(sample)
}

// tallied is a unit with how often it was served.
type tallied struct {
	unit   int64
	count  int64
	inPass bool // in the pass under way, of this run or the one it goes on from
}

// tally yields the units of a source that were admitted up to a stage, with how
// often they were served before a step of it.
func (p *Plan) tally(source, stage int, step int64, yield func(tallied)) {
	for b := range p.units[source] {
		d := newDraws(p, source, b)
		more, _ := p.stages[stage].slots(source, b, step)
		served := d.servedAll(d.before[stage] + more)
		for j := range d.units.segments {
			if g := &d.units.segments[j]; g.Entry <= p.stages[stage].level {
				d.tally(j, g, served[j], yield)
			}
		}
	}
}

func (d *draws) tally(j int, g *segment, served int64, yield func(tallied)) {
	pass, at := g.passes(served)
	length := g.size()
	if pass == 0 {
		length = g.Waiting
		for place := g.Low + length; place < g.High; place++ { // of the earlier run's pass
			yield(tallied{d.units.order.At(place), 0, true})
		}
	}
	order := d.dealKey(j).Sub(uint64(pass)).Permutation(uint64(length))
	for k := range length {
		place := int64(order.At(uint64(k)))
		u := tallied{unit: d.units.order.At(g.Low + place), inPass: k < at}
		if pass > 0 {
			u.count = pass - 1
			if place < g.Waiting {
				u.count++
			}
		}
		if k < at {
			u.count++
		}
		yield(u)
	}
}

// eachSample yields the samples that a unit holds a part of.
func (p *Plan) eachSample(source int, unit int64, yield func(sample int64)) {
	maker := p.config.Sources[source].Units
	if maker == nil {
		yield(unit)
		return
	}
	var room [16]int64
	for _, sample := range maker.Samples(room[:0], unit) {
		yield(sample)
	}
}

// A Carry says what becomes of an earlier run's samples in the plan that goes on
// from it: all counts are of samples, or, where Origin.Units answers, of units.
type Carry struct {
	Served  int64 `json:"served"`  // by the earlier run in its pass under way
	Again   int64 `json:"again"`   // of Served: served again by this plan
	Waiting int64 `json:"waiting"` // admitted by the earlier run, and not served in that pass
	First   int64 `json:"first"`   // of Waiting: served by this plan
	// Lost are the rest of Waiting: Dropped, which the plan does not admit, and
	// Unreached, which it admits and has no steps left for.
	Dropped   int64 `json:"dropped"`
	Unreached int64 `json:"unreached"`
	New       int64 `json:"new"` // served by this plan and never admitted by the earlier run
}

// Carry compares the plan with the state it goes on from. was and done tell, for a
// sample of this plan, whether the earlier run had admitted it, and whether it
// had served it in its pass under way.
func (p *Plan) Carry(was, done func(source int, sample int64) bool) Carry {
	var c Carry
	for source := range p.units {
		if u := p.config.reachedUnits(source); u != nil {
			p.carryUnits(&c, source, u)
			continue
		}
		n := p.config.Sources[source].Samples
		admitted, served := newBits(n), newBits(n)
		p.tally(source, len(p.stages)-1, p.end.Steps, func(u tallied) {
			p.eachSample(source, u.unit, func(sample int64) {
				admitted.set(sample)
				if u.count > 0 {
					served.set(sample)
				}
			})
		})
		for id := range n {
			switch {
			case done(source, id):
				c.Served++
				if served.has(id) {
					c.Again++
				}
			case was(source, id):
				c.Waiting++
				switch {
				case served.has(id):
					c.First++
				case admitted.has(id):
					c.Unreached++
				default:
					c.Dropped++
				}
			case served.has(id):
				c.New++
			}
		}
	}
	return c
}

// carryUnits adds what becomes of the units of a source.
func (p *Plan) carryUnits(c *Carry, source int, u *ReachedUnits) {
	c.Served += int64(len(u.done))
	c.Waiting += int64(len(u.waiting))
	c.Dropped += int64(len(u.waiting)) // but those that are found now
	p.tally(source, len(p.stages)-1, p.end.Steps, func(t tallied) {
		served := t.count > 0
		switch {
		case u.isDone(t.unit):
			if served {
				c.Again++
			}
		case u.waits(t.unit):
			c.Dropped--
			if served {
				c.First++
			} else {
				c.Unreached++
			}
		case served:
			c.New++
		}
	})
}
