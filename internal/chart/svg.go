package chart

import (
	"bytes"
	"fmt"
	"html"
	"regexp"
	"strings"

	"gonum.org/v1/plot/vg/vgsvg"
)

// SVG is the chart as a file of its own, with title and legend on white.
func (c Chart) SVG() []byte {
	return []byte(markup(c.Title, c.draw(true), ` xmlns="http://www.w3.org/2000/svg"`))
}

// Inline is the chart for the inside of an HTML page, which shows title and
// legend itself (see Swatch), scales the drawing, and gives its colours by the
// CSS variables that Variables declares.
func (c Chart) Inline() string {
	return inline(markup(c.Title, c.draw(false), ""))
}

// inline gives the colours of a drawing as the variables of a page.
func inline(s string) string {
	for _, t := range tones() {
		s = strings.ReplaceAll(s, ":"+t.light, ":var(--"+t.name+")")
	}
	return s
}

// markup takes what vgsvg wrote and replaces its first lines, which ask for a
// fixed size in points, and its one font by what every system has. Arial and
// Helvetica have the widths of Liberation Sans, with which the text was set.
func markup(title string, canvas *vgsvg.Canvas, attributes string) string {
	var b bytes.Buffer
	canvas.WriteTo(&b) // to memory: cannot fail
	s := b.String()
	if i := strings.Index(s, "<g "); i >= 0 {
		s = s[i:]
	}
	w, h := canvas.Size()
	s = fontStyle.ReplaceAllString(s, "font-family:Liberation Sans,Arial,Helvetica,sans-serif;")
	return fmt.Sprintf(`<svg%s viewBox="0 0 %g %g" role="img" aria-label="%s" fill="none" stroke-linejoin="round">`+"\n",
		attributes, float64(w), float64(h), html.EscapeString(title)) + s
}

// Swatch is a sample of the line of a place, for the legend of a page.
func Swatch(place int) string {
	style := lineStyle(place)
	t, dashes := lineTone(place)
	return fmt.Sprintf(`<svg class="swatch" viewBox="0 0 26 8" aria-hidden="true"><path d="M0 4H26" stroke="var(--%s)" stroke-width="%g" stroke-dasharray="%s"/></svg>`,
		t.name, style.Width.Points()+1, strings.Trim(fmt.Sprint(dashes), "[]"))
}

// fontStyle is how vgsvg spells its font.
var fontStyle = regexp.MustCompile(`font-family:[^;]*;font-variant:[^;]*;font-weight:[^;]*;font-style:[^;"]*;?`)
