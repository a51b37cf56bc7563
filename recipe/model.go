package recipe

import (
	"cmp"

	"github.com/gradus-ml/gradus/model"
	"github.com/gradus-ml/gradus/route"
	"github.com/gradus-ml/gradus/train"
)

// Model is the network: a GPT, a BERT, a ViT, or one of the reader's own (external) of which
// only the number of layers is known.
type Model struct {
	Preset     string  `yaml:"preset,omitempty" json:"preset,omitempty" values:"{presets}" help:"a published model; what else is given goes before it"`
	From       string  `yaml:"from,omitempty" json:"from,omitempty" help:"trained weights to begin with: a directory or .safetensors file of Hugging Face's library, a checkpoint or a run; what else is given must agree"`
	Kind       string  `yaml:"kind,omitempty" json:"kind" values:"gpt|bert|vit|external" help:"gpt predicts the next token, bert masked ones, vit the class of an image; external: a trainer of one's own takes the batches, and only layers is given"`
	Vocabulary int     `yaml:"vocabulary,omitempty" json:"vocabulary,omitempty" least:"1" help:"the corpus's if not given"`
	Context    int     `yaml:"context,omitempty" json:"context,omitempty" least:"1" help:"tokens of the longest row that the model can read; those of a sample if not given"`
	Layers     int     `yaml:"layers,omitempty" json:"layers" least:"1" help:"transformer blocks"`
	Width      int     `yaml:"width,omitempty" json:"width,omitempty" least:"1" help:"of a token's vector"`
	Heads      int     `yaml:"heads,omitempty" json:"heads,omitempty" least:"1" help:"of attention; they divide width"`
	Patch      int     `yaml:"patch,omitempty" json:"patch,omitempty" least:"1" help:"pixels on a side of the patches of a vit"`
	Inner      int     `yaml:"inner,omitempty" json:"inner,omitempty" least:"1" help:"width inside the blocks' MLP; four times width if not given"`
	Positions  string  `yaml:"positions,omitempty" json:"positions,omitempty" values:"learned|rotary" help:"how a token knows its place: from a table, or by turned queries and keys"`
	Head       string  `yaml:"head,omitempty" json:"head,omitempty" values:"tied|untied" help:"the output matrix: the token embedding, or one of its own"`
	Dropout    float64 `yaml:"dropout,omitempty" json:"dropout,omitempty" help:"share of the numbers that training sets to 0 after the embeddings, on attention's weights, and on what a block adds; 0 if not given"`
	Epsilon    float64 `yaml:"epsilon,omitempty" json:"epsilon,omitempty" help:"of layer norms; 1e-5 if not given, of bert and vit 1e-12"`
}

// fill sets what the file leaves open: to what trained weights are of, if any, to a
// preset's choice, or the usual one.
func (m *Model) fill(trained *train.Weights) {
	if trained != nil && trained.Model != nil {
		m.fillFrom(*trained.Model)
	} else if p, ok := model.LookupPreset(m.Preset); ok && m.Kind != external {
		m.fillFrom(p.Config)
	}
	if m.Kind == external {
		return
	}
	if m.Kind != model.ViT {
		set(&m.Positions, model.Learned)
		set(&m.Head, "tied")
	}
	if m.Inner == 4*m.Width { // as if it were not given
		m.Inner = 0
	}
	if m.Epsilon == (model.Config{Kind: m.Kind}).Explicit().Epsilon {
		m.Epsilon = 0
	}
}

// fillFrom sets what the file leaves open to what a model has.
func (m *Model) fillFrom(c model.Config) {
	set(&m.Kind, cmp.Or(c.Kind, model.GPT))
	set(&m.Layers, c.Layers)
	set(&m.Width, c.Width)
	set(&m.Heads, c.Heads)
	set(&m.Inner, c.Inner)
	set(&m.Epsilon, c.Epsilon)
	if c.Is(model.ViT) { // the rest follows from the images
		set(&m.Patch, c.Image.Patch)
		return
	}
	set(&m.Vocabulary, c.Vocabulary)
	set(&m.Context, c.Context)
	set(&m.Positions, c.Positions)
	if c.Untied {
		set(&m.Head, "untied")
	}
}

func (r *Recipe) validateModel() error {
	m := &r.Model
	if m.Kind == "" {
		return r.errorf("model", "it has no kind; there are gpt, bert and vit, and external for a trainer of one's own, or name a preset, or weights with from")
	}
	if m.Layers < 1 {
		return r.errorf("model", "it has no layers; give their number")
	}
	if m.Layers > model.MaxLayers { // before they are listed
		return r.errorf("model.layers", "it is %d; it must be at most %d", m.Layers, model.MaxLayers)
	}
	if !r.External() {
		if m.Context != 0 && m.Context < r.Window() {
			return r.errorf("model.context", "it is %d and a sample has %d tokens; write 'context: %d', or shorter samples", m.Context, r.Window(), r.Window())
		}
		if err := r.ModelConfig(1).Validate(); err != nil {
			return r.invalid("model", err)
		}
		return r.validateRouted()
	}
	for _, k := range []struct { // random tokens of a masking are drawn from the vocabulary
		key   string
		given bool
	}{{"vocabulary", m.Vocabulary != 0 && r.Masking == nil}, {"width", m.Width != 0}, {"heads", m.Heads != 0}, {"inner", m.Inner != 0}, {"context", m.Context != 0}, {"preset", m.Preset != ""}, {"from", m.From != ""},
		{"positions", m.Positions != ""}, {"head", m.Head != ""}, {"dropout", m.Dropout != 0}, {"epsilon", m.Epsilon != 0}} {
		if k.given {
			return r.errorf("model."+k.key, "of a model of kind external only layers is known; leave it out, or write 'kind: gpt'")
		}
	}
	for i, l := range r.ModelConfig(1).Routed {
		if routed := r.ModelConfig(1).Routed; l < 0 || l >= m.Layers || i > 0 && l <= routed[i-1] {
			return r.errorf("routing.layers", "routed layers %v; name layers of 0 to %d in ascending order", routed, m.Layers-1)
		}
	}
	return r.validateRouted()
}

// ModelConfig returns the model for a vocabulary.
func (r *Recipe) ModelConfig(vocabulary int) model.Config {
	c := model.Config{
		Vocabulary: vocabulary, Context: cmp.Or(r.Model.Context, r.Window()),
		Layers: r.Model.Layers, Width: r.Model.Width, Heads: r.Model.Heads, Inner: r.Model.Inner,
		Untied: r.Model.Head == "untied", Dropout: r.Model.Dropout, Epsilon: r.Model.Epsilon,
	}
	if r.Model.Positions != model.Learned {
		c.Positions = r.Model.Positions
	}
	switch r.Model.Kind {
	case model.BERT:
		c.Kind, c.Predict = model.BERT, r.Masking.Share.Of(1)
		if r.weights != nil && r.weights.Model != nil {
			c.Segments = r.weights.Model.Segments
		}
	case model.ViT:
		c.Kind, c.Vocabulary = model.ViT, 0
		c.Image, c.Classes = r.imageConfig()
		c.Context = c.Patches() + 1
	}
	if r.routes() {
		c.Routed, c.Drop = r.Routing.Layers.of(c.Layers), r.Routing.Drop
		c.Shared = route.Shares(r.policy())
	}
	return c
}

// setModel sets the model, of a vocabulary that has every token of the corpora.
func (b *Bound) setModel() error {
	r, have := b.Recipe, 0
	for i := range b.Sources {
		have = max(have, b.Sources[i].Corpus.Meta().Vocabulary)
	}
	have, err := b.setMasking(have)
	if err != nil {
		return err
	}
	vocabulary := have
	if r.Model.Vocabulary != 0 {
		vocabulary = r.Model.Vocabulary
	}
	switch {
	case r.External() || r.Sample.Images:
	case vocabulary == 0:
		return r.errorf("model", "the corpus does not say how large its vocabulary is; name it in vocabulary")
	case vocabulary < have && b.masking != nil:
		return r.errorf("model.vocabulary", "it is %d, and the corpus and its masking have %d tokens; name the token that masks in masking.mask, if the corpus has one", vocabulary, have)
	case vocabulary < have:
		return r.errorf("model.vocabulary", "it is %d and the corpus has %d tokens", vocabulary, have)
	}
	b.Model = r.ModelConfig(vocabulary)
	if r.External() {
		return nil
	}
	if err := b.Model.Validate(); err != nil {
		return r.invalid("model", err)
	}
	if b.masking != nil && b.masking.Separator >= 0 && b.Model.Segments == 1 {
		return r.errorf("masking.separator", "it begins a second segment, and the model of %s knows one kind of segment only; leave it out", r.Model.From)
	}
	return b.checkWeights()
}
