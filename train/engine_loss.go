package train

import (
	"context"
	"fmt"
	"sync"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gradus-ml/gradus/batch"
)

// loss returns the mean loss over batches, and the share of their labels that the
// model gives the largest probability. Every layer sees every token. If there is an
// average of the weights, they are the average's.
func (e *engine) loss(batches []*batch.Batch) (loss, accuracy float64, err error) {
	if e.mean == nil {
		return e.rawLoss(batches)
	}
	replicas, err := e.replicate(e.mean)
	if err != nil {
		return 0, 0, err
	}
	loss, accuracy, err = e.lossOf(e.mean, replicas, batches)
	for _, copies := range replicas {
		if freeErr := free(copies); err == nil {
			err = freeErr
		}
	}
	return loss, accuracy, err
}

// rawLoss is loss of the weights themselves, whether or not there is an average.
func (e *engine) rawLoss(batches []*batch.Batch) (loss, accuracy float64, err error) {
	return e.lossOf(e.weights, e.replicas, batches)
}

// lossOf is loss for given weights.
func (e *engine) lossOf(weights []*tensors.Tensor, replicas [][]*tensors.Tensor, batches []*batch.Batch) (loss, accuracy float64, err error) {
	jobs, err := e.evaluationJobs(batches)
	if err == nil {
		err = e.compiled.compileAhead(context.Background(), jobs)
	}
	if err != nil {
		return 0, 0, fmt.Errorf("train: evaluation: %w", e.backend.enough(err))
	}
	type found struct {
		loss, correct float64
		err           error
	}
	all := make([]found, len(batches))
	var group sync.WaitGroup
	for worker := range e.backend.Shards {
		group.Go(func() {
			device := worker % e.backend.Devices
			for i := worker; i < len(batches); i += e.backend.Shards {
				f := &all[i]
				f.loss, f.correct, f.err = e.evaluate(device, on(device, weights, replicas), batches[i])
				if f.err != nil {
					return
				}
			}
		})
	}
	group.Wait()
	labels := int64(0)
	for i, b := range batches { // in order, so that the sum rounds alike every time
		if all[i].err != nil {
			return 0, 0, fmt.Errorf("train: evaluation: %w", e.backend.enough(all[i].err))
		}
		loss += all[i].loss
		accuracy += all[i].correct
		labels += b.Targets()
	}
	return loss / float64(labels), accuracy / float64(labels), nil
}

// evaluate returns the summed loss of a batch and the number of labels that the
// model has right.
func (e *engine) evaluate(device int, weights []*tensors.Tensor, b *batch.Batch) (loss, correct float64, err error) {
	in := e.inputs(b)
	exec, err := e.losses.of(in.layout)
	if err != nil {
		return 0, 0, err
	}
	out, err := in.call(exec, device, anys(weights), 0, b.Rows)
	if err != nil {
		return 0, 0, err
	}
	for i, sum := range []*float64{&loss, &correct} {
		values, err := appendValues(nil, out[i])
		if err != nil {
			return 0, 0, err
		}
		for _, x := range values {
			*sum += float64(x)
		}
	}
	return loss, correct, nil
}

// lossGraph builds weights, batch -> losses, which labels are right.
func (e *engine) lossGraph(l layout) func(in []*Node) []*Node {
	n := len(e.params)
	return func(in []*Node) []*Node {
		losses, correct := e.model.Evaluate(in[:n], l.batch(in[n:]))
		return []*Node{losses, correct}
	}
}
