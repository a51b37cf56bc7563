package cmd

import (
	"context"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gradus-ml/gradus/internal/keyed"
	"github.com/gradus-ml/gradus/recipe"
)

// ground makes two small corpora with indexes in a directory: documents of 1 to
// 90 letters, some of them common.
func ground(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	stream := keyed.NewKey(1, "cmd ground", 1).Stream()
	for _, name := range []string{"web", "code"} {
		var text strings.Builder
		for range 40 {
			var document strings.Builder
			for range 1 + stream.Uint64N(90) {
				document.WriteByte('a' + byte(stream.Uint64N(1+stream.Uint64N(20))))
			}
			fmt.Fprintf(&text, "{\"text\": %q}\n", document.String())
		}
		at := filepath.Join(dir, name)
		if err := os.WriteFile(at+".jsonl", []byte(text.String()), 0o666); err != nil {
			t.Fatal(err)
		}
		gradus(t, dir, "prepare", "--tokenizer", "bytes", "--out", at, at+".jsonl")
		gradus(t, dir, "analyze", "--corpus", at, "--window", "16", "--metric", "rarity", "--metric", "diversity", "--metric", "letters=repetition:n=1", "--out", at+".w")
		gradus(t, dir, "analyze", "--corpus", at, "--documents", "--metric", "mean-rarity", "--metric", "length", "--out", at+".d")
	}
	return dir
}

// bind opens the recipe of a text in a directory.
func bind(t *testing.T, dir, text string) *recipe.Bound {
	t.Helper()
	r, err := recipe.Parse(filepath.Join(dir, "test.yaml"), []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	b, err := recipe.Open(context.Background(), r, recipe.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	return b
}

const externalModel = "model: {kind: external, layers: 2}\nseed: 3\n"

// arranged returns recipes of every arrangement, with cut and whole rows.
func arranged() map[string]string {
	paced := "curriculum:\n  - {metric: mean-rarity, pace: {kind: linear, from: 40, to: 100, step: 20, until: 50%}}\n"
	two := externalModel + "sources: [{name: web, corpus: web, index: web.d}, {name: code, corpus: code, index: code.d, weight: 0.5}]\nbudget: {steps: 30}\n" + paced
	return map[string]string{
		"windows": externalModel + "corpus: web\nsample: {window: 16}\nbatch: {size: 4}\nbudget: {steps: 60}\nevaluate: {held_out: 10%}\n",
		"reshaped": externalModel + "corpus: web\nsample: {window: 16}\nbatch: {size: 4}\nbudget: {tokens: 3000}\n" +
			"curriculum:\n  - {metric: length, apply: reshape, pace: {kind: linear, from: 6, to: 16, step: 1, until: 50%}}\n",
		"overlapping": externalModel + "corpus: web\nsample: {window: 16}\nbatch: {size: 4}\nbudget: {tokens: 3000}\n" +
			"curriculum:\n  - {metric: length, apply: reshape-overlap, pace: {kind: linear, from: 6, to: 16, step: 2, until: 50%}}\n",
		"pad":          two + "sample: {documents: true, length: 32, arrange: pad}\nbatch: {size: 4}\n",
		"pack":         two + "sample: {documents: true, length: 32, arrange: pack}\nbatch: {size: 4}\n",
		"packs of one": externalModel + "corpus: web\nindex: web.d\nbudget: {steps: 30}\n" + paced + "sample: {documents: true, length: 32, arrange: pack}\nbatch: {size: 4}\n",
		"cut packs": two + "  - {metric: length, apply: truncate, pace: {kind: linear, from: 12, to: 32, step: 4, until: 50%}}\n" +
			"sample: {documents: true, length: 32, arrange: pack}\nbatch: {size: 4}\n",
		"decompose": two + "sample: {documents: true, length: 32, arrange: decompose, shortest: 4}\nbatch: {tokens: 64}\n",
		"bucket":    two + "sample: {documents: true, length: 32, arrange: bucket, lengths: [8, 20, 32]}\nbatch: {tokens: 64}\n",
	}
}

// What where finds of all documents, or of all samples, is every token that the
// batches predict from; and what plan expects is about that.
func TestWhereFindsEveryToken(t *testing.T) {
	dir := ground(t)
	for name, text := range arranged() {
		t.Run(name, func(t *testing.T) {
			b := bind(t, dir, text)
			maker, err := b.Batches()
			if err != nil {
				t.Fatal(err)
			}
			want, padded := int64(0), int64(0)
			for step := range b.Plan.Steps() {
				made, err := maker.Make(step, 0, 1)
				if err != nil {
					t.Fatal(err)
				}
				want += made.Targets()
				padded += made.Padding
			}
			documents, samples := int64(0), int64(0)
			total := func(o whereFlags, byDocument bool) (n int64) {
				target, err := o.target(b, byDocument)
				if err != nil {
					t.Fatal(err)
				}
				v, err := viewUses(context.Background(), b, target, func(int64) {})
				if err != nil {
					t.Fatal(err)
				}
				for _, u := range v.Uses {
					n += int64(u.Tokens)
				}
				return n
			}
			for i, s := range b.Sources {
				for d := range s.Corpus.Documents() {
					documents += total(whereFlags{document: d, source: s.Name}, true)
				}
				for id := range s.Samples.Len() {
					samples += total(whereFlags{sample: idText(b, globalID(i, id))}, false)
				}
			}
			if documents != want {
				t.Errorf("where finds %d tokens of documents, and the batches predict %d", documents, want)
			}
			if samples < want || b.Recipe.Sample.Documents && samples != want { // windows share a token, as label and as input
				t.Errorf("where finds %d tokens of samples, and the batches predict %d", samples, want)
			}
			v := viewPlan(b)
			if tolerance := 0.05 * float64(v.Run.Tokens); math.Abs(v.Expect.Inputs-float64(want)) > tolerance || math.Abs(v.Expect.Padding-float64(padded)) > tolerance {
				t.Errorf("plan expects %.0f tokens and %.0f of padding; they are %d and %d", v.Expect.Inputs, v.Expect.Padding, want, padded)
			}
			if sum := v.Expect.Inputs + v.Expect.Padding + v.Repeated; math.Abs(sum-float64(v.Run.Tokens)) > 0.6 {
				t.Errorf("tokens, padding and context are %.1f of %d", sum, v.Run.Tokens)
			}
		})
	}
}

// The bounds that sample prints say exactly what the plan admits: as many samples
// lie within them as the stage's pool has, and all that are served do.
func TestBoundsAreThePools(t *testing.T) {
	dir := ground(t)
	mix := externalModel + "sources: [{name: web, corpus: web, index: web.w}, {name: code, corpus: code, index: code.w}]\n" +
		"sample: {window: 16}\nbatch: {size: 4}\nbudget: {steps: 60}\nevaluate: {held_out: 0}\n"
	for name, text := range map[string]string{
		"percentile": "curriculum:\n  - {metric: rarity, pace: {kind: linear, from: 33, to: 100, step: 7, until: 50%}, floor: {kind: linear, from: 0, to: 30, step: 4, until: 100%}}\n",
		"value":      "curriculum:\n  - {metric: rarity, by: value, pace: {kind: linear, from: 45, to: 90, step: 3, until: 80%}, floor: {kind: linear, from: 0, to: 40, step: 4, until: 100%}}\n",
		"descending": "curriculum:\n  - {metric: letters, pace: {kind: linear, from: 33, to: 100, step: 7, until: 50%}}\n  - {metric: diversity, pace: {kind: linear, from: 70, to: 100, step: 7, until: 50%}}\n",
	} {
		for _, control := range []string{"", "control: reverse\n"} {
			t.Run(name+control, func(t *testing.T) {
				b := bind(t, dir, mix+text+control)
				for _, stage := range b.Plan.Stages() {
					show, err := newShower(b)
					if err != nil {
						t.Fatal(err)
					}
					if err := show.admittedAt(stage.First); err != nil {
						t.Fatal(err)
					}
					within := func(source int, id int64) bool {
						measures, err := show.measures(source, id)
						if err != nil {
							t.Fatal(err)
						}
						for _, m := range measures {
							for _, x := range m.Bounds {
								if x.Relation == "<=" && m.Value > x.Value || x.Relation == ">=" && m.Value < x.Value {
									return false
								}
							}
						}
						return true
					}
					pool := int64(0)
					for i, s := range b.Sources {
						for id := range s.Samples.Len() {
							if within(i, id) {
								pool++
							}
						}
					}
					if pool != stage.Pool {
						t.Errorf("from step %d: %d samples are within the bounds, and the pool has %d", stage.First, pool, stage.Pool)
					}
					v, err := viewStep(b, stage.First, 0, 1)
					if err != nil {
						t.Fatal(err)
					}
					for _, u := range v.Samples {
						if source := int(u.ID / globalID(1, 0)); !within(source, u.ID%globalID(1, 0)) {
							t.Errorf("step %d serves %s, which is not within the bounds", stage.First, u)
						}
					}
				}
			})
		}
	}
}

// The first steps that differ are those that a look at every step finds.
func TestFirstDifference(t *testing.T) {
	dir := ground(t)
	all := arranged()
	variants := map[string][]string{}
	for name, text := range all {
		variants[name] = []string{
			text,
			strings.Replace(strings.Replace(text, "until: 50%", "until: 90%", 1), "budget: {steps: 60}", "budget: {steps: 40}", 1),
			strings.Replace(text, "seed: 3", "seed: 4", 1),
		}
	}
	for name, texts := range variants {
		var bound []*recipe.Bound
		for _, text := range texts {
			bound = append(bound, bind(t, dir, text))
		}
		for i, a := range bound {
			for j, b := range bound {
				shape, ids := int64(-1), int64(-1)
				for step := range max(a.Plan.Steps(), b.Plan.Steps()) {
					over := step == a.Plan.Steps() || step == b.Plan.Steps()
					if shape < 0 && (over || a.Plan.BatchAt(step).Shape != b.Plan.BatchAt(step).Shape) {
						shape = step
					}
					if ids < 0 && (over || content(a, step) != content(b, step)) {
						ids = step
					}
					if over {
						break
					}
				}
				got, err := firstOtherIDs(context.Background(), a, b, func(int64) {})
				if err != nil {
					t.Fatal(err)
				}
				if orNever(got) != ids {
					t.Errorf("%s %d and %d: ids differ first at %d, want %d", name, i, j, orNever(got), ids)
				}
				if got := firstOtherShape(a.Plan, b.Plan); orNever(got) != shape {
					t.Errorf("%s %d and %d: shapes differ first at %d, want %d", name, i, j, orNever(got), shape)
				}
			}
		}
	}
}

func orNever(step *int64) int64 {
	if step == nil {
		return -1
	}
	return *step
}

// content writes what the rows of a step hold.
func content(b *recipe.Bound, step int64) string {
	var text strings.Builder
	for _, id := range b.Plan.Sampler().At(nil, step) {
		s, unit, _ := b.Source(id)
		fmt.Fprintln(&text, s.Name, s.Units.Pieces(nil, unit))
	}
	return text.String()
}
