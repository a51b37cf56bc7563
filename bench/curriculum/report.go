package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/gradus-ml/gradus/bench/measure"
	"github.com/gradus-ml/gradus/internal/atomicfile"
)

// Report is the results of one run.
type Report struct {
	Date       string          `json:"date"`
	Command    string          `json:"command"`
	Revision   string          `json:"revision"`
	Seed       uint64          `json:"seed"`
	Machine    measure.Machine `json:"machine"`
	Load       [2]float64      `json:"load"` // tasks that wanted a core in the minute before the run, and before its end
	Original   string          `json:"original,omitempty"`
	NoOriginal string          `json:"no_original,omitempty"`
	Drawing    []Drawing       `json:"drawing,omitempty"`
	Changes    []Change        `json:"changes,omitempty"`
	Compile    []Compiled      `json:"compile,omitempty"`
	Packing    []Packing       `json:"packing,omitempty"`
}

// The files of the results; a large run has one of its own, so that either can be
// made again. The page is made of both.
const (
	resultsName = "results.json"
	largeName   = "large.json"
	pageName    = "README.md"
)

// write puts the results and the page into dir.
func (r *Report) write(dir string, large bool) error {
	r.Date = time.Now().UTC().Format(time.DateOnly)
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return err
	}
	name, other := resultsName, largeName
	if large {
		name, other = other, name
	}
	err := atomicfile.Write(filepath.Join(dir, name), func(w io.Writer) error {
		e := json.NewEncoder(w)
		e.SetIndent("", "  ")
		return e.Encode(r)
	})
	if err != nil {
		return err
	}
	beside, err := readReport(filepath.Join(dir, other))
	if err != nil {
		return err
	}
	reports := []*Report{r, beside}
	if large {
		reports = []*Report{beside, r}
	}
	page := filepath.Join(dir, pageName)
	if err := atomicfile.Write(page, func(w io.Writer) error { return writePage(w, reports[0], reports[1]) }); err != nil {
		return err
	}
	say("written: %s", page)
	return nil
}

// readReport reads what another run has left; nil: nothing.
func readReport(path string) (*Report, error) {
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	r, err := decode[Report](data, filepath.Base(path))
	return &r, err
}

// writePage writes the results as Markdown; either report may be nil.
func writePage(out io.Writer, usual, large *Report) error {
	p := &measure.Printer{W: out}
	p.Line("# How fast plans and samplers are")
	for _, r := range []struct {
		*Report
		file string
	}{{usual, resultsName}, {large, largeName}} {
		if r.Report == nil {
			continue
		}
		p.Line("")
		p.Line("Made by `%s` (%s, revision %s, seed %d) on %s, %d cores%s, %s, %s; load %.1f before the run and %.1f at its end.",
			r.Command, r.Date, r.Revision, r.Seed, r.Machine.CPU, r.Machine.Cores, r.Machine.RAM(), r.Machine.System, r.Machine.Go, r.Load[0], r.Load[1])
		p.Line("The original: %s. As JSON: [%s](%s).", r.original(), r.file, r.file)
	}
	p.Line("")
	p.Line("Cells are the median (least to greatest) of the rounds. A round runs every contender once, each in a process of its own, and")
	p.Line("ratios are taken round by round. Batches have 512 ids. Metrics are generated: rarity (whole nats, 8,470 distinct values), length")
	p.Line("(1 to 2,048 tokens) and perplexity (all different). They lie in an index on disk, and in the page cache; the plan of 10^9")
	p.Line("samples has a metric that is computed. **Own memory** is what is no page of a file (RssAnon), looked at every %d ms.", watchEvery.Milliseconds())
	var drawings []Drawing
	for _, r := range []*Report{usual, large} {
		if r != nil {
			drawings = append(drawings, r.Drawing...)
		}
	}
	drawingPage(p, drawings)
	randomPage(p, drawings)
	if usual != nil {
		changesPage(p, usual.Changes)
		compilePage(p, usual.Compile)
		packingPage(p, usual.Packing)
	}
	return p.Err
}

func (r *Report) original() string {
	if r.Original == "" {
		return "not measured: " + r.NoOriginal
	}
	return r.Original
}

func drawingPage(p *measure.Printer, drawings []Drawing) {
	if len(drawings) == 0 {
		return
	}
	p.Line("")
	p.Line("## Batches in a row, ids a second on one core")
	p.Line("")
	p.Line("**gradus**: `Sampler.From` the middle of the plan on, its start included. **copy**: a bare loop over a table that was shuffled")
	p.Line("beforehand, what a trainer without a curriculum does. **gather**: a bare loop over shuffled places, known beforehand, of a")
	p.Line("mapped array of all samples: the least that serves one order at random. **original**: `DeepSpeedDataSampler`, one rank, at the")
	p.Line("difficulty of the middle; on NumPy alone its steps without it.")
	p.Line("")
	p.Line("| samples | stages | gradus | copy | gather | gradus / copy | gradus / gather | original | gradus / original |")
	p.Line("|---:|---:|---|---|---|---|---|---|---|")
	for _, d := range drawings {
		p.Line("| %s | %s | %s | %s | %s | %.3f | **%.2f** (%.2f to %.2f) | %s | %s |", measure.Grouped(d.Samples), measure.Grouped(d.Stages),
			measure.Speed(d.Gradus), measure.Speed(d.Copy), measure.Speed(d.Gather), d.OfCopy.Median, d.OfGather.Median, d.OfGather.Min, d.OfGather.Max,
			optional(d.Original, measure.Speed), optional(d.Over, timesCell))
	}
	p.Line("")
	p.Line("What comes before, and memory while drawing:")
	p.Line("")
	p.Line("| samples | stages | first batch of a sequence | plan compiled | sampler made | own memory | pages of files | original's own memory |")
	p.Line("|---:|---:|---|---:|---:|---:|---:|---:|")
	for _, d := range drawings {
		p.Line("| %s | %s | %s | %.2f s | %s | %s | %s | %s |", measure.Grouped(d.Samples), measure.Grouped(d.Stages), secondsCell(d.First), d.Compile,
			duration(d.Sampler), mib(d.Own), mib(d.Mapped), mib(d.OriginalOwn))
	}
}

func randomPage(p *measure.Printer, drawings []Drawing) {
	if len(drawings) == 0 {
		return
	}
	p.Line("")
	p.Line("## Any step")
	p.Line("")
	p.Line("`Sampler.At` of steps drawn at random of the whole plan. The aim is %s at 10^9 samples and 1,000 stages. The original cannot", duration(aimRandom))
	p.Line("be asked: its batches depend on all before them. By the clock, and by the processor time of the process, which other programs do")
	p.Line("not delay.")
	p.Line("")
	p.Line("| samples | stages | steps a round | median | 99 %% take at most | longest | processor, median | 99 %% | longest |")
	p.Line("|---:|---:|---:|---|---|---|---|---|---|")
	for _, d := range drawings {
		p.Line("| %s | %s | %s | %s | %s | %s | %s | %s | %s |", measure.Grouped(d.Samples), measure.Grouped(d.Stages), measure.Grouped(int64(d.Random.Calls)),
			secondsCell(d.Random.Median), secondsCell(d.Random.P99), secondsCell(d.Random.Max),
			secondsCell(d.Random.UsedMedian), secondsCell(d.Random.UsedP99), secondsCell(d.Random.UsedMax))
	}
}

func changesPage(p *measure.Printer, changes []Change) {
	if len(changes) == 0 {
		return
	}
	p.Line("")
	p.Line("## A change of difficulty")
	p.Line("")
	p.Line("Whole curricula, %d steps a stage. Gradus makes all stages before the run (**plan**: compiled from the index, and the sampler,", changeEvery)
	p.Line("divided by the stages); the **step** that begins a stage is one like the others. The original makes a cluster while training")
	p.Line("waits: its mean over the stages, for later ones take longer. Ratios are the wait at a change (less a step without one) over")
	p.Line("the mean of our step, and over our step and its part of the plan.")
	p.Line("")
	p.Line("| samples | curriculum | stages | plan, a stage | step with a change | without | original's change | longest | without | original / step | original / step and plan |")
	p.Line("|---:|---|---:|---|---|---|---|---|---|---|---|")
	for _, c := range changes {
		what := fmt.Sprintf("%d metric, %s", c.Metrics, c.By)
		if c.Metrics > 1 {
			what = fmt.Sprintf("%d metrics, %s", c.Metrics, c.By)
		}
		p.Line("| %s | %s | %d | %s | %s | %s | %s | %s | %s | %s | %s |", measure.Grouped(c.Samples), what, c.Stages, secondsCell(c.Each), secondsCell(c.Step), secondsCell(c.Other),
			optional(c.Original, secondsCell), optional(c.OriginalMost, secondsCell), optional(c.OriginalOther, secondsCell),
			optional(c.OverStep, timesCell), optional(c.OverAll, timesCell))
	}
}

func compilePage(p *measure.Printer, plans []Compiled) {
	if len(plans) == 0 {
		return
	}
	p.Line("")
	p.Line("## A plan from the index on disk")
	p.Line("")
	p.Line("Aims for 100,000,000 samples of three metrics on two cores: %d s and %s of own memory. **NumPy**: `searchsorted` for each metric,", aimCompile, mib(aimCompileOwn))
	p.Line("`maximum`, and a stable `argsort`, all in memory; its order holds as many ids. Opening the index looks at every id of its orders.")
	p.Line("")
	p.Line("| samples | metrics | stages | cores | index opened | plan compiled | sampler made | own memory, peak | pages of files | NumPy | its own memory | NumPy / gradus, opening too |")
	p.Line("|---:|---:|---:|---:|---|---|---|---|---:|---|---|---|")
	for _, c := range plans {
		p.Line("| %s | %d | %d | %d | %s | **%s** | %s | **%s** | %s | %s | %s | %s |", measure.Grouped(c.Samples), c.Metrics, c.Stages, c.Cores,
			secondsCell(c.Open), secondsCell(c.Seconds), secondsCell(c.Sampler), mibCell(c.Own), mib(c.Mapped.Median),
			optional(c.NumPy, secondsCell), optional(c.NumPyOwn, mibCell), optional(c.Over, timesCell))
	}
}

func packingPage(p *measure.Printer, packings []Packing) {
	if len(packings) == 0 {
		return
	}
	p.Line("")
	p.Line("## Packing documents")
	p.Line("")
	p.Line("`go test -bench BenchmarkPack ./arrange`: lengths of Go's own source files in bytes, drawn again and again. **Shared** rows are")
	p.Line("those that are not one part of a long document. **Next fit**: a bare loop that begins a row where the next document does not")
	p.Line("fit, in the order of the corpus; it adds up and keeps nothing. **Padded**: each document, or last part of one, in a row of its own.")
	p.Line("")
	p.Line("| documents | row | a document | a piece | full | shared rows | heap | next fit, full | a document | padded, full |")
	p.Line("|---:|---:|---|---:|---:|---:|---:|---:|---:|---:|")
	for _, k := range packings {
		p.Line("| %s | %s | %.0f ns (%.0f to %.0f) | %.0f ns | **%.2f %%** | %.2f %% | %s | %.2f %% | %.1f ns | %.2f %% |", measure.Grouped(int64(k.Documents)), measure.Grouped(int64(k.Length)),
			k.Each.Median, k.Each.Min, k.Each.Max, k.Piece.Median, k.Fill, k.Shared, mib(k.Heap), k.NextFit, k.Loop.Median, k.Padded)
	}
}
