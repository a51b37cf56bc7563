package pace_test

import (
	"testing"

	"github.com/gradus-ml/gradus/pace"
)

// The vectors of the original's schedulers (reference, sections 3 and 6.4): a
// clock position and the value there. A curriculum counts t from 1, so its pace
// begins at -1 and the value of t is that of clock position t-1. The keeping of
// tokens counts from 0.
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
		// None of them but the second last starts below its minimum, so both roundings agree.
		for _, round := range []pace.Rounding{pace.RoundUp, pace.RoundDown} {
			for _, begin := range []float64{0, -1} {
				p := must(pace.NewRoot(pace.Root{From: c.from, To: c.to, Step: c.step, Begin: begin, Until: begin + c.until,
					Degree: c.degree, Round: round}))
				for clock, want := range c.want {
					if got := p.At(begin + clock); got != want {
						t.Errorf("%s, round %s, begin %v: at %v: %v, want %v", c.name, round, begin, clock, got, want)
					}
				}
			}
		}
	}
}

// The original's old rule rounds below the minimum: from 8 by 16 it starts at 0
// and trains on nothing. Ours starts at 16, and agrees from there on.
func TestRoundings(t *testing.T) {
	up := must(pace.NewRoot(pace.Root{From: 8, To: 1024, Step: 16, Until: 100, Degree: 1}))
	down := must(pace.NewRoot(pace.Root{From: 8, To: 1024, Step: 16, Until: 100, Degree: 1, Round: pace.RoundDown}))
	for clock, old := range []float64{0, 16, 16, 32, 48, 48} {
		if got := down.At(float64(clock)); got != old {
			t.Errorf("round down, at %d: %v, want %v", clock, got, old)
		}
		if got, want := up.At(float64(clock)), max(old, 16); got != want {
			t.Errorf("round up, at %d: %v, want %v", clock, got, want)
		}
	}
	for _, c := range []struct {
		from, to, step float64
		round          pace.Rounding
		want           float64 // at 0
	}{
		{10, 197, 8, pace.RoundUp, 16},
		{10, 197, 8, pace.RoundDown, 8},
		{10, 12, 16, pace.RoundUp, 12}, // no multiple fits between: To is the only value
		{10, 12, 16, pace.RoundDown, 0},
		{10, 10, 8, pace.RoundDown, 10}, // the original is frozen once it is at its maximum
		{197, 10, 8, "", 192},           // falling: never above the last multiple at most From
		{12, 10, 16, "", 10},
	} {
		p := must(pace.NewLinear(pace.Ramp{From: c.from, To: c.to, Step: c.step, Until: 100, Round: c.round}))
		if got := p.At(0); got != c.want {
			t.Errorf("from %v to %v by %v, round %s: starts at %v, want %v", c.from, c.to, c.step, c.round, got, c.want)
		}
	}
}

func TestDiscreteVector(t *testing.T) {
	p := must(pace.NewSteps(pace.Steps{Values: []float64{1, 2, 3, 4, 5}, Until: []float64{2, 4, 6, 8}}))
	for i, want := range []float64{1, 1, 2, 2, 3, 3, 4, 4, 5, 5} {
		if got := p.At(float64(i + 1)); got != want {
			t.Errorf("at %d: %v, want %v", i+1, got, want)
		}
	}
}

// The other curves, by values worked out by hand: halves and quarters of the
// way, where the mathematics is exact.
func TestCurves(t *testing.T) {
	r := pace.Ramp{From: 16, To: 256, Step: 1, Until: 1000}
	back := pace.Ramp{From: 256, To: 16, Step: 1, Until: 1000}
	unrounded := r
	unrounded.Step = 0
	type at map[float64]float64
	for name, c := range map[string]struct {
		p    pace.Pace
		want at
	}{
		// 240*sin^2(22.5 degrees) = 35.147
		"cosine":           {must(pace.NewCosine(r)), at{-5: 16, 0: 16, 250: 51, 500: 136, 750: 220, 1000: 256, 5000: 256}},
		"cosine, falling":  {must(pace.NewCosine(back)), at{0: 256, 250: 221, 500: 136, 750: 52, 1000: 16, 5000: 16}},
		"exponential":      {must(pace.NewExponential(r)), at{0: 16, 250: 32, 500: 64, 750: 128, 999: 255, 1000: 256}},
		"exp., falling":    {must(pace.NewExponential(back)), at{0: 256, 250: 128, 500: 64, 750: 32, 1000: 16}},
		"linear, falling":  {must(pace.NewLinear(back)), at{0: 256, 1: 256, 4: 256, 5: 255, 250: 196, 500: 136, 1000: 16}},
		"linear, no steps": {must(pace.NewLinear(unrounded)), at{-1: 16, 0: 16, 1: 16.24, 500: 136, 1000: 256, 2000: 256}},
		// 240*(tanh(1.25)/(2*tanh(2.5))+0.5) = 223.18, and its mirror image 16.81.
		"sigmoid":      {must(pace.NewSigmoid(r, 10)), at{0: 16, 250: 32, 500: 136, 750: 239, 1000: 256}},
		"cubed":        {must(pace.NewCurve(r, func(x float64) float64 { return x * x * x })), at{0: 16, 500: 46, 1000: 256}},
		"held":         {must(pace.NewLinear(pace.Ramp{From: 0, To: 100, Step: 1, Until: 100, Every: 30})), at{29: 0, 30: 30, 59: 30, 100: 90, 119: 90, 120: 100}},
		"begins later": {must(pace.NewLinear(pace.Ramp{From: 0, To: 100, Step: 1, Begin: 100, Until: 200})), at{0: 0, 100: 0, 150: 50, 200: 100}},
		"sawtooth":     {must(pace.NewCyclic(pace.Ramp{From: 1, To: 4, Step: 1, Until: 24}, 3, "")), at{0: 1, 1: 1, 2: 2, 4: 3, 6: 4, 7: 4, 8: 1, 15: 4, 16: 1, 23: 4, 24: 4, 99: 4}},
		"triangle":     {must(pace.NewCyclic(pace.Ramp{From: 1, To: 4, Step: 1, Until: 9}, 2, pace.Triangle)), at{0: 1, 1: 2, 2: 3, 3: 4, 4: 3, 5: 2, 6: 1, 7: 2, 8: 3, 9: 4, 99: 4}},
		"cosine wave":  {must(pace.NewCyclic(pace.Ramp{From: 0, To: 4, Step: 2, Until: 300}, 2, pace.Wave)), at{0: 0, 49: 0, 50: 2, 99: 2, 100: 4, 149: 4, 150: 2, 199: 2, 200: 0, 250: 2, 300: 4}},
		"falling saw":  {must(pace.NewCyclic(pace.Ramp{From: 10, To: 1, Step: 4, Until: 6}, 2, pace.Sawtooth)), at{0: 8, 1: 4, 2: 1, 3: 8, 4: 4, 5: 1, 6: 1}},
	} {
		for clock, want := range c.want {
			if got := c.p.At(clock); got != want {
				t.Errorf("%s: at %v: %v, want %v", name, clock, got, want)
			}
		}
	}
}

func must[P any](p P, err error) P {
	if err != nil {
		panic(err)
	}
	return p
}
