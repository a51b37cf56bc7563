package metric

// Length returns the metric "length": the number of tokens of the sample, N+1
// for every window of N. It is the curriculum metric seqlen of arXiv
// 2212.03597, §3.1, without padding, which a corpus does not have.
func Length() Metric { return length{} }

type length struct{}

func (length) Info() Info {
	return Info{
		Name:    "length",
		Version: 1,
		Unit:    "tokens",
		Kind:    Whole,
		Summary: "number of tokens (seqlen of arXiv 2212.03597, §3.1)",
	}
}

func (length) Statistics() []Statistic { return nil }

func (length) Scorer(Source) (Scorer, error) {
	return ScorerFunc(func(s Sample) (float64, error) { return float64(len(s.Tokens)), nil }), nil
}
