package model

import "github.com/gradus-ml/gradus/route"

// FLOPs returns the floating-point operations of one training step on a batch of
// rows of length tokens, where routed layers keep kept of them: three times the
// forward pass. A layer that sees s tokens costs 8*s*d^2 for attention's four
// products with weights, 4*s*d*inner for the MLP and 4*s^2*d between the tokens,
// which is 24*s*d^2 + 4*s^2*d with an MLP of 4*d (Narayanan et al., arXiv
// 2104.04473, appendix); the head 2*d*V for each token that predicts.
func (c Config) FLOPs(rows, length, kept int) float64 {
	d := float64(c.Width)
	layer := func(tokens int) float64 {
		s := float64(tokens)
		return 8*s*d*d + 4*s*d*float64(c.inner()) + 4*s*s*d
	}
	forward := float64(c.Layers-len(c.Routed)) * layer(length)
	for i := range c.Routed {
		forward += layer(route.Kept(length, kept, c.drop(i)))
	}
	switch {
	case c.Is(BERT): // the head's own layer, then the vocabulary
		predicted := float64(c.Predicted(length))
		forward += 2*predicted*d*d + 2*predicted*d*float64(c.Vocabulary)
	case c.Is(ViT): // patches go in, one token comes out
		patch := c.Image.Patch * c.Image.Patch * c.Image.Channels
		forward += 2*float64(length-1)*float64(patch)*d + 2*d*float64(c.Classes)
	default:
		forward += 2 * float64(length) * d * float64(c.Vocabulary)
	}
	return 3 * float64(rows) * forward
}
