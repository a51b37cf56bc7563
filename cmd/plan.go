package cmd

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"

	"github.com/gradus-ml/gradus/internal/fault"
	"github.com/gradus-ml/gradus/recipe"
	"github.com/spf13/cobra"
)

// planFlags are the flags of plan.
type planFlags struct {
	svg      string
	schedule bool
	diff     bool
	all      bool
	from     string
	json     bool
}

func newPlan() *cobra.Command {
	var o planFlags
	cmd := &cobra.Command{
		Use:   "plan RECIPE",
		Short: "Show what a recipe will do, before anything runs",
		Long: `Plan compiles a recipe against its corpora and indexes and prints the stages: from
which step on, how difficult samples may be, how the sources are mixed, how many
units are admitted (a unit is what one row of a batch is made of), and in what
shape batches come. Then it says how often each tenth of the difficulty is
served, what is padding, and what the run costs beside a plain run: full rows,
no curriculum, nothing dropped.

RECIPE may also be the directory of a run, which keeps its plan.

A stage begins where a difficulty, a weight or the batch's shape changes. Stages
that only admit other samples are folded into one line, with the range of their
values.

With --schedule neither corpora nor indexes need to be there: the plan then has
no samples, and where rows have several lengths they count as equally full.

With --from the plan goes on from an earlier run's checkpoint, as 'gradus train
--from' does, and says what becomes of the samples of that run.

With --diff two recipes are compared: the keys that differ, their stages and
totals side by side, and the first step at which their batches differ.

With --svg the plan is drawn too, over the recipe's clock: the share of samples
admitted, each metric's difficulty and floor, the weights of the sources, the
rows of a batch, padding, the tokens kept and the learning rate.`,
		Example: `  gradus plan recipes/small.yaml
  gradus plan recipes/small.yaml --svg plan.svg
  gradus plan --schedule recipes/deepspeed/gpt3-1.3b-cl-ltd.yaml
  gradus plan --diff recipes/small.yaml recipes/other.yaml`,
		Args: func(cmd *cobra.Command, args []string) error {
			if o.diff && len(args) != 2 {
				return fmt.Errorf("--diff compares two recipes, and there are %d", len(args))
			}
			if o.diff {
				return nil
			}
			return cobra.ExactArgs(1)(cmd, args)
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			switch {
			case o.diff && o.svg != "":
				return fault.Invalidf("--svg draws one plan, and --diff compares two; leave one of them out")
			case o.diff && o.from != "":
				return fault.Invalidf("--from goes with one recipe, and --diff compares two; leave one of them out")
			case o.schedule && o.from != "":
				return fault.Invalidf("--from needs the corpora that --schedule does without; leave one of them out")
			case o.diff:
				return runPlanDiff(cmd, args[0], args[1], o)
			}
			b, err := openPlan(cmd.Context(), args[0], recipe.Options{ScheduleOnly: o.schedule, From: o.from})
			if err != nil {
				return err
			}
			defer b.Close()
			v := viewPlan(b)
			v.all = o.all
			if o.svg != "" {
				if err := writePlanSVG(o.svg, b, v); err != nil {
					return err
				}
			}
			if o.json {
				return printJSON(cmd.OutOrStdout(), v)
			}
			return printPlan(cmd.OutOrStdout(), v)
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.svg, "svg", "", "draw the plan into this file")
	f.BoolVar(&o.schedule, "schedule", false, "stages and shapes only, without corpora and indexes")
	f.StringVar(&o.from, "from", "", "a checkpoint of an earlier run, or its directory, to go on from with this recipe")
	f.BoolVar(&o.diff, "diff", false, "compare two recipes")
	f.BoolVar(&o.all, "all", false, "print every line of a long plan")
	f.BoolVar(&o.json, "json", false, "print the plan as JSON")
	return cmd
}

// openRecipe reads a recipe, or the one of a run's directory with the plan that is
// kept there, and binds it to its corpora and indexes.
func openRecipe(ctx context.Context, path string) (*recipe.Bound, error) {
	if isDir(path) {
		return openCopy(ctx, path)
	}
	r, err := recipe.Load(path)
	if err != nil {
		return nil, err
	}
	return recipe.Open(ctx, r, recipe.Options{})
}

func isDir(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}

// openPlan opens a recipe, or what a run's directory keeps. Where files are
// missing, the error says that the schedule does without them.
func openPlan(ctx context.Context, path string, o recipe.Options) (*recipe.Bound, error) {
	if o == (recipe.Options{}) && isDir(path) {
		return openCopy(ctx, path)
	}
	r, err := recipe.Load(path)
	if err != nil {
		return nil, err
	}
	b, err := recipe.Open(ctx, r, o)
	if err != nil && !o.ScheduleOnly && o.From == "" && (errors.Is(err, fs.ErrNotExist) || errors.Is(err, fault.Invalid) && namesNoFiles(r)) {
		return nil, fmt.Errorf("%w; 'gradus plan --schedule %s' shows the stages without corpus and index", err, path)
	}
	return b, err
}

// namesNoFiles reports whether a recipe leaves out a corpus, or an index that it
// needs.
func namesNoFiles(r *recipe.Recipe) bool {
	indexed := slices.ContainsFunc(r.Curriculum, func(m recipe.Metric) bool { return m.Apply == "" })
	return slices.ContainsFunc(sourcesOf(r), func(s recipe.Source) bool {
		return len(s.Corpus) == 0 || indexed && s.Index == ""
	})
}

// sourcesOf returns the corpora of a recipe; a single one has no name.
func sourcesOf(r *recipe.Recipe) []recipe.Source {
	if r.Sources != nil {
		return r.Sources
	}
	return []recipe.Source{{Corpus: r.Corpus, DType: r.DType, Index: r.Index}}
}
