package train

import (
	"fmt"
	"testing"

	"github.com/gradus-ml/gradus/batch"
	"github.com/gradus-ml/gradus/curriculum"
	"github.com/gradus-ml/gradus/internal/keyed"
	"github.com/gradus-ml/gradus/model"
	"github.com/gradus-ml/gradus/route"
)

func randomBatch(c model.Config, s curriculum.Shape) *batch.Batch {
	b := &batch.Batch{Shape: s, Inputs: make([]int32, s.Tokens()), Labels: make([]int32, s.Tokens())}
	stream := keyed.NewKey(1, "bench").Stream()
	for i := range b.Inputs {
		b.Inputs[i] = int32(stream.Uint64N(uint64(c.Vocabulary)))
		b.Labels[i] = int32(stream.Uint64N(uint64(c.Vocabulary)))
	}
	if s.Kept < s.Length {
		b.Kept = route.Positions(route.RandomLTD{}, 1, 1, c.Routed, 0, s.Rows, s.Length, s.Kept)
	}
	return b
}

// BenchmarkStep measures whole optimizer steps on the Go backend.
func BenchmarkStep(b *testing.B) {
	for _, bc := range []struct {
		layers, width, heads, length, rows, kept int
		packed                                   bool // rows of several documents
	}{
		{4, 128, 4, 64, 12, 64, false},
		{4, 64, 2, 128, 8, 128, false},
		{4, 96, 3, 128, 8, 128, false},
		{6, 64, 2, 128, 8, 128, false},
		{6, 64, 2, 128, 8, 128, true},
		{6, 64, 2, 128, 8, 64, false},
		{6, 64, 2, 128, 8, 64, true},
		{6, 64, 2, 64, 8, 64, false},
		{6, 64, 2, 64, 16, 64, false},
		{8, 256, 4, 256, 4, 256, false},
		{8, 256, 4, 256, 4, 64, false},
	} {
		c := model.Config{Vocabulary: 257, Context: bc.length, Layers: bc.layers, Width: bc.width, Heads: bc.heads, Routed: route.Inner(bc.layers)}
		s := curriculum.Shape{Rows: bc.rows, Length: bc.length, Kept: bc.kept}
		name := fmt.Sprintf("L%d/d%d/s%d/b%d/kept%d", bc.layers, bc.width, bc.length, bc.rows, bc.kept)
		if bc.packed {
			name += "/packed"
		}
		b.Run(name, func(b *testing.B) {
			e := mustEngine(b, c, adam)
			batch := randomBatch(c, s)
			if bc.packed {
				batch = packed(batch, bc.length/2, 1)
			}
			for i := range 2 {
				if _, err := e.step(batch, 1e-3, int64(i)); err != nil {
					b.Fatal(err)
				}
			}
			b.ResetTimer()
			for i := range b.N {
				if _, err := e.step(batch, 1e-3, int64(i)); err != nil {
					b.Fatal(err)
				}
			}
			seconds := b.Elapsed().Seconds() / float64(b.N)
			b.ReportMetric(float64(s.Tokens())/seconds, "tokens/s")
			b.ReportMetric(c.FLOPs(s.Rows, s.Length, s.Kept)/seconds/1e9, "GFLOP/s")
		})
	}
}
