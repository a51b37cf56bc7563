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

// dense returns x·w + bias for x [n, k], w [k, m] and bias [m], in the type of x.
// The gradients of w and bias are in theirs.
func dense(x, w, bias *Node) (y *Node, pull func(dy *Node) (dx, dw, dbias *Node)) {
	narrow := ConvertDType(w, x.DType())
	y = Add(matmul(x, narrow), row(ConvertDType(bias, x.DType())))
	return y, func(dy *Node) (dx, dw, dbias *Node) {
		return matmul(dy, transpose(narrow)), ConvertDType(weightGradient(x, dy), w.DType()), columnSums(ConvertDType(dy, bias.DType()))
	}
}

// layerNorm scales each row of x [n, d] to mean 0 and variance 1, then by scale
// and shift [d] (Ba et al., arXiv 1607.06450). epsilon keeps it finite on constant
// rows.
func layerNorm(x, scale, shift *Node, epsilon float64) (y *Node, pull func(dy *Node) (dx, dscale, dshift *Node)) {
	y, unit, inverse := norm(x, scale, shift, epsilon)
	return y, func(dy *Node) (dx, dscale, dshift *Node) {
		dunit := Mul(dy, row(scale))
		along := ReduceAndKeep(Mul(dunit, unit), ReduceMean, -1)
		mean := ReduceAndKeep(dunit, ReduceMean, -1)
		dx = Mul(Sub(Sub(dunit, mean), Mul(unit, along)), inverse)
		return dx, columnSums(Mul(dy, unit)), columnSums(dy)
	}
}

// norm returns layerNorm's result, its rows before scale and shift, and 1 over their
// deviations [n, 1]. A backend's fused kernel gives the first two in a quarter of
// the time that a mean, a variance and four operations that spread a row or a
// column take on the Go backend; the deviation r follows from them: with
// variance/r = mean(x*unit) = q and r^2 = variance + epsilon, r^2 - q*r = epsilon.
func norm(x, scale, shift *Node, epsilon float64) (y, unit, inverse *Node) {
	centered := Sub(x, ReduceAndKeep(x, ReduceMean, -1))
	variance := ReduceAndKeep(Square(centered), ReduceMean, -1)
	inverse = Reciprocal(Sqrt(AddScalar(variance, epsilon)))
	last := []int{1}
	unit, fused := InternalFusedOpCaller(
		func() *Node { return BackendFusedLayerNorm(x, last, epsilon, nil, nil) },
		func() *Node { return Mul(centered, inverse) }, true)
	y, _ = InternalFusedOpCaller(
		func() *Node { return BackendFusedLayerNorm(x, last, epsilon, scale, shift) },
		func() *Node { return Add(Mul(unit, row(scale)), row(shift)) }, true)
	if fused {
		q := ReduceAndKeep(Mul(x, unit), ReduceMean, -1)
		root := Sqrt(AddScalar(Square(q), 4*epsilon))
		inverse = MulScalar(Reciprocal(Add(q, root)), 2)
	}
	return y, unit, inverse
}

// tanhGELU is GPT-2's activation, the tanh form of Hendrycks and Gimpel (arXiv
// 1606.08415): x/2 * (1 + tanh(k*(x + c*x^3))). It computes in float32 at least.
func tanhGELU(x *Node) (y *Node, pull func(dy *Node) *Node) {
	const c = 0.044715
	k := math.Sqrt(2 / math.Pi)
	dtype := x.DType()
	x = widen(x)
	square := Square(x)
	t := Tanh(Mul(x, AddScalar(MulScalar(square, k*c), k)))
	half := MulScalar(AddScalar(t, 1), 0.5)
	wide := Mul(x, half)
	return ConvertDType(wide, dtype), func(dy *Node) *Node {
		// dy/dx = (1+t)/2 + x/2 * (1-t^2) * (k + 3*k*c*x^2), and
		// (1-t^2)/2 = (1+t)/2 * (1-t) = half * (2 - 2*half).
		slope := AddScalar(MulScalar(square, 3*k*c), k)
		bend := Mul(Mul(wide, AddScalar(MulScalar(half, -2), 2)), slope)
		return ConvertDType(Mul(widen(dy), Add(half, bend)), dtype)
	}
}

// gelu is the activation of BERT and ViT, the exact form (arXiv 1606.08415): x times
// the normal distribution at x, x/2 * (1 + erf(x/sqrt(2))). It computes in float32
// at least.
func gelu(x *Node) (y *Node, pull func(dy *Node) *Node) {
	dtype := x.DType()
	x = widen(x)
	half := MulScalar(AddScalar(Erf(MulScalar(x, math.Sqrt2/2)), 1), 0.5)
	return ConvertDType(Mul(x, half), dtype), func(dy *Node) *Node {
		// dy/dx = half + x times the normal density.
		density := MulScalar(Exp(MulScalar(Square(x), -0.5)), 1/math.Sqrt(2*math.Pi))
		return ConvertDType(Mul(widen(dy), Add(half, Mul(x, density))), dtype)
	}
}

// flatPlaces returns places [b, k] in rows of s tokens as places [b*k, 1] in the
// rows laid end to end.
func flatPlaces(places *Node, s int) *Node {
	b, k := places.Shape().Dimensions[0], places.Shape().Dimensions[1]
	firsts := MulScalar(Iota(places.Graph(), shapes.Make(dtypes.Int32, b, k), 0), s)
	return Reshape(Add(places, firsts), b*k, 1)
}

// replacing returns where replace finds each of n rows, [n, 1], when those at the
// places at [k, 1] are replaced: row i itself, or row n+j for the j-th of at.
func replacing(at *Node, n int) *Node {
	g := at.Graph()
	k := at.Shape().Dimensions[0]
	fresh := AddScalar(Iota(g, shapes.Make(dtypes.Int32, k, 1), 0), n)
	return ScatterSum(Iota(g, shapes.Make(dtypes.Int32, n, 1), 0), at, Sub(fresh, at), true, true)
}

// replace returns x [n, d] with some of its rows replaced by those of part [k, d].
func replace(x, part, source *Node) *Node {
	return Gather(Concatenate([]*Node{x, part}, 0), source)
}
