// Package model builds transformers as GoMLX graphs.
//
// A Config describes a GPT, a BERT or a ViT, all of one block; Params lists its
// weights, with the names that Hugging Face gives them; Loss, Gradients, Evaluate
// and Logits build the graph of one batch. Routing enters as an input: the
// positions that each routed layer keeps. So do the documents that rows hold side
// by side, which do not see each other, and the noise of which dropout is made.
//
// Gradients are not left to automatic differentiation: each operation of
// ops.go returns its result together with its pullback (the map from the
// gradient of the result to that of its inputs), written so that every matrix
// product reaches the backend in the layout it is fast in. On the pure-Go
// backend that is a matter of 10x: a batched product with a transposed right
// side runs at 1 GFLOP/s there, the same product after an explicit transpose at
// 12 (48 x 64x32x64). Tests hold the pullbacks against GoMLX's own gradients,
// against finite differences, and against PyTorch.
package model

import (
	"cmp"
	"fmt"
	"math"
)

// Kinds of model.
const (
	GPT  = "gpt"  // decoder: causal attention, the next token (GPT-2)
	BERT = "bert" // encoder: masked tokens (Devlin et al., arXiv 1810.04805)
	ViT  = "vit"  // encoder of image patches: a class (Dosovitskiy et al., arXiv 2010.11929)
)

// How a GPT knows where a token stands.
const (
	Learned = "learned" // a table of positions, added to the embeddings
	Rotary  = "rotary"  // queries and keys turned by their position (Su et al., arXiv 2104.09864)
)

// A Config describes a transformer. Its zero values are GPT-2's choices.
type Config struct {
	Kind       string `json:"kind,omitempty"` // GPT (also if empty), BERT or ViT
	Vocabulary int    `json:"vocabulary"`     // tokens; none in a ViT
	Context    int    `json:"context"`        // most tokens in a row; of a ViT Patches()+1
	Layers     int    `json:"layers"`
	Width      int    `json:"width"`
	Heads      int    `json:"heads"`
	Inner      int    `json:"inner,omitempty"` // width inside the MLP; 0: 4*Width

	Positions string  `json:"positions,omitempty"` // Learned (also if empty) or Rotary: over the whole head, base 10000, halves paired; GPT only
	Segments  int     `json:"segments,omitempty"`  // BERT: kinds of token types; 0: 2
	Predict   float64 `json:"predict,omitempty"`   // BERT: share of a row's places that predict, for FLOPs; 0: all
	Image     Image   `json:"image,omitzero"`      // ViT
	Classes   int     `json:"classes,omitempty"`   // ViT
	Untied    bool    `json:"untied,omitempty"`    // a head of its own instead of the token embedding; not for a ViT

	Dropout float64 `json:"dropout,omitempty"` // after the embeddings, on attention's weights and on what a block adds, twice
	Epsilon float64 `json:"epsilon,omitempty"` // of layer norms; 0: 1e-5, of BERT and ViT 1e-12

	Routed []int     `json:"routed,omitempty"` // layers that see only the kept positions, ascending
	Drop   []float64 `json:"drop,omitempty"`   // by routed layer: the share of the tokens that a stage drops that this layer drops; nil: 1 (route.Kept)
	Shared bool      `json:"shared,omitempty"` // routed layers without a gap between them keep the same tokens

	BFloat16 bool `json:"-"` // matrix products, and what lies between them, in bfloat16; weights, sums and losses stay what they are
	Fused    bool `json:"-"` // the backend's fused attention where it has it
}

// An Image is the shape of a ViT's images and of the patches they are cut into.
type Image struct {
	Height   int `json:"height"` // pixels
	Width    int `json:"width"`
	Channels int `json:"channels"`
	Patch    int `json:"patch"` // pixels on a side
}

// Pixels returns the numbers of an image: height x width x channels.
func (i Image) Pixels() int { return i.Height * i.Width * i.Channels }

// Patches returns how many patches an image has.
func (i Image) Patches() int {
	if i.Patch < 1 {
		return 0
	}
	return i.Height / i.Patch * (i.Width / i.Patch)
}

// Patches returns how many patches a ViT's image has. Its Context is one more, for
// the class token.
func (c Config) Patches() int { return c.Image.Patches() }

// kindNames are the kinds in prose.
var kindNames = map[string]string{GPT: "GPT", BERT: "BERT", ViT: "ViT"}

func (c Config) kind() string { return cmp.Or(c.Kind, GPT) }

// Is reports whether the model is of a kind.
func (c Config) Is(kind string) bool { return c.kind() == kind }

// The defaults of what may be 0.
func (c Config) inner() int    { return cmp.Or(c.Inner, 4*c.Width) }
func (c Config) segments() int { return cmp.Or(c.Segments, 2) }
func (c Config) epsilon() float64 {
	if c.Is(GPT) {
		return cmp.Or(c.Epsilon, 1e-5)
	}
	return cmp.Or(c.Epsilon, 1e-12)
}

// Explicit returns the same model with nothing of what it is left to a default: kind,
// positions, inner width, segments and epsilon.
func (c Config) Explicit() Config {
	c.Kind, c.Inner, c.Epsilon = c.kind(), c.inner(), c.epsilon()
	if c.Is(GPT) {
		c.Positions = cmp.Or(c.Positions, Learned)
	}
	if c.Is(BERT) {
		c.Segments = c.segments()
	}
	return c
}

// drop returns the share of routed layer i: see Drop.
func (c Config) drop(i int) float64 {
	if c.Drop == nil {
		return 1
	}
	return c.Drop[i]
}

// Predicted returns how many places of a row of length tokens a BERT predicts:
// Predict of them, rounded up.
func (c Config) Predicted(length int) int {
	if c.Predict == 0 {
		return length
	}
	return max(1, int(math.Ceil(c.Predict*float64(length))))
}

// String describes the model in one line.
func (c Config) String() string {
	s := fmt.Sprintf("%s, %d layers of width %d, %d heads", kindNames[c.kind()], c.Layers, c.Width, c.Heads)
	if c.Is(ViT) {
		return s + fmt.Sprintf(", %d patches of %dx%dx%d, %d classes", c.Patches(), c.Image.Patch, c.Image.Patch, c.Image.Channels, c.Classes)
	}
	s += fmt.Sprintf(", context %d, vocabulary %d", c.Context, c.Vocabulary)
	if c.Positions == Rotary {
		s += ", rotary positions"
	}
	return s
}
