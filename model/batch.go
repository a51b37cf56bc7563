package model

import (
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

// Gradients builds the graph of Losses and of the gradient of their sum with respect
// to each weight, scaled by the scalar scale (1 over the number of labels makes
// them the gradient of the mean loss).
func (c Config) Gradients(weights []*Node, batch Batch, scale *Node) (losses *Node, gradients []*Node) {
	losses, pull := c.pass(weights, batch)
	return losses, pull(scale)
}

// Evaluate builds the graph of Losses and of which labels the model gets right: 1
// where the most likely answer is the label, else 0, as Losses in shape and type.
func (c Config) Evaluate(weights []*Node, batch Batch) (losses, correct *Node) {
	w := c.split(weights)
	x, _ := c.body(w, batch)
	x, labels, _ := c.answers(x, batch)
	logits, _ := c.head(x, w)
	losses, _ = crossEntropy(logits, labels)
	right := Equal(ArgMax(logits, -1, labels.DType()), labels)
	return losses, ConvertDType(right, losses.DType())
}

// Logits builds the graph of the scores of all answers, unnormalized logarithms of
// their probabilities: [b, Vocabulary] at one place of each row, at int32 [b], or
// [b, Classes] of a ViT, whose at is nil.
func (c Config) Logits(weights []*Node, batch Batch, at *Node) *Node {
	w := c.split(weights)
	x, _ := c.body(w, batch)
	if c.Is(ViT) {
		x, _ = classTokens(x, batch.rows())
	} else {
		x = Gather(x, flatPlaces(ExpandDims(at, -1), batch.length()))
	}
	logits, _ := c.head(x, w)
	return logits
}

// pass runs the model forward. It returns the loss of each label and the pullback
// of their sum.
func (c Config) pass(weights []*Node, batch Batch) (losses *Node, pull func(scale *Node) []*Node) {
	w := c.split(weights)
	x, pullBody := c.body(w, batch)
	x, labels, pullAnswers := c.answers(x, batch)
	logits, pullHead := c.head(x, w)
	losses, pullLoss := crossEntropy(logits, labels)
	return losses, func(scale *Node) []*Node {
		gradients := make([]*Node, len(weights))
		dw := c.split(gradients)
		pullBody(pullAnswers(pullHead(pullLoss(scale), dw)), dw)
		return gradients
	}
}

// parts are a list in the order of Params, weights or their gradients, taken apart.
type parts struct {
	embed  []*Node
	layers [][]*Node // perLayer each
	head   []*Node
}

// split takes a list in the order of Params apart. What is written into the parts
// is written into the list.
func (c Config) split(list []*Node) parts {
	n := map[string]int{GPT: 2, BERT: 5, ViT: 4}[c.kind()]
	if c.Positions == Rotary {
		n--
	}
	p := parts{embed: list[:n]}
	for range c.Layers {
		p.layers = append(p.layers, list[n:n+perLayer])
		n += perLayer
	}
	p.head = list[n:]
	return p
}

func (b Batch) rows() int {
	if b.Inputs == nil {
		return b.Pixels.Shape().Dimensions[0]
	}
	return b.Inputs.Shape().Dimensions[0]
}

// length is the number of tokens of a row. A ViT's is its Context.
func (b Batch) length() int { return b.Inputs.Shape().Dimensions[1] }

// check panics on a batch that this model does not read.
func (c Config) check(b Batch) {
	if (b.Documents == nil) != (b.Positions == nil) {
		exceptions.Panicf("model: a batch has documents without positions, or positions without documents; give both or neither")
	}
	if n := len(b.Kept); n != 0 && n != len(c.Routed) {
		exceptions.Panicf("model: a batch keeps positions for %d layers, and %d are routed", n, len(c.Routed))
	}
	if c.Is(ViT) {
		if b.Pixels == nil || b.Inputs != nil || b.Documents != nil {
			exceptions.Panicf("model: a ViT reads pixels, and neither tokens nor documents")
		}
		return
	}
	if b.Inputs == nil || b.Pixels != nil {
		exceptions.Panicf("model: a %s reads tokens, and no pixels", kindNames[c.kind()])
	}
	if s := b.length(); b.Positions == nil && s > c.Context {
		exceptions.Panicf("model: rows of %d tokens, and the context is %d", s, c.Context)
	}
	if !c.Is(BERT) && (b.Predicted != nil || b.Segments != nil) {
		exceptions.Panicf("model: only a BERT reads predicted places and segments")
	}
}
