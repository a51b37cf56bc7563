package report

import (
	"fmt"
	"maps"
	"math"
	"slices"

	"github.com/gradus-ml/gradus/internal/chart"
	"github.com/gradus-ml/gradus/internal/words"
	"github.com/gradus-ml/gradus/runlog"
)

// Figure is one drawing: a quantity of every run against a clock.
type Figure struct {
	Name string // for a file: "loss-tokens", "pace-length"
	chart.Chart
	clock clock // along the horizontal axis
}

// Figures draws a comparison of runs, which must be those given to Compare with
// the same names: held-out loss against each clock, then the paces of each run
// against the clock that its budget is counted in (layer-tokens where the runs
// differ in that). A figure that would be empty is left out.
func Figures(runs []*runlog.Log, names []string, c Comparison) []Figure {
	d := drawing{c: c}
	for _, r := range c.Runs {
		d.logs = append(d.logs, runs[slices.Index(names, r.Name)])
	}
	var all []Figure
	for _, k := range clocks() {
		all = append(all, d.losses(k))
	}
	all = slices.DeleteFunc(append(all, d.paces()...), func(f Figure) bool { return len(f.Lines) == 0 })
	seen := map[string]int{}
	for i := range all {
		// Two metrics may have the same file name: "a/b" and "a:b".
		name := all[i].Name
		if seen[name]++; seen[name] > 1 {
			all[i].Name = fmt.Sprintf("%s-%d", name, seen[name])
		}
	}
	return all
}

// drawing is a comparison and its logs in the same order.
type drawing struct {
	c    Comparison
	logs []*runlog.Log
}

// losses draws held-out loss against one clock.
func (d drawing) losses(k clock) Figure {
	f := Figure{Name: "loss-" + k.Name, clock: k}
	f.Title, f.Unit = "Held-out loss against "+k.Noun, d.c.Unit+", lower is better"
	if t := d.c.Target; t != nil {
		f.Level = &chart.Level{Y: *t, Label: "target " + words.Loss(*t)}
	}
	for place, r := range d.c.Runs {
		l := chart.Line{Name: r.Name, Place: place}
		for _, e := range evaluations(d.logs[place]) {
			l.Curve = append(l.Curve, chart.Point{X: k.of(e.at), Y: e.loss})
		}
		if r.Reached != nil {
			l.Mark = &chart.Point{X: k.of(*r.Reached), Y: *d.c.Target}
		}
		f.add(l, k.of(r.Total))
	}
	f.XLabel, f.XScale = k.Axis(f.XMax)
	f.Y = lossRange(d.c.Runs, f.Lines)
	return f
}

// lossRange is what of the loss is drawn: from the lowest to where the first
// run drawn (the baseline) had come after a tenth of its evaluations, and to
// the best of every other run, so that each is seen. The first fall of the loss
// would take most of the height, and a run that blew up all of it.
func lossRange(runs []Run, lines []chart.Line) chart.Range {
	if len(lines) == 0 {
		return chart.Range{}
	}
	early := slices.DeleteFunc(slices.Clone(lines[0].Curve), func(p chart.Point) bool { return !chart.Finite(p.Y) })
	high := early[len(early)/10].Y
	low := high
	for _, r := range runs {
		if r.Best != nil {
			low, high = min(low, *r.Best), max(high, *r.Best)
		}
	}
	if final := runs[0].Final; final != nil { // the target, should it lie above
		high = max(high, *final)
	}
	return chart.Around(low, high, 0.06)
}

// paces draws what each run was served and at which rate it learned.
func (d drawing) paces() []Figure {
	metrics := map[string]bool{}
	for _, log := range d.logs {
		for _, s := range log.Steps {
			for m := range s.Difficulty {
				metrics[m] = true
			}
		}
	}
	figures := []Figure{
		d.pace("length", "Length of a row", "tokens", true, func(s runlog.Step) (float64, bool) { return float64(s.Length), true }),
		d.pace("kept", "Tokens of a row that the middle layers see", "tokens", true, func(s runlog.Step) (float64, bool) { return float64(s.Kept), true }),
	}
	if d.batchesVary() {
		figures = append(figures, d.pace("rows", "Rows of a step", "rows", true, func(s runlog.Step) (float64, bool) { return float64(s.Rows), true }))
	}
	for _, m := range slices.Sorted(maps.Keys(metrics)) {
		figures = append(figures, d.pace("difficulty-"+words.FileName(m), "Admitted difficulty: "+words.Printable(m), "as the pace counts it: a value or a percentile", false,
			func(s runlog.Step) (float64, bool) { v, ok := s.Difficulty[m]; return v, ok }))
	}
	return append(figures, d.pace("rate", "Learning rate", "of each step", true, func(s runlog.Step) (float64, bool) { return s.Rate, true }))
}

// batchesVary reports whether any two steps, of any runs, have other numbers of rows.
func (d drawing) batchesVary() bool {
	rows := map[int]bool{}
	for _, log := range d.logs {
		for _, s := range log.Steps {
			rows[s.Rows] = true
		}
	}
	return len(rows) > 1
}

// pace draws one quantity that holds during a step: a staircase. zero asks for
// an axis that begins at zero, as an amount needs and a difficulty does not.
func (d drawing) pace(name, title, unit string, zero bool, of func(runlog.Step) (float64, bool)) Figure {
	f := Figure{Name: "pace-" + name, clock: d.ownClock()}
	f.Title, f.Unit = title, unit
	low, high := math.Inf(1), math.Inf(-1)
	if zero {
		low, high = 0, 0
	}
	for place, log := range d.logs {
		l := chart.Line{Name: d.c.Runs[place].Name, Place: place}
		var from float64
		for _, step := range log.Steps {
			to := f.clock.of(consumed(step))
			if y, ok := of(step); ok {
				l.Curve = append(l.Curve, chart.Point{X: from, Y: y}, chart.Point{X: to, Y: y})
				if chart.Finite(y) {
					low, high = min(low, y), max(high, y)
				}
			}
			from = to
		}
		f.add(l, from)
	}
	f.XLabel, f.XScale = f.clock.Axis(f.XMax)
	if len(f.Lines) > 0 {
		f.Y = chart.Around(low, high, 0.04)
	}
	if zero {
		f.Y.Low = 0
	}
	return f
}

// ownClock is the clock that all runs count their budget in, else layer-tokens.
func (d drawing) ownClock() clock {
	name := d.logs[0].Run.Clock
	for _, log := range d.logs {
		if log.Run.Clock != name {
			return clocks()[0]
		}
	}
	return clockNamed(name)
}

// add appends the line of one run, if there is anything to see of it, and
// stretches the axis to where the run ended.
func (f *Figure) add(l chart.Line, end float64) {
	f.XMax = max(f.XMax, end)
	if slices.ContainsFunc(l.Curve, func(p chart.Point) bool { return chart.Finite(p.Y) }) {
		f.Lines = append(f.Lines, l)
	}
}
