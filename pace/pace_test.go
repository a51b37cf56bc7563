package pace_test

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/gradus-ml/gradus/internal/fault"
	"github.com/gradus-ml/gradus/pace"
	"pgregory.net/rapid"
)

// An error names the parameter.
func TestImpossible(t *testing.T) {
	root := func(spoil func(*pace.Root)) error {
		r := pace.Root{From: 1, To: 10, Step: 1, Until: 100, Degree: 1}
		spoil(&r)
		_, err := pace.NewRoot(r)
		return err
	}
	linear := func(spoil func(*pace.Ramp)) error {
		r := pace.Ramp{From: 1, To: 10, Step: 1, Until: 100}
		spoil(&r)
		_, err := pace.NewLinear(r)
		return err
	}
	cyclic := func(spoil func(*pace.Ramp), cycles int, shape pace.Shape) error {
		r := pace.Ramp{From: 1, To: 10, Step: 1, Until: 100}
		spoil(&r)
		_, err := pace.NewCyclic(r, cycles, shape)
		return err
	}
	steps := func(s pace.Steps) error {
		_, err := pace.NewSteps(s)
		return err
	}
	other := func(_ pace.Stepped, err error) error { return err }
	as := func(*pace.Ramp) {}
	for _, c := range []struct {
		want string
		err  error
	}{
		{"from (11) is greater than to (10)", root(func(r *pace.Root) { r.From = 11 })},
		{"from is -1", root(func(r *pace.Root) { r.From = -1 })},
		{"until is 0", root(func(r *pace.Root) { r.Until = 0 })},
		{"step is 0", root(func(r *pace.Root) { r.Step = 0 })},
		{"degree is 0", root(func(r *pace.Root) { r.Degree = 0 })},
		{"degree is NaN", root(func(r *pace.Root) { r.Degree = math.NaN() })},
		{"to is NaN", root(func(r *pace.Root) { r.To = math.NaN() })},
		{"until is +Inf", root(func(r *pace.Root) { r.Until = math.Inf(1) })},
		{"step is -8", root(func(r *pace.Root) { r.Step = -8 })},
		{"to is -1", linear(func(r *pace.Ramp) { r.To = -1 })},
		{"step is 1e-12", linear(func(r *pace.Ramp) { r.Step = 1e-12 })},
		{"until (5) does not come after begin (5)", linear(func(r *pace.Ramp) { r.Begin, r.Until = 5, 5 })},
		{"begin (-1e+308) and until (1e+308)", linear(func(r *pace.Ramp) { r.Begin, r.Until = -1e308, 1e308 })},
		{"to (1e-09) is no multiple of step (1)", linear(func(r *pace.Ramp) { r.From, r.To = 0, 1e-9 })},
		{"every is -1", linear(func(r *pace.Ramp) { r.Every = -1 })},
		{"every is 1e-12", linear(func(r *pace.Ramp) { r.Every = 1e-12 })},
		{`round is "sideways"`, linear(func(r *pace.Ramp) { r.Round = "sideways" })},
		{"round is down, and the pace falls", linear(func(r *pace.Ramp) { r.From, r.Round = 11, pace.RoundDown })},
		{"round is down, and step is 0", linear(func(r *pace.Ramp) { r.Step, r.Round = 0, pace.RoundDown })},
		{"from is 0", other(pace.NewExponential(pace.Ramp{To: 10, Step: 1, Until: 100}))},
		{"to is 0", other(pace.NewExponential(pace.Ramp{From: 10, Step: 1, Until: 100}))},
		{"more than a factor", other(pace.NewExponential(pace.Ramp{From: 1e-200, To: 1e200, Step: 1e199, Until: 100}))},
		{"steepness is 0", other(pace.NewSigmoid(pace.Ramp{To: 10, Step: 1, Until: 100}, 0))},
		{"cycles is 0", cyclic(as, 0, "")},
		{"cycles is 2000000", cyclic(as, 2_000_000, "")},
		{"too many between", cyclic(func(r *pace.Ramp) { r.Begin, r.Until = 1e15, 1e15+1 }, 1000, "")},
		{"step is 0", cyclic(func(r *pace.Ramp) { r.Step = 0 }, 2, "")},
		{`shape is "square"`, cyclic(as, 2, "square")},
		{"values is empty", steps(pace.Steps{})},
		{"2 values need 1 moments", steps(pace.Steps{Values: []float64{1, 2}})},
		{"until[1] (5) does not come after", steps(pace.Steps{Values: []float64{1, 2, 3}, Until: []float64{5, 5}})},
		{"until[0] is -1", steps(pace.Steps{Values: []float64{1, 2}, Until: []float64{-1}})},
		{"values[0] is NaN", steps(pace.Steps{Values: []float64{math.NaN()}})},
	} {
		if !errors.Is(c.err, fault.Invalid) || !strings.Contains(fmt.Sprint(c.err), c.want) {
			t.Errorf("error %q, want an invalid input with %q", c.err, c.want)
		}
	}
}

// The original's formula, as the reference gives it.
func original(t, total, degree, from, to, step float64) float64 {
	d := math.Floor(float64(math.Pow(t/total, 1/degree)*(to-from)) + from)
	return min(d-math.Mod(d, step), to)
}

// Rounded down, linear and square root are the original to the bit, at every
// step; rounded up they differ only below the first multiple.
func TestOriginal(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		from := float64(rapid.IntRange(0, 500).Draw(t, "from"))
		to := from + float64(rapid.IntRange(1, 5000).Draw(t, "span"))
		step := float64(rapid.IntRange(1, 64).Draw(t, "step"))
		total := float64(rapid.IntRange(1, 1_000_000).Draw(t, "total"))
		degree := rapid.SampledFrom([]float64{1, 2}).Draw(t, "degree")
		r := pace.Root{From: from, To: to, Step: step, Begin: -1, Until: total - 1, Degree: degree, Round: pace.RoundDown}
		down := must(pace.NewRoot(r))
		r.Round = pace.RoundUp
		up := must(pace.NewRoot(r))
		first := min(math.Ceil(from/step)*step, to)
		for range 50 {
			x := float64(rapid.IntRange(1, int(total)*3/2+2).Draw(t, "t"))
			want := original(x, total, degree, from, to, step)
			if got := down.At(x - 1); got != want {
				t.Fatalf("at %v: %v, the original %v", x, got, want)
			}
			if got := up.At(x - 1); got != max(want, first) {
				t.Fatalf("rounded up, at %v: %v, want %v", x, got, max(want, first))
			}
		}
	})
}

// Fractions of a step are the numbers one would write, none is left out, and
// each comes when its share of the way is done, up or down.
func TestFractions(t *testing.T) {
	for _, denominator := range []int{3, 10, 20, 40, 100, 1000, 1 << 10} {
		step := 1 / float64(denominator)
		for from := range 12 {
			for _, count := range []int{1, 2, 4, 7, 20, 99} {
				// Written as a recipe would: the nearest float64 of the fraction.
				value := func(i int) float64 { return float64(from+i) / float64(denominator) }
				if denominator == 3 {
					value = func(i int) float64 { return float64(from+i) * step }
				}
				up := must(pace.NewCosine(pace.Ramp{From: value(0), To: value(count), Step: step, Until: 1000}))
				down := must(pace.NewCosine(pace.Ramp{From: value(count), To: value(0), Step: step, Until: 1000}))
				rise, fall := must(pace.Stages(up, 1001, 200)), must(pace.Stages(down, 1001, 200))
				if len(rise) != count+1 || len(fall) != count+1 {
					t.Fatalf("from %v to %v by %v: %d values up and %d down, want %d", value(0), value(count), step, len(rise), len(fall), count+1)
				}
				for i := range rise {
					if rise[i].Value != value(i) || fall[count-i].Value != value(i) {
						t.Fatalf("from %v to %v by %v: value %d is %v up and %v down, want %v",
							value(0), value(count), step, i, rise[i].Value, fall[count-i].Value, value(i))
					}
				}
			}
		}
	}
	p := must(pace.NewLinear(pace.Ramp{From: 0.1, To: 0.3, Step: 0.05, Until: 100}))
	for i, want := range []float64{0.1, 0.15, 0.2, 0.25, 0.3} {
		if got := p.At(float64(25 * i)); got != want {
			t.Errorf("at %d: %v, want %v", 25*i, got, want)
		}
	}
}

// A cube root of a step's share that is a whole level is reached at that step,
// whatever the last bits of math.Pow.
func TestLevelsAreOnTime(t *testing.T) {
	for degree := 3.0; degree <= 7; degree++ {
		for n := 2.0; n <= 30; n++ {
			p := must(pace.NewRoot(pace.Root{From: 0, To: n, Step: 1, Until: math.Pow(n, degree), Degree: degree}))
			for k := 1.0; k <= n; k++ {
				clock := math.Pow(k, degree) // share (k/n)^degree
				if got := p.At(clock); got != k {
					t.Errorf("degree %v, to %v: at %v: %v, want %v", degree, n, clock, got, k)
				}
				if got := p.Next(clock - 1); p.At(clock-1) == k-1 && math.Abs(got-clock) > 1e-9*clock {
					t.Errorf("degree %v, to %v: the next value after %v comes at %v, want %v", degree, n, clock-1, got, clock)
				}
			}
		}
	}
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

func ExampleStages() {
	kept, err := pace.NewLinear(pace.Ramp{From: 256, To: 64, Step: 64, Until: 1500})
	if err != nil {
		panic(err)
	}
	stages, err := pace.Stages(kept, 3000, 10)
	if err != nil {
		panic(err)
	}
	for _, s := range stages {
		fmt.Printf("from step %v: %v\n", math.Ceil(s.From), s.Value)
	}
	// Output:
	// from step 0: 256
	// from step 500: 192
	// from step 1000: 128
	// from step 1500: 64
}
