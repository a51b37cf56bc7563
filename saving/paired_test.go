package saving

import (
	"math"
	"testing"

	"gonum.org/v1/gonum/stat/distuv"
	"pgregory.net/rapid"
)

// Student's distribution is gonum's, and its quantiles those of the tables.
func TestStudent(t *testing.T) {
	for _, c := range []struct {
		df         int
		confidence float64
		want       float64
	}{{1, 0.95, 12.706}, {2, 0.95, 4.303}, {4, 0.95, 2.776}, {9, 0.99, 3.250}, {30, 0.9, 1.697}} {
		if got := critical(c.df, c.confidence); math.Abs(got-c.want) > 0.0006 {
			t.Errorf("t of %d degrees at %v is %v, want %v", c.df, c.confidence, got, c.want)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(2, 40).Draw(t, "n")
		mean, sd := rapid.Float64Range(-3, 3).Draw(t, "mean"), rapid.Float64Range(0.01, 3).Draw(t, "sd")
		at := mean / sd * math.Sqrt(float64(n))
		want := 2 * distuv.StudentsT{Mu: 0, Sigma: 1, Nu: float64(n - 1)}.CDF(-math.Abs(at))
		if got := pValue(mean, sd, n); math.Abs(got-want) > 1e-7 { // gonum loses that much near t = 0
			t.Fatalf("p of t = %v with %d differences is %v, want %v", at, n, got, want)
		}
	})
}

// A gain by hand: the differences 1, 2 and 6 have mean 3 and variance 7, so t is
// 3 / sqrt(7/3) = 1.964 with two degrees of freedom.
func TestGain(t *testing.T) {
	g := gain([]float64{1, 2, 6}, 0.95)
	for name, c := range map[string][2]float64{
		"mean": {g.Mean, 3}, "s.d.": {g.SD, math.Sqrt(7)}, "p": {*g.P, 0.18845},
		"low": {*g.Interval.Low, 3 - 4.30265*math.Sqrt(7.0/3)}, "high": {*g.Interval.High, 3 + 4.30265*math.Sqrt(7.0/3)},
	} {
		if math.Abs(c[0]-c[1]) > 1e-4 {
			t.Errorf("%s is %v, want %v", name, c[0], c[1])
		}
	}
	if g := gain([]float64{0.5}, 0.95); g.Mean != 0.5 || g.Interval != nil || g.P != nil || g.Seeds != 1 {
		t.Errorf("of one seed: %+v", g)
	}
	if g := gain([]float64{0.5, 0.5}, 0.95); *g.P != 0 || *g.Interval.Low != 0.5 {
		t.Errorf("without noise: p %v, from %v", *g.P, *g.Interval.Low)
	}
}

// The interval of a gain and its p-value say the same: p is below 5 % where the 95 %
// interval does not hold zero.
func TestIntervalAndP(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := rapid.SliceOfN(rapid.Float64Range(-1, 3), 2, 9).Draw(t, "differences")
		g := gain(d, 0.95)
		if math.Abs(*g.P-0.05) > 1e-6 && (*g.P < 0.05) == g.Interval.Holds(0) {
			t.Fatalf("p is %v, the interval %v to %v", *g.P, *g.Interval.Low, *g.Interval.High)
		}
	})
}

func TestHolm(t *testing.T) {
	got := holm([]float64{0.01, 0.04, 0.03, 0.005, 0.9})
	for i, want := range []float64{0.04, 0.09, 0.09, 0.025, 0.9} {
		if math.Abs(got[i]-want) > 1e-12 {
			t.Errorf("at %d: got %v, want %v", i, got[i], want)
		}
	}
	// It rejects what the procedure rejects: going up from the smallest p until one is
	// above level / (number left).
	rapid.Check(t, func(t *rapid.T) {
		p := rapid.SliceOfN(rapid.Float64Range(0, 0.2), 1, 9).Draw(t, "p")
		level := rapid.Float64Range(0.01, 0.3).Draw(t, "level")
		corrected, left := holm(p), len(p)
		rejected := map[int]bool{}
		for left > 0 {
			smallest := -1
			for i := range p {
				if !rejected[i] && (smallest < 0 || p[i] < p[smallest]) {
					smallest = i
				}
			}
			if p[smallest]*float64(left) > level {
				break
			}
			rejected[smallest] = true
			left--
		}
		for i := range p {
			if (corrected[i] <= level) != rejected[i] {
				t.Fatalf("%v at level %v: corrected %v, rejected %v", p, level, corrected, rejected)
			}
		}
	})
}

// Every ratio within the interval is one that the t-test accepts, every one beyond is not,
// and there is no interval where the test accepts ratios of any size.
func TestFieller(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(2, 8).Draw(t, "n")
		part := rapid.SliceOfN(rapid.Float64Range(-2, 4), n, n).Draw(t, "part")
		whole := rapid.SliceOfN(rapid.Map(rapid.IntRange(1, 400), func(i int) float64 { return float64(i) / 100 }), n, n).Draw(t, "whole")
		accepts := func(r float64) (yes bool, clear bool) {
			d := make([]float64, n)
			for i := range d {
				d[i] = part[i] - r*whole[i]
			}
			p := *gain(d, 0.95).P
			return p > 0.05, math.Abs(p-0.05) > 1e-4
		}
		f := fieller(part, whole, 0.95)
		far, clear := accepts(1e7)
		if clear && far != (f == nil) {
			t.Fatalf("a ratio of 1e7 is accepted: %v; the interval is %+v", far, f)
		}
		if f == nil {
			return
		}
		low, high := *f.Interval.Low, *f.Interval.High
		if high-low < 1e-6 {
			return
		}
		for i := -5; i <= 15; i++ {
			r := low + (high-low)*float64(i)/10
			if yes, clear := accepts(r); clear && yes != (r >= low && r <= high) {
				t.Fatalf("%v is accepted: %v; the interval is %v to %v", r, yes, low, high)
			}
		}
	})
}

func TestTidy(t *testing.T) {
	for v, want := range map[float64]float64{
		1.23456789012: 1.23456789, -0.000123456789012: -0.000123456789, 0: 0, 1e300: 1e300, 5e-324: 5e-324, 123456789012: 123456789000,
	} {
		if got := tidy(v); math.Abs(got-want) > 1e-15*math.Abs(want) {
			t.Errorf("%v becomes %v, want %v", v, got, want)
		}
	}
}
