package report

import (
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"unicode/utf8"
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
		needed = "to loss " + loss(*c.Target)
	}
	rows := [][]string{{"clock", "run", needed, "saving", "whole run"}}
	for _, k := range clocks() {
		name := k.name
		for _, r := range c.Runs {
			rows = append(rows, []string{name, r.Name, r.reached(k), r.saved(k), k.format(k.of(r.Total))})
			name = ""
		}
	}
	writeTable(&b, rows, 2)
	b.WriteString("\n")
	writeTable(&b, c.losses(), 1)
	if rows := c.spendings(); rows != nil {
		b.WriteString("\n")
		writeTable(&b, rows, 1)
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
		{"evaluations", func(r Run) string { return whole(float64(r.Evaluated)) }, nil},
		{"steps", func(r Run) string { return whole(float64(r.Last)) }, nil},
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
		rows = append(rows, []string{r.Name, percent(r.Spent.Padding), percent(r.Spent.Discarded), percent(r.Spent.Waited), duration(r.Spent.Compile)})
	}
	return rows
}

// percent writes a share; a small one is told apart from none.
func percent(share float64) string {
	switch {
	case share == 0:
		return "none"
	case share < 0.00005:
		return "< 0.01 %"
	case share < 0.01:
		return fmt.Sprintf("%.2f %%", 100*share)
	}
	return fmt.Sprintf("%.1f %%", 100*share)
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
	return loss(*l / math.Ln2)
}

// reached says what a run had consumed when it reached the target.
func (r Run) reached(k clock) string {
	switch {
	case r.Reached == nil:
		return "not reached"
	case r.Bound:
		return "<= " + k.format(k.of(*r.Reached))
	default:
		return k.format(k.of(*r.Reached))
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
	return loss(*l)
}

// writeTable writes rows as a Markdown table, the first row its head. The first
// left columns are aligned left, the others right.
func writeTable(b *strings.Builder, rows [][]string, left int) {
	width := make([]int, len(rows[0]))
	for _, row := range rows {
		for i := range row {
			row[i] = strings.ReplaceAll(row[i], "|", `\|`)
			width[i] = max(width[i], utf8.RuneCountInString(row[i]))
		}
	}
	for n, row := range rows {
		for i, cell := range row {
			pad := strings.Repeat(" ", width[i]-utf8.RuneCountInString(cell))
			if i < left {
				b.WriteString("| " + cell + pad + " ")
			} else {
				b.WriteString("| " + pad + cell + " ")
			}
		}
		b.WriteString("|\n")
		if n > 0 {
			continue
		}
		for i, w := range width {
			if i < left {
				b.WriteString("|-" + strings.Repeat("-", w) + "-")
			} else {
				b.WriteString("|-" + strings.Repeat("-", w) + ":")
			}
		}
		b.WriteString("|\n")
	}
}
