package train

import (
	"cmp"
	"math"
	"slices"

	"github.com/gradus-ml/gradus/internal/fault"
	"github.com/gradus-ml/gradus/internal/keyed"
)

// A Sampling says how the next token is drawn from a model's scores.
type Sampling struct {
	// Temperature divides the scores: below 1 likely tokens become likelier. 0 takes
	// the likeliest one, the first of several.
	Temperature float64
	TopK        int     // draw from so many of the likeliest tokens; 0: from all
	TopP        float64 // draw from the fewest likeliest tokens that have this probability together (Holtzman et al., arXiv 1904.09751); 1: from all
	Seed        uint64
}

// Validate reports impossible settings.
func (s Sampling) Validate() error {
	switch {
	case !(s.Temperature >= 0) || math.IsInf(s.Temperature, 0):
		return fault.Invalidf("the temperature is %v; it must be finite and not negative", s.Temperature)
	case s.TopK < 0:
		return fault.Invalidf("top-k is %d; it must not be negative (0 is all)", s.TopK)
	case !(s.TopP > 0 && s.TopP <= 1):
		return fault.Invalidf("top-p is %v; it must be above 0 and at most 1", s.TopP)
	}
	return nil
}

// pick draws token number place of a text. The draw is a function of the scores,
// the seed, the text's number and the place.
func (s Sampling) pick(scores []float32, text, place int) int32 {
	ids := make([]int32, 0, len(scores)) // the likeliest first, of equals the first
	for id, x := range scores {
		if x == x { // NaN is no score
			ids = append(ids, int32(id))
		}
	}
	if len(ids) == 0 {
		return 0
	}
	slices.SortStableFunc(ids, func(a, b int32) int { return cmp.Compare(scores[b], scores[a]) })
	if s.Temperature == 0 {
		return ids[0]
	}
	if s.TopK > 0 {
		ids = ids[:min(s.TopK, len(ids))]
	}
	shares, sum := make([]float64, len(ids)), 0.0
	for i, id := range ids {
		shares[i] = 1 // also where the best is infinite
		if scores[id] != scores[ids[0]] {
			shares[i] = math.Exp(float64(scores[id]-scores[ids[0]]) / s.Temperature)
		}
		sum += shares[i]
	}
	if s.TopP < 1 {
		reached := 0.0
		for i := range shares {
			if reached += shares[i]; reached >= s.TopP*sum {
				shares, sum = shares[:i+1], reached
				break
			}
		}
	}
	left := keyed.NewKey(s.Seed, "generate", uint64(text), uint64(place)).Stream().Float64() * sum
	for i, share := range shares {
		if left -= share; left < 0 {
			return ids[i]
		}
	}
	return ids[len(shares)-1] // rounding
}
