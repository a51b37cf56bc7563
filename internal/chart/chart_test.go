package chart

import (
	"math"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"gonum.org/v1/plot/vg"
	"pgregory.net/rapid"
)

func TestThinKeepsWhatIsSeen(t *testing.T) {
	// The span of every column of half a pixel, which is what a line shows.
	type span struct{ low, high vg.Length }
	spans := func(points []vg.Point) map[float64]span {
		all := map[float64]span{}
		for _, p := range points {
			column := math.Floor(float64(p.X) * 2)
			s, ok := all[column]
			if !ok {
				s = span{p.Y, p.Y}
			}
			all[column] = span{min(s.low, p.Y), max(s.high, p.Y)}
		}
		return all
	}
	rapid.Check(t, func(t *rapid.T) {
		var points []vg.Point
		var x float64
		for range rapid.IntRange(1, 200).Draw(t, "points") {
			x += rapid.Float64Range(0.01, 0.2).Draw(t, "dx")
			points = append(points, vg.Point{X: vg.Length(x), Y: vg.Length(rapid.IntRange(0, 5).Draw(t, "y"))})
		}
		kept := thin(slices.Clone(points))
		if kept[0] != points[0] || kept[len(kept)-1] != points[len(points)-1] {
			t.Fatal("an end is gone")
		}
		want := spans(points)
		for column, s := range spans(kept) {
			if s.low < want[column].low || s.high > want[column].high {
				t.Fatalf("column %v: %v, was %v", column, s, want[column])
			}
		}
		low, high := points[0].Y, points[0].Y
		for _, p := range points {
			low, high = min(low, p.Y), max(high, p.Y)
		}
		var all []vg.Length
		for _, p := range kept {
			all = append(all, p.Y)
		}
		if slices.Min(all) != low || slices.Max(all) != high {
			t.Fatalf("the range is %v to %v, was %v to %v", slices.Min(all), slices.Max(all), low, high)
		}
	})
}

// 100,000 steps of a staircase are its corners; of noise, four points a column.
func TestThinIsSmall(t *testing.T) {
	var stairs, noise []vg.Point
	for i := range 100_000 {
		x := vg.Length(i) * 400 / 100_000
		stairs = append(stairs, vg.Point{X: x, Y: vg.Length(i / 25_000)})
		noise = append(noise, vg.Point{X: x, Y: vg.Length(math.Sin(float64(i * i)))})
	}
	if n := len(thin(stairs)); n > 16 {
		t.Errorf("a staircase of four steps: %d points", n)
	}
	if n := len(thin(noise)); n > 4*800 {
		t.Errorf("noise: %d points", n)
	}
}

func TestTicks(t *testing.T) {
	for _, c := range []struct {
		low, high, scale float64
		want             []string
	}{
		{0, 819_200, 1e3, []string{"0", "200", "400", "600", "800"}},
		{0, 1, 1, []string{"0.0", "0.2", "0.4", "0.6", "0.8", "1.0"}},
		{2.08, 2.95, 1, []string{"2.2", "2.4", "2.6", "2.8"}},
		{0, 0.0031, 1, []string{"0.000", "0.001", "0.002", "0.003"}},
		{-1.2, 1.2, 1, []string{"-1.0", "-0.5", "0.0", "0.5", "1.0"}},
		{0, 3e-7, 1, []string{"0", "5e-08", "1e-07", "1.5e-07", "2e-07", "2.5e-07", "3e-07"}},
		{0, 5e21, 1e21, []string{"0", "1", "2", "3", "4", "5"}},
	} {
		var got []string
		for _, tick := range ticks(c.low, c.high, 6, c.scale) {
			got = append(got, tick.Label)
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%v to %v: %s", c.low, c.high, diff)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		low := rapid.Float64Range(-1e6, 1e6).Draw(t, "low")
		high := low + rapid.Float64Range(1e-3, 1e9).Draw(t, "range")
		all := ticks(low, high, 6, 1)
		if len(all) < 2 || len(all) > 12 {
			t.Fatalf("%d ticks from %v to %v", len(all), low, high)
		}
		step := all[1].Value - all[0].Value
		for _, tick := range all {
			if tick.Value < low-1e-6*step || tick.Value > high+1e-6*step {
				t.Fatalf("a tick at %v outside %v to %v", tick.Value, low, high)
			}
		}
	})
}

// The lines differ from each other and, at 3:1 or better (WCAG
// 2.1, 1.4.11), from the ground; those of words at 4.5:1 (1.4.3).
func TestContrast(t *testing.T) {
	luminance := func(hex string) float64 {
		var sum float64
		for i, weight := range []float64{0.2126, 0.7152, 0.0722} {
			v, err := strconv.ParseUint(strings.TrimPrefix(hex, "#")[2*i:2*i+2], 16, 8)
			if err != nil {
				t.Fatal(err)
			}
			c := float64(v) / 255
			if c <= 0.03928 {
				c /= 12.92
			} else {
				c = math.Pow((c+0.055)/1.055, 2.4)
			}
			sum += weight * c
		}
		return sum
	}
	contrast := func(a, b string) float64 {
		x, y := luminance(a), luminance(b)
		return (max(x, y) + 0.05) / (min(x, y) + 0.05)
	}
	check := func(tone tone, want float64) {
		if c := contrast(tone.light, paper().light); c < want {
			t.Errorf("%s on white: contrast %.2f, want %v", tone.name, c, want)
		}
		if c := contrast(tone.dark, paper().dark); c < want {
			t.Errorf("%s on the dark page: contrast %.2f, want %v", tone.name, c, want)
		}
	}
	for _, tone := range []tone{ink(), muted(), less(), more()} {
		check(tone, 4.5)
	}
	for _, tone := range lineTones() {
		check(tone, 3)
	}
	seen := map[string]bool{}
	for place := range 1 + 6*4 {
		tone, dashes := lineTone(place)
		key := tone.name + strings.Repeat("-", len(dashes)) + strconv.FormatFloat(append(dashes, 0)[0], 'g', -1, 64)
		if seen[key] {
			t.Errorf("line %d looks like another", place)
		}
		seen[key] = true
	}
}

// A gap splits a curve, a lone value is a dot, a level and a mark are drawn,
// long names are cut and many wrap: counted in what is drawn.
func TestDrawing(t *testing.T) {
	nan := math.NaN()
	c := Chart{
		Title: "a < b", XLabel: "tokens", XScale: 1, XMax: 6, Y: Around(0, 4, 0.1), Level: &Level{1, "target"},
		Lines: []Line{{Name: strings.Repeat("long ", 20), Curve: []Point{{0, 1}, {1, 2}, {2, nan}, {3, 3}, {4, 1}, {5, nan}, {6, 2}}, Mark: &Point{1, 2}}},
	}
	svg := string(c.SVG())
	grey := "stroke:" + lineTones()[0].light
	if got := strings.Count(svg, grey); got != 2+1 { // two pieces and the legend
		t.Errorf("%d grey lines, want 3", got)
	}
	if got := strings.Count(svg, "fill:"+lineTones()[0].light); got != 2 { // the lone value and the mark
		t.Errorf("%d grey dots, want 2", got)
	}
	for _, want := range []string{"a &lt; b", ">target</text>", "stroke-dasharray:4,3", "long long long long long long long long…"} {
		if !strings.Contains(svg, want) {
			t.Errorf("the drawing lacks %q", want)
		}
	}
	inline := c.Inline()
	if strings.Contains(inline, ":#") || !strings.Contains(inline, "stroke:var(--line0)") || strings.Contains(inline, "xmlns") {
		t.Errorf("colours of the page are not its variables: %.300s", inline)
	}
	for place := range 12 {
		c.Lines = append(c.Lines, Line{Name: "another run", Place: place + 1, Curve: c.Lines[0].Curve})
	}
	if rows := c.legend(frameWidth); len(rows) < 4 {
		t.Errorf("13 names on %d rows", len(rows))
	}
}

// The ground of a band is what lies between its curves, in the tone of its line,
// within the frame.
func TestBand(t *testing.T) {
	stairs := func(low, high float64) []Point { return []Point{{0, low}, {5, low}, {5, high}, {10, high}} }
	c := Chart{XMax: 10, XScale: 1, Y: Range{0, 10}, Bands: []Band{{Place: 2, Low: stairs(1, 3), High: stairs(4, 20)}}}
	drawn := string(c.SVG())
	fill := drawn[strings.LastIndex(drawn, "<path"):]
	for _, want := range []string{"fill:#D55E00", "fill-opacity:0.2"} {
		if !strings.Contains(fill, want) {
			t.Errorf("%q lacks %s", fill, want)
		}
	}
	c.Bands[0].High = stairs(4, 10) // what lies beyond the frame is cut off
	if again := string(c.SVG()); again != drawn {
		t.Error("the band leaves the frame")
	}
	c.Bands[0].High = stairs(4, 9)
	if again := string(c.SVG()); again == drawn {
		t.Error("the upper curve does not show")
	}
	c.Bands[0] = Band{Place: 2}
	if again := string(c.SVG()); strings.Contains(again, "fill-opacity") {
		t.Error("a band of nothing is drawn")
	}
}
