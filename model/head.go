package model

import (
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
)

// answers returns the states that are to give answers, the labels of each, flat, and
// the pullback to all states x [b*s, d].
func (c Config) answers(x *Node, batch Batch) (states, labels *Node, pull func(dstates *Node) (dx *Node)) {
	labels = Reshape(batch.Labels, batch.Labels.Shape().Size())
	if c.Is(ViT) {
		states, pull = classTokens(x, batch.rows())
		return states, labels, pull
	}
	if batch.Predicted == nil {
		return x, labels, func(dstates *Node) *Node { return dstates }
	}
	at := flatPlaces(batch.Predicted, batch.length())
	return Gather(x, at), Gather(labels, at), func(dstates *Node) *Node {
		return Scatter(at, dstates, x.Shape(), false, false)
	}
}

// classTokens returns the first token of each of b rows of x, as [b, d].
func classTokens(x *Node, b int) (class *Node, pull func(dclass *Node) (dx *Node)) {
	n, d := x.Shape().Dimensions[0], x.Shape().Dimensions[1]
	wide := Reshape(x, b, n/b*d)
	return Slice(wide, AxisRange(), AxisRange(0, d)), func(dclass *Node) *Node {
		rest := Zeros(x.Graph(), shapes.Make(dclass.DType(), b, (n/b-1)*d))
		return Reshape(Concatenate([]*Node{dclass, rest}, 1), n, d)
	}
}

// head returns the logits [n, answers] of states x [n, d], in the type of x, and
// the pullback, which writes the gradients of the head's weights and begins that of
// the token embedding where it is the head.
func (c Config) head(x *Node, w parts) (logits *Node, pull func(dlogits *Node, dw parts) (dx *Node)) {
	switch {
	case c.Is(BERT):
		return c.headBERT(x, w)
	case c.Is(ViT):
		normed, pullNorm := layerNorm(x, w.head[0], w.head[1], c.epsilon())
		logits, pullClassify := dense(c.compute(normed), w.head[2], w.head[3])
		return ConvertDType(logits, x.DType()), func(dlogits *Node, dw parts) (dx *Node) {
			dx, dw.head[2], dw.head[3] = pullClassify(c.compute(dlogits))
			dx, dw.head[0], dw.head[1] = pullNorm(ConvertDType(dx, x.DType()))
			return dx
		}
	}
	normed, pullNorm := layerNorm(x, w.head[0], w.head[1], c.epsilon())
	logits, pullDecode := c.decode(normed, w, 2)
	return logits, func(dlogits *Node, dw parts) (dx *Node) {
		dx, dw.head[0], dw.head[1] = pullNorm(pullDecode(dlogits, dw))
		return dx
	}
}

// headBERT is a dense layer with GELU and a norm, and the token embedding with a
// bias behind it (the masked-language model of Devlin et al.'s code).
func (c Config) headBERT(x *Node, w parts) (logits *Node, pull func(dlogits *Node, dw parts) (dx *Node)) {
	h := w.head
	y, pullDense := dense(c.compute(x), h[0], h[1])
	active, pullActive := c.activation(y)
	normed, pullNorm := layerNorm(ConvertDType(active, x.DType()), h[2], h[3], c.epsilon())
	products, pullDecode := c.decode(normed, w, 5)
	return Add(products, row(h[4])), func(dlogits *Node, dw parts) (dx *Node) {
		dw.head[4] = columnSums(dlogits)
		dx, dw.head[2], dw.head[3] = pullNorm(pullDecode(dlogits, dw))
		dx, dw.head[0], dw.head[1] = pullDense(pullActive(c.compute(dx)))
		return ConvertDType(dx, x.DType())
	}
}

// decode multiplies x [n, d] with the table of answers [v, d]: the token embedding,
// or weight own of an untied head.
func (c Config) decode(x *Node, w parts, own int) (logits *Node, pull func(dlogits *Node, dw parts) (dx *Node)) {
	table := w.embed[0]
	if c.Untied {
		table = w.head[own]
	}
	narrow, narrowTable := c.compute(x), c.compute(table)
	logits = ConvertDType(matmul(narrow, transpose(narrowTable)), x.DType())
	return logits, func(dlogits *Node, dw parts) (dx *Node) {
		dlogits = c.compute(dlogits)
		dtable := ConvertDType(weightGradient(dlogits, narrow), table.DType())
		if c.Untied {
			dw.head[own] = dtable
		} else {
			add(dw.embed, 0, dtable)
		}
		return ConvertDType(matmul(dlogits, narrowTable), x.DType())
	}
}

// crossEntropy returns -log softmax(logits)[label] of n tokens, for logits [n, v]
// and labels [n]; tokens with a negative label count nothing. The pullback gives
// the gradient of weight times their sum, for a scalar weight.
func crossEntropy(logits, labels *Node) (losses *Node, pull func(weight *Node) *Node) {
	g := logits.Graph()
	n := logits.Shape().Dimensions[0]
	counts := ConvertDType(GreaterOrEqual(labels, ScalarZero(g, labels.DType())), logits.DType()) // [n], 1 or 0
	// at points at each token's label in logits, as (token, label) pairs [n, 2].
	label := Max(labels, ScalarZero(g, labels.DType()))
	at := Concatenate([]*Node{
		Iota(g, shapes.Make(dtypes.Int32, n, 1), 0),
		ConvertDType(ExpandDims(label, -1), dtypes.Int32),
	}, -1)

	shifted := Sub(logits, ReduceAndKeep(logits, ReduceMax, -1))
	exp := Exp(shifted)
	total := ReduceAndKeep(exp, ReduceSum, -1) // [n, 1]
	losses = Mul(Sub(Reshape(Log(total), n), Gather(shifted, at)), counts)
	return losses, func(weight *Node) *Node {
		share := Mul(counts, weight)
		probabilities := Mul(exp, Div(ExpandDims(share, -1), total))
		return ScatterSum(probabilities, at, Neg(share), true, true)
	}
}
