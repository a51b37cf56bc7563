package train

import "github.com/gradus-ml/gradus/batch"

// routed returns the batch of a step with the positions that are kept by what the
// learner knows by then.
func (e *engine) routed(b *batch.Batch, step int64) *batch.Batch {
	if e.learned == nil {
		return b
	}
	r, own := *e.learner, *b
	r.Policy = e.learned
	own.Route(r, step)
	return &own
}

// learn tells the learner the losses of a batch, of each place that may predict.
func (e *engine) learn(b *batch.Batch, losses []float32) {
	if e.learned == nil {
		return
	}
	var labels []int32
	var counted []float32
	for i, label := range placeLabels(b) {
		if label != batch.Ignore {
			labels, counted = append(labels, label), append(counted, losses[i])
		}
	}
	e.learned.Observe(labels, counted)
}

// placeLabels returns the label of each place that the model predicts at, in the
// order of its losses.
func placeLabels(b *batch.Batch) []int32 {
	if b.Predicted == nil {
		return b.Labels
	}
	labels := make([]int32, len(b.Predicted))
	m := len(b.Predicted) / b.Rows
	for i, at := range b.Predicted {
		labels[i] = b.Labels[i/m*b.Length+int(at)]
	}
	return labels
}
