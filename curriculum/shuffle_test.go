package curriculum

import (
	"slices"
	"testing"

	"github.com/gradus-ml/gradus/internal/keyed"
	"pgregory.net/rapid"
)

// A plan without admissions is what a plain trainer does: it goes through all
// samples pass by pass, each pass in a random order of its own. Here that is
// written out with a table for each pass, and batches are cut from it.
func TestPlainShuffle(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		samples := rapid.Int64Range(1, 300).Draw(t, "samples")
		size := rapid.IntRange(1, 40).Draw(t, "batch")
		steps := rapid.Int64Range(1, 60).Draw(t, "steps")
		seed := rapid.Uint64().Draw(t, "seed")
		held := rapid.Int64Range(2, 9).Draw(t, "held out")
		c := Config{Seed: seed, Samples: samples, Batch: size, Window: 8, Layers: 1, Clock: Steps, Budget: float64(steps)}
		var pool []int64
		for id := range samples {
			if held > 7 || id%held != 1 {
				pool = append(pool, id)
			}
		}
		if held <= 7 {
			c.Excluded = func(id int64) bool { return id%held == 1 }
		}
		p, err := Compile(c)
		if err != nil {
			t.Fatal(err)
		}

		key := keyed.NewKey(seed, "sampler", Version)
		var deck []int64 // pass after pass
		for pass := uint64(0); int64(len(deck)) < steps*int64(size); pass++ {
			order := key.Sub(2 << 32).Sub(pass).Permutation(uint64(len(pool)))
			dealt := map[int64]bool{}
			for i := range uint64(len(pool)) {
				id := pool[order.At(i)]
				dealt[id] = true
				deck = append(deck, id)
			}
			if len(dealt) != len(pool) {
				t.Fatalf("pass %d deals %d of %d samples", pass, len(dealt), len(pool))
			}
		}
		s := p.Sampler()
		for step := range steps {
			shuffle := key.Sub(1 << 32).Sub(uint64(step)).Permutation(uint64(size))
			want := make([]int64, size)
			for i := range size {
				want[shuffle.At(uint64(i))] = deck[step*int64(size)+int64(i)]
			}
			if got := s.At(nil, step); !slices.Equal(got, want) {
				t.Fatalf("step %d: %v, want %v", step, got, want)
			}
		}
	})
}
