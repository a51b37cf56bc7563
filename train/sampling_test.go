package train

import (
	"errors"
	"math"
	"slices"
	"testing"

	"github.com/gradus-ml/gradus/internal/fault"
	"pgregory.net/rapid"
)

func TestSamplingIsChecked(t *testing.T) {
	good := Sampling{Temperature: 1, TopP: 1}
	for name, spoil := range map[string]func(*Sampling){
		"NaN temperature": func(s *Sampling) { s.Temperature = math.NaN() }, "negative temperature": func(s *Sampling) { s.Temperature = -1 },
		"infinite temperature": func(s *Sampling) { s.Temperature = math.Inf(1) }, "negative top-k": func(s *Sampling) { s.TopK = -1 },
		"top-p 0": func(s *Sampling) { s.TopP = 0 }, "large top-p": func(s *Sampling) { s.TopP = 1.5 }, "NaN top-p": func(s *Sampling) { s.TopP = math.NaN() },
	} {
		s := good
		spoil(&s)
		if err := s.Validate(); !errors.Is(err, fault.Invalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := good.Validate(); err != nil {
		t.Error(err)
	}
}

// What is drawn is among the likeliest tokens that the settings leave, and the same
// again for the same seed, text and place.
func TestPickLaws(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		scores := rapid.SliceOfN(rapid.Float32Range(-50, 50), 1, 40).Draw(t, "scores")
		s := Sampling{
			Temperature: rapid.SampledFrom([]float64{0, 1e-3, 0.5, 1, 3}).Draw(t, "temperature"),
			TopK:        rapid.IntRange(0, 45).Draw(t, "k"),
			TopP:        rapid.Float64Range(1e-6, 1).Draw(t, "p"),
			Seed:        rapid.Uint64().Draw(t, "seed"),
		}
		text, place := rapid.IntRange(0, 9).Draw(t, "text"), rapid.IntRange(0, 999).Draw(t, "place")
		id := s.pick(scores, text, place)
		if again := s.pick(scores, text, place); again != id {
			t.Fatalf("drew %d, and again %d", id, again)
		}
		above := func(yield func(x float32) bool) { // scores of the tokens before id in order of likelihood
			for i, x := range scores {
				if (x > scores[id] || x == scores[id] && i < int(id)) && !yield(x) {
					return
				}
			}
		}
		before := slices.Collect(above)
		if s.Temperature == 0 {
			if len(before) > 0 {
				t.Fatalf("drew %d of %v at temperature 0", id, scores)
			}
			return
		}
		if s.TopK > 0 && len(before) >= s.TopK {
			t.Fatalf("%d tokens come before %d, with top-k %d", len(before), id, s.TopK)
		}
		kept := slices.Clone(scores)
		slices.SortFunc(kept, func(a, b float32) int { return int(math.Copysign(1, float64(b-a))) })
		if s.TopK > 0 {
			kept = kept[:min(s.TopK, len(kept))]
		}
		share := func(all []float32) (sum float64) {
			for _, x := range all {
				sum += math.Exp(float64(x-kept[0]) / s.Temperature)
			}
			return sum
		}
		if share(before) > s.TopP*share(kept)*(1+1e-9) {
			t.Fatalf("the tokens before %d have %v of %v, with top-p %v", id, share(before), share(kept), s.TopP)
		}
	})
}

// Draws have the frequencies of the probabilities.
func TestPickFrequencies(t *testing.T) {
	scores := []float32{0, float32(math.Log(2)), float32(math.Log(5)), float32(math.Inf(-1)), float32(math.NaN())}
	for _, c := range []struct {
		s    Sampling
		want []float64
	}{
		{Sampling{Temperature: 1, TopP: 1}, []float64{1. / 8, 2. / 8, 5. / 8, 0, 0}},
		{Sampling{Temperature: 0.5, TopP: 1}, []float64{1. / 30, 4. / 30, 25. / 30, 0, 0}},
		{Sampling{Temperature: 1, TopP: 1, TopK: 2}, []float64{0, 2. / 7, 5. / 7, 0, 0}},
		{Sampling{Temperature: 1, TopP: 0.65}, []float64{0, 2. / 7, 5. / 7, 0, 0}},
		{Sampling{Temperature: 1, TopP: 0.6}, []float64{0, 0, 1, 0, 0}},
		{Sampling{TopP: 1}, []float64{0, 0, 1, 0, 0}},
	} {
		const n = 20_000
		got := make([]float64, len(scores))
		for i := range n {
			got[c.s.pick(scores, i%7, i/7)] += 1. / n
		}
		for id, want := range c.want {
			if math.Abs(got[id]-want) > 5*math.Sqrt(want*(1-want)/n)+1e-9 {
				t.Errorf("%+v: token %d is drawn with frequency %v, want %v", c.s, id, got[id], want)
			}
		}
	}
	if id := (Sampling{Temperature: 1, TopP: 1}).pick([]float32{float32(math.NaN())}, 0, 0); id != 0 {
		t.Errorf("of no score at all %d is drawn", id)
	}
}
