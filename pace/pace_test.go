package pace_test

import (
	"errors"
	"fmt"
	"math"
	"testing"

	"github.com/gradus-ml/gradus/internal/fault"
	"github.com/gradus-ml/gradus/pace"
	"pgregory.net/rapid"
)

func root(t *testing.T, from, to, step, until, degree float64) *pace.Root {
	t.Helper()
	p, err := pace.NewRoot(pace.Root{From: from, To: to, Step: step, Until: until, Degree: degree})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// The vectors of the original's schedulers (reference, sections 3 and 6.4): a
// clock position and the value there.
func TestReferenceVectors(t *testing.T) {
	type at map[float64]float64
	for _, c := range []struct {
		name                          string
		from, to, step, until, degree float64
		want                          at
	}{
		{"2..10", 2, 10, 2, 8, 1, at{1: 2, 2: 4, 3: 4, 4: 6, 5: 6, 6: 8, 7: 8, 8: 10, 9: 10, 10: 10}},
		{"GPT-3 length", 80, 2048, 8, 110000, 1, at{
			1: 80, 447: 80, 448: 88, 1000: 96, 11000: 272, 27500: 568, 55000: 1064, 82500: 1552, 109999: 2040, 110000: 2048,
		}},
		{"GPT-3 rarity", 1, 100, 1, 110000, 2, at{
			1: 1, 11: 1, 12: 2, 44: 2, 45: 3, 1000: 10, 11000: 32, 27500: 50, 55000: 71, 82500: 86, 109999: 99, 110000: 100,
		}},
		{"BERT rarity", 5, 100, 1, 960000, 2, at{1: 5, 425: 6, 426: 7, 9600: 14, 96000: 35, 240000: 52, 480000: 72, 959999: 99}},
		{"cube root", 8, 1024, 8, 100, 3, at{1: 224, 2: 280, 4: 352, 8: 440, 16: 552, 32: 696, 64: 880, 100: 1024}},
		{"8..1024 by 8", 8, 1024, 8, 100, 1, at{0: 8, 1: 16, 2: 24, 3: 32, 4: 48, 5: 56}},
		{"64..1024 by 16", 64, 1024, 16, 100, 1, at{0: 64, 1: 64, 2: 80, 3: 80, 4: 96, 5: 112}},
		{"end past until", 10, 197, 8, 100, 1, at{100: 192, 101: 192, 102: 197, 1000: 197}},
		{"GPT-3 kept", 128, 2048, 16, 200000, 1, at{
			0: 128, 1666: 128, 1667: 144, 3334: 160, 50000: 608, 100000: 1088, 150000: 1568, 199999: 2032, 200000: 2048,
		}},
		{"ViT kept", 32, 197, 8, 3910, 1, at{0: 32, 190: 40, 380: 48, 3910: 192, 3981: 192, 3982: 197}},
	} {
		p := root(t, c.from, c.to, c.step, c.until, c.degree)
		for clock, want := range c.want {
			if got := p.At(clock); got != want {
				t.Errorf("%s: at %v: %v, want %v", c.name, clock, got, want)
			}
		}
	}
}

// The original's rule rounds below the minimum: from 8 by 16 it starts at 0 and
// trains on nothing. Ours starts at 16, and agrees from there on.
func TestNeverBelowFrom(t *testing.T) {
	p := root(t, 8, 1024, 16, 100, 1)
	original := []float64{0, 16, 16, 32, 48, 48}
	want := []float64{16, 16, 16, 32, 48, 48}
	for clock, old := range original {
		got := p.At(float64(clock))
		if got != want[clock] {
			t.Errorf("at %d: %v, want %v", clock, got, want[clock])
		}
		if got != old && old >= 8 {
			t.Errorf("at %d: %v differs from the original's %v, which is not below the minimum", clock, got, old)
		}
	}
	// From 10 by 8 the original starts at 8; the first multiple at or above 10 is 16.
	if got := root(t, 10, 197, 8, 100, 1).At(0); got != 16 {
		t.Errorf("from 10 by 8: starts at %v, want 16", got)
	}
	// No multiple fits between From and To: To is the only value.
	if got := root(t, 10, 12, 16, 100, 1).At(0); got != 12 {
		t.Errorf("from 10 to 12 by 16: starts at %v, want 12", got)
	}
}

func TestDiscreteVector(t *testing.T) {
	p, err := pace.NewSteps(pace.Steps{Values: []float64{1, 2, 3, 4, 5}, Until: []float64{2, 4, 6, 8}})
	if err != nil {
		t.Fatal(err)
	}
	want := []float64{1, 1, 2, 2, 3, 3, 4, 4, 5, 5}
	for i, w := range want {
		if got := p.At(float64(i + 1)); got != w {
			t.Errorf("at %d: %v, want %v", i+1, got, w)
		}
	}
}

func TestImpossible(t *testing.T) {
	good := pace.Root{From: 1, To: 10, Step: 1, Until: 100, Degree: 1}
	for name, spoil := range map[string]func(*pace.Root){
		"from > to":   func(r *pace.Root) { r.From = 11 },
		"from < 0":    func(r *pace.Root) { r.From = -1 },
		"until 0":     func(r *pace.Root) { r.Until = 0 },
		"step 0":      func(r *pace.Root) { r.Step = 0 },
		"degree 0":    func(r *pace.Root) { r.Degree = 0 },
		"to NaN":      func(r *pace.Root) { r.To = math.NaN() },
		"until Inf":   func(r *pace.Root) { r.Until = math.Inf(1) },
		"negative by": func(r *pace.Root) { r.Step = -8 },
	} {
		r := good
		spoil(&r)
		if _, err := pace.NewRoot(r); !errors.Is(err, fault.Invalid) {
			t.Errorf("%s: error %v, want an invalid input", name, err)
		}
	}
	for name, s := range map[string]pace.Steps{
		"empty":          {},
		"too few until":  {Values: []float64{1, 2}},
		"until unsorted": {Values: []float64{1, 2, 3}, Until: []float64{5, 5}},
		"NaN value":      {Values: []float64{math.NaN()}},
	} {
		if _, err := pace.NewSteps(s); !errors.Is(err, fault.Invalid) {
			t.Errorf("%s: error %v, want an invalid input", name, err)
		}
	}
}

// Any root pace stays within [From, To], never falls, is a multiple of Step
// except at To, and ends at To.
func TestRootLaws(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		from := float64(rapid.IntRange(0, 500).Draw(t, "from"))
		to := from + float64(rapid.IntRange(0, 5000).Draw(t, "span"))
		step := float64(rapid.IntRange(1, 64).Draw(t, "step"))
		until := float64(rapid.IntRange(1, 1_000_000).Draw(t, "until"))
		degree := rapid.Float64Range(1, 5).Draw(t, "degree")
		p, err := pace.NewRoot(pace.Root{From: from, To: to, Step: step, Until: until, Degree: degree})
		if err != nil {
			t.Fatal(err)
		}
		last := 0.0
		for i := range 50 {
			v := p.At(until * 1.5 * float64(i) / 50)
			if v < from || v > to || v < last {
				t.Fatalf("at %d/50: %v after %v, outside [%v, %v] or falling", i, v, last, from, to)
			}
			if v != to && math.Mod(v, step) != 0 {
				t.Fatalf("at %d/50: %v is no multiple of %v", i, v, step)
			}
			last = v
		}
		// Past one quantum of slope beyond Until, the value is To.
		late := until * math.Pow(1+(step+1)/max(to-from, 1), degree)
		if v := p.At(late); v != to {
			t.Fatalf("at %v: %v, want %v", late, v, to)
		}
	})
}

func ExampleRoot() {
	length, err := pace.NewRoot(pace.Root{From: 64, To: 256, Step: 32, Until: 100, Degree: 1})
	if err != nil {
		panic(err)
	}
	for _, clock := range []float64{0, 25, 50, 75, 100} {
		fmt.Print(length.At(clock), " ")
	}
	// Output: 64 96 160 192 256
}
