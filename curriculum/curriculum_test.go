package curriculum_test

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"slices"
	"sort"
	"strings"
	"testing"

	"github.com/gradus-ml/gradus/curriculum"
	"github.com/gradus-ml/gradus/internal/fault"
	"github.com/gradus-ml/gradus/internal/keyed"
	"github.com/gradus-ml/gradus/pace"
	"pgregory.net/rapid"
)

// column is an index column in memory.
type column []float64

func (c column) Len() int64                        { return int64(len(c)) }
func (c column) Values(dst []float64, start int64) { copy(dst, c[start:]) }

func (c column) Quantile(percent float64) float64 {
	sorted := slices.Clone(c)
	sort.Float64s(sorted)
	rank := int(math.Ceil(percent/100*float64(len(c)))) - 1
	return sorted[min(max(rank, 0), len(c)-1)]
}

// falling is a column whose larger values are easier.
type falling struct{ column }

func (f falling) Quantile(percent float64) float64 {
	negated := make(column, len(f.column))
	for i, v := range f.column {
		negated[i] = -v
	}
	return -negated.Quantile(percent)
}

func randomColumn(seed uint64, n, distinct int) column {
	s := keyed.NewKey(seed, "column").Stream()
	c := make(column, n)
	for i := range c {
		c[i] = float64(s.Uint64N(uint64(distinct)))
	}
	return c
}

// drawPlan draws a random plan: 0 to 4 metrics, 1 to about 100 stages, pools
// smaller and larger than a batch.
func drawPlan(t *rapid.T) (*curriculum.Plan, curriculum.Config) {
	samples := rapid.IntRange(1, 400).Draw(t, "samples")
	steps := rapid.IntRange(1, 120).Draw(t, "steps")
	c := curriculum.Config{
		Seed: rapid.Uint64().Draw(t, "seed"), Samples: int64(samples),
		Batch: rapid.IntRange(1, 40).Draw(t, "batch"), Window: 64, Layers: 4, Routed: 2,
		Clock: curriculum.Steps, Budget: float64(steps), Shapes: 1000,
	}
	for m := range rapid.IntRange(0, 4).Draw(t, "metrics") {
		a := curriculum.Admission{Metric: fmt.Sprint("m", m), By: curriculum.Value}
		col := randomColumn(c.Seed+uint64(m), samples, rapid.IntRange(1, 500).Draw(t, "distinct"))
		from, to := col.Quantile(100), col.Quantile(100)+1
		if rapid.Bool().Draw(t, "percentile") {
			a.By, from, to = curriculum.Percentile, 1, 100
		} else if m == 0 {
			from = col.Quantile(rapid.Float64Range(0, 50).Draw(t, "from"))
		}
		a.Column = col
		if a.Descending = a.By == curriculum.Percentile && rapid.Bool().Draw(t, "descending"); a.Descending {
			a.Column = falling{col}
		}
		p, err := pace.NewRoot(pace.Root{From: math.Ceil(from), To: math.Ceil(max(from, to)), Step: 1,
			Until: rapid.Float64Range(1, float64(2*steps)).Draw(t, "until"), Degree: 1})
		if err != nil {
			t.Fatal(err)
		}
		a.Pace = p
		c.Admit = append(c.Admit, a)
	}
	if rapid.Bool().Draw(t, "hold out") {
		c.Excluded = func(id int64) bool { return id%7 == 3 }
	}
	p, err := curriculum.Compile(c)
	if errors.Is(err, fault.Invalid) && strings.Contains(err.Error(), "admitted") {
		t.Skip("no sample is admitted by all metrics at once")
	}
	if err != nil {
		if errors.Is(err, fault.Invalid) && strings.Contains(err.Error(), "first batch would be empty") {
			t.Skip(err.Error())
		}
		t.Fatal(err)
	}
	return p, c
}

// admitted is the pool by brute force: every metric at most its threshold.
func admitted(c curriculum.Config, difficulty []float64) map[int64]bool {
	pool := map[int64]bool{}
	for id := range c.Samples {
		ok := c.Excluded == nil || !c.Excluded(id)
		for m, a := range c.Admit {
			threshold := difficulty[m]
			if a.By == curriculum.Percentile {
				threshold = a.Column.Quantile(threshold)
			}
			if a.Descending {
				ok = ok && a.Column.(falling).column[id] >= threshold
			} else {
				ok = ok && a.Column.(column)[id] <= threshold
			}
		}
		if ok {
			pool[id] = true
		}
	}
	return pool
}

// The laws of determinism and coverage on random plans, against a model that
// keeps all state in memory: exact batch sizes, only admitted samples, counts of
// samples of one stage never further apart than one, and any order of asking.
func TestSamplerLaws(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p, c := drawPlan(t)
		s := p.Sampler()
		counts := map[int64]int{}
		joined := map[int64]int{} // sample -> stage at which it was admitted
		var batches [][]int64
		for i, stage := range p.Stages() {
			pool := admitted(c, stage.Difficulty)
			if int64(len(pool)) != stage.Pool {
				t.Fatalf("stage %d: pool of %d samples, brute force has %d", i, stage.Pool, len(pool))
			}
			for id := range pool {
				if _, ok := joined[id]; !ok {
					joined[id] = i
				}
			}
			for step := stage.First; step < stage.First+stage.Steps; step++ {
				ids := s.At(nil, step)
				if len(ids) != c.Batch {
					t.Fatalf("step %d: %d ids, want %d", step, len(ids), c.Batch)
				}
				batches = append(batches, ids)
				for _, id := range ids {
					if !pool[id] {
						t.Fatalf("step %d: sample %d is not admitted", step, id)
					}
					counts[id]++
				}
				least, most := map[int]int{}, map[int]int{}
				for id := range pool {
					j := joined[id]
					if n, ok := least[j]; !ok || counts[id] < n {
						least[j] = counts[id]
					}
					most[j] = max(most[j], counts[id])
				}
				for j := range least {
					if most[j]-least[j] > 1 {
						t.Fatalf("step %d: samples of stage %d were served %d to %d times", step, j, least[j], most[j])
					}
				}
			}
		}
		// Any step, in any order, from a sampler of its own.
		fresh := p.Sampler()
		for range 5 {
			step := rapid.Int64Range(0, p.Steps()-1).Draw(t, "step")
			if got := fresh.At(nil, step); !slices.Equal(got, batches[step]) {
				t.Fatalf("step %d asked alone: %v, in order: %v", step, got, batches[step])
			}
		}
	})
}

// Over one phase, each sample is drawn as often as its share of the pool says,
// and so is each segment in every stretch of steps.
func TestCompositionIsUniform(t *testing.T) {
	col := make(column, 1000)
	for i := range col {
		col[i] = float64(i * 10 / 1000) // ten segments of 100
	}
	steps, err := pace.NewSteps(pace.Steps{Values: []float64{0, 1, 2, 3, 4, 5, 6, 7, 8, 9},
		Until: []float64{0, 1, 2, 3, 4, 5, 6, 7, 8}})
	if err != nil {
		t.Fatal(err)
	}
	p, err := curriculum.Compile(curriculum.Config{
		Seed: 3, Samples: 1000, Batch: 16, Window: 8, Layers: 1, Clock: curriculum.Steps, Budget: 1009,
		Admit: []curriculum.Admission{{Metric: "m", Column: col, By: curriculum.Value, Pace: steps}},
	})
	if err != nil {
		t.Fatal(err)
	}
	s := p.Sampler()
	const first, last = 9, 1009 // the stage in which all ten segments are admitted
	var segments [10]float64
	perSample := make([]float64, 1000)
	for step := int64(first); step < last; step++ {
		var here [10]float64
		for _, id := range s.At(nil, step) {
			segments[id/100]++
			here[id/100]++
			perSample[id]++
		}
		for j, n := range here {
			// 1.6 of 16 are expected; an even spread never strays far from it.
			if n > 4 {
				t.Errorf("step %d: %v of 16 draws from segment %d", step, n, j)
			}
		}
	}
	for j, n := range segments {
		if math.Abs(n-1600) > 8 {
			t.Errorf("segment %d: %v draws of 16000, want 1600", j, n)
		}
	}
	chi := 0.0
	for _, n := range perSample {
		chi += (n - 16) * (n - 16) / 16
	}
	if chi > 1143 { // 99.9 % quantile, 999 degrees of freedom
		t.Errorf("chi-square of samples = %.1f, want at most 1143", chi)
	}
}

// Over seeds, the first slot of a stage falls on every segment in proportion to
// its size: nothing favours the newest or the oldest samples.
func TestExpectedComposition(t *testing.T) {
	col := make(column, 60)
	for i := range col {
		switch {
		case i >= 50:
			col[i] = 2
		case i >= 20:
			col[i] = 1
		}
	}
	steps, err := pace.NewSteps(pace.Steps{Values: []float64{0, 1, 2}, Until: []float64{1, 3}})
	if err != nil {
		t.Fatal(err)
	}
	var counts [3]float64
	const seeds = 6000
	for seed := range uint64(seeds) {
		p, err := curriculum.Compile(curriculum.Config{
			Seed: seed, Samples: 60, Batch: 1, Window: 8, Layers: 1, Clock: curriculum.Steps, Budget: 5,
			Admit: []curriculum.Admission{{Metric: "m", Column: col, By: curriculum.Value, Pace: steps}},
		})
		if err != nil {
			t.Fatal(err)
		}
		counts[int(col[p.Sampler().At(nil, 4)[0]])]++
	}
	chi := 0.0
	for j, share := range []float64{20. / 60, 30. / 60, 10. / 60} {
		d := counts[j] - seeds*share
		chi += d * d / (seeds * share)
	}
	if chi > 13.8 { // 99.9 % quantile, 2 degrees of freedom
		t.Errorf("composition %v of %d draws, chi-square %.1f, want at most 13.8", counts, seeds, chi)
	}
}

// The slices of all ranks make up the global batch, for any world size.
func TestRanksPartitionTheBatch(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p, c := drawPlan(t)
		ids := p.Sampler().At(nil, p.Steps()-1)
		for _, world := range []int{1, 2, 3, 4, 8} {
			var union []int64
			for rank := range world {
				share := curriculum.Slice(ids, rank, world)
				if n := len(share); n < c.Batch/world || n > c.Batch/world+1 {
					t.Fatalf("rank %d of %d has %d of %d ids", rank, world, n, c.Batch)
				}
				union = append(union, share...)
			}
			if !slices.Equal(union, ids) {
				t.Fatalf("world %d: the ranks' slices are not the global batch", world)
			}
		}
	})
}

// committed is the plan whose first 1,000 steps are promised across releases.
func committed(t testing.TB) *curriculum.Plan {
	rarity, err := pace.NewRoot(pace.Root{From: 1, To: 100, Step: 1, Until: 400, Degree: 2})
	if err != nil {
		t.Fatal(err)
	}
	length, err := pace.NewRoot(pace.Root{From: 32, To: 256, Step: 32, Until: 600, Degree: 1})
	if err != nil {
		t.Fatal(err)
	}
	p, err := curriculum.Compile(curriculum.Config{
		Seed: 1234, Samples: 20000, Batch: 32, Window: 256, Length: length, Layers: 6, Routed: 4,
		Clock: curriculum.Steps, Budget: 1000,
		Admit: []curriculum.Admission{{Metric: "rarity", Column: randomColumn(9, 20000, 5000), By: curriculum.Percentile, Pace: rarity}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestGoldenOrder(t *testing.T) {
	p := committed(t)
	s := p.Sampler()
	h := sha256.New()
	for step := range p.Steps() {
		fmt.Fprintln(h, curriculum.Digest(step, s.At(nil, step)))
	}
	const want = "05017657ae1c10914d56e33f551237323e46da80cec609d581ce0dabb507a20d"
	if got := hex.EncodeToString(h.Sum(nil)); p.Steps() != 1000 || got != want {
		t.Errorf("the %d steps hash to %s, want %s: the order of samples is a promise; a change needs a new curriculum.Version", p.Steps(), got, want)
	}
}

// Paces on the token clocks stretch with the cost of a step, and the positions
// add up.
func TestClocks(t *testing.T) {
	length, err := pace.NewRoot(pace.Root{From: 16, To: 64, Step: 16, Until: 5000, Degree: 1})
	if err != nil {
		t.Fatal(err)
	}
	keep, err := pace.NewRoot(pace.Root{From: 8, To: 64, Step: 8, Until: 8000, Degree: 1})
	if err != nil {
		t.Fatal(err)
	}
	for _, clock := range []curriculum.Clock{curriculum.Tokens, curriculum.LayerTokens} {
		p, err := curriculum.Compile(curriculum.Config{
			Samples: 10, Batch: 4, Window: 64, Length: length, Keep: keep, Layers: 6, Routed: 4, Clock: clock, Budget: 20000,
		})
		if err != nil {
			t.Fatal(err)
		}
		// By hand: every step from the pace's values at the clock before it.
		var tokens, layerSum int64
		steps := int64(0)
		for at := func() float64 {
			if clock == curriculum.Tokens {
				return float64(tokens)
			}
			return float64(layerSum) / 6
		}; at() < 20000; steps++ {
			if got := p.PositionAt(steps); got.Tokens != tokens || got.LayerSum != layerSum || got.Steps != steps {
				t.Fatalf("%s: before step %d the plan is at %+v, by hand %d tokens, %d summed", clock, steps, got, tokens, layerSum)
			}
			n := int64(length.At(at()))
			k := min(int64(keep.At(at())), n)
			shape := p.Stages()[p.StageAt(steps)].Shape
			if shape != (curriculum.Shape{Rows: 4, Length: int(n), Kept: int(k)}) {
				t.Fatalf("%s: step %d has shape %+v, want length %d, kept %d", clock, steps, shape, n, k)
			}
			tokens += 4 * n
			layerSum += 4 * (2*n + 4*k)
		}
		if p.Steps() != steps || p.End().Tokens != tokens || p.End().LayerSum != layerSum {
			t.Errorf("%s: ends at %+v, want %d steps, %d tokens, %d summed", clock, p.End(), steps, tokens, layerSum)
		}
	}
}

func TestReshapeKeepsTokens(t *testing.T) {
	length, err := pace.NewRoot(pace.Root{From: 32, To: 128, Step: 32, Until: 10, Degree: 1})
	if err != nil {
		t.Fatal(err)
	}
	p, err := curriculum.Compile(curriculum.Config{
		Samples: 10, Batch: 3, Window: 128, Length: length, Apply: curriculum.Reshape, Layers: 1, Clock: curriculum.Steps, Budget: 12,
	})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, s := range p.Shapes() {
		got = append(got, fmt.Sprintf("%dx%d", s.Rows, s.Length))
	}
	// 96 goes once into 128: 32 of 128 tokens are left over and dropped.
	if want := "12x32 6x64 3x96 3x128"; strings.Join(got, " ") != want {
		t.Errorf("shapes %s, want %s", strings.Join(got, " "), want)
	}
}

func TestImpossible(t *testing.T) {
	col := column{5, 6, 7, 8}
	falling := pace.Func(func(clock float64) float64 { return 10 - clock })
	good := func() curriculum.Config {
		return curriculum.Config{Samples: 4, Batch: 2, Window: 16, Layers: 3, Routed: 1, Clock: curriculum.Steps, Budget: 4}
	}
	for name, c := range map[string]struct {
		spoil func(*curriculum.Config)
		kind  error
		says  string
	}{
		"no samples":   {func(c *curriculum.Config) { c.Samples = 0 }, fault.Invalid, "no samples"},
		"empty batch":  {func(c *curriculum.Config) { c.Batch = 0 }, fault.Invalid, "batch size"},
		"no budget":    {func(c *curriculum.Config) { c.Budget = 0 }, fault.Invalid, "budget"},
		"endless":      {func(c *curriculum.Config) { c.Budget = 1e300; c.Clock = curriculum.Tokens }, fault.Invalid, "more than 100000000 steps"},
		"NaN budget":   {func(c *curriculum.Config) { c.Budget = math.NaN() }, fault.Invalid, "budget"},
		"clock":        {func(c *curriculum.Config) { c.Clock = "hours" }, fault.Invalid, "layer-tokens"},
		"other corpus": {func(c *curriculum.Config) { c.Samples = 5; c.Admit = admit(col, pace.Constant(9)) }, fault.Mismatch, "4 samples"},
		"starts empty": {func(c *curriculum.Config) { c.Admit = admit(col, pace.Constant(4)) }, fault.Invalid, "at least 5"},
		"falls":        {func(c *curriculum.Config) { c.Admit = admit(col, falling) }, fault.Invalid, "falls from 10 to 9 at step 1"},
		"NaN pace":     {func(c *curriculum.Config) { c.Length = pace.Constant(math.NaN()) }, fault.Invalid, "length"},
		"too long":     {func(c *curriculum.Config) { c.Length = pace.Constant(17) }, fault.Invalid, "window of 16"},
		"too many shapes": {func(c *curriculum.Config) {
			c.Shapes, c.Length = 2, pace.Func(func(clock float64) float64 { return 1 + clock })
		}, fault.Invalid, "shapes: 4"},
	} {
		cfg := good()
		c.spoil(&cfg)
		_, err := curriculum.Compile(cfg)
		if !errors.Is(err, c.kind) || !strings.Contains(fmt.Sprint(err), c.says) {
			t.Errorf("%s: error %v, want kind %v saying %q", name, err, c.kind, c.says)
		}
	}
}

func admit(col column, p pace.Pace) []curriculum.Admission {
	return []curriculum.Admission{{Metric: "m", Column: col, By: curriculum.Value, Pace: p}}
}

func BenchmarkSampler(b *testing.B) {
	p := committed(b)
	s := p.Sampler()
	ids := make([]int64, 0, 32)
	b.ResetTimer()
	for i := range b.N {
		ids = s.At(ids[:0], int64(i)%p.Steps())
	}
	b.ReportMetric(float64(b.N)*32/b.Elapsed().Seconds(), "ids/s")
}
