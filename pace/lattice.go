package pace

import "math"

// A lattice is the multiples of a step: lattice point k is k*step. A step that is
// a short decimal has the multiples one would write: 3 times 0.05 is 0.15, not
// 0.15000000000000002.
type lattice struct {
	step float64
	// step = numerator/denominator, both whole for a short decimal. Then at
	// rounds once, in the division, and gives the float64 nearest to the decimal.
	numerator, denominator float64
}

func newLattice(step float64) lattice {
	for d := 1.0; d <= 1e9; d *= 10 {
		if n := math.Round(step * d); n < 1<<53 && n/d == step {
			return lattice{step, n, d}
		}
	}
	return lattice{step, step, 1}
}

// at returns lattice point k; it rises with k while k is below 2^52.
func (l *lattice) at(k float64) float64 { return float64(k*l.numerator) / l.denominator }

// floor returns the number of the last point that is at most v.
func (l *lattice) floor(v float64) float64 {
	k := math.Floor(v / l.step) // the division rounds: k may be one off
	switch {
	case l.at(k) > v:
		k--
	case l.at(k+1) <= v:
		k++
	}
	return k
}

// ceil returns the number of the first point that is at least v.
func (l *lattice) ceil(v float64) float64 {
	k := math.Ceil(v / l.step)
	switch {
	case l.at(k) < v:
		k++
	case l.at(k-1) >= v:
		k--
	}
	return k
}
