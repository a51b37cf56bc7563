package curriculum

import (
	"os"
	"strconv"
	"testing"

	"github.com/gradus-ml/gradus/internal/keyed"
	"github.com/gradus-ml/gradus/pace"
)

// uniform is a column of n values of even spread, computed and not kept: what is
// measured is the plan and not the reading of a file.
type uniform struct {
	n   int64
	key uint64
}

func (u uniform) Len() int64                 { return u.n }
func (u uniform) Ranked(rank int64) float64  { return float64(rank) / float64(u.n) }
func (u uniform) Quantile(p float64) float64 { return p / 100 }

func (u uniform) Values(dst []float64, start int64) {
	for i := range dst {
		x := (uint64(start) + uint64(i) + u.key) * 0x9E3779B97F4A7C15
		x ^= x >> 29
		x *= 0xBF58476D1CE4E5B9
		dst[i] = float64(x>>11) / (1 << 53)
	}
}

// large is a plan of n samples, some metrics and stages.
func large(b *testing.B, n int64, metrics, stages, units int) Config {
	c := Config{
		Seed: 1, Sources: []Source{{Samples: n}}, Buckets: []Bucket{{2048, units}}, Layers: 24,
		Clock: Steps, Budget: 1e6,
	}
	for m := range metrics {
		p, err := pace.NewRoot(pace.Root{From: 100 / float64(stages), To: 100, Step: 100 / float64(stages), Until: 0.9e6, Degree: 1 + float64(m)})
		if err != nil {
			b.Fatal(err)
		}
		c.Admit = append(c.Admit, Admission{Metric: "m", By: Percentile, Pace: Timed{Pace: p}})
		c.Sources[0].Columns = append(c.Sources[0].Columns, uniform{n, uint64(m) << 40})
	}
	return c
}

// samplesOfBench is how many samples the benchmarks have: GRADUS_SAMPLES, or 10
// million.
func samplesOfBench(b *testing.B) int64 {
	text := os.Getenv("GRADUS_SAMPLES")
	if text == "" {
		return 10_000_000
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		b.Fatal(err)
	}
	return n
}

func BenchmarkCompile(b *testing.B) {
	c := large(b, samplesOfBench(b), 3, 100, 512)
	for b.Loop() {
		p, err := Compile(b.Context(), c)
		if err != nil {
			b.Fatal(err)
		}
		p.Close()
	}
	b.ReportMetric(float64(c.Sources[0].Samples)*float64(b.N)/b.Elapsed().Seconds(), "samples/s")
}

// Steps in a row, beside a bare loop that reads ids in the order of a table that
// was shuffled beforehand: what a trainer without a curriculum does.
func BenchmarkFrom(b *testing.B) {
	p, err := Compile(b.Context(), large(b, samplesOfBench(b), 1, 1000, 512))
	if err != nil {
		b.Fatal(err)
	}
	defer p.Close()
	s := p.Sampler()
	b.Run("sampler", func(b *testing.B) {
		n := 0
		for range s.From(p.Steps() / 2) {
			if n++; n == b.N {
				break
			}
		}
		b.ReportMetric(512*float64(b.N)/b.Elapsed().Seconds(), "ids/s")
	})
	b.Run("shuffled-table", func(b *testing.B) {
		order := p.units[0][0].order
		table := keyed.NewKey(1, "bench").Permutation(uint64(order.Len()))
		places := make([]int64, 1<<20)
		for i := range places {
			places[i] = int64(table.At(uint64(i)))
		}
		ids := make([]int64, 512)
		b.ResetTimer()
		for i := range b.N {
			for k := range ids {
				ids[k] = order.At(places[(512*i+k)&(1<<20-1)])
			}
		}
		b.ReportMetric(512*float64(b.N)/b.Elapsed().Seconds(), "ids/s")
	})
}

// Any step, of 512 ids, out of 1,000 stages.
func BenchmarkAt(b *testing.B) {
	p, err := Compile(b.Context(), large(b, samplesOfBench(b), 1, 1000, 512))
	if err != nil {
		b.Fatal(err)
	}
	defer p.Close()
	s := p.Sampler()
	ids := make([]int64, 0, 512)
	steps := keyed.NewKey(2, "bench").Permutation(uint64(p.Steps()))
	b.ResetTimer()
	for i := range b.N {
		ids = s.At(ids[:0], int64(steps.At(uint64(i)%uint64(p.Steps()))))
	}
}

// What a change of difficulty costs: preparing the sampler, over its stages.
func BenchmarkSampler(b *testing.B) {
	p, err := Compile(b.Context(), large(b, samplesOfBench(b), 1, 1000, 512))
	if err != nil {
		b.Fatal(err)
	}
	defer p.Close()
	for b.Loop() {
		p.Sampler()
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(len(p.stages)), "ns/stage")
}
