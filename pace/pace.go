// Package pace provides functions from the clock to a value: how difficult a
// sample may be, how long a sequence is, how many tokens a middle layer keeps.
//
// A Pace is pure: its value at a clock position depends on nothing else, so a
// run may be resumed, re-drawn or asked about any moment. The clock counts
// steps, tokens or layer-tokens; a pace does not care which.
//
// Linear and root paces are those of DeepSpeed Data Efficiency (arXiv
// 2212.03597, section 3.1) and of sequence-length warmup (arXiv 2108.06084),
// with one correction: they never start below From.
package pace

import (
	"math"
	"slices"

	"github.com/gradus-ml/gradus/internal/fault"
)

// A Pace gives the value in force at a position of the clock. At must be a pure
// function; the position is 0 when the run starts and never negative.
type Pace interface {
	At(clock float64) float64
}

// Func is a Pace written as a function.
type Func func(clock float64) float64

// At calls f.
func (f Func) At(clock float64) float64 { return f(clock) }

// Constant is the Pace that stays where it is.
type Constant float64

// At returns c.
func (c Constant) At(float64) float64 { return float64(c) }

// Root is the pace
//
//	v(x) = From + (To-From) * (x/Until)^(1/Degree)
//
// rounded down to a multiple of Step, but never below the first multiple of
// Step that is at least From, and never above To. Degree 1 is the linear pace;
// a larger degree leaves the easy values sooner.
//
// Where To is no multiple of Step, the pace keeps its slope past Until and ends
// at To on the first multiple beyond it, as the original does: a length that
// grows from 32 to 197 by 8 until 3910 is 192 there and 197 from 3982 on.
type Root struct {
	From, To float64
	Step     float64 // quantum of the value: 8 tokens, 1 per cent
	Until    float64 // clock position at which the value reaches To
	Degree   float64 // 1 linear, 2 square root, ...
}

// NewRoot returns the pace, or an error that says which field is impossible.
func NewRoot(r Root) (*Root, error) {
	for _, f := range []struct {
		name  string
		value float64
	}{{"from", r.From}, {"to", r.To}, {"step", r.Step}, {"until", r.Until}, {"degree", r.Degree}} {
		if math.IsNaN(f.value) || math.IsInf(f.value, 0) {
			return nil, fault.Invalidf("%s is %v; it must be a finite number", f.name, f.value)
		}
	}
	switch {
	case r.From < 0:
		return nil, fault.Invalidf("from is %v; it must not be negative", r.From)
	case r.From > r.To:
		return nil, fault.Invalidf("from (%v) is greater than to (%v); a pace goes from easy to hard", r.From, r.To)
	case r.Step <= 0:
		return nil, fault.Invalidf("step is %v; it must be positive (1 gives whole numbers)", r.Step)
	case r.Until <= 0:
		return nil, fault.Invalidf("until is %v; it must be positive: the clock position at which the pace reaches %v", r.Until, r.To)
	case r.Degree < 1:
		return nil, fault.Invalidf("degree is %v; it must be at least 1 (1 is linear, 2 the square root)", r.Degree)
	}
	return &r, nil
}

// At returns the value at a clock position.
func (r *Root) At(clock float64) float64 {
	share := clock / r.Until
	if r.Degree != 1 {
		share = math.Pow(share, 1/r.Degree)
	}
	// The conversions keep the compiler from fusing the multiplication with the
	// addition, which would round otherwise on arm64 than on amd64.
	value := float64(share*(r.To-r.From)) + r.From
	value -= math.Mod(value, r.Step) // exact: the result is a multiple of Step
	first := float64(math.Ceil(r.From/r.Step) * r.Step)
	return min(max(value, first), r.To)
}

// Steps is the pace that holds each value until its own moment.
type Steps struct {
	Values []float64 // in force one after the other
	Until  []float64 // Values[i] holds while the clock is at most Until[i]; one fewer than Values
}

// NewSteps returns the pace, or an error that says what is impossible.
func NewSteps(s Steps) (*Steps, error) {
	if len(s.Values) == 0 {
		return nil, fault.Invalidf("values is empty; name at least one")
	}
	if len(s.Until) != len(s.Values)-1 {
		return nil, fault.Invalidf("%d values need %d moments in until, one after each value but the last; there are %d",
			len(s.Values), len(s.Values)-1, len(s.Until))
	}
	for i, v := range s.Values {
		if math.IsNaN(v) || math.IsInf(v, 0) || v < 0 {
			return nil, fault.Invalidf("values[%d] is %v; it must be finite and not negative", i, v)
		}
	}
	for i, u := range s.Until {
		if math.IsNaN(u) || math.IsInf(u, 0) || u < 0 {
			return nil, fault.Invalidf("until[%d] is %v; it must be finite and not negative", i, u)
		}
		if i > 0 && u <= s.Until[i-1] {
			return nil, fault.Invalidf("until[%d] (%v) does not come after until[%d] (%v)", i, u, i-1, s.Until[i-1])
		}
	}
	return &Steps{slices.Clone(s.Values), slices.Clone(s.Until)}, nil
}

// At returns the value at a clock position.
func (s *Steps) At(clock float64) float64 {
	i, _ := slices.BinarySearch(s.Until, clock)
	return s.Values[i]
}
