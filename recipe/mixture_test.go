package recipe_test

import (
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gradus-ml/gradus/analyze"
	"github.com/gradus-ml/gradus/batch"
	"github.com/gradus-ml/gradus/corpus"
	"github.com/gradus-ml/gradus/internal/fault"
	"github.com/gradus-ml/gradus/internal/keyed"
	"github.com/gradus-ml/gradus/metric"
	"github.com/gradus-ml/gradus/pace"
	"github.com/gradus-ml/gradus/recipe"
	"github.com/gradus-ml/gradus/route"
)

// workplace has corpora a and b with indexes, c without one, and two that do not
// go with them: d of another tokenizer, e of another vocabulary.
func workplace(t *testing.T) (dir string) {
	t.Helper()
	dir = t.TempDir()
	stream := keyed.NewKey(7, "mixture").Stream()
	for _, name := range []string{"a", "b", "c"} {
		writeRandom(t, filepath.Join(dir, name), stream, 60, 20, 200)
	}
	for _, name := range []string{"a", "b"} {
		rarity(t, filepath.Join(dir, name), corpus.Cut{Window: 16}, filepath.Join(dir, name+".index"))
	}
	for name, meta := range map[string]corpus.Meta{
		"d": {Tokenizer: "r50k", Vocabulary: 50257, EndOfDocument: 50256},
		"e": {Tokenizer: "bytes", Vocabulary: 300, EndOfDocument: 256},
	} {
		w, err := corpus.Create(filepath.Join(dir, name), corpus.Uint16)
		if err != nil {
			t.Fatal(err)
		}
		for range 40 {
			if err := w.Append(make([]int32, 50)); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.Commit(meta); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

const two = `sources:
  - {name: first, corpus: a, index: a.index, weight: {kind: steps, values: [1, 0], until: [20]}}
  - {name: second, corpus: b, index: b.index, weight: 3}
seed: 3
sample: {window: 16}
batch: {size: 8}
budget: {steps: 40}
curriculum:
  - metric: rarity
    pace: {kind: linear, from: 20, to: 100, step: 20, until: 30}
model: {kind: gpt, layers: 3, width: 8, heads: 2}
optimizer: {rate: 1e-3}
evaluate: {held_out: 5%, tokens: 400}
`

// Two sources are mixed in proportion to their weights, nothing of either is
// trained on that is held out, and both are evaluated on.
func TestTwoSources(t *testing.T) {
	b := openIn(t, workplace(t), two)
	if b.Warnings != nil {
		t.Errorf("warnings: %q", b.Warnings)
	}
	counts := [2]int{}
	sampler := b.Plan.Sampler()
	for step := range b.Plan.Steps() {
		for _, id := range sampler.At(nil, step) {
			s, unit, err := b.Source(id)
			if err != nil {
				t.Fatal(err)
			}
			if s.HoldsOut(unit) {
				t.Fatalf("step %d serves unit %d of %s, which is held out", step, unit, s.Name)
			}
			if s.Name == "first" {
				counts[0]++
				if step > 20 {
					t.Fatalf("step %d serves the first source, whose weight is 0", step)
				}
			} else {
				counts[1]++
			}
		}
	}
	if want := [2]int{21 * 8 / 4, 40*8 - 21*8/4}; counts != want {
		t.Errorf("%v units of the sources, want %v", counts, want)
	}
	if _, _, err := b.Source(2 << 56); !errors.Is(err, fault.Invalid) {
		t.Errorf("an id of a third source: error %v", err)
	}
	if n := b.Sources[0].Samples.Len() + b.Sources[1].Samples.Len(); b.Samples() != n {
		t.Errorf("%d samples, want %d", b.Samples(), n)
	}
	evaluation, err := b.Evaluation()
	if err != nil {
		t.Fatal(err)
	}
	targets := int64(0)
	for _, e := range evaluation {
		targets += e.Targets()
	}
	if targets < 300 || targets > 400 {
		t.Errorf("the evaluation predicts %d tokens of at most 400", targets)
	}
	if b.HeldOut() != b.Sources[0].HeldOut.String()+" + "+b.Sources[1].HeldOut.String() {
		t.Errorf("held out: %s", b.HeldOut())
	}
	first, err := b.Sources[0].Corpus.Fingerprint()
	if err != nil {
		t.Fatal(err)
	}
	if name, err := b.Fingerprint(); err != nil || !strings.HasPrefix(name, first+" + ") {
		t.Errorf("fingerprint %q, error %v", name, err)
	}
}

// One source in a list is the same run as the corpus at the top.
func TestOneSource(t *testing.T) {
	dir := workplace(t)
	list := "sources: [{name: a, corpus: a, index: a.index, weight: {kind: steps, values: [2, 1], until: [7]}}]\n" + two[strings.Index(two, "seed"):]
	top := "corpus: a\nindex: a.index\n" + two[strings.Index(two, "seed"):]
	x, y := openIn(t, dir, list), openIn(t, dir, top)
	if x.Recipe.Hash() != y.Recipe.Hash() {
		t.Error("the hashes differ")
	}
	for step := range x.Plan.Steps() {
		if fmt.Sprint(x.Plan.Sampler().At(nil, step)) != fmt.Sprint(y.Plan.Sampler().At(nil, step)) {
			t.Fatalf("step %d differs", step)
		}
	}
}

// A corpus of its own is evaluated on, and nothing is held out.
func TestEvaluationCorpus(t *testing.T) {
	b := openIn(t, workplace(t), strings.Replace(two, "held_out: 5%, tokens: 400", "corpus: c", 1))
	evaluation, err := b.Evaluation()
	if err != nil {
		t.Fatal(err)
	}
	targets := int64(0)
	for _, e := range evaluation {
		targets += e.Targets()
	}
	if b.Sources[0].HeldOut != nil || fmt.Sprintf("%d tokens of 60 documents", targets+1) != b.HeldOut() {
		t.Errorf("the evaluation predicts %d tokens; held out: %s", targets, b.HeldOut())
	}
	if name, err := b.Fingerprint(); err != nil || !strings.Contains(name, " evaluated on ") {
		t.Errorf("fingerprint %q, error %v", name, err)
	}
}

// A corpus may be several files.
func TestCorpusOfFiles(t *testing.T) {
	dir := workplace(t)
	b := openIn(t, dir, "corpus: [a, b]\nsample: {window: 16}\nbatch: {size: 2}\nbudget: {steps: 3}\nmodel: {kind: external, layers: 1}\n")
	if n := len(b.Sources[0].Corpus.Paths()); n != 2 {
		t.Errorf("the corpus has %d parts, want 2", n)
	}
}

// What does not go together, and what cannot work, is refused by Open with the
// line of the recipe and a way out.
func TestMixtureRefused(t *testing.T) {
	dir := workplace(t)
	for name, c := range map[string]struct {
		old, new, says string
		kind           error
	}{
		"absent source":    {"corpus: b", "corpus: nowhere", "run.yaml:3: sources[1].corpus: no corpus at", os.ErrNotExist},
		"absent index":     {"index: b.index", "index: nowhere", "run.yaml:3: sources[1].index", os.ErrNotExist},
		"no index":         {", index: b.index", "", "run.yaml:9: curriculum[0]: it needs an index; run 'gradus analyze --corpus b' and name its directory in the index of source second", fault.Invalid},
		"no corpus":        {"corpus: b, ", "", "run.yaml:3: sources[1].corpus: it is not named", fault.Invalid},
		"another's index":  {"index: b.index", "index: a.index", "run.yaml:3: sources[1].index: index", fault.Mismatch},
		"other cut":        {"window: 16", "window: 8", "cut as window 16, not as window 8", fault.Mismatch},
		"tokenizers":       {"corpus: b, index: b.index", "corpus: d", `run.yaml:3: sources[1].corpus: source second was prepared with tokenizer "r50k" and source first with "bytes"`, fault.Mismatch},
		"vocabularies":     {"corpus: b, index: b.index", "corpus: e", "run.yaml:3: sources[1].corpus: source second has a vocabulary of 300 tokens and source first one of 257", fault.Mismatch},
		"evaluation":       {"held_out: 5%, tokens: 400", "corpus: d", `run.yaml:13: evaluate.corpus: the corpus for evaluation was prepared with tokenizer "r50k"`, fault.Mismatch},
		"unknown metric":   {"metric: rarity", "metric: rarities", `run.yaml:9: curriculum[0].metric: index`, fault.Invalid},
		"nearest metric":   {"metric: rarity", "metric: rarities", `has no metric "rarities"; did you mean "rarity"?`, fault.Invalid},
		"no weight":        {"weight: 3", "weight: {kind: steps, values: [3, 0], until: [25]}", "run.yaml:2: sources: the weights of the sources sum to nothing at step 26", fault.Invalid},
		"never admits":     {"pace: {kind: linear, from: 20, to: 100, step: 20, until: 30}", "by: value\n    pace: {kind: linear, from: 1, to: 2, until: 30}", "run.yaml:11: curriculum[0].pace: source first: rarity: at step 0 the pace is at 1 and the easiest sample has", fault.Invalid},
		"beyond the most":  {"pace: {kind: linear, from: 20, to: 100, step: 20, until: 30}", "by: value\n    pace: {kind: linear, from: 5000, to: 6000, until: 30}", "run.yaml:11: curriculum[0].pace: it begins at 5000, and the largest rarity of a sample is", fault.Invalid},
		"percentile 0":     {"from: 20", "from: 0", "run.yaml:10: curriculum[0].pace: source first: rarity: the pace gives the percentile 0", fault.Invalid},
		"pace falls":       {"pace: {kind: linear, from: 20, to: 100, step: 20, until: 30}", "pace: {kind: linear, from: 100, to: 20, step: 20, until: 30}", "run.yaml:10: curriculum[0].pace: rarity: the pace falls", fault.Invalid},
		"floor above":      {"until: 30}", "until: 30}\n    floor: 90", "run.yaml:11: curriculum[0].floor: source first: rarity: at step 0 the floor (90) is above the pace (20)", fault.Invalid},
		"length a half":    {"model", "  - {metric: length, apply: truncate, pace: {kind: steps, values: [0.5, 16], until: [3]}}\nmodel", "curriculum[1].pace: length: the pace gives 0.5 tokens", fault.Invalid},
		"keeps nothing":    {"model", "routing: {keep: 0}\nmodel", "run.yaml:11: routing.keep: kept tokens: the pace gives 0 tokens", fault.Invalid},
		"many shapes":      {"model", "  - {metric: length, apply: truncate, pace: {kind: linear, from: 1, to: 16, until: 100%}}\nshapes: 4\nmodel", "run.yaml:12: shapes: the plan has 15 distinct batch shapes", fault.Invalid},
		"too many steps":   {"steps: 40", "steps: 1e12", "run.yaml:7: budget: a budget of 1e+12 steps takes more than", fault.Invalid},
		"vocabulary":       {"heads: 2", "heads: 2, vocabulary: 100", "model.vocabulary: it is 100 and the corpus has 257 tokens", fault.Invalid},
		"long window":      {"window: 16", "window: 99999", "run.yaml:5: sample: source first: a window of 99999", fault.Invalid},
		"huge arrangement": {"sample: {window: 16}", "sample: {documents: true, length: 8_388_608, arrange: pack}", "run.yaml:5: sample: source first: pack: rows of 8388608 inputs", fault.Invalid},
	} {
		text := strings.Replace(two, c.old, c.new, 1)
		if text == two {
			t.Fatalf("%s: nothing replaced", name)
		}
		r, err := recipe.Parse(filepath.Join(dir, "run.yaml"), []byte(text))
		if err == nil {
			var b *recipe.Bound
			if b, err = recipe.Open(t.Context(), r, recipe.Options{}); err == nil {
				b.Close()
			}
		}
		if !errors.Is(err, c.kind) || !strings.Contains(fmt.Sprint(err), c.says) {
			t.Errorf("%s: error %v\nwant kind %v saying %q", name, err, c.kind, c.says)
		}
	}
}

// What is allowed and perhaps not meant is said, with its line.
func TestWarnings(t *testing.T) {
	dir := workplace(t)
	for name, c := range map[string]struct{ old, new, says string }{
		"past the end":  {"until: 30}", "until: 60}", "run.yaml:10: curriculum[0].pace: the run ends at 40 steps with the pace at 60, and it would go on to change at 45; it never reaches its end"},
		"never weighed": {"values: [1, 0], until: [20]", "values: [0]", "run.yaml:2: sources[0].weight: the weight is 0 from the first step to the last, so nothing of the source is served"},
		"goes beyond":   {"pace: {kind: linear, from: 20, to: 100, step: 20, until: 30}", "by: value\n    pace: {kind: linear, from: 100, to: 5000, step: 100, until: 30}", "run.yaml:11: curriculum[0].pace: it goes on to 5000, and the largest rarity of a sample is"},
		"all at once":   {"pace: {kind: linear, from: 20, to: 100, step: 20, until: 30}", "pace: 100", "run.yaml:9: curriculum: all "},
	} {
		text := strings.Replace(two, c.old, c.new, 1)
		if text == two {
			t.Fatalf("%s: nothing replaced", name)
		}
		b := openIn(t, dir, text)
		if len(b.Warnings) != 1 || !strings.Contains(b.Warnings[0], c.says) {
			t.Errorf("%s: warnings %q\nwant one saying %q", name, b.Warnings, c.says)
		}
	}
	for _, quiet := range []string{two, strings.Replace(two, "until: 30}", "until: 100%}", 1), strings.Replace(two, "to: 100, step: 20, until: 30}", "to: 100, step: 20, until: 30}\n    floor: 5", 1)} {
		if b := openIn(t, dir, quiet); b.Warnings != nil {
			t.Errorf("%s\nwarnings %q", quiet, b.Warnings)
		}
	}
}

// trusting is a warning about tokens of an unknown tokenizer.
const trusting = "does not say with which tokenizer it was prepared; that its tokens mean the same is taken on trust"

// A corpus that does not say what its tokens are is mixed with others on trust.
func TestUnknownTokenizer(t *testing.T) {
	dir := workplace(t)
	if err := os.WriteFile(filepath.Join(dir, "flat.bin"), make([]byte, 4000), 0o666); err != nil {
		t.Fatal(err)
	}
	rest := "sample: {window: 16}\nbatch: {size: 8}\nbudget: {steps: 4}\nmodel: {kind: external, layers: 3}\nevaluate: {held_out: 0}\n"
	for text, says := range map[string]string{
		"sources: [{name: a, corpus: a}, {name: flat, corpus: flat.bin, dtype: uint16}]\n":                                      "sources[1].corpus: source flat " + trusting,
		"sources: [{name: flat, corpus: flat.bin, dtype: uint16}, {name: a, corpus: a}]\n":                                      "sources[1].corpus: source flat " + trusting,
		"sources: [{name: flat, corpus: flat.bin, dtype: uint16}, {name: again, corpus: flat.bin, dtype: uint16, weight: 2}]\n": "sources[1].corpus: neither source again nor source flat says",
	} {
		b := openIn(t, dir, text+rest)
		if len(b.Warnings) != 1 || !strings.Contains(b.Warnings[0], "run.yaml:1: "+says) {
			t.Errorf("%s: warnings %q, want one saying %q", text, b.Warnings, says)
		}
	}
}

// otherRarity is the rarity of another program: same name, another unit.
type otherRarity struct{ metric.Metric }

func (m otherRarity) Info() metric.Info {
	info := m.Metric.Info()
	info.Unit = "bits"
	return info
}

// Values of different definitions do not compare.
func TestIndexesOfTwoDefinitions(t *testing.T) {
	dir := workplace(t)
	c, err := corpus.Open(filepath.Join(dir, "b"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	samples, err := c.Samples(corpus.Cut{Window: 16})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := analyze.Run(t.Context(), samples, []metric.Metric{otherRarity{metric.Rarity()}}, filepath.Join(dir, "bits.index"), analyze.Options{}); err != nil {
		t.Fatal(err)
	}
	r, err := recipe.Parse(filepath.Join(dir, "run.yaml"), []byte(strings.Replace(two, "b.index", "bits.index", 1)))
	if err != nil {
		t.Fatal(err)
	}
	_, err = recipe.Open(t.Context(), r, recipe.Options{})
	if !errors.Is(err, fault.Mismatch) || !strings.Contains(err.Error(), "run.yaml:9: curriculum[0].metric: index") || !strings.Contains(err.Error(), "(bits): their values do not compare") {
		t.Errorf("error %v", err)
	}
}

// The learning rate follows the rows of a step where the recipe says so.
func TestRateFactor(t *testing.T) {
	dir := workplace(t)
	for rate, of := range map[string]func(float64) float64{
		"linear": func(x float64) float64 { return x }, "sqrt": math.Sqrt, "none": func(float64) float64 { return 1 },
	} {
		b := openIn(t, dir, "corpus: a\nsample: {documents: true, length: 128, arrange: bucket, lengths: [32, 128]}\nbatch: {tokens: 512, rate: "+rate+
			"}\nbudget: {steps: 30}\nmodel: {kind: gpt, layers: 3, width: 8, heads: 2}\noptimizer: {rate: 1e-3}\n")
		seen := map[int]bool{}
		for step := range b.Plan.Steps() {
			units := b.Plan.BatchAt(step).Units
			seen[units] = true
			if got, want := b.RateFactor(step), of(float64(units)/4); got != want {
				t.Fatalf("%s: %d units: %v, want %v", rate, units, got, want)
			}
		}
		if !seen[4] || !seen[16] {
			t.Errorf("batches of %v units, want 4 and 16", seen)
		}
		c, err := b.Training(t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		if (c.RateFactor == nil) != (rate == "none") {
			t.Errorf("%s: training has a factor: %v", rate, c.RateFactor != nil)
		}
	}
}

// A trainer of one's own takes batches; training here is refused.
func TestExternal(t *testing.T) {
	b := openIn(t, workplace(t), strings.Replace(two, "kind: gpt, layers: 3, width: 8, heads: 2", "kind: external, layers: 3", 1))
	maker, err := b.Batches()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := maker.Make(5, 1, 2); err != nil {
		t.Error(err)
	}
	if _, err := b.Training(t.TempDir()); !errors.Is(err, fault.Invalid) || !strings.Contains(err.Error(), "run.yaml:11: model.kind: it is external") {
		t.Errorf("error %v", err)
	}
}

// everyOther keeps even positions first: a policy of a stranger's.
type everyOther struct{}

func (everyOther) Keep(kept []int32, length int, d route.Draw) {
	for i := range kept {
		kept[i] = int32(i * length / len(kept))
	}
}

// ends keeps the last tokens of a unit: a shaper of a stranger's.
type ends struct{}

func (ends) Rows(full, length int) int                        { return 1 }
func (ends) From(row, full, length int) (first, repeated int) { return full - length, 0 }
func twoValues(name string) pace.Definition {
	return pace.Definition{
		Name: name, Summary: "two values",
		Parameters: []pace.Parameter{{Name: "low", Kind: pace.Number, Required: true}, {Name: "high", Kind: pace.Number, Default: 16.0}, {Name: "at", Kind: pace.Moment, Required: true}},
		New: func(v pace.Values) (pace.Pace, error) {
			return pace.NewSteps(pace.Steps{Values: []float64{v.Number("low"), v.Number("high")}, Until: []float64{v.Moment("at")}})
		},
	}
}

// Recipes reach what a stranger registers, by its name.
func TestOwnParts(t *testing.T) {
	pace.Register(twoValues("two-values"))
	batch.RegisterShaper("ends", "keep the last inputs of each unit", ends{})
	route.Register("every-other", "positions at equal distances", everyOther{})
	dir := workplace(t)
	b := openIn(t, dir, `corpus: a
sample: {window: 16}
batch: {size: 4}
budget: {steps: 10}
curriculum:
  - {metric: length, apply: ends, pace: {kind: two-values, low: 8, at: 40%}}
routing: {policy: every-other, keep: 4}
model: {kind: external, layers: 3}
`)
	maker, err := b.Batches()
	if err != nil {
		t.Fatal(err)
	}
	made, err := maker.Make(2, 0, 1)
	if err != nil {
		t.Fatal(err)
	}
	if made.Length != 8 || fmt.Sprint(made.Kept[0][:4]) != "[0 2 4 6]" {
		t.Errorf("rows of %d, kept %v", made.Length, made.Kept)
	}
	last := make([]int32, 8)
	if err := b.Sources[0].Corpus.Read(last, made.IDs[0]*16+8); err != nil {
		t.Fatal(err)
	}
	if fmt.Sprint(made.Inputs[:8]) != fmt.Sprint(last) {
		t.Errorf("row 0 has %v, want %v", made.Inputs[:8], last)
	}
	if got := b.Plan.BatchAt(5).Length; got != 16 {
		t.Errorf("after 40%% of the budget rows have %d tokens, want 16", got)
	}
	if !strings.Contains(string(recipe.Schema()), `"pace-two-values"`) {
		t.Error("the schema does not know the pace")
	}
}

// A plan's files may be kept.
func TestOpenKeepsFiles(t *testing.T) {
	dir := workplace(t)
	keep := filepath.Join(dir, "plan")
	r, err := recipe.Parse(filepath.Join(dir, "run.yaml"), []byte("corpus: a\nsample: {documents: true, length: 64, arrange: pack}\nbatch: {size: 2}\nbudget: {steps: 9}\nmodel: {kind: external, layers: 1}\n"))
	if err != nil {
		t.Fatal(err)
	}
	b, err := recipe.Open(t.Context(), r, recipe.Options{Dir: keep})
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	packed, err := filepath.Glob(filepath.Join(keep, "pack-0", "*"))
	if err != nil || len(packed) == 0 {
		t.Errorf("%d files of the packing are kept, error %v", len(packed), err)
	}
}
