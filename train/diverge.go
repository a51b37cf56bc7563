package train

import (
	"fmt"
	"slices"
)

// A DivergedError says that a run's loss is no number any more, or rose too far
// above its lowest, and from where it can go on.
type DivergedError struct {
	Step             int64 // from 1; it changed no weight if Loss or Norm is not finite
	Loss, Norm, Rate float64
	Weight           string   // that the step left with numbers that are none, where a checkpoint found it; else empty
	HeldOut          *float64 // after the step, where that was taken
	Lowest           float64  // of the held-out losses before, if HeldOut is too far above it; else 0
	Checkpoint       string   // the last good one; empty: there is none yet
}

// Error says where the run diverged, and what to do.
func (e *DivergedError) Error() string {
	text := fmt.Sprintf("the run diverged at step %d: ", e.Step)
	if e.Weight != "" {
		text += "it left numbers in " + e.Weight + " that are none"
	} else {
		text += fmt.Sprintf("loss %v, gradient norm %v, learning rate %.3g", e.Loss, e.Norm, e.Rate)
	}
	if e.HeldOut != nil {
		text += fmt.Sprintf(", held-out loss %v", *e.HeldOut)
	}
	if e.Lowest != 0 {
		text += fmt.Sprintf(" where %v was reached before", e.Lowest)
	}
	if e.Checkpoint == "" {
		text += "; there is no checkpoint yet"
	} else {
		text += "; the last good checkpoint is " + e.Checkpoint
	}
	return text + "; lower optimizer.rate or lengthen its warmup"
}

// overflown reports whether a weight holds an infinity or no number.
func overflown(values []float32) bool {
	return slices.ContainsFunc(values, func(v float32) bool { return diverged(float64(v)) })
}
