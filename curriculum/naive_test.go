package curriculum

import (
	"fmt"
	"iter"
	"math"
	"slices"
	"sort"
	"strings"

	"github.com/gradus-ml/gradus/internal/keyed"
	"github.com/gradus-ml/gradus/pace"
	"pgregory.net/rapid"
)

// column is an index column in memory.
type column struct {
	values []float64
	sorted []float64 // from the easiest on
	sign   float64
}

func newColumn(sign float64, values ...float64) column {
	c := column{values, slices.Clone(values), sign}
	sort.Slice(c.sorted, func(i, j int) bool { return sign*c.sorted[i] < sign*c.sorted[j] })
	return c
}

func (c column) Len() int64                        { return int64(len(c.values)) }
func (c column) Values(dst []float64, start int64) { copy(dst, c.values[start:]) }
func (c column) Ranked(rank int64) float64         { return c.sorted[rank] }

func (c column) Quantile(percent float64) float64 {
	rank := int(math.Ceil(percent*float64(len(c.values))/100)) - 1
	return c.sorted[min(max(rank, 0), len(c.values)-1)]
}

func randomValues(seed uint64, n, distinct int) []float64 {
	s := keyed.NewKey(seed, "column").Stream()
	c := make([]float64, n)
	for i := range c {
		c[i] = float64(s.Uint64N(uint64(distinct)))
	}
	return c
}

// halves is an arrangement of three buckets: a sample becomes one unit in the
// bucket of its id, and every fifth two more in the first; every seventh none.
type halves []int

func (h halves) Lengths() []int { return h }

func (h halves) Arrange(samples iter.Seq[int64], emit func(bucket int, unit int64, inputs int)) (int64, error) {
	discarded := int64(0)
	for id := range samples {
		if id%7 == 6 {
			discarded += 3
			continue
		}
		emit(int(id)%len(h), 4*id, h[int(id)%len(h)]-1)
		if id%5 == 0 {
			emit(0, 4*id+1, h[0])
			emit(0, 4*id+2, 1)
		}
	}
	return discarded, nil
}

func (h halves) Finish() error { return nil }

func (h halves) Samples(dst []int64, unit int64) []int64 { return append(dst, unit/4) }

func mustPace(t fataler, r pace.Root) pace.Pace {
	p, err := pace.NewRoot(r)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

type fataler interface{ Fatal(args ...any) }

// drawConfig draws a configuration: 1 to 3 sources, 0 to 4 metrics with and
// without floors, 1 to some hundred stages, pools smaller and larger than a batch,
// one bucket or three.
func drawConfig(t *rapid.T) Config {
	steps := rapid.IntRange(1, 120).Draw(t, "steps")
	if rapid.IntRange(0, 9).Draw(t, "long") == 0 {
		steps = 400
	}
	c := Config{
		Seed:    rapid.Uint64().Draw(t, "seed"),
		Buckets: []Bucket{{Length: 64, Units: rapid.IntRange(1, 40).Draw(t, "batch")}},
		Layers:  4, Routed: 2, Clock: Steps, Budget: float64(steps), Shapes: 1000,
		Control: rapid.SampledFrom([]Control{"", "", "", Reverse, Random}).Draw(t, "control"),
	}
	var units Arranger
	if rapid.IntRange(0, 2).Draw(t, "arranged") == 0 {
		units = halves{16, 32, 64}
		c.Buckets = []Bucket{{16, 8}, {32, 4}, {64, rapid.IntRange(1, 5).Draw(t, "longest")}}
		c.Clock = rapid.SampledFrom([]Clock{Steps, Tokens, LayerTokens}).Draw(t, "clock")
		if c.Clock != Steps {
			c.Budget *= 128
		}
		if rapid.Bool().Draw(t, "lengths") {
			c.Length.Pace = mustPace(t, pace.Root{From: 16, To: 64, Step: 16, Until: c.Budget / 2, Degree: 1})
		}
	}
	drawRamp(t, &c)
	for i := range rapid.IntRange(1, 3).Draw(t, "sources") {
		s := Source{Name: fmt.Sprint("s", i), Samples: rapid.Int64Range(1, 400).Draw(t, "samples"), Units: units}
		if rapid.Bool().Draw(t, "hold out") {
			s.Excluded = func(id int64) bool { return id%7 == 3 }
		}
		switch rapid.IntRange(0, 2).Draw(t, "weight") {
		case 0:
			s.Weight.Pace = pace.Constant(0.3)
		case 1:
			s.Weight.Pace = mustPace(t, pace.Root{From: 1, To: 9, Step: 2, Until: c.Budget, Degree: 1})
		}
		c.Sources = append(c.Sources, s)
	}
	for m := range rapid.IntRange(0, 4).Draw(t, "metrics") {
		a := Admission{Metric: fmt.Sprint("m", m), By: Value}
		distinct := rapid.IntRange(1, 500).Draw(t, "distinct")
		sign := 1.0
		from, to := 1.0, 100.0
		if rapid.Bool().Draw(t, "percentile") {
			a.By = Percentile
			if a.Descending = rapid.Bool().Draw(t, "descending"); a.Descending {
				sign = -1
			}
		} else {
			from, to = float64(distinct/2), float64(distinct)
		}
		until := rapid.Float64Range(1, 2*c.Budget).Draw(t, "until")
		a.Pace.Pace = mustPace(t, pace.Root{From: from, To: to, Step: 1, Until: until, Degree: 1})
		if rapid.IntRange(0, 3).Draw(t, "floor") == 0 {
			a.Floor.Pace = mustPace(t, pace.Root{From: 0, To: math.Floor(from / 2), Step: 1, Until: until, Degree: 2})
		}
		for i := range c.Sources {
			c.Sources[i].Columns = append(c.Sources[i].Columns,
				newColumn(sign, randomValues(c.Seed+uint64(10*m+i), int(c.Sources[i].Samples), distinct)...))
		}
		c.Admit = append(c.Admit, a)
	}
	return c
}

// compile compiles a drawn configuration; one that admits nothing is skipped.
func compile(t *rapid.T, c Config) *Plan {
	p, err := Compile(t.Context(), c)
	if err != nil {
		for _, says := range []string{"would be empty", "is admitted"} {
			if strings.Contains(err.Error(), says) {
				t.Skip(err.Error())
			}
		}
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	return p
}

// admitted is the pool of a source by brute force: every metric at most its
// ceiling and at least its floor.
func admitted(c Config, source int, s Stage) map[int64]bool {
	pool := map[int64]bool{}
	for id := range c.Sources[source].Samples {
		ok := c.Sources[source].Excluded == nil || !c.Sources[source].Excluded(id)
		for m, a := range c.Admit {
			col := c.Sources[source].Columns[m].(column)
			ceiling, floor := s.Difficulty[m], math.Inf(-1)
			if a.Floor.Pace != nil {
				floor = s.Floor[m]
			}
			if a.By == Percentile {
				ceiling = col.sign * col.Quantile(ceiling)
				if floor > 0 {
					floor = col.sign * col.Quantile(floor)
				} else {
					floor = math.Inf(-1)
				}
			}
			v := col.sign * col.values[id]
			ok = ok && floor <= v && v <= ceiling
		}
		if ok {
			pool[id] = true
		}
	}
	return pool
}

// model is a sampler that keeps all state in memory: it walks through the run slot
// by slot and counts, where the Sampler computes.
type model struct {
	p       *Plan
	places  map[[2]int]int64 // slots of each (source, bucket)
	draws   map[[3]int]int64 // from each (source, bucket, segment)
	inPhase map[[2]int]int64 // slots of (source, bucket) in its phase
	pools   map[[2]int][]int // live segments of that phase
	lanes   map[[2]int]lane  // and its lane
}

func newModel(p *Plan) *model {
	return &model{p, map[[2]int]int64{}, map[[3]int]int64{}, map[[2]int]int64{}, map[[2]int][]int{}, map[[2]int]lane{}}
}

// run yields the batches of all steps.
func (m *model) run() (batches [][]int64) {
	for i := range m.p.stages {
		s := &m.p.stages[i]
		forms := make([]int64, len(s.Batches)) // places of each form so far
		for q := range s.Steps {
			k := part(s.cuts, s.lane.point(q))
			f := &s.Batches[k]
			bySource := make([][]int64, len(f.mix))
			for range unitsAt(&m.p.config, m.p.PositionAt(s.First+q), f.Bucket) {
				source := part(f.mixCuts, f.mixLane.point(forms[k]))
				forms[k]++
				bySource[source] = append(bySource[source], m.draw(s, source, f.Bucket))
			}
			ids := slices.Concat(bySource...)
			stream := m.p.key.Sub(shuffleKey).Sub(uint64(s.First + q)).Stream()
			for i := len(ids) - 1; i > 0; i-- {
				j := stream.Uint64N(uint64(i) + 1)
				ids[i], ids[j] = ids[j], ids[i]
			}
			batches = append(batches, ids)
		}
	}
	return batches
}

func (m *model) draw(s *Stage, source, bucket int) int64 {
	u, at := &m.p.units[source][bucket], [2]int{source, bucket}
	var live []int
	pool := int64(0)
	for j := range u.segments {
		if g := &u.segments[j]; g.Entry <= s.level && s.level < g.Exit {
			live = append(live, j)
			pool += g.High - g.Low
		}
	}
	if !slices.Equal(live, m.pools[at]) {
		m.pools[at], m.inPhase[at] = live, 0
		m.lanes[at] = newLane(m.p.key.Sub(poolLane).Sub(uint64(source)).Sub(uint64(bucket)).Sub(uint64(m.places[at])))
	}
	spot := place(m.lanes[at].point(m.inPhase[at]), pool)
	m.inPhase[at]++
	m.places[at]++
	for _, j := range live {
		g := &u.segments[j]
		size := g.High - g.Low
		if spot >= size {
			spot -= size
			continue
		}
		n := m.draws[[3]int{source, bucket, j}]
		m.draws[[3]int{source, bucket, j}]++
		pass, length := int64(0), g.Waiting
		for n >= length {
			n -= length
			pass, length = pass+1, size
		}
		order := m.p.key.Sub(dealKey).Sub(uint64(source)).Sub(uint64(bucket)).Sub(uint64(g.Entry)).Sub(uint64(g.Exit)).
			Sub(uint64(pass)).Permutation(uint64(length))
		return int64(source)<<SourceShift | u.order.At(g.Low+int64(order.At(uint64(n))))
	}
	panic("the place lies in no segment")
}

// rootOf is a linear pace of step 1.
func rootOf(from, to, until float64) pace.Root {
	return pace.Root{From: from, To: to, Step: 1, Until: until, Degree: 1}
}
