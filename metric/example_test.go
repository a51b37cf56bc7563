package metric_test

import (
	"fmt"

	"github.com/gradus-ml/gradus/metric"
)

// variety is a metric of one's own: how many different tokens a sample has.
type variety struct{}

func (variety) Info() metric.Info {
	return metric.Info{Name: "variety", Version: 1, Unit: "distinct tokens", Kind: metric.Whole, Summary: "number of distinct tokens"}
}

func (variety) Statistics() []metric.Statistic { return nil }

func (variety) Scorer(metric.Source) (metric.Scorer, error) {
	return metric.ScorerFunc(func(s metric.Sample) (float64, error) {
		seen := map[int32]bool{}
		for _, t := range s.Tokens {
			seen[t] = true
		}
		return float64(len(seen)), nil
	}), nil
}

// A metric of one's own stands beside the built-in ones.
func ExampleMetric() {
	known := append(metric.Builtin(), metric.Definition{
		Name: "variety",
		Make: func(*metric.Args) (metric.Metric, error) { return variety{}, nil },
	})
	metrics, err := known.Parse("length", "variety")
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, m := range metrics {
		scorer, err := m.Scorer(metric.Source{})
		if err != nil {
			fmt.Println(err)
			return
		}
		values := make([]float64, 1)
		err = scorer.Score(values, []metric.Sample{{ID: 0, Len: 4, Tokens: []int32{7, 8, 7, 7}}})
		fmt.Println(values[0], m.Info().Unit, err)
	}
	// Output:
	// 4 tokens <nil>
	// 2 distinct tokens <nil>
}
