package train

import (
	"fmt"
	"math"

	"github.com/gradus-ml/gradus/batch"
	"github.com/gradus-ml/gradus/curriculum"
	"github.com/gradus-ml/gradus/internal/keyed"
	"github.com/gradus-ml/gradus/model"
	"github.com/gradus-ml/gradus/route"
)

// checkTolerance is the largest difference of losses and weights that Check takes
// for rounding, as a share of their size. After three steps XLA and ONNX Runtime
// stay below 1e-5; a wrong operation gives 1e-2 and more.
const checkTolerance = 1e-4

// Check trains a tiny GPT for three steps on the backend and on the Go backend: rows
// of several documents, a routed layer, a head of its own. An error says that it does
// not compile or run, or that losses or weights differ by more than rounding.
func (b *Backend) Check() error {
	reference, err := OpenBackend("go")
	if err != nil {
		return err
	}
	defer reference.Close()
	want, err := checkRun(reference)
	if err != nil {
		return err
	}
	got, err := checkRun(b)
	if err != nil {
		return b.enough(err)
	}
	return b.agrees(got, want)
}

// agrees compares what checkRun returned with what it should have.
func (b *Backend) agrees(got, want [][]float32) error {
	for i := range want {
		if d := distance(got[i], want[i]); !(d <= checkTolerance) {
			return fmt.Errorf("backend %s computes wrongly: values %d of a tiny model differ from the Go backend's by %.2g of their size after three steps; "+
				"try another version of its library (%s)", b.Name, i, d, b.Library)
		}
	}
	return nil
}

// checkRun returns the losses of three steps, and the weights after them.
func checkRun(b *Backend) ([][]float32, error) {
	c := model.Config{Vocabulary: 40, Context: 16, Layers: 3, Width: 16, Heads: 2, Untied: true, Routed: route.Inner(3)}
	e, err := newEngine(b, setting{
		model: c, optimizer: Optimizer{Beta1: 0.9, Beta2: 0.95, Epsilon: 1e-6, Decay: 0.1, Clip: 1}, seed: 1,
	})
	if err != nil {
		return nil, err
	}
	const rows, length, kept = 4, 16, 6
	var losses []float32
	for step := range int64(3) {
		data := &batch.Batch{Shape: curriculum.Shape{Rows: rows, Length: length, Kept: kept}}
		stream := keyed.NewKey(1, "backend check", uint64(step)).Stream()
		for i := range rows * length {
			at := i % length
			data.Inputs = append(data.Inputs, int32(stream.Uint64N(uint64(c.Vocabulary))))
			data.Labels = append(data.Labels, int32(stream.Uint64N(uint64(c.Vocabulary+5)))-5) // some predict nothing
			data.Documents = append(data.Documents, int32(at/10))
			data.Positions = append(data.Positions, int32(at%10))
		}
		for i, label := range data.Labels {
			data.Labels[i] = max(label, batch.Ignore)
		}
		data.Kept = route.Draws(route.RandomLTD{}, 1, step, c.Routed, []int{kept}, route.Rows{Count: rows, Length: length, Tokens: data.Inputs})
		r, err := e.step(data, 1e-2, step)
		if err != nil {
			return nil, err
		}
		losses = append(losses, float32(r.loss))
	}
	s, err := e.save()
	if err != nil {
		return nil, err
	}
	return append([][]float32{losses}, s.weights...), nil
}

// distance returns the norm of the difference of two vectors over the norm of b, or
// 1 where that is less.
func distance(a, b []float32) float64 {
	if len(a) != len(b) {
		return math.Inf(1)
	}
	var apart, size float64
	for i := range b {
		d := float64(a[i]) - float64(b[i])
		apart += d * d
		size += float64(b[i]) * float64(b[i])
	}
	return math.Sqrt(apart / math.Max(size, 1))
}
