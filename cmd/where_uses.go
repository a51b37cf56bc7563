package cmd

import (
	"context"
	"slices"
	"sort"

	"github.com/gradus-ml/gradus/arrange"
	"github.com/gradus-ml/gradus/corpus"
	"github.com/gradus-ml/gradus/curriculum"
	"github.com/gradus-ml/gradus/recipe"
)

// A target is the tokens whose uses are looked for: those of a sample, or of a
// document.
type target struct {
	source     int
	name       string // in words
	document   bool
	start, end int64    // tokens of the source's corpus
	samples    [2]int64 // those that hold a part of them: from, to
}

// overlapping returns which windows hold tokens of [start, end) as inputs: all but
// their last, which is only predicted.
func overlapping(s *corpus.Samples, start, end int64) [2]int64 {
	from := sort.Search(int(s.Len()), func(i int) bool { _, e := s.Span(int64(i)); return e-1 > start })
	to := sort.Search(int(s.Len()), func(i int) bool { b, _ := s.Span(int64(i)); return b >= end })
	return [2]int64{int64(from), int64(max(from, to))}
}

// A usesView is what where prints.
type usesView struct {
	Target  string     `json:"target"`   // in words
	Sample  sampleView `json:"sample"`   // with the id of its first sample, where the target is a document
	HeldOut bool       `json:"held_out"` // for evaluation, wholly or in part
	Steps   int64      `json:"steps"`    // of the plan
	Uses    []use      `json:"uses"`
}

// A use is a target, or a part of it, in a batch.
type use struct {
	Step   int64  `json:"step"`
	Place  int    `json:"place"` // in the global batch
	Unit   int64  `json:"unit"`  // that is served there
	Called string `json:"called"`
	Tokens int    `json:"tokens"` // of the target that the batch takes in, at least 1
}

// manyUnits reports whether uses are of several units.
func (v *usesView) manyUnits() bool {
	return slices.ContainsFunc(v.Uses, func(u use) bool { return u.Unit != v.Uses[0].Unit })
}

// stepsBetween is how many steps pass between two looks at the context.
const stepsBetween = 1024

func viewUses(ctx context.Context, b *recipe.Bound, t target, progress func(step int64)) (usesView, error) {
	v := usesView{Target: t.name, Steps: b.Plan.Steps(), Uses: []use{}}
	s := &b.Sources[t.source]
	show, err := newShower(b)
	if err != nil {
		return v, err
	}
	if v.Sample, err = show.target(t); err != nil {
		return v, err
	}
	v.HeldOut = s.HeldOut != nil && t.end > t.start && s.HeldOut.Holds(t.start, t.end)
	units := unitsOf(s, t)
	if len(units) == 0 {
		return v, nil
	}
	least, most := globalID(t.source, units[0]), globalID(t.source, units[len(units)-1])
	var pieces []arrange.Piece
	for step, ids := range b.Plan.Sampler().From(b.Plan.First()) {
		if step%stepsBetween == 0 {
			if ctx.Err() != nil {
				return v, ctx.Err()
			}
			progress(step)
		}
		for place, id := range ids { // a small pool may serve it twice
			if id < least || id > most {
				continue
			}
			_, unit := curriculum.Split(id)
			if _, found := slices.BinarySearch(units, unit); !found {
				continue
			}
			pieces = s.Units.Pieces(pieces[:0], unit)
			form := b.Plan.BatchAt(step)
			if tokens := t.within(pieces, form.Rows/form.Units*form.Length); tokens > 0 { // it may be cut off
				v.Uses = append(v.Uses, use{step, place, id, idText(b, id), tokens})
			}
		}
	}
	return v, nil
}

// unitsOf returns the units that hold a part of a target, ascending.
func unitsOf(s *recipe.BoundSource, t target) []int64 {
	var units []int64
	for sample := t.samples[0]; sample < t.samples[1]; sample++ {
		units = s.Units.Units(units, sample)
	}
	slices.Sort(units)
	return slices.Compact(units)
}

// within returns how many inputs of a unit are the target's, of the first that its
// rows take in.
func (t target) within(pieces []arrange.Piece, taken int) int {
	n := int64(0)
	for _, p := range pieces {
		end := p.Start + int64(min(p.Len, taken))
		n += max(0, min(end, t.end)-max(p.Start, t.start))
		taken = max(0, taken-p.Len)
	}
	return int(n)
}

// target describes what is looked for, with the metrics of its sample if it is
// one.
func (s *shower) target(t target) (sampleView, error) {
	if t.samples[0] == t.samples[1] { // beyond the last whole window
		place, err := s.place(t.source, t.start, t.end)
		return sampleView{ID: -1, placeView: place}, err
	}
	v, err := s.sample(t.source, t.samples[0])
	if err != nil || !t.document || t.start == t.end {
		return v, err
	}
	if v.placeView, err = s.place(t.source, t.start, t.end); t.samples[1]-t.samples[0] > 1 {
		v.Metrics = nil // of only one of its windows
	}
	return v, err
}
