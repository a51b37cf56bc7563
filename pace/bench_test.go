package pace_test

import (
	"fmt"
	"testing"

	"github.com/gradus-ml/gradus/pace"
)

// What a plan asks of a pace: the value of each step, and where it changes.
func BenchmarkPace(b *testing.B) {
	r := pace.Ramp{From: 64, To: 2048, Step: 8, Until: 110_000}
	for _, c := range []struct {
		name string
		p    pace.Stepped
	}{
		{"linear", must(pace.NewLinear(r))},
		{"square-root", must(pace.NewRoot(pace.Root{From: 64, To: 2048, Step: 8, Until: 110_000, Degree: 2}))},
		{"cube-root", must(pace.NewRoot(pace.Root{From: 64, To: 2048, Step: 8, Until: 110_000, Degree: 3}))},
		{"exponential", must(pace.NewExponential(r))},
		{"sigmoid", must(pace.NewSigmoid(r, 10))},
		{"cosine", must(pace.NewCosine(r))},
		{"cyclic", must(pace.NewCyclic(r, 8, pace.Sawtooth))},
	} {
		b.Run(fmt.Sprintf("At/%s", c.name), func(b *testing.B) {
			sum, clock := 0.0, 0
			for b.Loop() {
				sum += c.p.At(float64(clock))
				if clock++; clock > 120_000 {
					clock = 0
				}
			}
			_ = sum
		})
		b.Run(fmt.Sprintf("Next/%s", c.name), func(b *testing.B) {
			clock := 0.0
			for b.Loop() {
				if clock = c.p.Next(clock); clock > 110_000 {
					clock = 0
				}
			}
		})
	}
}
