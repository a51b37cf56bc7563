package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/gradus-ml/gradus/bench/measure"
	"github.com/gradus-ml/gradus/internal/atomicfile"
)

// Report is the results of one run.
type Report struct {
	Date     string          `json:"date"`
	Command  string          `json:"command"`
	Revision string          `json:"revision"`
	Seed     uint64          `json:"seed"`
	Machine  measure.Machine `json:"machine"`
	Load     [2]float64      `json:"load"`              // tasks that wanted a core in the minute before the run, and before its end
	Missing  []string        `json:"missing,omitempty"` // contenders that do not work here, and why
	Peak     float64         `json:"peak_tflops,omitempty"`
	Sizes    []Measured      `json:"sizes"`
}

// The files of the results.
const (
	resultsName = "results.json"
	pageName    = "README.md"
)

// What is aimed at: of the saving that theory gives, of PyTorch's tokens a second by
// the best backend, and of the time that may be spent waiting for batches.
const (
	aimQuotient = 0.85
	aimTorch    = 1.0
	aimWaited   = 0.01
)

// write puts the results and the page into dir.
func (r *Report) write(dir string) error {
	r.Date = time.Now().UTC().Format(time.DateOnly)
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return err
	}
	err := atomicfile.Write(filepath.Join(dir, resultsName), func(w io.Writer) error {
		e := json.NewEncoder(w)
		e.SetIndent("", "  ")
		return e.Encode(r)
	})
	if err != nil {
		return err
	}
	page := filepath.Join(dir, pageName)
	if err := atomicfile.Write(page, r.page); err != nil {
		return err
	}
	say("written: %s", page)
	return nil
}

// page writes the results as Markdown.
func (r *Report) page(out io.Writer) error {
	p := &measure.Printer{W: out}
	p.Line("# How fast training steps are, and what dropped tokens save")
	p.Line("")
	p.Line("Made by `%s` (%s, revision %s, seed %d) on %s, %d cores%s, %s, %s; load %.1f before the run and %.1f at its end.",
		r.Command, r.Date, r.Revision, r.Seed, r.Machine.CPU, r.Machine.Cores, r.Machine.RAM(), r.Machine.System, r.Machine.Go, r.Load[0], r.Load[1])
	p.Line("As JSON: [%s](%s).", resultsName, resultsName)
	for _, why := range r.Missing {
		p.Line("Not measured: %s.", strings.TrimSuffix(why, "."))
	}
	p.Line("")
	p.Line("Cells are the median (least to greatest) of the rounds. A round runs every contender once, each in a process of its own that goes")
	p.Line("through the shapes again and again; ratios are taken within a round. **kept**: tokens of a row that all layers but the first and")
	p.Line("the last see, drawn anew for each layer and row (random-LTD). **theory**: FLOPs that a token saves (three times the forward")
	p.Line("pass's products). **saved**: time that a token saves. Their **quotient** aims at %.2f. **of torch**: tokens a second over", aimQuotient)
	p.Line("those of the same model in PyTorch, aim %.1f with the best backend. Gradus runs its whole loop: batches made ahead, log written.", aimTorch)
	p.Line("The loop may wait for batches for %.0f %% of the time.", 100*aimWaited)
	for _, m := range r.Sizes {
		p.Line("")
		p.Line("## %s, %s parameters", m.Size, measure.SI(float64(m.Parameters)))
		for _, result := range m.Results {
			r.table(p, &m, &result)
		}
	}
	return p.Err
}

func (r *Report) table(p *measure.Printer, m *Measured, result *Result) {
	p.Line("")
	p.Line("**%s**: %s.%s", result.Contender, result.Library, waitedText(result.Waited))
	p.Line("")
	head, line := "| length | kept | tokens/s | a step | TFLOP/s | theory | saved | quotient |", "|---:|---:|---|---|---:|---:|---|---|"
	ours := result.Waited != nil
	if r.Peak > 0 {
		head, line = head+" of the device's peak |", line+"---:|"
	}
	if ours {
		head, line = head+" waited for its graphs | of torch |", line+"---|---|"
	}
	p.Line("%s", head)
	p.Line("%s", line)
	for _, s := range result.Shapes {
		rate := s.FLOPs / s.Seconds.Median / 1e12
		row := fmt.Sprintf("| %d | %d | %s | %s | %.3f | %s | %s | %s |", s.Length, s.Kept, measure.Speed(s.Tokens), milliseconds(s.Seconds), rate,
			theoryCell(s), optional(s.Saved, percent), optional(s.Quotient, ratio))
		if r.Peak > 0 {
			row += fmt.Sprintf(" %.1f %% |", 100*rate/r.Peak)
		}
		if ours {
			row += fmt.Sprintf(" %s | %s |", optional(s.Compile, secondsCell), optional(s.OfTorch, ratio))
		}
		p.Line("%s", row)
	}
}

func waitedText(s *measure.Spread) string {
	if s == nil {
		return " Batches are made beforehand."
	}
	return fmt.Sprintf(" Waited for batches: %.2f %% of the time (%.2f to %.2f).", 100*s.Median, 100*s.Min, 100*s.Max)
}

func theoryCell(s Shape) string {
	if s.Saved == nil {
		return "-"
	}
	return fmt.Sprintf("%.1f %%", 100*s.Theory)
}

func optional(s *measure.Spread, write func(measure.Spread) string) string {
	if s == nil {
		return "-"
	}
	return write(*s)
}

func percent(s measure.Spread) string {
	return fmt.Sprintf("%.1f %% (%.1f to %.1f)", 100*s.Median, 100*s.Min, 100*s.Max)
}

func ratio(s measure.Spread) string {
	return fmt.Sprintf("**%.2f** (%.2f to %.2f)", s.Median, s.Min, s.Max)
}

func milliseconds(s measure.Spread) string {
	return fmt.Sprintf("%.3g ms (%.3g to %.3g)", 1e3*s.Median, 1e3*s.Min, 1e3*s.Max)
}

func secondsCell(s measure.Spread) string {
	return fmt.Sprintf("%.1f s (%.1f to %.1f)", s.Median, s.Min, s.Max)
}
