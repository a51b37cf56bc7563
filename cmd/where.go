package cmd

import (
	"context"
	"fmt"
	"io"
	"slices"
	"text/tabwriter"

	"github.com/gradus-ml/gradus/internal/fault"
	"github.com/gradus-ml/gradus/recipe"
	"github.com/spf13/cobra"
)

func newWhere() *cobra.Command {
	var id int64
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "where RECIPE --sample ID",
		Short: "Show which steps train on a sample",
		Long: `Where prints every step of a recipe's plan that trains on one sample, with its
place in the global batch and how many of its tokens the batch's shape takes in.
The ids of samples are those that sample and inspect print.

It asks the plan for every step, so it needs no run, and takes time in proportion
to the number of steps.`,
		Example: "  gradus where recipes/small.yaml --sample 4711",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := needFlags(cmd, "sample"); err != nil {
				return err
			}
			b, err := openRecipe(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			defer b.Close()
			s, sample, err := b.Source(id)
			if err != nil {
				return err
			}
			if n := s.Samples.Len(); sample >= n {
				return fault.Invalidf("--sample %d; the corpus has samples 0 to %d", id, n-1)
			}
			v, err := viewUses(cmd.Context(), b, id)
			if err != nil {
				return err
			}
			if asJSON {
				return printJSON(cmd.OutOrStdout(), v)
			}
			return printUses(cmd.OutOrStdout(), v)
		},
	}
	cmd.Flags().Int64Var(&id, "sample", 0, "the sample's id")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the steps as JSON")
	return cmd
}

// openRecipe reads a recipe and binds it to its corpus and index.
func openRecipe(ctx context.Context, path string) (*recipe.Bound, error) {
	r, err := recipe.Load(path)
	if err != nil {
		return nil, err
	}
	return recipe.Open(ctx, r, recipe.Options{})
}

// A usesView is what where prints.
type usesView struct {
	Sample  servedView `json:"sample"`
	HeldOut bool       `json:"held_out"` // for evaluation, wholly or in part
	Steps   int64      `json:"steps"`    // of the plan
	Uses    []use      `json:"uses"`
}

// A use is a sample in a batch.
type use struct {
	Step   int64 `json:"step"`
	Place  int   `json:"place"`  // in the global batch
	Tokens int   `json:"tokens"` // that the batch takes in
}

func viewUses(ctx context.Context, b *recipe.Bound, id int64) (usesView, error) {
	v := usesView{Steps: b.Plan.Steps(), Uses: []use{}}
	var err error
	if v.Sample, err = viewSample(b, id); err != nil {
		return v, err
	}
	s, sample, err := b.Source(id)
	if err != nil {
		return v, err
	}
	start, end := s.Samples.Span(sample)
	v.HeldOut = s.HoldsOut(sample)
	units := s.Units.Units(nil, sample)
	for i := range units {
		units[i] |= id - sample // of the same source
	}
	sampler := b.Plan.Sampler()
	var ids []int64
	for _, s := range b.Plan.Stages() {
		f := s.Batches[0]
		tokens := min(f.Rows/f.Units*f.Length, int(end-start-1)) // the last is only predicted
		for step := s.First; step < s.First+s.Steps; step++ {
			if step%1024 == 0 && ctx.Err() != nil {
				return v, ctx.Err()
			}
			ids = sampler.At(ids[:0], step)
			for place, served := range ids { // a small pool may serve it twice
				if slices.Contains(units, served) {
					v.Uses = append(v.Uses, use{step, place, tokens})
				}
			}
		}
	}
	return v, nil
}

// viewSample says where in the corpus a sample lies, and how it begins.
func viewSample(b *recipe.Bound, id int64) (servedView, error) {
	s, sample, err := b.Source(id)
	if err != nil {
		return servedView{}, err
	}
	start, end := s.Samples.Span(sample)
	tok, err := textOf(s.Corpus)
	if err != nil {
		return servedView{}, err
	}
	e, err := excerptOf(s.Corpus, tok, start, end)
	document := s.Corpus.DocumentAt(start)
	from, _ := s.Corpus.Bounds(document)
	return servedView{ID: id, Document: document, Offset: start - from, Begins: e}, err
}

func printUses(out io.Writer, v usesView) error {
	fmt.Fprintln(out, v.Sample)
	switch {
	case v.HeldOut:
		_, err := fmt.Fprintln(out, "it is held out for evaluation; no step trains on it")
		return err
	case len(v.Uses) == 0:
		_, err := fmt.Fprintf(out, "none of the %d steps trains on it\n", v.Steps)
		return err
	}
	fmt.Fprintf(out, "used %d times in %d steps\n\n", len(v.Uses), v.Steps)
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprint(w, "step\tplace\ttokens\t\n")
	for _, u := range v.Uses {
		fmt.Fprintf(w, "%d\t%d\t%d\t\n", u.Step, u.Place, u.Tokens)
	}
	return w.Flush()
}
