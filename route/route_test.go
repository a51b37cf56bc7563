package route_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/gradus-ml/gradus/route"
	"pgregory.net/rapid"
)

// Kept positions are ascending, distinct and in range, and the same draw gives
// the same positions.
func TestRandomLTDLaws(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		length := rapid.IntRange(1, 300).Draw(t, "length")
		keep := rapid.IntRange(1, length).Draw(t, "keep")
		d := route.Draw{
			Seed: rapid.Uint64().Draw(t, "seed"), Step: rapid.Int64Range(0, 1<<40).Draw(t, "step"),
			Layer: rapid.IntRange(0, 100).Draw(t, "layer"), Row: rapid.IntRange(0, 1<<20).Draw(t, "row"),
		}
		kept, again := make([]int32, keep), make([]int32, keep)
		route.RandomLTD{}.Keep(kept, length, d)
		route.RandomLTD{}.Keep(again, length, d)
		if !slices.Equal(kept, again) {
			t.Fatalf("the same draw gave %v and %v", kept, again)
		}
		for i, p := range kept {
			if p < 0 || int(p) >= length || i > 0 && p <= kept[i-1] {
				t.Fatalf("kept %v of %d: position %d out of range or order", kept, length, i)
			}
		}
	})
}

// Every position is kept equally often, in every layer, on both sides of the
// half (where Floyd's method draws the kept and where it draws the dropped).
func TestRandomLTDIsUniform(t *testing.T) {
	const length, draws = 20, 20000
	for _, keep := range []int{3, 10, 17} {
		for layer := range 3 {
			counts := make([]float64, length)
			pairs := make([]float64, length*length)
			kept := make([]int32, keep)
			for row := range draws {
				route.RandomLTD{}.Keep(kept, length, route.Draw{Seed: 5, Step: 7, Layer: layer, Row: row})
				for i, p := range kept {
					counts[p]++
					for _, q := range kept[i+1:] {
						pairs[int(p)*length+int(q)]++
					}
				}
			}
			// The variance of a count is draws*f*(1-f), so this sum is close to a
			// chi-square with 19 degrees of freedom times 20/19; 99.9 %: 43.8.
			f := float64(keep) / length
			chi := 0.0
			for _, c := range counts {
				d := c - draws*f
				chi += d * d / (draws * f * (1 - f))
			}
			if chi > 46.2 {
				t.Errorf("keep %d, layer %d: chi-square of positions %.1f, want at most 46.2", keep, layer, chi)
			}
			// Each pair is kept together with probability f*(keep-1)/(length-1).
			f2 := f * float64(keep-1) / (length - 1)
			for p := range length {
				for q := p + 1; q < length; q++ {
					d := pairs[p*length+q] - draws*f2
					if sigma2 := draws * f2 * (1 - f2); d*d > 25*sigma2 {
						t.Errorf("keep %d, layer %d: pair (%d,%d) kept %v times, want about %v",
							keep, layer, p, q, pairs[p*length+q], draws*f2)
					}
				}
			}
		}
	}
}

// Layers, rows, steps and seeds draw independently: two of them agree on a
// position as often as chance says.
func TestDrawsAreIndependent(t *testing.T) {
	const length, keep, rounds = 64, 32, 400
	base := route.Draw{Seed: 1, Step: 2, Layer: 3, Row: 4}
	for name, other := range map[string]route.Draw{
		"seed":  {Seed: 2, Step: 2, Layer: 3, Row: 4},
		"step":  {Seed: 1, Step: 3, Layer: 3, Row: 4},
		"layer": {Seed: 1, Step: 2, Layer: 4, Row: 4},
		"row":   {Seed: 1, Step: 2, Layer: 3, Row: 5},
	} {
		common := 0
		for i := range rounds {
			a, b := base, other
			a.Step += int64(1000 * i)
			b.Step += int64(1000 * i)
			x, y := make([]int32, keep), make([]int32, keep)
			route.RandomLTD{}.Keep(x, length, a)
			route.RandomLTD{}.Keep(y, length, b)
			for _, p := range x {
				if slices.Contains(y, p) {
					common++
				}
			}
		}
		// Hypergeometric: mean 16 a round, variance 16*0.5*32/63 = 4.06.
		mean := float64(common) / rounds
		if mean < 15.5 || mean > 16.5 {
			t.Errorf("draws that differ in %s share %.2f of 32 positions, want 16", name, mean)
		}
	}
}

// A rank that draws its own rows gets the rows of the global batch.
func TestPositionsOfRanks(t *testing.T) {
	layers := route.Inner(5)
	all := route.Positions(route.RandomLTD{}, 9, 11, layers, 0, 8, 50, 20)
	for _, world := range []int{1, 2, 4, 8} {
		rows := 8 / world
		for rank := range world {
			part := route.Positions(route.RandomLTD{}, 9, 11, layers, rank*rows, rows, 50, 20)
			for l := range layers {
				want := all[l][rank*rows*20 : (rank+1)*rows*20]
				if got := part[l]; !slices.Equal(got, want) {
					t.Fatalf("rank %d of %d, layer %d: rows differ from the global batch", rank, world, l)
				}
			}
		}
	}
}

func TestInner(t *testing.T) {
	for layers, want := range map[int][]int{0: nil, 1: nil, 2: nil, 3: {1}, 6: {1, 2, 3, 4}} {
		if got := route.Inner(layers); !slices.Equal(got, want) {
			t.Errorf("Inner(%d) = %v, want %v", layers, got, want)
		}
	}
}

// The draws are a promise across releases.
func TestGolden(t *testing.T) {
	got := route.Positions(route.RandomLTD{}, 1234, 56, []int{1, 2}, 3, 2, 12, 5)
	want := [][]int32{{3, 5, 7, 9, 11, 0, 6, 7, 8, 11}, {0, 5, 7, 9, 10, 1, 4, 5, 6, 11}}
	if !slices.EqualFunc(got, want, slices.Equal) {
		t.Errorf("positions %v, want %v", got, want)
	}
}

func ExamplePositions() {
	layers := route.Inner(4) // of four layers, 1 and 2 are routed
	kept := route.Positions(route.RandomLTD{}, 1, 0, layers, 0, 1, 8, 3)
	for i, layer := range layers {
		fmt.Println("layer", layer, "sees positions", kept[i], "of 8")
	}
	// Output:
	// layer 1 sees positions [0 3 4] of 8
	// layer 2 sees positions [2 4 6] of 8
}
