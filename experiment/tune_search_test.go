package experiment

import (
	"errors"
	"math"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// Bisection finds the first steady candidate, has probed both sides of it, and asks
// nothing twice and not more often than it says.
func TestFirstSteady(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(0, 300).Draw(t, "n")
		first := rapid.IntRange(0, n).Draw(t, "first")
		var asked []int
		got, err := firstSteady(n, func(i int) (bool, error) {
			asked = append(asked, i)
			return i >= first, nil
		})
		if err != nil || got != first {
			t.Fatalf("got %d, %v", got, err)
		}
		if len(asked) > mostProbes(n) || len(asked) > int(math.Ceil(math.Log2(float64(n+1)))) {
			t.Fatalf("asked %d times of %d", len(asked), n)
		}
		for _, side := range []int{first - 1, first} {
			if side >= 0 && side < n && !slices.Contains(asked, side) {
				t.Fatalf("%d was not asked: %v", side, asked)
			}
		}
		slices.Sort(asked)
		if len(slices.Compact(slices.Clone(asked))) != len(asked) {
			t.Fatalf("asked twice: %v", asked)
		}
	})
	stop := errors.New("stop")
	if _, err := firstSteady(3, func(int) (bool, error) { return true, stop }); err != stop {
		t.Error(err)
	}
}

// search tries rates until there is nothing left to try.
func search(most int, all bool, loss func(k int) float64) (s rateSearch, order []int) {
	s = rateSearch{}
	for {
		k, ok := s.next(most, all)
		if !ok {
			return s, order
		}
		if _, again := s[k]; again {
			panic("tried twice")
		}
		s[k] = loss(k)
		order = append(order, k)
	}
}

// Where losses have one valley, and higher rates diverge, the search ends at its
// bottom, after as many probes as the way there takes and two more.
func TestRateSearch(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		bottom := rapid.IntRange(-20, 20).Draw(t, "bottom")
		cliff := bottom + rapid.IntRange(1, 30).Draw(t, "cliff")
		left, right := rapid.Float64Range(0.01, 1).Draw(t, "left"), rapid.Float64Range(0.01, 1).Draw(t, "right")
		loss := func(k int) float64 {
			switch d := float64(k - bottom); {
			case k >= cliff:
				return math.Inf(1)
			case d < 0:
				return 2 - left*d
			default:
				return 2 + right*d
			}
		}
		s, order := search(1000, false, loss)
		if got := s.best(nil); got != bottom {
			t.Fatalf("found %d: tried %v", got, order)
		}
		// Three to begin with, an octave each beyond them, one more beyond the best, two close to it.
		if way := max(bottom, -bottom)/2 + 6; len(order) > way {
			t.Fatalf("%d probes for a way of %d: %v", len(order), way, order)
		}
		for _, side := range []int{bottom - 1, bottom + 1} {
			if _, ok := s[side]; !ok {
				t.Fatalf("%d beside the best was not looked at: %v", side, order)
			}
		}

		// With all, exactly as many as asked for, and the first are the same.
		most := rapid.IntRange(3, 30).Draw(t, "most")
		more, longer := search(most, true, loss)
		if len(more) != most {
			t.Fatalf("%d probes, want %d", len(more), most)
		}
		if n := min(len(order), most); !slices.Equal(longer[:n], order[:n]) {
			t.Fatalf("%v, and with more effort %v", order, longer)
		}
	})
	if _, order := search(3, false, func(k int) float64 { return float64(-k) }); !slices.Equal(order, []int{0, -2, 2}) {
		t.Errorf("three probes: %v", order)
	}
	if _, order := search(6, false, func(int) float64 { return math.Inf(1) }); !slices.Equal(order, []int{0, -2, 2, -4, -6, -8}) {
		t.Errorf("all diverge: %v", order)
	}
}

// Ties within the noise go to the smaller rate.
func TestRateTies(t *testing.T) {
	s := rateSearch{-4: 2.5, -2: 2.003, 0: 2.001, 1: 2, 2: 2.0005, 4: math.Inf(1)}
	for noise, want := range map[float64]int{0: 1, 0.0009: 1, 0.001: 0, 0.002: 0, 0.0031: -2, 1: -4} {
		if got := s.best(func(int, int) float64 { return noise }); got != want {
			t.Errorf("noise %v: %d, want %d", noise, got, want)
		}
	}
}

func TestRateAt(t *testing.T) {
	for _, c := range []struct {
		rate float64
		k    int
		want float64
	}{{2e-3, 0, 2e-3}, {2e-3, 1, 0.00283}, {2e-3, 2, 0.004}, {2e-3, -1, 0.00141}, {1.23456e-3, 0, 1.23456e-3}, {3, 10, 96}, {300, 7, 3390}, {1e-5, -1, 7.07e-6}} {
		if got := rateAt(c.rate, c.k); got != c.want {
			t.Errorf("%v by %d half octaves is %v, want %v", c.rate, c.k, got, c.want)
		}
	}
}
