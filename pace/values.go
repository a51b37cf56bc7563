package pace

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/gradus-ml/gradus/internal/fault"
)

// Values are the parameters a pace is made of, by name. The zero value has none.
//
// Reading a parameter that the Definition does not declare, or as another kind
// than it declares, is a slip in the program and panics.
type Values struct {
	definition *Definition
	values     map[string]any
}

// Make makes a pace of parameters: a float64 for a Number or a Moment, a
// []float64 for Numbers or Moments (a float64 is a list of one), a string for a
// Choice. An unknown name, a missing one, a value of the wrong kind and whatever
// New refuses are errors of kind fault.Invalid that name the parameter.
func (d Definition) Make(given map[string]any) (Pace, error) {
	v := Values{&d, make(map[string]any, len(d.Parameters))}
	for _, name := range slices.Sorted(maps.Keys(given)) {
		p := d.parameter(name)
		if p == nil {
			return nil, fault.Invalidf("the %s pace has no %s; it has %s", d.Name, name, d.names())
		}
		value, err := p.check(given[name])
		if err != nil {
			return nil, err
		}
		v.values[name] = value
	}
	for _, p := range d.Parameters {
		if _, ok := v.values[p.Name]; ok {
			continue
		}
		if p.Required {
			return nil, fault.Invalidf("the %s pace needs %s: %s", d.Name, p.Name, p.Help)
		}
		if p.Default != nil {
			value, err := p.check(p.Default)
			if err != nil {
				return nil, err
			}
			v.values[p.Name] = value
		}
	}
	return d.New(v)
}

// names lists the parameters.
func (d *Definition) names() string {
	if len(d.Parameters) == 0 {
		return "no parameters"
	}
	var names []string
	for _, p := range d.Parameters {
		names = append(names, p.Name)
	}
	return strings.Join(names, ", ")
}

// check returns a value as its kind stores it.
func (p *Parameter) check(value any) (any, error) {
	switch p.Kind {
	case Number, Moment:
		x, ok := value.(float64)
		if !ok {
			return nil, fault.Invalidf("%s is %v; one number is needed: %s", p.Name, value, p.Help)
		}
		if !isFinite(x) {
			return nil, fault.Invalidf("%s is %v; it must be a finite number", p.Name, x)
		}
		return x, nil
	case Numbers, Moments:
		if x, ok := value.(float64); ok {
			value = []float64{x}
		}
		list, ok := value.([]float64)
		if !ok {
			return nil, fault.Invalidf("%s is %v; a list of numbers is needed: %s", p.Name, value, p.Help)
		}
		for i, x := range list {
			if !isFinite(x) {
				return nil, fault.Invalidf("%s[%d] is %v; it must be a finite number", p.Name, i, x)
			}
		}
		return slices.Clone(list), nil
	default:
		s, ok := value.(string)
		if !ok || !slices.Contains(p.Choices, s) {
			return nil, fault.Invalidf("%s is %v; there are: %s", p.Name, value, strings.Join(p.Choices, ", "))
		}
		return s, nil
	}
}

// Has tells whether a parameter was given or has a default.
func (v Values) Has(name string) bool {
	v.declared(name)
	_, ok := v.values[name]
	return ok
}

// Number returns a parameter; 0 if it was left out and has no default.
func (v Values) Number(name string) float64 { return get[float64](v, name, Number) }

// Moment returns a clock position; 0 if it was left out and has no default.
func (v Values) Moment(name string) float64 { return get[float64](v, name, Moment) }

// Numbers returns a list; nil if it was left out and has no default.
func (v Values) Numbers(name string) []float64 { return get[[]float64](v, name, Numbers) }

// Moments returns a list of clock positions; nil if it was left out and has no
// default.
func (v Values) Moments(name string) []float64 { return get[[]float64](v, name, Moments) }

// Choice returns a word; empty if it was left out and has no default.
func (v Values) Choice(name string) string { return get[string](v, name, Choice) }

func (v Values) declared(name string) *Parameter {
	if v.definition != nil {
		if p := v.definition.parameter(name); p != nil {
			return p
		}
	}
	panic(fmt.Sprintf("pace: parameter %s is not declared", name))
}

func get[T any](v Values, name string, kind Kind) T {
	if p := v.declared(name); p.Kind != kind {
		panic(fmt.Sprintf("pace: parameter %s is declared as a %s and read as a %s", name, p.Kind, kind))
	}
	value, _ := v.values[name].(T)
	return value
}
