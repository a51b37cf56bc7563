package train

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"
	"sync"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
)

// An updater is the graph that steps some of the parameters. There are as many as a
// device runs at once, of about equal size.
type updater struct {
	params []int // in ascending order
	exec   *Exec // weights, moments, means of the weights, gradients, rates -> weights, moments, means
}

// newUpdates shares out the parameters, the largest first, to who has least.
func (e *engine) newUpdates() ([]updater, error) {
	bySize := make([]int, len(e.params))
	for i := range bySize {
		bySize[i] = i
	}
	slices.SortStableFunc(bySize, func(a, b int) int { return cmp.Compare(e.params[b].Size(), e.params[a].Size()) })
	updates := make([]updater, max(e.backend.Shards/e.backend.Devices, 1))
	sizes := make([]int, len(updates))
	for _, i := range bySize {
		least := 0
		for k, size := range sizes {
			if size < sizes[least] {
				least = k
			}
		}
		sizes[least] += e.params[i].Size()
		updates[least].params = append(updates[least].params, i)
	}
	updates = slices.DeleteFunc(updates, func(u updater) bool { return u.params == nil })
	for k := range updates {
		u := &updates[k]
		slices.Sort(u.params)
		var err error
		if u.exec, err = e.exec(fmt.Sprintf("update %d", k), func(in []*Node) []*Node { return e.updateGraph(u.params, in) }); err != nil {
			return nil, err
		}
	}
	return updates, nil
}

// updateShapes returns the shapes of an update's inputs.
func (e *engine) updateShapes(u updater) []shapes.Shape {
	groups := 4
	if e.average.Kind == EMA {
		groups++
	}
	all := slices.Repeat(e.shapesOf(u.params), groups)
	return append(all, shapes.Make(dtypes.Float32, len(e.rates(0, 0, 1))))
}

// of returns the tensors of an updater's parameters.
func (u updater) of(all []*tensors.Tensor) []*tensors.Tensor {
	own := make([]*tensors.Tensor, len(u.params))
	for k, i := range u.params {
		own[k] = all[i]
	}
	return own
}

// normOf returns the norm of all gradients together.
func (e *engine) normOf(gradients []*tensors.Tensor) (float64, error) {
	sums, errs := make([]float32, len(e.params)), make([]error, len(e.updates))
	var group sync.WaitGroup
	for k, u := range e.updates {
		group.Go(func() {
			out, err := e.squares.Call(anys(u.of(gradients))...)
			if err != nil {
				errs[k] = err
				return
			}
			own, err := appendValues(nil, out[0])
			for n, sum := range own {
				sums[u.params[n]] = sum
			}
			errs[k] = err
		})
	}
	group.Wait()
	if err := errors.Join(errs...); err != nil {
		return 0, err
	}
	sum := 0.0
	for _, x := range sums { // in order, so that the sum rounds alike every time
		sum += float64(x)
	}
	return math.Sqrt(sum), nil
}

// update steps all parameters, on the first device, and gives the others the new
// weights. The old state and the gradients are gone afterwards.
func (e *engine) update(gradients []*tensors.Tensor, rates []float32) error {
	state := [][]*tensors.Tensor{e.weights, e.moment1, e.moment2}
	if e.average.Kind == EMA {
		state = append(state, e.mean)
	}
	errs := make([]error, len(e.updates))
	var group sync.WaitGroup
	for k, u := range e.updates {
		group.Go(func() {
			var donated []*tensors.Tensor
			for _, values := range append(slices.Clone(state), gradients) {
				donated = append(donated, u.of(values)...)
			}
			args, err := e.donate(donated)
			if err != nil {
				errs[k] = err
				return
			}
			out, err := u.exec.Call(append(args, rates)...)
			if err != nil {
				errs[k] = err
				return
			}
			for _, values := range state {
				for _, i := range u.params {
					values[i], out = out[0], out[1:]
				}
			}
		})
	}
	group.Wait()
	if err := errors.Join(errs...); err != nil {
		return err
	}
	for _, stale := range e.replicas {
		if err := free(stale); err != nil {
			return err
		}
	}
	var err error
	e.replicas, err = e.replicate(e.weights)
	return err
}

// gradientGraph builds weights, scale, batch -> losses, gradients.
func (e *engine) gradientGraph(l layout) func(in []*Node) []*Node {
	n := len(e.params)
	return func(in []*Node) []*Node {
		losses, gradients := e.model.Gradients(in[:n], l.batch(in[n+1:]), in[n])
		return append([]*Node{losses}, gradients...)
	}
}

// sumGraph adds the gradients of two or more parts in their order.
func (e *engine) sumGraph(in []*Node) []*Node {
	n := len(e.params)
	sums := slices.Clone(in[:n])
	for at := n; at < len(in); at += n {
		for i := range sums {
			sums[i] = Add(sums[i], in[at+i])
		}
	}
	return sums
}
