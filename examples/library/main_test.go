package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/gradus-ml/gradus/recipe"
	"github.com/gradus-ml/gradus/tokenizer"
	"github.com/rogpeppe/go-internal/testscript"
)

// The test binary is the program library, too.
func TestMain(m *testing.M) { testscript.Main(m, map[string]func(){"library": main}) }

// The plan in the program's words, as a recipe.
const said = `corpus: corpus
index: index
seed: 1234
sample: {window: 32}
batch: {size: 4}
budget: {steps: 100}
curriculum:
  - {metric: rarity, pace: {kind: root, from: 20, to: 100, step: 1, until: 40}}
  - {metric: length, apply: truncate, pace: {kind: linear, from: 16, to: 32, step: 8, until: 40}}
routing: {policy: random-ltd, keep: 8}
model: {kind: external, layers: 3}
evaluate: {held_out: 0}
`

// The program makes the batches that a recipe of the same plan makes.
func TestLibrary(t *testing.T) {
	dir := t.TempDir()
	got, err := exec.Command("library", dir, filepath.Join("..", "..", "LICENSE")).CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, got)
	}
	r, err := recipe.Parse(filepath.Join(dir, "run.yaml"), []byte(said))
	if err != nil {
		t.Fatal(err)
	}
	bound, err := recipe.Open(t.Context(), r, recipe.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer bound.Close()
	maker, err := bound.Batches()
	if err != nil {
		t.Fatal(err)
	}
	bytes, err := tokenizer.New("bytes")
	if err != nil {
		t.Fatal(err)
	}
	want := ""
	for _, step := range []int64{99, 0, 20} {
		b, err := maker.Make(step, 0, 2)
		if err != nil {
			t.Fatal(err)
		}
		want += fmt.Sprintf("step %d: %d rows of %d tokens, samples %v\n", step, 2, map[int64]int{0: 16, 20: 24, 99: 32}[step], b.IDs)
		want += fmt.Sprintf("  row 0: %q, a routed layer sees %v\n", bytes.Decode(nil, b.Inputs[:b.Length]), b.Kept[0][:8])
	}
	if string(got) != want {
		t.Errorf("the program prints\n%s\nwant\n%s", got, want)
	}
	if again, err := exec.Command("library", dir, filepath.Join("..", "..", "LICENSE")).Output(); err != nil || string(again) != want {
		t.Errorf("a second time it prints\n%s, %v", again, err)
	}
	if _, err := os.Stat(filepath.Join(dir, "index", "manifest.json")); err != nil {
		t.Error(err)
	}
}
