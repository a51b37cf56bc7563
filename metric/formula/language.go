package formula

import (
	"math"
	"slices"
	"strings"

	"github.com/expr-lang/expr/builtin"
	"github.com/expr-lang/expr/conf"
	"github.com/expr-lang/expr/parser"
	"github.com/gradus-ml/gradus/internal/fault"
)

const (
	// maxText bounds an expression, and with it how deep the parser goes; a
	// weighted sum of 30 metrics has 1 KiB.
	maxText = 4 << 10
	// maxNodes bounds what the parser makes of it.
	maxNodes = 1000
)

// read parses a text. The tree may still have parts that are not of a formula's
// language; the compiler refuses them.
func read(text string) (*parser.Tree, error) {
	if strings.TrimSpace(text) == "" {
		return nil, fault.Invalidf("the expression is missing; write formula:length * 1e6 + rarity")
	}
	if len(text) > maxText {
		return nil, fault.Invalidf("an expression of %d bytes; at most %d are taken", len(text), maxText)
	}
	c := conf.CreateNew()
	c.MaxNodes = maxNodes
	c.DisableIfOperator = true
	for _, f := range builtin.Builtins { // they are of strings, arrays, dates
		c.Disabled[f.Name] = true
	}
	tree, err := parser.ParseWithConfig(text, c)
	if err != nil {
		return nil, fault.Invalidf("%w", err)
	}
	return tree, nil
}

// function is one that an expression may call: of one number, of two, or of any
// number of them, joined two at a time.
type function struct {
	name     string
	one      func(float64) float64
	two      func(a, b float64) float64
	many     bool // two takes any number of arguments
	integral bool // its value is whole, whatever its arguments are
	keeps    bool // its value is whole if its arguments are
}

// functions lists them by name.
func functions() []function {
	return []function{
		{name: "abs", one: math.Abs, keeps: true},
		{name: "ceil", one: math.Ceil, integral: true},
		{name: "exp", one: math.Exp},
		{name: "floor", one: math.Floor, integral: true},
		{name: "int", one: math.Trunc, integral: true},
		{name: "log", one: math.Log},
		{name: "log10", one: math.Log10},
		{name: "log2", one: math.Log2},
		{name: "max", two: func(a, b float64) float64 { return max(a, b) }, many: true, keeps: true},
		{name: "min", two: func(a, b float64) float64 { return min(a, b) }, many: true, keeps: true},
		{name: "pow", two: math.Pow},
		{name: "round", one: math.Round, integral: true},
		{name: "sqrt", one: math.Sqrt},
	}
}

// findFunction returns a function by name, and all their names.
func findFunction(name string) (f function, known []string, ok bool) {
	all := functions()
	for _, f := range all {
		known = append(known, f.name)
	}
	i := slices.Index(known, name)
	if i < 0 {
		return function{}, known, false
	}
	return all[i], known, true
}
