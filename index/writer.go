package index

import (
	"context"
	"crypto/sha256"
	"fmt"
	"hash"
	"io"
	"math"
	"path/filepath"

	"github.com/gradus-ml/gradus/corpus"
	"github.com/gradus-ml/gradus/internal/atomicfile"
	"github.com/gradus-ml/gradus/internal/fault"
	"github.com/gradus-ml/gradus/internal/mmap"
	"github.com/gradus-ml/gradus/internal/npy"
)

// Writer makes an index. It is not safe for concurrent use.
//
// Everything is written in DIR.partial; Commit puts that in place of DIR. A
// process killed at any point leaves at DIR the old index, the new one, or none
// that opens.
type Writer struct {
	place    *place
	manifest Manifest
	columns  []*ColumnWriter
}

// Create starts the index DIR of samples. If something is at DIR, that is an
// error of kind fault.Invalid, unless it is an index or the remains of one and
// force is set; Commit then replaces it. So is a second Writer for DIR while
// one is at work, in whatever process. The corpus's fingerprint is computed if
// it is not known.
func Create(dir string, s *corpus.Samples, force bool) (*Writer, error) {
	c := s.Corpus()
	fingerprint, err := c.Fingerprint()
	if err != nil {
		return nil, err
	}
	place, err := take(dir, force)
	if err != nil {
		return nil, err
	}
	meta := c.Meta()
	return &Writer{place: place, manifest: Manifest{
		Version: manifestVersion,
		Corpus: Corpus{
			Prefix: c.Path(), Fingerprint: fingerprint, Documents: c.Documents(), Tokens: c.Tokens(),
			Tokenizer: meta.Tokenizer, Vocabulary: meta.Vocabulary,
		},
		Cut:     s.Cut(),
		Samples: s.Len(),
	}}, nil
}

// ColumnWriter takes the values of one metric.
type ColumnWriter struct {
	w      *Writer
	metric Metric
	file   *arrayFile
	next   int64 // sample
	sum    float64
	done   bool
}

// Column starts the column of a metric: its values as int64 if whole is set, as
// float64 otherwise. Several columns may be filled at once.
func (w *Writer) Column(name string, version int, unit string, whole bool) (*ColumnWriter, error) {
	if err := checkName(name); err != nil {
		return nil, err
	}
	for _, c := range w.columns {
		if c.metric.Name == name {
			return nil, fault.Invalidf("metric %s is asked for twice", name)
		}
	}
	dtype := npy.Float64
	if whole {
		dtype = npy.Int64
	}
	file, err := w.createArray(arrayName(valuesName, name), dtype)
	if err != nil {
		return nil, err
	}
	c := &ColumnWriter{w: w, file: file, metric: Metric{
		Name: name, Version: version, Unit: unit, DType: dtype.String(),
		Min: math.Inf(1), Max: math.Inf(-1),
	}}
	w.columns = append(w.columns, c)
	return c, nil
}

// Append adds the values of the next len(values) samples. A value that is not
// finite, or not whole in a column of whole numbers (or beyond 2^53, where
// float64 has gaps), is an error of kind fault.Invalid with the sample's id. A
// negative zero is made a zero, in values too.
func (c *ColumnWriter) Append(values []float64) error {
	if n := c.w.manifest.Samples; int64(len(values)) > n-c.next {
		return fmt.Errorf("metric %s: %d values; there are only %d samples", c.metric.Name, c.next+int64(len(values)), n)
	}
	whole := c.metric.DType == npy.Int64.String()
	for i, v := range values {
		switch {
		case math.IsNaN(v) || math.IsInf(v, 0):
			return fault.Invalidf("metric %s: sample %d has the value %v; a value must be finite", c.metric.Name, c.next+int64(i), v)
		case whole && (v != math.Trunc(v) || math.Abs(v) > 1<<53):
			return fault.Invalidf("metric %s: sample %d has the value %v; the metric promises whole numbers up to 2^53", c.metric.Name, c.next+int64(i), v)
		case v == 0:
			values[i] = 0 // not negative zero, which would sort elsewhere
		}
		c.metric.Min, c.metric.Max = min(c.metric.Min, values[i]), max(c.metric.Max, values[i])
		c.sum += v
	}
	c.next += int64(len(values))
	return c.file.array.Floats(values)
}

// Close ends the column once all values have come, and makes its order on
// workers cores. A cancelled ctx ends it with ctx.Err().
func (c *ColumnWriter) Close(ctx context.Context, workers int) error {
	m, n := &c.metric, c.w.manifest.Samples
	if c.next != n {
		return fmt.Errorf("metric %s: %d values for %d samples", m.Name, c.next, n)
	}
	if m.Mean = c.sum / float64(n); math.IsInf(m.Mean, 0) {
		return fault.Invalidf("metric %s: its values are too large to be summed", m.Name)
	}
	var err error
	if m.Values, err = c.file.commit(); err != nil {
		return err
	}
	name := filepath.Join(c.w.place.partial, filepath.FromSlash(m.Values.Name))
	mapped, err := mmap.Open(name)
	if err != nil {
		return err
	}
	defer mapped.Close()
	values, err := npy.Parse(name, mapped.Bytes())
	if err != nil {
		return err
	}
	if orderType(n) == npy.Uint32 {
		err = writeOrder[uint32](ctx, c, values, workers)
	} else {
		err = writeOrder[uint64](ctx, c, values, workers)
	}
	c.done = err == nil
	return err
}

func writeOrder[T uint32 | uint64](ctx context.Context, c *ColumnWriter, values npy.Array, workers int) error {
	ids, err := sortedIDs[T](ctx, values, workers)
	if err != nil {
		return err
	}
	file, err := c.w.createArray(arrayName(orderName, c.metric.Name), orderType(values.Len()))
	if err != nil {
		return err
	}
	defer file.file.Abort()
	if err := npy.IDs(file.array, ids); err != nil {
		return fmt.Errorf("write %s: %w", file.name, err)
	}
	c.metric.Quantiles = make([]float64, 101)
	for percent := range c.metric.Quantiles {
		id := ids[rankOf(float64(percent), values.Len())]
		c.metric.Quantiles[percent] = values.Float64(int64(id))
	}
	c.metric.Order, err = file.commit()
	return err
}

// Commit completes the index, once all columns are closed, and puts it in
// place. If it fails before the old index is touched, everything is taken back;
// if it fails while the new one takes its place, the new one stays in
// DIR.partial, and the error says so.
func (w *Writer) Commit() error {
	defer w.Abort()
	for _, c := range w.columns {
		if !c.done {
			return fmt.Errorf("metric %s is not closed", c.metric.Name)
		}
		w.manifest.Metrics = append(w.manifest.Metrics, c.metric)
	}
	if err := w.manifest.validate(); err != nil {
		return fmt.Errorf("index %s: %w", w.place.dir, err)
	}
	data, err := w.manifest.encode()
	if err != nil {
		return fmt.Errorf("index %s: %w", w.place.dir, err)
	}
	err = atomicfile.Write(filepath.Join(w.place.partial, manifestName), func(out io.Writer) error {
		_, err := out.Write(data)
		return err
	})
	if err != nil {
		return err
	}
	return w.place.publish()
}

// Manifest returns the manifest, complete after Commit.
func (w *Writer) Manifest() Manifest { return w.manifest }

// Abort removes what was written. After Commit it does nothing, so that it can
// be deferred right after Create.
func (w *Writer) Abort() {
	for _, c := range w.columns {
		c.file.file.Abort()
	}
	w.place.leave()
}

// arrayFile is a .npy file of the index while it is written, and its checksum.
type arrayFile struct {
	name  string // relative to the index
	file  *atomicfile.File
	array *npy.Writer
	tally tally
}

func (w *Writer) createArray(name string, dtype npy.DType) (*arrayFile, error) {
	file, err := atomicfile.Create(filepath.Join(w.place.partial, filepath.FromSlash(name)))
	if err != nil {
		return nil, fmt.Errorf("index %s: %w", w.place.dir, err)
	}
	f := &arrayFile{name: name, file: file, tally: tally{sum: sha256.New()}}
	if f.array, err = npy.NewWriter(io.MultiWriter(file, &f.tally), dtype, w.manifest.Samples); err != nil {
		file.Abort()
		return nil, fmt.Errorf("write %s: %w", name, err)
	}
	return f, nil
}

func (f *arrayFile) commit() (File, error) {
	if err := f.array.Close(); err != nil {
		return File{}, fmt.Errorf("write %s: %w", f.name, err)
	}
	if err := f.file.Commit(); err != nil {
		return File{}, err
	}
	return File{Name: f.name, Bytes: f.tally.bytes, SHA256: hexDigest(f.tally.sum.Sum(nil))}, nil
}

// tally counts and hashes what passes.
type tally struct {
	sum   hash.Hash
	bytes int64
}

func (t *tally) Write(p []byte) (int, error) {
	t.bytes += int64(len(p))
	return t.sum.Write(p)
}
