package chart

import (
	"math"
	"strconv"

	"gonum.org/v1/plot"
)

// ticks returns about n round values within [low, high], at steps of 1, 2 or 5
// times a power of ten, each labelled value / scale with as many digits as all
// of them need.
func ticks(low, high float64, n int, scale float64) plot.ConstantTicks {
	low, high = low/scale, high/scale
	rough := (high - low) / float64(n)
	power := math.Pow(10, math.Floor(math.Log10(rough)))
	step := 10 * power
	for _, m := range []float64{1, 2, 5} {
		if rough <= m*power {
			step = m * power
			break
		}
	}
	digits := max(0, -int(math.Floor(math.Log10(step)+1e-9)))
	format := byte('f')
	if digits > 4 || max(-low, high) >= 1e6 {
		format, digits = 'g', 3
	}
	var all plot.ConstantTicks
	first := math.Ceil(low/step - 1e-9)
	// Counted in whole steps: adding up steps would gather rounding errors. At
	// most 2n fit; the bound also ends the loop where step is lost in low.
	for i := range 2 * n {
		v := (first + float64(i)) * step
		if v > high+1e-9*step {
			break
		}
		all = append(all, plot.Tick{Value: v * scale, Label: strconv.FormatFloat(v+0, format, digits, 64)})
	}
	return all
}
