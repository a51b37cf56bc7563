package metric

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gradus-ml/gradus/internal/fault"
	"github.com/gradus-ml/gradus/internal/spell"
)

// A Definition is a metric that can be made from text.
type Definition struct {
	Name    string
	Summary string // one line of help, with the source of the definition
	// Keys are the parameters it takes.
	Keys []Key
	// Rest, if not empty, says what follows the parameters: "EXPRESSION".
	Rest string
	// Make makes the metric. It gets its parameters from args, and passes the
	// Info it would have by default through args.Info.
	Make func(args *Args) (Metric, error)
}

// Key is a parameter of a Definition.
type Key struct{ Name, Help string }

// Usage returns how the metric is written: "exec:timeout=TIME,...,COMMAND".
func (d Definition) Usage() string {
	var parts []string
	for _, k := range d.Keys {
		parts = append(parts, k.Name+"=...")
	}
	if d.Rest != "" {
		parts = append(parts, d.Rest)
	}
	if len(parts) == 0 {
		return d.Name
	}
	return d.Name + ":" + strings.Join(parts, ",")
}

// Registry is a list of metrics to choose from by name.
type Registry []Definition

// Names returns the names in the registry's order.
func (r Registry) Names() []string {
	names := make([]string, len(r))
	for i, d := range r {
		names[i] = d.Name
	}
	return names
}

// Parse makes metrics from text, one each:
//
//	[COLUMN=]NAME[:KEY=VALUE,...[,REST]]
//
// such as "rarity", "ngram-perplexity:order=2" or "hard=formula:length * 1e6 +
// rarity". COLUMN is what the index calls the metric, NAME if not given. A
// metric made of others may name those before it by their columns, and others
// by the registry's names. An unknown name or parameter is an error of kind
// fault.Invalid that lists the known and offers the nearest.
func (r Registry) Parse(specs ...string) ([]Metric, error) {
	var made []Metric
	for _, text := range specs {
		m, err := r.make(text, made)
		if err != nil {
			return nil, err
		}
		made = append(made, m)
	}
	return made, nil
}

func (r Registry) make(text string, before []Metric) (Metric, error) {
	spec, column := strings.TrimSpace(text), ""
	if head, tail, ok := strings.Cut(spec, "="); ok && !strings.Contains(head, ":") {
		column, spec = strings.TrimSpace(head), strings.TrimSpace(tail)
	}
	name, rest, _ := strings.Cut(spec, ":")
	d, err := r.find(name)
	if err != nil {
		return nil, err
	}
	args := &Args{registry: r, before: before, definition: d, column: column, values: map[string]string{}}
	if err := args.parse(rest); err != nil {
		return nil, fmt.Errorf("metric %s: %w", text, err)
	}
	m, err := d.Make(args)
	if err == nil {
		err = args.err
	}
	if err != nil {
		return nil, fmt.Errorf("metric %s: %w", text, err)
	}
	return m, nil
}

func (r Registry) find(name string) (Definition, error) {
	names := r.Names()
	if i := slices.Index(names, name); i >= 0 {
		return r[i], nil
	}
	return Definition{}, fault.Invalidf("unknown metric %q%s (known: %s)", name, nearest(name, names), strings.Join(names, ", "))
}

// nearest offers a known name for a misspelt one.
func nearest(name string, known []string) string {
	if near, edits := spell.Nearest(name, known); edits < 3 { // further away is another word
		return "; did you mean " + near + "?"
	}
	return ""
}

// Args are the parameters of one metric, as they were written. Its methods
// remember the first value that is wrong, and the metric is then not made.
type Args struct {
	registry   Registry
	before     []Metric
	definition Definition
	column     string
	values     map[string]string
	rest       string
	err        error
}

// parse takes KEY=VALUE pairs as long as their keys are known; what is left is
// the rest.
func (a *Args) parse(text string) error {
	var keys []string
	for _, k := range a.definition.Keys {
		keys = append(keys, k.Name)
	}
	for text != "" {
		pair, tail, _ := strings.Cut(text, ",")
		key, value, ok := strings.Cut(pair, "=")
		key = strings.TrimSpace(key)
		if !ok || !slices.Contains(keys, key) {
			if a.definition.Rest != "" {
				a.rest = strings.TrimSpace(text)
				break
			}
			if len(keys) == 0 {
				return fault.Invalidf("%q: %s takes no parameters", pair, a.definition.Name)
			}
			return fault.Invalidf("%q is no parameter%s; write %s", pair, nearest(key, keys), a.definition.Usage())
		}
		if _, twice := a.values[key]; twice {
			return fault.Invalidf("%s is given twice", key)
		}
		a.values[key] = strings.TrimSpace(value)
		text = tail
	}
	return nil
}

// Info returns info with the column's name, if one was given, and the Spec.
func (a *Args) Info(info Info) Info {
	if a.column != "" {
		info.Name = a.column
	}
	var parts []string
	for _, k := range a.definition.Keys {
		if v, ok := a.values[k.Name]; ok {
			parts = append(parts, k.Name+"="+v)
		}
	}
	if a.rest != "" {
		parts = append(parts, a.rest)
	}
	info.Spec = a.definition.Name
	if len(parts) > 0 {
		info.Spec += ":" + strings.Join(parts, ",")
	}
	return info
}

// Rest returns what follows the parameters.
func (a *Args) Rest() string { return a.rest }

// String returns a parameter, or otherwise what it is if not given.
func (a *Args) String(key, otherwise string) string {
	if v, ok := a.values[key]; ok {
		return v
	}
	return otherwise
}

// Int returns a parameter that is a whole number from low to high.
func (a *Args) Int(key string, otherwise, low, high int) int {
	text, ok := a.values[key]
	if !ok {
		return otherwise
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < low || n > high {
		a.fail("%s=%s: a whole number from %d to %d is needed", key, text, low, high)
		return otherwise
	}
	return n
}

// Float returns a parameter that is a number above low.
func (a *Args) Float(key string, otherwise, low float64) float64 {
	text, ok := a.values[key]
	if !ok {
		return otherwise
	}
	x, err := strconv.ParseFloat(text, 64)
	if err != nil || !(x > low) || x-x != 0 {
		a.fail("%s=%s: a number above %v is needed", key, text, low)
		return otherwise
	}
	return x
}

// Bool returns a parameter that is true or false.
func (a *Args) Bool(key string, otherwise bool) bool {
	text, ok := a.values[key]
	if !ok {
		return otherwise
	}
	b, err := strconv.ParseBool(text)
	if err != nil {
		a.fail("%s=%s: true or false is needed", key, text)
	}
	return b
}

// Duration returns a parameter that is a time such as 30s, above zero.
func (a *Args) Duration(key string, otherwise time.Duration) time.Duration {
	text, ok := a.values[key]
	if !ok {
		return otherwise
	}
	d, err := time.ParseDuration(text)
	if err != nil || d <= 0 {
		a.fail("%s=%s: a time such as 30s or 5m is needed", key, text)
		return otherwise
	}
	return d
}

// Metric returns a metric by the name of a column before this one, or else by
// a name of the registry; both may be written with underscores for hyphens, as
// a formula has to.
func (a *Args) Metric(name string) (Metric, error) {
	same := func(known string) bool { return known == name || strings.ReplaceAll(known, "-", "_") == name }
	for _, m := range a.before {
		if same(m.Info().Name) {
			return m, nil
		}
	}
	known := a.registry.Names()
	for _, d := range known {
		if same(d) {
			return a.registry.make(d, nil)
		}
	}
	for _, m := range a.before {
		known = append(known, m.Info().Name)
	}
	return nil, fault.Invalidf("unknown metric %q%s (known: %s)", name, nearest(name, known), strings.Join(known, ", "))
}

func (a *Args) fail(format string, values ...any) {
	if a.err == nil {
		a.err = fault.Invalidf(format, values...)
	}
}
