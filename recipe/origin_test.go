package recipe_test

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gradus-ml/gradus/analyze"
	"github.com/gradus-ml/gradus/corpus"
	"github.com/gradus-ml/gradus/internal/fault"
	"github.com/gradus-ml/gradus/metric"
	"github.com/gradus-ml/gradus/recipe"
	"github.com/gradus-ml/gradus/train"
)

// single is a short run on one corpus.
const single = `corpus: a
index: a.index
seed: 3
sample: {window: 16}
batch: {size: 4}
budget: {steps: 6}
curriculum:
  - metric: rarity
    pace: {kind: linear, from: 20, to: 100, step: 20, until: 4}
model: {kind: gpt, layers: 3, width: 8, heads: 2}
optimizer: {rate: 1e-3}
evaluate: {held_out: 5%, tokens: 400}
checkpoint: {every: 3}
`

// open binds a recipe and closes it with the test.
func open(t *testing.T, dir, text string, o recipe.Options) (*recipe.Bound, error) {
	t.Helper()
	r, err := recipe.Parse(filepath.Join(dir, "run.yaml"), []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	b, err := recipe.Open(t.Context(), r, o)
	if err == nil {
		t.Cleanup(func() { b.Close() })
	}
	return b, err
}

// trained runs a recipe in dir/run as the program does.
func trained(t *testing.T, dir, text string) (run string) {
	t.Helper()
	run = filepath.Join(dir, "run")
	if err := os.MkdirAll(run, 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(run, recipe.FileName), []byte(text), 0o666); err != nil {
		t.Fatal(err)
	}
	b, err := open(t, dir, text, recipe.Options{Dir: filepath.Join(run, recipe.PlanDir)})
	if err != nil {
		t.Fatal(err)
	}
	c, err := b.Training(run)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := train.Train(context.Background(), c); err != nil {
		t.Fatal(err)
	}
	return run
}

// A file plan.json in the working directory is none of a recipe's without Dir.
func TestOpenBesideAFileNamedPlan(t *testing.T) {
	dir := workplace(t)
	t.Chdir(t.TempDir())
	if err := os.WriteFile("plan.json", nil, 0o666); err != nil {
		t.Fatal(err)
	}
	openIn(t, dir, single)
}

// A checkpoint may be named with a slash at its end, from the directory it lies in,
// or by its run.
func TestFromNames(t *testing.T) {
	dir := workplace(t)
	run := trained(t, dir, single)
	newest, err := train.LatestCheckpoint(run)
	if err != nil {
		t.Fatal(err)
	}
	t.Chdir(filepath.Dir(newest))
	for _, name := range []string{newest, newest + "/", filepath.Base(newest), run, run + "/", ".."} {
		b, err := open(t, dir, strings.Replace(single, "steps: 6", "steps: 9", 1), recipe.Options{From: name})
		if err != nil {
			t.Errorf("--from %s: %v", name, err)
		} else if b.Plan.First() != 6 || b.Plan.Steps() != 9 {
			t.Errorf("--from %s: steps %d to %d", name, b.Plan.First(), b.Plan.Steps())
		}
	}
}

// A run on one corpus goes on as a mixture with that corpus under whatever name,
// and holds out of it what the run held out.
func TestFromOneCorpusToSeveral(t *testing.T) {
	dir := workplace(t)
	run := trained(t, dir, single)
	before := openIn(t, dir, single)
	mixture := "sources:\n  - {name: new, corpus: b, index: b.index}\n  - {name: old, corpus: a, index: a.index}\n" +
		strings.Replace(single[strings.Index(single, "seed"):], "steps: 6", "steps: 20", 1)
	mixture = strings.Replace(mixture, "seed: 3", "seed: 4", 1) // which alone would hold other text out
	b, err := open(t, dir, mixture, recipe.Options{From: run})
	if err != nil {
		t.Fatal(err)
	}
	o := b.Origin()
	if o.Served != 6*4 || o.Waiting == 0 || o.New == 0 {
		t.Errorf("it says %+v", o)
	}
	for sample := range b.Sources[1].Samples.Len() {
		if b.Sources[1].HoldsOut(sample) != before.Sources[0].HoldsOut(sample) {
			t.Fatalf("sample %d: held out %v, before %v", sample, b.Sources[1].HoldsOut(sample), before.Sources[0].HoldsOut(sample))
		}
	}
	if _, err := open(t, dir, strings.ReplaceAll(mixture, "corpus: a, index: a.index", "corpus: b, index: b.index"), recipe.Options{From: run}); !errors.Is(err, fault.Mismatch) {
		t.Errorf("without the corpus: error %v", err)
	}
}

// Text that is held out only now may have been trained on, and nobody should compare
// losses on it.
func TestFromWithoutHeldOutText(t *testing.T) {
	dir := workplace(t)
	run := trained(t, dir, strings.Replace(single, "held_out: 5%, tokens: 400", "corpus: c", 1))
	b, err := open(t, dir, strings.Replace(single, "steps: 6", "steps: 9", 1), recipe.Options{From: run})
	if err != nil {
		t.Fatal(err)
	}
	if len(b.Warnings) == 0 || !strings.Contains(b.Warnings[0], "evaluate.held_out: the earlier run held nothing") {
		t.Errorf("warnings: %q", b.Warnings)
	}
}

// An index may get more metrics while a run goes on; one that admits may not change.
func TestPlanKeptWhileItsIndexGrows(t *testing.T) {
	dir := workplace(t)
	o := recipe.Options{Dir: filepath.Join(dir, "plan")}
	if _, err := open(t, dir, single, o); err != nil {
		t.Fatal(err)
	}
	again := func(metrics ...metric.Metric) error {
		t.Helper()
		c, err := corpus.Open(filepath.Join(dir, "a"))
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		samples, err := c.Samples(corpus.Cut{Window: 16})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := analyze.Run(t.Context(), samples, metrics, filepath.Join(dir, "a.index"), analyze.Options{Force: true}); err != nil {
			t.Fatal(err)
		}
		_, err = open(t, dir, single, o)
		return err
	}
	if err := again(metric.Rarity(), metric.MeanRarity()); err != nil {
		t.Errorf("with one metric more: %v", err)
	}
	if err := again(impostor{metric.MeanRarity()}); !errors.Is(err, fault.Mismatch) {
		t.Errorf("with another rarity: %v", err)
	}
}

// impostor is a metric by the name of another.
type impostor struct{ metric.Metric }

func (i impostor) Info() metric.Info {
	info := i.Metric.Info()
	info.Name = "rarity"
	return info
}

// What a run keeps beside its plan may be damaged, forged or another run's: an error
// each, and no panic.
func TestFromADamagedRun(t *testing.T) {
	for name, damage := range map[string]func(t *testing.T, dir, run string){
		"no sources": func(t *testing.T, dir, run string) {
			edit(t, run, func(m map[string]any) { m["sources"] = []any{} })
		},
		"another number of documents": func(t *testing.T, dir, run string) {
			edit(t, run, func(m map[string]any) { m["sources"].([]any)[0].(map[string]any)["documents"] = 1e18 })
		},
		"held out of nothing": func(t *testing.T, dir, run string) {
			edit(t, run, func(m map[string]any) {
				m["sources"].([]any)[0].(map[string]any)["held"] = map[string]any{"documents": 3, "tokens": -3, "share": 9}
			})
		},
		"a plan made anew": func(t *testing.T, dir, run string) {
			plan := filepath.Join(run, recipe.PlanDir)
			if err := os.RemoveAll(plan); err != nil {
				t.Fatal(err)
			}
			text, err := os.ReadFile(filepath.Join(run, recipe.FileName))
			if err != nil {
				t.Fatal(err)
			}
			// As if the run had gone on from another, and its plan now did not.
			log := filepath.Join(run, "run.jsonl")
			lines, err := os.ReadFile(log)
			if err != nil {
				t.Fatal(err)
			}
			at := strings.LastIndex(string(lines), `"digest":"`) + len(`"digest":"`)
			copy(lines[at:], "0123456789abcdef")
			if err := os.WriteFile(log, lines, 0o666); err != nil {
				t.Fatal(err)
			}
			if _, err := open(t, dir, string(text), recipe.Options{Dir: plan}); err != nil {
				t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := workplace(t)
			documents := strings.Replace(single, "window: 16", "documents: true, length: 64, arrange: pack", 1)
			documents = documents[:strings.Index(documents, "curriculum")] + documents[strings.Index(documents, "model"):]
			documents = strings.Replace(documents, "index: a.index\n", "", 1)
			run := trained(t, dir, documents)
			damage(t, dir, run)
			_, err := open(t, dir, strings.Replace(documents, "steps: 6", "steps: 9", 1), recipe.Options{From: run})
			if !errors.Is(err, fault.Corrupt) && !errors.Is(err, fault.Mismatch) && !errors.Is(err, fault.Invalid) {
				t.Errorf("error %v", err)
			}
		})
	}
}

// edit changes what the plan of a run was made of.
func edit(t *testing.T, run string, change func(m map[string]any)) {
	t.Helper()
	path := filepath.Join(run, recipe.PlanDir, "made-of.json")
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var m map[string]any
	if err := json.Unmarshal(text, &m); err != nil {
		t.Fatal(err)
	}
	change(m)
	if text, err = json.Marshal(m); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, text, 0o666); err != nil {
		t.Fatal(err)
	}
}
