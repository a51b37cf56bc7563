package pace

import (
	"math"

	"github.com/gradus-ml/gradus/internal/fault"
)

// builtin returns the kinds of this package.
func builtin() []Definition {
	return []Definition{
		{
			Name:       "linear",
			Summary:    "a straight line from one value to another (arXiv 2212.03597, section 3.1)",
			Parameters: RampParameters(),
			New:        func(v Values) (Pace, error) { return NewLinear(v.Ramp()) },
		},
		{
			Name:    "root",
			Summary: "a root of the time passed: fast at first, then slower (arXiv 2212.03597, section 3.1)",
			Parameters: RampParameters(
				Parameter{Name: "degree", Kind: Number, Default: 2.0, Help: "1 is linear, 2 the square root, more leaves the first values sooner"}),
			New: func(v Values) (Pace, error) {
				r := v.Ramp()
				return NewRoot(Root{From: r.From, To: r.To, Step: r.Step, Begin: r.Begin, Until: r.Until, Every: r.Every,
					Round: r.Round, Degree: v.Number("degree")})
			},
		},
		{
			Name:       "exponential",
			Summary:    "grows by the same factor in the same time: slow at first, then faster",
			Parameters: rampParameters(false),
			New:        func(v Values) (Pace, error) { return NewExponential(v.Ramp()) },
		},
		{
			Name:    "sigmoid",
			Summary: "the logistic curve: slow at both ends, fast in the middle",
			Parameters: RampParameters(
				Parameter{Name: "steepness", Kind: Number, Default: 10.0, Help: "of the logistic curve; more is faster in the middle"}),
			New: func(v Values) (Pace, error) { return NewSigmoid(v.Ramp(), v.Number("steepness")) },
		},
		{
			Name:       "cosine",
			Summary:    "half a wave of the cosine: slow at both ends",
			Parameters: RampParameters(),
			New:        func(v Values) (Pace, error) { return NewCosine(v.Ramp()) },
		},
		{
			Name:    "cyclic",
			Summary: "goes from one value to another again and again (lengths of arXiv 2405.13226, weights); admits no samples",
			Parameters: RampParameters(
				Parameter{Name: "cycles", Kind: Number, Required: true, Help: "how many times, between begin and until"},
				Parameter{Name: "shape", Kind: Choice, Default: string(Sawtooth), Choices: []string{string(Sawtooth), string(Triangle), string(Wave)},
					Help: "sawtooth falls back at once, triangle and cosine take the same way back"}),
			New: func(v Values) (Pace, error) {
				cycles := v.Number("cycles")
				if cycles != math.Trunc(cycles) || math.Abs(cycles) > math.MaxInt32 {
					return nil, fault.Invalidf("cycles is %v; it must be a whole number from 1 to %d", cycles, mostCycles)
				}
				return NewCyclic(v.Ramp(), int(cycles), Shape(v.Choice("shape")))
			},
		},
		{
			Name:    "steps",
			Summary: "values, each until its own moment",
			Parameters: []Parameter{
				{Name: "values", Kind: Numbers, Required: true, Help: "in force one after the other"},
				{Name: "until", Kind: Moments, Help: "the last clock position of each value but the last"},
			},
			New: func(v Values) (Pace, error) {
				return NewSteps(Steps{Values: v.Numbers("values"), Until: v.Moments("until")})
			},
		},
		{
			Name:       "constant",
			Summary:    "one value",
			Parameters: []Parameter{{Name: "value", Kind: Number, Required: true, Help: "in force from the start to the end"}},
			New: func(v Values) (Pace, error) {
				c := v.Number("value")
				if c < 0 {
					return nil, fault.Invalidf("value is %v; it must not be negative", c)
				}
				return Constant(c), nil
			},
		},
	}
}

// RampParameters returns what the paces of this package that go from one value to
// another take: from (0 if not given), to, step, until, begin, every and round; and
// more after them. Values.Ramp reads them.
func RampParameters(more ...Parameter) []Parameter { return rampParameters(true, more...) }

// rampParameters returns those of a Ramp and some more. A pace from zero starts
// there if nothing is said.
func rampParameters(zero bool, more ...Parameter) []Parameter {
	from := Parameter{Name: "from", Kind: Number, Help: "value at begin"}
	if zero {
		from.Default = 0.0
	} else {
		from.Required = true
	}
	return append([]Parameter{
		from,
		{Name: "to", Kind: Number, Required: true, Help: "value from until on"},
		{Name: "step", Kind: Number, Default: 1.0, Help: "the value is a multiple of it, and to"},
		{Name: "until", Kind: Moment, Required: true, Help: "clock position at which the value is to, such as 40%"},
		{Name: "begin", Kind: Moment, Default: 0.0, Help: "clock position at which the value leaves from; may be negative"},
		{Name: "every", Kind: Moment, Default: 0.0, Help: "the value changes only at multiples of this clock position; 0: at any"},
		{Name: "round", Kind: Choice, Default: string(RoundUp), Choices: []string{string(RoundUp), string(RoundDown)},
			Help: "where from is no multiple of step: up starts above it, down below it, as DeepSpeed did"},
	}, more...)
}

// Ramp returns what was given of RampParameters.
func (v Values) Ramp() Ramp {
	return Ramp{
		From: v.Number("from"), To: v.Number("to"), Step: v.Number("step"),
		Begin: v.Moment("begin"), Until: v.Moment("until"), Every: v.Moment("every"), Round: Rounding(v.Choice("round")),
	}
}
