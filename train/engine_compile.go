package train

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gradus-ml/gradus/batch"
	"github.com/gradus-ml/gradus/curriculum"
)

// compiled says which graphs are there. One is compiled at a time: a compiler takes
// all cores and much memory.
type compiled struct {
	building sync.Mutex

	mu    sync.Mutex
	there map[string]bool // by key
	ahead float64         // seconds that no step waited for, since the last one
}

// A job is a graph to be compiled.
type job struct {
	key    string
	exec   *Exec
	inputs func() []shapes.Shape
}

// jobs lists the graphs of a step on a batch's inputs.
func (e *engine) jobs(in *inputs) ([]job, error) {
	exec, err := e.gradients.of(in.layout)
	if err != nil {
		return nil, err
	}
	var all []job
	for k, u := range e.updates {
		all = append(all,
			job{fmt.Sprint("squares ", k), e.squares, func() []shapes.Shape { return e.shapesOf(u.params) }},
			job{fmt.Sprint("update ", k), u.exec, func() []shapes.Shape { return e.updateShapes(u) }})
	}
	for m, parts := range e.microBatches(in.rows) {
		for _, part := range parts {
			rows := part.to - part.from
			all = append(all, job{in.key(rows), exec, func() []shapes.Shape {
				return append(append(e.shapes(1), shapes.Make(dtypes.Float32)), in.shapes(rows)...)
			}})
		}
		if groups := min(m, 1) + len(parts); groups > 1 {
			all = append(all, job{fmt.Sprint("sum ", groups), e.sum, func() []shapes.Shape { return e.shapes(groups) }})
		}
	}
	return all, nil
}

// shapes returns those of all parameters, n times.
func (e *engine) shapes(n int) []shapes.Shape {
	all := make([]int, len(e.params))
	for i := range all {
		all[i] = i
	}
	return slices.Repeat(e.shapesOf(all), n)
}

// shapesOf returns the shapes of some parameters.
func (e *engine) shapesOf(params []int) []shapes.Shape {
	all := make([]shapes.Shape, len(params))
	for k, i := range params {
		all[k] = shapes.Make(dtypes.Float32, e.params[i].Shape...)
	}
	return all
}

// evaluationJobs lists the graphs of an evaluation.
func (e *engine) evaluationJobs(batches []*batch.Batch) ([]job, error) {
	var all []job
	for _, b := range batches {
		in := e.inputs(b)
		exec, err := e.losses.of(in.layout)
		if err != nil {
			return nil, err
		}
		all = append(all, job{"losses of " + in.key(b.Rows), exec, func() []shapes.Shape { return append(e.shapes(1), in.shapes(b.Rows)...) }})
	}
	return all, nil
}

// compile builds the graphs of a step that are not there yet. It returns the seconds
// that took, and those that other graphs took since the last step.
func (e *engine) compile(in *inputs) (waited, ahead float64, err error) {
	all, err := e.jobs(in)
	if err != nil {
		return 0, 0, err
	}
	begin := time.Now()
	if missing := e.compiled.missing(all); len(missing) > 0 {
		for _, j := range missing {
			if _, err := e.compiled.build(j); err != nil {
				return 0, 0, err
			}
		}
		waited = time.Since(begin).Seconds()
	}
	return waited, e.compiled.takeAhead(), nil
}

// compileAhead builds graphs before a step needs them.
func (c *compiled) compileAhead(ctx context.Context, all []job) error {
	for _, j := range all {
		if err := ctx.Err(); err != nil {
			return err
		}
		seconds, err := c.build(j)
		if err != nil {
			return err
		}
		c.mu.Lock()
		c.ahead += seconds
		c.mu.Unlock()
	}
	return nil
}

// takeAhead returns the seconds that no step waited for, and begins to count anew.
func (c *compiled) takeAhead() float64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	seconds := c.ahead
	c.ahead = 0
	return seconds
}

// missing returns the jobs whose graphs are not there.
func (c *compiled) missing(all []job) []job {
	c.mu.Lock()
	defer c.mu.Unlock()
	var missing []job
	for _, j := range all {
		if !c.there[j.key] {
			missing = append(missing, j)
		}
	}
	return missing
}

// build compiles a graph, unless somebody has, and returns the seconds that took.
func (c *compiled) build(j job) (seconds float64, err error) {
	c.building.Lock()
	defer c.building.Unlock()
	if len(c.missing([]job{j})) == 0 {
		return 0, nil
	}
	begin, inputs := time.Now(), j.inputs()
	if _, err := j.exec.Compile(inputs...); err != nil {
		return 0, fmt.Errorf("compiling %s: %w", j.key, err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.there == nil {
		c.there = map[string]bool{}
	}
	c.there[j.key] = true
	return time.Since(begin).Seconds(), nil
}

// compileAhead compiles the graphs of the shapes to come, and of the evaluation,
// while the run goes on, in the order in which it needs them, where that takes long.
// Errors are left to the step, which will have them again. The channel is closed at
// the end.
func (r *run) compileAhead(ctx context.Context) <-chan struct{} {
	done, e := make(chan struct{}), r.engine
	go func() {
		defer close(done)
		if !e.backend.SlowCompile {
			return
		}
		for i, step := range r.firsts(r.result.Step) {
			b, err := r.Batches.Make(step, 0, 1)
			if err != nil || ctx.Err() != nil {
				return
			}
			if b = e.shaped(b, step); readable(b, r.Model) != nil {
				return
			}
			in := e.trainingInputs(b, step)
			all, err := e.jobs(&in)
			if err == nil && i == 0 {
				var evaluation []job
				evaluation, err = e.evaluationJobs(r.Evaluation)
				all = append(all, evaluation...)
			}
			if err != nil || e.compiled.compileAhead(ctx, all) != nil {
				return
			}
		}
	}()
	return done
}

// firsts returns the steps from one on, up to the end of the run, at which the plan
// has a shape for the first time.
func (r *run) firsts(from int64) []int64 {
	var steps []int64
	seen := map[curriculum.Shape]bool{}
	for _, s := range r.Plan.Stages() {
		open := map[curriculum.Shape]bool{}
		for _, f := range s.Batches {
			if !seen[f.Shape] {
				open[f.Shape] = true
			}
		}
		for step := max(s.First, from); step < min(s.First+s.Steps, r.end()) && len(open) > 0; step++ {
			if shape := r.Plan.BatchAt(step).Shape; open[shape] {
				delete(open, shape)
				seen[shape] = true
				steps = append(steps, step)
			}
		}
	}
	return steps
}

// shaped returns the batch of a step with as many kept positions as it will have.
func (e *engine) shaped(b *batch.Batch, step int64) *batch.Batch {
	if e.learner == nil {
		return b
	}
	own := *b
	own.Route(*e.learner, step) // which places they are does not matter
	return &own
}
