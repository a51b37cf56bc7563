package deepspeed

import (
	"context"
	"encoding/json"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"

	"github.com/gradus-ml/gradus/index"
	"github.com/gradus-ml/gradus/internal/atomicdir"
	"github.com/gradus-ml/gradus/internal/atomicfile"
	"github.com/gradus-ml/gradus/internal/fault"
)

// ExportOptions of Export. The zero of a field is its default.
type ExportOptions struct {
	// Metrics to export; default: all of the index.
	Metrics []string
	// Scale multiplies real values before their fraction is dropped; default:
	// 1. Whole values are never scaled.
	Scale float64
	// OldCodes writes the type codes of DeepSpeed before 0.13.3.
	OldCodes bool
	// Force replaces an export that is at the directory already.
	Force bool
}

// Exported is what Export has written.
type Exported struct {
	Samples int64            `json:"samples"`
	Metrics []ExportedMetric `json:"metrics"`
	// TokenCounts is the length of total_vocab_freq's row: the vocabulary. 0 if
	// the index does not keep the counts of tokens.
	TokenCounts int64 `json:"token_counts,omitempty"`
}

// ExportedMetric is one metric as DeepSpeed will read it.
type ExportedMetric struct {
	Name     string  `json:"name"`
	Unit     string  `json:"unit"`
	Min      int64   `json:"min"`
	Max      int64   `json:"max"`
	Distinct int64   `json:"distinct"` // different values
	Real     bool    `json:"real"`     // the fractions were dropped
	Scale    float64 `json:"scale"`    // what values were multiplied by
	Negated  bool    `json:"negated"`  // since larger values are easier samples
}

// Export writes the metrics of an index into the directory dir, one directory
// each, and the token counts if the index keeps them. It is put in place when
// it is whole; an existing export is only replaced with Force.
//
// Values that do not fit 64 bits, and rows beyond the 2^31-1 samples that the
// format allows (all samples of one value, or of a hundredth of all distinct
// values), are errors of kind fault.Invalid. The memory taken does not depend
// on the number of samples.
func Export(ctx context.Context, x *index.Index, dir string, o ExportOptions) (Exported, error) {
	if o.Scale == 0 {
		o.Scale = 1
	}
	if !(o.Scale > 0) || math.IsInf(o.Scale, 0) {
		return Exported{}, fault.Invalidf("export: a scale of %v; it must be a positive number", o.Scale)
	}
	if len(o.Metrics) == 0 {
		o.Metrics = x.Metrics()
	}
	var columns []*index.Column
	for i, name := range o.Metrics {
		c, err := x.Column(name)
		if err != nil {
			return Exported{}, err
		}
		if !slices.Contains(o.Metrics[:i], name) {
			columns = append(columns, c)
		}
	}
	out, err := atomicdir.Create(dir, o.Force, ours)
	if err != nil {
		return Exported{}, err
	}
	defer out.Abort()
	e := exporter{ctx: ctx, index: x, dir: out.Path(), old: o.OldCodes, few: fewIDs, marks: markedIDs}
	done := Exported{Samples: x.Manifest().Samples}
	for _, c := range columns {
		m, err := e.metric(c, o.Scale)
		if err != nil {
			return Exported{}, err
		}
		done.Metrics = append(done.Metrics, m)
	}
	counts, err := tokenCounts(x)
	if err != nil {
		return Exported{}, err
	}
	if counts != nil && !slices.Contains(o.Metrics, frequencies) {
		if done.TokenCounts, err = e.frequencies(counts, x.Manifest().Corpus.Vocabulary); err != nil {
			return Exported{}, err
		}
	}
	if err := e.stamp(done); err != nil {
		return Exported{}, err
	}
	return done, out.Commit()
}

// exporter writes into one directory.
type exporter struct {
	ctx   context.Context
	index *index.Index
	dir   string
	old   bool
	buf   []int64
	seen  []uint64 // see ascending
	// How long runs are sorted; see ascending. Tests have smaller ones.
	few, marks int64
}

// metric writes the four datasets of one metric.
func (e *exporter) metric(c *index.Column, scale float64) (ExportedMetric, error) {
	info := c.Metric()
	m := ExportedMetric{Name: info.Name, Unit: info.Unit, Real: !info.Whole(), Scale: 1, Negated: info.Descending}
	if m.Real {
		m.Scale = scale
	}
	k := cut{scale: m.Scale, negate: m.Negated}
	easiest, hardest := c.Value(c.At(0)), c.Value(c.At(c.Len()-1))
	for _, v := range []float64{easiest, hardest} {
		if err := k.within(v); err != nil {
			return m, fault.Invalidf("metric %s: %w; choose a smaller scale", m.Name, err)
		}
	}
	m.Min, m.Max = k.of(easiest), k.of(hardest)
	if err := os.Mkdir(filepath.Join(e.dir, m.Name), 0o777); err != nil {
		return m, err
	}
	if err := e.values(c, k, m); err != nil {
		return m, err
	}
	var err error
	if m.Distinct, err = e.order(c, k, m); err != nil {
		return m, err
	}
	return m, e.merged(m.Name)
}

// values writes sample_to_metric.
func (e *exporter) values(c *index.Column, k cut, m ExportedMetric) error {
	w, err := e.create(m.Name, sampleToMetric, m.Min, m.Max)
	if err != nil {
		return err
	}
	defer w.Abort()
	values := make([]float64, piece)
	for start := int64(0); start < c.Len(); start += piece {
		if err := e.ctx.Err(); err != nil {
			return err
		}
		values = values[:min(piece, c.Len()-start)]
		c.Values(values, start)
		e.buf = e.buf[:0]
		for _, v := range values {
			e.buf = append(e.buf, k.of(v))
		}
		if err := w.Singles(e.buf); err != nil {
			return err
		}
	}
	return w.Commit()
}

// create starts a dataset of values from low to high.
func (e *exporter) create(metric, kind string, low, high int64) (*Writer, error) {
	return Create(prefix(e.dir, metric)+kind, Fit(low, high), e.old)
}

// piece is how many values or ids are held at once where a pass needs no more.
const piece = 8 << 10

func (e *exporter) stamp(done Exported) error {
	m := e.index.Manifest()
	return atomicfile.Write(filepath.Join(e.dir, stampName), func(w io.Writer) error {
		enc := json.NewEncoder(w)
		enc.SetIndent("", "  ")
		return enc.Encode(stamp{Version: stampVersion, Corpus: m.Corpus.Fingerprint, Cut: m.Cut, Exported: done})
	})
}
