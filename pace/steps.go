package pace

import (
	"math"
	"slices"

	"github.com/gradus-ml/gradus/internal/fault"
)

// Steps is the pace that holds each value until its own moment. The values may
// rise and fall.
type Steps struct {
	Values []float64 // in force one after the other; not negative
	Until  []float64 // Values[i] holds while the clock is at most Until[i]; one fewer than Values
}

// NewSteps returns the pace, or an error that says what is impossible.
func NewSteps(s Steps) (Stepped, error) {
	if len(s.Values) == 0 {
		return nil, fault.Invalidf("values is empty; name at least one")
	}
	if len(s.Until) != len(s.Values)-1 {
		return nil, fault.Invalidf("%d values need %d moments in until, one after each value but the last; there are %d",
			len(s.Values), len(s.Values)-1, len(s.Until))
	}
	for i, v := range s.Values {
		if !isFinite(v) || v < 0 {
			return nil, fault.Invalidf("values[%d] is %v; it must be finite and not negative", i, v)
		}
	}
	for i, u := range s.Until {
		if !isFinite(u) || u < 0 {
			return nil, fault.Invalidf("until[%d] is %v; it must be finite and not negative", i, u)
		}
		if i > 0 && u <= s.Until[i-1] {
			return nil, fault.Invalidf("until[%d] (%v) does not come after until[%d] (%v)", i, u, i-1, s.Until[i-1])
		}
	}
	return &steps{slices.Clone(s.Values), slices.Clone(s.Until)}, nil
}

type steps struct{ values, until []float64 }

// index returns which value holds at a clock position.
func (s *steps) index(clock float64) int {
	i, _ := slices.BinarySearch(s.until, clock)
	return i
}

func (s *steps) At(clock float64) float64 { return s.values[s.index(clock)] }

func (s *steps) Next(clock float64) float64 {
	i := s.index(clock)
	for j := i + 1; j < len(s.values); j++ {
		if s.values[j] != s.values[i] {
			return math.Nextafter(s.until[j-1], math.Inf(1))
		}
	}
	return math.Inf(1)
}
