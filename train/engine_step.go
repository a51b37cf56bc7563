package train

import (
	"fmt"
	"slices"
	"sync"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gradus-ml/gradus/batch"
	"github.com/gradus-ml/gradus/internal/fault"
)

// A stepResult is what a step tells.
type stepResult struct {
	loss     float64 // mean of the labels that count, in nats
	norm     float64 // of the gradient, before clipping
	compiled float64 // seconds that the step waited for its graphs to be compiled
	ahead    float64 // seconds that other graphs took to compile since the step before
}

// step makes one optimizer update. On a loss or a norm that is not finite it
// changes nothing and returns them. After an error the weights may be lost.
func (e *engine) step(b *batch.Batch, rate float64, step int64) (r stepResult, err error) {
	defer func() { err = e.backend.enough(err) }()
	labels := b.Targets()
	if labels == 0 {
		return r, fault.Invalidf("train: the batch of step %d has nothing to predict: its documents have fewer than two tokens", step)
	}
	b = e.routed(b, step)
	if err := readable(b, e.model); err != nil {
		return r, fmt.Errorf("train: step %d: %w", step, err)
	}
	in := e.trainingInputs(b, step)
	if r.compiled, r.ahead, err = e.compile(&in); err != nil {
		return r, fmt.Errorf("train: step %d: %w", step, err)
	}
	gradients, losses, err := e.backward(&in, float32(1/float64(labels)))
	if err != nil {
		return r, fmt.Errorf("train: step %d: %w", step, err)
	}
	for _, x := range losses {
		r.loss += float64(x)
	}
	r.loss /= float64(labels)
	if r.norm, err = e.normOf(gradients); err != nil {
		return r, fmt.Errorf("train: step %d: norm: %w", step, err)
	}
	if diverged(r.loss) || diverged(r.norm) {
		err = free(gradients)
	} else {
		e.learn(b, losses)
		err = e.update(gradients, e.rates(rate, r.norm, step+1))
	}
	if err != nil {
		return r, fmt.Errorf("train: step %d: update: %w", step, err)
	}
	return r, nil
}

// A span is rows [from, to) of a batch, computed at once.
type span struct{ from, to int }

// microBatches cuts the rows of a batch into micro batches, and each into the parts
// that run at once, one for each shard; those of no row are left out.
func (e *engine) microBatches(rows int) [][]span {
	var all [][]span
	for m := range e.accumulate {
		first, end := rows*m/e.accumulate, rows*(m+1)/e.accumulate
		var parts []span
		for i := range e.backend.Shards {
			part := span{first + (end-first)*i/e.backend.Shards, first + (end-first)*(i+1)/e.backend.Shards}
			if part.from < part.to {
				parts = append(parts, part)
			}
		}
		if parts != nil {
			all = append(all, parts)
		}
	}
	return all
}

// backward returns the gradient of scale times the sum of a batch's losses, on the
// first device, and the losses. Micro batches are added as they come, so that there
// is memory for one of them.
func (e *engine) backward(in *inputs, scale float32) (gradients []*tensors.Tensor, losses []float32, err error) {
	for _, parts := range e.microBatches(in.rows) {
		found, err := e.run(in, parts, scale)
		if err != nil {
			return nil, nil, err
		}
		var groups [][]*tensors.Tensor
		if gradients != nil {
			groups = append(groups, gradients)
		}
		for _, out := range found {
			if losses, err = appendValues(losses, out[0]); err != nil {
				return nil, nil, err
			}
			groups = append(groups, out[1:])
		}
		if gradients, err = e.add(groups); err != nil {
			return nil, nil, err
		}
	}
	return gradients, losses, nil
}

// run computes parts of a batch at once, and returns for each its losses and
// gradients.
func (e *engine) run(in *inputs, parts []span, scale float32) ([][]*tensors.Tensor, error) {
	exec, err := e.gradients.of(in.layout)
	if err != nil {
		return nil, err
	}
	out := make([][]*tensors.Tensor, len(parts))
	errs := make([]error, len(parts))
	var group sync.WaitGroup
	for i, part := range parts {
		group.Go(func() {
			device := i % e.backend.Devices
			args := append(anys(on(device, e.weights, e.replicas)), scale)
			out[i], errs[i] = in.call(exec, device, args, part.from, part.to)
		})
	}
	group.Wait()
	for _, err := range errs {
		if err != nil {
			return nil, err
		}
	}
	return out, nil
}

// add adds the gradients of parts in their order, on the first device, and gives
// back the memory of the parts.
func (e *engine) add(groups [][]*tensors.Tensor) ([]*tensors.Tensor, error) {
	for _, g := range groups {
		for _, t := range g {
			if err := t.MaterializeOnDevice(e.backend.Compute, false, 0); err != nil {
				return nil, fmt.Errorf("moving gradients to the first device: %w", err)
			}
		}
	}
	if len(groups) == 1 {
		return groups[0], nil
	}
	args, err := e.donate(slices.Concat(groups...))
	if err != nil {
		return nil, err
	}
	out, err := e.sum.Call(args...)
	if err != nil {
		return nil, fmt.Errorf("adding gradients: %w", err)
	}
	return out, nil
}

// donate gives tensors of the first device to the graph that is called with them,
// which may write its results over them.
func (e *engine) donate(all []*tensors.Tensor) ([]any, error) {
	args := make([]any, len(all))
	for i, t := range all {
		var err error
		if args[i], err = DonateTensorBuffer(t, e.backend.Compute, 0); err != nil {
			return nil, err
		}
	}
	return args, nil
}

// appendValues appends the values of a tensor, and gives back its memory.
func appendValues(values []float32, t *tensors.Tensor) ([]float32, error) {
	err := tensors.ConstFlatData(t, func(flat []float32) { values = append(values, flat...) })
	if err != nil {
		return nil, err
	}
	return values, t.FinalizeAll()
}

func anys(all []*tensors.Tensor) []any {
	args := make([]any, len(all), len(all)+8)
	for i, t := range all {
		args[i] = t
	}
	return args
}
