package pace_test

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/gradus-ml/gradus/internal/fault"
	"github.com/gradus-ml/gradus/pace"
)

func TestDefinitions(t *testing.T) {
	var names []string
	for _, d := range pace.Definitions() {
		names = append(names, d.Name)
		if d.Summary == "" || strings.Contains(d.Summary, "\n") {
			t.Errorf("%s: summary %q", d.Name, d.Summary)
		}
		for _, p := range d.Parameters {
			if p.Help == "" || strings.Contains(p.Help, "\n") {
				t.Errorf("%s.%s: help %q", d.Name, p.Name, p.Help)
			}
		}
	}
	if !slices.IsSorted(names) {
		t.Errorf("not in order: %v", names)
	}
	for _, want := range []string{"constant", "cosine", "cyclic", "exponential", "linear", "root", "sigmoid", "steps"} {
		if !slices.Contains(names, want) {
			t.Errorf("%s is missing from %v", want, names)
		}
	}
	if _, ok := pace.Lookup("nothing"); ok {
		t.Error("found a kind of no name")
	}
}

// What is left out has its default, and what is given arrives.
func TestMake(t *testing.T) {
	for _, c := range []struct {
		kind  string
		given map[string]any
		want  pace.Pace
	}{
		{"linear", map[string]any{"to": 10.0, "until": 20.0}, must(pace.NewLinear(pace.Ramp{To: 10, Step: 1, Until: 20}))},
		{"linear", map[string]any{"from": 3.0, "to": 90.0, "step": 16.0, "begin": -1.0, "until": 20.0, "every": 2.0, "round": "down"},
			must(pace.NewLinear(pace.Ramp{From: 3, To: 90, Step: 16, Begin: -1, Until: 20, Every: 2, Round: pace.RoundDown}))},
		{"root", map[string]any{"to": 10.0, "until": 20.0}, must(pace.NewRoot(pace.Root{To: 10, Step: 1, Until: 20, Degree: 2}))},
		{"root", map[string]any{"from": 3.0, "to": 90.0, "step": 16.0, "begin": -1.0, "until": 20.0, "every": 2.0, "round": "down", "degree": 3.0},
			must(pace.NewRoot(pace.Root{From: 3, To: 90, Step: 16, Begin: -1, Until: 20, Every: 2, Degree: 3, Round: pace.RoundDown}))},
		{"exponential", map[string]any{"from": 1.0, "to": 10.0, "until": 20.0}, must(pace.NewExponential(pace.Ramp{From: 1, To: 10, Step: 1, Until: 20}))},
		{"cosine", map[string]any{"to": 10.0, "until": 20.0}, must(pace.NewCosine(pace.Ramp{To: 10, Step: 1, Until: 20}))},
		{"sigmoid", map[string]any{"to": 10.0, "until": 20.0}, must(pace.NewSigmoid(pace.Ramp{To: 10, Step: 1, Until: 20}, 10))},
		{"sigmoid", map[string]any{"to": 10.0, "until": 20.0, "steepness": 3.0}, must(pace.NewSigmoid(pace.Ramp{To: 10, Step: 1, Until: 20}, 3))},
		{"cyclic", map[string]any{"to": 4.0, "until": 20.0, "cycles": 2.0}, must(pace.NewCyclic(pace.Ramp{To: 4, Step: 1, Until: 20}, 2, pace.Sawtooth))},
		{"cyclic", map[string]any{"to": 4.0, "until": 20.0, "cycles": 2.0, "shape": "triangle"}, must(pace.NewCyclic(pace.Ramp{To: 4, Step: 1, Until: 20}, 2, pace.Triangle))},
		{"steps", map[string]any{"values": []float64{5, 6}, "until": 7.0}, must(pace.NewSteps(pace.Steps{Values: []float64{5, 6}, Until: []float64{7}}))},
		{"steps", map[string]any{"values": 5.0}, pace.Constant(5)},
		{"constant", map[string]any{"value": 5.0}, pace.Constant(5)},
	} {
		d, _ := pace.Lookup(c.kind)
		p, err := d.Make(c.given)
		if err != nil {
			t.Errorf("%s of %v: %v", c.kind, c.given, err)
			continue
		}
		for clock := range 40 {
			if got, want := p.At(float64(clock)), c.want.At(float64(clock)); got != want {
				t.Errorf("%s of %v: at %d: %v, want %v", c.kind, c.given, clock, got, want)
			}
		}
	}
}

func TestMakeRefuses(t *testing.T) {
	for _, c := range []struct {
		kind  string
		given map[string]any
		want  string
	}{
		{"linear", map[string]any{"to": 10.0, "until": 20.0, "degree": 2.0}, "the linear pace has no degree; it has from, to, step, until"},
		{"linear", map[string]any{"until": 20.0}, "the linear pace needs to"},
		{"linear", map[string]any{"to": 10.0, "until": "40%"}, "until is 40%; one number is needed"},
		{"linear", map[string]any{"to": 10.0, "until": []float64{1, 2}}, "until is [1 2]; one number is needed"},
		{"linear", map[string]any{"to": math.NaN(), "until": 20.0}, "to is NaN"},
		{"linear", map[string]any{"to": 10.0, "until": 20.0, "round": "sideways"}, "round is sideways; there are: up, down"},
		{"linear", map[string]any{"to": 10.0, "until": 20.0, "step": -1.0}, "step is -1"},
		{"exponential", map[string]any{"to": 10.0, "until": 20.0}, "the exponential pace needs from"},
		{"cyclic", map[string]any{"to": 10.0, "until": 20.0, "cycles": 1.5}, "cycles is 1.5; it must be a whole number"},
		{"cyclic", map[string]any{"to": 10.0, "until": 20.0, "cycles": 1e300}, "cycles is 1e+300"},
		{"steps", map[string]any{"values": []float64{1, math.Inf(1)}}, "values[1] is +Inf"},
		{"steps", map[string]any{"values": "1"}, "values is 1; a list of numbers is needed"},
		{"constant", map[string]any{"value": -1.0}, "value is -1"},
	} {
		d, _ := pace.Lookup(c.kind)
		p, err := d.Make(c.given)
		if p != nil || !errors.Is(err, fault.Invalid) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s of %v: pace %v, error %v; want an invalid input with %q", c.kind, c.given, p, err, c.want)
		}
	}
}

// The values a pace is made of are its own, and reading an undeclared one, or
// one of another kind, panics.
func TestValues(t *testing.T) {
	var seen pace.Values
	d := pace.Definition{Name: "seen", Parameters: []pace.Parameter{
		{Name: "list", Kind: pace.Numbers}, {Name: "moment", Kind: pace.Moment}, {Name: "rest", Kind: pace.Moments, Default: []float64{1}},
		{Name: "word", Kind: pace.Choice, Choices: []string{"a", "b"}},
	}, New: func(v pace.Values) (pace.Pace, error) { seen = v; return pace.Constant(1), nil }}
	list := []float64{1, 2}
	must(d.Make(map[string]any{"list": list, "word": "b"}))
	list[0] = 9
	if got := seen.Numbers("list"); !slices.Equal(got, []float64{1, 2}) || !seen.Has("list") {
		t.Errorf("list is %v", got)
	}
	if seen.Has("moment") || seen.Moment("moment") != 0 || !slices.Equal(seen.Moments("rest"), []float64{1}) || seen.Choice("word") != "b" {
		t.Errorf("the others are %v", seen)
	}
	panics(t, "lost is not declared", func() { seen.Number("lost") })
	panics(t, "lost is not declared", func() { seen.Has("lost") })
	panics(t, "moment is declared as a moment and read as a number", func() { seen.Number("moment") })
	panics(t, "not declared", func() { pace.Values{}.Number("from") })
}

func TestRegisterRefuses(t *testing.T) {
	make := func(pace.Values) (pace.Pace, error) { return pace.Constant(1), nil }
	with := func(p ...pace.Parameter) pace.Definition {
		return pace.Definition{Name: "refused", Parameters: p, New: make}
	}
	for want, d := range map[string]pace.Definition{
		"without a name":        {New: make},
		"without New":           {Name: "refused"},
		"registered already":    {Name: "linear", New: make},
		"has no name":           with(pace.Parameter{Kind: pace.Number}),
		"is of no known kind":   with(pace.Parameter{Name: "a"}),
		"is there twice":        with(pace.Parameter{Name: "a", Kind: pace.Number}, pace.Parameter{Name: "a", Kind: pace.Number}),
		"has no choices":        with(pace.Parameter{Name: "a", Kind: pace.Choice}),
		"and has a default":     with(pace.Parameter{Name: "a", Kind: pace.Number, Required: true, Default: 1.0}),
		"a is 1; a list":        with(pace.Parameter{Name: "a", Kind: pace.Numbers, Default: 1}),
		"there are: this, that": with(pace.Parameter{Name: "a", Kind: pace.Choice, Choices: []string{"this", "that"}, Default: "other"}),
	} {
		panics(t, want, func() { pace.Register(d) })
	}
	if _, ok := pace.Lookup("refused"); ok {
		t.Error("a refused definition is registered")
	}
}

func panics(t *testing.T, want string, f func()) {
	t.Helper()
	defer func() {
		if r := recover(); r == nil || !strings.Contains(fmt.Sprint(r), want) {
			t.Errorf("panic %v, want one with %q", r, want)
		}
	}()
	f()
}

// A pace of one's own, for recipes: {kind: halving, from: 256, until: 40%}.
func ExampleRegister() {
	pace.Register(pace.Definition{
		Name:    "halving",
		Summary: "half of the value at each moment",
		Parameters: []pace.Parameter{
			{Name: "from", Kind: pace.Number, Required: true, Help: "first value"},
			{Name: "until", Kind: pace.Moment, Required: true, Help: "clock position of each half"},
		},
		New: func(v pace.Values) (pace.Pace, error) {
			from, until := v.Number("from"), v.Moment("until")
			return pace.Func(func(clock float64) float64 { return math.Ldexp(from, -int(clock/until)) }), nil
		},
	})
	d, _ := pace.Lookup("halving")
	p, err := d.Make(map[string]any{"from": 256.0, "until": 100.0})
	fmt.Println(p.At(99), p.At(250), err)
	// Output: 256 64 <nil>
}
