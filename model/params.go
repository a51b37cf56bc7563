package model

import (
	"fmt"
	"math"

	"github.com/gradus-ml/gradus/internal/keyed"
)

// A Param is one weight tensor.
type Param struct {
	Name  string // Hugging Face's name: see Params
	Shape []int  // matrices are [in, out], embeddings [entries, width]
	Decay bool   // weight decay applies: matrices, not norms, biases and embeddings
	fill  fill
}

// fill says how a weight begins.
type fill struct {
	std       float64 // normal with this deviation, if not 0
	truncated bool    // no further than two deviations from 0
	constant  float64
}

// Size returns the number of elements.
func (p Param) Size() int {
	n := 1
	for _, d := range p.Shape {
		n *= d
	}
	return n
}

// initStd is the deviation of initial matrices and embeddings, which all three
// models were published with.
const initStd = 0.02

// perLayer is the number of parameters of one block.
const perLayer = 12

// blockNames are the names of a block's parameters, each with a weight and a bias:
// the norm of attention, its products in and out, and the same of the MLP.
type blockNames struct{ norm1, qkv, out, norm2, up, down string }

// Params lists the weights in the order in which graphs take them: embeddings,
// twelve for each layer, head.
//
// The names are those that Hugging Face's GPT2LMHeadModel, BertForMaskedLM and
// ViTForImageClassification give them, with three differences of layout: all
// matrices are [in, out], queries, keys and values are one matrix [d, 3d]
// (query_key_value, as c_attn of GPT-2), and the projection of patches is
// [patch*patch*channels, d], its rows in the order (row, column, channel).
//
// Initial values are the papers': of GPT-2 (Radford et al., 2019, section 2.3)
// normal with deviation 0.02, residual projections scaled by 1/sqrt(2*layers); of
// BERT and ViT normal with 0.02, truncated at two deviations. Norms are 1, biases 0.
func (c Config) Params() []Param {
	switch {
	case c.Is(BERT):
		return c.bertParams()
	case c.Is(ViT):
		return c.vitParams()
	}
	return c.gptParams()
}

func (c Config) gptParams() []Param {
	params := []Param{c.embedding("transformer.wte.weight", c.Vocabulary, c.Width)}
	if c.Positions != Rotary {
		params = append(params, c.embedding("transformer.wpe.weight", c.Context, c.Width))
	}
	params = append(params, c.layerParams("transformer.h.%d.", blockNames{"ln_1", "attn.c_attn", "attn.c_proj", "ln_2", "mlp.c_fc", "mlp.c_proj"})...)
	params = append(params, normParams("transformer.ln_f", c.Width)...)
	if c.Untied {
		params = append(params, c.decoder("lm_head.weight"))
	}
	return params
}

func (c Config) bertParams() []Param {
	const embeddings, head = "bert.embeddings.", "cls.predictions."
	params := []Param{
		c.embedding(embeddings+"word_embeddings.weight", c.Vocabulary, c.Width),
		c.embedding(embeddings+"position_embeddings.weight", c.Context, c.Width),
		c.embedding(embeddings+"token_type_embeddings.weight", c.segments(), c.Width),
	}
	params = append(params, normParams(embeddings+"LayerNorm", c.Width)...)
	params = append(params, c.layerParams("bert.encoder.layer.%d.", blockNames{
		"attention.output.LayerNorm", "attention.self.query_key_value", "attention.output.dense",
		"output.LayerNorm", "intermediate.dense", "output.dense",
	})...)
	params = append(params, c.denseParams(head+"transform.dense", c.Width, c.Width, initStd)...)
	params = append(params, normParams(head+"transform.LayerNorm", c.Width)...)
	params = append(params, vector(head+"bias", c.Vocabulary, 0))
	if c.Untied {
		params = append(params, c.decoder(head+"decoder.weight"))
	}
	return params
}

func (c Config) vitParams() []Param {
	const embeddings = "vit.embeddings."
	patch := c.Image.Patch * c.Image.Patch * c.Image.Channels
	params := []Param{
		c.embedding(embeddings+"cls_token", 1, c.Width),
		c.embedding(embeddings+"position_embeddings", c.Context, c.Width),
	}
	params = append(params, c.denseParams(embeddings+"patch_embeddings.projection", patch, c.Width, initStd)...)
	params = append(params, c.layerParams("vit.encoder.layer.%d.", blockNames{
		"layernorm_before", "attention.attention.query_key_value", "attention.output.dense",
		"layernorm_after", "intermediate.dense", "output.dense",
	})...)
	params = append(params, normParams("vit.layernorm", c.Width)...)
	return append(params, c.denseParams("classifier", c.Width, c.Classes, initStd)...)
}

// layerParams lists the parameters of all blocks, whose names begin with the format
// prefix of the layer.
func (c Config) layerParams(prefix string, n blockNames) []Param {
	residual := initStd
	if c.Is(GPT) {
		residual /= math.Sqrt(2 * float64(c.Layers))
	}
	d := c.Width
	var params []Param
	for l := range c.Layers {
		at := func(name string) string { return fmt.Sprintf(prefix, l) + name }
		params = append(params, normParams(at(n.norm1), d)...)
		params = append(params, c.denseParams(at(n.qkv), d, 3*d, initStd)...)
		params = append(params, c.denseParams(at(n.out), d, d, residual)...)
		params = append(params, normParams(at(n.norm2), d)...)
		params = append(params, c.denseParams(at(n.up), d, c.inner(), initStd)...)
		params = append(params, c.denseParams(at(n.down), c.inner(), d, residual)...)
	}
	return params
}

// denseParams are a product's matrix and bias.
func (c Config) denseParams(name string, in, out int, std float64) []Param {
	return []Param{
		{Name: name + ".weight", Shape: []int{in, out}, Decay: true, fill: c.normal(std)},
		vector(name+".bias", out, 0),
	}
}

// normParams are the scale and the shift of a layer norm.
func normParams(name string, n int) []Param {
	return []Param{vector(name+".weight", n, 1), vector(name+".bias", n, 0)}
}

func vector(name string, n int, value float64) Param {
	return Param{Name: name, Shape: []int{n}, fill: fill{constant: value}}
}

func (c Config) embedding(name string, entries, width int) Param {
	return Param{Name: name, Shape: []int{entries, width}, fill: c.normal(initStd)}
}

// decoder is an untied head: it has an embedding's shape, and is a matrix of the last
// product.
func (c Config) decoder(name string) Param {
	p := c.embedding(name, c.Vocabulary, c.Width)
	p.Decay = true
	return p
}

func (c Config) normal(std float64) fill { return fill{std: std, truncated: !c.Is(GPT)} }

// Parameters returns the number of weights.
func (c Config) Parameters() int64 {
	n := int64(0)
	for _, p := range c.Params() {
		n += int64(p.Size())
	}
	return n
}

// Init returns the initial values of a weight of Params, a pure function of the
// seed and the weight's name.
func (c Config) Init(seed uint64, p Param) []float32 {
	values := make([]float32, p.Size())
	if p.fill.std == 0 {
		for i := range values {
			values[i] = float32(p.fill.constant)
		}
		return values
	}
	stream := keyed.NewKey(seed, "init "+p.Name).Stream()
	for i := range values {
		z := stream.Normal()
		for p.fill.truncated && math.Abs(z) > 2 {
			z = stream.Normal()
		}
		values[i] = float32(p.fill.std * z)
	}
	return values
}
