package model

import (
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/support/exceptions"
)

// A Batch is what one pass over the model reads: b rows of s tokens. A ViT's tokens
// are the class token and the patches behind it, row by row. Absent inputs are nil.
//
// Documents and Positions are there for rows that hold several documents side by
// side, both or neither. Without them each row is one document that begins at
// position 0. With them a token attends to the tokens of its own document only, so
// the losses of a row are those of its documents alone. Padding is a document too:
// any number that no real document of its row has, at position 0.
type Batch struct {
	Inputs    *Node   // int32 [b, s]: token ids; nil for a ViT
	Pixels    *Node   // uint8 [b, height*width*channels], row by row, channels last: a ViT's images
	Labels    *Node   // int32 [b, s], of a ViT [b]: what is to be predicted; negative: nothing
	Predicted *Node   // int32 [b, m]: the places of a BERT's rows that predict; nil: all
	Segments  *Node   // int32 [b, s]: token types of a BERT; nil: all 0
	Kept      []*Node // for each routed layer int32 [b, k]: ascending places in the row; nil: every layer sees every token
	Documents *Node   // int32 [b, s]: which document of its row a token belongs to
	Positions *Node   // int32 [b, s]: a token's place in its document, 0 to Context-1
	Noise     *Node   // uint32 [b, s]: a random word for each token, of which dropout is made; nil: none is dropped out
}

// Loss builds the graph of the summed cross-entropy of a batch in nats, a
// scalar. weights are the values of Params, in that order. It panics on shapes
// that do not fit, as graph functions of GoMLX do.
func (c Config) Loss(weights []*Node, batch Batch) *Node {
	return ReduceAllSum(c.Losses(weights, batch))
}

// Losses builds the graph of the cross-entropy of each label in nats, before Loss
// sums them: [b*s], or [b*m] of Predicted places, or [b] of a ViT. It is 0 where
// nothing is predicted.
func (c Config) Losses(weights []*Node, batch Batch) *Node {
	losses, _ := c.pass(weights, batch)
	return losses
}

// Evaluate builds the graph of Losses and of which labels the model gets right: 1
// where the most likely answer is the label, else 0, as Losses in shape and type.
func (c Config) Evaluate(weights []*Node, batch Batch) (losses, correct *Node) {
	exceptions.Panicf("model: Evaluate is not there yet")
	return nil, nil
}

// Logits builds the graph of the scores of all answers, unnormalized logarithms of
// their probabilities: [b, Vocabulary] at one place of each row, at int32 [b], or
// [b, Classes] of a ViT, whose at is nil.
func (c Config) Logits(weights []*Node, batch Batch, at *Node) *Node {
	exceptions.Panicf("model: Logits is not there yet")
	return nil
}

// Gradients builds the graph of Losses, flattened, and of the gradient of their sum
// with respect to each weight, scaled by the scalar scale (1 over the number of
// labels makes them the gradient of the mean loss).
func (c Config) Gradients(weights []*Node, batch Batch, scale *Node) (losses *Node, gradients []*Node) {
	losses, pull := c.pass(weights, batch)
	return losses, pull(scale)
}

// pass runs the model forward. It returns the loss of each token, [b*s], and the
// pullback of their sum.
func (c Config) pass(weights []*Node, batch Batch) (losses *Node, pull func(scale *Node) []*Node) {
	if !c.Is(GPT) || c.Positions == Rotary || c.Shared || c.Dropout > 0 {
		exceptions.Panicf("model: no graph of a %v yet", c)
	}
	b, s := batch.Inputs.Shape().Dimensions[0], batch.Inputs.Shape().Dimensions[1]
	if (batch.Documents == nil) != (batch.Positions == nil) {
		exceptions.Panicf("model: a batch has documents without positions, or positions without documents; give both or neither")
	}
	tokens, places := weights[0], weights[1]
	x, pullEmbed := embed(batch.Inputs, batch.Positions, tokens, places)

	pulls := make([]func(dy *Node) (*Node, []*Node), c.Layers)
	routed := 0 // how many routed layers came before
	for l := range c.Layers {
		w := weights[2+perLayer*l : 2+perLayer*(l+1)]
		if routed < len(batch.Kept) && c.Routed[routed] == l {
			x, pulls[l] = routedBlock(x, w, batch.Kept[routed], batch.Documents, b, s, c.Heads)
			routed++
			continue
		}
		x, pulls[l] = fullBlock(x, w, batch.Documents, b, s, c.Heads)
	}

	last := 2 + perLayer*c.Layers
	normed, pullNorm := layerNorm(x, weights[last], weights[last+1])
	head := tokens
	if c.Untied {
		head = weights[last+2]
	}
	logits := matmul(normed, transpose(head))
	losses, pullLoss := crossEntropy(logits, Reshape(batch.Labels, b*s))

	return losses, func(scale *Node) []*Node {
		gradients := make([]*Node, len(weights))
		dlogits := pullLoss(scale)
		dhead := weightGradient(dlogits, normed)
		dx, dscale, dshift := pullNorm(matmul(dlogits, head))
		gradients[last], gradients[last+1] = dscale, dshift
		for l := c.Layers - 1; l >= 0; l-- {
			var dw []*Node
			dx, dw = pulls[l](dx)
			copy(gradients[2+perLayer*l:], dw)
		}
		gradients[0], gradients[1] = pullEmbed(dx)
		if c.Untied {
			gradients[last+2] = dhead
		} else {
			gradients[0] = Add(gradients[0], dhead)
		}
		return gradients
	}
}

// embed returns the tokens' embeddings plus those of their positions, [n, d].
// positions [b, s] are indices into the table places; nil: each row counts from 0.
func embed(inputs, positions, tokens, places *Node) (x *Node, pull func(dx *Node) (dtokens, dplaces *Node)) {
	g := inputs.Graph()
	b, s := inputs.Shape().Dimensions[0], inputs.Shape().Dimensions[1]
	context, d := places.Shape().Dimensions[0], places.Shape().Dimensions[1]
	id := Reshape(inputs, b*s, 1)
	if positions != nil {
		at := Reshape(positions, b*s, 1)
		return Add(Gather(tokens, id), Gather(places, at)), func(dx *Node) (dtokens, dplaces *Node) {
			return Scatter(id, dx, tokens.Shape(), false, false), Scatter(at, dx, places.Shape(), false, false)
		}
	}
	place := Slice(places, AxisRange(0, s))
	x = Reshape(Add(Reshape(Gather(tokens, id), b, s, d), ExpandLeftToRank(place, 3)), b*s, d)
	return x, func(dx *Node) (dtokens, dplaces *Node) {
		dtokens = Scatter(id, dx, tokens.Shape(), false, false)
		dplace := Reshape(columnSums(Reshape(dx, b, s*d)), s, d)
		if s < context {
			rest := Zeros(g, shapes.Make(dx.DType(), context-s, d))
			dplace = Concatenate([]*Node{dplace, rest}, 0)
		}
		return dtokens, dplace
	}
}

// fullBlock runs a block on every token of x [n, d]. documents [b, s] are those of
// Batch, or nil.
func fullBlock(x *Node, w []*Node, documents *Node, b, s, heads int) (y *Node, pull func(dy *Node) (*Node, []*Node)) {
	delta, pullDelta := block(x, w, documents, b, s, heads)
	return Add(x, delta), func(dy *Node) (*Node, []*Node) {
		dx, dw := pullDelta(dy)
		return Add(dy, dx), dw
	}
}

// routedBlock runs a block on the kept tokens only, kept [b, k]. What the
// block adds to the residual stream is added at their places; the others pass
// through unchanged, and so do their gradients (random-LTD, arXiv 2211.11586,
// section 3.1). The kept tokens bring their documents; their positions they carry
// in x since the embedding.
func routedBlock(x *Node, w []*Node, kept, documents *Node, b, s, heads int) (y *Node, pull func(dy *Node) (*Node, []*Node)) {
	g := x.Graph()
	k := kept.Shape().Dimensions[1]
	firsts := MulScalar(Iota(g, shapes.Make(dtypes.Int32, b, k), 0), s)
	at := Reshape(Add(kept, firsts), b*k, 1) // places in x
	part := Gather(x, at)
	if documents != nil {
		documents = Reshape(Gather(Reshape(documents, b*s), at), b, k)
	}
	delta, pullDelta := block(part, w, documents, b, k, heads)
	return ScatterSum(x, at, delta, true, true), func(dy *Node) (*Node, []*Node) {
		dpart, dw := pullDelta(Gather(dy, at))
		return ScatterSum(dy, at, dpart, true, true), dw
	}
}

// block is one pre-norm transformer block over x [n, d], n = b*s. It returns
// what the block adds to the residual stream: attention, then the MLP. documents
// [b, s] bound the attention, if not nil.
func block(x *Node, w []*Node, documents *Node, b, s, heads int) (delta *Node, pull func(ddelta *Node) (dx *Node, dw []*Node)) {
	n1, pullNorm1 := layerNorm(x, w[0], w[1])
	qkv, pullQKV := dense(n1, w[2], w[3])
	mixed, pullAttention := attention(qkv, documents, b, s, heads)
	first, pullOut := dense(mixed, w[4], w[5])
	middle := Add(x, first)
	n2, pullNorm2 := layerNorm(middle, w[6], w[7])
	up, pullUp := dense(n2, w[8], w[9])
	active, pullActive := gelu(up)
	second, pullDown := dense(active, w[10], w[11])
	return Add(first, second), func(ddelta *Node) (*Node, []*Node) {
		dw := make([]*Node, perLayer)
		var dactive, dn2, dmiddle, dmixed, dn1, dx *Node
		dactive, dw[10], dw[11] = pullDown(ddelta)
		dn2, dw[8], dw[9] = pullUp(pullActive(dactive))
		dmiddle, dw[6], dw[7] = pullNorm2(dn2)
		dmixed, dw[4], dw[5] = pullOut(Add(ddelta, dmiddle))
		dn1, dw[2], dw[3] = pullQKV(pullAttention(dmixed))
		dx, dw[0], dw[1] = pullNorm1(dn1)
		return Add(dmiddle, dx), dw
	}
}
