package deepspeed

import (
	"context"
	"math"
	"runtime"
	"slices"
	"strings"

	"github.com/gradus-ml/gradus/corpus"
	"github.com/gradus-ml/gradus/index"
	"github.com/gradus-ml/gradus/internal/fault"
)

// ImportOptions of Import. The zero of a field is its default.
type ImportOptions struct {
	// Metrics to import, by DeepSpeed's names; default: all there are.
	Metrics []string
	// Workers is how many cores sort; default: all.
	Workers int
	// Force replaces an index that is at the directory already.
	Force bool
}

// Imported is what Import has made.
type Imported struct {
	Manifest index.Manifest   `json:"manifest"`
	Metrics  []ImportedMetric `json:"metrics"`
}

// ImportedMetric is one metric as it was read.
type ImportedMetric struct {
	Name     string `json:"name"` // in the index: lower-case
	From     string `json:"from"` // the prefix of the files
	Distinct int64  `json:"distinct"`
	// Checked says that sample_to_metric was there, and agrees.
	Checked bool `json:"checked"`
}

// Import makes the index dir of the files of DeepSpeed's data analyzer at path:
// a directory of one metric, one of several, or one of a metric's files. Sample
// i of the files is sample i of the corpus.
//
// It reads index_to_metric and index_to_sample, as DeepSpeed's sampler does, and
// holds sample_to_metric against them if it is there. A damaged file, a sample
// that occurs twice or not at all, is an error of kind fault.Corrupt; another
// number of samples than the corpus has, or files that contradict each other,
// fault.Mismatch. Files that Export made are also held against the corpus they
// were made of. Memory is 128 MiB and what sorting takes in package index.
func Import(ctx context.Context, path string, samples *corpus.Samples, dir string, o ImportOptions) (Imported, error) {
	if o.Workers == 0 {
		o.Workers = runtime.GOMAXPROCS(0)
	}
	sources, err := find(path)
	if err != nil {
		return Imported{}, err
	}
	if sources, err = choose(sources, o.Metrics, path); err != nil {
		return Imported{}, err
	}
	head, err := index.HeadOf(samples)
	if err != nil {
		return Imported{}, err
	}
	w, err := index.Create(dir, head, o.Force)
	if err != nil {
		return Imported{}, err
	}
	defer w.Abort()
	var done Imported
	for _, s := range sources {
		m, err := importMetric(ctx, s, samples, w, o.Workers)
		if err != nil {
			return Imported{}, err
		}
		done.Metrics = append(done.Metrics, m)
	}
	if err := ctx.Err(); err != nil {
		return Imported{}, err
	}
	err = w.Commit()
	done.Manifest = w.Manifest()
	return done, err
}

// choose picks the metrics that were asked for.
func choose(sources []source, names []string, path string) ([]source, error) {
	if len(names) == 0 {
		return sources, nil
	}
	var known []string
	for _, s := range sources {
		known = append(known, s.metric)
	}
	var chosen []source
	for i, name := range names {
		at := slices.Index(known, name)
		if at < 0 {
			return nil, fault.Invalidf("%s has no metric %q (it has: %s)", path, name, strings.Join(known, ", "))
		}
		if !slices.Contains(names[:i], name) {
			chosen = append(chosen, sources[at])
		}
	}
	return chosen, nil
}

// importMetric makes one column.
func importMetric(ctx context.Context, s source, samples *corpus.Samples, w *index.Writer, workers int) (ImportedMetric, error) {
	st, err := stampOf(s)
	if err == nil && st != nil {
		err = st.fits(s, samples)
	}
	if err != nil {
		return ImportedMetric{}, err
	}
	l, err := openListing(s, samples)
	if err != nil {
		return ImportedMetric{}, err
	}
	defer l.Close()
	m := ImportedMetric{Name: strings.ToLower(s.metric), From: s.prefix, Distinct: l.ids.Len(), Checked: l.check != nil}
	column := index.Metric{Name: m.Name, Version: 1, Unit: "points", DType: index.Whole}
	out, err := w.Values(column)
	if err != nil {
		return m, err
	}
	defer out.Close()
	// One window of the samples at a time: values come by value, and the index
	// takes them by sample.
	values := make([]float64, min(windowSamples, samples.Len()))
	for from := int64(0); from < samples.Len(); from += windowSamples {
		values = values[:min(windowSamples, samples.Len()-from)]
		if err := l.window(ctx, values, from); err != nil {
			return m, err
		}
		if err := out.WriteAt(values, from); err != nil {
			return m, err
		}
	}
	if err := out.Close(); err != nil {
		return m, err
	}
	_, err = w.Finish(ctx, column, workers, 0)
	return m, err
}

// windowSamples is how many samples' values are put in place at once: 128 MiB.
// Every window is a pass over all ids.
const windowSamples = 16 << 20

// listing is the open files of one metric.
type listing struct {
	values, ids *Rows
	check       *Rows // sample_to_metric, or nil
	samples     int64
	buf         []int64
}

// openListing opens a metric's files and checks what needs no pass over the ids.
func openListing(s source, samples *corpus.Samples) (_ *listing, err error) {
	l := &listing{samples: samples.Len(), buf: make([]int64, piece)}
	defer func() {
		if err != nil {
			l.Close()
		}
	}()
	if l.ids, err = Open(s.prefix + indexToSample); err != nil {
		return nil, err
	}
	if l.values, err = Open(s.prefix + indexToMetric); err != nil {
		return nil, err
	}
	if s.has(sampleToMetric) {
		if l.check, err = Open(s.prefix + sampleToMetric); err != nil {
			return nil, err
		}
		if err = l.check.singles(); err != nil {
			return nil, err
		}
	}
	if l.ids.Values() != l.samples {
		return nil, fault.Mismatchf("%s.idx lists %d samples, but corpus %s cut as %s has %d; they must be the samples that DeepSpeed analyzed",
			l.ids.Path(), l.ids.Values(), samples.Corpus().Path(), samples.Cut(), l.samples)
	}
	if l.check != nil && l.check.Values() != l.samples {
		return nil, fault.Mismatchf("%s.idx has %d samples, %s.idx has %d; they are not of one analysis", l.check.Path(), l.check.Values(), l.ids.Path(), l.samples)
	}
	if l.values.Len() != l.ids.Len() {
		return nil, fault.Mismatchf("%s.idx has %d values, %s.idx has rows for %d; they are not of one analysis", l.values.Path(), l.values.Len(), l.ids.Path(), l.ids.Len())
	}
	return l, l.checkRising()
}

// Close closes the files that are open.
func (l *listing) Close() {
	for _, r := range []*Rows{l.values, l.ids, l.check} {
		if r != nil {
			r.Close()
		}
	}
}

// checkRising proves that each row of samples has another value, larger than
// that before.
func (l *listing) checkRising() error {
	if err := l.values.singles(); err != nil {
		return err
	}
	before := int64(0)
	return l.each(l.values, 0, l.values.Values(), func(row int64, values []int64) error {
		for i, v := range values {
			at := row + int64(i)
			if at > 0 && v <= before {
				return fault.Corruptf("%s.bin: row %d has the value %d after %d; the values must rise", l.values.Path(), at, v, before)
			}
			if v > 1<<53 || v < -1<<53 {
				return fault.Invalidf("%s.bin: row %d has the value %d; an index holds whole numbers up to 2^53", l.values.Path(), at, v)
			}
			before = v
		}
		return nil
	})
}

// each gives do the integers [start, end) of a file in pieces.
func (l *listing) each(r *Rows, start, end int64, do func(at int64, values []int64) error) error {
	for start < end {
		buf := l.buf[:min(piece, end-start)]
		if err := r.Read(buf, start); err != nil {
			return err
		}
		if err := do(start, buf); err != nil {
			return err
		}
		start += int64(len(buf))
	}
	return nil
}

// window fills dst with the values of the samples from the first on. A file has
// as many ids as there are samples, so if none comes twice, none is missing.
func (l *listing) window(ctx context.Context, dst []float64, from int64) error {
	for i := range dst {
		dst[i] = math.NaN() // not yet met
	}
	value := make([]int64, 1)
	for row := range l.ids.Len() {
		if row%piece == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		if err := l.values.Read(value, row); err != nil {
			return err
		}
		v := float64(value[0])
		start, end := l.ids.Bounds(row)
		err := l.each(l.ids, start, end, func(_ int64, ids []int64) error {
			for _, id := range ids {
				switch at := id - from; {
				case id < 0 || id >= l.samples:
					return l.wrong(row, id, "does not exist")
				case at < 0 || at >= int64(len(dst)):
				case dst[at] == dst[at]: // a number
					return l.wrong(row, id, "occurs twice")
				default:
					dst[at] = v
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	if l.check == nil {
		return nil
	}
	return l.each(l.check, from, from+int64(len(dst)), func(start int64, values []int64) error {
		for i, v := range values {
			if id := start + int64(i); float64(v) != dst[id-from] {
				return fault.Mismatchf("%s.bin says that sample %d has the value %d, %s.bin that it is %v. If the analysis visited the samples in another order, move the first away and import again; if not, analyze again",
					l.check.Path(), id, v, l.ids.Path(), dst[id-from])
			}
		}
		return nil
	})
}

// wrong reports an id as the likely doing of the analyzer: where batches are
// dicts or tuples, it counts their fields for their samples and goes on at
// wrong ids (DeepSpeed issue 8505).
func (l *listing) wrong(row, id int64, how string) error {
	return fault.Corruptf("%s.bin: row %d: sample %d %s, among %d samples; DeepSpeed's analyzer writes wrong ids where batches are dicts or tuples without 'index': analyze again, with gradus", l.ids.Path(), row, id, how, l.samples)
}
