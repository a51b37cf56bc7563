// Package train runs a plan: it trains a model on the batches of a curriculum,
// evaluates it on held-out text, logs every step, and saves checkpoints from
// which a killed run goes on with the same bits.
//
// Train is the loop. The engine does one step on a GoMLX backend, the Schedule
// gives its learning rate, a checkpoint holds all state there is besides the
// step number, from which the batches follow.
package train

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"time"

	"github.com/gradus-ml/gradus/batch"
	"github.com/gradus-ml/gradus/curriculum"
	"github.com/gradus-ml/gradus/internal/dirlock"
	"github.com/gradus-ml/gradus/internal/fault"
	"github.com/gradus-ml/gradus/model"
	"github.com/gradus-ml/gradus/runlog"
)

// A Config is everything a run depends on.
type Config struct {
	Dir    string // of the run: its log and checkpoints
	Resume bool   // go on from the newest checkpoint in Dir
	// From is a checkpoint of an earlier run that a new one goes on from, with
	// another recipe or a corpus that has grown: its weights, its optimizer's
	// state, and its log up to there. The plan begins at its step. Empty: none.
	From string

	Run       runlog.Run // what the log says of the run; Recipe and Corpus guard a resume
	Model     model.Config
	Optimizer Optimizer
	Average   Average // of the weights; the zero value: none
	Schedule  Schedule
	RateClock curriculum.Clock // of Schedule; empty: Clock

	Backend  string // of OpenBackend; "": the pure-Go one
	BFloat16 bool   // compute matrix products in bfloat16; weights, their sums and losses stay float32
	// Accumulate is how many micro batches of rows a step's batch is computed in, one
	// after another, for batches that do not fit the memory. The step is that of the
	// whole batch, but for rounding. 0: 1.
	Accumulate int
	// Learner routes each batch at its step, by what its policy, a route.Learner, has
	// learned from the steps before. nil: Batches are routed already.
	Learner *batch.Routing

	// RateFactor multiplies the schedule's rate in a step (they count from 0), so that
	// it can follow a batch size that varies: by rows over base rows, or their square
	// root. Each value must be positive and finite. nil: 1.
	RateFactor func(step int64) float64

	Plan       *curriculum.Plan
	Clock      curriculum.Clock
	Metrics    []string // names of the plan's difficulties
	Batches    BatchMaker
	Evaluation []*batch.Batch // held-out text; none: never evaluated

	EvaluateEvery   float64 // on Clock; also after the last step. 0: only then
	CheckpointEvery float64 // on Clock; also after the last step. 0: only then
	KeepCheckpoints int     // newest ones that stay, beside the best; 0: 2

	// StopAbove ends the run with an error at a held-out loss of more than so many
	// times the best one before. 0: only at a loss that is not finite.
	StopAbove float64

	Progress func(Progress) // called after every step, if not nil
}

// A BatchMaker makes the batch of a step, as *batch.Maker does.
type BatchMaker interface {
	Make(step int64, rank, world int) (*batch.Batch, error)
}

// Progress is what a caller may show while a run goes on.
type Progress struct {
	runlog.Step
	Position curriculum.Position // after the step
}

// A Result is what became of a run.
type Result struct {
	Step       int64   `json:"step"`       // steps completed
	HeldOut    float64 `json:"held_out"`   // the last held-out loss; 0 if never evaluated
	Checkpoint string  `json:"checkpoint"` // the newest
	Finished   bool    `json:"finished"`   // false: interrupted
}

// Train runs the plan to its end. When ctx is cancelled it saves a checkpoint
// after the step in hand and returns with Finished false and ctx's error. A loss
// that is not finite stops the run with an error that names the step.
func Train(ctx context.Context, c Config) (Result, error) {
	if c.KeepCheckpoints == 0 {
		c.KeepCheckpoints = 2
	}
	if c.RateClock == "" {
		c.RateClock = c.Clock
	}
	for _, v := range []interface{ Validate() error }{c.Model, c.Optimizer, c.Average, c.Schedule} {
		if err := v.Validate(); err != nil {
			return Result{}, err
		}
	}
	if err := c.fits(); err != nil {
		return Result{}, err
	}
	backend, err := OpenBackend(c.Backend)
	if err != nil {
		return Result{}, err
	}
	defer backend.Close()
	engine, err := newEngine(backend, c.engine())
	if err != nil {
		return Result{}, err
	}
	if err := os.MkdirAll(c.Dir, 0o777); err != nil {
		return Result{}, fmt.Errorf("train: %w", err)
	}
	lock, err := dirlock.Lock(c.Dir)
	if err != nil {
		return Result{}, err
	}
	defer lock.Close()
	r := &run{Config: c, engine: engine}
	if err := r.open(); err != nil {
		return Result{}, err
	}
	err = r.loop(ctx)
	if closeErr := r.log.Close(); err == nil {
		err = closeErr
	}
	return r.result, err
}

// fits reports batches that the model cannot read.
func (c *Config) fits() error {
	for _, s := range c.Plan.Shapes() {
		if s.Length > c.Model.Context {
			return fault.Invalidf("train: the plan has rows of %d tokens and the model a context of %d", s.Length, c.Model.Context)
		}
	}
	for _, b := range c.Evaluation {
		if b.Length > c.Model.Context {
			return fault.Invalidf("train: an evaluation has rows of %d tokens and the model a context of %d", b.Length, c.Model.Context)
		}
		if err := readable(b, c.Model); err != nil {
			return fmt.Errorf("train: evaluation: %w", err)
		}
	}
	return nil
}

// A run is a Config under way.
type run struct {
	Config
	engine  *engine
	log     *runlog.Writer
	seconds float64
	flops   float64
	saved   int64 // step of the newest checkpoint
	result  Result
}

func (r *run) flopsAt(step int64) float64 {
	s := r.Plan.BatchAt(step).Shape
	return r.Model.FLOPs(s.Rows, s.Length, s.Kept)
}

// loop makes the steps that are left.
func (r *run) loop(ctx context.Context) error {
	steps := r.Plan.Steps()
	if r.result.Step == steps {
		r.result.Finished = true
		return nil
	}
	ahead, cancel := context.WithCancel(ctx)
	batches := r.prefetch(ahead)
	defer func() {
		cancel()
		for range batches { // whoever called Train may close the corpus
		}
	}()
	for step := r.result.Step; step < steps; step++ {
		next, ok := <-batches
		if !ok {
			return r.interrupted(ctx)
		}
		if next.err != nil {
			return next.err
		}
		if err := r.step(step, r.Plan.StageAt(step), next.batch); err != nil {
			return err
		}
		if ctx.Err() != nil {
			return r.interrupted(ctx)
		}
	}
	r.result.Finished = true
	return nil
}

// made is a batch, or why there is none.
type made struct {
	batch *batch.Batch
	err   error
}

// prefetch makes the batches ahead of the steps that use them, two at most.
func (r *run) prefetch(ctx context.Context) <-chan made {
	out := make(chan made, 2)
	go func() {
		defer close(out)
		for step := r.result.Step; step < r.Plan.Steps(); step++ {
			b, err := r.Batches.Make(step, 0, 1)
			select {
			case out <- made{b, err}:
			case <-ctx.Done():
				return
			}
			if err != nil {
				return
			}
		}
	}()
	return out
}

// step makes one step and everything that is due after it.
func (r *run) step(step int64, stage int, b *batch.Batch) error {
	before, after := r.Plan.PositionAt(step), r.Plan.PositionAt(step+1)
	rate, err := scaled(r.Schedule.At(after.On(r.RateClock)), r.RateFactor, step)
	if err != nil {
		return err
	}
	begin := time.Now()
	made, err := r.engine.step(b, rate, step)
	if err != nil {
		return err
	}
	loss, norm := made.loss, made.norm
	r.seconds += time.Since(begin).Seconds() - made.compiled
	r.flops += r.flopsAt(step)
	line := runlog.Step{
		Step: step + 1, Tokens: after.Tokens, LayerTokens: after.LayerTokens(), FLOPs: r.flops, Seconds: r.seconds,
		Stage: stage, Length: b.Length, Rows: b.Rows, Kept: b.Shape.Kept,
		Padding: b.Padding, Discarded: b.Discarded, Rate: rate, Loss: loss, GradNorm: norm, Digest: curriculum.Digest(step, b.IDs),
	}
	if len(r.Metrics) > 0 {
		line.Difficulty = map[string]float64{}
		for i, name := range r.Metrics {
			line.Difficulty[name] = r.Plan.Stages()[stage].Difficulty[i]
		}
	}
	if diverged(loss) || diverged(norm) {
		return errors.Join(r.log.Append(line), r.divergence(step, loss, norm, rate))
	}
	last := step+1 == r.Plan.Steps()
	if len(r.Evaluation) > 0 && (last || due(r.EvaluateEvery, before.On(r.Clock), after.On(r.Clock))) {
		heldOut, _, err := r.engine.loss(r.Evaluation)
		if err != nil {
			return err
		}
		line.HeldOut = &heldOut
		if diverged(heldOut) {
			return errors.Join(r.log.Append(line), r.divergence(step, loss, norm, rate))
		}
		r.result.HeldOut = heldOut
	}
	if err := r.log.Append(line); err != nil {
		return err
	}
	r.result.Step = step + 1
	if last || due(r.CheckpointEvery, before.On(r.Clock), after.On(r.Clock)) {
		if err := r.checkpoint(); err != nil {
			return err
		}
	}
	if r.Progress != nil {
		r.Progress(Progress{line, after})
	}
	return nil
}

// due reports whether a multiple of every lies in (before, after].
func due(every, before, after float64) bool {
	return every > 0 && math.Floor(after/every) > math.Floor(before/every)
}

// checkpoint saves the run as it stands. The log is synced first: a checkpoint
// never knows of a step that the log has lost.
func (r *run) checkpoint() error {
	if r.result.Checkpoint != "" && r.saved == r.result.Step {
		return nil
	}
	if err := r.log.Sync(); err != nil {
		return err
	}
	s, err := r.engine.save()
	if err != nil {
		return err
	}
	path, err := writeCheckpoint(r.Dir, CheckpointState{
		Step: r.result.Step, Seconds: r.seconds, HeldOut: r.result.HeldOut, Recipe: r.Run.Recipe, Corpus: r.Run.Corpus, Model: r.Model,
	}, r.engine.params, s, r.KeepCheckpoints)
	if path != "" { // else the one before is still the newest
		r.result.Checkpoint, r.saved = path, r.result.Step
	}
	return err
}

// interrupted saves the run and returns why it ended early.
func (r *run) interrupted(ctx context.Context) error {
	if r.result.Step == r.Plan.Steps() {
		r.result.Finished = true
		return nil
	}
	if err := r.checkpoint(); err != nil {
		return err
	}
	return context.Cause(ctx)
}

// divergence explains a loss that is no number.
func (r *run) divergence(step int64, loss, norm, rate float64) error {
	way := "there is no checkpoint yet"
	if r.result.Checkpoint != "" {
		way = "the last good checkpoint is " + r.result.Checkpoint
	}
	return fmt.Errorf("the run diverged at step %d: loss %v, gradient norm %v, learning rate %.3g; %s; lower optimizer.rate or lengthen its warmup",
		step+1, loss, norm, rate, way)
}
