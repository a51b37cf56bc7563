// Package metric says how hard a sample is, by a number.
//
// Its nouns: a Metric has a name, a unit and the statistics of the corpus it
// needs; a Statistic is gathered over all tokens of the corpus, in any order
// and in parts that merge exactly; a Scorer, made from the gathered statistics,
// gives each sample its value. Package analyze drives the three: one pass over
// the tokens gathers the statistics of all metrics, a second scores all samples
// by all metrics.
//
// A metric of one's own is a type with three methods in one's own module; the
// example of Metric is one.
package metric

import (
	"slices"
	"strings"

	"github.com/gradus-ml/gradus/corpus"
	"github.com/gradus-ml/gradus/internal/fault"
	"github.com/gradus-ml/gradus/internal/spell"
)

// Kind is what a metric's values are.
type Kind uint8

const (
	// Real values are any finite float64.
	Real Kind = iota
	// Whole values are whole numbers of a magnitude up to 2^53, which float64
	// holds exactly; an index stores them as 64-bit integers.
	Whole
)

// Info describes a metric. An index records it.
type Info struct {
	// Name is what recipes, flags and files call the metric: lower-case
	// letters, digits and hyphens.
	Name string
	// Version counts changes of the definition. While it stays the same, equal
	// samples of equal corpora have equal values, bit for bit on machines of
	// one architecture (math.Log may differ in its last bit on another).
	Version int
	// Unit is what the value counts, in the plural: "tokens", "nats".
	Unit string
	// Kind is what the values are.
	Kind Kind
	// Summary is one line of help with the source of the definition.
	Summary string
}

// Metric measures one thing of a sample. Larger values mean harder samples.
// A Metric is safe for concurrent use.
type Metric interface {
	// Info describes the metric. It always returns the same.
	Info() Info
	// Statistics returns empty statistics, one of each that the metric needs
	// before it can score. Metrics that need a statistic of the same name
	// share it.
	Statistics() []Statistic
	// Scorer makes a scorer for one goroutine. What it derives from the
	// statistics must not depend on how often it is called.
	Scorer(source Source) (Scorer, error)
}

// Scorer gives samples their values. It is used by one goroutine at a time.
type Scorer interface {
	// Score returns the value of a sample: a function of the sample and of
	// the Source only, not of what was scored before. An empty document is a
	// sample too. An error ends the analysis and is reported with the sample's
	// id; so does a value that is not finite.
	Score(sample Sample) (float64, error)
}

// ScorerFunc is a Scorer that needs no more than the sample.
type ScorerFunc func(sample Sample) (float64, error)

// Score calls f.
func (f ScorerFunc) Score(sample Sample) (float64, error) { return f(sample) }

// Sample is one sample with its tokens.
type Sample struct {
	ID int64
	// Tokens are a whole document, or the N+1 tokens of a window of N. They
	// are only valid during the call.
	Tokens []int32
}

// Source is what a scorer may know besides the sample.
type Source struct {
	Meta corpus.Meta
	Cut  corpus.Cut
	// Statistics holds the gathered statistics of the whole corpus by name.
	// Scorers of all workers read the same ones and must not change them.
	Statistics map[string]Statistic
}

// Registry is a list of metrics to choose from by name.
type Registry []Metric

// Builtin returns the metrics of this package. To offer more, append to it.
func Builtin() Registry { return Registry{Length(), Rarity()} }

// Names returns the names of the metrics in the registry's order.
func (r Registry) Names() []string {
	names := make([]string, len(r))
	for i, m := range r {
		names[i] = m.Info().Name
	}
	return names
}

// Find returns the metric of that name. The error for an unknown one, of kind
// fault.Invalid, lists the known and offers the nearest.
func (r Registry) Find(name string) (Metric, error) {
	names := r.Names()
	if i := slices.Index(names, name); i >= 0 {
		return r[i], nil
	}
	hint := ""
	if known, edits := spell.Nearest(name, names); edits < 3 { // further away is another word
		hint = "; did you mean " + known + "?"
	}
	return nil, fault.Invalidf("unknown metric %q%s (known: %s)", name, hint, strings.Join(names, ", "))
}
