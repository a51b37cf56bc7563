package model_test

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/gomlx/compute/dtypes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gradus-ml/gradus/internal/keyed"
	"github.com/gradus-ml/gradus/internal/naivegpt"
	"github.com/gradus-ml/gradus/model"
	"github.com/gradus-ml/gradus/route"
	"pgregory.net/rapid"
)

// A pack is a row of documents side by side, and the same documents alone.
type pack struct {
	naivegpt.Row
	starts []int // of each document in the row
	alone  []naivegpt.Row
}

// packOf draws documents of the given lengths into a row. What they leave of it is
// padding, whose document has the number padding.
func packOf(c model.Config, seed uint64, length int, padding int32, documents []int) pack {
	stream := keyed.NewKey(seed, "pack").Stream()
	var p pack
	for d, n := range documents {
		p.starts = append(p.starts, len(p.Inputs))
		for i := range n {
			label := int32(stream.Uint64N(uint64(c.Vocabulary)))
			if stream.Uint64N(6) == 0 {
				label = -1
			}
			p.Inputs, p.Labels = append(p.Inputs, int32(stream.Uint64N(uint64(c.Vocabulary)))), append(p.Labels, label)
			p.Documents, p.Positions = append(p.Documents, int32(d)), append(p.Positions, int32(i))
		}
	}
	for d, n := range documents {
		from, to := p.starts[d], p.starts[d]+n
		p.alone = append(p.alone, naivegpt.Row{Inputs: p.Inputs[from:to:to], Labels: p.Labels[from:to:to]})
	}
	for len(p.Inputs) < length {
		p.Inputs, p.Labels = append(p.Inputs, 3), append(p.Labels, -1)
		p.Documents, p.Positions = append(p.Documents, padding), append(p.Positions, 0)
	}
	return p
}

// keep lets a layer see the ascending places of the row, and each document alone
// see its own of them.
func (p *pack) keep(layer int, places []int32) {
	set := func(r *naivegpt.Row, places []int32) {
		if r.Kept == nil {
			r.Kept = map[int][]int32{}
		}
		r.Kept[layer] = places
	}
	set(&p.Row, places)
	for d := range p.alone {
		own := []int32{}
		for _, at := range places {
			if p.Documents[at] == int32(d) {
				own = append(own, at-int32(p.starts[d]))
			}
		}
		set(&p.alone[d], own)
	}
}

// keepSome lets each routed layer see want places of each document, or all of one
// that is shorter, and one of the padding, if there is any.
func (p *pack) keepSome(c model.Config, want int) {
	for _, l := range c.Routed {
		var places []int32
		for d, r := range p.alone {
			own := make([]int32, min(want, len(r.Inputs)))
			route.RandomLTD{}.Keep(own, len(r.Inputs), route.Draw{Seed: 7, Layer: l, Row: d})
			for _, at := range own {
				places = append(places, at+int32(p.starts[d]))
			}
		}
		if last := int32(len(p.Inputs) - 1); p.Documents[last] != int32(len(p.alone)-1) {
			places = append(places, last)
		}
		p.keep(l, places)
	}
}

// rowArguments are the tensors of rows of one length and one number of kept places.
func rowArguments(c model.Config, rows ...naivegpt.Row) []any {
	var inputs, labels, documents, positions []int32
	for _, r := range rows {
		inputs, labels = append(inputs, r.Inputs...), append(labels, r.Labels...)
		documents, positions = append(documents, r.Documents...), append(positions, r.Positions...)
	}
	b, s := len(rows), len(rows[0].Inputs)
	args := []any{tensors.FromFlatDataAndDimensions(inputs, b, s), tensors.FromFlatDataAndDimensions(labels, b, s)}
	if documents != nil {
		args = append(args, tensors.FromFlatDataAndDimensions(slices.Concat(documents, positions), 2, b, s))
	}
	for _, l := range c.Routed {
		var kept []int32
		for _, r := range rows {
			kept = append(kept, r.Kept[l]...)
		}
		if kept != nil {
			args = append(args, tensors.FromFlatDataAndDimensions(kept, b, len(kept)/b))
		}
	}
	return args
}

// cast returns float64 tensors in another type.
func cast(dtype dtypes.DType, in []any) []any {
	var out []any
	for _, t := range in {
		t := t.(*tensors.Tensor)
		if dtype == dtypes.Float32 {
			narrow := make([]float32, t.Shape().Size())
			for i, x := range flat(t) {
				narrow[i] = float32(x)
			}
			t = tensors.FromFlatDataAndDimensions(narrow, t.Shape().Dimensions...)
		}
		out = append(out, t)
	}
	return out
}

// lossesAndGradients runs rows and returns the loss of each token and the gradient
// of their sum, all weights in one.
func lossesAndGradients(t *testing.T, c model.Config, dtype dtypes.DType, rows ...naivegpt.Row) (losses, gradient []float64) {
	t.Helper()
	out := call(t, func(in []*Node) []*Node {
		w, b := split(c, in)
		_, g := c.Gradients(w, b, Scalar(in[0].Graph(), dtype, 1))
		return append([]*Node{c.Losses(w, b)}, g...)
	}, append(cast(dtype, weights(c, 1)), rowArguments(c, rows...)...)...)
	widen := func(t *tensors.Tensor) (wide []float64) {
		if dtype == dtypes.Float64 {
			return flat(t)
		}
		for _, x := range tensors.MustCopyFlatData[float32](t) {
			wide = append(wide, float64(x))
		}
		return wide
	}
	for _, g := range out[1:] {
		gradient = append(gradient, widen(g)...)
	}
	return widen(out[0]), gradient
}

// Documents that share rows with others and with padding have the losses and the
// gradients that they have alone, with every routing that gives a document the same
// tokens in both.
func TestPackedDocumentsAreAsAlone(t *testing.T) {
	const length = 16 // rows are longer than the context of 7: positions begin anew
	for _, dtype := range []struct {
		dtypes.DType
		tolerance float64
	}{{dtypes.Float32, 1e-6}, {dtypes.Float64, 1e-10}} {
		for name, keep := range map[string]func(p *pack){
			"plain":    func(*pack) {},
			"keep all": func(p *pack) { p.keepAll(tiny) },
			"routed":   func(p *pack) { p.keepSome(tiny, 2) },
		} {
			t.Run(fmt.Sprintf("%v %s", dtype.DType, name), func(t *testing.T) {
				packs := []pack{packOf(tiny, 1, length, -1, []int{4, 2, 7}), packOf(tiny, 2, length, 3, []int{2, 3, 6})}
				for i := range packs {
					keep(&packs[i])
				}
				losses, gradient := lossesAndGradients(t, tiny, dtype.DType, packs[0].Row, packs[1].Row)
				sum := make([]float64, len(gradient))
				for r, p := range packs {
					for d, row := range p.alone {
						alone, g := lossesAndGradients(t, tiny, dtype.DType, row)
						for i, want := range alone {
							if got := losses[r*length+p.starts[d]+i]; math.Abs(got-want) > dtype.tolerance*(1+want) {
								t.Errorf("row %d, document %d, token %d: loss %v, alone %v", r, d, i, got, want)
							}
						}
						for i, x := range g {
							sum[i] += x
						}
					}
				}
				for i, want := range sum {
					if math.Abs(gradient[i]-want) > 10*dtype.tolerance*(1+math.Abs(want)) {
						t.Fatalf("gradient %d: %v, of the documents alone %v", i, gradient[i], want)
					}
				}
			})
		}
	}
}

// keepAll lets the routed layers see every token, under the name of routing.
func (p *pack) keepAll(c model.Config) {
	all := make([]int32, len(p.Inputs))
	for i := range all {
		all[i] = int32(i)
	}
	for _, l := range c.Routed {
		p.keep(l, all)
	}
}

// The same holds for any documents, any padding and any kept tokens, also where a
// layer keeps none of a document, against the definition.
func TestPackedAgainstNaive(t *testing.T) {
	w := weights(tiny, 1)
	var values [][]float64
	for _, x := range w {
		values = append(values, flat(x.(*tensors.Tensor)))
	}
	naive := naivegpt.New(tiny, values)
	e, err := NewExec(backend(t), func(in []*Node) []*Node { // one for all, so that a shape is compiled once
		w, b := split(tiny, in)
		return []*Node{tiny.Losses(w, b)}
	})
	if err != nil {
		t.Fatal(err)
	}
	rapid.Check(t, func(rt *rapid.T) {
		length := rapid.SampledFrom([]int{1, 6, 11}).Draw(rt, "length")
		keep := rapid.SampledFrom([]int{0, 1, length/2 + 1, length}).Draw(rt, "keep")
		var packs []pack
		var rows []naivegpt.Row
		for r := range 2 {
			var documents []int
			for left := length; left > 0; {
				n := rapid.IntRange(0, min(left, tiny.Context)).Draw(rt, "document")
				if n == 0 { // the rest is padding
					break
				}
				documents, left = append(documents, n), left-n
			}
			padding := rapid.SampledFrom([]int32{-1, int32(len(documents))}).Draw(rt, "padding")
			p := packOf(tiny, rapid.Uint64().Draw(rt, "tokens"), length, padding, documents)
			for _, l := range tiny.Routed {
				if keep > 0 {
					places := make([]int32, keep)
					route.RandomLTD{}.Keep(places, length, route.Draw{Seed: rapid.Uint64().Draw(rt, "kept"), Layer: l, Row: r})
					p.keep(l, places)
				}
			}
			packs, rows = append(packs, p), append(rows, p.Row)
		}
		out, err := e.Call(append(slices.Clone(w), rowArguments(tiny, rows...)...)...)
		if err != nil {
			rt.Fatal(err)
		}
		got := flat(out[0])
		for r, p := range packs {
			want := make([]float64, length) // padding has a loss of 0
			for d, row := range p.alone {
				copy(want[p.starts[d]:], naive.Losses(row))
			}
			for name, other := range map[string][]float64{"alone": want, "packed": naive.Losses(p.Row)} {
				for i, x := range other {
					if y := got[r*length+i]; math.Abs(y-x) > 1e-10*(1+x) {
						rt.Fatalf("row %d, token %d of document %d: loss %v, by the definition %s %v", r, i, p.Documents[i], y, name, x)
					}
				}
			}
		}
	})
}

// A row that is one document from position 0 is a row without documents, to the
// last bit of its losses.
func TestOneDocumentIsThePlainRow(t *testing.T) {
	p := packOf(tiny, 1, 7, -1, []int{7})
	for _, keep := range []func(){func() {}, func() { p.keepSome(tiny, 3) }} {
		keep()
		plain := p.Row
		plain.Documents, plain.Positions = nil, nil
		losses, gradient := lossesAndGradients(t, tiny, dtypes.Float64, p.Row)
		wantLosses, wantGradient := lossesAndGradients(t, tiny, dtypes.Float64, plain)
		if !slices.Equal(losses, wantLosses) {
			t.Errorf("losses %v, without documents %v", losses, wantLosses)
		}
		for i, want := range wantGradient {
			if math.Abs(gradient[i]-want) > 1e-12*(1+math.Abs(want)) {
				t.Fatalf("gradient %d: %v, without documents %v", i, gradient[i], want)
			}
		}
	}
}

// Documents without positions would be embedded as one long document.
func TestDocumentsNeedPositions(t *testing.T) {
	e, err := NewExec(backend(t), func(in []*Node) []*Node {
		w, b := split(tiny, in)
		b.Positions = nil
		return []*Node{tiny.Loss(w, b)}
	})
	if err != nil {
		t.Fatal(err)
	}
	_, err = e.Call(testCase{tiny, 0, true}.arguments()...)
	if err == nil || !strings.Contains(err.Error(), "documents without positions") {
		t.Errorf("got %v", err)
	}
}
