// Package naivegpt is GPT-2 with routed layers, written one token at a time in
// float64: the definition that tests hold the graphs of package model against.
//
// Its nouns are the Model and the Row of tokens, whose loss the model gives.
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

// A Row is what the model reads in one pass.
type Row struct {
	Inputs, Labels []int32 // Labels[i] is what comes after Inputs[i]; negative where nothing is predicted

	// Documents[i] is the document that token i belongs to, and Positions[i] its
	// place there. nil: all belong to one, and stand where they stand in the row.
	Documents, Positions []int32

	Kept map[int][]int32 // by layer: the ascending places in the row that it sees; not there: all
}

// Loss returns the summed cross-entropy of a row in nats.
func (n Model) Loss(r Row) (loss float64) {
	for _, l := range n.Losses(r) {
		loss += l
	}
	return loss
}

// Losses returns the cross-entropy of each token of a row in nats, 0 where nothing
// is predicted.
func (n Model) Losses(r Row) []float64 {
	d := n.Width
	x := make([][]float64, len(r.Inputs))
	for i, id := range r.Inputs {
		place := i
		if r.Positions != nil {
			place = int(r.Positions[i])
		}
		x[i] = make([]float64, d)
		for k := range d {
			x[i][k] = n.weights["transformer.wte.weight"][int(id)*d+k] + n.weights["transformer.wpe.weight"][place*d+k]
		}
	}
	for l := range n.Layers {
		seen, ok := r.Kept[l]
		if !ok {
			for i := range r.Inputs {
				seen = append(seen, int32(i))
			}
		}
		// The tokens of one document run through the layer as if there were no other.
		byDocument := map[int32][]int32{}
		for _, at := range seen {
			document := int32(0)
			if r.Documents != nil {
				document = r.Documents[at]
			}
			byDocument[document] = append(byDocument[document], at)
		}
		for _, places := range byDocument {
			part := make([][]float64, len(places))
			for i, at := range places {
				part[i] = x[at]
			}
			for i, y := range n.block(l, part) {
				x[places[i]] = y
			}
		}
	}
	head := n.weights["transformer.wte.weight"]
	if n.Untied {
		head = n.weights["lm_head.weight"]
	}
	losses := make([]float64, len(r.Labels))
	for i, label := range r.Labels {
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
		losses[i] = math.Log(total) - right
	}
	return losses
}

// block returns the states of the tokens after layer l, which sees only them. Each
// sees those before it and itself.
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
