package cmd

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/gradus-ml/gradus/corpus"
	"github.com/gradus-ml/gradus/index"
	"github.com/gradus-ml/gradus/internal/fault"
)

// indexView is what inspect shows of an index.
type indexView struct {
	Kind     string         `json:"kind"`
	Path     string         `json:"path"`
	Manifest index.Manifest `json:"manifest"`
	Columns  []columnView   `json:"columns"`
	// Note says why samples have no text, if they have none.
	Note string `json:"note,omitempty"`
}

// columnView is what inspect shows of a metric beyond the manifest.
type columnView struct {
	Metric    string        `json:"metric"`
	Histogram []bin         `json:"histogram"`
	Easiest   []extremeView `json:"easiest"` // the easiest first
	Hardest   []extremeView `json:"hardest"` // the hardest first
}

// bin counts the samples with From <= value < To; the last also those at To.
type bin struct {
	From  float64 `json:"from"`
	To    float64 `json:"to"`
	Count int64   `json:"count"`
}

type extremeView struct {
	ID     int64    `json:"id"`
	Value  float64  `json:"value"`
	Begins *excerpt `json:"begins,omitempty"` // nil without the corpus
}

const (
	histogramBins  = 12 // lines of a terminal
	histogramWidth = 40
	extremes       = 3 // samples shown at either end
)

func inspectIndex(_ context.Context, w io.Writer, path string, o inspectOptions) error {
	x, err := index.Open(path)
	if err != nil {
		return err
	}
	defer x.Close()
	v := indexView{Kind: "index", Path: path, Manifest: x.Manifest()}
	samples, err := samplesOf(x, o.corpus)
	if err != nil {
		// Without its corpus an index still has its numbers; only a corpus
		// that was asked for by name has to be the right one.
		if o.corpus != "" {
			return err
		}
		v.Note = "samples have no text here: " + err.Error()
	}
	begins := func(int64) (*excerpt, error) { return nil, nil }
	if samples != nil {
		c := samples.Corpus()
		defer c.Close()
		tok, err := textOf(c)
		if err != nil {
			return err
		}
		begins = func(id int64) (*excerpt, error) {
			start, end := samples.Span(id)
			e, err := excerptOf(c, tok, start, end)
			return &e, err
		}
	}
	for _, name := range x.Metrics() {
		c, err := x.Column(name)
		if err != nil {
			return err
		}
		column, err := viewColumn(c, begins)
		if err != nil {
			return err
		}
		v.Columns = append(v.Columns, column)
	}
	if o.svg != "" {
		if err := writeIndexSVG(o.svg, x, v.Manifest); err != nil {
			return err
		}
	}
	if o.json {
		return printJSON(w, v)
	}
	return printIndex(w, v)
}

// samplesOf opens the samples an index was made of, from prefix or, if that is
// empty, from where the index says the corpus was.
func samplesOf(x *index.Index, prefix string) (*corpus.Samples, error) {
	open := x.Manifest().Corpus.Open
	if prefix != "" {
		open = func() (*corpus.Corpus, error) {
			return openCorpus(cmp.Or(x.Manifest().Corpus.Form, corpus.Auto.String()), prefix)
		}
	}
	c, err := open()
	if err != nil {
		return nil, err
	}
	s, err := c.Samples(x.Manifest().Cut)
	if errors.Is(err, fault.Invalid) {
		err = fault.Mismatchf("%w: it is not the corpus of index %s", err, x.Path())
	}
	if err == nil {
		err = x.Matches(s)
	}
	if err != nil {
		c.Close()
		return nil, err
	}
	return s, nil
}

func viewColumn(c *index.Column, begins func(id int64) (*excerpt, error)) (columnView, error) {
	v := columnView{Metric: c.Metric().Name, Histogram: histogram(c, histogramBins)}
	show := func(rank int64) (extremeView, error) {
		id := c.At(rank)
		e, err := begins(id)
		return extremeView{ID: id, Value: c.Value(id), Begins: e}, err
	}
	for i := range min(extremes, c.Len()) {
		easy, err := show(i)
		if err != nil {
			return v, err
		}
		hard, err := show(c.Len() - 1 - i)
		if err != nil {
			return v, err
		}
		v.Easiest, v.Hardest = append(v.Easiest, easy), append(v.Hardest, hard)
	}
	return v, nil
}

func printIndex(out io.Writer, v indexView) error {
	m := v.Manifest
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "index\t%s\n", v.Path)
	fmt.Fprintf(w, "corpus\t%s (%d documents, %d tokens)\n", strings.Join(m.Corpus.Paths, ", "), m.Corpus.Documents, m.Corpus.Tokens)
	fmt.Fprintf(w, "fingerprint\t%s\n", m.Corpus.Fingerprint)
	fmt.Fprintf(w, "samples\t%d (%s)\n", m.Samples, m.Cut)
	if err := w.Flush(); err != nil {
		return err
	}
	for i, c := range v.Columns {
		if err := printColumn(out, m.Metrics[i], c); err != nil {
			return err
		}
	}
	if v.Note != "" {
		_, err := fmt.Fprintf(out, "\n%s\n", v.Note)
		return err
	}
	return nil
}

func printColumn(out io.Writer, m index.Metric, c columnView) error {
	source, direction := fmt.Sprintf("version %d", m.Version), ""
	if m.Spec != "" && m.Spec != m.Name {
		source = m.Spec + " " + source
	}
	if m.Descending {
		direction = "; larger is easier"
	}
	fmt.Fprintf(out, "\n%s, in %s (%s), mean %s%s\n\n", m.Name, m.Unit, source, short(m.Mean), direction)
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	percents := []int{0, 1, 5, 25, 50, 75, 95, 99, 100}
	for _, p := range percents {
		fmt.Fprintf(w, "%d %%\t", p)
	}
	fmt.Fprintln(w)
	for _, p := range percents {
		fmt.Fprintf(w, "%s\t", short(m.Quantiles[p]))
	}
	fmt.Fprint(w, "\n\n")
	w.Flush()

	most := int64(1)
	for _, b := range c.Histogram {
		most = max(most, b.Count)
	}
	for _, b := range c.Histogram {
		bar := strings.Repeat("#", int((b.Count*histogramWidth+most-1)/most))
		fmt.Fprintf(w, "%s\tto\t%s\t%d\t  %s\n", short(b.From), short(b.To), b.Count, bar)
	}
	w.Flush()

	for _, end := range []struct {
		name    string
		samples []extremeView
	}{{"easiest", c.Easiest}, {"hardest", c.Hardest}} {
		fmt.Fprintf(out, "\n%s samples\n", end.name)
		for _, s := range end.samples {
			fmt.Fprintf(w, "  %d\t%s\t", s.ID, short(s.Value))
			if s.Begins != nil {
				fmt.Fprintf(w, "  %s", s.Begins)
			}
			fmt.Fprintln(w)
		}
		if err := w.Flush(); err != nil {
			return err
		}
	}
	return nil
}
