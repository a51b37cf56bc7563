package cmd

import (
	"bytes"
	"fmt"
	"io"

	"github.com/gradus-ml/gradus/curriculum"
	"github.com/gradus-ml/gradus/recipe"
	"github.com/spf13/cobra"
)

// A planDiff is what plan --diff prints: two recipes beside each other.
type planDiff struct {
	Paths  [2]string   `json:"paths"`
	Keys   []keyDiff   `json:"keys"`   // that differ, with defaults filled in
	Totals [2]planView `json:"totals"` // of each
	// The first steps at which a batch differs, or at which only one of the plans
	// goes on; nil: never.
	Shape *int64 `json:"first_step_of_other_shape"`
	IDs   *int64 `json:"first_step_of_other_ids"` // nil too where NotCompared is not empty
	// NotCompared says why ids were not compared; empty: they were.
	NotCompared string      `json:"ids_not_compared,omitempty"`
	Shared      *sharedPass `json:"shared_first_pass,omitempty"`
}

func runPlanDiff(cmd *cobra.Command, first, second string, o planFlags) error {
	d := planDiff{Paths: [2]string{first, second}}
	var bound [2]*recipe.Bound
	for i, path := range d.Paths {
		b, err := openPlan(cmd.Context(), path, recipe.Options{ScheduleOnly: o.schedule})
		if err != nil {
			return err
		}
		defer b.Close()
		bound[i], d.Totals[i] = b, viewPlan(b)
	}
	var err error
	if d.Keys, err = diffKeys(bound[0].Recipe, bound[1].Recipe); err != nil {
		return err
	}
	d.Shape = firstOtherShape(bound[0].Plan, bound[1].Plan)
	if d.NotCompared, err = otherUnits(bound[0], bound[1]); err != nil {
		return err
	}
	if d.NotCompared == "" {
		gauge := newGauge(cmd.ErrOrStderr())
		gauge.begin(false)
		most := min(bound[0].Plan.Steps(), bound[1].Plan.Steps())
		progress := func(step int64) {
			gauge.show(step, most, "steps", fmt.Sprintf("plan --diff: %s steps compared", of(step, most)))
		}
		if d.IDs, err = firstOtherIDs(cmd.Context(), bound[0], bound[1], progress); err == nil && d.IDs != nil {
			d.Shared, err = sharedSamples(cmd.Context(), bound[0], bound[1])
		}
		gauge.close()
		if err != nil {
			return err
		}
	}
	if o.json {
		return printJSON(cmd.OutOrStdout(), d)
	}
	return printDiff(cmd.OutOrStdout(), d)
}

func printDiff(out io.Writer, d planDiff) error {
	var b bytes.Buffer
	names := [2]string{d.Totals[0].Name, d.Totals[1].Name}
	if names[0] == names[1] {
		names = d.Paths
	}
	for i := range names {
		for _, w := range d.Totals[i].Warnings {
			fmt.Fprintf(&b, "warning: %s\n", w)
		}
	}
	if len(d.Keys) == 0 {
		fmt.Fprintln(&b, "The recipes say the same.")
	} else {
		fmt.Fprintf(&b, "The keys that differ, %s -> %s:\n\n", names[0], names[1])
		for _, k := range d.Keys {
			fmt.Fprintf(&b, "  %s: %s -> %s\n", k.Key, or(k.A, "nothing"), or(k.B, "nothing"))
		}
	}
	d.printStages(&b, names)
	d.printTotals(&b, names)
	d.printSteps(&b, names)
	_, err := out.Write(b.Bytes())
	return err
}

func or(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}

// printStages prints the folded stages of both in the order of their steps.
func (d *planDiff) printStages(out io.Writer, names [2]string) {
	folds := [2][]planFold{foldStages(d.Totals[0].Stages), foldStages(d.Totals[1].Stages)}
	fmt.Fprintln(out)
	w := rightAligned(out)
	fmt.Fprintf(w, "from step\t%s: pool\tbatches\t%s: pool\tbatches\t\n", names[0], names[1])
	for len(folds[0])+len(folds[1]) > 0 {
		var step int64
		switch {
		case len(folds[0]) == 0:
			step = folds[1][0].first.First
		case len(folds[1]) == 0:
			step = folds[0][0].first.First
		default:
			step = min(folds[0][0].first.First, folds[1][0].first.First)
		}
		fmt.Fprintf(w, "%d\t", step)
		for i := range folds {
			if len(folds[i]) == 0 || folds[i][0].first.First > step {
				fmt.Fprint(w, "\t\t")
				continue
			}
			f := &folds[i][0]
			folds[i] = folds[i][1:]
			pool := "-"
			if f.first.Pool >= 0 {
				pool = span(count(f.first.Pool), count(f.last.Pool))
			}
			fmt.Fprintf(w, "%s\t%s\t", pool, formsWords(f.first.Batches))
		}
		fmt.Fprintln(w)
	}
	w.Flush()
}

// formsWords writes the shapes of a stage, from the first to the last.
func formsWords(forms []curriculum.Form) string {
	first, last := shapeWords(forms[0].Shape), shapeWords(forms[len(forms)-1].Shape)
	switch len(forms) {
	case 1:
		return first
	case 2:
		return first + ", " + last
	}
	return first + " ... " + last
}

func (d *planDiff) printTotals(out io.Writer, names [2]string) {
	a, b := &d.Totals[0], &d.Totals[1]
	fmt.Fprintln(out)
	w := rightAligned(out)
	fmt.Fprintf(w, "\t%s\t%s\tratio\t\n", names[0], names[1])
	row := func(name string, x, y float64, write func(float64) string) {
		if x == 0 && y == 0 {
			return
		}
		ratio := "-"
		if x > 0 {
			ratio = fmt.Sprintf("%.3g", y/x)
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t\n", name, write(x), write(y), ratio)
	}
	whole := func(v float64) string { return count(int64(v + 0.5)) }
	plain := func(v float64) string { return fmt.Sprintf("%.0f", v) }
	number := func(v float64) string { return fmt.Sprintf("%.3g", v) }
	row("stages", float64(len(a.Stages)), float64(len(b.Stages)), plain)
	row("shapes", float64(len(a.Shapes)), float64(len(b.Shapes)), plain)
	row("steps", float64(a.Run.Steps), float64(b.Run.Steps), plain)
	row("tokens", float64(a.Run.Tokens), float64(b.Run.Tokens), whole)
	row("layer-tokens", a.Run.LayerTokens, b.Run.LayerTokens, whole)
	if a.Run.FLOPs > 0 && b.Run.FLOPs > 0 {
		row("FLOPs", a.Run.FLOPs, b.Run.FLOPs, number)
	}
	if a.Expect != nil && b.Expect != nil {
		row("padding", a.Expect.Padding, b.Expect.Padding, whole)
		row("cut off", a.Expect.Discarded, b.Expect.Discarded, whole)
	}
	for _, p := range a.Passes {
		for _, q := range b.Passes {
			if p.Metric == q.Metric {
				row("passes of the hardest tenth: "+p.Metric, p.Tenths[9], q.Tenths[9], number)
			}
		}
	}
	w.Flush()
}

// printSteps says where the batches begin to differ.
func (d *planDiff) printSteps(w io.Writer, names [2]string) {
	at := func(step *int64) string {
		if step == nil {
			return "never"
		}
		for i, v := range d.Totals {
			if *step == v.Run.Steps {
				return fmt.Sprintf("step %d, where %s ends", *step, names[i])
			}
		}
		return fmt.Sprintf("step %d", *step)
	}
	fmt.Fprintf(w, "\nThe shapes of their batches differ first: %s.\n", at(d.Shape))
	if d.NotCompared != "" {
		fmt.Fprintf(w, "Their samples were not compared: %s.\n", d.NotCompared)
		return
	}
	fmt.Fprintf(w, "The samples of their batches differ first: %s.\n", at(d.IDs))
	if s := d.Shared; s != nil {
		fmt.Fprintf(w, "Of the first %s units that each serves, %s has %s samples and %s %s; %s are in both.\n",
			count(s.Units), names[0], count(s.Samples[0]), names[1], count(s.Samples[1]), count(s.Both))
	}
}
