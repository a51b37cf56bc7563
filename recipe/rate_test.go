package recipe_test

import (
	"math"
	"strings"
	"testing"

	"github.com/gradus-ml/gradus/recipe"
)

// clocked is a run of 6 steps of 4 rows in 4 layers, 2 of them routed. Rows have
// 4, 4, 4, 8, 8, 8 tokens and the routed layers see 2, 2, 4, 4, 6, 6 of them: 16,
// 16, 16, 32, 32, 32 tokens a step, and 12, 12, 16, 24, 28, 28 layer-tokens.
const clocked = `
corpus: none
sample: {window: 8}
batch: {size: 4}
budget: {steps: 6}
curriculum:
  - {metric: length, apply: truncate, pace: {kind: linear, from: 4, to: 8, step: 4, until: 3}}
routing: {keep: {kind: linear, from: 2, to: 8, step: 2, until: 6}}
model: {kind: gpt, layers: 4, width: 8, heads: 1, vocabulary: 9}
optimizer: {rate: 1, min_rate: 0, warmup: 25%, decay: linear}
`

// rates returns the learning rate of each step of a recipe.
func rates(t *testing.T, text string) []float64 {
	t.Helper()
	r, err := recipe.Parse("run.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	b := schedule(t, r)
	s, clock := b.Schedule()
	var all []float64
	for step := range b.Plan.Steps() {
		all = append(all, s.At(b.Plan.PositionAt(step+1).On(clock)))
	}
	return all
}

// Warmup and decay follow the clock that they are given, and a share is of what the
// run takes of it: 144 tokens, 120 layer-tokens.
func TestClocksByHand(t *testing.T) {
	with := func(clock string) string { return strings.Replace(clocked, "rate: 1,", "rate: 1, "+clock, 1) }
	for name, c := range map[string]struct {
		text string
		want []float64
	}{
		"the budget's": {clocked, []float64{1 / 1.5, 4. / 4.5, 3. / 4.5, 2. / 4.5, 1. / 4.5, 0}},
		"steps":        {with("clock: steps,"), []float64{1 / 1.5, 4. / 4.5, 3. / 4.5, 2. / 4.5, 1. / 4.5, 0}},
		"tokens":       {with("clock: tokens,"), []float64{16. / 36, 32. / 36, 96. / 108, 64. / 108, 32. / 108, 0}},
		"layer-tokens": {with("clock: layer-tokens,"), []float64{12. / 30, 24. / 30, 80. / 90, 56. / 90, 28. / 90, 0}},
	} {
		got := rates(t, c.text)
		if len(got) != len(c.want) {
			t.Fatalf("%s: %d steps, want %d", name, len(got), len(c.want))
		}
		for i := range got {
			if math.Abs(got[i]-c.want[i]) > 1e-12 {
				t.Errorf("%s: step %d has rate %v, want %v", name, i+1, got[i], c.want[i])
			}
		}
	}
}

// Where nothing is dropped, the LayerToken schedule is the step-wise one, in every
// form of decay.
func TestLayerTokenDecayWithoutDropping(t *testing.T) {
	begin, end := strings.Index(clocked, "curriculum:"), strings.Index(clocked, "model:")
	plain := strings.Replace(clocked[:begin]+clocked[end:], "steps: 6", "steps: 200", 1)
	for _, decay := range []string{"cosine", "linear", "constant", "cooldown, cooldown: 30%", "cooldown, fall: linear", "sqrt"} {
		text := strings.Replace(plain, "decay: linear", "decay: "+decay, 1)
		if decay == "constant" {
			text = strings.Replace(text, "min_rate: 0, ", "", 1)
		}
		steps, layerTokens := rates(t, text), rates(t, strings.Replace(text, "rate: 1,", "rate: 1, clock: layer-tokens,", 1))
		for i := range steps {
			if math.Abs(steps[i]-layerTokens[i]) > 1e-12 {
				t.Errorf("%s: step %d has rate %v on steps and %v on layer-tokens", decay, i+1, steps[i], layerTokens[i])
			}
		}
	}
}

// The keys of the rate and of averages are checked, and what is the default anyway
// changes no hash.
func TestRateKeys(t *testing.T) {
	parse := func(old, new string) (*recipe.Recipe, error) {
		return recipe.Parse("run.yaml", []byte(strings.Replace(clocked, old, new, 1)))
	}
	plain, err := parse("", "")
	if err != nil {
		t.Fatal(err)
	}
	if same, err := parse("rate: 1,", "rate: 1, clock: steps,"); err != nil || same.Hash() != plain.Hash() {
		t.Errorf("the budget's clock written out changes the hash, or is refused: %v", err)
	}
	for name, c := range map[string]struct{ new, says string }{
		"fall without cooldown": {"decay: linear, fall: 1-sqrt}", "go with the decay cooldown"},
		"a long cooldown":       {"decay: cooldown, cooldown: 90%}", "fit between warmup and end"},
		"a constant's end":      {"decay: constant}", "optimizer.min_rate: with the decay constant"},
		"sqrt without warmup":   {"decay: sqrt, warmup: 0}", "no warmup"},
		"no kind of average":    {"average: {decay: 0.9}}", "has no kind"},
		"a large decay":         {"average: {kind: ema, decay: 1.5}}", "between 0 and 1"},
		"a mixture of averages": {"average: {kind: ema, last: 3}}", "goes with the kind checkpoints"},
		"stop":                  {"decay: linear}\nstop: {above: 0.5}", "more than 1"},
		"stop by nothing":       {"decay: linear}\nstop: {above: 1.5}\nevaluate: {held_out: 0}", "nothing is held out"},
	} {
		old := "decay: linear}"
		if strings.Contains(c.new, "warmup") {
			old = "warmup: 25%, decay: linear}"
		}
		if _, err := parse(old, c.new); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, want it to say %q", name, err, c.says)
		}
	}
	// On another clock than the budget's only the plan says whether a warmup fits.
	r, err := parse("warmup: 25%", "warmup: 145, clock: tokens")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := recipe.Open(t.Context(), r, recipe.Options{ScheduleOnly: true}); err == nil || !strings.Contains(err.Error(), "warmup is 145") {
		t.Errorf("a warmup of 145 of 144 tokens: %v", err)
	}
}
