package curriculum

import (
	"fmt"
	"iter"
	"math"
	"slices"

	"github.com/gradus-ml/gradus/internal/fault"
)

// By says how a pace's value is compared with a metric.
type By string

const (
	// Value admits samples whose metric is at most the pace's value.
	Value By = "value"
	// Percentile admits samples whose metric is at most that percentile of all
	// samples: the value at rank ceil(p/100*n), ties included.
	Percentile By = "percentile"
)

// A Column holds one metric of every sample; *index.Column is one. It must be
// safe for concurrent use.
type Column interface {
	Len() int64
	Values(dst []float64, start int64) // metric of samples start, start+1, ...
	Quantile(percent float64) float64  // value at rank ceil(percent/100*Len), from the easiest on
	Ranked(rank int64) float64         // value of the sample at a rank, 0 the easiest
}

// An Admission lets samples in by one metric along a pace.
type Admission struct {
	Metric string
	By     By
	Pace   Timed // never falls
	// Floor, if there is one, drops what has become too easy: samples whose metric
	// is below its value, or below that percentile. It never falls.
	Floor Timed
	// Descending: larger values are easier, and paces are by percentile.
	Descending bool
}

// A Control is an order to compare a curriculum with: its pools have the same
// sizes, and hold other samples.
type Control string

const (
	// Reverse admits as many samples by each metric, the hardest instead of the
	// easiest.
	Reverse Control = "reverse"
	// Random admits as many samples, chosen without regard to any metric.
	Random Control = "random"
)

// A Source is one corpus of a mixture.
type Source struct {
	Name     string              // for messages
	Samples  int64               // in the corpus: windows or documents
	Weight   Timed               // share of the rows, in proportion; none: 1
	Columns  []Column            // one for each of Config.Admit
	Excluded func(id int64) bool // samples held out for evaluation; nil: none. Safe for concurrent use
	Units    Arranger            // nil: every sample is a unit of the only bucket, and fills it
}

// An Arranger forms units, what one place of a batch serves, from samples:
// packs of documents, chunks of them. See package arrange.
type Arranger interface {
	// Lengths returns the inputs of a full unit of each bucket, ascending.
	Lengths() []int
	// Arrange forms the units of samples that join and leave a plan together. emit
	// gets a unit's bucket, its id in [0, 2^SourceShift), and its inputs, at most
	// the bucket's length. Arrange returns the inputs of samples that no unit
	// holds.
	Arrange(samples iter.Seq[int64], emit func(bucket int, unit int64, inputs int)) (discarded int64, err error)
	// Finish is called after the last Arrange, before Samples.
	Finish() error
	// Samples appends the samples that a unit holds a part of.
	Samples(dst []int64, unit int64) []int64
}

// SourceShift is where the source stands in an id: id = source<<SourceShift | unit.
// So the ids of a single corpus are those of its units, and a source's ids do
// not change when others grow or join.
const SourceShift = 56

// maxSources is what fits above SourceShift in a positive int64.
const maxSources = 127

// Split returns the source and the unit of an id.
func Split(id int64) (source int, unit int64) {
	return int(id >> SourceShift), id & (1<<SourceShift - 1)
}

// A Bucket holds the units of one length. A batch serves units of one bucket.
type Bucket struct {
	Length int // inputs of a full unit
	Units  int // in a batch, over all ranks; with a Config.Ramp, the most of them
}

// A Config is everything a plan depends on.
type Config struct {
	Seed    uint64
	Sources []Source
	Buckets []Bucket // by length, ascending; one for windows
	Admit   []Admission
	Control Control // empty: the curriculum itself

	// Ramp is the size of a step's batches: whole numbers from 1 on. None: a batch
	// has its bucket's units from the first step on.
	Ramp Timed
	// RampUnits is how many units a batch has at a value of Ramp, in the bucket of
	// so many inputs: at least 1 and at most the bucket's; nil: as many as Ramp says.
	RampUnits func(size, length int) int

	// Length is the tokens of a row, at most the only bucket's; with several
	// buckets it is the length of the longest that is served. None: the bucket's.
	Length Timed
	// RowsPer is how many rows of length a unit of full inputs becomes; nil: one,
	// cut off.
	RowsPer func(full, length int) int
	Keep    Timed // tokens of a row that routed layers see; none: all
	Layers  int   // of the model
	Routed  int   // layers that see only Keep tokens
	// Drop says for each routed layer how many times as many tokens it drops as Keep
	// does, for route.Kept; nil: as many.
	Drop []float64
	// WholeTokens rounds the layer-tokens of each row down, as DeepSpeed counts
	// them.
	WholeTokens bool

	Clock  Clock
	Budget float64 // on Clock; the first step at or past it is not made
	Shapes int     // most distinct batch shapes; 0: DefaultShapes

	// ScheduleOnly compiles stages and shapes without samples: pools are unknown,
	// and there is no sampler.
	ScheduleOnly bool
	// Dir keeps the plan's files, to be opened again; empty: temporary files that
	// vanish with the process.
	Dir string
	// Identity names what else the plan follows from: the recipe, the contents of
	// corpora and indexes. A plan kept in Dir is used again if it has the same.
	Identity string
	// From is the earlier run that the plan goes on from; nil: none.
	From *Origin
}

// A PartError is an error about one part of a Config, for those who know where it
// was written: "budget", "batch", "ramp", "shapes", "layers", "length", "keep",
// "drop", "sources[1]", "sources[1].weight", "admit[0]", "admit[0].pace" or
// "admit[0].floor". It is of its Err's kind.
type PartError struct {
	Part string
	Err  error
}

func (e *PartError) Error() string { return e.Err.Error() }
func (e *PartError) Unwrap() error { return e.Err }

// invalid returns an error of kind fault.Invalid about a part.
func invalid(part, format string, args ...any) error {
	return &PartError{part, fault.Invalidf(format, args...)}
}

func admitPart(m int, what string) string  { return fmt.Sprintf("admit[%d]%s", m, what) }
func sourcePart(i int, what string) string { return fmt.Sprintf("sources[%d]%s", i, what) }

// DefaultShapes is the budget of distinct batch shapes. Each is one compiled
// graph; an executor of GoMLX holds 32, and the original's usual length curve
// (64 to 2048 by 8) would need 249.
const DefaultShapes = 16

// Bounds of what a plan is made for, far above any run: beyond them stands a slip,
// such as three zeros too many. Together they keep the sums of tokens over layers
// within 64 bits.
const (
	maxSteps      = 100_000_000 // GPT-3 1.3B took 286,102
	maxStepTokens = 1 << 28     // of one batch at full length
	maxLayers     = 1 << 8
)

// check holds that the configuration can be; with its samples, or without.
func (c *Config) check(samples bool) error {
	switch {
	case len(c.Sources) == 0:
		return invalid("sources", "there is no source")
	case len(c.Sources) > maxSources:
		return invalid("sources", "there are %d sources; a plan mixes at most %d", len(c.Sources), maxSources)
	case len(c.Buckets) == 0:
		return invalid("batch", "there is no bucket: nothing says how long a row is")
	case c.Layers > maxLayers:
		return invalid("layers", "the model has %d layers; a plan counts at most %d", c.Layers, maxLayers)
	case c.Layers <= 0 || c.Routed < 0 || c.Routed > c.Layers:
		return invalid("layers", "%d of %d layers are routed", c.Routed, c.Layers)
	case c.Drop != nil && len(c.Drop) != c.Routed:
		return invalid("drop", "there are %d shares of dropped tokens for %d routed layers; give one for each", len(c.Drop), c.Routed)
	case slices.ContainsFunc(c.Drop, func(x float64) bool { return !(x >= 0) || math.IsInf(x, 1) }):
		return invalid("drop", "the layers drop %v times as many tokens; each must be finite and not negative", c.Drop)
	case !(c.Budget > 0) || math.IsInf(c.Budget, 0):
		return invalid("budget", "the budget is %v %s; it must be positive and finite", c.Budget, c.Clock)
	case c.Control != "" && c.Control != Reverse && c.Control != Random:
		return invalid("control", "unknown control %q; there are reverse and random", c.Control)
	case c.From != nil && c.From.Position.Layers != c.Layers:
		return &PartError{"layers", fault.Mismatchf("the earlier run has a model of %d layers and this one of %d", c.From.Position.Layers, c.Layers)}
	}
	if _, err := ParseClock(string(c.Clock)); err != nil {
		return &PartError{"budget", err}
	}
	for i, b := range c.Buckets {
		switch {
		case b.Length <= 0:
			return invalid("length", "the window is %d tokens; it must be at least 1", b.Length)
		case b.Units <= 0:
			return invalid("batch", "the batch size is %d; it must be at least 1", b.Units)
		case b.Units > maxStepTokens/b.Length:
			return invalid("batch", "a batch of %d samples of %d tokens is more than %d tokens", b.Units, b.Length, maxStepTokens)
		case i > 0 && b.Length <= c.Buckets[i-1].Length:
			return invalid("length", "the lengths of the buckets do not ascend")
		}
	}
	for m, a := range c.Admit {
		if a.Pace.Pace == nil {
			return invalid(admitPart(m, ""), "%s: it has no pace", a.Metric)
		}
		if a.By != Value && a.By != Percentile {
			return invalid(admitPart(m, ""), "%s: unknown 'by: %s'; there are value and percentile", a.Metric, a.By)
		}
		if a.Descending && a.By != Percentile {
			return invalid(admitPart(m, ""), "%s: its larger values are easier, so a pace that rises cannot be by value; write 'by: percentile'", a.Metric)
		}
	}
	if !samples {
		return nil
	}
	for i := range c.Sources {
		if err := c.Sources[i].check(c); err != nil {
			return &PartError{sourcePart(i, ""), err}
		}
	}
	return nil
}

func (s *Source) check(c *Config) error {
	switch {
	case s.Samples <= 0:
		return fault.Invalidf("%sthere are no samples", s.prefix())
	case s.Units == nil && (len(c.Buckets) != 1 || s.Samples > 1<<SourceShift):
		return fault.Invalidf("%s%d samples in %d buckets need an arrangement", s.prefix(), s.Samples, len(c.Buckets))
	case len(s.Columns) != len(c.Admit):
		return fault.Invalidf("%sit has columns for %d metrics of %d", s.prefix(), len(s.Columns), len(c.Admit))
	}
	if s.Units != nil {
		lengths := make([]int, len(c.Buckets))
		for i, b := range c.Buckets {
			lengths[i] = b.Length
		}
		if got := s.Units.Lengths(); !slices.Equal(got, lengths) {
			return fault.Invalidf("%sits units have the lengths %v and the buckets %v", s.prefix(), got, lengths)
		}
	}
	for m, column := range s.Columns {
		if n := column.Len(); n != s.Samples {
			return fault.Mismatchf("%s%s: the index has %d samples and the corpus %d; analyze the corpus again",
				s.prefix(), c.Admit[m].Metric, n, s.Samples)
		}
	}
	return nil
}

// prefix begins a message about one of several sources.
func (s *Source) prefix() string {
	if s.Name == "" {
		return ""
	}
	return fmt.Sprintf("source %s: ", s.Name)
}
