package cmd

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/gradus-ml/gradus/curriculum"
)

// printPlan prints a plan for people.
func printPlan(out io.Writer, v planView) error {
	var b bytes.Buffer
	for _, w := range v.Warnings {
		fmt.Fprintf(&b, "warning: %s\n", w)
	}
	fmt.Fprintf(&b, "%s (recipe %s)\n%s", v.Name, v.Recipe, v.Model)
	if v.Parameters > 0 {
		fmt.Fprintf(&b, ", %s parameters", count(v.Parameters))
	}
	fmt.Fprintf(&b, "\n%s\n", v.Sample)
	if v.Ramp != "" {
		fmt.Fprintln(&b, v.Ramp)
	}
	if v.Masking != "" {
		fmt.Fprintln(&b, v.Masking)
	}
	if v.Routing != "" {
		fmt.Fprintln(&b, v.Routing)
	}
	v.printSources(&b)
	if v.From != nil {
		printOrigin(&b, v.From)
	} else {
		b.WriteByte('\n')
	}
	v.printStages(&b)
	v.printPasses(&b)
	v.printTokens(&b)
	v.printCosts(&b)
	fmt.Fprintf(&b, "\n%d shapes to compile: %s\n", len(v.Shapes), v.shapes())
	_, err := out.Write(b.Bytes())
	return err
}

// rightAligned is a writer of tables of numbers.
func rightAligned(w io.Writer) *tabwriter.Writer {
	return tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
}

func (v *planView) printSources(w io.Writer) {
	if len(v.Sources) > 1 {
		words := make([]string, len(v.Sources))
		for i, s := range v.Sources {
			words[i] = s.Name
			if !v.Schedule {
				words[i] += fmt.Sprintf(" (%s samples)", count(s.Samples))
			}
		}
		fmt.Fprintf(w, "%d sources: %s\n", len(words), strings.Join(words, ", "))
	}
	if v.Control != "" {
		fmt.Fprintf(w, "control: pools of the curriculum's sizes, %s\n", map[string]string{
			string(curriculum.Reverse): "the hardest samples first", string(curriculum.Random): "of samples chosen at random"}[v.Control])
	}
	switch {
	case v.Schedule:
		fmt.Fprintln(w, "the schedule only: corpora and indexes were not opened")
		return
	case v.Units == "samples":
		fmt.Fprintf(w, "%s of %s samples are admitted at some step", count(v.Pool), count(v.Samples))
	default:
		fmt.Fprintf(w, "%s samples; %s units of them are admitted at some step", count(v.Samples), count(v.Pool))
	}
	if v.HeldOut != "" {
		fmt.Fprintf(w, "; held out: %s", v.HeldOut)
	}
	fmt.Fprintln(w)
}

// printStages prints a line for each fold, and one for each form of those that
// serve several buckets.
func (v *planView) printStages(out io.Writer) {
	folds := foldStages(v.Stages)
	floors := v.floors()
	padded := slices.ContainsFunc(folds, func(f planFold) bool { return padding(f.expect) > 0 })
	buckets := slices.ContainsFunc(folds, func(f planFold) bool { return len(f.share) > 1 })
	var head []string
	head = append(head, "from step", "steps")
	if v.Clock != string(curriculum.Steps) {
		head = append(head, "at "+v.Clock)
	}
	for i, m := range v.Metrics {
		head = append(head, m)
		if floors[i] {
			head = append(head, "floor")
		}
	}
	if len(v.Sources) > 1 {
		for _, s := range v.Sources {
			head = append(head, s.Name)
		}
	}
	if buckets {
		head = append(head, "of the steps")
	}
	if !v.Schedule {
		head = append(head, "pool")
	}
	head = append(head, "units", "rows x length", "kept")
	if padded {
		head = append(head, "padding")
	}
	w := rightAligned(out)
	row := func(cells []string) { fmt.Fprintf(w, "%s\t\n", strings.Join(cells, "\t")) }
	row(head)
	from, to := v.leftOut(len(folds))
	for i := range folds {
		if i >= from && i < to {
			if i == from {
				row(append([]string{"..."}, make([]string, len(head)-1)...))
			}
			continue
		}
		f := &folds[i]
		cells := v.foldCells(f, floors)
		for k := range f.share {
			if k > 0 {
				cells = make([]string, len(cells)) // blank: they hold for all forms
			}
			line := append(slices.Clone(cells), v.formCells(f, k, buckets)...)
			switch {
			case padded && k == 0:
				line = append(line, fmt.Sprintf("%.3g%%", padding(f.expect)))
			case padded:
				line = append(line, "")
			}
			row(line)
		}
	}
	w.Flush()
	if from < to {
		fmt.Fprintf(out, "The %d lines from step %d to %d are left out; --all prints them.\n", to-from, folds[from].first.First, folds[to].first.First-1)
	}
}

// leftOut returns which of n lines are left out: those in the middle of many.
func (v *planView) leftOut(n int) (from, to int) {
	if v.all || n <= mostFolds {
		return 0, 0
	}
	return mostFolds / 2, n - mostFolds/4
}

// floors tells which metrics have one.
func (v *planView) floors() []bool {
	floors := make([]bool, len(v.Metrics))
	for _, s := range v.Stages {
		for i, f := range s.Floor {
			floors[i] = floors[i] || f != 0
		}
	}
	return floors
}

// foldCells are the cells of a line that do not depend on the form.
func (v *planView) foldCells(f *planFold, floors []bool) []string {
	first, last := &f.first, &f.last
	cells := []string{fmt.Sprint(first.First), fmt.Sprint(f.steps)}
	if v.Clock != string(curriculum.Steps) {
		cells = append(cells, count(int64(first.Stage.Start.On(curriculum.Clock(v.Clock)))))
	}
	for i := range v.Metrics {
		cells = append(cells, span(fmt.Sprintf("%g", first.Difficulty[i]), fmt.Sprintf("%g", last.Difficulty[i])))
		if floors[i] {
			cells = append(cells, span(fmt.Sprintf("%g", first.Floor[i]), fmt.Sprintf("%g", last.Floor[i])))
		}
	}
	if len(v.Sources) > 1 {
		for i := range v.Sources {
			cells = append(cells, span(percent(first.Weights[i]), percent(last.Weights[i])))
		}
	}
	return cells
}

// formCells are the cells of the k-th form of a fold.
func (v *planView) formCells(f *planFold, k int, buckets bool) []string {
	a, b := &f.first.Batches[k], &f.last.Batches[k]
	var cells []string
	if buckets {
		cells = append(cells, span(percent(f.share[k][0]), percent(f.share[k][1])))
	}
	if !v.Schedule {
		cells = append(cells, span(count(a.Pool), count(b.Pool)))
	}
	return append(cells, fmt.Sprint(a.Units), fmt.Sprintf("%d x %d", a.Rows, a.Length), fmt.Sprint(a.Kept))
}

// percent writes a share.
func percent(share float64) string { return fmt.Sprintf("%.3g%%", 100*share) }

func (v *planView) printPasses(out io.Writer) {
	if len(v.Passes) == 0 {
		return
	}
	fmt.Fprint(out, "\nHow often the samples of each tenth of difficulty are served, on average:\n\n")
	w := rightAligned(out)
	fmt.Fprint(w, "\teasiest\t2\t3\t4\t5\t6\t7\t8\t9\thardest\t\n")
	for _, p := range v.Passes {
		fmt.Fprintf(w, "%s\t", p.Metric)
		for _, n := range p.Tenths {
			fmt.Fprintf(w, "%.3g\t", n)
		}
		fmt.Fprintln(w)
	}
	w.Flush()
}

// printTokens says what the rows hold, and what they do not.
func (v *planView) printTokens(w io.Writer) {
	e := v.Expect
	if e == nil {
		return
	}
	total := float64(v.part().Tokens)
	share := func(x float64) string { return fmt.Sprintf("%s (%.3g%%)", count(int64(x+0.5)), 100*x/total) }
	if v.Images { // which fill their rows
		return
	}
	do := "predict the next one"
	if v.Masking != "" {
		do = "are text"
	}
	fmt.Fprintf(w, "\nOf %s tokens of rows, %s %s", count(v.part().Tokens), share(e.Inputs), do)
	if padding(*e) > 0 {
		fmt.Fprintf(w, "; %s are padding", share(e.Padding))
	}
	if v.Repeated > 0 {
		fmt.Fprintf(w, "; %s are there again as context", share(v.Repeated))
	}
	fmt.Fprintln(w, ".")
	if e.Discarded >= 0.5 {
		fmt.Fprintf(w, "The units that are served have %s tokens more, which are cut off: %.3g%% of all they have.\n",
			count(int64(e.Discarded+0.5)), 100*e.Discarded/(e.Discarded+e.Inputs))
	}
	if v.LeftOver > 0 {
		fmt.Fprintf(w, "No unit holds %s tokens of admitted samples: the arrangement leaves them over.\n", count(v.LeftOver))
	}
}

func (v *planView) printCosts(out io.Writer) {
	flops := v.Same.FLOPs > 0
	name := "this run"
	if v.From != nil {
		name = "this run from here on"
	}
	fmt.Fprintln(out)
	w := rightAligned(out)
	fmt.Fprint(w, "\tsteps\ttokens\tlayer-tokens\t")
	if flops {
		fmt.Fprint(w, "FLOPs\t")
	}
	fmt.Fprintln(w)
	for _, c := range []struct {
		name string
		cost planCost
	}{{name, v.part()}, {"plain run of its budget", v.Baseline}, {"plain run of its steps", v.Same}} {
		fmt.Fprintf(w, "%s\t%d\t%s\t%s\t", c.name, c.cost.Steps, count(c.cost.Tokens), count(int64(c.cost.LayerTokens)))
		if flops {
			fmt.Fprintf(w, "%.3g\t", c.cost.FLOPs)
		}
		fmt.Fprintln(w)
	}
	w.Flush()
	without := "curriculum and routing"
	if v.Ramp != "" {
		without = "ramp, " + without
	}
	fmt.Fprintf(out, "\nAs many steps without %s cost %s layer-tokens; this run %s.\n",
		without, count(int64(v.Same.LayerTokens)), lessOrMore(v.Saving.LayerTokens))
	if flops {
		fmt.Fprintf(out, "In FLOPs it spends %s. A plain run sees %s tokens for its FLOPs; it sees %s.\n",
			strings.TrimPrefix(lessOrMore(v.Saving.FLOPs), "spends "), count(v.Saving.TokensForFLOPs), count(v.part().Tokens))
	} else if v.Schedule && v.Parameters == 0 && !strings.HasPrefix(v.Model, "external") {
		fmt.Fprintln(out, "FLOPs are not known without the corpus: name its size in model.vocabulary.")
	}
	fmt.Fprintln(out, "That is what training costs. How good the model gets, only a run can say.")
}

// lessOrMore says in words what share is saved.
func lessOrMore(saved float64) string {
	switch {
	case saved > 0.0005:
		return fmt.Sprintf("spends %.1f%% less", 100*saved)
	case saved < -0.0005:
		return fmt.Sprintf("spends %.1f%% more", -100*saved)
	}
	return "spends as many"
}

// shapeWords writes a shape: 8x128 keep 64.
func shapeWords(s curriculum.Shape) string {
	words := fmt.Sprintf("%dx%d", s.Rows, s.Length)
	if s.Kept < s.Length {
		words += fmt.Sprintf(" keep %d", s.Kept)
	}
	return words
}

// shapes lists the shapes, those in the middle of a long list left out.
func (v *planView) shapes() string {
	words := make([]string, len(v.Shapes))
	for i, s := range v.Shapes {
		words[i] = shapeWords(s)
	}
	const most, ends = 20, 3
	if !v.all && len(words) > most {
		words = slices.Concat(words[:ends], []string{"..."}, words[len(words)-ends:])
	}
	return strings.Join(words, ", ")
}
