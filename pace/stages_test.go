package pace_test

import (
	"errors"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/gradus-ml/gradus/internal/fault"
	"github.com/gradus-ml/gradus/pace"
)

// stuck is a pace whose Next is given.
type stuck struct {
	pace.Func
	next func(float64) float64
}

func (s stuck) Next(clock float64) float64 { return s.next(clock) }

func TestStages(t *testing.T) {
	length := must(pace.NewLinear(pace.Ramp{From: 32, To: 197, Step: 8, Until: 3910}))
	stages := must(pace.Stages(length, 1e9, 100))
	if n := len(stages); n != 22 || stages[0] != (pace.Stage{Value: 32}) || stages[n-1].Value != 197 {
		t.Errorf("32 to 197 by 8: %v", stages)
	}
	if last := stages[len(stages)-1].From; !(last > 3981 && last <= 3982) {
		t.Errorf("197 begins at %v, want after 3981 and by 3982", last)
	}
	if got := must(pace.Stages(length, 0, 100)); got != nil {
		t.Errorf("stages of a run of nothing: %v", got)
	}
	steps := must(pace.NewSteps(pace.Steps{Values: []float64{1, 1, 2, 1}, Until: []float64{3, 5, 8}}))
	want := []pace.Stage{{0, 1}, {math.Nextafter(5, 6), 2}, {math.Nextafter(8, 9), 1}}
	if got := must(pace.Stages(steps, 100, 3)); !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	fn := pace.Func(func(clock float64) float64 { return math.Floor(clock / 10) })
	if got, want := must(pace.Stages(fn, 25, 3)), []pace.Stage{{0, 0}, {10, 1}, {20, 2}}; !slices.Equal(got, want) {
		t.Errorf("a function: %v, want %v", got, want)
	}
	// A Next that stops where the value stays is put up with.
	lazy := stuck{fn, func(clock float64) float64 { return math.Floor(clock/5)*5 + 5 }}
	if got, want := must(pace.Stages(lazy, 25, 3)), []pace.Stage{{0, 0}, {10, 1}, {20, 2}}; !slices.Equal(got, want) {
		t.Errorf("a function with a Next: %v, want %v", got, want)
	}
}

func TestStagesRefuse(t *testing.T) {
	unrounded := must(pace.NewCosine(pace.Ramp{From: 0.5, To: 1, Until: 100}))
	value := pace.Func(func(clock float64) float64 { return clock })
	for name, c := range map[string]struct {
		p    pace.Pace
		end  float64
		want string
	}{
		"step 0":        {unrounded, 200, "raise its step"},
		"a value each":  {value, 1000, "more than 50 values before clock position 1000 (it is at 50 by 50)"},
		"not a number":  {pace.Constant(math.NaN()), 10, "not a number at clock position 0"},
		"too long":      {value, 1e12, "pace.Stepped"},
		"back":          {stuck{value, func(c float64) float64 { return c - 1 }}, 10, "Next(0) is -1"},
		"still":         {stuck{value, func(c float64) float64 { return c }}, 10, "Next(0) is 0"},
		"Next is a NaN": {stuck{value, func(c float64) float64 { return math.NaN() }}, 10, "Next(0) is NaN"},
	} {
		_, err := pace.Stages(c.p, c.end, 50)
		if !errors.Is(err, fault.Invalid) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want an invalid input with %q", name, err, c.want)
		}
	}
}

// Without a step a pace has a Next, too.
func TestUnrounded(t *testing.T) {
	p := must(pace.NewLinear(pace.Ramp{From: 0.5, To: 1, Until: 100}))
	for _, clock := range []float64{-3, 0, 1, 50, 99.99} {
		next := p.Next(clock)
		if !(next > clock) || p.At(next) == p.At(clock) || p.At(math.Nextafter(next, -9)) != p.At(clock) {
			t.Errorf("after %v (%v) comes %v (%v)", clock, p.At(clock), next, p.At(next))
		}
	}
	if next := p.Next(100); !math.IsInf(next, 1) {
		t.Errorf("after the end comes %v", next)
	}
}
