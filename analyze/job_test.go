package analyze

import (
	"context"
	"encoding/binary"
	"errors"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gradus-ml/gradus/corpus"
	"github.com/gradus-ml/gradus/internal/fault"
	"github.com/gradus-ml/gradus/metric"
	"pgregory.net/rapid"
)

// above counts the tokens above the mean token, which is known only after a
// first pass: a statistic that depends on another one, and sees the token
// before.
type above struct {
	mean  float64
	count uint64
	rises uint64
}

func (*above) Name() string              { return "above-mean" }
func (a *above) New() metric.Statistic   { return &above{mean: a.mean} }
func (*above) Context() int              { return 1 }
func (*above) Needs() []metric.Statistic { return []metric.Statistic{new(metric.TokenCounts)} }
func (a *above) Merge(o metric.Statistic) error {
	a.count += o.(*above).count
	a.rises += o.(*above).rises
	return nil
}

func (a *above) Bind(gathered map[string]metric.Statistic) error {
	counts := gathered["token-counts"].(*metric.TokenCounts)
	sum := 0.0
	for token, n := range counts.All() {
		sum += float64(token) * float64(n)
	}
	a.mean = sum / float64(max(counts.Total(), 1))
	return nil
}

func (a *above) Add(context, tokens []int32) error {
	for i, t := range tokens {
		if float64(t) > a.mean {
			a.count++
		}
		before := int32(math.MaxInt32)
		if i > 0 {
			before = tokens[i-1]
		} else if len(context) > 0 {
			before = context[len(context)-1]
		}
		if t > before {
			a.rises++
		}
	}
	return nil
}

func (a *above) MarshalBinary() ([]byte, error) {
	return binary.AppendUvarint(binary.AppendUvarint(nil, a.count), a.rises), nil
}

func (a *above) UnmarshalBinary(data []byte) error {
	var n, m int
	a.count, n = binary.Uvarint(data)
	if n > 0 {
		a.rises, m = binary.Uvarint(data[n:])
	}
	if n <= 0 || m <= 0 {
		return fault.Corruptf("above")
	}
	return nil
}

// late is a metric of the third pass: the sample's first token, plus what was
// gathered.
type late struct{}

func (late) Info() metric.Info              { return metric.Info{Name: "late", Version: 1, Unit: "points"} }
func (late) Statistics() []metric.Statistic { return []metric.Statistic{new(above)} }
func (late) Scorer(source metric.Source) (metric.Scorer, error) {
	a := source.Statistics["above-mean"].(*above)
	return metric.ScorerFunc(func(s metric.Sample) (float64, error) {
		if len(s.Tokens) == 0 {
			return 0, nil
		}
		return float64(s.Tokens[0]) + float64(a.count) + 1000*float64(a.rises), nil
	}), nil
}

// sum is a metric made of others.
type sum struct {
	name   string
	inputs []metric.Metric
}

func (s sum) Info() metric.Info {
	return metric.Info{Name: s.name, Version: 1, Unit: "sum", Blind: true}
}
func (s sum) Inputs() []metric.Metric        { return s.inputs }
func (s sum) Statistics() []metric.Statistic { return nil }
func (s sum) Scorer(metric.Source) (metric.Scorer, error) {
	return metric.ScorerFunc(func(x metric.Sample) (float64, error) {
		if x.Tokens != nil || len(x.Inputs) != len(s.inputs) {
			return 0, errors.New("a blind metric sees its inputs and no tokens")
		}
		total := 0.0
		for _, v := range x.Inputs {
			total += v
		}
		return total, nil
	}), nil
}

// Metrics of several passes, and made of each other, listed or not, are what
// their definitions say.
func TestPasses(t *testing.T) {
	base := t.TempDir()
	rapid.Check(t, func(t *rapid.T) {
		documents := rapid.SliceOfN(rapid.SliceOfN(rapid.Int32Range(0, 9), 0, 9), 1, 30).Draw(t, "documents")
		write(t, filepath.Join(base, "c"), 0, documents...)
		s := open(t, filepath.Join(base, "c"), corpus.Cut{Documents: true})
		defer s.Corpus().Close()
		both := sum{"both", []metric.Metric{metric.Length(), metric.Rarity()}}
		metrics := []metric.Metric{sum{"all", []metric.Metric{both, late{}, both}}, metric.Rarity(), metric.Length(), sum{"double", []metric.Metric{metric.Length()}}}
		metrics = metrics[:rapid.IntRange(1, 4).Draw(t, "metrics")]
		if rapid.Bool().Draw(t, "backwards") {
			slices.Reverse(metrics)
			metrics = append(metrics[:len(metrics)-1:len(metrics)-1], sum{"all", []metric.Metric{both, late{}, both}})
		}
		o := Options{Workers: rapid.IntRange(1, 3).Draw(t, "workers"), BlockTokens: rapid.IntRange(1, 40).Draw(t, "block"), Force: true}
		result, err := Run(context.Background(), s, metrics, filepath.Join(base, "x"), o)
		if err != nil {
			t.Fatal(err)
		}
		if len(result.Passes) != 4 {
			t.Fatalf("%+v", result.Passes)
		}
		all := slices.Concat(documents...)
		length, rarity := naive(documents, 0, corpus.Cut{Documents: true})
		total := 0.0
		for _, x := range all {
			total += float64(x)
		}
		gathered := 0.0
		for i, x := range all {
			if float64(x) > total/float64(len(all)) {
				gathered++
			}
			if i > 0 && x > all[i-1] {
				gathered += 1000
			}
		}
		got := values(t, filepath.Join(base, "x"))
		if len(got) != len(metrics) {
			t.Fatalf("%d columns", len(got))
		}
		for id, d := range documents {
			want := 2 * (length[id] + rarity[id])
			if len(d) > 0 {
				want += float64(d[0]) + gathered
			}
			if double, ok := got["double"]; ok && double[id] != length[id] {
				t.Fatalf("document %d: double %v", id, double[id])
			}
			if math.Abs(got["all"][id]-want) > 1e-9*(1+want) {
				t.Fatalf("document %d: %v, want %v", id, got["all"][id], want)
			}
		}
	})
}

type needsItself struct{ above }

func (n *needsItself) Name() string              { return "itself" }
func (n *needsItself) New() metric.Statistic     { return n }
func (n *needsItself) Needs() []metric.Statistic { return []metric.Statistic{n} }

type impossible struct{ late }

func (impossible) Info() metric.Info              { return metric.Info{Name: "impossible", Version: 1} }
func (impossible) Statistics() []metric.Statistic { return []metric.Statistic{&needsItself{}} }

type other struct{ late }

func (other) Info() metric.Info { return metric.Info{Name: "length", Version: 7} }

func TestNewJobRefuses(t *testing.T) {
	base := t.TempDir()
	write(t, filepath.Join(base, "c"), 0, []int32{1, 2, 3})
	s := open(t, filepath.Join(base, "c"), corpus.Cut{Documents: true})
	defer s.Corpus().Close()
	circle := sum{name: "circle", inputs: make([]metric.Metric, 1)}
	circle.inputs[0] = circle
	for say, metrics := range map[string][]metric.Metric{
		"name a metric":                 nil,
		"length is asked for twice":     {metric.Length(), metric.Length()},
		"circle is derived from itself": {circle},
		"itself needs itself":           {impossible{}},
		"two metrics are called length": {sum{"s", []metric.Metric{other{}}}, metric.Length()},
	} {
		if _, err := NewJob(s, metrics); !errors.Is(err, fault.Invalid) || !strings.Contains(err.Error(), say) {
			t.Errorf("%v, want %s", err, say)
		}
	}
}
