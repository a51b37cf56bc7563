package model

import (
	"github.com/gomlx/compute/dtypes"
	. "github.com/gomlx/gomlx/core/graph"
)

// compute returns x in the type in which matrix products run.
func (c Config) compute(x *Node) *Node {
	if c.BFloat16 {
		return ConvertDType(x, dtypes.BFloat16)
	}
	return x
}

// preNormBlock is the block of GPT-2 and ViT (layer is its number) over the states
// x [n, d] of the view: attention and MLP see normed states, and what they give is
// added to the residual stream. The pullback writes the gradients of w.
func (v view) preNormBlock(x *Node, w []*Node, layer int) (y *Node, pull func(dy *Node, dw []*Node) (dx *Node)) {
	c := v.config
	n1, pullNorm1 := layerNorm(x, w[0], w[1], c.epsilon())
	first, pullFirst := v.attend(n1, w[2:6], layer)
	middle := Add(x, first)
	n2, pullNorm2 := layerNorm(middle, w[6], w[7], c.epsilon())
	second, pullSecond := v.mlp(n2, w[8:12], layer)
	return Add(middle, second), func(dy *Node, dw []*Node) *Node {
		var dx, dmiddle *Node
		dmiddle, dw[6], dw[7] = pullNorm2(pullSecond(dy, dw[8:12]))
		dmiddle = Add(dy, dmiddle)
		dx, dw[0], dw[1] = pullNorm1(pullFirst(dmiddle, dw[2:6]))
		return Add(dmiddle, dx)
	}
}

// postNormBlock is BERT's block: as the other, but each sum is normed.
func (v view) postNormBlock(x *Node, w []*Node, layer int) (y *Node, pull func(dy *Node, dw []*Node) (dx *Node)) {
	c := v.config
	first, pullFirst := v.attend(x, w[2:6], layer)
	middle, pullNorm1 := layerNorm(Add(x, first), w[0], w[1], c.epsilon())
	second, pullSecond := v.mlp(middle, w[8:12], layer)
	y, pullNorm2 := layerNorm(Add(middle, second), w[6], w[7], c.epsilon())
	return y, func(dy *Node, dw []*Node) *Node {
		var dsum *Node
		dsum, dw[6], dw[7] = pullNorm2(dy)
		dsum, dw[0], dw[1] = pullNorm1(Add(dsum, pullSecond(dsum, dw[8:12])))
		return Add(dsum, pullFirst(dsum, dw[2:6]))
	}
}

// attend is self-attention with its products in and out and dropout behind it.
func (v view) attend(x *Node, w []*Node, layer int) (y *Node, pull func(dy *Node, dw []*Node) (dx *Node)) {
	c := v.config
	qkv, pullQKV := dense(c.compute(x), w[0], w[1])
	mixed, pullAttention := v.attention(qkv, layer)
	out, pullOut := dense(mixed, w[2], w[3])
	y, pullDropout := v.dropout(ConvertDType(out, x.DType()), attendedSite(layer))
	return y, func(dy *Node, dw []*Node) (dx *Node) {
		dx, dw[2], dw[3] = pullOut(c.compute(pullDropout(dy)))
		dx, dw[0], dw[1] = pullQKV(pullAttention(dx))
		return ConvertDType(dx, x.DType())
	}
}

// mlp is the perceptron with one hidden layer, and dropout behind it.
func (v view) mlp(x *Node, w []*Node, layer int) (y *Node, pull func(dy *Node, dw []*Node) (dx *Node)) {
	c := v.config
	up, pullUp := dense(c.compute(x), w[0], w[1])
	active, pullActive := c.activation(up)
	down, pullDown := dense(active, w[2], w[3])
	y, pullDropout := v.dropout(ConvertDType(down, x.DType()), mlpSite(layer))
	return y, func(dy *Node, dw []*Node) (dx *Node) {
		dx, dw[2], dw[3] = pullDown(c.compute(pullDropout(dy)))
		dx, dw[0], dw[1] = pullUp(pullActive(dx))
		return ConvertDType(dx, x.DType())
	}
}

// activation is the kind's GELU.
func (c Config) activation(x *Node) (y *Node, pull func(dy *Node) (dx *Node)) {
	if c.Is(GPT) {
		return tanhGELU(x)
	}
	return gelu(x)
}
