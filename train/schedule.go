package train

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"github.com/gradus-ml/gradus/internal/fault"
)

// A Decay is how the learning rate falls from its peak to its minimum.
type Decay string

// The decays.
const (
	Cosine      Decay = "cosine" // Loshchilov and Hutter, arXiv 1608.03983, without restarts
	Linear      Decay = "linear"
	Constant    Decay = "constant" // stays at the peak
	Cooldown    Decay = "cooldown" // stays at the peak, and falls at the end (Hägele et al., arXiv 2405.18392)
	InverseSqrt Decay = "sqrt"     // inverse square root of the clock (Vaswani et al., arXiv 1706.03762, section 5.3)
)

// Decays lists them.
func Decays() []Decay { return []Decay{Cosine, Linear, Constant, Cooldown, InverseSqrt} }

// A Fall is the form of a cooldown. x is how much of it has passed, 0 to 1.
type Fall string

// The falls.
const (
	OneMinusSqrt Fall = "1-sqrt" // 1 - sqrt(x): arXiv 2405.18392, section 3, where it ends lower than a line
	Line         Fall = "linear" // 1 - x
)

// A Schedule gives the learning rate at a position of a clock: a linear warmup to
// the peak, then the decay to the minimum at Total. On the clock of layer-tokens
// this is the LayerToken schedule of random-LTD (arXiv 2211.11586, section 3.3):
// steps that drop tokens advance it less.
type Schedule struct {
	Peak, Min float64 // Min is where Cosine, Linear and Cooldown end, and what InverseSqrt does not fall below
	Warmup    float64 // clock position at which the peak is reached; InverseSqrt needs one
	Total     float64 // clock position at which the run ends
	Decay     Decay
	Cooldown  float64 // of Cooldown: how far before Total the fall begins
	Fall      Fall    // of Cooldown; empty: OneMinusSqrt
}

// Validate reports an impossible schedule.
func (s Schedule) Validate() error {
	switch {
	case !(s.Peak > 0) || math.IsInf(float64(float32(s.Peak)), 0):
		return fault.Invalidf("optimizer: rate is %v; it must be positive and finite as a float32", s.Peak)
	case !(s.Min >= 0 && s.Min <= s.Peak):
		return fault.Invalidf("optimizer: min_rate is %v; it must lie between 0 and the rate, %v", s.Min, s.Peak)
	case !(s.Warmup >= 0 && s.Warmup <= s.Total):
		return fault.Invalidf("optimizer: warmup is %v; it must lie between 0 and the budget, %v", s.Warmup, s.Total)
	case !slices.Contains(Decays(), s.Decay):
		return fault.Invalidf("optimizer: unknown decay %q; there are %q", s.Decay, Decays())
	case s.Decay == InverseSqrt && s.Warmup == 0:
		return fault.Invalidf("optimizer: the decay sqrt has no warmup, at whose end the rate is at its peak; give one")
	case s.Decay != Cooldown && (s.Cooldown != 0 || s.Fall != ""):
		return fault.Invalidf("optimizer: cooldown and fall go with the decay cooldown, not with %s", s.Decay)
	case s.Decay == Cooldown && !(s.Cooldown > 0 && s.Cooldown <= s.Total-s.Warmup):
		return fault.Invalidf("optimizer: cooldown is %v; it must be positive and fit between warmup and end, which are %v apart", s.Cooldown, s.Total-s.Warmup)
	case s.Fall != "" && s.Fall != OneMinusSqrt && s.Fall != Line:
		return fault.Invalidf("optimizer: unknown fall %q; there are %s and %s", s.Fall, OneMinusSqrt, Line)
	}
	return nil
}

// At returns the rate of the step that ends at a clock position, so that the
// first step moves and the last one moves at the minimum.
func (s Schedule) At(clock float64) float64 {
	if clock < s.Warmup {
		return s.Peak * clock / s.Warmup
	}
	begin := s.Warmup // of the fall
	switch {
	case s.Decay == Constant || s.Decay != InverseSqrt && s.Warmup == s.Total:
		return s.Peak
	case s.Decay == InverseSqrt:
		return max(s.Peak*math.Sqrt(s.Warmup/clock), s.Min)
	case s.Decay == Cooldown:
		if begin = s.Total - s.Cooldown; clock <= begin {
			return s.Peak
		}
	}
	share := min((clock-begin)/(s.Total-begin), 1)
	switch {
	case s.Decay == Cosine:
		share = (1 - math.Cos(math.Pi*share)) / 2
	case s.Decay == Cooldown && s.Fall != Line:
		share = math.Sqrt(share)
	}
	return s.Peak + float64(share*(s.Min-s.Peak))
}

// scaled returns a learning rate times the factor of a step; a nil factor is 1.
func scaled(rate float64, factor func(step int64) float64, step int64) (float64, error) {
	if factor == nil {
		return rate, nil
	}
	f := factor(step)
	if !(f > 0) || math.IsInf(f, 1) {
		return 0, fault.Invalidf("train: the rate factor of step %d is %v; it must be positive and finite", step, f)
	}
	return rate * f, nil
}

// String describes the schedule.
func (s Schedule) String() string {
	text := fmt.Sprintf("%g, warmup %g, %s to %g", s.Peak, s.Warmup, s.Decay, s.Min)
	if s.Decay == Cooldown {
		text += fmt.Sprintf(" over the last %g (%s)", s.Cooldown, cmp.Or(s.Fall, OneMinusSqrt))
	}
	return text
}
