package main

import (
	"context"
	"fmt"

	"github.com/gradus-ml/gradus/bench/measure"
)

// Memory is the peak of one analysis, rarity over windows of 128.
type Memory struct {
	Tokens  int64          `json:"tokens"`
	Samples int64          `json:"samples"`
	Output  int64          `json:"output_bytes"`             // values and orders
	Peak    measure.Spread `json:"peak_bytes"`               // as the system counted it
	Own     int64          `json:"own_peak_bytes,omitempty"` // as the analysis says
	Limit   string         `json:"limit,omitempty"`          // its --memory
}

// measureMemory takes the peak at the corpus and at its eightfold.
func measureMemory(ctx context.Context, p *program, o options, r *Report) error {
	for _, times := range []int{1, 8} {
		c, err := r.Corpus.times(ctx, times)
		if err != nil {
			return err
		}
		args := []string{"--metric", "rarity", "--window", "128"}
		m := Memory{Tokens: c.Tokens}
		if p.flags["memory"] {
			args = append(args, "--memory", o.memory)
			m.Limit = o.memory
		}
		var peaks []float64
		for range min(o.runs, 3) {
			run, a, err := p.analyze(ctx, c.prefix, o.dir, args...)
			if err != nil {
				return err
			}
			peaks = append(peaks, float64(run.peak))
			m.Samples, m.Output, m.Own = a.Manifest.Samples, a.output(), max(m.Own, a.Peak)
		}
		m.Peak = measure.Of(peaks)
		r.Memory = append(r.Memory, m)
		say("%s: peak %.0f MiB for %s tokens, output %.0f MiB", fmt.Sprintf("%dx", times), m.Peak.Median/(1<<20), measure.SI(float64(c.Tokens)), float64(m.Output)/(1<<20))
	}
	return nil
}
