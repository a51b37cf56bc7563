package cmd

import (
	"bytes"
	"fmt"
	"io"

	"github.com/gradus-ml/gradus/curriculum"
	"github.com/gradus-ml/gradus/internal/fault"
	"github.com/gradus-ml/gradus/recipe"
	"github.com/spf13/cobra"
)

func newSample() *cobra.Command {
	var step int64
	var rank, world int
	var kept, asJSON bool
	cmd := &cobra.Command{
		Use:   "sample RECIPE --step N",
		Short: "Show which samples a step trains on, and why",
		Long: `Sample prints what one step of a recipe serves, counted from 0: the id of each
sample, where in the corpus it lies, how it begins, the value of each metric with
its percentile, and the bounds by which the curriculum admits it at that step.
Where a row holds several documents, or a part of one, they are listed.

It asks the plan, so it needs no run, and any step may be asked for in any order.
With --rank and --world it prints one rank's share; the shares of all ranks make
up the step. --kept adds the positions that each routed layer sees of each row; a
policy that learns from the losses, such as token-bypass, tells them only in a run.
Where a recipe mixes sources, ids are written NAME:ID. RECIPE may
also be the directory of a run, which keeps its plan.`,
		Example: "  gradus sample recipes/small.yaml --step 100\n  gradus sample recipes/small.yaml --step 100 --rank 3 --world 8",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := needFlags(cmd, "step"); err != nil {
				return err
			}
			if world < 1 || rank < 0 || rank >= world {
				return fault.Invalidf("--rank %d --world %d; a rank lies between 0 and the world's size less one", rank, world)
			}
			b, err := openRecipe(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			defer b.Close()
			if step < b.Plan.First() || step >= b.Plan.Steps() {
				return fault.Invalidf("--step %d; the plan has steps %d to %d", step, b.Plan.First(), b.Plan.Steps()-1)
			}
			v, err := viewStep(b, step, rank, world)
			if err != nil {
				return err
			}
			if kept || b.Recipe.Learns() {
				if v.Routing, err = viewRouted(b, step, rank, world); err != nil {
					return err
				}
			}
			if asJSON {
				return printJSON(cmd.OutOrStdout(), v)
			}
			return printStep(cmd.OutOrStdout(), v)
		},
	}
	f := cmd.Flags()
	f.Int64Var(&step, "step", 0, "the step, from 0")
	f.IntVar(&rank, "rank", 0, "whose share")
	f.IntVar(&world, "world", 1, "of how many")
	f.BoolVar(&kept, "kept", false, "show the positions that each routed layer sees")
	f.BoolVar(&asJSON, "json", false, "print the step as JSON")
	return cmd
}

// A stepView is what sample prints.
type stepView struct {
	Step   int64  `json:"step"`
	Digest string `json:"digest"` // of the whole step, all ranks
	Pool   int64  `json:"pool"`   // units that the step is drawn from
	curriculum.Shape
	Samples []unitView  `json:"samples"`
	Routing *routedView `json:"routing,omitempty"` // what routed layers see, where it was asked for
}

func viewStep(b *recipe.Bound, step int64, rank, world int) (stepView, error) {
	form := b.Plan.BatchAt(step)
	ids := b.Plan.Sampler().At(nil, step)
	v := stepView{Step: step, Digest: curriculum.Digest(step, ids), Pool: form.Pool, Shape: form.Shape, Samples: []unitView{}}
	show, err := newShower(b)
	if err != nil {
		return v, err
	}
	if err := show.admittedAt(step); err != nil {
		return v, err
	}
	for _, id := range curriculum.Slice(ids, rank, world) {
		unit, err := show.unit(id)
		if err != nil {
			return v, err
		}
		v.Samples = append(v.Samples, unit)
	}
	return v, nil
}

func printStep(out io.Writer, v stepView) error {
	var b bytes.Buffer
	fmt.Fprintf(&b, "step %d: %d rows of %d tokens, %d kept, from a pool of %d units; digest %s\n",
		v.Step, v.Rows, v.Length, v.Kept, v.Pool, v.Digest)
	for _, u := range v.Samples {
		fmt.Fprintln(&b, u)
		for _, p := range u.Parts {
			fmt.Fprintf(&b, "    %s\n", p)
			printMeasures(&b, "        ", p.Metrics)
		}
		printMeasures(&b, "    ", u.Metrics)
	}
	if v.Routing != nil {
		v.Routing.print(&b)
	}
	_, err := out.Write(b.Bytes())
	return err
}

func printMeasures(w io.Writer, indent string, measures []measure) {
	for _, m := range measures {
		fmt.Fprintf(w, "%s%s\n", indent, m)
	}
}
