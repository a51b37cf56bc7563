package cmd

import (
	"fmt"

	"github.com/gradus-ml/gradus/curriculum"
	"github.com/gradus-ml/gradus/internal/fault"
	"github.com/spf13/cobra"
)

func newSample() *cobra.Command {
	var step int64
	var rank, world int
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "sample RECIPE --step N",
		Short: "Show which samples a step trains on",
		Long: `Sample prints the samples of one step of a recipe, counted from 0: their ids,
where in the corpus they lie, and how they begin. It asks the plan, so it needs no
run, and any step may be asked for in any order. With --rank and --world it prints
one rank's share; the shares of all ranks make up the step.`,
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
			if step < 0 || step >= b.Plan.Steps() {
				return fault.Invalidf("--step %d; the plan has steps 0 to %d", step, b.Plan.Steps()-1)
			}
			ids := b.Plan.Sampler().At(nil, step)
			stage := b.Plan.Stages()[b.Plan.StageAt(step)]
			v := stepView{Samples: []servedView{}, Step: step, Digest: curriculum.Digest(step, ids), Shape: b.Plan.BatchAt(step).Shape, Pool: stage.Pool}
			for _, id := range curriculum.Slice(ids, rank, world) {
				s, unit, err := b.Source(id)
				if err != nil {
					return err
				}
				first := s.Units.Samples(nil, unit)[0]
				served, err := viewSample(b, id-unit+first)
				if err != nil {
					return err
				}
				served.ID = id
				v.Samples = append(v.Samples, served)
			}
			if asJSON {
				return printJSON(cmd.OutOrStdout(), v)
			}
			out := cmd.OutOrStdout()
			fmt.Fprintf(out, "step %d: %d rows of %d tokens, %d kept, from a pool of %d samples; digest %s\n",
				step, v.Rows, v.Length, v.Kept, v.Pool, v.Digest)
			for _, s := range v.Samples {
				if _, err := fmt.Fprintln(out, s); err != nil {
					return err
				}
			}
			return nil
		},
	}
	f := cmd.Flags()
	f.Int64Var(&step, "step", 0, "the step, from 0")
	f.IntVar(&rank, "rank", 0, "whose share")
	f.IntVar(&world, "world", 1, "of how many")
	f.BoolVar(&asJSON, "json", false, "print the step as JSON")
	return cmd
}

// A stepView is what sample prints.
type stepView struct {
	Step   int64  `json:"step"`
	Digest string `json:"digest"` // of the whole step, all ranks
	Pool   int64  `json:"pool"`
	curriculum.Shape
	Samples []servedView `json:"samples"`
}

type servedView struct {
	ID       int64   `json:"id"`
	Document int64   `json:"document"`
	Offset   int64   `json:"offset"` // tokens from the document's start
	Begins   excerpt `json:"begins"`
}

func (s servedView) String() string {
	return fmt.Sprintf("sample %d  document %d, token %d  %s", s.ID, s.Document, s.Offset, s.Begins)
}
