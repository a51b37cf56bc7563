package pace

import (
	"math"

	"github.com/gradus-ml/gradus/internal/fault"
)

// A Stage is a stretch of the clock in which a pace has one value.
type Stage struct {
	From  float64 // clock position from which on the value holds, until the next stage
	Value float64
}

// mostTries is how often Stages asks a pace. A pace that is not Stepped is asked
// at every whole position.
const mostTries = 100_000_000

// Stages returns the stages of a pace in [0, end), at most so many; the first
// begins at 0. A pace that is not Stepped is tried at 0, 1, 2, ..., which is
// exact for a clock that counts steps.
//
// A pace that changes more often, a Next that stands still, and a value that is
// no number are errors of kind fault.Invalid.
func Stages(p Pace, end float64, most int) ([]Stage, error) {
	next := func(clock float64) float64 { return clock + 1 }
	if s, ok := p.(Stepped); ok {
		next = s.Next
	} else if end > mostTries {
		return nil, fault.Invalidf("the pace does not know where its value changes, and to try %v clock positions takes too long: "+
			"give it a Next method (pace.Stepped), or let it count steps", end)
	}
	var stages []Stage
	clock := 0.0
	for range mostTries {
		if !(clock < end) {
			return stages, nil
		}
		value := p.At(clock)
		switch n := len(stages); {
		case math.IsNaN(value):
			return nil, fault.Invalidf("the pace is not a number at clock position %v", clock)
		case n > 0 && stages[n-1].Value == value:
		case n >= most:
			return nil, fault.Invalidf("the pace takes more than %d values before clock position %v (it is at %v by %v); "+
				"raise its step (with step 0 the value never stops changing), or set 'every'", most, end, value, clock)
		default:
			stages = append(stages, Stage{clock, value})
		}
		after := next(clock)
		if !(after > clock) {
			return nil, fault.Invalidf("the pace's Next(%v) is %v, which does not come after it", clock, after)
		}
		clock = after
	}
	return nil, fault.Invalidf("the pace was asked %d times and came to clock position %v of %v; its Next goes on too slowly", mostTries, clock, end)
}
