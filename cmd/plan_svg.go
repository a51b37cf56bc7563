package cmd

import (
	"fmt"
	"io"

	"github.com/gradus-ml/gradus/curriculum"
	"github.com/gradus-ml/gradus/internal/atomicfile"
	"github.com/gradus-ml/gradus/internal/chart"
	"github.com/gradus-ml/gradus/recipe"
	"github.com/gradus-ml/gradus/report"
)

// writePlanSVG draws a plan.
func writePlanSVG(path string, b *recipe.Bound, v planView) error {
	return atomicfile.Write(path, func(w io.Writer) error {
		_, err := w.Write(planSheet(b, v).SVG())
		return err
	})
}

// planSheet draws over the recipe's clock what a plan changes: one chart for
// each quantity.
func planSheet(b *recipe.Bound, v planView) chart.Sheet {
	clock := curriculum.Clock(b.Recipe.Budget.Clock)
	d := planDrawing{stages: b.Plan.Stages(), clock: clock, end: b.Plan.End().On(clock)}
	charts := []chart.Chart{d.staircase("Admitted samples", "% of all", 0, 100, func(s curriculum.Stage) float64 {
		return 100 * float64(s.Pool) / float64(v.Samples)
	})}
	for i, name := range v.Metrics {
		unit, high := "value of the metric", 0.0
		if m := admission(b.Recipe, i); m.By == string(curriculum.Percentile) {
			unit, high = "percentile of all samples", 100
		}
		of := func(s curriculum.Stage) float64 { return s.Difficulty[i] }
		low := 0.0
		for _, s := range d.stages {
			low, high = min(low, of(s)), max(high, of(s))
		}
		charts = append(charts, d.staircase("Admitted difficulty: "+name, unit, low, high, of))
	}
	window := float64(b.Recipe.Window())
	charts = append(charts, d.staircase("Length of a row", "tokens", 0, window, func(s curriculum.Stage) float64 { return float64(s.Batches[0].Length) }))
	if len(b.Model.Routed) > 0 {
		charts = append(charts, d.staircase("Tokens of a row that the routed layers see", "tokens", 0, window,
			func(s curriculum.Stage) float64 { return float64(s.Batches[0].Kept) }))
	}
	if b.Recipe.Optimizer != nil {
		charts = append(charts, d.rate(b))
	}
	return chart.Sheet{
		Title: "Plan of " + v.Name,
		Words: []string{v.Model, fmt.Sprintf("%d steps, %s tokens, %s layer-tokens, %d samples a step; recipe %s",
			v.Run.Steps, count(v.Run.Tokens), count(int64(v.Run.LayerTokens)), b.Plan.Stages()[0].Batches[0].Units, v.Recipe)},
		Columns: 2,
		Charts:  charts,
	}
}

// admission returns the i-th metric of a recipe that admits samples.
func admission(r *recipe.Recipe, i int) recipe.Metric {
	for _, m := range r.Curriculum {
		if m.Apply != "" {
			continue
		}
		if i == 0 {
			return m
		}
		i--
	}
	return recipe.Metric{}
}

// planDrawing draws one quantity after another against the clock of a plan.
type planDrawing struct {
	stages []curriculum.Stage
	clock  curriculum.Clock
	end    float64
}

// frame is a chart without its line.
func (d planDrawing) frame(title, unit string, low, high float64) chart.Chart {
	c := chart.Chart{Title: title, Unit: unit, XMax: d.end, Y: chart.Around(low, high, 0.04)}
	if low == 0 {
		c.Y.Low = 0
	}
	c.XLabel, c.XScale = report.Axis(string(d.clock), d.end)
	return c
}

// staircase draws what holds throughout a stage.
func (d planDrawing) staircase(title, unit string, low, high float64, of func(curriculum.Stage) float64) chart.Chart {
	line := chart.Line{Place: 1}
	for i, s := range d.stages {
		to := d.end
		if i+1 < len(d.stages) {
			to = d.stages[i+1].Start.On(d.clock)
		}
		y := of(s)
		line.Curve = append(line.Curve, chart.Point{X: s.Start.On(d.clock), Y: y}, chart.Point{X: to, Y: y})
	}
	c := d.frame(title, unit, low, high)
	c.Lines = []chart.Line{line}
	return c
}

// ratePoints is how many steps of the learning rate are drawn: more than the
// chart has pixels.
const ratePoints = 1000

// rate draws the learning rate.
func (d planDrawing) rate(b *recipe.Bound) chart.Chart {
	schedule, steps := b.Recipe.Schedule(), b.Plan.Steps()
	line := chart.Line{Place: 1}
	n := min(steps, ratePoints)
	for i := range n {
		after := b.Plan.PositionAt(1 + i*(steps-1)/max(n-1, 1)).On(d.clock)
		line.Curve = append(line.Curve, chart.Point{X: after, Y: schedule.At(after)})
	}
	c := d.frame("Learning rate", "of each step", 0, schedule.Peak)
	c.Lines = []chart.Line{line}
	return c
}
