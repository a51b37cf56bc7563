package chart

import (
	"math"
	"strconv"

	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgsvg"
)

// Forest is a drawing of factors with their intervals, one below the other, on a
// logarithmic axis with a line at 1.
type Forest struct {
	Title string
	Unit  string  // what right of 1 means
	Aim   float64 // a dashed line there; 0: none
	Rows  []Factor
}

// Factor is one row of a Forest: its name and its value in words, and below them the
// interval.
type Factor struct {
	Name  string
	Value string  // in words, at the right
	Place int     // of its tone
	At    float64 // 0: nothing is drawn
	// Low and High are the interval: 0 and infinity are open ends, and equal ones none.
	Low, High float64
	Beyond    int // the factor lies beyond At: 1 above, -1 below, 0 is just there
}

const (
	forestRow   = 42
	forestFoot  = 26
	forestShare = 0.06 // free at both sides, of the logarithmic axis
)

// SVG is the drawing as a file of its own, with title and unit on white.
func (f Forest) SVG() []byte {
	head := vg.Length(2*lineHeight + 10)
	width, height := vg.Length(frameWidth+2*margin), head+f.height()+2*margin
	canvas := vgsvg.New(width, height)
	page := draw.NewCanvas(canvas, width, height)
	page.FillPolygon(paper().color(), []vg.Point{{}, {X: width}, {X: width, Y: height}, {Y: height}})
	y := height - margin - lineHeight + 4
	page.FillText(letters(ink(), 16), vg.Point{X: margin, Y: y}, f.Title)
	page.FillText(letters(muted(), letterSize), vg.Point{X: margin, Y: y - lineHeight}, f.Unit)
	f.paint(draw.Crop(page, margin, -margin, margin, -head-margin))
	return []byte(markup(f.Title, canvas, ` xmlns="http://www.w3.org/2000/svg"`))
}

// Inline is the drawing for the inside of an HTML page, as Chart's.
func (f Forest) Inline() string {
	canvas := vgsvg.New(frameWidth, f.height())
	f.paint(draw.NewCanvas(canvas, frameWidth, f.height()))
	return inline(markup(f.Title, canvas, ""))
}

func (f Forest) height() vg.Length { return vg.Length(len(f.Rows)*forestRow + forestFoot) }

// paint draws the rows from the top of the canvas, and the axis below.
func (f Forest) paint(c draw.Canvas) {
	low, high := f.axis()
	const inset = 16 // half a label of the axis
	left, right := c.Min.X+inset, c.Max.X-inset
	x := func(factor float64) vg.Length {
		t := (math.Log(factor) - math.Log(low)) / (math.Log(high) - math.Log(low))
		return left + vg.Length(min(max(t, 0), 1))*(right-left)
	}
	foot := c.Min.Y + forestFoot
	for _, t := range factorTicks(low, high) {
		style := draw.LineStyle{Color: grid().color(), Width: 1}
		if t == 1 {
			style = draw.LineStyle{Color: muted().color(), Width: 1.5}
		}
		c.StrokeLine2(style, x(t), foot, x(t), c.Max.Y)
		label := letters(muted(), letterSize)
		label.XAlign = draw.XCenter
		c.FillText(label, vg.Point{X: x(t), Y: foot - 16}, strconv.FormatFloat(t, 'g', -1, 64)+"x")
	}
	if f.Aim > 0 {
		c.StrokeLine2(draw.LineStyle{Color: ink().color(), Width: 1, Dashes: []vg.Length{4, 3}}, x(f.Aim), foot, x(f.Aim), c.Max.Y)
	}
	for i, r := range f.Rows {
		f.paintRow(c, r, c.Max.Y-vg.Length(i*forestRow), x)
	}
}

// paintRow draws one row, which begins at the height top.
func (f Forest) paintRow(c draw.Canvas, r Factor, top vg.Length, x func(float64) vg.Length) {
	words := letters(ink(), letterSize)
	value := letters(muted(), letterSize)
	value.XAlign = draw.XRight
	room := c.Max.X - c.Min.X - words.Width(r.Value) - 16
	name := []rune(r.Name)
	for len(name) > 1 && words.Width(string(name)) > room {
		name = append(name[:len(name)-2], '…')
	}
	// Words stand on a ground of their own, or the grid would cross them out.
	ground := func(from, to vg.Length) {
		c.FillPolygon(paper().color(), []vg.Point{{X: from, Y: top - 18}, {X: from, Y: top - 1}, {X: to, Y: top - 1}, {X: to, Y: top - 18}})
	}
	ground(c.Min.X, c.Min.X+words.Width(string(name))+3)
	ground(c.Max.X-words.Width(r.Value)-3, c.Max.X)
	c.FillText(words, vg.Point{X: c.Min.X, Y: top - 14}, string(name))
	c.FillText(value, vg.Point{X: c.Max.X, Y: top - 14}, r.Value)
	if !(r.At > 0) {
		return
	}
	t, _ := lineTone(r.Place)
	y := top - 28
	style := draw.LineStyle{Color: t.color(), Width: 2}
	arrow := func(tip vg.Length, way vg.Length) {
		c.FillPolygon(t.color(), []vg.Point{{X: tip, Y: y}, {X: tip - 8*way, Y: y + 4.5}, {X: tip - 8*way, Y: y - 4.5}})
	}
	if r.Low < r.High {
		from, to := c.Min.X, c.Max.X
		if r.Low > 0 {
			from = x(r.Low)
			c.StrokeLine2(style, from, y-4, from, y+4)
		} else {
			arrow(from, -1)
		}
		if !math.IsInf(r.High, 1) {
			to = x(r.High)
			c.StrokeLine2(style, to, y-4, to, y+4)
		} else {
			arrow(to, 1)
		}
		c.StrokeLine2(style, from, y, to, y)
	}
	at := vg.Point{X: x(r.At), Y: y}
	switch r.Beyond {
	case 0:
		c.DrawGlyph(draw.GlyphStyle{Color: t.color(), Radius: 5, Shape: shape(r.Place)}, at)
	default: // an arrow head that points to where the factor must be
		way := vg.Length(r.Beyond)
		c.FillPolygon(t.color(), []vg.Point{{X: at.X + 9*way, Y: y}, {X: at.X, Y: y + 6}, {X: at.X, Y: y - 6}})
	}
}

// axis is the range of factors drawn: all that is finite of the rows, 1 and the aim, and
// no more than a factor of 20 either way.
func (f Forest) axis() (low, high float64) {
	low, high = 0.8, 1.25
	see := func(v float64) {
		if v > 0 && Finite(v) {
			low, high = min(low, max(v, 0.05)), max(high, min(v, 20))
		}
	}
	see(f.Aim)
	for _, r := range f.Rows {
		if r.At > 0 {
			see(r.At)
			see(r.Low)
			see(r.High)
		}
	}
	widen := math.Exp(forestShare * math.Log(high/low))
	return low / widen, high * widen
}

// factorTicks are round factors within a range, not closer than a tenth of it; 1 is one.
func factorTicks(low, high float64) []float64 {
	var all []float64
	room := math.Log(high/low) / 10
	for _, t := range []float64{1, 2, 0.5, 4, 0.25, 1.5, 0.75, 3, 1.25, 0.9, 1.1, 10, 0.1, 6, 8, 20, 0.05, 15, 0.2} {
		free := t >= low && t <= high
		for _, other := range all {
			free = free && math.Abs(math.Log(t/other)) >= room
		}
		if free {
			all = append(all, t)
		}
	}
	return all
}
