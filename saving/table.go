package saving

import (
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/gradus-ml/gradus/internal/words"
)

// TimesHeading is the line of a Table below which everything depends on the machine, and
// above which nothing does.
const TimesHeading = "## Times"

// Table writes the result as Markdown, in two parts. The first is a pure function of what
// was trained, and the same to the last bit wherever the runs are repeated on the same
// backend; the second begins with TimesHeading and has what was timed, and the answer,
// which may rest on it.
func (r Result) Table(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "# %s\n\n", markdown(r.Name))
	for _, line := range []string{r.Question, r.Notes, r.Scale} {
		if line != "" {
			b.WriteString(markdown(line) + "\n\n")
		}
	}
	for i, a := range r.Arms {
		says := markdown(a.Name)
		if a.Says != "" {
			says += ": " + markdown(a.Says)
		}
		switch {
		case i == 0:
			says += " (the baseline)"
		case a.Control != "":
			says += " (a control of " + markdown(a.Control) + ")"
		}
		b.WriteString("- " + says + "\n")
	}
	section(&b, "## Final held-out loss, "+r.Unit, r.lossRows(), 2)
	for _, times := range []bool{false, true} {
		clocks := slices.DeleteFunc(slices.Clone(r.Clocks), func(c string) bool { return timed(c) != times })
		if times {
			b.WriteString("\n" + TimesHeading + "\n\n" + strings.TrimSpace("These vary from machine to machine, and from run to run. "+markdown(r.Timed)) + "\n\n")
			for _, sentence := range r.Answer {
				b.WriteString("- " + markdown(sentence) + "\n")
			}
		}
		sub := map[bool]string{false: "## ", true: "### "}[times]
		section(&b, sub+"Primary comparison", r.verdictRows(times), 3)
		section(&b, sub+"Saving: what the baseline needs for the arm's loss / what the arm consumed", r.savingRows(clocks), 2)
		section(&b, sub+"Gain at equal cost: the baseline's loss at the arm's amount, less the arm's loss", r.gainRows(clocks), 3)
		section(&b, sub+"The reverse: what the baseline consumed at 100 % / what the arm needs for its loss", r.reverseRows(clocks), 1)
		section(&b, sub+"Controls: the share that each has of an arm's gain", r.controlRows(clocks), 4)
		section(&b, sub+"Every run", r.runRows(times), 4)
		if !times && len(r.Warnings) > 0 {
			b.WriteString("\n## Read with care\n\n")
			for _, warning := range r.Warnings {
				b.WriteString("- " + markdown(warning) + "\n")
			}
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// markdown keeps what may come from anywhere from being markup.
func markdown(s string) string {
	return strings.NewReplacer("<", "&lt;", "`", "'", "[", "(", "]", ")").Replace(words.Printable(s))
}

// section writes a table under a heading, if it has more than its head.
func section(b *strings.Builder, heading string, rows [][]string, left int) {
	if len(rows) < 2 {
		return
	}
	b.WriteString("\n" + heading + "\n\n")
	for _, row := range rows[1:] {
		row[0] = markdown(row[0])
	}
	words.Table(b, rows, left)
}

// each calls f for every arm at every budget, those of the baseline only on request.
func (r Result) each(baseline bool, f func(a ArmResult, b AtBudget)) {
	for i, a := range r.Arms {
		for _, b := range a.Budgets {
			if i > 0 || baseline {
				f(a, b)
			}
		}
	}
}

func (r Result) lossRows() [][]string {
	rows := [][]string{{"arm", "budget", "mean", "s.d.", "lowest", "highest", "runs", "steps", "tokens", "padding", "discarded"}}
	r.each(true, func(a ArmResult, b AtBudget) {
		runs := fmt.Sprint(b.Runs)
		if b.Loss == nil {
			rows = append(rows, []string{a.Name, share(b.Budget), "none", "", "", "", "0 of " + runs, "", "", "", ""})
			return
		}
		if b.Loss.N < b.Runs {
			runs = fmt.Sprintf("%d of %d", b.Loss.N, b.Runs)
		}
		rows = append(rows, []string{
			a.Name, share(b.Budget), loss(b.Loss.Mean), deviation(*b.Loss), loss(b.Loss.Min), loss(b.Loss.Max), runs,
			words.Whole(b.Consumed.Steps), words.ClockNamed("tokens").Format(b.Consumed.Tokens), words.Percent(b.Spent.Padding), words.Percent(b.Spent.Discarded),
		})
	})
	return rows
}

// loss writes a loss with four digits after the point: paired differences of a few
// thousandths are what is compared.
func loss(v float64) string { return strconv.FormatFloat(v, 'f', 4, 64) }

// deviation writes the standard deviation between seeds.
func deviation(s Spread) string {
	if s.N < 2 {
		return "one seed"
	}
	return loss(s.SD)
}

func (r Result) verdictRows(times bool) [][]string {
	rows := [][]string{{"clock", "arm", "budget", "aim", "saving", "interval", "verdict"}}
	if r.Primary == nil {
		return rows
	}
	for _, k := range r.Primary.Results {
		if timed(k.Clock) == times {
			cells := []string{noun(k.Clock), r.Primary.Arm, share(r.Primary.Budget), factor(r.Primary.Aim), "not to be told", "", r.Primary.on(k)}
			if k.Saving != nil {
				cells[4], cells[5] = k.Saving.told(), k.Saving.Interval.within()
			}
			rows = append(rows, cells)
		}
	}
	return rows
}

// on says whether the aim was reached on a clock.
func (v Verdict) on(k ClockVerdict) string {
	switch {
	case k.Reached && v.Why != "":
		return "not to be judged"
	case k.Sure:
		return "reached"
	case k.Reached:
		return "reached, less not ruled out"
	case k.Saving != nil && k.Saving.Bound == AtLeast:
		return "not reached, more not tested"
	}
	return "not reached"
}

// told is the factor, and that the loss was never reached where it was not.
func (e Estimate) told() string {
	if e.Never {
		return e.String() + ", never reached"
	}
	return e.String()
}

func (r Result) savingRows(clocks []string) [][]string {
	rows := [][]string{append([]string{"arm", "budget"}, clocks...)}
	r.each(false, func(a ArmResult, b AtBudget) {
		row := []string{a.Name, share(b.Budget)}
		for _, k := range clocks {
			cell := "not to be told"
			if on := b.On(k); on != nil && on.Saving != nil {
				cell = on.Saving.told()
				if on.Saving.Interval != nil {
					cell += " (" + on.Saving.Interval.within() + ")"
				}
			}
			row = append(row, cell)
		}
		rows = append(rows, row)
	})
	return rows
}

func (r Result) gainRows(clocks []string) [][]string {
	rows := [][]string{{"arm", "budget", "clock", "gain", "s.d.", "interval", "p", "p, Holm", "seeds"}}
	r.each(false, func(a ArmResult, b AtBudget) {
		for _, k := range clocks {
			on := b.On(k)
			if on == nil {
				continue
			}
			row := []string{a.Name, share(b.Budget), k, "outside the baseline's budgets", "", "", "", "", ""}
			if g := on.Gain; g != nil {
				row = []string{a.Name, share(b.Budget), k, signed(g.Mean), "", "", "", "", fmt.Sprint(g.Seeds)}
				if g.Interval != nil {
					row[4], row[5], row[6], row[7] = loss(g.SD), signed(*g.Interval.Low)+" to "+signed(*g.Interval.High), probability(g.P), probability(g.Holm)
				}
			}
			rows = append(rows, row)
		}
	})
	return rows
}

// signed writes a difference of losses.
func signed(v float64) string { return fmt.Sprintf("%+.4f", v) }

// probability writes a p-value.
func probability(p *float64) string {
	switch {
	case p == nil:
		return ""
	case *p < 0.0001:
		return "< 0.0001"
	}
	return strconv.FormatFloat(*p, 'f', 4, 64)
}

func (r Result) reverseRows(clocks []string) [][]string {
	rows := [][]string{append([]string{"arm"}, clocks...)}
	for _, a := range r.Arms {
		row := []string{a.Name}
		for _, k := range clocks {
			cell := "not to be told"
			if e := a.back(k); e != nil {
				cell = e.told()
				if e.Interval != nil {
					cell += " (" + e.Interval.within() + ")"
				}
			}
			row = append(row, cell)
		}
		if len(a.Reverse) > 0 {
			rows = append(rows, row)
		}
	}
	return rows
}

// back is the reverse on a clock; nil: there is none.
func (a ArmResult) back(clock string) *Estimate {
	for i := range a.Reverse {
		if a.Reverse[i].Clock == clock {
			return &a.Reverse[i].Estimate
		}
	}
	return nil
}

func (r Result) controlRows(clocks []string) [][]string {
	rows := [][]string{{"control", "of", "budget", "clock", "its gain", "the arm's", "share", "interval", "share of the log saving"}}
	for _, t := range r.Controls {
		if !slices.Contains(clocks, t.Clock) {
			continue
		}
		row := []string{t.Control, t.Of, share(t.Budget), t.Clock, signed(t.Gain), signed(t.GainOf), "the arm's gain is not sure", "", ""}
		if t.Share != nil {
			i := t.Share.Interval
			row[6], row[7] = percent(t.Share.Share), percent(*i.Low)+" to "+percent(*i.High)
		}
		if t.LogSaving != nil {
			row[8] = percent(*t.LogSaving)
		}
		rows = append(rows, row)
	}
	return rows
}

// percent writes a share that may be negative, or more than all.
func percent(v float64) string { return fmt.Sprintf("%.0f %%", 100*v) }

func (r Result) runRows(times bool) [][]string {
	rows := [][]string{{"arm", "budget", "seed", "status", "final loss", "steps", "tokens", "layer-tokens", "FLOPs", "ids served"}}
	if times {
		rows = [][]string{{"arm", "budget", "seed", "status", "seconds", "with waiting", "waiting for batches", "compiling", "compiling ahead"}}
	}
	for _, run := range r.Runs {
		row := []string{run.Arm, share(run.Budget), strconv.FormatUint(run.Seed, 10), string(run.Status)}
		if times {
			for _, s := range []float64{run.Consumed.Seconds, run.Consumed.Wall, run.Spent.Waited, run.Spent.Compile, run.Spent.Ahead} {
				row = append(row, words.Duration(s))
			}
		} else {
			row = append(row, exact(run.Final), words.Whole(run.Consumed.Steps), words.Whole(run.Consumed.Tokens), words.Whole(run.Consumed.LayerTokens),
				strconv.FormatFloat(run.Consumed.FLOPs, 'g', 8, 64), words.Brief(run.Digest))
		}
		rows = append(rows, row)
	}
	return rows
}

// exact writes a loss with the digits that tell it from every other.
func exact(v *float64) string {
	if v == nil {
		return "none"
	}
	return strconv.FormatFloat(*v, 'g', -1, 64)
}
