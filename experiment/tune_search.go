package experiment

import (
	"maps"
	"math"
	"math/bits"
	"slices"
)

// firstSteady returns the first of n candidates that is steady, which all after it
// are thought to be too; n if none is. The candidates at both sides of the answer
// have been probed. It asks at most mostProbes(n) times.
func firstSteady(n int, steady func(i int) (bool, error)) (int, error) {
	from, to := 0, n // all before from are not steady, to and all after it are
	for from < to {
		middle := (from + to) / 2
		ok, err := steady(middle)
		if err != nil {
			return 0, err
		}
		if ok {
			to = middle
		} else {
			from = middle + 1
		}
	}
	return to, nil
}

// mostProbes is how often a bisection over n candidates asks at most: the logarithm
// of n+1 to the base 2, rounded up.
func mostProbes(n int) int { return bits.Len(uint(n)) }

// A rate search is over the rates r * 2^(k/2), for whole k: half octaves. It maps
// each k that was tried to its loss; one that diverged to +Inf.
type rateSearch map[int]float64

// next returns what to try next, and false when there is nothing: the best is
// bracketed and looked at closely, or most have been tried. It begins with an octave
// on both sides, goes on by octaves while the best is at an end, then tries half an
// octave on both sides of the best. With all, it goes on around the best until most
// have been tried, so that every arm of a study has the same effort.
func (s rateSearch) next(most int, all bool) (k int, ok bool) {
	if len(s) >= most {
		return 0, false
	}
	for _, k := range []int{0, -2, 2} {
		if _, tried := s[k]; !tried {
			return k, true
		}
	}
	best, tried := s.best(nil), slices.Sorted(maps.Keys(s))
	switch best {
	case tried[0]:
		return best - 2, true
	case tried[len(tried)-1]:
		return best + 2, true
	}
	for distance := 1; ; distance++ {
		for _, k := range []int{best - distance, best + distance} {
			if _, tried := s[k]; !tried {
				return k, true
			}
		}
		if !all {
			return 0, false
		}
	}
}

// best returns the smallest k whose loss is above the lowest one by its noise at most;
// nil: there is none.
func (s rateSearch) best(noise func(k, lowest int) float64) int {
	tried := slices.Sorted(maps.Keys(s))
	lowest := tried[0]
	for _, k := range tried {
		if s[k] < s[lowest] {
			lowest = k
		}
	}
	for _, k := range tried {
		if s[k] == s[lowest] || noise != nil && s[k] <= s[lowest]+noise(k, lowest) {
			return k
		}
	}
	return lowest
}

// atEnd reports whether nothing beyond k was tried on one of its sides.
func (s rateSearch) atEnd(k int) bool {
	tried := slices.Sorted(maps.Keys(s))
	return k == tried[0] || k == tried[len(tried)-1]
}

// rateAt returns the rate at k half octaves from another, to three digits.
func rateAt(rate float64, k int) float64 {
	if k == 0 {
		return rate
	}
	return rounded(rate * math.Pow(2, float64(k)/2))
}

// rounded returns a positive number to three digits.
func rounded(v float64) float64 {
	if !(v > 0) || math.IsInf(v, 1) {
		return v
	}
	unit := math.Pow(10, math.Floor(math.Log10(v))-2)
	if unit < 1 { // dividing by a whole number keeps 0.00283 what its digits say
		return math.Round(v/unit) / math.Round(1/unit)
	}
	return math.Round(v/unit) * unit
}
