package model

import "strings"

// A storedTensor is a tensor of Hugging Face's file that holds a parameter, or part
// of one. Where the layouts differ it is read as a matrix of rows of in elements:
// element j of row o lies in the parameter, a matrix of n columns, in column
// column(o) and row row(j).
type storedTensor struct {
	name   string
	shape  []int
	in, n  int
	column func(o int) int // nil: the layouts are the same
	row    func(j int) int // nil: j
}

// each calls do for the elements of a stored tensor and their places in the
// parameter.
func (s storedTensor) each(do func(stored, place int)) {
	for o := range s.shape[0] {
		place := s.column(o)
		for j := range s.in {
			if s.row != nil {
				do(o*s.in+j, s.row(j)*s.n+place)
				continue
			}
			do(o*s.in+j, j*s.n+place)
		}
	}
}

// stored returns the tensors that hold a parameter. GPT-2's are stored as they are
// here. BERT, ViT and GPT-NeoX store matrices as [out, in]; the first two queries,
// keys and values apart, GPT-NeoX the three of each head side by side. ViT stores
// its projection of patches as a convolution, [out, channel, row, column].
func (c Config) stored(p Param) []storedTensor {
	name, shape := c.storedName(p.Name), p.Shape
	switch {
	case c.Is(GPT) && c.Positions != Rotary:
		return []storedTensor{{name: name, shape: shape}}
	case name == "vit.embeddings.cls_token", name == "vit.embeddings.position_embeddings":
		return []storedTensor{{name: name, shape: []int{1, p.Size() / c.Width, c.Width}}}
	case name == "vit.embeddings.patch_embeddings.projection.weight":
		return []storedTensor{c.convolution(name)}
	case c.Is(GPT) && strings.Contains(name, ".query_key_value."):
		return []storedTensor{columns(name, shape, shape[len(shape)-1], c.besideHead)}
	case strings.Contains(name, ".query_key_value."):
		var parts []storedTensor
		for i, part := range []string{"query", "key", "value"} {
			parts = append(parts, columns(strings.Replace(name, "query_key_value", part, 1), shape, c.Width, func(o int) int { return i*c.Width + o }))
		}
		return parts
	case p.Decay && len(shape) == 2 && !isTable(name):
		return []storedTensor{columns(name, shape, shape[1], func(o int) int { return o })}
	}
	return []storedTensor{{name: name, shape: shape}}
}

// isTable reports a matrix of a row per token, which is stored as one: an untied
// head is, as the embedding that it takes the place of.
func isTable(name string) bool {
	return name == "embed_out.weight" || name == "cls.predictions.decoder.weight"
}

// columns returns the tensor of out columns of a matrix [in, n], stored as [out,
// in], or of out elements of a vector. Row o of it is the column that of gives.
func columns(name string, shape []int, out int, of func(o int) int) storedTensor {
	if len(shape) == 1 {
		return storedTensor{name: name, shape: []int{out}, in: 1, n: shape[0], column: of}
	}
	return storedTensor{name: name, shape: []int{out, shape[0]}, in: shape[0], n: shape[1], column: of}
}

// besideHead returns the column of [q k v] that GPT-NeoX stores as row o: head by
// head its part of q, of k and of v.
func (c Config) besideHead(o int) int {
	d := c.Width / c.Heads
	head, part, e := o/(3*d), o/d%3, o%d
	return part*c.Width + head*d + e
}

// convolution returns the tensor [out, channel, row, column] of the projection of
// patches, whose rows are in the order (row, column, channel).
func (c Config) convolution(name string) storedTensor {
	side, channels, d := c.Image.Patch, c.Image.Channels, c.Width
	return storedTensor{
		name: name, shape: []int{d, channels, side, side}, in: channels * side * side, n: d,
		column: func(o int) int { return o },
		row:    func(j int) int { return j%(side*side)*channels + j/(side*side) },
	}
}

// neoxNames are GPT-NeoX's names for GPT-2's, where it has others. Its blocks are
// GPT-2's with rotary positions if it runs attention and MLP one after the other.
var neoxNames = strings.NewReplacer(
	"transformer.wte.", "gpt_neox.embed_in.", "transformer.ln_f.", "gpt_neox.final_layer_norm.", "transformer.h.", "gpt_neox.layers.",
	".ln_1.", ".input_layernorm.", ".attn.c_attn.", ".attention.query_key_value.", ".attn.c_proj.", ".attention.dense.",
	".ln_2.", ".post_attention_layernorm.", ".mlp.c_fc.", ".mlp.dense_h_to_4h.", ".mlp.c_proj.", ".mlp.dense_4h_to_h.",
	"lm_head.", "embed_out.",
)

// storedName returns what a parameter is called in files.
func (c Config) storedName(name string) string {
	if c.Is(GPT) && c.Positions == Rotary {
		return neoxNames.Replace(name)
	}
	return name
}
