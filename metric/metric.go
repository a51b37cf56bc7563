// Package metric says how hard a sample is, by a number.
//
// Its nouns: a Metric has a name, a unit and the statistics of the corpus it
// needs; a Statistic is gathered over all tokens of the corpus, in any order
// and in parts that merge exactly; a Scorer, made from the gathered statistics,
// gives each sample its value. Package analyze drives the three, in as few
// passes over the tokens as the metrics' needs allow. A Registry makes metrics
// from text, such as "ngram-perplexity:order=2".
//
// A metric of one's own is a type with three methods in one's own module; the
// example of Metric is one, and OfText makes one of a function. Register gives it
// a name on the command line.
package metric

import (
	"fmt"

	"github.com/gradus-ml/gradus/corpus"
	"github.com/gradus-ml/gradus/tokenizer"
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
	// Name is what recipes, flags and files call the column: lower-case
	// letters, digits, hyphens, underscores and dots.
	Name string
	// Spec says how a Registry makes the metric again, without the column's
	// name: "ngram-perplexity:order=2". Empty for one that no registry makes.
	Spec string
	// Content identifies what lies outside the corpus and decides the values,
	// such as "sha256:..." of a file; empty if there is nothing.
	Content string
	// Version counts changes of the definition. While it stays the same, equal
	// samples of equal corpora have equal values, bit for bit on machines of
	// one architecture (math.Log may differ in its last bit on another).
	Version int
	// Unit is what the value counts, in the plural: "tokens", "nats".
	Unit string
	// Kind is what the values are.
	Kind Kind
	// Descending says that larger values are easier: the order of the samples,
	// from easy to hard, then runs from the largest value down.
	Descending bool
	// Blind says that a value follows from the sample's ID, Len and Inputs: the
	// samples that its Scorer gets have no Tokens, which saves reading them.
	Blind bool
	// Summary is one line of help with the source of the definition.
	Summary string
}

// Metric measures one thing of a sample. Unless it says Descending, larger
// values mean harder samples. A Metric is safe for concurrent use.
type Metric interface {
	// Info describes the metric. It always returns the same.
	Info() Info
	// Statistics returns empty statistics, one of each that the metric needs
	// before it can score. Metrics that need a statistic of the same name
	// share it.
	Statistics() []Statistic
	// Scorer makes a scorer for one goroutine. What it derives from the
	// statistics must not depend on how often it is called. A Scorer that is
	// an io.Closer is closed when it is no longer needed, or, if the analysis
	// is cancelled, while Score runs.
	Scorer(source Source) (Scorer, error)
}

// Derived is a Metric whose values follow from those of other metrics of the
// same sample, which it gets as Sample.Inputs.
type Derived interface {
	Metric
	// Inputs are the metrics it needs, told apart by the names in their Infos.
	// They are measured whether or not the index lists them.
	Inputs() []Metric
}

// Scorer gives samples their values. It is used by one goroutine at a time.
type Scorer interface {
	// Score sets values[i] to the value of samples[i], which is a function of
	// that sample and of the Source only, not of the others or of what was
	// scored before. An empty document is a sample too. The samples are
	// neighbours of rising ID. An error ends the analysis; it should be a
	// *SampleError, so that the sample at fault is named.
	Score(values []float64, samples []Sample) error
}

// RawScorer is a Scorer that can score tokens as they are stored, which saves
// making int32 of them.
type RawScorer interface {
	Scorer
	// ScoreRaw does what Score would for samples that have Raw, little-endian
	// integers of type dtype, instead of Tokens. If it does not take that type
	// it does nothing and returns false.
	ScoreRaw(values []float64, samples []Sample, dtype corpus.DType) bool
}

// ScorerFunc is a Scorer that looks at one sample after the other.
type ScorerFunc func(sample Sample) (float64, error)

// Score calls f for each sample.
func (f ScorerFunc) Score(values []float64, samples []Sample) error {
	for i, s := range samples {
		v, err := f(s)
		if err != nil {
			return &SampleError{ID: s.ID, Err: err}
		}
		values[i] = v
	}
	return nil
}

// SampleError says at which sample a Scorer failed.
type SampleError struct {
	ID  int64
	Err error
}

// Error names the sample.
func (e *SampleError) Error() string { return fmt.Sprintf("sample %d: %v", e.ID, e.Err) }

// Unwrap returns Err.
func (e *SampleError) Unwrap() error { return e.Err }

// DoubtError is an error of a Scorer after which values that it gave before may
// be wrong too: a program that answered more numbers than it was asked for may
// have done so anywhere. The analysis then keeps nothing of the pass.
type DoubtError struct{ Err error }

// Error is what Err says.
func (e *DoubtError) Error() string { return e.Err.Error() }

// Unwrap returns Err.
func (e *DoubtError) Unwrap() error { return e.Err }

// Sample is one sample with its tokens.
type Sample struct {
	ID int64
	// Len is the number of its tokens.
	Len int
	// Tokens are a whole document, or the N+1 tokens of a window of N; nil for
	// a Blind metric. They are only valid during the call.
	Tokens []int32
	// Raw is the tokens as they are stored, instead of Tokens, in ScoreRaw.
	Raw []byte
	// Inputs are the values of a Derived metric's inputs, in their order; nil
	// for another metric.
	Inputs []float64
}

// Source is what a scorer may know besides the sample.
type Source struct {
	Meta    corpus.Meta
	Samples *corpus.Samples
	// Tokenizer returns what decodes the corpus's tokens, made when it is first
	// asked for, or nil if it is not known or cannot be made here. See Text.
	Tokenizer func() tokenizer.Tokenizer
	// Statistics holds the gathered statistics of the whole corpus by name.
	// Scorers of all workers read the same ones and must not change them.
	Statistics map[string]Statistic
}

// Text returns the tokenizer, or nil if it is not known.
func (s Source) Text() tokenizer.Tokenizer {
	if s.Tokenizer == nil {
		return nil
	}
	return s.Tokenizer()
}
