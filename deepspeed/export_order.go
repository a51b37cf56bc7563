package deepspeed

import (
	"math/bits"
	"slices"

	"github.com/gradus-ml/gradus/index"
	"github.com/gradus-ml/gradus/internal/fault"
)

// order writes index_to_metric and index_to_sample in one pass over the order
// of the column, and returns the number of distinct values.
func (e *exporter) order(c *index.Column, k cut, m ExportedMetric) (int64, error) {
	values, err := e.create(m.Name, indexToMetric, m.Min, m.Max)
	if err != nil {
		return 0, err
	}
	defer values.Abort()
	samples, err := e.create(m.Name, indexToSample, 0, c.Len()-1)
	if err != nil {
		return 0, err
	}
	defer samples.Abort()
	distinct := int64(0)
	for start := int64(0); start < c.Len(); distinct++ {
		r, err := e.nextRun(c, k, start)
		if err != nil {
			return 0, err
		}
		if n := r.end - r.start; n > longestRow {
			return 0, fault.Invalidf("metric %s: %d samples have the value %d, and a row of DeepSpeed's format holds %d; %s", m.Name, n, r.value, longestRow, finer(m))
		}
		if err := values.Singles([]int64{r.value}); err != nil {
			return 0, err
		}
		if err := e.ascending(c, r, samples.Append); err != nil {
			return 0, err
		}
		if err := samples.EndRow(); err != nil {
			return 0, err
		}
		start = r.end
	}
	if err := values.Commit(); err != nil {
		return 0, err
	}
	return distinct, samples.Commit()
}

// finer says how to get shorter rows.
func finer(m ExportedMetric) string {
	if m.Real {
		return "a larger scale keeps more values apart"
	}
	return "use a metric with more distinct values"
}

// run is the stretch [start, end) of the order in which the samples have one
// value once it is cut.
type run struct {
	start, end int64 // ranks
	value      int64
	sorted     bool // the ids rise
}

// nextRun finds the run that begins at a rank.
func (e *exporter) nextRun(c *index.Column, k cut, start int64) (run, error) {
	id := c.At(start)
	r := run{start: start, end: start + 1, value: k.of(c.Value(id)), sorted: true}
	for ; r.end < c.Len(); r.end++ {
		if r.end%piece == 0 && e.ctx.Err() != nil {
			return r, e.ctx.Err()
		}
		next := c.At(r.end)
		switch v := k.of(c.Value(next)); {
		case v > r.value:
			return r, nil
		case v < r.value:
			return r, fault.Corruptf("metric %s: rank %d of the order: sample %d has an easier value than the sample before; analyze the corpus again", c.Metric().Name, r.end, next)
		}
		r.sorted = r.sorted && next > id
		id = next
	}
	return r, nil
}

const (
	// fewIDs is how many ids are sorted in memory: 8 MiB of them.
	fewIDs = 1 << 20
	// markedIDs is how many ids one pass over a longer run can mark: 64 MiB of
	// bits.
	markedIDs = 1 << 29
)

// ascending gives put the ids of a run in rising order, the order in which
// DeepSpeed's analyzer meets them. Samples of one value already stand so in an
// index; where a cut made several values one, they have to be sorted. A run may
// hold all samples, so a long one is sorted without holding it: each pass marks
// the ids of one range in a bitmap.
func (e *exporter) ascending(c *index.Column, r run, put func(ids []int64) error) error {
	switch {
	case r.sorted:
		return e.each(c, r, put)
	case r.end-r.start <= e.few:
		ids := make([]int64, 0, r.end-r.start)
		for rank := r.start; rank < r.end; rank++ {
			ids = append(ids, c.At(rank))
		}
		slices.Sort(ids)
		return put(ids)
	}
	for from := int64(0); from < c.Len(); from += e.marks {
		if err := e.mark(c, r, from); err != nil {
			return err
		}
		if err := e.marked(from, put); err != nil {
			return err
		}
	}
	return nil
}

// each gives put the ids of a run as they stand.
func (e *exporter) each(c *index.Column, r run, put func(ids []int64) error) error {
	for rank := r.start; rank < r.end; {
		e.buf = e.buf[:0]
		for end := min(rank+piece, r.end); rank < end; rank++ {
			e.buf = append(e.buf, c.At(rank))
		}
		if err := put(e.buf); err != nil {
			return err
		}
	}
	return e.ctx.Err()
}

// mark sets a bit for each id of the run in [from, from+e.marks).
func (e *exporter) mark(c *index.Column, r run, from int64) error {
	n := min(e.marks, c.Len()-from)
	e.seen = slices.Grow(e.seen[:0], int((n+63)/64))[:(n+63)/64]
	clear(e.seen)
	for rank := r.start; rank < r.end; rank++ {
		if at := c.At(rank) - from; uint64(at) < uint64(n) {
			e.seen[at/64] |= 1 << (at % 64)
		}
	}
	return e.ctx.Err()
}

// marked gives put the marked ids.
func (e *exporter) marked(from int64, put func(ids []int64) error) error {
	e.buf = e.buf[:0]
	for i, word := range e.seen {
		for ; word != 0; word &= word - 1 {
			e.buf = append(e.buf, from+int64(64*i+bits.TrailingZeros64(word)))
		}
		if len(e.buf) >= piece || i == len(e.seen)-1 {
			if err := put(e.buf); err != nil {
				return err
			}
			e.buf = e.buf[:0]
		}
	}
	return nil
}

// merged writes the percentile file: the bytes of index_to_sample under longer
// rows. DeepSpeed means to have 100 of them, and has 100 to 199.
func (e *exporter) merged(metric string) error {
	rows, err := Open(prefix(e.dir, metric) + indexToSample)
	if err != nil {
		return err
	}
	defer rows.Close()
	w, err := Create(prefix(e.dir, metric)+percentileMerged, rows.DType(), e.old)
	if err != nil {
		return err
	}
	defer w.Abort()
	step := max(1, rows.Len()/100)
	for first := int64(0); first < rows.Len(); first += step {
		start, _ := rows.Bounds(first)
		_, end := rows.Bounds(min(first+step, rows.Len()) - 1)
		if end-start > longestRow {
			return fault.Invalidf("metric %s: %d samples share a row of the percentile file, and a row of DeepSpeed's format holds %d; use a metric with values further apart, or fewer samples", metric, end-start, longestRow)
		}
		if err := rows.copyTo(w, start, end); err != nil {
			return err
		}
		if err := w.EndRow(); err != nil {
			return err
		}
		if err := e.ctx.Err(); err != nil {
			return err
		}
	}
	return w.Commit()
}

// copyTo appends the integers [start, end) to the row under way of a writer of
// the same type.
func (r *Rows) copyTo(w *Writer, start, end int64) error {
	size := r.dtype.Size()
	for raw := r.raw[start*size : end*size]; len(raw) > 0; {
		n := min(len(raw), 1<<20)
		if err := w.appendRaw(raw[:n]); err != nil {
			return err
		}
		raw = raw[n:]
	}
	return nil
}
