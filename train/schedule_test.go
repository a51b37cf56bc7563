package train

import (
	"errors"
	"math"
	"testing"

	"github.com/gradus-ml/gradus/internal/fault"
)

func TestScheduleByHand(t *testing.T) {
	base := Schedule{Peak: 0.8, Min: 0.2, Warmup: 10, Total: 50, Decay: Cosine}
	linear, constant, none, all := base, base, base, base
	linear.Decay, constant.Decay = Linear, Constant
	none.Warmup = 0
	all.Warmup = 50
	fall, line, root := base, base, base
	fall.Decay, fall.Cooldown = Cooldown, 16
	line.Decay, line.Cooldown, line.Fall = Cooldown, 16, Line
	root.Decay = InverseSqrt
	for _, c := range []struct {
		name     string
		schedule Schedule
		clock    float64
		want     float64
	}{
		{"warmup", base, 0, 0},
		{"warmup", base, 1, 0.08},
		{"warmup", base, 5, 0.4},
		{"the peak", base, 10, 0.8},
		{"cosine", base, 20, 0.2 + 0.6*(1+math.Sqrt2/2)/2}, // a quarter of the way
		{"cosine", base, 30, 0.5},
		{"cosine", base, 40, 0.2 + 0.6*(1-math.Sqrt2/2)/2},
		{"the end", base, 50, 0.2},
		{"past the end", base, 51.5, 0.2}, // the last step may end past the budget
		{"linear", linear, 20, 0.65},
		{"linear", linear, 30, 0.5},
		{"linear", linear, 50, 0.2},
		{"linear", linear, 99, 0.2},
		{"constant", constant, 5, 0.4},
		{"constant", constant, 11, 0.8},
		{"constant", constant, 50, 0.8},
		{"cooldown warms up", fall, 5, 0.4},
		{"before the fall", fall, 34, 0.8},
		{"1-sqrt", fall, 38, 0.2 + 0.6*(1-0.5)}, // a quarter of the fall
		{"1-sqrt", fall, 43, 0.2 + 0.6*(1-0.75)},
		{"the end of 1-sqrt", fall, 50, 0.2},
		{"past the end of 1-sqrt", fall, 70, 0.2},
		{"before the line", line, 34, 0.8},
		{"the line", line, 38, 0.65},
		{"the end of the line", line, 50, 0.2},
		{"square root", root, 5, 0.4},
		{"square root", root, 10, 0.8},
		{"square root", root, 40, 0.4},
		{"square root on", root, 90, 0.8 / 3},
		{"square root at its least", root, 1000, 0.2},
		{"no warmup", none, 0, 0.8},
		{"no warmup", none, 25, 0.5},
		{"nothing but warmup", all, 25, 0.4},
		{"nothing but warmup", all, 50, 0.8},
	} {
		if got := c.schedule.At(c.clock); math.Abs(got-c.want) > 1e-15 {
			t.Errorf("%s: %s at %v is %v, want %v", c.name, c.schedule, c.clock, got, c.want)
		}
	}
}

func TestSettingsAreChecked(t *testing.T) {
	nan, inf := math.NaN(), math.Inf(1)
	good := Schedule{Peak: 1, Min: 0.1, Warmup: 1, Total: 10, Decay: Cosine}
	for name, spoil := range map[string]func(*Schedule){
		"rate 0": func(s *Schedule) { s.Peak = 0 }, "NaN rate": func(s *Schedule) { s.Peak = nan },
		"infinite rate": func(s *Schedule) { s.Peak = inf }, "min above the rate": func(s *Schedule) { s.Min = 2 },
		"negative min": func(s *Schedule) { s.Min = -1 }, "NaN min": func(s *Schedule) { s.Min = nan },
		"negative warmup": func(s *Schedule) { s.Warmup = -1 }, "long warmup": func(s *Schedule) { s.Warmup = 11 },
		"NaN total": func(s *Schedule) { s.Total = nan }, "decay": func(s *Schedule) { s.Decay = "steep" },
		"square root without warmup": func(s *Schedule) { s.Decay, s.Warmup = InverseSqrt, 0 },
		"no cooldown":                func(s *Schedule) { s.Decay = Cooldown },
		"cooldown of cosine":         func(s *Schedule) { s.Cooldown = 1 },
		"fall of cosine":             func(s *Schedule) { s.Fall = Line },
		"long cooldown":              func(s *Schedule) { s.Decay, s.Cooldown = Cooldown, 9.5 },
		"fall":                       func(s *Schedule) { s.Decay, s.Cooldown, s.Fall = Cooldown, 2, "free" },
	} {
		s := good
		spoil(&s)
		if err := s.Validate(); !errors.Is(err, fault.Invalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := good.Validate(); err != nil {
		t.Error(err)
	}
	adam := Optimizer{Beta1: 0.9, Beta2: 0.95, Epsilon: 1e-8, Decay: 0.1, Clip: 1}
	for name, spoil := range map[string]func(*Optimizer){
		"beta 1": func(o *Optimizer) { o.Beta1 = 1 }, "negative beta": func(o *Optimizer) { o.Beta2 = -0.1 },
		"NaN beta": func(o *Optimizer) { o.Beta2 = nan }, "epsilon 0": func(o *Optimizer) { o.Epsilon = 0 },
		"an epsilon that is 0 in float32": func(o *Optimizer) { o.Epsilon = 1e-60 },
		"infinite epsilon":                func(o *Optimizer) { o.Epsilon = inf },
		"negative decay":                  func(o *Optimizer) { o.Decay = -1 }, "NaN decay": func(o *Optimizer) { o.Decay = nan },
		"negative clip": func(o *Optimizer) { o.Clip = -1 }, "NaN clip": func(o *Optimizer) { o.Clip = nan },
	} {
		o := adam
		spoil(&o)
		if err := o.Validate(); !errors.Is(err, fault.Invalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := adam.Validate(); err != nil {
		t.Error(err)
	}
}
