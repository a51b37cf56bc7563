package model

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"

	"github.com/gradus-ml/gradus/internal/fault"
)

// HubConfig returns the config.json with which Hugging Face's library opens what
// Store gives.
func (c Config) HubConfig() []byte {
	var of any
	switch {
	case c.Is(BERT):
		of = bertHub(c)
	case c.Is(ViT):
		of = vitHub(c)
	case c.Positions == Rotary:
		of = neoxHub(c)
	default:
		of = gpt2Hub(c)
	}
	text, err := json.MarshalIndent(of, "", "  ")
	if err != nil { // plain values only
		panic(fmt.Sprintf("model: %v", err))
	}
	return append(text, '\n')
}

// ParseHubConfig reads a config.json of Hugging Face's: of a GPT-2, a GPT-NeoX
// whose blocks are GPT-2's with rotary positions, a BERT or a ViT. Keys that it
// leaves out have that library's defaults. What is not JSON is an error of kind
// fault.Corrupt, a model that cannot be built here fault.Invalid. Of several rates
// of dropout it takes that of what a block adds.
func ParseHubConfig(text []byte) (Config, error) {
	var head struct {
		Type *string `json:"model_type"`
	}
	if err := json.Unmarshal(text, &head); err != nil {
		return Config{}, fault.Corruptf("config.json: %w", err)
	}
	var c Config
	var err error
	switch {
	case head.Type == nil:
		return c, fault.Invalidf("config.json: it has no model_type; give Hugging Face's of a gpt2, gpt_neox, bert or vit")
	case *head.Type == "gpt2":
		c, err = parseGPT2(text)
	case *head.Type == "gpt_neox":
		c, err = parseNeoX(text)
	case *head.Type == "bert":
		c, err = parseBERT(text)
	case *head.Type == "vit":
		c, err = parseViT(text)
	default:
		return c, fault.Invalidf("config.json: its model_type is %q; there are gpt2, gpt_neox, bert and vit", *head.Type)
	}
	if err != nil {
		return c, err
	}
	if c.Inner == 4*c.Width {
		c.Inner = 0
	}
	if c.Epsilon == (Config{Kind: c.Kind}).epsilon() {
		c.Epsilon = 0
	}
	if err := c.Validate(); err != nil {
		return c, fault.Invalidf("config.json: %w", err)
	}
	return c, nil
}

// unmarshal reads text over the values that a struct has.
func unmarshal(text []byte, to any) error {
	if err := json.Unmarshal(text, to); err != nil {
		return fault.Corruptf("config.json: %w", err)
	}
	return nil
}

// A choice is a key of a config.json that must have one of a few values.
type choice struct {
	key   string
	value any
	known []any
}

func validChoices(choices ...choice) error {
	for _, c := range choices {
		if !slices.Contains(c.known, c.value) {
			return fault.Invalidf("config.json: %s is %v; this program has %v", c.key, c.value, c.known[0])
		}
	}
	return nil
}

// Names of the same approximation of GELU, and of GELU itself.
var geluTanh, geluErf = []any{"gelu_new", "gelu_pytorch_tanh"}, []any{"gelu"}

type hubGPT2 struct {
	Architectures  []string `json:"architectures"`
	Type           string   `json:"model_type"`
	Vocabulary     int      `json:"vocab_size"`
	Positions      int      `json:"n_positions"`
	Width          int      `json:"n_embd"`
	Layers         int      `json:"n_layer"`
	Heads          int      `json:"n_head"`
	Inner          int      `json:"n_inner"`
	Activation     string   `json:"activation_function"`
	Epsilon        float64  `json:"layer_norm_epsilon"`
	DropEmbeddings float64  `json:"embd_pdrop"`
	DropAttention  float64  `json:"attn_pdrop"`
	DropResidual   float64  `json:"resid_pdrop"`
	Tied           bool     `json:"tie_word_embeddings"`
	Scaled         bool     `json:"scale_attn_weights"`
	ScaledByLayer  bool     `json:"scale_attn_by_inverse_layer_idx"`
	Cross          bool     `json:"add_cross_attention"`
	Begin          *int     `json:"bos_token_id"` // null: the default lies beyond small vocabularies
	End            *int     `json:"eos_token_id"`
}

func gpt2Hub(c Config) hubGPT2 {
	return hubGPT2{
		Architectures: []string{"GPT2LMHeadModel"}, Type: "gpt2", Vocabulary: c.Vocabulary, Positions: c.Context, Width: c.Width, Layers: c.Layers, Heads: c.Heads,
		Inner: c.inner(), Activation: "gelu_new", Epsilon: c.epsilon(), DropEmbeddings: c.Dropout, DropAttention: c.Dropout, DropResidual: c.Dropout,
		Tied: !c.Untied, Scaled: true,
	}
}

func parseGPT2(text []byte) (Config, error) {
	h := hubGPT2{
		Vocabulary: 50257, Positions: 1024, Width: 768, Layers: 12, Heads: 12, Activation: "gelu_new", Epsilon: 1e-5,
		DropEmbeddings: 0.1, DropAttention: 0.1, DropResidual: 0.1, Tied: true, Scaled: true,
	}
	if err := unmarshal(text, &h); err != nil {
		return Config{}, err
	}
	return Config{
			Kind: GPT, Vocabulary: h.Vocabulary, Context: h.Positions, Layers: h.Layers, Width: h.Width, Heads: h.Heads, Inner: h.Inner,
			Untied: !h.Tied, Dropout: h.DropResidual, Epsilon: h.Epsilon,
		}, validChoices(
			choice{"activation_function", h.Activation, geluTanh}, choice{"scale_attn_weights", h.Scaled, []any{true}},
			choice{"scale_attn_by_inverse_layer_idx", h.ScaledByLayer, []any{false}}, choice{"add_cross_attention", h.Cross, []any{false}})
}

type hubNeoX struct {
	Architectures []string `json:"architectures"`
	Type          string   `json:"model_type"`
	Vocabulary    int      `json:"vocab_size"`
	Positions     int      `json:"max_position_embeddings"`
	Width         int      `json:"hidden_size"`
	Layers        int      `json:"num_hidden_layers"`
	Heads         int      `json:"num_attention_heads"`
	Inner         int      `json:"intermediate_size"`
	Activation    string   `json:"hidden_act"`
	Epsilon       float64  `json:"layer_norm_eps"`
	DropHidden    float64  `json:"hidden_dropout"`
	DropAttention float64  `json:"attention_dropout"`
	Tied          bool     `json:"tie_word_embeddings"`
	Biased        bool     `json:"attention_bias"`
	Parallel      bool     `json:"use_parallel_residual"`
	Share         float64  `json:"rotary_pct"`      // of a head that is turned
	Base          float64  `json:"rotary_emb_base"` // of the angles
	Rotary        *hubRope `json:"rope_parameters"` // the two as later versions write them
	Begin         *int     `json:"bos_token_id"`
	End           *int     `json:"eos_token_id"`
}

type hubRope struct {
	Type  string   `json:"rope_type"`
	Share *float64 `json:"partial_rotary_factor"`
	Base  *float64 `json:"rope_theta"`
}

// rotaryBase is the base of the angles of rotary positions.
const rotaryBase = 10000.0

func neoxHub(c Config) hubNeoX {
	share, base := 1.0, rotaryBase
	return hubNeoX{
		Architectures: []string{"GPTNeoXForCausalLM"}, Type: "gpt_neox", Vocabulary: c.Vocabulary, Positions: c.Context, Width: c.Width, Layers: c.Layers, Heads: c.Heads,
		Inner: c.inner(), Activation: "gelu_new", Epsilon: c.epsilon(), DropHidden: c.Dropout, DropAttention: c.Dropout,
		Tied: !c.Untied, Biased: true, Share: share, Base: base, Rotary: &hubRope{"default", &share, &base},
	}
}

func parseNeoX(text []byte) (Config, error) {
	h := hubNeoX{
		Vocabulary: 50432, Positions: 2048, Width: 6144, Layers: 44, Heads: 64, Inner: 24576, Activation: "gelu", Epsilon: 1e-5,
		Biased: true, Parallel: true, Share: 0.25, Base: rotaryBase,
	}
	if err := unmarshal(text, &h); err != nil {
		return Config{}, err
	}
	kind := "default"
	if h.Rotary != nil {
		kind = h.Rotary.Type
		if h.Rotary.Share != nil {
			h.Share = *h.Rotary.Share
		}
		if h.Rotary.Base != nil {
			h.Base = *h.Rotary.Base
		}
	}
	return Config{
			Kind: GPT, Vocabulary: h.Vocabulary, Context: h.Positions, Layers: h.Layers, Width: h.Width, Heads: h.Heads, Inner: h.Inner,
			Positions: Rotary, Untied: !h.Tied, Dropout: h.DropHidden, Epsilon: h.Epsilon,
		}, validChoices(
			choice{"hidden_act", h.Activation, geluTanh}, choice{"attention_bias", h.Biased, []any{true}}, choice{"use_parallel_residual", h.Parallel, []any{false}},
			choice{"rotary_pct", h.Share, []any{1.0}}, choice{"rotary_emb_base", h.Base, []any{rotaryBase}}, choice{"rope_type", kind, []any{"default"}})
}

// hubEncoder is what the config.json of a BERT and that of a ViT have in common.
type hubEncoder struct {
	Architectures []string `json:"architectures"`
	Type          string   `json:"model_type"`
	Width         int      `json:"hidden_size"`
	Layers        int      `json:"num_hidden_layers"`
	Heads         int      `json:"num_attention_heads"`
	Inner         int      `json:"intermediate_size"`
	Activation    string   `json:"hidden_act"`
	Epsilon       float64  `json:"layer_norm_eps"`
	DropHidden    float64  `json:"hidden_dropout_prob"`
	DropAttention float64  `json:"attention_probs_dropout_prob"`
}

// hubBase is the defaults of both.
var hubBase = hubEncoder{Width: 768, Layers: 12, Heads: 12, Inner: 3072, Activation: "gelu", Epsilon: 1e-12}

func encoderHub(c Config, class string) hubEncoder {
	return hubEncoder{
		Architectures: []string{class}, Type: c.Kind, Width: c.Width, Layers: c.Layers, Heads: c.Heads, Inner: c.inner(),
		Activation: "gelu", Epsilon: c.epsilon(), DropHidden: c.Dropout, DropAttention: c.Dropout,
	}
}

func (h hubEncoder) config(kind string) Config {
	return Config{Kind: kind, Layers: h.Layers, Width: h.Width, Heads: h.Heads, Inner: h.Inner, Dropout: h.DropHidden, Epsilon: h.Epsilon}
}

type hubBERT struct {
	hubEncoder
	Vocabulary int    `json:"vocab_size"`
	Positions  int    `json:"max_position_embeddings"`
	Segments   int    `json:"type_vocab_size"`
	Table      string `json:"position_embedding_type"`
	Decoder    bool   `json:"is_decoder"`
	Tied       bool   `json:"tie_word_embeddings"`
	Pad        *int   `json:"pad_token_id"`
}

func bertHub(c Config) hubBERT {
	return hubBERT{
		hubEncoder: encoderHub(c, "BertForMaskedLM"), Vocabulary: c.Vocabulary, Positions: c.Context, Segments: c.segments(),
		Table: "absolute", Tied: !c.Untied,
	}
}

func parseBERT(text []byte) (Config, error) {
	h := hubBERT{hubEncoder: hubBase, Vocabulary: 30522, Positions: 512, Segments: 2, Table: "absolute", Tied: true}
	h.DropHidden, h.DropAttention = 0.1, 0.1
	if err := unmarshal(text, &h); err != nil {
		return Config{}, err
	}
	c := h.config(BERT)
	c.Vocabulary, c.Context, c.Segments, c.Untied = h.Vocabulary, h.Positions, h.Segments, !h.Tied
	if c.Segments == (Config{}).segments() {
		c.Segments = 0
	}
	return c, validChoices(choice{"hidden_act", h.Activation, geluErf}, choice{"position_embedding_type", h.Table, []any{"absolute"}},
		choice{"is_decoder", h.Decoder, []any{false}})
}

type hubViT struct {
	hubEncoder
	Image    hubSides          `json:"image_size"`
	Patch    hubSides          `json:"patch_size"`
	Channels int               `json:"num_channels"`
	Biased   bool              `json:"qkv_bias"`
	Labels   map[string]string `json:"id2label,omitempty"`
	IDs      map[string]int    `json:"label2id,omitempty"`
}

func vitHub(c Config) hubViT {
	h := hubViT{
		hubEncoder: encoderHub(c, "ViTForImageClassification"), Image: hubSides{c.Image.Height, c.Image.Width}, Patch: hubSides{c.Image.Patch, c.Image.Patch},
		Channels: c.Image.Channels, Biased: true, Labels: map[string]string{}, IDs: map[string]int{},
	}
	for i := range c.Classes {
		label := "LABEL_" + strconv.Itoa(i)
		h.Labels[strconv.Itoa(i)], h.IDs[label] = label, i
	}
	return h
}

func parseViT(text []byte) (Config, error) {
	h := hubViT{hubEncoder: hubBase, Image: hubSides{224, 224}, Patch: hubSides{16, 16}, Channels: 3, Biased: true}
	if err := unmarshal(text, &h); err != nil {
		return Config{}, err
	}
	c := h.config(ViT)
	c.Image = Image{Height: h.Image[0], Width: h.Image[1], Channels: h.Channels, Patch: h.Patch[0]}
	c.Context = c.Patches() + 1
	c.Classes = 2 // the library's default, which it does not write
	if h.Labels != nil {
		c.Classes = len(h.Labels)
	}
	return c, validChoices(choice{"hidden_act", h.Activation, geluErf}, choice{"qkv_bias", h.Biased, []any{true}}, choice{"patch_size", h.Patch[1], []any{h.Patch[0]}})
}

// hubSides are a height and a width, written as one number if they are the same.
type hubSides [2]int

func (s hubSides) MarshalJSON() ([]byte, error) {
	if s[0] == s[1] {
		return json.Marshal(s[0])
	}
	return json.Marshal([2]int(s))
}

func (s *hubSides) UnmarshalJSON(text []byte) error {
	if bytes.HasPrefix(bytes.TrimSpace(text), []byte("[")) {
		var both []int
		if err := json.Unmarshal(text, &both); err != nil {
			return err
		}
		if len(both) != 2 {
			return fmt.Errorf("%d sides of an image; give a number, or height and width", len(both))
		}
		*s = hubSides(both)
		return nil
	}
	err := json.Unmarshal(text, &s[0])
	s[1] = s[0]
	return err
}
