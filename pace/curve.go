package pace

import "math"

// A Curve is the shape of the way from one value to another: the share of the
// values passed as a function of the share of the time passed. It is 0 at 0, 1 at
// 1, and never falls between. It is asked about shares in (0, 1) only.
type Curve func(share float64) float64

func straight(share float64) float64 { return share }

// rootCurve is share^(1/degree).
func rootCurve(degree float64) Curve {
	if degree == 1 {
		return straight
	}
	exponent := 1 / degree
	return func(share float64) float64 { return math.Pow(share, exponent) }
}

// cosineCurve is (1-cos(pi*share))/2, written so that it loses no digits near 0.
func cosineCurve(share float64) float64 {
	s := math.Sin(math.Pi / 2 * share)
	return s * s
}

// sigmoidCurve is the logistic curve 1/(1+exp(-steepness*(share-1/2))), stretched
// so that it is 0 at 0 and 1 at 1. The logistic function is tanh of half its
// argument, moved up and halved.
func sigmoidCurve(steepness float64) Curve {
	full := 2 * math.Tanh(steepness/4)
	return func(share float64) float64 {
		return 0.5 + math.Tanh(steepness/2*(share-0.5))/full
	}
}

// growthCurve is (ratio^share-1)/(ratio-1), given the ratio's logarithm: between
// from and to = ratio*from it makes from*ratio^share.
func growthCurve(log float64) Curve {
	full := math.Expm1(log)
	return func(share float64) float64 { return math.Expm1(log*share) / full }
}
