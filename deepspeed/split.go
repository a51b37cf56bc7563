package deepspeed

import "math"

// Split returns the n+1 boundaries at which DeepSpeed's analyzer cuts the range
// [start, end) into n parts: part i is [b[i], b[i+1]), which may be empty. A
// boundary is the floor of start + i*(end-start)/n in float64, as NumPy's
// linspace has it. Samples are split over the workers, and a worker's range
// over its threads. n must be 1 or more.
func Split(start, end int64, n int) []int64 {
	step := float64(end-start) / float64(n)
	bounds := make([]int64, n+1)
	for i := range bounds {
		// The conversion keeps the product from being fused with the sum, which
		// rounds otherwise.
		bounds[i] = int64(math.Floor(float64(float64(i)*step) + float64(start)))
	}
	bounds[n] = end
	return bounds
}
