package analyze

import (
	"context"
	"fmt"
	"math"
	"slices"

	"github.com/gradus-ml/gradus/index"
	"github.com/gradus-ml/gradus/internal/fault"
	"github.com/gradus-ml/gradus/internal/keyed"
	"github.com/gradus-ml/gradus/metric"
)

// Prove measures a random share of the samples again and compares their values
// with those of an index of the same samples and metrics, bit for bit. The
// statistics are those the index keeps. It returns how many samples it has
// measured, at least one. A value that differs is an error of kind
// fault.Corrupt that names the sample; an index of other samples, or a metric
// that is not the one the index has, is fault.Mismatch.
func (j *Job) Prove(ctx context.Context, x *index.Index, share float64, seed uint64) (int64, error) {
	if !(share > 0 && share <= 1) {
		return 0, fault.Invalidf("a share of %v of the samples; it must be above 0 and at most 1", share)
	}
	if err := x.Matches(j.samples); err != nil {
		return 0, err
	}
	columns := make([]*index.Column, len(j.columns))
	for i, n := range j.columns {
		info := j.nodes[n].info
		column, err := x.Column(info.Name)
		if err != nil {
			return 0, err
		}
		was, is := column.Metric(), describe(info)
		if was.Spec != is.Spec || was.Version != is.Version || was.Content != is.Content {
			return 0, fault.Mismatchf("index %s: metric %s is %s version %d (%s), and would now be made as %s version %d (%s); analyze the corpus again", x.Path(), info.Name, was.Spec, was.Version, orNone(was.Content), is.Spec, is.Version, orNone(is.Content))
		}
		columns[i] = column
	}
	gathered := map[string]metric.Statistic{}
	for _, p := range j.passes {
		for _, s := range p.statistics {
			data, err := x.Statistic(s.Name())
			if err != nil {
				return 0, err
			}
			one := s.New()
			if d, ok := one.(metric.Dependent); ok {
				if err := d.Bind(gathered); err != nil {
					return 0, err
				}
			}
			if err := one.UnmarshalBinary(data); err != nil {
				return 0, fmt.Errorf("index %s: statistic %s: %w", x.Path(), s.Name(), err)
			}
			gathered[s.Name()] = one
		}
	}
	n := j.samples.Len()
	count := max(int64(math.Round(share*float64(n))), 1)
	shuffled := keyed.NewKey(seed, "prove").Permutation(uint64(n))
	ids := make([]int64, count)
	for i := range ids {
		ids[i] = int64(shuffled.At(uint64(i)))
	}
	slices.Sort(ids)
	for pass := range j.passes {
		if err := j.proveAll(ctx, pass, gathered, ids, columns, x.Path()); err != nil {
			return 0, err
		}
	}
	return count, nil
}

// proveAll compares the columns of one pass.
func (j *Job) proveAll(ctx context.Context, pass int, gathered map[string]metric.Statistic, ids []int64, columns []*index.Column, path string) error {
	m, err := j.Mapper(pass, gathered)
	if err != nil {
		return err
	}
	defer m.Close()
	m.statistics, m.plan.statistics, m.from, m.context = nil, nil, nil, 0
	for _, id := range ids {
		if err := ctx.Err(); err != nil {
			return err
		}
		scores, err := m.Map(Block{id, id + 1})
		if err != nil {
			return err
		}
		for i, values := range scores.Values {
			if values == nil {
				continue
			}
			if got, have := values[0]+0, columns[i].Value(id); got != have {
				return fault.Corruptf("index %s: metric %s: sample %d has the value %v, and %v when it is measured again; analyze the corpus again", path, columns[i].Metric().Name, id, have, got)
			}
		}
	}
	return m.Close()
}
