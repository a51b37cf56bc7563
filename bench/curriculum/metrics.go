package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"

	"github.com/gradus-ml/gradus/bench/measure"
	"github.com/gradus-ml/gradus/corpus"
	"github.com/gradus-ml/gradus/index"
	"github.com/gradus-ml/gradus/internal/keyed"
)

// The range of rarity in the published recipe for GPT, in nats, whole: 8,470
// distinct values.
const leastRarity, greatestRarity = 600, 9069

// generated are the metrics of an index: two of whole numbers with many ties and
// one without; the third goes partly with the first. u are uniform in [0, 1),
// z normal.
var generated = []struct {
	metric index.Metric
	value  func(u, z1, z2 float64) float64
}{
	{index.Metric{Name: "rarity", Version: 1, Unit: "nats", DType: index.Whole}, func(_, z1, _ float64) float64 {
		return min(max(math.Round(4800+1100*z1), leastRarity), greatestRarity)
	}},
	{index.Metric{Name: "length", Version: 1, Unit: "tokens", DType: index.Whole}, func(u, _, _ float64) float64 {
		return 1 + math.Floor(2048*u)
	}},
	{index.Metric{Name: "perplexity", Version: 1, DType: index.Real, Unit: "1"}, func(_, z1, z2 float64) float64 {
		return math.Exp(4 + 0.3*z1 + 0.5*z2)
	}},
}

// metricNames are the names of generated, as far as a plan uses them.
func metricNames(n int) string {
	var names []string
	for _, g := range generated[:n] {
		names = append(names, g.metric.Name)
	}
	return strings.Join(names, ",")
}

// prepareIndex makes the index of so many samples, or finds it made.
func prepareIndex(ctx context.Context, o options, samples int64) (string, error) {
	dir := filepath.Join(o.indexes, fmt.Sprintf("index-%d-%d", o.seed, samples))
	if _, err := os.Stat(dir); err == nil {
		return dir, nil
	}
	if err := room(o.dir, samples*int64(len(generated))*12+samples*12); err != nil {
		return "", err
	}
	say("making an index of %s samples", measure.Grouped(samples))
	w, err := index.Create(dir, index.Head{
		Corpus:  index.Corpus{Paths: []string{"generated"}, Fingerprint: "sha256:" + strings.Repeat("0", 64), Documents: 1, Tokens: 2048*samples + 1, EndOfDocument: -1},
		Cut:     corpus.Cut{Window: 2048},
		Samples: samples,
	}, false)
	if err != nil {
		return "", err
	}
	defer w.Abort()
	var files []*index.Values
	for _, g := range generated {
		v, err := w.Values(g.metric)
		if err != nil {
			return "", err
		}
		defer v.Close()
		files = append(files, v)
	}
	if err := generate(ctx, o.seed, samples, files); err != nil {
		return "", err
	}
	for i, g := range generated {
		if err := files[i].Close(); err != nil {
			return "", err
		}
		if _, err := w.Finish(ctx, g.metric, runtime.NumCPU(), index.DefaultMemory); err != nil {
			return "", err
		}
	}
	return dir, w.Commit()
}

// generate writes the values, block by block; each has a stream of its own.
func generate(ctx context.Context, seed uint64, samples int64, files []*index.Values) error {
	const block = 1 << 16
	key := keyed.NewKey(seed, "bench metrics", uint64(samples))
	var wait sync.WaitGroup
	workers := int64(runtime.NumCPU())
	errs := make([]error, workers)
	for w := range workers {
		wait.Go(func() {
			values := make([][]float64, len(files))
			for b := w; b*block < samples && ctx.Err() == nil; b += workers {
				draws := key.Sub(uint64(b)).Stream()
				for m := range values {
					values[m] = values[m][:0]
				}
				for range min(block, samples-b*block) {
					u, z1, z2 := draws.Float64(), draws.Normal(), draws.Normal()
					for m := range values {
						values[m] = append(values[m], generated[m].value(u, z1, z2))
					}
				}
				for m, f := range files {
					if err := f.WriteAt(values[m], b*block); err != nil {
						errs[w] = err
						return
					}
				}
			}
		})
	}
	wait.Wait()
	return errors.Join(errors.Join(errs...), ctx.Err())
}

// warm reads every file below dir once, so that nobody pays for the disk.
func warm(dir string) error {
	buf := make([]byte, 1<<20)
	return filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		f, err := os.Open(path)
		if err != nil {
			return err
		}
		defer f.Close()
		for n := 1; n > 0 && err == nil; {
			n, err = f.Read(buf)
		}
		return nil
	})
}
