package saving

import (
	"math"
	"testing"

	"pgregory.net/rapid"
)

// straight is a curve of a loss that falls by slope for each e times the amount, from 1 to
// e^4, where it is level.
func straight(level, slope float64) curve {
	return newCurve([]point{{1, level + 4*slope}, {math.Exp(4), level}})
}

// On straight lines the differences are linear in log s, so the ends of the interval are
// known: with one slope b, log s has mean m and half-width t sd / sqrt(n), where
// log s_i = (loss_i's amount on the line) - log x_i.
func TestEstimateOnLines(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(2, 6).Draw(t, "seeds")
		slope := rapid.Float64Range(0.05, 1).Draw(t, "slope")
		var pairs []pair
		var logs []float64
		for range n {
			level := rapid.Float64Range(0, 3).Draw(t, "level")
			x := rapid.Float64Range(1, 1.5).Draw(t, "log of the amount")
			s := rapid.Float64Range(0.4, 0.6).Draw(t, "log of the saving")
			pairs = append(pairs, pair{straight(level, slope), x, level + slope*(4-x-s)})
			logs = append(logs, s)
		}
		e := estimate(pairs, 0.95)
		mean, sd := moments(logs)
		half := critical(n-1, 0.95) * sd / math.Sqrt(float64(n))
		if e == nil || e.Bound != "" || math.Abs(math.Log(e.Factor)-mean) > 1e-6 {
			t.Fatalf("got %+v, want e^%v", e, mean)
		}
		d, _ := differences(pairs, 0.95)
		check := func(name string, end *float64, want, open float64) {
			if math.Abs(want-open) < 1e-6 {
				return
			}
			if beyond := (want-open)*(mean-open) < 0; beyond != (end == nil) || !beyond && math.Abs(math.Log(*end)-want) > 1e-6 {
				t.Fatalf("%s end: got %v, want e^%v; tested to e^%v", name, end, want, open)
			}
		}
		check("low", e.Interval.Low, mean-half, d.from)
		check("high", e.Interval.High, mean+half, d.to)
	})
}

// What the interval says is what the test says, on any curves: a factor that can be tested
// and is accepted lies in it, and the estimate too.
func TestEstimateAgainstTest(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var pairs []pair
		for range rapid.IntRange(1, 5).Draw(t, "seeds") {
			pairs = append(pairs, pair{newCurve(losses(t)), rapid.Float64Range(0, 4).Draw(t, "log"), rapid.Float64Range(0, 5).Draw(t, "loss")})
		}
		d, ok := differences(pairs, 0.9)
		e := estimate(pairs, 0.9)
		if ok != (e != nil) {
			t.Fatalf("testable: %v, estimate %+v", ok, e)
		}
		if e == nil {
			return
		}
		if low, high := math.Exp(d.from), math.Exp(d.to); e.Factor < low*(1-1e-8) || e.Factor > high*(1+1e-8) {
			t.Fatalf("the factor %v lies outside of %v to %v", e.Factor, low, high)
		}
		lowest, _ := d.test(d.from)
		highest, last := d.test(d.to)
		if (e.Bound == AtLeast) != (highest > 0) || (e.Bound == AtMost) != (lowest < 0) {
			t.Fatalf("the bound is %q, the differences go from %v to %v", e.Bound, lowest, highest)
		}
		if len(pairs) == 1 {
			if e.Interval != nil || e.Never {
				t.Fatalf("of one seed: %+v", e)
			}
			return
		}
		if e.Never != (e.Bound == AtLeast && !last) {
			t.Fatalf("never is %v: accepted at the end %v, %+v", e.Never, last, e)
		}
		if e.Bound == "" && !e.Interval.Holds(e.Factor) {
			t.Fatalf("the estimate %v is not in its interval %s", e.Factor, e.Interval.within())
		}
		for i := range cells + 1 {
			u := d.from + (d.to-d.from)*float64(i)/cells
			if _, accepted := d.test(u); accepted && !e.Interval.Holds(math.Exp(u)*(1+1e-8)) && !e.Interval.Holds(math.Exp(u)*(1-1e-8)) {
				t.Fatalf("%v is accepted, and not in %s", math.Exp(u), e.Interval.within())
			}
		}
	})
}

// A saving read the other way round is its inverse.
func TestTurned(t *testing.T) {
	e := &Estimate{Factor: 0.5, Bound: AtLeast, Never: true, Seeds: 3, Interval: &Interval{Low: new(0.4)}}
	got := e.turned()
	if got.Factor != 2 || got.Bound != AtMost || !got.Never || got.Interval.Low != nil || *got.Interval.High != 2.5 {
		t.Errorf("got %+v %s", got, got.Interval.within())
	}
	if (*Estimate)(nil).turned() != nil {
		t.Error("nothing turned is something")
	}
}
