package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/gradus-ml/gradus/internal/atomicfile"
)

// Report is the results of one run.
type Report struct {
	Date     string     `json:"date"`
	Command  string     `json:"command"`
	Revision string     `json:"revision"`
	Machine  Machine    `json:"machine"`
	Corpus   Corpus     `json:"corpus"`
	Rarity   []Rarity   `json:"rarity,omitempty"`
	Metrics  []Measured `json:"metrics,omitempty"`
	Memory   []Memory   `json:"memory,omitempty"`
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
	p := &printer{w: out}
	p.line("# How fast analyze is")
	p.line("")
	p.line("Made by `%s` (%s, revision %s) on %s, %d cores%s, %s, %s. Speeds are tokens of the corpus per second of the",
		r.Command, r.Date, r.Revision, r.Machine.CPU, r.Machine.Cores, r.Machine.memory(), r.Machine.System, r.Machine.Go)
	p.line("whole job, both passes; median (least to greatest) of the runs. The same as JSON: [results.json](results.json).")
	p.line("")
	p.line("Corpus: %s, tokenized by %s: %s documents, %s tokens as %s (%s). It is in the page cache before each series.",
		r.Corpus.Text, r.Corpus.Tokenizer, grouped(r.Corpus.Documents), grouped(r.Corpus.Tokens), r.Corpus.DType, shortHash(r.Corpus.Fingerprint))
	r.rarityPage(p)
	r.metricsPage(p)
	r.memoryPage(p)
	return p.err
}

func (r *Report) rarityPage(p *printer) {
	if len(r.Rarity) == 0 {
		return
	}
	p.line("")
	p.line("## Two-pass rarity")
	p.line("")
	p.line("**gradus**: `gradus analyze --metric rarity` from the start of its process to the end, index with order written and")
	p.line("synced. **bare**: a Go loop on all cores that counts, and then sums a table over each window; only the two loops are timed,")
	p.line("with the tokens in memory, no order, no files (its process, which starts and maps the file too, is the ratio beside it).")
	p.line("**DeepSpeed**: `DataAnalyzer` with as many processes as cores; only its maps and reduces are timed, not its imports.")
	p.line("Ratios are taken round by round; each round runs every contender once.")
	p.line("")
	p.line("| tokens | window | samples | gradus | bare | gradus / bare (aim %.2g) | gradus / bare process | DeepSpeed | gradus / DeepSpeed (aim 60 at 128) |", aimOverBare)
	p.line("|---:|---:|---:|---|---|---|---|---|---|")
	for _, m := range r.Rarity {
		ds, over := "-", "-"
		if m.DeepSpeed != nil {
			ds, over = speedCell(m.DeepSpeed.Speed), fmt.Sprintf("**%.0f** (%.0f to %.0f)", m.OverDeepSpeed.Median, m.OverDeepSpeed.Min, m.OverDeepSpeed.Max)
			if m.DeepSpeedPart != m.Tokens {
				ds += fmt.Sprintf(", on %s tokens", si(float64(m.DeepSpeedPart)))
			}
		}
		p.line("| %s | %d | %s | %s | %s | **%.2f** (%.2f to %.2f) | %.2f (%.2f to %.2f) | %s | %s |", grouped(m.Tokens), m.Window, grouped(m.Samples),
			speedCell(m.Gradus.Speed), speedCell(m.Bare.Speed), m.OfBare.Median, m.OfBare.Min, m.OfBare.Max,
			m.OfProcess.Median, m.OfProcess.Min, m.OfProcess.Max, ds, over)
	}
	p.line("")
	first := r.Rarity[0]
	p.line("Runs: gradus and bare %d each%s. The means of all contenders' values are compared in every round: they did the same work.",
		first.Gradus.Seconds.Runs, deepspeedRuns(first))
	p.line("")
	p.line("Where gradus spends its time, median seconds:")
	p.line("")
	p.line("| tokens | window | whole process | by its own clock | passes |")
	p.line("|---:|---:|---:|---:|---|")
	for _, m := range r.Rarity {
		passes := ""
		for i, pass := range m.Passes {
			if i > 0 {
				passes += ", "
			}
			passes += fmt.Sprintf("%s %.3f", pass.Name, pass.Seconds.Median)
		}
		p.line("| %s | %d | %.3f | %.3f | %s |", grouped(m.Tokens), m.Window, m.Gradus.Seconds.Median, float64(m.Tokens)/m.Inside.Median, passes)
	}
}

func deepspeedRuns(m Rarity) string {
	if m.DeepSpeed != nil {
		return fmt.Sprintf(", DeepSpeed %d (%s)", m.DeepSpeed.Seconds.Runs, m.Versions)
	}
	return "; DeepSpeed was not measured: " + m.NoDeepSpeed
}

func (r *Report) metricsPage(p *printer) {
	if len(r.Metrics) == 0 {
		return
	}
	p.line("")
	p.line("## Every metric")
	p.line("")
	p.line("Each alone, windows of %s, with all the passes it needs, the process from start to end; a slow one on the beginning of", grouped(metricWindow))
	p.line("the corpus.")
	p.line("")
	p.line("| metric | tokens/s | on tokens |")
	p.line("|---|---|---:|")
	for _, m := range r.Metrics {
		if m.Speed == nil {
			p.line("| `%s` | not measured: %s | |", m.Metric, m.Why)
			continue
		}
		p.line("| `%s` | %s | %s |", m.Metric, speedCell(*m.Speed), grouped(m.Tokens))
	}
}

func (r *Report) memoryPage(p *printer) {
	if len(r.Memory) == 0 {
		return
	}
	const mib = 1 << 20
	p.line("")
	p.line("## Peak memory")
	p.line("")
	p.line("Rarity over windows of 128; the greatest resident set of the process, pages of mapped files included, as the system")
	p.line("counts it. The output is the values and the order, 12 bytes a sample (16 beyond 2^32 samples).")
	p.line("")
	p.line("| tokens | samples | --memory | peak, MiB | output, MiB | peak without output, MiB |")
	p.line("|---:|---:|---|---|---:|---:|")
	for _, m := range r.Memory {
		limit := m.Limit
		if limit == "" {
			limit = "-"
		}
		p.line("| %s | %s | %s | %.0f (%.0f to %.0f) | %.1f | %.0f |", grouped(m.Tokens), grouped(m.Samples), limit,
			m.Peak.Median/mib, m.Peak.Min/mib, m.Peak.Max/mib, float64(m.Output)/mib, (m.Peak.Median-float64(m.Output))/mib)
	}
}

// printer writes lines and keeps the first error.
type printer struct {
	w   io.Writer
	err error
}

func (p *printer) line(format string, args ...any) {
	if p.err == nil {
		_, p.err = fmt.Fprintf(p.w, format+"\n", args...)
	}
}

func (m Machine) memory() string {
	if m.Memory == 0 {
		return ""
	}
	return fmt.Sprintf(", %.0f GiB", m.Memory)
}

// speedCell writes a speed with its range.
func speedCell(s Spread) string {
	return fmt.Sprintf("%s (%s to %s)", si(s.Median), si(s.Min), si(s.Max))
}

// si writes a number with three digits: 132M.
func si(v float64) string {
	for _, unit := range []struct {
		size float64
		name string
	}{{1e9, "G"}, {1e6, "M"}, {1e3, "k"}} {
		if v/unit.size >= 0.9995 {
			return fmt.Sprintf("%.3g%s", v/unit.size, unit.name)
		}
	}
	return fmt.Sprintf("%.3g", v)
}

// grouped writes a whole number with commas.
func grouped(n int64) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

func shortHash(s string) string { return s[:min(len(s), len("sha256:")+12)] }
