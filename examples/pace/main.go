// Command pace is gradus with one more kind of pace, logarithmic: fast at first,
// then ever slower (after arXiv 2012.03107). A recipe says
//
//	pace: {kind: logarithmic, from: 10, to: 100, step: 10, until: 80%, steepness: 5}
package main

import (
	"fmt"
	"math"

	"github.com/gradus-ml/gradus/cmd"
	"github.com/gradus-ml/gradus/pace"
)

func logarithmic(v pace.Values) (pace.Pace, error) {
	s := v.Number("steepness")
	if s <= 0 || s > 100 {
		return nil, fmt.Errorf("steepness is %v; it must be above 0 and at most 100", s)
	}
	return pace.NewCurve(v.Ramp(), func(share float64) float64 { return math.Log1p(math.Expm1(s)*share) / s })
}

func main() {
	steepness := pace.Parameter{Name: "steepness", Kind: pace.Number, Default: 10.0, Help: "more is faster at first"}
	pace.Register(pace.Definition{Name: "logarithmic", Summary: "the logarithm of the time passed",
		Parameters: pace.RampParameters(steepness), New: logarithmic})
	cmd.Main()
}
