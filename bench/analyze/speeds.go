package main

// speeds turns the seconds of runs into units per second.
func speeds(units int64, seconds []float64) []float64 {
	s := make([]float64, len(seconds))
	for i := range seconds {
		s[i] = float64(units) / seconds[i]
	}
	return s
}
