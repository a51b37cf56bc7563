package train

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/gradus-ml/gradus/curriculum"
	"github.com/gradus-ml/gradus/internal/fault"
	"github.com/gradus-ml/gradus/model"
	"github.com/gradus-ml/gradus/runlog"
)

// open begins the log, or goes back to the newest checkpoint.
func (r *run) open() error {
	path := filepath.Join(r.Dir, runlog.FileName)
	if !r.Resume {
		if runlog.Exists(path) {
			return fault.Invalidf("%s holds a run already; go on with --resume, or choose another --out", r.Dir)
		}
		if r.From != "" {
			return r.goOn(path)
		}
		if err := r.loadWeights(); err != nil {
			return err
		}
		var err error
		r.log, err = runlog.Create(path, r.Run)
		return err
	}
	checkpoint, err := LatestCheckpoint(r.Dir)
	if err != nil {
		return fmt.Errorf("train: %w", err)
	}
	if checkpoint != "" {
		if err := r.restore(checkpoint); err != nil {
			return err
		}
	} else if log, err := runlog.Read(path); errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s holds no run to resume; start it without --resume", r.Dir)
	} else if err != nil {
		return err
	} else if err := r.belongs(path, log.Run.Recipe, log.Run.Corpus); err != nil {
		return err
	} else if err := r.loadWeights(); err != nil { // it goes on from its beginning
		return err
	}
	if r.result.Step < r.Plan.First() {
		return fault.Corruptf("%s has no checkpoint of step %d, from which its plan begins; start it again with --from in another directory", r.Dir, r.Plan.First())
	}
	if err := r.goesOn(path); err != nil {
		return err
	}
	if r.log, err = runlog.Resume(path, r.result.Step); err != nil {
		return err
	}
	last := r.log.Last()
	r.flops, r.result.Accuracy = last.FLOPs, last.Accuracy
	return nil
}

// goesOn holds that the plan serves what the checkpoint's last step served: a plan
// that was removed and made anew is another one if the run had gone on from another.
func (r *run) goesOn(path string) error {
	if r.result.Step <= r.Plan.First() {
		return nil
	}
	last, err := runlog.ReadStep(path, r.result.Step)
	if err != nil {
		return err
	}
	b, err := r.Batches.Make(last.Step-1, 0, 1)
	if err != nil {
		return err
	}
	if now := curriculum.Digest(last.Step-1, b.IDs); now != last.Digest {
		return fault.Mismatchf("%s has digest %s at step %d, and the plan serves %s: it is not the plan that the run began with; "+
			"put that back, or start again in another directory, with --from if the run had it", path, last.Digest, last.Step, now)
	}
	return nil
}

// goOn begins the run where another one's checkpoint stands. The first checkpoint
// of this run is written before its log, so that a run that has a log can be
// resumed.
func (r *run) goOn(path string) error {
	st, err := ReadCheckpointState(r.From)
	if err != nil {
		return err
	}
	if st.Step != r.Plan.First() {
		return fault.Mismatchf("%s is of step %d, and the plan begins at step %d", r.From, st.Step, r.Plan.First())
	}
	if err := sameModel(r.From, st.Model.Explicit(), r.Model.Explicit()); err != nil {
		return err
	}
	s, err := readCheckpoint(r.From, st, r.Model)
	if err != nil {
		return err
	}
	switch {
	case r.Average.Kind != EMA:
		s.average = nil // a mean of this run's checkpoints begins with its first
	case s.average == nil:
		s.average = s.weights
	}
	if err := r.load(s); err != nil {
		return err
	}
	r.result = Result{Step: st.Step, HeldOut: st.HeldOut}
	r.saved, r.seconds = st.Step, st.Seconds
	if r.result.Checkpoint, err = r.write(s); err != nil {
		return err
	}
	earlier := filepath.Join(r.From, "..", "..", runlog.FileName)
	if r.log, err = runlog.GoOn(path, r.Run, earlier, st.Step); err != nil {
		return err
	}
	r.flops = r.log.Last().FLOPs
	return nil
}

// sameModel reports what a run has otherwise than the checkpoint that it goes on
// from, where the shapes of the weights would not tell.
func sameModel(path string, was, now model.Config) error {
	for _, k := range []struct {
		name     string
		was, now any
	}{
		{"kind", was.Kind, now.Kind}, {"heads", was.Heads, now.Heads}, {"positions", was.Positions, now.Positions},
		{"epsilon", was.Epsilon, now.Epsilon}, {"image", was.Image, now.Image},
	} {
		if k.was != k.now {
			return fault.Mismatchf("%s is of a model whose %s is %v, and this one's is %v; go on with the same model", path, k.name, k.was, k.now)
		}
	}
	return nil
}

// belongs reports a file of another recipe or corpus.
func (r *run) belongs(path, recipe, corpus string) error {
	if recipe != r.Run.Recipe {
		return fault.Mismatchf("%s was made by another recipe (%s, this one is %s); resume with the recipe it began with, or start anew elsewhere",
			path, recipe, r.Run.Recipe)
	}
	if corpus != r.Run.Corpus {
		return fault.Mismatchf("%s was made from another corpus (%s, this one is %s)", path, corpus, r.Run.Corpus)
	}
	return nil
}

// restore loads a checkpoint.
func (r *run) restore(path string) error {
	st, err := ReadCheckpointState(path)
	if err != nil {
		return err
	}
	if err := r.belongs(path, st.Recipe, st.Corpus); err != nil {
		return err
	}
	if filepath.Base(path) != checkpointName(st.Step) {
		return fault.Corruptf("%s is of step %d; give it back its name, %s", path, st.Step, checkpointName(st.Step))
	}
	if st.Step > r.Plan.Steps() {
		return fault.Mismatchf("%s: step %d of a plan of %d", path, st.Step, r.Plan.Steps())
	}
	s, err := readCheckpoint(path, st, r.Model)
	if err != nil {
		return err
	}
	if (s.average != nil) != (r.Average.Kind == EMA || len(st.Averaged) > 0) {
		return fault.Mismatchf("%s keeps another average of the weights than this run", path)
	}
	r.result = Result{Step: st.Step, HeldOut: st.HeldOut, Checkpoint: path}
	r.saved, r.seconds, r.averaged = st.Step, st.Seconds, st.Averaged
	if st.Lowest != nil {
		r.lowest = *st.Lowest
	}
	if st.Best != nil { // unless somebody removed it
		root := filepath.Dir(path)
		if _, err := os.Stat(filepath.Join(root, checkpointName(st.Best.Step))); err == nil {
			r.best = st.Best
			if err := markBest(root, r.best); err != nil { // a kill may have come before that
				return err
			}
		}
	}
	r.result.Best = r.bestPath()
	return r.load(s)
}

// load takes over the numbers of a checkpoint.
func (r *run) load(s state) error {
	if learned := r.engine.learned; learned != nil && s.learned != nil {
		if err := learned.Restore(s.learned); err != nil {
			return fmt.Errorf("train: what the routing policy has learned: %w", err)
		}
	}
	return r.engine.load(s)
}
