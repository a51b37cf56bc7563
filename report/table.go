package report

import (
	"fmt"
	"io"
	"math"
	"slices"
	"strings"

	"github.com/gradus-ml/gradus/internal/words"
)

// Table writes the comparison as text for a terminal that is valid Markdown:
// the headline, one table of what each run needed on each clock, one of the
// losses, then warnings and the caveat.
func (c Comparison) Table(w io.Writer) error {
	var b strings.Builder
	b.WriteString(c.Headline + "\n\n")
	for _, f := range c.Findings {
		b.WriteString("- " + f + "\n")
	}
	if len(c.Findings) > 0 {
		b.WriteString("\n")
	}
	needed := "to target"
	if c.Target != nil {
		needed = "to loss " + words.Loss(*c.Target)
	}
	rows := [][]string{{"clock", "run", needed, "saving", "whole run"}}
	for _, k := range clocks() {
		name := k.Name
		for _, r := range c.Runs {
			rows = append(rows, []string{name, r.Name, r.reached(k), r.saved(k), k.Format(k.of(r.Total))})
			name = ""
		}
	}
	words.Table(&b, rows, 2)
	b.WriteString("\n")
	words.Table(&b, c.losses(), 1)
	if rows := c.spendings(); rows != nil {
		b.WriteString("\n")
		words.Table(&b, rows, 1)
	}
	for _, warning := range c.Warnings {
		b.WriteString("\nWarning: " + warning + "\n")
	}
	if c.Caveat != "" {
		b.WriteString("\n" + c.Caveat + "\n")
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// losses are the rows of what the runs came to.
func (c Comparison) losses() [][]string {
	columns := []struct {
		head string
		of   func(Run) string
		used func(Run) bool // nil: always
	}{
		{"run", func(r Run) string { return r.Name }, nil},
		{"final loss", func(r Run) string { return lossOrNone(r.Final) }, nil},
		{"in bits", func(r Run) string { return bitsOrNone(r.Final) }, nil},
		{"not averaged", func(r Run) string { return lossOrNone(r.FinalRaw) }, func(r Run) bool { return r.FinalRaw != nil }},
		{"best loss", func(r Run) string { return lossOrNone(r.Best) }, nil},
		{"accuracy", func(r Run) string { return accuracyOrNone(r.Accuracy) }, func(r Run) bool { return r.Accuracy != nil }},
		{"evaluations", func(r Run) string { return words.Whole(float64(r.Evaluated)) }, nil},
		{"steps", func(r Run) string { return words.Whole(float64(r.Last)) }, nil},
		{"seed", func(r Run) string { return fmt.Sprint(r.Log.Seed) }, nil},
	}
	rows := make([][]string, len(c.Runs)+1)
	for _, column := range columns {
		if column.used != nil && !slices.ContainsFunc(c.Runs, column.used) {
			continue
		}
		rows[0] = append(rows[0], column.head)
		for i, r := range c.Runs {
			rows[i+1] = append(rows[i+1], column.of(r))
		}
	}
	return rows
}

// spendings are the rows of what the runs cost beside their clocks; nil: nothing.
func (c Comparison) spendings() [][]string {
	if !slices.ContainsFunc(c.Runs, func(r Run) bool { return r.Spent != Spent{} }) {
		return nil
	}
	rows := [][]string{{"run", "padding", "discarded", "waiting for batches", "compiling"}}
	for _, r := range c.Runs {
		rows = append(rows, []string{r.Name, words.Percent(r.Spent.Padding), words.Percent(r.Spent.Discarded), words.Percent(r.Spent.Waited), words.Duration(r.Spent.Compile)})
	}
	return rows
}

func accuracyOrNone(a *float64) string {
	if a == nil {
		return "none"
	}
	return fmt.Sprintf("%.2f %%", 100**a)
}

// bitsOrNone writes a loss in nats in bits.
func bitsOrNone(l *float64) string {
	if l == nil {
		return "none"
	}
	return words.Loss(*l / math.Ln2)
}

// reached says what a run had consumed when it reached the target.
func (r Run) reached(k clock) string {
	switch {
	case r.Reached == nil:
		return "not reached"
	case r.Bound:
		return "<= " + k.Format(k.of(*r.Reached))
	default:
		return k.Format(k.of(*r.Reached))
	}
}

// saved says what a run saved, as a factor and in per cent; "" where there is
// nothing to say.
func (r Run) saved(k clock) string {
	if r.Saving == nil || k.of(r.Saving.Factor) == 0 {
		return ""
	}
	factor, less := k.of(r.Saving.Factor), k.of(r.Saving.Less)
	if math.Round(less) == 0 {
		return fmt.Sprintf("%.2fx, the same", factor)
	}
	if less < 0 {
		return fmt.Sprintf("%.2fx, %.0f %% more", factor, -less)
	}
	return fmt.Sprintf("%.2fx, %.0f %% less", factor, less)
}

func lossOrNone(l *float64) string {
	if l == nil {
		return "none"
	}
	return words.Loss(*l)
}
