package curriculum

import (
	"math"
	"slices"
	"sort"
	"testing"

	"pgregory.net/rapid"
)

func TestGuide(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		number := rapid.OneOf(rapid.Float64Range(-9, 9), rapid.Float64(),
			rapid.SampledFrom([]float64{0, 1, 1, 2, math.Inf(1), math.Inf(-1), math.MaxFloat64, -math.MaxFloat64, 5e-324}))
		limits := rapid.SliceOfN(number, 1, 40).Draw(t, "limits")
		slices.Sort(limits)
		g := newGuide(limits)
		for _, x := range append(rapid.SliceOfN(number, 1, 20).Draw(t, "numbers"), limits...) {
			if got, want := g.find(x), sort.SearchFloat64s(limits, x); got != want {
				t.Fatalf("%v in %v: %d, want %d", x, limits, got, want)
			}
		}
	})
}
