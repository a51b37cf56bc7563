package cmd

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// count writes a number for people: 950, 12.3k, 4.56M, 7.8G.
func count(n int64) string {
	for _, unit := range []struct {
		size float64
		name string
	}{{1e18, "E"}, {1e15, "P"}, {1e12, "T"}, {1e9, "G"}, {1e6, "M"}, {1e3, "k"}} {
		if v := float64(n) / unit.size; v >= 0.9995 { // from here on it rounds to 1
			return fmt.Sprintf("%.3g%s", v, unit.name)
		}
	}
	return fmt.Sprint(n)
}

// rate writes n per second, "-" if nothing was done.
func rate(n int64, seconds float64) string {
	if n == 0 || seconds <= 0 {
		return "-"
	}
	return count(int64(float64(n) / seconds))
}

// short writes a value in a table: whole numbers as they are, others with
// enough digits to be told apart.
func short(v float64) string {
	if v == float64(int64(v)) || math.Abs(v) >= 1e5 && math.Abs(v) < 1e15 {
		return fmt.Sprintf("%.0f", v)
	}
	return fmt.Sprintf("%.5g", v)
}

// span writes a range, or its one value.
func span(from, to string) string {
	if from == to {
		return from
	}
	return from + "-" + to
}

// blocks are the characters of a sparkline, from low to high.
const blocks = "▁▂▃▄▅▆▇█"

// sparkline draws values in one line of at most width characters: the last
// value of each of as many equal parts. What is no number is an x.
func sparkline(values []float64, width int) string {
	n := min(width, len(values))
	picked := make([]float64, n)
	low, high := 0.0, 0.0
	seen := false
	for i := range picked {
		v := values[(i+1)*len(values)/n-1]
		picked[i] = v
		if finite(v) {
			if !seen {
				low, high, seen = v, v, true
			}
			low, high = min(low, v), max(high, v)
		}
	}
	levels := []rune(blocks)
	var line strings.Builder
	for _, v := range picked {
		switch {
		case !finite(v):
			line.WriteByte('x')
		case high == low:
			line.WriteRune(levels[0])
		default:
			line.WriteRune(levels[int((v-low)/(high-low)*float64(len(levels)-1)+0.5)])
		}
	}
	return line.String()
}

func finite(v float64) bool { return v-v == 0 }

// byteUnits are the units of amounts of memory, the largest first.
var byteUnits = []struct {
	name string
	size float64
}{{"TiB", 1 << 40}, {"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}}

// formatBytes writes an amount of memory for people: 950 B, 1.5 GiB.
func formatBytes(n int64) string {
	for _, u := range byteUnits {
		if v := float64(n) / u.size; v >= 0.9995 {
			return fmt.Sprintf("%.3g %s", v, u.name)
		}
	}
	return fmt.Sprintf("%d B", n)
}

// parseBytes reads an amount of memory: 512MiB, 8G, 1.5 GiB, 100000. Without
// an i the units are the same: nobody who gives a program 8G counts otherwise.
func parseBytes(text string) (int64, error) {
	number := strings.TrimSpace(text)
	factor := 1.0
	for _, u := range byteUnits {
		for _, name := range []string{u.name, u.name[:1] + "B", u.name[:1]} {
			if head, ok := strings.CutSuffix(strings.ToUpper(number), strings.ToUpper(name)); ok && factor == 1 {
				number, factor = strings.TrimSpace(head), u.size
			}
		}
	}
	if head, ok := strings.CutSuffix(strings.ToUpper(number), "B"); ok && factor == 1 {
		number = strings.TrimSpace(head)
	}
	v, err := strconv.ParseFloat(number, 64)
	if err != nil || !(v >= 0) || v*factor >= math.MaxInt64 {
		return 0, fmt.Errorf("%q is no amount of memory", text)
	}
	return int64(v * factor), nil
}

// wholeNumber is a flag of a count, written as in a recipe: 300e9, 2_000_000.
type wholeNumber int64

func (n *wholeNumber) String() string { return strconv.FormatInt(int64(*n), 10) }
func (*wholeNumber) Type() string     { return "N" }

func (n *wholeNumber) Set(text string) error {
	v, err := strconv.ParseFloat(strings.ReplaceAll(text, "_", ""), 64)
	if err != nil || v != math.Trunc(v) || math.Abs(v) > 1<<53 {
		return fmt.Errorf("it is no whole number; write one such as 300e9 or 2_000_000")
	}
	*n = wholeNumber(v)
	return nil
}
