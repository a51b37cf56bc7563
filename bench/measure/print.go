package measure

import (
	"fmt"
	"io"
)

// Printer writes lines and keeps the first error.
type Printer struct {
	W   io.Writer
	Err error
}

// Line writes a line, as fmt.Fprintf does.
func (p *Printer) Line(format string, args ...any) {
	if p.Err == nil {
		_, p.Err = fmt.Fprintf(p.W, format+"\n", args...)
	}
}

// Speed writes a speed with its range.
func Speed(s Spread) string {
	return fmt.Sprintf("%s (%s to %s)", SI(s.Median), SI(s.Min), SI(s.Max))
}

// SI writes a number with three digits: 132M.
func SI(v float64) string {
	for _, unit := range []struct {
		size float64
		name string
	}{{1e9, "G"}, {1e6, "M"}, {1e3, "k"}} {
		if v/unit.size >= 0.9995 {
			return fmt.Sprintf("%.3g%s", v/unit.size, unit.name)
		}
	}
	return fmt.Sprintf("%.3g", v)
}

// Grouped writes a whole number with commas.
func Grouped(n int64) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
