package routetest

import (
	"testing"

	"github.com/gradus-ml/gradus/route"
)

// Uniform checks that a policy keeps every position equally often over many rows,
// in each of several layers and for few, half and most kept of a row, by a
// chi-square test at 99.9 %. The draws are always the same.
func Uniform(t *testing.T, p route.Policy) {
	const length, rows = 20, 20000
	for _, keep := range []int{3, 10, 17} {
		for layer := range 3 {
			counts := make([]float64, length)
			kept := make([]int32, keep)
			for row := range rows {
				p.Keep(kept, length, route.Draw{Seed: 5, Step: 7, Layer: layer, Span: layer, Row: row})
				for _, at := range kept {
					counts[at]++
				}
			}
			// The variance of a count is rows*f*(1-f), so this sum is close to a chi-square
			// with 19 degrees of freedom times 20/19; 99.9 % of those are below 43.8.
			f, chi := float64(keep)/length, 0.0
			for _, n := range counts {
				d := n - rows*f
				chi += d * d / (rows * f * (1 - f))
			}
			if chi > 46.2 {
				t.Errorf("layer %d keeps %d of %d: chi-square of positions %.1f, want at most 46.2; counts %v", layer, keep, length, chi, counts)
			}
		}
	}
}
