package train

import (
	"fmt"
	"path/filepath"
	"slices"

	"github.com/gradus-ml/gradus/internal/fault"
)

// An AverageKind is a way to average weights over the run.
type AverageKind string

// The kinds of averages.
const (
	NoAverage AverageKind = ""
	// EMA is an exponential moving average, updated after every step (Polyak and
	// Juditsky, 1992; in the form of Kingma and Ba, arXiv 1412.6980, section 7.2).
	EMA AverageKind = "ema"
	// LastCheckpoints is the uniform mean of the last checkpoints' weights (LAWA:
	// Kaddour, arXiv 2209.14981).
	LastCheckpoints AverageKind = "checkpoints"
)

// An Average says which average of the weights a run keeps. It is what held-out
// losses are taken of and what a trained model is used with; training itself goes
// on from the weights.
type Average struct {
	Kind  AverageKind
	Decay float64 // of EMA, in (0, 1)
	Last  int     // of LastCheckpoints: how many, this one included
}

// Validate reports impossible settings.
func (a Average) Validate() error {
	switch {
	case a.Kind != NoAverage && a.Kind != EMA && a.Kind != LastCheckpoints:
		return fault.Invalidf("optimizer: unknown average %q; there are %s and %s", a.Kind, EMA, LastCheckpoints)
	case a.Kind == EMA && !(a.Decay > 0 && float32(a.Decay) < 1):
		return fault.Invalidf("optimizer: the average's decay is %v; it must lie between 0 and 1, such as 0.999", a.Decay)
	case a.Kind == LastCheckpoints && a.Last < 1:
		return fault.Invalidf("optimizer: the average is of the last %d checkpoints; it must be of at least 1", a.Last)
	case a.Kind != EMA && a.Decay != 0:
		return fault.Invalidf("optimizer: the average's decay goes with the kind %s", EMA)
	case a.Kind != LastCheckpoints && a.Last != 0:
		return fault.Invalidf("optimizer: the average's last goes with the kind %s", LastCheckpoints)
	}
	return nil
}

// decayAt returns the decay d of the moving average at update t, from 1:
//
//	a := d*a + (1-d)*w, d = min(decay, (t-1)/t)
//
// so that it is the plain mean of all weights so far until 1/(1-decay) steps are
// made. The random weights at the beginning are no part of it.
func (a Average) decayAt(t int64) float64 { return min(a.Decay, float64(t-1)/float64(t)) }

// averageCheckpoints makes the average that of the last checkpoints' weights and of
// the weights as they are, which will be the checkpoint of a step. The earlier ones
// are read from their files, so that they take no memory meanwhile, and a run that
// was resumed adds the same numbers.
func (r *run) averageCheckpoints(step int64) error {
	before := r.averaged[max(len(r.averaged)-(r.Average.Last-1), 0):]
	before = slices.DeleteFunc(slices.Clone(before), func(s int64) bool { return s >= step })
	mean := make([][]float64, len(r.engine.params))
	for i, p := range r.engine.params {
		mean[i] = make([]float64, p.Size())
	}
	count := float64(len(before) + 1)
	add := func(weights [][]float32) {
		for i, values := range weights {
			for j, w := range values {
				mean[i][j] += float64(w) / count
			}
		}
	}
	for _, s := range before { // the oldest first, so that the sum rounds alike every time
		weights, err := r.weightsOf(s)
		if err != nil {
			return fmt.Errorf("train: the average of the last %d checkpoints: %w", r.Average.Last, err)
		}
		add(weights)
	}
	now, err := r.engine.download(r.engine.weights)
	if err != nil {
		return err
	}
	add(now)
	average := make([][]float32, len(mean))
	for i, values := range mean {
		average[i] = make([]float32, len(values))
		for j, x := range values {
			average[i][j] = float32(x)
		}
	}
	r.averaged = append(before, step)
	return r.engine.loadAverage(average)
}

// weightsOf reads the weights of the run's checkpoint of a step, and verifies them.
func (r *run) weightsOf(step int64) ([][]float32, error) {
	path := filepath.Join(r.Dir, checkpointDir, checkpointName(step))
	st, err := readState(path)
	if err != nil {
		return nil, err
	}
	if err := verify(path, st, modelFile); err != nil {
		return nil, err
	}
	return readWeightsOf(path, modelFile, r.Model)
}
