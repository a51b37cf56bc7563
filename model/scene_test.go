package model_test

import (
	"maps"
	"slices"
	"testing"

	"github.com/gomlx/compute/dtypes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gradus-ml/gradus/internal/keyed"
	"github.com/gradus-ml/gradus/model"
	"github.com/gradus-ml/gradus/route"
)

// kinds are tiny models of every kind and every kind of positions, small enough for
// finite differences, with sizes no two of which are equal.
var kinds = map[string]model.Config{
	"gpt":    {Vocabulary: 11, Context: 7, Layers: 4, Width: 6, Heads: 2, Inner: 9},
	"untied": {Vocabulary: 11, Context: 7, Layers: 4, Width: 6, Heads: 2, Untied: true},
	"rotary": {Vocabulary: 11, Context: 7, Layers: 4, Width: 8, Heads: 2, Positions: model.Rotary},
	"bert":   {Kind: model.BERT, Vocabulary: 11, Context: 7, Layers: 4, Width: 6, Heads: 2, Segments: 3},
	"vit": {
		Kind: model.ViT, Context: 7, Layers: 4, Width: 6, Heads: 2, Classes: 5,
		Image: model.Image{Height: 4, Width: 6, Channels: 3, Patch: 2},
	},
}

// A scene is a model with a batch: everything a graph reads.
type scene struct {
	config                   model.Config
	weights                  []any // float64 tensors
	rows, length             int
	inputs, labels, segments []int32 // [rows, length]; a ViT's labels [rows]
	predicted                []int32 // [rows, 2] or nil
	pixels                   []uint8
	documents, positions     []int32 // [rows, length] or nil
	noise                    []uint32
	kept                     [][]int32 // by routed layer [rows, k]; nil: all
}

// sceneOf draws a batch of three rows for a model.
func sceneOf(c model.Config, seed uint64) scene {
	s := scene{config: c, rows: 3, length: 5, weights: weights(c, seed)}
	if c.Is(model.ViT) {
		s.length = c.Context
	}
	stream := keyed.NewKey(seed, "scene").Stream()
	draw := func(n, below int) []int32 {
		out := make([]int32, n)
		for i := range out {
			out[i] = int32(stream.Uint64N(uint64(below)))
		}
		return out
	}
	n := s.rows * s.length
	switch {
	case c.Is(model.ViT):
		s.labels = draw(s.rows, c.Classes)
		for _, p := range draw(s.rows*c.Image.Pixels(), 256) {
			s.pixels = append(s.pixels, uint8(p))
		}
		return s
	case c.Is(model.BERT):
		s.segments = draw(n, 3)
	}
	s.inputs, s.labels = draw(n, c.Vocabulary), draw(n, c.Vocabulary)
	for i := 4; i < n; i += 6 {
		s.labels[i] = -1
	}
	return s
}

// predict lets only two places of each row predict, of which one has no label in the
// last row.
func (s scene) predict() scene {
	s.predicted = []int32{1, 3, 0, 2, 4, 2}
	return s
}

// pack puts documents and padding into the rows.
func (s scene) pack() scene {
	if !s.config.Is(model.ViT) {
		s.documents, s.positions = packedDocuments, packedPositions
	}
	return s
}

// keep routes layers with lists of their own, or with those of the model's spans.
func (s scene) keep(layers []int, kept ...int) scene {
	s.config.Routed = layers
	s.kept = nil
	for i, l := range layers {
		list := make([]int32, s.rows*kept[i%len(kept)])
		for r := range s.rows {
			row := list[r*len(list)/s.rows : (r+1)*len(list)/s.rows]
			first := l
			for s.config.Shared && slices.Contains(layers, first-1) {
				first--
			}
			route.RandomLTD{}.Keep(row, s.length, route.Draw{Seed: 3, Step: 4, Layer: first, Row: r})
		}
		s.kept = append(s.kept, list)
	}
	return s
}

func (s scene) share() scene {
	s.config.Shared = true
	return s
}

func (s scene) drop(p float64) scene {
	s.config.Dropout = p
	stream := keyed.NewKey(1, "noise").Stream()
	s.noise = make([]uint32, s.rows*s.length)
	for i := range s.noise {
		s.noise[i] = stream.Uint32()
	}
	return s
}

// arguments are the weights and the batch, as batch reads them.
func (s scene) arguments() []any {
	args := slices.Clone(s.weights)
	add := func(values []int32) {
		if values != nil {
			args = append(args, tensors.FromFlatDataAndDimensions(values, s.rows, len(values)/s.rows))
		}
	}
	if s.pixels != nil {
		args = append(args, tensors.FromFlatDataAndDimensions(s.pixels, s.rows, len(s.pixels)/s.rows))
		args = append(args, tensors.FromFlatDataAndDimensions(s.labels, s.rows))
	} else {
		add(s.inputs)
		add(s.labels)
	}
	for _, values := range [][]int32{s.segments, s.predicted, s.documents, s.positions} {
		add(values)
	}
	if s.noise != nil {
		args = append(args, tensors.FromFlatDataAndDimensions(s.noise, s.rows, s.length))
	}
	for _, kept := range s.kept {
		add(kept)
	}
	return args
}

// split takes the inputs of a graph apart.
func (s scene) split(in []*Node) ([]*Node, model.Batch) {
	n := len(s.weights)
	rest := in[n:]
	next := func(there bool) (x *Node) {
		if there {
			x, rest = rest[0], rest[1:]
		}
		return x
	}
	var b model.Batch
	b.Pixels, b.Inputs = next(s.pixels != nil), next(s.inputs != nil)
	b.Labels, b.Segments, b.Predicted = next(true), next(s.segments != nil), next(s.predicted != nil)
	b.Documents, b.Positions, b.Noise = next(s.documents != nil), next(s.documents != nil), next(s.noise != nil)
	b.Kept = rest
	return in[:n], b
}

// run runs a graph over the scene.
func (s scene) run(t testing.TB, f func(weights []*Node, b model.Batch) []*Node) []*tensors.Tensor {
	t.Helper()
	return call(t, func(in []*Node) []*Node { return f(s.split(in)) }, s.arguments()...)
}

// results returns the losses of the labels and all gradients in one.
func (s scene) results(t testing.TB) (losses, gradient []float64) {
	t.Helper()
	out := s.run(t, func(w []*Node, b model.Batch) []*Node {
		losses, g := s.config.Gradients(w, b, Scalar(w[0].Graph(), dtypes.Float64, 1))
		return append([]*Node{losses}, g...)
	})
	for _, g := range out[1:] {
		gradient = append(gradient, flat(g)...)
	}
	return flat(out[0]), gradient
}

// scenes are all kinds under all masks and all ways of routing.
func scenes() map[string]scene {
	all := map[string]scene{}
	for name, c := range kinds {
		s := sceneOf(c, 1)
		if c.Is(model.BERT) {
			all[name+" everywhere"] = s
			s = s.predict()
		}
		maps.Copy(all, map[string]scene{
			name:                        s,
			name + " routed":            s.keep([]int{1, 2}, 3),
			name + " shared":            s.share().keep([]int{0, 1, 3}, 3),
			name + " uneven":            s.keep([]int{1, 2}, 1, 4),
			name + " dropout":           s.drop(0.3),
			name + " packed everything": s.pack().share().drop(0.4).keep([]int{1, 2}, 3),
		})
		if !c.Is(model.ViT) {
			all[name+" packed"], all[name+" packed routed"] = s.pack(), s.pack().keep([]int{1, 2}, 3)
		}
	}
	return all
}
