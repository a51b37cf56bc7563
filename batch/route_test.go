package batch_test

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/gradus-ml/gradus/batch"
	"github.com/gradus-ml/gradus/curriculum"
	"github.com/gradus-ml/gradus/route"
)

// marks writes what is always kept of a batch, a row a word.
func marks(b *batch.Batch) string {
	if b.Always == nil {
		return "none"
	}
	var words []string
	for row := range slices.Chunk(b.Always, b.Length) {
		word := ""
		for _, yes := range row {
			word += map[bool]string{true: "x", false: "."}[yes]
		}
		words = append(words, word)
	}
	return strings.Join(words, " ")
}

// What is always kept follows the documents, the tokens and the predicted places
// of each kind of batch; padding is never among it, and policies are told of it.
func TestAlways(t *testing.T) {
	const end = 9
	shape := curriculum.Shape{Rows: 2, Length: 6, Kept: 4}
	plain := batch.Batch{
		Shape:  shape,
		Inputs: []int32{1, end, 2, 3, end, 5 /**/, 1, end, end, end, end, end},
		Labels: []int32{end, 2, 3, end, 5, 6 /**/, end, 2, -1, -1, -1, -1}, Padding: 4,
	}
	packed := plain
	packed.Documents = []int32{0, 0, 1, 1, 1, 2 /**/, 0, 0, 1, 1, 1, 1}
	packed.Positions = []int32{0, 1, 0, 1, 2, 0 /**/, 0, 1, 0, 0, 0, 0}
	masked := packed
	masked.Labels = []int32{-1, -1, 2, -1, -1, 5 /**/, 1, -1, -1, -1, -1, -1}
	masked.Predicted = []int32{2, 5 /**/, 0, 1}
	images := batch.Batch{Shape: shape, Pixels: make([]uint8, 2*5*4), Labels: []int32{3, 1}}
	for _, c := range []struct {
		name   string
		b      batch.Batch
		always batch.Always
		want   string
	}{
		{"nothing", plain, batch.Always{}, "none"},
		{"first", plain, batch.Always{First: true}, "x..... x....."},
		{"first of packed", packed, batch.Always{First: true}, "x.x..x x....."},
		{"first of images", images, batch.Always{First: true}, "x..... x....."},
		{"tokens of images", images, batch.Always{Tokens: []int32{end}}, "none"},
		{"tokens", plain, batch.Always{Tokens: []int32{3, end}}, ".x.xx. .x...."},
		{"tokens of packed", packed, batch.Always{Tokens: []int32{end}}, ".x..x. .x...."},
		{"tokens of masked", masked, batch.Always{Tokens: []int32{end}}, ".x..x. .x...."},
		{"masked", masked, batch.Always{Masked: true}, "..x..x x....."},
		{"masked of none", plain, batch.Always{Masked: true}, "none"},
		{"all", masked, batch.Always{First: true, Masked: true, Tokens: []int32{end}}, "xxx.xx xx...."},
	} {
		var told []int32
		p := policy(func(d route.Draw) { told = append(told, d.Tokens...) })
		c.b.Route(batch.Routing{Policy: p, Layers: []int{1}, Always: c.always}, 0)
		if got := marks(&c.b); got != c.want {
			t.Errorf("%s: always kept %s, want %s", c.name, got, c.want)
		}
		for i, yes := range c.b.Always {
			row := i / shape.Length
			of := c.b.Kept[0][row*shape.Kept : (row+1)*shape.Kept]
			if yes && !slices.Contains(of, int32(i%shape.Length)) && c.name != "all" { // which are more than are kept
				t.Errorf("%s: position %d of row %d is not kept: %v", c.name, i%shape.Length, row, of)
			}
		}
		if want := "[1 9 2 3 9 5 1 9 -1 -1 -1 -1]"; c.name == "nothing" && fmt.Sprint(told) != want {
			t.Errorf("%s: the policy is told of the tokens %v, want %s", c.name, told, want)
		}
	}
	if plain.Inputs[11] != end {
		t.Error("routing changed the inputs")
	}
}

// policy keeps the first positions, and says what it is asked.
type policy func(d route.Draw)

func (p policy) Keep(kept []int32, length int, d route.Draw) {
	p(d)
	for i := range kept {
		kept[i] = int32(i)
	}
}

// Layers keep as many as their share of the dropped says; if all keep all, there is
// nothing to route, and a second call replaces what the first set.
func TestRouteByLayer(t *testing.T) {
	b := batch.Batch{Shape: curriculum.Shape{Rows: 2, Length: 8, Kept: 4}, Inputs: make([]int32, 16), Labels: make([]int32, 16)}
	r := batch.Routing{Policy: route.RandomLTD{}, Layers: []int{1, 2, 4}, Drop: []float64{1, 0, 0.5}, Always: batch.Always{First: true}}
	b.Route(r, 3)
	for l, want := range []int{4, 8, 6} {
		if got := len(b.Kept[l]); got != 2*want {
			t.Errorf("layer %d keeps %d positions of 2 rows, want %d each", r.Layers[l], got, want)
		}
	}
	r.Drop = []float64{0, 0.1, 0}
	if b.Route(r, 3); b.Kept != nil || b.Always != nil {
		t.Errorf("every layer keeps all, and the batch has kept positions %v and marks %v", b.Kept, b.Always)
	}
}

// The Maker routes by layer and keeps what is to be kept alike for any number of
// ranks, and leaves a policy that learns to the trainer.
func TestMakerRoutes(t *testing.T) {
	c := write(t, t.TempDir(), 60, 4, 7, 7, 12, 130, 5, 40, 33, 21)
	s := newSetting(t, batch.Reshape{}, []batch.Source{packed(24)(t, c)}, length(t, 6, 24, 6), keep(t, 3, 24, 7))
	s.Routing.Drop, s.Routing.Always = []float64{1, 0.4}, batch.Always{First: true, Tokens: []int32{3, 8}}
	maker := func() *batch.Maker {
		m, err := batch.NewMaker(s.Config)
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	made := func(m *batch.Maker, step int64, rank, world int) *batch.Batch {
		b, err := m.Make(step, rank, world)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	routes := maker()
	s.Routing.Policy = route.TokenBypass{}
	learns := maker()
	routed := 0
	for step := range s.Plan.Steps() {
		whole := made(routes, step, 0, 1)
		for _, world := range []int{2, 3, 5} {
			var parts []*batch.Batch
			for rank := range world {
				parts = append(parts, made(routes, step, rank, world))
			}
			if got := concat(parts, 2); !reflect.DeepEqual(got.Kept, whole.Kept) {
				t.Fatalf("step %d: %d ranks keep\n%v\none keeps\n%v", step, world, got.Kept, whole.Kept)
			}
		}
		if whole.Kept != nil {
			routed++
			if a, b := len(whole.Kept[0]), len(whole.Kept[1]); a != whole.Rows*whole.Shape.Kept || b <= a {
				t.Errorf("step %d: %d rows keep %d and %d positions", step, whole.Rows, a, b)
			}
		}
		if b := made(learns, step, 0, 1); b.Kept != nil || b.Always != nil {
			t.Fatalf("step %d: the batch of a policy that learns has kept positions %v", step, b.Kept)
		}
	}
	if routed == 0 {
		t.Error("no step is routed")
	}
	s.Routing.Drop = []float64{1}
	if _, err := batch.NewMaker(s.Config); err == nil {
		t.Error("2 layers and the share of 1 make a maker")
	}
}
