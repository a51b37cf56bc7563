package cmd

import (
	"fmt"
	"io"
	"math"

	"github.com/gradus-ml/gradus/batch"
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
	d := planDrawing{stages: v.Stages, clock: curriculum.Clock(v.Clock)}
	d.start, d.end = b.Plan.PositionAt(b.Plan.First()).On(d.clock), b.Plan.End().On(d.clock)
	var charts []chart.Chart
	if !v.Schedule {
		charts = append(charts, d.pool(v))
	}
	for i := range v.Metrics {
		charts = append(charts, d.difficulty(v, i, admission(b.Recipe, i)))
	}
	if len(v.Sources) > 1 {
		charts = append(charts, d.weights(v))
	}
	charts = append(charts, d.forms(b)...)
	if v.Expect != nil && padding(*v.Expect) > 0 {
		charts = append(charts, d.staircase("Padding", "% of the tokens of rows, on average", 0, 0, func(s planStage) float64 { return padding(*s.Expect) }))
	}
	if len(b.Model.Routed) > 0 {
		charts = append(charts, d.overForms("Tokens of a row that the routed layers see", "tokens", float64(b.Recipe.Window()),
			func(f curriculum.Form) float64 { return float64(f.Kept) }))
	}
	if b.Recipe.Optimizer != nil {
		charts = append(charts, d.rate(b))
	}
	units := ""
	if u := d.sameUnits(); u > 0 {
		units = fmt.Sprintf(", %d %s a step", u, v.Units)
	}
	return chart.Sheet{
		Title: "Plan of " + v.Name,
		Words: []string{v.Model + "; " + v.Sample, fmt.Sprintf("%d steps, %s tokens, %s layer-tokens%s; recipe %s",
			v.Run.Steps, count(v.Run.Tokens), count(int64(v.Run.LayerTokens)), units, v.Recipe)},
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
	stages     []planStage
	clock      curriculum.Clock
	start, end float64
}

// frame is a chart without its lines.
func (d planDrawing) frame(title, unit string, low, high float64) chart.Chart {
	c := chart.Chart{Title: title, Unit: unit, XMin: d.start, XMax: d.end, Y: chart.Around(low, high, 0.04)}
	if low == 0 {
		c.Y.Low = 0
	}
	c.XLabel, c.XScale = report.Axis(string(d.clock), d.end)
	return c
}

// stairs is the curve of what holds throughout a stage; what is no number is a
// gap.
func (d planDrawing) stairs(of func(planStage) float64) []chart.Point {
	var curve []chart.Point
	for i, s := range d.stages {
		to := d.end
		if i+1 < len(d.stages) {
			to = d.stages[i+1].Stage.Start.On(d.clock)
		}
		y := of(s)
		curve = append(curve, chart.Point{X: s.Stage.Start.On(d.clock), Y: y}, chart.Point{X: to, Y: y})
	}
	return curve
}

// staircase draws one such curve. The range goes at least from low to high.
func (d planDrawing) staircase(title, unit string, low, high float64, of func(planStage) float64) chart.Chart {
	curve := d.stairs(of)
	for _, p := range curve {
		low, high = min(low, p.Y), max(high, p.Y)
	}
	c := d.frame(title, unit, low, high)
	c.Lines = []chart.Line{{Place: 1, Curve: curve}}
	return c
}

// pool draws the share of samples, or of units, that is admitted.
func (d planDrawing) pool(v planView) chart.Chart {
	all := max(v.Pool, 1)
	title, unit := "Admitted units", "% of those that are admitted at some step"
	if v.Units == "samples" {
		title, unit, all = "Admitted samples", "% of all", v.Samples
	}
	return d.staircase(title, unit, 0, 100, func(s planStage) float64 { return 100 * float64(s.Pool) / float64(all) })
}

// difficulty draws what a metric admits: below its pace, above its floor.
func (d planDrawing) difficulty(v planView, i int, m recipe.Metric) chart.Chart {
	unit, high := "value of the metric", 0.0
	if m.By == string(curriculum.Percentile) {
		unit, high = "percentile of all samples", 100
	}
	pace := func(s planStage) float64 { return s.Difficulty[i] }
	c := d.staircase("Admitted difficulty: "+v.Metrics[i], unit, 0, high, pace)
	if m.Floor == nil {
		return c
	}
	floor := func(s planStage) float64 { return s.Floor[i] }
	low := d.stairs(floor)
	lowest := c.Y.Low
	for _, p := range low {
		lowest = min(lowest, p.Y)
	}
	c.Y.Low = lowest
	c.Unit += "; admitted is what lies between pace and floor"
	c.Bands = []chart.Band{{Place: 1, Low: low, High: d.stairs(pace)}}
	c.Lines = append(c.Lines, chart.Line{Place: 1, Curve: low})
	return c
}

// weights draws the mixture: a line for each source.
func (d planDrawing) weights(v planView) chart.Chart {
	c := d.frame("Weights of the sources", "% of the tokens", 0, 100)
	for i, s := range v.Sources {
		c.Lines = append(c.Lines, chart.Line{Name: s.Name, Place: i + 1, Curve: d.stairs(func(s planStage) float64 { return 100 * s.Weights[i] })})
	}
	return c
}

// ratePoints is how many steps of the learning rate are drawn: more than the
// chart has pixels.
const ratePoints = 1000

// rate draws the learning rate. Where it follows the units of a batch, and a
// stage has batches of several sizes, the line is the mean over its steps.
func (d planDrawing) rate(b *recipe.Bound) chart.Chart {
	r := b.Recipe
	first, steps := b.Plan.First(), b.Plan.Steps()
	schedule, clock := b.Schedule()
	var mean, low, high []chart.Point
	most := schedule.Peak
	n := min(steps-first, ratePoints)
	for i := range n {
		step := first + i*(steps-first-1)/max(n-1, 1)
		position := b.Plan.PositionAt(step + 1)
		after := position.On(d.clock)
		rate := schedule.At(position.On(clock))
		factor := rateFactors(r, d.stages[b.Plan.StageAt(step)].Batches)
		mean = append(mean, chart.Point{X: after, Y: rate * factor.mean})
		low = append(low, chart.Point{X: after, Y: rate * factor.least})
		high = append(high, chart.Point{X: after, Y: rate * factor.largest})
		most = max(most, rate*factor.largest)
	}
	c := d.frame("Learning rate", "of each step", 0, most)
	c.Lines = []chart.Line{{Place: 1, Curve: mean}}
	if len(r.Lengths()) > 1 && r.Batch.Rate != "none" {
		c.Unit += "; mean, least and largest"
		c.Bands = []chart.Band{{Place: 1, Low: low, High: high}}
	}
	return c
}

// factors are by what the learning rate of a stage's steps is multiplied.
type factors struct{ mean, least, largest float64 }

func rateFactors(r *recipe.Recipe, forms []curriculum.Form) factors {
	f := factors{least: math.Inf(1)}
	for _, form := range forms {
		x, err := batch.RateFactor(r.Batch.Rate, form.Units, r.BaseUnits())
		if err != nil { // the recipe was checked
			continue
		}
		f.mean += form.Share * x
		f.least, f.largest = min(f.least, x), max(f.largest, x)
	}
	return f
}
