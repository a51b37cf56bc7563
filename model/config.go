// Package model builds transformers as GoMLX graphs.
//
// A Config describes a GPT; Params lists its weights, with the names that
// Hugging Face's GPT-2 gives them; Loss and Gradients build the graph of one
// batch. Routing enters as an input: the positions that each routed layer keeps.
// So do the documents that rows hold side by side, which do not see each other.
//
// Gradients are not left to automatic differentiation: each operation of
// ops.go returns its result together with its pullback (the map from the
// gradient of the result to that of its inputs), written so that every matrix
// product reaches the backend in the layout it is fast in. On the pure-Go
// backend that is a matter of 10x: a batched product with a transposed right
// side runs at 1 GFLOP/s there, the same product after an explicit transpose at
// 12 (48 x 64x32x64). Tests hold the pullbacks against GoMLX's own gradients and
// against finite differences.
package model

import (
	"fmt"
	"math"

	"github.com/gradus-ml/gradus/internal/fault"
	"github.com/gradus-ml/gradus/internal/keyed"
)

// A Config describes a decoder-only transformer (GPT-2: pre-norm, GELU, learned
// positions).
type Config struct {
	Vocabulary int   `json:"vocabulary"`
	Context    int   `json:"context"` // most tokens in a row
	Layers     int   `json:"layers"`
	Width      int   `json:"width"`
	Heads      int   `json:"heads"`
	Untied     bool  `json:"untied,omitempty"` // a head of its own instead of the token embedding
	Routed     []int `json:"routed,omitempty"` // layers that see only the kept positions, ascending
}

// Bounds far above any transformer (GPT-3 has 96 layers of width 12,288), and low
// enough that whatever a file asks for, lists of layers stay small and the number
// of parameters fits 64 bits.
const (
	MaxLayers = 1 << 8
	maxSize   = 1 << 24 // of anything else
)

// Validate reports a configuration that cannot be built.
func (c Config) Validate() error {
	for _, f := range []struct {
		name  string
		value int
	}{{"vocabulary", c.Vocabulary}, {"context", c.Context}, {"layers", c.Layers}, {"width", c.Width}, {"heads", c.Heads}} {
		if f.value < 1 {
			return fault.Invalidf("model: %s is %d; it must be at least 1", f.name, f.value)
		}
		if f.value > maxSize {
			return fault.Invalidf("model: %s is %d; it must be at most %d", f.name, f.value, maxSize)
		}
	}
	if c.Layers > MaxLayers {
		return fault.Invalidf("model: layers is %d; it must be at most %d", c.Layers, MaxLayers)
	}
	if c.Width%c.Heads != 0 {
		return fault.Invalidf("model: width %d is no multiple of %d heads", c.Width, c.Heads)
	}
	for i, l := range c.Routed {
		if l < 0 || l >= c.Layers || i > 0 && l <= c.Routed[i-1] {
			return fault.Invalidf("model: routed layers %v; name layers of 0 to %d in ascending order", c.Routed, c.Layers-1)
		}
	}
	return nil
}

// A Param is one weight tensor.
type Param struct {
	Name  string // Hugging Face's name in GPT2LMHeadModel
	Shape []int  // matrices are [in, out], embeddings [entries, width]
	Decay bool   // weight decay applies: matrices, not norms, biases and embeddings
	fill  fill
}

// fill says how a weight begins.
type fill struct {
	std      float64 // normal with this deviation, if not 0
	constant float64
}

// Size returns the number of elements.
func (p Param) Size() int {
	n := 1
	for _, d := range p.Shape {
		n *= d
	}
	return n
}

// perLayer is the number of parameters of one block.
const perLayer = 12

// Params lists the weights in the order in which graphs take them.
//
// Initial values are GPT-2's (Radford et al., 2019, section 2.3): normal with
// deviation 0.02, residual projections scaled by 1/sqrt(2*layers), norms 1,
// biases 0.
func (c Config) Params() []Param {
	const std = 0.02
	residual := std / math.Sqrt(2*float64(c.Layers))
	d := c.Width
	matrix := func(name string, in, out int, std float64) Param {
		return Param{Name: name, Shape: []int{in, out}, Decay: true, fill: fill{std: std}}
	}
	vector := func(name string, n int, value float64) Param {
		return Param{Name: name, Shape: []int{n}, fill: fill{constant: value}}
	}
	embedding := func(name string, n int) Param {
		return Param{Name: name, Shape: []int{n, d}, fill: fill{std: std}}
	}
	params := []Param{
		embedding("transformer.wte.weight", c.Vocabulary),
		embedding("transformer.wpe.weight", c.Context),
	}
	for l := range c.Layers {
		at := func(name string) string { return fmt.Sprintf("transformer.h.%d.%s", l, name) }
		params = append(params,
			vector(at("ln_1.weight"), d, 1), vector(at("ln_1.bias"), d, 0),
			matrix(at("attn.c_attn.weight"), d, 3*d, std), vector(at("attn.c_attn.bias"), 3*d, 0),
			matrix(at("attn.c_proj.weight"), d, d, residual), vector(at("attn.c_proj.bias"), d, 0),
			vector(at("ln_2.weight"), d, 1), vector(at("ln_2.bias"), d, 0),
			matrix(at("mlp.c_fc.weight"), d, 4*d, std), vector(at("mlp.c_fc.bias"), 4*d, 0),
			matrix(at("mlp.c_proj.weight"), 4*d, d, residual), vector(at("mlp.c_proj.bias"), d, 0),
		)
	}
	params = append(params, vector("transformer.ln_f.weight", d, 1), vector("transformer.ln_f.bias", d, 0))
	if c.Untied {
		head := embedding("lm_head.weight", c.Vocabulary)
		head.Decay = true // a matrix of the last product, no table
		params = append(params, head)
	}
	return params
}

// Parameters returns the number of weights.
func (c Config) Parameters() int64 {
	n := int64(0)
	for _, p := range c.Params() {
		n += int64(p.Size())
	}
	return n
}

// Init returns the initial values of weight i of Params, a pure function of the
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
		values[i] = float32(p.fill.std * stream.Normal())
	}
	return values
}

// FLOPs returns the floating-point operations of one training step on a batch:
// three times the forward pass, 24*s*d^2 + 4*s^2*d for a layer that sees s tokens
// of width d, and 2*s*d*V for the head (Narayanan et al., arXiv 2104.04473,
// appendix). Routed layers count the kept tokens.
func (c Config) FLOPs(rows, length, kept int) float64 {
	d := float64(c.Width)
	layer := func(s float64) float64 { return 24*s*d*d + 4*s*s*d }
	full := float64(c.Layers - len(c.Routed))
	forward := full*layer(float64(length)) + float64(len(c.Routed))*layer(float64(kept)) +
		2*float64(length)*d*float64(c.Vocabulary)
	return 3 * float64(rows) * forward
}

// String describes the model in one line.
func (c Config) String() string {
	return fmt.Sprintf("GPT, %d layers of width %d, %d heads, context %d, vocabulary %d", c.Layers, c.Width, c.Heads, c.Context, c.Vocabulary)
}
