package model

import "slices"

// A Preset is a published model, or one to begin with, by name.
type Preset struct {
	Name    string
	Summary string
	Config  Config
}

// gpt2Vocabulary is the number of tokens of r50k, which GPT-2 and GPT-3 share.
const gpt2Vocabulary = 50257

// presets: GPT-2 (Radford et al., 2019, table 2; 117M was a miscount), GPT-3 (Brown
// et al., arXiv 2005.14165, table 2.1, all layers dense), BERT (Devlin et al., arXiv
// 1810.04805, section 3, uncased), ViT (Dosovitskiy et al., arXiv 2010.11929, table
// 1; S: Touvron et al., arXiv 2012.12877, table 1).
var presets = []Preset{
	{"nano", "6 layers of width 128: minutes on a laptop", Config{Kind: GPT, Layers: 6, Width: 128, Heads: 4}},
	gpt("gpt2-small", "GPT-2, 124M parameters", 1024, 12, 768, 12),
	gpt("gpt2-medium", "GPT-2, 355M parameters", 1024, 24, 1024, 16),
	gpt("gpt2-large", "GPT-2, 774M parameters", 1024, 36, 1280, 20),
	gpt("gpt2-xl", "GPT-2, 1.6B parameters", 1024, 48, 1600, 25),
	gpt("gpt3-125m", "GPT-3 Small", 2048, 12, 768, 12),
	gpt("gpt3-350m", "GPT-3 Medium", 2048, 24, 1024, 16),
	gpt("gpt3-760m", "GPT-3 Large", 2048, 24, 1536, 16),
	// The table gives 24 heads of 128, which a width of 2048 does not have.
	gpt("gpt3-1.3b", "GPT-3 XL, of 16 heads", 2048, 24, 2048, 16),
	bert("bert-base", "BERT, 110M parameters", 12, 768, 12),
	bert("bert-large", "BERT, 335M parameters", 24, 1024, 16),
	vit("vit-s", "ViT-S/16 of 224 x 224 pixels, 22M parameters", 12, 384, 6),
	vit("vit-b", "ViT-B/16 of 224 x 224 pixels, 86M parameters", 12, 768, 12),
}

func gpt(name, summary string, context, layers, width, heads int) Preset {
	return Preset{name, summary, Config{Kind: GPT, Vocabulary: gpt2Vocabulary, Context: context, Layers: layers, Width: width, Heads: heads}}
}

func bert(name, summary string, layers, width, heads int) Preset {
	return Preset{name, summary, Config{Kind: BERT, Vocabulary: 30522, Context: 512, Layers: layers, Width: width, Heads: heads}}
}

func vit(name, summary string, layers, width, heads int) Preset {
	c := Config{Kind: ViT, Image: Image{Height: 224, Width: 224, Channels: 3, Patch: 16}, Classes: 1000, Layers: layers, Width: width, Heads: heads}
	c.Context = c.Patches() + 1
	return Preset{name, summary, c}
}

// Presets lists the presets, each kind from small to large. What a preset's Config
// leaves 0 (the vocabulary and the context of nano) is the data's to say.
func Presets() []Preset { return slices.Clone(presets) }

// LookupPreset returns the preset of a name.
func LookupPreset(name string) (Preset, bool) {
	i := slices.IndexFunc(presets, func(p Preset) bool { return p.Name == name })
	if i < 0 {
		return Preset{}, false
	}
	return presets[i], true
}
