package saving

import (
	"math"
	"slices"
	"testing"

	"gonum.org/v1/gonum/interp"
	"pgregory.net/rapid"
)

// losses draws the losses of budgets that lie as far apart as those of studies.
func losses(t *rapid.T) []point {
	amount := 0.0
	var points []point
	for range rapid.IntRange(1, 7).Draw(t, "budgets") {
		amount += rapid.Float64Range(0.1, 3).Draw(t, "farther")
		points = append(points, point{math.Exp(amount), rapid.Float64Range(0, 5).Draw(t, "loss")})
	}
	return points
}

// The curve never rises, stays within the losses, and goes through those that fall. Where
// all do, it is the Fritsch-Butland interpolator of gonum.
func TestCurve(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		points := losses(t)
		fall := rapid.Bool().Draw(t, "falling")
		if fall {
			slices.SortFunc(points, func(a, b point) int { return int(math.Copysign(1, b.loss-a.loss)) })
			for i := range points { // the amounts grow
				points[i].amount = math.Exp(float64(i) + 0.3*math.Sin(float64(i)))
			}
		}
		c := newCurve(points)
		last := math.Inf(1)
		for i := range 201 {
			x := c.x[0] + (c.x[len(c.x)-1]-c.x[0])*float64(i)/200
			y := c.atLog(x)
			if y > last {
				t.Fatalf("it rises from %v to %v at %v", last, y, x)
			}
			last = y
		}
		if !fall {
			return
		}
		for _, p := range points {
			if y, ok := c.at(p.amount); !ok || math.Abs(y-p.loss) > 1e-9 {
				t.Fatalf("at %v it is %v, %v, want %v", p.amount, y, ok, p.loss)
			}
		}
		if len(points) < 2 {
			return
		}
		var x, y []float64
		for _, p := range points {
			x, y = append(x, math.Log(p.amount)), append(y, p.loss)
		}
		var other interp.FritschButland
		other.Fit(x, y)
		for i := range 100 {
			u := x[0] + (x[len(x)-1]-x[0])*float64(i)/100
			if got, want := c.atLog(u), other.Predict(u); math.Abs(got-want) > 1e-9 {
				t.Fatalf("at %v it is %v, gonum's is %v", u, got, want)
			}
		}
	})
}

// Pooling is the nearest sequence that never rises, by its closed form: the value at i is
// the smallest over a of the largest over b of the means from a to b, with a <= i <= b.
func TestFalling(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		y := rapid.SliceOfN(rapid.Float64Range(-3, 3), 1, 8).Draw(t, "y")
		weight := rapid.SliceOfN(rapid.Float64Range(0.1, 4), len(y), len(y)).Draw(t, "weight")
		got := falling(y, weight)
		for i := range y {
			want := math.Inf(1)
			for a := 0; a <= i; a++ {
				most := math.Inf(-1)
				for b := i; b < len(y); b++ {
					var sum, all float64
					for k := a; k <= b; k++ {
						sum, all = sum+weight[k]*y[k], all+weight[k]
					}
					most = max(most, sum/all)
				}
				want = min(want, most)
			}
			if math.Abs(got[i]-want) > 1e-9 {
				t.Fatalf("at %d it is %v, want %v: %v", i, got[i], want, got)
			}
		}
	})
}

func TestCurveReaches(t *testing.T) {
	c := newCurve([]point{{200, 1}, {100, 2}, {100, 4}})
	for _, k := range []struct {
		amount, loss float64
		known        bool
	}{
		{99, 0, false}, {99.9, 3, true}, {100, 3, true}, {200, 1, true}, {200.3, 1, true}, {201, 0, false},
		{100 * math.Sqrt2, 2, true},
	} {
		loss, known := c.at(k.amount)
		if known != k.known || math.Abs(loss-k.loss) > 1e-9 {
			t.Errorf("at %v: got %v, %v, want %v, %v", k.amount, loss, known, k.loss, k.known)
		}
	}
	if _, known := newCurve(nil).at(1); known {
		t.Error("a curve without points has a loss")
	}
}

// Points added between two budgets make the interpolation of a curve like the baseline's
// many times better than a straight line, and leave the two where they are.
func TestBent(t *testing.T) {
	law := func(x float64) float64 { return 1.2 + 0.9*math.Pow(x, -0.35) }
	arm := func(x float64) float64 { return law(1.5 * x) }
	base := newCurve([]point{{0.25, law(0.25)}, {0.5, law(0.5)}, {1, law(1)}, {2, law(2)}})
	two := []point{{0.5, arm(0.5)}, {1, arm(1)}}
	bend, straight := newCurve(bent(two, base)), newCurve(two)
	x := math.Sqrt(0.5)
	good, _ := bend.at(x)
	rough, _ := straight.at(x)
	if e, f := math.Abs(good-arm(x)), math.Abs(rough-arm(x)); e*4 > f {
		t.Errorf("wrong by %v, a straight line by %v", e, f)
	}
	for _, p := range two {
		if y, _ := bend.at(p.amount); math.Abs(y-p.loss) > 1e-9 {
			t.Errorf("at %v it is %v, want %v", p.amount, y, p.loss)
		}
	}
	if got := bent([]point{{0.1, 3}, {1, 2}}, base); len(got) != 2 {
		t.Errorf("bent along a curve that does not reach: %v", got)
	}
}
