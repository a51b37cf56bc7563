package chart

import (
	"bytes"
	"fmt"
	"html"

	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgsvg"
)

// Sheet is several charts in one file, side by side in columns, under a title
// and some words. All are drawn to the same size, with their titles side by side;
// charts of one line each, without a name, need no legend and make the calmest
// sheet.
type Sheet struct {
	Title   string
	Words   []string // lines below the title, in small letters
	Columns int
	Charts  []Chart
}

// SVG is the sheet as a file of its own, on white.
func (s Sheet) SVG() []byte {
	head := vg.Length(56 + lineHeight*len(s.Words))
	var width, height vg.Length
	var drawn []*vgsvg.Canvas
	for _, c := range s.Charts {
		canvas := c.draw(true)
		w, h := canvas.Size()
		width, height = max(width, w), max(height, h)
		drawn = append(drawn, canvas)
	}
	columns := max(s.Columns, 1)
	rows := (len(drawn) + columns - 1) / columns

	var b bytes.Buffer
	total := vg.Length(columns) * width
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %g %g" role="img" aria-label="%s">`+"\n",
		float64(total), float64(head+vg.Length(rows)*height), html.EscapeString(s.Title))
	b.WriteString(markup(s.Title, s.header(total, head+vg.Length(rows)*height), ""))
	for i, canvas := range drawn {
		place := fmt.Sprintf(` x="%g" y="%g" width="%g" height="%g" preserveAspectRatio="xMidYMin"`, float64(vg.Length(i%columns)*width),
			float64(head+vg.Length(i/columns)*height), float64(width), float64(height))
		b.WriteString(markup(s.Charts[i].Title, canvas, place))
	}
	b.WriteString("</svg>\n")
	return b.Bytes()
}

// header paints the ground of the whole sheet, the title and the words.
func (s Sheet) header(width, height vg.Length) *vgsvg.Canvas {
	canvas := vgsvg.New(width, height)
	page := draw.NewCanvas(canvas, width, height)
	page.FillPolygon(paper().color(), []vg.Point{{}, {X: width}, {X: width, Y: height}, {Y: height}})
	page.FillText(letters(ink(), 22), vg.Point{X: margin, Y: height - 38}, s.Title)
	for i, words := range s.Words {
		page.FillText(letters(muted(), letterSize+1), vg.Point{X: margin, Y: height - 60 - vg.Length(i*lineHeight)}, words)
	}
	return canvas
}
