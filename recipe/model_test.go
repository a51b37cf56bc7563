package recipe_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/gradus-ml/gradus/internal/fault"
	"github.com/gradus-ml/gradus/model"
	"github.com/gradus-ml/gradus/recipe"
)

// withModel is a recipe with a section model.
func withModel(section string) string {
	return "corpus: c\nsample: {window: 128}\nbatch: {size: 2}\nbudget: {steps: 10}\noptimizer: {rate: 1e-3}\nmodel: " + section + "\n"
}

func TestPreset(t *testing.T) {
	parse := func(section string) *recipe.Recipe {
		t.Helper()
		r, err := recipe.Parse("x.yaml", []byte(withModel(section)))
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	r := parse("{preset: gpt2-small}")
	if c := r.ModelConfig(r.Model.Vocabulary); c.Parameters() != 124_439_808 || c.Context != 1024 {
		t.Errorf("gpt2-small is %v of %d parameters", c, c.Parameters())
	}
	same := parse("{kind: gpt, vocabulary: 50257, context: 1024, layers: 12, width: 768, heads: 12, inner: 3072, positions: learned, head: tied}")
	if r.Hash() != same.Hash() {
		t.Error("a preset and the same model written out have two hashes")
	}
	if r := parse("{preset: gpt2-small, layers: 6, positions: rotary, dropout: 0.1, inner: 100}"); r.Model.Layers != 6 || r.Model.Width != 768 ||
		r.ModelConfig(9).Positions != model.Rotary || r.ModelConfig(9).Dropout != 0.1 || r.ModelConfig(9).Inner != 100 {
		t.Errorf("what is given does not go before the preset: %+v", r.Model)
	}
	// What nano leaves open follows the data.
	if c := parse("{preset: nano}").ModelConfig(257); c.Vocabulary != 257 || c.Context != 128 || c.Layers != 6 {
		t.Errorf("nano is %v", c)
	}
	for section, says := range map[string]string{
		"{preset: gpt2-smal}":                             "did you mean gpt2-small?",
		"{preset: gpt2-small, context: 100}":              "model.context: it is 100 and a sample has 128 tokens",
		"{preset: gpt2-small, heads: 7}":                  "width 768 is no multiple of 7 heads",
		"{preset: gpt2-small, dropout: 1}":                "dropout is 1",
		"{kind: external, preset: gpt2-small, layers: 2}": "of a model of kind external only layers is known",
		"{layers: 2, width: 8, heads: 2}":                 "it has no kind",
		"{kind: gpt, width: 8, heads: 2}":                 "it has no layers",
	} {
		if _, err := recipe.Parse("x.yaml", []byte(withModel(section))); !errors.Is(err, fault.Invalid) || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: error %v\nwant one saying %q", section, err, says)
		}
	}
}

// hubModel is a GPT-2 that transformers saved.
const hubModel = "../model/testdata/hub/gpt2"

// bertModel is a BERT with three kinds of segments.
const bertModel = "../model/testdata/hub/bert-untied"

func TestFrom(t *testing.T) {
	parse := func(section string) (*recipe.Recipe, error) {
		return recipe.Parse("x.yaml", []byte(strings.Replace(withModel(section), "128", "8", 1)))
	}
	r, err := parse("{from: " + hubModel + "}")
	if err != nil {
		t.Fatal(err)
	}
	if c := r.ModelConfig(31); c.Layers != 2 || c.Width != 8 || c.Heads != 2 || c.Context != 12 || c.Untied || r.Model.Vocabulary != 31 || r.Model.Dropout != 0 {
		t.Errorf("the model is %+v", r.Model)
	}
	if r, err := parse("{from: " + bertModel + "}"); err != nil || !r.ModelConfig(31).Is(model.BERT) || r.ModelConfig(31).Segments != 3 || !r.ModelConfig(31).Untied {
		t.Errorf("the BERT is %+v, %v", r, err)
	}
	// The hash names the weights by content, not by where they lie, and not the
	// defaults.
	for section, same := range map[string]bool{
		"{from: " + hubModel + "/model.safetensors}":                               true,
		"{from: " + hubModel + ", kind: gpt, layers: 2, inner: 32, epsilon: 1e-5}": true,
		"{from: " + hubModel + ", dropout: 0.1}":                                   false,
		"{kind: gpt, layers: 2, width: 8, heads: 2, context: 12, vocabulary: 31}":  false,
	} {
		other, err := parse(section)
		if err != nil {
			t.Errorf("%s: %v", section, err)
		} else if (other.Hash() == r.Hash()) != same {
			t.Errorf("%s: the same hash is %v, want %v", section, !same, same)
		}
	}
	for section, c := range map[string]struct {
		kind error
		says string
	}{
		"{from: " + hubModel + ", layers: 3}":                 {fault.Mismatch, "x.yaml:6: model.layers: it is 3, and the model of " + hubModel + " has 2"},
		"{from: " + hubModel + ", head: untied}":              {fault.Mismatch, "model.head: it is untied, and the model of " + hubModel + " has tied"},
		"{from: " + hubModel + ", positions: rotary}":         {fault.Mismatch, "model.positions: it is rotary"},
		"{from: " + hubModel + ", preset: gpt2-small}":        {fault.Invalid, "give one of preset and from"},
		"{from: " + hubModel + ", kind: external, layers: 2}": {fault.Invalid, "only layers is known"},
		"{from: " + bertModel + ", width: 16}":                {fault.Mismatch, "model.width: it is 16, and the model of " + bertModel + " has 8"},
		"{from: .}":                                           {fault.Invalid, "x.yaml:6: model.from: . holds no model.safetensors"},
	} {
		if _, err := parse(section); !errors.Is(err, c.kind) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: error %v\nwant one saying %q", section, err, c.says)
		}
	}
	if _, err := recipe.Parse("x.yaml", []byte(withModel("{from: "+hubModel+"}"))); !errors.Is(err, fault.Invalid) || !strings.Contains(err.Error(), "model.context: it is 12 and a sample has 128 tokens") {
		t.Errorf("samples longer than the model reads give %v", err)
	}
}
