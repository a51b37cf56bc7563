package report

import (
	"bytes"
	"fmt"
	"html"
	"regexp"
	"strings"

	"gonum.org/v1/plot/vg/vgsvg"
)

// SVG is the figure as a file of its own, with title and legend on white.
func (f Figure) SVG() []byte {
	return []byte(f.markup(f.draw(true), ` xmlns="http://www.w3.org/2000/svg"`))
}

// inline is the figure for the inside of the page, which has the title and the
// legend, scales it and decides its colours by CSS variables.
func (f Figure) inline() string {
	s := f.markup(f.draw(false), "")
	for _, t := range tones() {
		s = strings.ReplaceAll(s, ":"+t.light, ":var(--"+t.name+")")
	}
	return s
}

// markup takes what vgsvg wrote and replaces its first lines, which ask for a
// fixed size in points, and its one font by what every system has. Arial and
// Helvetica have the widths of Liberation Sans, with which the text was set.
func (f Figure) markup(c *vgsvg.Canvas, attributes string) string {
	var b bytes.Buffer
	c.WriteTo(&b) // to memory: cannot fail
	s := b.String()
	if i := strings.Index(s, "<g "); i >= 0 {
		s = s[i:]
	}
	w, h := c.Size()
	s = fontStyle.ReplaceAllString(s, "font-family:Liberation Sans,Arial,Helvetica,sans-serif;")
	return fmt.Sprintf(`<svg%s viewBox="0 0 %g %g" role="img" aria-label="%s" fill="none" stroke-linejoin="round">`+"\n",
		attributes, float64(w), float64(h), html.EscapeString(f.Title)) + s
}

// fontStyle is how vgsvg spells its font.
var fontStyle = regexp.MustCompile(`font-family:[^;]*;font-variant:[^;]*;font-weight:[^;]*;font-style:[^;"]*;?`)
