package cmd

import (
	"fmt"
	"io"
	"sort"
	"strings"

	"github.com/gradus-ml/gradus/index"
	"github.com/gradus-ml/gradus/internal/atomicfile"
	"github.com/gradus-ml/gradus/internal/chart"
)

// histogram counts the samples of a column in bins by binary search in the
// order, a few dozen looks for any number of samples. The bins are of equal
// width; where a few samples lie so far out that all others would share a bin,
// the first and last one reach out to them.
func histogram(c *index.Column, most int) []bin {
	m := c.Metric()
	low, high := middle(m)
	n := most
	if m.Whole() {
		n = int(min(float64(n), max(high-low, 1))) // no bin without a whole number
	}
	if low == high {
		n = 1
	}
	rising := func(rank int) float64 { return c.Value(c.At(int64(rank))) }
	if m.Descending {
		rising = func(rank int) float64 { return c.Value(c.At(c.Len() - 1 - int64(rank))) }
	}
	below := func(v float64) int64 {
		return int64(sort.Search(int(c.Len()), func(rank int) bool { return rising(rank) >= v }))
	}
	bins := make([]bin, n)
	before := int64(0)
	for i := range bins {
		// Weighted, since high-low may be beyond the largest float64.
		edge := func(i int) float64 { return low*(float64(n-i)/float64(n)) + high*(float64(i)/float64(n)) }
		b := bin{From: edge(i), To: edge(i + 1)}
		upTo := c.Len()
		if i < n-1 {
			upTo = below(b.To)
		}
		b.Count, before = upTo-before, upTo
		bins[i] = b
	}
	bins[0].From, bins[n-1].To = m.Min, m.Max
	return bins
}

// middle is the range that most samples lie in: all, or what is around the first
// to the 99th percentile where that is less than a fifth of it.
func middle(m index.Metric) (low, high float64) {
	a, b := min(m.Quantiles[1], m.Quantiles[99]), max(m.Quantiles[1], m.Quantiles[99])
	if a == b || (m.Max/5-m.Min/5) < b-a {
		return m.Min, m.Max
	}
	margin := (b - a) / 20
	return max(m.Min, a-margin), min(m.Max, b+margin)
}

// drawnBins is how many bars a drawing has: about six units wide each.
const drawnBins = 64

// writeIndexSVG draws for each metric of an index how its values are spread, and
// the value at each percentile.
func writeIndexSVG(path string, x *index.Index, m index.Manifest) error {
	sheet := chart.Sheet{
		Title: "Index " + x.Path(),
		Words: []string{
			fmt.Sprintf("%s, %s tokens; %s samples (%s)", strings.Join(m.Corpus.Paths, ", "), count(m.Corpus.Tokens), count(m.Samples), m.Cut),
			m.Corpus.Fingerprint,
		},
		Columns: 2,
	}
	for _, name := range x.Metrics() {
		c, err := x.Column(name)
		if err != nil {
			return err
		}
		sheet.Charts = append(sheet.Charts, spread(c), percentiles(c))
	}
	return atomicfile.Write(path, func(w io.Writer) error {
		_, err := w.Write(sheet.SVG())
		return err
	})
}

// spread is the histogram.
func spread(c *index.Column) chart.Chart {
	m := c.Metric()
	low, high := middle(m)
	drawn := chart.Chart{Title: m.Name, Unit: "% of the samples", XLabel: m.Unit, XScale: 1, XMin: low, XMax: high}
	if low > m.Min || high < m.Max {
		drawn.Unit += fmt.Sprintf("; those from %s to %s in the outer bars", short(m.Min), short(m.Max))
	}
	highest := 0.0
	for _, b := range histogram(c, drawnBins) {
		b.From, b.To = max(b.From, low), min(b.To, high)
		share := 100 * float64(b.Count) / float64(c.Len())
		highest = max(highest, share)
		drawn.Bars = append(drawn.Bars, chart.Bar{From: b.From, To: b.To, Height: share})
	}
	if m.Min == m.Max { // one bar in the middle
		drawn.XMin, drawn.XMax = m.Min-1, m.Max+1
		drawn.Bars[0].From, drawn.Bars[0].To = m.Min-0.1, m.Max+0.1
	}
	drawn.Y = chart.Range{Low: 0, High: 1.05 * highest}
	return drawn
}

// percentiles is the value that so many per cent of the samples do not exceed in
// difficulty.
func percentiles(c *index.Column) chart.Chart {
	m := c.Metric()
	line := chart.Line{Place: 1}
	for percent, v := range m.Quantiles {
		line.Curve = append(line.Curve, chart.Point{X: float64(percent), Y: v})
	}
	return chart.Chart{
		Title: m.Name + ", from easy to hard", Unit: m.Unit, XLabel: "% of the samples", XScale: 1, XMax: 100,
		Y: chart.Around(m.Min, m.Max, 0.05), Lines: []chart.Line{line},
	}
}
