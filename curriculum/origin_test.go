package curriculum

import (
	"testing"

	"pgregory.net/rapid"
)

// A plan that goes on from another serves, in every segment, what the other's pass
// has not reached before anything else, so that nothing of the pass is lost and
// nothing repeats before it is through; and what it says of that is what happens.
func TestGoingOn(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := drawConfig(t)
		first := compile(t, c)
		step := rapid.Int64Range(0, first.Steps()).Draw(t, "step")
		reached := first.Reached(step)

		// By hand: the state of every sample of the first run.
		counts, served := map[int64]int{}, [3]map[int64]bool{{}, {}, {}}
		for at, ids := range first.Sampler().From(0) {
			if at == step {
				break
			}
			for _, id := range ids {
				counts[id]++
				source, unit := Split(id)
				first.eachSample(source, unit, func(sample int64) { served[source][sample] = true })
			}
		}
		for source := range c.Sources {
			for _, u := range first.units[source] {
				for _, g := range u.segments {
					least := -1
					for at := g.Low; at < g.High; at++ {
						if n := counts[int64(source)<<SourceShift|u.order.At(at)]; least < 0 || n < least {
							least = n
						}
					}
					for at := g.Low; c.Sources[source].Units == nil && at < g.High; at++ {
						id := u.order.At(at)
						want := counts[int64(source)<<SourceShift|id] > least
						if got := reached.Done(source, id); got != want {
							t.Fatalf("sample %d of source %d: done %v, by hand %v", id, source, got, want)
						}
					}
				}
			}
			for sample := range served[source] {
				if !reached.Admitted(source, sample) {
					t.Fatalf("sample %d of source %d was served and not admitted", sample, source)
				}
			}
		}

		// Another curriculum over grown sources, from there.
		next := c
		next.Sources = append([]Source(nil), c.Sources...)
		grown := rapid.Int64Range(0, 100).Draw(t, "grown")
		for i := range next.Sources {
			next.Sources[i].Samples += grown
			next.Sources[i].Columns = nil
			for m := range c.Admit {
				sign := c.Sources[i].Columns[m].(column).sign
				old := c.Sources[i].Columns[m].(column).values
				next.Sources[i].Columns = append(next.Sources[i].Columns, newColumn(sign, append(append([]float64(nil), old...), randomValues(c.Seed+99, int(grown), 50)...)...))
			}
		}
		next.Seed++
		next.Budget = reached.Position.On(c.Clock) + c.Budget
		next.From = &Origin{Position: reached.Position, Done: reached.Done}
		byUnits := c.Sources[0].Units != nil && rapid.Bool().Draw(t, "by units")
		states := map[int]*ReachedUnits{}
		if byUnits {
			for source := range c.Sources {
				states[source] = reached.Units(source)
			}
			next.From.Units = func(source int) *ReachedUnits { return states[source] }
		}
		p := compile(t, next)
		if p.First() != step || p.PositionAt(step) != reached.Position {
			t.Fatalf("it begins at step %d, %+v; want %d, %+v", p.First(), p.PositionAt(p.First()), step, reached.Position)
		}
		again := map[int64]int{}
		servedAgain := [3]map[int64]bool{{}, {}, {}}
		for at, ids := range p.Sampler().From(step) {
			for _, id := range ids {
				again[id]++
				source, unit := Split(id)
				p.eachSample(source, unit, func(sample int64) { servedAgain[source][sample] = true })
			}
			for source := range next.Sources {
				for _, u := range p.units[source] {
					for _, g := range u.segments {
						waits, repeats := false, false
						for k := g.Low; k < g.High; k++ {
							unit := u.order.At(k)
							n := again[int64(source)<<SourceShift|unit]
							if byUnits {
								if states[source].isDone(unit) {
									repeats = repeats || n > 0
								} else {
									waits = waits || n == 0
								}
								continue
							}
							p.eachSample(source, unit, func(sample int64) {
								if reached.Done(source, sample) {
									repeats = repeats || n > 0
								} else {
									waits = waits || n == 0
								}
							})
						}
						if waits && repeats {
							t.Fatalf("step %d: source %d serves again what the earlier run's pass had, while others wait", at, source)
						}
					}
				}
			}
		}
		var want Carry
		for source, s := range next.Sources {
			if byUnits {
				now := map[int64]bool{} // admitted by the plan: served or not
				for _, u := range p.units[source] {
					for k := range u.order.Len() {
						unit := u.order.At(k)
						now[unit] = again[int64(source)<<SourceShift|unit] > 0
						if now[unit] && !states[source].isDone(unit) && !states[source].waits(unit) {
							want.New++
						}
					}
				}
				for _, unit := range states[source].done {
					want.Served++
					if now[unit] {
						want.Again++
					}
				}
				for _, unit := range states[source].waiting {
					want.Waiting++
					switch served, admitted := now[unit]; {
					case served:
						want.First++
					case admitted:
						want.Unreached++
					default:
						want.Dropped++
					}
				}
				continue
			}
			admitted := map[int64]bool{}
			for _, u := range p.units[source] {
				for k := range u.order.Len() {
					p.eachSample(source, u.order.At(k), func(sample int64) { admitted[sample] = true })
				}
			}
			for id := range s.Samples {
				now := servedAgain[source][id]
				switch {
				case reached.Done(source, id):
					want.Served++
					if now {
						want.Again++
					}
				case reached.Admitted(source, id):
					want.Waiting++
					switch {
					case now:
						want.First++
					case admitted[id]:
						want.Unreached++
					default:
						want.Dropped++
					}
				case now:
					want.New++
				}
			}
		}
		if got := p.Carry(reached.Admitted, reached.Done); got != want {
			t.Fatalf("it says %+v, and does %+v", got, want)
		}
	})
}
