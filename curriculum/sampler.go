package curriculum

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"

	"github.com/gradus-ml/gradus/internal/keyed"
)

// Version names the algorithm that orders samples. It is part of a recipe's
// promise: the same version gives the same ids in every release.
const Version = 1

// A Sampler gives the ids of any step of a plan. It has no state and is safe for
// concurrent use.
//
// Samples that joined at the same stage form a segment of the plan's order. A
// phase is a run of steps with one pool of P samples, and its slots (the places
// in its batches) are numbered q = 0, 1, ... Slot q takes place
// (a*q + b) mod P of the pool, where a is near P over the golden ratio and prime
// to P: over any P slots every place is taken once, over any few the places are
// spread evenly, and b is random, so the expected composition of a batch is
// exactly uniform over the pool. The place only chooses the segment. Which of
// the segment's samples is served follows from how often the segment has been
// drawn since the run began: its samples are dealt out pass by pass, each pass
// in a keyed random order, so that none repeats while a twin waits. That count
// is the number of earlier slots that fell into the segment, a sum of floors
// with a closed form (apportion.go); this is what makes any step as cheap as
// the next.
type Sampler struct {
	plan   *Plan
	key    keyed.Key
	phases []phase
}

// A phase is a run of steps with one pool.
type phase struct {
	first  int64 // its first step
	pool   int64
	lane   lane
	served []int64 // draws from each segment before the phase
}

// Sampler returns the plan's sampler.
func (p *Plan) Sampler() *Sampler {
	s := &Sampler{plan: p, key: keyed.NewKey(p.config.Seed, "sampler", Version)}
	for _, stage := range p.stages {
		n := len(s.phases)
		if n > 0 && s.phases[n-1].pool == stage.Pool {
			continue
		}
		served := make([]int64, s.segments(stage.Pool))
		if n > 0 {
			last := &s.phases[n-1]
			slots := (stage.First - last.first) * int64(p.config.Batch)
			for j := range last.served {
				lo, hi := s.bounds(j)
				served[j] = last.served[j] + last.lane.count(slots, hi) - last.lane.count(slots, lo)
			}
		}
		s.phases = append(s.phases, phase{
			first: stage.First, pool: stage.Pool, served: served,
			lane: newLane(stage.Pool, s.key.Sub(uint64(n)).Stream()),
		})
	}
	return s
}

// segments returns how many segments a pool of the given size holds.
func (s *Sampler) segments(pool int64) int {
	return 1 + lastAtMost(len(s.plan.pools), func(i int) int64 { return s.plan.pools[i] }, pool)
}

// bounds returns the places of segment j in the order.
func (s *Sampler) bounds(j int) (lo, hi int64) {
	if j > 0 {
		lo = s.plan.pools[j-1]
	}
	return lo, s.plan.pools[j]
}

// segment returns the index of the segment that holds a place of the order.
func (s *Sampler) segment(place int64) int {
	if place < s.plan.pools[0] {
		return 0
	}
	return 1 + lastAtMost(len(s.plan.pools), func(i int) int64 { return s.plan.pools[i] }, place)
}

// At appends the ids of a step's global batch to dst and returns it: always
// exactly Batch ids, in random order. Rank r of w takes its share with Slice. At
// panics on a step outside the plan.
func (s *Sampler) At(dst []int64, step int64) []int64 {
	s.plan.mustHold(step)
	ph := &s.phases[lastAtMost(len(s.phases), func(i int) int64 { return s.phases[i].first }, step)]
	batch := s.plan.config.Batch
	firstSlot := (step - ph.first) * int64(batch)

	start := len(dst)
	dst = append(dst, make([]int64, batch)...)
	out := dst[start:]
	deals := make([]deal, len(ph.served))
	shuffle := s.key.Sub(1 << 32).Sub(uint64(step)).Permutation(uint64(batch))
	for i := range batch {
		j := s.segment(ph.lane.place(firstSlot + int64(i)))
		d := &deals[j]
		if !d.begun {
			lo, hi := s.bounds(j)
			before := ph.served[j] + ph.lane.count(firstSlot, hi) - ph.lane.count(firstSlot, lo)
			d.begin(s.key.Sub(2<<32|uint64(j)), lo, hi-lo, before)
		}
		out[shuffle.At(uint64(i))] = s.plan.order[d.next()]
	}
	return dst
}

// A deal serves the samples of one segment, pass by pass.
type deal struct {
	begun    bool
	key      keyed.Key
	lo, size int64
	pass     int64
	at       int64 // place within the pass
	order    keyed.Permutation
}

// begin sets the deal to where it stands after served draws.
func (d *deal) begin(key keyed.Key, lo, size, served int64) {
	*d = deal{begun: true, key: key, lo: lo, size: size, pass: served / size, at: served % size}
	d.order = key.Sub(uint64(d.pass)).Permutation(uint64(size))
}

// next returns the place in the plan's order of the next sample.
func (d *deal) next() int64 {
	if d.at == d.size {
		d.pass++
		d.at = 0
		d.order = d.key.Sub(uint64(d.pass)).Permutation(uint64(d.size))
	}
	place := d.lo + int64(d.order.At(uint64(d.at)))
	d.at++
	return place
}

// Slice returns the share of rank in a world of the given size: contiguous, in
// order, as even as it can be. The shares of all ranks make up the batch.
func Slice[T any](batch []T, rank, world int) []T {
	n := len(batch)
	return batch[n*rank/world : n*(rank+1)/world]
}

// Digest names the ids of one step in 16 hexadecimal digits. Two runs that agree
// on it have served the same samples in the same order at that step.
func Digest(step int64, ids []int64) string {
	buf := binary.LittleEndian.AppendUint64(nil, uint64(step))
	for _, id := range ids {
		buf = binary.LittleEndian.AppendUint64(buf, uint64(id))
	}
	sum := sha256.Sum256(buf)
	return hex.EncodeToString(sum[:8])
}
