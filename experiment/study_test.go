package experiment_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gradus-ml/gradus/experiment"
	"github.com/gradus-ml/gradus/internal/fault"
)

const base = `corpus: text
index: text.index
seed: 7
sample: {window: 32}
batch: {size: 4}   # rows
budget: {tokens: 10_000, clock: layer-tokens}
model: {kind: gpt, layers: 3, width: 8, heads: 2}
optimizer: {rate: 4e-3}
evaluate: {every: 20%, held_out: 3%}
`

const study = `name: small
question: Does it help?
recipe: base.yaml
seeds: [11, 12]
budgets: [50%, 100%, 200%]
baseline: baseline
primary: {arm: composed, budget: 50%}
arms:
  - name: baseline
    says: nothing
    at: {50%: {optimizer: {rate: 8e-3}}, 200%: {optimizer: {rate: 2e-3}}}
  - name: composed
    budgets: [50%]
    with:
      curriculum:
        - metric: rarity
          pace: {kind: root, from: 10, to: 100, step: 10, until: 50%}
      batch: {size: 8}
    at:
      50%: {optimizer: {rate: 6e-3}}
  - name: reversed
    like: composed
    control: composed
    budgets: [50%]
    with: {control: reverse}
`

// load reads a study that lies beside base.yaml.
func load(t *testing.T, text string) (*experiment.Study, error) {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{"base.yaml": base, "study.yaml": text} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	return experiment.Load(filepath.Join(dir, "study.yaml"))
}

func cells(t *testing.T, text string) []experiment.Cell {
	t.Helper()
	s, err := load(t, text)
	if err != nil {
		t.Fatal(err)
	}
	cells, err := s.Cells()
	if err != nil {
		t.Fatal(err)
	}
	return cells
}

func TestCells(t *testing.T) {
	all := cells(t, study)
	var names []string
	of := map[string]experiment.Cell{}
	for _, c := range all {
		names = append(names, c.Name)
		of[c.Name] = c
		if c.Recipe.Name != c.Name || c.Recipe.Seed != c.Seed || *c.Recipe.Evaluate.Seed != 7 {
			t.Errorf("%s: name %s, seed %d, held out with %v", c.Name, c.Recipe.Name, c.Recipe.Seed, c.Recipe.Evaluate.Seed)
		}
	}
	want := "baseline-50-11 baseline-100-11 baseline-200-11 composed-50-11 reversed-50-11 " +
		"baseline-50-12 baseline-100-12 baseline-200-12 composed-50-12 reversed-50-12"
	if got := strings.Join(names, " "); got != want {
		t.Errorf("cells in order\n%s, want\n%s", got, want)
	}
	for name, want := range map[string]struct {
		tokens, rate float64
		size, paced  int
		control      string
	}{
		"baseline-50-11":  {5000, 8e-3, 4, 0, ""},
		"baseline-100-12": {10_000, 4e-3, 4, 0, ""},
		"baseline-200-11": {20_000, 2e-3, 4, 0, ""},
		"composed-50-12":  {5000, 6e-3, 8, 1, ""},
		"reversed-50-11":  {5000, 6e-3, 8, 1, "reverse"},
	} {
		r := of[name].Recipe
		if r.Budget.Tokens != want.tokens || r.Budget.Clock != "layer-tokens" || r.Optimizer.Rate != want.rate || r.Batch.Size != want.size ||
			len(r.Curriculum) != want.paced || r.Control != want.control {
			t.Errorf("%s: budget %+v, rate %v, batch %d, %d metrics, control %q; want %+v", name, r.Budget, r.Optimizer.Rate, r.Batch.Size, len(r.Curriculum), r.Control, want)
		}
	}
}

// Every mistake is refused with the line it stands on, also where that line is of a
// patch, and a way out.
func TestMistakes(t *testing.T) {
	for name, c := range map[string]struct{ old, new, says string }{
		"unknown key":         {"question:", "qestion:", `study.yaml:2: unknown key "qestion"; did you mean "question"?`},
		"key of a patch":      {"batch: {size: 8}", "batch: {sise: 8}", `study.yaml:18: unknown key "sise" in arms.with.batch; did you mean "size"?`},
		"key at a budget":     {"rate: 6e-3", "rat: 6e-3", `study.yaml:20: unknown key "rat" in arms.at.50%.optimizer; did you mean "rate"?`},
		"value of a patch":    {"batch: {size: 8}", "batch: {size: -8}", `study.yaml:18: batch.size: it is -8; it must be at least 1`},
		"type in a patch":     {"batch: {size: 8}", "batch: {size: eight}", `study.yaml:18: "eight" stands where a whole number must`},
		"deep value":          {"from: 10, to: 100", "from: 10, to: 200", `study.yaml:17: curriculum[0].pace: it goes to the percentile 200`},
		"two seeds":           {"[11, 12]", "[11, 11]", `study.yaml:4: seeds[1]: seed 11 stands there twice`},
		"no seeds":            {"[11, 12]", "[]", `study.yaml:4: seeds: there are none`},
		"two budgets":         {"[50%, 100%, 200%]", "[50%, 50.0%]", `study.yaml:5: budgets[1]: the budget 50.0% stands there twice`},
		"no percentage":       {"[50%, 100%, 200%]", "[50, 100%]", `study.yaml:5: budgets[0]: "50" is no share of the budget; write a percentage above 0, such as 50%`},
		"no baseline":         {"baseline: baseline", "baseline: base", `study.yaml:6: baseline: there is no arm "base"; did you mean baseline?`},
		"primary arm":         {"primary: {arm: composed", "primary: {arm: compose", `study.yaml:7: primary.arm: there is no arm "compose"; did you mean composed?`},
		"primary budget":      {"budget: 50%}", "budget: 25%}", `study.yaml:7: primary.budget: composed has no run at 25%, only at 50%`},
		"primary is baseline": {"primary: {arm: composed", "primary: {arm: baseline", `study.yaml:7: primary.arm: it is the baseline`},
		"clock":               {"budget: 50%}", "budget: 50%, clocks: [second]}", `study.yaml:7: primary.clocks[0]: unknown clock "second"; did you mean seconds?`},
		"two arms":            {"name: reversed", "name: Composed", `study.yaml:21: arms[2].name: there are two arms called Composed`},
		"arm's name":          {"name: reversed", "name: ../x", `study.yaml:21: arms[2].name: "../x" cannot name a directory`},
		"like itself":         {"like: composed", "like: reversed", `study.yaml:22: arms[2].like: it starts from itself`},
		"control":             {"control: composed", "control: comp", `study.yaml:23: arms[2].control: there is no arm "comp"; did you mean composed?`},
		"no effect":           {"with: {control: reverse}", "with: {name: other}", `study.yaml:21: arms[2]: reversed-50-11 is the same run as composed-50-11`},
		"other held-out text": {"with: {control: reverse}", "with: {control: reverse, evaluate: {held_out: 4%}}", `arms[2]: its held-out loss does not compare with the baseline's: evaluate.held_out is 0.03 there and 0.04 here`},
		"other length":        {"with: {control: reverse}", "with: {control: reverse, sample: {window: 16}}", `the length of a sample is 32 there and 16 here`},
		"two patches at one":  {"50%: {optimizer: {rate: 6e-3}}", "{50%: {optimizer: {rate: 6e-3}}, 50.0%: {seed: 3}}", `study.yaml:20: arms[1].at: 50% and 50.0% are one budget`},
		"patch at no budget":  {"50%: {optimizer: {rate: 6e-3}}", "51%: {optimizer: {rate: 6e-3}}", `study.yaml:20: arms[1].at: composed has no run at 51%, only at 50%`},
		"no recipe":           {"recipe: base.yaml", "recipe: bse.yaml", `study.yaml:3: recipe: open bse.yaml`},
		"backend":             {"seeds: [11", "backend: gp\nseeds: [11", `study.yaml:4: backend: unknown backend "gp" (did you mean go?)`},
	} {
		t.Run(name, func(t *testing.T) {
			text := strings.Replace(study, c.old, c.new, 1)
			if text == study {
				t.Fatalf("%q does not stand in the study", c.old)
			}
			s, err := load(t, text)
			if err == nil {
				_, err = s.Cells()
			}
			if err == nil || !strings.Contains(err.Error(), c.says) {
				t.Fatalf("error %v, want one that says %q", err, c.says)
			}
			if !errors.Is(err, fault.Invalid) && name != "no recipe" {
				t.Errorf("%v is not of kind Invalid", err)
			}
		})
	}
}
