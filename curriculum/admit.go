package curriculum

import (
	"context"
	"math"
	"runtime"
	"sort"
	"sync"

	"github.com/gradus-ml/gradus/internal/fault"
	"github.com/gradus-ml/gradus/internal/intarray"
	"github.com/gradus-ml/gradus/internal/keyed"
)

// valueBlock is how many values are read from a column at a time.
const valueBlock = 1 << 14

// A gate is one metric of one source: at which levels it lets a sample in, and
// drops it again.
type gate struct {
	column  Column
	easy    float64   // the metric's own sign: 1, or -1 where larger values are easier
	sign    float64   // of what comes first: easy, or the other under Reverse
	ceiling []float64 // largest sign*value admitted at each level; it never falls
	floor   []float64 // smallest; nil: none
	guide   guide     // to the ceilings
}

// gates returns the gates of a source at the plan's levels.
func (p *Plan) gates(source int) ([]gate, error) {
	var gates []gate
	for m, a := range p.config.Admit {
		g := gate{column: p.config.Sources[source].Columns[m], easy: 1}
		if a.Descending {
			g.easy = -1
		}
		g.sign = g.easy
		for _, l := range p.levels {
			t, err := g.threshold(&a, l.Difficulty[m])
			if err != nil {
				return nil, &PartError{admitPart(m, ".pace"), err}
			}
			g.ceiling = append(g.ceiling, t)
			if a.Floor.Pace == nil {
				continue
			}
			if t = math.Inf(-1); a.By == Value || l.Floor[m] > 0 {
				if t, err = g.threshold(&a, l.Floor[m]); err != nil {
					return nil, &PartError{admitPart(m, ".floor"), err}
				}
			}
			g.floor = append(g.floor, t)
		}
		if p.config.Control == Reverse {
			g.reverse()
		}
		g.guide = newGuide(g.ceiling)
		gates = append(gates, g)
	}
	return gates, nil
}

// threshold turns a difficulty into the sign*value that it stands for.
func (g *gate) threshold(a *Admission, d float64) (float64, error) {
	if a.By == Value {
		return g.sign * d, nil
	}
	if !(d > 0 && d <= 100) {
		return 0, fault.Invalidf("%s: the pace gives the percentile %v; it must lie above 0 and at most at 100", a.Metric, d)
	}
	return g.sign * g.column.Quantile(d), nil
}

// reverse turns the gate around: it admits as many samples, the hardest, and its
// floor drops as many, the hardest too.
func (g *gate) reverse() {
	n := g.column.Len()
	at := func(rank int64) float64 { return g.sign * g.column.Ranked(rank) }
	for l, t := range g.ceiling {
		admitted := int64(sort.Search(int(n), func(i int) bool { return at(int64(i)) > t }))
		g.ceiling[l] = math.Inf(-1)
		if admitted > 0 {
			g.ceiling[l] = -at(n - admitted)
		}
	}
	for l, t := range g.floor {
		dropped := int64(sort.Search(int(n), func(i int) bool { return at(int64(i)) >= t }))
		switch {
		case dropped == 0:
			g.floor[l] = math.Inf(-1)
		case dropped == n:
			g.floor[l] = math.Inf(1)
		default:
			g.floor[l] = -at(n - 1 - dropped)
		}
	}
	g.sign = -g.sign
}

// exit returns the first level whose floor drops a value; len(ceiling): none.
func (g *gate) exit(value float64) int {
	if g.floor == nil {
		return len(g.ceiling)
	}
	e := g.sign * value
	return sort.Search(len(g.floor), func(l int) bool { return g.floor[l] > e })
}

// Cells. Samples that enter and leave at the same levels, and that an earlier run
// left in the same state, form a cell: a number below cellSpace, or out.
//
//	cell = (entry * (levels+1) + exit) * 2 + done
//
// Without floors no sample leaves, and exit is left out of the number.
type cells struct {
	levels int
	floors bool
}

// maxCells bounds the counters that placing keeps, 8 bytes a cell and worker:
// 4 million levels without floors, 2,047 with them.
const maxCells = 1 << 23

func (c cells) space() int {
	if c.floors {
		return c.levels * (c.levels + 1) * 2
	}
	return c.levels * 2
}

// out is the cell of a sample that is never admitted, excluded of one held out.
func (c cells) out() int64      { return int64(c.space()) }
func (c cells) excluded() int64 { return int64(c.space()) + 1 }

func (c cells) number(entry, exit int) int64 {
	switch {
	case exit <= entry:
		return c.out()
	case c.floors:
		return int64(entry*(c.levels+1)+exit) * 2
	default:
		return int64(entry) * 2
	}
}

func (c cells) parts(cell int) (entry, exit int, done bool) {
	done = cell&1 != 0
	if c.floors {
		return cell / 2 / (c.levels + 1), cell / 2 % (c.levels + 1), done
	}
	return cell / 2, c.levels, done
}

// classify finds the cell of every sample of a source.
func (p *Plan) classify(ctx context.Context, source int, gates []gate, c cells) (*intarray.Writer, error) {
	s := &p.config.Sources[source]
	to, err := intarray.New("", 4, s.Samples)
	if err != nil {
		return nil, err
	}
	eachRange(s.Samples, func(_ int, start, end int64) {
		entry, exit := make([]int, valueBlock), make([]int, valueBlock)
		values := make([]float64, valueBlock)
		for ; start < end && ctx.Err() == nil; start += valueBlock {
			n := int(min(valueBlock, end-start))
			clear(entry)
			for i := range exit {
				exit[i] = c.levels
			}
			for m := range gates {
				g := &gates[m]
				g.column.Values(values[:n], start)
				for i, v := range values[:n] {
					entry[i] = max(entry[i], g.guide.find(g.sign*v))
					exit[i] = min(exit[i], g.exit(v))
				}
			}
			for i := range n {
				cell := c.number(entry[i], exit[i])
				if s.Excluded != nil && s.Excluded(start+int64(i)) {
					cell = excludedCell
				}
				to.Set(start+int64(i), cell)
			}
		}
	})
	if err := ctx.Err(); err != nil {
		to.Abort()
		return nil, err
	}
	if p.config.Control == Random {
		if err := p.shuffleCells(source, to); err != nil {
			to.Abort()
			return nil, err
		}
	}
	byUnits := p.config.reachedUnits(source)
	eachRange(s.Samples, func(_ int, start, end int64) {
		done := p.config.From != nil && p.config.From.Done != nil && byUnits == nil
		for id := start; id < end; id++ {
			switch cell := to.At(id); {
			case cell == excludedCell:
				to.Set(id, c.excluded())
			case done && cell != c.out() && p.config.From.Done(source, id):
				to.Set(id, cell+1)
			}
		}
	})
	return to, nil
}

// excludedCell marks held-out samples while cells are shuffled.
const excludedCell = math.MaxUint32

// shuffleCells gives every sample that may be served the cell of another.
func (p *Plan) shuffleCells(source int, to *intarray.Writer) error {
	var eligible int64
	for id := range to.Len() {
		if to.At(id) != excludedCell {
			eligible++
		}
	}
	all, err := intarray.New("", 4, eligible)
	if err != nil {
		return err
	}
	defer all.Abort()
	k := int64(0)
	for id := range to.Len() {
		if cell := to.At(id); cell != excludedCell {
			all.Set(k, cell)
			k++
		}
	}
	order := keyed.NewKey(p.config.Seed, "random control", Version).Sub(uint64(source)).Permutation(uint64(eligible))
	k = 0
	for id := range to.Len() {
		if to.At(id) != excludedCell {
			to.Set(id, all.At(int64(order.At(uint64(k)))))
			k++
		}
	}
	return nil
}

// eachRange splits [0, n) among the processors; results must not depend on how.
func eachRange(n int64, do func(worker int, start, end int64)) {
	workers := rangeWorkers(n)
	var wait sync.WaitGroup
	for w := range workers {
		wait.Go(func() {
			do(w, n*int64(w)/int64(workers), n*int64(w+1)/int64(workers))
		})
	}
	wait.Wait()
}

// rangeWorkers is the number of ranges that eachRange makes.
func rangeWorkers(n int64) int {
	return max(1, min(runtime.GOMAXPROCS(0), int(n/valueBlock)))
}
