package report

import "github.com/gradus-ml/gradus/internal/words"

// clock is one way to count what a run consumed, and how it is read from Amounts.
type clock struct {
	words.Clock
	of func(Amounts) float64
}

// clocks are those of a report, the fairest first.
func clocks() []clock {
	of := map[string]func(Amounts) float64{
		"layer-tokens": func(a Amounts) float64 { return a.LayerTokens },
		"tokens":       func(a Amounts) float64 { return a.Tokens },
		"flops":        func(a Amounts) float64 { return a.FLOPs },
		"seconds":      func(a Amounts) float64 { return a.Seconds },
		"steps":        func(a Amounts) float64 { return a.Steps },
	}
	var all []clock
	for _, c := range words.Clocks() {
		if read := of[c.Name]; read != nil {
			all = append(all, clock{c, read})
		}
	}
	return all
}

// clockNamed returns the clock of that name; layer-tokens if there is none.
func clockNamed(name string) clock {
	all := clocks()
	for _, c := range all {
		if c.Name == name {
			return c
		}
	}
	return all[0]
}

// Axis labels the axis of a clock, such as "layer-tokens", that reaches up to max,
// and returns what one unit of the label is.
func Axis(clockName string, max float64) (label string, scale float64) {
	return clockNamed(clockName).Axis(max)
}
