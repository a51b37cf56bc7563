package recipe_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/gradus-ml/gradus/internal/fault"
	"github.com/gradus-ml/gradus/recipe"
)

// A recipe of a mixture of documents, with what came with version 2.
const mixed = `sources:
  - name: easy
    corpus: [data/a, data/b]
    index: a.index
    weight: {kind: linear, from: 0.8, to: 0.2, step: 0.05, until: 50%}
  - name: hard
    corpus: data/c
    dtype: uint16
    index: c.index
    weight: {kind: cyclic, from: 0, to: 1, step: 0.5, until: 100%, cycles: 3}
sample: {documents: true, length: 256, arrange: decompose, shortest: 32}
batch: {tokens: 4096, at_least: 2, at_most: 64, rate: sqrt}
budget: {tokens: 2_000_000}
curriculum:
  - metric: rarity
    pace: {kind: sigmoid, from: 1, to: 100, until: 40%}
    floor: {kind: linear, from: 0, to: 30, until: 1_000_000}
control: random
routing:
  keep: 64
model: {kind: external, layers: 6}
`

// accepted are recipes that Parse takes, each for a key.
var accepted = []string{
	mixed,
	strings.Replace(mixed, "arrange: decompose, shortest: 32", "arrange: bucket, lengths: [64, 128, 256]", 1),
	strings.Replace(mixed, "arrange: decompose, shortest: 32", "arrange: bucket, step: 64", 1),
	strings.Replace(mixed, "arrange: decompose, shortest: 32", "arrange: pack", 1),
	strings.Replace(mixed, "arrange: decompose, shortest: 32", "arrange: pad", 1),
	strings.Replace(mixed, "until: 1_000_000", "until: 500, clock: steps", 1),
	strings.Replace(mixed, "control: random", "control: reverse\nversion: 2\ncompat: deepspeed", 1),
	strings.Replace(mixed, "tokens: 4096, at_least: 2, at_most: 64, rate: sqrt", "tokens: 4096, size: 16, rate: linear", 1),
	strings.Replace(good, "apply: truncate", "apply: reshape\n    rest: overlap", 1),
	strings.Replace(good, "size: 8", "size: 8, ramp: {kind: linear, from: 2, to: 8, step: 2, until: 40%}", 1),
	strings.Replace(good, "layers: inner", "layers: 1-4\n  drop: [1, 0.5, 1e-1, 0]\n  always: [first, special, 17]", 1),
	strings.Replace(good, "layers: inner", "layers: [1-2, 4]\n  always: special", 1),
	strings.Replace(good, "layers: inner", "layers: 3\n  always: []", 1),
	strings.Replace(good, "policy: random-ltd\n  layers: inner", "policy: token-bypass\n  layers: every 2\n  always: 5", 1),
	strings.Replace(good, "apply: truncate", "apply: reshape-overlap", 1),
	strings.Replace(good, "{kind: root, degree: 2, from: 1, to: 100, step: 1, until: 40%}", "{kind: steps, values: [10, 50, 100], until: [10%, 40%]}", 1),
}

func TestAccepted(t *testing.T) {
	for _, text := range accepted {
		if _, err := recipe.Parse("run.yaml", []byte(text)); err != nil {
			t.Errorf("%s\n%v", text, err)
		}
	}
}

// Every mistake in the newer keys is refused with its line and a way out.
func TestMixtureMistakes(t *testing.T) {
	for name, c := range map[string]struct{ old, new, says string }{
		"top and sources":     {"sources:", "corpus: x\nsources:", "run.yaml:3: sources: corpus, dtype and index stand at the top as well; give either them or sources"},
		"no sources":          {mixed[:strings.Index(mixed, "sample")], "sources: []\n", "run.yaml:1: sources: it is empty"},
		"no name":             {"name: easy", "name: ''", "run.yaml:2: sources[0]: it has no name"},
		"one name twice":      {"name: hard", "name: easy", `run.yaml:6: sources[1].name: "easy" is the name of sources[0] already`},
		"source's key":        {"index: a.index", "idx: a.index", `run.yaml:4: unknown key "idx" in sources; did you mean "index"?`},
		"dtype":               {"uint16", "uint17", "run.yaml:8: sources[1].dtype: unknown \"uint17\" (did you mean uint16?); there are auto"},
		"weight's step":       {", step: 0.05", "", "run.yaml:5: sources[0].weight: it has no step"},
		"weight's key":        {"cycles: 3", "cycle: 3", `run.yaml:10: unknown key "cycle" in sources.weight; did you mean "cycles"?`},
		"weight a word":       {"weight: {kind: cyclic, from: 0, to: 1, step: 0.5, until: 100%, cycles: 3}", "weight: heavy", "run.yaml:10: sources[1].weight: heavy is no pace; write a number, or keys and values"},
		"negative weight":     {"weight: {kind: cyclic, from: 0, to: 1, step: 0.5, until: 100%, cycles: 3}", "weight: -1", "run.yaml:10: sources[1].weight: value is -1"},
		"no cycles":           {", cycles: 3", "", "run.yaml:10: sources[1].weight: the cyclic pace needs cycles"},
		"shape of a cycle":    {"cycles: 3", "cycles: 3, shape: round", "shape is round; there are"},
		"number":              {"from: 0.8", "from: [1]", "run.yaml:5: sources[0].weight.from: [1] stands where one number must: value at begin"},
		"moment":              {"until: 50%", "until: later", `run.yaml:5: sources[0].weight.until: "later" is no amount`},
		"word":                {"cycles: 3", "cycles: 3, shape: 4", "sources[1].weight.shape: 4 stands where a word must"},
		"share of the budget": {"until: 50%", "until: 50%, clock: steps", "run.yaml:5: sources[0].weight.until: 50% is a share of the budget, which counts tokens, and the pace counts steps; write a number of steps, or leave its clock out"},
		"pace's clock":        {"until: 50%", "until: 50%, clock: days", `run.yaml:5: sources[0].weight.clock: unknown clock "days"; there are steps, tokens and layer-tokens`},
		"no kind":             {"{kind: sigmoid, from: 1", "{from: 1", "run.yaml:16: curriculum[0].pace: it has no kind; there are constant, cosine"},
		"kind":                {"kind: sigmoid", "kind: sigmod", `run.yaml:16: curriculum[0].pace.kind: unknown pace "sigmod"; did you mean "sigmoid"?`},
		"percentile":          {"to: 100", "to: 120", "run.yaml:16: curriculum[0].pace: it goes to the percentile 120"},
		"floor's percentile":  {"to: 30", "to: 130", "run.yaml:17: curriculum[0].floor: it goes to the percentile 130"},
		"floor's key":         {"to: 30", "too: 30", `run.yaml:17: unknown key "too" in curriculum.floor; did you mean "to"?`},
		"no pace":             {"    pace: {kind: sigmoid, from: 1, to: 100, until: 40%}\n", "", "run.yaml:15: curriculum[0]: it has no pace"},
		"rest":                {"control", "    rest: drop\ncontrol", "run.yaml:18: curriculum[0].rest: it goes with 'apply: reshape'"},
		"control":             {"control: random", "control: backwards", "run.yaml:18: control: unknown \"backwards\"; there are reverse and random"},
		"nothing to control":  {mixed[strings.Index(mixed, "curriculum"):strings.Index(mixed, "control")], "", "control: no metric admits samples"},
		"no tokens":           {"tokens: 4096, ", "", "run.yaml:12: batch.size: it is 0 or missing"},
		"few tokens":          {"tokens: 4096", "tokens: 128", "run.yaml:12: batch.tokens: it is 128, and a row of full length has 256"},
		"at least":            {"at_least: 2", "at_least: 65", "run.yaml:12: batch.at_least: it is 65, and at_most is 64"},
		"at most":             {"at_most: 64", "at_most: -1", "run.yaml:12: batch.at_most: it is -1; it must be at least 1"},
		"bounds of no tokens": {"tokens: 4096, at_least: 2, at_most: 64, rate: sqrt", "size: 4, at_most: 3", "batch.at_most: it bounds the rows that fit into tokens"},
		"size for no rate":    {"rate: sqrt", "size: 4", "batch.size: beside tokens it is the number of rows that the learning rate is for"},
		"rate":                {"rate: sqrt", "rate: square", "run.yaml:12: batch.rate: unknown \"square\"; there are none, linear and sqrt"},
		"accumulate":          {"rate: sqrt", "accumulate: -4", "run.yaml:12: batch.accumulate: it is -4; it must be at least 1"},
		"arrange":             {"arrange: decompose", "arrange: dice", "run.yaml:11: sample.arrange: unknown \"dice\"; there are pad, pack, decompose and bucket"},
		"no shortest":         {", shortest: 32", "", "run.yaml:11: sample: decompose needs shortest"},
		"shortest":            {"shortest: 32", "shortest: 33", "run.yaml:11: sample.shortest: it is 33; it must be a power of two, such as 32"},
		"length":              {"length: 256", "length: 200", "sample.length: it is 200; to decompose documents it must be a power of two, such as 128"},
		"shortest too long":   {"shortest: 32", "shortest: 512", "sample.shortest: it is 512, more than the length of 256"},
		"shortest of a pack":  {"arrange: decompose", "arrange: pack", "sample.shortest: it goes with 'arrange: decompose', not with pack"},
		"step of a pack":      {"arrange: decompose, shortest: 32", "arrange: pack, step: 32", "sample.step: it goes with 'arrange: bucket', not with pack"},
		"no lengths":          {"arrange: decompose, shortest: 32", "arrange: bucket", "sample: bucket needs either lengths"},
		"last length":         {"arrange: decompose, shortest: 32", "arrange: bucket, lengths: [64, 128]", "sample.lengths: they are [64 128]; the last must be the length, 256"},
		"lengths":             {"arrange: decompose, shortest: 32", "arrange: bucket, lengths: [128, 64, 256]", "they must ascend"},
		"step":                {"arrange: decompose, shortest: 32", "arrange: bucket, step: 60", "sample.length: it is 256, no multiple of the step of 60; take 240 or 300"},
		"many lengths":        {"length: 256, arrange: decompose, shortest: 32", "length: 4096, arrange: bucket, step: 1", "sample.step: 4096 tokens in steps of 1 are 4096 lengths"},
		"window and arrange":  {"documents: true, length: 256, arrange: decompose, shortest: 32", "window: 256, arrange: pack", "sample.arrange: it goes with documents"},
		"reshape of buckets":  {"control: random", "  - {metric: length, apply: reshape, pace: 128}\ncontrol: random", "curriculum[1].apply: rows have several lengths, so the pace says which are served, and none is cut; write truncate"},
		"floor of a length":   {"control: random", "  - {metric: length, apply: truncate, pace: 128, floor: 3}\ncontrol: random", "curriculum[1].floor: a length that is applied admits every sample"},
		"rest of truncate":    {"control: random", "  - {metric: length, apply: truncate, rest: drop, pace: 128}\ncontrol: random", "curriculum[1].rest: it goes with 'apply: reshape', not with truncate"},
		"half a token":        {"control: random", "  - {metric: length, apply: truncate, pace: 12.5}\ncontrol: random", "curriculum[1].pace: value is 12.5; tokens are whole numbers"},
		"no keep":             {"  keep: 64\n", "  policy: random-ltd\n", "run.yaml:20: routing: it does not say how many tokens to keep"},
		"width":               {"layers: 6", "layers: 6, width: 8", "run.yaml:21: model.width: of a model of kind external only layers is known"},
		"no layers":           {", layers: 6", "", "model: it has no layers"},
		"compat":              {"control", "compat: megatron\ncontrol", "compat: unknown \"megatron\"; there is deepspeed"},
		"no optimizer":        {"kind: external, layers: 6", "kind: gpt, layers: 6, width: 8, heads: 2", "model: there is no optimizer; give one, such as optimizer: {rate: 3e-4}"},
	} {
		text := strings.Replace(mixed, c.old, c.new, 1)
		if text == mixed {
			t.Fatalf("%s: nothing replaced", name)
		}
		_, err := recipe.Parse("run.yaml", []byte(text))
		if !errors.Is(err, fault.Invalid) || !strings.Contains(fmt.Sprint(err), c.says) {
			t.Errorf("%s: error %v\nwant it to say %q", name, err, c.says)
		}
	}
	_, err := recipe.Parse("run.yaml", []byte("version: 1\n"+good))
	if !errors.Is(err, fault.Mismatch) || !strings.Contains(err.Error(), "run.yaml:1: version: it asks for order 1, and this release serves samples in order 2") {
		t.Errorf("version 1: error %v", err)
	}
}

// A default that is written out, and another way to say the same, give the same
// hash.
func TestHashOfDefaults(t *testing.T) {
	hash := func(text string) string {
		r, err := recipe.Parse("run.yaml", []byte(text))
		if err != nil {
			t.Fatal(err)
		}
		return r.Hash()
	}
	for _, c := range []struct{ text, old, new string }{
		{good, "degree: 2, ", ""},
		{good, "until: 40%}\n  - metric", "until: 40%, begin: 0, every: 0, round: up, clock: layer-tokens}\n  - metric"},
		{good, "sample:", "version: 2\nsample:"},
		{good, "size: 8", "size: 8, rate: none"},
		{good, "kind: gpt, ", "kind: gpt, head: tied, "},
		{good, "corpus: data\nindex: data.index\n", "sources: [{name: web, corpus: data, index: data.index, weight: 3}]\n"},
		{good, "corpus: data\n", "corpus: [data, more]\n"},
		{mixed, "shortest: 32}", "shortest: 32}\nseed: 0"},
		{mixed, "name: easy", "name: simple"},
		{mixed, "keep: 64", "policy: random-ltd\n  layers: inner\n  keep: {kind: constant, value: 64}"},
		{mixed, "tokens: 4096, at_least: 2", "at_least: 2, tokens: 4_096"},
		{accepted[8], "apply: reshape\n    rest: overlap", "apply: reshape-overlap"},
		{strings.Replace(good, "apply: truncate", "apply: reshape", 1), "apply: reshape", "apply: reshape\n    rest: drop"},
	} {
		text := strings.Replace(c.text, c.old, c.new, 1)
		if text == c.text {
			t.Fatalf("%s: nothing replaced", c.old)
		}
		if hash(text) != hash(c.text) {
			t.Errorf("%q for %q changes the hash", c.new, c.old)
		}
	}
	for _, c := range [][2]string{
		{"weight: {kind: cyclic, from: 0, to: 1, step: 0.5, until: 100%, cycles: 3}", "weight: 1"}, {"cycles: 3", "cycles: 4"}, {"to: 30", "to: 31"},
		{"control: random", "control: reverse"}, {"rate: sqrt", "rate: linear"}, {"arrange: decompose, shortest: 32", "arrange: pack"}, {"at_most: 64", "at_most: 63"},
		{"control: random", "control: random\ncompat: deepspeed"}, {"shortest: 32", "shortest: 64"}, {"until: 1_000_000", "until: 50%"},
	} {
		text := strings.Replace(mixed, c[0], c[1], 1)
		if text == mixed || hash(text) == hash(mixed) {
			t.Errorf("%q for %q leaves the hash", c[1], c[0])
		}
	}
}

// A recipe with its defaults filled in, as inspect shows it, is the same recipe.
func TestFilledIn(t *testing.T) {
	for _, text := range append(accepted, good) {
		r, err := recipe.Parse("run.yaml", []byte(text))
		if err != nil {
			t.Fatal(err)
		}
		filled, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		again, err := recipe.Parse("again.yaml", filled)
		if err != nil {
			t.Errorf("%s\n%v", filled, err)
			continue
		}
		if again.Hash() != r.Hash() {
			t.Errorf("%s\nhas another hash than\n%s", filled, text)
		}
	}
}
