package model_test

import (
	"encoding/json"
	"fmt"
	"hash/fnv"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gomlx/compute/dtypes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gradus-ml/gradus/internal/safetensors"
	"github.com/gradus-ml/gradus/model"
)

// mix is the hash of testdata/vectors.py.
func mix(x uint32) uint32 {
	x = (x ^ x>>16) * 0x85ebca6b
	x = (x ^ x>>13) * 0xc2b2ae35
	return x ^ x>>16
}

// uniform returns n numbers in [0, 1) that belong to a name.
func uniform(name string, n int) []float64 {
	h := fnv.New32a()
	h.Write([]byte(name))
	out := make([]float64, n)
	for k := range out {
		out[k] = float64(mix(h.Sum32()+uint32(k)*0x9e3779b9)) / (1 << 32)
	}
	return out
}

// vectorWeights are the weights of testdata/vectors.py.
func vectorWeights(c model.Config) (weights []any) {
	for _, p := range c.Params() {
		values := make([]float32, p.Size())
		for k, u := range uniform(p.Name, p.Size()) {
			values[k] = float32((u - 0.5) * 0.8)
			if len(p.Shape) == 1 && strings.HasSuffix(p.Name, ".weight") {
				values[k] = float32((u-0.5)*0.8 + 1)
			}
		}
		weights = append(weights, tensors.FromFlatDataAndDimensions(values, p.Shape...))
	}
	return weights
}

// vectorInputs returns the tensors of a case's batch and how they are read.
func vectorInputs(c model.Config, file map[string]safetensors.Tensor, name string) (args []any, read func(in []*Node) model.Batch) {
	var names []string
	for _, input := range []string{"inputs", "pixels", "labels", "segments", "predicted", "documents", "positions", "noise"} {
		t, ok := file[name+"/"+input]
		if !ok {
			continue
		}
		names = append(names, input)
		switch input {
		case "pixels":
			args = append(args, tensors.FromFlatDataAndDimensions(whole[uint8](t.Data), t.Shape...))
		case "noise":
			words := make([]uint32, len(t.Data)/2)
			for i := range words {
				words[i] = uint32(t.Data[2*i])<<16 | uint32(t.Data[2*i+1])
			}
			args = append(args, tensors.FromFlatDataAndDimensions(words, t.Shape[:2]...))
		default:
			args = append(args, tensors.FromFlatDataAndDimensions(whole[int32](t.Data), t.Shape...))
		}
	}
	for i := range c.Routed {
		t := file[fmt.Sprintf("%s/kept%d", name, i)]
		args = append(args, tensors.FromFlatDataAndDimensions(whole[int32](t.Data), t.Shape...))
	}
	return args, func(in []*Node) model.Batch {
		var b model.Batch
		for i, input := range names {
			*map[string]**Node{
				"inputs": &b.Inputs, "pixels": &b.Pixels, "labels": &b.Labels, "segments": &b.Segments, "predicted": &b.Predicted,
				"documents": &b.Documents, "positions": &b.Positions, "noise": &b.Noise,
			}[input] = in[i]
		}
		b.Kept = in[len(names):]
		return b
	}
}

func whole[T uint8 | int32](values []float32) []T {
	out := make([]T, len(values))
	for i, v := range values {
		out[i] = T(v)
	}
	return out
}

// The graphs are those of an independent implementation in PyTorch, with its
// gradients: losses, right answers, logits and gradients, for every kind of model
// and of positions, under all masks, with every way of routing and with dropout.
func TestVectors(t *testing.T) {
	const tolerance = 1e-4 // relative, in float32
	for _, kind := range []string{"gpt", "rotary", "bert", "vit"} {
		file, metadata, err := safetensors.Read(filepath.Join("testdata", kind+".safetensors"))
		if err != nil {
			t.Fatal(err)
		}
		for name, text := range metadata {
			if name == "order" {
				continue
			}
			t.Run(kind+"/"+name, func(t *testing.T) {
				var c model.Config
				if err := json.Unmarshal([]byte(text), &c); err != nil {
					t.Fatal(err)
				}
				if err := c.Validate(); err != nil {
					t.Fatal(err)
				}
				checkOrder(t, c, metadata["order"])
				args, read := vectorInputs(c, file, name)
				n := len(c.Params())
				out := call(t, func(in []*Node) []*Node {
					w, b := in[:n], read(in[n:])
					g := in[0].Graph()
					losses, correct := c.Evaluate(w, b)
					again, gradients := c.Gradients(w, b, Scalar(g, dtypes.Float32, 1))
					logits := c.Logits(w, b, lastPlaces(b))
					return append([]*Node{losses, correct, logits, again}, gradients...)
				}, append(vectorWeights(c), args...)...)

				near(t, "losses", single(out[0]), file[name+"/losses"].Data, tolerance)
				near(t, "losses with gradients", single(out[3]), file[name+"/losses"].Data, tolerance)
				near(t, "logits", single(out[2]), file[name+"/logits"].Data, tolerance)
				if got, want := single(out[1]), file[name+"/correct"].Data; !slices.Equal(got, want) {
					t.Errorf("correct: %v, want %v", got, want)
				}
				for i, p := range c.Params() {
					want := file[name+"/gradients"].Data[9*i : 9*i+9]
					for k, got := range projections(p.Name, single(out[4+i])) {
						if math.Abs(got-float64(want[k])) > tolerance*float64(want[0]) {
							t.Errorf("gradient of %s (norm %v): number %d is %v, want %v", p.Name, want[0], k, got, want[k])
						}
					}
				}
			})
		}
	}
}

// checkOrder compares the names of the parameters, and their order.
func checkOrder(t *testing.T, c model.Config, text string) {
	t.Helper()
	var want, got []string
	if err := json.Unmarshal([]byte(text), &want); err != nil {
		t.Fatal(err)
	}
	for _, p := range c.Params() {
		got = append(got, p.Name)
	}
	if !slices.Equal(got, want) {
		t.Fatalf("parameters %q, want %q", got, want)
	}
}

// lastPlaces are the last places of a batch's rows; nil for images.
func lastPlaces(b model.Batch) *Node {
	if b.Inputs == nil {
		return nil
	}
	rows, length := b.Inputs.Shape().Dimensions[0], b.Inputs.Shape().Dimensions[1]
	last := make([]int32, rows)
	for r := range last {
		last[r] = int32(length - 1)
	}
	return Const(b.Inputs.Graph(), last)
}

func single(t *tensors.Tensor) []float32 { return tensors.MustCopyFlatData[float32](t) }

func near(t *testing.T, what string, got, want []float32, tolerance float64) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%s: %d numbers, want %d", what, len(got), len(want))
	}
	for i := range got {
		if math.Abs(float64(got[i]-want[i])) > tolerance*(1e-2+math.Abs(float64(want[i]))) {
			t.Errorf("%s: number %d is %v, want %v", what, i, got[i], want[i])
		}
	}
}

// projections returns the norm of a gradient and its products with eight vectors of
// signs: a gradient that is wrong by a part of its norm differs in them by about as
// much.
func projections(name string, gradient []float32) []float64 {
	norm := 0.0
	for _, g := range gradient {
		norm += float64(g) * float64(g)
	}
	out := []float64{math.Sqrt(norm)}
	for k := range 8 {
		sum := 0.0
		for i, u := range uniform(fmt.Sprintf("%s/sign%d", name, k), len(gradient)) {
			if u < 0.5 {
				sum -= float64(gradient[i])
			} else {
				sum += float64(gradient[i])
			}
		}
		out = append(out, sum)
	}
	return out
}
