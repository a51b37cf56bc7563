package cmd

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/gradus-ml/gradus/experiment"
	"github.com/gradus-ml/gradus/internal/fault"
	"github.com/gradus-ml/gradus/recipe"
	"github.com/spf13/cobra"
)

// A tuneCall is the flags of tune.
type tuneCall struct {
	tuning                    experiment.Tuning
	what                      string
	first, longest, backend   string
	budgets, arms             []string
	seed                      uint64
	seeded, backended, asJSON bool
	progress                  io.Writer
}

func newTune() *cobra.Command {
	var c tuneCall
	t := &c.tuning
	cmd := &cobra.Command{
		Use:   "tune RECIPE|STUDY",
		Short: "Find paces and learning rates by small probes",
		Long: `Tune finds what a recipe leaves to experience: the smallest start of each pace
(difficulty, length, kept tokens), then its longest duration, for which training
is steady, and the learning rate.

Starts and paces follow the low-cost strategy of DeepSpeed Data Efficiency. A probe
is the first few per cent of the run; it is steady if its held-out perplexity never
rises above 1.3 times the best so far. Bisection takes for granted that a larger
start, or a shorter pace, is no less steady. What happens after those few per cent
it does not see.

The rate is searched by whole runs at a share of the budget: by octaves until the
best is bracketed, then by half octaves; of rates whose losses cannot be told apart,
the smallest. In a study every arm gets the same number of probes.

DIR has the tuned file (tuned.yaml), what was found and every probe (tune.md,
tune.json), and the probes' runs. Tune says beforehand what it will take at most.
Probes that are there are not made again, and Ctrl-C or a kill loses nothing.`,
		Example: `  gradus tune recipes/gosrc.yaml --out tuned/gosrc
  gradus tune recipes/gosrc.yaml --out tuned/gosrc --what start,pace,rate
  gradus tune study.yaml --out tuned/study --budget 25%,100% --probes 7`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := needFlags(cmd, "out"); err != nil {
				return err
			}
			c.seeded, c.backended = cmd.Flags().Changed("seed"), cmd.Flags().Changed("backend")
			tuned, err := c.run(cmd.Context(), args[0], cmd.ErrOrStderr())
			command := "gradus " + strings.Join(wordsOf(os.Args[1:]), " ")
			if errors.Is(err, context.Canceled) {
				return interrupted("interrupted; finished probes stay, and the same command goes on: " + command)
			}
			if err != nil {
				return err
			}
			if err := experiment.WriteTuned(t.Out, tuned, command); err != nil {
				return err
			}
			if c.asJSON {
				return printJSON(cmd.OutOrStdout(), tuned)
			}
			return printTuned(cmd.OutOrStdout(), t.Out, tuned)
		},
	}
	f := cmd.Flags()
	f.StringVar(&t.Out, "out", "", "directory of the probes and of what is found")
	f.StringVar(&c.what, "what", "", "of start, pace and rate, with commas (unless given: start,pace of a recipe that has paces, else rate)")
	f.StringVar(&c.first, "first", "3%", "how much of the run a probe of a start or a pace takes")
	f.Float64Var(&t.Fluctuation, "fluctuation", 1.3, "how many times the best perplexity so far is too much")
	f.IntVar(&t.Evaluations, "evaluations", 10, "of such a probe, evenly spaced")
	f.StringVar(&c.longest, "longest", "70%", "share of the budget at which a pace ends at the latest")
	f.StringSliceVar(&c.budgets, "budget", []string{"25%"}, "share of the budget that a probe of a rate takes; of a study several, with commas")
	f.IntVar(&t.Probes, "probes", 7, "most rates to try in a search")
	f.Float64Var(&t.Tolerance, "tolerance", 0.002, "nats by which losses are not told apart")
	f.IntVar(&t.Seeds, "seeds", 1, "that each candidate is probed with")
	f.Uint64Var(&c.seed, "seed", 0, "the first of them (unless given: the recipe's, or the first after a study's own)")
	f.StringSliceVar(&c.arms, "arm", nil, "of a study: tune only these")
	f.StringVar(&c.backend, "backend", "go", "what computes: go, onnx, xla:cpu or xla:cuda (unless given: a study's own)")
	f.StringVar(&t.Precision, "precision", "", "of matrix products: float32 or bfloat16 (unless given: bfloat16 on xla:cuda, float32 elsewhere)")
	f.BoolVar(&t.Keep, "keep-weights", false, "leave the checkpoints of finished probes")
	f.BoolVar(&c.asJSON, "json", false, "print what was found as JSON")
	return cmd
}

// run tunes the recipe or the study at path.
func (c *tuneCall) run(ctx context.Context, path string, progress io.Writer) (experiment.Tuned, error) {
	t := &c.tuning
	var err error
	if t.First, err = recipe.ParseAmount(c.first); err != nil {
		return experiment.Tuned{}, fault.Invalidf("--first: %w", err)
	}
	if t.Longest, err = recipe.ParseAmount(c.longest); err != nil {
		return experiment.Tuned{}, fault.Invalidf("--longest: %w", err)
	}
	if len(c.budgets) == 0 {
		return experiment.Tuned{}, fault.Invalidf("--budget names none; give a share, such as 25%%")
	}
	if t.Budget, err = recipe.ParseAmount(c.budgets[0]); err != nil {
		return experiment.Tuned{}, fault.Invalidf("--budget: %w", err)
	}
	t.Backend, c.progress = c.backend, progress
	t.Say = func(line string) { fmt.Fprintln(progress, line) }
	t.Train = c.train
	isStudy, err := experiment.IsStudy(path)
	if err != nil {
		return experiment.Tuned{}, err
	}
	if isStudy {
		return c.study(ctx, path)
	}
	if len(c.arms) > 0 || len(c.budgets) > 1 {
		return experiment.Tuned{}, fault.Invalidf("%s is a recipe; --arm and several shares in --budget are for a study", path)
	}
	r, err := recipe.Load(path)
	if err != nil {
		return experiment.Tuned{}, err
	}
	if t.Seed = r.Seed; c.seeded {
		t.Seed = c.seed
	}
	if c.what == "" {
		c.what = "start,pace"
		if !experiment.HasPaces(r) {
			c.what = "rate"
		}
	}
	t.What = strings.Split(c.what, ",")
	return experiment.TuneRecipe(ctx, r, *t)
}

// study tunes the rates of a study.
func (c *tuneCall) study(ctx context.Context, path string) (experiment.Tuned, error) {
	t := &c.tuning
	s, err := experiment.Load(path)
	if err != nil {
		return experiment.Tuned{}, err
	}
	if !c.backended {
		t.Backend = s.Backend
	}
	if t.Seed = s.FreshSeed(); c.seeded {
		t.Seed = c.seed
	}
	if t.Precision == "" {
		t.Precision = s.Precision
	}
	t.What = strings.Split(or(c.what, "rate"), ",")
	return experiment.TuneStudy(ctx, s, c.arms, c.budgets, *t)
}

// train makes or goes on with the run of a probe.
func (c *tuneCall) train(ctx context.Context, r *recipe.Recipe, dir string, until int64) error {
	t := trainRun{dir: dir, resume: holdsRun(dir), until: recipe.Amount{Value: float64(until)}, backend: c.tuning.Backend, precision: c.tuning.Precision, quiet: true}
	name := filepath.Join(dir, recipe.FileName)
	if text, err := os.ReadFile(name); err == nil && !t.resume && !bytes.Equal(text, r.Text()) {
		if err := os.Remove(name); err != nil { // of a probe that was cut off before it began; its comments may be others
			return err
		}
	}
	_, err := trainRecipe(ctx, r, t, c.progress)
	return err
}

// wordsOf quotes words for a shell.
func wordsOf(args []string) []string {
	words := slices.Clone(args)
	for i := range words {
		words[i] = shellWord(words[i])
	}
	return words
}

// printTuned says what was found, and where.
func printTuned(out io.Writer, dir string, t experiment.Tuned) error {
	changed := 0
	for _, f := range t.Findings {
		if f.After != f.Before {
			changed++
		}
		if _, err := fmt.Fprintln(out, f); err != nil {
			return err
		}
	}
	_, err := fmt.Fprintf(out, "%s: %d of %d values changed, %d probes; every one of them is in %s\n",
		filepath.Join(dir, experiment.TunedFile), changed, len(t.Findings), len(t.Probes), filepath.Join(dir, "tune.md"))
	return err
}
