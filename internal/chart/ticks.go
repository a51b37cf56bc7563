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

// logTicks returns round values within [low, high] for a logarithmic axis: 1, 2 and 5 times
// powers of ten, those of a linear axis where low and high are close, and some powers of ten
// where they are far apart.
func logTicks(low, high, scale float64) plot.ConstantTicks {
	first, last := int(math.Floor(math.Log10(low/scale))), int(math.Ceil(math.Log10(high/scale)))
	within := func(step int, factors ...float64) (all plot.ConstantTicks) {
		for e := first; e <= last; e += step {
			for _, f := range factors {
				v := f * math.Pow(10, float64(e))
				if v*scale >= low*(1-1e-9) && v*scale <= high*(1+1e-9) {
					all = append(all, plot.Tick{Value: v * scale, Label: strconv.FormatFloat(v, 'g', 4, 64)})
				}
			}
		}
		return all
	}
	all := within(1, 1, 2, 5)
	if len(all) < 3 {
		for n := 4; n <= 8; n++ { // of few steps, only one may lie within
			if all = ticks(low, high, n, scale); len(all) > 1 {
				break
			}
		}
		return all
	}
	if len(all) > 8 {
		return within(1+(last-first)/6, 1)
	}
	return all
}
