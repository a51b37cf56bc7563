package batch_test

import (
	"context"
	"path/filepath"

	"github.com/gradus-ml/gradus/arrange"
	"github.com/gradus-ml/gradus/batch"
	"github.com/gradus-ml/gradus/corpus"
	"github.com/gradus-ml/gradus/curriculum"
	"github.com/gradus-ml/gradus/pace"
	"github.com/gradus-ml/gradus/route"
)

// tester is what testing.TB and rapid.T have in common.
type tester interface {
	Helper()
	Fatal(...any)
	Fatalf(string, ...any)
	Cleanup(func())
}

// endOfDocument is no token of a document.
const endOfDocument = 60000

// write makes a corpus of documents of the given lengths in dir. Each token is its
// own place, up to 60000, so that a token says where it was read.
func write(t tester, dir string, lengths ...int) *corpus.Corpus {
	t.Helper()
	prefix := filepath.Join(dir, "corpus")
	w, err := corpus.Create(prefix, corpus.Uint16)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Abort()
	at := int32(0)
	for _, n := range lengths {
		document := make([]int32, n)
		for i := range document {
			document[i] = at
			at = (at + 1) % endOfDocument
		}
		if err := w.Append(document); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Commit(corpus.Meta{Vocabulary: endOfDocument + 1, EndOfDocument: endOfDocument}); err != nil {
		t.Fatal(err)
	}
	c, err := corpus.Open(prefix)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// An arranger makes a source of a corpus.
type arranger func(t tester, c *corpus.Corpus) batch.Source

func windows(n int) arranger {
	return func(t tester, c *corpus.Corpus) batch.Source {
		return batch.Source{Samples: samples(t, c, corpus.Cut{Window: n})}
	}
}

// documents is the arranger of a kind of units of documents.
func documents(arrangement func(*corpus.Samples) (arrange.Arrangement, error)) arranger {
	return func(t tester, c *corpus.Corpus) batch.Source {
		t.Helper()
		s := batch.Source{Samples: samples(t, c, corpus.Cut{Documents: true})}
		var err error
		if s.Units, err = arrangement(s.Samples); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { s.Units.Close() })
		return s
	}
}

func padded(n int) arranger {
	return documents(func(s *corpus.Samples) (arrange.Arrangement, error) { return arrange.Pad(s, n) })
}

func packed(n int) arranger {
	return documents(func(s *corpus.Samples) (arrange.Arrangement, error) { return arrange.Pack(s, n, "") })
}

func bucketed(lengths ...int) arranger {
	return documents(func(s *corpus.Samples) (arrange.Arrangement, error) { return arrange.Bucket(s, lengths) })
}

func decomposed(shortest, longest int) arranger {
	return documents(func(s *corpus.Samples) (arrange.Arrangement, error) { return arrange.Decompose(s, shortest, longest) })
}

func samples(t tester, c *corpus.Corpus, cut corpus.Cut) *corpus.Samples {
	t.Helper()
	s, err := c.Samples(cut)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// A setting is a plan over sources, with everything needed to check a batch.
type setting struct {
	batch.Config
	lengths []int // of the buckets
	packed  bool
	maker   *batch.Maker
}

const seed = 11

// An option changes the plan's configuration.
type option func(*curriculum.Config)

// length makes rows grow to their full length in ten steps, by so many tokens.
func length(t tester, from, to, step float64) option {
	return func(c *curriculum.Config) { c.Length = linear(t, from, to, step) }
}

// keep routes layers 1 and 2 of 4.
func keep(t tester, from, to, step float64) option {
	return func(c *curriculum.Config) { c.Keep, c.Routed = linear(t, from, to, step), 2 }
}

// steps is the budget of a setting.
const steps = 14

// units is how many a batch of the shortest bucket has.
const units = 5

// newSetting compiles a plan of 14 steps. Batches of longer units have fewer.
func newSetting(t tester, shaper batch.Shaper, sources []batch.Source, options ...option) setting {
	t.Helper()
	s := setting{Config: batch.Config{Sources: sources, Shaper: shaper, Routing: batch.Routing{Policy: route.RandomLTD{}}, Seed: seed}}
	c := curriculum.Config{
		Seed: seed, Layers: 4, Clock: curriculum.Steps, Budget: steps, Shapes: 100,
	}
	for i, source := range sources {
		if source.Units == nil {
			var err error
			if source.Units, err = arrange.Windows(source.Samples); err != nil {
				t.Fatal(err)
			}
			s.Sources[i].Units = source.Units
		}
		s.packed = s.packed || source.Units.Packed()
		c.Sources = append(c.Sources, curriculum.Source{Samples: source.Samples.Len(), Units: source.Units})
	}
	s.lengths = sources[0].Units.Lengths()
	for _, n := range s.lengths {
		c.Buckets = append(c.Buckets, curriculum.Bucket{Length: n, Units: max(units*s.lengths[0]/n, 1)})
	}
	if shaper != nil {
		c.RowsPer = shaper.Rows
	}
	for _, o := range options {
		o(&c)
	}
	if c.Routed > 0 {
		s.Routing.Layers = []int{1, 2}
	}
	var err error
	if s.Plan, err = curriculum.Compile(context.Background(), c); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Plan.Close() })
	for _, source := range sources {
		if err := source.Units.Finish(); err != nil {
			t.Fatal(err)
		}
	}
	if s.maker, err = batch.NewMaker(s.Config); err != nil {
		t.Fatal(err)
	}
	return s
}

// naive makes the batch of a step by the words of the documentation, one position
// at a time.
func (s setting) naive(t tester, step int64) *batch.Batch {
	t.Helper()
	form := s.Plan.BatchAt(step)
	b := &batch.Batch{Shape: form.Shape, IDs: s.Plan.Sampler().At(nil, step)}
	full := s.lengths[form.Bucket]
	for _, id := range b.IDs {
		source, unit := curriculum.Split(id)
		var row [][2]int // of each input its token, and its number of the piece
		for n, p := range s.Sources[source].Units.Pieces(nil, unit) {
			for i := range p.Len {
				row = append(row, [2]int{int(p.Start) + i, n})
			}
		}
		predicted := map[int]bool{}
		for _, first := range firsts(s.Shaper, full, form.Length) {
			document, position := int32(0), int32(0)
			for i := range form.Length {
				at := first + i
				if at < len(row) {
					if i > 0 && row[at][1] != row[at-1][1] {
						document, position = document+1, 0
					}
					b.Inputs = append(b.Inputs, int32(row[at][0]))
					if predicted[at] {
						b.Labels = append(b.Labels, batch.Ignore)
					} else {
						b.Labels = append(b.Labels, int32(row[at][0]+1))
					}
					predicted[at] = true
				} else {
					if at == len(row) && i > 0 {
						document++
					}
					position = 0
					b.Inputs = append(b.Inputs, endOfDocument)
					b.Labels = append(b.Labels, batch.Ignore)
					b.Padding++
				}
				if s.packed {
					b.Documents = append(b.Documents, document)
					b.Positions = append(b.Positions, position)
				}
				position++
			}
		}
		b.Discarded += int64(len(row) - len(predicted))
	}
	if s.Routing.Layers != nil && form.Kept < form.Length {
		for _, layer := range s.Routing.Layers {
			var all []int32
			for row := range form.Rows {
				kept := make([]int32, form.Kept)
				route.RandomLTD{}.Keep(kept, form.Length, route.Draw{Seed: seed, Step: step, Layer: layer, Row: row})
				all = append(all, kept...)
			}
			b.Kept = append(b.Kept, all)
		}
	}
	return b
}

// firsts are where the rows of a unit begin.
func firsts(s batch.Shaper, full, length int) []int {
	var list []int
	switch s.(type) {
	case nil, batch.Truncate:
		return []int{0}
	case tail:
		return []int{full - length}
	case toPadding:
		for at := 0; at < full; at += length {
			list = append(list, at)
		}
		return list
	}
	for at := 0; at+length <= full; at += length {
		list = append(list, at)
	}
	if s == (batch.ReshapeOverlap{}) && full%length > 0 {
		list = append(list, full-length)
	}
	return list
}

// toPadding is a shaper of a stranger: what is left over becomes a row that is
// padded.
type toPadding struct{}

func (toPadding) Rows(full, length int) int                        { return (full + length - 1) / length }
func (toPadding) From(row, full, length int) (first, repeated int) { return row * length, 0 }

// linear is a pace that reaches to after ten steps.
func linear(t tester, from, to, step float64) curriculum.Timed {
	t.Helper()
	p, err := pace.NewRoot(pace.Root{From: from, To: to, Step: step, Until: 10, Degree: 1})
	if err != nil {
		t.Fatal(err)
	}
	return curriculum.Timed{Pace: p}
}

// targets is the number of labels that count.
func targets(b *batch.Batch) int64 {
	n := int64(0)
	for _, l := range b.Labels {
		if l >= 0 {
			n++
		}
	}
	return n
}

// concat lays the shares of ranks end to end. Its first row is the first of all
// only if each share says rightly where it begins.
func concat(parts []*batch.Batch, layers int) *batch.Batch {
	all := &batch.Batch{Shape: parts[0].Shape}
	all.Rows = 0
	kept := make([][]int32, layers)
	routed := false
	for _, p := range parts {
		all.First += p.First - all.Rows // 0
		all.Rows += p.Rows
		all.IDs = append(all.IDs, p.IDs...)
		all.Inputs = append(all.Inputs, p.Inputs...)
		all.Labels = append(all.Labels, p.Labels...)
		all.Documents = append(all.Documents, p.Documents...)
		all.Positions = append(all.Positions, p.Positions...)
		all.Predicted = append(all.Predicted, p.Predicted...)
		all.Segments = append(all.Segments, p.Segments...)
		all.Padding += p.Padding
		all.Discarded += p.Discarded
		routed = routed || p.Kept != nil
		for i := range kept {
			if p.Kept != nil {
				kept[i] = append(kept[i], p.Kept[i]...)
			}
		}
	}
	if routed {
		all.Kept = kept
	}
	return all
}
