package model_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gradus-ml/gradus/internal/fault"
	"github.com/gradus-ml/gradus/model"
)

// What cannot be built is refused by name, and nothing else is.
func TestValidate(t *testing.T) {
	for name, c := range kinds {
		if err := c.Validate(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, bad := range []struct {
		kind   string
		change func(c *model.Config)
		want   string
	}{
		{"gpt", func(c *model.Config) { c.Kind = "lstm" }, "kind"},
		{"gpt", func(c *model.Config) { c.Vocabulary = 0 }, "vocabulary"},
		{"gpt", func(c *model.Config) { c.Context = 1 << 25 }, "context"},
		{"gpt", func(c *model.Config) { c.Layers = model.MaxLayers + 1 }, "layers"},
		{"gpt", func(c *model.Config) { c.Width = 7 }, "no multiple"},
		{"gpt", func(c *model.Config) { c.Inner = -1 }, "inner"},
		{"gpt", func(c *model.Config) { c.Positions = "sinusoidal" }, "positions"},
		{"gpt", func(c *model.Config) { c.Segments = 2 }, "segments"},
		{"gpt", func(c *model.Config) { c.Classes = 2 }, "classes"},
		{"gpt", func(c *model.Config) { c.Predict = 0.15 }, "predicted"},
		{"gpt", func(c *model.Config) { c.Image.Patch = 2 }, "image"},
		{"gpt", func(c *model.Config) { c.Dropout = 1 }, "dropout"},
		{"gpt", func(c *model.Config) { c.Dropout = math.NaN() }, "dropout"},
		{"gpt", func(c *model.Config) { c.Epsilon = -1 }, "epsilon"},
		{"gpt", func(c *model.Config) { c.Routed = []int{2, 1} }, "routed layers"},
		{"gpt", func(c *model.Config) { c.Routed = []int{4} }, "routed layers"},
		{"gpt", func(c *model.Config) { c.Drop = []float64{1} }, "one for each"},
		{"gpt", func(c *model.Config) { c.Routed, c.Drop = []int{1}, []float64{math.Inf(1)} }, "drops"},
		{"gpt", func(c *model.Config) { c.Routed, c.Drop, c.Shared = []int{1, 2}, []float64{1, 0.5}, true }, "same share"},
		{"rotary", func(c *model.Config) { c.Width, c.Heads = 6, 2 }, "pairs"},
		{"bert", func(c *model.Config) { c.Positions = model.Rotary }, "rotary"},
		{"bert", func(c *model.Config) { c.Predict = 1.5 }, "predict"},
		{"vit", func(c *model.Config) { c.Vocabulary = 5 }, "vocabulary"},
		{"vit", func(c *model.Config) { c.Untied = true }, "untied"},
		{"vit", func(c *model.Config) { c.Classes = 0 }, "classes"},
		{"vit", func(c *model.Config) { c.Context = 6 }, "context"},
		{"vit", func(c *model.Config) { c.Image.Patch = 0 }, "patch"},
		{"vit", func(c *model.Config) { c.Image.Patch = 3 }, "patches"},
		{"vit", func(c *model.Config) { c.Image = model.Image{Height: 1 << 23, Width: 1 << 23, Channels: 3, Patch: 1} }, "numbers"},
	} {
		c := kinds[bad.kind]
		bad.change(&c)
		err := c.Validate()
		if !errors.Is(err, fault.Invalid) || !strings.Contains(err.Error(), bad.want) {
			t.Errorf("%s, %s: got %v", bad.kind, bad.want, err)
		}
	}
	apart := kinds["gpt"] // no span: these may differ
	apart.Routed, apart.Drop, apart.Shared = []int{0, 2}, []float64{1, 0.5}, true
	if err := apart.Validate(); err != nil {
		t.Error(err)
	}
}

// A configuration that asks for nothing new is written as before, and every one
// comes back as it was.
func TestConfigJSON(t *testing.T) {
	text, err := json.Marshal(model.Config{Vocabulary: 5, Context: 4, Layers: 3, Width: 2, Heads: 1, Routed: []int{1}})
	if err != nil {
		t.Fatal(err)
	}
	if want := `{"vocabulary":5,"context":4,"layers":3,"width":2,"heads":1,"routed":[1]}`; string(text) != want {
		t.Errorf("got %s, want %s", text, want)
	}
	for name, c := range kinds {
		text, err := json.Marshal(c)
		if err != nil {
			t.Fatal(err)
		}
		var back model.Config
		if err := json.Unmarshal(text, &back); err != nil || fmt.Sprint(back) != fmt.Sprint(c) || back.Image != c.Image || back.Inner != c.Inner {
			t.Errorf("%s: %s came back as %+v, %v", name, text, back, err)
		}
	}
}

// BERT and ViT begin with a normal distribution cut off at two deviations.
func TestInitTruncated(t *testing.T) {
	c := model.Config{Kind: model.BERT, Vocabulary: 257, Context: 64, Layers: 2, Width: 64, Heads: 4}
	for _, p := range c.Params() {
		if len(p.Shape) == 1 {
			continue
		}
		squares, most := 0.0, 0.0
		for _, v := range c.Init(7, p) {
			squares += float64(v) * float64(v)
			most = max(most, math.Abs(float64(v)))
		}
		// The deviation of a normal distribution cut off at two of its own is 0.8796.
		if got, want := math.Sqrt(squares/float64(p.Size())), 0.8796*0.02; p.Size() > 1000 && math.Abs(got-want) > 0.03*want {
			t.Errorf("%s: deviation %v, want %v", p.Name, got, want)
		}
		if most > 0.04 || p.Size() > 1000 && most < 0.039 {
			t.Errorf("%s: up to %v, want 0.04", p.Name, most)
		}
	}
}

// The cost of each kind, by hand.
func TestFLOPsOfKinds(t *testing.T) {
	layer := func(s, d, inner float64) float64 { return 8*s*d*d + 4*s*d*inner + 4*s*s*d }
	bert := model.Config{Kind: model.BERT, Vocabulary: 100, Context: 16, Layers: 3, Width: 8, Heads: 2, Predict: 0.15, Routed: []int{1}, Drop: []float64{0.5}}
	if got, want := bert.FLOPs(2, 16, 8), 6*(2*layer(16, 8, 32)+layer(12, 8, 32)+3*(2*8*8+2*8*100)); got != want {
		t.Errorf("BERT: %v, want %v", got, want)
	}
	if got := bert.Predicted(16); got != 3 {
		t.Errorf("%d of 16 places predict, want 3", got)
	}
	vit := kinds["vit"]
	vit.Routed, vit.Inner = []int{1, 2}, 10
	if got, want := vit.FLOPs(5, 7, 4), 15*(2*layer(7, 6, 10)+2*layer(4, 6, 10)+2*6*12*6+2*6*5); got != want {
		t.Errorf("ViT: %v, want %v", got, want)
	}
}

// In bfloat16 the losses and gradients are those of float32, to its 8 bits.
func TestBFloat16(t *testing.T) {
	for name := range kinds {
		t.Run(name, func(t *testing.T) {
			s := scenes()[name+" packed everything"]
			run := func(narrow bool) [][]float32 {
				c := s.config
				c.BFloat16 = narrow
				var out [][]float32
				for _, x := range call(t, func(in []*Node) []*Node {
					w, b := s.split(in)
					losses, g := c.Gradients(w, b, Scalar(w[0].Graph(), w[0].DType(), 1))
					return append([]*Node{losses}, g...)
				}, append(narrowed(s.weights), s.arguments()[len(s.weights):]...)...) {
					out = append(out, single(x))
				}
				return out
			}
			want, got := run(false), run(true)
			equal := true
			for i := range want {
				norm, off := 0.0, 0.0
				for k := range want[i] {
					norm += float64(want[i][k]) * float64(want[i][k])
					off += float64(got[i][k]-want[i][k]) * float64(got[i][k]-want[i][k])
				}
				if math.Sqrt(off) > 0.1*math.Sqrt(norm)+1e-3 {
					t.Errorf("output %d: off by %v of %v", i, math.Sqrt(off), math.Sqrt(norm))
				}
				equal = equal && slices.Equal(want[i], got[i])
			}
			if equal {
				t.Error("bfloat16 changes nothing")
			}
		})
	}
}

// narrowed returns float64 tensors in float32.
func narrowed(weights []any) (out []any) {
	for _, w := range weights {
		w := w.(*tensors.Tensor)
		values := make([]float32, w.Shape().Size())
		for i, x := range flat(w) {
			values[i] = float32(x)
		}
		out = append(out, tensors.FromFlatDataAndDimensions(values, w.Shape().Dimensions...))
	}
	return out
}

// A backend without fused attention runs a model that would use it.
func TestFusedFallsBack(t *testing.T) {
	s := scenes()["gpt"]
	losses, gradient := s.results(t)
	s.config.Fused = true
	fusedLosses, fusedGradient := s.results(t)
	if !slices.Equal(losses, fusedLosses) || !slices.Equal(gradient, fusedGradient) {
		t.Error("asking for fused attention changes the results of a backend that has none")
	}
}

// Batches that a model cannot read are refused when the graph is built.
func TestUnreadableBatches(t *testing.T) {
	for _, bad := range []struct {
		kind, want string
		change     func(b *model.Batch)
	}{
		{"gpt", "only a BERT", func(b *model.Batch) { b.Segments = b.Inputs }},
		{"gpt", "keeps positions for 1", func(b *model.Batch) { b.Kept = []*Node{b.Inputs} }},
		{"gpt", "documents without positions", func(b *model.Batch) { b.Documents = b.Inputs }},
		{"rotary", "context is 7", func(b *model.Batch) {
			b.Inputs = Concatenate([]*Node{b.Inputs, b.Inputs}, 1)
			b.Labels = b.Inputs
		}},
		{"vit", "reads pixels", func(b *model.Batch) { b.Inputs = b.Labels }},
		{"bert", "no pixels", func(b *model.Batch) { b.Pixels = b.Inputs }},
	} {
		s := scenes()[bad.kind]
		e, err := NewExec(backend(t), func(in []*Node) []*Node {
			w, b := s.split(in)
			bad.change(&b)
			return []*Node{s.config.Loss(w, b)}
		})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := e.Call(s.arguments()...); err == nil || !strings.Contains(err.Error(), bad.want) {
			t.Errorf("%s: got %v, want %q", bad.kind, err, bad.want)
		}
	}
}
