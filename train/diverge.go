package train

import "fmt"

// A DivergedError says that a run's loss is no number any more, or rose too far
// above its lowest, and from where it can go on.
type DivergedError struct {
	Step             int64 // from 1; it changed no weight if Loss or Norm is not finite
	Loss, Norm, Rate float64
	HeldOut          *float64 // after the step, where that was taken
	Lowest           float64  // of the held-out losses before, if HeldOut is too far above it; else 0
	Checkpoint       string   // the last good one; empty: there is none yet
}

// Error says where the run diverged, and what to do.
func (e *DivergedError) Error() string {
	text := fmt.Sprintf("the run diverged at step %d: loss %v, gradient norm %v, learning rate %.3g", e.Step, e.Loss, e.Norm, e.Rate)
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
