package train

import (
	"math"
	"slices"

	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gradus-ml/gradus/internal/fault"
)

// An Optimizer is AdamW (Loshchilov and Hutter, arXiv 1711.05101): Adam with
// decay of the weights themselves, here of matrices only, not of norms, biases
// and embeddings.
type Optimizer struct {
	Beta1, Beta2 float64 // decay of the running means of the gradient and its square
	Epsilon      float64
	Decay        float64 // share of a weight that a step of rate 1 removes
	Clip         float64 // largest norm of the whole gradient; 0: no limit
}

// Validate reports impossible settings.
func (o Optimizer) Validate() error {
	switch {
	case !(o.Beta1 >= 0 && o.Beta1 < 1) || !(o.Beta2 >= 0 && o.Beta2 < 1):
		return fault.Invalidf("optimizer: betas [%v, %v]; both must lie in [0, 1)", o.Beta1, o.Beta2)
	case !(float32(o.Epsilon) > 0) || math.IsInf(float64(float32(o.Epsilon)), 0): // 0/0 for a token never seen
		return fault.Invalidf("optimizer: epsilon is %v; it must be positive and finite as a float32", o.Epsilon)
	case !(o.Decay >= 0) || math.IsInf(o.Decay, 0):
		return fault.Invalidf("optimizer: weight decay is %v; it must be finite and not negative", o.Decay)
	case !(o.Clip >= 0):
		return fault.Invalidf("optimizer: clip is %v; it must not be negative (0 is no limit)", o.Clip)
	}
	return nil
}

// rates returns what changes from step to step, for update number t from 1 of
// gradients of a norm: the learning rate, the factors that undo the moments' start
// at zero, the decay of the average of the weights, and the factor that clips.
func (e *engine) rates(rate, norm float64, t int64) []float32 {
	o, clip := e.optimizer, 1.0
	if o.Clip > 0 {
		clip = min(1, o.Clip/(norm+1e-6))
	}
	return []float32{
		float32(rate),
		float32(1 / (1 - math.Pow(o.Beta1, float64(t)))),
		float32(1 / (1 - math.Pow(o.Beta2, float64(t)))),
		float32(e.average.decayAt(t)),
		float32(clip),
	}
}

// squaresGraph returns the sum of each gradient's squares. A product with ones adds
// the rows up: on the Go backend it takes a tenth of the time of a reduction, and a
// hundredth of that of a vector's product with itself.
func squaresGraph(gradients []*Node) []*Node {
	sums := make([]*Node, len(gradients))
	for i, g := range gradients {
		squares := Square(g)
		if g.Rank() == 2 {
			ones := Ones(g.Graph(), shapes.Make(g.DType(), 1, g.Shape().Dimensions[0]))
			squares = Einsum("om,mn->on", ones, squares)
		}
		sums[i] = ReduceAllSum(squares)
	}
	return []*Node{Stack(sums, 0)}
}

// updateGraph clips the gradients of some parameters, and steps them.
func (e *engine) updateGraph(params []int, in []*Node) []*Node {
	o, n := e.optimizer, len(params)
	next := func(n int) []*Node {
		nodes := in[:n]
		in = in[n:]
		return nodes
	}
	weights, moment1, moment2 := next(n), next(n), next(n)
	var mean []*Node
	if e.average.Kind == EMA {
		mean = next(n)
	}
	gradients, rates := next(n), next(1)[0]
	at := func(i int) *Node { return Reshape(Slice(rates, AxisElem(i))) }
	rate, unbias1, unbias2, decay, clip := at(0), at(1), at(2), at(3), at(4)
	var newWeights, newMoment1, newMoment2, newMean []*Node
	for i, at := range params {
		g := Mul(gradients[i], clip)
		m := Add(MulScalar(moment1[i], o.Beta1), MulScalar(g, 1-o.Beta1))
		v := Add(MulScalar(moment2[i], o.Beta2), MulScalar(Square(g), 1-o.Beta2))
		move := Div(Mul(m, unbias1), AddScalar(Sqrt(Mul(v, unbias2)), o.Epsilon))
		if e.params[at].Decay && o.Decay > 0 {
			move = Add(move, MulScalar(weights[i], o.Decay))
		}
		w := Sub(weights[i], Mul(move, rate))
		newWeights, newMoment1, newMoment2 = append(newWeights, w), append(newMoment1, m), append(newMoment2, v)
		if mean != nil {
			newMean = append(newMean, Add(Mul(mean[i], decay), Mul(w, OneMinus(decay))))
		}
	}
	return slices.Concat(newWeights, newMoment1, newMoment2, newMean)
}
