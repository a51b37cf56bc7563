package metric

import (
	"fmt"

	"github.com/gradus-ml/gradus/internal/fault"
)

// Diversity returns the metric "diversity": MTLD, the measure of textual lexical
// diversity of McCarthy and Jarvis (Behavior Research Methods 42, 2010), over
// tokens instead of words: the mean length of stretches of tokens that keep a
// type-token ratio (distinct tokens divided by tokens) above a threshold.
//
// In one direction, a stretch begins with one token and ends with the token at
// which its ratio reaches the threshold or falls below it; that is one factor,
// and the next stretch begins. What is left at the end, of ratio r, is a factor
// of (1-r)/(1-threshold). The tokens divided by the factors are the value of
// that direction, and the mean of both directions is that of the sample.
//
// A sample in which no token repeats has no factor, and the paper no value for
// it. Here it has the factor that it would have, at most 1, if the next token
// repeated one: of n tokens the value is n(n+1)(1-threshold), or n if that is
// more, and no other sample of n tokens has a larger one. It is 0 without
// tokens. A short sample has a small value: MTLD is held to be stable from 100
// tokens on.
//
// The threshold lies above 0 and below 1, or is 0 for the paper's 0.72; another
// is an error of kind fault.Invalid.
func Diversity(threshold float64) (Metric, error) {
	info := diversityInfo
	if threshold == 0 {
		threshold = diversityThreshold
	} else {
		info.Spec = fmt.Sprintf("%s:threshold=%v", info.Spec, threshold)
	}
	return newDiversity(info, threshold)
}

// diversityThreshold is that of McCarthy and Jarvis.
const diversityThreshold = 0.72

var diversityInfo = Info{
	Name:    "diversity",
	Spec:    "diversity",
	Version: 1,
	Unit:    "tokens",
	Kind:    Real,
	Summary: "mean length of stretches of diverse tokens (MTLD of McCarthy and Jarvis 2010)",
}

func diversityDefinition() Definition {
	return Definition{
		Name:    diversityInfo.Name,
		Summary: diversityInfo.Summary,
		Keys:    []Key{{"threshold", "type-token ratio that ends a stretch, above 0 and below 1, default 0.72"}},
		Make: func(args *Args) (Metric, error) {
			return newDiversity(args.Info(diversityInfo), args.Float("threshold", diversityThreshold, 0))
		},
	}
}

func newDiversity(info Info, threshold float64) (Metric, error) {
	if !(threshold > 0 && threshold < 1) {
		return nil, fault.Invalidf("threshold=%v: a type-token ratio above 0 and below 1 is needed", threshold)
	}
	return diversity{info, threshold}, nil
}

type diversity struct {
	info      Info
	threshold float64
}

func (d diversity) Info() Info { return d.info }

func (diversity) Statistics() []Statistic { return nil }

func (d diversity) Scorer(Source) (Scorer, error) {
	s := &diversityScorer{threshold: d.threshold}
	// A division here for each length instead of one for each token later. One
	// token more lets at most one type more end the stretch.
	for n := 1; n < len(s.ends); n++ {
		s.ends[n] = s.ends[n-1]
		if s.closes(int(s.ends[n])+1, n) {
			s.ends[n]++
		}
	}
	return s, nil
}

// diversityScorer tells the tokens of a stretch by the number of the stretch,
// so that nothing has to be cleared between two.
type diversityScorer struct {
	threshold float64
	ends      [1 << 10]int32   // by length of a stretch: most types at which it ends
	last      []uint32         // by token: the last stretch that had it
	odd       map[int32]uint32 // the same from denseTokens on
	stretch   uint32
}

// closes reports whether a stretch of n tokens ends with so many types.
func (d *diversityScorer) closes(types, n int) bool {
	return types <= n && float64(types)/float64(n) <= d.threshold
}

func (d *diversityScorer) Score(values []float64, samples []Sample) error {
	for i, s := range samples {
		d.fit(s.Tokens)
		values[i] = (d.mtld(s.Tokens, 0, 1) + d.mtld(s.Tokens, len(s.Tokens)-1, -1)) / 2
	}
	return nil
}

// fit makes the table as large as the tokens need, and leaves nothing of the
// sample before in the map, which otherwise grew with the corpus.
func (d *diversityScorer) fit(tokens []int32) {
	clear(d.odd)
	most := int32(-1)
	for _, t := range tokens {
		most = max(most, t)
	}
	if most = min(most, denseTokens-1); int(most) >= len(d.last) {
		size := 1 << 8
		for size <= int(most) {
			size *= 2
		}
		d.last = append(d.last, make([]uint32, size-len(d.last))...)
	}
}

// begin makes the next stretch the current one.
func (d *diversityScorer) begin() {
	if d.stretch++; d.stretch == 0 {
		clear(d.last)
		clear(d.odd)
		d.stretch = 1
	}
}

// mtld goes through the tokens from one end to the other.
func (d *diversityScorer) mtld(tokens []int32, at, step int) float64 {
	if len(tokens) == 0 {
		return 0
	}
	factors, types, n := 0, 0, 0
	d.begin()
	for range tokens {
		t := tokens[at]
		at += step
		n++
		if uint(t) < uint(len(d.last)) {
			one := 1 // set, not added: the compiler then makes no branch of it
			if d.last[t] == d.stretch {
				one = 0
			}
			types += one
			d.last[t] = d.stretch
		} else if d.oddType(t) {
			types++
		}
		if n < len(d.ends) && types > int(d.ends[n]) || n >= len(d.ends) && !d.closes(types, n) {
			continue
		}
		factors, types, n = factors+1, 0, 0
		d.begin()
	}
	if factors == 0 && types == n { // as if the next token repeated one
		n++
	}
	rest := 0.0
	if n > 0 {
		rest = min(1, (1-float64(types)/float64(n))/(1-d.threshold))
	}
	return float64(len(tokens)) / (float64(factors) + rest)
}

// oddType reports whether a token beyond the table is new in the stretch.
func (d *diversityScorer) oddType(t int32) bool {
	if d.odd == nil {
		d.odd = map[int32]uint32{}
	}
	isNew := d.odd[t] != d.stretch
	d.odd[t] = d.stretch
	return isNew
}
