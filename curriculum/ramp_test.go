package curriculum

import (
	"slices"
	"testing"

	"github.com/gradus-ml/gradus/pace"
	"pgregory.net/rapid"
)

// drawRamp draws how batches grow, or shrink, if they do: by units, or with several
// buckets by tokens.
func drawRamp(t *rapid.T, c *Config) {
	if rapid.Bool().Draw(t, "same size") {
		return
	}
	most, step := c.Buckets[0].Units, rapid.IntRange(1, 5).Draw(t, "ramp step")
	if len(c.Buckets) > 1 {
		most, step = 320, 64
		c.RampUnits = func(size, length int) int {
			b := slices.IndexFunc(c.Buckets, func(b Bucket) bool { return b.Length == length })
			return min(max(size/length, 1), c.Buckets[b].Units)
		}
	}
	from, to := rapid.IntRange(1, most).Draw(t, "ramp from"), most
	if rapid.IntRange(0, 3).Draw(t, "shrinks") == 0 {
		from, to = to, from
	}
	until := rapid.Float64Range(1, 1.5*c.Budget).Draw(t, "ramp until")
	if c.Clock == Steps && rapid.Bool().Draw(t, "ramp by tokens") {
		c.Ramp.Clock = Tokens
		until *= 640
	}
	p, err := pace.NewLinear(pace.Ramp{From: float64(from), To: float64(to), Step: float64(step), Until: until})
	if err != nil {
		t.Fatal(err)
	}
	c.Ramp.Pace = p
}

// unitsAt is what a batch of a bucket must hold when the run stands at a position.
func unitsAt(c *Config, at Position, bucket int) int {
	if c.Ramp.Pace == nil {
		return c.Buckets[bucket].Units
	}
	clock := c.Clock
	if c.Ramp.Clock != "" {
		clock = c.Ramp.Clock
	}
	size := int(c.Ramp.At(at.On(clock)))
	if c.RampUnits == nil {
		return size
	}
	return c.RampUnits(size, c.Buckets[bucket].Length)
}

// With rows of as many tokens in every batch, a run on the clock of tokens passes
// the same samples whether batches are ramped or not, give or take a batch: the
// ramp changes how they are cut into steps.
func TestRampServesAsMany(t *testing.T) {
	c := Config{
		Seed: 5, Sources: []Source{{Samples: 500}}, Buckets: []Bucket{{Length: 16, Units: 8}},
		Layers: 1, Clock: Tokens, Budget: 16 * 1000,
	}
	plain := mustCompile(t, c)
	p, err := pace.NewLinear(pace.Ramp{From: 2, To: 8, Step: 2, Until: c.Budget / 2})
	if err != nil {
		t.Fatal(err)
	}
	c.Ramp.Pace = p
	ramped := mustCompile(t, c)
	want := []Shape{{2, 16, 16}, {4, 16, 16}, {6, 16, 16}, {8, 16, 16}}
	if got := ramped.Shapes(); !slices.Equal(got, want) {
		t.Fatalf("shapes %v, want %v", got, want)
	}
	if a, b := plain.End(), ramped.End(); b.Tokens < a.Tokens || b.Tokens >= a.Tokens+8*16 || b.Steps <= a.Steps {
		t.Fatalf("it ends at %+v, without a ramp at %+v", b, a)
	}
	var rows [2]int
	counts := map[int64]int{}
	for step, ids := range ramped.Sampler().From(0) {
		if got := ramped.BatchAt(step).Units; len(ids) != got {
			t.Fatalf("step %d: %d ids, want %d", step, len(ids), got)
		}
		for rank := range 4 { // ranks that its rows do not divide by
			if n := len(Slice(ids, rank, 4)); n > (len(ids)+3)/4 || n < len(ids)/4 {
				t.Fatalf("step %d: rank %d of 4 has %d of %d", step, rank, n, len(ids))
			}
		}
		rows[0] += len(ids)
		for _, id := range ids {
			counts[id]++
		}
	}
	for _, n := range counts {
		rows[1] += n
		if n != 2 {
			t.Fatalf("1,000 rows of 500 samples: one is served %d times", n)
		}
	}
	if rows[0] != rows[1] || len(counts) != 500 {
		t.Fatalf("%d rows of %d samples", rows[0], len(counts))
	}
}
