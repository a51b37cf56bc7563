package report

import (
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"math"
	"strings"

	"github.com/gradus-ml/gradus/internal/chart"
	"github.com/gradus-ml/gradus/internal/words"
)

//go:embed page.html
var pageSource string

// Page writes the comparison and its figures as one HTML page that loads
// nothing: style and drawings are part of it, and it runs no script. command is
// what makes the page anew, for its last section; it may be empty. The bytes
// depend on the arguments only.
func Page(w io.Writer, c Comparison, figures []Figure, command string) error {
	t, err := template.New("page").Funcs(template.FuncMap{
		"loss": lossOrNone, "brief": words.Brief, "whole": func(n int64) string { return words.Whole(float64(n)) },
		"accuracy": accuracyOrNone, "percent": words.Percent, "duration": words.Duration,
		"prose": words.Prose, "rate": func(r float64) string { return fmt.Sprintf("%.3g", r) },
	}).Parse(pageSource)
	if err != nil {
		return fmt.Errorf("report: %w", err)
	}
	page := struct {
		Comparison
		Style    template.CSS
		Clocks   []clockColumn
		Rows     []pageRow
		Losses   []pageFigure
		Paces    []pageFigure
		Pace     string // the clock of the paces
		Command  string
		Counted  bool   // some run has an accuracy
		Averaged string // what to know of averaged weights, if some run has them
	}{
		Comparison: c, Command: command,
		Style: template.CSS(chart.Style()),
	}
	for _, k := range clocks() {
		page.Clocks = append(page.Clocks, clockColumn{k.Label})
	}
	for place, r := range c.Runs {
		page.Counted = page.Counted || r.Accuracy != nil
		if r.FinalRaw != nil {
			page.Averaged += fmt.Sprintf("The held-out losses of %s are those of an average of its weights; without averaging the last is %s. ", r.Name, words.Loss(*r.FinalRaw))
		}
		page.Rows = append(page.Rows, row(place, r))
	}
	for _, f := range figures {
		drawn := pageFigure{f.Title, f.Unit, template.HTML(f.Inline())}
		if strings.HasPrefix(f.Name, "loss-") {
			page.Losses = append(page.Losses, drawn)
			continue
		}
		page.Paces = append(page.Paces, drawn)
		page.Pace = f.clock.Noun
	}
	if err := t.Execute(w, page); err != nil {
		return fmt.Errorf("report: writing the page: %w", err)
	}
	return nil
}

// clockColumn is the head of a column of the tables.
type clockColumn struct{ Label string }

// pageRow is one run as the page shows it.
type pageRow struct {
	Run
	Swatch template.HTML // a sample of its line
	Needed []pageCell    // to the target, by clock
	Whole  []pageCell    // in all, by clock
	Budget string
}

// pageCell is an amount and the saving it means.
type pageCell struct {
	Label, Value, Saving string
	Kind                 string // of the saving: less, more, same
}

// pageFigure is a drawing with its caption.
type pageFigure struct {
	Title, Unit string
	Drawing     template.HTML
}

func row(place int, r Run) pageRow {
	p := pageRow{Run: r, Swatch: template.HTML(chart.Swatch(place))}
	for _, k := range clocks() {
		needed := pageCell{Label: k.Label, Value: strings.Replace(r.reached(k), "<=", "≤", 1)}
		if needed.Saving = r.saved(k); needed.Saving != "" {
			switch less := math.Round(k.of(r.Saving.Less)); {
			case less > 0:
				needed.Kind = "less"
			case less < 0:
				needed.Kind = "more"
			default:
				needed.Kind = "same"
			}
		}
		p.Needed = append(p.Needed, needed)
		p.Whole = append(p.Whole, pageCell{Label: k.Label, Value: k.Format(k.of(r.Total))})
	}
	k := clockNamed(r.Log.Clock)
	p.Budget = k.Format(r.Log.Budget) + " " + k.Noun
	return p
}
