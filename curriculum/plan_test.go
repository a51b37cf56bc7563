package curriculum

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/gradus-ml/gradus/internal/fault"
	"github.com/gradus-ml/gradus/internal/keyed"
	"github.com/gradus-ml/gradus/pace"
)

// mustCompile compiles a configuration that works.
func mustCompile(t testing.TB, c Config) *Plan {
	t.Helper()
	p, err := Compile(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	return p
}

// tenParts is a plan of 1,000 samples in ten segments, all admitted from step 9 on.
func tenParts(t testing.TB, units int, budget float64) *Plan {
	values := make([]float64, 1000)
	for i := range values {
		values[i] = float64(i * 10 / 1000)
	}
	steps, err := pace.NewSteps(pace.Steps{Values: []float64{0, 1, 2, 3, 4, 5, 6, 7, 8, 9},
		Until: []float64{0, 1, 2, 3, 4, 5, 6, 7, 8}})
	if err != nil {
		t.Fatal(err)
	}
	return mustCompile(t, Config{
		Seed: 3, Sources: []Source{{Samples: 1000, Columns: []Column{newColumn(1, values...)}}}, Buckets: []Bucket{{8, units}},
		Layers: 1, Clock: Steps, Budget: budget,
		Admit: []Admission{{Metric: "m", By: Value, Pace: Timed{Pace: steps}}},
	})
}

// Over one phase, each sample is drawn as often as its share of the pool says,
// and so is each segment in every stretch of steps.
func TestCompositionIsUniform(t *testing.T) {
	s := tenParts(t, 16, 1009).Sampler()
	var segments [10]float64
	perSample := make([]float64, 1000)
	for step, ids := range s.From(9) {
		var here [10]float64
		for _, id := range ids {
			segments[id/100]++
			here[id/100]++
			perSample[id]++
		}
		for j, n := range here {
			// 1.6 of 16 are expected; a block of 16 slots holds it give or take one.
			if n > 3 {
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

// Over seeds, a slot of a stage falls on every sample alike: nothing favours the
// newest or the oldest, also in the middle of a run and past several passes.
func TestExpectedComposition(t *testing.T) {
	values := make([]float64, 60)
	for i := range values {
		switch {
		case i >= 50:
			values[i] = 2
		case i >= 20:
			values[i] = 1
		}
	}
	steps, err := pace.NewSteps(pace.Steps{Values: []float64{0, 1, 2}, Until: []float64{1, 3}})
	if err != nil {
		t.Fatal(err)
	}
	p := mustCompile(t, Config{
		Sources: []Source{{Samples: 60, Columns: []Column{newColumn(1, values...)}}}, Buckets: []Bucket{{8, 1}},
		Layers: 1, Clock: Steps, Budget: 62, Admit: []Admission{{Metric: "m", By: Value, Pace: Timed{Pace: steps}}},
	})
	const seeds = 6000
	for _, step := range []int64{4, 5, 61} {
		counts := make([]float64, 60)
		for seed := range uint64(seeds) {
			p.key = keyed.NewKey(seed, "sampler", Version) // one bucket, one source: no lane but the pool's
			counts[p.Sampler().At(nil, step)[0]]++
		}
		chi := 0.0
		for _, n := range counts {
			chi += (n - seeds/60) * (n - seeds/60) / (seeds / 60)
		}
		if chi > 98.3 { // 99.9 % quantile, 59 degrees of freedom
			t.Errorf("step %d: chi-square of %d draws %.1f, want at most 98.3", step, seeds, chi)
		}
	}
}

// The share of each source follows its weight, stage by stage; no sample of a
// source comes again before its pass is through; and a source that joins later
// leaves the past as it was.
func TestMixture(t *testing.T) {
	growing := mustPace(t, pace.Root{From: 1, To: 3, Step: 1, Until: 400, Degree: 1})
	config := Config{
		Seed: 8, Buckets: []Bucket{{8, 30}}, Layers: 1, Clock: Steps, Budget: 600,
		Sources: []Source{{Name: "a", Samples: 5000, Weight: Timed{Pace: pace.Constant(2)}}, {Name: "b", Samples: 700, Weight: Timed{Pace: growing}}},
	}
	p := mustCompile(t, config)
	for _, s := range p.Stages() {
		var counts [2]float64
		for step, ids := range p.Sampler().From(s.First) {
			if step == s.First+s.Steps {
				break
			}
			for _, id := range ids {
				source, _ := Split(id)
				counts[source]++
			}
		}
		for i, w := range s.Weights {
			if d := counts[i] - w*float64(30*s.Steps); math.Abs(d) > 10 {
				t.Errorf("stage at %d: %v draws of source %d, its weight of %v is off by %v", s.First, counts[i], i, w, d)
			}
		}
	}
	counts := map[int64]int{}
	for _, ids := range p.Sampler().From(0) {
		for _, id := range ids {
			counts[id]++
		}
		least, most := math.MaxInt, 0
		for unit := range int64(700) {
			n := counts[1<<SourceShift|unit]
			least, most = min(least, n), max(most, n)
		}
		if most > least+1 {
			t.Fatalf("samples of the smaller source were served %d to %d times", least, most)
		}
	}
	late, err := pace.NewSteps(pace.Steps{Values: []float64{0, 1}, Until: []float64{299}})
	if err != nil {
		t.Fatal(err)
	}
	config.Sources = append(config.Sources, Source{Name: "c", Samples: 100, Weight: Timed{Pace: late}})
	more := mustCompile(t, config)
	joined := 0
	for step, ids := range more.Sampler().From(0) {
		want := p.Sampler().At(nil, step)
		if step < 300 && fmt.Sprint(ids) != fmt.Sprint(want) {
			t.Fatalf("step %d: a source that joins at 300 makes it %v, it was %v", step, ids, want)
		}
		for _, id := range ids {
			if source, _ := Split(id); source == 2 {
				joined++
			}
		}
	}
	if joined == 0 {
		t.Error("the third source was never served")
	}
}

// committed is a plan whose steps are promised across releases: two sources, a
// floor, a mixture that changes, three buckets.
func committed(t testing.TB) *Plan {
	rarity := mustPace(t, pace.Root{From: 1, To: 100, Step: 1, Until: 400, Degree: 2})
	return mustCompile(t, Config{
		Seed: 1234, Buckets: []Bucket{{16, 32}, {32, 16}, {64, 8}}, Layers: 6, Routed: 4, Clock: Tokens, Budget: 500 * 512,
		Sources: []Source{
			{Name: "a", Samples: 20000, Units: halves{16, 32, 64}, Columns: []Column{newColumn(1, randomValues(9, 20000, 5000)...)}},
			{Name: "b", Samples: 3000, Units: halves{16, 32, 64}, Columns: []Column{newColumn(1, randomValues(10, 3000, 100)...)},
				Weight: Timed{Pace: mustPace(t, pace.Root{From: 0.5, To: 1, Step: 0.125, Until: 100 * 512, Degree: 1})}},
		},
		Length: Timed{Pace: mustPace(t, pace.Root{From: 16, To: 64, Step: 16, Until: 100, Degree: 1}), Clock: Steps},
		Admit: []Admission{{Metric: "rarity", By: Percentile, Pace: Timed{Pace: rarity, Clock: Steps},
			Floor: Timed{Pace: mustPace(t, pace.Root{From: 0, To: 20, Step: 5, Until: 400, Degree: 1}), Clock: Steps}}},
	})
}

func TestGoldenOrder(t *testing.T) {
	p := committed(t)
	h := sha256.New()
	for step, ids := range p.Sampler().From(0) {
		fmt.Fprintln(h, Digest(step, ids))
	}
	const want = "cf6ff27cd6d1bbf2d335212b7cf7a08af3013f4f383fc7fa3afc7e246950a623"
	if got := hex.EncodeToString(h.Sum(nil)); p.Steps() != 500 || got != want {
		t.Errorf("the %d steps hash to %s, want %s: the order of samples is a promise; a change needs a new curriculum.Version", p.Steps(), got, want)
	}
}

func TestReshapeKeepsTokens(t *testing.T) {
	p := mustCompile(t, Config{
		Sources: []Source{{Samples: 10}}, Buckets: []Bucket{{128, 3}}, Layers: 1, Clock: Steps, Budget: 12,
		Length:  Timed{Pace: mustPace(t, pace.Root{From: 32, To: 128, Step: 32, Until: 10, Degree: 1})},
		RowsPer: func(full, length int) int { return full / length },
	})
	var got []string
	for _, s := range p.Shapes() {
		got = append(got, fmt.Sprintf("%dx%d", s.Rows, s.Length))
	}
	// 96 goes once into 128: 32 of 128 tokens are left over and dropped.
	if want := "12x32 6x64 3x96 3x128"; strings.Join(got, " ") != want {
		t.Errorf("shapes %s, want %s", strings.Join(got, " "), want)
	}
}

// A plan of the schedule needs no samples, and has the same stages.
func TestScheduleOnly(t *testing.T) {
	c := Config{
		Sources: []Source{{Samples: 10, Columns: []Column{newColumn(1, randomValues(1, 10, 100)...)}}}, Buckets: []Bucket{{64, 3}},
		Layers: 4, Routed: 2, Clock: LayerTokens, Budget: 9000, Shapes: 100,
		Length: Timed{Pace: mustPace(t, pace.Root{From: 16, To: 64, Step: 16, Until: 20, Degree: 1}), Clock: Steps},
		Keep:   Timed{Pace: mustPace(t, pace.Root{From: 8, To: 64, Step: 8, Until: 6000, Degree: 1})},
		Admit:  []Admission{{Metric: "m", By: Percentile, Pace: Timed{Pace: mustPace(t, rootOf(20, 100, 8000))}}},
	}
	full := mustCompile(t, c)
	c.Sources, c.ScheduleOnly = []Source{{}}, true
	schedule := mustCompile(t, c)
	if schedule.End() != full.End() || len(schedule.Stages()) != len(full.Stages()) {
		t.Fatalf("ends at %+v after %d stages, with samples at %+v after %d", schedule.End(), len(schedule.Stages()), full.End(), len(full.Stages()))
	}
	for i, s := range schedule.Stages() {
		if f := full.Stages()[i]; s.First != f.First || s.Batches[0].Shape != f.Batches[0].Shape || s.Pool != -1 {
			t.Errorf("stage %d is %+v, with samples %+v", i, s, f)
		}
	}
}

func TestImpossible(t *testing.T) {
	values := []float64{5, 6, 7, 8}
	falling := pace.Func(func(clock float64) float64 { return 10 - clock })
	admit := func(c *Config, p pace.Pace) {
		c.Admit = []Admission{{Metric: "m", By: Value, Pace: Timed{Pace: p}}}
		c.Sources[0].Columns = []Column{newColumn(1, values...)}
	}
	for name, c := range map[string]struct {
		spoil func(*Config)
		kind  error
		part  string
		says  string
	}{
		"no samples":   {func(c *Config) { c.Sources[0].Samples = 0 }, fault.Invalid, "sources[0]", "no samples"},
		"no source":    {func(c *Config) { c.Sources = nil }, fault.Invalid, "sources", "no source"},
		"empty batch":  {func(c *Config) { c.Buckets[0].Units = 0 }, fault.Invalid, "batch", "batch size"},
		"no budget":    {func(c *Config) { c.Budget = 0 }, fault.Invalid, "budget", "budget"},
		"endless":      {func(c *Config) { c.Budget, c.Clock = 1e300, Tokens }, fault.Invalid, "budget", "more than 100000000 steps"},
		"NaN budget":   {func(c *Config) { c.Budget = math.NaN() }, fault.Invalid, "budget", "budget"},
		"clock":        {func(c *Config) { c.Clock = "hours" }, fault.Invalid, "budget", "layer-tokens"},
		"control":      {func(c *Config) { c.Control = "sideways" }, fault.Invalid, "control", "reverse and random"},
		"other corpus": {func(c *Config) { admit(c, pace.Constant(9)); c.Sources[0].Samples = 5 }, fault.Mismatch, "sources[0]", "4 samples"},
		"starts empty": {func(c *Config) { admit(c, pace.Constant(4)) }, fault.Invalid, "admit[0].pace", "at least 5"},
		"reverse starts empty": {func(c *Config) {
			admit(c, pace.Constant(4))
			c.Control = Reverse
		}, fault.Invalid, "admit[0].pace", "at least 5"},
		"falls":         {func(c *Config) { admit(c, falling) }, fault.Invalid, "admit[0].pace", "falls from 10 to 9 at step 1"},
		"no pace":       {func(c *Config) { admit(c, nil) }, fault.Invalid, "admit[0]", "no pace"},
		"NaN admission": {func(c *Config) { admit(c, pace.Constant(math.NaN())) }, fault.Invalid, "admit[0]", "no number"},
		"floor above": {func(c *Config) {
			admit(c, pace.Constant(6))
			c.Admit[0].Floor.Pace = pace.Func(func(clock float64) float64 { return 5 + clock })
		}, fault.Invalid, "admit[0].floor", "at step 2 the floor (7) is above the pace (6)"},
		"floor falls": {func(c *Config) {
			admit(c, pace.Constant(8))
			c.Admit[0].Floor.Pace = pace.Func(func(clock float64) float64 { return 7 - clock })
		}, fault.Invalid, "admit[0].floor", "falls from 7 to 6"},
		"percentile": {func(c *Config) {
			admit(c, pace.Constant(101))
			c.Admit[0].By = Percentile
		}, fault.Invalid, "admit[0].pace", "percentile 101"},
		"all held out": {func(c *Config) { c.Sources[0].Excluded = func(int64) bool { return true } }, fault.Invalid, "sources[0]", "held out"},
		"no weight":    {func(c *Config) { c.Sources[0].Weight.Pace = pace.Constant(0) }, fault.Invalid, "sources", "sum to nothing at step 0"},
		"bad weight":   {func(c *Config) { c.Sources[0].Weight.Pace = pace.Constant(-1) }, fault.Invalid, "sources[0].weight", "not negative"},
		"weights end": {func(c *Config) {
			c.Sources[0].Weight.Pace = pace.Func(func(clock float64) float64 { return max(0, 2-clock) })
		}, fault.Invalid, "sources", "sum to nothing at step 2"},
		"NaN pace":     {func(c *Config) { c.Length.Pace = pace.Constant(math.NaN()) }, fault.Invalid, "length", "length"},
		"too long":     {func(c *Config) { c.Length.Pace = pace.Constant(17) }, fault.Invalid, "length", "window of 16"},
		"NaN ramp":     {func(c *Config) { c.Ramp.Pace = pace.Constant(math.NaN()) }, fault.Invalid, "ramp", "whole number"},
		"half a row":   {func(c *Config) { c.Ramp.Pace = pace.Func(func(clock float64) float64 { return 2 - clock/2 }) }, fault.Invalid, "ramp", "at 1.5 at step 1"},
		"no row":       {func(c *Config) { c.Ramp.Pace = pace.Constant(0) }, fault.Invalid, "ramp", "at 0 at step 0"},
		"endless ramp": {func(c *Config) { c.Ramp.Pace = pace.Constant(math.Inf(1)) }, fault.Invalid, "ramp", "whole number"},
		"ramp above":   {func(c *Config) { c.Ramp.Pace = pace.Func(func(clock float64) float64 { return 2 + clock }) }, fault.Invalid, "ramp", "3 rows of 16 tokens; the size of the batch allows 1 to 2"},
		"ramp of no units": {func(c *Config) {
			c.Ramp.Pace, c.RampUnits = pace.Constant(8), func(size, length int) int { return size / length }
		}, fault.Invalid, "ramp", "0 rows of 16 tokens"},
		"keep": {func(c *Config) { c.Keep.Pace = pace.Constant(0) }, fault.Invalid, "keep", "at least 1"},
		"too many shapes": {func(c *Config) {
			c.Shapes, c.Length.Pace = 2, pace.Func(func(clock float64) float64 { return 1 + clock })
		}, fault.Invalid, "shapes", "shapes: 4"},
		"too short": {func(c *Config) {
			c.Buckets = []Bucket{{8, 2}, {16, 1}}
			c.Sources[0].Units = halves{8, 16}
			c.Length.Pace = pace.Constant(7)
		}, fault.Invalid, "length", "at least 8"},
		"nothing short": {func(c *Config) {
			c.Buckets = []Bucket{{8, 2}, {16, 1}}
			c.Sources[0].Units = halves{8, 16}
			c.Sources[0].Excluded = func(id int64) bool { return id%2 == 0 }
			c.Length.Pace = pace.Constant(8)
		}, fault.Invalid, "sources[0]", "nothing of at most 8 tokens is admitted at step 0"},
		"other lengths": {func(c *Config) {
			c.Buckets = []Bucket{{8, 2}, {16, 1}}
			c.Sources[0].Units = halves{8, 32}
		}, fault.Invalid, "sources[0]", "[8 32]"},
	} {
		cfg := Config{Sources: []Source{{Samples: 4}}, Buckets: []Bucket{{16, 2}}, Layers: 3, Routed: 1, Clock: Steps, Budget: 4}
		c.spoil(&cfg)
		_, err := Compile(t.Context(), cfg)
		var part *PartError
		if !errors.Is(err, c.kind) || !strings.Contains(fmt.Sprint(err), c.says) || !errors.As(err, &part) || part.Part != c.part {
			t.Errorf("%s: error %v (%+v), want kind %v about %s saying %q", name, err, part, c.kind, c.part, c.says)
		}
	}
}
