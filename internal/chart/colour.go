package chart

import (
	_ "embed"
	"fmt"
	"image/color"
	"strings"
)

// tone is a colour by role: what it is on white paper, and on the dark page.
type tone struct {
	name        string // of the CSS variable
	light, dark string // #RRGGBB
}

// The tones of everything that is not data.
func paper() tone { return tone{"paper", "#FFFFFF", "#15181C"} }
func ink() tone   { return tone{"ink", "#1B1F24", "#E8EAED"} }
func muted() tone { return tone{"muted", "#59626C", "#9BA4AE"} }
func grid() tone  { return tone{"grid", "#E3E6EA", "#2B3138"} }

// The tones of words about less and more, at 4.5:1 contrast or better.
func less() tone { return tone{"less", "#00714F", "#3CCBA0"} }
func more() tone { return tone{"more", "#A84400", "#F59A55"} }

// lineTones are the tones of the lines by place: grey for the one to compare
// with, then the colours of Okabe and Ito (2008), which people with any
// common colour blindness tell apart, darkened or lightened for contrast.
func lineTones() []tone {
	return []tone{
		{"line0", "#8A929B", "#8A929C"},
		{"line1", "#0072B2", "#45A9E6"},
		{"line2", "#D55E00", "#F07F2E"},
		{"line3", "#009E73", "#2CC299"},
		{"line4", "#B8578F", "#DE8CBB"},
		{"line5", "#C98700", "#E8AE2B"},
		{"line6", "#3F4A9E", "#94A0F0"},
	}
}

// lineTone is the tone of the line of a place, and its dashes. More lines than
// tones take the tones again, dashed.
func lineTone(place int) (tone, []float64) {
	tones := lineTones()
	if place < len(tones) {
		return tones[place], nil
	}
	place -= len(tones)
	dashes := [][]float64{{7, 3}, {2, 2.5}, {9, 3, 2, 3}}
	others := tones[1:]
	return others[place%len(others)], dashes[place/len(others)%len(dashes)]
}

func (t tone) color() color.Color {
	var c color.RGBA
	fmt.Sscanf(t.light, "#%02X%02X%02X", &c.R, &c.G, &c.B)
	c.A = 0xFF
	return c
}

// tones are all of them.
func tones() []tone {
	return append([]tone{paper(), ink(), muted(), grid(), less(), more()}, lineTones()...)
}

// Variables are the CSS declarations of the colours, for a light or a dark page:
// --paper (the ground), --ink, --muted and --grid, --less and --more for words
// about savings, --line0 and on for the lines.
func Variables(dark bool) string {
	var b strings.Builder
	for _, t := range tones() {
		value := t.light
		if dark {
			value = t.dark
		}
		fmt.Fprintf(&b, "--%s:%s;", t.name, value)
	}
	return b.String()
}

//go:embed page.css
var styleSource string

// Style is the stylesheet of a page with drawings, in light and in dark.
func Style() string {
	return ":root{" + Variables(false) + "}\n@media (prefers-color-scheme:dark){:root{" + Variables(true) + "}}\n" + styleSource
}
