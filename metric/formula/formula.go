// Package formula makes a metric of other metrics by an expression.
//
// Its noun is the Formula: "length * 1e6 + rarity" orders samples by length
// and those of equal length by rarity, the metric seqlen_vocab_rarity of arXiv
// 2212.03597, §3.1. The expression names metrics by their columns or by their
// names in the registry, with underscores for hyphens (mean_rarity); those are
// measured, whether or not the index lists them, and the formula gets their
// values. Tokens are not read again.
//
// The language is that of github.com/expr-lang/expr, cut down to numbers:
//
//	literals      3  0.5  1e6  true  false
//	arithmetic    + - * /  % (remainder, with the sign of the left side)  ** and ^ (power)
//	comparisons   < <= > >= == !=
//	logic         and or not, && || !
//	choice        condition ? number : number
//	functions     abs ceil exp floor int log log2 log10 max min pow round sqrt
//
// All numbers are float64, so nothing wraps around: 7 / 2 is 3.5, and int(7 / 2)
// is 3. log is the natural logarithm, int cuts the fraction off, round takes
// halves away from zero, max and min take any number of arguments. A value is
// whole, and stored as an integer, if it must be: +, -, * and % of whole values,
// whole literals, int, floor, ceil, round, and abs, max, min and choices of
// whole values.
package formula

import (
	"fmt"
	"math"
	"strings"

	"github.com/gradus-ml/gradus/internal/fault"
	"github.com/gradus-ml/gradus/metric"
)

// Definition is the metric "formula:EXPRESSION" of a registry.
func Definition() metric.Definition {
	return metric.Definition{
		Name:    "formula",
		Summary: "other metrics by an expression: formula:length * 1e6 + rarity (seqlen_vocab_rarity of arXiv 2212.03597, §3.1)",
		Rest:    "EXPRESSION",
		Make: func(args *metric.Args) (metric.Metric, error) {
			f, err := parse(args.Rest(), args.Metric)
			if err != nil {
				return nil, err
			}
			f.info = args.Info(f.info)
			return f, nil
		},
	}
}

// Formula is a metric.Derived.
type Formula struct {
	info   metric.Info
	text   string
	names  []string // of the inputs, as the expression has them
	inputs []metric.Metric
	value  number
}

// New returns the metric of an expression over some of the inputs, which it
// names by the names in their Infos. An expression that is none, or names
// another metric, is an error of kind fault.Invalid that shows the place.
func New(expression string, inputs ...metric.Metric) (*Formula, error) {
	return parse(expression, func(name string) (metric.Metric, error) {
		var known []string
		for _, m := range inputs {
			is := m.Info().Name
			if is == name || strings.ReplaceAll(is, "-", "_") == name {
				return m, nil
			}
			known = append(known, is)
		}
		return nil, fault.Invalidf("unknown metric %q (given: %s)", name, strings.Join(known, ", "))
	})
}

// parse makes a formula and finds its inputs by find.
func parse(text string, find func(name string) (metric.Metric, error)) (*Formula, error) {
	tree, err := read(text)
	if err != nil {
		return nil, err
	}
	c := compiler{text: text, source: tree.Source, find: find}
	all := c.part(tree.Node)
	switch {
	case c.err != nil:
		return nil, c.err
	case all.truth != nil:
		return nil, fault.Invalidf("%q is true or false, not a number; write (%[1]s) ? 1 : 0", text)
	case len(c.inputs) == 0:
		return nil, fault.Invalidf("%q names no metric, so all samples would be equal", text)
	}
	info := metric.Info{
		Name:    "formula",
		Spec:    "formula:" + text,
		Content: content(c.inputs),
		Version: 1,
		Blind:   true,
		Summary: text,
	}
	if all.whole {
		info.Kind = metric.Whole
	}
	return &Formula{info, text, c.names, c.inputs, all.number}, nil
}

// content names what the values follow from, besides the corpus: another
// version of an input, or another file that it reads, is another formula.
func content(inputs []metric.Metric) string {
	var parts []string
	for _, m := range inputs {
		info := m.Info()
		part := fmt.Sprintf("%s: %s version %d", info.Name, info.Spec, info.Version)
		if info.Content != "" {
			part += " (" + info.Content + ")"
		}
		parts = append(parts, part)
	}
	return strings.Join(parts, ", ")
}

// Info describes the metric: its Kind is Whole if every value must be.
func (f *Formula) Info() metric.Info { return f.info }

// Statistics returns none: the inputs have theirs.
func (f *Formula) Statistics() []metric.Statistic { return nil }

// Inputs returns the metrics that the expression names, in the order in which
// it first does.
func (f *Formula) Inputs() []metric.Metric { return f.inputs }

// Scorer returns a scorer that needs no memory, however many samples it scores.
// A value that is infinite or not a number is an error with the inputs' values.
func (f *Formula) Scorer(metric.Source) (metric.Scorer, error) { return scorer{f}, nil }

type scorer struct{ *Formula }

func (f scorer) Score(values []float64, samples []metric.Sample) error {
	largest := math.MaxFloat64
	if f.info.Kind == metric.Whole {
		largest = 1 << 53
	}
	for i := range samples {
		inputs := samples[i].Inputs
		if len(inputs) != len(f.names) {
			return &metric.SampleError{ID: samples[i].ID, Err: fmt.Errorf("%q has %d inputs (%s), and %d values came",
				f.text, len(f.names), strings.Join(f.names, ", "), len(inputs))}
		}
		v := f.value(inputs)
		if !(math.Abs(v) <= largest) {
			return &metric.SampleError{ID: samples[i].ID, Err: f.refuse(v, inputs)}
		}
		if v == 0 {
			v = 0 // not -0, which has other bytes
		}
		values[i] = v
	}
	return nil
}

// refuse says what is wrong with a value and where it came from: "length = 3,
// rarity = 0".
func (f *Formula) refuse(v float64, inputs []float64) error {
	parts := make([]string, len(f.names))
	for i, name := range f.names {
		parts[i] = fmt.Sprintf("%s = %v", name, inputs[i])
	}
	where := strings.Join(parts, ", ")
	if v-v != 0 {
		return fmt.Errorf("%q is %v where %s; CONDITION ? NUMBER : NUMBER can give such samples another value", f.text, v, where)
	}
	return fmt.Errorf("%q is %v where %s; whole values reach up to 2^53, 1.0 * (...) makes it a real one", f.text, v, where)
}
