// Package naivegpt is GPT-2 with routed layers, written one token at a time in
// float64: the definition that tests hold the graphs of package model against.
//
// Its one noun is the Model, which gives the loss of a row of tokens.
package naivegpt

import (
	"fmt"
	"math"

	"github.com/gradus-ml/gradus/model"
)

// A Model is a configuration with its weights by name.
type Model struct {
	model.Config
	weights map[string][]float64
}

// New returns the model of the weights, which are in the order of c.Params.
func New[T float32 | float64](c model.Config, weights [][]T) Model {
	n := Model{c, map[string][]float64{}}
	for i, p := range c.Params() {
		values := make([]float64, len(weights[i]))
		for k, v := range weights[i] {
			values[k] = float64(v)
		}
		n.weights[p.Name] = values
	}
	return n
}

// Loss returns the summed cross-entropy of one row in nats: labels[i] is what
// comes after inputs[i], negative where nothing is predicted. kept[layer] are the
// ascending positions that the layer sees; a layer that is not in it sees all.
func (n Model) Loss(inputs, labels []int32, kept map[int][]int32) (loss float64) {
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
func (n Model) block(l int, x [][]float64) [][]float64 {
	at := fmt.Sprintf("transformer.h.%d.", l)
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

func (n Model) norm(name string, x []float64) []float64 {
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

func (n Model) linear(name string, x []float64) []float64 {
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
