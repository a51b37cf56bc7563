package index

import (
	"context"
	"crypto/sha256"
	"math"
	"path/filepath"

	"github.com/gradus-ml/gradus/internal/fault"
	"github.com/gradus-ml/gradus/internal/npy"
)

// Check proves everything that can be proven without the corpus: that every
// file has its checksum, every value is finite, every order is a permutation
// of the samples sorted by (value, id), and that the statistics in the manifest
// are those of the values. It reads everything. A failure is an error of kind
// fault.Corrupt; a cancelled ctx ends it with ctx.Err().
func (x *Index) Check(ctx context.Context) error {
	for _, s := range x.manifest.Statistics {
		if _, err := x.Statistic(s.Name); err != nil {
			return err
		}
	}
	for i, c := range x.columns {
		for j, f := range []File{c.metric.Values, c.metric.Order} {
			if err := ctx.Err(); err != nil {
				return err
			}
			name := filepath.Join(x.dir, filepath.FromSlash(f.Name))
			if sum := sha256.Sum256(x.maps[2*i+j].Bytes()); hexDigest(sum[:]) != f.SHA256 {
				return fault.Corruptf("%s: its SHA-256 is %x, manifest.json says %s; analyze the corpus again", name, sum, f.SHA256)
			}
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := c.check(x.dir); err != nil {
			return err
		}
	}
	return nil
}

// check proves one column.
func (c *Column) check(dir string) error {
	valuesFile := filepath.Join(dir, filepath.FromSlash(c.metric.Values.Name))
	orderFile := filepath.Join(dir, filepath.FromSlash(c.metric.Order.Name))
	sum, smallest, largest := 0.0, math.Inf(1), math.Inf(-1)
	for id := range c.Len() {
		v := c.Value(id)
		if math.IsNaN(v) || math.IsInf(v, 0) || v == 0 && math.Signbit(v) {
			return fault.Corruptf("%s: sample %d has the value %v", valuesFile, id, v)
		}
		if n := c.values.Int64(id); c.values.DType() == npy.Int64 && (n > 1<<53 || n < -1<<53) {
			return fault.Corruptf("%s: sample %d has the value %d, beyond 2^53", valuesFile, id, n)
		}
		sum += v
		smallest, largest = min(smallest, v), max(largest, v)
	}
	if err := c.checkIDs(); err != nil {
		return err
	}
	// Strictly rising pairs are all different, so Len ids below Len are a
	// permutation: no table of those seen is needed.
	m, name := c.metric, filepath.Join(dir, manifestName)
	for rank := int64(1); rank < c.Len(); rank++ {
		a, b := c.At(rank-1), c.At(rank)
		if va, vb := c.Value(a), c.Value(b); (va > vb) != m.Descending && va != vb || va == vb && a >= b {
			return fault.Corruptf("%s: rank %d: sample %d (value %v) stands before sample %d (value %v)", orderFile, rank-1, a, va, b, vb)
		}
	}
	if mean := sum / float64(c.Len()); m.Min != smallest || m.Max != largest || m.Mean != mean {
		return fault.Corruptf("%s: metric %s: minimum, maximum and mean are %v, %v and %v, not %v, %v and %v", name, m.Name, smallest, largest, mean, m.Min, m.Max, m.Mean)
	}
	for percent, want := range m.Quantiles {
		if got := c.Quantile(float64(percent)); got != want {
			return fault.Corruptf("%s: metric %s: quantile %d is %v, not %v", name, m.Name, percent, got, want)
		}
	}
	return nil
}
