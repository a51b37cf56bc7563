package report

import (
	"fmt"
	"math"
	"strconv"
)

// clock is one way to count what a run consumed: how it is read from Amounts,
// named and written.
type clock struct {
	name   string // as recipes and run logs spell it
	label  string // head of a column
	noun   string // in a sentence
	format func(float64) string
	axis   func(max float64) (label string, scale float64) // the label names the unit; value / scale is in it
	of     func(Amounts) float64
}

// clocks are all clocks, the fairest first: layer-tokens count what routing and
// curricula save without the accidents of a machine. Steps stand last, because
// steps of different runs cost differently.
func clocks() []clock {
	tokens, flops := ladder("k", "M", "B", "T"), ladder("k", "M", "G", "T", "P", "E", "Z", "Y")
	return []clock{
		{"layer-tokens", "Layer-tokens", "layer-tokens", tokens, axisOf("layer-tokens", countUnits()), func(a Amounts) float64 { return a.LayerTokens }},
		{"tokens", "Tokens", "tokens", tokens, axisOf("tokens", countUnits()), func(a Amounts) float64 { return a.Tokens }},
		{"flops", "FLOPs", "training FLOPs", flops, axisOf("training FLOPs", flopUnits()), func(a Amounts) float64 { return a.FLOPs }},
		{"seconds", "Time", "training time", duration, axisOf("training time", timeUnits()), func(a Amounts) float64 { return a.Seconds }},
		{"steps", "Steps", "steps", whole, axisOf("steps", countUnits()), func(a Amounts) float64 { return a.Steps }},
	}
}

// clockNamed returns the clock of that name; layer-tokens if there is none.
func clockNamed(name string) clock {
	all := clocks()
	for _, c := range all {
		if c.name == name {
			return c
		}
	}
	return all[0]
}

// Axis labels the axis of a clock, such as "layer-tokens", that reaches up to max,
// and returns what one unit of the label is.
func Axis(clockName string, max float64) (label string, scale float64) {
	return clockNamed(clockName).axis(max)
}

// unit is a scale of an axis and what to call it.
type unit struct {
	from  float64 // the axis must reach so far
	scale float64
	name  string
}

func countUnits() []unit {
	return []unit{{1e12, 1e12, "trillions"}, {1e9, 1e9, "billions"}, {1e6, 1e6, "millions"}, {1e4, 1e3, "thousands"}}
}

func flopUnits() []unit {
	return []unit{
		{1e24, 1e24, "yotta"}, {1e21, 1e21, "zetta"}, {1e18, 1e18, "exa"}, {1e15, 1e15, "peta"},
		{1e12, 1e12, "tera"}, {1e9, 1e9, "giga"}, {1e6, 1e6, "mega"},
	}
}

func timeUnits() []unit {
	return []unit{{2 * 86400, 86400, "days"}, {2 * 3600, 3600, "hours"}, {120, 60, "minutes"}, {0, 1, "seconds"}}
}

// axisOf labels an axis of a quantity in the largest unit that fits.
func axisOf(quantity string, units []unit) func(float64) (string, float64) {
	return func(max float64) (string, float64) {
		for _, u := range units {
			if max >= u.from {
				return quantity + " (" + u.name + ")", u.scale
			}
		}
		return quantity, 1
	}
}

// ladder writes a number with three digits and a suffix for each factor of a
// thousand; numbers below a thousand as whole ones.
func ladder(suffixes ...string) func(float64) string {
	return func(v float64) string {
		if v < 999.5 {
			return strconv.FormatFloat(math.Round(v), 'f', -1, 64)
		}
		for _, suffix := range suffixes {
			v /= 1000
			if v < 999.5 {
				return threeDigits(v) + " " + suffix
			}
		}
		return fmt.Sprintf("%.3g %s", v, suffixes[len(suffixes)-1])
	}
}

// threeDigits writes a number from 1 to 1000 with three significant digits.
func threeDigits(v float64) string {
	switch {
	case v < 9.995:
		return fmt.Sprintf("%.2f", v)
	case v < 99.95:
		return fmt.Sprintf("%.1f", v)
	default:
		return fmt.Sprintf("%.0f", v)
	}
}

// whole writes a number rounded, its thousands grouped by commas.
func whole(v float64) string {
	s := strconv.FormatFloat(math.Round(v), 'f', 0, 64)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// duration writes seconds in the unit that people would choose.
func duration(s float64) string {
	switch {
	case s == 0:
		return "0 s"
	case s < 0.9995:
		return fmt.Sprintf("%.3f s", s)
	case s < 120:
		return threeDigits(s) + " s"
	case s < 2*3600:
		return threeDigits(s/60) + " min"
	case s < 48*3600:
		return threeDigits(s/3600) + " h"
	default:
		return fmt.Sprintf("%.3g days", s/86400)
	}
}
