package recipe_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/gradus-ml/gradus/internal/fault"
	"github.com/gradus-ml/gradus/recipe"
)

const good = `corpus: data
index: data.index
seed: 1234
sample: {window: 256}
batch: {size: 8}
budget: {tokens: 2_000_000, clock: layer-tokens}
curriculum:
  - metric: rarity
    by: percentile
    pace: {kind: root, degree: 2, from: 1, to: 100, step: 1, until: 40%}
  - metric: length
    apply: truncate
    pace: {kind: linear, from: 32, to: 256, step: 32, until: 40%}
routing:
  policy: random-ltd
  layers: inner
  keep: {kind: linear, from: 64, to: 256, step: 32, until: 70%}
model: {kind: gpt, layers: 6, width: 128, heads: 4, positions: learned}
optimizer: {kind: adamw, rate: 3e-3, warmup: 2%, decay: cosine, betas: [0.9, 0.95]}
evaluate: {every: 5%, held_out: 2%}
`

func TestDesignRecipe(t *testing.T) {
	r, err := recipe.Parse("dir/run.yaml", []byte(good))
	if err != nil {
		t.Fatal(err)
	}
	if r.BudgetTotal() != 2_000_000 || r.Name != "run" || r.Window() != 256 {
		t.Errorf("budget %v, name %q, window %d", r.BudgetTotal(), r.Name, r.Window())
	}
	s, clock := schedule(t, r).Schedule()
	if s.Warmup != 40_000 || s.Peak != 3e-3 || s.Min != s.Peak/10 || s.Total != 2_000_000 || clock != "layer-tokens" {
		t.Errorf("schedule %+v on %s", s, clock)
	}
	if c := r.ModelConfig(257); fmt.Sprint(c.Routed) != "[1 2 3 4]" || c.Context != 256 {
		t.Errorf("model %+v", c)
	}
	if until, ok := r.Curriculum[0].Pace.Parameters["until"].(recipe.Amount); !ok || until.Of(r.BudgetTotal()) != 800_000 {
		t.Errorf("until %v, want 800000", until)
	}
}

// Every mistake is refused with the line it stands on and a way out.
func TestMistakes(t *testing.T) {
	for name, c := range map[string]struct{ old, new, says string }{
		"unknown key":         {"seed: 1234", "sed: 1234", `run.yaml:3: unknown key "sed"; did you mean "seed"?`},
		"nested key":          {"degree: 2", "degre: 2", `run.yaml:10: unknown key "degre" in curriculum.pace; did you mean "degree"?`},
		"routing key":         {"layers: inner", "layer: inner", `run.yaml:16: unknown key "layer" in routing; did you mean "layers"?`},
		"from > to":           {"from: 1, to: 100", "from: 91, to: 90", "run.yaml:10: curriculum[0].pace: from (91) is greater than to (90)"},
		"until 0":             {"until: 70%", "until: 0", "run.yaml:17: routing.keep: until is 0"},
		"no until":            {", until: 70%", "", "run.yaml:17: routing.keep: the linear pace needs until: clock position at which the value is to"},
		"step 0":              {"to: 256, step: 32, until: 40%", "to: 256, step: 0, until: 40%", "run.yaml:13: curriculum[1].pace: step is 0"},
		"negative step":       {"to: 256, step: 32, until: 40%", "to: 256, step: -8, until: 40%", "step is -8"},
		"pace kind":           {"kind: root", "kind: rot", `unknown pace "rot"`},
		"NaN rate":            {"rate: 3e-3", "rate: .nan", "rate is NaN"},
		"negative rate":       {"rate: 3e-3", "rate: -1", "rate is -1"},
		"infinite rate":       {"rate: 3e-3", "rate: .inf", "rate is +Inf"},
		"betas":               {"betas: [0.9, 0.95]", "betas: [0.9]", "betas: give two numbers"},
		"beta 1":              {"betas: [0.9, 0.95]", "betas: [0.9, 1]", "both must lie in [0, 1)"},
		"no budget":           {"tokens: 2_000_000, ", "", "give either steps: N or tokens: N"},
		"two budgets":         {"tokens: 2_000_000", "tokens: 5, steps: 5", "give either steps: N or tokens: N"},
		"negative budget":     {"tokens: 2_000_000", "tokens: -5", "budget: it is -5"},
		"clock":               {"clock: layer-tokens", "clock: hours", `run.yaml:6: budget.clock: unknown "hours"; there are steps, tokens and layer-tokens`},
		"clock and budget":    {"clock: layer-tokens", "clock: steps", "the budget must too"},
		"batch 0":             {"size: 8", "size: 0", "run.yaml:5: batch.size"},
		"window 0":            {"window: 256", "window: 0", "run.yaml:4: sample"},
		"heads":               {"heads: 4", "heads: 5", "width 128 is no multiple of 5 heads"},
		"by":                  {"by: percentile", "by: rank", "there are value and percentile"},
		"apply":               {"apply: truncate", "apply: fold", "reshape, reshape-overlap and truncate"},
		"apply to rarity":     {"by: percentile", "apply: truncate", "only the metric length shapes the batch"},
		"policy":              {"policy: random-ltd", "policy: random", "token-bypass and none"},
		"amount":              {"warmup: 2%", "warmup: soon", `"soon" is no amount`},
		"warmup too long":     {"warmup: 2%", "warmup: 200%", "warmup is 4e+06"},
		"held out":            {"held_out: 2%", "held_out: 90%", "at most half"},
		"decay":               {"decay: cosine", "decay: cosin", "there are cosine, linear, constant, cooldown and sqrt"},
		"no YAML":             {"seed: 1234", "seed: [", "run.yaml:3: sequence end token"},
		"a word for a number": {"seed: 1234", "seed: lots", `run.yaml:3: "lots" stands where a whole number from 0 on must`},
		"layers":              {"layers: inner", "layers: outer", "layers must be inner"},
		"first layer routed":  {"layers: inner", "layers: [0, 1]", "run.yaml:16: routing.layers: it names layers [0 1], and the first and the last see every token; name some of 1 to 4"},
		"last layer routed":   {"layers: inner", "layers: [3, 5]", "the first and the last see every token"},
		"no layer routed":     {"layers: inner", "layers: []", "no layer of the model's 6 is routed"},
		"too few layers":      {"layers: 6", "layers: 2", "no layer of the model's 2 is routed"},
		"NaN amount":          {"every: 5%", "every: .nan", "NaN is no amount; it must be finite"},
		"infinite amount":     {"until: 70%", "until: .inf", "it must be finite"},
		"a tag":               {"seed: 1234", "seed: !!int 1234", "run.yaml:3: !!int is a tag of YAML, which recipes do not use; leave it out"},
		"a word for a size":   {"size: 8", "size: many", `run.yaml:5: "many" stands where a whole number must`},
		"a list for a number": {"rate: 3e-3", "rate: [1]", `run.yaml:19: "[" stands where a number must`},
		"a number for a list": {"betas: [0.9, 0.95]", "betas: 0.9", "run.yaml:19: optimizer.betas must be a list"},
		"a list for a switch": {"{window: 256}", "{documents: perhaps, length: 9}", `"perhaps" stands where true or false must`},
		"a list for keys":     {"{window: 256}", "[256]", "run.yaml:4: sample must be keys and values"},
		"a mapping of a name": {"corpus: data", "corpus: {a: b}", "run.yaml:1: corpus must be a name, or a list of names"},
		"half a seed":         {"seed: 1234", "seed: 1.5", "run.yaml:3: seed is 1.5"},
		"half a row":          {"size: 8", "size: 8.5", "run.yaml:5: batch.size is 8.5; it must be a whole number"},
		"half a layer":        {"layers: 6", "layers: 6.5", "run.yaml:18: model.layers is 6.5"},
		"sections of a word":  {"curriculum:", "sources: many\ncurriculum:", "run.yaml:7: sources must be a list"},
		"amount of a list":    {"warmup: 2%", "warmup: [2]", "is no amount; write a number or a percentage"},
		"pace of a list":      {"keep: {kind: linear, from: 64, to: 256, step: 32, until: 70%}", "keep: [64]", "run.yaml:17: routing.keep: [64] is no pace"},
		"numbers of a pace":   {"{kind: root, degree: 2, from: 1, to: 100, step: 1, until: 40%}", "{kind: steps, values: [a], until: []}", "run.yaml:10: curriculum[0].pace.values: [a] stands where a list of numbers must"},
		"moments of a pace":   {"{kind: root, degree: 2, from: 1, to: 100, step: 1, until: 40%}", "{kind: steps, values: [1, 2], until: [soon]}", `curriculum[0].pace.until: "soon" is no amount`},
		"kind of a number":    {"kind: root", "kind: 7", `curriculum[0].pace.kind: unknown pace "7"`},
		"two lengths":         {"metric: rarity\n    by: percentile", "metric: length\n    apply: reshape", "2 metrics shape the batch; only one can"},
		"by and apply":        {"apply: truncate", "apply: truncate\n    by: value", "a length that is applied admits every sample; leave 'by' out"},
		"no metric":           {"metric: rarity", "metric: ''", "run.yaml:8: curriculum[0]: it names no metric"},
		"no model":            {"kind: gpt, ", "", "run.yaml:18: model: it has no kind; there are gpt, bert and vit, and external"},
		"many layers":         {"layers: 6", "layers: 1000", "run.yaml:18: model.layers: it is 1000; it must be at most 256"},
		"external layers":     {"layers: inner\n  keep: {kind: linear, from: 64, to: 256, step: 32, until: 70%}\nmodel: {kind: gpt, layers: 6, width: 128, heads: 4, positions: learned}", "layers: [3, 2]\n  keep: 64\nmodel: {kind: external, layers: 6}", "routing.layers: routed layers [3 2]; name layers of 0 to 5 in ascending order"},
		"a huge batch":        {"size: 8", "size: 2_000_000", "run.yaml:5: batch.size: a batch of 2000000 samples of 256 tokens is more than"},
		"huge tokens":         {"size: 8", "tokens: 1_000_000_000", "run.yaml:5: batch.tokens: it is 1000000000; it must be at most 268435456"},
		"at least of rows":    {"size: 8", "size: 8, at_least: 4", "batch.at_least: it bounds the rows that fit into tokens"},
		"evaluate every":      {"every: 5%", "every: -5%", "run.yaml:20: evaluate.every: it is -5%; it must not be negative"},
		"held out and corpus": {"held_out: 2%", "held_out: 2%, corpus: other", "run.yaml:20: evaluate: give either held_out or corpus"},
		"evaluate tokens":     {"held_out: 2%", "tokens: -1", "evaluate.tokens: it is -1; it must be at least 1"},
		"checkpoint":          {"evaluate:", "checkpoint: {every: -1}\nevaluate:", "run.yaml:20: checkpoint.every: it is -1; it must not be negative"},
		"checkpoints kept":    {"evaluate:", "checkpoint: {keep: -1}\nevaluate:", "run.yaml:20: checkpoint.keep: it is -1; it must be at least 1"},
		"shapes":              {"model:", "shapes: -3\nmodel:", "shapes: it is -3; it must be at least 1"},
		"documents' length":   {"{window: 256}", "{documents: true}", "run.yaml:4: sample: documents need length: N"},
		"infinite percentage": {"warmup: 2%", "warmup: inf%", "it must be finite"},
	} {
		text := strings.Replace(good, c.old, c.new, 1)
		if text == good {
			t.Fatalf("%s: nothing replaced", name)
		}
		_, err := recipe.Parse("run.yaml", []byte(text))
		if !errors.Is(err, fault.Invalid) || !strings.Contains(fmt.Sprint(err), c.says) {
			t.Errorf("%s: error %v\nwant it to say %q", name, err, c.says)
		}
	}
	for _, text := range []string{"", "# nothing\n", "- a\n- b\n", "word", "a: b\n---\nc: d\n"} {
		if _, err := recipe.Parse("run.yaml", []byte(text)); !errors.Is(err, fault.Invalid) {
			t.Errorf("%q: error %v, want an invalid input", text, err)
		}
	}
}

// The hash names what the run depends on and nothing else.
func TestHash(t *testing.T) {
	parse := func(text string) string {
		r, err := recipe.Parse("run.yaml", []byte(text))
		if err != nil {
			t.Fatal(err)
		}
		return r.Hash()
	}
	base := parse(good)
	for _, same := range [][2]string{
		{"corpus: data\n", "corpus: elsewhere\n"},           // its content has a fingerprint
		{"seed: 1234", "name: other\nseed: 1234"},           // what reports call it
		{"decay: cosine, ", ""},                             // the default
		{"2_000_000", "2000000"},                            // another way to write it
		{"warmup: 2%", "warmup: 2 %"},                       // likewise
		{"sample: {window: 256}", "sample:\n  window: 256"}, // likewise
	} {
		if got := parse(strings.Replace(good, same[0], same[1], 1)); got != base {
			t.Errorf("%q for %q changes the hash", same[1], same[0])
		}
	}
	for _, other := range [][2]string{{"seed: 1234", "seed: 1235"}, {"until: 70%", "until: 71%"}, {"heads: 4", "heads: 8"}, {"apply: truncate", "apply: reshape"}} {
		if got := parse(strings.Replace(good, other[0], other[1], 1)); got == base {
			t.Errorf("%q for %q leaves the hash", other[1], other[0])
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(good))
	f.Add([]byte(mixed))
	f.Add([]byte("corpus: [a]\nseed: -1\n"))
	f.Add([]byte("{\"corpus\": \"x\", \"curriculum\": [{\"metric\": 3}]}"))
	f.Add([]byte("a: &a [*a]\n"))
	f.Add([]byte("corpus: x\nrouting:\n  layers: !000\n0\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		if _, err := recipe.Parse("run.yaml", text); err != nil && !errors.Is(err, fault.Invalid) {
			t.Fatalf("error %v is of no kind", err)
		}
	})
}
