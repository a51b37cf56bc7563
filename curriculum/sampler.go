package curriculum

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"iter"
)

// A Sampler gives the ids of any step of a plan. It has no state and is safe for
// concurrent use.
//
// A batch's places are slots, and three questions lead from a slot to an id, each
// answered in proportion: which bucket does the step serve, which source does the
// slot serve, and which segment of the source's pool. Each answer is where the
// slot's point lies on a lane, so that every prefix of the slots has nearly exact
// proportions, and the number of earlier slots with the same answer has a closed
// form (lane.go). That number is the slot's own number one question further, and
// in the end the number of draws from a segment. A segment's units are dealt out
// pass by pass, each pass in a keyed random order, so that none repeats while a
// twin waits.
//
// This is what makes any step as cheap as the next. docs/decisions/0003-sampler.md has the
// reasons and the bounds.
type Sampler struct {
	plan  *Plan
	draws [][]*draws // of [source][bucket]
}

// Sampler returns the plan's sampler. A plan of the schedule only has none.
func (p *Plan) Sampler() *Sampler {
	if p.config.ScheduleOnly {
		panic("curriculum: a plan of the schedule only has no sampler")
	}
	s := &Sampler{plan: p, draws: make([][]*draws, len(p.units))}
	for i := range p.units {
		for b := range p.units[i] {
			s.draws[i] = append(s.draws[i], newDraws(p, i, b))
		}
	}
	return s
}

// At appends the ids of a step's global batch to dst and returns it: always
// exactly Form.Units ids, in random order. Rank r of w takes its share with
// Slice. At panics on a step outside the plan.
func (s *Sampler) At(dst []int64, step int64) []int64 {
	return s.batch(dst, step, s.plan.StageAt(step), func(dst []int64, source, bucket, phase int, slot, n int64) []int64 {
		return s.draws[source][bucket].one(dst, source, phase, slot, n)
	})
}

// From yields the steps from one on, to the end of the plan, with the ids of
// each: what At gives, faster than asking for one after the other. The ids are
// valid until the next step.
func (s *Sampler) From(step int64) iter.Seq2[int64, []int64] {
	return func(yield func(int64, []int64) bool) {
		if step >= s.plan.Steps() {
			return
		}
		cursors := make([][]*cursor, len(s.draws))
		for i := range cursors {
			cursors[i] = make([]*cursor, len(s.draws[i]))
		}
		take := func(dst []int64, source, bucket, phase int, slot, n int64) []int64 {
			if cursors[source][bucket] == nil {
				cursors[source][bucket] = newCursor(s.draws[source][bucket], source, true)
			}
			return cursors[source][bucket].draw(dst, phase, slot, n)
		}
		var ids []int64
		stage := s.plan.StageAt(step)
		for ; step < s.plan.Steps(); step++ {
			if at := &s.plan.stages[stage]; step == at.First+at.Steps {
				stage++
			}
			if ids = s.batch(ids[:0], step, stage, take); !yield(step, ids) {
				return
			}
		}
	}
}

// batch appends the ids of a step of a stage.
func (s *Sampler) batch(dst []int64, step int64, stage int, take func(dst []int64, source, bucket, phase int, slot, n int64) []int64) []int64 {
	st := &s.plan.stages[stage]
	k := st.form(step)
	f := &st.Batches[k]
	first := st.formsBefore(k, step) * int64(f.Units)
	start := len(dst)
	for source, share := range f.mix {
		if share == 0 {
			continue
		}
		from, to := f.slots(source, first), f.slots(source, first+int64(f.Units))
		if from == to {
			continue
		}
		d := s.draws[source][f.Bucket]
		dst = take(dst, source, f.Bucket, int(d.phaseOf[stage]), d.before[stage]+from, to-from)
	}
	// Fisher and Yates, from the step's own stream.
	stream := s.plan.key.Sub(shuffleKey).Sub(uint64(step)).Stream()
	out := dst[start:]
	for i := len(out) - 1; i > 0; i-- {
		j := stream.Uint64N(uint64(i) + 1)
		out[i], out[j] = out[j], out[i]
	}
	return dst
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
