package curriculum

import (
	"cmp"
	"slices"
)

// An Expectation is what part of a plan will serve, in tokens of rows: how many
// hold a token that predicts its successor, how many are padding because a unit
// is shorter than its rows, and how many of the units served do not fit in. They are exact for units of one length and
// the mean over the pool for others.
type Expectation struct {
	Inputs    float64 `json:"inputs"`
	Padding   float64 `json:"padding"`
	Discarded float64 `json:"discarded"`
}

// Expect returns what a stage will serve.
func (p *Plan) Expect(stage int) Expectation {
	var e Expectation
	s := &p.stages[stage]
	for k := range s.Batches {
		f := &s.Batches[k]
		use := 0
		for p.uses[use] != p.use(*f) {
			use++
		}
		for source := range f.mix {
			n, ok := s.slots(source, f.Bucket, s.First+s.Steps)
			if !ok || p.units == nil {
				continue
			}
			units, inputs, used := int64(0), int64(0), int64(0)
			for _, g := range p.units[source][f.Bucket].segments {
				if g.live(s.level) {
					units += g.size()
					inputs += g.Inputs
					used += g.Used[use]
				}
			}
			each := float64(n) / float64(units)
			e.Inputs += each * float64(used)
			e.Discarded += each * float64(inputs-used)
			e.Padding += float64(n)*float64(p.uses[use]) - each*float64(used)
		}
	}
	return e
}

// Discarded returns the inputs of admitted samples that no unit holds: what an
// arrangement leaves over, such as chunks too short to serve.
func (p *Plan) Discarded() int64 { return p.discarded }

// Passes returns how often the samples of each tenth of difficulty, from the
// easiest on, will have been served at the end of the run, on average: for each
// metric of Config.Admit. Tenths are those of each source's own samples, held-out
// ones left aside.
func (p *Plan) Passes() [][10]float64 {
	passes := make([][10]float64, len(p.config.Admit))
	totals := make([][10]float64, len(p.config.Admit))
	for source := range p.units {
		served := make([][]int64, len(p.units[source]))
		for b := range served {
			d := newDraws(p, source, b)
			served[b] = d.servedAll(d.total())
		}
		for _, r := range p.runs[source] {
			each := p.passesOf(source, r, served)
			for m := range passes {
				for d, n := range r.Deciles[m] {
					passes[m][d] += each * float64(n)
					totals[m][d] += float64(n)
				}
			}
		}
		for m := range totals {
			for d, n := range p.never[source][m] {
				totals[m][d] += float64(n)
			}
		}
	}
	for m := range passes {
		for d := range passes[m] {
			passes[m][d] /= max(totals[m][d], 1)
		}
	}
	return passes
}

// passesOf returns how often the units of a run are served, on average.
func (p *Plan) passesOf(source int, r run, served [][]int64) float64 {
	draws, units := 0.0, int64(0)
	for b := range served {
		segments := p.units[source][b].segments // in order of entry and exit
		j, found := slices.BinarySearchFunc(segments, r, func(g segment, r run) int {
			return cmp.Or(cmp.Compare(g.Entry, r.Entry), cmp.Compare(g.Exit, r.Exit))
		})
		if !found {
			continue
		}
		g := segments[j]
		again := max(served[b][j]-g.Waiting, 0) // draws after the first pass, over all alike
		n, first := g.Waiting, served[b][j]-again
		switch {
		case r.Done:
			n, first = g.size()-g.Waiting, 0
		case !p.hasDone(source, r): // both kinds of units are of this run's samples
			n = g.size()
		}
		units += n
		draws += float64(first) + float64(again)*float64(n)/float64(g.size())
	}
	if units == 0 {
		return 0
	}
	return draws / float64(units)
}

// hasDone reports whether samples like those of a run, but for having been served
// by the earlier run's pass, have a run of their own.
func (p *Plan) hasDone(source int, r run) bool {
	return slices.ContainsFunc(p.runs[source], func(o run) bool { return o.Done && o.Entry == r.Entry && o.Exit == r.Exit })
}

// total returns the slots of all stages.
func (d *draws) total() int64 {
	n := int64(0)
	for i := range d.phases {
		n += d.phases[i].slots
	}
	return n
}
