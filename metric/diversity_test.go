package metric

import (
	"errors"
	"slices"
	"testing"

	"github.com/gradus-ml/gradus/internal/fault"
	"pgregory.net/rapid"
)

func TestDiversityByHand(t *testing.T) {
	for _, c := range []struct {
		threshold float64
		sample    []int32
		want      float64
	}{
		{0, nil, 0},
		{0, []int32{7}, 1},                       // as if 7 7 followed: 1/2 is one factor
		{0, []int32{5, 6, 7, 8}, 20 * (1 - .72)}, // 4 of 5
		{0, []int32{5, 5, 5, 5}, 2},              // 1/2 ends a stretch, twice
		{0, []int32{5, 5, 5}, 3 / 1.},            // and what is left, one token of ratio 1, is no factor
		// 55 | 676, whose 2/3 are 2/3 of a factor; backward 67655 with 3/5, 4/5 of one.
		{0.5, []int32{5, 5, 6, 7, 6}, (5/(5./3) + 5/.8) / 2},
		{0.5, []int32{5, 6, 5, 5}, 4}, // 2/4 is reached with the last
	} {
		if got := score(t, must(Diversity(c.threshold)), 0, nil, c.sample)[0]; !near(got, c.want) {
			t.Errorf("%v at %v: %v, want %v", c.sample, c.threshold, got, c.want)
		}
	}
}

// naiveFactors follows the definition word for word: it asks of ever longer prefixes
// for their ratio, goes on behind the first that ends, and what is left counts
// by its ratio.
func naiveFactors(tokens []int32, threshold float64) float64 {
	ratio := func(tokens []int32) float64 {
		sorted := slices.Clone(tokens)
		slices.Sort(sorted)
		return float64(len(slices.Compact(sorted))) / float64(len(tokens))
	}
	for n := 1; n <= len(tokens); n++ {
		if ratio(tokens[:n]) <= threshold {
			return 1 + naiveFactors(tokens[n:], threshold)
		}
	}
	if len(tokens) == 0 {
		return 0
	}
	return (1 - ratio(tokens)) / (1 - threshold)
}

func naiveDiversity(tokens []int32, threshold float64) float64 {
	backward := slices.Clone(tokens)
	slices.Reverse(backward)
	sum := 0.0
	for _, tokens := range [][]int32{tokens, backward} {
		factors := naiveFactors(tokens, threshold)
		if factors == 0 && len(tokens) > 0 {
			factors = naiveFactors(append(slices.Clone(tokens), tokens[0]), threshold)
		}
		if len(tokens) > 0 {
			sum += float64(len(tokens)) / factors / 2
		}
	}
	return sum
}

func TestDiversityAgainstNaive(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		samples := rapid.SliceOfN(hostile(), 1, 3).Draw(t, "samples")
		threshold := rapid.SampledFrom([]float64{0.72, 0.72, 0.5, 0.25, 0.01, 0.99}).Draw(t, "threshold")
		for i := range samples {
			samples[i] = samples[i][:min(len(samples[i]), 700)] // the naive way is cubic
		}
		for i, got := range score(t, must(Diversity(threshold)), 0, nil, samples...) {
			if want := naiveDiversity(samples[i], threshold); !near(got, want) {
				t.Fatalf("sample %d: %v, want %v", i, got, want)
			}
		}
	})
}

// A stretch longer than the table of ratios ends where the definition says:
// 2,000 tokens of one type after 1,000 distinct ones have reached 1/3.
func TestDiversityOfLongStretch(t *testing.T) {
	sample := make([]int32, 3000)
	for i := range 1000 {
		sample[i] = int32(i)
	}
	// Forward, the 3,000 are one stretch exactly. Backward, 2,000 zeros end 666
	// stretches of 3; 2 zeros, 999 others and a zero remain, 1,000 types of 1,002.
	want := (3000/1. + 3000/(666+(1-1000/1002.)/(2./3))) / 2
	if got := score(t, must(Diversity(1./3)), 0, nil, sample)[0]; !near(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

// When the number of stretches overflows, none is taken for an old one.
func TestDiversityWrapsAround(t *testing.T) {
	s, err := must(Diversity(0)).Scorer(Source{})
	if err != nil {
		t.Fatal(err)
	}
	sample := []Sample{{Tokens: []int32{1, 2, denseTokens, 1, 2, denseTokens, 3}, Len: 7}}
	var first, wrapped [1]float64
	if err := s.Score(first[:], sample); err != nil {
		t.Fatal(err)
	}
	s.(*diversityScorer).stretch = 1<<32 - 2
	if err := s.Score(wrapped[:], sample); err != nil || first != wrapped {
		t.Errorf("%v, then %v, %v", first, wrapped, err)
	}
}

// No sample is harder than one of its length without a repeat.
func TestDiversityOfDistinct(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(2, 200).Draw(t, "n")
		distinct := make([]int32, n)
		for i := range distinct {
			distinct[i] = int32(i)
		}
		repeating := slices.Clone(distinct)
		at := rapid.IntRange(1, n-1).Draw(t, "at")
		repeating[at] = int32(rapid.IntRange(0, at-1).Draw(t, "of"))
		if got := score(t, must(Diversity(0)), 0, nil, distinct, repeating); got[0] < got[1] {
			t.Fatalf("%v without a repeat, %v with one", got[0], got[1])
		}
	})
}

func TestDiversityRefuses(t *testing.T) {
	for _, spec := range []string{"diversity:threshold=1", "diversity:threshold=0", "diversity:threshold=NaN"} {
		if _, err := Builtin().Parse(spec); !errors.Is(err, fault.Invalid) {
			t.Errorf("%s: %v", spec, err)
		}
	}
	if _, err := Diversity(-1); !errors.Is(err, fault.Invalid) {
		t.Error(err)
	}
}
