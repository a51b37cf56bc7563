package analyze

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/gradus-ml/gradus/index"
	"github.com/gradus-ml/gradus/internal/fault"
)

// MissingError says which shards are not done.
type MissingError struct {
	Dir     string // of the index
	Missing []Shard
}

// Error lists the shards.
func (e *MissingError) Error() string {
	var names []string
	for i, s := range e.Missing {
		if i == 20 {
			names = append(names, fmt.Sprintf("and %d more", len(e.Missing)-i))
			break
		}
		names = append(names, s.String())
	}
	return fmt.Sprintf("%s: not done yet: %s; run 'gradus analyze --shard' for each of these, again if its first run has only gathered statistics, then merge", e.Dir, strings.Join(names, ", "))
}

// Merge makes the index dir of its shards, the same bytes as Run, and removes
// them. If some are not done the error is a *MissingError. The metrics of job
// are needed only to merge their statistics.
func Merge(ctx context.Context, job *Job, dir string, count int, o Options) (Result, error) {
	o, err := o.withDefaults()
	if err != nil {
		return Result{}, err
	}
	r := newRun(job, dir, o)
	if m, ok, err := job.made(dir); err != nil {
		return Result{}, err
	} else if ok && !o.Force { // merged before, and killed when the shards were to go
		return Result{Index: dir, Manifest: m, Workers: o.Workers}, removeShards(dir)
	}
	states, missing, err := shardStates(dir, count, job.Passes())
	if err != nil {
		return Result{}, err
	}
	if len(missing) > 0 {
		return Result{}, &MissingError{dir, missing}
	}
	if err := fingerprintOnce(ctx, dir, job.samples.Corpus()); err != nil {
		return Result{}, err
	}
	id, err := job.identity(Shard{})
	if err != nil {
		return Result{}, err
	}
	for s, state := range states {
		if difference := state.Job.same(withShard(id, s)); difference != "" {
			return Result{}, fault.Mismatchf("shard %s is of another analysis: %s", s, difference)
		}
		for i, p := range state.Passes {
			r.add(i, p)
		}
	}
	w, err := index.Resume(dir, id.Head, o.Force)
	if err != nil {
		return Result{}, err
	}
	if _, err := os.Stat(filepath.Join(w.Dir(), index.StateName)); err == nil && !o.Restart {
		w.Suspend()
		return Result{}, fault.Mismatchf("%s holds an unfinished analysis that is not of shards; finish it, or throw it away (--restart)", w.Dir())
	}
	defer w.Abort()
	if err := w.Clear(); err != nil {
		return Result{}, err
	}
	for _, m := range id.Metrics {
		v, err := w.Values(m)
		if err != nil {
			return Result{}, err
		}
		defer v.Close()
		for s := range states {
			from, to := s.of(id.Head.Samples)
			if err := v.Copy(ctx, filepath.Join(s.dir(dir), states[s].Values, m.Name+".npy"), m, from, to-from); err != nil {
				return Result{}, fmt.Errorf("shard %s: %w", s, err)
			}
		}
		if err := v.Close(); err != nil {
			return Result{}, err
		}
	}
	gathered, err := job.gather(job.Passes(), fromFiles(dir, states))
	if err != nil {
		return Result{}, err
	}
	if err := r.order(ctx, w, id.Metrics, nil, func(index.Metric) error { return nil }); err != nil {
		return Result{}, err
	}
	result, err := r.commit(w, gathered)
	if err != nil {
		return result, err
	}
	return result, removeShards(dir)
}

// removeShards removes all shards, their states first: what is left, if that is
// cut short, is of no analysis.
func removeShards(dir string) error {
	states, err := filepath.Glob(filepath.Join(shardsDir(dir), "*", index.StateName))
	if err != nil {
		return err
	}
	for _, s := range states {
		if err := os.RemoveAll(s); err != nil {
			return err
		}
	}
	return os.RemoveAll(shardsDir(dir))
}

// made returns the manifest of the index at dir if it is the one that the job
// makes.
func (j *Job) made(dir string) (index.Manifest, bool, error) {
	x, err := index.Open(dir)
	if err != nil {
		return index.Manifest{}, false, nil // none, or one that is to be replaced
	}
	defer x.Close()
	id, err := j.identity(Shard{})
	if err != nil {
		return index.Manifest{}, false, err
	}
	return x.Manifest(), j.makes(id, x.Manifest()), nil
}
