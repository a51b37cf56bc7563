package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/gradus-ml/gradus/bench/measure"
)

// Compiled is a plan made from the index of three metrics.
type Compiled struct {
	Samples int64 `json:"samples"`
	Metrics int   `json:"metrics"`
	Stages  int   `json:"stages"`
	Cores   int   `json:"cores"`

	Open    measure.Spread `json:"open_seconds"` // the index, with a check of its ids
	Seconds measure.Spread `json:"compile_seconds"`
	Sampler measure.Spread `json:"sampler_seconds"`
	Own     measure.Spread `json:"own_bytes"`    // peak of memory that is no page of a file, over all three
	Mapped  measure.Spread `json:"mapped_bytes"` // peak of pages of files

	NumPy    *measure.Spread `json:"numpy_seconds,omitempty"`
	NumPyOwn *measure.Spread `json:"numpy_own_bytes,omitempty"`
	Over     *measure.Spread `json:"numpy_over_gradus_seconds,omitempty"` // of opening and compiling
}

// The aims of issue 4 for three metrics of 10^8 samples on two cores.
const (
	aimCompile    = 60        // seconds
	aimCompileOwn = 256 << 20 // bytes
)

// measureCompile makes one plan again and again.
func measureCompile(ctx context.Context, o options, a *original, r *Report) error {
	dir, err := prepareIndex(ctx, o, o.compile)
	if err != nil {
		return err
	}
	if err := warm(dir); err != nil {
		return err
	}
	c := Compiled{Samples: o.compile, Metrics: len(generated), Stages: o.compileStages, Cores: r.Machine.Cores}
	var open, seconds, sampler, own, mapped, numpy, numpyOwn, over []float64
	// As many rounds as the original: they take long, and differ little.
	for round := range o.originalRuns {
		ours, ready, err := startSelf[Planned](ctx, o.dir, "plan", "-index", dir, "-metrics", metricNames(c.Metrics),
			"-stages", fmt.Sprint(c.Stages), "-every", "1000", "-units", fmt.Sprint(o.units), "-seed", fmt.Sprint(o.seed))
		if err != nil {
			return err
		}
		peak, pages := ours.memory.peaks()
		ours.close()
		open, seconds, sampler = append(open, ready.Open), append(seconds, ready.Compile), append(sampler, ready.Sampler)
		own, mapped = append(own, peak), append(mapped, pages)
		line := ""
		if a != nil {
			took, peak, err := a.order(ctx, o, dir, c, ready.Pool)
			if err != nil {
				return err
			}
			numpy, numpyOwn, over = append(numpy, took), append(numpyOwn, peak), append(over, took/(ready.Open+ready.Compile))
			line = fmt.Sprintf("; NumPy %.1f s, %.0f MiB", took, peak/(1<<20))
		}
		say("%s samples, %d metrics, round %d: opened in %.1f s, compiled in %.1f s, %.0f MiB%s", measure.SI(float64(c.Samples)), c.Metrics, round+1, ready.Open, ready.Compile, peak/(1<<20), line)
	}
	c.Open, c.Seconds, c.Sampler, c.Own, c.Mapped = measure.Of(open), measure.Of(seconds), measure.Of(sampler), measure.Of(own), measure.Of(mapped)
	if len(numpy) > 0 {
		s := []measure.Spread{measure.Of(numpy), measure.Of(numpyOwn), measure.Of(over)}
		c.NumPy, c.NumPyOwn, c.Over = &s[0], &s[1], &s[2]
	}
	r.Compile = append(r.Compile, c)
	return nil
}

// order makes the order of a plan in NumPy; it must hold as many ids.
func (a *original) order(ctx context.Context, o options, dir string, c Compiled, ids int64) (seconds, own float64, err error) {
	out := filepath.Join(o.dir, "order.npy")
	defer os.Remove(out)
	p, _, err := start[struct{}](ctx, o.dir, a.python, filepath.Join(a.dir, "order.py"), "--index", dir,
		"--metrics", metricNames(c.Metrics), "--stages", fmt.Sprint(c.Stages), "--out", out)
	if err != nil {
		return 0, 0, err
	}
	defer p.close()
	d, err := ask[Drawn](p, "order")
	if err == nil && d.IDs != ids {
		err = fmt.Errorf("NumPy orders %d ids and gradus %d: not the same work", d.IDs, ids)
	}
	own, _ = p.memory.peaks()
	return d.Seconds, own, err
}
