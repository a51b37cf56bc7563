package curriculum

import (
	"slices"
	"sync"

	"github.com/gradus-ml/gradus/internal/keyed"
)

// draws answers, for one source in one bucket, which units its slots serve. Slots
// count the places that batches give to the source and bucket, from the first
// step of the run on.
type draws struct {
	units *units
	key   keyed.Key // of the deals
	// Of each stage of the plan: the slots before it, and its phase; -1 where the
	// stage does not serve the bucket from the source.
	before  []int64
	phaseOf []int32
	phases  []phase
	ends    []int64 // of the segments in the order, without floors
	// served holds the draws from each segment before every stride-th phase.
	served [][]int64
	stride int
	// idle holds cursors for single steps, so that each does not make and clear one
	// deal for every segment.
	idle sync.Pool
}

// A phase is a run of slots with one pool.
type phase struct {
	first int64 // its first slot
	slots int64
	lane  lane
	live  []int32 // the segments of the pool; nil: the first len(ends)
	ends  []int64 // where each ends in the pool
}

// pool returns the size of the phase's pool.
func (p *phase) pool() int64 { return p.ends[len(p.ends)-1] }

// segment returns the number of the k-th segment of the pool.
func (p *phase) segment(k int) int {
	if p.live == nil {
		return k
	}
	return int(p.live[k])
}

// bounds returns where the k-th segment of the pool lies on the lane.
func (p *phase) bounds(k int) (from, to uint64) {
	low := int64(0)
	if k > 0 {
		low = p.ends[k-1]
	}
	return cut(low, p.pool()), cut(p.ends[k], p.pool())
}

// index returns where a segment stands in the pool; false: it does not.
func (p *phase) index(segment int) (int, bool) {
	if p.live == nil {
		return segment, segment < len(p.ends)
	}
	return slices.BinarySearch(p.live, int32(segment))
}

// at returns which segment of the pool holds a place of it.
func (p *phase) at(place int64) int {
	low, n := 0, len(p.ends)-1
	for n > 0 {
		half := n >> 1
		if p.ends[low+half] <= place {
			low += half + 1
			n -= half + 1
		} else {
			n = half
		}
	}
	return low
}

// maxServed bounds the counters of draws.served, 8 bytes each.
const maxServed = 4 << 20

// newDraws prepares the draws of a source in a bucket.
func newDraws(p *Plan, source, bucket int) *draws {
	d := &draws{
		units:   &p.units[source][bucket],
		key:     p.key.Sub(dealKey).Sub(uint64(source)).Sub(uint64(bucket)),
		before:  make([]int64, len(p.stages)),
		phaseOf: make([]int32, len(p.stages)),
	}
	segments := d.units.segments
	floors := false
	for i := range segments {
		d.ends = append(d.ends, segments[i].High)
		floors = floors || segments[i].Exit < len(p.levels)
	}
	slots := int64(0)
	for i := range p.stages {
		s := &p.stages[i]
		d.before[i], d.phaseOf[i] = slots, -1
		n, ok := s.slots(source, bucket, s.First+s.Steps)
		if !ok {
			continue
		}
		last := len(d.phases) - 1
		next := phase{first: slots}
		if floors {
			next.live = []int32{}
			size := int64(0)
			for j := range segments {
				if segments[j].live(s.level) {
					size += segments[j].size()
					next.live, next.ends = append(next.live, int32(j)), append(next.ends, size)
				}
			}
		} else {
			live := 0
			for live < len(segments) && segments[live].Entry <= s.level {
				live++
			}
			next.ends = d.ends[:live]
		}
		if last < 0 || len(d.phases[last].ends) != len(next.ends) || !slices.Equal(d.phases[last].live, next.live) {
			last++
			next.lane = newLane(p.key.Sub(poolLane).Sub(uint64(source)).Sub(uint64(bucket)).Sub(uint64(slots)))
			d.phases = append(d.phases, next)
		}
		d.phaseOf[i] = int32(last)
		d.phases[last].slots += n
		slots += n
	}
	d.count()
	return d
}

// count fills served.
func (d *draws) count() {
	d.stride = 1 + len(d.phases)*len(d.ends)/maxServed
	served := make([]int64, len(d.ends))
	for i := range d.phases {
		if i%d.stride == 0 {
			d.served = append(d.served, slices.Clone(served))
		}
		d.phases[i].add(served, d.phases[i].slots)
	}
}

// add adds the draws of the phase's first n slots to those of each segment.
func (p *phase) add(served []int64, n int64) {
	if n < int64(len(p.ends)) { // most segments get none: a pace that changes every step
		for q := range n {
			served[p.segment(p.at(place(p.lane.point(q), p.pool())))]++
		}
		return
	}
	for k := range p.ends {
		from, to := p.bounds(k)
		served[p.segment(k)] += p.lane.count(n, from, to)
	}
}

// servedBefore returns the draws from the k-th segment of a phase's pool before a
// slot of that phase.
func (d *draws) servedBefore(phase, k int, slot int64) int64 {
	at := &d.phases[phase]
	segment := at.segment(k)
	n := d.served[phase/d.stride][segment]
	for i := phase / d.stride * d.stride; i < phase; i++ {
		if k, ok := d.phases[i].index(segment); ok {
			from, to := d.phases[i].bounds(k)
			n += d.phases[i].lane.count(d.phases[i].slots, from, to)
		}
	}
	from, to := at.bounds(k)
	return n + at.lane.count(slot-at.first, from, to)
}

// servedAll returns the draws from each segment before a slot.
func (d *draws) servedAll(slot int64) []int64 {
	served := make([]int64, len(d.ends))
	for i := range d.phases {
		if p := &d.phases[i]; p.first < slot {
			p.add(served, min(p.slots, slot-p.first))
		}
	}
	return served
}

// slots returns how many places the batches of a stage before a step give to a
// source in a bucket; false: the stage gives it none.
func (s *Stage) slots(source, bucket int, step int64) (int64, bool) {
	for k := range s.Batches {
		f := &s.Batches[k]
		if f.Bucket != bucket || f.mix[source] == 0 {
			continue
		}
		return f.slots(source, s.formsBefore(k, step)*int64(f.Units)), true
	}
	return 0, false
}

// formsBefore returns how many steps of the stage before a step have its k-th form.
func (s *Stage) formsBefore(k int, step int64) int64 {
	if len(s.Batches) == 1 {
		return step - s.First
	}
	return s.lane.count(step-s.First, s.cuts[k], s.cuts[k+1])
}

// slots returns how many of the first n places of the form's batches in a stage
// go to a source.
func (f *Form) slots(source int, n int64) int64 {
	if len(f.mix) == 1 {
		return n
	}
	return f.mixLane.count(n, f.mixCuts[source], f.mixCuts[source+1])
}

// A deal serves the units of one segment, pass by pass, each pass in a keyed
// random order. The first pass is of the waiting ones.
type deal struct {
	begun   bool
	key     keyed.Key
	low     int64
	size    int64
	waiting int64
	pass    int64
	at      int64 // place within the pass
	length  int64 // of the pass
	order   keyed.Permutation
}

// begin sets the deal to where it stands after served draws.
func (d *deal) begin(key keyed.Key, s *segment, served int64) {
	*d = deal{begun: true, key: key, low: s.Low, size: s.size(), waiting: s.Waiting}
	pass, at := s.passes(served)
	d.turn(pass)
	d.at = at
}

// passes returns in which pass a segment is after served draws, and how far.
func (s *segment) passes(served int64) (pass, at int64) {
	if served < s.Waiting {
		return 0, served
	}
	served -= s.Waiting
	return 1 + served/s.size(), served % s.size()
}

// turn begins a pass.
func (d *deal) turn(pass int64) {
	d.pass, d.at, d.length = pass, 0, d.size
	if pass == 0 {
		d.length = d.waiting
	}
	d.order = d.key.Sub(uint64(pass)).Permutation(uint64(d.length))
}

// next returns the place in the plan's order of the next unit.
func (d *deal) next() int64 {
	if d.at == d.length {
		d.turn(d.pass + 1)
	}
	place := d.low + int64(d.order.At(uint64(d.at)))
	d.at++
	return place
}

// dealKey is the key of a segment's passes.
func (d *draws) dealKey(segment int) keyed.Key {
	s := &d.units.segments[segment]
	return d.key.Sub(uint64(s.Entry)).Sub(uint64(s.Exit))
}

// A cursor draws the units of slots that follow each other.
type cursor struct {
	*draws
	source int64
	phase  int
	deals  []deal
	// guide, if not nil, holds where in the pool to begin looking for the segment
	// of a point, by its first bits: built for cursors that live long.
	guide []int32
	shift uint
	keep  bool
	// touched are the deals that have begun, of a cursor for single steps.
	touched []int32
}

// guideBits bounds a guide to 4,096 entries, which stay in the first-level cache.
const guideBits = 12

func newCursor(d *draws, source int, keep bool) *cursor {
	return &cursor{draws: d, source: int64(source) << SourceShift, phase: -1, deals: make([]deal, len(d.ends)), keep: keep}
}

// one draws n slots like a new cursor for a single step.
func (d *draws) one(dst []int64, source, phase int, slot, n int64) []int64 {
	c, ok := d.idle.Get().(*cursor)
	if !ok {
		c = newCursor(d, source, false)
	}
	dst = c.draw(dst, phase, slot, n)
	for _, segment := range c.touched {
		c.deals[segment].begun = false
	}
	c.touched = c.touched[:0]
	d.idle.Put(c)
	return dst
}

// enter goes to a phase.
func (c *cursor) enter(phase int) {
	c.phase = phase
	if !c.keep {
		return
	}
	p := &c.phases[phase]
	bits := uint(0)
	for bits < guideBits && 1<<bits < 2*len(p.ends) {
		bits++
	}
	c.shift = 63 - bits
	c.guide = slices.Grow(c.guide[:0], 1<<bits)[:1<<bits]
	k := int32(0)
	for g := range c.guide {
		for at := place(uint64(g)<<c.shift, p.pool()); p.ends[k] <= at; {
			k++
		}
		c.guide[g] = k
	}
}

// draw appends the ids of n slots of a phase, from slot on.
func (c *cursor) draw(dst []int64, phase int, slot, n int64) []int64 {
	if c.phase != phase {
		c.enter(phase)
	}
	p := &c.phases[phase]
	pool, start := p.pool(), len(dst)
	for q := slot - p.first; q < slot-p.first+n; q++ {
		point := p.lane.point(q)
		at, k := place(point, pool), 0
		if c.guide != nil {
			for k = int(c.guide[point>>c.shift]); p.ends[k] <= at; {
				k++
			}
		} else {
			k = p.at(at)
		}
		d := &c.deals[p.segment(k)]
		if !d.begun {
			d.begin(c.dealKey(p.segment(k)), &c.units.segments[p.segment(k)], c.servedBefore(phase, k, p.first+q))
			if !c.keep {
				c.touched = append(c.touched, int32(p.segment(k)))
			}
		}
		dst = append(dst, d.next())
	}
	// The places first, the ids behind them second: these reads all miss the caches
	// and do not depend on each other, so that the processor makes them together.
	for i, place := range dst[start:] {
		dst[start+i] = c.source | c.units.order.At(place)
	}
	return dst
}
