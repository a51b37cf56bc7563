package curriculum

import (
	"math"
	"slices"
	"sync"
	"testing"

	"pgregory.net/rapid"
)

// The laws of determinism and coverage on random plans: exact batch sizes, no
// empty batch, only admitted units, counts of units that came and go together
// never further apart than one, the same as a model that keeps all state in
// memory.
func TestSamplerLaws(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := drawConfig(t)
		p := compile(t, c)
		want := newModel(p).run()
		if int64(len(want)) != p.Steps() {
			t.Fatalf("%d steps, want %d", p.Steps(), len(want))
		}
		counts := map[int64]int{}
		for step, ids := range p.Sampler().From(0) {
			if !slices.Equal(ids, want[step]) {
				t.Fatalf("step %d: %v, the model has %v", step, ids, want[step])
			}
			f, stage := p.BatchAt(step), &p.stages[p.StageAt(step)]
			if len(ids) != f.Units {
				t.Fatalf("step %d: %d ids, want %d", step, len(ids), f.Units)
			}
			for _, id := range ids {
				counts[id]++
			}
			for source := range p.units {
				for _, u := range p.units[source] {
					for i := range u.segments {
						g := &u.segments[i]
						least, most := math.MaxInt, 0
						for at := g.Low; at < g.High; at++ {
							n := counts[int64(source)<<SourceShift|u.order.At(at)]
							least, most = min(least, n), max(most, n)
						}
						if most-least > 1 || most > 0 && stage.level < g.Entry {
							t.Fatalf("step %d: units that join at level %d and leave at %d were served %d to %d times; the level is %d",
								step, g.Entry, g.Exit, least, most, stage.level)
						}
					}
				}
			}
		}
		total := 0
		for _, n := range counts {
			total += n
		}
		if total == 0 {
			t.Fatal("nothing was served")
		}
	})
}

// The pool of every stage is the set that brute force finds, for any metrics,
// by value and by percentile, ties, floors and controls included; a control has
// other samples and pools as large.
func TestPoolsAgainstBruteForce(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := drawConfig(t)
		c.Buckets = c.Buckets[:1]
		for i := range c.Sources {
			c.Sources[i].Units = nil
		}
		c.Length = Timed{}
		c.Control = ""
		p := compile(t, c)
		for _, s := range p.Stages() {
			for source := range c.Sources {
				want := admitted(c, source, s)
				u := p.units[source][0]
				got := map[int64]bool{}
				for i := range u.segments {
					if g := &u.segments[i]; g.live(s.level) {
						for at := g.Low; at < g.High; at++ {
							got[u.order.At(at)] = true
						}
					}
				}
				if len(got) != len(want) {
					t.Fatalf("stage %d, source %d: a pool of %d samples, brute force has %d", s.First, source, len(got), len(want))
				}
				for id := range want {
					if !got[id] {
						t.Fatalf("stage %d, source %d: sample %d is not in the pool", s.First, source, id)
					}
				}
			}
		}
		c.Control = Random
		random := compile(t, c)
		for i, s := range p.Stages() {
			if r := random.Stages()[i]; r.Pool != s.Pool || r.First != s.First {
				t.Fatalf("stage %d: the random control has a pool of %d, the curriculum %d", i, r.Pool, s.Pool)
			}
		}
	})
}

// Reverse admits the hardest instead of the easiest, as many.
func TestReverse(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 200).Draw(t, "samples")
		values := make([]float64, n) // no ties: then the sizes are equal
		for i := range values {
			values[i] = float64((i*7919 + 13) % 10007)
		}
		c := Config{
			Sources: []Source{{Samples: int64(n), Columns: []Column{newColumn(1, values...)}}}, Buckets: []Bucket{{8, 2}},
			Layers: 1, Clock: Steps, Budget: 20,
			Admit: []Admission{{Metric: "m", By: Percentile, Pace: Timed{Pace: mustPace(t, rootOf(3, 100, 20))},
				Floor: Timed{Pace: mustPace(t, rootOf(0, 2, 30))}}},
		}
		forward := compile(t, c)
		c.Control = Reverse
		back := compile(t, c)
		rank := func(v float64) int {
			k, _ := slices.BinarySearch(c.Sources[0].Columns[0].(column).sorted, v)
			return k
		}
		ranks := func(p *Plan, level int) (r []int) {
			u := p.units[0][0]
			for i := range u.segments {
				if g := &u.segments[i]; g.live(level) {
					for at := g.Low; at < g.High; at++ {
						r = append(r, rank(values[u.order.At(at)]))
					}
				}
			}
			slices.Sort(r)
			return r
		}
		for i := range forward.levels {
			f, b := ranks(forward, i), ranks(back, i)
			slices.Reverse(b)
			for k := range b {
				b[k] = n - 1 - b[k]
			}
			if !slices.Equal(f, b) {
				t.Fatalf("level %d: ranks %v, mirrored %v", i, f, b)
			}
		}
	})
}

// Any step, asked in any order, from any number of goroutines, by ranks of any
// world, is the step of the whole run.
func TestAnyOrderAnyWorld(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := compile(t, drawConfig(t))
		var batches [][]int64
		for _, ids := range p.Sampler().From(0) {
			batches = append(batches, slices.Clone(ids))
		}
		s := p.Sampler() // of another process
		ask := rapid.SliceOfN(rapid.Int64Range(0, p.Steps()-1), 1, 20).Draw(t, "ask")
		worlds := rapid.SliceOfN(rapid.SampledFrom([]int{8, 6, 3, 1, 5}), len(ask), len(ask)).Draw(t, "worlds")
		got := make([][]int64, len(ask))
		var wait sync.WaitGroup
		for i, step := range ask {
			wait.Go(func() {
				for rank := range worlds[i] {
					got[i] = append(got[i], Slice(s.At(nil, step), rank, worlds[i])...)
				}
			})
		}
		wait.Wait()
		for i, step := range ask {
			if !slices.Equal(got[i], batches[step]) {
				t.Fatalf("step %d asked of %d ranks: %v, in order: %v", step, worlds[i], got[i], batches[step])
			}
		}
		// Killed and begun again anywhere.
		from := rapid.Int64Range(0, p.Steps()-1).Draw(t, "from")
		for step, ids := range s.From(from) {
			if !slices.Equal(ids, batches[step]) {
				t.Fatalf("resumed at %d, step %d: %v, want %v", from, step, ids, batches[step])
			}
		}
	})
}

// The position before any step is the sum of what the steps before it cost.
func TestPositions(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := drawConfig(t)
		c.WholeTokens = rapid.Bool().Draw(t, "whole tokens")
		c.Keep.Pace = mustPace(t, rootOf(8, 64, c.Budget/2))
		if rapid.Bool().Draw(t, "drop") {
			c.Drop = []float64{rapid.Float64Range(0, 1).Draw(t, "second layer"), rapid.Float64Range(1, 3).Draw(t, "third layer")}
		}
		p := compile(t, c)
		at := Position{Layers: c.Layers}
		for step := range p.Steps() {
			if got := p.PositionAt(step); got != at {
				t.Fatalf("before step %d the plan is at %+v, by hand %+v", step, got, at)
			}
			if at.On(c.Clock) >= c.Budget {
				t.Fatalf("step %d is made with the budget spent", step)
			}
			f := p.BatchAt(step)
			if want := unitsAt(&c, at, f.Bucket); f.Units != want || f.Rows != want {
				t.Fatalf("step %d: %d units in %d rows, want %d", step, f.Units, f.Rows, want)
			}
			at.Steps++
			at.Tokens += int64(f.Rows * f.Length)
			for range f.Rows {
				row := int64(2*f.Length + 2*f.Kept)
				if c.Drop != nil {
					row = 2 * int64(f.Length)
					for _, share := range c.Drop {
						dropped := int64(share*float64(f.Length-f.Kept) + 0.5)
						row += max(int64(f.Length)-dropped, 1)
					}
				}
				if c.WholeTokens {
					row = row / 4 * 4
				}
				at.LayerSum += row
			}
		}
		if p.End() != at || at.On(c.Clock) < c.Budget {
			t.Fatalf("the plan ends at %+v, by hand %+v", p.End(), at)
		}
	})
}
