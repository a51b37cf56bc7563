package chart

import (
	"gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/text"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgsvg"
)

// In units of the SVG.
const (
	frameWidth  = 440
	frameHeight = 290
	letterSize  = 13
	edge        = 8 // free at the right, for a dot on the last value
	margin      = 16
	lineHeight  = 20
)

// draw paints the chart; with a header it stands on its own: title, unit and the
// names of the lines on a white ground.
func (c Chart) draw(header bool) *vgsvg.Canvas {
	if !header {
		canvas := vgsvg.New(frameWidth, frameHeight)
		c.plot().Draw(draw.Crop(draw.NewCanvas(canvas, frameWidth, frameHeight), 0, -edge, 0, 0))
		return canvas
	}
	legend := c.legend(frameWidth)
	head := vg.Length(2+len(legend))*lineHeight + 10
	width, height := vg.Length(frameWidth+2*margin), head+frameHeight+2*margin
	canvas := vgsvg.New(width, height)
	page := draw.NewCanvas(canvas, width, height)
	page.FillPolygon(paper().color(), []vg.Point{{}, {X: width}, {X: width, Y: height}, {Y: height}})

	y := height - margin - lineHeight + 4
	page.FillText(letters(ink(), 16), vg.Point{X: margin, Y: y}, c.Title)
	y -= lineHeight
	page.FillText(letters(muted(), letterSize), vg.Point{X: margin, Y: y}, c.Unit)
	for _, row := range legend {
		y -= lineHeight
		x := vg.Length(margin)
		for _, e := range row {
			page.StrokeLine2(lineStyle(e.place), x, y+4, x+18, y+4)
			page.FillText(letters(ink(), letterSize), vg.Point{X: x + 24, Y: y}, e.name)
			x += e.width
		}
	}
	c.plot().Draw(draw.Crop(page, margin, -margin-edge, margin, -head-margin))
	return canvas
}

// legendEntry is a sample of a line and its name.
type legendEntry struct {
	name  string
	place int
	width vg.Length
}

// legend arranges the names of the lines that have one in rows of at most the
// given width.
func (c Chart) legend(width vg.Length) [][]legendEntry {
	var rows [][]legendEntry
	var x vg.Length
	for _, l := range c.Lines {
		if l.Name == "" {
			continue
		}
		e := legendEntry{name: l.Name, place: l.Place}
		if r := []rune(e.name); len(r) > 40 {
			e.name = string(r[:39]) + "…"
		}
		e.width = letters(ink(), letterSize).Width(e.name) + 24 + 18
		if len(rows) == 0 || x+e.width > width {
			rows, x = append(rows, nil), 0
		}
		rows[len(rows)-1] = append(rows[len(rows)-1], e)
		x += e.width
	}
	return rows
}

// plot sets up axes, grid and everything drawn between them.
func (c Chart) plot() *plot.Plot {
	p := plot.New()
	p.BackgroundColor = nil

	p.X.Min, p.X.Max = c.XMin, c.XMax
	if p.X.Max-p.X.Min < 1e-30 { // nothing was counted
		p.X.Max = p.X.Min + 1
	}
	p.X.Label.Text = c.XLabel
	p.X.Label.TextStyle = letters(muted(), letterSize)
	p.X.Label.TextStyle.XAlign = draw.XCenter
	p.X.Label.TextStyle.YAlign = draw.YBottom
	p.X.Label.Padding = 4
	p.X.Tick.Marker = ticks(p.X.Min, p.X.Max, 6, c.XScale)
	if c.XLog && p.X.Min > 1e-100 && p.X.Max < 1e100 {
		p.X.Scale, p.X.Tick.Marker = plot.LogScale{}, logTicks(p.X.Min, p.X.Max, c.XScale)
	}
	p.X.LineStyle = draw.LineStyle{Color: muted().color(), Width: 1}
	p.X.Padding = 0

	p.Y.Min, p.Y.Max = c.Y.Low, c.Y.High
	p.Y.Tick.Marker = ticks(p.Y.Min, p.Y.Max, 6, 1)
	p.Y.LineStyle.Width = 0
	p.Y.Tick.Length = 0
	p.Y.Padding = 4
	for _, a := range []*plot.Axis{&p.X, &p.Y} {
		a.Tick.Label.Font = letters(muted(), letterSize).Font
		a.Tick.Label.Color = muted().color()
		a.Tick.LineStyle = draw.LineStyle{Color: muted().color(), Width: 1}
	}
	p.Y.Tick.LineStyle.Width = 0
	p.X.Tick.Length = 4

	g := plotter.NewGrid()
	g.Vertical.Width = 0
	g.Horizontal = draw.LineStyle{Color: grid().color(), Width: 1}
	p.Add(g)
	for _, b := range c.Bars {
		p.Add(b)
	}
	for _, b := range c.Bands {
		p.Add(b)
	}
	if c.Level != nil {
		p.Add(*c.Level)
	}
	for _, l := range c.Lines {
		p.Add(l)
	}
	for _, l := range c.Lines { // above all curves
		if l.Mark != nil {
			p.Add(mark{*l.Mark, l.Place})
		}
	}
	for _, d := range c.Dots {
		p.Add(d)
	}
	return p
}

// lineStyle is how the line of a place is drawn: that of place 0 broad, so that
// one on top of it leaves both in sight.
func lineStyle(place int) draw.LineStyle {
	t, dashes := lineTone(place)
	style := draw.LineStyle{Color: t.color(), Width: 2}
	if place == 0 {
		style.Width = 4
	}
	for _, d := range dashes {
		style.Dashes = append(style.Dashes, vg.Length(d))
	}
	return style
}

func letters(t tone, size vg.Length) text.Style {
	return text.Style{
		Color:   t.color(),
		Font:    font.From(font.Font{Typeface: "Liberation", Variant: "Sans"}, size),
		Handler: plot.DefaultTextHandler,
	}
}
