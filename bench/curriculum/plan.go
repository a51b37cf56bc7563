package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gradus-ml/gradus/curriculum"
	"github.com/gradus-ml/gradus/index"
	"github.com/gradus-ml/gradus/internal/keyed"
)

// Planned is what the contender plan says when it is ready.
type Planned struct {
	Open    float64 `json:"open_seconds"`    // of the index, with a check of its ids
	Compile float64 `json:"compile_seconds"` // of the plan
	Sampler float64 `json:"sampler_seconds"` // made from the plan
	Steps   int64   `json:"steps"`
	Stages  int     `json:"stages"`
	Pool    int64   `json:"pool"` // at the end
}

// Drawn is a run of batches one after the other.
type Drawn struct {
	Seconds float64 `json:"seconds"`
	First   float64 `json:"first_seconds"` // until the first batch
	IDs     int64   `json:"ids"`
}

// Timed is the seconds of single steps: least to greatest.
type Timed struct {
	Median float64 `json:"median"`
	P99    float64 `json:"p99"`
	Max    float64 `json:"max"`
	Mean   float64 `json:"mean"`
	Steps  int     `json:"steps"`
}

func timed(seconds []float64) Timed {
	v := slices.Sorted(slices.Values(seconds))
	if len(v) == 0 {
		return Timed{}
	}
	t := Timed{Median: v[len(v)/2], P99: v[len(v)*99/100], Max: v[len(v)-1], Steps: len(v)}
	for _, s := range v {
		t.Mean += s / float64(len(v))
	}
	return t
}

// Asked is single steps by the clock, and by the processor time they took: other
// programs delay the one and not the other.
type Asked struct {
	Wall      Timed `json:"wall"`
	Processor Timed `json:"processor"`
}

// Walked is every step of a plan, those that change the difficulty apart.
type Walked struct {
	Change Timed `json:"change"`
	Other  Timed `json:"other"`
}

// A computed column has values of even spread that are not kept: it stands for an
// index larger than the disk.
type computed struct{ n int64 }

func (c computed) Len() int64                 { return c.n }
func (c computed) Ranked(rank int64) float64  { return float64(rank) / float64(c.n) }
func (c computed) Quantile(p float64) float64 { return p / 100 }

func (c computed) Values(dst []float64, start int64) {
	for i := range dst {
		x := uint64(start+int64(i)) * 0x9E3779B97F4A7C15
		x ^= x >> 29
		x *= 0xBF58476D1CE4E5B9
		dst[i] = float64(x>>11) / (1 << 53)
	}
}

// holder is the contender plan.
type holder struct {
	plan    *curriculum.Plan
	sampler *curriculum.Sampler
	columns []curriculum.Column
	by      curriculum.By
	steps   *keyed.Stream // of the steps that are asked for at random
}

// runPlan is the command plan: it compiles a plan and answers
//
//	from STEP N   N steps in a row: Drawn
//	at N          N steps at random, one by one: Asked
//	walk          the whole plan, step by step: Walked
func runPlan(args []string) error {
	f := flag.NewFlagSet("plan", flag.ExitOnError)
	dir := f.String("index", "", "index; empty: one computed metric")
	samples := f.Int64("samples", 0, "samples of the computed metric")
	metrics := f.String("metrics", "", "of the index, separated by commas")
	by := f.String("by", string(curriculum.Percentile), "value or percentile")
	stages := f.Int("stages", 100, "stages")
	every := f.Int("every", 1, "steps of a stage")
	units := f.Int("units", 512, "ids of a batch")
	seed := f.Uint64("seed", 1, "seed")
	f.Parse(args)
	h := &holder{by: curriculum.By(*by), steps: keyed.NewKey(*seed, "bench steps").Stream()}
	began := time.Now()
	if *dir == "" {
		h.columns = []curriculum.Column{computed{*samples}}
	} else {
		x, err := index.Open(*dir)
		if err != nil {
			return err
		}
		defer x.Close()
		for name := range strings.SplitSeq(*metrics, ",") {
			c, err := x.Column(name)
			if err != nil {
				return err
			}
			h.columns = append(h.columns, c)
		}
	}
	ready := Planned{Open: time.Since(began).Seconds()}
	d, err := difficulties(h.by, *stages)
	if err != nil {
		return err
	}
	c := curriculum.Config{
		Seed:    *seed,
		Sources: []curriculum.Source{{Samples: h.columns[0].Len(), Columns: h.columns}},
		Buckets: []curriculum.Bucket{{Length: 2048, Units: *units}},
		Layers:  24, Clock: curriculum.Steps, Budget: float64(*stages * *every),
	}
	for i := range h.columns {
		c.Admit = append(c.Admit, curriculum.Admission{Metric: fmt.Sprint(i), By: h.by, Pace: curriculum.Timed{Pace: stairs{d, float64(*every)}}})
	}
	began = time.Now()
	if h.plan, err = curriculum.Compile(context.Background(), c); err != nil {
		return err
	}
	defer h.plan.Close()
	ready.Compile = time.Since(began).Seconds()
	began = time.Now()
	h.sampler = h.plan.Sampler()
	ready.Sampler = time.Since(began).Seconds()
	ready.Steps, ready.Stages, ready.Pool = h.plan.Steps(), len(h.plan.Stages()), h.plan.Pool()
	runtime.GOMAXPROCS(1) // drawing is measured on one core, collections of garbage included
	return serve(ready, h.answer)
}

func (h *holder) answer(words []string) (any, error) {
	numbers := make([]int64, len(words)-1)
	for i, w := range words[1:] {
		n, err := strconv.ParseInt(w, 10, 64)
		if err != nil {
			return nil, err
		}
		numbers[i] = n
	}
	switch {
	case words[0] == "from" && len(numbers) == 2:
		return h.from(numbers[0], numbers[1])
	case words[0] == "at" && len(numbers) == 1:
		return h.at(int(numbers[0])), nil
	case words[0] == "walk":
		return h.walk()
	}
	return nil, fmt.Errorf("plan: unknown request %q", words)
}

// from draws n steps in a row.
func (h *holder) from(step, n int64) (d Drawn, err error) {
	began := time.Now()
	last, ids := int64(0), []int64(nil)
	for last, ids = range h.sampler.From(step) {
		if d.IDs == 0 {
			d.First = time.Since(began).Seconds()
		}
		d.IDs += int64(len(ids))
		if last == step+n-1 {
			break
		}
	}
	d.Seconds = time.Since(began).Seconds()
	return d, h.check(last, ids)
}

// check holds that the ids of a step are easy enough for it.
func (h *holder) check(step int64, ids []int64) error {
	stage := h.plan.Stages()[h.plan.StageAt(step)]
	value := make([]float64, 1)
	for m, c := range h.columns {
		most := stage.Difficulty[m]
		if h.by == curriculum.Percentile {
			most = c.Quantile(most)
		}
		for _, id := range ids {
			if c.Values(value, id); value[0] > most {
				return fmt.Errorf("plan: step %d serves sample %d of difficulty %v above %v", step, id, value[0], most)
			}
		}
	}
	if len(ids) == 0 {
		return errors.New("plan: an empty batch")
	}
	return nil
}

// at draws n steps, each at random of the whole plan.
func (h *holder) at(n int) Asked {
	wall, used := make([]float64, n), make([]float64, n)
	var ids []int64
	for i := range n {
		step := int64(h.steps.Uint64N(uint64(h.plan.Steps())))
		before, began := processor(), time.Now()
		ids = h.sampler.At(ids[:0], step)
		wall[i] = time.Since(began).Seconds()
		used[i] = processor() - before
	}
	return Asked{timed(wall), timed(used)}
}

// walk draws the whole plan, and times each step.
func (h *holder) walk() (Walked, error) {
	var change, other []float64
	stages, at := h.plan.Stages(), 0
	end, last := int64(0), []int64(nil)
	began := time.Now()
	for step, ids := range h.sampler.From(0) {
		seconds := time.Since(began).Seconds()
		if at < len(stages) && step == stages[at].First {
			change = append(change, seconds)
			at++
		} else {
			other = append(other, seconds)
		}
		end, last = step, ids
		began = time.Now()
	}
	if at != len(stages) {
		return Walked{}, fmt.Errorf("plan: %d stages walked of %d", at, len(stages))
	}
	return Walked{timed(change), timed(other)}, h.check(end, last)
}
