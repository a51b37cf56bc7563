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
			for _, rows := range []int{1, 3, 8} {
				var whole state
				for _, cut := range []struct{ accumulate, shards int }{{0, 1}, {1, 2}, {1, 3}, {2, 1}, {2, 2}, {4, 1}, {4, 2}, {5, 3}} {
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
	return map[string]stepModel{
		"plain":  text(tiny, 8, false),
		"routed": text(tiny, 3, false),
		"packed": text(tiny, 3, true),
		"lopsided": {tiny, func(rows int, step int64) *batch.Batch {
			b := lopsided.batch(rows, step)
			for i := range (rows - 1) * 8 {
				b.Labels[i] = batch.Ignore
			}
			return b
		}},
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

// pupil is a Learner that keeps the first places, and remembers what it was told.
type pupil struct{ told *[]string }

func (p pupil) Keep(kept []int32, length int, d route.Draw) {
	*p.told = append(*p.told, fmt.Sprint("keep ", len(kept), d.Step, d.Layer, d.Row))
	for i := range kept {
		kept[i] = int32(i)
	}
}
func (p pupil) Learn(vocabulary int) route.Learned {
	*p.told = append(*p.told, fmt.Sprint("learn ", vocabulary))
	return p
}
func (p pupil) Observe(labels []int32, losses []float32) {
	sum := 0.0
	for _, x := range losses {
		sum += float64(x)
	}
	*p.told = append(*p.told, fmt.Sprintf("observe %v %.4f", labels, sum))
}
func (p pupil) State() []float64        { return nil }
func (p pupil) Restore([]float64) error { return nil }

// A learner draws before each step, for its rows, and is told the losses after it.
func TestLearner(t *testing.T) {
	var told []string
	routing := &batch.Routing{Policy: pupil{&told}, Layers: tiny.Routed, Seed: 5}
	e := engineOf(t, 2, setting{model: tiny, optimizer: adam, seed: 5, accumulate: 2, learner: routing})
	plain := mustEngine(t, tiny, adam)
	b := someBatch(tiny, curriculum.Shape{Rows: 3, Length: 4, Kept: 4}, 1)
	b.Shape.Kept = 2
	got, err := e.step(b, 1e-2, 9)
	if err != nil {
		t.Fatal(err)
	}
	if b.Kept != nil {
		t.Error("the batch itself was routed")
	}
	own := *b
	own.Kept = [][]int32{{0, 1, 0, 1, 0, 1}}
	want, err := plain.step(&own, 1e-2, 9)
	if err != nil || math.Abs(got.loss-want.loss) > 1e-6 {
		t.Errorf("loss %v, of the routed batch %v (%v)", got.loss, want.loss, err)
	}
	var labels []int32
	for _, l := range b.Labels {
		if l != batch.Ignore {
			labels = append(labels, l)
		}
	}
	if expect := []string{
		"learn 17", "keep 2 9 1 0", "keep 2 9 1 1", "keep 2 9 1 2",
		fmt.Sprintf("observe %v %.4f", labels, want.loss*float64(len(labels))),
	}; !slices.Equal(told, expect) {
		t.Errorf("the learner was told %q, want %q", told, expect)
	}

	// What diverged teaches nothing.
	s, err := e.save()
	if err != nil {
		t.Fatal(err)
	}
	s.weights[len(s.weights)-1][3] = float32(math.Inf(1))
	if err := e.load(s); err != nil {
		t.Fatal(err)
	}
	told = nil
	if _, err := e.step(b, 1e-2, 10); err != nil || len(told) != 3 {
		t.Errorf("after a step that diverged (%v) the learner was told %q", err, told)
	}
	if _, err := newEngine(mustGo(t), setting{model: tiny, optimizer: adam, learner: &batch.Routing{Policy: route.RandomLTD{}}}); err == nil {
		t.Error("a policy that does not learn is a learner")
	}
}

// Places that predict are looked up in the labels of their row.
func TestPlaceLabels(t *testing.T) {
	b := &batch.Batch{Shape: curriculum.Shape{Rows: 2, Length: 3}, Labels: []int32{7, -1, 8, -1, 9, -1}}
	if got := placeLabels(b); !slices.Equal(got, b.Labels) {
		t.Errorf("labels %v", got)
	}
	b.Predicted = []int32{0, 2, 1, 0}
	if got, want := placeLabels(b), []int32{7, 8, 9, -1}; !slices.Equal(got, want) {
		t.Errorf("labels %v, want %v", got, want)
	}
}

// The moving average is its definition's, and what is evaluated.
func TestMovingAverage(t *testing.T) {
	a := Average{Kind: EMA, Decay: 0.6}
	s := setting{model: tiny, optimizer: adam, average: a, seed: 5}
	e := engineOf(t, 2, s)
	var mean [][]float64
	b := someBatch(tiny, curriculum.Shape{Rows: 3, Length: 8, Kept: 8}, 1)
	for step := range int64(5) {
		if _, err := e.step(b, 1e-2, step); err != nil {
			t.Fatal(err)
		}
		now, err := e.save()
		if err != nil {
			t.Fatal(err)
		}
		if mean == nil {
			mean = widen(now.weights)
		}
		d := min(0.6, float64(step)/float64(step+1))
		for i, w := range now.weights {
			for k, x := range w {
				mean[i][k] = d*mean[i][k] + (1-d)*float64(x)
				if got := float64(now.average[i][k]); math.Abs(got-mean[i][k]) > 1e-6 {
					t.Fatalf("step %d, %s[%d]: average %v, want %v", step, e.params[i].Name, k, got, mean[i][k])
				}
			}
		}
	}
	end, err := e.save()
	if err != nil {
		t.Fatal(err)
	}
	averaged := mustEngine(t, tiny, adam)
	if err := averaged.load(state{weights: end.average, moment1: end.moment1, moment2: end.moment2}); err != nil {
		t.Fatal(err)
	}
	got, _, err := e.loss([]*batch.Batch{b})
	want, _, errWant := averaged.loss([]*batch.Batch{b})
	raw, _, errRaw := e.rawLoss([]*batch.Batch{b})
	if err != nil || errWant != nil || errRaw != nil || got != want || got == raw {
		t.Errorf("evaluated at %v (%v), with the average as weights %v (%v); the weights themselves have %v (%v)", got, err, want, errWant, raw, errRaw)
	}

	// Averages that others made.
	plain := mustEngine(t, tiny, adam)
	if err := plain.loadAverage(end.average); err != nil {
		t.Fatal(err)
	}
	if got, _, err := plain.loss([]*batch.Batch{b}); err != nil || got != want {
		t.Errorf("evaluated at %v (%v), the average has %v", got, err, want)
	}
	if err := plain.loadAverage(nil); err != nil || plain.mean != nil {
		t.Errorf("an average is left: %v", err)
	}
}
