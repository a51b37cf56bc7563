package metric

// Length returns the metric "length": the number of tokens of the sample, N+1
// for every window of N. It is the curriculum metric seqlen of arXiv
// 2212.03597, §3.1; EffectiveLength leaves padding out.
func Length() Metric { return length{lengthInfo} }

var lengthInfo = Info{
	Name:    "length",
	Spec:    "length",
	Version: 1,
	Unit:    "tokens",
	Kind:    Whole,
	Blind:   true,
	Summary: "number of tokens (seqlen of arXiv 2212.03597, §3.1)",
}

type length struct{ info Info }

func (l length) Info() Info { return l.info }

func (length) Statistics() []Statistic { return nil }

func (l length) Scorer(Source) (Scorer, error) { return l, nil }

// Score makes length its own Scorer: it knows nothing but the samples.
func (length) Score(values []float64, samples []Sample) error {
	for i := range samples {
		values[i] = float64(samples[i].Len)
	}
	return nil
}
