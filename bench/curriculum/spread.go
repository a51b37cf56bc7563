package main

import "slices"

// Spread is the least, the median and the greatest of an odd number of runs.
type Spread struct {
	Min    float64 `json:"min"`
	Median float64 `json:"median"`
	Max    float64 `json:"max"`
	Runs   int     `json:"runs"`
}

func spread(values []float64) Spread {
	v := slices.Sorted(slices.Values(values))
	return Spread{v[0], v[len(v)/2], v[len(v)-1], len(v)}
}

// ratios divides round by round.
func ratios(over, under []float64) Spread {
	var r []float64
	for i := range min(len(over), len(under)) {
		r = append(r, over[i]/under[i])
	}
	return spread(r)
}
