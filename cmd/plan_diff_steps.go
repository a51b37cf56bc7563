package cmd

import (
	"context"
	"fmt"
	"iter"
	"math/bits"
	"slices"

	"github.com/gradus-ml/gradus/arrange"
	"github.com/gradus-ml/gradus/curriculum"
	"github.com/gradus-ml/gradus/recipe"
)

// firstOtherShape returns the first step of either plan at which batches have
// other shapes, or only one of the plans goes on; nil: there is none.
func firstOtherShape(a, b *curriculum.Plan) *int64 {
	step := max(a.First(), b.First())
	if a.First() != b.First() {
		step = min(a.First(), b.First())
		return &step
	}
	for end := min(a.Steps(), b.Steps()); step < end; {
		if a.BatchAt(step).Shape != b.BatchAt(step).Shape {
			return &step
		}
		s, t := a.Stages()[a.StageAt(step)], b.Stages()[b.StageAt(step)]
		if len(s.Batches) == 1 && len(t.Batches) == 1 { // alike throughout
			step = min(s.First+s.Steps, t.First+t.Steps)
		} else {
			step++
		}
	}
	if a.Steps() != b.Steps() {
		return &step
	}
	return nil
}

// otherUnits says why the units of two plans cannot be compared; empty: they can.
func otherUnits(a, b *recipe.Bound) (string, error) {
	if a.Sources == nil || b.Sources == nil {
		return "these are schedules only", nil
	}
	if n, m := len(a.Sources), len(b.Sources); n != m {
		return fmt.Sprintf("the numbers of their sources differ, %d and %d", n, m), nil
	}
	for i := range a.Sources {
		if one, other := a.Sources[i].Samples.Cut(), b.Sources[i].Samples.Cut(); one != other {
			return fmt.Sprintf("samples are cut as %s in one and as %s in the other", one, other), nil
		}
		if one, other := sampleWords(a.Recipe), sampleWords(b.Recipe); one != other {
			return fmt.Sprintf("rows hold %s in one and %s in the other", one, other), nil
		}
		one, err := a.Sources[i].Corpus.Fingerprint()
		if err != nil {
			return "", err
		}
		other, err := b.Sources[i].Corpus.Fingerprint()
		if err != nil {
			return "", err
		}
		if one != other {
			return "their corpora differ", nil
		}
	}
	return "", nil
}

// firstOtherIDs returns the first step whose batches hold other units, or the
// same in another order, or at which only one of the plans goes on; nil: never.
func firstOtherIDs(ctx context.Context, a, b *recipe.Bound, progress func(step int64)) (*int64, error) {
	if a.Plan.First() != b.Plan.First() {
		return new(min(a.Plan.First(), b.Plan.First())), nil
	}
	next, stop := iter.Pull2(b.Plan.Sampler().From(b.Plan.First()))
	defer stop()
	for step, ids := range a.Plan.Sampler().From(a.Plan.First()) {
		if step%stepsBetween == 0 {
			if ctx.Err() != nil {
				return nil, ctx.Err()
			}
			progress(step)
		}
		_, others, ok := next()
		if !ok || !sameUnits(a, b, ids, others) {
			return &step, nil
		}
	}
	if end := a.Plan.Steps(); b.Plan.Steps() > end {
		return &end, nil
	}
	return nil, nil
}

// sameUnits reports whether two batches hold the same. Packs are compared by what
// is in them: their ids follow from what else was packed.
func sameUnits(a, b *recipe.Bound, ids, others []int64) bool {
	if !a.Sources[0].Units.Packed() {
		return slices.Equal(ids, others)
	}
	var p, q []arrange.Piece
	return slices.EqualFunc(ids, others, func(x, y int64) bool {
		i, unit := curriculum.Split(x)
		j, other := curriculum.Split(y)
		if i != j {
			return false
		}
		p = a.Sources[i].Units.Pieces(p[:0], unit)
		q = b.Sources[j].Units.Pieces(q[:0], other)
		return slices.Equal(p, q)
	})
}

// A sharedPass compares what two plans serve first.
type sharedPass struct {
	Units   int64    `json:"units"`   // that each serves; the smaller pool, if both serve as many
	Samples [2]int64 `json:"samples"` // different ones among them, or parts of
	Both    int64    `json:"both"`
}

// mostShared bounds the units that are looked at, a few seconds.
const mostShared = 50_000_000

// sharedSamples counts the samples that both plans serve in their first pass: as
// many units as the smaller pool has. It returns nil where that is too much work.
func sharedSamples(ctx context.Context, a, b *recipe.Bound) (*sharedPass, error) {
	pass := &sharedPass{Units: min(a.Plan.Pool(), b.Plan.Pool(), served(a.Plan), served(b.Plan))}
	if pass.Units > mostShared || a.Samples() > 8*mostShared {
		return nil, nil
	}
	var seen [2][][]uint64 // bits of [plan][source][sample]
	for i, bound := range []*recipe.Bound{a, b} {
		var err error
		if seen[i], err = servedFirst(ctx, bound, pass.Units); err != nil {
			return nil, err
		}
	}
	for source := range seen[0] {
		for word, x := range seen[0][source] {
			y := seen[1][source][word]
			pass.Samples[0] += int64(bits.OnesCount64(x))
			pass.Samples[1] += int64(bits.OnesCount64(y))
			pass.Both += int64(bits.OnesCount64(x & y))
		}
	}
	return pass, nil
}

// served returns how many units a plan serves.
func served(p *curriculum.Plan) int64 {
	n := 0.0
	for _, s := range p.Stages() {
		for _, f := range s.Batches {
			n += float64(s.Steps) * f.Share * float64(f.Units)
		}
	}
	return int64(n)
}

// servedFirst marks the samples of the first units that a plan serves.
func servedFirst(ctx context.Context, b *recipe.Bound, units int64) ([][]uint64, error) {
	var seen [][]uint64
	for i := range b.Sources {
		seen = append(seen, make([]uint64, b.Sources[i].Samples.Len()/64+1))
	}
	var samples []int64
	for step, ids := range b.Plan.Sampler().From(b.Plan.First()) {
		if step%stepsBetween == 0 && ctx.Err() != nil {
			return nil, ctx.Err()
		}
		for _, id := range ids[:min(int64(len(ids)), units)] {
			i, unit := curriculum.Split(id)
			samples = b.Sources[i].Units.Samples(samples[:0], unit)
			for _, s := range samples {
				seen[i][s/64] |= 1 << (s % 64)
			}
		}
		if units -= int64(len(ids)); units <= 0 {
			break
		}
	}
	return seen, nil
}
