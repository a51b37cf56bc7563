package train

import (
	"context"
	"errors"
	"math"
	"slices"
	"time"

	"github.com/gradus-ml/gradus/batch"
	"github.com/gradus-ml/gradus/curriculum"
	"github.com/gradus-ml/gradus/runlog"
)

// A run is a Config under way.
type run struct {
	Config
	engine   *engine
	log      *runlog.Writer
	seconds  float64
	flops    float64
	saved    int64   // step of the newest checkpoint
	lowest   float64 // held-out loss so far; +Inf: none yet
	best     *Best   // checkpoint so far
	averaged []int64 // with LastCheckpoints, the steps whose weights the average is of
	result   Result
}

func (r *run) flopsAt(step int64) float64 {
	s := r.Plan.BatchAt(step).Shape
	return r.Model.FLOPs(s.Rows, s.Length, s.Kept)
}

// loop makes the steps that are left.
func (r *run) loop(ctx context.Context) error {
	end := r.end()
	if r.result.Step >= end {
		return r.ended()
	}
	ahead, cancel := context.WithCancel(ctx)
	batches, compiled := r.prefetch(ahead), r.compileAhead(ahead)
	defer func() {
		cancel()
		for range batches { // whoever called Train may close the corpus
		}
		<-compiled
	}()
	for step := r.result.Step; step < end; step++ {
		begin := time.Now()
		next, ok := <-batches
		waited := time.Since(begin).Seconds()
		if !ok {
			return r.interrupted(ctx)
		}
		if next.err != nil {
			return next.err
		}
		if err := r.step(step, next.batch, waited); err != nil {
			return err
		}
		if ctx.Err() != nil {
			return r.interrupted(ctx)
		}
	}
	return r.ended()
}

// ended returns from a run that has made its last step. One that Until stops has not
// saved yet.
func (r *run) ended() error {
	if r.result.Finished = r.result.Step == r.Plan.Steps(); r.result.Finished {
		return nil
	}
	return r.checkpoint()
}

// end returns the step after which the run stops.
func (r *run) end() int64 {
	if r.Until > 0 {
		return min(r.Until, r.Plan.Steps())
	}
	return r.Plan.Steps()
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
		for step := r.result.Step; step < r.end(); step++ {
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
func (r *run) step(step int64, b *batch.Batch, waited float64) error {
	before, after := r.Plan.PositionAt(step), r.Plan.PositionAt(step+1)
	rate, err := scaled(r.Schedule.At(after.On(r.RateClock)), r.RateFactor, step)
	if err != nil {
		return err
	}
	begin := time.Now()
	made, err := r.engine.step(b, rate, step)
	if err != nil {
		return r.engine.backend.enough(err)
	}
	r.seconds += max(time.Since(begin).Seconds()-made.compiled, 0)
	r.flops += r.flopsAt(step)
	line := runlog.Step{
		Step: step + 1, Tokens: after.Tokens, LayerTokens: after.LayerTokens(), FLOPs: r.flops, Seconds: r.seconds,
		Stage: r.Plan.StageAt(step), Length: b.Length, Rows: b.Rows, Kept: b.Shape.Kept,
		Padding: b.Padding, Discarded: b.Discarded, Rate: rate, Loss: made.loss, GradNorm: made.norm,
		Waited: waited, Compile: made.compiled, CompileAhead: made.ahead, Digest: curriculum.Digest(step, b.IDs),
	}
	if len(r.Metrics) > 0 {
		line.Difficulty = map[string]float64{}
		for i, name := range r.Metrics {
			line.Difficulty[name] = r.Plan.Stages()[line.Stage].Difficulty[i]
		}
	}
	if diverged(made.loss) || diverged(made.norm) {
		return errors.Join(r.log.Append(line), r.divergence(line))
	}
	last := step+1 == r.Plan.Steps()
	saves := last || due(r.CheckpointEvery, before.On(r.Clock), after.On(r.Clock))
	if saves && r.Average.Kind == LastCheckpoints {
		if err := r.averageCheckpoints(step + 1); err != nil {
			return err
		}
	}
	if len(r.Evaluation) > 0 && (last || due(r.EvaluateEvery, before.On(r.Clock), after.On(r.Clock))) {
		if err := r.evaluate(&line); err != nil {
			return err
		}
		if diverged(*line.HeldOut) || r.StopAbove > 0 && *line.HeldOut > r.StopAbove*r.lowest {
			return errors.Join(r.log.Append(line), r.divergence(line))
		}
		r.lowest = min(r.lowest, *line.HeldOut)
		r.result.HeldOut, r.result.Accuracy = *line.HeldOut, line.Accuracy
	}
	if err := r.log.Append(line); err != nil {
		return err
	}
	r.result.Step = step + 1
	if saves {
		if h := line.HeldOut; h != nil && (r.best == nil || *h < r.best.HeldOut) {
			r.best = &Best{step + 1, *h}
		}
		if err := r.checkpoint(); err != nil {
			return err
		}
	}
	if r.Progress != nil {
		r.Progress(Progress{line, after})
	}
	return nil
}

// evaluate takes the held-out loss into a line of the log: that of the average of
// the weights, if there is one, and that of the weights beside it.
func (r *run) evaluate(line *runlog.Step) error {
	heldOut, accuracy, err := r.engine.loss(r.Evaluation)
	if err != nil {
		return r.engine.backend.enough(err)
	}
	line.HeldOut, line.Accuracy = &heldOut, &accuracy
	if r.engine.mean == nil {
		return nil
	}
	raw, _, err := r.engine.rawLoss(r.Evaluation)
	line.HeldOutRaw = &raw
	return err
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
	if i := slices.IndexFunc(s.weights, overflown); i >= 0 { // the next loss would show it; a checkpoint must not hold it
		return &DivergedError{Step: r.result.Step, Weight: r.engine.params[i].Name, Checkpoint: r.result.Checkpoint}
	}
	path, err := r.write(s)
	if path != "" { // else the one before is still the newest
		r.result.Checkpoint, r.saved = path, r.result.Step
		r.result.Best = r.bestPath()
	}
	return err
}

// write writes a checkpoint of the step that the run is at.
func (r *run) write(s state) (string, error) {
	if learned := r.engine.learned; learned != nil {
		s.learned = learned.State()
	}
	st := CheckpointState{
		Step: r.result.Step, Seconds: r.seconds, HeldOut: r.result.HeldOut, Best: r.best, Averaged: r.averaged,
		Recipe: r.Run.Recipe, Corpus: r.Run.Corpus, Tokenizer: r.Tokenizer, Model: r.Model,
	}
	if !math.IsInf(r.lowest, 1) {
		st.Lowest = &r.lowest
	}
	return writeCheckpoint(r.Dir, st, r.Model, s, r.KeepCheckpoints)
}

// interrupted saves the run and returns why it ended early.
func (r *run) interrupted(ctx context.Context) error {
	if r.result.Step == r.end() {
		return r.ended()
	}
	if err := r.checkpoint(); err != nil {
		return err
	}
	return context.Cause(ctx)
}

// divergence explains a loss that is no number, or too far above its lowest.
func (r *run) divergence(line runlog.Step) error {
	e := &DivergedError{Step: line.Step, Loss: line.Loss, Norm: line.GradNorm, Rate: line.Rate, HeldOut: line.HeldOut, Checkpoint: r.result.Checkpoint}
	if line.HeldOut != nil && !diverged(*line.HeldOut) {
		e.Lowest = r.lowest
		if best := r.bestPath(); best != "" { // the newest may be on the way up
			e.Checkpoint = best
		}
	}
	return e
}
