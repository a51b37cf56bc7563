package main

import (
	"context"
	"math"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gradus-ml/gradus/analyze"
	"github.com/gradus-ml/gradus/corpus"
	"github.com/gradus-ml/gradus/index"
)

// The bare loop does the work of rarity: as many samples, of the same mean.
func TestBareAgreesWithAnalyze(t *testing.T) {
	dir := t.TempDir()
	prefix := filepath.Join(dir, "c")
	w, err := corpus.Create(prefix, corpus.Uint16)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Abort()
	tokens := make([]uint16, 100_003)
	document := make([]int32, len(tokens))
	x := uint32(1)
	for i := range tokens {
		x = x*1664525 + 1013904223
		tokens[i] = uint16(x >> 24 * (x >> 24) >> 8) // rare above, frequent below
		document[i] = int32(tokens[i])
	}
	if err := w.Append(document); err != nil {
		t.Fatal(err)
	}
	if err := w.Commit(corpus.Meta{Vocabulary: 300, EndOfDocument: -1}); err != nil {
		t.Fatal(err)
	}
	c, err := corpus.Open(prefix)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for _, window := range []int{1, 128, 2048, 100_002} {
		s, err := c.Samples(corpus.Cut{Window: window})
		if err != nil {
			t.Fatal(err)
		}
		out := filepath.Join(dir, "x")
		if _, err := analyze.Run(context.Background(), s, nil, out, analyze.Options{Force: true}); err != nil {
			t.Fatal(err)
		}
		x, err := index.Open(out)
		if err != nil {
			t.Fatal(err)
		}
		rarity, err := x.Column("rarity")
		if err != nil {
			t.Fatal(err)
		}
		mean := rarity.Metric().Mean
		for _, workers := range []int{1, 2, 5} {
			b := bare(tokens, window, 300, workers)
			if int64(b.Samples) != s.Len() || math.Abs(b.Mean-mean) > 1e-9*mean {
				t.Errorf("window %d, %d workers: %d samples of %v, analyze has %d of %v", window, workers, b.Samples, b.Mean, s.Len(), mean)
			}
		}
		x.Close()
	}
}

// What the benchmark reads from the program's help: names and flags, whatever
// parameters a metric takes.
func TestMetricsOfHelp(t *testing.T) {
	help := `Analyze measures.

Metrics, as [NAME=]METRIC:
  length                     tokens of the sample
  ngram-perplexity:order=N   by a model of the corpus
  exec:timeout=T,COMMAND     by a program

Parameters:
  exec  timeout  how long

Usage:
  gradus analyze [flags]

Flags:
      --corpus string   name
  -h, --help            help for analyze
`
	p := program{}
	if err := p.parse(help); err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, m := range p.metrics {
		names = append(names, m.name)
	}
	if got := strings.Join(names, " "); got != "length ngram-perplexity exec" {
		t.Errorf("metrics %q", got)
	}
	if !p.flags["corpus"] || !p.flags["help"] || len(p.flags) != 2 {
		t.Errorf("flags %v", p.flags)
	}
	if err := p.parse("no list"); err == nil {
		t.Error("a help without metrics was taken")
	}
}
