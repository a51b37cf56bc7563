package measure

import "slices"

// Spread is the least, the median and the greatest of an odd number of runs.
type Spread struct {
	Min    float64 `json:"min"`
	Median float64 `json:"median"`
	Max    float64 `json:"max"`
	Runs   int     `json:"runs"`
}

// Of returns the spread of one or more values.
func Of(values []float64) Spread {
	v := slices.Sorted(slices.Values(values))
	return Spread{v[0], v[len(v)/2], v[len(v)-1], len(v)}
}

// Ratios divides round by round.
func Ratios(over, under []float64) Spread {
	var r []float64
	for i := range min(len(over), len(under)) {
		r = append(r, over[i]/under[i])
	}
	return Of(r)
}
