package recipe_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gradus-ml/gradus/internal/fault"
	"github.com/gradus-ml/gradus/recipe"
)

// schedule compiles the stages and shapes of a recipe.
func schedule(t *testing.T, r *recipe.Recipe) *recipe.Bound {
	t.Helper()
	b, err := recipe.Open(t.Context(), r, recipe.Options{ScheduleOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	return b
}

// recipesAt returns the recipes at a pattern; studies stand among them.
func recipesAt(t *testing.T, pattern string) []string {
	t.Helper()
	files, err := filepath.Glob(pattern)
	if err != nil {
		t.Fatal(err)
	}
	files = slices.DeleteFunc(files, func(file string) bool {
		text, err := os.ReadFile(file)
		return err == nil && bytes.Contains(text, []byte("\narms:\n"))
	})
	if len(files) == 0 {
		t.Fatalf("there are no recipes at %s", pattern)
	}
	return files
}

// Every recipe that is shipped compiles, without its corpus. The published ones
// end where the original's logs and formulas say, to the last token. The original
// sums layer-tokens over the layers in the log of the vision transformer, and
// divides by the layers, row by row, in the others.
func TestShippedRecipes(t *testing.T) {
	type end struct {
		steps       int64
		layerTokens float64 // 0: not published
		layerSum    int64   // likewise
	}
	published := map[string]end{
		"vit-cifar10-ltd":              {5474, 0, 305_784_192},
		"gpt2-base-ptb-ltd":            {1344, 2_148_032, 0},
		"gpt2-medium-ptb-ltd-tutorial": {1373, 2_147_024, 0},
		"gpt3-1.3b-baseline":           {286_103, 0, 0},
		"gpt3-1.3b-ltd":                {372_789, 0, 0},
		"gpt3-1.3b-ltd-67":             {248_526, 0, 0},
		"gpt3-1.3b-ltd-50":             {186_395, 0, 0},
	}
	found := 0
	for _, file := range append(recipesAt(t, "../recipes/*.yaml"), recipesAt(t, "../recipes/deepspeed/*.yaml")...) {
		name := strings.TrimSuffix(filepath.Base(file), ".yaml")
		t.Run(name, func(t *testing.T) {
			r, err := recipe.Load(file)
			if err != nil {
				t.Fatal(err)
			}
			b := schedule(t, r)
			if b.Warnings != nil {
				t.Errorf("warnings: %q", b.Warnings)
			}
			want, ok := published[name]
			if !ok {
				return
			}
			found++
			got := b.Plan.End()
			if got.Steps != want.steps || want.layerTokens != 0 && got.LayerTokens() != want.layerTokens || want.layerSum != 0 && got.LayerSum != want.layerSum {
				t.Errorf("ends at step %d, %v layer-tokens, %d summed; published: %+v", got.Steps, got.LayerTokens(), got.LayerSum, want)
			}
		})
	}
	if found != len(published) {
		t.Errorf("%d of %d published recipes are there", found, len(published))
	}
}

// The original's schedules come out of recipes value by value. Curricula count
// steps from 1 there, so step n here is n+1 there; kept tokens count from 0.
func TestSchedules(t *testing.T) {
	type values map[int64]float64
	for name, c := range map[string]struct {
		from   int64 // what the original calls the first step
		window int
		compat bool
		pace   string
		want   values
	}{
		"linear 2..10": {1, 10, true, "{kind: linear, from: 2, to: 10, step: 2, begin: -1, until: 7}",
			values{1: 2, 2: 4, 3: 4, 4: 6, 5: 6, 6: 8, 7: 8, 8: 10, 9: 10, 10: 10}},
		"discrete": {1, 10, true, "{kind: steps, values: [1, 2, 3, 4, 5], until: [1, 3, 5, 7]}",
			values{1: 1, 2: 1, 3: 2, 4: 2, 5: 3, 6: 3, 7: 4, 8: 4, 9: 5, 1000: 5}},
		"linear 80..2048": {1, 2048, true, "{kind: linear, from: 80, to: 2048, step: 8, begin: -1, until: 109999}",
			values{1: 80, 447: 80, 448: 88, 1000: 96, 11000: 272, 27500: 568, 55000: 1064, 82500: 1552, 109999: 2040, 110000: 2048}},
		"root 1..100": {1, 100, true, "{kind: root, degree: 2, from: 1, to: 100, step: 1, begin: -1, until: 109999}",
			values{1: 1, 11: 1, 12: 2, 44: 2, 45: 3, 1000: 10, 11000: 32, 27500: 50, 55000: 71, 82500: 86, 109999: 99, 110000: 100}},
		"root 5..100": {1, 100, true, "{kind: root, degree: 2, from: 5, to: 100, step: 1, begin: -1, until: 959999}",
			values{1: 5, 425: 6, 426: 7, 9600: 14, 96000: 35, 240000: 52, 480000: 72, 959999: 99}},
		"root 3": {1, 1024, true, "{kind: root, degree: 3, from: 8, to: 1024, step: 8, begin: -1, until: 99}",
			values{1: 224, 2: 280, 4: 352, 8: 440, 16: 552, 32: 696, 64: 880, 100: 1024}},
		"linear 8..1024 by 8":  {0, 1024, true, "{kind: linear, from: 8, to: 1024, step: 8, until: 100}", values{0: 8, 1: 16, 2: 24, 3: 32, 4: 48, 5: 56}},
		"linear 64..1024":      {0, 1024, true, "{kind: linear, from: 64, to: 1024, step: 16, until: 100}", values{0: 64, 1: 64, 2: 80, 3: 80, 4: 96, 5: 112}},
		"linear 8..1024 by 16": {0, 1024, false, "{kind: linear, from: 8, to: 1024, step: 16, until: 100}", values{0: 16, 1: 16, 2: 16, 3: 32, 4: 48, 5: 48}},
		"past its end": {1, 197, true, "{kind: linear, from: 10, to: 197, step: 8, begin: -1, until: 99}",
			values{100: 192, 101: 192, 102: 197, 1000: 197}},
		"kept of GPT-3": {0, 2048, true, "{kind: linear, from: 128, to: 2048, step: 16, until: 200000}",
			values{0: 128, 1666: 128, 1667: 144, 3334: 160, 50000: 608, 100000: 1088, 150000: 1568, 199999: 2032, 200000: 2048}},
		"kept of ViT": {0, 197, true, "{kind: linear, from: 32, to: 197, step: 8, until: 3910}",
			values{0: 32, 190: 40, 380: 48, 3910: 192, 3981: 192, 3982: 197}},
	} {
		compat := ""
		if c.compat {
			compat = "compat: deepspeed\n"
		}
		for _, use := range []string{
			"curriculum: [{metric: length, apply: truncate, pace: %s}]\n",
			"routing: {keep: %s}\n",
		} {
			text := fmt.Sprintf("sample: {window: %d}\nbatch: {size: 1}\nbudget: {steps: 1_000_000}\nshapes: 1000\nmodel: {kind: external, layers: 3}\n%s%s",
				c.window, compat, fmt.Sprintf(use, c.pace))
			r, err := recipe.Parse("run.yaml", []byte(text))
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			b := schedule(t, r)
			for step, want := range c.want {
				shape := b.Plan.BatchAt(step - c.from).Shape
				got := shape.Length
				if r.Routing != nil {
					got = shape.Kept
				}
				if float64(got) != want {
					t.Errorf("%s, step %d: %d, want %v", name, step, got, want)
				}
			}
		}
	}
}

// Before its correction the original began below the minimum, at 0, which no
// batch can have.
func TestCompatBeginsAtNothing(t *testing.T) {
	text := "sample: {window: 1024}\nbatch: {size: 1}\nbudget: {steps: 100}\nshapes: 100\ncompat: deepspeed\nmodel: {kind: external, layers: 3}\n" +
		"curriculum:\n  - metric: length\n    apply: truncate\n    pace: {kind: linear, from: 8, to: 1024, step: 16, until: 100}\n"
	r, err := recipe.Parse("run.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	_, err = recipe.Open(t.Context(), r, recipe.Options{ScheduleOnly: true})
	if err == nil || !strings.Contains(err.Error(), "run.yaml:10: curriculum[0].pace: length: the pace gives 0 tokens") {
		t.Errorf("error %v", err)
	}
	r, err = recipe.Parse("run.yaml", []byte(strings.Replace(text, "until: 100}", "until: 100, round: up}", 1)))
	if err != nil {
		t.Fatal(err)
	}
	if got := schedule(t, r).Plan.BatchAt(0).Length; got != 16 {
		t.Errorf("round: up begins at %d, want 16", got)
	}
}

// A percentile that is none is refused without samples too.
func TestSchedulePercentile(t *testing.T) {
	r, err := recipe.Parse("run.yaml", []byte(strings.Replace(mixed, "from: 1, to: 100", "from: 0, to: 100", 1)))
	if err != nil {
		t.Fatal(err)
	}
	_, err = recipe.Open(t.Context(), r, recipe.Options{ScheduleOnly: true})
	if !errors.Is(err, fault.Invalid) || !strings.Contains(err.Error(), "run.yaml:16: curriculum[0].pace: at step 0 the pace is at the percentile 0; it must lie above 0") {
		t.Errorf("error %v", err)
	}
}

// A plan of the schedule only opens no file.
func TestScheduleNeedsNoFiles(t *testing.T) {
	for _, text := range accepted {
		for _, text := range []string{text, strings.Replace(text, "index: ", "#", 1)} {
			r, err := recipe.Parse(filepath.Join(t.TempDir(), "run.yaml"), []byte(text))
			if err != nil {
				t.Fatal(err)
			}
			b := schedule(t, r)
			if b.Plan.Steps() == 0 || b.Sources != nil || b.Plan.Stages()[0].Pool != -1 {
				t.Errorf("%d steps, %d sources, a pool of %d", b.Plan.Steps(), len(b.Sources), b.Plan.Stages()[0].Pool)
			}
		}
	}
	r, err := recipe.Parse("run.yaml", []byte("sample: {window: 8}\nbatch: {size: 1}\nbudget: {steps: 4}\nmodel: {kind: external, layers: 1}\n"))
	if err != nil {
		t.Fatal(err)
	}
	if got := schedule(t, r).Plan.End().Tokens; got != 32 {
		t.Errorf("%d tokens, want 32", got)
	}
	if _, err := recipe.Open(t.Context(), r, recipe.Options{}); err == nil || os.IsNotExist(err) || !strings.Contains(err.Error(), "corpus: it is not named") {
		t.Errorf("without a corpus: error %v", err)
	}
}
