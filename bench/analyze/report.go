package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/gradus-ml/gradus/bench/measure"
	"github.com/gradus-ml/gradus/internal/atomicfile"
)

// Report is the results of one run.
type Report struct {
	Date     string          `json:"date"`
	Command  string          `json:"command"`
	Revision string          `json:"revision"`
	Machine  measure.Machine `json:"machine"`
	Corpus   Corpus          `json:"corpus"`
	Rarity   []Rarity        `json:"rarity,omitempty"`
	Metrics  []Measured      `json:"metrics,omitempty"`
	Memory   []Memory        `json:"memory,omitempty"`
}

// write puts README.md and results.json into dir.
func (r *Report) write(dir string) error {
	r.Date = time.Now().UTC().Format(time.DateOnly)
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return err
	}
	err := atomicfile.Write(filepath.Join(dir, "results.json"), func(w io.Writer) error {
		e := json.NewEncoder(w)
		e.SetIndent("", "  ")
		return e.Encode(r)
	})
	if err != nil {
		return err
	}
	name := filepath.Join(dir, "README.md")
	if err := atomicfile.Write(name, func(w io.Writer) error { return r.page(w) }); err != nil {
		return err
	}
	say("written: %s", name)
	return nil
}

// page writes the results as Markdown.
func (r *Report) page(out io.Writer) error {
	p := &measure.Printer{W: out}
	p.Line("# How fast analyze is")
	p.Line("")
	p.Line("Made by `%s` (%s, revision %s) on %s, %d cores%s, %s, %s. Speeds are tokens of the corpus per second of the",
		r.Command, r.Date, r.Revision, r.Machine.CPU, r.Machine.Cores, r.Machine.RAM(), r.Machine.System, r.Machine.Go)
	p.Line("whole job, both passes; median (least to greatest) of the runs. The same as JSON: [results.json](results.json).")
	p.Line("")
	p.Line("Corpus: %s, tokenized by %s: %s documents, %s tokens as %s (%s). It is in the page cache before each series.",
		r.Corpus.Text, r.Corpus.Tokenizer, measure.Grouped(r.Corpus.Documents), measure.Grouped(r.Corpus.Tokens), r.Corpus.DType, shortHash(r.Corpus.Fingerprint))
	r.rarityPage(p)
	r.metricsPage(p)
	r.memoryPage(p)
	return p.Err
}

func (r *Report) rarityPage(p *measure.Printer) {
	if len(r.Rarity) == 0 {
		return
	}
	p.Line("")
	p.Line("## Two-pass rarity")
	p.Line("")
	p.Line("**gradus**: `gradus analyze --metric rarity` from the start of its process to the end, index with order written and")
	p.Line("synced. **bare**: a Go loop on all cores that counts, and then sums a table over each window; only the two loops are timed,")
	p.Line("with the tokens in memory, no order, no files (its process, which starts and maps the file too, is the ratio beside it).")
	p.Line("**DeepSpeed**: `DataAnalyzer` with as many processes as cores; only its maps and reduces are timed, not its imports.")
	p.Line("Ratios are taken round by round; each round runs every contender once.")
	p.Line("")
	p.Line("| tokens | window | samples | gradus | bare | gradus / bare (aim %.2g) | gradus / bare process | DeepSpeed | gradus / DeepSpeed (aim 60 at 128) |", aimOverBare)
	p.Line("|---:|---:|---:|---|---|---|---|---|---|")
	for _, m := range r.Rarity {
		ds, over := "-", "-"
		if m.DeepSpeed != nil {
			ds, over = measure.Speed(m.DeepSpeed.Speed), fmt.Sprintf("**%.0f** (%.0f to %.0f)", m.OverDeepSpeed.Median, m.OverDeepSpeed.Min, m.OverDeepSpeed.Max)
			if m.DeepSpeedPart != m.Tokens {
				ds += fmt.Sprintf(", on %s tokens", measure.SI(float64(m.DeepSpeedPart)))
			}
		}
		p.Line("| %s | %d | %s | %s | %s | **%.2f** (%.2f to %.2f) | %.2f (%.2f to %.2f) | %s | %s |", measure.Grouped(m.Tokens), m.Window, measure.Grouped(m.Samples),
			measure.Speed(m.Gradus.Speed), measure.Speed(m.Bare.Speed), m.OfBare.Median, m.OfBare.Min, m.OfBare.Max,
			m.OfProcess.Median, m.OfProcess.Min, m.OfProcess.Max, ds, over)
	}
	p.Line("")
	first := r.Rarity[0]
	p.Line("Runs: gradus and bare %d each%s. The means of all contenders' values are compared in every round: they did the same work.",
		first.Gradus.Seconds.Runs, deepspeedRuns(first))
	p.Line("")
	p.Line("Where gradus spends its time, median seconds:")
	p.Line("")
	p.Line("| tokens | window | whole process | by its own clock | passes |")
	p.Line("|---:|---:|---:|---:|---|")
	for _, m := range r.Rarity {
		passes := ""
		for i, pass := range m.Passes {
			if i > 0 {
				passes += ", "
			}
			passes += fmt.Sprintf("%s %.3f", pass.Name, pass.Seconds.Median)
		}
		p.Line("| %s | %d | %.3f | %.3f | %s |", measure.Grouped(m.Tokens), m.Window, m.Gradus.Seconds.Median, float64(m.Tokens)/m.Inside.Median, passes)
	}
}

func deepspeedRuns(m Rarity) string {
	if m.DeepSpeed != nil {
		return fmt.Sprintf(", DeepSpeed %d (%s)", m.DeepSpeed.Seconds.Runs, m.Versions)
	}
	return "; DeepSpeed was not measured: " + m.NoDeepSpeed
}

func (r *Report) metricsPage(p *measure.Printer) {
	if len(r.Metrics) == 0 {
		return
	}
	p.Line("")
	p.Line("## Every metric")
	p.Line("")
	p.Line("Each alone, windows of %s, with all the passes it needs, the process from start to end; a slow one on the beginning of", measure.Grouped(metricWindow))
	p.Line("the corpus.")
	p.Line("")
	p.Line("| metric | tokens/s | on tokens |")
	p.Line("|---|---|---:|")
	for _, m := range r.Metrics {
		if m.Speed == nil {
			p.Line("| `%s` | not measured: %s | |", m.Metric, m.Why)
			continue
		}
		p.Line("| `%s` | %s | %s |", m.Metric, measure.Speed(*m.Speed), measure.Grouped(m.Tokens))
	}
}

func (r *Report) memoryPage(p *measure.Printer) {
	if len(r.Memory) == 0 {
		return
	}
	const mib = 1 << 20
	p.Line("")
	p.Line("## Peak memory")
	p.Line("")
	p.Line("Rarity over windows of 128; the greatest resident set of the process, pages of mapped files included, as the system")
	p.Line("counts it. The output is the values and the order, 12 bytes a sample (16 beyond 2^32 samples).")
	p.Line("")
	p.Line("| tokens | samples | --memory | peak, MiB | output, MiB | peak without output, MiB |")
	p.Line("|---:|---:|---|---|---:|---:|")
	for _, m := range r.Memory {
		limit := m.Limit
		if limit == "" {
			limit = "-"
		}
		p.Line("| %s | %s | %s | %.0f (%.0f to %.0f) | %.1f | %.0f |", measure.Grouped(m.Tokens), measure.Grouped(m.Samples), limit,
			m.Peak.Median/mib, m.Peak.Min/mib, m.Peak.Max/mib, float64(m.Output)/mib, (m.Peak.Median-float64(m.Output))/mib)
	}
}

func shortHash(s string) string { return s[:min(len(s), len("sha256:")+12)] }
