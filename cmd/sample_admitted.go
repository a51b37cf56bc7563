package cmd

import (
	"fmt"
	"math"
	"slices"
	"sort"
	"strings"

	"github.com/gradus-ml/gradus/curriculum"
	"github.com/gradus-ml/gradus/index"
)

// A measure is one metric of a sample, and the bounds within which a step admits
// it.
type measure struct {
	Metric     string  `json:"metric"`
	Value      float64 `json:"value"`
	Percentile float64 `json:"percentile"` // of its nearest rank in the corpus, 100 the hardest
	Bounds     []bound `json:"bounds,omitempty"`
}

// A bound is why a step admits a sample: its value is at most Value, or at least.
type bound struct {
	Relation string  `json:"relation"` // <= or >=
	Value    float64 `json:"value"`
	By       string  `json:"by"` // what says so
}

func (m measure) String() string {
	s := fmt.Sprintf("%s %s (percentile %s)", m.Metric, short(m.Value), trimmed(m.Percentile))
	for _, b := range m.Bounds {
		s += fmt.Sprintf(", %s %s: %s", b.Relation, short(b.Value), b.By)
	}
	return s
}

// trimmed writes a percentile with at most two digits behind the point.
func trimmed(v float64) string {
	return strings.TrimSuffix(strings.TrimRight(fmt.Sprintf("%.2f", v), "0"), ".")
}

// A limit is the bounds of one metric of one source at one step.
type limit struct {
	metric string
	bounds []bound
}

// admittedAt sets the limits of a step.
func (s *shower) admittedAt(step int64) error {
	stage := s.bound.Plan.Stages()[s.bound.Plan.StageAt(step)]
	s.limits = make([][]limit, len(s.bound.Sources))
	for i := range s.bound.Sources {
		for m, name := range s.bound.Metrics() {
			column, err := s.bound.Sources[i].Index.Column(name)
			if err != nil {
				return err
			}
			floor := 0.0
			if stage.Floor != nil {
				floor = stage.Floor[m]
			}
			s.limits[i] = append(s.limits[i], limit{name, s.bounds(m, column, stage.Difficulty[m], floor)})
		}
	}
	return nil
}

// bounds returns what a metric admits at a difficulty and above a floor: the
// rules of curriculum, in words.
func (s *shower) bounds(m int, c *index.Column, difficulty, floor float64) []bound {
	a := admission(s.bound.Recipe, m)
	if s.bound.Recipe.Control == string(curriculum.Random) {
		return nil
	}
	byValue := a.By == string(curriculum.Value)
	upper, lower := "<=", ">="
	if c.Metric().Descending {
		upper, lower = lower, upper
	}
	said := func(what string, at float64) string {
		if byValue {
			return fmt.Sprintf("the %s's value", what)
		}
		return fmt.Sprintf("the %s at percentile %g", what, at)
	}
	threshold := func(at float64) float64 {
		if byValue {
			return at
		}
		return c.Quantile(at)
	}
	reversed := s.bound.Recipe.Control == string(curriculum.Reverse)
	var list []bound
	top := bound{upper, threshold(difficulty), said("pace", difficulty)}
	if reversed {
		admitted := countUpTo(c, top.Value)
		top = bound{lower, c.Ranked(c.Len() - max(admitted, 1)), fmt.Sprintf("the hardest %d, as many as %s admits", admitted, top.By)}
	}
	list = append(list, top)
	if a.Floor == nil || !byValue && floor <= 0 {
		return list
	}
	bottom := bound{lower, threshold(floor), said("floor", floor)}
	if reversed {
		dropped := countBelow(c, bottom.Value)
		if dropped == 0 || dropped == c.Len() {
			return list
		}
		bottom = bound{upper, c.Ranked(c.Len() - 1 - dropped), fmt.Sprintf("without the hardest %d, as many as %s drops", dropped, bottom.By)}
	}
	return append(list, bottom)
}

// countUpTo returns how many samples are at most as hard as a value.
func countUpTo(c *index.Column, value float64) int64 {
	sign := easySign(c)
	return int64(sort.Search(int(c.Len()), func(i int) bool { return sign*c.Ranked(int64(i)) > sign*value }))
}

// countBelow returns how many samples are easier than a value.
func countBelow(c *index.Column, value float64) int64 {
	sign := easySign(c)
	return int64(sort.Search(int(c.Len()), func(i int) bool { return sign*c.Ranked(int64(i)) >= sign*value }))
}

// easySign is what makes larger values harder.
func easySign(c *index.Column) float64 {
	if c.Metric().Descending {
		return -1
	}
	return 1
}

// measures returns every metric of the index for a sample; those that admit it
// first.
func (s *shower) measures(source int, sample int64) ([]measure, error) {
	from := &s.bound.Sources[source]
	if from.Index == nil {
		return nil, nil
	}
	var list []measure
	add := func(name string, bounds []bound) error {
		c, err := from.Index.Column(name)
		if err != nil {
			return err
		}
		value := c.Value(sample)
		rank := countBelow(c, value) + 1
		list = append(list, measure{name, value, 100 * float64(rank) / float64(max(c.Len(), 1)), bounds})
		return nil
	}
	var admitting []string
	for m, name := range s.bound.Metrics() {
		var bounds []bound
		if s.limits != nil {
			bounds = s.limits[source][m].bounds
		}
		admitting = append(admitting, name)
		if err := add(name, finiteBounds(bounds)); err != nil {
			return nil, err
		}
	}
	for _, name := range from.Index.Metrics() {
		if !slices.Contains(admitting, name) {
			if err := add(name, nil); err != nil {
				return nil, err
			}
		}
	}
	return list, nil
}

// finiteBounds leaves out bounds that hold for every value: JSON has no infinity.
func finiteBounds(bounds []bound) []bound {
	return slices.DeleteFunc(slices.Clone(bounds), func(b bound) bool { return math.IsInf(b.Value, 0) })
}
