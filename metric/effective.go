package metric

import (
	"fmt"
	"math"
)

// EffectiveLength returns the metric "effective-length": the number of tokens
// that are not padding.
//
// With pad at 0 or above, each token pad is padding, wherever it is. This is
// the metric seqlen of DeepSpeed's BERT recipe (arXiv 2212.03597, §3.1), which
// counts the non-zero places of the padding mask.
//
// With pad below 0, the token that ends documents in this corpus is padding
// where it follows itself directly: corpora padded with that token have runs of
// it, and the first of a run is the real one, which a model has to predict. In
// a corpus without such a token nothing is padding.
func EffectiveLength(pad int32) Metric {
	info := effectiveLengthInfo
	if pad >= 0 {
		info.Spec = fmt.Sprintf("%s:pad=%d", info.Spec, pad)
	}
	return effectiveLength{info, pad}
}

var effectiveLengthInfo = Info{
	Name:    "effective-length",
	Spec:    "effective-length",
	Version: 1,
	Unit:    "tokens",
	Kind:    Whole,
	Summary: "number of tokens that are not padding (seqlen for BERT, arXiv 2212.03597, §3.1)",
}

func effectiveLengthDefinition() Definition {
	return Definition{
		Name:    effectiveLengthInfo.Name,
		Summary: effectiveLengthInfo.Summary,
		Keys:    []Key{{"pad", "the token that pads; default: each end of document right after another"}},
		Make: func(args *Args) (Metric, error) {
			return effectiveLength{args.Info(effectiveLengthInfo), int32(args.Int("pad", -1, 0, math.MaxInt32))}, nil
		},
	}
}

type effectiveLength struct {
	info Info
	pad  int32
}

func (e effectiveLength) Info() Info { return e.info }

func (effectiveLength) Statistics() []Statistic { return nil }

func (e effectiveLength) Scorer(source Source) (Scorer, error) {
	if e.pad >= 0 {
		return ScorerFunc(func(s Sample) (float64, error) { return float64(s.Len - count(s.Tokens, e.pad)), nil }), nil
	}
	end := int32(source.Meta.EndOfDocument)
	return ScorerFunc(func(s Sample) (float64, error) { return float64(s.Len - countRepeats(s.Tokens, end)), nil }), nil
}

// count returns how many of the tokens are pad. Padding is rare or lies
// together, so that the branch costs little.
func count(tokens []int32, pad int32) int {
	n := 0
	for _, t := range tokens {
		if t == pad {
			n++
		}
	}
	return n
}

// countRepeats returns how many of the tokens are end and follow end directly.
func countRepeats(tokens []int32, end int32) int {
	n := 0
	for i, t := range tokens {
		if t == end && i > 0 && tokens[i-1] == end {
			n++
		}
	}
	return n
}
