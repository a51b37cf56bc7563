package train

import (
	"context"
	"errors"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/gradus-ml/gradus/batch"
	"github.com/gradus-ml/gradus/curriculum"
	"github.com/gradus-ml/gradus/internal/fault"
)

// generator opens the checkpoint of random weights.
func generator(t *testing.T, weights [][]float32) *Generator {
	t.Helper()
	g, err := OpenGenerator("", proxyOf(t, t.TempDir(), tiny, weights))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(g.Close)
	return g
}

// oneLabel is a batch of one row that predicts a label after its last token.
func oneLabel(tokens []int32, label int32) []*batch.Batch {
	n := len(tokens)
	labels := slices.Repeat([]int32{batch.Ignore}, n)
	labels[n-1] = label
	return []*batch.Batch{{Shape: curriculum.Shape{Rows: 1, Length: n, Kept: n}, Inputs: tokens, Labels: labels}}
}

// The scores are those by which the loss of the same tokens is taken, whatever the
// length that they are padded to.
func TestGeneratorScores(t *testing.T) {
	weights := proxyWeights(tiny)
	g := generator(t, weights)
	e := mustEngine(t, tiny, adam)
	if err := e.load(state{weights: weights, moment1: weights, moment2: weights}); err != nil {
		t.Fatal(err)
	}
	tokens := []int32{3, 16, 0, 7, 7, 1, 12, 5}
	for n := 1; n <= tiny.Context; n++ {
		scores, err := g.scores(tokens[:n])
		if err != nil {
			t.Fatal(err)
		}
		if len(scores) != tiny.Vocabulary {
			t.Fatalf("%d scores, want %d", len(scores), tiny.Vocabulary)
		}
		sum := 0.0
		for _, x := range scores {
			sum += math.Exp(float64(x))
		}
		b := oneLabel(tokens[:n], 4)
		want, _, err := e.loss(b)
		if err != nil {
			t.Fatal(err)
		}
		if got := math.Log(sum) - float64(scores[4]); math.Abs(got-want) > 1e-5 {
			t.Errorf("after %d tokens the scores give a loss of %v, want %v", n, got, want)
		}
	}
}

// A text is the same for the same seed, the beginning of a longer one, ends when it
// is told to, and slides over the context's end.
func TestGenerate(t *testing.T) {
	g := generator(t, proxyWeights(tiny))
	text := func(s Sampling, number, n int, until int) (ids []int32) {
		t.Helper()
		err := g.Generate(context.Background(), []int32{1, 2}, s, number, n, func(id int32) (bool, error) {
			ids = append(ids, id)
			return len(ids) < until, nil
		})
		if err != nil {
			t.Fatal(err)
		}
		return ids
	}
	s := Sampling{Temperature: 1, TopP: 1, Seed: 5}
	long := text(s, 0, 30, 99) // the context is 8
	if len(long) != 30 || slices.Max(long) >= int32(tiny.Vocabulary) || slices.Min(long) < 0 {
		t.Fatalf("%d tokens, want 30 of a vocabulary of %d: %v", len(long), tiny.Vocabulary, long)
	}
	if again := text(s, 0, 12, 99); !slices.Equal(again, long[:12]) {
		t.Errorf("%v, want the beginning of %v", again, long)
	}
	if stopped := text(s, 0, 30, 3); !slices.Equal(stopped, long[:3]) {
		t.Errorf("%v, want the first 3 of %v", stopped, long)
	}
	other := s
	other.Seed = 6
	for name, ids := range map[string][]int32{"another text": text(s, 1, 30, 99), "another seed": text(other, 0, 30, 99)} {
		if slices.Equal(ids, long) {
			t.Errorf("%s is the same", name)
		}
	}
	// Beyond the context only its last tokens count.
	tail := append([]int32{1, 2}, long...)[20:28]
	scores, err := g.scores(tail)
	if err != nil {
		t.Fatal(err)
	}
	if id := s.pick(scores, 0, 26); id != long[26] {
		t.Errorf("after %v comes %d, and %d was generated", tail, id, long[26])
	}
}

// Of a model with more tokens than its tokenizer only those are drawn that the
// tokenizer has.
func TestGenerateDrawsKnownTokens(t *testing.T) {
	g := generator(t, proxyWeights(tiny))
	g.Drawn = 3
	for _, s := range []Sampling{{Temperature: 1e3, TopP: 1}, {Temperature: 1, TopK: 1, TopP: 1}, {TopP: 1}} {
		for number := range 4 {
			err := g.Generate(t.Context(), []int32{12}, s, number, 8, func(id int32) (bool, error) {
				if id >= 3 {
					t.Errorf("%+v draws token %d", s, id)
				}
				return true, nil
			})
			if err != nil {
				t.Fatal(err)
			}
		}
	}
}

func TestGenerateRefuses(t *testing.T) {
	g := generator(t, proxyWeights(tiny))
	fail := errors.New("enough")
	good := Sampling{Temperature: 1, TopP: 1}
	for name, c := range map[string]struct {
		prompt []int32
		s      Sampling
		kind   error
		says   string
	}{
		"no prompt":         {nil, good, fault.Invalid, "no token"},
		"a token too large": {[]int32{3, 17}, good, fault.Mismatch, "token 17"},
		"a negative token":  {[]int32{-1}, good, fault.Mismatch, "token -1"},
		"top-p":             {[]int32{3}, Sampling{Temperature: 1}, fault.Invalid, "top-p"},
		"emit fails":        {[]int32{3}, good, fail, "enough"},
	} {
		err := g.Generate(context.Background(), c.prompt, c.s, 0, 2, func(int32) (bool, error) { return true, fail })
		if !errors.Is(err, c.kind) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v", name, err)
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := g.Generate(ctx, []int32{3}, good, 0, 2, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	if _, err := OpenGenerator("", t.TempDir()); !errors.Is(err, fault.Invalid) {
		t.Errorf("an empty directory: %v", err)
	}
	if _, err := OpenGenerator("abacus", proxyOf(t, t.TempDir(), tiny, proxyWeights(tiny))); !errors.Is(err, fault.Invalid) {
		t.Errorf("an unknown backend: %v", err)
	}
}
