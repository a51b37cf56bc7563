package model

import "testing"

// The numbers of parameters that the published models have, in Hugging Face's
// classes: GPT2LMHeadModel, BertForMaskedLM, ViTForImageClassification with 1,000
// classes. GPT-3's were not published to the digit: those are counted by hand, 12 d
// (d+1) + d a layer, (50257 + 2048) d for the embeddings, 2 d for the last norm.
func TestPresets(t *testing.T) {
	want := map[string]int64{
		"gpt2-small": 124_439_808, "gpt2-medium": 354_823_168, "gpt2-large": 774_030_080, "gpt2-xl": 1_557_611_200,
		"gpt3-125m": 125_226_240, "gpt3-350m": 355_871_744, "gpt3-760m": 760_300_032, "gpt3-1.3b": 1_315_723_264,
		"bert-base": 109_514_298, "bert-large": 335_174_458,
		"vit-s": 22_050_664, "vit-b": 86_567_656,
	}
	for _, p := range Presets() {
		c := p.Config
		if p.Name == "nano" {
			c.Vocabulary, c.Context = 257, 256
			want[p.Name] = (257+256)*128 + 6*(12*128*128+13*128) + 2*128
		}
		if err := c.Validate(); err != nil {
			t.Errorf("%s: %v", p.Name, err)
			continue
		}
		if got := c.Parameters(); got != want[p.Name] {
			t.Errorf("%s has %d parameters, want %d", p.Name, got, want[p.Name])
		}
		if found, ok := LookupPreset(p.Name); !ok || found.Config.Layers != c.Layers {
			t.Errorf("%s is not found by its name", p.Name)
		}
	}
	if _, ok := LookupPreset("gpt5"); ok {
		t.Error("gpt5 is a preset")
	}
}
