package pace_test

import (
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/gradus-ml/gradus/pace"
	"pgregory.net/rapid"
)

// drawn is a random pace of a random kind, with whole or fractional values and
// moments.
func drawn(t *rapid.T) pace.Stepped {
	kind := rapid.SampledFrom([]string{"linear", "root", "exponential", "sigmoid", "cosine", "cyclic", "steps", "constant"}).Draw(t, "kind")
	number := func(name string, low, high float64) float64 {
		if rapid.Bool().Draw(t, name+" is whole") {
			return float64(rapid.IntRange(int(math.Ceil(low)), int(high)).Draw(t, name))
		}
		return rapid.Float64Range(low, high).Draw(t, name)
	}
	given := map[string]any{}
	switch kind {
	case "constant":
		given["value"] = number("value", 0, 1000)
	case "steps":
		n := rapid.IntRange(1, 6).Draw(t, "values")
		var values, until []float64
		at := 0.0
		for range n {
			values = append(values, number("value", 0, 4))
			until = append(until, at)
			at += number("wait", 0.5, 50)
		}
		given["values"], given["until"] = values, until[:n-1]
	default:
		low := 0.0
		if kind == "exponential" {
			low = 0.01
		}
		from, to := number("from", low, 300), number("to", low, 300)
		if kind == "root" {
			from, to = min(from, to), max(from, to)
			given["degree"] = number("degree", 1, 6)
		}
		given["from"], given["to"] = from, to
		given["step"] = rapid.OneOf(rapid.SampledFrom([]float64{1, 0.05, 0.1, 0.25, 8, 16, 1.0 / 3}), rapid.Float64Range(0.02, 40)).Draw(t, "step")
		given["begin"] = rapid.OneOf(rapid.SampledFrom([]float64{0, -1}), rapid.Float64Range(-50, 50)).Draw(t, "begin")
		given["until"] = given["begin"].(float64) + number("length", 0.1, 400)
		given["every"] = rapid.OneOf(rapid.SampledFrom([]float64{0, 0, 1, 7, 0.1}), rapid.Float64Range(0.1, 200)).Draw(t, "every")
		if from <= to {
			given["round"] = rapid.SampledFrom([]string{"up", "down"}).Draw(t, "round")
		}
		switch kind {
		case "sigmoid":
			given["steepness"] = number("steepness", 0.01, 60)
		case "cyclic":
			given["cycles"] = float64(rapid.IntRange(1, 7).Draw(t, "cycles"))
			given["shape"] = rapid.SampledFrom([]string{"sawtooth", "triangle", "cosine"}).Draw(t, "shape")
		}
	}
	d, ok := pace.Lookup(kind)
	if !ok {
		t.Fatalf("no %s", kind)
	}
	p, err := d.Make(given)
	if err != nil {
		refused(t, err)
	}
	return p.(pace.Stepped)
}

// refused gives up a pace that would reach its end long after it is to: from 0
// to 1e-13 by 1, say. Nothing else that is drawn may be refused.
func refused(t *rapid.T, err error) {
	if strings.Contains(err.Error(), "is no multiple of step") {
		t.Skip(err)
	}
	t.Fatal(err)
}

// Next is the first float64 with another value: the one before it has the value
// at the clock, and so has every position between.
func TestNextIsExact(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := drawn(t)
		for range 8 {
			clock := rapid.OneOf(rapid.Float64Range(0, 600), rapid.Map(rapid.IntRange(0, 600), func(i int) float64 { return float64(i) }),
				rapid.Float64Range(-60, 0)).Draw(t, "clock")
			for range 5 { // on from there, where the positions are the hardest
				now, next := p.At(clock), p.Next(clock)
				if !(next > clock) {
					t.Fatalf("after %v comes %v", clock, next)
				}
				if math.IsInf(next, 1) {
					for _, late := range []float64{clock + 1, 500, 1e6, 1e15, math.Inf(1)} {
						if late > clock && p.At(late) != now {
							t.Fatalf("nothing is to come after %v (%v), but %v at %v", clock, now, p.At(late), late)
						}
					}
					break
				}
				if got := p.At(next); got == now {
					t.Fatalf("at %v and at Next %v: %v", clock, next, now)
				}
				for _, x := range []float64{math.Nextafter(next, math.Inf(-1)), math.Nextafter(clock, math.Inf(1)), clock + (next-clock)/2, clock + (next-clock)*0.999} {
					if x >= clock && x < next && p.At(x) != now {
						t.Fatalf("at %v: %v, and at %v, before Next %v: %v", clock, now, x, next, p.At(x))
					}
				}
				clock = next
			}
		}
	})
}

// What Stages says is what asking every step says.
func TestStagesMatchWalking(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := drawn(t)
		const end = 500
		stages, err := pace.Stages(p, end, 1_000_000)
		if err != nil {
			t.Fatal(err)
		}
		i := 0
		for clock := range end {
			for i+1 < len(stages) && stages[i+1].From <= float64(clock) {
				i++
			}
			if got := p.At(float64(clock)); got != stages[i].Value {
				t.Fatalf("at %d: %v, and stage %d (%v) has %v", clock, got, i, stages[i].From, stages[i].Value)
			}
		}
		// The same pace without its Next gives the stages of a walk.
		var walk []pace.Stage
		for clock := range end {
			if v := p.At(float64(clock)); clock == 0 || v != walk[len(walk)-1].Value {
				walk = append(walk, pace.Stage{From: float64(clock), Value: v})
			}
		}
		plain, err := pace.Stages(pace.Func(p.At), end, end)
		if err != nil || !slices.Equal(plain, walk) {
			t.Fatalf("stages of the function: %v, %v; want %v", plain, err, walk)
		}
	})
}

// A ramp stays between its ends, never turns, has multiples of its step (or To)
// for values, and ends at To. Its positions are taken one float64 apart where it
// changes, so that a curve that flickers in its last bits would show.
func TestRampLaws(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		from := float64(rapid.IntRange(1, 500).Draw(t, "from"))
		to := float64(rapid.IntRange(1, 5000).Draw(t, "to"))
		step := float64(rapid.IntRange(1, 64).Draw(t, "step"))
		until := float64(rapid.IntRange(1, 1_000_000).Draw(t, "until"))
		r := pace.Ramp{From: from, To: to, Step: step, Until: until}
		var p pace.Stepped
		late := until
		switch rapid.SampledFrom([]string{"root", "linear", "cosine", "sigmoid", "exponential"}).Draw(t, "kind") {
		case "root":
			degree := rapid.Float64Range(1, 5).Draw(t, "degree")
			from, to = min(from, to), max(from, to)
			var err error
			if p, err = pace.NewRoot(pace.Root{From: from, To: to, Step: step, Until: until, Degree: degree}); err != nil {
				refused(t, err)
			}
			late *= math.Pow(1+(step+1)/max(to-from, 1), degree) // one quantum of slope beyond until
		case "linear":
			p = must(pace.NewLinear(r))
			late *= 1 + (step+1)/max(math.Abs(to-from), 1)
		case "cosine":
			p = must(pace.NewCosine(r))
		case "sigmoid":
			p = must(pace.NewSigmoid(r, rapid.Float64Range(0.01, 50).Draw(t, "steepness")))
		case "exponential":
			p = must(pace.NewExponential(r))
		}
		low, high, sign := min(from, to), max(from, to), 1.0
		if from > to {
			sign = -1
		}
		last := p.At(0)
		see := func(clock float64) {
			v := p.At(clock)
			if v < low || v > high || sign*v < sign*last {
				t.Fatalf("at %v: %v after %v, outside [%v, %v] or turning back", clock, v, last, low, high)
			}
			if v != to && math.Mod(v, step) != 0 {
				t.Fatalf("at %v: %v is no multiple of %v", clock, v, step)
			}
			last = v
		}
		clock := 0.0
		for range 20 {
			next := p.Next(clock)
			if math.IsInf(next, 1) {
				break
			}
			x := next
			for range 20 {
				x = math.Nextafter(x, 0)
			}
			for range 40 {
				if x > clock {
					see(x)
				}
				x = math.Nextafter(x, math.Inf(1))
			}
			clock = x
		}
		if v := p.At(late); v != to {
			t.Fatalf("at %v: %v, want %v", late, v, to)
		}
	})
}

// The functions of package math are not monotone in their last bits; their paces
// are.
func TestNoFlicker(t *testing.T) {
	r := pace.Ramp{From: 1, To: 200, Step: 1, Until: 1000}
	for name, p := range map[string]pace.Stepped{
		"cube root":   must(pace.NewRoot(pace.Root{From: 1, To: 200, Step: 1, Until: 1000, Degree: 3})),
		"cosine":      must(pace.NewCosine(r)),
		"sigmoid":     must(pace.NewSigmoid(r, 10)),
		"exponential": must(pace.NewExponential(r)),
	} {
		for next := p.Next(0); !math.IsInf(next, 1); next = p.Next(next) {
			before, after, x := p.At(math.Nextafter(next, 0)), p.At(next), next
			for range 30 {
				x = math.Nextafter(x, 0)
				if got := p.At(x); got != before {
					t.Fatalf("%s: %v at %v, before Next %v", name, got, x, next)
				}
			}
			for x = next; x < next*(1+1e-14); x = math.Nextafter(x, 2*next) {
				if got := p.At(x); got != after {
					t.Fatalf("%s: %v at %v, after Next %v", name, got, x, next)
				}
			}
		}
	}
}
