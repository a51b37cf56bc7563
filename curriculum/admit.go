package curriculum

import (
	"slices"
	"sort"

	"github.com/gradus-ml/gradus/internal/fault"
)

// valueBlock is how many values admit reads from a column at a time.
const valueBlock = 1 << 14

// admit fills order, pools and the stages' Pool: it finds for each sample the
// first difficulty at which all metrics let it in, and sorts by that.
func (p *Plan) admit() error {
	c := &p.config
	levels := p.levels()
	// thresholds[m][l] is the largest value of metric m admitted at level l; of
	// a descending metric, all values are negated.
	thresholds := make([][]float64, len(c.Admit))
	for m, a := range c.Admit {
		thresholds[m] = make([]float64, len(levels))
		for l, stage := range levels {
			d := p.stages[stage].Difficulty[m]
			if a.By == Percentile {
				if d <= 0 || d > 100 {
					return fault.Invalidf("%s: the pace gives the percentile %v; it must lie above 0 and at most at 100", a.Metric, d)
				}
				d = a.easy(a.Column.Quantile(d))
			}
			thresholds[m][l] = d
		}
	}

	// A counting sort: count the samples of each level, then place them.
	levelOf := make([]int32, c.Samples) // len(levels) where never admitted
	counts := make([]int64, len(levels)+1)
	values := make([]float64, valueBlock)
	for start := int64(0); start < c.Samples; start += valueBlock {
		block := levelOf[start:min(start+valueBlock, c.Samples)]
		for m, a := range c.Admit {
			a.Column.Values(values[:len(block)], start)
			for i := range block {
				level := int32(sort.SearchFloat64s(thresholds[m], a.easy(values[i])))
				block[i] = max(block[i], level)
			}
		}
		for i := range block {
			if c.Excluded != nil && c.Excluded(start+int64(i)) {
				block[i] = int32(len(levels))
			}
			counts[block[i]]++
		}
	}
	if counts[0] == 0 {
		return p.emptyStart(thresholds)
	}
	ends := make([]int64, len(levels))
	total := int64(0)
	for l := range levels {
		total += counts[l]
		ends[l] = total
	}
	p.order = make([]int64, total)
	next := append([]int64{0}, ends[:len(ends)-1]...)
	for id, l := range levelOf {
		if int(l) < len(levels) {
			p.order[next[l]] = int64(id)
			next[l]++
		}
	}
	for i := range p.stages {
		level := lastAtMost(len(levels), func(l int) int64 { return int64(levels[l]) }, int64(i))
		p.stages[i].Pool = ends[level]
	}
	p.pools = slices.Compact(ends)
	return nil
}

// easy turns a value so that smaller is easier.
func (a Admission) easy(v float64) float64 {
	if a.Descending {
		return -v
	}
	return v
}

// levels returns the first stage of each distinct difficulty.
func (p *Plan) levels() []int {
	var levels []int
	for i := range p.stages {
		if i == 0 || !slices.Equal(p.stages[i].Difficulty, p.stages[i-1].Difficulty) {
			levels = append(levels, i)
		}
	}
	return levels
}

// emptyStart explains why no sample is admitted at the first step.
func (p *Plan) emptyStart(thresholds [][]float64) error {
	for m, a := range p.config.Admit {
		if easiest := a.Column.Quantile(0); a.easy(easiest) > thresholds[m][0] {
			return fault.Invalidf("%s: the pace starts at %v and the easiest sample has %v, so the first batch would be empty; "+
				"raise 'from' to at least %v", a.Metric, p.stages[0].Difficulty[m], easiest, easiest)
		}
	}
	return fault.Invalidf("no sample is admitted by all metrics at the first step (or all that are, are held out); raise 'from' of a pace")
}
