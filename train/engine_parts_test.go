package train

import (
	"fmt"
	"math"
	"slices"
	"testing"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gradus-ml/gradus/batch"
	"github.com/gradus-ml/gradus/curriculum"
	"github.com/gradus-ml/gradus/model"
	"github.com/gradus-ml/gradus/route"
	"pgregory.net/rapid"
)

// A step in micro batches, in any number of parts at once, is the step of the whole
// batch, also where some parts have no row or nothing to predict.
func TestMicroBatchesMakeTheWhole(t *testing.T) {
	gentle := adam // whose steps do not blow up what is nothing but rounding
	gentle.Epsilon = 1e-3
	for name, c := range stepModels() {
		t.Run(name, func(t *testing.T) {
			for _, rows := range []int{3, 8} {
				var whole state
				for _, cut := range []struct{ accumulate, shards int }{{0, 1}, {1, 3}, {2, 1}, {2, 2}, {4, 2}} {
					e := engineOf(t, cut.shards, setting{model: c.config, optimizer: gentle, seed: 5, accumulate: cut.accumulate})
					for step := range int64(3) {
						b := c.batch(rows, step)
						r, err := e.step(b, 1e-2, step)
						if err != nil || diverged(r.loss) {
							t.Fatalf("%d rows, cut %v: loss %v, %v", rows, cut, r.loss, err)
						}
					}
					got, err := e.save()
					if err != nil {
						t.Fatal(err)
					}
					if whole.weights == nil {
						whole = got
						continue
					}
					for i, p := range e.params {
						for k, want := range whole.weights[i] {
							if x := got.weights[i][k]; math.Abs(float64(x-want)) > 2e-6 {
								t.Fatalf("%d rows, cut %v: %s[%d] is %v, of the whole %v", rows, cut, p.Name, k, x, want)
							}
						}
					}
				}
			}
		})
	}
}

// A stepModel is a model and batches for it.
type stepModel struct {
	config model.Config
	batch  func(rows int, step int64) *batch.Batch
}

func stepModels() map[string]stepModel {
	text := func(c model.Config, kept int, pack bool) stepModel {
		return stepModel{c, func(rows int, step int64) *batch.Batch {
			b := someBatch(c, curriculum.Shape{Rows: rows, Length: 8, Kept: kept}, uint64(step))
			if pack {
				b = packed(b, 4, uint64(step))
			}
			return b
		}}
	}
	lopsided := text(tiny, 8, false)
	dropping, pixels := tiny, smallViT
	dropping.Dropout, pixels.Dropout = 0.3, 0.2
	return map[string]stepModel{
		"plain":   text(tiny, 8, false),
		"routed":  text(tiny, 3, false),
		"packed":  text(tiny, 3, true),
		"dropout": text(dropping, 3, true),
		"bert": {smallBERT, func(rows int, step int64) *batch.Batch {
			return masked(someBatch(smallBERT, curriculum.Shape{Rows: rows, Length: 8, Kept: 5}, uint64(step)))
		}},
		"vit": {pixels, func(rows int, step int64) *batch.Batch {
			b := &batch.Batch{Shape: curriculum.Shape{Rows: rows, Length: 5, Kept: 3}}
			images(b, pixels)
			b.Kept = route.Positions(route.RandomLTD{}, 1, step, pixels.Routed, 0, rows, 5, 3)
			return b
		}},
		"lopsided": {tiny, func(rows int, step int64) *batch.Batch {
			b := lopsided.batch(rows, step)
			for i := range (rows - 1) * 8 {
				b.Labels[i] = batch.Ignore
			}
			return b
		}},
	}
}

var (
	smallBERT = model.Config{Kind: model.BERT, Vocabulary: 17, Context: 8, Layers: 3, Width: 8, Heads: 2, Dropout: 0.1, Routed: []int{1}}
	smallViT  = model.Config{Kind: model.ViT, Context: 5, Layers: 3, Width: 8, Heads: 2, Classes: 3, Routed: []int{1},
		Image: model.Image{Height: 4, Width: 4, Channels: 1, Patch: 2}}
)

// masked makes a batch one of rows that predict at two places.
func masked(b *batch.Batch) *batch.Batch {
	b.Segments = make([]int32, b.Tokens())
	for r := range b.Rows {
		at := r * b.Length
		copy(b.Segments[at+b.Length/2:at+b.Length], []int32{1, 1, 1, 1})
		for i := range b.Length {
			if b.Labels[at+i] = batch.Ignore; i == r%6 || i == 7 && r%2 > 0 {
				b.Labels[at+i] = (b.Inputs[at+i] + 1) % 17
			}
		}
		b.Predicted = append(b.Predicted, int32(r%6), 7) // a place that predicts nothing, in every other row
	}
	return b
}

// A label is right if no other one has a smaller loss at its place.
func TestAccuracy(t *testing.T) {
	some := 0.0
	for name, c := range stepModels() {
		e := mustEngine(t, c.config, adam)
		if err := e.load(state{weights: proxyWeights(c.config), moment1: proxyWeights(c.config), moment2: proxyWeights(c.config)}); err != nil {
			t.Fatal(err)
		}
		// places returns the loss at each place.
		places := func(b *batch.Batch) []float32 {
			in := e.inputs(b)
			exec, err := e.losses.of(in.layout)
			if err != nil {
				t.Fatal(err)
			}
			out, err := in.call(exec, 0, anys(e.weights), 0, b.Rows)
			if err != nil {
				t.Fatal(err)
			}
			return tensors.MustCopyFlatData[float32](out[0])
		}
		right, sum, labels := 0.0, 0.0, 0.0
		batches := []*batch.Batch{c.batch(4, 1), c.batch(4, 2)}
		for _, b := range batches {
			losses, answers := places(b), placeLabels(b)
			best := slices.Clone(losses)
			for v := range int32(max(c.config.Vocabulary, c.config.Classes)) {
				other := *b
				other.Labels = slices.Repeat([]int32{v}, len(b.Labels))
				for i, loss := range places(&other) {
					best[i] = min(best[i], loss)
				}
			}
			for i, label := range answers {
				if label == batch.Ignore {
					continue
				}
				labels, sum = labels+1, sum+float64(losses[i])
				if losses[i] == best[i] {
					right++
				}
			}
		}
		loss, accuracy, err := e.loss(batches)
		if err != nil || math.Abs(loss-sum/labels) > 1e-6*loss || math.Abs(accuracy-right/labels) > 1e-9 {
			t.Errorf("%s: loss %v and accuracy %v (%v), by the definition %v and %v", name, loss, accuracy, err, sum/labels, right/labels)
		}
		some += right
	}
	if some == 0 {
		t.Error("no model has any label right")
	}
}

// Micro batches and their parts hold each row once, in order.
func TestMicroBatchesHoldEachRow(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		e := &engine{backend: &Backend{Shards: rapid.IntRange(1, 5).Draw(t, "shards")}}
		e.accumulate = rapid.IntRange(1, 9).Draw(t, "accumulate")
		rows := rapid.IntRange(1, 40).Draw(t, "rows")
		at, micro := 0, e.microBatches(rows)
		for _, parts := range micro {
			if len(parts) > e.backend.Shards {
				t.Fatalf("%d parts at once", len(parts))
			}
			held := 0
			for _, p := range parts {
				if p.from != at || p.to <= p.from {
					t.Fatalf("part %v of %d rows behind %d", p, rows, at)
				}
				held += p.to - p.from
				at = p.to
			}
			if most := (rows + e.accumulate - 1) / e.accumulate; held > most {
				t.Fatalf("a micro batch has %d rows, want at most %d", held, most)
			}
		}
		if at != rows || len(micro) != min(rows, e.accumulate) {
			t.Fatalf("%d micro batches hold %d of %d rows", len(micro), at, rows)
		}
	})
}

// Noise belongs to the seed, the step and the row of the global batch.
func TestNoise(t *testing.T) {
	all := noise(1, 2, 0, 8, 5)
	if part := noise(1, 2, 3, 2, 5); !slices.Equal(part, all[15:25]) {
		t.Errorf("rows 3 and 4 alone have %x, of all %x", part, all[15:25])
	}
	if slices.Equal(all[:5], all[5:10]) {
		t.Error("two rows have the same noise")
	}
	for name, other := range map[string][]uint32{"seed": noise(2, 2, 0, 8, 5), "step": noise(1, 3, 0, 8, 5)} {
		if slices.Equal(all, other) {
			t.Errorf("another %s has the same noise", name)
		}
	}
	if golden := []uint32{0x1c80f313, 0x30aba0d0, 0xcb37672a}; !slices.Equal(all[:3], golden) {
		t.Errorf("noise %#x, want %#x: runs that go on depend on it", all[:3], golden)
	}
}

// Every input of a batch reaches the graph under its name, for any choice of them.
func TestInputsKeepTheirNames(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const rows, length = 3, 4
		next := int32(0)
		some := func(name string, width int) []int32 {
			if name != "labels" && !rapid.Bool().Draw(t, name) {
				return nil
			}
			values := make([]int32, rows*width)
			for i := range values {
				next++
				values[i] = next
			}
			return values
		}
		b := &batch.Batch{Shape: curriculum.Shape{Rows: rows, Length: length}}
		if rapid.Bool().Draw(t, "images") {
			b.Pixels = []uint8{1, 2, 3, 4, 5, 6}
			b.Labels = some("labels", 1)
		} else {
			b.Inputs, b.Labels = some("labels", length), some("labels", length)
		}
		b.Predicted, b.Segments = some("predicted", 2), some("segments", length)
		if b.Documents = some("documents", length); b.Documents != nil {
			b.Positions = some("labels", length)
		}
		for range rapid.IntRange(0, 2).Draw(t, "routed layers") {
			b.Kept = append(b.Kept, some("labels", 3))
		}
		e := &engine{setting: setting{model: model.Config{Dropout: float64(rapid.IntRange(0, 1).Draw(t, "dropout")) / 2}}}
		in := e.trainingInputs(b, 7)

		var shapes [][]int
		for _, s := range in.shapes(rows) {
			shapes = append(shapes, s.Dimensions)
		}
		graph, found := NewGraph(mustGo(t).Compute, "names"), []string{}
		var nodes []*Node
		for i, s := range in.shapes(rows) {
			nodes = append(nodes, Parameter(graph, fmt.Sprint(i), s))
		}
		named := in.layout.batch(nodes)
		check := func(name string, node *Node, want any, there bool) {
			if (node != nil) != there {
				t.Fatalf("%s of %v: node %v", name, shapes, node)
			}
			if node == nil {
				return
			}
			at := slices.Index(nodes, node)
			found = append(found, name)
			if got := in.columns[at].tensor(0, rows); fmt.Sprint(flatOf(t, got)) != fmt.Sprint(want) {
				t.Fatalf("%s is %v, want %v", name, flatOf(t, got), want)
			}
		}
		check("inputs", named.Inputs, b.Inputs, b.Inputs != nil)
		check("pixels", named.Pixels, b.Pixels, b.Pixels != nil)
		check("labels", named.Labels, b.Labels, true)
		check("predicted", named.Predicted, b.Predicted, b.Predicted != nil)
		check("segments", named.Segments, b.Segments, b.Segments != nil)
		check("documents", named.Documents, b.Documents, b.Documents != nil)
		check("positions", named.Positions, b.Positions, b.Positions != nil)
		check("noise", named.Noise, noise(0, 7, 0, rows, length), e.model.Dropout > 0)
		for i, kept := range named.Kept {
			check("kept", kept, b.Kept[i], true)
		}
		if len(found) != len(nodes) || len(named.Kept) != len(b.Kept) {
			t.Fatalf("%d inputs, of which %v have names", len(nodes), found)
		}
	})
}

func mustGo(t interface{ Fatal(...any) }) *Backend {
	b, err := goBackend()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func flatOf(t interface{ Fatal(...any) }, x *tensors.Tensor) any {
	var values any
	if err := x.ConstFlatData(func(flat any) { values = flat }); err != nil {
		t.Fatal(err)
	}
	return values
}
