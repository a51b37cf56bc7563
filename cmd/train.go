package cmd

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/gradus-ml/gradus/curriculum"
	"github.com/gradus-ml/gradus/internal/atomicfile"
	"github.com/gradus-ml/gradus/internal/dirlock"
	"github.com/gradus-ml/gradus/internal/fault"
	"github.com/gradus-ml/gradus/recipe"
	"github.com/gradus-ml/gradus/report"
	"github.com/gradus-ml/gradus/runlog"
	"github.com/gradus-ml/gradus/train"
	"github.com/spf13/cobra"
)

func newTrain() *cobra.Command {
	var out, backend, precision, from, until string
	var resume, asJSON bool
	cmd := &cobra.Command{
		Use:   "train RECIPE --out DIR",
		Short: "Train a model as a recipe says",
		Long: `Train runs a recipe: it makes the batches of its curriculum, trains, evaluates on
held-out documents with nothing dropped, and writes into DIR the run log
(run.jsonl, one line a step), checkpoints and a copy of the recipe.

Ctrl-C saves a checkpoint and stops; --resume goes on from the newest checkpoint.
A run that was killed at any moment and resumed has the same weights and the same
log, seconds aside, as one that was not. --until stops early on purpose, at a share
of the budget or after a number of steps, and saves; the learning rate and the
paces are those of the whole run, and --resume goes on.

--from goes on from an earlier run's checkpoint with a recipe that may differ, and
corpora that may have grown at their ends: its weights, its clock, its log, and
what its passes have not reached yet comes first. 'gradus plan RECIPE --from' says
beforehand what will repeat and what will be lost.`,
		Example: `  gradus train recipes/small.yaml --out runs/small
  gradus train recipes/small.yaml --out runs/small --resume
  gradus train recipes/small.yaml --out runs/look --until 5%
  gradus train recipes/other.yaml --out runs/other --from runs/small`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := needFlags(cmd, "out"); err != nil {
				return err
			}
			r, err := recipe.Load(args[0])
			if err != nil {
				return err
			}
			if resume && from != "" {
				return fault.Invalidf("--resume goes on in the run's own directory and --from begins a new run from another's checkpoint; give one of them")
			}
			t := trainRun{dir: out, resume: resume, from: from, backend: backend, precision: precision}
			if t.until, err = parseUntil(until); err != nil {
				return err
			}
			result, err := trainRecipe(cmd.Context(), r, t, cmd.ErrOrStderr())
			if d := (*train.DivergedError)(nil); errors.As(err, &d) && d.Checkpoint != "" {
				return fmt.Errorf("%w, and go on from it: gradus train %s --out %s --from %s%s", err,
					shellWord(args[0]), shellWord(filepath.Clean(out)+"-again"), shellWord(d.Checkpoint), computeFlags(backend, precision))
			}
			if errors.Is(err, context.Canceled) && result.Checkpoint != "" {
				return interrupted(fmt.Sprintf("interrupted; step %d is saved in %s; go on with: gradus train %s --out %s --resume%s",
					result.Step, result.Checkpoint, shellWord(args[0]), shellWord(out), computeFlags(backend, precision)))
			}
			if err != nil {
				return err
			}
			if asJSON {
				return printJSON(cmd.OutOrStdout(), result)
			}
			if err := printTrained(cmd.OutOrStdout(), r, result); err != nil || result.Finished {
				return err
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "stopped by --until; go on with: gradus train %s --out %s --resume%s\n",
				shellWord(args[0]), shellWord(out), computeFlags(backend, precision))
			return err
		},
	}
	f := cmd.Flags()
	f.StringVar(&out, "out", "", "directory of the run")
	f.StringVar(&from, "from", "", "a checkpoint of an earlier run, or its directory, to go on from with this recipe")
	f.BoolVar(&resume, "resume", false, "go on from the newest checkpoint in the directory")
	f.StringVar(&until, "until", "", "stop and save here: a share of the budget (5%) or a number of steps")
	f.StringVar(&backend, "backend", "go", "what computes: go, onnx, xla:cpu or xla:cuda; 'gradus backends' says which work here")
	f.StringVar(&precision, "precision", "", "of matrix products: float32 or bfloat16 (unless given: bfloat16 on xla:cuda, float32 elsewhere)")
	f.BoolVar(&asJSON, "json", false, "print the result as JSON")
	return cmd
}

// printTrained says in a line what became of a run.
func printTrained(out io.Writer, r *recipe.Recipe, result train.Result) error {
	text := fmt.Sprintf("%s: %d steps done", r.Name, result.Step)
	if result.HeldOut != 0 {
		text += fmt.Sprintf(", held-out loss %.4f %s", result.HeldOut, report.Unit(r.Predicts()))
	}
	if result.Accuracy != nil {
		text += fmt.Sprintf(", accuracy %.2f %%", 100**result.Accuracy)
	}
	text += "; weights in " + result.Checkpoint
	if result.Best != "" && result.Best != result.Checkpoint {
		text += ", the best in " + result.Best
	}
	_, err := fmt.Fprintln(out, text)
	return err
}

// A trainRun says where a recipe is run, and from where it goes on.
type trainRun struct {
	dir    string
	resume bool
	from   string        // checkpoint of another run; empty: from the beginning
	until  recipe.Amount // where it stops, of recipe.StepsUntil; zero: at its end

	backend, precision string // of train.Config.Compute

	locked bool // the caller holds the directory's lock
	quiet  bool // nothing is printed but, on a terminal, the meter
}

// parseUntil reads what --until gives.
func parseUntil(text string) (recipe.Amount, error) {
	if text == "" {
		return recipe.Amount{}, nil
	}
	a, err := recipe.ParseAmount(text)
	if err != nil || !(a.Value > 0) {
		return a, fault.Invalidf("--until %s: give a share of the budget, such as 5%%, or a number of steps", shellWord(text))
	}
	return a, nil
}

// computeFlags are the flags that a resume needs to compute as the run did.
func computeFlags(backend, precision string) string {
	flags := ""
	if backend != "go" {
		flags += " --backend " + shellWord(backend)
	}
	if precision != "" {
		flags += " --precision " + shellWord(precision)
	}
	return flags
}

// trainRecipe runs a recipe in a directory and shows how it goes on.
func trainRecipe(ctx context.Context, r *recipe.Recipe, t trainRun, progress io.Writer) (train.Result, error) {
	if err := new(train.Config).Compute(t.backend, t.precision); err != nil { // before anything is written
		return train.Result{}, err
	}
	if t.resume && !holdsRun(t.dir) {
		return train.Result{}, fmt.Errorf("%s holds no run to resume; start it without --resume", t.dir)
	}
	if t.resume {
		log := filepath.Join(t.dir, runlog.FileName)
		began, err := runlog.ReadRun(log)
		if err != nil {
			return train.Result{}, err
		}
		if hash := r.Hash(); began.Recipe != hash { // before a plan of this recipe is looked for, or made
			return train.Result{}, fault.Mismatchf("%s was made by another recipe (%s, %s is %s); resume with the one it began with, %s, or give another --out",
				log, began.Recipe, r.Path(), hash, filepath.Join(t.dir, recipe.FileName))
		}
	}
	undo, lock, err := takeDir(t, r)
	if err != nil {
		return train.Result{}, err
	}
	if lock != nil {
		defer lock.Close()
	}
	defer func() {
		if !holdsRun(t.dir) { // it did not begin
			undo()
		}
	}()
	b, err := recipe.Open(ctx, r, recipe.Options{Dir: filepath.Join(t.dir, recipe.PlanDir), From: t.from})
	if err != nil {
		return train.Result{}, err
	}
	defer b.Close()
	says := progress
	if t.quiet {
		says = io.Discard
	}
	for _, w := range b.Warnings {
		fmt.Fprintf(says, "warning: %s\n", w)
	}
	c, err := b.Training(t.dir)
	if err != nil {
		return train.Result{}, err
	}
	if err := c.Compute(t.backend, t.precision); err != nil {
		return train.Result{}, err
	}
	c.Resume, c.Locked = t.resume, true
	if t.resume {
		sayOtherBackend(says, t.dir, c.Run)
	}
	stops := ""
	if t.until != (recipe.Amount{}) {
		if c.Until, err = b.StepsUntil(t.until); err != nil {
			return train.Result{}, err
		}
		stops = fmt.Sprintf(", stopping after %s", count(c.Until))
	}
	meter := newTrainMeter(progress, r, b)
	meter.quiet = t.quiet
	c.Progress = meter.show
	budget := ""
	if clock := curriculum.Clock(r.Budget.Clock); clock != curriculum.Steps {
		budget = fmt.Sprintf(", %s %s", count(int64(r.BudgetTotal())), clock)
	}
	fmt.Fprintf(says, "%s: %s, %s parameters; %d steps%s%s\n", r.Name, b.Model, count(b.Model.Parameters()), b.Plan.Steps(), budget, stops)
	result, err := train.Train(ctx, c)
	meter.close()
	return result, err
}

// holdsRun reports whether a directory has a run's log.
func holdsRun(dir string) bool {
	return runlog.Exists(filepath.Join(dir, runlog.FileName))
}

// sayOtherBackend says so if a run goes on with another backend or precision than
// it began with: it may, and its bits are no longer those of one machine's run.
func sayOtherBackend(out io.Writer, dir string, now runlog.Run) {
	log, err := runlog.ReadRun(filepath.Join(dir, runlog.FileName))
	if err != nil {
		return // train.Train reads it too, and says what is wrong
	}
	name := func(r runlog.Run) string { return r.Backend + " " + or(r.Precision, "float32") }
	if was := name(log); was != name(now) {
		fmt.Fprintf(out, "the run began on %s and goes on on %s: its weights will not be to the bit what they would have been\n", was, name(now))
	}
}

// takeDir locks the directory of a run, so that of two that begin at once one leaves
// it alone, and keeps the recipe beside a new run. undo takes back what it made; the
// lock is still held then, and nil if the caller has it.
func takeDir(t trainRun, r *recipe.Recipe) (undo func(), lock *os.File, err error) {
	dir, resume := t.dir, t.resume
	undo = func() {}
	if !resume && holdsRun(dir) {
		return undo, nil, fault.Invalidf("%s holds a run already; go on with --resume, or choose another --out", dir)
	}
	_, err = os.Stat(dir)
	fresh := errors.Is(err, fs.ErrNotExist)
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return undo, nil, fmt.Errorf("%s: %w", dir, err)
	}
	if !t.locked {
		if lock, err = dirlock.Lock(dir); err != nil {
			return undo, nil, err
		}
	}
	if !resume {
		undo, err = copyRecipe(r, dir)
		if copied := undo; fresh {
			undo = func() {
				copied()
				os.RemoveAll(dir) // all that is in it was made for a run that did not begin
			}
		}
	}
	if err != nil {
		undo()
		if lock != nil {
			lock.Close()
		}
	}
	return undo, lock, err
}

// copyRecipe keeps the recipe beside the run that is to begin in a directory,
// where none may lie yet; undo takes back what it made.
func copyRecipe(r *recipe.Recipe, dir string) (undo func(), err error) {
	undo = func() {}
	if holdsRun(dir) { // one that began before the lock was ours
		return undo, fault.Invalidf("%s holds a run already; go on with --resume, or choose another --out", dir)
	}
	name := filepath.Join(dir, recipe.FileName)
	switch text, err := os.ReadFile(name); {
	case err == nil && bytes.Equal(text, r.Text()):
		return undo, nil
	case err == nil:
		return undo, fault.Invalidf("%s is another recipe than %s; choose another --out", name, r.Path())
	case !errors.Is(err, fs.ErrNotExist):
		return undo, err
	}
	return func() { os.Remove(name) }, atomicfile.Write(name, func(w io.Writer) error {
		_, err := w.Write(r.Text())
		return err
	})
}
