// Package chart draws line, band, bar, dot and forest charts as SVG: files that stand on
// their own, and the same drawings for the inside of a page that decides their colours.
//
// A [Chart] has some [Line]s, [Band]s, [Bar]s and [Dot]s in one frame; a [Sheet] is several charts
// in one file; a [Forest] has an interval a row. The bytes depend on the fields only.
// A chart is drawn 440 wide with letters of 13, in units of the SVG, which scales to
// any width: on a laptop two charts stand side by side at about 1.1 times that,
// on a phone of 390 pixels one is scaled by 0.8.
package chart

import "math"

// Chart is one drawing.
type Chart struct {
	Title  string  // "Held-out loss against tokens"
	Unit   string  // of what is drawn upwards: "nats a token"
	XLabel string  // "tokens (millions)"
	XScale float64 // what one unit of the label is: 1e6
	XMin   float64 // where the horizontal axis begins
	XMax   float64 // where it ends
	XLog   bool    // it is logarithmic, if both ends are within 1e-100 and 1e100
	Y      Range
	Bars   []Bar // behind the lines
	Bands  []Band
	Lines  []Line
	Dots   []Dot  // above all else
	Level  *Level // a dashed line across, if any
}

// Bar is an upright bar from zero to a height, over [From, To] of the horizontal
// axis.
type Bar struct{ From, To, Height float64 }

// Range is what of the vertical axis is drawn; lines leave the frame beyond it.
type Range struct{ Low, High float64 }

// Line is a curve. Its place decides how it looks: place 0 is the one to
// compare with, broad and grey, and lies below the others.
type Line struct {
	Name  string // for the legend; a line without a name stands in none
	Place int
	Curve []Point // a point whose Y is not Finite is a gap
	Mark  *Point  // a dot on it, if any
}

// Point is a point in the units of the axes; X does not fall along a curve.
type Point struct{ X, Y float64 }

// Level is a height worth a line across the chart.
type Level struct {
	Y     float64
	Label string
}

// Finite tells whether a value can be drawn. The bound keeps differences and
// ratios of what is drawn finite too.
func Finite(f float64) bool { return math.Abs(f) < 1e300 }

// Around is the range from low to high, widened by a share of itself on both
// sides. A range too narrow to label becomes one that can be drawn.
func Around(low, high, share float64) Range {
	size := max(math.Abs(low), math.Abs(high))
	if high-low < max(1e-9*size, 1e-30) {
		half := max(size/2, 0.5)
		return Range{low - half, low + half}
	}
	pad := share * (high - low)
	return Range{low - pad, high + pad}
}
