package cmd

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/gradus-ml/gradus/curriculum"
	"github.com/gradus-ml/gradus/internal/fault"
	"github.com/gradus-ml/gradus/recipe"
	"github.com/gradus-ml/gradus/runlog"
	"github.com/gradus-ml/gradus/train"
)

// checkRun proves a run: its log, its checkpoints, that they belong together,
// and, where the recipe's corpus is at hand, that the log is what the plan asks
// for.
func checkRun(ctx context.Context, path string, _ checkOptions) (string, error) {
	v, log, err := viewLog(filepath.Join(path, runlog.FileName))
	if err != nil {
		return "", err
	}
	v.Kind = "run"
	checkpoints, err := train.Checkpoints(path)
	if err != nil {
		return "", err
	}
	for _, c := range checkpoints {
		if err := ctx.Err(); err != nil {
			return "", err
		}
		if err := checkCheckpointOf(log, c); err != nil {
			return "", err
		}
	}
	compared, err := compareWithPlan(ctx, log, path)
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("%s; checkpoints: %d; %s", v.words(), len(checkpoints), compared), nil
}

// checkCheckpointOf proves a checkpoint, and that it belongs to a log.
func checkCheckpointOf(log *runlog.Log, path string) error {
	v, err := viewCheckpoint(path)
	if err != nil {
		return err
	}
	if err := v.fits(); err != nil {
		return err
	}
	switch {
	case v.Recipe != log.Run.Recipe:
		return fault.Mismatchf("%s is of recipe %s and the log beside it of %s", path, v.Recipe, log.Run.Recipe)
	case v.Corpus != log.Run.Corpus:
		return fault.Mismatchf("%s is of corpus %s and the log beside it of %s", path, v.Corpus, log.Run.Corpus)
	case v.Step > int64(len(log.Steps)):
		return fault.Corruptf("%s is of step %d and the log beside it ends at step %d: the log has lost its end; "+
			"move the checkpoint away and resume from an older one", path, v.Step, len(log.Steps))
	}
	return nil
}

// planChecks is how many steps of a log are held against the plan: enough that
// another order of samples cannot pass, few enough to take no time.
const planChecks = 200

// compareWithPlan says how far a log agrees with the plan of the recipe beside it.
func compareWithPlan(ctx context.Context, log *runlog.Log, dir string) (string, error) {
	b, err := openCopy(ctx, dir)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Sprintf("not compared with its plan: %v", err), nil
	}
	if err != nil {
		return "", err
	}
	defer b.Close()
	if err := sameOrigin(log, b, dir); err != nil {
		return "", err
	}
	name := filepath.Join(dir, runlog.FileName)
	sampler := b.Plan.Sampler()
	first := b.Plan.First() // the steps before it are of the run that this one went on from
	made := int64(len(log.Steps)) - first
	n := min(made, planChecks)
	var ids []int64
	for i := range n {
		if err := ctx.Err(); err != nil {
			return "", err
		}
		step := first + i*(made-1)/max(n-1, 1)
		ids = sampler.At(ids[:0], step)
		if err := agrees(log.Steps[step], b.Plan, curriculum.Digest(step, ids)); err != nil {
			return "", fault.Corruptf("%s, line %d: %w; the plan in %s says otherwise", name, step+2, err, recipe.FileName)
		}
	}
	return fmt.Sprintf("%d of its steps agree with the plan", n), nil
}

// openCopy binds the recipe that a run directory keeps. Its corpus and the
// weights that it begins with may be named from where the recipe came from, which is often the directory above.
func openCopy(ctx context.Context, dir string) (*recipe.Bound, error) {
	name := filepath.Join(dir, recipe.FileName)
	text, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	above := filepath.Join(filepath.Dir(filepath.Clean(dir)), recipe.FileName)
	var b *recipe.Bound
	for _, from := range []string{name, above} {
		var r *recipe.Recipe
		if r, err = recipe.Parse(from, text); err == nil { // it finds trained weights to begin with
			var o recipe.Options
			if kept := filepath.Join(dir, recipe.PlanDir); curriculum.Kept(kept) {
				o.Dir = kept
			}
			b, err = recipe.Open(ctx, r, o)
		}
		if !errors.Is(err, fs.ErrNotExist) {
			break
		}
	}
	return b, err
}

// sameOrigin reports a recipe or a corpus that is not that of the log.
func sameOrigin(log *runlog.Log, b *recipe.Bound, dir string) error {
	if hash := b.Recipe.Hash(); hash != log.Run.Recipe {
		return fault.Mismatchf("%s has hash %s and the log beside it is of recipe %s: one of them was changed", filepath.Join(dir, recipe.FileName), hash, log.Run.Recipe)
	}
	fingerprint, err := b.Fingerprint()
	if err != nil {
		return err
	}
	if fingerprint != log.Run.Corpus {
		return fault.Mismatchf("the run was made from corpus %s, and that of %s is %s", log.Run.Corpus, b.Recipe.Path(), fingerprint)
	}
	if steps := b.Plan.Steps(); steps != log.Run.Steps || int64(len(log.Steps)) > steps {
		return fault.Mismatchf("the log is of %d planned steps, %d made, and the plan of %s has %d", log.Run.Steps, len(log.Steps), filepath.Join(dir, recipe.FileName), steps)
	}
	return nil
}

// agrees reports a step that is not the plan's.
func agrees(s runlog.Step, p *curriculum.Plan, digest string) error {
	after := p.PositionAt(s.Step)
	planned := p.BatchAt(s.Step - 1).Shape
	switch shape := (curriculum.Shape{Rows: s.Rows, Length: s.Length, Kept: s.Kept}); {
	case shape != planned:
		return fmt.Errorf("a batch of %d x %d, %d kept, not %d x %d, %d kept", s.Rows, s.Length, s.Kept, planned.Rows, planned.Length, planned.Kept)
	case s.Tokens != after.Tokens || s.LayerTokens != after.LayerTokens():
		return fmt.Errorf("%d tokens and %v layer-tokens so far, not %d and %v", s.Tokens, s.LayerTokens, after.Tokens, after.LayerTokens())
	case s.Digest != digest:
		return fmt.Errorf("samples of digest %s, not %s", s.Digest, digest)
	}
	return nil
}
