package recipe

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/gradus-ml/gradus/curriculum"
	"github.com/gradus-ml/gradus/internal/fault"
	"github.com/gradus-ml/gradus/internal/spell"
	"github.com/gradus-ml/gradus/pace"
)

// A Pace is a pace of package pace by its kind. In a recipe it is a mapping of
// kind, clock and the parameters that the kind's pace.Definition lists; a number
// is the constant pace.
type Pace struct {
	Kind  string
	Clock string // steps, tokens or layer-tokens; the budget's if the file does not say
	// Parameters hold what the definition says, defaults filled in: a float64, a
	// []float64, an Amount, an []Amount or a string.
	Parameters map[string]any

	given map[string]any // as the file has them, kind and clock too
	wrong string         // what the file has instead, in words
}

// clocks are what a pace may count.
var clocks = []string{string(curriculum.Steps), string(curriculum.Tokens), string(curriculum.LayerTokens)}

// constant returns the pace of one value.
func constant(value float64) Pace {
	return Pace{given: map[string]any{"kind": "constant", "value": value}}
}

// UnmarshalYAML reads a mapping or a number.
func (p *Pace) UnmarshalYAML(unmarshal func(any) error) error {
	var v any
	if err := unmarshal(&v); err != nil {
		return err
	}
	if given, ok := v.(map[string]any); ok {
		p.given = given
	} else if value, ok := number(v); ok {
		*p = constant(value)
	} else {
		p.wrong = fmt.Sprintf("%v is no pace; write a number, or keys and values such as {kind: linear, from: 1, to: 100, until: 40%%}", v)
	}
	return nil
}

func (p *Pace) problem() string { return p.wrong }

// MarshalJSON writes the pace as a recipe does: its kind, its parameters in the
// order of the definition, its clock.
func (p Pace) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	add := func(key string, value any) error {
		text, err := json.Marshal(value)
		if b.Len() > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, "%q:%s", key, text)
		return err
	}
	if err := add("kind", p.Kind); err != nil {
		return nil, err
	}
	definition, _ := pace.Lookup(p.Kind)
	for _, parameter := range definition.Parameters {
		if value, ok := p.Parameters[parameter.Name]; ok {
			if err := add(parameter.Name, value); err != nil {
				return nil, err
			}
		}
	}
	err := add("clock", p.Clock)
	return fmt.Appendf(nil, "{%s}", b.Bytes()), err
}

// kinds returns the names of the paces.
func kinds() []string {
	var names []string
	for _, d := range pace.Definitions() {
		names = append(names, d.Name)
	}
	return names
}

// settlePace makes of what the file gives for a pace what its kind needs.
func (r *Recipe) settlePace(at string, p *Pace) error {
	kind, ok := p.given["kind"].(string)
	definition, known := pace.Lookup(kind)
	switch {
	case p.given["kind"] == nil:
		return r.errorf(at, "it has no kind; there are %s", strings.Join(kinds(), ", "))
	case !ok || !known:
		nearest, _ := spell.Nearest(kind, kinds())
		return r.errorf(at+".kind", "unknown pace %q; did you mean %q? There are %s", fmt.Sprint(p.given["kind"]), nearest, strings.Join(kinds(), ", "))
	}
	p.Kind, p.Clock, p.Parameters = kind, r.Budget.Clock, map[string]any{}
	if clock, ok := p.given["clock"]; ok {
		p.Clock, _ = clock.(string)
		if !slices.Contains(clocks, p.Clock) {
			return r.errorf(at+".clock", "unknown clock %q; there %s", fmt.Sprint(clock), listed(clocks))
		}
	}
	for _, parameter := range definition.Parameters {
		value, ok := p.given[parameter.Name]
		if !ok {
			value = parameter.Default
		}
		if value == nil {
			continue
		}
		converted, wrong := convert(parameter.Kind, value)
		if wrong != "" {
			return r.errorf(at+"."+parameter.Name, "%s: %s", wrong, parameter.Help)
		}
		if err := r.refuseShares(at+"."+parameter.Name, p.Clock, converted); err != nil {
			return err
		}
		p.Parameters[parameter.Name] = converted
	}
	if r.Compat != "" {
		p.roundDown(definition)
	}
	return nil
}

// convert makes of what YAML read, or of a default, what a parameter of a kind
// holds; wrong says that it is something else.
func convert(kind pace.Kind, v any) (value any, wrong string) {
	switch kind {
	case pace.Number:
		if f, ok := number(v); ok {
			return f, ""
		}
		return nil, fmt.Sprintf("%v stands where one number must", v)
	case pace.Moment:
		a := amountOf(v)
		return a, a.wrong
	case pace.Numbers:
		list := []float64{}
		for _, item := range listOf(v) {
			f, ok := number(item)
			if !ok {
				return nil, fmt.Sprintf("%v stands where a list of numbers must", v)
			}
			list = append(list, f)
		}
		return list, ""
	case pace.Moments:
		list := []Amount{}
		for _, item := range listOf(v) {
			a := amountOf(item)
			if a.wrong != "" {
				return nil, a.wrong
			}
			list = append(list, a)
		}
		return list, ""
	default:
		if word, ok := v.(string); ok {
			return word, ""
		}
		return nil, fmt.Sprintf("%v stands where a word must", v)
	}
}

// listOf returns a list; what is none is a list of one.
func listOf(v any) []any {
	switch v := v.(type) {
	case []any:
		return v
	case []float64: // a default
		list := make([]any, len(v))
		for i := range v {
			list[i] = v[i]
		}
		return list
	}
	return []any{v}
}

// refuseShares holds that shares of the budget are counted on the budget's clock.
func (r *Recipe) refuseShares(at, clock string, value any) error {
	var amounts []Amount
	switch value := value.(type) {
	case Amount:
		amounts = []Amount{value}
	case []Amount:
		amounts = value
	}
	for _, a := range amounts {
		if a.Percent && clock != r.Budget.Clock {
			return r.errorf(at, "%s is a share of the budget, which counts %s, and the pace counts %s; write a number of %[3]s, or leave its clock out", a, r.Budget.Clock, clock)
		}
	}
	return nil
}

// roundDown makes a pace that rises round as DeepSpeed does, unless the file
// says how.
func (p *Pace) roundDown(d pace.Definition) {
	at := slices.IndexFunc(d.Parameters, func(q pace.Parameter) bool { return q.Name == "round" && q.Kind == pace.Choice })
	if at < 0 || !slices.Contains(d.Parameters[at].Choices, string(pace.RoundDown)) || p.given["round"] != nil {
		return
	}
	from, _ := p.Parameters["from"].(float64)
	to, _ := p.Parameters["to"].(float64)
	if step, ok := p.Parameters["step"].(float64); from <= to && (!ok || step != 0) {
		p.Parameters["round"] = string(pace.RoundDown)
	}
}

// timed builds a pace.
func (r *Recipe) timed(at string, p *Pace) (curriculum.Timed, error) {
	definition, ok := pace.Lookup(p.Kind)
	if !ok {
		return curriculum.Timed{}, fault.Invalidf("%s: no pace of the kind %q is registered", r.place(at), p.Kind)
	}
	total := r.BudgetTotal()
	parameters := make(map[string]any, len(p.Parameters))
	for name, value := range p.Parameters {
		switch value := value.(type) {
		case Amount:
			parameters[name] = value.Of(total)
		case []Amount:
			moments := make([]float64, len(value))
			for i := range value {
				moments[i] = value[i].Of(total)
			}
			parameters[name] = moments
		default:
			parameters[name] = value
		}
	}
	built, err := definition.Make(parameters)
	if err != nil {
		return curriculum.Timed{}, r.errorf(at, "%w", err)
	}
	return curriculum.Timed{Pace: built, Clock: curriculum.Clock(p.Clock)}, nil
}

// most returns the largest value that the parameters name, and whether they name
// any.
func (p *Pace) most() (value float64, known bool) {
	named := p.named()
	if named == nil {
		return 0, false
	}
	return slices.Max(named), true
}

// named returns the values that the parameters name; nil for kinds that have no
// such parameters.
func (p *Pace) named() (values []float64) {
	for _, name := range []string{"from", "to", "value", "values"} {
		switch v := p.Parameters[name].(type) {
		case float64:
			values = append(values, v)
		case []float64:
			values = append(values, v...)
		}
	}
	return values
}
