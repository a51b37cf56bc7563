package main

import (
	"fmt"

	"github.com/gradus-ml/gradus/bench/measure"
)

// optional writes a spread that may be missing.
func optional(s *measure.Spread, cell func(measure.Spread) string) string {
	if s == nil {
		return "-"
	}
	return cell(*s)
}

// timesCell writes how many times more.
func timesCell(s measure.Spread) string {
	return fmt.Sprintf("**%s** (%s to %s)", measure.SI(s.Median), measure.SI(s.Min), measure.SI(s.Max))
}

// secondsCell writes a duration with its range; what is 0 was not measured.
func secondsCell(s measure.Spread) string {
	if s.Max == 0 {
		return "-"
	}
	return fmt.Sprintf("%s (%s to %s)", duration(s.Median), duration(s.Min), duration(s.Max))
}

// mibCell writes bytes with their range.
func mibCell(s measure.Spread) string {
	return fmt.Sprintf("%s (%s to %s)", mib(s.Median), mib(s.Min), mib(s.Max))
}

// duration writes seconds with three digits: 12.3 ms.
func duration(seconds float64) string {
	for _, unit := range []struct {
		size float64
		name string
	}{{1, "s"}, {1e-3, "ms"}, {1e-6, "us"}} {
		if seconds/unit.size >= 0.9995 {
			return fmt.Sprintf("%.*f %s", places(seconds/unit.size), seconds/unit.size, unit.name)
		}
	}
	return fmt.Sprintf("%.3g ns", seconds*1e9)
}

// mib writes bytes; what is 0 was not measured.
func mib(bytes float64) string {
	if bytes == 0 {
		return "-"
	}
	return fmt.Sprintf("%.*f MiB", places(bytes/(1<<20)), bytes/(1<<20))
}

// places is how many digits after the point make three in all.
func places(v float64) int {
	switch {
	case v < 9.995:
		return 2
	case v < 99.95:
		return 1
	}
	return 0
}
