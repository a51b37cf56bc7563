package route_test

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/gradus-ml/gradus/internal/fault"
	"github.com/gradus-ml/gradus/route"
	"pgregory.net/rapid"
)

func TestInner(t *testing.T) {
	for layers, want := range map[int][]int{0: nil, 1: nil, 2: nil, 3: {1}, 6: {1, 2, 3, 4}} {
		if got := route.Inner(layers); !slices.Equal(got, want) {
			t.Errorf("Inner(%d) = %v, want %v", layers, got, want)
		}
	}
}

// A layer keeps the stage's number, or in proportion to its share of the dropped.
func TestKept(t *testing.T) {
	for _, c := range []struct {
		length, kept int
		drop         float64
		want         int
	}{
		{16, 6, 1, 6}, {16, 6, 0, 16}, {16, 6, 0.5, 11}, {16, 6, 0.25, 13}, {16, 6, 1.2, 4}, {16, 6, 1.5, 1}, {16, 6, 1e300, 1},
		{16, 16, 1e300, 16}, {1, 1, 1, 1}, {7, 4, 0.5, 5}, {1 << 24, 1, 1, 1},
	} {
		if got := route.Kept(c.length, c.kept, c.drop); got != c.want {
			t.Errorf("Kept(%d, %d, %v) = %d, want %d", c.length, c.kept, c.drop, got, c.want)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		length := rapid.IntRange(1, 5000).Draw(t, "length")
		kept := rapid.IntRange(1, length).Draw(t, "kept")
		drop := rapid.Float64Range(0, 1).Draw(t, "drop")
		n := route.Kept(length, kept, drop)
		if n < kept || n > length || math.Abs(float64(length-n)-drop*float64(length-kept)) > 0.5 {
			t.Fatalf("of %d, %d kept by the stage and %v of the dropped: %d", length, kept, drop, n)
		}
		if route.Kept(length, kept, 1) != kept {
			t.Fatalf("the whole share of %d of %d is another number", kept, length)
		}
	})
}

// Token-bypass drops padding, then what is predicted best, and keeps what it never
// saw: no dropped position is more important than a kept one.
func TestTokenBypassDropsTheLeastImportant(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const vocabulary = 12
		length := rapid.IntRange(1, 60).Draw(t, "length")
		keep := rapid.IntRange(1, length).Draw(t, "keep")
		labels := rapid.SliceOfN(rapid.Int32Range(-1, vocabulary+1), 0, 30).Draw(t, "labels")
		losses := make([]float32, len(labels))
		importance := map[int32]float64{-1: -1}
		sums, counts := map[int32]float64{}, map[int32]float64{}
		for i, label := range labels {
			losses[i] = float32(rapid.IntRange(0, 5).Draw(t, "loss"))
			sums[label] += float64(losses[i])
			counts[label]++
		}
		for token := range int32(vocabulary) {
			importance[token] = math.Inf(1)
			if counts[token] > 0 {
				importance[token] = sums[token] / counts[token]
			}
		}
		p := route.TokenBypass{}.Learn(vocabulary)
		p.Observe(labels, losses)
		tokens := rapid.SliceOfN(rapid.Int32Range(-1, vocabulary-1), length, length).Draw(t, "tokens")
		kept := make([]int32, keep)
		p.Keep(kept, length, route.Draw{Seed: rapid.Uint64().Draw(t, "seed"), Tokens: tokens})
		least := math.Inf(1)
		for _, at := range kept {
			least = min(least, importance[tokens[at]])
		}
		for at, token := range tokens {
			if _, ok := slices.BinarySearch(kept, int32(at)); !ok && importance[token] > least {
				t.Fatalf("%v keeps positions %v, one of importance %v, and drops token %d of %v", tokens, kept, least, token, importance[token])
			}
		}
	})
}

// An entry's mean begins with its mean loss of a batch and takes in 0.005 of that
// of each further batch that predicts it; nothing else changes it.
func TestTokenBypassLearns(t *testing.T) {
	p := route.TokenBypass{}.Learn(6)
	p.Observe([]int32{3, 3, 5, -1, 9}, []float32{1, 3, 2, 8, 8})
	p.Observe([]int32{5, 3}, []float32{float32(math.NaN()), 4})
	p.Observe([]int32{0, 0}, []float32{-1e-7, float32(math.Inf(1))})
	p.Observe(nil, nil)
	want := []float64{0, -1, -1, 0.995*2 + 0.005*4, -1, 2}
	got := p.State()
	for i := range want {
		if math.Abs(got[i]-want[i]) > 1e-12 {
			t.Errorf("token %d has the mean %v, want %v", i, got[i], want[i])
		}
	}
	for _, c := range []struct {
		state []float64
		kind  error
	}{
		{[]float64{1, 2, 3}, fault.Mismatch}, {[]float64{1, 2, 3, 4, 5, math.NaN()}, fault.Corrupt},
		{[]float64{1, 2, 3, 4, 5, -2}, fault.Corrupt}, {[]float64{1, 2, 3, 4, 5, math.Inf(1)}, fault.Corrupt},
	} {
		if err := p.Restore(c.state); !errors.Is(err, c.kind) {
			t.Errorf("state %v: error %v, want %v", c.state, err, c.kind)
		}
	}
	if !slices.Equal(p.State(), got) {
		t.Error("a state that was refused changed the means")
	}
}

func ExampleDraws() {
	layers := route.Inner(4) // of four layers, 1 and 2 are routed
	rows := route.Rows{Count: 1, Length: 8, Always: []bool{0: true, 7: false}}
	for i, kept := range route.Draws(route.RandomLTD{}, 1, 0, layers, []int{3, 5}, rows) {
		fmt.Println("layer", layers[i], "sees positions", kept, "of 8")
	}
	// Output:
	// layer 1 sees positions [0 1 4] of 8
	// layer 2 sees positions [0 1 2 6 7] of 8
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
