package recipe_test

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gradus-ml/gradus/batch"
	"github.com/gradus-ml/gradus/corpus"
	"github.com/gradus-ml/gradus/internal/fault"
	"github.com/gradus-ml/gradus/internal/keyed"
	"github.com/gradus-ml/gradus/model"
	"github.com/gradus-ml/gradus/recipe"
)

const bertRecipe = `corpus: corpus
seed: 3
sample: {window: 32}
batch: {size: 4}
budget: {steps: 6}
model: {kind: bert, layers: 3, width: 8, heads: 2}
optimizer: {rate: 1e-3}
evaluate: {held_out: 5%}
`

// A BERT is masked as usual without saying so, by a token that the corpus has not;
// and evaluated masked, padding apart.
func TestBERT(t *testing.T) {
	dir := t.TempDir()
	writeRandom(t, filepath.Join(dir, "corpus"), keyed.NewKey(5, "bert").Stream(), 100, 50, 200)
	b := openIn(t, dir, bertRecipe)
	if b.Model.Vocabulary != 258 || b.Model.Predict != 0.15 || !b.Model.Is(model.BERT) {
		t.Errorf("model %+v", b.Model)
	}
	if want := "15% of a row's tokens are predicted: 80% of them masked by token 257 (one more than the corpus has), 10% random, 10% as they are; never predicted: [256]"; b.Masking() != want {
		t.Errorf("masking: %s\nwant %s", b.Masking(), want)
	}
	maker, err := b.Batches()
	if err != nil {
		t.Fatal(err)
	}
	one, err := maker.Make(2, 0, 1)
	if err != nil {
		t.Fatal(err)
	}
	if len(one.Predicted) != 4*5 || one.Segments != nil || one.Documents != nil || !slices.Contains(one.Inputs, 257) {
		t.Errorf("a batch of %d places, segments %v, documents %v", len(one.Predicted), one.Segments, one.Documents)
	}
	evaluation, err := b.Evaluation()
	if err != nil || len(evaluation) == 0 {
		t.Fatal(err)
	}
	for _, e := range evaluation {
		if len(e.Predicted) != e.Rows*5 || e.Documents == nil {
			t.Errorf("an evaluation of %d places, documents %v", len(e.Predicted), e.Documents)
		}
	}

	given := openIn(t, dir, bertRecipe+"masking: {share: 0.5, mask: 7, random: 0, keep: 20%, special: [1, 2], separator: 1}\nrouting: {keep: 16, always: [special, masked]}\n")
	if given.Model.Vocabulary != 257 {
		t.Errorf("model %+v", given.Model)
	}
	if want := "50% of a row's tokens are predicted: 80% of them masked by token 7, 0% random, 20% as they are; never predicted: [1 2]"; given.Masking() != want {
		t.Errorf("masking: %s\nwant %s", given.Masking(), want)
	}
	if maker, err = given.Batches(); err != nil {
		t.Fatal(err)
	}
	if one, err = maker.Make(2, 0, 1); err != nil {
		t.Fatal(err)
	}
	if one.Segments == nil || one.Always == nil {
		t.Error("no segments, or nothing that is always seen")
	}
	for i, token := range one.Inputs {
		masked := one.Labels[i] != batch.Ignore
		if special := slices.Contains([]int32{1, 2, 256}, token); one.Always[i] != (masked || special) {
			t.Fatalf("position %d of token %d, masked %v: always seen %v", i, token, masked, one.Always[i])
		}
	}
}

// The hash of a recipe does not depend on what is left to its defaults.
func TestMaskingHash(t *testing.T) {
	hash := func(more string) string {
		r, err := recipe.Parse("x.yaml", []byte(bertRecipe+more))
		if err != nil {
			t.Fatal(err)
		}
		return r.Hash()
	}
	plain := hash("")
	if plain != hash("masking: {share: 15%, random: 10%, keep: 10%}\n") {
		t.Error("the defaults written out give another hash")
	}
	for _, same := range [][2]string{
		{"", "masking: {share: 0.15, random: 0.1, keep: 1e-1}\n"},
		{"masking: {share: 7%, random: 0%}\n", "masking: {share: 0.07, random: 0}\n"}, // 100 times 0.07 is not 7
	} {
		if hash(same[0]) != hash(same[1]) {
			t.Errorf("%q and %q give other hashes", same[0], same[1])
		}
	}
	seen := map[string]string{plain: ""}
	for _, more := range []string{"{share: 16%}", "{mask: 3}", "{random: 0}", "{keep: 11%}", "{special: []}", "{special: [4]}", "{separator: 0}", "{separator: 2}"} {
		h := hash("masking: " + more + "\n")
		if other, taken := seen[h]; taken {
			t.Errorf("%s and %q have one hash", more, other)
		}
		seen[h] = more
	}
}

func TestMaskingRefused(t *testing.T) {
	dir := t.TempDir()
	writeRandom(t, filepath.Join(dir, "corpus"), keyed.NewKey(5, "bert").Stream(), 20, 50, 200)
	w, err := corpus.Create(filepath.Join(dir, "unknown"), corpus.Uint16)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Abort()
	if err := w.Append(make([]int32, 500)); err != nil {
		t.Fatal(err)
	}
	if err := w.Commit(corpus.Meta{EndOfDocument: -1}); err != nil {
		t.Fatal(err)
	}
	one := filepath.Join(dir, "one") // a model of one segment; its weights are not read before it is refused
	if err := os.Mkdir(one, 0o777); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"model.safetensors": "", "config.json": `{"model_type": "bert", "architectures": ["BertForMaskedLM"], "hidden_size": 8,
		"num_hidden_layers": 3, "num_attention_heads": 2, "intermediate_size": 32, "vocab_size": 258, "max_position_embeddings": 32, "type_vocab_size": 1}`} {
		if err := os.WriteFile(filepath.Join(one, name), []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	for _, k := range []struct{ old, new, says string }{
		{"", "masking: {share: 0}\n", "run.yaml:9: masking: the share of predicted tokens is 0"},
		{"", "masking: {share: 200%}\n", "the share of predicted tokens is 2"},
		{"", "masking: {random: 60%, keep: 60%}\n", "together they are at most 1"},
		{"", "masking: {mask: -1}\n", "run.yaml:9: masking.mask: it is -1; it must be a token"},
		{"", "masking: {separator: -1}\n", "masking.separator: it is -1"},
		{"", "masking: {special: [-1]}\n", "masking.special: -1 is no token"},
		{"", "masking: {special: [300]}\n", "there is no token 300 in a vocabulary of 258"},
		{"", "masking: {separator: 258}\n", "there is no token 258 in a vocabulary of 258"},
		{"kind: bert", "kind: bert, vocabulary: 257", "it is 257, and the corpus and its masking have 258 tokens; name the token that masks in masking.mask"},
		{"kind: bert", "kind: gpt", "ok"},
		{"kind: bert, layers: 3, width: 8, heads: 2", "kind: external, layers: 3, vocabulary: 258}\nmasking: {mask: 257", "ok"},
		{"kind: bert, layers: 3, width: 8, heads: 2", "kind: external, layers: 3, vocabulary: 258", "of a model of kind external only layers is known"},
		{"kind: bert, layers: 3, width: 8, heads: 2", "from: one, vocabulary: 258}\nmasking: {mask: 257, separator: 1", "run.yaml:7: masking.separator: it begins a second segment, and the model of one knows one kind"},
		{"", "masking: {shares: 3}\n", `unknown key "shares" in masking; did you mean "share"?`},
		{"corpus: corpus", "corpus: unknown", "name it in model.vocabulary, and the token that masks others in masking.mask"},
		{"seed: 3", "seed: 3\naugment: {flip: true}", "augment: it is for images, and a sample is text"},
		{"kind: bert", "kind: bert, patch: 7", "model.patch: images of a model of kind vit are cut into patches"},
		{"{window: 32}", "{images: true}", "sample.images: they are for a model of kind vit"},
	} {
		text := bertRecipe + k.new
		if k.old != "" {
			text = strings.Replace(bertRecipe, k.old, k.new, 1)
		}
		err := opens(t, dir, text)
		if k.says == "ok" {
			if err != nil {
				t.Errorf("%s: %v", k.new, err)
			}
			continue
		}
		if !errors.Is(err, fault.Invalid) || !strings.Contains(err.Error(), k.says) {
			t.Errorf("%s: %v\nwant %s", k.new, err, k.says)
		}
	}
	for _, kind := range []string{"gpt", "vit"} {
		text := strings.Replace(bertRecipe, "kind: bert", "kind: "+kind, 1) + "masking: {}\n"
		if kind == "vit" {
			text = strings.Replace(strings.Replace(text, "{window: 32}", "{images: true}", 1), "kind: vit", "kind: vit, patch: 2", 1)
		}
		if err := opens(t, dir, text); err == nil || !strings.Contains(err.Error(), "a model of kind "+kind+" has nothing to do with it") {
			t.Errorf("%s: %v", kind, err)
		}
	}
}

// opens says whether a recipe can be opened.
func opens(t *testing.T, dir, text string) error {
	t.Helper()
	r, err := recipe.Parse(filepath.Join(dir, "run.yaml"), []byte(text))
	if err != nil {
		return err
	}
	b, err := recipe.Open(t.Context(), r, recipe.Options{})
	if err == nil {
		err = b.Close()
	}
	return err
}
