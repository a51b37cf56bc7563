package cmd

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/gradus-ml/gradus/curriculum"
	"github.com/gradus-ml/gradus/recipe"
	"github.com/spf13/cobra"
)

func newPlan() *cobra.Command {
	var svg string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "plan RECIPE",
		Short: "Show what a recipe will do, before anything runs",
		Long: `Plan compiles a recipe against its corpus and index and prints the stages: from
which step on, how difficult samples may be, how many are admitted, and in what
shape batches come. It then adds up what the run costs beside the same budget
spent without curriculum and routing.

A stage begins where a difficulty or the batch's shape changes. Stages that only
admit more samples are folded into one line, with the range of their values.

With --svg the plan is drawn too, over the recipe's clock: the share of samples
admitted, each metric's difficulty, the length of a row, the tokens kept and the
learning rate.`,
		Example: "  gradus plan recipes/small.yaml\n  gradus plan recipes/small.yaml --svg plan.svg",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			b, err := openRecipe(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			defer b.Close()
			v := viewPlan(b)
			if svg != "" {
				if err := writePlanSVG(svg, b, v); err != nil {
					return err
				}
			}
			if asJSON {
				return printJSON(cmd.OutOrStdout(), v)
			}
			return printPlan(cmd.OutOrStdout(), b, v)
		},
	}
	cmd.Flags().StringVar(&svg, "svg", "", "draw the plan into this file")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the plan as JSON")
	return cmd
}

// A planView is what plan prints.
type planView struct {
	Name     string             `json:"name"`
	Recipe   string             `json:"recipe"`
	Model    string             `json:"model"`
	HeldOut  string             `json:"held_out,omitempty"`
	Metrics  []string           `json:"metrics"`
	Stages   []curriculum.Stage `json:"stages"`
	Shapes   []curriculum.Shape `json:"shapes"`
	Pool     int64              `json:"pool"`
	Samples  int64              `json:"samples"`
	Run      planCost           `json:"run"`
	Baseline planCost           `json:"baseline"` // the same budget, full length, nothing dropped
}

// A planCost is where a run ends on every clock.
type planCost struct {
	Steps       int64   `json:"steps"`
	Tokens      int64   `json:"tokens"`
	LayerTokens float64 `json:"layer_tokens"`
	FLOPs       float64 `json:"flops"`
}

func viewPlan(b *recipe.Bound) planView {
	end := b.Plan.End()
	v := planView{
		Name: b.Recipe.Name, Recipe: b.Recipe.Hash(), Model: modelWords(b), Metrics: b.Metrics(),
		Stages: b.Plan.Stages(), Shapes: b.Plan.Shapes(), Pool: b.Plan.Pool(), Samples: b.Samples(),
		Run: planCost{Steps: end.Steps, Tokens: end.Tokens, LayerTokens: end.LayerTokens()},
	}
	v.HeldOut = b.HeldOut()
	for _, s := range v.Stages {
		v.Run.FLOPs += float64(s.Steps) * b.Model.FLOPs(s.Batches[0].Rows, s.Batches[0].Length, s.Batches[0].Kept)
	}
	window := b.Recipe.Window()
	rows := b.Recipe.Units(window)
	perStep := int64(rows) * int64(window)
	steps := int64(b.Recipe.Budget.Steps)
	if steps == 0 {
		steps = (int64(b.Recipe.Budget.Tokens) + perStep - 1) / perStep
	}
	v.Baseline = planCost{
		Steps: steps, Tokens: steps * perStep, LayerTokens: float64(steps * perStep),
		FLOPs: float64(steps) * b.Model.FLOPs(rows, window, window),
	}
	return v
}

// modelWords describes the model in one line.
func modelWords(b *recipe.Bound) string {
	if b.Recipe.External() {
		return fmt.Sprintf("external model of %d layers", b.Model.Layers)
	}
	return b.Model.String()
}

func printPlan(out io.Writer, b *recipe.Bound, v planView) error {
	for _, w := range b.Warnings {
		fmt.Fprintf(out, "warning: %s\n", w)
	}
	fmt.Fprintf(out, "%s (recipe %s)\n%s", v.Name, v.Recipe, v.Model)
	if !b.Recipe.External() {
		fmt.Fprintf(out, ", %s parameters", count(b.Model.Parameters()))
	}
	fmt.Fprintln(out)
	fmt.Fprintf(out, "%s of %s samples are admitted in the end", count(v.Pool), count(v.Samples))
	if v.HeldOut != "" {
		fmt.Fprintf(out, "; held out: %s", v.HeldOut)
	}
	fmt.Fprint(out, "\n\n")
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintf(w, "from step\tsteps\t%s\t", b.Recipe.Budget.Clock)
	for _, m := range v.Metrics {
		fmt.Fprintf(w, "%s\t", m)
	}
	fmt.Fprint(w, "pool\trows\tlength\tkept\t\n")
	for i := 0; i < len(v.Stages); {
		first := v.Stages[i]
		last := first
		steps := int64(0)
		for ; i < len(v.Stages) && v.Stages[i].Batches[0].Shape == first.Batches[0].Shape; i++ {
			last = v.Stages[i]
			steps += last.Steps
		}
		fmt.Fprintf(w, "%d\t%d\t%s\t", first.First, steps, count(int64(first.Start.On(curriculum.Clock(b.Recipe.Budget.Clock)))))
		for m := range v.Metrics {
			fmt.Fprintf(w, "%s\t", span(fmt.Sprintf("%g", first.Difficulty[m]), fmt.Sprintf("%g", last.Difficulty[m])))
		}
		fmt.Fprintf(w, "%s\t%d\t%d\t%d\t\n", span(count(first.Pool), count(last.Pool)), first.Batches[0].Rows, first.Batches[0].Length, first.Batches[0].Kept)
	}
	fmt.Fprintf(w, "\n\tsteps\ttokens\tlayer-tokens\tFLOPs\t\n")
	for _, c := range []struct {
		name string
		cost planCost
	}{{"this run", v.Run}, {"plain run", v.Baseline}} {
		fmt.Fprintf(w, "%s\t%d\t%s\t%s\t%.3g\t\n", c.name, c.cost.Steps, count(c.cost.Tokens), count(int64(c.cost.LayerTokens)), c.cost.FLOPs)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	shapes := make([]string, len(v.Shapes))
	for i, s := range v.Shapes {
		shapes[i] = fmt.Sprintf("%dx%d", s.Rows, s.Length)
		if s.Kept < s.Length {
			shapes[i] += fmt.Sprintf(" keep %d", s.Kept)
		}
	}
	_, err := fmt.Fprintf(out, "\n%d shapes to compile: %s\n", len(shapes), strings.Join(shapes, ", "))
	return err
}
