package model_test

import (
	"math"
	"os"
	"path/filepath"
	"testing"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gradus-ml/gradus/internal/safetensors"
	"github.com/gradus-ml/gradus/model"
)

// Models that transformers saved give the logits that transformers computes.
func TestHubLogits(t *testing.T) {
	for _, name := range []string{"gpt2", "gpt2-untied", "neox", "neox-untied", "bert", "bert-untied", "vit"} {
		t.Run(name, func(t *testing.T) {
			text, err := os.ReadFile(filepath.Join("testdata", "hub", name, "config.json"))
			if err != nil {
				t.Fatal(err)
			}
			c, err := model.ParseHubConfig(text)
			if err != nil {
				t.Fatal(err)
			}
			read := func(file string) map[string]safetensors.Tensor {
				tensors, _, err := safetensors.Read(filepath.Join("testdata", "hub", name, file))
				if err != nil {
					t.Fatal(err)
				}
				return tensors
			}
			weights, err := c.Restore(read("model.safetensors"))
			if err != nil {
				t.Fatal(err)
			}
			expected := read("expected.safetensors")
			want := expected["logits"]
			if c.Is(model.ViT) {
				nearLogits(t, hubLogits(t, c, weights, func(in []*Node) (model.Batch, *Node) { return model.Batch{Pixels: in[0]}, nil }, pixelsOf(expected["pixels"])), want.Data)
				return
			}
			inputs := wholes(expected["input_ids"])
			length := inputs.Shape().Dim(1)
			for place := range length {
				at := tensors.FromValue([]int32{int32(place), int32(place)})
				args := []any{inputs, at}
				if segments, ok := expected["token_type_ids"]; ok {
					args = append(args, wholes(segments))
				}
				got := hubLogits(t, c, weights, func(in []*Node) (model.Batch, *Node) {
					b := model.Batch{Inputs: in[0]}
					if len(in) > 2 {
						b.Segments = in[2]
					}
					return b, in[1]
				}, args...)
				var there []float32
				for row := range 2 {
					there = append(there, want.Data[(row*length+place)*c.Vocabulary:][:c.Vocabulary]...)
				}
				nearLogits(t, got, there)
			}
		})
	}
}

// hubLogits runs a model.
func hubLogits(t *testing.T, c model.Config, weights [][]float32, batch func(in []*Node) (model.Batch, *Node), args ...any) []float32 {
	t.Helper()
	var all []any
	for i, p := range c.Params() {
		all = append(all, tensors.FromFlatDataAndDimensions(weights[i], p.Shape...))
	}
	n := len(all)
	out := call(t, func(in []*Node) []*Node {
		b, at := batch(in[n:])
		return []*Node{c.Logits(in[:n], b, at)}
	}, append(all, args...)...)
	return tensors.MustCopyFlatData[float32](out[0])
}

// nearLogits holds two lists of logits together, to 1e-4 of the largest.
func nearLogits(t *testing.T, got, want []float32) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%d logits, want %d", len(got), len(want))
	}
	largest := 0.0
	for _, v := range want {
		largest = max(largest, math.Abs(float64(v)))
	}
	for i, v := range want {
		if d := math.Abs(float64(got[i] - v)); !(d <= 1e-4*largest) {
			t.Fatalf("logit %d is %v, want %v", i, got[i], v)
		}
	}
}

// wholes are the numbers of a file as the ids that they are.
func wholes(x safetensors.Tensor) *tensors.Tensor {
	ids := make([]int32, len(x.Data))
	for i, v := range x.Data {
		ids[i] = int32(v)
	}
	return tensors.FromFlatDataAndDimensions(ids, x.Shape...)
}

func pixelsOf(x safetensors.Tensor) *tensors.Tensor {
	pixels := make([]uint8, len(x.Data))
	for i, v := range x.Data {
		pixels[i] = uint8(v)
	}
	return tensors.FromFlatDataAndDimensions(pixels, x.Shape[0], len(x.Data)/x.Shape[0])
}
