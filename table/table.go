// Package table writes an index as one Parquet file, for DuckDB, pandas and
// whatever else reads such files.
//
// Its noun: a table has a row for each sample, in order of samples, and the
// columns
//
//	sample        int64            the sample's id
//	document      int64            the document of its first token
//	offset        int64            tokens of that document before it
//	<metric>      int64 or double  its value
//	rank_<metric> int64            its place in the order, 0 for the easiest
//
// document and offset need the corpus, ranks are on request. The file's
// metadata says of which corpus it is: gradus.fingerprint, gradus.cut and
// gradus.unit.<metric>.
package table

import (
	"context"
	"fmt"
	"io"
	"os"
	"reflect"
	"slices"

	"github.com/gradus-ml/gradus/corpus"
	"github.com/gradus-ml/gradus/index"
	"github.com/gradus-ml/gradus/internal/atomicfile"
	"github.com/gradus-ml/gradus/internal/fault"
	"github.com/parquet-go/parquet-go"
)

// Options of Write. The zero of a field is its default.
type Options struct {
	// Metrics to write; default: all of the index.
	Metrics []string
	// Ranks adds the column rank_<metric> for each metric.
	Ranks bool
	// Samples, if not nil, are the samples the index was made of, and add the
	// columns document and offset.
	Samples *corpus.Samples
	// Force replaces a file that is there already.
	Force bool
}

// Result is what Write has written.
type Result struct {
	Samples int64    `json:"samples"`
	Columns []string `json:"columns"`
	Bytes   int64    `json:"bytes"` // of the file
}

// groupRows is how many samples a row group has: the most that a reader decodes
// at once, and what the writer holds compressed, at most 8 MiB a column.
const groupRows = 1 << 20

// rankedRows bounds the ranks that are held at once, over all metrics: 256 MiB.
const rankedRows = 32 << 20

// Write writes the index to the Parquet file at path, which is put in place when
// it is whole. A file that is there already is an error of kind fault.Invalid
// without Force; samples that are not those of the index are fault.Mismatch.
// The memory taken does not depend on the number of samples.
func Write(ctx context.Context, x *index.Index, path string, o Options) (Result, error) {
	t, err := newTable(x, o)
	if err != nil {
		return Result{}, err
	}
	if _, err := os.Stat(path); err == nil && !o.Force {
		return Result{}, fault.Invalidf("%s: it is there already; force its replacement or choose another name", path)
	}
	f, err := atomicfile.Create(path)
	if err != nil {
		return Result{}, err
	}
	defer f.Abort()
	if err := t.write(ctx, f, groupRows, rankedRows); err != nil {
		if ctx.Err() != nil {
			return Result{}, ctx.Err()
		}
		return Result{}, fmt.Errorf("write %s: %w", path, err)
	}
	if err := f.Sync(); err != nil {
		return Result{}, fmt.Errorf("write %s: %w", path, err)
	}
	info, err := f.Stat()
	if err != nil {
		return Result{}, err
	}
	r := Result{Samples: t.samples, Bytes: info.Size()}
	for _, c := range t.columns {
		r.Columns = append(r.Columns, c.name)
	}
	return r, f.Commit()
}

// table is the columns of a file to be written.
type table struct {
	samples  int64
	columns  []column
	ranks    []*ranks
	metadata []parquet.WriterOption
}

// column is one column of the file: fill gives the values of the rows from the
// first on.
type column struct {
	name   string
	double bool
	fill   func(dst []parquet.Value, first int64)
}

func newTable(x *index.Index, o Options) (*table, error) {
	m := x.Manifest()
	t := &table{samples: m.Samples}
	t.integers("sample", func(id int64) int64 { return id })
	if s := o.Samples; s != nil {
		if err := x.Matches(s); err != nil {
			return nil, err
		}
		t.integers("document", func(id int64) int64 { document, _ := placeOf(s, id); return document })
		t.integers("offset", func(id int64) int64 { _, offset := placeOf(s, id); return offset })
	}
	if len(o.Metrics) == 0 {
		o.Metrics = x.Metrics()
	}
	t.note("fingerprint", m.Corpus.Fingerprint)
	t.note("cut", m.Cut.String())
	for i, name := range o.Metrics {
		if slices.Contains(o.Metrics[:i], name) {
			continue
		}
		c, err := x.Column(name)
		if err != nil {
			return nil, err
		}
		t.note("unit."+name, c.Metric().Unit)
		t.metric(c)
		if o.Ranks {
			r := &ranks{column: c}
			t.ranks = append(t.ranks, r)
			t.integers("rank_"+name, r.of)
		}
	}
	for i, c := range t.columns {
		if slices.ContainsFunc(t.columns[:i], func(other column) bool { return other.name == c.name }) {
			return nil, fault.Invalidf("the table would have two columns %q; choose other metrics", c.name)
		}
	}
	return t, nil
}

// note adds to the file's metadata.
func (t *table) note(key, value string) {
	t.metadata = append(t.metadata, parquet.KeyValueMetadata("gradus."+key, value))
}

// integers adds a column of int64.
func (t *table) integers(name string, of func(id int64) int64) {
	at := len(t.columns)
	t.columns = append(t.columns, column{name: name, fill: func(dst []parquet.Value, first int64) {
		for i := range dst {
			dst[i] = parquet.Int64Value(of(first+int64(i))).Level(0, 0, at)
		}
	}})
}

// metric adds the column of a metric's values.
func (t *table) metric(c *index.Column) {
	at, double := len(t.columns), !c.Metric().Whole()
	values := make([]float64, pieceRows)
	t.columns = append(t.columns, column{name: c.Metric().Name, double: double, fill: func(dst []parquet.Value, first int64) {
		c.Values(values[:len(dst)], first)
		for i, v := range values[:len(dst)] {
			if double {
				dst[i] = parquet.DoubleValue(v).Level(0, 0, at)
			} else {
				dst[i] = parquet.Int64Value(int64(v)).Level(0, 0, at)
			}
		}
	}})
}

// placeOf returns the document of a sample's first token, and the tokens of it
// that stand before.
func placeOf(s *corpus.Samples, id int64) (document, offset int64) {
	if s.Cut().Documents {
		return id, 0 // also if it is empty and has no first token
	}
	start, _ := s.Span(id)
	document = s.Corpus().DocumentAt(start)
	begins, _ := s.Corpus().Bounds(document)
	return document, start - begins
}

// pieceRows is how many rows are converted at once.
const pieceRows = 8 << 10

// write streams the table, a row group at a time and in it a column at a time.
func (t *table) write(ctx context.Context, out io.Writer, group, ranked int64) error {
	w := parquet.NewWriter(out, append(t.metadata, t.schema(), parquet.CreatedBy("gradus", "1", ""))...)
	window := group // of ranks, a whole number of groups
	if len(t.ranks) > 0 {
		window = max(1, ranked/int64(len(t.ranks))/group) * group
	}
	piece := make([]parquet.Value, pieceRows)
	for start := int64(0); start < t.samples; start += group {
		if start%window == 0 {
			for _, r := range t.ranks {
				r.load(start, min(start+window, t.samples))
			}
		}
		end := min(start+group, t.samples)
		for i, c := range t.columns {
			for at := start; at < end; at += pieceRows {
				rows := piece[:min(pieceRows, end-at)]
				c.fill(rows, at)
				if _, err := w.ColumnWriters()[i].WriteRowValues(rows); err != nil {
					return err
				}
			}
			if err := ctx.Err(); err != nil {
				return err
			}
		}
		if err := w.Flush(); err != nil {
			return err
		}
	}
	return w.Close()
}

// schema names and types the columns. The library would sort the fields of a
// group by name; those of a struct stay in order. Integers are stored as
// differences, which for sample, document and offset leaves nearly nothing.
func (t *table) schema() parquet.WriterOption {
	var fields []reflect.StructField
	for i, c := range t.columns {
		f := reflect.StructField{
			Name: fmt.Sprintf("C%d", i),
			Type: reflect.TypeFor[int64](),
			Tag:  reflect.StructTag(fmt.Sprintf(`parquet:%q`, c.name+",delta,zstd")),
		}
		if c.double {
			f.Type = reflect.TypeFor[float64]()
			f.Tag = reflect.StructTag(fmt.Sprintf(`parquet:%q`, c.name+",zstd"))
		}
		fields = append(fields, f)
	}
	return parquet.SchemaOf(reflect.New(reflect.StructOf(fields)).Interface())
}

// ranks turns the order of a column over: the rank of each of a window of
// samples.
type ranks struct {
	column *index.Column
	first  int64
	rank   []int64
}

// load finds the ranks of the samples [first, end), by one pass over the order.
func (r *ranks) load(first, end int64) {
	r.first = first
	r.rank = slices.Grow(r.rank[:0], int(end-first))[:end-first]
	for rank := range r.column.Len() {
		if at := r.column.At(rank) - first; uint64(at) < uint64(len(r.rank)) {
			r.rank[at] = rank
		}
	}
}

// of returns the rank of a sample of the window.
func (r *ranks) of(id int64) int64 { return r.rank[id-r.first] }
