package train

import (
	"fmt"
	"math"

	"github.com/gradus-ml/gradus/internal/fault"
)

// A Decay is how the learning rate falls from its peak to its minimum.
type Decay string

// The decays.
const (
	Cosine   Decay = "cosine" // Loshchilov and Hutter, arXiv 1608.03983, without restarts
	Linear   Decay = "linear"
	Constant Decay = "constant" // stays at the peak
)

// A Schedule gives the learning rate at a position of the run's clock: a linear
// warmup to the peak, then the decay to the minimum at Total. On the clock of
// layer-tokens this is the LayerToken schedule of random-LTD (arXiv 2211.11586,
// section 3.3): steps that drop tokens advance it less.
type Schedule struct {
	Peak, Min float64
	Warmup    float64 // clock position at which the peak is reached
	Total     float64 // clock position at which Min is reached: the budget
	Decay     Decay
}

// Validate reports an impossible schedule.
func (s Schedule) Validate() error {
	switch {
	case !(s.Peak > 0) || math.IsInf(s.Peak, 0):
		return fault.Invalidf("optimizer: rate is %v; it must be positive and finite", s.Peak)
	case !(s.Min >= 0 && s.Min <= s.Peak):
		return fault.Invalidf("optimizer: min_rate is %v; it must lie between 0 and the rate, %v", s.Min, s.Peak)
	case !(s.Warmup >= 0 && s.Warmup <= s.Total):
		return fault.Invalidf("optimizer: warmup is %v; it must lie between 0 and the budget, %v", s.Warmup, s.Total)
	case s.Decay != Cosine && s.Decay != Linear && s.Decay != Constant:
		return fault.Invalidf("optimizer: unknown decay %q; there are cosine, linear and constant", s.Decay)
	}
	return nil
}

// At returns the rate of the step that ends at a clock position, so that the
// first step moves and the last one moves at the minimum.
func (s Schedule) At(clock float64) float64 {
	if clock < s.Warmup {
		return s.Peak * clock / s.Warmup
	}
	if s.Decay == Constant || s.Warmup == s.Total {
		return s.Peak
	}
	share := min((clock-s.Warmup)/(s.Total-s.Warmup), 1)
	if s.Decay == Cosine {
		share = (1 - math.Cos(math.Pi*share)) / 2
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
	return fmt.Sprintf("%g, warmup %g, %s to %g", s.Peak, s.Warmup, s.Decay, s.Min)
}
