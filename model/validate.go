package model

import (
	"math"

	"github.com/gradus-ml/gradus/internal/fault"
)

// Bounds far above any transformer (GPT-3 has 96 layers of width 12,288), and low
// enough that whatever a file asks for, lists of layers stay small and the number
// of parameters fits 64 bits.
const (
	MaxLayers = 1 << 8
	maxSize   = 1 << 24 // of anything else
)

// Validate reports a configuration that cannot be built.
func (c Config) Validate() error {
	check := []func() error{c.validateSizes, c.validateRouting, c.validateKind}
	for _, f := range check {
		if err := f(); err != nil {
			return err
		}
	}
	return nil
}

// A size is a number that must lie between two others.
type size struct {
	name       string
	value, min int
}

func validSizes(sizes ...size) error {
	for _, s := range sizes {
		if s.value < s.min {
			return fault.Invalidf("model: %s is %d; it must be at least %d", s.name, s.value, s.min)
		}
		if s.value > maxSize {
			return fault.Invalidf("model: %s is %d; it must be at most %d", s.name, s.value, maxSize)
		}
	}
	return nil
}

// validateSizes checks what all kinds have.
func (c Config) validateSizes() error {
	err := validSizes(size{"context", c.Context, 1}, size{"layers", c.Layers, 1}, size{"width", c.Width, 1},
		size{"heads", c.Heads, 1}, size{"inner", c.Inner, 0}, size{"segments", c.Segments, 0}, size{"classes", c.Classes, 0})
	if err != nil {
		return err
	}
	switch {
	case c.Layers > MaxLayers:
		return fault.Invalidf("model: layers is %d; it must be at most %d", c.Layers, MaxLayers)
	case c.Width%c.Heads != 0:
		return fault.Invalidf("model: width %d is no multiple of %d heads", c.Width, c.Heads)
	case !(c.Dropout >= 0 && c.Dropout < 1):
		return fault.Invalidf("model: dropout is %v; it must be at least 0 and less than 1", c.Dropout)
	case !(c.Epsilon >= 0 && c.Epsilon < 1):
		return fault.Invalidf("model: epsilon is %v; it must be at least 0 and less than 1", c.Epsilon)
	case !(c.Predict >= 0 && c.Predict <= 1):
		return fault.Invalidf("model: predict is %v; it is a share of the places of a row, from 0 to 1", c.Predict)
	}
	return nil
}

// validateRouting checks the routed layers.
func (c Config) validateRouting() error {
	for i, l := range c.Routed {
		if l < 0 || l >= c.Layers || i > 0 && l <= c.Routed[i-1] {
			return fault.Invalidf("model: routed layers %v; name layers of 0 to %d in ascending order", c.Routed, c.Layers-1)
		}
	}
	if c.Drop == nil {
		return nil
	}
	if len(c.Drop) != len(c.Routed) {
		return fault.Invalidf("model: %d shares of dropped tokens for %d routed layers; give one for each", len(c.Drop), len(c.Routed))
	}
	for i, share := range c.Drop {
		if !(share >= 0) || math.IsInf(share, 1) {
			return fault.Invalidf("model: layer %d drops %v of the dropped tokens; it must be at least 0", c.Routed[i], share)
		}
		if c.Shared && i > 0 && c.Routed[i] == c.Routed[i-1]+1 && share != c.Drop[i-1] {
			return fault.Invalidf("model: layers %d and %d keep the same tokens, and drop %v and %v of them; give both the same share",
				c.Routed[i-1], c.Routed[i], c.Drop[i-1], share)
		}
	}
	return nil
}

// validateKind checks what one kind has and another has not.
func (c Config) validateKind() error {
	gpt, bert, vit := c.Is(GPT), c.Is(BERT), c.Is(ViT)
	if !gpt && !bert && !vit {
		return fault.Invalidf("model: kind is %q; it is one of %s, %s and %s", c.Kind, GPT, BERT, ViT)
	}
	if c.Positions != "" && c.Positions != Learned && c.Positions != Rotary {
		return fault.Invalidf("model: positions are %q; they are %s or %s", c.Positions, Learned, Rotary)
	}
	for _, only := range []struct {
		given    bool
		name, of string
		ok       bool
	}{
		{c.Positions == Rotary, "rotary positions", "a GPT", gpt},
		{c.Segments != 0, "segments", "a BERT", bert},
		{c.Predict != 0, "a share of predicted places", "a BERT", bert},
		{c.Image != Image{}, "an image", "a ViT", vit},
		{c.Classes != 0, "classes", "a ViT", vit},
		{c.Vocabulary != 0, "a vocabulary", "a GPT or a BERT", !vit},
		{c.Untied, "an untied head", "a GPT or a BERT", !vit},
	} {
		if only.given && !only.ok {
			return fault.Invalidf("model: %s belongs to %s, and this is a %s", only.name, only.of, kindNames[c.kind()])
		}
	}
	if vit {
		return c.validateImage()
	}
	if c.Positions == Rotary && c.Width/c.Heads%2 != 0 {
		return fault.Invalidf("model: rotary positions turn pairs of numbers, and a head of width %d/%d has an odd number", c.Width, c.Heads)
	}
	return validSizes(size{"vocabulary", c.Vocabulary, 1})
}

// validateImage checks what a ViT reads.
func (c Config) validateImage() error {
	i := c.Image
	err := validSizes(size{"image height", i.Height, 1}, size{"image width", i.Width, 1}, size{"image channels", i.Channels, 1},
		size{"patch", i.Patch, 1}, size{"classes", c.Classes, 1})
	if err != nil {
		return err
	}
	if i.Height%i.Patch != 0 || i.Width%i.Patch != 0 {
		return fault.Invalidf("model: an image of %dx%d pixels cannot be cut into patches of %dx%d; its sides must be multiples of the patch's",
			i.Height, i.Width, i.Patch, i.Patch)
	}
	if i.Height > maxSize/i.Width || i.Height*i.Width > maxSize/i.Channels {
		return fault.Invalidf("model: an image of %dx%dx%d has more than %d numbers", i.Height, i.Width, i.Channels, maxSize)
	}
	if c.Context != c.Patches()+1 {
		return fault.Invalidf("model: context is %d, and an image has %d patches and a class token; set it to %d", c.Context, c.Patches(), c.Patches()+1)
	}
	return nil
}
