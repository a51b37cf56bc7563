package route_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/gradus-ml/gradus/route"
	"github.com/gradus-ml/gradus/route/routetest"
)

// Every registered policy obeys the laws, and without a run keeps every position
// equally often.
func TestPolicies(t *testing.T) {
	for _, p := range route.Policies() {
		t.Run(p.Name, func(t *testing.T) {
			routetest.Laws(t, p.Policy)
			routetest.Uniform(t, p.Policy)
		})
	}
}

// Draws that differ in a coordinate are independent, or the same where a policy
// says so: how many positions two of them share has the hypergeometric
// distribution, by a chi-square test at 99.9 %.
func TestDrawsAreIndependent(t *testing.T) {
	const independent, same = true, false
	all := map[string]bool{"seed": independent, "step": independent, "layer": independent, "row": independent, "rank": independent, "span": independent}
	with := func(other ...string) map[string]bool {
		m := map[string]bool{}
		for name, yes := range all {
			m[name] = yes != slices.Contains(other, name)
		}
		return m
	}
	for name, want := range map[string]map[string]bool{
		"random-ltd": all, "shared": with("layer"), "constant": with("step"), "token-bypass": with("layer"),
	} {
		p, _ := route.Lookup(name)
		for coordinate, independent := range want {
			chi, equal := overlaps(p, coordinate)
			switch {
			case !independent && !equal:
				t.Errorf("%s: draws of another %s differ", name, coordinate)
			case independent && chi > 18.47: // 4 degrees of freedom
				t.Errorf("%s: draws of another %s are not independent: chi-square %.1f, want at most 18.5", name, coordinate, chi)
			}
		}
	}
}

// overlaps compares 8 of 16 positions kept by draws that differ in one coordinate:
// the chi-square statistic of how many they have in common, and whether all were
// equal.
func overlaps(p route.Policy, coordinate string) (chi float64, equal bool) {
	const length, keep, rounds = 16, 8, 4000
	rowsOf := func(seed uint64, step int64, layers []int, layer, first int) []int32 {
		kept := slices.Repeat([]int{keep}, len(layers))
		return route.Draws(p, seed, step, layers, kept, route.Rows{First: first, Count: 1, Length: length})[layer]
	}
	// To have n in common there are C(8,n) squared ways of 12,870; n of at most 2, 3, 4,
	// 5, and at least 6.
	ways := []float64{1 + 64 + 784, 3136, 4900, 3136, 784 + 64 + 1}
	counts := make([]float64, len(ways))
	equal = true
	for i := range rounds {
		seed, step, layers, at, row := uint64(3), int64(5), []int{1, 2, 4}, 0, 2*i
		a := rowsOf(seed, step, layers, at, row)
		switch coordinate {
		case "seed":
			seed++
		case "step":
			step++
		case "layer":
			at = 1
		case "span":
			at = 2
		case "row":
			row++
		case "rank":
			row += 2 * rounds
		}
		b := rowsOf(seed, step, layers, at, row)
		common := 0
		for _, x := range a {
			if slices.Contains(b, x) {
				common++
			}
		}
		equal = equal && common == keep
		counts[min(max(common, 2), 6)-2]++
	}
	for i, n := range counts {
		want := rounds * ways[i] / 12870
		chi += (n - want) * (n - want) / want
	}
	return chi, equal
}

// Every two positions are kept together as often as chance says.
func TestPairsAreUniform(t *testing.T) {
	const length, rows = 12, 20000
	for _, name := range []string{"random-ltd", "shared", "constant", "token-bypass"} {
		p, _ := route.Lookup(name)
		for _, keep := range []int{4, 9} {
			pairs := make([]float64, length*length)
			kept := make([]int32, keep)
			for row := range rows {
				p.Keep(kept, length, route.Draw{Seed: 5, Step: 7, Layer: 1, Span: 1, Row: row})
				for i, a := range kept {
					for _, b := range kept[i+1:] {
						pairs[int(a)*length+int(b)]++
					}
				}
			}
			f := float64(keep) / length * float64(keep-1) / (length - 1)
			for a := range length {
				for b := a + 1; b < length; b++ {
					if d := pairs[a*length+b] - rows*f; d*d > 20*rows*f*(1-f) {
						t.Errorf("%s keeps %d: positions %d and %d together %v times, want about %.0f", name, keep, a, b, pairs[a*length+b], rows*f)
					}
				}
			}
		}
	}
}

// As a layer keeps more of rows of a length, constant adds to what it keeps.
func TestConstantGrows(t *testing.T) {
	const length = 40
	d := route.Draw{Seed: 1, Step: 9, Layer: 2, Span: 1, Row: 3}
	var before []int32
	for keep := 1; keep <= length; keep++ {
		kept := make([]int32, keep)
		d.Step++
		route.Constant{}.Keep(kept, length, d)
		for _, at := range before {
			if !slices.Contains(kept, at) {
				t.Fatalf("%d are kept, %v, and position %d no more; before %v", keep, kept, at, before)
			}
		}
		before = kept
	}
}

// The draws are a promise across releases.
func TestGolden(t *testing.T) {
	tokens := []int32{5, 6, 7, 8, 9, 5, 6, 7, -1, -1, -1, -1, 9, 9, 9, 5, 5, 5, 8, 8, 7, 7, 6, -1}
	learned := route.TokenBypass{}.Learn(10)
	learned.Observe([]int32{5, 6, 7, 8}, []float32{0.5, 4, 3, 0.25})
	rows := route.Rows{First: 3, Count: 2, Length: 12, Tokens: tokens}
	marked := rows
	marked.Always = make([]bool, len(tokens))
	for _, at := range []int{0, 5, 23, 22} {
		marked.Always[at] = true
	}
	for _, c := range []struct {
		policy route.Policy
		rows   route.Rows
		want   string
	}{
		{route.RandomLTD{}, rows, "[[3 5 7 9 11 0 6 7 8 11] [0 5 7 9 10 1 4 5 6 11] [1 4 6 9 0 1 3 10]]"},
		{route.RandomLTD{}, marked, "[[0 4 5 9 11 6 7 8 10 11] [0 1 5 7 11 1 4 5 10 11] [0 5 6 11 0 3 10 11]]"},
		{route.Shared{}, rows, "[[2 3 5 9 10 0 2 3 4 5] [2 3 5 9 10 0 2 3 4 5] [3 4 7 8 2 3 4 11]]"},
		{route.Constant{}, rows, "[[2 4 5 7 9 0 7 9 10 11] [2 3 6 9 11 2 4 7 8 11] [0 4 5 10 2 3 6 7]]"},
		{route.TokenBypass{}, rows, "[[0 2 5 6 7 0 2 7 8 10] [0 2 5 6 7 0 2 7 8 10] [3 4 5 7 2 6 7 9]]"},
		{learned, rows, "[[1 2 4 6 7 0 1 2 8 10] [1 2 4 6 7 0 1 2 8 10] [1 4 6 7 0 1 2 10]]"},
		{learned, marked, "[[0 1 4 5 6 0 1 2 10 11] [0 1 4 5 6 0 1 2 10 11] [0 4 5 6 0 2 10 11]]"},
	} {
		got := fmt.Sprint(route.Draws(c.policy, 1234, 56, []int{1, 2, 4}, []int{5, 5, 4}, c.rows))
		if got != c.want {
			t.Errorf("%T: positions %s, want %s", c.policy, got, c.want)
		}
	}
	r := route.Draw{Seed: 1234, Step: 56, Layer: 1, Row: 3}.Rand()
	if got := fmt.Sprint(r.IntN(1000), r.IntN(1000), r.Uint64()); got != "715 736 12973942767569376416" {
		t.Errorf("random numbers of a draw: %s", got)
	}
}
