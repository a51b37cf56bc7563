package recipe_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gradus-ml/gradus/corpus"
	"github.com/gradus-ml/gradus/internal/fault"
	"github.com/gradus-ml/gradus/recipe"
)

// writeCorpus writes documents of the given sizes.
func writeCorpus(t *testing.T, prefix string, sizes ...int) {
	t.Helper()
	w, err := corpus.Create(prefix, corpus.Uint16)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Abort()
	for d, n := range sizes {
		document := make([]int32, n)
		for i := range document {
			document[i] = int32((d + i) % 256)
		}
		if err := w.Append(document); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Commit(corpus.Meta{Tokenizer: "bytes", Vocabulary: 257, EndOfDocument: 256}); err != nil {
		t.Fatal(err)
	}
}

// What a recipe says is checked against its corpus and index.
func TestOpenMistakes(t *testing.T) {
	dir := t.TempDir()
	writeCorpus(t, filepath.Join(dir, "data"), 400, 300, 500, 200, 600, 300)
	writeCorpus(t, filepath.Join(dir, "one"), 2000)
	plain := `corpus: data
seed: 1
sample: {window: 16}
batch: {size: 2}
budget: {steps: 4}
model: {kind: gpt, layers: 3, width: 8, heads: 2}
optimizer: {rate: 1e-3}
`
	open := func(text string) error {
		r, err := recipe.Parse(filepath.Join(dir, "run.yaml"), []byte(text))
		if err != nil {
			return err
		}
		b, err := recipe.Open(t.Context(), r, recipe.Options{})
		if err != nil {
			return err
		}
		return b.Close()
	}
	if err := open(plain); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		old, new, says string
		kind           error
	}{
		"missing corpus":  {"corpus: data", "corpus: nowhere", "run.yaml:1: corpus", os.ErrNotExist},
		"window too long": {"window: 16", "window: 9999", "run.yaml:3: sample", fault.Invalid},
		"needs an index": {"optimizer", "curriculum: [{metric: rarity, pace: {kind: linear, from: 1, to: 100, until: 50%}}]\noptimizer",
			"gradus analyze", fault.Invalid},
		"length beyond window": {"optimizer", "curriculum: [{metric: length, apply: truncate, pace: {kind: linear, from: 8, to: 32, step: 8, until: 50%}}]\noptimizer",
			"more than the window of 16", fault.Invalid},
		"one document":  {"corpus: data", "corpus: one", "name it in 'evaluate: corpus'", fault.Invalid},
		"vocabulary":    {"kind: gpt", "kind: gpt, vocabulary: 100", "the corpus has 257 tokens", fault.Invalid},
		"routed layers": {"optimizer", "routing: {layers: [1, 7], keep: {kind: linear, from: 4, to: 16, step: 4, until: 50%}}\noptimizer", "routed layers", fault.Invalid},
		"kept beyond":   {"optimizer", "routing: {keep: {kind: linear, from: 20, to: 32, step: 4, until: 50%}}\noptimizer", "more than the window of 16", fault.Invalid},
		"padding only": {"sample: {window: 16}", "sample: {documents: true, length: 1024}\ncurriculum: [{metric: length, apply: truncate, pace: {kind: linear, from: 512, to: 1024, step: 128, until: 100%}}]",
			"the longest document takes 599: from 640 on they grow by padding only", fault.Invalid},
		"evaluation corpus": {"optimizer", "evaluate: {corpus: nowhere}\noptimizer", "evaluate.corpus", os.ErrNotExist},
	} {
		err := open(strings.Replace(plain, c.old, c.new, 1))
		if !errors.Is(err, c.kind) || !strings.Contains(fmt.Sprint(err), c.says) {
			t.Errorf("%s: error %v\nwant kind %v saying %q", name, err, c.kind, c.says)
		}
	}
}

// Documents that predict nothing are not trained on: a batch of them alone would
// end the run.
func TestShortDocuments(t *testing.T) {
	dir := t.TempDir()
	writeCorpus(t, filepath.Join(dir, "data"), 0, 30, 1, 40, 0, 2, 50, 1)
	r, err := recipe.Parse(filepath.Join(dir, "run.yaml"), []byte(`corpus: data
seed: 1
sample: {documents: true, length: 16}
batch: {size: 2}
budget: {steps: 30}
model: {kind: gpt, layers: 3, width: 8, heads: 2}
optimizer: {rate: 1e-3}
evaluate: {held_out: 0}
`))
	if err != nil {
		t.Fatal(err)
	}
	b, err := recipe.Open(t.Context(), r, recipe.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	if got := b.Plan.Pool(); got != 4 {
		t.Errorf("%d documents are admitted, want the 4 of two tokens or more", got)
	}
	maker, err := b.Batches()
	if err != nil {
		t.Fatal(err)
	}
	for step := range b.Plan.Steps() {
		made, err := maker.Make(step, 0, 1)
		if err != nil {
			t.Fatal(err)
		}
		if made.Targets() == 0 {
			t.Errorf("the batch of step %d predicts nothing", step)
		}
	}
}

// A plan of another recipe is refused as such, also where the other one arranges its
// samples otherwise and keeps other files.
func TestOpenAPlanOfAnotherRecipe(t *testing.T) {
	dir := t.TempDir()
	writeCorpus(t, filepath.Join(dir, "data"), 400, 300, 500, 200, 600, 300)
	open := func(sample string) error {
		text := fmt.Sprintf(`corpus: data
seed: 1
sample: %s
batch: {size: 2}
budget: {steps: 4}
model: {kind: gpt, layers: 3, width: 8, heads: 2}
optimizer: {rate: 1e-3}
evaluate: {held_out: 0%%}
`, sample)
		r, err := recipe.Parse(filepath.Join(dir, "run.yaml"), []byte(text))
		if err != nil {
			t.Fatal(err)
		}
		b, err := recipe.Open(t.Context(), r, recipe.Options{Dir: filepath.Join(dir, "plan")})
		if err != nil {
			return err
		}
		return b.Close()
	}
	for range 2 { // made, and opened again
		if err := open("{window: 16}"); err != nil {
			t.Fatal(err)
		}
	}
	if err := open("{documents: true, length: 16, arrange: pack}"); !errors.Is(err, fault.Mismatch) || !strings.Contains(err.Error(), "was made by another recipe") {
		t.Errorf("the plan of a recipe of windows, for one of packed documents: %v", err)
	}
}
