package pace

import (
	"fmt"
	"slices"
	"strings"
	"sync"
)

// A Definition is a kind of pace that recipes reach by its name.
type Definition struct {
	Name       string
	Summary    string // one line of help, with the source of the formula
	Parameters []Parameter
	// New makes the pace. The values have been checked against Parameters: those
	// required are there, those left out have their default.
	New func(Values) (Pace, error)
}

// A Parameter is what a kind of pace wants to know.
type Parameter struct {
	Name string
	Help string // one line
	Kind Kind
	// Required: it must be given. Otherwise Default stands in for it; without a
	// Default, Values.Has tells whether it was given.
	Required bool
	Default  any      // nil, or what Kind says
	Choices  []string // of a Choice
}

// Kind is what a parameter's value may be.
type Kind string

const (
	// Number is a finite float64.
	Number Kind = "number"
	// Numbers is a []float64.
	Numbers Kind = "numbers"
	// Moment is a clock position, a float64. A recipe may give it as a share of
	// the run's budget, such as "40%"; New gets the position.
	Moment Kind = "moment"
	// Moments is a []float64 of clock positions; a recipe may give shares.
	Moments Kind = "moments"
	// Choice is a string, one of the parameter's Choices.
	Choice Kind = "choice"
)

var registry = struct {
	sync.RWMutex
	definitions []Definition // in order of Name
}{definitions: sorted(builtin())}

func sorted(d []Definition) []Definition {
	slices.SortFunc(d, func(a, b Definition) int { return strings.Compare(a.Name, b.Name) })
	return d
}

// Register makes a kind of pace available to recipes; call it from an init
// function, or before the first recipe is loaded. It panics if the definition has
// no name or no New, if its name is taken, or if a parameter has no name or kind,
// is there twice or has a Default that it would not accept.
func Register(d Definition) {
	if d.Name == "" || d.New == nil {
		panic("pace: Register of a definition without a name or without New")
	}
	if err := d.validate(); err != nil {
		panic(fmt.Sprintf("pace: Register of %s: %v", d.Name, err))
	}
	registry.Lock()
	defer registry.Unlock()
	for _, known := range registry.definitions {
		if known.Name == d.Name {
			panic(fmt.Sprintf("pace: Register of %s, which is registered already", d.Name))
		}
	}
	d.Parameters = slices.Clone(d.Parameters)
	registry.definitions = sorted(append(slices.Clone(registry.definitions), d))
}

// Lookup returns the kind of a name.
func Lookup(name string) (Definition, bool) {
	for _, d := range Definitions() {
		if d.Name == name {
			return d, true
		}
	}
	return Definition{}, false
}

// Definitions returns all kinds in order of name.
func Definitions() []Definition {
	registry.RLock()
	defer registry.RUnlock()
	return slices.Clone(registry.definitions)
}

// parameter returns the parameter of a name, or nil.
func (d *Definition) parameter(name string) *Parameter {
	for i := range d.Parameters {
		if d.Parameters[i].Name == name {
			return &d.Parameters[i]
		}
	}
	return nil
}

func (d *Definition) validate() error {
	for i := range d.Parameters {
		p := &d.Parameters[i]
		switch {
		case p.Name == "":
			return fmt.Errorf("parameter %d has no name", i)
		case d.parameter(p.Name) != p:
			return fmt.Errorf("parameter %s is there twice", p.Name)
		case p.Kind == Choice && len(p.Choices) == 0:
			return fmt.Errorf("parameter %s has no choices", p.Name)
		case !slices.Contains([]Kind{Number, Numbers, Moment, Moments, Choice}, p.Kind):
			return fmt.Errorf("parameter %s is of no known kind: %q", p.Name, p.Kind)
		case p.Required && p.Default != nil:
			return fmt.Errorf("parameter %s is required, and has a default", p.Name)
		case p.Default != nil:
			if _, err := p.check(p.Default); err != nil {
				return fmt.Errorf("default: %w", err)
			}
		}
	}
	return nil
}
