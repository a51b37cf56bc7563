package curriculum

import (
	"context"
	"fmt"
	"iter"
	"path/filepath"

	"github.com/gradus-ml/gradus/internal/intarray"
)

// units are the units of one source in one bucket, in the order of the plan:
// cell by cell, so that what is admitted is a few runs of it.
type units struct {
	order    *intarray.Array
	segments []segment
}

// A segment is the units that enter and leave at the same levels.
type segment struct {
	Low     int64 `json:"low"` // its places in the order: [Low, High)
	High    int64 `json:"high"`
	Waiting int64 `json:"waiting"` // how many of them, the first, come before any other again
	Entry   int   `json:"entry"`   // the level at which it enters
	Exit    int   `json:"exit"`    // and leaves; the number of levels: never
	Inputs  int64 `json:"inputs"`  // of its units
	// Used is how many of them fit in the rows of each of Plan.uses.
	Used []int64 `json:"used,omitempty"`
}

func (s *segment) size() int64 { return s.High - s.Low }

// live reports whether the segment is admitted at a level.
func (s *segment) live(level int) bool { return s.Entry <= level && level < s.Exit }

// A sorted is a source's samples in the order of cells.
type sorted struct {
	order *intarray.Array
	runs  []run
	never [][10]int64 // samples that are never admitted, as run.deciles
}

// A run is the samples of one cell.
type run struct {
	Low   int64 `json:"low"` // its places in the order of samples: [Low, High)
	High  int64 `json:"high"`
	Entry int   `json:"entry"`
	Exit  int   `json:"exit"`
	Done  bool  `json:"done,omitempty"` // in the pass of the earlier run
	// Deciles counts the samples in each tenth of each metric's difficulty.
	Deciles [][10]int64 `json:"deciles,omitempty"`
}

// sort orders a source's samples by cell, and by id within one: a counting sort.
func (p *Plan) sort(ctx context.Context, source int, gates []gate) (*sorted, error) {
	c := cells{levels: len(p.levels)}
	for _, g := range gates {
		c.floors = c.floors || g.floor != nil
	}
	if c.space() > maxCells {
		return nil, invalid(admitPart(0, ""), "the paces make %d levels of difficulty, too many with a floor; raise 'step' of a pace", c.levels)
	}
	cell, err := p.classify(ctx, source, gates, c)
	if err != nil {
		return nil, err
	}
	defer cell.Abort()
	n := cell.Len()
	counts := make([][]int64, rangeWorkers(n))
	eachRange(n, func(w int, start, end int64) {
		counts[w] = make([]int64, c.space()+2)
		for id := start; id < end; id++ {
			counts[w][cell.At(id)]++
		}
	})
	// Where each range puts its samples of each cell.
	s := &sorted{}
	at := int64(0)
	runOf := make([]int32, c.space()+1)
	for k := range c.space() {
		low := at
		for w := range counts {
			at, counts[w][k] = at+counts[w][k], at
		}
		if at > low {
			entry, exit, done := c.parts(k)
			runOf[k] = int32(len(s.runs))
			s.runs = append(s.runs, run{Low: low, High: at, Entry: entry, Exit: exit, Done: done})
		}
	}
	runOf[c.out()] = int32(len(s.runs))
	path := ""
	if p.config.Sources[source].Units == nil {
		path = p.file("order", source, 0)
	}
	order, err := intarray.New(path, intarray.Width(n), at)
	if err != nil {
		return nil, err
	}
	defer order.Abort()
	tenths := make([]guide, len(gates))
	for m := range gates {
		tenths[m] = gates[m].tenths()
	}
	deciles := make([][][][10]int64, len(counts)) // of each worker and run; the last: never admitted
	eachRange(n, func(w int, start, end int64) {
		deciles[w] = make([][][10]int64, len(s.runs)+1)
		for r := range deciles[w] {
			deciles[w][r] = make([][10]int64, len(gates))
		}
		values := make([]float64, valueBlock)
		for ; start < end && ctx.Err() == nil; start += valueBlock {
			n := min(valueBlock, end-start)
			for m := range gates {
				gates[m].column.Values(values[:n], start)
				for i := range n {
					if k := cell.At(start + i); k != c.excluded() {
						deciles[w][runOf[k]][m][tenths[m].find(gates[m].easy*values[i])]++
					}
				}
			}
			for id := start; id < start+n; id++ {
				if k := cell.At(id); k < c.out() {
					order.Set(counts[w][k], id)
					counts[w][k]++
				}
			}
		}
	})
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	for r := range s.runs {
		s.runs[r].Deciles = sumDeciles(deciles, r, len(gates))
	}
	s.never = sumDeciles(deciles, len(s.runs), len(gates))
	s.order, err = order.Finish()
	return s, err
}

// sumDeciles adds up what the workers counted for one run.
func sumDeciles(counts [][][][10]int64, run, metrics int) [][10]int64 {
	sum := make([][10]int64, metrics)
	for w := range counts {
		for m := range sum {
			for d, x := range counts[w][run][m] {
				sum[m][d] += x
			}
		}
	}
	return sum
}

// tenths finds the tenth that an easy*value lies in: limits are the largest of each
// but the last.
func (g *gate) tenths() guide {
	limits := make([]float64, 9)
	for d := range limits {
		limits[d] = g.easy * g.column.Quantile(float64(10*(d+1)))
	}
	return newGuide(limits)
}

// ids yields the samples of a run.
func (s *sorted) ids(r run) iter.Seq[int64] {
	return func(yield func(int64) bool) {
		for at := r.Low; at < r.High; at++ {
			if !yield(s.order.At(at)) {
				return
			}
		}
	}
}

// arrange turns a source's samples into the units of its buckets.
func (p *Plan) arrange(ctx context.Context, source int, s *sorted) error {
	maker := p.config.Sources[source].Units
	if maker == nil {
		p.units[source] = []units{{order: s.order, segments: p.windows(s)}}
		return nil
	}
	defer s.order.Close()
	buckets := p.config.Buckets
	files := make([]*intarray.Appender, len(buckets))
	defer func() {
		for _, f := range files {
			if f != nil {
				f.Abort()
			}
		}
	}()
	for b := range buckets {
		var err error
		if files[b], err = intarray.Append(p.file("order", source, b), 8); err != nil {
			return err
		}
	}
	made := make([]units, len(buckets))
	earlier := p.config.reachedUnits(source)
	later := make([][]int64, len(buckets)) // of a segment: units that the earlier run's pass had
	var failed error
	for _, r := range s.runs {
		if err := ctx.Err(); err != nil {
			return err
		}
		starts := make([]int64, len(buckets))
		for b := range buckets {
			starts[b] = files[b].Len()
			joins := len(made[b].segments) > 0
			if joins {
				last := &made[b].segments[len(made[b].segments)-1]
				joins = r.Done && last.Entry == r.Entry && last.Exit == r.Exit
			}
			if !joins {
				made[b].segments = append(made[b].segments, segment{
					Low: starts[b], High: starts[b], Entry: r.Entry, Exit: r.Exit, Used: make([]int64, len(p.uses)),
				})
			}
		}
		discarded, err := maker.Arrange(s.ids(r), func(b int, unit int64, inputs int) {
			g := &made[b].segments[len(made[b].segments)-1]
			g.Inputs += int64(inputs)
			for u, most := range p.uses {
				g.Used[u] += int64(min(inputs, most))
			}
			if earlier != nil && earlier.isDone(unit) {
				later[b] = append(later[b], unit)
			} else if err := files[b].Append(unit); err != nil {
				failed = err
			}
		})
		if err == nil {
			err = failed
		}
		if err != nil {
			return err
		}
		p.discarded += discarded
		for b := range buckets {
			g := &made[b].segments[len(made[b].segments)-1]
			g.High = files[b].Len()
			if !r.Done {
				g.Waiting = g.size()
			}
			if err := files[b].Append(later[b]...); err != nil {
				return err
			}
			g.High, later[b] = files[b].Len(), later[b][:0]
			if g.Waiting == 0 {
				g.Waiting = g.size()
			}
			if g.size() == 0 {
				made[b].segments = made[b].segments[:len(made[b].segments)-1]
			}
		}
	}
	if err := maker.Finish(); err != nil {
		return err
	}
	p.units[source] = made // which closes what is opened, should a later one fail
	for b := range buckets {
		var err error
		if made[b].order, err = files[b].Finish(); err != nil {
			return err
		}
	}
	return nil
}

// windows returns the segments of samples that are units as they are.
func (p *Plan) windows(s *sorted) []segment {
	length := int64(p.config.Buckets[0].Length)
	var segments []segment
	for _, r := range s.runs {
		if n := len(segments); r.Done && n > 0 && segments[n-1].Entry == r.Entry && segments[n-1].Exit == r.Exit {
			segments[n-1].High = r.High
		} else {
			segments = append(segments, segment{Low: r.Low, High: r.High, Waiting: r.High - r.Low, Entry: r.Entry, Exit: r.Exit})
		}
	}
	for i := range segments {
		g := &segments[i]
		g.Inputs = g.size() * length
		for _, most := range p.uses {
			g.Used = append(g.Used, g.size()*min(length, int64(most)))
		}
	}
	return segments
}

// file names a file of the plan; empty: a temporary one.
func (p *Plan) file(what string, source, bucket int) string {
	if p.config.Dir == "" {
		return ""
	}
	return filepath.Join(p.config.Dir, fmt.Sprintf("%s-%d-%d.npy", what, source, bucket))
}
