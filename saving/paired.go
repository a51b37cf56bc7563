package saving

import (
	"cmp"
	"math"
	"slices"

	"gonum.org/v1/gonum/mathext"
)

// An Interval holds a number with the confidence of the Result. A nil end is open:
// nothing that could be tested is too low, or too high.
type Interval struct {
	Low  *float64 `json:"low"`
	High *float64 `json:"high"`
}

// Holds tells whether v lies in the interval.
func (i Interval) Holds(v float64) bool {
	return (i.Low == nil || *i.Low <= v) && (i.High == nil || v <= *i.High)
}

// A Spread is the losses of some seeds.
type Spread struct {
	Mean float64 `json:"mean"`
	SD   float64 `json:"sd"` // with n-1 under the fraction; 0 for one seed
	Min  float64 `json:"min"`
	Max  float64 `json:"max"`
	N    int     `json:"n"`
}

// spread sums up values, of which there is at least one.
func spread(values []float64) Spread {
	mean, sd := moments(values)
	return Spread{Mean: tidy(mean), SD: tidy(sd), Min: slices.Min(values), Max: slices.Max(values), N: len(values)}
}

// moments are the mean and the standard deviation of at least one value.
func moments(values []float64) (mean, sd float64) {
	n := float64(len(values))
	for _, v := range values {
		mean += v
	}
	mean /= n
	if n < 2 {
		return mean, 0
	}
	var squares float64
	for _, v := range values {
		squares += (v - mean) * (v - mean)
	}
	return mean, math.Sqrt(squares / (n - 1))
}

// A Gain is how much lower than the baseline an arm ended, over paired seeds.
type Gain struct {
	Mean     float64   `json:"mean"` // of the baseline's loss less the arm's; above 0: the arm is better
	SD       float64   `json:"sd"`
	Interval *Interval `json:"interval"` // nil with one seed
	P        *float64  `json:"p"`        // of the two-sided paired t-test; nil with one seed
	Holm     *float64  `json:"p_holm"`   // corrected over all that is compared on the clock
	Seeds    int       `json:"seeds"`
}

// gain is the statistic of paired differences, of which there is at least one.
func gain(differences []float64, confidence float64) *Gain {
	n := len(differences)
	mean, sd := moments(differences)
	g := &Gain{Mean: tidy(mean), SD: tidy(sd), Seeds: n}
	if n < 2 {
		return g
	}
	half := critical(n-1, confidence) * sd / math.Sqrt(float64(n))
	g.Interval = &Interval{new(tidy(mean - half)), new(tidy(mean + half))}
	g.P = new(tidy(pValue(mean, sd, n)))
	return g
}

// pValue is the probability that Student's t of n differences is as far from zero as
// that of their mean, or farther, were their true mean zero:
// P(|T| >= t) = I_x(df/2, 1/2) with x = df / (df + t^2), df = n-1 and t = mean √n / sd
// (Abramowitz and Stegun 26.5.27).
func pValue(mean, sd float64, n int) float64 {
	if mean == 0 {
		return 1
	}
	df := float64(n - 1)
	t := mean / sd * math.Sqrt(float64(n)) // infinite where all differences are one
	return mathext.RegIncBeta(df/2, 0.5, 1/(1+t*t/df))
}

// critical is the t that Student's distribution with df degrees of freedom stays within,
// on both sides, with a probability of confidence: pValue turned round.
func critical(df int, confidence float64) float64 {
	x := mathext.InvRegIncBeta(float64(df)/2, 0.5, 1-confidence)
	return math.Sqrt(float64(df) * (1 - x) / x)
}

// holm corrects p-values that are looked at together (Holm, "A simple sequentially
// rejective multiple test procedure", 1979): the k-th smallest of m, from 0, becomes the
// largest of (m-i) p_i for i up to k, and 1 at most. The order of p stays.
func holm(p []float64) []float64 {
	order := make([]int, len(p))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(p[a], p[b]) })
	corrected := make([]float64, len(p))
	var most float64
	for k, i := range order {
		most = min(1, max(most, float64(len(p)-k)*p[i]))
		corrected[i] = most
	}
	return corrected
}

// A Ratio is one mean divided by another, over paired seeds.
type Ratio struct {
	Share    float64  `json:"share"`
	Interval Interval `json:"interval"`
	Seeds    int      `json:"seeds"`
}

// fieller is mean(part) / mean(whole) of paired values with its interval: every r at
// which a paired t-test does not reject that mean(part - r whole) is zero (Fieller, "Some
// problems in interval estimation", 1954). It is nil where mean(whole) does not differ
// significantly from zero: then no r is too large.
func fieller(part, whole []float64, confidence float64) *Ratio {
	n := len(whole)
	if n < 2 {
		return nil
	}
	mp, sp := moments(part)
	mw, sw := moments(whole)
	var covariance float64
	for i := range part {
		covariance += (part[i] - mp) * (whole[i] - mw) / float64(n-1)
	}
	t := critical(n-1, confidence)
	k := t * t / float64(n)
	// The ends are the roots of a r^2 - 2 b r + c = 0.
	a, b, c := mw*mw-k*sw*sw, mp*mw-k*covariance, mp*mp-k*sp*sp
	if !(a > 0) {
		return nil
	}
	root := math.Sqrt(max(b*b-a*c, 0))
	low, high := (b-root)/a, (b+root)/a
	if !(math.Abs(low) < most && math.Abs(high) < most) { // whole is nothing but rounding
		return nil
	}
	return &Ratio{Share: tidy(mp / mw), Seeds: n, Interval: Interval{new(tidy(low)), new(tidy(high))}}
}

// tidy keeps nine digits: what is beyond depends on how a processor rounds, and no loss
// is as sure as that.
func tidy(v float64) float64 {
	if v == 0 || math.IsInf(v, 0) || math.IsNaN(v) {
		return v
	}
	scale := math.Pow(10, 8-math.Floor(math.Log10(math.Abs(v))))
	if !amount(scale) {
		return v
	}
	return math.Round(v*scale) / scale
}
