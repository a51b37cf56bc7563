package model_test

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/gomlx/compute/dtypes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gradus-ml/gradus/model"
)

// The pullbacks agree with GoMLX's automatic differentiation of the forward
// pass, to float64 rounding.
func TestGradientsAgreeWithAutodiff(t *testing.T) {
	for name, s := range scenes() {
		t.Run(name, func(t *testing.T) {
			params := s.config.Params()
			out := s.run(t, func(w []*Node, b model.Batch) []*Node {
				_, ours := s.config.Gradients(w, b, Scalar(w[0].Graph(), dtypes.Float64, 0.25))
				return append(ours, Gradient(MulScalar(s.config.Loss(w, b), 0.25), w...)...)
			})
			for i, p := range params {
				ours, theirs := flat(out[i]), flat(out[len(params)+i])
				for k := range ours {
					if math.Abs(ours[k]-theirs[k]) > 1e-11*(1+math.Abs(theirs[k])) {
						t.Fatalf("%s[%d]: %v, automatic differentiation gives %v", p.Name, k, ours[k], theirs[k])
					}
				}
			}
		})
	}
}

// The gradients agree with finite differences of the loss.
func TestGradientsAgreeWithFiniteDifferences(t *testing.T) {
	for name := range kinds {
		s := scenes()[name+" packed everything"]
		t.Run(name, func(t *testing.T) {
			args := s.arguments()
			gradients := s.run(t, func(w []*Node, b model.Batch) []*Node {
				_, g := s.config.Gradients(w, b, Scalar(w[0].Graph(), dtypes.Float64, 1))
				return g
			})
			e, err := NewExec(backend(t), func(in []*Node) []*Node { return []*Node{s.config.Loss(s.split(in))} })
			if err != nil {
				t.Fatal(err)
			}
			lossAt := func() float64 {
				out, err := e.Call(args...)
				if err != nil {
					t.Fatal(err)
				}
				return tensors.ToScalar[float64](out[0])
			}
			const h = 1e-5
			for i, p := range s.config.Params() {
				values, gradient := flat(args[i].(*tensors.Tensor)), flat(gradients[i])
				for k := 0; k < len(values); k += 1 + len(values)/4 {
					original := values[k]
					set := func(v float64) {
						values[k] = v
						args[i] = tensors.FromFlatDataAndDimensions(values, p.Shape...)
					}
					set(original + h)
					up := lossAt()
					set(original - h)
					down := lossAt()
					set(original)
					if numeric := (up - down) / (2 * h); math.Abs(numeric-gradient[k]) > 1e-6*(1+math.Abs(numeric)) {
						t.Errorf("%s[%d]: gradient %v, finite differences give %v", p.Name, k, gradient[k], numeric)
					}
				}
			}
		})
	}
}

// Keeping every token gives the plain model, losses and gradients, to the last bit,
// whatever the masks, and with dropout too.
func TestKeepingAllIsThePlainModel(t *testing.T) {
	for name := range kinds {
		for _, with := range []string{"", " packed", " dropout"} {
			plain, ok := scenes()[name+with]
			if !ok {
				continue
			}
			losses, gradient := plain.results(t)
			for how, s := range map[string]scene{"routed": plain, "shared": plain.share()} {
				t.Run(name+with+" "+how, func(t *testing.T) {
					got, g := s.keep([]int{0, 1, 3}, s.length).results(t)
					if !slices.Equal(got, losses) {
						t.Errorf("losses %v, of the plain model %v", got, losses)
					}
					if !slices.Equal(g, gradient) {
						t.Error("gradients differ from the plain model's")
					}
				})
			}
		}
	}
}

// A dropped token's state leaves the routed layers as it entered them, and so does
// its gradient: where only the first token of a row gives an answer, and the routed
// layers keep others, the model is the one without these layers, and their weights
// have no gradient.
func TestDroppedTokensPassUnchanged(t *testing.T) {
	for name, c := range kinds {
		for _, shared := range []bool{false, true} {
			t.Run(fmt.Sprint(name, " shared ", shared), func(t *testing.T) {
				// They are the last, so that no other shows the first token what they
				// did to the rest.
				c.Layers, c.Routed, c.Shared = 3, []int{1, 2}, shared
				s := sceneOf(c, 9)
				for i := range s.labels {
					if i%s.length != 0 && !c.Is(model.ViT) {
						s.labels[i] = -1
					}
				}
				for range 2 {
					s.kept = append(s.kept, slices.Repeat([]int32{1, 2, 4}, s.rows))
				}
				without := s
				without.config.Layers, without.config.Routed, without.kept, without.weights = 1, nil, nil, nil
				for i, p := range c.Params() {
					if layerOf(p.Name) < 1 {
						without.weights = append(without.weights, s.weights[i])
					}
				}
				losses, gradient := s.results(t)
				wantLosses, wantGradient := without.results(t)
				if !slices.Equal(losses, wantLosses) {
					t.Errorf("losses %v, without the routed layers %v", losses, wantLosses)
				}
				at := 0
				for _, p := range s.config.Params() {
					part := gradient[at : at+p.Size()]
					at += p.Size()
					if layerOf(p.Name) > 0 {
						if slices.ContainsFunc(part, func(g float64) bool { return g != 0 }) {
							t.Errorf("%s has a gradient from tokens it dropped", p.Name)
						}
						continue
					}
					if !slices.Equal(part, wantGradient[:p.Size()]) {
						t.Errorf("gradient of %s differs from that without the routed layers", p.Name)
					}
					wantGradient = wantGradient[p.Size():]
				}
			})
		}
	}
}

// layerOf returns the number of the layer that a weight belongs to, or -1.
func layerOf(name string) int {
	for l := range 9 {
		for _, prefix := range []string{"transformer.h.%d.", "bert.encoder.layer.%d.", "vit.encoder.layer.%d."} {
			if p := fmt.Sprintf(prefix, l); len(name) > len(p) && name[:len(p)] == p {
				return l
			}
		}
	}
	return -1
}

// A kept token sees the kept tokens of its document, of a causal model those before
// it, and no others: the losses in a row whose only layer is routed change where a
// token that is seen changes, and nowhere else.
func TestKeptTokensSeeWhatTheyShould(t *testing.T) {
	for name, c := range kinds {
		if c.Is(model.ViT) {
			continue // has no tokens to change
		}
		c.Layers = 1
		for _, packed := range []bool{false, true} {
			t.Run(fmt.Sprint(name, " packed ", packed), func(t *testing.T) {
				s := sceneOf(c, 2)
				if packed {
					s = s.pack()
				}
				s = s.keep([]int{0}, 3)
				for i := range s.labels {
					s.labels[i] = 3
				}
				e, err := NewExec(backend(t), func(in []*Node) []*Node { return []*Node{s.config.Losses(s.split(in))} })
				if err != nil {
					t.Fatal(err)
				}
				losses := func() []float64 {
					out, err := e.Call(s.arguments()...)
					if err != nil {
						t.Fatal(err)
					}
					return flat(out[0])
				}
				s.inputs = slices.Clone(s.inputs)
				base := losses()
				for changed := range s.inputs {
					s.inputs[changed] = (s.inputs[changed] + 1) % int32(c.Vocabulary)
					for i, loss := range losses() {
						want := i == changed || s.sees(i, changed)
						if got := loss != base[i]; got != want {
							t.Errorf("token %d changed: the loss of token %d changed: %v, want %v", changed, i, got, want)
						}
					}
					s.inputs[changed] = (s.inputs[changed] + int32(c.Vocabulary) - 1) % int32(c.Vocabulary)
				}
			})
		}
	}
}

// sees reports whether token i of a batch attends to token j in the one layer.
func (s scene) sees(i, j int) bool {
	r := i / s.length
	k := len(s.kept[0]) / s.rows
	kept := s.kept[0][r*k : (r+1)*k]
	return j/s.length == r && (!s.config.Is(model.GPT) || j <= i) &&
		slices.Contains(kept, int32(i%s.length)) && slices.Contains(kept, int32(j%s.length)) &&
		(s.documents == nil || s.documents[i] == s.documents[j])
}
