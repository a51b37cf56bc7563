package words

// Clock is how what is counted on one clock is named and written.
type Clock struct {
	Name   string // as recipes and run logs spell it
	Label  string // head of a column
	Noun   string // in a sentence
	Format func(float64) string
	units  []unit
}

// Clocks are all clocks, the fairest first: layer-tokens count what routing and
// curricula save without the accidents of a machine. Steps stand late, because
// steps of different runs cost differently.
func Clocks() []Clock {
	tokens, flops := ladder("k", "M", "B", "T"), ladder("k", "M", "G", "T", "P", "E", "Z", "Y")
	return []Clock{
		{"layer-tokens", "Layer-tokens", "layer-tokens", tokens, countUnits()},
		{"tokens", "Tokens", "tokens", tokens, countUnits()},
		{"flops", "FLOPs", "training FLOPs", flops, flopUnits()},
		{"seconds", "Time", "training time", Duration, timeUnits()},
		{"steps", "Steps", "steps", Whole, countUnits()},
		{"wall", "Time with waiting", "training time with waiting", Duration, timeUnits()},
	}
}

// ClockNamed returns the clock of that name; layer-tokens if there is none.
func ClockNamed(name string) Clock {
	all := Clocks()
	for _, c := range all {
		if c.Name == name {
			return c
		}
	}
	return all[0]
}

// Axis labels an axis of the clock that reaches up to max, in the largest unit that
// fits, and returns what one unit of the label is.
func (c Clock) Axis(max float64) (label string, scale float64) {
	for _, u := range c.units {
		if max >= u.from {
			return c.Noun + " (" + u.name + ")", u.scale
		}
	}
	return c.Noun, 1
}

// unit is a scale of an axis and what to call it.
type unit struct {
	from  float64 // the axis must reach so far
	scale float64
	name  string
}

func countUnits() []unit {
	return []unit{{1e12, 1e12, "trillions"}, {1e9, 1e9, "billions"}, {1e6, 1e6, "millions"}, {1e4, 1e3, "thousands"}}
}

func flopUnits() []unit {
	return []unit{
		{1e24, 1e24, "yotta"}, {1e21, 1e21, "zetta"}, {1e18, 1e18, "exa"}, {1e15, 1e15, "peta"},
		{1e12, 1e12, "tera"}, {1e9, 1e9, "giga"}, {1e6, 1e6, "mega"},
	}
}

func timeUnits() []unit {
	return []unit{{2 * 86400, 86400, "days"}, {2 * 3600, 3600, "hours"}, {120, 60, "minutes"}, {0, 1, "seconds"}}
}
