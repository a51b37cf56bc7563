package model

import (
	"math"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/support/exceptions"
)

// attention is multi-head self-attention over qkv [n, 3d], the queries, keys and
// values of the view's tokens side by side; it returns [n, d]. In a causal model
// the tokens of a row must stand in the order of their positions; they need not be
// neighbours, so a routed layer's kept tokens attend to the kept tokens before
// them.
func (v view) attention(qkv *Node, layer int) (y *Node, pull func(dy *Node) (dqkv *Node)) {
	b, s, h := v.rows, v.length, v.config.Heads
	d := qkv.Shape().Dimensions[1] / 3
	e := d / h
	split := Reshape(qkv, b, s, 3, h, e)
	part := func(i int) *Node { return Reshape(Slice(split, AxisRange(), AxisRange(), AxisElem(i)), b, s, h, e) }
	queries, keys, values := v.turn(part(0), false), v.turn(part(1), false), part(2)

	inner := v.innerAttention
	if v.fusible() {
		inner = v.fusedAttention
	}
	mixed, pullInner := inner(queries, keys, values, layer)
	return Reshape(mixed, b*s, d), func(dy *Node) *Node {
		dq, dk, dv := pullInner(Reshape(dy, b, s, h, e))
		flat := func(x *Node) *Node { return Reshape(x, b*s, d) }
		return Concatenate([]*Node{flat(v.turn(dq, true)), flat(v.turn(dk, true)), flat(dv)}, -1)
	}
}

// innerAttention returns softmax(queries·keysᵀ/sqrt(e) + mask)·values, all [b, s, h, e].
func (v view) innerAttention(queries, keys, values *Node, layer int) (mixed *Node, pull func(dmixed *Node) (dq, dk, dv *Node)) {
	b, s, h, e := v.rows, v.length, v.config.Heads, queries.Shape().Dimensions[3]
	// The products run over b*h heads at once: [b*h, s, e], or flipped [b*h, e, s].
	toHeads := func(x *Node) *Node { return Reshape(TransposeAllAxes(x, 0, 2, 1, 3), b*h, s, e) }
	toFlipped := func(x *Node) *Node { return Reshape(TransposeAllAxes(x, 0, 2, 3, 1), b*h, e, s) }
	fromHeads := func(x *Node) *Node { return TransposeAllAxes(Reshape(x, b, h, s, e), 0, 2, 1, 3) }
	fromFlipped := func(x *Node) *Node { return TransposeAllAxes(Reshape(x, b, h, e, s), 0, 3, 1, 2) }

	scale := 1 / math.Sqrt(float64(e))
	q := MulScalar(toHeads(queries), scale)
	scores := widen(batchMatmul(q, toFlipped(keys))) // [b*h, s, s]
	if v.mask != nil {
		scores = Add(scores, v.mask)
	}
	weights := Softmax(scores, -1)
	survives := v.attentionDropout(layer, weights.DType())
	dropped := multiply(weights, survives)
	narrow := ConvertDType(dropped, q.DType())
	out := batchMatmul(narrow, toHeads(values))
	return fromHeads(out), func(dmixed *Node) (dq, dk, dv *Node) {
		dout := toHeads(dmixed)
		dweights := multiply(widen(batchMatmul(dout, toFlipped(values))), survives)
		// The softmax's gradient needs sum_k weights*dweights, which is dout·out.
		along := ReduceAndKeep(Mul(widen(dout), widen(out)), ReduceSum, -1) // [b*h, s, 1]
		dscores := ConvertDType(Mul(weights, Sub(dweights, along)), q.DType())
		dq = fromHeads(MulScalar(batchMatmul(dscores, toHeads(keys)), scale))
		// Keys and values sum over queries. Of the two factors the small one is
		// transposed: [s, e], and not [s, s].
		dk = fromFlipped(batchMatmul(transpose(q), dscores))
		dv = fromFlipped(batchMatmul(transpose(dout), narrow))
		return dq, dk, dv
	}
}

// multiply returns x*factor, or x if there is no factor.
func multiply(x, factor *Node) *Node {
	if factor == nil {
		return x
	}
	return Mul(x, factor)
}

// widen returns x in the type that sums are made in.
func widen(x *Node) *Node {
	if x.DType() == dtypes.BFloat16 {
		return ConvertDType(x, dtypes.Float32)
	}
	return x
}

// attentionMask returns what is added to the scores of queries (axis 1) and keys
// (axis 2), [b*h, s, s]: 0 where the query sees the key, which then stands in its
// document and, in a causal model, at its place or before; -1e9 elsewhere, which is
// exp's 0 in float32 and float64, and leaves no infinity to subtract. Every query
// sees itself. It returns nil where every query sees every key.
//
// There is a copy for each row and head: the Go backend adds equal shapes three
// times as fast as it spreads one over the heads, and the mask is made once for all
// layers that see the same tokens.
func (v view) attentionMask(g *Graph, dtype dtypes.DType) *Node {
	b, s, h := v.rows, v.length, v.config.Heads
	var hidden *Node // [1 or b, s, s]
	if v.config.Is(GPT) {
		query := Iota(g, shapes.Make(dtypes.Int32, 1, s, s), 1)
		key := Iota(g, shapes.Make(dtypes.Int32, 1, s, s), 2)
		hidden = GreaterThan(key, query)
	}
	if v.documents != nil {
		others := NotEqual(Reshape(v.documents, b, s, 1), Reshape(v.documents, b, 1, s))
		if hidden != nil {
			others = LogicalOr(BroadcastToDims(hidden, b, s, s), others)
		}
		hidden = others
	}
	if hidden == nil {
		return nil
	}
	mask := Where(hidden, Scalar(g, dtype, -1e9), Scalar(g, dtype, 0))
	return Reshape(BroadcastToDims(ExpandDims(mask, 1), b, h, s, s), b*h, s, s)
}

// angles returns the cosines and sines by which the view's positions turn each pair
// of a head, [b, s, h, e/2]: at position p pair i turns by p*base^(-2i/e) (Su et al.,
// arXiv 2104.09864, section 3.2.2). They are computed here in float64 and not in the
// graph, so that all backends have the same.
func (v view) angles(g *Graph, dtype dtypes.DType) (cos, sin *Node) {
	b, s, h := v.rows, v.length, v.config.Heads
	e := v.config.Width / h
	places := v.config.Context
	if v.positions == nil {
		places = s
	}
	table := make([][][]float64, 2)
	for i := range table {
		table[i] = make([][]float64, places)
		for p := range table[i] {
			table[i][p] = make([]float64, e/2)
			for k := range table[i][p] {
				angle := float64(p) * math.Pow(rotaryBase, -2*float64(k)/float64(e))
				table[i][p][k] = []func(float64) float64{math.Cos, math.Sin}[i](angle)
			}
		}
	}
	spread := func(table [][]float64) *Node {
		x := ConstAsDType(g, dtype, table)
		rows := 1
		if v.positions != nil {
			x, rows = Gather(x, Reshape(v.positions, b*s, 1)), b
		}
		return BroadcastToDims(Reshape(x, rows, s, 1, e/2), b, s, h, e/2)
	}
	return spread(table[0]), spread(table[1])
}

// turn turns queries or keys x [b, s, h, e] by their positions, or back: number i of
// a head and number i+e/2 are a pair. Without rotary positions it returns x.
func (v view) turn(x *Node, back bool) *Node {
	if v.cos == nil {
		return x
	}
	half := x.Shape().Dimensions[3] / 2
	first := Slice(x, AxisRange(), AxisRange(), AxisRange(), AxisRange(0, half))
	second := Slice(x, AxisRange(), AxisRange(), AxisRange(), AxisRange(half))
	across := Mul(second, v.sin)
	if back {
		return Concatenate([]*Node{Add(Mul(first, v.cos), across), Sub(Mul(second, v.cos), Mul(first, v.sin))}, -1)
	}
	return Concatenate([]*Node{Sub(Mul(first, v.cos), across), Add(Mul(second, v.cos), Mul(first, v.sin))}, -1)
}

// fusible reports whether the backend's fused attention can do what the view asks
// of it: it knows causal order, but neither documents nor dropout from noise.
func (v view) fusible() bool {
	return v.config.Fused && v.documents == nil && (v.noise == nil || v.config.Dropout == 0)
}

// fusedAttention is innerAttention by the backend's kernel, whose scores never reach
// memory. Where the backend has none for this case it is innerAttention itself.
func (v view) fusedAttention(queries, keys, values *Node, layer int) (mixed *Node, pull func(dmixed *Node) (dq, dk, dv *Node)) {
	options := &compute.ScaledDotProductAttentionConfig{Causal: v.config.Is(GPT)}
	err := exceptions.TryCatch[error](func() {
		var states []*Node
		mixed, states = BackendFusedScaledDotProductAttention(queries, keys, values, compute.AttentionAxesLayoutBSHD, options)
		if len(states) == 0 { // no gradient
			mixed = nil
		}
	})
	if err != nil && !compute.IsNotImplemented(err) {
		panic(err)
	}
	if mixed == nil {
		return v.innerAttention(queries, keys, values, layer)
	}
	return mixed, func(dmixed *Node) (dq, dk, dv *Node) {
		// The kernel's own pullback is reached by differentiating mixed·dmixed.
		product := ReduceAllSum(Mul(widen(mixed), StopGradient(widen(dmixed))))
		d := Gradient(product, queries, keys, values)
		return d[0], d[1], d[2]
	}
}
