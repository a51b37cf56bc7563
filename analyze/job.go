package analyze

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/gradus-ml/gradus/corpus"
	"github.com/gradus-ml/gradus/index"
	"github.com/gradus-ml/gradus/internal/fault"
	"github.com/gradus-ml/gradus/metric"
	"github.com/gradus-ml/gradus/tokenizer"
)

// Job is an analysis to be made: samples, metrics, and the passes they need. But
// for Extend it does not change, and may be used from any number of goroutines.
type Job struct {
	samples   *corpus.Samples
	tokenizer func() tokenizer.Tokenizer // once; nil if unknown
	nodes     []node                     // inputs before what is derived from them
	columns   []int                      // nodes the index lists, in its order
	passes    []plan
	base      base
}

// node is a metric that is measured, for the index or for another one.
type node struct {
	metric metric.Metric
	info   metric.Info
	needs  []string // statistics, those of its inputs included
	inputs []int    // nodes
	pass   int
	from   int64 // first sample to score: those before are in the base
}

// plan is what one pass does.
type plan struct {
	statistics []metric.Statistic // empty ones, by name
	nodes      []int
}

// NewJob plans the measuring of samples by metrics. A metric that is asked for
// twice, or needs itself, is an error of kind fault.Invalid.
func NewJob(s *corpus.Samples, metrics []metric.Metric) (*Job, error) {
	if len(metrics) == 0 {
		return nil, fault.Invalidf("nothing to measure: name a metric")
	}
	j := &Job{samples: s}
	j.tokenizer = sync.OnceValue(func() tokenizer.Tokenizer {
		m := s.Corpus().Meta()
		if m.Tokenizer == "" {
			return nil
		}
		t, err := tokenizer.OfCorpus(s.Corpus().Paths(), m.Tokenizer, m.EndOfDocument)
		if err != nil { // which matters to metrics that decode, and they say so
			return nil
		}
		return t
	})
	levels := map[string]int{}
	statistics := map[string]metric.Statistic{}
	for _, m := range metrics {
		i, err := j.add(m, statistics, levels, nil)
		if err != nil {
			return nil, err
		}
		if slices.Contains(j.columns, i) {
			return nil, fault.Invalidf("metric %s is asked for twice", m.Info().Name)
		}
		j.columns = append(j.columns, i)
	}
	// A derived metric and what it needs are measured in the same pass, and so are
	// all that share an input.
	for moved := true; moved; {
		moved = false
		for k := range j.nodes {
			for _, i := range j.nodes[k].inputs {
				pass := max(j.nodes[k].pass, j.nodes[i].pass)
				moved = moved || j.nodes[k].pass != pass || j.nodes[i].pass != pass
				j.nodes[k].pass, j.nodes[i].pass = pass, pass
			}
		}
	}
	for _, n := range j.nodes {
		for len(j.passes) <= n.pass {
			j.passes = append(j.passes, plan{})
		}
	}
	for i, n := range j.nodes {
		j.passes[n.pass].nodes = append(j.passes[n.pass].nodes, i)
	}
	for _, name := range slices.Sorted(maps.Keys(statistics)) {
		p := &j.passes[levels[name]]
		p.statistics = append(p.statistics, statistics[name])
	}
	return j, nil
}

// add adds a metric and what it is derived from, once each.
func (j *Job) add(m metric.Metric, statistics map[string]metric.Statistic, levels map[string]int, above []string) (int, error) {
	info := m.Info()
	if slices.Contains(above, info.Name) {
		return 0, fault.Invalidf("metric %s is derived from itself (%s)", info.Name, strings.Join(above, " from "))
	}
	for i, n := range j.nodes {
		if n.info.Name == info.Name {
			if n.info != info {
				return 0, fault.Invalidf("two metrics are called %s: %s and %s; give one another name (NAME=METRIC)", info.Name, n.info.Spec, info.Spec)
			}
			return i, nil
		}
	}
	n := node{metric: m, info: info}
	for _, s := range m.Statistics() {
		level, err := addStatistic(s, statistics, levels, nil)
		if err != nil {
			return 0, fmt.Errorf("metric %s: %w", info.Name, err)
		}
		n.pass = max(n.pass, level+1)
		n.needs = append(n.needs, s.Name())
	}
	if d, ok := m.(metric.Derived); ok {
		for _, input := range d.Inputs() {
			i, err := j.add(input, statistics, levels, append(above, info.Name))
			if err != nil {
				return 0, err
			}
			n.inputs = append(n.inputs, i)
			n.pass = max(n.pass, j.nodes[i].pass)
			n.needs = append(n.needs, j.nodes[i].needs...)
		}
	}
	j.nodes = append(j.nodes, n)
	return len(j.nodes) - 1, nil
}

// addStatistic returns the pass in which a statistic is gathered: the one after
// those it needs.
func addStatistic(s metric.Statistic, statistics map[string]metric.Statistic, levels map[string]int, above []string) (int, error) {
	name := s.Name()
	if slices.Contains(above, name) {
		return 0, fault.Invalidf("statistic %s needs itself (%s)", name, strings.Join(above, " needs "))
	}
	if level, ok := levels[name]; ok {
		return level, nil
	}
	level := 0
	if d, ok := s.(metric.Dependent); ok {
		for _, need := range d.Needs() {
			l, err := addStatistic(need, statistics, levels, append(above, name))
			if err != nil {
				return 0, err
			}
			level = max(level, l+1)
		}
	}
	statistics[name], levels[name] = s, level
	return level, nil
}

// Samples returns what is measured.
func (j *Job) Samples() *corpus.Samples { return j.samples }

// Passes returns how many times the corpus is gone through.
func (j *Job) Passes() int { return len(j.passes) }

// Statistics returns empty statistics of those that a pass gathers, by name.
func (j *Job) Statistics(pass int) []metric.Statistic {
	var empty []metric.Statistic
	for _, s := range j.passes[pass].statistics {
		empty = append(empty, s.New())
	}
	return empty
}

// Metrics returns the columns of the index, without what is known only once
// they are filled.
func (j *Job) Metrics() []index.Metric {
	metrics := make([]index.Metric, len(j.columns))
	for i, n := range j.columns {
		metrics[i] = describe(j.nodes[n].info)
	}
	return metrics
}

func describe(info metric.Info) index.Metric {
	m := index.Metric{
		Name: info.Name, Spec: info.Spec, Content: info.Content, Version: info.Version, Unit: info.Unit,
		Descending: info.Descending, DType: index.Real,
	}
	if info.Kind == metric.Whole {
		m.DType = index.Whole
	}
	return m
}

// name says what a pass does, for people.
func (j *Job) name(pass int) string {
	name := "scores"
	switch p := j.passes[pass]; {
	case len(p.statistics) > 0 && len(p.nodes) > 0:
		name = "statistics and scores"
	case len(p.statistics) > 0:
		name = "statistics"
	}
	if len(j.passes) > 2 {
		name = fmt.Sprintf("%s (%d of %d)", name, pass+1, len(j.passes))
	}
	return name
}
