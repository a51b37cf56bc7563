package train

import (
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gradus-ml/gradus/arrange"
	"github.com/gradus-ml/gradus/batch"
	"github.com/gradus-ml/gradus/corpus"
	"github.com/gradus-ml/gradus/curriculum"
	"github.com/gradus-ml/gradus/model"
)

// paragraphs makes a corpus of this repository's decisions, each paragraph a document
// of bytes and a last token.
func paragraphs(t *testing.T) *corpus.Samples {
	t.Helper()
	files, err := filepath.Glob("../docs/decisions/*.md")
	if err != nil || len(files) == 0 {
		t.Fatalf("no decisions: %v", err)
	}
	prefix := filepath.Join(t.TempDir(), "paragraphs")
	w, err := corpus.Create(prefix, corpus.Uint16)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Abort()
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, paragraph := range strings.Split(string(text), "\n\n") {
			var document []int32
			for _, b := range []byte(paragraph) {
				document = append(document, int32(b))
			}
			if err := w.Append(append(document, 256)); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := w.Commit(corpus.Meta{Vocabulary: 257, EndOfDocument: 256}); err != nil {
		t.Fatal(err)
	}
	c, err := corpus.Open(prefix)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	s, err := c.Samples(corpus.Cut{Documents: true})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// alone reads the documents of a packed batch from the corpus, each in a row of its
// own: what a batch without packing would hold.
func alone(t *testing.T, s *corpus.Samples, units arrange.Arrangement, b *batch.Batch) *batch.Batch {
	t.Helper()
	a := &batch.Batch{Shape: curriculum.Shape{Length: b.Length, Kept: b.Length}}
	for _, unit := range b.IDs {
		documents := units.Samples(nil, unit)
		for i, p := range units.Pieces(nil, unit) {
			start, end := s.Corpus().Bounds(documents[i])
			whole := p.Start == start && p.Start+int64(p.Len) == end-1
			part := end-1-start > int64(b.Length) && (p.Start-start)%int64(b.Length) == 0 && (p.Len == b.Length || p.Start+int64(p.Len) == end-1)
			if !whole && !part {
				t.Fatalf("unit %d has %+v of document %d, which is [%d, %d)", unit, p, documents[i], start, end)
			}
			tokens := make([]int32, p.Len+1)
			if err := s.Corpus().Read(tokens, p.Start); err != nil {
				t.Fatal(err)
			}
			inputs, labels := make([]int32, b.Length), make([]int32, b.Length)
			for k := range labels {
				labels[k] = batch.Ignore
			}
			copy(inputs, tokens[:p.Len])
			copy(labels, tokens[1:])
			a.Inputs, a.Labels = append(a.Inputs, inputs...), append(a.Labels, labels...)
			a.Rows++
		}
	}
	return a
}

// keepAll names every position of every row as kept by one layer.
func keepAll(b *batch.Batch) {
	b.Kept = make([][]int32, 1)
	for range b.Rows {
		for i := range b.Length {
			b.Kept[0] = append(b.Kept[0], int32(i))
		}
	}
}

// From text to gradients: the loss of a batch of packed documents is the mean of the
// losses that the documents have alone, each weighted by its labels, and so is the
// gradient; where no layer is routed, and where one is and keeps all.
func TestPackedTextIsItsDocuments(t *testing.T) {
	const length = 96
	s := paragraphs(t)
	units, err := arrange.Pack(s, length, "")
	if err != nil {
		t.Fatal(err)
	}
	defer units.Close()
	plan, err := curriculum.Compile(t.Context(), curriculum.Config{
		Seed: 2, Sources: []curriculum.Source{{Samples: s.Len(), Units: units}}, Buckets: []curriculum.Bucket{{Length: length, Units: 4}},
		Layers: 3, Clock: curriculum.Steps, Budget: 40,
	})
	if err != nil {
		t.Fatal(err)
	}
	defer plan.Close()
	if err := units.Finish(); err != nil {
		t.Fatal(err)
	}
	maker, err := batch.NewMaker(batch.Config{Sources: []batch.Source{{Samples: s, Units: units}}, Plan: plan})
	if err != nil {
		t.Fatal(err)
	}
	for _, routed := range [][]int{nil, {1}} {
		e := mustEngine(t, model.Config{Vocabulary: 257, Context: length, Layers: 3, Width: 8, Heads: 2, Routed: routed}, adam)
		several, parts := 0, 0 // documents beside others, rows that are a part of one
		for step := int64(0); several < 3 || parts < 3; step++ {
			b, err := maker.Make(step, 0, 1)
			if err != nil {
				t.Fatal(err)
			}
			a := alone(t, s, units, b)
			several += a.Rows - b.Rows
			for _, unit := range b.IDs {
				if p := units.Pieces(nil, unit); len(p) == 1 && p[0].Len == length {
					parts++
				}
			}
			if a.Targets() != b.Targets() || b.Padding != int64(b.Rows*length)-b.Targets() {
				t.Fatalf("step %d: %d labels and %d padding; the documents have %d labels", step, b.Targets(), b.Padding, a.Targets())
			}
			if routed != nil {
				keepAll(a)
				keepAll(b)
			}
			compareWithAlone(t, e, b, a)
		}
	}
}

// compareWithAlone compares a packed batch with its documents in rows of their own.
func compareWithAlone(t *testing.T, e *engine, b, a *batch.Batch) {
	t.Helper()
	loss, gradients := gradientOf(t, e, b, 0, b.Rows)
	want := 0.0
	sums := make([][]float64, len(gradients))
	for r := range a.Rows {
		one, parts := gradientOf(t, e, a, r, r+1)
		want += one / float64(a.Targets())
		for i, g := range parts {
			if sums[i] == nil {
				sums[i] = make([]float64, len(g))
			}
			for k, x := range g {
				sums[i][k] += float64(x)
			}
		}
	}
	if loss /= float64(b.Targets()); math.Abs(loss-want) > 1e-6*want {
		t.Errorf("units %v: loss %v, the documents alone have %v", b.IDs, loss, want)
	}
	if evaluated, _, err := e.loss([]*batch.Batch{b}); err != nil || math.Abs(evaluated-want) > 1e-6*want {
		t.Errorf("units %v: evaluated at %v (%v), the documents alone have %v", b.IDs, evaluated, err, want)
	}
	for i, p := range e.params {
		most, off := 0.0, 0.0
		for k, x := range sums[i] {
			most, off = max(most, math.Abs(x)), max(off, math.Abs(x-float64(gradients[i][k])))
		}
		if off > 1e-5*most+1e-9 {
			t.Errorf("units %v: the gradient of %s is off by %v; its largest is %v", b.IDs, p.Name, off, most)
		}
	}
}
