package batch

import (
	"math"

	"github.com/gradus-ml/gradus/internal/fault"
)

// RateFactor returns by what the learning rate is multiplied at a step of so many
// units, where the rate was chosen for a base of them. The method is
//
//	linear  units/base: a gradient that is the mean of k times as many samples
//	        may go k times as far (Goyal et al., arXiv 1706.02677, section 2.1)
//	sqrt    the square root of units/base: the step's noise keeps its size
//	        (Krizhevsky, arXiv 1404.5997, section 5)
//	none    1
//
// Another method, or a number below 1, is an error of kind fault.Invalid.
func RateFactor(method string, units, base int) (float64, error) {
	if units < 1 || base < 1 {
		return 0, fault.Invalidf("the learning rate of %d units by that of %d; both must be at least 1", units, base)
	}
	share := float64(units) / float64(base)
	switch method {
	case "linear":
		return share, nil
	case "sqrt":
		return math.Sqrt(share), nil
	case "none":
		return 1, nil
	}
	return 0, fault.Invalidf("unknown way %q to scale the learning rate by the batch; there are linear, sqrt and none", method)
}
