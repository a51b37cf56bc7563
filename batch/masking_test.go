package batch_test

import (
	"errors"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/gradus-ml/gradus/batch"
	"github.com/gradus-ml/gradus/corpus"
	"github.com/gradus-ml/gradus/curriculum"
	"github.com/gradus-ml/gradus/internal/fault"
	"pgregory.net/rapid"
)

// masking is BERT's, with every seventh of the first tokens special.
var masking = batch.Masking{
	Share: 0.15, Random: 0.1, Keep: 0.1, Mask: endOfDocument + 1, Vocabulary: endOfDocument + 1,
	Special: []int32{endOfDocument, 0, 7, 14, 21, 28}, Separator: 14,
}

// masked returns a setting with a Masking; its Config stays that of plain rows.
func masked(t tester, s setting, m batch.Masking) *batch.Maker {
	t.Helper()
	c := s.Config
	c.Masking = &m
	maker, err := batch.NewMaker(c)
	if err != nil {
		t.Fatal(err)
	}
	return maker
}

// isSpecial reports whether a token may neither be hidden nor drawn.
func isSpecial(m batch.Masking, token int32) bool {
	return token == m.Mask || token == m.Separator || slices.Contains(m.Special, token)
}

// Masked rows are the rows there would be without a Masking, with the right number
// of tokens hidden: by the words of the documentation, one row at a time.
func TestMaskedRows(t *testing.T) {
	all := settings(t)
	var names []string
	for name := range all {
		names = append(names, name)
	}
	slices.Sort(names)
	rapid.Check(t, func(t *rapid.T) {
		s := all[rapid.SampledFrom(names).Draw(t, "setting")]
		m := masking
		m.Share = rapid.Float64Range(0.01, 1).Draw(t, "share")
		m.Random = rapid.Float64Range(0, 1).Draw(t, "random")
		m.Keep = (1 - m.Random) * rapid.Float64Range(0, 1).Draw(t, "keep")
		step := rapid.Int64Range(0, s.Plan.Steps()-1).Draw(t, "step")
		b, err := masked(t, s, m).Make(step, 0, 1)
		if err != nil {
			t.Fatal(err)
		}
		plain := s.naive(t, step)
		if len(b.Predicted) != b.Rows*m.Places(b.Length) {
			t.Fatalf("%d places for %d rows of %d tokens", len(b.Predicted), b.Rows, b.Length)
		}
		for r := range b.Rows {
			row := func(list []int32, n int) []int32 { return list[r*n:][:n] }
			checkMaskedRow(t, m, row(b.Inputs, b.Length), row(b.Labels, b.Length), row(b.Predicted, m.Places(b.Length)),
				row(plain.Inputs, b.Length), row(plain.Labels, b.Length))
		}
		if plain.Documents != nil && (!slices.Equal(b.Documents, plain.Documents) || !slices.Equal(b.Positions, plain.Positions)) {
			t.Fatal("documents or positions are others")
		}
		if plain.Padding > 0 && b.Documents == nil {
			t.Fatal("nothing tells padding from text")
		}
		if b.Padding != plain.Padding || b.Discarded != plain.Discarded || !reflect.DeepEqual(b.Kept, plain.Kept) || !slices.Equal(b.IDs, plain.IDs) {
			t.Fatal("padding, discarded inputs, kept positions or ids are others")
		}
		if want := naiveSegments(plain, b, m.Separator); !slices.Equal(b.Segments, want) {
			t.Fatalf("segments %v, want %v", b.Segments, want)
		}
	})
}

func checkMaskedRow(t *rapid.T, m batch.Masking, inputs, labels, predicted, plainInputs, plainLabels []int32) {
	t.Helper()
	candidates := 0
	for i, token := range plainInputs {
		may := plainLabels[i] != batch.Ignore && !isSpecial(m, token)
		if may {
			candidates++
		}
		switch {
		case labels[i] == batch.Ignore && inputs[i] != token:
			t.Fatalf("position %d has token %d, was %d and predicts nothing", i, inputs[i], token)
		case labels[i] == batch.Ignore:
		case !may || labels[i] != token:
			t.Fatalf("position %d of token %d (a candidate: %v) has label %d", i, token, may, labels[i])
		case inputs[i] != token && inputs[i] != m.Mask && (isSpecial(m, inputs[i]) || inputs[i] < 0 || int(inputs[i]) >= m.Vocabulary):
			t.Fatalf("token %d became %d", token, inputs[i])
		}
	}
	want := 0
	if candidates > 0 {
		want = max(1, int(math.Round(m.Share*float64(candidates))))
	}
	var at []int32
	for i, label := range labels {
		if label != batch.Ignore {
			at = append(at, int32(i))
		}
	}
	if len(at) != want || !slices.Equal(predicted[:want], at) {
		t.Fatalf("%d candidates: labels at %v, and %v is predicted; want %d", candidates, at, predicted, want)
	}
	for _, spare := range predicted[want:] {
		if labels[spare] != batch.Ignore {
			t.Fatalf("the spare place %d counts again", spare)
		}
	}
}

// naiveSegments takes a row apart into documents first.
func naiveSegments(plain, b *batch.Batch, separator int32) []int32 {
	kinds := make([]int32, len(plain.Inputs))
	for r := range plain.Rows {
		for d := int32(0); int(d) < plain.Length; d++ { // at most as many documents
			seen := false
			for i := r * plain.Length; i < (r+1)*plain.Length; i++ {
				of := int32(0)
				if b.Documents != nil {
					of = b.Documents[i]
				}
				padding := i > r*plain.Length && b.Positions != nil && b.Documents[i] == b.Documents[i-1] && b.Positions[i] == 0
				if of != d || padding {
					continue
				}
				if seen {
					kinds[i] = 1
				}
				seen = seen || plain.Inputs[i] == separator
			}
		}
	}
	return kinds
}

// What is hidden does not depend on ranks, and does on the step and on the row.
func TestMaskedRanks(t *testing.T) {
	s := newSetting(t, batch.ReshapeOverlap{}, []batch.Source{packed(24)(t, write(t, t.TempDir(), 3, 23, 24, 60, 4, 7, 130, 5))}, length(t, 5, 24, 1), keep(t, 3, 24, 7))
	maker := masked(t, s, masking)
	rapid.Check(t, func(t *rapid.T) {
		step := rapid.Int64Range(0, s.Plan.Steps()-1).Draw(t, "step")
		world := rapid.IntRange(1, 9).Draw(t, "world")
		whole, err := maker.Make(step, 0, 1)
		if err != nil {
			t.Fatal(err)
		}
		var parts []*batch.Batch
		for rank := range world {
			part, err := maker.Make(step, rank, world)
			if err != nil {
				t.Fatal(err)
			}
			parts = append(parts, part)
		}
		if together := concat(parts, len(s.Routing.Layers)); !reflect.DeepEqual(together, whole) {
			t.Fatalf("step %d, world %d: the ranks have\n%+v\ntogether, the batch is\n%+v", step, world, together, whole)
		}
	})
}

// chiSquare returns the statistic of counts that should be in proportion to
// shares, in standard deviations above its mean (Wilson and Hilferty).
func chiSquare(counts []int, shares []float64) float64 {
	total, sum := 0, 0.0
	for i, n := range counts {
		total += n
		sum += shares[i]
	}
	x := 0.0
	for i, n := range counts {
		want := shares[i] / sum * float64(total)
		x += (float64(n) - want) * (float64(n) - want) / want
	}
	free := float64(len(counts) - 1)
	return (math.Cbrt(x/free) - (1 - 2/(9*free))) / math.Sqrt(2/(9*free))
}

// Every position is hidden equally often, of the hidden ones 80, 10 and 10 % are
// masked, random and as they were, and random tokens are uniform among those that
// are not special. The draws are fixed, so the test cannot fail by chance.
func TestMaskingIsUniform(t *testing.T) {
	const window, vocabulary = 32, 20
	c := write(t, t.TempDir(), window*400+1)
	s := newSetting(t, nil, []batch.Source{windows(window)(t, c)}, func(c *curriculum.Config) { c.Buckets[0].Units, c.Budget = 100, 60 })
	m := masking
	m.Separator, m.Special, m.Vocabulary = -1, []int32{3, 4, 17}, vocabulary
	maker := masked(t, s, m)
	places, kinds, random := make([]int, window), make([]int, 3), make([]int, vocabulary)
	pairs, pairShares := make([]int, 4), []float64{0, 0, 0, 0}
	for step := range s.Plan.Steps() {
		b, err := maker.Make(step, 0, 1)
		if err != nil {
			t.Fatal(err)
		}
		if b.Segments != nil || b.Documents != nil {
			t.Fatal("segments or documents of windows without a separator")
		}
		for i, label := range b.Labels {
			if label == batch.Ignore {
				continue
			}
			places[i%window]++
			switch b.Inputs[i] {
			case m.Mask:
				kinds[0]++
			case label:
				kinds[2]++
			default:
				kinds[1]++
				random[b.Inputs[i]]++
			}
		}
		for r := range b.Rows { // are neighbours hidden independently of each other?
			first, second := b.Labels[r*window+10] != batch.Ignore, b.Labels[r*window+11] != batch.Ignore
			k := 0
			if first {
				k++
			}
			if second {
				k += 2
			}
			pairs[k]++
		}
	}
	for _, special := range m.Special {
		if random[special] != 0 {
			t.Errorf("the special token %d was drawn %d times", special, random[special])
		}
	}
	random = slices.DeleteFunc(random, func(n int) bool { return n == 0 })
	even := func(n int) []float64 { return slices.Repeat([]float64{1}, n) }
	const n, of = 5, 32 // hidden of a row
	pairShares[0], pairShares[3] = (of-n)*(of-n-1), n*(n-1)
	pairShares[1], pairShares[2] = n*(of-n), n*(of-n)
	for name, test := range map[string]struct {
		counts []int
		shares []float64
	}{
		"positions": {places, even(window)},
		"kinds":     {kinds, []float64{0.8, 0.1, 0.1}},
		"random":    {random, even(vocabulary - len(m.Special))},
		"pairs":     {pairs, pairShares},
	} {
		if z := chiSquare(test.counts, test.shares); !(math.Abs(z) < 4) {
			t.Errorf("%s: %v lie %.1f deviations from their shares", name, test.counts, z)
		}
	}
}

// The first rows of a fixed setting: what is hidden is a promise across releases.
func TestMaskingGolden(t *testing.T) {
	s := newSetting(t, nil, []batch.Source{windows(12)(t, write(t, t.TempDir(), 13))})
	m := batch.Masking{Share: 0.4, Random: 0.3, Keep: 0.2, Mask: 99, Vocabulary: 50, Special: []int32{endOfDocument}, Separator: 2}
	b, err := masked(t, s, m).Make(3, 0, 1)
	if err != nil {
		t.Fatal(err)
	}
	got := fmt.Sprint(b.Inputs[:12], b.Labels[:12], b.Predicted[:5], b.Segments[:12])
	const want = "[28 1 2 3 4 20 6 7 8 9 10 11] [0 -1 -1 -1 -1 5 -1 7 8 -1 -1 -1] [0 5 7 8 1] [0 0 0 1 1 1 1 1 1 1 1 1]"
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// An evaluation hides the same tokens every time, of every row others, and tells
// its padding from its text.
func TestMaskedEvaluation(t *testing.T) {
	c := write(t, t.TempDir(), 30, 31, 5, 1, 0, 44, 12, 63, 20, 90, 8, 8, 40)
	h, err := c.HoldOut(0.3, 2, 8)
	if err != nil {
		t.Fatal(err)
	}
	m := masking
	m.Share = 0.5
	plain, err := batch.Evaluation(c, h, 8, 4, 0, nil)
	if err != nil {
		t.Fatal(err)
	}
	var rows [2][][]int32 // of places, by the number of rows of a batch
	for i, n := range []int{4, 7} {
		batches, err := batch.Evaluation(c, h, 8, n, 0, &m)
		if err != nil {
			t.Fatal(err)
		}
		again, err := batch.Evaluation(c, h, 8, n, 0, &m)
		if err != nil || !reflect.DeepEqual(again, batches) {
			t.Fatalf("a second time: %v", err)
		}
		for k, b := range batches {
			if b.First != k*n || b.Documents == nil || b.Positions == nil {
				t.Fatalf("batch %d begins with row %d", k, b.First)
			}
			if n == 4 && (b.Padding != plain[k].Padding || b.Rows != plain[k].Rows) {
				t.Fatalf("batch %d: padding %d, was %d", k, b.Padding, plain[k].Padding)
			}
			for r := range b.Rows {
				rows[i] = append(rows[i], b.Predicted[r*m.Places(8):][:m.Places(8)])
			}
		}
	}
	if n := min(len(rows[0]), len(rows[1])); !reflect.DeepEqual(rows[0][:n], rows[1][:n]) {
		t.Error("the same rows in other batches hide other tokens")
	}
	if slices.Equal(rows[0][0], rows[0][1]) && slices.Equal(rows[0][1], rows[0][2]) {
		t.Errorf("three rows hide the same places %v", rows[0][0])
	}
	if _, err := batch.Evaluation(c, h, 8, 4, 0, &batch.Masking{}); !errors.Is(err, fault.Invalid) {
		t.Errorf("no share: %v", err)
	}
}

func TestMaskingMistakes(t *testing.T) {
	for says, change := range map[string]func(*batch.Masking){
		"the share of predicted tokens is 0":           func(m *batch.Masking) { m.Share = 0 },
		"the share of predicted tokens is NaN":         func(m *batch.Masking) { m.Share = math.NaN() },
		"the share of predicted tokens is 1.5":         func(m *batch.Masking) { m.Share = 1.5 },
		"a share of 0.6 is random and 0.6 stays":       func(m *batch.Masking) { m.Random, m.Keep = 0.6, 0.6 },
		"a share of -0.1 is random":                    func(m *batch.Masking) { m.Random = -0.1 },
		"mask token -1":                                func(m *batch.Masking) { m.Mask = -1 },
		"a vocabulary of 1 tokens without 1 special":   func(m *batch.Masking) { m.Vocabulary = 1 },
		"a vocabulary of 0 tokens without 0 special":   func(m *batch.Masking) { m.Vocabulary = 0 },
		"mask token 60001, separator -2; tokens are n": func(m *batch.Masking) { m.Separator = -2 },
	} {
		m := masking
		change(&m)
		if err := m.Validate(); !errors.Is(err, fault.Invalid) || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v", says, err)
		}
		s := samples(t, write(t, t.TempDir(), 100), corpus.Cut{Window: 24})
		plan := newSetting(t, nil, []batch.Source{{Samples: s}}).Plan
		if _, err := batch.NewMaker(batch.Config{Plan: plan, Sources: []batch.Source{{Samples: s}}, Masking: &m}); !errors.Is(err, fault.Invalid) {
			t.Errorf("%s: NewMaker says %v", says, err)
		}
	}
	none := masking // nothing is drawn, so nothing needs to be there to draw
	none.Random, none.Vocabulary = 0, 0
	if err := none.Validate(); err != nil {
		t.Error(err)
	}
}
