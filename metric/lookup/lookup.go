// Package lookup makes a metric of values that the user already has.
//
// Its noun is the Lookup: a file with a number for each sample, or each
// document, of a corpus. Three formats are told apart by the file's name:
//
//   - NAME.npy: a NumPy array of one dimension, of any integer or float type;
//     it is mapped, not read into memory.
//   - NAME.parquet: the column field=, of integers or floats.
//   - NAME.jsonl or NAME.ndjson, also with .gz or .zst behind it: a JSON object
//     a line, of which the number under field= is taken. Blank lines are no rows.
//
// Without key=, row i (from 0) is of sample i, and the file must have as many
// rows as there are samples. With key=, a field or column of whole numbers, a
// row is of the sample that it names, and each sample must occur once.
//
// With by=document a row is of a document, not of a sample. Then a sample that
// is a document has its value, and one that is a window has the mean of the
// values of its documents, each weighted by how many of the window's tokens are
// its own.
//
// Values are whole if all in the file are (of an integer type, or in JSON
// written without a point or exponent, and of a magnitude below 2^53) and by= is
// not document; otherwise real: the float64 nearest to what the file says. A
// value that is missing, null, no number or not finite is an error that names
// the file, the row and the field.
package lookup

import (
	"fmt"
	"strings"
	"sync"

	"github.com/gradus-ml/gradus/internal/fault"
	"github.com/gradus-ml/gradus/metric"
)

// Options of Open. The zero of a field is its default.
type Options struct {
	// Field is the column with the values; a .npy has none, the others need it.
	Field string
	// Key is the column that says of which sample or document a row is; default:
	// they are in order.
	Key string
	// Documents says that rows are of documents, not of samples.
	Documents bool
	// Descending says that larger values are easier.
	Descending bool
}

// Definition is the metric "lookup:file=FILE,..." of a registry.
func Definition() metric.Definition {
	return metric.Definition{
		Name:    "lookup",
		Summary: "values from a file: lookup:file=F.npy, or of a Parquet or JSONL file with field=NAME",
		Keys: []metric.Key{
			{Name: "file", Help: ".npy, .parquet, or .jsonl (also .gz, .zst)"},
			{Name: "field", Help: "the column with the values, of Parquet and JSONL"},
			{Name: "key", Help: "the column with the number, from 0, of the sample (default: row i is of sample i)"},
			{Name: "by", Help: "sample or document: what a row is of (default: sample)"},
			{Name: "descending", Help: "true: larger values are easier"},
		},
		Make: func(args *metric.Args) (metric.Metric, error) {
			o := Options{Field: args.String("field", ""), Key: args.String("key", ""), Descending: args.Bool("descending", false)}
			switch by := args.String("by", "sample"); by {
			case "sample":
			case "document":
				o.Documents = true
			default:
				return nil, fault.Invalidf("by=%s: sample or document is needed", by)
			}
			l, err := Open(args.String("file", ""), o)
			if err != nil {
				return nil, err
			}
			l.info = args.Info(l.info)
			return l, nil
		},
	}
}

// Lookup is a metric.Metric. Its samples are Blind.
type Lookup struct {
	path string
	o    Options
	info metric.Info
	rows int64
	load func() (column, error)
}

// column is the values in order of samples or documents.
type column interface{ Float64(i int64) float64 }

// Open reads the file once, to see that all is well and what the values are.
// Of an array the map is kept, of a table nothing: the first Scorer reads it
// again, into 8 bytes a row, when it is known that the rows are not too many.
//
// A damaged file is an error of kind fault.Corrupt, a value that is none, or a
// wrong field, of kind fault.Invalid.
func Open(path string, o Options) (*Lookup, error) {
	l := &Lookup{path: path, o: o}
	if path == "" {
		return nil, fault.Invalidf("file= is missing; write lookup:file=values.npy")
	}
	var s survey
	if strings.HasSuffix(path, ".npy") {
		found, values, err := openArray(path, o)
		if err != nil {
			return nil, err
		}
		s, l.load = found, func() (column, error) { return values, nil }
	} else {
		t, err := newTable(path, o)
		if err != nil {
			return nil, err
		}
		if s, err = t.survey(); err != nil {
			return nil, err
		}
		l.load = sync.OnceValues(func() (column, error) { return t.load(s) })
	}
	l.rows = s.rows
	l.info = metric.Info{
		Name:       "lookup",
		Spec:       spec(path, o),
		Content:    s.content,
		Version:    1,
		Blind:      true,
		Descending: o.Descending,
		Summary:    "values of " + path,
	}
	if s.whole && !o.Documents {
		l.info.Kind = metric.Whole
	}
	return l, nil
}

// spec says how a registry makes the metric.
func spec(path string, o Options) string {
	s := "lookup:file=" + path
	for _, p := range []struct {
		given bool
		text  string
	}{{o.Field != "", "field=" + o.Field}, {o.Key != "", "key=" + o.Key}, {o.Documents, "by=document"}, {o.Descending, "descending=true"}} {
		if p.given {
			s += "," + p.text
		}
	}
	return s
}

// Info describes the metric. Content is the hash of the file.
func (l *Lookup) Info() metric.Info { return l.info }

// Statistics returns none.
func (l *Lookup) Statistics() []metric.Statistic { return nil }

// Scorer makes a scorer; the values are read by the first one and shared. A
// file with another number of rows than the source has samples or documents is
// an error of kind fault.Mismatch, as is one that has changed since Open.
func (l *Lookup) Scorer(source metric.Source) (metric.Scorer, error) {
	if source.Samples == nil {
		return nil, fault.Invalidf("lookup needs to know the samples")
	}
	noun, n := "samples", source.Samples.Len()
	if l.o.Documents {
		noun, n = "documents", source.Samples.Corpus().Documents()
	}
	if n != l.rows {
		return nil, fault.Mismatchf("%s has %d rows, and there are %d %s; make the file for this corpus and cut, or choose by=sample or by=document rightly", l.path, l.rows, n, noun)
	}
	values, err := l.load()
	if err != nil {
		return nil, err
	}
	if l.o.Documents && !source.Samples.Cut().Documents {
		return windows{source.Samples, values}, nil
	}
	return metric.ScorerFunc(func(s metric.Sample) (float64, error) {
		if s.ID < 0 || s.ID >= n {
			return 0, fmt.Errorf("%s has values of %d %s", l.path, n, noun)
		}
		return values.Float64(s.ID), nil
	}), nil
}
