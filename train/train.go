// Package train runs a plan: it trains a model on the batches of a curriculum,
// evaluates it on held-out text, logs every step, and saves checkpoints from
// which a killed run goes on with the same bits.
//
// Train runs the loop. The engine does one step on a GoMLX backend, the Schedule
// gives its learning rate, a checkpoint holds all state there is besides the
// step number, from which the batches follow.
package train

import (
	"context"
	"fmt"
	"math"
	"os"

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
	Locked bool   // the caller holds the lock of Dir (internal/dirlock), because it writes there too
	Resume bool   // go on from the newest checkpoint in Dir
	// From is a checkpoint of an earlier run that a new one goes on from, with
	// another recipe or a corpus that has grown: its weights, its optimizer's
	// state, and its log up to there. The plan begins at its step. Empty: none.
	From string
	// Weights are trained ones that a new run begins with, instead of drawn ones, in
	// files of OpenWeights. Not used if the run goes on from a checkpoint. Empty: none.
	Weights string

	Run       runlog.Run // what the log says of the run; Recipe and Corpus guard a resume
	Tokenizer string     // name of the corpus's, for whoever uses a checkpoint; empty: not known
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

	// Until stops the run after so many steps, as Ctrl-C would: it saves, and goes on
	// with Resume to the bits of a run that never stopped. The schedule, the plan and
	// the evaluations are those of the whole run. 0, or beyond the plan: its end.
	Until int64
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
	Step       int64    `json:"step"`               // steps completed
	HeldOut    float64  `json:"held_out"`           // the last held-out loss; 0 if never evaluated
	Accuracy   *float64 `json:"accuracy,omitempty"` // of the last evaluation, where labels that the model gets right are counted; nil also for a run that stands between two since its resume
	Checkpoint string   `json:"checkpoint"`         // the newest
	Best       string   `json:"best,omitempty"`     // the one with the lowest held-out loss; empty: none was evaluated
	Finished   bool     `json:"finished"`           // false: interrupted, or stopped by Until
}

// Train runs the plan to its end, or to Until. When ctx is cancelled it saves a checkpoint
// after the step in hand and returns with Finished false and ctx's error. A loss
// that is not finite, or too far above its lowest (StopAbove), stops the run with a
// *DivergedError.
func Train(ctx context.Context, c Config) (Result, error) {
	if c.KeepCheckpoints == 0 {
		c.KeepCheckpoints = 2
	}
	if c.RateClock == "" {
		c.RateClock = c.Clock
	}
	if c.Until < 0 {
		return Result{}, fault.Invalidf("train: the run is to stop after %d steps; give 1 or more, or 0 for all", c.Until)
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
	if !c.Locked {
		lock, err := dirlock.Lock(c.Dir)
		if err != nil {
			return Result{}, err
		}
		defer lock.Close()
	}
	r := &run{Config: c, engine: engine, lowest: math.Inf(1)}
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
