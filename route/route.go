// Package route decides which tokens a middle layer sees.
//
// A Policy draws, for a step, a layer and a row, the positions that are kept; the
// rest pass the layer by unchanged (random layerwise token dropping, random-LTD,
// arXiv 2211.11586, section 3). The draw is a pure function of (seed, step, layer,
// row): it does not depend on ranks, workers or resumes, and enters the model as
// an input, so positions and masks can follow it. Draws makes those of a step. A
// Learner's draw depends on the run so far too; the trainer keeps what it learned.
package route

import (
	"math"
	"math/rand/v2"

	"github.com/gradus-ml/gradus/internal/keyed"
)

// A Draw names one decision: which positions of one row one layer keeps.
type Draw struct {
	Seed  uint64
	Step  int64 // from 0
	Layer int   // index in the model, from 0
	// Span is the first layer of the run of routed layers, without a gap and keeping
	// equally many tokens, that Layer is in.
	Span   int
	Row    int     // row of the global batch, from 0
	Tokens []int32 // at the positions to choose from; negative: padding. nil for images
}

// Rand returns random numbers that are a function of the draw's seed, step, layer
// and row alone, for policies that want no generator of their own. Each call
// begins the same sequence anew.
func (d Draw) Rand() *rand.Rand { return rand.New(d.key("route", d.Layer).Stream()) }

// key returns the key of the purpose's random numbers for a layer or a span.
func (d Draw) key(purpose string, layer int) keyed.Key {
	return keyed.NewKey(d.Seed, purpose, uint64(d.Step), uint64(layer), uint64(d.Row))
}

// A Policy chooses kept positions. Keep fills kept with len(kept) different
// positions of [0, length) in ascending order, and must be a pure function of
// its arguments, safe for concurrent use; 0 < len(kept) <= length. Package
// routetest holds a policy to that.
type Policy interface {
	Keep(kept []int32, length int, d Draw)
}

// A Sharer is a Policy that may draw once for a whole span of layers. If Shares is
// true, Keep is called for the first layer of a span only, and the others keep the
// same tokens: one gather before them and one scatter behind them are enough.
type Sharer interface {
	Shares() bool
}

// Shares reports whether the layers of a span keep the same tokens under a policy.
func Shares(p Policy) bool {
	s, ok := p.(Sharer)
	return ok && s.Shares()
}

// A Learner is a Policy whose choice depends on the run so far. Without a run, as
// itself, it chooses what it would at the first step.
type Learner interface {
	Policy
	Learn(vocabulary int) Learned // what it knows at the beginning of a run
}

// A Learned is a Learner in the course of a run. The trainer draws by it at the
// step itself, tells it the losses of each step, and saves its state. Keep is a
// pure function of its arguments and that state.
type Learned interface {
	Policy
	// Observe takes the labels of a step that count, in the order of the global
	// batch, and their losses in nats.
	Observe(labels []int32, losses []float32)
	// State returns all that it knows: finite numbers, to save.
	State() []float64
	// Restore sets what State returned. Another vocabulary, or numbers that State
	// cannot return, are an error and change nothing.
	Restore([]float64) error
}

// Kept returns how many of length tokens a layer keeps at a stage that keeps kept,
// if the layer drops drop times as many as the stage does: 1 is the stage's own
// number, 0 drops none. It is length - round(drop*(length-kept)), at least 1 and
// at most length.
func Kept(length, kept int, drop float64) int {
	dropped := math.Round(drop * float64(length-kept))
	return length - int(max(0, min(dropped, float64(length-1))))
}

// Inner returns the layers that random-LTD routes in a model of the given depth:
// all but the first and the last, which see every token. Shallower models than
// three layers have none.
func Inner(layers int) []int {
	var inner []int
	for l := 1; l < layers-1; l++ {
		inner = append(inner, l)
	}
	return inner
}
