package pace

import "github.com/gradus-ml/gradus/internal/fault"

// Root is the pace
//
//	v(x) = From + (To-From) * x^(1/Degree),  x = (clock-Begin)/(Until-Begin)
//
// rounded down to a multiple of Step, but never below the first multiple of
// Step that is at least From, and never above To. Degree 1 is the linear pace;
// a larger degree leaves the easy values sooner. Degree 2 is the competence of
// arXiv 1903.09848, section 3.2.
//
// Where To is no multiple of Step, the pace keeps its slope past Until and ends
// at To on the first multiple beyond it, as the original does: a length that
// grows from 32 to 197 by 8 until 3910 is 192 there and 197 from 3982 on.
type Root struct {
	From, To float64
	Step     float64  // quantum of the value: 8 tokens, 1 per cent
	Begin    float64  // clock position at which the value leaves From
	Until    float64  // clock position at which the value reaches To
	Every    float64  // the value only changes at multiples of it; 0: at any position
	Degree   float64  // 1 linear, 2 square root, ...
	Round    Rounding // empty: RoundUp
}

// NewRoot returns the pace, or an error that says which field is impossible.
func NewRoot(r Root) (Stepped, error) {
	switch {
	case !isFinite(r.Degree) || r.Degree < 1:
		return nil, fault.Invalidf("degree is %v; it must be at least 1 (1 is linear, 2 the square root)", r.Degree)
	case r.From > r.To:
		return nil, fault.Invalidf("from (%v) is greater than to (%v); a root pace goes from easy to hard (a linear or cosine pace may fall)", r.From, r.To)
	case r.Step == 0:
		return nil, fault.Invalidf("step is 0; it must be positive (1 gives whole numbers)")
	}
	// x^(1/2) is a square root, which is rounded correctly, as a product is.
	exact := r.Degree <= 2 && isWhole(r.Degree) && isWhole(r.Step)
	ramp := Ramp{From: r.From, To: r.To, Step: r.Step, Begin: r.Begin, Until: r.Until, Every: r.Every, Round: r.Round}
	return ramp.build(rootCurve(r.Degree), true, exact)
}
