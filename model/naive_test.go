package model_test

import (
	"math"
	"testing"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gradus-ml/gradus/model"
	"github.com/gradus-ml/gradus/route"
)

// naive is GPT-2 with routed layers, written one token at a time in float64: the
// definition that the graphs are held against.
type naive struct {
	model.Config
	weights map[string][]float64
}

func newNaive(c model.Config, args []any) naive {
	n := naive{c, map[string][]float64{}}
	for i, p := range c.Params() {
		n.weights[p.Name] = flat(args[i].(*tensors.Tensor))
	}
	return n
}

// lossOf returns the summed loss of one row; kept[layer] are the positions that
// the layer sees, nil for all.
func (n naive) lossOf(inputs, labels []int32, kept map[int][]int32) (loss float64) {
	d := n.Width
	x := make([][]float64, len(inputs))
	for i, id := range inputs {
		x[i] = make([]float64, d)
		for k := range d {
			x[i][k] = n.weights["transformer.wte.weight"][int(id)*d+k] + n.weights["transformer.wpe.weight"][i*d+k]
		}
	}
	for l := range n.Layers {
		seen, ok := kept[l]
		if !ok {
			for i := range inputs {
				seen = append(seen, int32(i))
			}
		}
		part := make([][]float64, len(seen))
		for i, at := range seen {
			part[i] = x[at]
		}
		for i, y := range n.block(l, part) {
			x[seen[i]] = y
		}
	}
	head := n.weights["transformer.wte.weight"]
	if n.Untied {
		head = n.weights["lm_head.weight"]
	}
	for i, label := range labels {
		if label < 0 {
			continue
		}
		y := n.norm("transformer.ln_f", x[i])
		total, right := 0.0, 0.0
		for v := range n.Vocabulary {
			logit := 0.0
			for k := range d {
				logit += y[k] * head[v*d+k]
			}
			total += math.Exp(logit)
			if v == int(label) {
				right = logit
			}
		}
		loss += math.Log(total) - right
	}
	return loss
}

// block returns the states of the tokens after layer l, which sees only them.
func (n naive) block(l int, x [][]float64) [][]float64 {
	at := "transformer.h." + string(rune('0'+l)) + "."
	d, e := n.Width, n.Width/n.Heads
	qkv := make([][]float64, len(x))
	for i := range x {
		qkv[i] = n.linear(at+"attn.c_attn", n.norm(at+"ln_1", x[i]))
	}
	out := make([][]float64, len(x))
	for i := range x {
		mixed := make([]float64, d)
		for h := range n.Heads {
			scores, total := make([]float64, i+1), 0.0
			for j := range scores {
				dot := 0.0
				for k := range e {
					dot += qkv[i][h*e+k] * qkv[j][d+h*e+k]
				}
				scores[j] = math.Exp(dot / math.Sqrt(float64(e)))
				total += scores[j]
			}
			for j, s := range scores {
				for k := range e {
					mixed[h*e+k] += s / total * qkv[j][2*d+h*e+k]
				}
			}
		}
		y := add(x[i], n.linear(at+"attn.c_proj", mixed))
		up := n.linear(at+"mlp.c_fc", n.norm(at+"ln_2", y))
		for k, u := range up {
			up[k] = u / 2 * (1 + math.Tanh(math.Sqrt(2/math.Pi)*(u+0.044715*u*u*u)))
		}
		out[i] = add(y, n.linear(at+"mlp.c_proj", up))
	}
	return out
}

func (n naive) norm(name string, x []float64) []float64 {
	mean, variance := 0.0, 0.0
	for _, v := range x {
		mean += v / float64(len(x))
	}
	for _, v := range x {
		variance += (v - mean) * (v - mean) / float64(len(x))
	}
	y := make([]float64, len(x))
	for i, v := range x {
		y[i] = (v-mean)/math.Sqrt(variance+1e-5)*n.weights[name+".weight"][i] + n.weights[name+".bias"][i]
	}
	return y
}

func (n naive) linear(name string, x []float64) []float64 {
	w, y := n.weights[name+".weight"], append([]float64{}, n.weights[name+".bias"]...)
	for i, v := range x {
		for k := range y {
			y[k] += v * w[i*len(y)+k]
		}
	}
	return y
}

func add(a, b []float64) []float64 {
	out := make([]float64, len(a))
	for i := range a {
		out[i] = a[i] + b[i]
	}
	return out
}

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
		args := arguments(tc.config, tc.keep)
		n := newNaive(tc.config, args)
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
			want += n.lossOf(in[r*length:(r+1)*length], out[r*length:(r+1)*length], kept)
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

// A row's routing is its own: the loss of a batch is the sum of its rows'.
func TestRowsDoNotMix(t *testing.T) {
	args := arguments(tiny, kept)
	whole := lossOf(t, tiny, args)
	n := len(args)
	parts := make([][]int32, 3)
	for i := range parts {
		parts[i] = tensors.MustCopyFlatData[int32](args[n-3+i].(*tensors.Tensor))
	}
	sum := 0.0
	for r := range rows {
		var positions []int32
		for l := range tiny.Routed {
			positions = append(positions, parts[2][(l*rows+r)*kept:(l*rows+r+1)*kept]...)
		}
		sum += lossOf(t, tiny, append(weights(tiny, 1),
			tensors.FromFlatDataAndDimensions(parts[0][r*length:(r+1)*length], 1, length),
			tensors.FromFlatDataAndDimensions(parts[1][r*length:(r+1)*length], 1, length),
			tensors.FromFlatDataAndDimensions(positions, len(tiny.Routed), 1, kept)))
	}
	if math.Abs(sum-whole) > 1e-12*whole {
		t.Errorf("the rows' losses add up to %v, the batch has %v", sum, whole)
	}
}
