package model

import (
	"math"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
)

// Shapes in this file: n tokens (rows of a batch laid end to end), b rows of s
// tokens, h heads of e numbers, d = h*e the width, v the vocabulary. A pullback
// takes the gradient of the loss with respect to an operation's result, of the
// result's shape, and returns the gradients with respect to its inputs.

// normEpsilon keeps a layer norm finite on constant rows; GPT-2's value.
const normEpsilon = 1e-5

// matmul returns a·b for a [n, k] and b [k, m].
func matmul(a, b *Node) *Node { return Einsum("nk,km->nm", a, b) }

// batchMatmul returns a·b for a [g, n, k] and b [g, k, m], for each of g.
func batchMatmul(a, b *Node) *Node { return Einsum("gnk,gkm->gnm", a, b) }

// transpose returns a matrix, or each of a batch of them, transposed.
func transpose(a *Node) *Node {
	axes := make([]int, a.Rank())
	for i := range axes {
		axes[i] = i
	}
	last := len(axes) - 1
	axes[last-1], axes[last] = last, last-1
	return TransposeAllAxes(a, axes...)
}

// columnSums returns the sums over the rows of a [n, m], as [m]. As a product
// with ones it runs ten times as fast as a reduction on the Go backend.
func columnSums(a *Node) *Node {
	ones := Ones(a.Graph(), shapes.Make(a.DType(), a.Shape().Dimensions[0]))
	return Einsum("n,nm->m", ones, a)
}

// row gives a vector the shape [1, m], to be added to or multiplied with rows.
func row(v *Node) *Node { return ExpandLeftToRank(v, 2) }

// weightGradient returns xᵀ·dy for x [n, k] and dy [n, m]. It transposes the
// narrower of the two.
func weightGradient(x, dy *Node) *Node {
	if x.Shape().Dimensions[1] <= dy.Shape().Dimensions[1] {
		return matmul(transpose(x), dy)
	}
	return transpose(matmul(transpose(dy), x))
}

// dense returns x·w + bias for x [n, k], w [k, m] and bias [m].
func dense(x, w, bias *Node) (y *Node, pull func(dy *Node) (dx, dw, dbias *Node)) {
	y = Add(matmul(x, w), row(bias))
	return y, func(dy *Node) (dx, dw, dbias *Node) {
		return matmul(dy, transpose(w)), weightGradient(x, dy), columnSums(dy)
	}
}

// layerNorm scales each row of x [n, d] to mean 0 and variance 1, then by scale
// and shift [d] (Ba et al., arXiv 1607.06450).
func layerNorm(x, scale, shift *Node) (y *Node, pull func(dy *Node) (dx, dscale, dshift *Node)) {
	centered := Sub(x, ReduceAndKeep(x, ReduceMean, -1))
	variance := ReduceAndKeep(Square(centered), ReduceMean, -1)
	inverse := Reciprocal(Sqrt(AddScalar(variance, normEpsilon))) // [n, 1]
	unit := Mul(centered, inverse)
	y = Add(Mul(unit, row(scale)), row(shift))
	return y, func(dy *Node) (dx, dscale, dshift *Node) {
		dunit := Mul(dy, row(scale))
		along := ReduceAndKeep(Mul(dunit, unit), ReduceMean, -1)
		mean := ReduceAndKeep(dunit, ReduceMean, -1)
		dx = Mul(Sub(Sub(dunit, mean), Mul(unit, along)), inverse)
		return dx, columnSums(Mul(dy, unit)), columnSums(dy)
	}
}

// gelu is GPT-2's activation, the tanh form of Hendrycks and Gimpel (arXiv
// 1606.08415): x/2 * (1 + tanh(k*(x + c*x^3))).
func gelu(x *Node) (y *Node, pull func(dy *Node) *Node) {
	const c = 0.044715
	k := math.Sqrt(2 / math.Pi)
	square := Square(x)
	t := Tanh(Mul(x, AddScalar(MulScalar(square, k*c), k)))
	half := MulScalar(AddScalar(t, 1), 0.5)
	y = Mul(x, half)
	return y, func(dy *Node) *Node {
		// dy/dx = (1+t)/2 + x/2 * (1-t^2) * (k + 3*k*c*x^2), and
		// (1-t^2)/2 = (1+t)/2 * (1-t) = half * (2 - 2*half).
		slope := AddScalar(MulScalar(square, 3*k*c), k)
		bend := Mul(Mul(y, AddScalar(MulScalar(half, -2), 2)), slope)
		return Mul(dy, Add(half, bend))
	}
}

// attention is causal multi-head self-attention over qkv [n, 3d], the queries,
// keys and values of b rows of s tokens side by side; it returns [n, d]. The
// tokens of a row must stand in the order of their positions; they need not be
// neighbours, so a routed layer's kept tokens attend to the kept tokens before
// them. documents [b, s] says which tokens of a row belong together: they see each
// other, and no others. nil: all of a row do.
func attention(qkv, documents *Node, b, s, h int) (y *Node, pull func(dy *Node) (dqkv *Node)) {
	g := qkv.Graph()
	d := qkv.Shape().Dimensions[1] / 3
	e := d / h
	split := Reshape(qkv, b, s, 3, h, e)
	// heads gives part i of qkv as [b*h, s, e]; flipped as [b*h, e, s].
	part := func(i int) *Node { return Reshape(Slice(split, AxisRange(), AxisRange(), AxisElem(i)), b, s, h, e) }
	toHeads := func(x *Node) *Node { return Reshape(TransposeAllAxes(x, 0, 2, 1, 3), b*h, s, e) }
	toFlipped := func(x *Node) *Node { return Reshape(TransposeAllAxes(x, 0, 2, 3, 1), b*h, e, s) }
	fromHeads := func(x *Node) *Node { return Reshape(TransposeAllAxes(Reshape(x, b, h, s, e), 0, 2, 1, 3), b*s, d) }

	scale := 1 / math.Sqrt(float64(e))
	q := MulScalar(toHeads(part(0)), scale)
	keysFlipped := toFlipped(part(1))
	values := toHeads(part(2))

	mask := attentionMask(g, qkv.DType(), documents, b, s, h)
	weights := Softmax(Add(batchMatmul(q, keysFlipped), mask), -1) // [b*h, s, s]
	out := batchMatmul(weights, values)
	return fromHeads(out), func(dy *Node) *Node {
		dout := toHeads(Reshape(dy, b, s, h, e))
		dweights := batchMatmul(dout, toFlipped(part(2)))
		// The softmax's gradient needs sum_k weights*dweights, which is dout·out.
		along := ReduceAndKeep(Mul(dout, out), ReduceSum, -1) // [b*h, s, 1]
		dscores := Mul(weights, Sub(dweights, along))
		dq := MulScalar(batchMatmul(dscores, toHeads(part(1))), scale)
		dk := batchMatmul(transpose(dscores), q)
		dv := batchMatmul(transpose(weights), dout)
		return Concatenate([]*Node{fromHeads(dq), fromHeads(dk), fromHeads(dv)}, -1)
	}
}

// attentionMask returns what is added to the scores of queries (axis 1) and keys
// (axis 2): 0 where the query sees the key, which then stands at its place or
// before and in its document; -1e9 elsewhere, which is exp's 0 in float32 and
// float64, and leaves no infinity to subtract. Every query sees itself.
//
// Without documents all rows share one mask, [1, s, s]. With them there is one for
// each row and head, [b*h, s, s]: the Go backend adds equal shapes three times as
// fast as it spreads one over the heads, and makes the mask once for all layers
// that see the same tokens.
func attentionMask(g *Graph, dtype dtypes.DType, documents *Node, b, s, h int) *Node {
	query := Iota(g, shapes.Make(dtypes.Int32, 1, s, s), 1)
	key := Iota(g, shapes.Make(dtypes.Int32, 1, s, s), 2)
	hidden := GreaterThan(key, query)
	if documents == nil {
		return Where(hidden, Scalar(g, dtype, -1e9), Scalar(g, dtype, 0))
	}
	others := NotEqual(Reshape(documents, b, s, 1), Reshape(documents, b, 1, s))
	mask := Where(LogicalOr(hidden, others), Scalar(g, dtype, -1e9), Scalar(g, dtype, 0)) // [b, s, s]
	return Reshape(BroadcastToDims(ExpandDims(mask, 1), b, h, s, s), b*h, s, s)
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
