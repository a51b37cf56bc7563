package chart

import (
	"bytes"
	"math"
	"regexp"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func forest() Forest {
	return Forest{Title: "Saving", Unit: "right of 1x is less", Aim: 2, Rows: []Factor{
		{Name: "arm at 50 %", Value: "1.50x (1.20x to 1.90x)", Place: 1, At: 1.5, Low: 1.2, High: 1.9},
		{Name: "open", Value: "at least 2.00x", Place: 2, At: 2, Low: 1.7, High: math.Inf(1), Beyond: 1},
		{Name: "no value", Value: "not to be told", Place: 3},
	}}
}

func TestForest(t *testing.T) {
	f := forest()
	svg := f.SVG()
	for _, want := range []string{"arm at 50 %", "1.50x (1.20x to 1.90x)", "at least 2.00x", "not to be told", ">1x<", ">2x<", `viewBox="0 0`, `aria-label="Saving"`} {
		if !bytes.Contains(svg, []byte(want)) {
			t.Errorf("%q is missing", want)
		}
	}
	inline := f.Inline()
	if m := regexp.MustCompile(`(fill|stroke):#[0-9A-F]{6}`).FindString(inline); m != "" {
		t.Errorf("%s is not a CSS variable", m)
	}
	for _, v := range []string{"var(--line1)", "var(--line2)"} {
		if !strings.Contains(inline, v) {
			t.Errorf("%s is not drawn", v)
		}
	}
	if strings.Contains(inline, "var(--line3)") {
		t.Error("a row without a value is drawn")
	}
	long := f
	long.Rows = append(long.Rows, Factor{Name: strings.Repeat("long ", 40), Value: "1.00x", Place: 1, At: 1})
	if s := long.Inline(); !strings.Contains(s, "…") || strings.Contains(s, strings.Repeat("long ", 30)) {
		t.Error("a long name is not cut")
	}
}

// The axis holds every finite end up to a factor of 20, 1 and the aim, and has a tick at 1
// and at least one more.
func TestForestAxis(t *testing.T) {
	factor := rapid.OneOf(rapid.Float64Range(0.01, 50), rapid.SampledFrom([]float64{0, math.Inf(1), 1e-300, 1e300}))
	rapid.Check(t, func(t *rapid.T) {
		f := Forest{Aim: rapid.SampledFrom([]float64{0, 2, 1.5}).Draw(t, "aim")}
		for range rapid.IntRange(0, 4).Draw(t, "rows") {
			f.Rows = append(f.Rows, Factor{At: rapid.Float64Range(0, 50).Draw(t, "at"), Low: factor.Draw(t, "low"), High: factor.Draw(t, "high")})
		}
		low, high := f.axis()
		if !(low > 0.03 && low < 1 && high > 1 && high < 30 && high > f.Aim) {
			t.Fatalf("from %v to %v", low, high)
		}
		for _, r := range f.Rows {
			if r.At > 0 && r.At < 20 && (min(max(r.At, 0.05), 20) < low || r.At > high) {
				t.Fatalf("%v is not within %v to %v", r.At, low, high)
			}
		}
		ticks := factorTicks(low, high)
		if len(ticks) < 2 || ticks[0] != 1 {
			t.Fatalf("ticks %v from %v to %v", ticks, low, high)
		}
	})
}

func TestLogTicks(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		low := math.Exp(rapid.Float64Range(-60, 60).Draw(t, "low"))
		high := low * math.Exp(rapid.Float64Range(0.01, 60).Draw(t, "range"))
		scale := rapid.SampledFrom([]float64{1, 60, 1e6}).Draw(t, "scale")
		ticks := logTicks(low, high, scale)
		if len(ticks) < 2 || len(ticks) > 9 {
			t.Fatalf("%d ticks from %v to %v", len(ticks), low, high)
		}
		for i, tick := range ticks {
			if tick.Value < low*(1-1e-6) || tick.Value > high*(1+1e-6) || i > 0 && tick.Value <= ticks[i-1].Value {
				t.Fatalf("%v from %v to %v", ticks, low, high)
			}
		}
	})
}

// Equal factors are equally far apart, and a dot outside of the frame is not drawn.
func TestLogAxisAndDots(t *testing.T) {
	c := Chart{Title: "t", XMin: 1, XMax: 4, XScale: 1, XLog: true, Y: Range{0, 1}}
	p := c.plot()
	if got := p.X.Scale.Normalize(1, 4, 2); math.Abs(got-0.5) > 1e-12 {
		t.Errorf("2 stands at %v of 1 to 4", got)
	}
	none := c.Inline()
	c.Dots = []Dot{{Place: 1, At: Point{2, 0.5}, Low: 0.4, High: 0.6}}
	seen := c.Inline()
	c.Dots[0].At.Y = 2
	if outside := c.Inline(); outside != none || seen == none || !strings.Contains(seen, "var(--line1)") {
		t.Error("a dot is drawn outside of the frame, or not inside of it")
	}
	for place := range 25 { // all shapes
		c.Dots = []Dot{{Place: place, At: Point{2, 0.5}}}
		if c.Inline() == none {
			t.Errorf("a dot of place %d is not drawn", place)
		}
	}
}
