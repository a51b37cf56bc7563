package metric

import (
	"fmt"
	"math/bits"

	"github.com/gradus-ml/gradus/internal/fault"
)

// maxRepetition bounds the n of Repetition: n-grams of equal hash are compared
// token by token.
const maxRepetition = 64

// Repetition returns the metric "repetition", seq-rep-n of Welleck et al.,
// "Neural text generation with unlikelihood training" (ICLR 2020), §6: the
// share of a sample's n-grams that repeat an earlier one,
//
//	1 - (distinct n-grams) / (n-grams),
//
// 0 for a sample shorter than n. Larger is easier. The count is exact. It takes
// time in proportion to the sample, and 8 to 16 bytes for each of its tokens.
//
// n is 1 to 64, or 0 for the default of 4; another is an error of kind
// fault.Invalid.
func Repetition(n int) (Metric, error) {
	info := repetitionInfo
	if n == 0 {
		n = 4
	} else {
		info.Spec = fmt.Sprintf("%s:n=%d", info.Spec, n)
	}
	if n < 1 || n > maxRepetition {
		return nil, fault.Invalidf("n=%d: n-grams of 1 to %d tokens can be counted", n, maxRepetition)
	}
	return repetition{info, n}, nil
}

var repetitionInfo = Info{
	Name:       "repetition",
	Spec:       "repetition",
	Version:    1,
	Unit:       "repeated n-grams an n-gram",
	Kind:       Real,
	Descending: true,
	Summary:    "share of n-grams that repeat an earlier one (seq-rep-n of Welleck et al. 2020)",
}

func repetitionDefinition() Definition {
	return Definition{
		Name:    repetitionInfo.Name,
		Summary: repetitionInfo.Summary,
		Keys:    []Key{{"n", "tokens of an n-gram, 1 to 64, default 4"}},
		Make: func(args *Args) (Metric, error) {
			return repetition{args.Info(repetitionInfo), args.Int("n", 4, 1, maxRepetition)}, nil
		},
	}
}

type repetition struct {
	info Info
	n    int
}

func (r repetition) Info() Info { return r.info }

func (repetition) Statistics() []Statistic { return nil }

func (r repetition) Scorer(Source) (Scorer, error) {
	s := &repetitionScorer{n: r.n, first: 1}
	for range r.n - 1 {
		s.first *= ngramBase
	}
	return s, nil
}

// ngramBase is the base of the rolling hash, an odd number of random bits.
const ngramBase = 0x9fb21c651e98df25

type repetitionScorer struct {
	n     int
	first uint64  // what the term of an n-gram's first token is multiplied by
	table []int32 // 1 + where an n-gram begins, 0 if free
}

func (r *repetitionScorer) Score(values []float64, samples []Sample) error {
	for i, s := range samples {
		if values[i] = 0; len(s.Tokens) >= r.n {
			total := len(s.Tokens) - r.n + 1
			values[i] = float64(total-r.distinct(s.Tokens, total)) / float64(total)
		}
	}
	return nil
}

// distinct counts the distinct ones of the n-grams of tokens, of which there
// are total. Each looks for its place in a table that is at most half full, by
// a polynomial hash that takes one step a token; a place taken by another
// n-gram is told by its tokens, and the next place is tried.
func (r *repetitionScorer) distinct(tokens []int32, total int) int {
	logSize := bits.Len(uint(2*total - 1))
	if len(r.table) < 1<<logSize {
		r.table = make([]int32, 1<<logSize)
	}
	table := r.table[:1<<logSize]
	clear(table)
	var hash uint64
	for _, t := range tokens[:r.n-1] {
		hash = hash*ngramBase + term(t)
	}
	distinct := 0
	for i := range total {
		hash = hash*ngramBase + term(tokens[i+r.n-1])
		// The product with the golden ratio spreads the low bits to the top.
		place := hash * 0x9e3779b97f4a7c15 >> (64 - logSize)
		for ; ; place = (place + 1) & uint64(len(table)-1) {
			if table[place] == 0 {
				table[place] = int32(i + 1)
				distinct++
				break
			}
			if same(tokens[table[place]-1:], tokens[i:], r.n) {
				break
			}
		}
		hash -= term(tokens[i]) * r.first
	}
	return distinct
}

// term is what a token adds to a hash: not 0 for any.
func term(token int32) uint64 { return uint64(uint32(token)) + 1 }

// same reports whether the first n tokens of a and b are the same.
func same(a, b []int32, n int) bool {
	for i, t := range a[:n] {
		if b[i] != t {
			return false
		}
	}
	return true
}
