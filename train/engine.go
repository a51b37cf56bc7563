package train

import (
	"fmt"
	"math"

	"github.com/gomlx/compute"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gradus-ml/gradus/batch"
	"github.com/gradus-ml/gradus/internal/fault"
	"github.com/gradus-ml/gradus/model"
	"github.com/gradus-ml/gradus/route"
)

// A setting is what an engine computes, besides the batches.
type setting struct {
	model      model.Config
	optimizer  Optimizer
	average    Average        // EMA is kept here, other kinds are not
	seed       uint64         // of the initial weights and of dropout
	accumulate int            // micro batches of a step; 0: 1
	learner    *batch.Routing // whose policy is a route.Learner; nil: batches come routed
}

// engine returns what a run's engine computes.
func (c *Config) engine() setting {
	s := setting{
		model: c.Model, optimizer: c.Optimizer, average: c.Average,
		seed: c.Run.Seed, accumulate: c.Accumulate, learner: c.Learner,
	}
	s.model.BFloat16 = c.BFloat16
	return s
}

// An engine holds the weights and the optimizer's state on a backend, and runs
// steps on them.
//
// A step has four kinds of graph: the gradients of a part of the batch, for each
// layout of its inputs; the sum of several parts' gradients; their squares, for the
// norm; and the update of some of the parameters. The norm is known before the update, so that
// this can write over the state in its place, and a step that diverged changes
// nothing.
//
// On several devices each has the weights (replicas), and computes its parts of a
// batch. The first one has the rest of the state: it adds the gradients in the
// order of the parts, updates, and gives the others the new weights. What the
// weights become does not depend on which device was first to finish.
type engine struct {
	backend *Backend
	setting
	params []model.Param

	gradients graphs // weights, scale, batch -> losses, gradients
	losses    graphs // weights, batch -> losses, which labels are right
	sum       *Exec  // gradients of several parts -> gradients
	squares   *Exec  // gradients of some parameters -> each one's sum of squares
	updates   []updater

	weights  []*tensors.Tensor
	replicas [][]*tensors.Tensor // of weights, on the devices after the first
	moment1  []*tensors.Tensor   // running mean of the gradient
	moment2  []*tensors.Tensor   // running mean of its square
	mean     []*tensors.Tensor   // average of the weights; nil: none
	learned  route.Learned       // by the learner; nil: there is none

	compiled compiled
}

// newEngine returns an engine with the seed's initial weights. It is free of the
// backend's memory when it is collected.
func newEngine(backend *Backend, s setting) (*engine, error) {
	s.model.Fused = backend.Fused
	e := &engine{backend: backend, setting: s, params: s.model.Params()}
	e.accumulate = max(e.accumulate, 1)
	e.gradients.build = func(l layout) (*Exec, error) { return e.exec("gradients", e.gradientGraph(l)) }
	e.losses.build = func(l layout) (*Exec, error) { return e.exec("losses", e.lossGraph(l)) }
	var err error
	if e.sum, err = e.exec("sum", e.sumGraph); err != nil {
		return nil, err
	}
	if e.squares, err = e.exec("squares", squaresGraph); err != nil {
		return nil, err
	}
	if e.updates, err = e.newUpdates(); err != nil {
		return nil, err
	}
	var begin state
	for _, p := range e.params {
		w := s.model.Init(s.seed, p)
		begin.weights = append(begin.weights, w)
		begin.moment1 = append(begin.moment1, make([]float32, len(w)))
		begin.moment2 = append(begin.moment2, make([]float32, len(w)))
	}
	if s.learner != nil {
		learner, ok := s.learner.Policy.(route.Learner)
		if !ok {
			return nil, fault.Invalidf("train: the policy %T learns nothing; let it route the batches when they are made", s.learner.Policy)
		}
		e.learned = learner.Learn(s.model.Vocabulary)
	}
	return e, e.load(begin)
}

// graphCache bounds the compiled graphs of an executor: parts of different size for
// each shape of a plan, and then some. GoMLX's default of 32 fails when full.
const graphCache = 1024

func (e *engine) exec(name string, graph func(in []*Node) []*Node) (*Exec, error) {
	exec, err := NewExec(e.backend.Compute, graph)
	if err != nil {
		return nil, fmt.Errorf("train: graph %s: %w", name, err)
	}
	return exec.WithName(name).SetMaxCache(graphCache), nil
}

// A state is the engine's numbers off the backend, each in the order of Params.
type state struct {
	weights, moment1, moment2 [][]float32
	average                   [][]float32 // of the weights; nil: none
	learned                   []float64   // of the routing policy; nil: none. load and save leave it alone
}

// load puts a state on the backend. It does so here, before any graph runs: two
// parts that moved the same tensor at once would race in GoMLX.
func (e *engine) load(s state) (err error) {
	if e.weights, err = e.upload(s.weights); err != nil {
		return err
	}
	if e.moment1, err = e.upload(s.moment1); err != nil {
		return err
	}
	if e.moment2, err = e.upload(s.moment2); err != nil {
		return err
	}
	if e.replicas, err = e.replicate(e.weights); err != nil {
		return err
	}
	return e.loadAverage(s.average)
}

// loadAverage puts other averaged weights on the backend, or takes them off it. A
// moving average is never without: it begins with the weights.
func (e *engine) loadAverage(average [][]float32) (err error) {
	e.mean = nil
	if average == nil && e.average.Kind == EMA {
		if average, err = e.download(e.weights); err != nil {
			return err
		}
	}
	if average != nil {
		e.mean, err = e.upload(average)
	}
	return err
}

// upload puts values of all parameters on the first device.
func (e *engine) upload(values [][]float32) ([]*tensors.Tensor, error) {
	out := make([]*tensors.Tensor, len(e.params))
	for i, p := range e.params {
		out[i] = tensors.FromFlatDataAndDimensions(values[i], p.Shape...)
		if err := out[i].ToDevice(e.backend.Compute, 0); err != nil {
			return nil, fmt.Errorf("train: loading %s: %w", p.Name, e.backend.enough(err))
		}
	}
	return out, nil
}

// save copies the state off the backend.
func (e *engine) save() (s state, err error) {
	if s.weights, err = e.download(e.weights); err != nil {
		return s, err
	}
	if s.moment1, err = e.download(e.moment1); err != nil {
		return s, err
	}
	if s.moment2, err = e.download(e.moment2); err != nil {
		return s, err
	}
	if e.mean != nil {
		s.average, err = e.download(e.mean)
	}
	return s, err
}

// download copies values of all parameters off a device.
func (e *engine) download(from []*tensors.Tensor) ([][]float32, error) {
	out := make([][]float32, len(from))
	for i, t := range from {
		var err error
		if out[i], err = tensors.CopyFlatData[float32](t); err != nil {
			return nil, fmt.Errorf("train: reading %s: %w", e.params[i].Name, err)
		}
		t.FinalizeLocal() // a copy that GoMLX keeps where memory is not shared
	}
	return out, nil
}

// replicate copies tensors of the first device to the others.
func (e *engine) replicate(from []*tensors.Tensor) ([][]*tensors.Tensor, error) {
	out := make([][]*tensors.Tensor, e.backend.Devices-1)
	for d := range out {
		out[d] = make([]*tensors.Tensor, len(from))
		for i, t := range from {
			copied, err := e.copyTo(t, d+1)
			if err != nil {
				return nil, fmt.Errorf("train: copying %s to device %d: %w", e.params[i].Name, d+1, err)
			}
			out[d][i] = copied
		}
	}
	return out, nil
}

// copyTo returns a copy of a tensor on another device.
func (e *engine) copyTo(t *tensors.Tensor, device int) (*tensors.Tensor, error) {
	device0, err := t.Device()
	if err != nil {
		return nil, err
	}
	buffer, err := t.Buffer(e.backend.Compute, device0)
	if err != nil {
		return nil, err
	}
	copied, err := buffer.CopyToDevice(compute.DeviceNum(device))
	if err != nil {
		return nil, err
	}
	return tensors.FromBuffer(copied)
}

// on returns the tensors of a device, of those on the first and their replicas.
func on(device int, first []*tensors.Tensor, replicas [][]*tensors.Tensor) []*tensors.Tensor {
	if device == 0 {
		return first
	}
	return replicas[device-1]
}

func diverged(x float64) bool { return math.IsNaN(x) || math.IsInf(x, 0) }

// free gives tensors back to the backend's pool now, not at the next collection.
func free(all []*tensors.Tensor) error {
	for _, t := range all {
		if err := t.FinalizeAll(); err != nil {
			return err
		}
	}
	return nil
}
