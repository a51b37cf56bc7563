package saving

import (
	"math"
	"slices"
)

// An Estimate is a saving: how many times as much the other arm needs for the same loss.
type Estimate struct {
	Factor   float64   `json:"factor"`          // 2: half as much; with a Bound the most, or the least, that could be tested
	Bound    Bound     `json:"bound,omitempty"` // the factor lies beyond what could be tested
	Interval *Interval `json:"interval"`        // nil with one seed
	// Never: the one that was to reach the loss did not with its largest budget, and by
	// more than chance. Of a saving that is the baseline; of the reverse it is the arm.
	Never bool `json:"never_reached,omitempty"`
	Seeds int  `json:"seeds"`
}

// A Bound says on which side of Factor the estimate lies.
type Bound string

// The bounds. An estimate within what could be tested has none.
const (
	AtLeast Bound = "at least"
	AtMost  Bound = "at most"
)

// pair is one seed: the curve that is to reach a loss, and for which amount the loss was
// had.
type pair struct {
	curve     curve
	log, loss float64 // the logarithm of the amount
}

// estimate inverts the paired t-test on d_i(s) = curve_i(s amount_i) - loss_i, see the
// package comment. It is nil where no factor is within the curves of all pairs.
func estimate(pairs []pair, confidence float64) *Estimate {
	d, ok := differences(pairs, confidence)
	if !ok {
		return nil
	}
	e := &Estimate{Seeds: len(pairs)}
	lowest, _ := d.test(d.from)
	highest, _ := d.test(d.to)
	grid := make([]float64, 0, cells+2)
	for i := range cells + 1 {
		grid = append(grid, d.from+(d.to-d.from)*float64(i)/cells)
	}
	root := math.NaN()
	switch {
	case highest > 0: // even there the curves lie above the loss
		e.Factor, e.Bound = math.Exp(d.to), AtLeast
	case lowest < 0:
		e.Factor, e.Bound = math.Exp(d.from), AtMost
	default:
		root = bisect(d.from, d.to, func(u float64) bool { mean, _ := d.test(u); return mean > 0 })
		e.Factor = math.Exp(root)
		at, _ := slices.BinarySearch(grid, root)
		grid = slices.Insert(grid, at, root)
	}
	e.Factor = tidy(e.Factor)
	if len(pairs) > 1 {
		e.Interval = d.interval(grid, root, e.Bound)
		_, accepted := d.test(d.to)
		e.Never = e.Bound == AtLeast && !accepted
	}
	return e
}

// cells is how many parts of the testable range are looked through for the ends of an
// interval; between two of them, the ends are bisected.
const cells = 100

// inversion is a test of factors, by their logarithms, between from and to.
type inversion struct {
	pairs    []pair
	from, to float64
	critical float64
}

func differences(pairs []pair, confidence float64) (d inversion, ok bool) {
	// A factor beyond 1e12 compares no two measurements.
	d = inversion{pairs: pairs, from: math.Log(1e-12), to: math.Log(1e12)}
	for _, p := range pairs {
		n := len(p.curve.x)
		if n == 0 || math.IsInf(p.log, 0) {
			return d, false
		}
		d.from = max(d.from, p.curve.x[0]-p.log)
		d.to = min(d.to, p.curve.x[n-1]-p.log)
	}
	if len(pairs) > 1 {
		d.critical = critical(len(pairs)-1, confidence)
	}
	return d, len(pairs) > 0 && d.from < d.to
}

// test is the mean difference at the factor e^u, which never rises with u, and whether
// the t-test accepts it as zero.
func (d inversion) test(u float64) (mean float64, accepted bool) {
	var room [16]float64
	values := room[:0]
	for _, p := range d.pairs {
		values = append(values, p.curve.atLog(p.log+u)-p.loss)
	}
	mean, sd := moments(values)
	return mean, math.Abs(mean) <= d.critical*sd/math.Sqrt(float64(len(values)))
}

// interval is the smallest that holds every accepted factor. The estimate's, root, is one
// of them; root is NaN where the estimate lies beyond the grid, on the side that bound says.
func (d inversion) interval(grid []float64, root float64, bound Bound) *Interval {
	accepted := func(u float64) bool { _, yes := d.test(u); return yes || u == root }
	first, last := -1, -1
	for i, u := range grid {
		if accepted(u) {
			if first < 0 {
				first = i
			}
			last = i
		}
	}
	if first < 0 { // all are too low, or all too high
		if bound == AtLeast {
			return &Interval{Low: new(tidy(math.Exp(d.to)))}
		}
		return &Interval{High: new(tidy(math.Exp(d.from)))}
	}
	i := &Interval{}
	if first > 0 && bound != AtMost {
		u := bisect(grid[first-1], grid[first], func(u float64) bool { return !accepted(u) })
		i.Low = new(tidy(math.Exp(u)))
	}
	if last < len(grid)-1 && bound != AtLeast {
		u := bisect(grid[last], grid[last+1], accepted)
		i.High = new(tidy(math.Exp(u)))
	}
	return i
}

// bisect returns the place between from, where before holds, and to, where it does not, at
// which that changes. Where it already does not hold at from, that is the place.
func bisect(from, to float64, before func(float64) bool) float64 {
	if !before(from) {
		return from
	}
	for range 50 {
		middle := from + (to-from)/2
		if before(middle) {
			from = middle
		} else {
			to = middle
		}
	}
	return to
}

// turned is the estimate of a share of an amount as that of a saving: half is twice.
func (e *Estimate) turned() *Estimate {
	if e == nil {
		return nil
	}
	inverse := func(v *float64) *float64 {
		if v == nil {
			return nil
		}
		return new(tidy(1 / *v))
	}
	t := &Estimate{Factor: tidy(1 / e.Factor), Seeds: e.Seeds, Never: e.Never}
	switch e.Bound {
	case AtLeast:
		t.Bound = AtMost
	case AtMost:
		t.Bound = AtLeast
	}
	if e.Interval != nil {
		t.Interval = &Interval{Low: inverse(e.Interval.High), High: inverse(e.Interval.Low)}
	}
	return t
}
