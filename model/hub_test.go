package model

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gradus-ml/gradus/internal/fault"
	"github.com/gradus-ml/gradus/internal/safetensors"
	"pgregory.net/rapid"
)

// hubModels are the models of testdata/hub, which transformers saved (hub.py).
var hubModels = []string{"gpt2", "gpt2-untied", "neox", "neox-untied", "bert", "bert-untied", "vit"}

// readHub reads one of them.
func readHub(t testing.TB, name string) (Config, map[string]safetensors.Tensor) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", "hub", name, "config.json"))
	if err != nil {
		t.Fatal(err)
	}
	c, err := ParseHubConfig(text)
	if err != nil {
		t.Fatal(err)
	}
	stored, _, err := safetensors.Read(filepath.Join("testdata", "hub", name, "model.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	return c, stored
}

// What transformers saved is read, and stored again as it was, to the bit.
func TestHubFiles(t *testing.T) {
	for _, name := range hubModels {
		c, stored := readHub(t, name)
		weights, err := c.Restore(stored)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if name == "bert-untied" { // transformers computes with the other of the two, and has noise here
			twin := stored["cls.predictions.decoder.bias"]
			twin.Name = "cls.predictions.bias"
			stored[twin.Name] = twin
		}
		same(t, name, c.Store(weights), stored)
	}
}

// same compares tensors in order with tensors by name.
func same(t interface{ Errorf(string, ...any) }, what string, got []safetensors.Tensor, want map[string]safetensors.Tensor) {
	for _, x := range got {
		y, ok := want[x.Name]
		if !ok || !slices.Equal(x.Shape, y.Shape) || !slices.Equal(x.Data, y.Data) {
			t.Errorf("%s: %s of shape %v comes back otherwise (%v)", what, x.Name, x.Shape, y.Shape)
		}
	}
	if len(got) != len(want) {
		t.Errorf("%s: %d tensors, want %d", what, len(got), len(want))
	}
}

// hubConfig draws a small model of any kind.
func hubConfig(t *rapid.T) Config {
	heads := rapid.IntRange(1, 3).Draw(t, "heads")
	c := Config{
		Kind: rapid.SampledFrom([]string{GPT, BERT, ViT}).Draw(t, "kind"), Layers: rapid.IntRange(1, 3).Draw(t, "layers"),
		Heads: heads, Width: 2 * heads * rapid.IntRange(1, 3).Draw(t, "width"), Inner: rapid.IntRange(0, 9).Draw(t, "inner"),
		Dropout: float64(rapid.IntRange(0, 9).Draw(t, "dropout")) / 10, Epsilon: rapid.SampledFrom([]float64{0, 1e-6}).Draw(t, "epsilon"),
	}
	if c.Inner == 4*c.Width {
		c.Inner = 0
	}
	if c.Is(ViT) {
		side := rapid.IntRange(1, 3).Draw(t, "patch")
		c.Image = Image{Height: side * rapid.IntRange(1, 3).Draw(t, "rows"), Width: side * rapid.IntRange(1, 3).Draw(t, "columns"),
			Channels: rapid.IntRange(1, 3).Draw(t, "channels"), Patch: side}
		c.Context, c.Classes = c.Patches()+1, rapid.IntRange(1, 12).Draw(t, "classes")
		return c
	}
	c.Vocabulary, c.Context = rapid.IntRange(1, 9).Draw(t, "vocabulary"), rapid.IntRange(1, 9).Draw(t, "context")
	c.Untied = rapid.Bool().Draw(t, "untied")
	if c.Is(GPT) {
		c.Positions = rapid.SampledFrom([]string{"", Rotary}).Draw(t, "positions")
	} else {
		c.Segments = rapid.SampledFrom([]int{0, 1, 3}).Draw(t, "segments")
	}
	return c
}

// distinct returns weights no two of which are alike.
func distinct(c Config) [][]float32 {
	var weights [][]float32
	next := float32(0)
	for _, p := range c.Params() {
		w := make([]float32, p.Size())
		for i := range w {
			next++
			w[i] = next
		}
		weights = append(weights, w)
	}
	return weights
}

func byName(tensors []safetensors.Tensor) map[string]safetensors.Tensor {
	stored := map[string]safetensors.Tensor{}
	for _, t := range tensors {
		stored[t.Name] = t
	}
	return stored
}

// Any model and its weights come back from files, under full names and short ones,
// whatever lies beside them that is no part of the model.
func TestHubRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := hubConfig(t)
		read, err := ParseHubConfig(c.HubConfig())
		if err != nil {
			t.Fatal(err)
		}
		if fmt.Sprintf("%+v", read) != fmt.Sprintf("%+v", c) {
			t.Fatalf("config.json of %+v\nis read as %+v", c, read)
		}
		weights := distinct(c)
		stored := byName(c.Store(weights))
		if rapid.Bool().Draw(t, "short names") {
			short := map[string]safetensors.Tensor{}
			for name, x := range stored {
				name = strings.TrimPrefix(name, c.hubPrefix())
				name = strings.Replace(name, "LayerNorm.weight", "LayerNorm.gamma", 1)
				name = strings.Replace(name, "LayerNorm.bias", "LayerNorm.beta", 1)
				short[name] = x
			}
			stored = short
		}
		for _, name := range []string{"h.0.attn.bias", "transformer.h.0.attn.masked_bias", "bert.embeddings.position_ids", "pooler.dense.weight",
			"vit.pooler.dense.bias", "cls.seq_relationship.weight", "gpt_neox.layers.0.attention.rotary_emb.inv_freq"} {
			stored[name] = safetensors.Tensor{Name: name, Shape: []int{1}, DType: "BOOL"}
		}
		got, err := c.Restore(stored)
		if err != nil {
			t.Fatal(err)
		}
		for i, p := range c.Params() {
			if !slices.Equal(got[i], weights[i]) {
				t.Fatalf("%s of %v is\n%v, want\n%v", p.Name, c, got[i], weights[i])
			}
		}
	})
}

// A tied head that a file holds once more is the embedding, or an error.
func TestHubTwins(t *testing.T) {
	for name, twin := range map[string]string{"gpt2": "lm_head.weight", "neox": "embed_out.weight", "bert": "cls.predictions.decoder.weight"} {
		c, stored := readHub(t, name)
		copied := stored[twinOf[twin]]
		stored[twin] = copied
		if _, err := c.Restore(stored); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		copied.Data = slices.Clone(copied.Data)
		copied.Data[3]++
		stored[twin] = copied
		if _, err := c.Restore(stored); !errors.Is(err, fault.Mismatch) || !strings.Contains(err.Error(), "untied") {
			t.Errorf("%s: a head of its own gives %v", name, err)
		}
	}
}

func TestHubMistakes(t *testing.T) {
	for _, c := range []struct {
		model, says string
		change      func(stored map[string]safetensors.Tensor)
	}{
		{"gpt2", "the tensor transformer.h.1.ln_1.bias is missing", func(s map[string]safetensors.Tensor) { delete(s, "transformer.h.1.ln_1.bias") }},
		{"gpt2", "transformer.wpe.weight has shape [8], and", func(s map[string]safetensors.Tensor) {
			s["transformer.wpe.weight"] = safetensors.Tensor{Shape: []int{8}}
		}},
		{"gpt2", "the model has no tensor h.2.ln_1.bias", func(s map[string]safetensors.Tensor) { s["h.2.ln_1.bias"] = s["transformer.ln_f.bias"] }},
		{"gpt2", "transformer.ln_f.bias is there twice, as transformer.ln_f.bias too", func(s map[string]safetensors.Tensor) {
			s["ln_f.bias"] = s["transformer.ln_f.bias"]
		}},
		{"bert", "the tensor bert.encoder.layer.0.attention.self.query.weight is missing", func(s map[string]safetensors.Tensor) {
			delete(s, "bert.encoder.layer.0.attention.self.query.weight")
		}},
		{"vit", "vit.embeddings.cls_token is stored as U8", func(s map[string]safetensors.Tensor) {
			s["vit.embeddings.cls_token"] = safetensors.Tensor{Shape: []int{1, 1, 8}, DType: "U8"}
		}},
		{"gpt2-untied", "the tensor lm_head.weight is missing", func(s map[string]safetensors.Tensor) { delete(s, "lm_head.weight") }},
	} {
		config, stored := readHub(t, c.model)
		c.change(stored)
		for what, f := range map[string]func() error{
			"Restore":   func() error { _, err := config.Restore(stored); return err },
			"Adopt":     func() error { _, err := config.Adopt(stored, 1); return err },
			"Adoptable": func() error { _, err := config.Adoptable(stored); return err },
		} {
			if err := f(); !errors.Is(err, fault.Mismatch) || !strings.Contains(err.Error(), c.says) {
				t.Errorf("%s: %s gives %v\nwant an error saying %q", c.model, what, err, c.says)
			}
		}
	}
}

// A body is adopted with a head of another size, or of another task, or none: the
// head is drawn as a new model's is, all of it, and everything else is the file's.
func TestAdopt(t *testing.T) {
	const seed = 3
	for _, c := range []struct {
		model, note string
		config      func(c *Config)
		change      func(stored map[string]safetensors.Tensor)
	}{
		{"vit", "the head is drawn anew: classifier.bias has shape [5], and the model wants [7]", func(c *Config) { c.Classes = 7 }, nil},
		{"vit", "the head is drawn anew: there is no tensor classifier.bias", nil, func(s map[string]safetensors.Tensor) {
			delete(s, "classifier.bias")
			delete(s, "classifier.weight")
		}},
		{"bert", "the head is drawn anew: there is no tensor cls.predictions.bias", nil, func(s map[string]safetensors.Tensor) {
			maps.DeleteFunc(s, func(name string, _ safetensors.Tensor) bool { return strings.HasPrefix(name, "cls.") })
			s["classifier.weight"] = safetensors.Tensor{Shape: []int{2, 8}}
		}},
		{"gpt2", "not used: score.weight, which this model has not", nil, func(s map[string]safetensors.Tensor) {
			s["score.weight"] = safetensors.Tensor{Shape: []int{2, 8}}
		}},
	} {
		config, stored := readHub(t, c.model)
		if c.config != nil {
			c.config(&config)
		}
		if c.change != nil {
			c.change(stored)
		}
		notes, err := config.Adoptable(stored)
		if err != nil || len(notes) == 0 || notes[0] != c.note {
			t.Errorf("%s: notes %q, %v; want %q", c.model, notes, err, c.note)
		}
		weights, err := config.Adopt(stored, seed)
		if err != nil {
			t.Errorf("%s: %v", c.model, err)
			continue
		}
		whole, _ := readHub(t, c.model)
		_, original := readHub(t, c.model)
		before, err := whole.Restore(original)
		if err != nil {
			t.Fatal(err)
		}
		for i, p := range config.Params() {
			want := before[i]
			if config.isHead(p.Name) {
				want = config.Init(seed, p)
			}
			if !slices.Equal(weights[i], want) {
				t.Errorf("%s: %s is not what it should be", c.model, p.Name)
			}
		}
		if _, err := config.Restore(stored); !errors.Is(err, fault.Mismatch) {
			t.Errorf("%s: Restore gives %v", c.model, err)
		}
	}
}

// config.json of models that cannot be built here.
func TestHubConfigMistakes(t *testing.T) {
	for text, says := range map[string]string{
		`{}`:                      "it has no model_type",
		`{"model_type": "llama"}`: `its model_type is "llama"`,
		`{"model_type": "gpt2", "activation_function": "relu"}`:             "activation_function is relu; this program has gelu_new",
		`{"model_type": "gpt2", "scale_attn_by_inverse_layer_idx": true}`:   "scale_attn_by_inverse_layer_idx is true",
		`{"model_type": "gpt2", "n_head": 7}`:                               "width 768 is no multiple of 7 heads",
		`{"model_type": "gpt_neox", "hidden_act": "gelu_new"}`:              "use_parallel_residual is true; this program has false",
		`{"model_type": "bert", "position_embedding_type": "relative_key"}`: "position_embedding_type is relative_key",
		`{"model_type": "bert", "hidden_act": "gelu_new"}`:                  "hidden_act is gelu_new",
		`{"model_type": "vit", "qkv_bias": false}`:                          "qkv_bias is false",
		`{"model_type": "vit", "image_size": 225}`:                          "cannot be cut into patches",
		`{"model_type": "vit", "patch_size": [16, 8]}`:                      "patch_size is 8; this program has 16",
		`{"model_type": "gpt2", "n_positions": 9223372036854775807}`:        "context is 9223372036854775807",
		`{"model_type": "vit", "image_size": 4294967296, "patch_size": 1}`:  "it must be at most",
	} {
		if _, err := ParseHubConfig([]byte(text)); !errors.Is(err, fault.Invalid) || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: error %v\nwant one saying %q", text, err, says)
		}
	}
	for _, text := range []string{``, `[]`, `{"model_type": 5}`, `{"model_type": "gpt2", "n_layer": "12"}`, `{"model_type": "vit", "image_size": [1, 2, 3]}`} {
		if _, err := ParseHubConfig([]byte(text)); !errors.Is(err, fault.Corrupt) {
			t.Errorf("%s: error %v, want a corrupt file", text, err)
		}
	}
	// A published file leaves much out.
	c, err := ParseHubConfig([]byte(`{"model_type": "gpt2", "n_ctx": 1024, "n_embd": 1024, "n_head": 16, "n_layer": 24, "n_positions": 1024, "vocab_size": 50257}`))
	if want, _ := LookupPreset("gpt2-medium"); err != nil || c.Parameters() != want.Config.Parameters() || c.Dropout != 0.1 {
		t.Errorf("GPT-2 medium is read as %+v, %v", c, err)
	}
}

func FuzzParseHubConfig(f *testing.F) {
	for _, name := range hubModels {
		text, err := os.ReadFile(filepath.Join("testdata", "hub", name, "config.json"))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		c, err := ParseHubConfig(text)
		if err != nil {
			if !errors.Is(err, fault.Corrupt) && !errors.Is(err, fault.Invalid) {
				t.Fatalf("error %v is of no kind", err)
			}
			return
		}
		again, err := ParseHubConfig(c.HubConfig())
		if err != nil || fmt.Sprint(again.Params()) != fmt.Sprint(c.Params()) {
			t.Fatalf("%+v\nis written and read as\n%+v, %v", c, again, err)
		}
	})
}
