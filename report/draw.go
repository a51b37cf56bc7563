package report

import (
	"math"
	"slices"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/text"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgsvg"
)

// A figure is drawn 440 wide with letters of 13, in units of the SVG. On a
// laptop two stand side by side at about 1.1 times that, on a phone of 390
// pixels one is scaled by 0.8, which leaves letters of 10.5 pixels.
const (
	figureWidth  = 440
	figureHeight = 290
	letterSize   = 13
	edge         = 8 // free at the right, for a mark on the last value
)

// draw paints the plot of a figure; with a header it stands on its own: title,
// unit and the names of the runs on a white ground.
func (f Figure) draw(header bool) *vgsvg.Canvas {
	if !header {
		canvas := vgsvg.New(figureWidth, figureHeight)
		f.plot().Draw(draw.Crop(draw.NewCanvas(canvas, figureWidth, figureHeight), 0, -edge, 0, 0))
		return canvas
	}
	const margin, lineHeight = 16, 20
	legend := f.legend(figureWidth)
	head := vg.Length(2+len(legend))*lineHeight + 10
	width, height := vg.Length(figureWidth+2*margin), head+figureHeight+2*margin
	canvas := vgsvg.New(width, height)
	c := draw.NewCanvas(canvas, width, height)
	c.FillPolygon(paper().color(), []vg.Point{{}, {X: width}, {X: width, Y: height}, {Y: height}})

	y := height - margin - lineHeight + 4
	c.FillText(letters(ink(), 16), vg.Point{X: margin, Y: y}, f.Title)
	y -= lineHeight
	c.FillText(letters(muted(), letterSize), vg.Point{X: margin, Y: y}, f.Unit)
	for _, row := range legend {
		y -= lineHeight
		x := vg.Length(margin)
		for _, e := range row {
			c.StrokeLine2(lineStyle(e.place), x, y+4, x+18, y+4)
			c.FillText(letters(ink(), letterSize), vg.Point{X: x + 24, Y: y}, e.name)
			x += e.width
		}
	}
	f.plot().Draw(draw.Crop(c, margin, -margin-edge, margin, -head-margin))
	return canvas
}

// legendEntry is a sample of a run's line and its name.
type legendEntry struct {
	name  string
	place int
	width vg.Length
}

// legend arranges the names of the runs in rows of at most the given width.
func (f Figure) legend(width vg.Length) [][]legendEntry {
	var rows [][]legendEntry
	var x vg.Length
	for _, s := range f.lines {
		e := legendEntry{name: s.name, place: s.place}
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
func (f Figure) plot() *plot.Plot {
	p := plot.New()
	p.BackgroundColor = nil
	label, scale := f.x.axis(f.xMax)

	p.X.Min, p.X.Max = 0, f.xMax
	if p.X.Max < 1e-30 { // a clock that the logs do not fill in
		p.X.Max = 1
	}
	p.X.Label.Text = label
	p.X.Label.TextStyle = letters(muted(), letterSize)
	p.X.Label.TextStyle.XAlign = draw.XCenter
	p.X.Label.TextStyle.YAlign = draw.YBottom
	p.X.Label.Padding = 4
	p.X.Tick.Marker = ticks(p.X.Min, p.X.Max, 6, scale)
	p.X.LineStyle = draw.LineStyle{Color: muted().color(), Width: 1}
	p.X.Padding = 0

	p.Y.Min, p.Y.Max = f.yRange[0], f.yRange[1]
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

	lines := plotter.NewGrid()
	lines.Vertical.Width = 0
	lines.Horizontal = draw.LineStyle{Color: grid().color(), Width: 1}
	p.Add(lines)
	if f.target != nil {
		p.Add(targetLine(*f.target))
	}
	for _, s := range f.lines { // the baseline first, broad and below
		p.Add(s)
	}
	for _, s := range f.lines {
		if s.mark != nil {
			p.Add(mark{*s.mark, s.place})
		}
	}
	return p
}

// Plot draws the curve of a run.
func (s series) Plot(c draw.Canvas, p *plot.Plot) {
	trX, trY := p.Transforms(&c)
	// Far outside is as good as infinitely far, and keeps the clipping exact.
	reach := 10 * (p.Y.Max - p.Y.Min)
	var run []vg.Point
	flush := func() {
		if len(run) == 1 { // a lone value between gaps: a dot
			c.DrawGlyph(draw.GlyphStyle{Color: lineStyle(s.place).Color, Radius: 2, Shape: draw.CircleGlyph{}}, run[0])
		} else if len(run) > 1 {
			c.StrokeLines(lineStyle(s.place), c.ClipLinesXY(thin(run))...)
		}
		run = nil
	}
	for _, q := range s.curve {
		if !finite(q.y) {
			flush()
			continue
		}
		y := min(max(q.y, p.Y.Min-reach), p.Y.Max+reach)
		run = append(run, vg.Point{X: trX(q.x), Y: trY(y)})
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

// mark is where a run first reached the target.
type mark struct {
	at    point
	place int
}

func (m mark) Plot(c draw.Canvas, p *plot.Plot) {
	trX, trY := p.Transforms(&c)
	at := vg.Point{X: trX(m.at.x), Y: trY(m.at.y)}
	c.DrawGlyph(draw.GlyphStyle{Color: paper().color(), Radius: 6.5, Shape: draw.CircleGlyph{}}, at)
	c.DrawGlyph(draw.GlyphStyle{Color: lineStyle(m.place).Color, Radius: 5, Shape: draw.CircleGlyph{}}, at)
}

// targetLine is the dashed line at the target.
type targetLine float64

func (t targetLine) Plot(c draw.Canvas, p *plot.Plot) {
	_, trY := p.Transforms(&c)
	y := trY(float64(t))
	c.StrokeLine2(draw.LineStyle{Color: ink().color(), Width: 1, Dashes: []vg.Length{4, 3}}, c.Min.X, y, c.Max.X, y)
	c.FillText(letters(muted(), letterSize-1), vg.Point{X: c.Min.X + 4, Y: y + 5}, "target "+loss(float64(t)))
}

// lineStyle is how a run is drawn: the baseline broad, so that a run on top of
// it leaves both in sight.
func lineStyle(place int) draw.LineStyle {
	t, dashes := runTone(place)
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
