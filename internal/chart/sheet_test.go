package chart

import (
	"encoding/xml"
	"io"
	"strings"
	"testing"
)

// A sheet is one well-formed drawing with every chart at its own place, and no
// legend for lines without a name.
func TestSheet(t *testing.T) {
	chartOf := func(title, name string) Chart {
		return Chart{Title: title, Unit: "tokens", XLabel: "steps", XScale: 1, XMax: 10, Y: Range{0, 1},
			Lines: []Line{{Name: name, Place: 1, Curve: []Point{{0, 0}, {10, 1}}}}}
	}
	s := Sheet{Title: "A & B", Words: []string{"of <words>"}, Columns: 2,
		Charts: []Chart{chartOf("first", ""), chartOf("second", ""), chartOf("third", "")}}
	text := string(s.SVG())
	places := map[string]bool{}
	decoder := xml.NewDecoder(strings.NewReader(text))
	for {
		token, err := decoder.Token()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatalf("%v in %s", err, text)
		}
		if e, ok := token.(xml.StartElement); ok && e.Name.Local == "svg" {
			place := ""
			for _, a := range e.Attr {
				if a.Name.Local == "x" || a.Name.Local == "y" {
					place += a.Name.Local + a.Value + " "
				}
			}
			places[place] = true
		}
	}
	if len(places) != 4 { // the sheet itself, and three places
		t.Errorf("the charts stand at %v", places)
	}
	for _, want := range []string{">first<", ">second<", ">third<", ">A &amp; B<", ">of &lt;words&gt;<"} {
		if strings.Count(text, want) != 1 {
			t.Errorf("%d times %s", strings.Count(text, want), want)
		}
	}
	if strings.Contains(text, "NaN") {
		t.Error("a NaN was drawn")
	}
	low := len(chartOf("x", "").legend(frameWidth))
	if high := len(chartOf("x", "name").legend(frameWidth)); low != 0 || high != 1 {
		t.Errorf("legends of %d and %d rows, want 0 and 1", low, high)
	}
	if string(s.SVG()) != text {
		t.Error("the same sheet gives other bytes")
	}
}
