package curriculum

import (
	"math"
	"testing"

	"pgregory.net/rapid"
)

// What a plan expects adds up to its tokens, and the passes over the tenths to
// what is really served.
func TestExpectations(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := drawConfig(t)
		p := compile(t, c)
		total := 0.0
		for i := range p.Stages() {
			e := p.Expect(i)
			if e.Inputs < 0 || e.Padding < -1e-6 || e.Discarded < -1e-6 {
				t.Fatalf("stage %d: %+v", i, e)
			}
			total += e.Inputs + e.Padding
		}
		if tokens := float64(p.End().Tokens); math.Abs(total-tokens) > 1e-9*tokens {
			t.Fatalf("the stages expect %v tokens, the plan has %v", total, tokens)
		}
		if len(c.Admit) == 0 || c.Control == Random {
			return
		}
		if c.Sources[0].Units != nil {
			return // the mean is over units, and the tenths over samples
		}
		var draws, samples [10]float64
		for source, s := range c.Sources {
			col := s.Columns[0].(column)
			g := gate{column: col, easy: col.sign}
			tenths := g.tenths()
			for id := range s.Samples {
				if s.Excluded == nil || !s.Excluded(id) {
					samples[tenths.find(col.sign*col.values[id])]++
				}
			}
			for _, ids := range p.Sampler().From(0) {
				for _, id := range ids {
					if of, unit := Split(id); of == source {
						draws[tenths.find(col.sign*col.values[unit])]++
					}
				}
			}
		}
		for d, got := range p.Passes()[0] {
			// Draws of a segment are dealt over its samples, whatever their tenth.
			if want := draws[d] / max(samples[d], 1); math.Abs(got-want) > 1 {
				t.Fatalf("tenth %d is expected to be served %v times, and is %v times", d, got, want)
			}
		}
	})
}
