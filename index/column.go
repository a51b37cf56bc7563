package index

import (
	"math"
	"sync"

	"github.com/gradus-ml/gradus/internal/fault"
	"github.com/gradus-ml/gradus/internal/npy"
)

// Column is one metric of an index. It reads the index's maps and is not valid
// after the index is closed.
type Column struct {
	metric        Metric
	values, order npy.Array
	checkIDs      func() error // once
}

func newColumn(m Metric, values, order npy.Array, orderFile string) *Column {
	c := &Column{metric: m, values: values, order: order}
	c.checkIDs = sync.OnceValue(func() error {
		for rank := range order.Len() {
			if id := order.Int64(rank); id < 0 || id >= order.Len() {
				return fault.Corruptf("%s: rank %d: sample %d of %d; analyze the corpus again", orderFile, rank, uint64(id), order.Len())
			}
		}
		return nil
	})
	return c
}

// Metric returns what the manifest says of the column.
func (c *Column) Metric() Metric { return c.metric }

// Len returns the number of samples, at least 1.
func (c *Column) Len() int64 { return c.values.Len() }

// Value returns the value of a sample. The id must be in [0, Len()); it panics
// otherwise, as indexing a slice does.
func (c *Column) Value(id int64) float64 { return c.values.Float64(id) }

// Values fills dst with the values of the samples from start on. They must all
// be in [0, Len()); it panics otherwise, as slicing does.
func (c *Column) Values(dst []float64, start int64) { c.values.Float64s(dst, start) }

// Ranked returns the value of the sample at a rank of the order, which must be in
// [0, Len()).
func (c *Column) Ranked(rank int64) float64 { return c.Value(c.At(rank)) }

// At returns the id of the sample at a rank of the order: 0 is the easiest, the
// one with the smallest value (the largest, if the metric is Descending), and
// of those the smallest id. The rank must be in
// [0, Len()); it panics otherwise, as indexing a slice does.
func (c *Column) At(rank int64) int64 { return c.order.Int64(rank) }

// Quantile returns the value that percent of the samples do not exceed in
// difficulty, by nearest rank: the value at rank ceil(percent/100 * Len()) - 1 of the order,
// and the smallest or largest for a percentage beyond 0 or 100. So it is
// always some sample's value. NaN counts as 0. The easiest is at 0, the largest
// value if the metric is Descending.
func (c *Column) Quantile(percent float64) float64 {
	return c.Ranked(rankOf(percent, c.Len()))
}

// rankOf is the nearest rank. The product comes before the division: 7/100*100
// is above 7 in float64, while 7*100/100 is exact.
func rankOf(percent float64, n int64) int64 {
	rank := math.Ceil(percent*float64(n)/100) - 1
	switch {
	case !(rank > 0): // NaN too
		return 0
	case rank >= float64(n-1):
		return n - 1
	}
	return int64(rank)
}
