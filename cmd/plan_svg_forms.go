package cmd

import (
	"fmt"
	"math"

	"github.com/gradus-ml/gradus/curriculum"
	"github.com/gradus-ml/gradus/internal/chart"
	"github.com/gradus-ml/gradus/recipe"
)

// mostNamed is how many row lengths are drawn as lines of their own.
const mostNamed = 8

// forms draws what batches look like: where rows have several lengths, how often
// each is served.
func (d planDrawing) forms(b *recipe.Bound) []chart.Chart {
	charts := []chart.Chart{
		d.overForms("Length of a row", "tokens", float64(b.Recipe.Window()), func(f curriculum.Form) float64 { return float64(f.Length) }),
	}
	if d.sameUnits() == 0 {
		charts = append(charts, d.overForms("Size of a batch", unitWords(b.Recipe), 0, func(f curriculum.Form) float64 { return float64(f.Units) }))
	}
	lengths := b.Recipe.Lengths()
	if n := len(lengths); n == 1 || n > mostNamed {
		return charts
	}
	c := d.frame("Steps by the length of their rows", "% of the steps", 0, 100)
	for bucket, length := range lengths {
		c.Lines = append(c.Lines, chart.Line{Name: fmt.Sprintf("%d tokens", length), Place: bucket + 1, Curve: d.stairs(func(s planStage) float64 {
			for _, f := range s.Batches {
				if f.Bucket == bucket {
					return 100 * f.Share
				}
			}
			return math.NaN() // not served
		})})
	}
	return append(charts, c)
}

// sameUnits returns the units of every batch; 0: they differ.
func (d planDrawing) sameUnits() int {
	units := d.stages[0].Batches[0].Units
	for _, s := range d.stages {
		for _, f := range s.Batches {
			if f.Units != units {
				return 0
			}
		}
	}
	return units
}

// overForms draws a quantity of batches. Where a stage has batches of several
// forms, the line is their mean over its steps, and a band reaches from the
// least to the largest.
func (d planDrawing) overForms(title, unit string, high float64, of func(curriculum.Form) float64) chart.Chart {
	several := false
	least := func(s planStage) float64 {
		y := math.Inf(1)
		for _, f := range s.Batches {
			y = min(y, of(f))
		}
		return y
	}
	largest := func(s planStage) float64 {
		y := math.Inf(-1)
		for _, f := range s.Batches {
			y = max(y, of(f))
		}
		return y
	}
	for _, s := range d.stages {
		high = max(high, largest(s))
		several = several || least(s) < largest(s)
	}
	mean := func(s planStage) float64 {
		y := 0.0
		for _, f := range s.Batches {
			y += f.Share * of(f)
		}
		return y
	}
	c := d.staircase(title, unit, 0, high, mean)
	if several {
		c.Unit += "; mean, least and largest"
		c.Bands = []chart.Band{{Place: 1, Low: d.stairs(least), High: d.stairs(largest)}}
	}
	return c
}
