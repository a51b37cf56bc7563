package pace

import (
	"math"

	"github.com/gradus-ml/gradus/internal/fault"
)

// Rounding says what happens where From is no multiple of Step.
type Rounding string

const (
	// RoundUp starts at the first multiple of Step that is at least From. It is
	// the default.
	RoundUp Rounding = "up"
	// RoundDown starts at the last multiple that is at most From, as DeepSpeed
	// before its correction (pull request 8334) does: from 8 by 16 starts at 0.
	RoundDown Rounding = "down"
)

// A Ramp is what all paces that go from one value to another have in common; the
// kind says along which curve.
//
// The value is the curve's, rounded down to a multiple of Step, but never below
// the first multiple that is at least From, and never above To. So To itself
// holds from Until on, whether it is a multiple or not.
//
// From may be above To. Such a pace is the mirror image of one that rises:
// rounded up to a multiple of Step, never above the last multiple that is at most
// From, never below To. It may pace a length or a weight, but admits no samples.
//
// Clock positions count from 0, the start of the run. The original's curricula
// count steps from 1: for the same values begin at -1, and end at Until-1.
type Ramp struct {
	From, To float64  // not negative
	Step     float64  // quantum of the value: 8 tokens, 1 per cent, 0.05; 0: the value is not rounded and never stops changing
	Begin    float64  // clock position at which the value leaves From; before it, it stays there
	Until    float64  // clock position at which the value reaches To
	Every    float64  // the value only changes at multiples of this clock position; 0: at any
	Round    Rounding // empty: RoundUp
}

// NewLinear returns the pace From + (To-From)*x with
// x = (clock-Begin)/(Until-Begin): root's with degree 1, which may also fall.
//
// Where To is no multiple of Step, the pace keeps its slope past Until and ends
// at To on the first multiple beyond it, as the original does: a length that
// grows from 32 to 197 by 8 until 3910 is 192 there and 197 from 3982 on.
func NewLinear(r Ramp) (Stepped, error) {
	return r.build(straight, true, isWhole(r.Step))
}

// NewCosine returns the pace From + (To-From)*(1-cos(pi*x))/2 with
// x = (clock-Begin)/(Until-Begin): slow at both ends.
func NewCosine(r Ramp) (Stepped, error) { return r.build(cosineCurve, false, false) }

// NewSigmoid returns the logistic pace: From + (To-From)*s(x) with
// x = (clock-Begin)/(Until-Begin) and s(x) the logistic function of
// steepness*(x-1/2), stretched so that s(0) = 0 and s(1) = 1. Near 0 it is
// linear; at 10, 86% of the way lie in the middle half of the time.
func NewSigmoid(r Ramp, steepness float64) (Stepped, error) {
	if !isFinite(steepness) || steepness < minSteepness {
		return nil, fault.Invalidf("steepness is %v; it must be at least %v (10 is usual; a linear pace has none)", steepness, minSteepness)
	}
	return r.build(sigmoidCurve(steepness), false, false)
}

// minSteepness keeps the sigmoid's stretching from dividing nothing by nothing.
const minSteepness = 1e-3

// NewExponential returns the pace From*(To/From)^x with
// x = (clock-Begin)/(Until-Begin): it grows, or falls, by the same factor in the
// same time. Both ends must be positive.
func NewExponential(r Ramp) (Stepped, error) {
	for _, end := range []struct {
		name  string
		value float64
	}{{"from", r.From}, {"to", r.To}} {
		if !(end.value > 0) {
			return nil, fault.Invalidf("%s is %v; an exponential pace multiplies, so it must be positive (a linear pace may start or end at 0)", end.name, end.value)
		}
	}
	if r.From == r.To {
		return NewLinear(r)
	}
	log := math.Log(r.To) - math.Log(r.From)
	if math.Abs(log) > 700 { // exp would be infinite
		return nil, fault.Invalidf("from (%v) and to (%v) are more than a factor of 1e300 apart; bring them nearer", r.From, r.To)
	}
	return r.build(growthCurve(log), false, false)
}

// NewCurve returns the pace From + (To-From)*curve(x) with
// x = (clock-Begin)/(Until-Begin), for a curve of one's own.
func NewCurve(r Ramp, curve Curve) (Stepped, error) { return r.build(curve, false, false) }

// build returns the pace along a curve; onward and exact are newStairs's.
func (r Ramp) build(curve Curve, onward, exact bool) (Stepped, error) {
	if err := r.validate(); err != nil {
		return nil, err
	}
	w := way{r.Begin, r.Until}
	if r.Step == 0 {
		return hold(&slope{w, curve, r.From, r.To}, r.Every), nil
	}
	s := newStairs(newLevels(r.From, r.To, r.Step, r.Round), curve, onward, exact)
	if s.far > latest {
		return nil, fault.Invalidf("to (%v) is no multiple of step (%v), and the pace would get there more than %d times later than until (%v); lower step",
			r.To, r.Step, latest, r.Until)
	}
	return hold(&ramp{w, s}, r.Every), nil
}

// finest is the most levels a pace may have between 0 and its larger end, and
// the most multiples of Every between 0 and its end. With fewer, a level is
// told from the next in spite of the last bits.
const finest = 1 << 32

// latest is how many times later than Until a pace may reach To, if To is no
// multiple of Step.
const latest = 1 << 20

func (r Ramp) validate() error {
	for _, f := range []struct {
		name  string
		value float64
	}{{"from", r.From}, {"to", r.To}, {"step", r.Step}, {"begin", r.Begin}, {"until", r.Until}, {"every", r.Every}} {
		if !isFinite(f.value) {
			return fault.Invalidf("%s is %v; it must be a finite number", f.name, f.value)
		}
	}
	most := max(r.From, r.To)
	switch {
	case r.From < 0:
		return fault.Invalidf("from is %v; it must not be negative", r.From)
	case r.To < 0:
		return fault.Invalidf("to is %v; it must not be negative", r.To)
	case r.Step < 0:
		return fault.Invalidf("step is %v; it must be positive (1 gives whole numbers)", r.Step)
	case r.Step > 0 && most/r.Step > finest:
		return fault.Invalidf("step is %v, and %v takes more than %d of it; raise it", r.Step, most, int64(finest))
	case r.Until <= r.Begin && r.Begin == 0:
		return fault.Invalidf("until is %v; it must be positive: the clock position at which the pace reaches %v", r.Until, r.To)
	case r.Until <= r.Begin:
		return fault.Invalidf("until (%v) does not come after begin (%v); it is the clock position at which the pace reaches %v", r.Until, r.Begin, r.To)
	case math.IsInf(r.Until-r.Begin, 1):
		return fault.Invalidf("begin (%v) and until (%v) are too far apart to count", r.Begin, r.Until)
	case r.Every < 0:
		return fault.Invalidf("every is %v; it must be positive, or left out", r.Every)
	case r.Every > 0 && max(r.Until, -r.Begin)/r.Every > finest:
		return fault.Invalidf("every is %v, more than %d times in a run; raise it, or leave it out", r.Every, int64(finest))
	}
	switch r.Round {
	case "", RoundUp:
	case RoundDown:
		switch {
		case r.From > r.To:
			return fault.Invalidf("round is %s, and the pace falls; that rounding is for paces that rise, so leave it out", r.Round)
		case r.Step == 0:
			return fault.Invalidf("round is %s, and step is 0: nothing is rounded; leave one of them out", r.Round)
		}
	default:
		return fault.Invalidf("round is %q; there are %s and %s", r.Round, RoundUp, RoundDown)
	}
	return nil
}

func isFinite(v float64) bool { return !math.IsNaN(v) && !math.IsInf(v, 0) }
func isWhole(v float64) bool  { return v == math.Trunc(v) }

// A ramp is a pace that climbs stairs on its way.
type ramp struct {
	way
	*stairs
}

func (r *ramp) At(clock float64) float64 { return r.value(r.level(r.share(clock))) }

func (r *ramp) Next(clock float64) float64 {
	share := r.next(r.share(clock))
	if math.IsInf(share, 1) {
		return share
	}
	return r.clock(share, clock)
}

// A slope is a ramp without steps.
type slope struct {
	way
	curve    Curve
	from, to float64
}

func (s *slope) At(clock float64) float64 {
	share := s.share(clock)
	switch {
	case share <= 0:
		return s.from
	case share >= 1:
		return s.to
	}
	v := float64(s.curve(share)*(s.to-s.from)) + s.from
	return min(max(v, min(s.from, s.to)), max(s.from, s.to))
}

func (s *slope) Next(clock float64) float64 {
	now := s.At(clock)
	if now == s.to {
		return math.Inf(1)
	}
	return first(clock, s.until, func(x float64) bool { return s.At(x) != now })
}
