package batch_test

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"testing"

	"github.com/gradus-ml/gradus/batch"
	"github.com/gradus-ml/gradus/corpus"
	"github.com/gradus-ml/gradus/curriculum"
	"github.com/gradus-ml/gradus/internal/fault"
	"github.com/gradus-ml/gradus/internal/keyed"
	"github.com/gradus-ml/gradus/pace"
	"github.com/gradus-ml/gradus/route"
	"pgregory.net/rapid"
)

const endOfDocument = 99

// write makes a corpus of random documents of the given lengths in dir, and
// returns it with its tokens laid end to end.
func write(t testing.TB, dir string, lengths ...int) (*corpus.Corpus, []int32) {
	t.Helper()
	prefix := filepath.Join(dir, "corpus")
	w, err := corpus.Create(prefix, corpus.Uint8)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Abort()
	stream := keyed.NewKey(1, "tokens").Stream()
	var all []int32
	for _, n := range lengths {
		document := make([]int32, n)
		for i := range document {
			document[i] = int32(stream.Uint64N(90))
		}
		if err := w.Append(document); err != nil {
			t.Fatal(err)
		}
		all = append(all, document...)
	}
	if err := w.Commit(corpus.Meta{Vocabulary: 100, EndOfDocument: endOfDocument}); err != nil {
		t.Fatal(err)
	}
	c, err := corpus.Open(prefix)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c, all
}

// A setting is a plan over a corpus, with everything needed to check a batch.
type setting struct {
	samples *corpus.Samples
	tokens  []int32
	plan    *curriculum.Plan
	config  curriculum.Config
	routed  []int
	maker   *batch.Maker
}

const seed = 11

func newSetting(t testing.TB, c *corpus.Corpus, tokens []int32, cut corpus.Cut, config curriculum.Config) setting {
	t.Helper()
	samples, err := c.Samples(cut)
	if err != nil {
		t.Fatal(err)
	}
	config.Seed, config.Samples, config.Clock = seed, samples.Len(), curriculum.Steps
	config.Layers = 4
	s := setting{samples: samples, tokens: tokens, config: config}
	if config.Keep != nil {
		s.routed = []int{1, 2}
		s.config.Routed = 2
	}
	if s.plan, err = curriculum.Compile(s.config); err != nil {
		t.Fatal(err)
	}
	if s.maker, err = batch.NewMaker(samples, s.plan, route.RandomLTD{}, s.routed, seed); err != nil {
		t.Fatal(err)
	}
	return s
}

// naive makes the batch of a step by the words of the design, one label at a time.
func (s setting) naive(step int64) *batch.Batch {
	shape := s.plan.Stages()[s.plan.StageAt(step)].Shape
	b := &batch.Batch{Shape: shape, IDs: s.plan.Sampler().At(nil, step)}
	for _, id := range b.IDs {
		start, end := s.samples.Span(id)
		for row := range shape.Rows / len(b.IDs) {
			for i := range shape.Length {
				at := start + int64(row*shape.Length+i)
				if at+1 < end {
					b.Inputs = append(b.Inputs, s.tokens[at])
					b.Labels = append(b.Labels, s.tokens[at+1])
				} else {
					b.Inputs = append(b.Inputs, endOfDocument)
					b.Labels = append(b.Labels, batch.Ignore)
				}
			}
		}
	}
	if s.routed != nil && shape.Kept < shape.Length {
		for _, layer := range s.routed {
			for row := range shape.Rows {
				kept := make([]int32, shape.Kept)
				route.RandomLTD{}.Keep(kept, shape.Length, route.Draw{Seed: seed, Step: step, Layer: layer, Row: row})
				b.Kept = append(b.Kept, kept...)
			}
		}
	}
	return b
}

// linear is a pace that reaches to after ten steps.
func linear(t testing.TB, from, to, step float64) pace.Pace {
	t.Helper()
	p, err := pace.NewRoot(pace.Root{From: from, To: to, Step: step, Until: 10, Degree: 1})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// settings are the ways of cutting and shaping.
func settings(t testing.TB) map[string]setting {
	windows, windowTokens := write(t, t.TempDir(), 200, 0, 37, 1, 400)
	// Documents of no token, of one, of two, and of one less, as many as and one
	// more than a row and its last label take.
	documents, documentTokens := write(t, t.TempDir(), 0, 1, 2, 3, 15, 16, 17, 18, 60)
	w, d := corpus.Cut{Window: 24}, corpus.Cut{Documents: true}
	plain := curriculum.Config{Batch: 5, Window: 24, Budget: 14}
	truncate, reshape, routed, both := plain, plain, plain, plain
	truncate.Length = linear(t, 4, 24, 4)
	reshape.Length, reshape.Apply = linear(t, 5, 24, 1), curriculum.Reshape // 24 mod 5, 7, 9, ... are dropped
	reshape.Shapes = 20
	routed.Keep = linear(t, 4, 24, 4)
	both.Length, both.Apply, both.Keep, both.Shapes = linear(t, 6, 24, 6), curriculum.Reshape, linear(t, 3, 24, 7), 20
	whole := curriculum.Config{Batch: 7, Window: 16, Budget: 14}
	short := whole
	short.Length, short.Keep = linear(t, 4, 16, 4), linear(t, 2, 16, 2)
	return map[string]setting{
		"plain":               newSetting(t, windows, windowTokens, w, plain),
		"truncate":            newSetting(t, windows, windowTokens, w, truncate),
		"reshape":             newSetting(t, windows, windowTokens, w, reshape),
		"routed":              newSetting(t, windows, windowTokens, w, routed),
		"reshape and routed":  newSetting(t, windows, windowTokens, w, both),
		"documents":           newSetting(t, documents, documentTokens, d, whole),
		"documents truncated": newSetting(t, documents, documentTokens, d, short),
	}
}

// Every batch is what a naive reading of the corpus gives.
func TestMakeAgainstNaive(t *testing.T) {
	for name, s := range settings(t) {
		for step := range s.plan.Steps() {
			got, err := s.maker.Make(step, 0, 1)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			want := s.naive(step)
			if !reflect.DeepEqual(got, want) {
				t.Fatalf("%s: step %d:\n%+v\nwant\n%+v", name, step, got, want)
			}
			targets := int64(0)
			for _, l := range want.Labels {
				if l >= 0 {
					targets++
				}
			}
			if got.Targets() != targets {
				t.Fatalf("%s: step %d: %d targets, want %d", name, step, got.Targets(), targets)
			}
		}
	}
}

// Reshaping a window drops what does not fill a row and nothing else: the labels
// of its rows in order are the window's own.
func TestReshapeRemainder(t *testing.T) {
	s := settings(t)["reshape"]
	for step := range s.plan.Steps() {
		b, err := s.maker.Make(step, 0, 1)
		if err != nil {
			t.Fatal(err)
		}
		per := b.Rows / len(b.IDs) * b.Length
		if b.Rows%len(b.IDs) != 0 || per > 24 || per+b.Length <= 24 {
			t.Fatalf("step %d: %d rows of %d from %d windows of 24", step, b.Rows, b.Length, len(b.IDs))
		}
		for i, id := range b.IDs {
			start, _ := s.samples.Span(id)
			if got, want := b.Labels[i*per:(i+1)*per], s.tokens[start+1:start+1+int64(per)]; !slices.Equal(got, want) {
				t.Fatalf("step %d, window %d: labels %v, want %v", step, id, got, want)
			}
		}
	}
}

// The shares of all ranks, laid end to end, are the global batch with the same
// kept positions: for any world, more ranks than samples included.
func TestRanks(t *testing.T) {
	all := settings(t)
	names := []string{"plain", "reshape and routed", "documents", "documents truncated"}
	rapid.Check(t, func(t *rapid.T) {
		s := all[rapid.SampledFrom(names).Draw(t, "setting")]
		step := rapid.Int64Range(0, s.plan.Steps()-1).Draw(t, "step") // in any order
		world := rapid.IntRange(1, 9).Draw(t, "world")
		whole, err := s.maker.Make(step, 0, 1)
		if err != nil {
			t.Fatal(err)
		}
		together := &batch.Batch{Shape: whole.Shape}
		together.Rows = 0
		kept := make([][]int32, len(s.routed))
		for rank := range world {
			part, err := s.maker.Make(step, rank, world)
			if err != nil {
				t.Fatal(err)
			}
			if part.Length != whole.Length || part.Shape.Kept != whole.Shape.Kept || len(part.Inputs) != part.Rows*part.Length {
				t.Fatalf("rank %d of %d: shape %+v of %d inputs, global %+v", rank, world, part.Shape, len(part.Inputs), whole.Shape)
			}
			together.Rows += part.Rows
			together.IDs = append(together.IDs, part.IDs...)
			together.Inputs = append(together.Inputs, part.Inputs...)
			together.Labels = append(together.Labels, part.Labels...)
			if (part.Kept == nil) != (whole.Kept == nil) {
				t.Fatalf("rank %d of %d: kept %v, global %v", rank, world, part.Kept, whole.Kept)
			}
			for i := range kept {
				if part.Kept != nil {
					n := part.Rows * part.Shape.Kept
					kept[i] = append(kept[i], part.Kept[i*n:(i+1)*n]...)
				}
			}
		}
		if whole.Kept != nil {
			together.Kept = slices.Concat(kept...)
		}
		if !reflect.DeepEqual(together, whole) {
			t.Fatalf("step %d, world %d: the ranks have\n%+v\ntogether, the batch is\n%+v", step, world, together, whole)
		}
	})
}

func TestMakeRefuses(t *testing.T) {
	s := settings(t)["plain"]
	for _, c := range []struct {
		step        int64
		rank, world int
	}{{-1, 0, 1}, {14, 0, 1}, {1 << 62, 0, 1}, {0, 0, 0}, {0, -1, 2}, {0, 2, 2}, {0, 0, -3}} {
		if b, err := s.maker.Make(c.step, c.rank, c.world); !errors.Is(err, fault.Invalid) {
			t.Errorf("step %d, rank %d of %d: %v, %v", c.step, c.rank, c.world, b, err)
		}
	}
	documents, _ := write(t, t.TempDir(), 9, 9, 9)
	samples, err := documents.Samples(corpus.Cut{Documents: true})
	if err != nil {
		t.Fatal(err)
	}
	plan, err := curriculum.Compile(curriculum.Config{
		Samples: 3, Batch: 2, Window: 8, Length: pace.Constant(4), Apply: curriculum.Reshape, Layers: 1,
		Clock: curriculum.Steps, Budget: 2,
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := batch.NewMaker(samples, plan, nil, nil, 1); !errors.Is(err, fault.Invalid) {
		t.Errorf("documents reshaped: %v", err)
	}
}

// Evaluation batches predict each held-out token but a run's first once, in
// rows of one shape.
func TestEvaluation(t *testing.T) {
	c, tokens := write(t, t.TempDir(), 30, 31, 5, 1, 0, 44, 12, 63, 20, 90, 8, 8, 40)
	h, err := c.HoldOut(0.3, 2, 8)
	if err != nil {
		t.Fatal(err)
	}
	for _, rows := range []int{1, 3, 64} {
		batches, err := batch.Evaluation(c, h, 8, rows, 0)
		if err != nil {
			t.Fatal(err)
		}
		var got, want [][2]int32
		for _, b := range batches {
			if b.Rows != rows || b.Length != 8 || b.Shape.Kept != 8 || b.Kept != nil || b.IDs != nil || b.Targets() == 0 {
				t.Fatalf("%d rows: batch %+v", rows, b)
			}
			for i, l := range b.Labels {
				if l != batch.Ignore {
					got = append(got, [2]int32{b.Inputs[i], l})
				}
			}
		}
		for i := range tokens[1:] {
			if at := int64(i); h.Holds(at, at+1) && h.Holds(at+1, at+2) {
				want = append(want, [2]int32{tokens[i], tokens[i+1]})
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("%d rows: %d predictions\n%v\nwant %d\n%v", rows, len(got), got, len(want), want)
		}
	}
	limited, err := batch.Evaluation(c, h, 8, 2, 32)
	if err != nil {
		t.Fatal(err)
	}
	n := int64(0)
	for _, b := range limited {
		n += b.Targets()
	}
	if n > 32 || n < 24 {
		t.Errorf("a limit of 32 tokens: %d are predicted", n)
	}
	for _, bad := range [][2]int{{0, 1}, {8, 0}} {
		if _, err := batch.Evaluation(c, h, bad[0], bad[1], 0); !errors.Is(err, fault.Invalid) {
			t.Errorf("window %d, %d rows: %v", bad[0], bad[1], err)
		}
	}
	single, _ := write(t, t.TempDir(), 1)
	if _, err := batch.Evaluation(single, single.All(), 8, 2, 0); !errors.Is(err, fault.Invalid) {
		t.Errorf("one token: %v", err)
	}
}

// A corpus that changes under an open map is not a batch's to notice, but a
// token that cannot be is.
func TestCorruptToken(t *testing.T) {
	dir := t.TempDir()
	w, err := corpus.Create(filepath.Join(dir, "c"), corpus.Int32)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Abort()
	if err := w.Append(make([]int32, 40)); err != nil {
		t.Fatal(err)
	}
	if err := w.Commit(corpus.Meta{EndOfDocument: -1}); err != nil {
		t.Fatal(err)
	}
	flip(t, filepath.Join(dir, "c.bin"), 4*17+3) // the sign of token 17
	c, err := corpus.Open(filepath.Join(dir, "c"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	s := newSetting(t, c, nil, corpus.Cut{Window: 39}, curriculum.Config{Batch: 1, Window: 39, Budget: 1})
	if _, err := s.maker.Make(0, 0, 1); !errors.Is(err, fault.Corrupt) {
		t.Errorf("a negative token: %v", err)
	}
	if _, err := batch.Evaluation(c, c.All(), 8, 2, 0); !errors.Is(err, fault.Corrupt) {
		t.Errorf("a negative token held out: %v", err)
	}
}

// flip inverts a byte of a file.
func flip(t *testing.T, name string, at int) {
	t.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	data[at] ^= 0xff
	if err := os.WriteFile(name, data, 0o666); err != nil {
		t.Fatal(err)
	}
}
