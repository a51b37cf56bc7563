package saving

import (
	"fmt"
	"math"
	"slices"

	"github.com/gradus-ml/gradus/internal/chart"
	"github.com/gradus-ml/gradus/internal/words"
)

// Figure is one drawing of a result.
type Figure struct {
	Name        string // for a file: "saving-tokens", "loss-tokens"
	Title, Unit string
	drawing     interface {
		SVG() []byte
		Inline() string
	}
}

// SVG is the figure as a file of its own.
func (f Figure) SVG() []byte { return f.drawing.SVG() }

// Figures draws a result: for each clock the savings with their intervals, then for each
// clock the baseline's curve with the arms' losses. A figure that would be empty is left
// out.
func Figures(r Result) []Figure {
	var savings, losses []Figure
	for _, clock := range r.Clocks {
		if f := r.forest(clock); slices.ContainsFunc(f.Rows, func(row chart.Factor) bool { return row.At > 0 }) {
			savings = append(savings, Figure{"saving-" + clock, f.Title, f.Unit, f})
		}
		if c := r.losses(clock); len(c.Dots) > 0 {
			losses = append(losses, Figure{"loss-" + clock, c.Title, c.Unit, c})
		}
	}
	return append(savings, losses...)
}

// forest draws what each arm at each budget saved on a clock.
func (r Result) forest(clock string) chart.Forest {
	f := chart.Forest{Title: "Saving in " + noun(clock), Unit: "what the baseline needs / what the arm consumed; right of 1x is less"}
	if p := r.Primary; p != nil && slices.Contains(p.Primary.Clocks, clock) {
		f.Aim = p.Aim
	}
	for i, a := range r.Arms[1:] {
		for _, b := range a.Budgets {
			row := chart.Factor{Name: a.Name + " at " + share(b.Budget), Place: i + 1, Value: "not to be told"}
			if on := b.On(clock); on != nil && on.Saving != nil {
				row = drawn(row, *on.Saving)
			}
			f.Rows = append(f.Rows, row)
		}
	}
	return f
}

// drawn fills in a row of a forest.
func drawn(row chart.Factor, e Estimate) chart.Factor {
	row.Value, row.At = e.String(), e.Factor
	switch e.Bound {
	case AtLeast:
		row.Beyond = 1
	case AtMost:
		row.Beyond = -1
	}
	if i := e.Interval; i != nil {
		row.Value += " (" + i.within() + ")"
		row.High = math.Inf(1)
		if i.Low != nil {
			row.Low = *i.Low
		}
		if i.High != nil {
			row.High = *i.High
		}
	}
	return row
}

// losses draws the final losses of all arms against a clock: a dot for the mean of the
// seeds of a budget, with a whisker from the lowest to the highest, and the curve through
// the baseline's.
func (r Result) losses(clock string) chart.Chart {
	k := words.ClockNamed(clock)
	c := chart.Chart{Title: "Final held-out loss against " + k.Noun, Unit: r.Unit + ", lower is better", XMin: math.Inf(1), XLog: true}
	low, high := math.Inf(1), math.Inf(-1)
	ceiling, above := r.ceiling(), 0
	for place, a := range r.Arms {
		line := chart.Line{Name: a.Name, Place: place}
		var points []point
		for _, b := range a.Budgets {
			on := b.On(clock)
			if on == nil {
				continue
			}
			points = append(points, point{on.Amount, b.Loss.Mean})
			c.Dots = append(c.Dots, chart.Dot{Place: place, At: chart.Point{X: on.Amount, Y: b.Loss.Mean}, Low: b.Loss.Min, High: b.Loss.Max})
			c.XMin, c.XMax = min(c.XMin, on.Amount), max(c.XMax, on.Amount)
			if b.Loss.Mean > ceiling {
				above++
				continue
			}
			low, high = min(low, b.Loss.Min), max(high, b.Loss.Max)
			if place == 0 && b.Budget == 1 {
				c.Level = &chart.Level{Y: b.Loss.Mean, Label: "baseline at 100 %"}
			}
		}
		if len(points) > 0 {
			line.Curve = newCurve(points).sampled(40)
			c.Lines = append(c.Lines, line)
		}
	}
	if len(c.Dots) == 0 {
		return c
	}
	slices.Reverse(c.Dots) // the baseline above all
	c.XMin, c.XMax = c.XMin/1.12, c.XMax*1.12
	c.XLabel, c.XScale = k.Axis(c.XMax)
	c.Y = chart.Around(low, high, 0.08)
	if above > 0 {
		c.Unit += fmt.Sprintf("; %s above the frame", plural(above, "dot"))
	}
	return c
}

// ceiling is the highest loss that is drawn: an arm that came out far above the baseline
// would press all others together.
func (r Result) ceiling() float64 {
	low, high := math.Inf(1), math.Inf(-1)
	for _, b := range r.Arms[0].Budgets {
		if b.Loss != nil {
			low, high = min(low, b.Loss.Min), max(high, b.Loss.Max)
		}
	}
	if high <= low { // one run, or none
		return math.Inf(1)
	}
	return high + (high - low)
}

// sampled is the curve at n+1 places, as far apart as the logarithms are.
func (c curve) sampled(n int) []chart.Point {
	first, last := c.x[0], c.x[len(c.x)-1]
	if first == last {
		return []chart.Point{{X: math.Exp(first), Y: c.y[0]}}
	}
	points := make([]chart.Point, n+1)
	for i := range points {
		x := first + (last-first)*float64(i)/float64(n)
		points[i] = chart.Point{X: math.Exp(x), Y: c.atLog(x)}
	}
	return points
}
