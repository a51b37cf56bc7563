package chart

import (
	"gonum.org/v1/plot"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// Dot is a value with what it is uncertain by. Places that share a tone differ in shape.
type Dot struct {
	Place     int
	At        Point
	Low, High float64 // a whisker, up and down; equal: none
}

// Plot draws the dot, for gonum/plot.
func (d Dot) Plot(c draw.Canvas, p *plot.Plot) {
	if !Finite(d.At.X) || !Finite(d.At.Y) || d.At.Y < p.Y.Min || d.At.Y > p.Y.Max {
		return
	}
	trX, trY := p.Transforms(&c)
	at := vg.Point{X: trX(d.At.X), Y: trY(d.At.Y)}
	t, _ := lineTone(d.Place)
	c.DrawGlyph(draw.GlyphStyle{Color: paper().color(), Radius: 6, Shape: shape(d.Place)}, at)
	if d.Low < d.High && Finite(d.Low) && Finite(d.High) {
		low, high := trY(max(d.Low, p.Y.Min)), trY(min(d.High, p.Y.Max))
		style := draw.LineStyle{Color: t.color(), Width: 1.5}
		c.StrokeLine2(style, at.X, low, at.X, high)
		const half = 4
		c.StrokeLine2(style, at.X-half, low, at.X+half, low)
		c.StrokeLine2(style, at.X-half, high, at.X+half, high)
	}
	c.DrawGlyph(draw.GlyphStyle{Color: t.color(), Radius: 4.5, Shape: shape(d.Place)}, at)
}

// shape is the glyph of a place: places that take a tone again have another.
func shape(place int) draw.GlyphDrawer {
	tones := len(lineTones())
	if place < tones {
		return draw.CircleGlyph{}
	}
	switch (place - tones) / (tones - 1) % 3 {
	case 0:
		return solid{4}
	case 1:
		return solid{3}
	}
	return draw.CircleGlyph{}
}

// solid is a filled polygon of some corners, the first on top.
type solid struct{ corners int }

// DrawGlyph draws it, for gonum/plot.
func (s solid) DrawGlyph(c *draw.Canvas, style draw.GlyphStyle, at vg.Point) {
	corners := map[int][]vg.Point{
		3: {{X: 0, Y: 1.25}, {X: 1.15, Y: -0.8}, {X: -1.15, Y: -0.8}},
		4: {{X: 0, Y: 1.3}, {X: 1.3, Y: 0}, {X: 0, Y: -1.3}, {X: -1.3, Y: 0}},
	}[s.corners]
	points := make([]vg.Point, len(corners))
	for i, q := range corners {
		points[i] = vg.Point{X: at.X + q.X*style.Radius, Y: at.Y + q.Y*style.Radius}
	}
	c.FillPolygon(style.Color, points)
}
