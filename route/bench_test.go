package route_test

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/gradus-ml/gradus/route"
)

// BenchmarkDraws draws half of 2048 positions of 64 rows in 8 layers. Beside the
// positions a second it gives the time by that of a loop which fills as much
// memory with random numbers and nothing else.
func BenchmarkDraws(b *testing.B) {
	layers := []int{1, 2, 3, 4, 5, 6, 7, 8}
	rows := route.Rows{Count: 64, Length: 2048, Tokens: make([]int32, 64*2048)}
	kept := make([]int, len(layers))
	for l := range kept {
		kept[l] = rows.Length / 2
	}
	marked := rows
	marked.Always = make([]bool, len(rows.Tokens))
	r := rand.New(rand.NewPCG(1, 2))
	for i := range rows.Tokens {
		rows.Tokens[i] = r.Int32N(50257)
		marked.Always[i] = r.IntN(20) == 0
	}
	positions := len(layers) * rows.Count * rows.Length / 2
	run := func(name string, p route.Policy, rows route.Rows) {
		b.Run(name, func(b *testing.B) {
			for step := 0; b.Loop(); step++ {
				route.Draws(p, 1, int64(step), layers, kept, rows)
			}
			each := float64(b.Elapsed()) / float64(b.N)
			b.ReportMetric(float64(positions)/each*1e9, "positions/s")
			b.ReportMetric(each/float64(bare(r, positions)), "x-bare-loop")
		})
	}
	for _, p := range route.Policies() {
		run(p.Name, p.Policy, rows)
	}
	run("random-ltd-always", route.RandomLTD{}, marked)
}

// bare is how long it takes to fill memory with random numbers, at best.
func bare(r *rand.Rand, n int) time.Duration {
	best := time.Hour
	for range 20 {
		begin := time.Now()
		list := make([]int32, n)
		for i := range list {
			list[i] = int32(r.Uint32())
		}
		best = min(best, time.Since(begin))
	}
	return best
}
