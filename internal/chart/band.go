package chart

import (
	"gonum.org/v1/plot"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// Band is the ground between two curves, in a light tone of the line of the same
// place. Both curves have the same range of X; neither has gaps.
type Band struct {
	Place     int
	Low, High []Point
}

// faint is a tone that leaves the grid in sight.
type faint struct{ tone }

// RGBA rounds up: a colour is multiplied by its opacity, and vgsvg divides by it
// again and rounds down.
func (f faint) RGBA() (r, g, b, a uint32) {
	const opacity = 0x3838 // of 0xffff
	r, g, b, _ = f.color().RGBA()
	part := func(v uint32) uint32 { return (v*opacity + 0xfffe) / 0xffff }
	return part(r), part(g), part(b), opacity
}

// Plot draws the band, for gonum/plot.
func (b Band) Plot(c draw.Canvas, p *plot.Plot) {
	trX, trY := p.Transforms(&c)
	corner := func(q Point) vg.Point {
		return vg.Point{X: trX(q.X), Y: trY(min(max(q.Y, p.Y.Min), p.Y.Max))}
	}
	side := func(curve []Point) []vg.Point {
		points := make([]vg.Point, len(curve))
		for i, q := range curve {
			points[i] = corner(q)
		}
		return thin(points)
	}
	outline := side(b.High)
	low := side(b.Low)
	for i := len(low) - 1; i >= 0; i-- {
		outline = append(outline, low[i])
	}
	if len(outline) < 3 {
		return
	}
	t, _ := lineTone(b.Place)
	c.FillPolygon(faint{t}, outline)
}
