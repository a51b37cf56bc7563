package report

import (
	"fmt"
	"maps"
	"math"
	"slices"

	"github.com/gradus-ml/gradus/runlog"
)

// Figure is one drawing: a quantity of every run against a clock.
type Figure struct {
	Name  string // for a file: "loss-tokens", "pace-length"
	Title string // "Held-out loss against tokens"
	Unit  string // of what is drawn upwards

	x      clock
	xMax   float64
	yRange [2]float64
	lines  []series
	target *float64
}

// series is what a figure shows of one run. A run's place in the comparison
// decides its colour, so that it has the same one in every figure.
type series struct {
	name  string
	place int
	curve []point // a point that is not finite is a gap
	mark  *point  // where the run first reached the target
}

type point struct{ x, y float64 }

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
	all = slices.DeleteFunc(append(all, d.paces()...), func(f Figure) bool { return len(f.lines) == 0 })
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
	f := Figure{
		Name: "loss-" + k.name, Title: "Held-out loss against " + k.noun, Unit: "nats a token, lower is better",
		x: k, target: d.c.Target,
	}
	for place, r := range d.c.Runs {
		s := series{name: r.Name, place: place}
		for _, e := range evaluations(d.logs[place]) {
			s.curve = append(s.curve, point{k.of(e.at), e.loss})
		}
		if r.Reached != nil {
			s.mark = &point{k.of(*r.Reached), *d.c.Target}
		}
		f.add(s)
		f.xMax = max(f.xMax, k.of(r.Total))
	}
	f.yRange = lossRange(d.c.Runs, f.lines)
	return f
}

// lossRange is what of the loss is drawn: from the lowest to where the first
// run drawn (the baseline) had come after a tenth of its evaluations, and to
// the best of every other run, so that each is seen. The first fall of the loss
// would take most of the height, and a run that blew up all of it.
func lossRange(runs []Run, lines []series) [2]float64 {
	if len(lines) == 0 {
		return [2]float64{}
	}
	early := slices.DeleteFunc(slices.Clone(lines[0].curve), func(p point) bool { return !finite(p.y) })
	high := early[len(early)/10].y
	low := high
	for _, r := range runs {
		if r.Best != nil {
			low, high = min(low, *r.Best), max(high, *r.Best)
		}
	}
	if final := runs[0].Final; final != nil { // the target, should it lie above
		high = max(high, *final)
	}
	return widened(low, high, 0.06)
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
	for _, m := range slices.Sorted(maps.Keys(metrics)) {
		figures = append(figures, d.pace("difficulty-"+fileName(m), "Admitted difficulty: "+printable(m), "value of the metric", false,
			func(s runlog.Step) (float64, bool) { v, ok := s.Difficulty[m]; return v, ok }))
	}
	return append(figures, d.pace("rate", "Learning rate", "of each step", true, func(s runlog.Step) (float64, bool) { return s.Rate, true }))
}

// pace draws one quantity that holds during a step: a staircase. zero asks for
// an axis that begins at zero, as an amount needs and a difficulty does not.
func (d drawing) pace(name, title, unit string, zero bool, of func(runlog.Step) (float64, bool)) Figure {
	k := d.ownClock()
	f := Figure{Name: "pace-" + name, Title: title, Unit: unit, x: k}
	low, high := math.Inf(1), math.Inf(-1)
	if zero {
		low, high = 0, 0
	}
	for place, log := range d.logs {
		s := series{name: d.c.Runs[place].Name, place: place}
		var from float64
		for _, step := range log.Steps {
			to := k.of(consumed(step))
			if y, ok := of(step); ok {
				s.curve = append(s.curve, point{from, y}, point{to, y})
				if finite(y) {
					low, high = min(low, y), max(high, y)
				}
			}
			from = to
		}
		f.add(s)
		f.xMax = max(f.xMax, from)
	}
	f.yRange = widened(low, high, 0.04)
	if zero && low == 0 {
		f.yRange[0] = 0
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

// add appends the curve of one run, if there is anything to see of it.
func (f *Figure) add(s series) {
	if slices.ContainsFunc(s.curve, func(p point) bool { return finite(p.y) }) {
		f.lines = append(f.lines, s)
	}
}

// widened adds a share of the range on both sides. A range too narrow to label
// becomes one that can be drawn.
func widened(low, high, share float64) [2]float64 {
	if math.IsInf(low, 1) {
		return [2]float64{0, 1} // nothing to draw
	}
	size := max(math.Abs(low), math.Abs(high))
	if high-low < max(1e-9*size, 1e-30) {
		half := max(size/2, 0.5)
		return [2]float64{low - half, low + half}
	}
	pad := share * (high - low)
	return [2]float64{low - pad, high + pad}
}

// fileName keeps what any file system takes.
func fileName(s string) string {
	b := []byte(s)
	for i, c := range b {
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '-', c == '_', c == '.':
		default:
			b[i] = '_'
		}
	}
	return string(b)
}
