package train

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gradus-ml/gradus/batch"
	"github.com/gradus-ml/gradus/curriculum"
	"github.com/gradus-ml/gradus/internal/fault"
	"github.com/gradus-ml/gradus/internal/keyed"
	"github.com/gradus-ml/gradus/model"
	"github.com/gradus-ml/gradus/route"
)

// tiny has every part of a model: matrices of all shapes, a routed layer and a
// head of its own.
var tiny = model.Config{Vocabulary: 17, Context: 8, Layers: 3, Width: 8, Heads: 2, Untied: true, Routed: []int{1}}

var adam = Optimizer{Beta1: 0.9, Beta2: 0.95, Epsilon: 1e-8, Decay: 0.1, Clip: 1}

// goBackend is one for all tests: a tensor belongs to the backend it was first used on.
var goBackend = sync.OnceValues(func() (*Backend, error) { return OpenBackend("go") })

func mustEngine(t testing.TB, c model.Config, o Optimizer) *engine {
	t.Helper()
	return engineOf(t, 2, setting{model: c, optimizer: o, seed: 5})
}

// engineOf returns an engine that computes so many parts of a batch at once.
func engineOf(t testing.TB, shards int, s setting) *engine {
	t.Helper()
	backend, err := goBackend()
	if err != nil {
		t.Fatal(err)
	}
	own := *backend
	own.Shards = shards
	e, err := newEngine(&own, s)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// someBatch draws a batch; labels of every third position are ignored.
func someBatch(c model.Config, s curriculum.Shape, seed uint64) *batch.Batch {
	b := &batch.Batch{Shape: s, Inputs: make([]int32, s.Tokens()), Labels: make([]int32, s.Tokens())}
	stream := keyed.NewKey(seed, "batch").Stream()
	for i := range b.Inputs {
		b.Inputs[i] = int32(stream.Uint64N(uint64(c.Vocabulary)))
		b.Labels[i] = int32(stream.Uint64N(uint64(c.Vocabulary)))
		if i%3 == 1 {
			b.Labels[i] = batch.Ignore
		}
	}
	if s.Kept < s.Length {
		b.Kept = route.Positions(route.RandomLTD{}, seed, 0, c.Routed, 0, s.Rows, s.Length, s.Kept)
	}
	return b
}

// gradientOf returns the loss sum of rows [from, to) of a batch and the gradient
// of their part of the batch's mean loss.
func gradientOf(t *testing.T, e *engine, b *batch.Batch, from, to int) (float64, [][]float32) {
	t.Helper()
	in := e.trainingInputs(b, 0)
	found, err := e.run(&in, []span{{from, to}}, float32(1/float64(b.Targets())))
	if err != nil {
		t.Fatal(err)
	}
	losses := 0.0
	for _, x := range tensors.MustCopyFlatData[float32](found[0][0]) {
		losses += float64(x)
	}
	var gradients [][]float32
	for _, g := range found[0][1:] {
		gradients = append(gradients, tensors.MustCopyFlatData[float32](g))
	}
	return losses, gradients
}

// naiveAdamW is AdamW as its paper writes it (arXiv 1711.05101, algorithm 2), in
// float64.
type naiveAdamW struct {
	Optimizer
	weights, m, v [][]float64
}

func (n *naiveAdamW) step(gradients [][]float32, params []model.Param, rate float64, t int) (norm float64) {
	for _, g := range gradients {
		for _, x := range g {
			norm += float64(x) * float64(x)
		}
	}
	norm = math.Sqrt(norm)
	scale := 1.0
	if n.Clip > 0 && norm > n.Clip {
		scale = n.Clip / norm
	}
	for i, p := range params {
		decays := len(p.Shape) == 2 && !strings.Contains(p.Name, "wte") && !strings.Contains(p.Name, "wpe")
		for k, x := range gradients[i] {
			g := scale * float64(x)
			n.m[i][k] = n.Beta1*n.m[i][k] + (1-n.Beta1)*g
			n.v[i][k] = n.Beta2*n.v[i][k] + (1-n.Beta2)*g*g
			m := n.m[i][k] / (1 - math.Pow(n.Beta1, float64(t)))
			v := n.v[i][k] / (1 - math.Pow(n.Beta2, float64(t)))
			move := m / (math.Sqrt(v) + n.Epsilon)
			if decays {
				move += n.Decay * n.weights[i][k]
			}
			n.weights[i][k] -= rate * move
		}
	}
	return norm
}

func widen(groups [][]float32) [][]float64 {
	out := make([][]float64, len(groups))
	for i, g := range groups {
		out[i] = make([]float64, len(g))
		for k, x := range g {
			out[i][k] = float64(x)
		}
	}
	return out
}

func TestAdamWAgainstNaive(t *testing.T) {
	unclipped, clipped, undecayed, forgetful := adam, adam, adam, adam
	unclipped.Clip, clipped.Clip, undecayed.Decay = 0, 0.05, 0
	unclipped.Decay, clipped.Decay = 1, 1 // enough to be seen in a few steps
	forgetful.Beta1, forgetful.Beta2, forgetful.Epsilon = 0, 0.999, 1e-3
	for name, o := range map[string]Optimizer{"as is": adam, "unclipped": unclipped, "clipped": clipped, "undecayed": undecayed, "forgetful": forgetful} {
		t.Run(name, func(t *testing.T) {
			e := mustEngine(t, tiny, o)
			begin, err := e.save()
			if err != nil {
				t.Fatal(err)
			}
			naive := &naiveAdamW{Optimizer: o, weights: widen(begin.weights), m: widen(begin.moment1), v: widen(begin.moment2)}
			const steps = 6
			for step := range steps {
				b := someBatch(tiny, curriculum.Shape{Rows: 3, Length: 6, Kept: 4}, uint64(step))
				rate := 1e-2 / float64(step+1)
				// The shards' own gradients: some are nothing but rounding, of which
				// Adam makes a whole step.
				_, gradients := gradientOf(t, e, b, 0, 1)
				_, second := gradientOf(t, e, b, 1, 3)
				for i := range gradients {
					for k := range gradients[i] {
						gradients[i][k] += second[i][k]
					}
				}
				want := naive.step(gradients, e.params, rate, step+1)
				got, err := e.step(b, rate, int64(step))
				if err != nil {
					t.Fatal(err)
				}
				if math.Abs(got.norm-want) > 1e-5*want {
					t.Errorf("step %d: norm %v, want %v", step, got.norm, want)
				}
			}
			end, err := e.save()
			if err != nil {
				t.Fatal(err)
			}
			for i, p := range e.params {
				for k := range end.weights[i] {
					if got, want := float64(end.weights[i][k]), naive.weights[i][k]; math.Abs(got-want) > 2e-6 {
						t.Fatalf("%s[%d] is %v, want %v (began as %v)", p.Name, k, got, want, begin.weights[i][k])
					}
					if got, want := float64(end.moment1[i][k]), naive.m[i][k]; math.Abs(got-want) > 1e-6 {
						t.Fatalf("%s[%d]: first moment %v, want %v", p.Name, k, got, want)
					}
					if got, want := float64(end.moment2[i][k]), naive.v[i][k]; math.Abs(got-want) > 1e-6 {
						t.Fatalf("%s[%d]: second moment %v, want %v", p.Name, k, got, want)
					}
				}
			}
		})
	}
}

// The shards of a batch have its loss and gradient together, for any number of
// rows, also where all labels lie in one of them.
func TestShardsMakeTheWhole(t *testing.T) {
	for _, rows := range []int{1, 2, 3, 6, 7} {
		for _, kept := range []int{8, 3} {
			for _, kind := range []string{"plain", "lopsided", "packed"} {
				t.Run(fmt.Sprintf("%d rows, %d kept, %s", rows, kept, kind), func(t *testing.T) {
					e := mustEngine(t, tiny, adam)
					b := someBatch(tiny, curriculum.Shape{Rows: rows, Length: 8, Kept: kept}, 3)
					switch kind {
					case "lopsided":
						for i := range (rows - 1) * 8 {
							b.Labels[i] = batch.Ignore
						}
					case "packed":
						b = packed(b, 3, 3)
					}
					sum, whole := gradientOf(t, e, b, 0, rows)
					parts := make([][]float64, len(whole))
					for _, part := range e.microBatches(rows)[0] {
						_, g := gradientOf(t, e, b, part.from, part.to)
						for i := range g {
							if parts[i] == nil {
								parts[i] = make([]float64, len(g[i]))
							}
							for k, x := range g[i] {
								parts[i][k] += float64(x)
							}
						}
					}
					squares := 0.0
					for i, p := range e.params {
						for k, want := range whole[i] {
							squares += float64(want) * float64(want)
							if math.Abs(parts[i][k]-float64(want)) > 1e-6 {
								t.Errorf("%s[%d]: %v, whole %v", p.Name, k, parts[i][k], want)
							}
						}
					}
					got, err := e.step(b, 1e-3, 0)
					if err != nil {
						t.Fatal(err)
					}
					if want := sum / float64(b.Targets()); math.Abs(got.loss-want) > 1e-6*want {
						t.Errorf("loss %v, of the whole %v", got.loss, want)
					}
					if want := math.Sqrt(squares); math.Abs(got.norm-want) > 1e-5*want {
						t.Errorf("norm %v, of the whole %v", got.norm, want)
					}
				})
			}
		}
	}
}

// A model that is right learns one batch by heart.
func TestOverfitsOneBatch(t *testing.T) {
	c := tiny
	c.Width = 32
	o := adam
	o.Decay = 0
	e := mustEngine(t, c, o)
	b := someBatch(c, curriculum.Shape{Rows: 4, Length: 8, Kept: 6}, 1)
	var first, loss float64
	for step := range int64(100) {
		r, err := e.step(b, 1e-2, step)
		if err != nil {
			t.Fatal(err)
		}
		if loss = r.loss; step == 0 {
			first = loss
		}
	}
	// A fresh model spreads its guesses evenly: ln 17 nats.
	if math.Abs(first-math.Log(17)) > 0.1 || loss > 0.02 {
		t.Errorf("the loss of one batch falls from %v to %v, want %v and nearly 0", first, loss, math.Log(17))
	}
}

// A step of a loss that is not finite changes nothing.
func TestDivergedStepChangesNothing(t *testing.T) {
	e := mustEngine(t, tiny, adam)
	s, err := e.save()
	if err != nil {
		t.Fatal(err)
	}
	s.weights[len(s.weights)-1][3] = float32(math.Inf(1))
	if err := e.load(s); err != nil {
		t.Fatal(err)
	}
	r, err := e.step(someBatch(tiny, curriculum.Shape{Rows: 2, Length: 8, Kept: 8}, 1), 1e-3, 0)
	if err != nil || !diverged(r.loss) && !diverged(r.norm) {
		t.Fatalf("loss %v, norm %v, error %v", r.loss, r.norm, err)
	}
	after, err := e.save()
	if err != nil {
		t.Fatal(err)
	}
	sameState(t, after, s)
}

// sameState compares two states bit by bit.
func sameState(t testing.TB, got, want state) {
	t.Helper()
	for name, pair := range map[string][2][][]float32{
		"weights": {got.weights, want.weights}, "first moments": {got.moment1, want.moment1}, "second moments": {got.moment2, want.moment2},
		"averages": {got.average, want.average},
	} {
		if len(pair[0]) != len(pair[1]) {
			t.Fatalf("%d %s, want %d", len(pair[0]), name, len(pair[1]))
		}
		for i := range pair[0] {
			for k, x := range pair[0][i] {
				if math.Float32bits(x) != math.Float32bits(pair[1][i][k]) {
					t.Fatalf("%s: tensor %d, element %d is %v, want %v", name, i, k, x, pair[1][i][k])
				}
			}
		}
	}
	if !slices.Equal(got.learned, want.learned) {
		t.Fatalf("the policy has learned %v, want %v", got.learned, want.learned)
	}
}

func TestBatchesTheModelCannotRead(t *testing.T) {
	bert := model.Config{Kind: model.BERT, Vocabulary: 17, Context: 8, Layers: 2, Width: 8, Heads: 2, Routed: []int{1}}
	vit := model.Config{Kind: model.ViT, Context: 5, Layers: 2, Width: 8, Heads: 2, Image: model.Image{Height: 4, Width: 4, Channels: 1, Patch: 2}, Classes: 3}
	shape := curriculum.Shape{Rows: 2, Length: 8, Kept: 8}
	for name, c := range map[string]struct {
		model model.Config
		spoil func(*batch.Batch)
		kind  error
	}{
		"no rows":                     {tiny, func(b *batch.Batch) { b.Rows = 0 }, fault.Invalid},
		"too few labels":              {tiny, func(b *batch.Batch) { b.Labels = b.Labels[:15] }, fault.Mismatch},
		"too few inputs":              {tiny, func(b *batch.Batch) { b.Inputs = b.Inputs[:15] }, fault.Mismatch},
		"images":                      {tiny, func(b *batch.Batch) { b.Pixels = make([]uint8, 8) }, fault.Mismatch},
		"rows beyond the context":     {tiny, func(b *batch.Batch) { b.Rows, b.Length = 1, 16 }, fault.Mismatch},
		"input beyond the vocabulary": {tiny, func(b *batch.Batch) { b.Inputs[15] = 17 }, fault.Mismatch},
		"negative input":              {tiny, func(b *batch.Batch) { b.Inputs[0] = -1 }, fault.Mismatch},
		"label beyond the vocabulary": {tiny, func(b *batch.Batch) { b.Labels[3] = 17 }, fault.Mismatch},
		"label that is none":          {tiny, func(b *batch.Batch) { b.Labels[3] = -2 }, fault.Mismatch},
		"documents without positions": {tiny, func(b *batch.Batch) { b.Documents = make([]int32, 16) }, fault.Invalid},
		"positions without documents": {tiny, func(b *batch.Batch) { b.Positions = make([]int32, 16) }, fault.Invalid},
		"too few documents":           {tiny, func(b *batch.Batch) { packed(b, 3, 1); b.Documents = b.Documents[:15] }, fault.Invalid},
		"position beyond the context": {tiny, func(b *batch.Batch) { packed(b, 3, 1); b.Positions[15] = 8 }, fault.Mismatch},
		"negative position":           {tiny, func(b *batch.Batch) { packed(b, 3, 1); b.Positions[15] = -1 }, fault.Mismatch},
		"segment beyond the two":      {bert, func(b *batch.Batch) { b.Segments = make([]int32, 16); b.Segments[2] = 2 }, fault.Mismatch},
		"negative segment":            {bert, func(b *batch.Batch) { b.Segments = make([]int32, 16); b.Segments[2] = -1 }, fault.Mismatch},
		"too few segments":            {bert, func(b *batch.Batch) { b.Segments = make([]int32, 14) }, fault.Invalid},
		"place beyond the row":        {bert, func(b *batch.Batch) { b.Predicted = []int32{0, 1, 2, 8} }, fault.Mismatch},
		"negative place":              {bert, func(b *batch.Batch) { b.Predicted = []int32{0, 1, -1, 7} }, fault.Mismatch},
		"uneven places":               {bert, func(b *batch.Batch) { b.Predicted = []int32{0, 1, 2} }, fault.Invalid},
		"no places":                   {bert, func(b *batch.Batch) { b.Predicted = []int32{} }, fault.Invalid},
		"kept beyond the row":         {tiny, func(b *batch.Batch) { b.Kept = [][]int32{{0, 7, 1, 8}} }, fault.Invalid},
		"negative kept":               {tiny, func(b *batch.Batch) { b.Kept = [][]int32{{0, 7, -1, 2}} }, fault.Invalid},
		"kept twice":                  {tiny, func(b *batch.Batch) { b.Kept = [][]int32{{0, 7, 1, 1}} }, fault.Invalid},
		"kept in disorder":            {tiny, func(b *batch.Batch) { b.Kept = [][]int32{{7, 0, 1, 2}} }, fault.Invalid},
		"uneven kept":                 {tiny, func(b *batch.Batch) { b.Kept = [][]int32{{0, 1, 2}} }, fault.Invalid},
		"none kept":                   {tiny, func(b *batch.Batch) { b.Kept = [][]int32{{}} }, fault.Invalid},
		"kept of other layers":        {tiny, func(b *batch.Batch) { b.Kept = [][]int32{{0, 1}, {0, 1}} }, fault.Mismatch},
		"text for a ViT":              {vit, func(b *batch.Batch) { b.Inputs, b.Labels = make([]int32, 16), make([]int32, 16) }, fault.Mismatch},
		"images of another size":      {vit, func(b *batch.Batch) { images(b, vit); b.Pixels = b.Pixels[1:] }, fault.Mismatch},
		"too few classes":             {vit, func(b *batch.Batch) { images(b, vit); b.Labels = b.Labels[1:] }, fault.Mismatch},
		"class beyond the last":       {vit, func(b *batch.Batch) { images(b, vit); b.Labels[1] = 3 }, fault.Mismatch},
		"images of another length":    {vit, func(b *batch.Batch) { images(b, vit); b.Length = 4 }, fault.Mismatch},
		"images with inputs":          {vit, func(b *batch.Batch) { images(b, vit); b.Inputs = make([]int32, 10) }, fault.Invalid},
		"nothing to predict": {tiny, func(b *batch.Batch) {
			for i := range b.Labels {
				b.Labels[i] = batch.Ignore
			}
		}, fault.Invalid},
	} {
		b := someBatch(c.model, shape, 1)
		if c.model.Is(model.ViT) {
			b = &batch.Batch{Shape: shape}
		}
		c.spoil(b)
		e := &engine{backend: &Backend{}, setting: setting{model: c.model}}
		if _, err := e.step(b, 1e-3, 0); !errors.Is(err, c.kind) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// images makes a batch one of images for a ViT.
func images(b *batch.Batch, c model.Config) {
	b.Length, b.Kept = c.Context, nil
	b.Pixels, b.Labels = make([]uint8, b.Rows*c.Image.Pixels()), make([]int32, b.Rows)
	stream := keyed.NewKey(1, "images").Stream()
	for i := range b.Pixels {
		b.Pixels[i] = uint8(stream.Uint32())
	}
	for i := range b.Labels {
		b.Labels[i] = int32(stream.Uint64N(uint64(c.Classes)))
	}
}
