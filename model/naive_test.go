package model_test

import (
	"math"
	"testing"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gradus-ml/gradus/internal/naivegpt"
	"github.com/gradus-ml/gradus/model"
	"github.com/gradus-ml/gradus/route"
)

// lossOf runs the graph of a loss.
func lossOf(t *testing.T, c model.Config, args []any) float64 {
	t.Helper()
	return tensors.ToScalar[float64](call(t, func(in []*Node) []*Node {
		w, b := split(c, in)
		return []*Node{c.Loss(w, b)}
	}, args...)[0])
}

// The model is the one of the definition, with every row and every layer under
// its own routing.
func TestLossAgainstNaive(t *testing.T) {
	for name, tc := range cases() {
		args := tc.arguments()
		var weights [][]float64
		for _, w := range args[:len(tc.config.Params())] {
			weights = append(weights, flat(w.(*tensors.Tensor)))
		}
		n := naivegpt.New(tc.config, weights)
		inputs, labels := batch(tc.config, 5)
		in, out := tensors.MustCopyFlatData[int32](inputs), tensors.MustCopyFlatData[int32](labels)
		want := 0.0
		for r := range rows {
			kept := map[int][]int32{}
			for _, l := range tc.config.Routed {
				if tc.keep > 0 {
					kept[l] = make([]int32, tc.keep)
					route.RandomLTD{}.Keep(kept[l], length, route.Draw{Seed: 3, Step: 4, Layer: l, Row: r})
				}
			}
			row := naivegpt.Row{Inputs: in[r*length : (r+1)*length], Labels: out[r*length : (r+1)*length], Kept: kept}
			if tc.packed {
				row.Documents, row.Positions = packedDocuments[r*length:(r+1)*length], packedPositions[r*length:(r+1)*length]
			}
			want += n.Loss(row)
		}
		if got := lossOf(t, tc.config, args); math.Abs(got-want) > 1e-10*want {
			t.Errorf("%s: loss %v, the definition gives %v", name, got, want)
		}
	}
}

// Evaluation gives no positions, and a model with routed layers is then the same
// model as one without, to the last bit.
func TestEvaluationSeesEveryToken(t *testing.T) {
	plain := tiny
	plain.Routed = nil
	if got, want := lossOf(t, tiny, arguments(tiny, 0)), lossOf(t, plain, arguments(plain, 0)); got != want {
		t.Errorf("loss %v, of the model without routing %v", got, want)
	}
}

// The losses of the tokens add up to the loss, each in its place: a token's is what
// a batch has in which no other is predicted.
func TestLossesAddUp(t *testing.T) {
	args := arguments(tiny, kept)
	n := len(tiny.Params())
	losses := call(t, func(in []*Node) []*Node {
		w, b := split(tiny, in)
		return []*Node{tiny.Losses(w, b)}
	}, args...)[0]
	if err := losses.Shape().CheckDims(rows * length); err != nil {
		t.Fatal(err)
	}
	labels := tensors.MustCopyFlatData[int32](args[n+1].(*tensors.Tensor))
	sum := 0.0
	for i, got := range flat(losses) {
		sum += got
		if labels[i] < 0 && got != 0 {
			t.Errorf("token %d predicts nothing and has a loss of %v", i, got)
		}
	}
	if want := lossOf(t, tiny, args); math.Abs(sum-want) > 1e-12*want {
		t.Errorf("the tokens' losses add up to %v, the batch has %v", sum, want)
	}
	const one = 6
	alone := make([]int32, len(labels))
	for i := range alone {
		alone[i] = -1
	}
	alone[one] = labels[one]
	args[n+1] = tensors.FromFlatDataAndDimensions(alone, rows, length)
	if got, want := flat(losses)[one], lossOf(t, tiny, args); math.Abs(got-want) > 1e-12*want {
		t.Errorf("token %d has a loss of %v, alone %v", one, got, want)
	}
}

// A row's routing is its own: the loss of a batch is the sum of its rows'.
func TestRowsDoNotMix(t *testing.T) {
	args := arguments(tiny, kept)
	whole := lossOf(t, tiny, args)
	sum := 0.0
	for r := range rows {
		alone := weights(tiny, 1)
		for _, arg := range args[len(alone):] {
			t := arg.(*tensors.Tensor)
			n := t.Shape().Dimensions[1]
			alone = append(alone, tensors.FromFlatDataAndDimensions(tensors.MustCopyFlatData[int32](t)[r*n:(r+1)*n], 1, n))
		}
		sum += lossOf(t, tiny, alone)
	}
	if math.Abs(sum-whole) > 1e-12*whole {
		t.Errorf("the rows' losses add up to %v, the batch has %v", sum, whole)
	}
}
