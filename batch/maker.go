package batch

import (
	"fmt"
	"slices"

	"github.com/gradus-ml/gradus/arrange"
	"github.com/gradus-ml/gradus/corpus"
	"github.com/gradus-ml/gradus/curriculum"
	"github.com/gradus-ml/gradus/internal/fault"
	"github.com/gradus-ml/gradus/route"
)

// A Source is one corpus of a mixture.
type Source struct {
	Samples *corpus.Samples
	Units   arrange.Arrangement // nil: arrange.Windows of Samples
}

// A Config is everything that batches depend on.
type Config struct {
	Sources []Source // those of the plan, in its order
	Plan    *curriculum.Plan
	Shaper  Shaper   // whose Rows the plan was compiled with; nil: Truncate
	Routing Routing  // of which NewMaker sets Seed
	Seed    uint64   // of the recipe
	Masking *Masking // nil: labels are the tokens that follow
	Images  *Images  // nil: the sources are text
}

// A Maker makes batches. It may be used from any number of goroutines.
type Maker struct {
	plan    *curriculum.Plan
	sampler *curriculum.Sampler
	routing Routing
	masker  *masker // nil: none
	imager  *imager // nil: text
	seed    uint64
	sources []source
	full    []int // row length of each bucket's units
	cuts    map[layout][]cut
	count   []int32 // 0, 1, 2, ... for positions; nil: each row is one run from its beginning
}

type source struct {
	corpus *corpus.Corpus
	units  arrange.Arrangement
	pad    int32
	// Its units are of documents, which fill no whole row.
	documents bool
}

// A layout is the question that a Shaper answers.
type layout struct{ full, length int }

// NewMaker returns the maker of a plan's batches. Sources that are not the plan's,
// and a shaper that it was not compiled with, are an error of kind fault.Mismatch;
// a shaper that does not do what it must, for any shape of the plan, is
// fault.Invalid. That all corpora have the same vocabulary is not looked at.
func NewMaker(c Config) (*Maker, error) {
	if n := c.Plan.Sources(); n != len(c.Sources) {
		return nil, fault.Mismatchf("the plan has %d sources, and there are %d", n, len(c.Sources))
	}
	c.Routing.Seed = c.Seed
	if err := c.Routing.check(); err != nil {
		return nil, err
	}
	m := &Maker{plan: c.Plan, routing: c.Routing, seed: c.Seed, cuts: map[layout][]cut{}}
	var err error
	if m.masker, err = newMasker(c.Masking); err != nil {
		return nil, err
	}
	for i, s := range c.Sources {
		if err := m.add(s); err != nil {
			return nil, fmt.Errorf("source %d: %w", i, err)
		}
	}
	if c.Images != nil {
		if m.imager, err = newImager(c, m.sources, m.full); err != nil {
			return nil, err
		}
	}
	if c.Shaper == nil {
		c.Shaper = Truncate{}
	}
	for _, stage := range c.Plan.Stages() {
		if stage.Pool < 0 {
			return nil, fault.Invalidf("a plan of the schedule only has no batches; compile it with the corpus")
		}
		for _, f := range stage.Batches {
			if err := m.shape(c.Shaper, f); err != nil {
				return nil, err
			}
		}
	}
	if slices.ContainsFunc(m.sources, func(s source) bool { return s.units.Packed() }) || m.masker != nil && m.pads() {
		m.count = counting(m.full[len(m.full)-1])
	}
	m.sampler = c.Plan.Sampler()
	return m, nil
}

// add takes in a source.
func (m *Maker) add(s Source) (err error) {
	if s.Units == nil {
		if s.Units, err = arrange.Windows(s.Samples); err != nil {
			return err
		}
	}
	lengths := s.Units.Lengths()
	if m.full == nil {
		m.full = lengths
	}
	if !slices.Equal(lengths, m.full) {
		return fault.Mismatchf("its units have %v inputs and those of the first source %v; arrange all alike", lengths, m.full)
	}
	pad := int32(max(s.Samples.Corpus().Meta().EndOfDocument, 0))
	m.sources = append(m.sources, source{s.Samples.Corpus(), s.Units, pad, s.Samples.Cut().Documents})
	return nil
}

// pads reports whether some row of the plan may end in padding. Causal attention
// never sees it; a masked row must say where it is.
func (m *Maker) pads() bool {
	if slices.ContainsFunc(m.sources, func(s source) bool { return s.documents }) {
		return true
	}
	for at, cuts := range m.cuts {
		if slices.ContainsFunc(cuts, func(c cut) bool { return c.first+at.length > at.full }) {
			return true
		}
	}
	return false
}

// counting returns 0, 1, 2, ..., n-1.
func counting(n int) []int32 {
	list := make([]int32, n)
	for i := range list {
		list[i] = int32(i)
	}
	return list
}

// shape asks the shaper about a form of the plan, once.
func (m *Maker) shape(s Shaper, f curriculum.Form) (err error) {
	if f.Bucket >= len(m.full) || f.Length > m.full[f.Bucket] {
		return fault.Mismatchf("the plan has rows of %d tokens in bucket %d, and the units have %v inputs", f.Length, f.Bucket, m.full)
	}
	at := layout{m.full[f.Bucket], f.Length}
	if known, ok := m.cuts[at]; !ok || len(known) != f.Rows/f.Units {
		m.cuts[at], err = cuts(s, at.full, at.length, f.Rows/f.Units)
	}
	return err
}

// IDs returns the units of a step of the plan, over all ranks.
func (m *Maker) IDs(step int64) []int64 { return m.sampler.At(nil, step) }

// Make returns the share of rank in a world of the given size of the batch of a
// step: rank 0 of 1 gets all of it. Ranks share out the units, so that the rows of
// one stay together. Steps may be asked in any order. A step outside the plan, or
// a rank outside the world, is an error of kind fault.Invalid; tokens that cannot
// be are fault.Corrupt.
func (m *Maker) Make(step int64, rank, world int) (*Batch, error) {
	switch {
	case step < m.plan.First() || step >= m.plan.Steps():
		return nil, fault.Invalidf("step %d of a plan of steps %d to %d", step, m.plan.First(), m.plan.Steps()-1)
	case world < 1 || rank < 0 || rank >= world:
		return nil, fault.Invalidf("rank %d of a world of %d; ranks count from 0 to one less than the world", rank, world)
	}
	form := m.plan.BatchAt(step)
	full := m.full[form.Bucket]
	cuts := m.cuts[layout{full, form.Length}]
	all := m.IDs(step)
	ids := curriculum.Slice(all, rank, world)
	firstRow := len(all) * rank / world * len(cuts)
	shape := form.Shape
	shape.Rows = len(ids) * len(cuts)

	var b *Batch
	var err error
	if m.imager != nil {
		b, err = m.images(shape, ids)
	} else {
		b, err = m.text(shape, ids, full, cuts)
	}
	if err != nil {
		return nil, err
	}
	b.IDs, b.First = ids, firstRow
	switch {
	case m.imager != nil:
		m.imager.augment(b, m.seed, step)
	case m.masker != nil:
		m.masker.apply(b, m.seed, "mask", step)
	}
	if _, learns := m.routing.Policy.(route.Learner); !learns {
		b.Route(m.routing, step)
	}
	return b, nil
}

// text makes the rows of units of text.
func (m *Maker) text(shape curriculum.Shape, ids []int64, full int, cuts []cut) (*Batch, error) {
	f := newFiller(shape, m.count)
	for _, id := range ids {
		i, unit := curriculum.Split(id)
		s := &m.sources[i]
		f.pieces = s.units.Pieces(f.pieces[:0], unit)
		if err := f.unit(s.corpus, full, cuts, s.pad); err != nil {
			return nil, fmt.Errorf("unit %d of source %d: %w", unit, i, err)
		}
	}
	return f.Batch, nil
}

// images makes the rows of units of images.
func (m *Maker) images(shape curriculum.Shape, ids []int64) (*Batch, error) {
	b := newImages(shape, m.imager.image.Pixels())
	for row, id := range ids {
		i, unit := curriculum.Split(id)
		if err := b.readImage(m.sources[i].corpus, row, unit); err != nil {
			return nil, fmt.Errorf("unit %d of source %d: %w", unit, i, err)
		}
	}
	return b, nil
}
