package curriculum

import (
	"slices"
	"sync"
	"testing"

	"pgregory.net/rapid"
)

// A loader of any number of workers and any prefetch depth, killed anywhere and
// begun again at the step that its trainer had consumed, with other numbers, gives
// the batches of the whole run, each once.
func TestLoaders(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := compile(t, drawConfig(t))
		var want [][]int64
		for _, ids := range p.Sampler().From(0) {
			want = append(want, slices.Clone(ids))
		}
		var got [][]int64
		for int64(len(got)) < p.Steps() {
			workers := rapid.IntRange(1, 5).Draw(t, "workers")
			depth := rapid.IntRange(0, 7).Draw(t, "prefetch depth")
			consume := rapid.IntRange(1, 60).Draw(t, "steps until the kill")
			got = append(got, load(p, int64(len(got)), workers, depth, consume)...)
		}
		if !slices.EqualFunc(got, want, slices.Equal) {
			t.Fatal("the batches differ from those of the whole run")
		}
	})
}

// load consumes steps from one on, made ahead by workers that take every
// workers-th step each, until it is killed: what they have made ahead is lost.
func load(p *Plan, from int64, workers, depth, consume int) (batches [][]int64) {
	s := p.Sampler()
	killed := make(chan struct{})
	var wait sync.WaitGroup
	defer wait.Wait() // the plan may be closed after this
	defer close(killed)
	made := make([]chan []int64, workers)
	for w := range workers {
		made[w] = make(chan []int64, depth)
		wait.Go(func() {
			defer close(made[w])
			for step := from + int64(w); step < p.Steps(); step += int64(workers) {
				select {
				case made[w] <- s.At(nil, step):
				case <-killed:
					return
				}
			}
		})
	}
	for k := range consume {
		ids, ok := <-made[k%workers]
		if !ok {
			break
		}
		batches = append(batches, ids)
	}
	return batches
}
