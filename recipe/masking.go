package recipe

import (
	"fmt"
	"math"
	"slices"

	"github.com/gradus-ml/gradus/batch"
	"github.com/gradus-ml/gradus/model"
)

// Masking is which tokens a BERT has to tell from the rest.
type Masking struct {
	Share     *Amount `yaml:"share,omitempty" json:"share" help:"of the tokens of a row that are predicted; 15% if not given"`
	Mask      *int    `yaml:"mask,omitempty" json:"mask" help:"token that the model sees instead; if not given one more than the corpus has, behind all others"`
	Random    *Amount `yaml:"random,omitempty" json:"random" help:"share of the predicted tokens that become a random one instead; 10% if not given"`
	Keep      *Amount `yaml:"keep,omitempty" json:"keep" help:"share of the predicted tokens that stay as they are; 10% if not given"`
	Special   []int   `yaml:"special,omitempty" json:"special" help:"tokens that are never predicted and never drawn; the one that ends a document if not given"`
	Separator *int    `yaml:"separator,omitempty" json:"separator" help:"token that ends the first segment of a document; there are no segments if not given"`
}

// fillMasking sets what a masking leaves open. A BERT has one.
func (r *Recipe) fillMasking() {
	if r.Masking == nil && r.Model.Kind == model.BERT {
		r.Masking = &Masking{}
	}
	if m := r.Masking; m != nil {
		setTo(&m.Share, Amount{Value: 15, Percent: true})
		setTo(&m.Random, Amount{Value: 10, Percent: true})
		setTo(&m.Keep, Amount{Value: 10, Percent: true})
		for _, a := range []*Amount{m.Share, m.Random, m.Keep} {
			*a = a.percentage() // so that 0.15 is 15%
		}
	}
}

func (r *Recipe) validateMasking() error {
	m := r.Masking
	if m == nil {
		return nil
	}
	if kind := r.Model.Kind; kind == model.GPT || kind == model.ViT {
		return r.errorf("masking", "a model of kind %s has nothing to do with it; leave it out, or write 'kind: bert'", kind)
	}
	for _, t := range []struct {
		key   string
		token *int
	}{{"mask", m.Mask}, {"separator", m.Separator}} {
		if t.token != nil && (*t.token < 0 || *t.token >= math.MaxInt32) {
			return r.errorf("masking."+t.key, "it is %d; it must be a token, from 0 on", *t.token)
		}
	}
	for _, t := range m.Special {
		if t < 0 || t >= math.MaxInt32 {
			return r.errorf("masking.special", "%d is no token; they count from 0", t)
		}
	}
	if err := r.masking(math.MaxInt32, nil).Validate(); err != nil {
		return r.invalid("masking", err)
	}
	return nil
}

// masking returns the masking of corpora with a vocabulary and special tokens of
// their own.
func (r *Recipe) masking(vocabulary int, special []int32) batch.Masking {
	m := r.Masking
	c := batch.Masking{
		Share: m.Share.Of(1), Random: m.Random.Of(1), Keep: m.Keep.Of(1),
		Mask: int32(vocabulary), Vocabulary: vocabulary, Special: special, Separator: -1,
	}
	if m.Mask != nil {
		c.Mask = int32(*m.Mask)
	}
	if m.Separator != nil {
		c.Separator = int32(*m.Separator)
	}
	if m.Special != nil {
		c.Special = nil
		for _, t := range m.Special {
			c.Special = append(c.Special, int32(t))
		}
	}
	return c
}

// setMasking settles the masking, and returns how many tokens the model must have
// for it, where the corpora have so many; 0: they do not say.
func (b *Bound) setMasking(have int) (int, error) {
	r := b.Recipe
	if r.Masking == nil {
		return have, nil
	}
	if have == 0 && (r.Masking.Mask == nil || r.Model.Vocabulary == 0) {
		return 0, r.errorf("masking", "the corpus does not say how large its vocabulary is; name it in model.vocabulary, and the token that masks others in masking.mask")
	}
	most := have
	if have == 0 {
		have, most = r.Model.Vocabulary, r.Model.Vocabulary
	}
	m := r.masking(have, b.endOfDocument())
	most = max(most, int(m.Mask)+1)
	for _, t := range append(slices.Clone(m.Special), m.Separator) {
		if int(t) >= most {
			return 0, r.errorf("masking", "there is no token %d in a vocabulary of %d", t, most)
		}
	}
	if err := m.Validate(); err != nil {
		return 0, r.invalid("masking", err)
	}
	b.masking = &m
	return most, nil
}

// Masking says in words what is masked, and by what; empty: nothing is.
func (b *Bound) Masking() string {
	m := b.masking
	if m == nil {
		return ""
	}
	words := fmt.Sprintf("%.3g%% of a row's tokens are predicted: %.3g%% of them masked by token %d", 100*m.Share, 100*(1-m.Random-m.Keep), m.Mask)
	if int(m.Mask) == m.Vocabulary {
		words += " (one more than the corpus has)"
	}
	words += fmt.Sprintf(", %.3g%% random, %.3g%% as they are", 100*m.Random, 100*m.Keep)
	if len(m.Special) > 0 {
		words += fmt.Sprintf("; never predicted: %v", m.Special)
	}
	return words
}
