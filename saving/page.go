package saving

import (
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/gradus-ml/gradus/internal/chart"
	"github.com/gradus-ml/gradus/internal/words"
)

//go:embed page.html
var pageSource string

//go:embed page.css
var styleSource string

// Page writes the result as one HTML page that loads nothing: style and drawings are part
// of it, and it runs no script. command is what repeats the study, for the last section;
// it may be empty. The bytes depend on the arguments only.
func Page(w io.Writer, r Result, command string) error {
	t, err := template.New("page").Funcs(template.FuncMap{"prose": words.Prose}).Parse(pageSource)
	if err != nil {
		return fmt.Errorf("saving: %w", err)
	}
	page := struct {
		Result
		Style           template.CSS
		Interval        string // "95 % interval"
		Confidence      string
		Verdicts        []pageVerdict
		Compared        []pageArm
		Savings, Losses []pageFigure
		Tables          []pageTable
		Command         string
	}{
		Result: r, Command: command, Style: template.CSS(chart.Style() + styleSource),
		Interval: share(r.Confidence) + " interval", Confidence: share(r.Confidence),
		Verdicts: r.pageVerdicts(), Compared: r.compared(), Tables: r.pageTables(),
	}
	for _, f := range Figures(r) {
		drawn := pageFigure{f.Title, f.Unit, template.HTML(f.drawing.Inline())}
		if strings.HasPrefix(f.Name, "saving-") {
			page.Savings = append(page.Savings, drawn)
		} else {
			page.Losses = append(page.Losses, drawn)
		}
	}
	if err := t.Execute(w, page); err != nil {
		return fmt.Errorf("saving: writing the page: %w", err)
	}
	return nil
}

// pageFigure is a drawing with its caption.
type pageFigure struct {
	Title, Unit string
	Drawing     template.HTML
}

// pageVerdict is the primary comparison on one clock.
type pageVerdict struct {
	Name, Aim, Saving, Within, Verdict string
	Kind                               string // less: reached; more: not
}

func (r Result) pageVerdicts() (all []pageVerdict) {
	for _, times := range []bool{true, false} {
		for _, cells := range r.verdictRows(times)[1:] {
			v := pageVerdict{
				Name: fmt.Sprintf("%s at %s, in %s", cells[1], cells[2], cells[0]), Aim: cells[3], Saving: cells[4], Within: cells[5], Verdict: cells[6], Kind: "less",
			}
			if strings.HasPrefix(v.Verdict, "not") {
				v.Kind = "more"
			}
			all = append(all, v)
		}
	}
	return all
}

// pageArm is an arm as the page introduces it.
type pageArm struct {
	Swatch            template.HTML
	Name, Says, Aside string
}

func (r Result) compared() (all []pageArm) {
	for place, a := range r.Arms {
		var budgets []string
		for _, b := range a.Budgets {
			budgets = append(budgets, share(b.Budget))
		}
		p := pageArm{Swatch: template.HTML(chart.Swatch(place)), Name: a.Name, Says: sentence(a.Says), Aside: "No runs."}
		if len(budgets) > 0 {
			p.Aside = "Budgets: " + words.List(budgets) + "."
		}
		switch {
		case place == 0:
			p.Aside = "The baseline. " + p.Aside
		case a.Control != "":
			p.Aside = "A control: how much of the gain of " + a.Control + " has it too? " + p.Aside
		}
		all = append(all, p)
	}
	return all
}

// sentence begins with a capital letter and ends with a full stop.
func sentence(s string) string {
	if s == "" {
		return ""
	}
	first := []rune(s)
	s = strings.ToUpper(string(first[:1])) + string(first[1:])
	if !strings.ContainsAny(s[len(s)-1:], ".!?") {
		s += "."
	}
	return s
}

// pageTable is a table that is scrolled sideways where it is too wide.
type pageTable struct {
	Title, Lead string
	Folded      string // what to click at to see it; empty: it is shown
	Head        []string
	Rows        [][]string
}

// long is how many rows of detail are folded away.
const long = 12

func (r Result) pageTables() []pageTable {
	runs := r.runRows(false)
	for i, row := range r.runRows(true) {
		runs[i] = append(runs[i], row[4:]...)
	}
	runs[0] = append(runs[0], "rate", "recipe", "corpus", "backend", "why")
	for i, run := range r.Runs {
		runs[i+1] = append(runs[i+1], strconv.FormatFloat(run.Rate, 'g', 3, 64), words.Brief(run.Recipe), words.Brief(run.Corpus), run.Backend, run.Why)
	}
	all := []pageTable{
		{"Savings in numbers", "What the baseline needs for the arm's loss, divided by what the arm consumed; in brackets the interval.", "", nil, r.savingRows(r.Clocks)},
		{"Final losses", "In " + r.Unit + ", over the seeds of each budget; steps and tokens are means.", "", nil, r.lossRows()},
		{"Gains at equal cost", "How much lower the arm ended than the baseline at the same amount of each clock.", "", nil, r.gainRows(r.Clocks)},
		{"The reverse", "What the baseline consumed at 100 % of the budget, divided by what the arm needs to end as low, by the arm's own curve over its budgets.", "", nil, r.reverseRows(r.Clocks)},
		{"Controls", "Which share of an arm's gain each of its controls has too: what a control does not have is what the arm adds to it. A share stands only where the arm's own gain differs from nothing by more than chance.", "", nil, r.controlRows(r.Clocks)},
		{"Every run", "With what it consumed and what it was made from. Runs that came to no final loss are in no mean above.", "", nil, runs},
	}
	for i := range all {
		t := &all[i]
		t.Head, t.Rows = t.Rows[0], t.Rows[1:]
		if i > 1 && len(t.Rows) > long {
			t.Folded = fmt.Sprintf("Show all %d rows", len(t.Rows))
		}
	}
	return slices.DeleteFunc(all, func(t pageTable) bool { return len(t.Rows) == 0 })
}
