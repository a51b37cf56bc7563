package recipe

import (
	"fmt"

	"github.com/gradus-ml/gradus/batch"
	"github.com/gradus-ml/gradus/corpus"
	"github.com/gradus-ml/gradus/model"
)

// Augment is how images are changed each time that they come.
type Augment struct {
	Flip  bool `yaml:"flip,omitempty" json:"flip,omitempty" help:"mirror every other image, left to right"`
	Shift int  `yaml:"shift,omitempty" json:"shift,omitempty" least:"1" help:"move images by up to so many pixels up or down and left or right; what moves in is black"`
}

func (r *Recipe) validateImages() error {
	s, vit := r.Sample, r.Model.Kind == model.ViT
	switch {
	case vit && !s.Images:
		return r.errorf("sample", "a model of kind vit sees images; write sample: {images: true}")
	case s.Images && !vit:
		return r.errorf("sample.images", "they are for a model of kind vit; write 'kind: vit' with a patch, or give a window")
	case !vit && r.Model.Patch != 0:
		return r.errorf("model.patch", "images of a model of kind vit are cut into patches; leave it out")
	case !vit && r.Augment != nil:
		return r.errorf("augment", "it is for images, and a sample is text; leave it out")
	case !vit:
		return nil
	case r.Model.Patch == 0:
		return r.errorf("model", "a vit needs patch: N, the pixels on a side of a patch")
	}
	for _, k := range []struct {
		key   string
		given bool
	}{{"vocabulary", r.Model.Vocabulary != 0}, {"context", r.Model.Context != 0}, {"positions", r.Model.Positions != ""}, {"head", r.Model.Head != ""}} {
		if k.given {
			return r.errorf("model."+k.key, "a vit has none to choose: images and classes are the corpus's; leave it out")
		}
	}
	for i, m := range r.Curriculum {
		if m.Apply != "" {
			return r.errorf(fmt.Sprintf("curriculum[%d].apply", i), "images have rows of one length, their patches; drop patches by routing, or pace a metric without 'apply'")
		}
	}
	return nil
}

// image returns what the model sees of an image, and the number of classes. Where
// the corpus is not open yet, patches lie side by side.
func (r *Recipe) imageConfig() (image model.Image, classes int) {
	p := r.Model.Patch
	if i := r.image; i != nil {
		return model.Image{Height: i.Height, Width: i.Width, Channels: i.Channels, Patch: p}, i.Classes
	}
	return model.Image{Height: p, Width: p * max(r.Sample.Length-1, 1), Channels: 1, Patch: p}, 1
}

// imageTokens returns the tokens of an image: its patches and the class token; 0
// where the corpus is not open yet and the recipe does not say.
func (r *Recipe) imageTokens() int {
	if r.image == nil {
		return r.Sample.Length
	}
	image, _ := r.imageConfig()
	return image.Patches() + 1
}

// bindImages takes the size of images from the first corpus, and checks what
// depends on it.
func (r *Recipe) bindImages(i int, c *corpus.Corpus) error {
	image, err := c.Images()
	if err != nil {
		return fmt.Errorf("%s: %w", r.place(r.sourceAt(i, "corpus")), err)
	}
	if i > 0 { // whether it is like the first is held where sources are compared
		return nil
	}
	if p := r.Model.Patch; image.Height%p != 0 || image.Width%p != 0 {
		return r.errorf("model.patch", "images of %dx%d pixels cannot be cut into patches of %dx%d; give a number that divides both sides", image.Height, image.Width, p, p)
	}
	r.image = &image
	if n := r.Sample.Length; n != 0 && n != r.imageTokens() {
		return r.errorf("sample.length", "it is %d, and images of %s have %d patches and a class token; write %d, or leave it out", n, image, r.imageTokens()-1, r.imageTokens())
	}
	for _, check := range []func() error{r.validateBatch, r.validateRouting, r.validateModel, r.validateAugment} {
		if err := check(); err != nil {
			return err
		}
	}
	return nil
}

func (r *Recipe) validateAugment() error {
	if a := r.Augment; a != nil && a.Shift >= min(r.image.Height, r.image.Width) {
		return r.errorf("augment.shift", "images of %dx%d pixels are moved by up to %d; nothing of them may be left, so lower it", r.image.Height, r.image.Width, a.Shift)
	}
	return nil
}

// images returns how images become rows; nil: the sources are text.
func (b *Bound) images() *batch.Images {
	r := b.Recipe
	if !r.Sample.Images {
		return nil
	}
	if r.Augment == nil {
		return &batch.Images{}
	}
	return &batch.Images{Flip: r.Augment.Flip, Shift: r.Augment.Shift}
}
