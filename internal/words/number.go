package words

import (
	"fmt"
	"math"
	"strconv"
)

// ladder writes a number with three digits and a suffix for each factor of a
// thousand; numbers below a thousand as whole ones.
func ladder(suffixes ...string) func(float64) string {
	return func(v float64) string {
		if v < 999.5 {
			return strconv.FormatFloat(math.Round(v), 'f', -1, 64)
		}
		for _, suffix := range suffixes {
			v /= 1000
			if v < 999.5 {
				return threeDigits(v) + " " + suffix
			}
		}
		return fmt.Sprintf("%.3g %s", v, suffixes[len(suffixes)-1])
	}
}

// threeDigits writes a number from 1 to 1000 with three significant digits.
func threeDigits(v float64) string {
	switch {
	case v < 9.995:
		return fmt.Sprintf("%.2f", v)
	case v < 99.95:
		return fmt.Sprintf("%.1f", v)
	default:
		return fmt.Sprintf("%.0f", v)
	}
}

// Whole writes a number rounded, its thousands grouped by commas.
func Whole(v float64) string {
	s := strconv.FormatFloat(math.Round(v), 'f', 0, 64)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// Duration writes seconds in the unit that people would choose.
func Duration(s float64) string {
	switch {
	case s == 0:
		return "0 s"
	case s < 0.9995:
		return fmt.Sprintf("%.3f s", s)
	case s < 120:
		return threeDigits(s) + " s"
	case s < 2*3600:
		return threeDigits(s/60) + " min"
	case s < 48*3600:
		return threeDigits(s/3600) + " h"
	default:
		return fmt.Sprintf("%.3g days", s/86400)
	}
}

// Loss writes a loss with three digits after the point; differences between
// seeds of the same recipe show in the third.
func Loss(v float64) string {
	if math.Abs(v) >= 1e4 {
		return fmt.Sprintf("%.3g", v)
	}
	return fmt.Sprintf("%.3f", v)
}

// Percent writes a share; a small one is told apart from none.
func Percent(share float64) string {
	switch {
	case share == 0:
		return "none"
	case share < 0.00005:
		return "< 0.01 %"
	case share < 0.01:
		return fmt.Sprintf("%.2f %%", 100*share)
	}
	return fmt.Sprintf("%.1f %%", 100*share)
}
