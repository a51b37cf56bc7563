package recipe

import (
	"cmp"
	"fmt"
	"os"
	"reflect"

	"github.com/gradus-ml/gradus/internal/fault"
	"github.com/gradus-ml/gradus/model"
	"github.com/gradus-ml/gradus/train"
)

// openWeights finds the trained weights that the model begins with, if it does, and
// holds that what the recipe gives of the model is what they are of. It is done
// before anything is filled in: the weights are part of what the recipe says.
func (r *Recipe) openWeights() error {
	m := &r.Model
	if m.From == "" || r.External() {
		return nil
	}
	if m.Preset != "" {
		return r.errorf("model", "it has both a preset and weights to begin with; give one of preset and from")
	}
	name := r.find(m.From, func(name string) bool {
		_, err := os.Stat(name)
		return err == nil
	})
	w, err := train.OpenWeights(name)
	if err != nil {
		return fmt.Errorf("%s: %w", r.place("model.from"), err)
	}
	r.weights = w
	if w.Model == nil {
		return nil
	}
	c := w.Model.Explicit()
	head := "tied"
	if c.Untied {
		head = "untied"
	}
	if c.Positions == model.Rotary { // no weight depends on how far positions go
		c.Context = cmp.Or(m.Context, c.Context)
	}
	for _, k := range []struct {
		key         string
		given, have any
	}{
		{"kind", m.Kind, c.Kind}, {"vocabulary", m.Vocabulary, c.Vocabulary}, {"context", m.Context, c.Context},
		{"layers", m.Layers, c.Layers}, {"width", m.Width, c.Width}, {"heads", m.Heads, c.Heads}, {"inner", m.Inner, c.Inner}, {"patch", m.Patch, c.Image.Patch},
		{"positions", m.Positions, c.Positions}, {"head", m.Head, head}, {"epsilon", m.Epsilon, c.Epsilon},
	} {
		if !reflect.ValueOf(k.given).IsZero() && k.given != k.have {
			return fault.Mismatchf("%s: it is %v, and the model of %s has %v; leave it out, or write that", r.place("model."+k.key), k.given, m.From, k.have)
		}
	}
	return nil
}

// checkWeights holds that the weights fit the model, and warns of what will be
// drawn anew.
func (b *Bound) checkWeights() error {
	w := b.Recipe.weights
	if w == nil {
		return nil
	}
	notes, err := w.Fits(b.Model)
	if err != nil {
		return fmt.Errorf("%s: %w", b.Recipe.place("model.from"), err)
	}
	if corpus := b.Sources[0].Corpus.Meta().Tokenizer; w.Tokenizer != "" && corpus != "" && corpus != w.Tokenizer {
		b.warn("model.from", "the weights were trained on tokens of %s, and the corpus has those of %s: its tokens mean nothing to them", w.Tokenizer, corpus)
	}
	for _, note := range notes {
		b.warn("model.from", "%s", note)
	}
	return nil
}
