package model

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/gradus-ml/gradus/internal/fault"
	"github.com/gradus-ml/gradus/internal/safetensors"
)

// Store returns the weights, given in the order of Params, as the tensors of the
// safetensors file that Hugging Face's class of the model reads: GPT2LMHeadModel,
// GPTNeoXForCausalLM for rotary positions, BertForMaskedLM or
// ViTForImageClassification. Tensors whose layout is the same share their numbers
// with weights.
func (c Config) Store(weights [][]float32) []safetensors.Tensor {
	var tensors []safetensors.Tensor
	for i, p := range c.Params() {
		for _, s := range c.stored(p) {
			data := weights[i]
			if s.column != nil {
				data = make([]float32, s.shape[0]*s.in)
				s.each(func(stored, place int) { data[stored] = weights[i][place] })
			}
			tensors = append(tensors, safetensors.Tensor{Name: s.name, Shape: s.shape, Data: data})
		}
	}
	if bias := len(tensors) - 2; c.Is(BERT) && c.Untied { // some versions have it once more beside an untied head
		tensors = append(tensors, safetensors.Tensor{Name: "cls.predictions.decoder.bias", Shape: tensors[bias].Shape, Data: tensors[bias].Data})
	}
	return tensors
}

// Restore returns the weights of the model, in the order of Params, from the
// tensors of a file that Store or Hugging Face's library wrote. Names may lack
// their first word ("transformer.", "bert.", "vit.", "gpt_neox."), and norms may
// have the old names gamma and beta. What the model has no use for (masks kept as
// tensors, poolers, the next-sentence head) is passed over. Weights may share
// their numbers with stored. Tensors that are missing, of another shape or unknown
// are an error of kind fault.Mismatch that names them.
func (c Config) Restore(stored map[string]safetensors.Tensor) ([][]float32, error) {
	m, err := c.match(stored, false)
	if err != nil {
		return nil, err
	}
	return c.take(m, 0)
}

// Restorable reports why Restore would refuse tensors, whose data is not needed.
func (c Config) Restorable(stored map[string]safetensors.Tensor) error {
	_, err := c.match(stored, false)
	return err
}

// Adopt is Restore for training on: a head that is missing, or made for another
// vocabulary or other classes, is drawn anew from the seed.
func (c Config) Adopt(stored map[string]safetensors.Tensor, seed uint64) ([][]float32, error) {
	m, err := c.match(stored, true)
	if err != nil {
		return nil, err
	}
	return c.take(m, seed)
}

// Adoptable reports what Adopt would make of tensors, whose data is not needed: an
// error, or notes on what is drawn anew and what of them is not used.
func (c Config) Adoptable(stored map[string]safetensors.Tensor) (notes []string, err error) {
	m, err := c.match(stored, true)
	return m.notes, err
}

// take copies matched tensors into weights; those of no tensor are drawn.
func (c Config) take(m match, seed uint64) ([][]float32, error) {
	if err := m.tied(); err != nil {
		return nil, err
	}
	var weights [][]float32
	for _, p := range c.Params() {
		parts := c.stored(p)
		if _, ok := m.tensors[parts[0].name]; !ok {
			weights = append(weights, c.Init(seed, p))
			continue
		}
		if parts[0].column == nil {
			weights = append(weights, m.tensors[parts[0].name].Data)
			continue
		}
		values := make([]float32, p.Size())
		for _, s := range parts {
			data := m.tensors[s.name].Data
			s.each(func(stored, place int) { values[place] = data[stored] })
		}
		weights = append(weights, values)
	}
	return weights, nil
}

// A match says which tensors of a file are which of a model.
type match struct {
	tensors map[string]safetensors.Tensor // by the names of Store
	twins   [][2]safetensors.Tensor       // tensors that a tied model has twice
	notes   []string
}

// match finds the tensors of the model by name and shape. With newHead the head may
// be missing.
func (c Config) match(stored map[string]safetensors.Tensor, newHead bool) (match, error) {
	want := map[string]storedTensor{}
	for _, p := range c.Params() {
		for _, s := range c.stored(p) {
			want[s.name] = s
		}
	}
	m := match{tensors: map[string]safetensors.Tensor{}}
	twins := map[string]safetensors.Tensor{}
	var unknown, foreign, wrong []string
	for _, given := range slices.Sorted(maps.Keys(stored)) {
		t, name := stored[given], c.hubName(given, want)
		t.Name = name
		s, ok := want[name]
		switch {
		case ok && m.tensors[name].Name != "":
			return m, fault.Mismatchf("the tensor %s is there twice, as %s too", name, given)
		case ok && !slices.Equal(t.Shape, s.shape):
			m.tensors[name] = t
			wrong = append(wrong, name)
		case ok && t.DType != "" && !slices.Contains([]string{"F32", "F16", "BF16", "F64"}, t.DType):
			return m, fault.Mismatchf("the tensor %s is stored as %s; give one of floating-point numbers", name, t.DType)
		case ok:
			m.tensors[name] = t
		case c.Untied && name == "cls.predictions.decoder.bias": // the one that is computed with
			t.Name = twinOf[name]
			m.tensors[twinOf[name]] = t
		case twinOf[name] != "":
			twins[name] = t
		case ignored(name):
		case newHead && hasPrefix(given, otherHeads):
			foreign = append(foreign, given)
		default:
			unknown = append(unknown, given)
		}
	}
	var missing []string
	for _, name := range slices.Sorted(maps.Keys(want)) {
		if m.tensors[name].Name == "" {
			missing = append(missing, name)
		}
	}
	if newHead {
		missing, wrong = m.dropHead(c, want, missing, wrong)
		if len(foreign) > 0 {
			m.notes = append(m.notes, "not used: "+some(foreign)+", which this model has not")
		}
	}
	for _, name := range slices.Sorted(maps.Keys(twins)) {
		if of, ok := m.tensors[twinOf[name]]; ok {
			m.twins = append(m.twins, [2]safetensors.Tensor{of, twins[name]})
		}
	}
	switch {
	case len(wrong) > 0:
		return m, fault.Mismatchf("the tensor %s has shape %v, and the model wants %v", wrong[0], m.tensors[wrong[0]].Shape, want[wrong[0]].shape)
	case len(missing) == 1:
		return m, fault.Mismatchf("the tensor %s is missing", missing[0])
	case len(missing) > 1:
		return m, fault.Mismatchf("the tensors %s are missing", some(missing))
	case len(unknown) > 0:
		return m, fault.Mismatchf("the model has no tensor %s: the file is of another one", some(unknown))
	}
	return m, nil
}

// dropHead forgets the tensors of a head that is not whole, or not of the model's
// shape, and notes why. It returns what is missing and wrong without it.
func (m *match) dropHead(c Config, want map[string]storedTensor, missing, wrong []string) (stillMissing, stillWrong []string) {
	if i := slices.IndexFunc(wrong, c.isHead); i >= 0 {
		m.notes = append(m.notes, fmt.Sprintf("the head is drawn anew: %s has shape %v, and the model wants %v", wrong[i], m.tensors[wrong[i]].Shape, want[wrong[i]].shape))
	} else if i := slices.IndexFunc(missing, c.isHead); i >= 0 {
		m.notes = append(m.notes, fmt.Sprintf("the head is drawn anew: there is no tensor %s", missing[i]))
	} else {
		return missing, wrong
	}
	maps.DeleteFunc(m.tensors, func(name string, _ safetensors.Tensor) bool { return c.isHead(name) })
	return slices.DeleteFunc(missing, c.isHead), slices.DeleteFunc(wrong, c.isHead)
}

// tied reports a head that is stored as one of its own and is not the embedding.
func (m *match) tied() error {
	for _, pair := range m.twins {
		if !slices.Equal(pair[0].Data, pair[1].Data) {
			return fault.Mismatchf("the tensors %s and %s differ, and the model has one for both; it needs an untied head", pair[0].Name, pair[1].Name)
		}
	}
	return nil
}

// twinOf lists tensors that some files hold once more under the name of the head.
var twinOf = map[string]string{
	"lm_head.weight":                 "transformer.wte.weight",
	"embed_out.weight":               "gpt_neox.embed_in.weight",
	"cls.predictions.decoder.weight": "bert.embeddings.word_embeddings.weight",
	"cls.predictions.decoder.bias":   "cls.predictions.bias",
}

// ignored reports tensors that are in published files and no part of the model:
// masks and numbers of positions, which are constants, and heads of other tasks
// that the body was trained with.
func ignored(name string) bool {
	for _, suffix := range []string{
		".attn.bias", ".attn.masked_bias", ".attention.bias", ".attention.masked_bias", "rotary_emb.inv_freq",
		"embeddings.position_ids", "embeddings.token_type_ids",
	} {
		if strings.HasSuffix(name, suffix) {
			return true
		}
	}
	return hasPrefix(name, []string{"pooler.", "bert.pooler.", "vit.pooler.", "cls.seq_relationship."})
}

// otherHeads are what heads of other tasks are called.
var otherHeads = []string{"score.", "classifier.", "qa_outputs.", "cls.", "lm_head.", "embed_out.", "multiple_choice_head."}

func hasPrefix(name string, prefixes []string) bool {
	return slices.ContainsFunc(prefixes, func(prefix string) bool { return strings.HasPrefix(name, prefix) })
}

// hubName returns what Store calls a tensor that a file calls name.
func (c Config) hubName(name string, want map[string]storedTensor) string {
	for old, now := range map[string]string{".gamma": ".weight", ".beta": ".bias"} {
		if rest, ok := strings.CutSuffix(name, "LayerNorm"+old); ok {
			name = rest + "LayerNorm" + now
		}
	}
	if _, ok := want[name]; !ok {
		if full := c.hubPrefix() + name; want[full].name != "" {
			return full
		}
	}
	return name
}

// isHead reports whether a tensor is of what stands on the model's body.
func (c Config) isHead(name string) bool {
	return c.Is(BERT) && strings.HasPrefix(name, "cls.predictions.") || c.Is(ViT) && strings.HasPrefix(name, "classifier.")
}

// hubPrefix is the first word of the names of the model's body.
func (c Config) hubPrefix() string {
	switch {
	case c.Is(BERT):
		return "bert."
	case c.Is(ViT):
		return "vit."
	case c.Positions == Rotary:
		return "gpt_neox."
	}
	return "transformer."
}

// some names the first of several things.
func some(names []string) string {
	switch n := len(names); n {
	case 1, 2, 3:
		return strings.Join(names, ", ")
	default:
		return fmt.Sprintf("%s and %d more", strings.Join(names[:3], ", "), n-3)
	}
}
