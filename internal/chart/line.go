package chart

import (
	"math"
	"slices"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// Plot draws the curve, for gonum/plot.
func (l Line) Plot(c draw.Canvas, p *plot.Plot) {
	trX, trY := p.Transforms(&c)
	// Far outside is as good as infinitely far, and keeps the clipping exact.
	reach := 10 * (p.Y.Max - p.Y.Min)
	var run []vg.Point
	flush := func() {
		if len(run) == 1 { // a lone value between gaps: a dot
			c.DrawGlyph(draw.GlyphStyle{Color: lineStyle(l.Place).Color, Radius: 2, Shape: draw.CircleGlyph{}}, run[0])
		} else if len(run) > 1 {
			c.StrokeLines(lineStyle(l.Place), c.ClipLinesXY(thin(run))...)
		}
		run = nil
	}
	for _, q := range l.Curve {
		if !Finite(q.Y) {
			flush()
			continue
		}
		y := min(max(q.Y, p.Y.Min-reach), p.Y.Max+reach)
		run = append(run, vg.Point{X: trX(q.X), Y: trY(y)})
	}
	flush()
}

// thin leaves out points that cannot be seen. Within a column of half a pixel
// the first, lowest, highest and last point draw the same as all (Jugel et al.,
// "M4", VLDB 2014, section 3); then points on a straight line go.
func thin(points []vg.Point) []vg.Point {
	var kept []vg.Point
	add := func(p vg.Point) {
		n := len(kept)
		if n > 0 && kept[n-1] == p {
			return
		}
		if n > 1 && straight(kept[n-2], kept[n-1], p) {
			kept[n-1] = p
			return
		}
		kept = append(kept, p)
	}
	for len(points) > 0 {
		n := 1
		for n < len(points) && math.Floor(float64(points[n].X)*2) == math.Floor(float64(points[0].X)*2) {
			n++
		}
		column := points[:n]
		low, high := 0, 0
		for i, p := range column {
			if p.Y < column[low].Y {
				low = i
			}
			if p.Y > column[high].Y {
				high = i
			}
		}
		for _, i := range slices.Compact([]int{0, min(low, high), max(low, high), n - 1}) {
			add(column[i])
		}
		points = points[n:]
	}
	return kept
}

// straight tells whether b lies between a and c on a horizontal or vertical
// line: what staircases are made of.
func straight(a, b, c vg.Point) bool {
	return a.Y == b.Y && b.Y == c.Y && a.X <= b.X && b.X <= c.X ||
		a.X == b.X && b.X == c.X && (a.Y <= b.Y && b.Y <= c.Y || a.Y >= b.Y && b.Y >= c.Y)
}

// mark is a dot on a line.
type mark struct {
	at    Point
	place int
}

func (m mark) Plot(c draw.Canvas, p *plot.Plot) {
	trX, trY := p.Transforms(&c)
	at := vg.Point{X: trX(m.at.X), Y: trY(m.at.Y)}
	c.DrawGlyph(draw.GlyphStyle{Color: paper().color(), Radius: 6.5, Shape: draw.CircleGlyph{}}, at)
	c.DrawGlyph(draw.GlyphStyle{Color: lineStyle(m.place).Color, Radius: 5, Shape: draw.CircleGlyph{}}, at)
}

// Plot draws the level and its label, for gonum/plot.
func (l Level) Plot(c draw.Canvas, p *plot.Plot) {
	_, trY := p.Transforms(&c)
	y := trY(l.Y)
	c.StrokeLine2(draw.LineStyle{Color: ink().color(), Width: 1, Dashes: []vg.Length{4, 3}}, c.Min.X, y, c.Max.X, y)
	c.FillText(letters(muted(), letterSize-1), vg.Point{X: c.Min.X + 4, Y: y + 5}, l.Label)
}
