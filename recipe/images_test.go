package recipe_test

import (
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gradus-ml/gradus/corpus"
	"github.com/gradus-ml/gradus/internal/fault"
	"github.com/gradus-ml/gradus/internal/keyed"
	"github.com/gradus-ml/gradus/model"
	"github.com/gradus-ml/gradus/recipe"
)

const vitRecipe = `corpus: images
seed: 3
sample: {images: true}
batch: {size: 4}
budget: {steps: 6}
model: {kind: vit, patch: 4, layers: 3, width: 8, heads: 2}
optimizer: {rate: 1e-3}
evaluate: {corpus: test}
`

// writeImages writes images of noise.
func writeImages(t *testing.T, prefix string, image corpus.Image, n int) {
	t.Helper()
	w, err := corpus.Create(prefix, corpus.Fit(image.Meta().Vocabulary))
	if err != nil {
		t.Fatal(err)
	}
	defer w.Abort()
	stream := keyed.NewKey(9, prefix[len(prefix)-2:]).Stream()
	for range n {
		document := make([]int32, image.Pixels()+1)
		for i := range document {
			document[i] = int32(stream.Uint64N(256))
		}
		document[image.Pixels()] = int32(stream.Uint64N(uint64(image.Classes)))
		if err := w.Append(document); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Commit(image.Meta()); err != nil {
		t.Fatal(err)
	}
}

// imageDir has images, others of the same kind, and some that differ.
func imageDir(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	image := corpus.Image{Height: 8, Width: 12, Channels: 3, Classes: 5}
	writeImages(t, filepath.Join(dir, "images"), image, 20)
	writeImages(t, filepath.Join(dir, "test"), image, 3)
	image.Classes = 4
	writeImages(t, filepath.Join(dir, "four"), image, 3)
	image.Height, image.Classes = 12, 5
	writeImages(t, filepath.Join(dir, "high"), image, 3)
	writeRandom(t, filepath.Join(dir, "text"), keyed.NewKey(5, "text").Stream(), 20, 50, 200)
	return dir
}

// The corpus says how large images are and how many classes there are.
func TestViT(t *testing.T) {
	dir := imageDir(t)
	r, err := recipe.Parse(filepath.Join(dir, "run.yaml"), []byte(vitRecipe))
	if err != nil {
		t.Fatal(err)
	}
	b, err := recipe.Open(t.Context(), r, recipe.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	want := model.Image{Height: 8, Width: 12, Channels: 3, Patch: 4}
	if c := b.Model; !c.Is(model.ViT) || c.Image != want || c.Classes != 5 || c.Context != 7 || c.Vocabulary != 0 {
		t.Errorf("model %+v", c)
	}
	if b.Recipe.Window() != 7 || r.Window() != 0 {
		t.Errorf("rows of %d tokens, and before it was opened %d", b.Recipe.Window(), r.Window())
	}
	if b.HeldOut() != "3 images" || b.Warnings != nil {
		t.Errorf("held out: %s; warnings %q", b.HeldOut(), b.Warnings)
	}
	maker, err := b.Batches()
	if err != nil {
		t.Fatal(err)
	}
	one, err := maker.Make(2, 0, 1)
	if err != nil {
		t.Fatal(err)
	}
	if len(one.Pixels) != 4*8*12*3 || len(one.Labels) != 4 || one.Length != 7 {
		t.Errorf("a batch of %d pixels and %d labels, length %d", len(one.Pixels), len(one.Labels), one.Length)
	}
	evaluation, err := b.Evaluation()
	if err != nil || len(evaluation) != 1 || evaluation[0].Targets() != 3 {
		t.Fatalf("%d batches for evaluation, %v", len(evaluation), err)
	}

	moved := openIn(t, dir, strings.Replace(vitRecipe, "corpus: test", "held_out: 10%, tokens: 7", 1)+"augment: {flip: true, shift: 3}\nrouting: {keep: 4}\n")
	if maker, err = moved.Batches(); err != nil {
		t.Fatal(err)
	}
	other, err := maker.Make(2, 0, 1)
	if err != nil {
		t.Fatal(err)
	}
	if slices.Equal(other.Pixels, one.Pixels) || other.Kept == nil || other.Kept[0][0] != 0 {
		t.Error("images are not moved, or the class token is not kept")
	}
	if evaluation, err = moved.Evaluation(); err != nil || len(evaluation) != 1 || evaluation[0].Targets() != 1 {
		t.Errorf("7 tokens, one image, for evaluation: %d batches, %v", len(evaluation), err)
	}
}

// The length of an image's row may be given, and changes nothing; without a corpus
// it must be.
func TestImageSchedule(t *testing.T) {
	parse := func(text string) *recipe.Recipe {
		r, err := recipe.Parse("x.yaml", []byte(text))
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	plain, given := parse(vitRecipe), parse(strings.Replace(vitRecipe, "images: true", "images: true, length: 7", 1))
	if plain.Hash() != given.Hash() {
		t.Error("the length of an image's row changes the hash")
	}
	if same := parse(vitRecipe + "augment: {flip: false}\n"); same.Hash() != plain.Hash() {
		t.Error("an augmentation that changes nothing changes the hash")
	}
	schedule := recipe.Options{ScheduleOnly: true}
	if _, err := recipe.Open(t.Context(), plain, schedule); err == nil || !strings.Contains(err.Error(), "give length: N, the patches of an image and one") {
		t.Error(err)
	}
	b, err := recipe.Open(t.Context(), given, schedule)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	if b.Plan.End().Tokens != 6*4*7 || b.Model.Context != 7 {
		t.Errorf("%d tokens, context %d", b.Plan.End().Tokens, b.Model.Context)
	}
}

func TestImagesRefused(t *testing.T) {
	dir := imageDir(t)
	for _, k := range []struct {
		old, new string
		kind     error
		says     string
	}{
		{"corpus: images", "corpus: text", fault.Mismatch, "is no images; prepare one with 'gradus prepare --images'"},
		{"corpus: test", "corpus: four", fault.Mismatch, "the corpus for evaluation has images of 8x12x3, 4 classes and the corpus of 8x12x3, 5 classes"},
		{"corpus: test", "corpus: high", fault.Mismatch, "has images of 12x12x3"},
		{"corpus: test", "corpus: text", fault.Mismatch, "the corpus for evaluation is no images, and the corpus is"},
		{"patch: 4", "patch: 5", fault.Invalid, "run.yaml:6: model.patch: images of 8x12 pixels cannot be cut into patches of 5x5"},
		{"patch: 4, ", "", fault.Invalid, "a vit needs patch: N"},
		{"images: true", "window: 7", fault.Invalid, "a model of kind vit sees images; write sample: {images: true}"},
		{"images: true", "images: true, window: 7", fault.Invalid, "give either window: N"},
		{"images: true", "images: true, arrange: pack", fault.Invalid, "sample.arrange: it goes with documents"},
		{"images: true", "images: true, length: 8", fault.Invalid, "sample.length: it is 8, and images of 8x12x3, 5 classes have 6 patches and a class token; write 7"},
		{"seed: 3", "seed: 3\ncurriculum: [{metric: length, apply: truncate, pace: 4}]", fault.Invalid, "images have rows of one length"},
		{"seed: 3", "seed: 3\nrouting: {keep: 9}", fault.Invalid, "routing.keep: it goes to 9 tokens, more than the window of 7"},
		{"seed: 3", "seed: 3\naugment: {shift: 8}", fault.Invalid, "augment.shift: images of 8x12 pixels are moved by up to 8"},
		{"seed: 3", "seed: 3\naugment: {shift: -1}", fault.Invalid, "augment.shift: it is -1"},
		{"kind: vit", "kind: vit, head: tied", fault.Invalid, "model.head: a vit has none to choose"},
		{"kind: vit", "kind: vit, vocabulary: 9", fault.Invalid, "model.vocabulary: a vit has none to choose"},
	} {
		if err := opens(t, dir, strings.Replace(vitRecipe, k.old, k.new, 1)); !errors.Is(err, k.kind) || !strings.Contains(err.Error(), k.says) {
			t.Errorf("%s: %v\nwant %s", k.new, err, k.says)
		}
	}
}

// Pixels may be read as tokens, and that is said.
func TestPixelsAsTokens(t *testing.T) {
	b := openIn(t, imageDir(t), "corpus: images\nseed: 3\nsample: {window: 16}\nbatch: {size: 2}\nbudget: {steps: 2}\n"+
		"model: {kind: gpt, layers: 1, width: 8, heads: 2}\noptimizer: {rate: 1e-3}\n")
	if len(b.Warnings) != 1 || !strings.Contains(b.Warnings[0], "corpus: it holds images, and a gpt reads their pixels") {
		t.Errorf("warnings %q", b.Warnings)
	}
}

// A preset says how large the network is, and the corpus what it sees.
func TestViTPreset(t *testing.T) {
	dir := t.TempDir()
	image := corpus.Image{Height: 32, Width: 32, Channels: 3, Classes: 2}
	writeImages(t, filepath.Join(dir, "images"), image, 4)
	b := openIn(t, dir, "corpus: images\nsample: {images: true}\nbatch: {size: 2}\nbudget: {steps: 2}\nmodel: {preset: vit-s}\noptimizer: {rate: 1e-3}\nevaluate: {held_out: 0}\n")
	if c := b.Model; c.Image != (model.Image{Height: 32, Width: 32, Channels: 3, Patch: 16}) || c.Classes != 2 || c.Context != 5 || c.Width != 384 {
		t.Errorf("model %+v", c)
	}
}
