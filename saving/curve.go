package saving

import (
	"math"
	"slices"
)

// slack is how far beyond a curve's end an amount may lie, as a share, and still count
// as the end: a run ends with the step that fills its budget, so amounts that are meant
// to be equal differ by a part of a step. At a slope of 0.3 nats for e times the amount
// this moves a loss by 0.0006.
const slack = 0.002

// point is an amount of a clock and the loss that it led to.
type point struct{ amount, loss float64 }

// curve is the loss against the logarithm of the amount: never rising, and cubic from
// one point to the next.
type curve struct{ x, y, slope []float64 }

// newCurve returns the curve through points, of which none is needed in order. Points of
// one amount count as their mean. Amounts are above zero, losses finite.
func newCurve(points []point) curve {
	points = slices.Clone(points)
	slices.SortFunc(points, func(a, b point) int {
		switch {
		case a.amount < b.amount:
			return -1
		case a.amount > b.amount:
			return 1
		}
		return 0
	})
	var c curve
	var weight []float64
	for _, p := range points {
		x := math.Log(p.amount)
		if n := len(c.x); n > 0 && x-c.x[n-1] < 1e-9 {
			c.y[n-1] += (p.loss - c.y[n-1]) / (weight[n-1] + 1)
			weight[n-1]++
			continue
		}
		c.x, c.y, weight = append(c.x, x), append(c.y, p.loss), append(weight, 1)
	}
	c.y = falling(c.y, weight)
	c.slope = slopes(c.x, c.y)
	return c
}

// bent adds points between two, on the way of another curve: a straight line between two
// budgets lies above the true curve, while the difference of two arms' curves is nearly
// straight. Where the other curve does not reach both, nothing is added.
func bent(two []point, other curve) []point {
	a, b := two[0], two[1]
	from, known := other.at(a.amount)
	to, alsoKnown := other.at(b.amount)
	if !known || !alsoKnown || len(other.x) < 3 {
		return two
	}
	const parts = 8
	x, width := math.Log(a.amount), math.Log(b.amount/a.amount)
	all := []point{a, b}
	for i := 1; i < parts; i++ {
		t := float64(i) / parts
		apart := (1-t)*(a.loss-from) + t*(b.loss-to)
		all = append(all, point{math.Exp(x + t*width), other.atLog(x+t*width) + apart})
	}
	return all
}

// falling returns the values that never rise and lie nearest to y in the sum of
// weighted squares: wherever neighbours rise, both become their mean (pool adjacent
// violators; Ayer, Brunk, Ewing, Reid and Silverman, "An empirical distribution function
// for sampling with incomplete information", 1955).
func falling(y, weight []float64) []float64 {
	type block struct {
		mean, weight float64
		size         int
	}
	var blocks []block
	for i := range y {
		b := block{y[i], weight[i], 1}
		for n := len(blocks); n > 0 && blocks[n-1].mean < b.mean; n = len(blocks) {
			last := blocks[n-1]
			w := last.weight + b.weight
			b = block{(last.mean*last.weight + b.mean*b.weight) / w, w, last.size + b.size}
			blocks = blocks[:n-1]
		}
		blocks = append(blocks, b)
	}
	level := make([]float64, 0, len(y))
	for _, b := range blocks {
		for range b.size {
			level = append(level, b.mean)
		}
	}
	return level
}

// slopes are the derivatives of the monotone piecewise cubic through (x, y): at an inner
// point the weighted harmonic mean of the slopes beside it (Fritsch and Butland, "A method
// for constructing local monotone piecewise cubic interpolants", 1984), at an end that of
// the parabola through the last three points, as far as the curve stays monotone.
func slopes(x, y []float64) []float64 {
	n := len(x)
	d := make([]float64, n)
	if n < 2 {
		return d
	}
	h, chord := make([]float64, n-1), make([]float64, n-1)
	for i := range h {
		h[i] = x[i+1] - x[i]
		chord[i] = (y[i+1] - y[i]) / h[i]
	}
	if n == 2 {
		d[0], d[1] = chord[0], chord[0]
		return d
	}
	for i := 1; i < n-1; i++ {
		if chord[i-1]*chord[i] > 0 {
			before, after := 2*h[i]+h[i-1], h[i]+2*h[i-1]
			d[i] = (before + after) / (before/chord[i-1] + after/chord[i])
		}
	}
	d[0] = endSlope(h[0], h[1], chord[0], chord[1])
	d[n-1] = endSlope(h[n-2], h[n-3], chord[n-2], chord[n-3])
	return d
}

// endSlope is the slope at an end: h and chord are the width and the slope of the
// interval at the end, then those of the next.
func endSlope(h, hNext, chord, chordNext float64) float64 {
	d := ((2*h+hNext)*chord - h*chordNext) / (h + hNext)
	if d*chord <= 0 {
		return 0
	}
	return d // of the chord's sign, both of which never rise: at most twice the chord
}

// at is the loss at an amount; known is false where the curve does not reach.
func (c curve) at(amount float64) (loss float64, known bool) {
	x := math.Log(amount)
	if len(c.x) == 0 || x < c.x[0]-slack || x > c.x[len(c.x)-1]+slack {
		return 0, false
	}
	return c.atLog(x), true
}

// atLog is the loss at the logarithm of an amount; beyond an end, that of the end.
func (c curve) atLog(x float64) float64 {
	n := len(c.x)
	if x <= c.x[0] {
		return c.y[0]
	}
	if x >= c.x[n-1] {
		return c.y[n-1]
	}
	i, _ := slices.BinarySearch(c.x, x)
	if c.x[i] == x {
		return c.y[i]
	}
	i--
	// Hermite's cubic.
	h := c.x[i+1] - c.x[i]
	t := (x - c.x[i]) / h
	rise := c.y[i+1] - c.y[i]
	a := h*c.slope[i] - rise
	b := rise - h*c.slope[i+1]
	y := c.y[i] + t*(rise+(1-t)*(a*(1-t)+b*t))
	return min(max(y, c.y[i+1]), c.y[i]) // rounding must not make it rise
}
